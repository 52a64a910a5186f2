// How a connection behaves as a stream (row K19, "host's part"), next to Node's own.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';

import {
  ROLES, both, cleanup, connect, connected, heard, listening, nodes, ours, pause, record, tcp, until,
} from './support/both.mjs';
import { authority, file, server as certificate } from './support/pki.mjs';

both('end on one side ends the other, with the events of a net.Socket', async (role) => {
  const { near, far } = await pair(role);
  const seen = record(near, ['end', 'finish', 'close', 'error']);
  const theirs = record(far, ['end', 'finish', 'close', 'error']);
  near.resume();
  far.resume();
  near.end('last words');
  await Promise.all([once(near, 'close'), once(far, 'close')]);
  assert.deepEqual(seen.map(String).toSorted(), ['close,false', 'end', 'finish']);
  assert.deepEqual(theirs.map(String).toSorted(), ['close,false', 'end', 'finish']);
  assert.equal(near.destroyed && far.destroyed, true);
});

both('a side that is half open goes on after the peer has ended', async (role) => {
  const { near, far } = await pair(role, { client: { allowHalfOpen: true }, server: { allowHalfOpen: true } });
  far.resume();
  near.end();
  await once(far, 'end');
  assert.equal(far.writable, true);
  const reading = text(near);
  far.write('still ');
  await pause(20);
  far.end('here');
  assert.equal(await reading, 'still here');
  await until(() => near.destroyed && far.destroyed);
});

both('without allowHalfOpen the end comes back by itself', async (role) => {
  const { near, far } = await pair(role);
  near.resume();
  far.resume();
  const closed = Promise.all([once(near, 'close'), once(far, 'close')]);
  far.end();
  await closed;
  assert.equal(near.writableEnded, true);
});

both('what was written before the handshake is done arrives, and so does the end', async (role) => {
  const server = await listening(role.servers);
  const accepted = once(server, 'secureConnection');
  const near = connect(role.clients, server.port);
  let called = 0;
  near.write('one ', () => { called += 1; });
  near.write('two ', 'utf8', () => { called += 1; });
  near.end(Buffer.from('three'), () => { called += 1; });
  const [far] = await accepted;
  assert.equal(await text(far), 'one two three');
  await until(() => called === 3);
});

both('strings in all encodings, typed arrays, setEncoding, cork', async (role) => {
  const { near, far } = await pair(role);
  far.setEncoding('utf8');
  near.cork();
  near.write('68616c6c6f20', 'hex');
  near.write('d8Ok', 'base64');
  near.write(new Uint8Array([0x6c, 0x74]));
  near.write(' \u00e9', 'latin1');
  near.write('', () => {});
  near.uncork();
  near.end();
  let whole = '';
  for await (const piece of far) {
    assert.equal(typeof piece, 'string');
    whole += piece;
  }
  assert.equal(whole, 'hallo w\u00e4lt \ufffd');
});

both('a slow reader holds the writer', async (role) => {
  const { near, far } = await pair(role);
  far.pause();
  const piece = Buffer.alloc(65536, 1);
  let given = 0;
  // Until the streams, the component's buffers and the kernel's are full.
  for (let idle = 0; idle < 20;) {
    if (near.writableNeedDrain) {
      idle += 1;
      await Promise.race([once(near, 'drain'), pause(25)]);
    } else {
      idle = 0;
      given += piece.length;
      near.write(piece);
    }
    assert(given < 64 << 20, 'nothing held the writer');
  }
  assert(near.writableLength > 0);
  let came = 0;
  far.on('data', (data) => { came += data.length; });
  far.resume();
  near.end();
  await once(far, 'end');
  assert.equal(came, given);
});

