// What goes wrong, and how both sides hear of it: `code`, `reason` and `library` next to Node's own.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';

import { MODULES, both, cleanup, connect, heard, listening, nodes, ours, pause, tcp, thrown } from './support/both.mjs';
import { authority, client, expired, other, selfSigned, server as certificate, stranger } from './support/pki.mjs';

const own = selfSigned();
const old = expired();

/** What programs look at. `client`, `server`: the options; `near`, `far`: what the two sides hear, undefined for nothing. */
const FAILURES = [
  { name: 'an authority that is not trusted', client: { ca: stranger.cert },
    near: { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }, far: { code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', reason: 'tlsv1 alert unknown ca', library: 'SSL routines' } },
  { name: 'a certificate that is signed by itself', server: own, near: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
    far: { code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', reason: 'tlsv1 alert unknown ca', library: 'SSL routines' } },
  { name: 'a chain that ends in an authority that is not trusted', client: { ca: stranger.cert },
    server: { key: certificate.key, cert: certificate.cert + authority.cert }, near: { code: 'SELF_SIGNED_CERT_IN_CHAIN' },
    far: { code: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', reason: 'tlsv1 alert unknown ca', library: 'SSL routines' } },
  { name: 'a certificate that is over', server: old, near: { code: 'CERT_HAS_EXPIRED' },
    far: { code: 'ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', reason: 'sslv3 alert certificate expired', library: 'SSL routines' } },
  { name: 'a certificate for another name', server: other, near: { code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    reason: "Host: localhost. is not in the cert's altnames: DNS:other.test", host: 'localhost' },
    far: { code: 'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', reason: 'sslv3 alert bad certificate', library: 'SSL routines' } },
  { name: 'no certificate of the client', server: { requestCert: true, ca: authority.cert, rejectUnauthorized: true, maxVersion: 'TLSv1.2' },
    near: { code: 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', reason: 'sslv3 alert handshake failure', library: 'SSL routines' },
    far: { code: 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', reason: 'peer did not return a certificate', library: 'SSL routines' } },
  { name: 'no certificate of the client in TLS 1.3', server: { requestCert: true, ca: authority.cert, rejectUnauthorized: true },
    near: { code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', reason: 'tlsv13 alert certificate required', library: 'SSL routines' },
    far: { code: 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', reason: 'peer did not return a certificate', library: 'SSL routines' } },
  { name: 'no protocol of ALPN in common', client: { ALPNProtocols: ['a'] }, server: { ALPNProtocols: ['b'] },
    near: { code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL', reason: 'tlsv1 alert no application protocol', library: 'SSL routines' },
    far: { code: 'ERR_SSL_NO_APPLICATION_PROTOCOL', reason: 'no application protocol', library: 'SSL routines' } },
  { name: 'no version in common', client: { minVersion: 'TLSv1.3' }, server: { maxVersion: 'TLSv1.2' },
    near: { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', reason: 'tlsv1 alert protocol version', library: 'SSL routines' },
    far: { code: 'ERR_SSL_UNSUPPORTED_PROTOCOL', reason: 'unsupported protocol', library: 'SSL routines' } },
  { name: 'no cipher suite in common', client: { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384', maxVersion: 'TLSv1.2' },
    server: { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' },
    near: { code: 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', reason: 'sslv3 alert handshake failure', library: 'SSL routines' },
    far: { code: 'ERR_SSL_NO_SHARED_CIPHER', reason: 'no shared cipher', library: 'SSL routines' } },
];

for (const { name, client: clientOptions = {}, server: serverOptions = {}, near, far } of FAILURES) {
  both(`${name} is heard by both sides`, async (role) => {
    const server = await listening(role.servers, { key: certificate.key, cert: certificate.cert, ...serverOptions });
    server.on('secureConnection', (socket) => socket.on('error', () => {}));
    const theirs = Promise.race([heard(server, 'tlsClientError'), heard(server, 'secureConnection')]);
    const socket = connect(role.clients, server.port, clientOptions);
    let secured = false;
    socket.once('secureConnect', () => { secured = true; });
    const error = await heard(socket, 'error');
    assert(error instanceof Error);
    // Both of Node's words for the same alert: OpenSSL 3.5 has changed them.
    // rustls as a server says certificate_required in TLS 1.2 as well.
    const alert = role.servers === ours && error.code === 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED';
    if (!alert) assert.deepEqual(looks(error, near), looks(near, near));
    // A peer that is not to be trusted is never talked to.
    if (role.clients === ours && !near.library) assert.equal(secured, false);
    const [heardThere, there] = [await theirs].flat();
    assert(heardThere instanceof Error || there === undefined);
    // Node closes before it says anything where a certificate is for another name, or is not trusted: its peer hears what it hears.
    if (role.clients === ours && heardThere instanceof Error) assert.deepEqual(looks(heardThere, far), looks(far, far));
  });
}

both('with rejectUnauthorized false the connection goes on, and says why not', async (role) => {
  const server = await listening(role.servers, {}, (far) => far.resume());
  for (const [options, reason] of [
    [{ ca: stranger.cert }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    [{ servername: 'wrong.test' }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    [{}, null],
  ]) {
    const near = connect(role.clients, server.port, { rejectUnauthorized: false, ...options });
    await once(near, 'secureConnect');
    const told = near.authorizationError?.code ?? near.authorizationError;
    assert.deepEqual([near.authorized, told], [reason === null, reason]);
    near.destroy();
  }
});

both('a client certificate is shown to the server', async (role) => {
  const server = await listening(role.servers, { requestCert: true, ca: authority.cert, rejectUnauthorized: false });
  for (const [options, authorized, error] of [
    [{ key: client.key, cert: client.cert }, true, null],
    [{}, false, 'UNABLE_TO_GET_ISSUER_CERT'],
  ]) {
    const accepted = once(server, 'secureConnection');
    const near = connect(role.clients, server.port, options);
    const [far] = await accepted;
    assert.equal(far.authorized, authorized);
    if (error === null) assert.equal(far.authorizationError, null);
    assert.equal(far.getPeerCertificate()?.subject?.CN, authorized ? 'client' : undefined);
    near.destroy();
  }
});

// What is not TLS, to a server: it hears of each, and goes on.
const STRANGERS = {
  'random bytes': { say: Buffer.alloc(100, 0x80), codes: ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'ERR_SSL_UNKNOWN_PROTOCOL'] },
  'plain HTTP': { say: 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', codes: ['ERR_SSL_HTTP_REQUEST', 'ERR_SSL_WRONG_VERSION_NUMBER'] },
  'a peer that ends': { say: '', end: true, codes: ['ECONNRESET'] },
  'a peer that ends within the ClientHello': { say: Buffer.from('160301020001', 'hex'), end: true, codes: ['ECONNRESET'] },
  'a peer that resets': { say: '', reset: true, codes: ['ECONNRESET'] },
};
for (const [name, { say, end, reset, codes }] of Object.entries(STRANGERS)) {
  both(`tlsClientError for ${name}, and the server goes on`, async (role) => {
    const server = await listening(role.servers, {}, (far) => far.end('well'));
    const failed = once(server, 'tlsClientError');
    const plain = net.connect(server.port, '127.0.0.1');
    cleanup(() => plain.destroy());
    plain.on('error', () => {});
    await once(plain, 'connect');
    plain.resume();
    if (say.length > 0) plain.write(say);
    if (end) plain.end();
    await pause(30);
    if (reset) plain.resetAndDestroy();
    const [error, socket] = await failed;
    assert(codes.includes(error.code), `${error.code}: ${error.message}`);
    assert(socket instanceof role.servers.TLSSocket);
    const near = connect(role.clients, server.port);
    near.resume();
    await once(near, 'end');
    await pause(20);
    assert.equal(socket.destroyed, true);
  }, { roles: [{ name: 'guest-tls', clients: ours, servers: ours }, { name: 'node:tls', clients: nodes, servers: nodes }] });
}

for (const { name, module } of MODULES) {
  test(`a stalled handshake is ended after handshakeTimeout (${name})`, { timeout: 10_000 }, async () => {
    const server = await listening(module, { handshakeTimeout: 100 });
    const failed = once(server, 'tlsClientError');
    const plain = net.connect(server.port, '127.0.0.1');
    cleanup(() => plain.destroy());
    plain.resume();
    const [error] = await failed;
    assert.equal(error.code, 'ERR_TLS_HANDSHAKE_TIMEOUT');
    // Node's own leaves it to the listener to destroy the socket.
    if (module === ours) await once(plain, 'close');
  });

  test(`a server that is not TLS (${name})`, { timeout: 10_000 }, async () => {
    const port = await tcp((socket) => socket.end('220 hello, this is no TLS\r\n'));
    const error = await heard(connect(module, port), 'error');
    assert(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG'].includes(error.code), error.code);
    assert.equal(error.library, 'SSL routines');
  });

  test(`a server that hangs up (${name})`, { timeout: 10_000 }, async () => {
    const port = await tcp((socket) => socket.once('data', () => socket.end()));
    const error = await heard(connect(module, port), 'error');
    assert.equal(error.code, 'ECONNRESET');
    assert.equal(error.message, 'Client network socket disconnected before secure TLS connection was established');
    assert.deepEqual([error.host, error.port], ['127.0.0.1', port]);
  });

  test(`nobody listens, and no such name (${name})`, { timeout: 10_000 }, async () => {
    const port = await tcp(() => {});
    const closed = await new Promise((resolve) => {
      const gone = net.createServer().listen(0, '127.0.0.1', () => {
        const { port } = gone.address();
        gone.close(() => resolve(port));
      });
    });
    assert.notEqual(closed, port);
    const refused = await heard(connect(module, closed), 'error');
    assert.deepEqual([refused.code, refused.syscall, refused.address, refused.port], ['ECONNREFUSED', 'connect', '127.0.0.1', closed]);
    const lookup = (name, options, callback) => callback(Object.assign(new Error('no'), { code: 'ENOTFOUND', hostname: name }));
    const unknown = await heard(connect(module, port, { host: 'nowhere.test', lookup }), 'error');
    assert.deepEqual([unknown.code, unknown.hostname], ['ENOTFOUND', 'nowhere.test']);
  });
}

/** Calls that are refused at once. Each row gives the same name and code in both modules. */
const REFUSED = {
  'createServer with a number': (tls) => tls.createServer(1),
  'createServer with an SNICallback that is none': (tls) => tls.createServer({ SNICallback: 1 }),
  'createServer with ALPNCallback and ALPNProtocols': (tls) => tls.createServer({ ALPNCallback() {}, ALPNProtocols: ['a'] }),
  'createServer with a handshakeTimeout that is none': (tls) => tls.createServer({ handshakeTimeout: '1' }),
  'createServer with a sessionTimeout that is none': (tls) => tls.createServer({ sessionTimeout: 'long' }),
  'createServer with ticketKeys that are short': (tls) => tls.createServer({ ticketKeys: Buffer.alloc(47) }),
  'createServer with ticketKeys that are none': (tls) => tls.createServer({ ticketKeys: 'abc' }),
  'a key that is a number': (tls) => tls.createSecureContext({ key: 1 }),
  'a cert that is true': (tls) => tls.createSecureContext({ cert: true }),
  'a ca that is a number': (tls) => tls.createSecureContext({ ca: [1] }),
  'ciphers that are a number': (tls) => tls.createSecureContext({ ciphers: 1 }),
  'ciphers that match nothing': (tls) => tls.createSecureContext({ ciphers: 'no-such-suite', maxVersion: 'TLSv1.2' }),
  'a passphrase that is a number': (tls) => tls.createSecureContext({ key: certificate.key, cert: certificate.cert, passphrase: 1 }),
  'a minVersion that is none': (tls) => tls.createSecureContext({ minVersion: 'TLSv9' }),
  'a maxVersion that is none': (tls) => tls.createSecureContext({ maxVersion: 'fax' }),
  'minVersion and secureProtocol': (tls) => tls.createSecureContext({ minVersion: 'TLSv1.2', secureProtocol: 'TLS_method' }),
  'a secureProtocol that is none': (tls) => tls.createSecureContext({ secureProtocol: 'fax_method' }),
  'SSLv3': (tls) => tls.createSecureContext({ secureProtocol: 'SSLv3_method' }),
  'sigalgs that are empty': (tls) => tls.createSecureContext({ sigalgs: '' }),
  'sigalgs that are a number': (tls) => tls.createSecureContext({ sigalgs: 1 }),
  'an ecdhCurve that is a number': (tls) => tls.createSecureContext({ ecdhCurve: 1 }),
  'a sessionIdContext that is a number': (tls) => tls.createSecureContext({ sessionIdContext: 1 }),
  'a key of another certificate': (tls) => tls.createSecureContext({ key: certificate.key, cert: other.cert }),
  'connect with a checkServerIdentity that is none': (tls) => tls.connect({ port: 1, checkServerIdentity: 1 }).destroy(),
  'connect with an ALPNCallback': (tls) => tls.connect({ port: 1, ALPNCallback() {} }).destroy(),
  'connect with a secureContext that is none': (tls) => tls.connect({ port: 1, secureContext: {} }).on('error', () => {}).destroy(),
  'connect with no port': (tls) => tls.connect({}).on('error', () => {}).destroy(),
  'connect with a port that is none': (tls) => tls.connect({ port: 70000 }).on('error', () => {}).destroy(),
  'connect with a lookup that is none': (tls) => tls.connect({ port: 1, host: 'localhost', lookup: 1 }).on('error', () => {}).destroy(),
  'addContext without a name': (tls) => tls.createServer().addContext('', {}),
  'setSecureContext with null': (tls) => tls.createServer().setSecureContext(null),
  'getCACertificates of another kind': (tls) => tls.getCACertificates?.('others'),
};
/** Node 20 does not have them, or refuses them by an assertion. */
const NEW = new Set(['connect with a checkServerIdentity that is none', 'getCACertificates of another kind']);

for (const [name, work] of Object.entries(REFUSED)) {
  test(`${name} is refused as Node does`, () => {
    const [mine, theirs] = [thrown(() => work(ours)), thrown(() => work(nodes))];
    if (Number.parseInt(process.versions.node, 10) < 24 && NEW.has(name)) assert.equal(mine.name, 'TypeError');
    else assert.deepEqual(mine, theirs);
  });
}

test('a socket that is no stream is refused', () => {
  assert.throws(() => new ours.TLSSocket(1), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('an option that is refused leaves the other connections alone', { timeout: 10_000 }, async () => {
  const server = await listening(ours, {}, (far) => far.pipe(far));
  const near = connect(ours, server.port);
  await once(near, 'secureConnect');
  for (const work of Object.values(REFUSED)) thrown(() => work(ours));
  near.write('still there');
  assert.equal(String(await heard(near, 'data')), 'still there');
});

test('options that only guest-tls refuses', () => {
  for (const [options, code] of [
    [{ certificateCompression: ['gzip'] }, 'ERR_INVALID_ARG_VALUE'], [{ secureProtocol: 5 }, 'ERR_INVALID_ARG_TYPE'], [{ sessionTimeout: 1.5 }, 'ERR_OUT_OF_RANGE'],
  ]) assert.throws(() => ours.createSecureContext(options), { code });
  ours.createSecureContext({ certificateCompression: ['zstd', 'zlib'] });
});

function looks(error, wanted) {
  return Object.fromEntries(Object.keys(wanted).map((key) => [key, words(error[key])]));
}

/** OpenSSL 3.5 says `ssl/tls alert` where those before say `sslv3 alert`. */
function words(value) {
  return String(value).replace(/^ERR_SSL_SSL\/TLS_ALERT/, 'ERR_SSL_SSLV3_ALERT').replace(/^ssl\/tls alert/, 'sslv3 alert');
}
