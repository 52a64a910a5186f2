// `core/web.mjs` over streams in memory: how its streams behave. What it says to other implementations is tested where it has a transport:
// see examples/workers.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { createContext } from '../lib/core/context.mjs';
import { Guest, MODULES, drop } from '../lib/core/guest.mjs';
import { pairOptions } from '../lib/core/connection.mjs';
import { secure } from '../lib/core/web.mjs';

const modules = Object.fromEntries(MODULES.map((name) => [name, compiled(name)]));
const guest = new Guest((name) => modules[name]);
const { certificate, key } = selfSigned();
const serverContext = createContext(guest, { cert: certificate, key });
const clientContext = createContext(guest, { ca: certificate });

const unhandled = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));
after(() => assert.deepEqual(unhandled, [], 'rejections that nobody handled'));

describe('a connection', () => {
  test('says what was agreed on, carries bytes both ways and ends on both sides', async () => {
    const { client, server } = connected({ client: { ALPNProtocols: ['h2'] }, server: { ALPNProtocols: ['h2'] } });
    const [seen, served] = await Promise.all([client.opened, server.opened]);
    assert.equal(seen.protocol, 'TLSv1.3');
    assert.equal(seen.authorized, true);
    assert.equal(seen.alpnProtocol, 'h2');
    assert.equal(seen.peerCertificates[0].subjectaltname, 'DNS:server.test');
    assert.equal(served.servername, 'server.test');
    assert.deepEqual(served.peerCertificates, []);
    const [answer] = await Promise.all([ask(client, 'question'), echo(server)]);
    assert.equal(answer, 'question');
    await Promise.all([client.closed, server.closed]);
    assert.ok(client.connection.dropped && server.connection.dropped);
    assert.ok(client.connection.bytesRead > 0);
  });

  for (const bytes of [false, true]) {
    test(`carries 10 MiB each way at once, over streams of ${bytes ? 'bytes' : 'pieces'}`, () => carry(bytes));
  }

  async function carry(bytes) {
    const { client, server } = connected({ bytes });
    const [one, other] = [payload(10 << 20), payload(10 << 20)];
    const [atClient, atServer] = await Promise.all([
      digest(client.readable), digest(server.readable), send(client.writable, one), send(server.writable, other),
    ]);
    assert.equal(atClient, sha256(other));
    assert.equal(atServer, sha256(one));
    await Promise.all([client.closed, server.closed]);
  }

  test('lets one side go on after the other has ended', async () => {
    const { client, server } = connected();
    const writer = server.writable.getWriter();
    await client.writable.close();
    assert.equal(await text(server.readable), '');
    await writer.write('still here');
    await writer.close();
    assert.equal(await text(client.readable), 'still here');
    await Promise.all([client.closed, server.closed]);
  });

  test('resumes a session, which came as an event', async () => {
    const sessions = [];
    const options = { client: { sessionEvent: true, onevent: ({ tag, val }) => tag === 'session' && sessions.push(val) } };
    const made = serverOf({});
    const first = connected(options, made);
    await Promise.all([ask(first.client, 'a'), echo(first.server)]);
    assert.equal((await first.client.opened).isSessionReused, false);
    const second = connected({ client: { session: sessions.at(-1) } }, made);
    await Promise.all([ask(second.client, 'b'), echo(second.server)]);
    assert.equal((await second.client.opened).isSessionReused, true);
    assert.equal((await second.server.opened).isSessionReused, true);
    drop(made);
  });

  test('waits for a late answer to a question', async () => {
    const onevent = async ({ tag, val }, connection) => {
      if (tag !== 'alpn') return;
      await new Promise((resolve) => setTimeout(resolve, 20));
      connection.answer((pair) => pair.answerAlpn(val.protocols[1]));
    };
    const { client, server } = connected({ client: { ALPNProtocols: ['a', 'b'] }, server: { alpnEvent: true, onevent } });
    assert.equal((await client.opened).alpnProtocol, 'b');
    assert.equal((await server.opened).alpnProtocol, 'b');
    abandon(client, server);
  });

  test('ends by what `onevent` throws', async () => {
    const thrown = new Error('thrown by the listener');
    const { client, server } = connected({ client: { trace: true, onevent() { throw thrown; } } });
    await assert.rejects(client.opened, thrown);
    await assert.rejects(client.closed, thrown);
    await assert.rejects(server.closed);
  });

  test('ends by what `onevent` throws, where nothing moves any more', async () => {
    const thrown = new Error('thrown by the listener');
    const onevent = ({ tag }) => {
      if (tag === 'session') throw thrown;
    };
    // The session is the last that comes, and nobody reads or writes afterwards.
    const { client, server } = connected({ client: { sessionEvent: true, onevent } });
    await assert.rejects(client.closed, thrown);
    await assert.rejects(text(client.readable), thrown);
    await assert.rejects(text(server.readable));
    await assert.rejects(server.closed);
  });
});

