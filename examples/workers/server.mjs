// A Worker that is a TLS server on an inbound TCP socket. It answers a request of HTTP/1.1 with what it saw of the connection.
//
// Bindings: `TLS_CERT`, `TLS_KEY` (PEM), and `TLS_CLIENT_AUTH`: with `required`, clients have to show a certificate of the CA in `TLS_CA`
// (PEM), and with `none` they are not asked for one. Anything else refuses every connection: what was forgotten lets nobody in.

import { pairOptions } from 'guest-tls/core/connection.mjs';
import { secure } from 'guest-tls/core/web.mjs';

import { contextOf, instance, once } from './tls.mjs';

export default {
  async connect(socket, env) {
    socket.closed.catch(() => {});
    let timer;
    try {
      const { readable, writable, opened, closed } = secure(instance(), undefined, socket, { server: server(env) });
      const writer = writable.getWriter();
      timer = setTimeout(() => writer.abort(new Error('it took too long')).catch(() => {}), LONGEST);
      const seen = await opened;
      await writer.write(answer(await head(readable), seen));
      await writer.close();
      await closed;
    } catch (error) {
      // The peer has had its alert.
      console.warn(`a connection failed: ${error.code ?? ''} ${error.message}`);
    } finally {
      clearTimeout(timer);
      await socket.close().catch(() => {});
    }
  },
};

/** The head of a request, up to the empty line. What comes after it is thrown away. */
async function head(readable) {
  const decoder = new TextDecoder();
  const reader = readable.getReader();
  let text = '';
  while (!text.includes('\r\n\r\n')) {
    const { done, value } = await reader.read();
    if (done || text.length > LONGEST_HEAD) break;
    text += decoder.decode(value, { stream: true });
  }
  await reader.cancel();
  return text;
}

function answer(head, { protocol, cipher, group, servername, alpnProtocol, authorized, isSessionReused, peerCertificates }) {
  const [line] = head.split('\r\n', 1);
  const peer = peerCertificates[0]?.subject.find(({ name }) => name === 'CN')?.value;
  const connection = {
    protocol, cipher: cipher.standardName, group: group.name, servername, alpnProtocol, authorized, peer, isSessionReused,
  };
  const known = / HTTP\/1\.[01]$/.test(line);
  const body = `${JSON.stringify(known ? { request: line, connection } : { error: 'this is no request of HTTP/1' })}\n`;
  const status = known ? '200 OK' : '400 Bad Request';
  const length = new TextEncoder().encode(body).length;
  return `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\nconnection: close\r\n\r\n${body}`;
}

/** It seals tickets, so that sessions are resumed as long as the isolate lives. */
const server = once((guest, env) => {
  const options = pairOptions(guest, { requestCert: asksClients(env), ALPNProtocols: ['http/1.1'] });
  const context = contextOf(guest, env);
  return guest.call(({ server: { Server } }) => Server.create(context, options));
});

/** Whether clients have to show a certificate. Throws where the bindings don't say so, or say it without a CA. */
function asksClients({ TLS_CLIENT_AUTH: auth, TLS_CA: ca }) {
  if (auth === 'none') return false;
  if (auth !== 'required') {
    throw new TypeError(`the binding TLS_CLIENT_AUTH has to be "required" or "none", not ${auth ? JSON.stringify(auth) : 'empty'}`);
  }
  if (!ca?.trim()) throw new TypeError('TLS_CLIENT_AUTH is "required" and TLS_CA is empty: it has to be the CA of the clients in PEM');
  return true;
}

/** How long a connection may take, in milliseconds. */
const LONGEST = 30_000;

/** In characters. */
const LONGEST_HEAD = 16384;
