// What listeners and callbacks may do: throw, answer late, answer twice, and call back into the socket.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { test } from 'node:test';

import { both, cleanup, connect, connected, heard, hello, listening, nodes, ours, pause, until } from './support/both.mjs';
import { server as certificate } from './support/pki.mjs';

const SELF = new URL('./support/throws.mjs', import.meta.url).pathname;

// An exception in a listener is the application's: it ends the process unless somebody catches it, and then the connection goes on. What
// runs during a peer's handshake to answer a question is another matter: `beside/questions.mjs`.
for (const where of ['secureConnect', 'data', 'end', 'secureConnection', 'tlsClientError', 'write callback', 'error', 'session', 'keylog', 'drain']) {
  for (const name of ['guest-tls', 'node:tls']) {
    test(`an exception in ${where} is uncaught, and the rest goes on (${name})`, { timeout: 15_000 }, async () => {
      const child = spawn(process.execPath, [SELF, name, where], { stdio: ['ignore', 'pipe', 'inherit'] });
      cleanup(() => child.kill());
      let said = '';
      child.stdout.on('data', (data) => { said += data; });
      const [code] = await once(child, 'exit');
      assert.deepEqual([code, said], [0, `uncaught: thrown in ${where}\ngoes on\n`]);
    });
  }
}

both('destroy within data, write within secureConnect, end within a callback', async (role) => {
  const server = await listening(role.servers, {}, (far) => {
    far.on('error', () => {});
    far.write('one', () => far.writable && far.end('two'));
    far.resume();
  });
  for (let at = 0; at < 3; at += 1) {
    const near = connect(role.clients, server.port, {}, () => {
      near.write('within');
      near.write('', () => near.write('more', () => near.end()));
    });
    let came = 0;
    near.on('data', () => {
      came += 1;
      if (at === 1) near.destroy();
      if (at === 2) process.nextTick(() => near.destroy());
    });
    // Node's server may close without close_notify when both ends close at once; Node's client does not look (row K19).
    near.on('error', (error) => assert.deepEqual([error.code, role.servers], ['ERR_SSL_UNEXPECTED_EOF_WHILE_READING', nodes]));
    await heard(near, 'close');
    if (at === 1) assert.equal(came, 1);
  }
});

both('pause within data holds what comes after it', async (role) => {
  const { near, far } = await connected(role.clients, role.servers);
  let whole = '';
  far.on('data', (data) => {
    whole += data;
    far.pause();
    setTimeout(() => far.resume(), 1);
  });
  for (let at = 0; at < 20; at += 1) near.write(`${at} `);
  near.end();
  await once(far, 'end');
  assert.equal(whole, Array.from({ length: 20 }, (_, at) => `${at} `).join(''));
});

both('destroy within the listeners of the handshake', async (role) => {
  for (const event of ['connect', 'secure', 'secureConnect', 'keylog', 'session']) {
    const server = await listening(role.servers, {}, (far) => far.on('error', () => {}).resume());
    server.on('tlsClientError', () => {});
    const near = connect(role.clients, server.port);
    near.on('error', (error) => assert.fail(`${event}: ${error.message}`));
    near.on(event, () => near.destroy());
    await once(near, 'close');
  }
});

both('destroy within the callbacks of a server', async (role) => {
  for (const [event, listener] of [
    ['secureConnection', (socket) => socket.destroy()],
    ['newSession', (id, data, done) => { done(); done(); }],
    ['tlsClientError', (error, socket) => socket.destroy()],
  ]) {
    const server = await listening(role.servers, { maxVersion: 'TLSv1.2' });
    server.on(event, listener);
    const near = connect(role.clients, server.port, event === 'tlsClientError' ? { minVersion: 'TLSv1.3' } : {});
    near.on('error', () => {});
    if (event === 'newSession') await once(near, 'secureConnect');
    else await heard(near, 'close');
  }
});

both('SNICallback: late, with an error, twice, and with nothing', async (role) => {
  const named = role.servers.createSecureContext(certificate);
  for (const [callback, wanted] of [
    [(name, done) => setTimeout(done, 20, null, named), 'secure'],
    [(name, done) => setTimeout(done, 20, null, null), 'secure'],
    [(name, done) => done(new Error('not here')), 'Error: not here'],
    [(name, done) => setTimeout(done, 20, new Error('not here')), 'Error: not here'],
  ]) {
    const names = [];
    const server = await listening(role.servers, { SNICallback: (name, done) => { names.push(name); callback(name, done); } });
    const result = Promise.race([heard(server, 'tlsClientError'), heard(server, 'secureConnection')]);
    const near = connect(role.clients, server.port);
    near.on('error', () => {});
    const first = [await result].flat()[0];
    assert.equal(first instanceof Error ? String(first) : 'secure', wanted);
    assert.deepEqual(names, ['localhost']);
  }
});

