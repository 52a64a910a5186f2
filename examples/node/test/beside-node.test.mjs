// Small programs, each of which runs over Node's own `tls` and over the drop-in: what they see has to be the same.
//
// A row of a table in `beside/` is a program and what it sees over Node (`sees`). Where the drop-in shows something else on purpose, that
// stands in `here` and the reason in `why`; the README lists it. A row that has `alone` gets a process of its own: it ends the process or
// changes it, or needs another environment (`env`). To look at one: `beside/run.mjs TABLE PROGRAM`, with the folder of the certificates
// in GUEST_TLS_BESIDE.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { file, folder, pfx } from './support/pki.mjs';

pfx(file('client.pfx'), 'client', 'sample');
process.env.GUEST_TLS_BESIDE = folder;

const RUN = fileURLToPath(new URL('beside/run.mjs', import.meta.url));

/** What is Node's own `tls`, and what is the drop-in, by the flags of a process. */
const KINDS = { 'node': [], 'guest-tls': ['--import', new URL('../lib/register.mjs', import.meta.url).href] };

for (const table of ['questions', 'ends', 'options']) {
  const { default: rows } = await import(`./beside/${table}.mjs`);
  const together = Object.keys(rows).filter((name) => !rows[name].alone && !rows[name].env);
  let batch;
  for (const [name, { sees, here = sees, why, env }] of Object.entries(rows)) {
    test(`${table}: ${name}`, { timeout: 120_000 }, async () => {
      assert.equal(here !== sees, why !== undefined, 'a difference has a reason, and nothing else has one');
      const found = await (together.includes(name) ? batch ??= run(table, together) : run(table, [name], env));
      const said = Object.fromEntries(Object.entries(found).map(([kind, { seen, stderr }]) => [kind, seen[name] ?? `died: ${stderr}`]));
      assert.deepEqual(said, { 'node': sees, 'guest-tls': here });
    });
  }
}

/** Runs these programs in a process for each kind of `tls`. */
async function run(table, names, env) {
  return Object.fromEntries(await Promise.all(Object.entries(KINDS).map(async ([kind, flags]) => {
    const child = spawn(process.execPath, ['--no-warnings', ...flags, RUN, table, ...names], {
      stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_EXTRA_CA_CERTS: '', ...env },
    });
    const said = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr']) child[stream].on('data', (data) => { said[stream] += data; });
    await once(child, 'close');
    const lines = said.stdout.split('\n').filter((line) => line.startsWith('['));
    return [kind, { seen: Object.fromEntries(lines.map((line) => JSON.parse(line))), stderr: said.stderr }];
  })));
}
