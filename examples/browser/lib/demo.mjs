// A TLS server to try the page with: Node's own, which is OpenSSL, with certificates that are made when it starts and are gone when it
// ends. By the name that the client asks for it shows a good certificate, or one that has something wrong with it.

// x509's dependency tsyringe wants this, before it is loaded.
import 'reflect-metadata';
import { createHash, randomBytes, webcrypto } from 'node:crypto';
import https from 'node:https';
import tls from 'node:tls';

import * as x509 from '@peculiar/x509';

/**
 * Starts it on a free port of 127.0.0.1. Gives its `port`, `close()`, and what the page needs to know: `ca`, the certificate to trust, and
 * `cert` and `key`, which prove to the server who one is, all in PEM.
 *
 * It answers `GET /` with a greeting, `GET /download/N` with N MiB, `POST /upload` with the size and the SHA-256 of what came, and
 * `POST /echo` with the same bytes. For the name `members.test` it wants a client certificate.
 */
export async function demo() {
  const { contexts, ca, client } = await credentials();
  const server = https.createServer({
    SNICallback: (name, done) => done(null, contexts[name] ?? contexts['demo.test']),
    ...contexts['demo.test'].options, ca, requestCert: true, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'],
    // The client knows which suite suits it: AES is slow in WebAssembly.
    honorCipherOrder: false,
  }, answer);
  // A client that does not like us is no fault of ours.
  server.on('tlsClientError', () => {});
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port, ca, cert: client.chain, key: client.key,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function answer(request, response) {
  const [, what, count] = /^\/(download)\/(\d{1,4})$/.exec(request.url) ?? [null, request.url.slice(1)];
  const { socket } = request;
  const text = (status, body) => response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(body);
  if (socket.servername === 'members.test' && !socket.authorized) {
    text(403, `This is for members: show a client certificate (${socket.authorizationError}).\n`);
  } else if (request.method === 'GET' && what === '') {
    const name = socket.getPeerCertificate()?.subject?.CN;
    text(200, `Hello, ${name ?? 'stranger'}.\nThis is Node ${process.version} with OpenSSL ${process.versions.openssl}.\n`
      + `You speak ${socket.getProtocol()} with ${socket.getCipher().standardName}.\n`);
  } else if (request.method === 'GET' && what === 'download') {
    download(Number(count), response);
  } else if (request.method === 'POST' && what === 'upload') {
    const hash = createHash('sha256');
    let bytes = 0;
    request.on('data', (piece) => {
      hash.update(piece);
      bytes += piece.length;
    });
    request.on('end', () => text(200, `${bytes} bytes came, with the SHA-256 ${hash.digest('hex')}.\n`));
  } else if (request.method === 'POST' && what === 'echo') {
    response.writeHead(200, { 'Content-Type': 'application/octet-stream' });
    request.pipe(response);
  } else {
    text(404, 'There is /, /download/N (MiB), and by POST /upload and /echo.\n');
  }
}

function download(mebibytes, response) {
  const piece = randomBytes(64 * 1024);
  let left = mebibytes * 16;
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': left * piece.length });
  const more = () => {
    while (left > 0) {
      left -= 1;
      if (!response.write(piece)) return;
    }
    response.end();
  };
  response.on('drain', more);
  more();
}

/** The server's contexts by name, the CA, and the client's certificate. */
async function credentials() {
  const root = await issue({ name: 'CN=Demo Root, O=guest-tls', ca: true });
  const issuing = await issue({ name: 'CN=Demo Issuing CA, O=guest-tls', ca: true, by: root, pathLength: 0 });
  const server = (names, more) => issue({ name: `CN=${names[0]}`, names, by: issuing, ...more });
  const good = await server(['demo.test', 'localhost']);
  const expired = await server(['expired.test'], { from: -30 * DAY, to: -2 * DAY });
  const other = await server(['somebody-else.test', '*.somebody-else.test']);
  const incomplete = await server(['incomplete.test']);
  const members = await server(['members.test']);
  const selfSigned = await issue({ name: 'CN=self-signed.test', names: ['self-signed.test'] });
  const client = await issue({ name: 'CN=Ada, O=guest-tls', by: issuing, usage: x509.ExtendedKeyUsage.clientAuth });
  const context = ({ key, pem }, ...above) => {
    const options = { key, cert: [pem, ...above.map(({ pem }) => pem)].join('\n') };
    // `SNICallback` wants what `createSecureContext` makes; the server itself wants the options.
    return Object.assign(tls.createSecureContext({ ...options, ca: root.pem }), { options });
  };
  return {
    contexts: {
      'demo.test': context(good, issuing), 'members.test': context(members, issuing), 'expired.test': context(expired, issuing),
      'other.test': context(other, issuing), 'incomplete.test': context(incomplete), 'self-signed.test': context(selfSigned),
    },
    ca: root.pem,
    client: { key: client.key, chain: `${client.pem}\n${issuing.pem}\n` },
  };
}

/** A key, and a certificate for it that `by` signs, or it signs itself. */
async function issue({ name, names = [], ca = false, pathLength, by, from = -DAY, to = 30 * DAY, usage = SERVER }) {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const flags = ca ? x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign : x509.KeyUsageFlags.digitalSignature;
  const alternatives = names.map((value) => ({ type: 'dns', value }));
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(16).map((byte, at) => (at === 0 ? byte & 0x7f | 1 : byte)).toString('hex'),
    subject: name, issuer: by?.name ?? name, publicKey: keys.publicKey, signingKey: (by?.keys ?? keys).privateKey,
    signingAlgorithm: ALGORITHM, notBefore: new Date(Date.now() + from), notAfter: new Date(Date.now() + to),
    extensions: [
      new x509.BasicConstraintsExtension(ca, pathLength, true),
      new x509.KeyUsagesExtension(flags, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      await x509.AuthorityKeyIdentifierExtension.create((by?.keys ?? keys).publicKey, false, webcrypto),
      ...(ca ? [] : [new x509.ExtendedKeyUsageExtension([usage])]),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(alternatives)] : []),
    ],
  }, webcrypto);
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { name, keys, pem: `${certificate.toString('pem')}\n`, key: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n` };
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

const SERVER = x509.ExtendedKeyUsage.serverAuth;

const DAY = 24 * 3600 * 1000;
