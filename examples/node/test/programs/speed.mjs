// How fast https and http2 are: both ends in this process, over TCP, with Node's own TLS or, under `--import guest-tls/register`, with ours.
// CA, CERT and KEY are paths of PEM files, of a certificate for `localhost`.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';

const [ca, cert, key] = ['CA', 'CERT', 'KEY'].map((name) => readFileSync(process.env[name]));
const MEBIBYTE = 1 << 20;

const secure = https.createServer({ cert, key }, (request, response) => answer(request.url, response));
const port = await listening(secure);
const agent = new https.Agent({ ca, keepAlive: true, maxSockets: 1 });
await get('/0', agent);
await time('https, 20 MiB', 1, () => get(`/${20 * MEBIBYTE}`, agent));
await time('https, a request of 1 kB', 200, () => get('/1000', agent));
await time('https, a connection and a request', 50, () => get('/1000', false));
agent.destroy();
secure.close();

const multiplexed = http2.createSecureServer({ cert, key });
multiplexed.on('stream', (stream, headers) => {
  stream.respond({ ':status': 200 });
  answer(headers[':path'], stream);
});
const session = http2.connect(`https://localhost:${await listening(multiplexed)}`, { ca });
await ask('/0');
await time('http2, 20 MiB', 1, () => ask(`/${20 * MEBIBYTE}`));
await time('http2, 10 times 2 MiB at once', 1, () => Promise.all(Array.from({ length: 10 }, () => ask(`/${2 * MEBIBYTE}`))));
session.close();
multiplexed.close();

/** Sends as many bytes as the path says. */
function answer(path, stream) {
  let left = Number(path.slice(1));
  const go = () => {
    while (left > 0) {
      const piece = Buffer.alloc(Math.min(left, 65536));
      left -= piece.length;
      if (!stream.write(piece)) return stream.once('drain', go);
    }
    return stream.end();
  };
  go();
}

async function listening(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

async function get(path, by) {
  const [response] = await once(https.get({ host: 'localhost', port, path, agent: by, ca }), 'response');
  await once(response.resume(), 'end');
}

async function ask(path) {
  const stream = session.request({ ':path': path });
  await once(stream.resume(), 'end');
}

async function time(what, times, work) {
  const started = performance.now();
  for (let at = 0; at < times; at += 1) await work();
  console.log(`${what.padEnd(40)}${((performance.now() - started) / times).toFixed(1).padStart(9)} ms`);
}
