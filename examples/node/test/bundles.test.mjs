// The package in the hands of bundlers and of TypeScript, as a stranger has them: esbuild and tsc as they come. Needs `npm ci`.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import nodes from 'node:tls';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

import { file } from './support/pki.mjs';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'guest-tls-bundles-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** The package and what it depends on, as npm lays them out: nothing that only its developers have. */
const installed = path.join(folder, 'node_modules');
const { dependencies } = JSON.parse(readFileSync(path.join(PACKAGE, 'package.json'), 'utf8'));
mkdirSync(path.join(installed, '@types'), { recursive: true });
cpSync(path.join(PACKAGE, 'lib'), path.join(installed, 'guest-tls/lib'), { recursive: true });
cpSync(path.join(PACKAGE, 'package.json'), path.join(installed, 'guest-tls/package.json'));
for (const name of Object.keys(dependencies)) symlinkSync(path.join(PACKAGE, 'node_modules', name), path.join(installed, name));

/** A server and a client, which end by themselves. */
const talk = (tls) => `
  const { readFileSync } = process.getBuiltinModule('fs');
  const [key, cert, ca] = ['server.key', 'server.crt', 'ca.crt'].map((name) => readFileSync(process.env.CERTIFICATES + name));
  const server = ${tls}.createServer({ key, cert }, (far) => far.end('hello'));
  server.listen(0, '127.0.0.1', () => {
    const near = ${tls}.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca });
    near.on('data', (data) => console.log(String(data))).on('close', () => server.close());
  });
`;
const PROGRAMS = {
  'an import': `import tls from 'guest-tls'; ${talk('tls')}`,
  'a require': `const tls = require('guest-tls'); ${talk('tls')}`,
  'guest-tls/register': `import 'guest-tls/register'; import tls from 'node:tls'; ${talk('tls')}`,
};

for (const [form, source] of Object.entries(PROGRAMS)) {
  for (const format of ['esm', 'cjs']) {
    // An ES module has no require for Node's own modules; that is so for every package.
    if (form === 'a require' && format === 'esm') continue;
    test(`${form} is bundled by esbuild as ${format}, and runs where nothing else is`, { timeout: 60_000 }, async () => {
      const { warnings, run } = await bundled(source, { format });
      assert.deepEqual(warnings, []);
      const { status, stdout, stderr } = run();
      assert.deepEqual([status, stdout], [0, 'hello\n'], stderr);
      assert.match(stderr, /^guest-tls: \{"client":1,"server":1,/m);
    });
  }
}

test('a bundle that left the component behind says at its start what to do', { timeout: 60_000 }, async () => {
  for (const format of ['esm', 'cjs']) {
    const { run } = await bundled(PROGRAMS['an import'], { format, conditions: ['mine'], minify: false, logOverride: { 'empty-import-meta': 'silent' } });
    const { status, stderr } = run();
    assert.equal(status, 1);
    assert.match(stderr, /Error: guest-tls does not find guest-tls\.core2?3?\.wasm.*a bundler.*--conditions=module.*external/);
  }
});

test('every name that can be imported from node:tls can be imported from guest-tls', async () => {
  const builtin = await import('node:tls');
  const mine = await import('guest-tls');
  for (const name of Object.keys(builtin)) assert.equal(typeof mine[name], typeof builtin[name], name);
  assert.deepEqual(mine.rootCertificates, mine.default.rootCertificates);
  assert.deepEqual(Object.keys(nodes).filter((name) => !(name in mine.default)), []);
});

for (const type of ['module', 'commonjs']) {
  test(`a program of a fresh \`tsc --init\` and type ${type} compiles`, { timeout: 120_000 }, () => {
    const project = path.join(folder, type);
    mkdirSync(project);
    writeFileSync(path.join(project, 'package.json'), JSON.stringify({ type }));
    writeFileSync(path.join(project, 'app.ts'), [
      "import 'guest-tls/register';",
      "import tls, { connect, rootCertificates, type TLSSocket } from 'guest-tls';",
      "import { statistics } from 'guest-tls/statistics';",
      "export const near: TLSSocket = connect({ port: 1, requireCloseNotify: true, ca: [...rootCertificates] });",
      "near.on('end', () => { const whole: boolean | undefined = near.receivedCloseNotify; void whole; });",
      'export const server: tls.Server = tls.createServer({ requireCloseNotify: true }); export const { client } = statistics;',
      '',
    ].join('\n'));
    const tsc = (...args) => spawnSync(process.execPath, [path.join(PACKAGE, 'node_modules/typescript/bin/tsc'), ...args], { cwd: project, encoding: 'utf8' });
    assert.equal(tsc('--init').status, 0);
    // A program that is CommonJS says so: the file that --init writes has `verbatimModuleSyntax`, by which it would have to write `require`.
    const { status, stdout } = tsc('--noEmit', '-p', '.', ...(type === 'commonjs' ? ['--verbatimModuleSyntax', 'false'] : []));
    assert.equal(status, 0, stdout);
  });
}

/** Bundles a program; `run` starts the bundle in a folder of its own. */
async function bundled(source, options) {
  const place = mkdtempSync(path.join(folder, 'bundle-'));
  const outfile = path.join(place, options.format === 'esm' ? 'app.mjs' : 'app.cjs');
  const { warnings } = await build({
    stdin: { contents: source, resolveDir: folder }, outfile, bundle: true, platform: 'node', minify: true, logLevel: 'silent', ...options,
  });
  return {
    warnings: warnings.map(({ text }) => text),
    run: () => spawnSync(process.execPath, [outfile], {
      cwd: place, encoding: 'utf8', env: { ...process.env, CERTIFICATES: file('/'), GUEST_TLS_STATISTICS: '1' },
    }),
  };
}
