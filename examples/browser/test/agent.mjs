// The page's TLS as a peer of the tests of hosts, in headless Chromium. It takes orders from standard input, one JSON object a line:
//   {id, order: "connect", setup, port}  → {id, report}
//   {id, order: "listen", setup}         → {id, fault}: a page can't listen
// Ends when its input does.

import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

import { start } from '../server.mjs';
import { launch } from './chromium.mjs';

const exchange = fileURLToPath(new URL('exchange-worker.mjs', import.meta.url));
const server = await start({ demo: false, connections: 64, extra: { '/exchange-worker.mjs': exchange } });
const { context, close } = await launch();
const page = context.pages()[0] ?? await context.newPage();
await page.goto(server.url);
await page.evaluate(() => {
  const worker = new Worker('/exchange-worker.mjs', { type: 'module' });
  const waiting = new Map();
  worker.onmessage = ({ data }) => {
    waiting.get(data.id)(data);
    waiting.delete(data.id);
  };
  worker.onerror = ({ message }) => {
    for (const [id, answer] of waiting) answer({ id, fault: `the worker failed: ${message}` });
    waiting.clear();
  };
  globalThis.exchange = (order) => new Promise((resolve) => {
    waiting.set(order.id, resolve);
    worker.postMessage(order);
  });
});

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
// Whoever asked is gone.
process.stdout.on('error', () => process.exit(0));

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', async (line) => {
  const { id, order, setup, port } = JSON.parse(line);
  try {
    if (order !== 'connect') throw new Error('a page in a browser can\'t listen: it has no sockets, and the bridge only dials');
    say(await connect({ id, setup, port }));
  } catch (error) {
    say({ id, fault: String(error) });
  }
});
lines.on('close', async () => {
  await close();
  server.close();
});

/** Has the exchange in the page's worker. */
function connect(order) {
  server.targets.allow(`127.0.0.1:${order.port}`);
  return page.evaluate((order) => globalThis.exchange(order), order);
}
