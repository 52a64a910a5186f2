// Rows of the contract that show in this API: the forms of calls, servers, contexts, certificates, sessions.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';

import { MODULES, ROLES, both, cleanup, connect, connected, heard, hello, listening, nodes, ours, pause, tcp, until } from './support/both.mjs';
import { authority, folder, issue, ornate, other, server as certificate } from './support/pki.mjs';

const rich = ornate();
const wild = issue('wild', { alternatives: 'DNS:*.b.test' });

/** Node's major version. */
const NODE = Number.parseInt(process.versions.node, 10);

/** Forms of `connect` (row M4, O23). */
const FORMS = {
  'port, host, options, callback': (tls, port, options, done) => tls.connect(port, '127.0.0.1', options, done),
  'port, options, callback': (tls, port, options, done) => tls.connect(port, { host: '127.0.0.1', ...options }, done),
  'options, callback': (tls, port, options, done) => tls.connect({ port, host: '127.0.0.1', ...options }, done),
  'the port as a string': (tls, port, options, done) => tls.connect({ port: String(port), host: '127.0.0.1', ...options }, done),
  'localhost by default': (tls, port, options, done) => tls.connect(port, options, done),
  'an address, and no name': (tls, port, { ca }, done) => tls.connect({ port, host: '127.0.0.1', ca }, done),
  'lookup': (tls, port, { ca }, done) => tls.connect({
    port, host: 'a.test', ca, lookup: (name, { all }, found) => found(null, all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4),
  }, done),
  'localAddress': (tls, port, options, done) => tls.connect({ port, host: '127.0.0.1', localAddress: '127.0.0.1', ...options }, done),
  'socket': (tls, port, options, done) => tls.connect({ socket: net.connect(port, '127.0.0.1'), ...options }, done),
};
for (const [name, form] of Object.entries(FORMS)) {
  both(`connect by ${name}`, async (role) => {
    const server = await listening(role.servers, {}, hello);
    const socket = await new Promise((resolve, reject) => {
      const made = form(role.clients, server.port, { servername: 'localhost', ca: authority.cert }, () => resolve(made));
      made.on('error', reject);
    });
    cleanup(() => socket.destroy());
    assert.equal(String(await heard(socket, 'data')), 'hello');
  });
}

both('connect by path', async (role) => {
  const server = role.servers.createServer({ key: certificate.key, cert: certificate.cert }, hello);
  const name = path.join(folder, `${Math.random()}.sock`);
  server.listen(name);
  await once(server, 'listening');
  cleanup(() => server.close());
  const near = role.clients.connect({ path: name, servername: 'localhost', ca: authority.cert });
  assert.equal(String(await heard(near, 'data')), 'hello');
  const also = role.clients.connect(name, { servername: 'localhost', ca: authority.cert });
  assert.equal(String(await heard(also, 'data')), 'hello');
});

both('a server closes, counts and limits its connections', async (role) => {
  const server = await listening(role.servers);
  assert.equal(server.address().family, 'IPv4');
  server.maxConnections = 1;
  const near = connect(role.clients, server.port);
  const [far] = await once(server, 'secureConnection');
  assert.equal(await new Promise((resolve) => { server.getConnections((_, count) => resolve(count)); }), 1);
  const refused = connect(role.clients, server.port);
  assert.equal((await heard(refused, 'error')).code, 'ECONNRESET');
  let closed = false;
  server.close(() => { closed = true; });
  assert.equal(server.listening, false);
  far.write('goes on');
  assert.equal(String(await heard(near, 'data')), 'goes on');
  assert.equal(closed, false);
  near.end();
  far.resume();
  await until(() => closed);
});

both('addContext, the newest first, with wildcards, and setSecureContext', async (role) => {
  const server = await listening(role.servers);
  server.addContext('*.b.test', wild);
  server.addContext('a.test', other);
  server.addContext('a.test', certificate);
  const shown = async (servername) => {
    const near = connect(role.clients, server.port, { servername, rejectUnauthorized: false });
    await once(near, 'secureConnect');
    const { CN } = near.getPeerCertificate().subject;
    near.destroy();
    return CN;
  };
  for (const [name, wanted] of [['x.b.test', 'wild'], ['X.B.test', 'wild'], ['b.test', 'server'], ['a.test', 'server'], ['none.test', 'server']]) {
    // Node 20's own looks at the case of letters.
    if (role.servers === nodes && NODE < 24 && name !== name.toLowerCase()) continue;
    assert.equal(await shown(name), wanted, name);
  }
  server.setSecureContext(other);
  assert.equal(await shown('none.test'), 'other');
  assert.equal(await shown('x.b.test'), 'wild');
});

