// The bridge by itself: whom it serves, where it goes, and that bytes, ends and cuts cross it as they are. The other end is Node's `net`.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import WebSocket from 'ws';

import { Targets, WINDOW } from '../lib/bridge.mjs';
import { dial } from '../page/tcp.mjs';
import { start } from '../server.mjs';

const LIMIT = 2;

let server;

before(async () => {
  server = await start({ demo: false, connections: LIMIT });
});

after(() => server?.close());

for (const [what, headers, status] of [
  ['a page of another origin', { origin: 'http://evil.test' }, 403],
  ['a page of another port of this machine', { origin: 'http://127.0.0.1:1' }, 403],
  ['a client without an origin', {}, 403],
  ['a name that was rebound to 127.0.0.1', { host: 'evil.test', origin: 'http://evil.test' }, 403],
]) {
  test(`${what} does not get a WebSocket`, async () => {
    const websocket = new WebSocket(address(), { headers });
    const [, response] = await once(websocket, 'unexpected-response');
    assert.equal(response.statusCode, status);
    response.destroy();
  });
}

test('a name that was rebound to 127.0.0.1 does not get the page', async () => {
  const request = http.get(server.url, { headers: { host: 'evil.test' } });
  const [response] = await once(request, 'response');
  response.resume();
  assert.equal(response.statusCode, 403);
});

test('what the page may do is no more than it needs', async () => {
  const response = await fetch(server.url);
  const policy = response.headers.get('content-security-policy');
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'self' 'wasm-unsafe-eval'(;|$)/);
  assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
  for (const path of ['/../server.mjs', '/%2e%2e/server.mjs', '/guest-tls/core/../../package.json', '/package.json', '//', '/%']) {
    assert.equal((await raw(path)).status, 404, path);
  }
});

test('only targets of the command line are connected to', async () => {
  const target = await listen();
  const page = await open();
  page.order({ connect: { host: '127.0.0.1', port: target.port } });
  const { failed } = await page.said();
  assert.equal(failed.code, 'EACCES');
  assert.match(failed.message, new RegExp(`--allow 127\\.0\\.0\\.1:${target.port}`));
  await page.closed;
  assert.equal(target.count(), 0);
  await target.close();
});

test('a target has a host and a port', () => {
  for (const wrong of ['example.com', ':443', 'example.com:0', 'example.com:65536', 'http://example.com:443', '::1:443', 'a b:443x']) {
    assert.throws(() => new Targets().allow(wrong), TypeError, wrong);
  }
  const targets = new Targets();
  targets.allow('Example.com:443');
  targets.allow('[::1]:443');
  assert.deepEqual(
    [targets.has('example.COM', 443), targets.has('::1', 443), targets.has('example.com', 444), targets.has('www.example.com', 443)],
    [true, true, false, false],
  );
});

test('there are no more connections than the limit, and one that ends makes room', async () => {
  const pages = [await open(), await open()];
  const refused = new WebSocket(address(), { headers: own() });
  const [, response] = await once(refused, 'unexpected-response');
  assert.equal(response.statusCode, 503);
  response.destroy();
  pages[0].close();
  await pages[0].closed;
  // The bridge has to hear of it, too.
  await new Promise((resolve) => setTimeout(resolve, 100));
  const next = await open();
  for (const page of [pages[1], next]) {
    page.close();
    await page.closed;
  }
});

test('each side ends by itself', async () => {
  const target = await listen();
  const page = await open(target);
  const socket = await target.socket;
  page.send('to the target');
  page.order({ end: true });
  assert.equal(await text(socket), 'to the target');
  // It has ended, and still hears.
  socket.end('to the page');
  assert.deepEqual(await page.bytes(), Buffer.from('to the page'));
  assert.deepEqual(page.last, { end: true });
  assert.equal((await page.closed)[0], 1000);
  await target.close();
});

