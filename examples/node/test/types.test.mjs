// A program that is typed against node:tls compiles against guest-tls. Needs `npm ci` in this folder's parent.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const folder = new URL('..', import.meta.url);

test('tsc accepts programs in both forms of import', { timeout: 120_000 }, () => {
  const compiler = fileURLToPath(new URL('node_modules/typescript/bin/tsc', folder));
  const run = spawnSync(process.execPath, [compiler, '-p', fileURLToPath(new URL('test/types', folder))], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stdout + run.stderr);
});
