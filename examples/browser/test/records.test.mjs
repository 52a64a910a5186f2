// Where records are cut.

import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { test } from 'node:test';

import { Records } from '../page/records.mjs';

test('no piece goes beyond the end of a record, none is lost, whatever pieces they come in', () => {
  const lengths = [0, 1, 4, 5, 255, 256, 16640, 0, 0, 7];
  const records = lengths.map((length) => Buffer.concat([Buffer.from([22, 3, 3, length >> 8, length & 255]), randomBytes(length)]));
  const stream = Buffer.concat(records);
  const ends = new Set(records.map((_, at) => records.slice(0, at + 1).reduce((sum, { length }) => sum + length, 0)));
  for (const most of [1, 2, 5, 6, 300, stream.length]) {
    const cutter = new Records();
    const pieces = [];
    const cuts = new Set();
    for (let at = 0; at < stream.length;) {
      const next = at + randomInt(1, most + 1);
      pieces.push(...cutter.cut(stream.subarray(at, next)));
      at = Math.min(next, stream.length);
      cuts.add(at);
    }
    assert.deepEqual(Buffer.concat(pieces), stream, `in pieces of ${most} at most`);
    let end = 0;
    const found = pieces.map(({ length }) => (end += length));
    assert.deepEqual([...new Set([...ends, ...cuts])].sort((one, other) => one - other), found, `in pieces of ${most} at most`);
  }
});