for (const { name, module } of MODULES) {
  test(`ticket keys are 48 bytes, and can be carried to another server (${name})`, { timeout: 15_000 }, async () => {
    const one = await listening(module, {}, hello);
    const two = await listening(module, {}, hello);
    const keys = one.getTicketKeys();
    assert.deepEqual([Buffer.isBuffer(keys), keys.length], [true, 48]);
    two.setTicketKeys(keys);
    assert.deepEqual(two.getTicketKeys(), keys);
    let session;
    const first = connect(nodes, one.port);
    first.on('session', (data) => { session = data; });
    first.resume();
    await once(first, 'close');
    const second = connect(nodes, two.port, { session });
    await once(second, 'secureConnect');
    assert.equal(second.isSessionReused(), true);
  });
}

for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
  both(`a session is resumed in ${maxVersion}`, async (role) => {
    const server = await listening(role.servers, { maxVersion }, hello);
    const first = connect(role.clients, server.port);
    const session = new Promise((resolve) => { first.once('session', resolve); });
    first.resume();
    const given = await session;
    assert(Buffer.isBuffer(given));
    const second = connect(role.clients, server.port, { session: given });
    await once(second, 'secureConnect');
    assert.equal(second.isSessionReused(), true);
    assert.equal(second.authorized, true);
  });
}

const LOOKUP = (name, { all }, found) => found(null, all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4);

/** What a client asks for (row O14) and what the certificate has to be for: `options`, what to set then, and the two names. */
const NAMED = [
  ['no name', { socket: true, host: undefined, servername: undefined }, undefined, false, 'localhost'],
  ['an empty servername', { servername: '', host: 'localhost' }, undefined, false, 'localhost'],
  ['an empty servername and another host', { servername: '', host: 'other.test', lookup: LOOKUP }, undefined, false, 'other.test'],
  ['another name by setServername', { servername: 'localhost' }, 'other.test', 'other.test', 'localhost'],
  ['no name by setServername', { servername: 'localhost' }, '', false, 'localhost'],
  ['a name by setServername', { socket: true, host: undefined, servername: undefined }, 'other.test', 'other.test', 'localhost'],
];
for (const [name, { socket, ...options }, set, asked, checked] of NAMED) {
  both(`with ${name}, ${asked || 'nothing'} is asked for and ${checked} checked`, async ({ clients, servers }) => {
    for (const identity of [certificate, other]) {
      let far;
      const server = await listening(servers, { key: identity.key, cert: identity.cert }, (accepted) => {
        far = accepted.on('error', () => {}).resume();
      });
      server.on('tlsClientError', () => {});
      const transport = socket ? { socket: net.connect(server.port, '127.0.0.1') } : {};
      const near = connect(clients, server.port, { ...options, ...transport });
      if (set !== undefined) near.setServername(set);
      if ((identity === other) === (checked === 'other.test')) {
        await once(near, 'secureConnect');
        await until(() => far !== undefined, 'the server has a connection');
        assert.deepEqual([near.authorized, near.servername, far.servername], [true, asked, asked]);
      } else {
        const { code, host } = await heard(near, 'error');
        assert.deepEqual([code, host], ['ERR_TLS_CERT_ALTNAME_INVALID', checked]);
      }
    }
    // Node's own asks for an empty name then, and fails late.
  }, { roles: set === '' ? ROLES.filter(({ clients }) => clients === ours) : ROLES });
}

test('a name that is not asked for is checked as strictly as one that is, before anything is sent', { timeout: 15_000 }, async () => {
  const loose = {
    'common.c.test': issue('common.c.test', { alternatives: 'email:a@b.test' }),
    'part.c.test': issue('part', { alternatives: 'DNS:p*.c.test' }),
    'whole.c.test': issue('whole', { alternatives: 'DNS:*.c.test' }),
  };
  for (const [host, { key, cert }] of Object.entries(loose)) {
    for (const servername of [host, '']) {
      let said = '';
      const server = await listening(nodes, { key, cert }, (far) => far.on('error', () => {}).on('data', (data) => { said += data; }));
      const near = connect(ours, server.port, { host, servername, lookup: LOOKUP });
      near.write('a secret');
      const error = await Promise.race([heard(near, 'error'), once(near, 'secureConnect')]);
      await pause(50);
      const good = host === 'whole.c.test';
      assert.deepEqual([near.authorized, error.code, said], good ? [true, undefined, 'a secret'] : [false, 'ERR_TLS_CERT_ALTNAME_INVALID', ''], `${host}, ${servername}`);
    }
  }
});