describe('back-pressure', () => {
  test('a reader that does not read holds the writer', async () => {
    const { client, server } = connected();
    await Promise.all([client.opened, server.opened]);
    const writer = client.writable.getWriter();
    const piece = payload(65536);
    let written = 0;
    const writing = (async () => {
      while (written < 8 << 20) {
        await writer.write(piece);
        written += piece.length;
      }
      await writer.close();
    })();
    const held = await standstill(() => written);
    assert.ok(held < 1 << 20, `${held} bytes were taken while nobody read`);
    let read = 0;
    for await (const part of server.readable) read += part.length;
    await writing;
    assert.equal(read, 8 << 20);
    await server.writable.close();
    await client.readable.cancel();
    await Promise.all([client.closed, server.closed]);
  });

  test('a write that waits is rejected by `abort`', async () => {
    const { client, server } = connected();
    const writer = client.writable.getWriter();
    const writing = (async () => {
      for (;;) await writer.write(payload(65536));
    })();
    await standstill(() => client.connection.bytesWritten);
    const reason = new Error('enough');
    await Promise.all([writer.abort(reason), assert.rejects(writing)]);
    await assert.rejects(client.closed, ({ code, cause }) => code === 'ABORT_ERR' && cause === reason);
    await assert.rejects(text(server.readable), { code: 'ECONNRESET' });
    await assert.rejects(server.closed);
  });

  for (const peer of ['has ended', 'is not read']) {
    test(`a close that waits for the transport is rejected by \`abort\`, where the peer ${peer}`, { timeout: 20_000 }, async () => {
      const { client, server, ends } = connected();
      await Promise.all([client.opened, server.opened]);
      const peerWriter = server.writable.getWriter();
      if (peer === 'has ended') {
        await peerWriter.close();
        assert.equal(await text(client.readable), '');
      } else {
        peerWriter.write(payload(1 << 20)).catch(() => {});
        await standstill(() => client.connection.bytesRead);
      }
      // The transport takes what is written, and nothing after it: so the close waits.
      const writer = client.writable.getWriter();
      await writer.write(payload(1_000));
      ends.hold();
      const closing = writer.close();
      await standstill(() => client.connection.bytesWritten);
      const reason = new Error('it took too long');
      // Where a close is at work, `abort` rejects by what that does.
      await Promise.all([
        assert.rejects(writer.abort(reason), { code: 'ABORT_ERR' }), assert.rejects(closing, { code: 'ABORT_ERR' }),
        assert.rejects(client.closed, ({ code, cause }) => code === 'ABORT_ERR' && cause === reason),
      ]);
      abandon(server);
    });
  }
});