both('highWaterMark is a client\'s and a TLSSocket\'s own, and not the streams\' of a server', async ({ clients, servers }) => {
  const marks = (stream) => [stream.readableHighWaterMark, stream.writableHighWaterMark];
  for (const highWaterMark of [0, 1, 1000, 1 << 20]) {
    const { near, far } = await connected(clients, servers, { client: { highWaterMark }, server: { highWaterMark } });
    assert.deepEqual(marks(near), [highWaterMark, highWaterMark]);
    assert.deepEqual(marks(far), marks(new net.Socket()));
    near.write('some');
    far.end(Buffer.alloc(100_000));
    const reading = text(near);
    assert.equal(await text(far), 'some');
    assert.equal((await reading).length, 100_000);
    assert.deepEqual(marks(new clients.TLSSocket(new net.Socket(), { highWaterMark }).on('error', () => {})), [highWaterMark, highWaterMark]);
  }
  for (const highWaterMark of [-1, NaN, '5']) {
    assert.throws(() => new clients.TLSSocket(new net.Socket(), { highWaterMark }), { code: 'ERR_INVALID_ARG_VALUE' });
  }
});

both('both directions at once, 8 MiB each, by pipeline', async (role) => {
  const { near, far } = await pair(role, { client: { allowHalfOpen: true }, server: { allowHalfOpen: true } });
  const sent = randomBytes(8 << 20);
  far.pipe(far);
  const [received] = await Promise.all([digest(near), pipeline(async function* pieces() {
    for (let at = 0; at < sent.length; at += 100_003) yield sent.subarray(at, at + 100_003);
  }, near, { end: true })]);
  assert.equal(received, createHash('sha256').update(sent).digest('hex'));
});

both('bytesRead and bytesWritten count, and stay after the end', async (role) => {
  const { near, far } = await pair(role);
  near.resume();
  far.resume();
  near.end(Buffer.alloc(100_000));
  await Promise.all([once(near, 'close'), once(far, 'close')]);
  assert(near.bytesWritten >= 100_000, `${near.bytesWritten}`);
  assert(far.bytesRead >= 100_000, `${far.bytesRead}`);
});

both('destroy tells the peer nothing more than that the connection is gone', async (role) => {
  const { near, far } = await pair(role);
  far.resume();
  const seen = record(near, ['error', 'close', 'end']);
  const over = Promise.all([once(near, 'close'), heard(far, 'close')]);
  far.on('error', (error) => assert.equal(error.code, 'ECONNRESET'));
  near.destroy();
  await over;
  assert.deepEqual(seen, [['close', false]]);
});

both('destroy with an error emits it, then close', async (role) => {
  const { near, far } = await pair(role);
  far.on('error', () => {});
  far.resume();
  const seen = record(near, ['error', 'close', 'end']);
  near.destroy(Object.assign(new Error('enough'), { code: 'ENOUGH' }));
  await heard(near, 'close');
  assert.deepEqual(seen, [['error', 'ENOUGH'], ['close', true]]);
});

// destroy in every state: there is one close, no error that nobody gave, and every callback of a write is called.
const STATES = {
  'before the name is looked up': async () => {},
  'when it is connecting': async () => { await new Promise(setImmediate); },
  'when TCP is connected': (near) => once(near, 'connect'),
  'when the handshake is done': (near) => once(near, 'secureConnect'),
  'when it has ended': async (near) => {
    await once(near, 'secureConnect');
    near.end();
  },
  'when all has ended': async (near) => {
    await once(near, 'secureConnect');
    near.end();
    near.resume();
    await once(near, 'close');
  },
};
for (const [state, reach] of Object.entries(STATES)) {
  both(`destroy ${state}`, async (role) => {
    const server = await listening(role.servers, {}, (far) => far.resume());
    server.on('tlsClientError', () => {});
    const near = connect(role.clients, server.port);
    const seen = record(near, ['error', 'close']);
    await reach(near);
    near.destroy();
    near.destroy();
    await until(() => seen.length > 0);
    await pause(20);
    assert.deepEqual(seen, [['close', false]]);
    assert.equal(near.destroyed, true);
    assert.equal(near.write('late', () => {}), false);
  });
}

for (const [state, reach] of Object.entries(STATES).slice(0, 4)) {
  both(`a write is answered when the socket is destroyed ${state}`, async (role) => {
    const server = await listening(role.servers, {}, (far) => far.pause());
    server.on('tlsClientError', () => {});
    const near = connect(role.clients, server.port);
    near.on('error', () => {});
    await reach(near);
    const answers = [];
    // More than all the buffers hold, so that it is still under way.
    near.write(Buffer.alloc(32 << 20), (error) => answers.push(error?.code));
    near.write('more', (error) => answers.push(error?.code));
    near.destroy();
    await until(() => answers.length === 2);
    // Node 20's own says of the first one that all went well.
    if (role.clients === ours) assert(answers.every((code) => typeof code === 'string'), `${answers}`);
  });
}

