// The same test over the drop-in and over Node's own module.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, test } from 'node:test';
import nodes from 'node:tls';

import ours from 'guest-tls';

import { authority, server as certificate } from './pki.mjs';

export { nodes, ours };

/** Who is who in a row. `node:tls` on both sides says what the drop-in has to do. */
export const ROLES = [
  { name: 'guest-tls to guest-tls', clients: ours, servers: ours },
  { name: 'guest-tls to node:tls', clients: ours, servers: nodes },
  { name: 'node:tls to guest-tls', clients: nodes, servers: ours },
  { name: 'node:tls to node:tls', clients: nodes, servers: nodes },
];

/** The two modules, for what needs no peer. */
export const MODULES = [{ name: 'guest-tls', module: ours }, { name: 'node:tls', module: nodes }];

/** One test for each of the roles. */
export function both(name, work, { roles = ROLES, timeout = 15_000 } = {}) {
  for (const role of roles) test(`${name} (${role.name})`, { timeout }, (context) => work(role, context));
}

/** A server of `module` that listens on 127.0.0.1, and is closed with its connections after the test. */
export async function listening(module, options = {}, listener = undefined) {
  const server = module.createServer({ key: certificate.key, cert: certificate.cert, ...options }, listener);
  const open = new Set();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  server.port = server.address().port;
  return server;
}

/** A listener of `secureConnection`. Node's server sends no close_notify where it ends within the listener itself. */
export function hello(far) {
  far.on('error', () => {});
  setImmediate(() => far.end('hello'));
}

/** A client of `module`, which is destroyed after the test. */
export function connect(module, port, options = {}, callback = undefined) {
  const socket = module.connect({ port, host: '127.0.0.1', servername: 'localhost', ca: authority.cert, ...options }, callback);
  cleanups.push(() => socket.destroy());
  return socket;
}

/** The two ends of a connection after their handshakes: `{server, near, far}`; `near` is the client's end. */
export async function connected(clients, servers, { client = {}, server: options = {} } = {}) {
  const server = await listening(servers, options);
  const accepted = once(server, 'secureConnection');
  const near = connect(clients, server.port, client);
  await once(near, 'secureConnect');
  const [far] = await accepted;
  return { server, near, far };
}

/** The events of an emitter, in the order in which they come, as they are named. */
export function record(emitter, names, into = []) {
  for (const name of names) emitter.on(name, (...args) => into.push([name, ...args.map(plain)]));
  return into;
}

/** Resolves to the event's first argument; an `error` is an event like any other. */
export function heard(emitter, event) {
  return new Promise((resolve) => { emitter.once(event, (...args) => resolve(args.length > 1 ? args : args[0])); });
}

/** A TCP server that does what `work` says with each connection. */
export async function tcp(work) {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    cleanups.push(() => socket.destroy());
    work(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => server.close());
  return server.address().port;
}

/** After the test: what it started ends. */
export function cleanup(work) {
  cleanups.push(work);
}

/** The error that the calls gives, with what programs look at. */
export function thrown(work) {
  try {
    work();
  } catch (error) {
    return { name: error.name, code: error.code };
  }
  return undefined;
}

/** Waits until `condition` holds. */
export async function until(condition, what = String(condition), milliseconds = 10_000) {
  const end = Date.now() + milliseconds;
  while (!condition()) {
    assert(Date.now() < end, `never came true: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
}

/** Lets what is under way happen. */
export function pause(milliseconds) {
  return new Promise((resolve) => { setTimeout(resolve, milliseconds); });
}

function plain(value) {
  return value instanceof Error ? value.code : value;
}

const cleanups = [];
after(() => { for (const work of cleanups) work(); });
