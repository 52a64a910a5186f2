// Servers (rows M3, S1 to S9, O15, O24).

import net from 'node:net';

import { pairOptions } from './core/connection.mjs';
import { failure } from './core/errors.mjs';
import { bytes } from './core/bytes.mjs';
import { guest } from './guest.mjs';
import { contextOf, ours } from './secure-context.mjs';
import { TLSSocket, checkOptions, internal, questionsFor } from './tls-socket.mjs';

/**
 * A `net.Server` whose connections speak TLS. As in Node, it can be called without `new`, and on an object that is to become one: that is how
 * `https.Server` does it.
 */
export function Server(options, listener) {
  if (!(this instanceof Server)) return new Server(options, listener);
  if (typeof options === 'function') [options, listener] = [{}, options];
  if (options !== undefined && options !== null && typeof options !== 'object') {
    throw failure('ERR_INVALID_ARG_TYPE', `options has to be an object, not ${typeof options}`);
  }
  // TLS has an end of its own: the transport stays open in the other direction until then.
  net.Server.call(this, { ...options, allowHalfOpen: true, pauseOnConnect: false });
  Object.defineProperty(this, internal, { value: new State(this, options ?? {}) });
  this.on('connection', onConnection);
  if (listener) this.on('secureConnection', listener);
}

Object.setPrototypeOf(Server.prototype, net.Server.prototype);
Object.setPrototypeOf(Server, net.Server);

Object.assign(Server.prototype, {
  /** Uses a context, or one of these options, for clients that ask for `hostname` (row O15). The one that was added last wins. */
  addContext(hostname, context) {
    if (!hostname) throw failure('ERR_TLS_REQUIRED_SERVER_NAME', 'addContext needs the host name that the context is for');
    this[internal].add(hostname, context);
  },

  /** Uses another context for clients that ask for no other one (row S7). Open connections keep theirs. */
  setSecureContext(options) {
    this[internal].replace(options);
  },

  /** The 48 bytes that seal tickets (row S8). */
  getTicketKeys() {
    return Buffer.from(this[internal].inGuest((server) => server.ticketKeys()));
  },

  /** Seals tickets by these 48 bytes from now on; those before are taken for the life of a session. */
  setTicketKeys(keys) {
    this[internal].setTicketKeys(keys);
  },
});

/** Where an async listener rejects and `captureRejections` is set, as in Node: the connection ends by it. */
Server.prototype[Symbol.for('nodejs.rejection')] = function rejected(error, event, ...args) {
  if (event === 'secureConnection') args[0].destroy(error);
  else net.Server.prototype[Symbol.for('nodejs.rejection')].call(this, error, event, ...args);
};

/** Makes a server (row M3). The listener hears `secureConnection`. */
export function createServer(options, listener) {
  return new Server(options, listener);
}

/** What a server is made of, and its `server` in the component. */
class State {
  #server;
  #options;
  #context;
  #named = [];
  #made;
  #ticketKeys;

  constructor(server, options) {
    checkOptions(options, ['SNICallback', 'ALPNCallback']);
    if (options.handshakeTimeout !== undefined && typeof options.handshakeTimeout !== 'number') {
      throw failure('ERR_INVALID_ARG_TYPE', 'handshakeTimeout has to be a number of milliseconds');
    }
    this.#server = server;
    this.#options = { ...options };
    this.#context = ours(contextOf(options), 'the context of createSecureContext');
  }

  /** The server's own context, as it is now. */
  get own() {
    return this.#context;
  }

  get SNICallback() {
    return this.#options.SNICallback;
  }

  get ALPNCallback() {
    return this.#options.ALPNCallback;
  }

  /** The context for a name: of those that were added, or the server's own. */
  context(name) {
    const asked = name?.toLowerCase();
    return this.#named.findLast(({ matches }) => asked !== undefined && matches(asked))?.context ?? this.#context;
  }