both('a session of a connection that asked for no name is resumed, for its own name alone', async ({ clients, servers }) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    const server = await listening(servers, { maxVersion }, hello);
    const open = (options) => connect(clients, server.port, { servername: '', host: 'localhost', ...options });
    const first = open({});
    const session = heard(first, 'session');
    first.resume();
    const given = await session;
    const second = open({ session: given });
    await once(second, 'secureConnect');
    assert.deepEqual([second.isSessionReused(), second.authorized], [true, true]);
    if (clients !== ours) continue;
    // Node's own does not look at the name again.
    const wrong = open({ session: maxVersion === 'TLSv1.2' ? given : second.getSession(), host: 'other.test', lookup: LOOKUP });
    assert.equal((await heard(wrong, 'error')).code, 'ERR_TLS_CERT_ALTNAME_INVALID');
  }
});

test('setServername is refused when the name was sent', { timeout: 15_000 }, async () => {
  const { near, far } = await connected(ours, nodes);
  assert.throws(() => near.setServername('other.test'), { code: 'ERR_TLS_INVALID_STATE' });
  assert.deepEqual([near.servername, near.authorized], ['localhost', true]);
  far.write('goes on');
  assert.equal(String(await heard(near, 'data')), 'goes on');
});

both('the option server of a TLSSocket is asked about sessions and OCSP, and hears nothing else', async ({ clients, servers }) => {
  const server = servers.createServer({ key: certificate.key, cert: certificate.cert });
  const kept = new Map();
  const answers = [];
  server.on('newSession', (id, data, done) => {
    kept.set(id.toString('hex'), data);
    done();
  });
  server.on('resumeSession', (id, done) => {
    const data = kept.get(id.toString('hex'));
    if (data) answers.push('resumeSession');
    done(null, data ?? null);
  });
  server.on('OCSPRequest', (_certificate, _issuer, done) => done(null, Buffer.from('a response')));
  for (const event of ['connection', 'secureConnection', 'tlsClientError', 'keylog']) server.on(event, () => answers.push(event));

  const secureContext = servers.createSecureContext({ key: certificate.key, cert: certificate.cert, maxVersion: 'TLSv1.2', secureOptions: NO_TICKET });
  const port = await tcp((socket) => {
    const far = new servers.TLSSocket(socket, { isServer: true, server, secureContext });
    far.on('error', () => {});
    assert.equal(far.server, server);
    far.pipe(far);
  });
  const first = connect(clients, port, { requestOCSP: true });
  first.on('OCSPResponse', (response) => answers.push(`${response}`));
  await once(first, 'secureConnect');
  const session = first.getSession();
  first.end();
  first.resume();
  await once(first, 'close');
  const second = connect(clients, port, { session });
  await once(second, 'secureConnect');
  const plain = net.connect(port, '127.0.0.1');
  plain.on('error', () => {}).resume().end('this is no TLS\n');
  await heard(plain, 'close');
  assert.deepEqual([second.isSessionReused(), kept.size, answers], [true, 1, ['a response', 'resumeSession']]);
});

for (const { name, module } of MODULES) {
  test(`an option server that is none is refused (${name})`, () => {
    const { key, cert } = certificate;
    assert.throws(() => new module.TLSSocket(new net.Socket(), { isServer: true, server: {}, key, cert }), TypeError);
  });
}

// The same certificate, next to what Node says of it. A field that has nothing: absent or undefined?
for (const [name, identity] of Object.entries({ 'an EC key': certificate, 'RSA and many names': rich })) {
  for (const detailed of [false, true]) {
    test(`getPeerCertificate(${detailed}) of ${name} is deeply equal to Node's`, { timeout: 15_000 }, async () => {
      const server = await listening(nodes, { key: identity.key, cert: identity.cert });
      const [mine, theirs] = [ours, nodes].map((module) => connect(module, server.port));
      await Promise.all([once(mine, 'secureConnect'), once(theirs, 'secureConnect')]);
      assert.deepStrictEqual(mine.getPeerCertificate(detailed), theirs.getPeerCertificate(detailed));
      assert.deepStrictEqual(mine.getPeerX509Certificate().fingerprint256, theirs.getPeerX509Certificate().fingerprint256);
    });
  }
}

