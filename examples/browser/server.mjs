#!/usr/bin/env node
// Serves the page and the bridge on 127.0.0.1.

import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { Bridge, refuse, Targets } from './lib/bridge.mjs';
import { demo } from './lib/demo.mjs';
import { files, give, HEADERS } from './lib/site.mjs';

const USAGE = `usage: node server.mjs [--port 4433] [--allow host:port]… [--connections 16] [--no-demo]

  --port         where the page is on 127.0.0.1; 0 takes a free port
  --allow        a target that the page may connect to; may be given several times. Without it, only the demo server is one
  --connections  how many connections there may be at once
  --no-demo      start no demo server`;

/**
 * Starts the server. `allow` lists targets, `demo` says whether to start the demo server, `extra` adds files by their paths in URLs.
 * Gives its `url`, its `targets`, and `close()`.
 */
export async function start({ port = 0, allow = [], connections = 16, demo: withDemo = true, extra = {} } = {}) {
  const targets = new Targets();
  for (const target of allow) targets.allow(target);
  const bridge = new Bridge(targets, { limit: connections });
  const served = new Map([...files(), ...Object.entries(extra)]);
  const sample = withDemo ? await demo() : null;
  if (sample) targets.allow(`127.0.0.1:${sample.port}`);
  const description = JSON.stringify(sample && { host: '127.0.0.1', port: sample.port, ca: sample.ca, cert: sample.cert, key: sample.key });

  const server = http.createServer((request, response) => {
    if (!isOurs(request)) response.writeHead(403, HEADERS).end('This server answers to 127.0.0.1 and localhost only.\n');
    else if (request.url === '/demo.json') response.writeHead(200, { ...HEADERS, 'Content-Type': 'application/json' }).end(description);
    else give(served, request, response);
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {});
    if (!isOurs(request)) refuse(socket, 403, 'this server answers to 127.0.0.1 and localhost only');
    else if (request.headers.origin !== `http://${request.headers.host}`) refuse(socket, 403, 'the bridge is for its own page only');
    else if (request.url !== '/bridge') refuse(socket, 404, 'the bridge is at /bridge');
    else bridge.upgrade(request, socket, head);
  });

  try {
    await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  } catch (error) {
    // The demo server would keep the process alive.
    sample?.close();
    bridge.close();
    throw error;
  }
  const { port: bound } = server.address();
  /** A page whose name was made to point at us by DNS has its own name in `Host`. */
  function isOurs({ headers: { host } }) {
    return host === `127.0.0.1:${bound}` || host === `localhost:${bound}`;
  }
  return {
    url: `http://127.0.0.1:${bound}/`, targets, demo: sample,
    close() {
      bridge.close();
      sample?.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

async function main() {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '4433' }, allow: { type: 'string', multiple: true, default: [] },
      connections: { type: 'string', default: '16' }, 'no-demo': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const number = (name, most) => {
    const value = Number(values[name]);
    if (!/^\d+$/.test(values[name]) || value > most) throw new TypeError(`--${name} ${values[name]}: it has to be a number up to ${most}`);
    return value;
  };
  const server = await start({
    port: number('port', 65535), allow: values.allow, connections: number('connections', 1024), demo: !values['no-demo'],
  });
  console.log(`page:    ${server.url}`);
  if (server.demo) console.log(`demo:    127.0.0.1:${server.demo.port}, by node:tls`);
  for (const target of values.allow) console.log(`allowed: ${target}`);
}

if (import.meta.main ?? process.argv[1] === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    console.error(`${error.message}\n\n${USAGE}`);
    process.exitCode = 1;
  });
}
