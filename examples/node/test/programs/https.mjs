// Node's https: a server that asks for a certificate and echoes; a client with an agent that keeps connections, one that does not and resumes
// sessions instead, and the global agent.

import https from 'node:https';

import { BODY, NAME, all, ca, cert, describe, digest, key, listen, main, say } from './common.mjs';

await main({ server, client });

function server() {
  const echo = https.createServer({ ca, cert, key, requestCert: true }, (request, response) => request.pipe(response));
  echo.on('secureConnection', (socket) => say(describe(socket)));
  return listen(echo);
}

async function client(port) {
  const identity = { ca, cert, key, servername: NAME };
  const seen = {};

  const keeping = new https.Agent({ ...identity, keepAlive: true, maxSockets: 1 });
  const [first, second, third] = [await post(port, keeping), await post(port, keeping), await post(port, keeping)];
  keeping.destroy();
  seen.kept = first;
  seen.reused = [first.reused, second.reused, third.reused];

  const closing = new https.Agent(identity);
  seen.closed = [await post(port, closing), await post(port, closing)];

  Object.assign(https.globalAgent.options, identity);
  seen.global = await post(port);
  https.globalAgent.destroy();
  return seen;
}

function post(port, agent) {
  return new Promise((resolve, reject) => {
    const request = https.request({ host: '127.0.0.1', port, agent, method: 'POST' }, async (response) => {
      // When the response is over, the socket may be another's.
      const connection = describe(response.socket);
      const received = digest(await all(response));
      resolve({ ...connection, reused: request.reusedSocket, sent: digest(BODY), received });
    });
    request.on('error', reject);
    request.end(BODY);
  });
}
