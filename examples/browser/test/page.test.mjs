// The page as its users meet it: by keyboard, in Chromium. A message on the console, a violation of the content security policy or a
// request to another host fails a test. Screenshots go to the folder that `GUEST_TLS_ARTEFACTS` names.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';

import { start } from '../server.mjs';
import { launch } from './chromium.mjs';
import { Authority, serve } from './openssl.mjs';

const ARTEFACTS = process.env.GUEST_TLS_ARTEFACTS ?? fileURLToPath(new URL('../../../target/artefacts', import.meta.url));
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

let server;
let authority;

before(async () => {
  await mkdir(ARTEFACTS, { recursive: true });
  server = await start();
  authority = await Authority.create();
});

after(async () => {
  server?.close();
  await authority?.remove();
});

test('Enter in the form connects to the demo server, and the page tells all of it', () => visit({}, async (page) => {
  await focus(page, '#port');
  await page.keyboard.press('Enter');
  await over(page);
  assert.equal(await text(page, '#headline'), 'Trusted');
  assert.match(await text(page, '#sentence'), /demo\.test has proved who it is.*The answer is whole/);
  assert.match(await text(page, '[data-fact=protocol]'), /^TLSv1\.3$/);
  assert.match(await text(page, '[data-fact=suite]'), /^TLS_CHACHA20_POLY1305_SHA256$/);
  assert.equal(await text(page, '[data-fact=alpn]'), 'http/1.1');
  assert.deepEqual(await page.locator('#chain h3').allTextContents(), ['demo.test', 'Demo Issuing CA', 'Demo Root']);
  assert.deepEqual(await page.locator('#chain > li').evaluateAll((cards) => cards.map((card) => card.className)), ['good', 'good', 'good']);
  assert.match(await page.locator('#chain .role').last().textContent(), /^Trust anchor, not sent/);
  // What Node says of itself came through the component.
  const said = await text(page, '#answer');
  assert.match(said, /^HTTP\/1\.1 200 OK[^]*Hello, stranger\.[^]*You speak TLSv1\.3 with TLS_CHACHA20_POLY1305_SHA256/);

  const steps = await page.locator('#steps tr').evaluateAll((rows) => rows.map((row) => ({
    name: row.cells[0].title.split(':')[0], at: Number(row.cells[3].textContent),
  })));
  const names = steps.map(({ name }) => name).filter((name) => name !== 'NewSessionTicket');
  assert.deepEqual(names, [
    'Certificates and keys', 'Bridge', 'TCP', 'ClientHello', 'ServerHello', 'EncryptedExtensions', 'CertificateRequest', 'Certificate',
    'CertificateVerify', 'Finished', 'Certificate', 'Finished', 'Handshake done', 'Request sent', 'First byte of the answer',
  ]);
  assert.deepEqual(steps.map(({ at }) => at), steps.map(({ at }) => at).sort((one, other) => one - other), 'the times go forward');

  await focus(page, '#exporter');
  await page.keyboard.press('Enter');
  assert.match(await text(page, '#exporter'), /^[0-9a-f]{64}$/);
  await page.keyboard.press('Enter');
  await accessible(page);
  await shoot(page, 'browser-light');

  // The session of this connection is resumed in the next.
  await focus(page, '#connect');
  await page.keyboard.press('Enter');
  await over(page);
  assert.equal(await text(page, '[data-fact=resumed]'), 'resumed');
  assert.doesNotMatch((await page.locator('#steps th').allTextContents()).join(), /CertificateVerify/);
}));

