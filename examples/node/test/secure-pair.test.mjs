// `createSecurePair` and the spellings of Node 4 (row M6). Node's own is gone since Node 24, so its peers are OpenSSL and Node's sockets.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';

import { cleanup, connect, heard, nodes, ours, listening, tcp, until } from './support/both.mjs';
import { authority, client, file, server as certificate, stranger } from './support/pki.mjs';

const trusted = { ca: authority.cert };

test('a pair as a server, between pipes, for Node\'s client', { timeout: 15_000 }, async () => {
  const pairs = [];
  const port = await tcp((socket) => {
    const pair = ours.createSecurePair(ours.createSecureContext(certificate), true);
    pairs.push(pair);
    socket.pipe(pair.encrypted).pipe(socket);
    pair.cleartext.pipe(pair.cleartext);
  });
  const near = connect(nodes, port);
  near.end('there and back');
  let whole = '';
  for await (const piece of near) whole += piece;
  assert.equal(whole, 'there and back');
  const [pair] = pairs;
  assert(pair instanceof ours.SecurePair);
  assert.equal(pair.cleartext.getProtocol(), 'TLSv1.3');
  assert(pair.encrypted.bytesWritten > 1000 && pair.cleartext.bytesWritten > 1000);
});

test('a pair as a client of Node\'s server: secure, authorized, credentials', { timeout: 15_000 }, async () => {
  const server = await listening(nodes, { requestCert: true, ca: authority.cert, rejectUnauthorized: true }, (far) => far.pipe(far));
  const credentials = ours.createSecureContext({ ...trusted, ...client });
  const pair = ours.createSecurePair(credentials, false, true, true, { servername: 'localhost' });
  assert.equal(pair.credentials, credentials);
  const socket = net.connect(server.port, '127.0.0.1');
  cleanup(() => socket.destroy());
  socket.pipe(pair.encrypted).pipe(socket);
  await once(pair, 'secure');
  assert.deepEqual([pair.cleartext.authorized, pair.cleartext.authorizationError], [true, null]);
  pair.cleartext.write('hello');
  assert.equal(String(await heard(pair.cleartext, 'data')), 'hello');
  pair.destroy();
  await until(() => pair.cleartext.destroyed && pair.encrypted.destroyed);
});

test('rejectUnauthorized is false unless said otherwise, and the pair tells', { timeout: 15_000 }, async () => {
  const server = await listening(nodes);
  const make = (reject) => {
    const pair = ours.createSecurePair(ours.createSecureContext({ ca: stranger.cert }), false, false, reject, { servername: 'localhost' });
    const socket = net.connect(server.port, '127.0.0.1');
    cleanup(() => socket.destroy());
    socket.on('error', () => {});
    socket.pipe(pair.encrypted).pipe(socket);
    return pair;
  };
  const open = make(undefined);
  await once(open, 'secure');
  assert.deepEqual([open.cleartext.authorized, open.cleartext.authorizationError], [false, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE']);
  const strict = make(true);
  assert.equal((await heard(strict, 'error')).code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});

test('a pair that fails, and nobody listens, throws nothing', { timeout: 15_000 }, async () => {
  const pair = ours.createSecurePair(ours.createSecureContext(certificate), true);
  pair.encrypted.write('this is no TLS at all');
  await until(() => pair.cleartext.destroyed);
});

test('a slow reader of the cleartext holds the writer of the encrypted side', { timeout: 15_000 }, async () => {
  const server = ours.createSecurePair(ours.createSecureContext(certificate), true);
  const pair = ours.createSecurePair(ours.createSecureContext(trusted), false, false, true, { servername: 'localhost' });
  server.encrypted.pipe(pair.encrypted).pipe(server.encrypted);
  await once(pair, 'secure');
  const piece = Buffer.alloc(65536);
  let given = 0;
  while (given < 16 << 20 && (pair.cleartext.write(piece) || await Promise.race([once(pair.cleartext, 'drain'), new Promise((done) => { setTimeout(done, 200, false); })]))) {
    given += piece.length;
  }
  assert(given < 8 << 20, `${given} bytes were taken, and nobody read`);
  let came = 0;
  server.cleartext.on('data', (data) => { came += data.length; });
  pair.cleartext.end();
  await once(server.cleartext, 'end');
  assert(came >= given);
});

test('openssl s_client talks to a pair', { timeout: 15_000 }, async () => {
  const port = await tcp((socket) => {
    const pair = ours.createSecurePair(ours.createSecureContext(certificate), true);
    socket.pipe(pair.encrypted).pipe(socket);
    pair.cleartext.pipe(pair.cleartext);
  });
  const peer = spawn('openssl', ['s_client', '-quiet', '-connect', `127.0.0.1:${port}`, '-CAfile', file('ca.crt'), '-verify_return_error', '-servername', 'localhost'],
    { stdio: ['pipe', 'pipe', 'ignore'] });
  cleanup(() => peer.kill());
  peer.stdin.write('round trip\n');
  assert.equal(String(await heard(peer.stdout, 'data')), 'round trip\n');
});
