// A module with the shape of Node's `tls` as a peer of the tests.

import crypto from 'node:crypto';

import { take } from './orders.mjs';

/**
 * Takes orders as `orders.mjs` says, and answers with a `report`. `setup.connections`, one unless said otherwise, are one after another, each
 * of a client's with the session of the one before; the report is the last one's.
 */
export function peer(tls) {
  take((...order) => listen(tls, ...order), (...order) => connect(tls, ...order), 'report');
}

function listen(tls, setup, listening, report) {
  const server = tls.createServer({ ...common(setup), requestCert: setup.requestCert, allowHalfOpen: true });
  let left = setup.connections ?? 1;
  server.on('tlsClientError', (error) => finish({ failure: failure(error) }));
  server.on('secureConnection', (socket) => talk(setup, socket, (seen) => {
    left -= 1;
    if (left === 0 || seen.failure) finish(seen);
  }));
  server.listen(0, '127.0.0.1', () => listening(server.address().port));
  function finish(seen) {
    server.close();
    report(seen);
  }
}

function connect(tls, setup, port, report, session, left = setup.connections ?? 1) {
  const socket = tls.connect({
    ...common(setup), host: '127.0.0.1', port, servername: setup.servername, allowHalfOpen: true, session,
  });
  const failed = (error) => {
    report({ failure: failure(error) });
    socket.destroy();
  };
  let latest;
  socket.on('session', (session) => { latest = session; });
  socket.once('error', failed);
  socket.once('secureConnect', () => {
    socket.off('error', failed);
    talk(setup, socket, (seen) => {
      if (left === 1 || seen.failure) report(seen);
      else connect(tls, setup, port, report, latest, left - 1);
    });
  });
}

function common(setup) {
  return {
    cert: setup.certificate, key: setup.key, ca: setup.roots, crl: setup.crls ?? undefined,
    allowPartialTrustChain: setup.allowPartialTrustChain, minVersion: setup.minVersion, maxVersion: setup.maxVersion,
    ciphers: setup.ciphers, ecdhCurve: setup.groups ?? 'auto', rejectUnauthorized: setup.rejectUnauthorized,
    ALPNProtocols: setup.alpn.length ? setup.alpn : undefined,
  };
}

/** Sends and receives as the setup's turn says, and reports. */
function talk(setup, socket, report) {
  const { turn, bytes } = setup;
  const all = turn === 'Silent' ? Buffer.alloc(0) : payload(bytes);
  const sent = counter();
  const received = counter();
  const seen = { ...describe(socket), ended: false };
  let over = false;

  const send = (from, to) => {
    const piece = all.subarray(from, to);
    sent.add(piece);
    if (piece.length) socket.write(piece);
  };
  const finish = (error) => {
    if (over) return;
    over = true;
    report({ ...seen, sent: sent.tally(), received: received.tally(), failure: error && failure(error) });
    socket.destroy();
  };

  socket.on('data', (piece) => {
    received.add(piece);
    if (turn === 'WhenAllCame' && received.bytes() >= bytes) socket.end();
  });
  socket.on('end', () => {
    seen.ended = true;
    if (turn === 'Second') send(all.length >> 1, all.length);
    if (turn !== 'First') socket.end();
  });
  socket.on('error', finish);
  socket.on('close', () => finish());

  send(0, turn === 'Second' ? all.length >> 1 : all.length);
  if (turn === 'First') socket.end();
}

function describe(socket) {
  const group = socket.getEphemeralKeyInfo?.();
  return {
    protocol: socket.getProtocol(), suite: socket.getCipher().standardName, group: group?.name ?? null,
    alpn: socket.alpnProtocol || null, servername: socket.servername || null, authorized: socket.authorized,
    authorizationError: socket.authorizationError ? String(socket.authorizationError.code ?? socket.authorizationError) : null,
    peerSubject: socket.getPeerCertificate()?.subject?.CN ?? null,
    exporter: socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL).toString('hex'),
    resumed: socket.isSessionReused(),
  };
}

function failure(error) {
  // Node has the alert in the message only.
  const alert = error.alert?.description ?? /SSL alert number (\d+)/.exec(error.message)?.[1];
  return { code: error.code ?? '', message: error.message, reason: error.reason ?? null, alert: alert === undefined ? null : Number(alert) };
}

function counter() {
  const hash = crypto.createHash('sha256');
  let count = 0;
  return {
    add(piece) { hash.update(piece); count += piece.length; },
    bytes: () => count,
    tally: () => ({ bytes: count, sha256: hash.digest('hex') }),
  };
}

/** Random bytes with the upper bit set, as all peers send: see `exchange.rs`. */
let random = Buffer.alloc(0);
function payload(bytes) {
  if (random.length < bytes) random = crypto.randomBytes(bytes).map((byte) => byte | 0x80);
  return random.subarray(0, bytes);
}

const EXPORTER_LABEL = 'EXPORTER-guest-tls-test';
const EXPORTER_BYTES = 32;