test('the tab key reaches every control once, in the order of the page, and one sees where it is', () => visit({}, async (page) => {
  for (const summary of await page.locator('form summary').all()) {
    await summary.focus();
    await page.keyboard.press('Enter');
  }
  const wanted = await page.evaluate(() => {
    const controls = document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]');
    const reached = [...controls].filter((control) => !control.disabled && control.checkVisibility());
    return reached.map((control) => control.id || control.textContent.trim().slice(0, 12));
  });
  await page.locator('.skip').focus();
  const met = [];
  for (let count = 0; count < wanted.length; count += 1) {
    if (count > 0) await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => {
      const { activeElement: control } = document;
      return { id: control.id || control.textContent.trim().slice(0, 12), outline: parseFloat(getComputedStyle(control).outlineWidth) };
    });
    assert.ok(focused.outline >= 2, `${focused.id} has a visible focus`);
    met.push(focused.id);
  }
  assert.deepEqual(met, wanted);
}));

test('the form is filled in by keyboard for OpenSSL, which sees the client\'s certificate', () => visit({}, async (page) => {
  const options = ['-www', '-Verify', '1', '-verify_return_error', '-CAfile', authority.file('ca.pem')];
  const openssl = await serve(authority, { options });
  server.targets.allow(`127.0.0.1:${openssl.port}`);
  await focus(page, '#preset');
  await page.keyboard.type('A server');
  for (const id of ['trust-now', 'identity-now']) {
    await focus(page, `summary:has(#${id})`);
    await page.keyboard.press('Enter');
  }
  await type(page, '#ca', await authority.read('ca.pem'));
  await type(page, '#cert', await authority.read('client.pem'));
  await type(page, '#key', await authority.read('client.key'));
  await type(page, '#host', '127.0.0.1');
  await type(page, '#port', `${openssl.port}`);
  await type(page, '#servername', 'server.test');
  await page.keyboard.press('Enter');
  await over(page);
  assert.equal(await text(page, '#headline'), 'Trusted');
  assert.deepEqual(await page.locator('#chain h3').allTextContents(), ['server.test', 'ca.test']);
  assert.match(await text(page, '#answer'), /^HTTP\/1\.0 200 ok[^]*s_server/i);
  const { text: said } = await openssl.over;
  assert.match(said, /depth=0 CN = client\.test\nverify return:1/);
}));

test('10 MiB both ways are plotted while the page stays responsive', () => visit({ colorScheme: 'dark' }, async (page) => {
  await choose(page, 'Demo: 10 MiB both ways');
  // The longest time for which the page's thread did nothing else.
  await page.evaluate(() => {
    globalThis.longest = 0;
    let last = performance.now();
    setInterval(() => {
      globalThis.longest = Math.max(globalThis.longest, performance.now() - last);
      last = performance.now();
    }, 10);
  });
  await submit(page);
  await over(page);
  assert.equal(await text(page, '#headline'), 'Trusted');
  assert.match(await text(page, '#traffic'), /Received 10\.0 MiB .*sent 10\.0 MiB .*On the wire/);
  assert.match(await page.locator('#plot').getAttribute('aria-label'), /received 10\.0 MiB, sent 10\.0 MiB, at most/);
  assert.equal(await page.locator('#plot path.edge').count(), 2);
  const longest = await page.evaluate(() => globalThis.longest);
  assert.ok(longest < 500, `the page's thread was busy for ${longest} ms`);
  await accessible(page);
  await shoot(page, 'browser-dark');
}));

for (const [preset, code, blamed, means] of [
  ['Demo: an expired certificate', 'CERT_HAS_EXPIRED', 0, /too old/],
  ['Demo: a certificate for another name', 'ERR_TLS_CERT_ALTNAME_INVALID', 0, /for another name/],
  ['Demo: a self-signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT', 0, /signed by itself/],
  ['Demo: a chain with a gap', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 0, /one certificate only/],
  ['Demo: a CA that nobody knows', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 1, /not among those you trust/],
]) {
  test(`${preset.slice(6)} is not trusted, and the page says why`, () => visit({}, async (page) => {
    await choose(page, preset);
    await submit(page);
    await over(page);
    assert.equal(await text(page, '#headline'), 'Not trusted');
    assert.match(await text(page, '#sentence'), means);
    assert.ok((await text(page, '#code')).startsWith(code), await text(page, '#code'));
    const verdicts = await page.locator('#chain > li').evaluateAll((cards) => cards.map((card) => card.className));
    assert.ok(verdicts.length > blamed);
    assert.deepEqual(verdicts, verdicts.map((_, at) => (at === blamed ? 'bad' : 'none')));
    assert.match(await page.locator('#chain .why').nth(blamed).textContent(), means);
    // The alert went out, and no request.
    assert.match(await page.locator('#steps tr').last().textContent(), /sent Alert/);
    assert.doesNotMatch((await page.locator('#steps th').allTextContents()).join(), /Request sent/);
    if (code === 'CERT_HAS_EXPIRED') {
      await accessible(page);
      await shoot(page, 'browser-error');
    }
  }));
}