  add(hostname, context) {
    const given = context?.context ?? context;
    const made = isOurs(given) ? given : contextOf(context);
    const name = hostname.toLowerCase();
    const matches = name.startsWith('*.')
      ? (asked) => asked.endsWith(name.slice(1)) && !asked.slice(0, 1 - name.length).includes('.') && asked.length > name.length - 1
      : (asked) => asked === name;
    this.#named.push({ matches, context: made });
  }

  replace(options) {
    if (options === null || typeof options !== 'object') throw failure('ERR_INVALID_ARG_TYPE', `options has to be an object, not ${typeof options}`);
    this.#context = ours(contextOf(options), 'the context of createSecureContext');
    const { ticketKeys } = options;
    if (ticketKeys) this.setTicketKeys(ticketKeys);
  }

  setTicketKeys(keys) {
    if (typeof keys === 'string') throw failure('ERR_INVALID_ARG_TYPE', 'keys has to be a buffer or a view of one, not a string');
    const given = bytes(keys, 'keys');
    if (given.length !== 48) throw failure('ERR_INVALID_ARG_VALUE', `ticket keys have 48 bytes, and these have ${given.length}`);
    this.inGuest((server) => server.setTicketKeys(given));
    this.#ticketKeys = given.slice();
  }

  /** A call of the `server` in the component. */
  inGuest(work) {
    const instance = guest();
    return instance.call(() => work(this.#in(instance)));
  }

  /** The stream of a client that has connected. */
  socket(transport) {
    const { allowHalfOpen, handshakeTimeout, enableTrace, rejectUnauthorized, requireCloseNotify } = this.#options;
    return new TLSSocket(transport, {
      isServer: true,
      secureContext: this.#context,
      allowHalfOpen, handshakeTimeout, enableTrace, rejectUnauthorized, requireCloseNotify,
      [internal]: {
        server: this.#server,
        accept: (instance) => instance.call(() => this.#in(instance).acceptPair()),
        failed: (error, socket) => this.#failed(error, socket),
        secure: (socket) => this.#server.emit('secureConnection', socket),
      },
    });
  }

  /** Its name is `tlsClientError`, and in the documented version `clientError`; https listens to the first, and gives the second a meaning. */
  #failed(error, socket) {
    const heard = this.#server.emit('tlsClientError', error, socket);
    if (!heard) this.#server.emit('clientError', error, socket);
  }

  /** The `server` in this instance. Another one is made when somebody began to listen to what it has to ask or tell. */
  #in(instance) {
    const events = { ...questionsFor(this.#server), keylog: this.#server.listenerCount('keylog') > 0 };
    const key = Object.values(events).join();
    if (this.#made?.instance !== instance || this.#made.key !== key) {
      const made = this.#create(instance, events);
      const keys = this.#ticketKeys ?? (this.#made?.instance === instance ? this.#made.server.ticketKeys() : undefined);
      if (keys) made.setTicketKeys(keys);
      this.#made = { instance, key, server: made };
    }
    return this.#made.server;
  }

  #create(instance, events) {
    const { ALPNProtocols, NPNProtocols, requestCert, rejectUnauthorized, handshakeTimeout, enableTrace, bufferLimit } = this.#options;
    const made = pairOptions(instance, {
      isServer: true,
      ...events,
      sniEvent: true,
      alpnEvent: Boolean(this.ALPNCallback),
      ALPNProtocols: ALPNProtocols ?? NPNProtocols,
      requestCert,
      rejectUnauthorized: rejectUnauthorized !== false,
      handshakeTimeout: handshakeTimeout > 0 ? handshakeTimeout : undefined,
      trace: enableTrace,
      bufferLimit,
    });
    return instance.interfaces.server.Server.create(this.#context.in(instance), made);
  }
}

function onConnection(transport) {
  let socket;
  try {
    socket = this[internal].socket(transport);
  } catch (error) {
    transport.destroy();
    this.emit('tlsClientError', error, transport);
    return;
  }
  // A peer that hangs up before it said anything.
  if (transport.destroyed) socket.destroy();
}

function isOurs(context) {
  try {
    return Boolean(ours(context, 'context'));
  } catch {
    return false;
  }
}
