// Measures the page in headless Chromium against the demo server: node test/speed.mjs

import { start } from '../server.mjs';
import { launch } from './chromium.mjs';

const HANDSHAKES = 9;
const MEBIBYTES = 50;

const server = await start();
const { context, close } = await launch();
const page = context.pages()[0] ?? await context.newPage();
await page.goto(server.url);
await page.waitForSelector('#connect[aria-disabled=false]');

console.log(`component     ${await text('#component')}`);
await choose('Demo: all is well');
// The engine compiles what is hot while it runs.
await connect();
for (const [what, resume] of [['full', false], ['resumed', true]]) {
  await page.evaluate((resume) => { document.querySelector('#resume').checked = resume; }, resume);
  const times = [];
  for (let count = 0; count < HANDSHAKES; count += 1) {
    await connect();
    times.push(Number.parseFloat(await text('[data-fact=time]')));
  }
  const group = await text('[data-fact=group]');
  console.log(`handshake     ${what.padEnd(8)} ${median(times).toFixed(1)} ms, the median of ${HANDSHAKES}, ${group}`);
}
for (const kind of ['download', 'upload', 'echo']) {
  await page.selectOption('#kind', kind);
  await page.fill('#mebibytes', `${MEBIBYTES}`);
  await connect();
  console.log(`${kind.padEnd(13)} ${(await text('#traffic')).split(' On the wire')[0]} ${await text('[data-fact=suite]')}`);
}
await close();
server.close();

async function choose(label) {
  await page.selectOption('#preset', { label });
}

async function connect() {
  await page.click('#connect');
  await page.waitForFunction(() => document.querySelector('#stop').disabled, null, { timeout: 120000 });
  const headline = await text('#headline');
  if (headline !== 'Trusted') throw new Error(`${headline}: ${await text('#sentence')}`);
}

async function text(selector) {
  return (await page.locator(selector).textContent()).trim();
}

function median(values) {
  return values.sort((one, other) => one - other)[values.length >> 1];
}