both('write after end is an error, and not thrown', async (role) => {
  const { near } = await pair(role);
  near.end();
  const error = await new Promise((resolve) => {
    near.once('error', resolve);
    near.write('late');
  });
  assert.equal(error.code, 'ERR_STREAM_WRITE_AFTER_END');
});

both('setTimeout tells of idleness, and leaves the connection', async (role) => {
  const { near, far } = await pair(role);
  far.pipe(far);
  near.resume();
  let times = 0;
  assert.equal(near.setTimeout(200, () => { times += 1; }), near);
  assert.equal(near.timeout, 200);
  for (let at = 0; at < 6; at += 1) {
    await pause(60);
    near.write('busy');
  }
  assert.equal(times, 0);
  await once(near, 'timeout');
  assert.equal(times, 1);
  assert.equal(near.destroyed, false);
  near.setTimeout(0);
  near.end('bye');
  await once(near, 'close');
});

both('a timeout that is no number is refused', async (role) => {
  const { near } = await pair(role);
  const codes = ['1', undefined, null, -1, Infinity, NaN].map((value) => {
    try {
      near.setTimeout(value);
      return 'taken';
    } catch (error) {
      return error.code;
    }
  });
  assert.deepEqual(codes, ['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE', 'ERR_OUT_OF_RANGE', 'ERR_OUT_OF_RANGE']);
  assert.throws(() => near.setTimeout(10, 'no function'), { code: 'ERR_INVALID_ARG_TYPE' });
});

both('the option timeout works from the beginning', async ({ clients }) => {
  const port = await tcp(() => {});
  const near = connect(clients, port, { timeout: 50 });
  await once(near, 'timeout');
  assert.equal(near.destroyed, false);
});

for (const requireCloseNotify of [false, true]) {
  both(`a transport that ends without close_notify is ${requireCloseNotify ? 'an error where that is wanted' : 'an end'}`, async (role) => {
    // The transport is cut between the two, by a proxy.
    const server = await listening(role.servers, {}, (far) => {
      far.on('error', () => {});
      far.write('half of it');
    });
    let cut;
    const port = await tcp((socket) => {
      const upstream = net.connect(server.port, '127.0.0.1');
      upstream.on('error', () => {});
      cleanup(() => upstream.destroy());
      socket.pipe(upstream);
      upstream.pipe(socket, { end: false });
      cut = () => socket.end();
    });
    const near = connect(role.clients, port, { requireCloseNotify });
    const seen = record(near, ['data', 'end', 'error', 'close']);
    await once(near, 'data');
    cut();
    await heard(near, 'close');
    const strict = [['error', 'ERR_SSL_UNEXPECTED_EOF_WHILE_READING'], ['close', true]];
    assert.deepEqual([String(seen[0][1]), ...seen.slice(1)], ['half of it', ...(requireCloseNotify ? strict : [['end'], ['close', false]])]);
    if (role.clients === ours) assert.equal(near.receivedCloseNotify, false);
    // It is an option of the drop-in's alone.
  }, { roles: requireCloseNotify ? ROLES.filter(({ clients }) => clients === ours) : ROLES });
}

test('a server with requireCloseNotify hears of a cut, and of none where the peer said close_notify', { timeout: 15_000 }, async () => {
  for (const [isCut, wanted] of [[true, [['error', 'ERR_SSL_UNEXPECTED_EOF_WHILE_READING'], ['close', true]]], [false, [['end'], ['close', false]]]]) {
    const server = await listening(ours, { requireCloseNotify: true, maxVersion: 'TLSv1.2' });
    const accepted = once(server, 'secureConnection');
    const raw = net.connect(server.port, '127.0.0.1');
    const near = connect(nodes, server.port, { socket: raw });
    const [far] = await accepted;
    const seen = record(far, ['end', 'error', 'close']);
    far.resume();
    near.resume();
    await pause(50);
    (isCut ? raw : near).end();
    await heard(far, 'close');
    assert.deepEqual([far.receivedCloseNotify, seen], [!isCut, wanted]);
  }
});

