// Workers in workerd, and OpenSSL at the other end of their connections.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import readline from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { sClient, sServer } from './openssl.mjs';
import { pki } from './pki.mjs';
import { start } from './workerd.mjs';

const keys = pki();
after(() => keys.remove());

const identity = (name) => ['-cert', keys.file(`${name}.pem`), '-key', keys.file(`${name}.key`)];
const trusting = (name) => ['-CAfile', keys.file(`${name}.pem`), '-verify_return_error'];
const EXPORTER = ['-keymatexport', 'EXPORTER-guest-tls-test', '-keymatexportlen', '32'];

describe('a Worker and OpenSSL', () => {
  let agent;
  before(() => (agent = startAgent('agent.mjs')));
  after(() => agent.stop());

  const asServer = (more) => agent.listen({
    certificate: keys.server.certificate, key: keys.server.key, turn: 'WhenAllCame', bytes: 1, ...more,
  });
  const asClient = (port, more) => agent.connect(port, {
    roots: [keys.ca.certificate], servername: 'server.test', turn: 'WhenAllCame', bytes: 1, ...more,
  });
  const mutual = { requestCert: true, roots: [keys.ca.certificate] };
  const clients = { certificate: keys.client.certificate, key: keys.client.key };

  for (const [version, flag] of [['TLSv1.3', '-tls1_3'], ['TLSv1.2', '-tls1_2']]) {
    test(`${version} server: a client certificate, ALPN, the exporter`, async () => {
      const { port, report } = await asServer({ ...mutual, alpn: ['h2', 'http/1.1'] });
      const words = [flag, '-alpn', 'spdy/3,http/1.1', ...identity('client'), ...trusting('ca'), ...EXPORTER];
      const [{ text }, seen] = await Promise.all([sClient(port, words, payload(1)), report]);
      assert.match(text, /Verify return code: 0 \(ok\)/);
      assert.match(text, /ALPN protocol: http\/1\.1/);
      agree(seen, text, { protocol: version, alpn: 'http/1.1', servername: 'server.test', authorized: true, peerSubject: 'client.test' });
    });

    test(`${version} client: a client certificate, ALPN, the exporter`, async () => {
      const words = [flag, '-alpn', 'http/1.1', ...identity('server'), ...trusting('ca'), '-Verify', '1', ...EXPORTER];
      const peer = await sServer(['-naccept', '1', ...words], payload(1), 'CIPHER is');
      const seen = await asClient(peer.port, { ...clients, alpn: ['h2', 'http/1.1'] });
      const { text } = await peer.output;
      assert.match(text, /subject=CN = client\.test/);
      agree(seen, text, { protocol: version, alpn: 'http/1.1', servername: 'server.test', authorized: true, peerSubject: 'server.test' });
    });

    test(`${version} server: a session is resumed`, async () => {
      const { port, report } = await asServer({ connections: 2 });
      const file = keys.file(`session-${version}`);
      const first = await sClient(port, [flag, ...trusting('ca'), '-sess_out', file], payload(1));
      const second = await sClient(port, [flag, ...trusting('ca'), '-sess_in', file], payload(1));
      assert.match(first.text, /New, TLSv1/);
      assert.match(second.text, /Reused, TLSv1/);
      const seen = await report;
      assert.equal(seen.failure, null);
      assert.equal(seen.resumed, true);
    });

    test(`${version} client: a session is resumed, with the client's certificate`, async () => {
      const peer = await sServer(['-naccept', '2', flag, ...identity('server'), ...trusting('ca'), '-Verify', '1'], payload(1));
      const seen = await asClient(peer.port, { ...clients, connections: 2, turn: 'First' });
      const { text } = await peer.output;
      assert.equal(seen.failure, null);
      assert.equal(seen.resumed, true);
      assert.match(text, /Reused session-id/);
    });

    test(`${version} server: 10 MiB each way at once`, { timeout: 120_000 }, async () => {
      const { port, report } = await asServer({ bytes: TEN_MEBIBYTES });
      const mine = payload(TEN_MEBIBYTES);
      const [{ data }, seen] = await Promise.all([sClient(port, [flag, '-quiet', ...trusting('ca')], mine), report]);
      carried(seen, mine, data);
    });

    test(`${version} client: 10 MiB each way at once`, { timeout: 120_000 }, async () => {
      const mine = payload(TEN_MEBIBYTES);
      const peer = await sServer(['-naccept', '1', flag, ...identity('server')], mine);
      const seen = await asClient(peer.port, { bytes: TEN_MEBIBYTES });
      const { data } = await peer.output;
      carried(seen, mine, data);
    });
  }

  test('a client that does not trust the server says so to both', async () => {
    const peer = await sServer(['-naccept', '1', ...identity('server')], payload(1));
    const seen = await asClient(peer.port, { roots: [keys.stranger.certificate] });
    const { text } = await peer.output;
    assert.equal(seen.failure.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    assert.match(text, /alert unknown ca/);
  });

  test('a client knows the time: a certificate that has expired', async () => {
    const peer = await sServer(['-naccept', '1', ...identity('expired')], payload(1));
    const seen = await asClient(peer.port);
    assert.equal(seen.failure.code, 'CERT_HAS_EXPIRED');
    assert.match((await peer.output).text, /alert certificate expired/);
  });

  test('a certificate for another name', async () => {
    const peer = await sServer(['-naccept', '1', ...identity('server')], payload(1));
    const seen = await asClient(peer.port, { servername: 'other.test' });
    assert.equal(seen.failure.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
    await peer.output;
  });

  test('a server refuses a client without a certificate', async () => {
    const { port, report } = await asServer(mutual);
    const [{ text }, seen] = await Promise.all([sClient(port, ['-ign_eof', ...trusting('ca')], payload(1)), report]);
    assert.equal(seen.failure.code, 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE');
    assert.match(text, /alert certificate required/);
  });

  test('a server refuses a certificate of a CA that it does not trust', async () => {
    const { port, report } = await asServer(mutual);
    const [{ text }, seen] = await Promise.all([sClient(port, [...identity('stranger'), ...trusting('ca')], payload(1)), report]);
    assert.equal(seen.failure.code, 'DEPTH_ZERO_SELF_SIGNED_CERT');
    assert.match(text, /alert unknown ca/);
  });

  test('a server that has no application protocol in common with the client', async () => {
    const { port, report } = await asServer({ alpn: ['h2'] });
    const [{ text }, seen] = await Promise.all([sClient(port, ['-alpn', 'other', ...trusting('ca')], payload(1)), report]);
    assert.equal(seen.failure.code, 'ERR_SSL_NO_APPLICATION_PROTOCOL');
    assert.match(text, /alert no application protocol/);
  });

  test('more servers at once than there are ports', async () => {
    const many = Array.from({ length: 6 }, async () => {
      const { port, report } = await asServer();
      await sClient(port, trusting('ca'), payload(1));
      assert.equal((await report).failure, null);
    });
    await Promise.all(many);
  });

  test('a client whose server cuts the transport', async () => {
    const server = net.createServer((socket) => socket.once('data', () => socket.destroy())).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const seen = await asClient(server.address().port);
    assert.match(seen.failure.code, /^(ERR_SSL_UNEXPECTED_EOF_WHILE_READING|ECONNRESET)$/);
    server.close();
  });

  test('a handshake that takes too long', async () => {
    const server = net.createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const began = performance.now();
    const seen = await asClient(server.address().port, { handshakeTimeout: 500 });
    assert.equal(seen.failure.code, 'ERR_TLS_HANDSHAKE_TIMEOUT');
    assert.ok(performance.now() - began > 450);
    server.close();
  });

  test('a client that sends nothing does not keep a server waiting for ever', async () => {
    const { port, report } = await asServer({ handshakeTimeout: 500 });
    const socket = net.connect(port, '127.0.0.1').on('error', () => {});
    assert.equal((await report).failure.code, 'ERR_TLS_HANDSHAKE_TIMEOUT');
    socket.destroy();
  });
});

describe("a Worker and Node's own tls, which closes by halves", () => {
  let agent;
  let node;
  before(() => ([agent, node] = [startAgent('agent.mjs'), startAgent('../../../host-tests/peers/node-peer.mjs')]));
  after(() => Promise.all([agent.stop(), node.stop()]));

  const common = {
    minVersion: 'TLSv1.2', rejectUnauthorized: true, requestCert: true, alpn: [], servername: 'server.test', bytes: 300_000,
    roots: [keys.ca.certificate],
  };
  const server = { ...common, certificate: keys.server.certificate, key: keys.server.key };
  const client = { ...common, certificate: keys.client.certificate, key: keys.client.key };

  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    for (const [one, other] of [['First', 'Second'], ['Second', 'First'], ['Silent', 'First'], ['WhenAllCame', 'AfterPeer']]) {
      for (const [listener, caller] of [['agent', 'node'], ['node', 'agent']]) {
        test(`${maxVersion}: ${listener === 'agent' ? 'server' : 'client'}, ${one}`, async () => {
          const turns = { agent: one, node: other };
          const peers = { agent, node };
          const { port, report } = await peers[listener].listen({ ...server, maxVersion, turn: turns[listener] });
          const called = await peers[caller].connect(port, { ...client, maxVersion, turn: turns[caller] });
          const listened = await report;
          assert.deepEqual([called.failure, listened.failure].map((failure) => failure ?? null), [null, null]);
          assert.deepEqual(called.received, listened.sent);
          assert.deepEqual(listened.received, called.sent);
          assert.equal(called.exporter, listened.exporter);
          assert.equal(called.protocol, maxVersion);
          assert.ok(called.ended && listened.ended);
        });
      }
    }
  }
});

describe('back-pressure', () => {
  let workerd;
  before(async () => (workerd = await start('agent.capnp')));
  after(() => workerd.stop());

  const ask = async (order) => {
    const port = workerd.ports.tls1;
    const body = JSON.stringify({ port, ...order });
    return (await fetch(`http://127.0.0.1:${workerd.ports.orders}/`, { method: 'POST', body })).json();
  };
  const setup = { certificate: keys.server.certificate, key: keys.server.key };
  const client = () => spawn('openssl', ['s_client', '-connect', `127.0.0.1:${workerd.ports.tls1}`, '-quiet'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });

  test('a peer that does not read holds the Worker', async () => {
    await ask({ order: 'listen', setup: { ...setup, turn: 'First', bytes: MANY } });
    const peer = client();
    peer.stdout.pause();
    const held = await standstill(async () => (await ask({ order: 'progress' })).sent);
    assert.ok(held > 0 && held < MANY / 2, `${held} of ${MANY} bytes were taken while nobody read`);
    peer.stdout.resume();
    const [{ report }] = await Promise.all([ask({ order: 'report' }), once(peer, 'close')]);
    assert.deepEqual([report.failure, report.sent.bytes], [null, MANY]);
  });

  test('a Worker that does not read holds its peer', async () => {
    await ask({ order: 'listen', setup: { ...setup, turn: 'AfterPeer', bytes: 1, pause: 2000 } });
    const peer = client();
    peer.stdout.resume();
    peer.stdin.on('error', () => {});
    const piece = Buffer.alloc(65536, 0x81);
    for (let at = 0; at < MANY; at += piece.length) peer.stdin.write(piece);
    const taken = () => MANY - peer.stdin.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal((await ask({ order: 'progress' })).received, 0);
    const held = taken();
    assert.ok(held > 0 && held < MANY / 2, `the peer sent ${held} of ${MANY} bytes though nobody read`);
    assert.equal(await standstill(async () => (await ask({ order: 'progress' })).received), MANY);
    peer.kill();
    await once(peer, 'close');
  });
});

describe('the example', () => {
  let workerd;
  let peer;
  before(async () => {
    peer = await sServer(['-www', ...identity('server'), ...trusting('ca'), '-Verify', '1']);
    const env = {
      TARGET: `127.0.0.1:${peer.port}`, SERVERNAME: 'server.test',
      CLIENT_CA: keys.ca.certificate, CLIENT_CERT: keys.client.certificate, CLIENT_KEY: keys.client.key,
      SERVER_CLIENT_AUTH: 'required', SERVER_CA: keys.ca.certificate, SERVER_CERT: keys.server.certificate, SERVER_KEY: keys.server.key,
    };
    workerd = await start('../config.capnp', env, ['--socket-addr=client=127.0.0.1:0', '--socket-addr=server=127.0.0.1:0']);
  });
  after(() => Promise.all([workerd.stop(), peer.stop()]));

  test('client.mjs gets a page of s_server, and resumes its session', async () => {
    for (const isSessionReused of [false, true]) {
      const answer = await (await fetch(`http://127.0.0.1:${workerd.ports.client}/page`)).json();
      assert.deepEqual(answer.connection, {
        protocol: 'TLSv1.3', cipher: 'TLS_CHACHA20_POLY1305_SHA256', group: 'X25519', authorized: true, peer: 'server.test',
        isSessionReused,
      });
      assert.match(answer.answer, /^HTTP\/1\.0 200 ok/);
      assert.match(answer.answer, /Subject: CN=client\.test/);
    }
  });

  test('server.mjs answers s_client, and says who it is', async () => {
    const words = ['-ign_eof', ...identity('client'), ...trusting('ca')];
    const { text } = await sClient(workerd.ports.server, words, 'GET /page HTTP/1.1\r\n\r\n');
    assert.match(text, /HTTP\/1\.1 200 OK/);
    assert.match(text, /"request":"GET \/page HTTP\/1\.1"/);
    assert.match(text, /"peer":"client\.test"/);
  });

  test('server.mjs refuses whoever has no certificate, and goes on', async () => {
    const refused = await sClient(workerd.ports.server, ['-ign_eof', ...trusting('ca')], 'GET / HTTP/1.1\r\n\r\n');
    assert.match(refused.text, /alert certificate required/);
    const { text } = await sClient(workerd.ports.server, ['-ign_eof', ...identity('client'), ...trusting('ca')], 'nonsense\r\n\r\n');
    assert.match(text, /HTTP\/1\.1 400 Bad Request/);
    assert.match(workerd.log(), /ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE/);
  });
});

for (const [what, auth, ca, said] of [
  ['a client authentication that nobody spoke of', undefined, keys.ca.certificate, /TLS_CLIENT_AUTH has to be "required" or "none"/],
  ['a client authentication without a CA', 'required', undefined, /TLS_CA is empty/],
  ['a client authentication whose CA is an empty file', 'required', '\n', /TLS_CA is empty/],
]) {
  test(`server.mjs lets nobody in by ${what}`, async () => {
    const workerd = await startServer({ SERVER_CLIENT_AUTH: auth, SERVER_CA: ca });
    const words = ['-ign_eof', ...identity('client'), ...trusting('ca')];
    const { text } = await sClient(workerd.ports.server, words, 'GET / HTTP/1.1\r\n\r\n');
    assert.doesNotMatch(text, /HTTP\/1\.1 |BEGIN CERTIFICATE/);
    assert.match(workerd.log(), said);
    await workerd.stop();
  });
}

test('server.mjs asks nobody for a certificate where it was told so', async () => {
  const workerd = await startServer({ SERVER_CLIENT_AUTH: 'none' });
  const { text } = await sClient(workerd.ports.server, ['-ign_eof', ...trusting('ca')], 'GET / HTTP/1.1\r\n\r\n');
  assert.match(text, /HTTP\/1\.1 200 OK/);
  await workerd.stop();
});

function startServer(env) {
  const own = { SERVER_CERT: keys.server.certificate, SERVER_KEY: keys.server.key };
  return start('../config.capnp', { ...own, ...env }, ['--socket-addr=client=127.0.0.1:0', '--socket-addr=server=127.0.0.1:0']);
}

test('client.mjs says why it does not trust its target', async () => {
  const peer = await sServer(['-www', ...identity('server')]);
  const env = {
    TARGET: `127.0.0.1:${peer.port}`, SERVERNAME: 'server.test',
    CLIENT_CA: keys.stranger.certificate, CLIENT_CERT: keys.client.certificate, CLIENT_KEY: keys.client.key,
  };
  const workerd = await start('../config.capnp', env, ['--socket-addr=client=127.0.0.1:0', '--socket-addr=server=127.0.0.1:0']);
  const response = await fetch(`http://127.0.0.1:${workerd.ports.client}/`);
  assert.equal(response.status, 502);
  const { error } = await response.json();
  assert.equal(error.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  assert.equal(error.alert.name, 'unknown_ca');
  await Promise.all([workerd.stop(), peer.stop()]);
});

function agree(seen, text, expected) {
  assert.equal(seen.failure, null);
  for (const [name, value] of Object.entries(expected)) assert.equal(seen[name], value, name);
  assert.equal(/Keying material: ([0-9A-F]{64})/.exec(text)?.[1].toLowerCase(), seen.exporter);
  assert.equal(seen.ended, true);
  assert.equal(seen.received.bytes, 1);
}

function carried(seen, mine, data) {
  assert.equal(seen.failure, null);
  assert.deepEqual(seen.received, { bytes: mine.length, sha256: sha256(mine) });
  assert.deepEqual(seen.sent, { bytes: data.length, sha256: sha256(data) });
}

/** What `count` gives when it has not changed for a while. */
async function standstill(count) {
  for (let last = -1; ;) {
    const now = await count();
    if (now === last && now > 0) return now;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** A peer that takes orders, as the tests of hosts run it. */
function startAgent(script) {
  const child = spawn(process.execPath, [fileURLToPath(new URL(script, import.meta.url))], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting = new Map();
  let next = 0;
  readline.createInterface({ input: child.stdout }).on('line', (line) => {
    const { id, ...answer } = JSON.parse(line);
    const [resolve, reject] = waiting.get(id).shift();
    if (answer.fault === undefined) resolve(answer);
    else reject(new Error(answer.fault));
  });
  const order = (order, answers) => {
    const id = next++;
    const answered = [];
    waiting.set(id, answered);
    const promises = Array.from({ length: answers }, () => new Promise((...settle) => answered.push(settle)));
    child.stdin.write(`${JSON.stringify({ id, ...order })}\n`);
    return promises;
  };
  return {
    async listen(setup) {
      const [port, report] = order({ order: 'listen', setup }, 2);
      return { port: (await port).port, report: report.then((answer) => answer.report) };
    },
    connect: async (port, setup) => (await order({ order: 'connect', setup, port }, 1)[0]).report,
    async stop() {
      child.stdin.end();
      await once(child, 'close');
    },
  };
}

function payload(length) {
  return crypto.randomBytes(length).map((byte) => byte | 0x80);
}

function sha256(data) {
  return crypto.createHash('sha256').update(data).digest('hex');
}

const TEN_MEBIBYTES = 10 << 20;

/** More than all buffers of two kernels' sockets hold. */
const MANY = 96 << 20;