both('ALPNCallback: a choice, none, and one that was not offered', async (role) => {
  for (const [choice, wanted] of [['b', 'b'], [undefined, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL']]) {
    let asked;
    const server = await listening(role.servers, { ALPNCallback: (offer) => { asked = offer; return choice; } });
    server.on('tlsClientError', () => {});
    const near = connect(role.clients, server.port, { ALPNProtocols: ['a', 'b'] });
    const result = await Promise.race([heard(near, 'error'), heard(near, 'secureConnect').then(() => near.alpnProtocol)]);
    assert.equal(result?.code ?? result, wanted);
    assert.deepEqual(asked, { servername: 'localhost', protocols: ['a', 'b'] });
  }
});

both('newSession and resumeSession with late answers resume a session of TLS 1.2', async (role) => {
  const kept = new Map();
  const server = await listening(role.servers, { maxVersion: 'TLSv1.2', secureOptions: NO_TICKET }, hello);
  server.on('newSession', (id, data, done) => {
    kept.set(id.toString('hex'), data);
    setTimeout(done, 10);
  });
  const asked = [];
  server.on('resumeSession', (id, done) => {
    asked.push(id.toString('hex'));
    setTimeout(done, 10, null, kept.get(id.toString('hex')) ?? null);
  });
  const first = connect(role.clients, server.port);
  await once(first, 'secureConnect');
  const session = first.getSession();
  first.resume();
  await once(first, 'close');
  assert.equal(kept.size, 1);
  const second = connect(role.clients, server.port, { session });
  await once(second, 'secureConnect');
  assert.deepEqual([second.isSessionReused(), asked.includes([...kept.keys()][0])], [true, true]);
});

both('a question that is answered twice, the second time late, ends a connection in which nothing moves', async (role) => {
  const server = await listening(role.servers, {
    allowHalfOpen: true,
    SNICallback: (_name, done) => { done(null, null); setTimeout(done, 200, null, null); },
  });
  let sockets = 0;
  let code;
  server.on('secureConnection', (far) => {
    sockets += 1;
    far.on('error', (error) => { code = error.code; });
    far.on('close', () => { sockets -= 1; });
  });
  server.on('tlsClientError', (error) => { code = error.code; });
  const near = connect(role.clients, server.port);
  near.on('error', () => {});
  await once(near, 'secureConnect');
  near.end();
  await until(() => code === 'ERR_MULTIPLE_CALLBACK' && sockets === 0, 'the connection is over', 5_000);
});

both('OCSPRequest: a late answer, none, and an error', async (role) => {
  const response = Buffer.from('a response that nobody reads');
  for (const [answer, wanted] of [[[null, response], String(response)], [[null, null], 'null'], [[new Error('none')], 'failed']]) {
    const server = await listening(role.servers);
    server.on('tlsClientError', () => {});
    server.on('OCSPRequest', (own, issuer, done) => {
      assert(Buffer.isBuffer(own));
      setTimeout(done, 10, ...answer);
    });
    const near = connect(role.clients, server.port, { requestOCSP: true });
    const result = await Promise.race([heard(near, 'OCSPResponse').then(String), heard(near, 'error').then(() => 'failed')]);
    assert.equal(result, wanted);
    near.on('error', () => {});
  }
});

both('keylog lines, in the socket and in the server', async (role) => {
  const server = await listening(role.servers);
  const theirs = [];
  server.on('keylog', (line, socket) => {
    assert(socket instanceof role.servers.TLSSocket);
    theirs.push(String(line));
  });
  const near = connect(role.clients, server.port);
  const mine = [];
  near.on('keylog', (line) => mine.push(String(line)));
  await Promise.all([once(near, 'secureConnect'), once(server, 'secureConnection')]);
  await pause(20);
  assert(mine.length >= 4 && mine.every((line) => /^[A-Z_0-9]+ [0-9a-f]{64} [0-9a-f]+\n$/.test(line)), mine.join());
  assert.deepEqual(theirs.toSorted(), mine.toSorted());
});

test('a checkServerIdentity that throws or fails never says that the server is the right one', { timeout: 15_000 }, async () => {
  const heardThere = [];
  const server = await listening(nodes, {}, (far) => far.on('error', () => {}).on('data', (data) => heardThere.push(data)));
  for (const check of [() => { throw new Error('not this one'); }, () => new Error('not this one')]) {
    const near = connect(ours, server.port, { checkServerIdentity: check });
    near.write('a secret');
    let secured = false;
    near.on('secureConnect', () => { secured = true; });
    const error = await heard(near, 'error');
    await pause(50);
    assert.deepEqual([error.message, near.authorized, secured, heardThere.length], ['not this one', false, false, 0]);
  }
});

/** SSL_OP_NO_TICKET. */
const NO_TICKET = 0x4000;