test('a target that ends its side, and begins to read long after the page has ended its own, gets all of it', async () => {
  const target = await listen();
  server.targets.allow(`127.0.0.1:${target.port}`);
  // The page's own half, with a WebSocket that says where it comes from, as a browser's does.
  globalThis.WebSocket = class extends WebSocket {
    constructor(url) {
      super(url, { headers: own() });
    }
  };
  const transport = await dial(address(), { host: '127.0.0.1', port: target.port });
  const socket = await target.socket;
  socket.end('bye');
  assert.equal(await new Response(transport.readable).text(), 'bye');
  const writer = transport.writable.getWriter();
  let sent = 0;
  for (let taken = true; taken; sent += 65536) {
    const writing = writer.write(new Uint8Array(65536)).then(() => true);
    taken = await Promise.race([writing, new Promise((resolve) => setTimeout(resolve, 400, false))]);
    assert.ok(sent < 256 * 1024 * 1024, 'nothing holds the page');
  }
  const closing = writer.close();
  // What fits into the buffers of the kernel is taken for written: the target lets that write finish, and then waits.
  let got = 0;
  socket.on('data', ({ length }) => {
    got += length;
    if (got < 1024 * 1024 || got - length >= 1024 * 1024) return;
    socket.pause();
    setTimeout(() => socket.resume(), 2500);
  });
  await closing;
  await once(socket, 'end');
  assert.equal(got, sent);
  await target.close();
});

test('a name is looked up by the bridge', async () => {
  const target = await listen();
  const page = await open();
  server.targets.allow(`localhost:${target.port}`);
  page.order({ connect: { host: 'localhost', port: target.port } });
  const { connected } = await page.said();
  assert.equal(connected.address, '127.0.0.1');
  assert.ok(connected.lookup > 0 && connected.dial > 0, JSON.stringify(connected));
  page.close();
  await page.closed;
  await target.close();
});

test('a target that cuts the connection is no target that ends it', async () => {
  const target = await listen();
  const page = await open(target);
  (await target.socket).resetAndDestroy();
  assert.equal((await page.said()).failed.code, 'ECONNRESET');
  await page.closed;
  await target.close();
});

test('a page that goes away cuts the connection', async () => {
  const target = await listen();
  const page = await open(target);
  const socket = await target.socket;
  const failed = once(socket, 'error');
  socket.resume();
  page.close();
  assert.equal((await failed)[0].code, 'ECONNRESET');
  await target.close();
});

test('a page that does not read holds the target', async () => {
  const target = await listen();
  const page = await open(target);
  const socket = await target.socket;
  const piece = randomBytes(65536);
  let written = 0;
  while (written < 64 * 1024 * 1024 && socket.write(piece)) written += piece.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  const came = page.came();
  assert.ok(came > 0 && came <= WINDOW, `${came} bytes came without credit for more than ${WINDOW}`);
  page.order({ credit: 1 });
  page.order({ credit: came - 1 });
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(page.came() > came && page.came() <= came + WINDOW);
  page.close();
  await page.closed;
  await target.close();
});

test('a target that does not read holds the page, and a page that sends all the same is cut off', async () => {
  const target = await listen();
  const page = await open(target);
  await target.socket;
  let sent = 0;
  // Until the kernel takes no more, and so there is no credit.
  for (let idle = 0; idle < 20;) {
    const credit = page.credit();
    idle = credit > 0 ? 0 : idle + 1;
    for (let left = credit; left > 0; left -= 65536) page.send(Buffer.alloc(Math.min(left, 65536)));
    sent += credit;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(sent < 256 * 1024 * 1024, 'nothing holds the page');
  }
  page.send('one byte too many'.slice(0, 1));
  assert.equal((await page.closed)[0], 1008);
  await target.close();
});

test('a page that sends messages of 0 bytes is cut off, and what it says afterwards is not heard', async () => {
  const target = await listen();
  const page = await open(target);
  await target.socket;
  page.send('');
  // It is on its way while the bridge closes.
  page.order({ connect: { host: '127.0.0.1', port: target.port } });
  page.send('late');
  const [code, reason] = await page.closed;
  assert.deepEqual([code, `${reason}`], [1008, 'bytes came that were not allowed']);
  assert.equal(target.count(), 1);
  await target.close();
});

