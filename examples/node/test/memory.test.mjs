// A slow reader and a fast writer: memory stays flat, in the process and in the component (row K19).
// GUEST_TLS_MEMORY_MIB says how much is sent: 256 unless it is set; 1024 for the long run.

// First, so that it sees the component's instance being made.
import { memories } from './support/memories.mjs';

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';

import { connected, nodes, ours, pause } from './support/both.mjs';

const MIB = 1 << 20;
const TOTAL = Number(process.env.GUEST_TLS_MEMORY_MIB ?? 256);

for (const [name, clients, servers] of [['sends', ours, nodes], ['receives', nodes, ours]]) {
  test(`${TOTAL} MiB to a slow reader, where guest-tls ${name}`, { timeout: 300_000 }, async (context) => {
    const { near, far } = await connected(clients, servers);
    const piece = Buffer.alloc(65536, 0xa5);
    let given = 0;
    function* pieces() {
      for (; given < TOTAL * MIB; given += piece.length) yield piece;
    }
    const hash = createHash('sha256');
    const sent = pipeline(Readable.from(pieces(), { objectMode: false }), near);
    let came = 0;
    let most = 0;
    let first;
    let ahead = 0;
    let next = 16 * MIB;
    const start = performance.now();
    for await (const data of far) {
      hash.update(data);
      came += data.length;
      ahead = Math.max(ahead, given - came);
      if (came >= next) {
        next += 16 * MIB;
        // Slow: the writer would be far ahead by now.
        await pause(20);
        const { rss, external } = process.memoryUsage();
        if (came >= 64 * MIB) first ??= { rss, external };
        most = Math.max(most, rss);
      }
    }
    await sent;
    const wanted = createHash('sha256');
    for (let at = 0; at < TOTAL * MIB; at += piece.length) wanted.update(piece);
    assert.equal(came, TOTAL * MIB);
    assert.equal(hash.digest('hex'), wanted.digest('hex'));
    assert(ahead < 16 * MIB, `the writer was ${ahead} bytes ahead`);
    const growth = Math.round((most - first.rss) / MIB);
    const seconds = (performance.now() - start) / 1000;
    const linear = memories.map((memory) => memory.buffer.byteLength / MIB);
    context.diagnostic(`${(TOTAL / seconds).toFixed(0)} MiB/s, RSS ${Math.round(most / MIB)} MiB, which is ${growth} MiB more than after 64 MiB; ` +
      `linear memory ${linear.join(' and ')} MiB; at most ${Math.round(ahead / 1024)} KiB under way`);
    assert(growth < 64, `RSS grew by ${growth} MiB`);
    assert(linear.length > 0 && linear.every((size) => size < 32), `linear memory of ${linear} MiB`);
  });
}
