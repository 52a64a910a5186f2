// Runs programs of a table over whatever `node:tls` is in this process, one after the other: `run.mjs TABLE PROGRAM…`.
//
// The keys and certificates are files of GUEST_TLS_BESIDE. For each program there is a line of JSON on the standard output: its name, and
// what each side saw; under `process`, what was uncaught and whether the program came to its end by itself. One that does not ends them all.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';

const [, , table, ...names] = process.argv;

let current;
let seen;
/** How long a program may take, in milliseconds. */
const PATIENCE = 5_000;

const file = (name) => readFileSync(path.join(process.env.GUEST_TLS_BESIDE, name), 'utf8');
const raw = (name) => readFileSync(path.join(process.env.GUEST_TLS_BESIDE, name));
const identity = { key: file('server.key'), cert: file('server.crt') };
const authority = file('ca.crt');

/** What the program has started and what has not closed. */
const open = new Set();
const opened = (emitter) => {
  open.add(emitter);
  emitter.on('close', () => setImmediate(() => open.delete(emitter)));
};

const say = (side, text) => (seen[side] ??= []).push(text);

/** An error as programs tell it from others; OpenSSL has two spellings of the same alert. */
const what = (thrown) => {
  if (thrown === undefined) return 'undefined';
  if (!(thrown instanceof Error)) return `${typeof thrown} ${thrown}`;
  return (thrown.code ?? thrown.message).replace('ERR_SSL_SSL/TLS_ALERT', 'ERR_SSL_SSLV3_ALERT');
};

/** Says each of these events of an emitter. */
const watch = (side, emitter, events = ['secureConnect', 'data', 'end', 'error', 'close']) => {
  opened(emitter);
  for (const event of events) {
    emitter.on(event, (value) => {
      const shown = value instanceof Error ? what(value) : value instanceof Object && !Buffer.isBuffer(value) ? undefined : value;
      say(side, shown === undefined ? event : `${event} ${shown}`);
    });
  }
  return emitter;
};

/** A server of `make` on 127.0.0.1: its port. */
const listen = async (server) => {
  opened(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
};

/** A TLS server whose connections are told as `far`. */
const serve = async (options = {}, work = (far) => far.resume()) => {
  const server = tls.createServer({ ...identity, ...options });
  server.on('secureConnection', (far) => {
    say('far', 'secureConnection');
    watch('far', far);
    work(far);
  });
  server.on('tlsClientError', (error) => say('far', `tlsClientError ${what(error)}`));
  await listen(server);
  return server;
};

/** A TCP server, each of whose connections is wrapped in a `TLSSocket`. */
const wrap = async (options = {}, work = (far) => far.resume()) => {
  const server = net.createServer((raw) => {
    const far = new tls.TLSSocket(raw, { isServer: true, ...identity, ...options });
    work(far, raw);
  });
  await listen(server);
  return server;
};

/** A client, told as `near`. */
const connect = (server, options = {}) => {
  const given = { port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: authority, ...options };
  return watch('near', tls.connect(given));
};

const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

const until = async (condition) => {
  while (!condition()) await pause(5);
};

process.on('uncaughtException', (error) => say('process', `uncaught ${what(error)}`));
process.on('exit', tell);
function tell() {
  if (current !== undefined) process.stdout.write(`\n${JSON.stringify([current, seen])}\n`);
  current = undefined;
}

const alive = setInterval(() => {}, 1000);
const { default: rows } = await import(`./${table}.mjs`);
for (const name of names) {
  [current, seen] = [name, {}];
  open.clear();
  const patience = setTimeout(() => {
    say('process', 'hangs');
    process.exit();
  }, PATIENCE);
  patience.unref();
  await rows[name].run({ authority, connect, file, identity, listen, net, pause, raw, say, serve, tls, until, watch, what, wrap });
  while (open.size > 0) await pause(1);
  clearTimeout(patience);
  tell();
}
clearInterval(alive);