test('a wrong CA of the user\'s own shows why', () => visit({ viewport: { width: 360, height: 780 } }, async (page) => {
  await focus(page, 'summary:has(#trust-now)');
  await page.keyboard.press('Enter');
  await type(page, '#ca', await authority.read('ca.pem'));
  await submit(page);
  await over(page);
  assert.equal(await text(page, '#headline'), 'Not trusted');
  assert.match(await text(page, '#sentence'), /issued the last certificate of the chain is not among those you trust/);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 360), 'nothing is wider than the screen');
  await accessible(page);
  await shoot(page, 'browser-narrow');
}));

test('what is wrong in the form, at the bridge and with the server is said in a sentence', () => visit({}, async (page) => {
  const { port } = server.demo;
  await type(page, '#port', '70000');
  await page.keyboard.press('Enter');
  assert.match(await text(page, '#problem'), /port has to be a number from 1 to 65535/);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'port');

  await type(page, '#port', '1');
  await submit(page);
  await over(page);
  assert.match(await text(page, '#sentence'), /may not connect to 127\.0\.0\.1:1: start it with --allow 127\.0\.0\.1:1/);

  server.targets.allow('127.0.0.1:1');
  await submit(page);
  await over(page);
  assert.match(await text(page, '#code'), /^ECONNREFUSED/);

  await type(page, '#port', `${port}`);
  await focus(page, 'summary:has(#protocol-now)');
  await page.keyboard.press('Enter');
  await type(page, '#alpn', 'talk/1');
  await submit(page);
  await over(page);
  assert.match(await text(page, '#code'), /NO_APPLICATION_PROTOCOL, alert no_application_protocol \(120\) received/);

  await focus(page, 'summary:has(#trust-now)');
  await page.keyboard.press('Enter');
  await type(page, '#ca', 'no PEM');
  await submit(page);
  await over(page);
  assert.match(await text(page, '#code'), /^ERR_TLS_INVALID_CERTIFICATE/);
}));

test('an answer that was cut is no whole answer, and a server without TLS is none', () => visit({}, async (page) => {
  const options = { isServer: true, cert: await authority.read('server.pem'), key: await authority.read('server.key') };
  const cutting = await listen((socket) => {
    const secured = new tls.TLSSocket(socket, options);
    // A FIN of TCP's, and no close_notify.
    secured.once('data', () => secured.write('HTTP/1.0 200 OK\r\n\r\nthe first half', () => socket.end()));
    secured.on('error', () => {});
  });
  const plain = await listen((socket) => socket.end('220 mail.test ESMTP\r\n'));
  await focus(page, 'summary:has(#trust-now)');
  await page.keyboard.press('Enter');
  await type(page, '#ca', await authority.read('ca.pem'));
  await type(page, '#port', `${cutting.port}`);
  await type(page, '#servername', 'server.test');
  await submit(page);
  await over(page);
  assert.equal(await text(page, '#headline'), 'It failed');
  assert.match(await text(page, '#code'), /^ERR_SSL_UNEXPECTED_EOF_WHILE_READING/);
  assert.match(await text(page, '#sentence'), /may have been cut short/);

  await type(page, '#port', `${plain.port}`);
  await submit(page);
  await over(page);
  assert.match(await text(page, '#code'), /^ERR_SSL_WRONG_VERSION_NUMBER/);
  cutting.close();
  plain.close();
}));

