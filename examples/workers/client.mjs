// A Worker that is a TLS client with an own CA and a client certificate. A request for a path makes it ask `TARGET` for that path over
// TLS; it answers with the target's answer, and with what it saw of the connection.
//
// Bindings: `TARGET` (host:port), `SERVERNAME` (the name that the target's certificate has to be for; by default the host), `TLS_CA`,
// `TLS_CERT`, `TLS_KEY` (PEM). The target is no matter of the request, else this were a proxy to everything the Worker reaches.

import { connect } from 'cloudflare:sockets';
import { secure } from 'guest-tls/core/web.mjs';

import { contextOf, instance, once } from './tls.mjs';

export default {
  async fetch(request, env) {
    try {
      const { pathname, search } = new URL(request.url);
      return Response.json(await get(env, pathname + search));
    } catch (error) {
      const { code = '', message, reason, alert } = error;
      return Response.json({ error: { code, message, reason, alert } }, { status: 502 });
    }
  },
};

async function get(env, path) {
  const { hostname, port } = new URL(`tcp://${env.TARGET}`);
  const servername = env.SERVERNAME || hostname;
  // Half-open: what was sent is to arrive, also where the target ends first.
  const socket = connect({ hostname, port: Number(port) }, { secureTransport: 'off', allowHalfOpen: true });
  socket.closed.catch(() => {});
  const kept = sessions();
  try {
    const { readable, writable, opened, closed } = secure(instance(), context(env), socket, {
      servername,
      ALPNProtocols: ['http/1.1'],
      session: kept.take(env.TARGET),
      sessionEvent: true,
      onevent: ({ tag, val }) => tag === 'session' && kept.keep(env.TARGET, val),
    });
    const writer = writable.getWriter();
    const asking = writer.write(`GET ${path} HTTP/1.1\r\nhost: ${servername}\r\nconnection: close\r\n\r\n`);
    asking.catch(() => {});
    const seen = await opened;
    const answer = await new Response(readable).text();
    await writer.close();
    await closed;
    return { connection: summary(seen), answer };
  } finally {
    await socket.close().catch(() => {});
  }
}

function summary({ protocol, cipher, group, alpnProtocol, authorized, isSessionReused, peerCertificates }) {
  const peer = peerCertificates[0]?.subject.find(({ name }) => name === 'CN')?.value;
  return { protocol, cipher: cipher.standardName, group: group.name, alpnProtocol, authorized, peer, isSessionReused };
}

const context = once(contextOf);

/** Sessions are known to the instance that made them, and one of TLS 1.3 serves once (RFC 8446 appendix C.4). */
const sessions = once(() => {
  const byTarget = new Map();
  return {
    keep: (target, session) => byTarget.set(target, session),
    take(target) {
      const session = byTarget.get(target);
      byTarget.delete(target);
      return session;
    },
  };
});