describe('errors', () => {
  test('options that are wrong throw, and the transport is free again', () => {
    const transport = pipe()[0];
    assert.throws(() => secure(guest, clientContext, transport, {}), { code: 'ERR_TLS_REQUIRED_SERVER_NAME' });
    assert.throws(() => secure(guest, clientContext, transport, { servername: 5 }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => createContext(guest, { cert: 5 }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.equal(guest.fault, undefined, 'a wrong option is no trap');
    assert.equal(transport.readable.locked, false);
    assert.equal(transport.writable.locked, false);
  });

  test('a server that is not trusted: both ends say why, with the alert', async () => {
    const { client, server } = connected({}, undefined, createContext(guest, { ca: selfSigned().certificate }));
    await assert.rejects(client.opened, { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    await assert.rejects(server.opened, ({ code, alert }) => /^ERR_SSL_/.test(code) && alert.direction === 'received');
    await assert.rejects(client.closed, { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    await assert.rejects(text(server.readable), ({ alert }) => alert.direction === 'received');
  });

  test('a transport that is cut errors `readable`, after what had come', async () => {
    const { client, server, ends } = connected();
    await Promise.all([client.opened, server.opened]);
    const writer = server.writable.getWriter();
    await writer.write('half of it');
    await standstill(() => server.connection.bytesWritten);
    ends.cut();
    const reader = client.readable.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), 'half of it');
    await assert.rejects(reader.read(), { code: 'ERR_SSL_UNEXPECTED_EOF_WHILE_READING' });
    await assert.rejects(client.closed, { code: 'ERR_SSL_UNEXPECTED_EOF_WHILE_READING' });
    await assert.rejects(client.writable.getWriter().write('x'), { code: 'ERR_SSL_UNEXPECTED_EOF_WHILE_READING' });
    abandon(server);
  });

  test('a transport that fails is ECONNRESET with its cause', async () => {
    const { client, server, ends } = connected();
    await Promise.all([client.opened, server.opened]);
    const cause = new Error('the cable');
    ends.fail(cause);
    await assert.rejects(text(client.readable), (error) => error.code === 'ECONNRESET' && error.cause === cause);
    await assert.rejects(client.closed, { code: 'ECONNRESET' });
    abandon(server);
  });

  test('what arrives is not TLS', async () => {
    const [near, far] = pipe();
    const client = secure(guest, clientContext, near, { servername: 'server.test' });
    far.writable.getWriter().write(new TextEncoder().encode('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await assert.rejects(client.opened, { code: 'ERR_SSL_WRONG_VERSION_NUMBER' });
    await assert.rejects(client.closed, { code: 'ERR_SSL_WRONG_VERSION_NUMBER' });
  });

  test('a handshake that takes too long', async () => {
    const client = secure(guest, clientContext, pipe()[0], { servername: 'server.test', handshakeTimeout: 50 });
    await assert.rejects(client.opened, { code: 'ERR_TLS_HANDSHAKE_TIMEOUT' });
    await assert.rejects(client.closed, { code: 'ERR_TLS_HANDSHAKE_TIMEOUT' });
  });

  test('something that is no bytes', async () => {
    const { client, server } = connected();
    await assert.rejects(client.writable.getWriter().write(5), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(client.closed, { code: 'ABORT_ERR' });
    await assert.rejects(server.closed);
  });
});

describe('whatever order the ends come in, nothing is left over', () => {
  const acts = {
    'close': (side) => side.writable.close(),
    'abort': (side) => side.writable.abort(new Error('test')),
    'cancel': (side) => side.readable.cancel(new Error('test')),
    'cut': (_, ends) => ends.cut(),
    'fail': (_, ends) => ends.fail(new Error('test')),
  };
  for (const when of ['at once', 'during the handshake', 'after it']) {
    for (const first of Object.keys(acts)) {
      for (const second of Object.keys(acts)) {
        test(`${first}, then ${second}, ${when}`, async () => {
          const { client, server, ends } = connected();
          if (when === 'during the handshake') await new Promise((resolve) => setImmediate(resolve));
          if (when === 'after it') await Promise.all([client.opened, server.opened]);
          await Promise.allSettled([acts[first](client, ends), acts[second](client, ends)]);
          await Promise.allSettled([server.writable.close(), server.readable.cancel(), client.writable.abort(), client.readable.cancel()]);
          await Promise.allSettled([client.closed, server.closed, client.opened, server.opened]);
          assert.ok(client.connection.dropped && server.connection.dropped);
        });
      }
    }
  }
});

/** A client and a server that have each other, and `ends`: ways to break the client's transport. */
function connected(options = {}, made = undefined, context = clientContext) {
  const [near, far, ends] = options.bytes ? pipe().map(asBytes) : pipe();
  const own = made ?? serverOf(options.server);
  return {
    ends,
    client: secure(guest, context, near, { servername: 'server.test', ...options.client }),
    server: secure(guest, undefined, far, { server: own, onevent: options.server?.onevent }),
  };
}

function serverOf({ onevent, ...options } = {}) {
  const made = pairOptions(guest, options);
  return guest.call(({ server }) => server.Server.create(serverContext, made));
}

/** Two transports that are each other's other end. */
function pipe() {
  let controller;
  let held = false;
  const there = new TransformStream({
    transform: (piece, controller) => (held ? new Promise(() => {}) : controller.enqueue(piece)),
  });
  const back = new TransformStream({ start: (made) => void (controller = made) });
  const ends = {
    cut() {
      try {
        controller.terminate();
      } catch {
        // It has ended already.
      }
    },
    fail: (error) => controller.error(error),
    /** From now on the transport takes nothing of the first one's. */
    hold: () => void (held = true),
  };
  return [{ readable: back.readable, writable: there.writable }, { readable: there.readable, writable: back.writable }, ends];
}

/** The same transport, whose `readable` is a stream of bytes that fills the reader's buffer. */
function asBytes(transport) {
  if (transport.readable === undefined) return transport;
  const reader = transport.readable.getReader();
  const pull = async (controller) => {
    const { done, value } = await reader.read();
    if (done) {
      controller.close();
      controller.byobRequest?.respond(0);
    } else {
      controller.enqueue(value);
    }
  };
  const cancel = (reason) => reader.cancel(reason);
  return { readable: new ReadableStream({ type: 'bytes', pull, cancel }, { highWaterMark: 0 }), writable: transport.writable };
}

async function ask(side, question) {
  await send(side.writable, new TextEncoder().encode(question));
  return text(side.readable);
}

async function echo(side) {
  const reading = side.readable[Symbol.asyncIterator]();
  const writer = side.writable.getWriter();
  for await (const piece of reading) await writer.write(piece);
  await writer.close();
}

async function send(writable, data) {
  const writer = writable.getWriter();
  for (let at = 0; at < data.length; at += 65536) await writer.write(data.subarray(at, at + 65536));
  await writer.close();
}

async function text(readable) {
  let all = '';
  const decoder = new TextDecoder();
  for await (const piece of readable) all += decoder.decode(piece, { stream: true });
  return all;
}

async function digest(readable) {
  const hash = crypto.createHash('sha256');
  for await (const piece of readable) hash.update(piece);
  return hash.digest('hex');
}

/** What `count` gives when it has not changed for a while. */
async function standstill(count) {
  for (let last = -1; ;) {
    const now = count();
    if (now === last) return now;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

function abandon(...sides) {
  for (const side of sides) side.writable.abort().catch(() => {});
}

function sha256(data) {
  return crypto.createHash('sha256').update(data).digest('hex');
}

function payload(length) {
  return new Uint8Array(crypto.randomBytes(length));
}

function selfSigned() {
  const folder = mkdtempSync(join(tmpdir(), 'guest-tls-'));
  try {
    execFileSync('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=server.test',
      '-addext', 'subjectAltName=DNS:server.test', '-addext', 'basicConstraints=critical,CA:false',
      '-keyout', join(folder, 'key'), '-out', join(folder, 'cert'),
    ], { stdio: 'ignore' });
    return { certificate: readFileSync(join(folder, 'cert')), key: readFileSync(join(folder, 'key')) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function compiled(name) {
  return new WebAssembly.Module(readFileSync(new URL(`../lib/component/${name}`, import.meta.url)));
}
