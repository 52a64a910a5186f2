// The page's TLS in Chromium against OpenSSL, by the agent that the tests of hosts use.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import readline from 'node:readline';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { Authority, serve } from './openssl.mjs';

const MIB = 1024 * 1024;

let authority;
let agent;

before(async () => {
  authority = await Authority.create();
  agent = new Agent();
});

after(async () => {
  await agent?.end();
  await authority?.remove();
});

for (const version of ['TLSv1.2', 'TLSv1.3']) {
  test(`${version}: client certificate, ALPN, 10 MiB both ways`, async () => {
    const server = await serve(authority, {
      bytes: 10 * MIB,
      options: [
        '-alpn', 'talk/1', '-Verify', '1', '-verify_return_error', '-CAfile', authority.file('ca.pem'), '-keymatexport', LABEL,
        '-keymatexportlen', '32',
      ],
    });
    const order = { minVersion: version, maxVersion: version, bytes: 10 * MIB, alpn: ['talk/1'], client: true };
    const report = await agent.connect(server, await setup(order));
    assert.equal(report.failure, null);
    const peer = await server.over;
    assert.deepEqual(
      [report.protocol, report.alpn, report.servername, report.authorized, report.peerSubject, report.resumed, report.ended],
      [version, 'talk/1', 'server.test', true, 'server.test', false, true],
    );
    assert.deepEqual(report.received, peer.sent);
    assert.deepEqual(report.sent, peer.received);
    assert.match(peer.text, /depth=0 CN = client\.test\nverify return:1/);
    assert.equal(/Keying material: ([0-9A-F]+)/.exec(peer.text)?.[1].toLowerCase(), report.exporter);
  });

  test(`${version}: a second connection resumes the session of the first`, async () => {
    const server = await serve(authority, { connections: 2, options: ['-www'] });
    const order = { minVersion: version, maxVersion: version, turn: 'First', bytes: 0, connections: 2 };
    const report = await agent.connect(server, await setup(order));
    server.kill();
    await server.over;
    assert.deepEqual([report.failure, report.resumed, report.authorized], [null, true, true]);
  });
}

test('a server whose CA is not trusted is refused, and told why', async () => {
  const server = await serve(authority);
  const report = await agent.connect(server, await setup({ roots: [await authority.read('client.pem')] }));
  server.kill();
  assert.equal(report.failure.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  assert.match((await server.over).text, /alert unknown ca/i);
});

test('options that are refused leave no connection to the target open, and the next one works', async () => {
  // Each connection's count of bytes, when it is over.
  const over = [];
  const target = net.createServer((socket) => {
    socket.on('error', () => {}).resume();
    over.push(new Promise((resolve) => socket.once('close', () => resolve(socket.bytesRead))));
  });
  target.listen(0, '127.0.0.1');
  await once(target, 'listening');
  const wrong = [
    [{ alpn: ['a'.repeat(256)] }, 'ERR_OUT_OF_RANGE'],
    [{ servername: 'no name' }, 'ERR_TLS_REQUIRED_SERVER_NAME'],
    [{ servername: 1 }, 'ERR_INVALID_ARG_TYPE'],
  ];
  try {
    for (const [more, code] of wrong) {
      const report = await agent.connect(target.address(), await setup(more));
      assert.equal(report.failure.code, code);
    }
    assert.equal(over.length, wrong.length);
    assert.deepEqual(await Promise.race([Promise.all(over), setTimeout(PATIENCE, 'still open', { ref: false })]), [0, 0, 0]);
  } finally {
    target.close();
  }
  const server = await serve(authority, { options: ['-www'] });
  assert.equal((await agent.connect(server, await setup({ turn: 'First' }))).failure, null);
  server.kill();
  await server.over;
});

test('a page can\'t listen', async () => {
  await assert.rejects(agent.order({ order: 'listen', setup: await setup() }), /can't listen/);
});

async function setup({ client = false, ...more } = {}) {
  return {
    certificate: client ? await authority.read('client.pem') : null, key: client ? await authority.read('client.key') : null,
    roots: [await authority.read('ca.pem')], servername: 'server.test', alpn: [], turn: 'WhenAllCame', bytes: 0, connections: 1,
    rejectUnauthorized: true, ...more,
  };
}

/** The agent's process. */
class Agent {
  #child = spawn(process.execPath, [fileURLToPath(new URL('agent.mjs', import.meta.url))], { stdio: ['pipe', 'pipe', 'inherit'] });
  #waiting = new Map();
  #ended = new Promise((resolve) => this.#child.once('close', resolve));
  #last = 0;

  constructor() {
    readline.createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const { id, ...answer } = JSON.parse(line);
      this.#waiting.get(id)(answer);
    });
    this.#child.once('close', (code) => {
      for (const answer of this.#waiting.values()) answer({ fault: `the agent ended with ${code}` });
    });
  }

  async order(order) {
    const id = this.#last += 1;
    const answered = new Promise((resolve) => this.#waiting.set(id, resolve));
    this.#child.stdin.write(`${JSON.stringify({ id, ...order })}\n`);
    const { fault, report } = await answered;
    this.#waiting.delete(id);
    if (fault) throw new Error(fault);
    return report;
  }

  connect({ port }, setup) {
    return this.order({ order: 'connect', setup, port });
  }

  async end() {
    this.#child.stdin.end();
    await this.#ended;
  }
}

const LABEL = 'EXPORTER-guest-tls-test';

/** How long the bridge may take to end a connection on a busy machine, in milliseconds. */
const PATIENCE = 10000;
