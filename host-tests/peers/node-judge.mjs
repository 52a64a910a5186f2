// Node's `tls` as the judge of the component: what it says of a connection, property by property.
// It takes orders as `orders.mjs` says, and answers with a `view`.
//
// `setup.says` is what this end sends, in hexadecimal; it expects as many bytes. With the turn `WhenAllCame` it ends then, else
// after the other end, as Node does by itself.

import net from 'node:net';
import tls from 'node:tls';

import { take } from './orders.mjs';

/**
 * Every property that is compared, by the name that `judge/view.rs` gives the same one. One that is nothing is `null`: Node has
 * `false`, `undefined` and `{}` as well.
 */
const PROPERTIES = {
  authorized: (socket) => socket.authorized,
  authorizationError: (socket) => socket.authorizationError && String(socket.authorizationError.code ?? socket.authorizationError),
  encrypted: (socket) => socket.encrypted,
  servername: (socket) => socket.servername || null,
  alpnProtocol: (socket) => socket.alpnProtocol || null,
  cipher: (socket) => socket.getCipher(),
  protocol: (socket) => socket.getProtocol(),
  ephemeralKeyInfo: (socket) => something(socket.getEphemeralKeyInfo()),
  certificate: (socket) => something(certificate(socket.getCertificate())),
  peerCertificate: (socket) => something(certificate(socket.getPeerCertificate(true))),
  peerCertificateChain: (socket) => chain(socket.getPeerCertificate(true)),
  isSessionReused: (socket) => socket.isSessionReused(),
  hasTicket: (socket) => Boolean(socket.getTLSTicket()),
  finished: (socket) => socket.getFinished()?.toString('hex'),
  peerFinished: (socket) => socket.getPeerFinished()?.toString('hex'),
  sharedSigalgs: (socket) => socket.getSharedSigalgs(),
  setMaxSendFragment: (socket) => [511, 512, 16384, 16385].map((size) => socket.setMaxSendFragment(size)),
  exporter: (socket) => socket.exportKeyingMaterial(32, 'EXPORTER-guest-tls-judge').toString('hex'),
  exporterWithContext: (socket) =>
    socket.exportKeyingMaterial(48, 'EXPORTER-guest-tls-judge', Buffer.from('context')).toString('hex'),
};

/** What is compared of a certificate. */
const CERTIFICATE = [
  'subject', 'issuer', 'subjectaltname', 'infoAccess', 'ca', 'modulus', 'bits', 'exponent', 'pubkey', 'asn1Curve', 'nistCurve',
  'valid_from', 'valid_to', 'fingerprint', 'fingerprint256', 'fingerprint512', 'ext_key_usage', 'serialNumber', 'raw',
];

take(listen, connect, 'view');

function listen(setup, listening, report) {
  const server = tls.createServer({ ...common(setup), requestCert: setup.requestCert });
  let over = false;
  const finish = (view) => {
    if (over) return;
    over = true;
    server.close();
    report(view);
  };
  // Where Node leaves a client without a word.
  server.once('connection', (tcp) => tcp.once('close', () => setTimeout(finish, 100, { error: 'closed' })));
  server.once('tlsClientError', (error) => finish(failed(error)));
  server.once('secureConnection', (socket) => talk(setup, socket, finish));
  server.listen(0, '127.0.0.1', () => listening(server.address().port));
}

function connect(setup, port, report) {
  // An address is no name for SNI: Node takes it from `host`.
  const servername = net.isIP(setup.servername) ? undefined : setup.servername;
  const socket = tls.connect({ ...common(setup), host: '127.0.0.1', port, servername });
  const early = (error) => {
    report(failed(error));
    socket.destroy();
  };
  socket.once('error', early);
  socket.once('secureConnect', () => {
    socket.off('error', early);
    talk(setup, socket, report);
  });
}

function common(setup) {
  return {
    crl: setup.crls ?? undefined, allowPartialTrustChain: setup.allowPartialTrustChain,
    cert: setup.certificate, key: setup.key, ca: setup.roots, minVersion: setup.minVersion, maxVersion: setup.maxVersion,
    ciphers: setup.ciphers, ecdhCurve: setup.groups ?? 'auto', rejectUnauthorized: setup.rejectUnauthorized,
    ALPNProtocols: setup.alpn.length ? setup.alpn : undefined, sigalgs: setup.sigalgs ?? undefined,
    honorCipherOrder: setup.honorCipherOrder, ...(setup.skipServerIdentity && { checkServerIdentity: () => undefined }),
  };
}

/** Sends what it has to say, hears as much, looks at the connection, and ends. */
function talk(setup, socket, report) {
  const says = Buffer.from(setup.says, 'hex');
  let heard = 0;
  let view = null;
  let over = false;
  const finish = (error) => {
    if (over) return;
    over = true;
    report(error ? failed(error) : view ?? { error: 'closed' });
    socket.destroy();
  };
  socket.on('data', (piece) => {
    heard += piece.length;
    if (heard < says.length) return;
    if (setup.turn === 'WhenAllCame') socket.end();
    else view = look(socket);
  });
  // A client looks when all has come: a ticket may follow the data.
  socket.on('end', () => {
    if (heard >= says.length) view ??= look(socket);
  });
  socket.on('error', finish);
  socket.on('close', () => finish());
  socket.write(says);
}

function look(socket) {
  const view = { error: null };
  for (const [name, property] of Object.entries(PROPERTIES)) view[name] = property(socket) ?? null;
  return view;
}

function failed(error) {
  return { error: error.code ?? String(error) };
}

function something(object) {
  return object && Object.keys(object).length ? object : null;
}

function certificate(peer) {
  const fields = CERTIFICATE.filter((name) => peer?.[name] !== undefined);
  return Object.fromEntries(fields.map((name) => [name, Buffer.isBuffer(peer[name]) ? peer[name].toString('hex') : peer[name]]));
}

/** The fingerprints of a certificate and of those above it, as far as Node has them. */
function chain(peer) {
  const prints = [];
  for (let next = peer; next?.fingerprint256 && !prints.includes(next.fingerprint256); next = next.issuerCertificate) {
    prints.push(next.fingerprint256);
  }
  return prints;
}
