// Throws in a listener and says whether that was uncaught, and whether connections go on: `throws.mjs module event`.

// Without the helpers of the other tests: node:test has an `uncaughtException` of its own.

import { once } from 'node:events';

import { authority, server as certificate } from './pki.mjs';

const [, , name, where] = process.argv;
const { default: module } = await import(name);

process.on('uncaughtException', (error) => process.stdout.write(`uncaught: ${error.message}\n`));

let thrown = false;
const fault = () => {
  if (thrown) return;
  thrown = true;
  throw new Error(`thrown in ${where}`);
};

const server = module.createServer({ key: certificate.key, cert: certificate.cert });
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const connect = (options) => module.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: authority.cert, ...options });
const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

server.on('secureConnection', (far) => {
  far.on('error', () => {});
  far.pipe(far);
});
server.on('tlsClientError', () => {});
if (['secureConnection', 'tlsClientError'].includes(where)) server.on(where, fault);

// The connection in which it happens.
const near = connect(where === 'tlsClientError' || where === 'error' ? { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' } : {});
if (where === 'error') near.on('error', fault);
else near.on('error', () => {});
if (where === 'write callback') near.write('a', fault);
else if (where === 'drain') near.write(Buffer.alloc(1 << 20));
else near.write('a');
if (!['secureConnection', 'tlsClientError', 'write callback', 'error'].includes(where)) near.on(where, fault);
near.on('data', () => {});
if (where === 'end') {
  await once(near, 'data');
  near.end();
}
while (!thrown) await pause(5);
await pause(50);
if (where === 'end') {
  // That was its last word.
} else if (where !== 'error' && where !== 'tlsClientError') {
  // The same connection.
  near.write('b');
  await once(near, 'data');
}
near.destroy();

// And another one.
const next = connect({});
next.write('c');
await once(next, 'data');
process.stdout.write('goes on\n');
process.exit(thrown ? 0 : 1);
