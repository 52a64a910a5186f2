// How fast a Worker in workerd is, with `openssl s_client` at the other end: `npm run bench`.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { sClient } from './openssl.mjs';
import { pki } from './pki.mjs';
import { start } from './workerd.mjs';

const MEBIBYTES = 40;
const HANDSHAKES = 30;

const keys = pki();
const workerd = await start('agent.capnp');
const port = workerd.ports.tls1;
const server = { certificate: keys.server.certificate, key: keys.server.key };
try {
  for (const turn of ['First', 'AfterPeer']) {
    const best = await fastest(3, () => move(turn));
    console.log(`${turn === 'First' ? 'sent     ' : 'received '} ${(MEBIBYTES / best).toFixed(0)} MiB/s`);
  }
  await order({ order: 'listen', setup: { ...server, turn: 'WhenAllCame', bytes: 1, connections: HANDSHAKES } });
  const seconds = await timed(async () => {
    for (let left = HANDSHAKES; left > 0; left -= 1) await sClient(port, ['-groups', 'X25519'], Buffer.of(0x81));
  });
  console.log(`connection ${((seconds / HANDSHAKES) * 1000).toFixed(0)} ms, one after another, each with its own s_client`);
} finally {
  await workerd.stop();
  keys.remove();
}

/** In seconds, with the start of s_client. */
async function move(turn) {
  const bytes = turn === 'First' ? MEBIBYTES << 20 : 0;
  await order({ order: 'listen', setup: { ...server, turn, bytes } });
  return timed(async () => {
    const words = ['s_client', '-connect', `127.0.0.1:${port}`, '-quiet', '-no_ign_eof'];
    const peer = spawn('openssl', words, { stdio: ['pipe', 'ignore', 'ignore'] });
    // The end of its input ends s_client, and with it the connection.
    if (turn === 'AfterPeer') peer.stdin.end(Buffer.alloc(MEBIBYTES << 20, 0x81));
    const [{ report }] = await Promise.all([order({ order: 'report' }), once(peer, 'close')]);
    if (report.failure !== null || report.sent.bytes + report.received.bytes !== MEBIBYTES << 20) throw new Error(JSON.stringify(report));
  });
}

async function order(body) {
  return (await fetch(`http://127.0.0.1:${workerd.ports.orders}/`, { method: 'POST', body: JSON.stringify({ port, ...body }) })).json();
}

async function fastest(times, run) {
  let best = Infinity;
  for (; times > 0; times -= 1) best = Math.min(best, await run());
  return best;
}

async function timed(run) {
  const began = performance.now();
  await run();
  return (performance.now() - began) / 1000;
}
