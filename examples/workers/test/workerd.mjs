// Runs workerd.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

import workerd from 'workerd';

/**
 * Starts workerd with a configuration and waits until it listens. Gives `{ports, stop, log}`: the ports by the names of the sockets, a
 * function that ends it, and one that gives what it said so far. It ends with this process at the latest, however that ends.
 */
export async function start(config, env = {}, words = []) {
  const command = [workerd.default, 'serve', fileURLToPath(new URL(config, import.meta.url)), '--control-fd=3', ...words];
  const child = spawn('sh', ['-c', SCRIPT, 'sh', ...command], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => (said += piece));
  const ended = once(child, 'close');
  const stop = async () => {
    child.stdin.end();
    await ended;
  };
  const ports = {};
  const expected = readFileSync(new URL(config, import.meta.url), 'utf8').match(/address = "/g).length;
  for await (const line of readline.createInterface({ input: child.stdio[3] })) {
    const { event, socket, port } = JSON.parse(line);
    if (event === 'listen') ports[socket] = port;
    if (Object.keys(ports).length === expected) return { ports, stop, log: () => said };
  }
  throw new Error(`workerd ended before it listened: ${said}`);
}

/** Ends workerd when its own input ends, as it does with this process even if that is killed; and ends when workerd does. */
const SCRIPT = `
exec 4<&0
"$@" 4<&- &
workerd=$!
{ read -r _ <&4; kill $workerd; } >/dev/null 2>&1 3>&- &
reader=$!
exec 4<&-
wait $workerd
kill $reader 2>/dev/null
`;