test('a connection can be stopped, and the next one works', () => visit({}, async (page) => {
  await choose(page, 'Demo: download 10 MiB');
  await type(page, '#mebibytes', '1024');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => /MiB \(/.test(document.querySelector('#traffic').textContent), null, { timeout: PATIENCE });
  await focus(page, '#stop');
  await page.keyboard.press('Enter');
  await over(page);
  assert.equal(await text(page, '#headline'), 'Stopped');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'connect');
  await choose(page, 'Demo: all is well');
  await submit(page);
  await over(page);
  assert.equal(await text(page, '#headline'), 'Trusted');
}));

/** A TCP server that the bridge may connect to. */
async function listen(onconnection) {
  const listener = net.createServer((socket) => {
    socket.on('error', () => {});
    onconnection(socket);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address();
  server.targets.allow(`127.0.0.1:${port}`);
  return { port, close: () => listener.close() };
}

/** Opens the page, and has `work` with it. Nothing may have gone wrong in the page afterwards, and nothing may have jumped. */
async function visit(options, work) {
  const { context, close } = await launch({ viewport: { width: 1280, height: 900 }, ...options });
  try {
    const wrong = [];
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    page.on('console', (message) => wrong.push(`console, ${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => wrong.push(`uncaught: ${error.stack}`));
    page.on('request', (request) => { if (!request.url().startsWith(server.url)) wrong.push(`a request to ${request.url()}`); });
    await page.addInitScript(() => {
      globalThis.shifted = 0;
      globalThis.violations = [];
      addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        globalThis.violations.push(`${violatedDirective}: ${blockedURI}`);
      });
      new PerformanceObserver((list) => {
        for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) globalThis.shifted += value;
      }).observe({ type: 'layout-shift', buffered: true });
    });
    await page.goto(server.url);
    await page.waitForSelector('#connect[aria-disabled=false]');
    await work(page);
    wrong.push(...await page.evaluate(() => globalThis.violations));
    assert.deepEqual(wrong, []);
    const shifted = await page.evaluate(() => globalThis.shifted);
    assert.ok(shifted < 0.1, `the layout shifted by ${shifted}`);
  } finally {
    await close();
  }
}

/** Goes to a control by the tab key alone. */
async function focus(page, selector) {
  const isThere = () => page.evaluate((selector) => document.activeElement === document.querySelector(selector), selector);
  for (let count = 0; count < 60; count += 1) {
    if (await isThere()) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`the tab key does not reach ${selector}`);
}

/** Replaces the text of a field. */
async function type(page, selector, value) {
  await focus(page, selector);
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText(value);
}

async function choose(page, preset) {
  await focus(page, '#preset');
  await page.keyboard.type(preset);
  assert.equal(await page.locator('#preset option:checked').textContent(), preset);
}

async function submit(page) {
  await focus(page, '#servername');
  await page.keyboard.press('Enter');
}

/** Waits for the end of the connection. */
async function over(page) {
  await page.waitForFunction(() => document.querySelector('#stop').disabled, null, { timeout: PATIENCE });
}

async function text(page, selector) {
  return (await page.locator(selector).textContent()).trim();
}

/** What axe finds to be against WCAG 2.2 AA, or its own best practice. */
async function accessible(page) {
  // The policy of the page keeps scripts out; the debugging protocol is not bound by it.
  await page.evaluate(await readFile(AXE, 'utf8'));
  const runOnly = ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const { violations } = await page.evaluate((runOnly) => globalThis.axe.run({ runOnly }), runOnly);
  const found = violations.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
  assert.deepEqual(found, []);
}

async function shoot(page, name) {
  await page.evaluate(() => document.activeElement.blur());
  await page.screenshot({ path: path.join(ARTEFACTS, `${name}.png`), fullPage: true });
}

/** How long anything may take on a busy machine, in milliseconds. */
const PATIENCE = 60000;