test('a page that was refused its target can order no other while the WebSocket closes', async () => {
  const [refused, allowed] = [await listen(), await listen()];
  server.targets.allow(`127.0.0.1:${allowed.port}`);
  const page = await open();
  page.order({ connect: { host: '127.0.0.1', port: refused.port } });
  page.order({ connect: { host: '127.0.0.1', port: allowed.port } });
  assert.equal((await page.said()).failed.code, 'EACCES');
  await page.closed;
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(allowed.count(), 0);
  await Promise.all([refused.close(), allowed.close()]);
});

test('a server whose port is taken says so and ends', { timeout: 20_000 }, async () => {
  const { port } = new URL(server.url);
  const program = fileURLToPath(new URL('../server.mjs', import.meta.url));
  const child = spawn(process.execPath, [program, '--port', port], { stdio: ['ignore', 'ignore', 'pipe'], timeout: 15_000 });
  const said = text(child.stderr);
  assert.deepEqual(await once(child, 'exit'), [1, null]);
  assert.match(await said, /EADDRINUSE/);
});

for (const wrong of ['no JSON', '{}', '{"credit":1}', '{"connect":{"host":"a"}}', '{"end":true}', 'null']) {
  test(`a page that says ${wrong} is cut off`, async () => {
    const page = await open();
    page.say(wrong);
    assert.equal((await page.closed)[0], 1008);
  });
}

/** A server that takes connections and does nothing with them. */
async function listen() {
  const sockets = [];
  const listener = net.createServer({ allowHalfOpen: true });
  const socket = new Promise((resolve) => listener.on('connection', (socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
    resolve(socket);
  }));
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: listener.address().port, socket, count: () => sockets.length,
    async close() {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}

/** A WebSocket of the page's, connected to `target` where there is one. */
async function open(target) {
  const websocket = new WebSocket(address(), { headers: own() });
  const said = [];
  const pieces = [];
  let credit = WINDOW;
  let wake = () => {};
  const closed = once(websocket, 'close').then((what) => {
    wake();
    return what;
  });
  const page = {
    closed,
    last: undefined,
    say: (words) => websocket.send(words),
    order: (order) => websocket.send(JSON.stringify(order)),
    send(bytes) {
      credit -= bytes.length;
      websocket.send(Buffer.from(bytes));
    },
    came: () => pieces.reduce((sum, { length }) => sum + length, 0),
    credit: () => credit,
    async said() {
      while (said.length === 0 && websocket.readyState <= WebSocket.CLOSING) await new Promise((resolve) => (wake = resolve));
      return said.shift();
    },
    async bytes() {
      while (page.last === undefined) await new Promise((resolve) => (wake = resolve));
      return Buffer.concat(pieces);
    },
    close: () => websocket.close(),
  };
  websocket.on('message', (data, isBinary) => {
    const message = isBinary ? null : JSON.parse(data);
    if (isBinary) pieces.push(data);
    else if (message.credit) credit += message.credit;
    else if (message.end) page.last = message;
    else said.push(message);
    wake();
  });
  await once(websocket, 'open');
  if (target) {
    server.targets.allow(`127.0.0.1:${target.port}`);
    page.order({ connect: { host: '127.0.0.1', port: target.port } });
    const { connected } = await page.said();
    assert.deepEqual([connected.address, connected.port, connected.lookup], ['127.0.0.1', target.port, null]);
  }
  return page;
}

async function text(stream) {
  const pieces = await stream.toArray();
  return Buffer.concat(pieces).toString();
}

/** A request whose path nobody has tidied up. */
async function raw(path) {
  const { port } = new URL(server.url);
  const request = http.get({ host: '127.0.0.1', port, path });
  const [response] = await once(request, 'response');
  response.resume();
  return { status: response.statusCode };
}

function address() {
  return server.url.replace('http', 'ws') + 'bridge';
}

function own() {
  return { origin: new URL(server.url).origin };
}