// RFC 8446 section 6.1. OpenSSL says in its trace what it was told.
for (const [name, work, told] of [
  ['destroy', (far) => far.destroy(), true],
  ['destroy after a write', (far) => far.write('words', () => far.destroy()), true],
  ['destroy with an error', (far) => far.destroy(new Error('enough')), false],
  ['destroy with something still to be written', (far) => { far.write(Buffer.alloc(8 << 20)); far.destroy(); }, false],
]) {
  test(`${name} ${told ? 'sends' : 'does not send'} close_notify`, { timeout: 15_000 }, async () => {
    const server = await listening(ours, { maxVersion: 'TLSv1.2' }, (far) => {
      far.on('error', () => {}).resume();
      setTimeout(work, 50, far);
    });
    const client = spawn('openssl', ['s_client', '-msg', '-connect', `127.0.0.1:${server.port}`, '-CAfile', file('ca.crt'), '-servername', 'localhost'],
      { stdio: ['pipe', 'pipe', 'ignore'] });
    cleanup(() => client.kill());
    let said = '';
    client.stdout.on('data', (data) => { said += data; });
    await heard(client, 'close');
    // What the server said, not what the client then says itself.
    assert.equal(/<<< TLS 1\.2, Alert \[length 0002\], warning close_notify/.test(said), told, said.slice(-2000));
  });
}

both('pause, resume, read and readable', async (role) => {
  const { near, far } = await pair(role);
  near.write('abcdef');
  await once(far, 'readable');
  assert.equal(String(far.read(2)), 'ab');
  assert.equal(String(far.read(4)), 'cdef');
  assert.equal(far.read(), null);
  near.write('g');
  const [data] = await once(far, 'data');
  assert.equal(String(data), 'g');
});

both('readyState, pending, connecting and the addresses', async (role) => {
  const server = await listening(role.servers);
  const near = connect(role.clients, server.port);
  assert.deepEqual([near.connecting, near.pending, near.readyState, near.secureConnecting], [true, true, 'opening', true]);
  const accepted = once(server, 'secureConnection');
  await once(near, 'secureConnect');
  const [far] = await accepted;
  assert.deepEqual([near.connecting, near.pending, near.readyState, near.secureConnecting], [false, false, 'open', false]);
  assert.deepEqual([near.remoteAddress, near.remotePort, near.remoteFamily], ['127.0.0.1', server.port, 'IPv4']);
  assert.deepEqual([near.localAddress, near.localPort, near.localFamily], ['127.0.0.1', far.remotePort, 'IPv4']);
  assert.deepEqual(near.address(), { address: '127.0.0.1', family: 'IPv4', port: near.localPort });
  assert.equal(far.remotePort, near.localPort);
  near.end();
  near.resume();
  far.resume();
  await once(near, 'close');
  assert.deepEqual([near.readyState, near.pending], ['closed', true]);
});

both('a TLSSocket over any duplex stream', async ({ clients, servers }) => {
  const { TLSSocket } = servers;
  const [one, two] = joined();
  const far = new TLSSocket(one, { isServer: true, key: certificate.key, cert: certificate.cert });
  const near = clients.connect({ socket: two, servername: 'localhost', ca: authority.cert });
  await once(near, 'secureConnect');
  near.end('through');
  assert.equal(await text(far), 'through');
  far.end();
  near.resume();
  await once(near, 'close');
});

both('STARTTLS: a TCP connection is upgraded by both sides', async ({ clients, servers }) => {
  const { TLSSocket } = servers;
  const port = await tcp((socket) => {
    socket.once('data', () => {
      socket.write('go\n');
      const far = new TLSSocket(socket, { isServer: true, key: certificate.key, cert: certificate.cert });
      far.on('error', () => {});
      far.pipe(far);
    });
  });
  const plain = net.connect(port, '127.0.0.1');
  cleanup(() => plain.destroy());
  plain.write('STARTTLS\n');
  await once(plain, 'data');
  const near = clients.connect({ socket: plain, servername: 'localhost', ca: authority.cert });
  await once(near, 'secureConnect');
  near.end('upgraded');
  assert.equal(await text(near), 'upgraded');
});

