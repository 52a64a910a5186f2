// OpenSSL's tools as peers.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';

/** `openssl s_client`: gives what it printed when it has ended. `input` is written at once. */
export async function sClient(port, words, input) {
  const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'server.test', ...words]);
  return conversation(child, input);
}

/**
 * `openssl s_server` on a free port: `{port, output, stop}`, `output` a promise of what it printed. `input` is written when it has printed
 * `when`: as long as it has something to send, it does the handshake without saying what came of it.
 */
export async function sServer(words, input, when = 'ACCEPT') {
  const port = await freePort();
  const child = spawn('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, ...words]);
  const output = conversation(child, input, when);
  await new Promise((resolve, reject) => {
    child.stdout.on('data', (piece) => piece.includes('ACCEPT') && resolve());
    output.then(({ text }) => reject(new Error(text)));
  });
  return { port, output, stop: () => child.kill() };
}

async function conversation(child, input, when) {
  const pieces = [];
  let errors = '';
  child.stdout.on('data', (piece) => pieces.push(piece));
  child.stderr.on('data', (piece) => (errors += piece));
  child.stdin.on('error', () => {});
  const write = () => {
    if (when !== undefined && !Buffer.concat(pieces).includes(when)) return;
    child.stdout.off('data', write);
    child.stdin.write(input);
  };
  if (input !== undefined) {
    child.stdout.on('data', write);
    if (when === undefined) write();
  }
  await once(child, 'close');
  const output = Buffer.concat(pieces);
  // The tools print ASCII, and peers send bytes with the upper bit set.
  return { text: output.filter((byte) => byte < 0x80).toString('latin1') + errors, data: output.filter((byte) => byte >= 0x80) };
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
