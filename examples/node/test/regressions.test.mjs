// What was wrong once, next to Node's own.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';

import { Connection, pairOptions } from '../lib/core/connection.mjs';
import { guest } from '../lib/guest.mjs';
import { MODULES, both, connect, heard, listening, nodes, pause } from './support/both.mjs';
import { authority, other, server as certificate } from './support/pki.mjs';

both('the callback of a write comes when the handshake is done', async ({ clients, servers }) => {
  const server = await listening(servers, {}, (far) => far.on('error', () => {}).resume());
  const near = connect(clients, server.port);
  await new Promise((resolve) => near.write('early', resolve));
  assert.equal(near.secureConnecting, false);
});

both('what is written and ended at once arrives, however the handshake is cut', async ({ clients, servers }) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    let said = '';
    const server = await listening(servers, { maxVersion }, (far) => {
      far.on('data', (data) => { said += data; });
      far.on('end', () => far.end());
    });
    const proxy = net.createServer({ allowHalfOpen: true }, (near) => {
      const far = net.connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
      near.pipe(far);
      far.on('data', (data) => {
        for (let at = 0; at < data.length; at += 100) setTimeout(() => near.write(data.subarray(at, at + 100)), at / 100);
      });
      far.on('end', () => setTimeout(() => near.end(), 100));
      for (const socket of [near, far]) socket.on('error', () => {});
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const near = connect(clients, proxy.address().port);
    near.write('hello');
    near.end(' world');
    near.resume();
    await heard(near, 'close');
    proxy.close();
    assert.equal(said, 'hello world');
  }
});

for (const { name, module } of MODULES) {
  test(`what came before a cut is read by a reader that comes late (${name})`, async () => {
    const server = net.createServer((raw) => {
      const far = new nodes.TLSSocket(raw, { isServer: true, secureContext: nodes.createSecureContext(certificate) });
      for (const socket of [raw, far]) socket.on('error', () => {});
      far.on('secure', () => far.write('hello', () => setTimeout(() => raw.end(), 20)));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const near = connect(module, server.address().port);
    const seen = [];
    near.on('error', ({ code }) => seen.push(code));
    await once(near, 'secureConnect');
    await pause(100);
    near.on('data', (data) => seen.push(`${data}`));
    near.on('end', () => seen.push('end'));
    await heard(near, 'close');
    server.close();
    assert.deepEqual(seen, ['hello', 'end']);
  });
}

both('setSecureContext holds where SNICallback has no answer, too', async ({ clients, servers }) => {
  const server = await listening(servers, { SNICallback: (_name, done) => done(null, null) }, (far) => far.on('error', () => {}).resume());
  server.setSecureContext({ key: other.key, cert: other.cert });
  const near = connect(clients, server.port, { rejectUnauthorized: false });
  await once(near, 'secureConnect');
  assert.equal(near.getPeerCertificate().subject.CN, 'other');
});

for (const { name, module } of MODULES) {
  test(`a context takes options that refer to each other (${name})`, () => {
    const options = { agent: {} };
    options.agent.options = options;
    module.createSecureContext(options);
    module.createSecureContext(options);
  });
}

both('STARTTLS over a socket that was read as text', async ({ clients, servers }) => {
  const server = await listening(servers, {}, (far) => {
    far.on('error', () => {});
    far.once('data', () => far.end('secret'));
  });
  const raw = net.connect(server.port, '127.0.0.1');
  raw.setEncoding('utf8');
  await once(raw, 'connect');
  const near = connect(clients, server.port, { socket: raw, ca: authority.cert });
  near.write('more');
  let said = '';
  near.on('data', (data) => { said += data; });
  near.on('error', () => {});
  await heard(near, 'close');
  assert.equal(said, 'secret');
});

test('a trap after an error ends the connection by that error, and nothing is thrown', () => {
  const instance = guest();
  const context = instance.call(({ secureContext }) => secureContext.SecureContext.create(new secureContext.SecureContextOptions()));
  const pair = instance.call(({ securePair }) => securePair.SecurePair.create(context, pairOptions(instance, { servername: 'a.test' })));
  const said = [];
  const connection = new Connection(instance, pair, { transmit: () => true, event: () => {}, fail: (error) => said.push(error.code) });
  connection.move();
  const { writeEncrypted } = pair;
  pair.writeEncrypted = (data) => {
    // From the error on.
    pair.readEncrypted = () => { throw new WebAssembly.RuntimeError('unreachable'); };
    try {
      return writeEncrypted.call(pair, data);
    } finally {
      failed = true;
    }
  };
  let failed = false;
  connection.receive(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
  connection.move();
  assert.deepEqual({ failed, said, trapped: instance.fault?.code }, { failed: true, said: ['ERR_SSL_WRONG_VERSION_NUMBER'], trapped: 'ERR_INTERNAL_ASSERTION' });
  assert.notEqual(guest(), instance);
});
