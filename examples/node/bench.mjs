// `node bench.mjs`: throughput and handshakes of guest-tls next to Node's own, over TCP on this machine, one process for both ends.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import nodes from 'node:tls';

import ours from 'guest-tls';

const MIB = 64;
const HANDSHAKES = 100;
const SUITE = 'TLS_CHACHA20_POLY1305_SHA256';

const identity = certificate();
const rows = [];
for (const [name, clients, servers] of [
  ['guest-tls, both ends', ours, ours], ['guest-tls to node:tls', ours, nodes], ['node:tls to guest-tls', nodes, ours], ['node:tls, both ends', nodes, nodes],
]) {
  rows.push({ ends: name, 'MB/s': await throughput(clients, servers), 'full handshakes/s': await handshakes(clients, servers) });
}
console.log(`Node ${process.version}, ${SUITE}, ${MIB} MiB from the client; TLS 1.3 with X25519 and a certificate of P-256.`);
console.table(rows);

async function throughput(clients, servers) {
  const { near, far, close } = await connected(clients, servers);
  const piece = Buffer.alloc(65536, 1);
  let came = 0;
  far.on('data', (data) => { came += data.length; });
  const start = performance.now();
  for (let at = 0; at < MIB * 16; at += 1) if (!near.write(piece)) await once(near, 'drain');
  near.end();
  await once(far, 'end');
  const seconds = (performance.now() - start) / 1000;
  close();
  if (came !== MIB << 20) throw new Error(`${came} bytes came`);
  return Math.round(came / 1e6 / seconds);
}

async function handshakes(clients, servers) {
  const { open, near, close } = await connected(clients, servers);
  near.destroy();
  const start = performance.now();
  for (let at = 0; at < HANDSHAKES; at += 1) {
    const { near } = await open();
    near.destroy();
  }
  const seconds = (performance.now() - start) / 1000;
  close();
  return Math.round(HANDSHAKES / seconds);
}

async function connected(clients, servers) {
  const server = servers.createServer({ ...identity, ecdhCurve: 'X25519', ciphers: SUITE });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const secureContext = clients.createSecureContext({ ca: identity.ca, ecdhCurve: 'X25519', ciphers: SUITE });
  const open = async () => {
    const near = clients.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', secureContext });
    near.on('error', () => {});
    const [[far]] = await Promise.all([once(server, 'secureConnection'), once(near, 'secureConnect')]);
    far.on('error', () => {});
    return { near, far };
  };
  return { ...await open(), open, close: () => server.close() };
}

/** A key, and a certificate by an authority of its own, as `ca` has to be one. */
function certificate() {
  const folder = mkdtempSync(path.join(tmpdir(), 'guest-tls-bench-'));
  try {
    const run = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    run('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=ca', '-days', '2');
    run('req', '-x509', ...key, '-keyout', 'own.key', '-out', 'own.crt', '-subj', '/CN=own', '-days', '2', '-CA', 'ca.crt', '-CAkey', 'ca.key',
      '-addext', 'subjectAltName=DNS:localhost', '-addext', 'basicConstraints=critical,CA:FALSE');
    const read = (name) => readFileSync(path.join(folder, name), 'utf8');
    return { key: read('own.key'), cert: read('own.crt'), ca: read('ca.crt') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
