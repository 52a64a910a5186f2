// The peer that the tests of hosts meet in workerd. It takes orders from standard input, one JSON object a line, and answers likewise:
//   {id, order: "listen", setup}         → {id, port}, and when the last connection is over {id, report}
//   {id, order: "connect", setup, port}  → {id, report}
// and {id, fault} where an order could not be carried out. Ends when its input does. The work is done by worker.mjs, in one workerd.

import readline from 'node:readline';

import { start } from './workerd.mjs';

const workerd = start('agent.capnp');
// Who waits for a port to be free.
const waiting = [];
let free;

// Whoever asked is gone.
process.stdout.on('error', () => process.exit(0));

const lines = readline.createInterface({ input: process.stdin });
lines.on('close', async () => {
  await workerd.then(({ stop }) => stop()).catch(() => {});
  process.exit(0);
});
lines.on('line', async (line) => {
  const { id, order, setup, port } = JSON.parse(line);
  const say = (message) => process.stdout.write(`${JSON.stringify({ id, ...message })}\n`);
  try {
    if (order === 'listen') await listen(setup, say);
    else say(await ask({ order, setup, port }));
  } catch (error) {
    say({ fault: String(error?.stack ?? error) });
  }
});

async function listen(setup, say) {
  const port = await take();
  try {
    await ask({ order: 'listen', setup, port });
    say({ port });
    for (let answer = {}; ;) {
      answer = await ask({ order: 'report', port });
      if (answer.report === undefined) continue;
      say(answer);
      return;
    }
  } finally {
    give(port);
  }
}

async function ask(order) {
  const { ports, log } = await workerd;
  try {
    const answer = await (await fetch(`http://127.0.0.1:${ports.orders}/`, { method: 'POST', body: JSON.stringify(order) })).json();
    if (answer.fault !== undefined) throw new Error(answer.fault);
    return answer;
  } catch (error) {
    throw new Error(`${error.message}\nworkerd said: ${log()}`, { cause: error });
  }
}

/** One of workerd's ports, whose number is in its configuration. */
async function take() {
  const { ports } = await workerd;
  free ??= Object.entries(ports).filter(([name]) => name.startsWith('tls')).map(([, port]) => port);
  return free.pop() ?? new Promise((resolve) => waiting.push(resolve));
}

function give(port) {
  const next = waiting.shift();
  if (next === undefined) free.push(port);
  else next(port);
}
