// express over https: what the application knows of the connection, and a body up and down.

import https from 'node:https';
import { once } from 'node:events';

import express from 'express';

import { BODY, NAME, all, ca, cert, describe, digest, key, listen, main, say } from './common.mjs';

await main({ server, client });

function server() {
  const app = express();
  app.get('/', (request, response) => {
    response.json({ secure: request.secure, protocol: request.protocol, hostname: request.hostname, ...describe(request.socket) });
  });
  app.post('/', express.raw({ limit: BODY.length }), (request, response) => response.send(request.body));
  const listening = https.createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: false }, app);
  listening.on('secureConnection', (socket) => say(describe(socket)));
  return listen(listening);
}

async function client(port) {
  const agent = new https.Agent({ ca, cert, key, servername: NAME, keepAlive: true });
  const address = { host: '127.0.0.1', port, agent, headers: { host: `${NAME}:${port}` } };
  const [answer] = await once(https.get(address), 'response');
  const view = JSON.parse(await all(answer));
  const post = https.request({ ...address, method: 'POST', headers: { ...address.headers, 'content-type': 'application/octet-stream' } });
  post.end(BODY);
  const [echoed] = await once(post, 'response');
  const received = digest(await all(echoed));
  agent.destroy();
  return { view, reused: post.reusedSocket, sent: digest(BODY), received };
}
