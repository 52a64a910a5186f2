// The Worker behind agent.mjs: it connects and is connected to as a setup says, and reports what it saw.
//
//   POST / {order: "connect", setup, port} → {report} or {fault}
//   POST / {order: "listen", setup, port}  → {} or {fault}: the next connections on that port are for this setup
//   POST / {order: "report", port}         → {report}, or {} when there is none yet: ask again
//   POST / {order: "progress", port}       → {sent, received}: bytes by now
//
// A setup has one thing more than those of the tests of hosts: with `pause` it does not read for so many milliseconds.

import crypto from 'node:crypto';

import { connect } from 'cloudflare:sockets';
import { pairOptions } from 'guest-tls/core/connection.mjs';
import { createContext } from 'guest-tls/core/context.mjs';
import { secure } from 'guest-tls/core/web.mjs';

import { instance } from './tls.mjs';

export default {
  async fetch(request) {
    const { order, setup, port } = await request.json();
    try {
      return Response.json(await ORDERS[order](setup, port));
    } catch (error) {
      return Response.json({ fault: String(error?.stack ?? error) });
    }
  },

  async connect(socket) {
    const { localAddress } = await socket.opened;
    const listening = listeners.get(Number(/:(\d+)$/.exec(localAddress)[1]));
    if (listening === undefined || listening.left === 0) {
      await socket.close();
      return;
    }
    listening.left -= 1;
    const report = await talk(listening.setup, socket, undefined, { server: listening.server }, listening.progress);
    if (listening.left === 0 || report.failure !== null) listening.report = report;
  },
};

const ORDERS = {
  async connect(setup, port) {
    const context = contextOf(setup);
    let session;
    let report;
    for (let left = setup.connections ?? 1; left > 0 && !report?.failure; left -= 1) {
      const socket = connect({ hostname: '127.0.0.1', port }, { secureTransport: 'off', allowHalfOpen: true });
      const onevent = ({ tag, val }) => tag === 'session' && (session = val);
      report = await talk(setup, socket, context, { ...common(setup), ...ofClient(setup), session, sessionEvent: true, onevent });
    }
    return { report };
  },

  listen(setup, port) {
    const guest = instance();
    const context = contextOf(setup);
    const options = pairOptions(guest, common(setup));
    const server = guest.call(({ server: { Server } }) => Server.create(context, options));
    listeners.set(port, { setup, server, left: setup.connections ?? 1, progress: { sent: 0, received: 0 } });
    return {};
  },

  /** A promise that one request's handler makes can't be kept by another's: so it is looked at from time to time. */
  async report(_, port) {
    for (let times = 0; times < 1000; times += 1) {
      const { report } = listeners.get(port);
      if (report !== undefined) return { report };
      await scheduler.wait(10);
    }
    return {};
  },

  progress: (_, port) => listeners.get(port).progress,
};

/** What is to be done with connections, by port. */
const listeners = new Map();

function contextOf(setup) {
  const { minVersion, maxVersion, ciphers, sigalgs, honorCipherOrder, allowPartialTrustChain, roots, crls } = setup;
  return createContext(instance(), {
    cert: setup.certificate, key: setup.key, ca: roots, crl: crls, ecdhCurve: setup.groups,
    minVersion, maxVersion, ciphers, sigalgs, honorCipherOrder, allowPartialTrustChain,
  });
}

function common({ requestCert, rejectUnauthorized, alpn = [], handshakeTimeout }) {
  return { requestCert, rejectUnauthorized, ALPNProtocols: alpn.length > 0 ? alpn : undefined, handshakeTimeout };
}

function ofClient({ servername, skipServerIdentity }) {
  return { servername: servername ?? '127.0.0.1', skipServerIdentity };
}

/** Sends and receives over one connection as the setup's turn says. */
async function talk({ turn, bytes = 0, pause = 0 }, socket, context, options, progress = {}) {
  const all = turn === 'Silent' ? new Uint8Array() : payload(bytes);
  const half = turn === 'Second' ? all.length >> 1 : all.length;
  const sent = counter();
  const received = counter();
  const seen = { ended: false, failure: null };
  socket.closed.catch(() => {});
  try {
    const { readable, writable, opened, closed, connection } = secure(instance(), context, socket, options);
    Object.assign(seen, described(await opened, connection));

    const allCame = gate();
    const receive = async () => {
      try {
        await scheduler.wait(pause);
        for await (const piece of readable) {
          received.add(piece);
          progress.received = received.bytes();
          if (received.bytes() >= bytes) allCame.open();
        }
        seen.ended = true;
      } finally {
        allCame.open();
      }
    };
    const receiving = receive();

    const writer = writable.getWriter();
    const write = async (from, to) => {
      for (let at = from; at < to; at += PIECE) {
        const piece = all.subarray(at, Math.min(at + PIECE, to));
        await writer.write(piece);
        sent.add(piece);
        progress.sent = sent.bytes();
      }
    };
    const send = async () => {
      await write(0, half);
      if (turn === 'WhenAllCame') await allCame.opened;
      else if (turn !== 'First') await receiving;
      await write(half, all.length);
      await writer.close();
    };

    const [outcome, other] = await Promise.allSettled([receiving, send()]);
    await closed;
    for (const { reason } of [outcome, other]) if (reason !== undefined) throw reason;
  } catch (error) {
    const { code = '', message = String(error), reason = null, alert } = error;
    seen.failure = { code, message, reason, alert: alert?.description ?? null };
  } finally {
    await socket.close().catch(() => {});
  }
  return { ...seen, sent: sent.tally(), received: received.tally() };
}

function described(agreed, connection) {
  const { protocol, cipher, group, alpnProtocol, servername, authorized, authorizationError, isSessionReused, peerCertificates } = agreed;
  const exporter = connection.ask((pair) => pair.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, undefined));
  return {
    protocol, suite: cipher.standardName, group: group?.name ?? null, alpn: alpnProtocol ?? null, servername: servername ?? null,
    authorized, authorizationError: authorizationError?.code ?? null, resumed: isSessionReused,
    peerSubject: peerCertificates[0]?.subject.find(({ name }) => name === 'CN')?.value ?? null,
    exporter: Buffer.from(exporter).toString('hex'),
  };
}

function counter() {
  const hash = crypto.createHash('sha256');
  let count = 0;
  return {
    add(piece) {
      hash.update(piece);
      count += piece.length;
    },
    bytes: () => count,
    tally: () => ({ bytes: count, sha256: hash.digest('hex') }),
  };
}

function gate() {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  return { open, opened };
}

/** Random bytes with the upper bit set, as all peers send: see host-tests/src/exchange.rs. */
function payload(length) {
  if (random.length < length) {
    random = new Uint8Array(length + PIECE - (length % PIECE));
    for (let at = 0; at < random.length; at += PIECE) crypto.getRandomValues(random.subarray(at, at + PIECE));
    for (let at = 0; at < random.length; at += 1) random[at] |= 0x80;
  }
  return random.subarray(0, length);
}

let random = new Uint8Array();

const PIECE = 65536;
const EXPORTER_BYTES = 32;
const EXPORTER_LABEL = new TextEncoder().encode('EXPORTER-guest-tls-test');