both('signal destroys the connection', async (role) => {
  const port = await tcp(() => {});
  const controller = new AbortController();
  const near = connect(role.clients, port, { signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  const error = await heard(near, 'error');
  assert.deepEqual([error.name, error.code], ['AbortError', 'ABORT_ERR']);
});

// Node's own throws ERR_INVALID_HANDLE_TYPE here, for all that its documentation says, and may show the peer's reset as an end.
both('resetAndDestroy resets TCP', async (role) => {
  const { near, far } = await pair(role);
  far.resume();
  const error = heard(far, 'error');
  near.resetAndDestroy();
  assert.equal((await error).code, 'ECONNRESET');
}, { roles: ROLES.slice(0, 1) });

both('destroySoon sends what was written', async (role) => {
  const { near, far } = await pair(role);
  const reading = text(far);
  near.write('before');
  near.destroySoon();
  assert.equal(await reading, 'before');
});

test('the web stream and async iteration of a socket', { timeout: 30_000 }, async () => {
  const { near, far } = await connected(ours, nodes, { client: { allowHalfOpen: true }, server: { allowHalfOpen: true } });
  far.pipe(far);
  const { readable, writable } = Duplex.toWeb(near);
  const writer = writable.getWriter();
  await writer.write(Buffer.from('web'));
  await writer.close();
  let whole = '';
  for await (const piece of readable) whole += Buffer.from(piece);
  assert.equal(whole, 'web');
});

for (const version of ['tls1_2', 'tls1_3']) {
  test(`openssl s_client gets back what it sends (${version})`, { timeout: 30_000 }, async () => {
    const server = await listening(ours, {}, (far) => far.pipe(far));
    const client = spawn('openssl', ['s_client', '-quiet', '-connect', `127.0.0.1:${server.port}`, '-CAfile', file('ca.crt'), '-verify_return_error',
      '-servername', 'localhost', `-${version}`], { stdio: ['pipe', 'pipe', 'ignore'] });
    cleanup(() => client.kill());
    client.stdin.write('round trip\n');
    const [data] = await once(client.stdout, 'data');
    assert.equal(String(data), 'round trip\n');
  });

  test(`openssl s_server -rev answers (${version})`, { timeout: 30_000 }, async () => {
    const server = spawn('openssl', ['s_server', '-accept', '127.0.0.1:0', '-cert', file('server.crt'), '-key', file('server.key'), '-rev', `-${version}`],
      { stdio: ['ignore', 'pipe', 'ignore'] });
    cleanup(() => server.kill());
    let said = '';
    while (!/ACCEPT 127\.0\.0\.1:(\d+)/.test(said)) said += String((await once(server.stdout, 'data'))[0]);
    const near = connect(ours, Number(/ACCEPT 127\.0\.0\.1:(\d+)/.exec(said)[1]));
    near.write('abc\n');
    const [data] = await once(near, 'data');
    assert.equal(String(data), 'cba\n');
  });
}

async function pair(role, options) {
  return connected(role.clients, role.servers, options);
}

/** All that comes, without an iterator: that would destroy the stream at the end, also where it is half open. */
function text(stream) {
  return new Promise((resolve, reject) => {
    let whole = '';
    stream.on('data', (piece) => { whole += piece; });
    stream.on('error', reject);
    stream.on('end', () => resolve(whole));
  });
}

async function digest(stream) {
  const hash = createHash('sha256');
  for await (const piece of stream) hash.update(piece);
  return hash.digest('hex');
}

/** Two streams, each of which reads what is written to the other. */
function joined() {
  const make = (other) => new Duplex({
    read() {},
    write(chunk, _, callback) {
      other().push(chunk);
      callback();
    },
    final(callback) {
      other().push(null);
      callback();
    },
    destroy(error, callback) {
      if (!other().readableEnded) other().push(null);
      callback(error);
    },
  });
  const one = make(() => two);
  const two = make(() => one);
  return [one, two];
}
