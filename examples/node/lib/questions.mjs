// What a peer's handshake asks the application (rows O15, O16, S3 to S5), and what becomes of the answers.
//
// It is the peer that chooses when these functions run. So nothing that they throw or answer reaches the process: it ends the connection,
// which `tlsClientError` of a server or `error` of a socket tells, once, as in Node. `newSession` alone is different there and here: what
// its listener throws is an `error` of the server.

import { inspect } from 'node:util';

import { buffer } from './certificates.mjs';
import { bytes } from './core/bytes.mjs';
import { failure } from './core/errors.mjs';
import { ours } from './secure-context.mjs';

/**
 * Asks the application. `asked` is the connection as seen from here:
 *
 * * `socket`: what the callbacks are called on;
 * * `SNICallback`, `ALPNCallback`: where there are any;
 * * `events`: the emitter that hears `resumeSession`, `newSession` and `OCSPRequest`, where there is one;
 * * `context(name)`: the context for a name where `SNICallback` is not asked or chooses none, as the component's resource;
 * * `use(context)`: a `SecureContext` as the component's resource;
 * * `answer(method, value)`: gives the component the answer;
 * * `hold()`: answers `new-session` at once, and gives the function before whose call nothing is sent;
 * * `end(error)`: ends the connection by this error, which may be nothing.
 */
export function question(tag, val, asked) {
  QUESTIONS[tag](val, asked);
}

const QUESTIONS = {
  sni(name, asked) {
    const { socket, SNICallback } = asked;
    if (name === undefined || !SNICallback) {
      if (name !== undefined) socket.servername = name;
      asked.answer('answerSni', asked.context(name));
      return;
    }
    socket.servername = name;
    const done = once(asked, (context) => {
      // As in Node, what is no object is no choice.
      const chosen = typeof context === 'object' && context !== null ? asked.use(known(context)) : asked.context();
      asked.answer('answerSni', chosen);
    });
    guarded(asked, () => SNICallback.call(socket, name, done));
  },

  alpn({ servername, protocols }, asked) {
    const offered = protocols.map((protocol) => Buffer.from(protocol).toString('latin1'));
    guarded(asked, () => {
      const chosen = asked.ALPNCallback.call(asked.socket, { servername: servername ?? '', protocols: offered });
      if (chosen !== undefined && !offered.includes(chosen)) {
        const both = `ALPNCallback gave ${inspect(chosen, { depth: 0 })}, which the client does not offer: ${offered.join(', ')}`;
        throw failure('ERR_TLS_ALPN_CALLBACK_INVALID_RESULT', both);
      }
      asked.answer('answerAlpn', chosen === undefined ? undefined : Buffer.from(chosen, 'latin1'));
    });
  },

  'resume-session'(id, asked) {
    // As in Node, what is no bytes is no session.
    const done = once(asked, (data) => asked.answer('answerResumeSession', isBytes(data) ? bytes(data, 'the session') : undefined));
    try {
      if (!asked.events?.emit('resumeSession', buffer(id), done)) done(null, null);
    } catch (thrown) {
      done(thrown);
    }
  },

  'new-session'({ id, data }, asked) {
    const release = asked.hold();
    // It takes no error: a session that could not be kept is one that nobody can resume, and the connection goes on.
    const done = () => release();
    try {
      if (!asked.events?.emit('newSession', buffer(id), buffer(data), done)) done();
    } catch (thrown) {
      // Nobody will call `done`.
      done();
      asked.events.emit('error', thrown);
    }
  },

  'ocsp-request'({ certificate, issuer }, asked) {
    const done = once(asked, (response) => {
      if (response && !isBytes(response)) {
        throw failure('ERR_INVALID_ARG_TYPE', `the OCSP response has to be a buffer or a view of one, not ${typeof response}`);
      }
      asked.answer('answerOcspRequest', response ? bytes(response, 'the OCSP response') : undefined);
    });
    guarded(asked, () => {
      if (!asked.events?.emit('OCSPRequest', buffer(certificate), issuer ? buffer(issuer) : null, done)) done(null, null);
    });
  },
};

/** A callback `(error, value)`. As in Node, a second call ends the connection: whoever answers twice has mixed up two of them. */
function once(asked, accept) {
  let over = false;
  return (error, value) => {
    if (over) {
      asked.end(failure('ERR_MULTIPLE_CALLBACK', 'Callback called multiple times: answer a question once'));
      return;
    }
    over = true;
    if (error) asked.end(error);
    else guarded(asked, () => accept(value));
  };
}

function guarded(asked, work) {
  try {
    work();
  } catch (thrown) {
    asked.end(thrown);
  }
}

function known(context) {
  try {
    return ours(context, 'the context of SNICallback');
  } catch (error) {
    // Node's words, since it has no code for this.
    error.message = `Invalid SNI context: ${error.message}`;
    throw error;
  }
}

function isBytes(value) {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
}
