// What the programs have in common. Each is called as `node NAME.mjs server` or `node NAME.mjs client PORT`, with the paths of PEM files in the
// environment: CA, CERT and KEY. Both print what they see as lines of JSON.

import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Whom to trust, and who we are. */
export const [ca, cert, key] = ['CA', 'CERT', 'KEY'].map((name) => readFileSync(process.env[name], 'utf8'));

/** The name that the server's certificate is for, beside `localhost`. */
export const NAME = 'server.test';

/** A mebibyte. */
export const BODY = randomBytes(1 << 20);

/** Prints a line of JSON. */
export function say(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** Does what the command line asks for: `server()` gives the port that it listens to, `client(port)` what it saw. */
export async function main({ server, client }) {
  const [role, port] = process.argv.slice(2);
  if (role === 'server') {
    say({ port: await server() });
    // Whoever has started this is gone, or has enough.
    process.stdin.on('end', () => process.exit()).resume();
    return;
  }
  // A client ends by itself when it has nothing open: one that does not has lost a connection.
  say(await client(Number(port)));
}

/** Listens on a free port of 127.0.0.1, and gives the port. */
export function listen(server) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server.address().port));
  });
}

/** What a `TLSSocket` says of its connection. */
export function describe(socket) {
  return {
    protocol: socket.getProtocol(), cipher: socket.getCipher().standardName, alpn: socket.alpnProtocol || null, authorized: socket.authorized,
    peer: socket.getPeerCertificate()?.subject?.CN ?? null, resumed: socket.isSessionReused(),
  };
}

/** How many bytes there are, and which. */
export function digest(bytes) {
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** All that a stream has. */
export async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