test('getCertificate is deeply equal to Node\'s', { timeout: 15_000 }, async () => {
  const found = await Promise.all([ours, nodes].map(async (module) => (await connected(nodes, module)).far.getCertificate()));
  for (const one of found) delete one.issuerCertificate;
  assert.deepStrictEqual(found[0], found[1]);
});

both('what both ends know of a connection is the same', async (role) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    const { near, far } = await connected(role.clients, role.servers, {
      client: { ALPNProtocols: ['h2', 'http/1.1'], maxVersion }, server: { ALPNProtocols: ['http/1.1', 'h2'] },
    });
    assert.equal(near.getProtocol(), maxVersion);
    assert.deepEqual(near.getCipher(), far.getCipher());
    assert.deepEqual([near.alpnProtocol, far.alpnProtocol], ['http/1.1', 'http/1.1']);
    assert.deepEqual([near.servername, far.servername], ['localhost', 'localhost']);
    assert.deepEqual([near.encrypted, near.authorized, near.authorizationError], [true, true, null]);
    for (const context of [undefined, Buffer.from('context')]) {
      assert.deepEqual(near.exportKeyingMaterial(40, 'EXPORTER-test', context), far.exportKeyingMaterial(40, 'EXPORTER-test', context));
    }
    assert.deepEqual(near.getFinished(), far.getPeerFinished());
    assert.deepEqual(near.getPeerFinished(), far.getFinished());
    assert.equal(typeof near.getEphemeralKeyInfo().type, 'string');
    assert.equal(far.getEphemeralKeyInfo(), null);
    assert.deepEqual([near.setMaxSendFragment(512), near.setMaxSendFragment(511), near.setMaxSendFragment(16385)], [true, false, false]);
  }
});

both('before and after the connection', async (role) => {
  const port = await tcp(() => {});
  const near = connect(role.clients, port);
  near.on('error', () => {});
  await once(near, 'connect');
  assert.throws(() => near.exportKeyingMaterial(10, 'EXPORTER-test'), { code: 'ERR_TLS_INVALID_STATE' });
  assert.deepEqual([near.isSessionReused(), near.getFinished(), near.getPeerFinished(), near.authorized], [false, undefined, undefined, false]);
  near.destroy();
  assert.equal(near.getProtocol(), null);
  assert.equal(near.getPeerCertificate(), null);
}, { roles: ROLES.slice(1, 4).filter(({ clients }, at) => at !== 1) });

both('a server knows the signature schemes in common, and a client its ticket', async (role) => {
  const { near, far } = await connected(role.clients, role.servers, { client: { maxVersion: 'TLSv1.2' } });
  assert(far.getSharedSigalgs().includes('ECDSA+SHA256'), `${far.getSharedSigalgs()}`);
  assert(Buffer.isBuffer(near.getTLSTicket()));
});

test('updateKeys changes the keys of both directions under Node\'s feet', { timeout: 15_000 }, async () => {
  const { near, far } = await connected(ours, nodes);
  far.pipe(far);
  for (const word of ['before', 'after', 'again']) {
    near.write(word);
    assert.equal(String(await heard(near, 'data')), word);
    near.updateKeys();
  }
});

test('enableTrace prints the messages of a handshake', { timeout: 15_000 }, async () => {
  const printed = [];
  const { write } = process.stderr;
  process.stderr.write = (line) => printed.push(String(line));
  try {
    const server = await listening(nodes);
    const near = connect(ours, server.port);
    near.enableTrace();
    await once(near, 'secureConnect');
  } finally {
    process.stderr.write = write;
  }
  assert(printed.some((line) => /ClientHello|client_hello/i.test(line)), printed.join(''));
});

test('renegotiate is refused, and the connection goes on', { timeout: 15_000 }, async () => {
  const { near, far } = await connected(ours, nodes, { client: { maxVersion: 'TLSv1.2' } });
  far.pipe(far);
  const error = await new Promise((resolve) => { near.renegotiate({}, resolve); });
  assert.equal(error.code, 'ERR_TLS_RENEGOTIATION_DISABLED');
  near.write('on');
  assert.equal(String(await heard(near, 'data')), 'on');
});

test('NPNProtocols is taken as ALPNProtocols, and npnProtocol tells', { timeout: 15_000 }, async () => {
  const { near, far } = await connected(ours, ours, { client: { NPNProtocols: ['a', 'b'] }, server: { NPNProtocols: ['b'] } });
  assert.deepEqual([near.npnProtocol, far.npnProtocol, near.alpnProtocol], ['b', 'b', 'b']);
});

