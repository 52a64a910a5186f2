// The page's own TLS (`client.mjs`), with the conversation of the tests in place of HTTP. `agent.mjs` serves it beside the page's files,
// and posts `{id, setup, port}`; the answer is `{id, report}`, or `{id, fault}`.

import { Client } from '/client.mjs';

const loaded = Client.load();

onmessage = async ({ data: { id, setup, port } }) => {
  try {
    const client = await loaded;
    let connection = { report: null, session: undefined };
    for (let count = 0; count < (setup.connections ?? 1); count += 1) connection = await connect(client, setup, port, connection.session);
    postMessage({ id, report: connection.report });
  } catch (error) {
    postMessage({ id, fault: String(error?.stack ?? error) });
  }
};

/** One connection: its report, and a session to resume. */
async function connect(client, setup, port, offered) {
  let session;
  const sent = counter();
  const received = counter();
  const seen = { ended: false };
  const report = async (error) => ({
    ...seen, sent: await sent.tally(), received: await received.tally(), failure: error === undefined ? null : failure(error),
  });
  try {
    const { readable, writable, opened, closed, connection } = await client.connect({
      host: '127.0.0.1', port,
      context: {
        cert: setup.certificate, key: setup.key, ca: setup.roots, crl: setup.crls, allowPartialTrustChain: setup.allowPartialTrustChain,
        minVersion: setup.minVersion, maxVersion: setup.maxVersion, ciphers: setup.ciphers, ecdhCurve: setup.groups, sigalgs: setup.sigalgs,
      },
      options: {
        servername: setup.servername, ALPNProtocols: setup.alpn.length > 0 ? setup.alpn : undefined, session: offered, sessionEvent: true,
        rejectUnauthorized: setup.rejectUnauthorized, skipServerIdentity: setup.skipServerIdentity,
      },
      onevent: ({ tag, val }) => { if (tag === 'session') session = val; },
    });
    Object.assign(seen, described(await opened, connection));
    await talk(setup, readable, writable.getWriter(), sent, received, seen);
    await closed;
    return { report: await report(), session };
  } catch (error) {
    return { report: await report(error), session };
  }
}

/** Sends and receives as the setup's turn says. */
async function talk({ turn, bytes }, readable, writer, sent, received, seen) {
  const all = turn === 'Silent' ? new Uint8Array() : payload(bytes);
  const half = turn === 'Second' ? all.length >> 1 : all.length;
  const send = async (from, to) => {
    for (let at = from; at < to; at += PIECE) {
      const piece = all.subarray(at, Math.min(at + PIECE, to));
      await writer.write(piece);
      sent.add(piece);
    }
  };
  let came;
  const allCame = new Promise((resolve) => (came = resolve));
  const reading = (async () => {
    for await (const piece of readable) {
      received.add(piece);
      if (received.bytes() >= bytes) came();
    }
    seen.ended = true;
  })();
  const sending = (async () => {
    await send(0, half);
    if (turn === 'WhenAllCame') await Promise.race([allCame, reading]);
    else if (turn !== 'First') await reading;
    if (turn === 'Second') await send(half, all.length);
    await writer.close();
  })();
  await Promise.all([reading, sending]);
}

function described(info, connection) {
  const label = new TextEncoder().encode(EXPORTER_LABEL);
  return {
    protocol: info.protocol, suite: info.cipher.standardName, group: info.group?.name ?? null, alpn: info.alpnProtocol ?? null,
    servername: info.servername ?? null, authorized: info.authorized, authorizationError: info.authorizationError?.code ?? null,
    peerSubject: info.peerCertificates[0]?.subject.find(({ name }) => name === 'CN')?.value ?? null, resumed: info.isSessionReused,
    exporter: hex(connection.ask((pair) => pair.exportKeyingMaterial(EXPORTER_BYTES, label, undefined))),
  };
}

function failure({ code, message, reason, alert }) {
  return { code: code ?? '', message, reason: reason ?? null, alert: alert?.description ?? null };
}

/** Keeps what passes: WebCrypto hashes only what is whole. */
function counter() {
  const pieces = [];
  let count = 0;
  return {
    add(piece) {
      pieces.push(piece);
      count += piece.length;
    },
    bytes: () => count,
    async tally() {
      const hash = await crypto.subtle.digest('SHA-256', await new Blob(pieces).arrayBuffer());
      return { bytes: count, sha256: hex(new Uint8Array(hash)) };
    },
  };
}

/** Random bytes with the upper bit set, as all peers of the tests send. */
function payload(bytes) {
  const made = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += PIECE) crypto.getRandomValues(made.subarray(at, at + PIECE));
  for (let at = 0; at < bytes; at += 1) made[at] |= 0x80;
  return made;
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const EXPORTER_LABEL = 'EXPORTER-guest-tls-test';
const EXPORTER_BYTES = 32;

/** The most that `getRandomValues` gives at once. */
const PIECE = 65536;