test('clientError is heard where nobody listens to tlsClientError', { timeout: 15_000 }, async () => {
  const server = await listening(ours);
  const plain = net.connect(server.port, '127.0.0.1');
  cleanup(() => plain.destroy());
  plain.on('error', () => {});
  plain.end('this is no TLS');
  const [error, socket] = await once(server, 'clientError');
  assert.equal(error.library, 'SSL routines');
  assert(socket instanceof ours.TLSSocket);
});

/** Names that a certificate is, or is not, for (row M7). */
const NAMES = [
  ['a.test', { subjectaltname: 'DNS:a.test' }], ['A.TEST', { subjectaltname: 'DNS:a.test' }], ['a.test.', { subjectaltname: 'DNS:a.test' }],
  ['b.test', { subjectaltname: 'DNS:a.test' }], ['x.a.test', { subjectaltname: 'DNS:*.a.test' }], ['x.y.a.test', { subjectaltname: 'DNS:*.a.test' }],
  ['a.test', { subjectaltname: 'DNS:*.test' }], ['xy.a.test', { subjectaltname: 'DNS:x*.a.test' }], ['a.test', { subjectaltname: 'DNS:*' }],
  ['x.a.test', { subjectaltname: 'DNS:x.*.test' }], ['x.a.test', { subjectaltname: 'DNS:**.a.test' }], ['.a.test', { subjectaltname: 'DNS:*.a.test' }],
  ['1.2.3.4', { subjectaltname: 'IP Address:1.2.3.4' }], ['1.2.3.4', { subjectaltname: 'DNS:1.2.3.4' }], ['::1', { subjectaltname: 'IP Address:0:0:0:0:0:0:0:1' }],
  ['1.2.3.4', { subject: { CN: '1.2.3.4' } }], ['a.test', { subject: { CN: 'a.test' } }], ['a.test', { subject: { CN: ['b.test', 'a.test'] } }],
  ['a.test', { subject: { CN: 'a.test' }, subjectaltname: 'DNS:b.test' }], ['a.test', { subject: { CN: 'a.test' }, subjectaltname: 'IP Address:1.1.1.1' }],
  ['a.test', { subject: { CN: 'b.test' } }], ['a.test', { subject: {} }], ['a.test', {}],
  ['a.test', { subjectaltname: 'DNS:"a.test, DNS:b.test"' }], ['b.test', { subjectaltname: 'DNS:"a.test, DNS:b.test"' }],
  ['xn--bcher-kva.test', { subjectaltname: 'DNS:xn--b*.test' }], ['a.test', { subjectaltname: 'URI:https://a.test' }], ['', { subjectaltname: 'DNS:a.test' }],
];
for (const [name, shown] of NAMES) {
  test(`checkServerIdentity(${JSON.stringify(name)}, ${JSON.stringify(shown)}) says what Node says`, () => {
    const said = [ours, nodes].map(({ checkServerIdentity }) => {
      const error = checkServerIdentity(name, { subject: {}, ...shown });
      return error && { code: error.code, reason: error.reason, host: error.host, message: error.message };
    });
    assert.deepEqual(said[0], said[1]);
  });
}

test('the module has all that Node\'s has, and what it has is of the same kind', () => {
  for (const name of Object.keys(nodes)) assert.equal(typeof ours[name], typeof nodes[name], name);
  assert.deepEqual(ours.getCiphers(), ours.getCiphers().toSorted());
  const theirs = nodes.getCiphers();
  assert.deepEqual(ours.getCiphers().filter((name) => !theirs.includes(name)), []);
  assert(ours.rootCertificates.length > 100 && Object.isFrozen(ours.rootCertificates));
  assert.equal(ours.DEFAULT_ECDH_CURVE, 'auto');
});

test('setDefaultCACertificates says what is trusted without ca', { timeout: 15_000 }, async () => {
  const server = await listening(nodes, {}, (far) => far.on('error', () => {}).end('hello'));
  const refused = connect(ours, server.port, { ca: undefined });
  assert.equal((await heard(refused, 'error')).code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  const before = ours.getCACertificates();
  ours.setDefaultCACertificates([authority.cert]);
  cleanup(() => ours.setDefaultCACertificates(before));
  await once(connect(ours, server.port, { ca: undefined }), 'secureConnect');
  assert.deepEqual(ours.getCACertificates(), [authority.cert]);
});

/** SSL_OP_NO_TICKET. */
const NO_TICKET = 0x4000;
