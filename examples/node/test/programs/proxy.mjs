// TLS in TLS: a proxy on https that connects everybody to one https server behind it, and https-proxy-agent as its client.

import https from 'node:https';
import net from 'node:net';

import { HttpsProxyAgent } from 'https-proxy-agent';

import { BODY, NAME, all, ca, cert, describe, digest, key, listen, main, say } from './common.mjs';

await main({ server, client });

async function server() {
  const origin = https.createServer({ ca, cert, key, requestCert: true }, (request, response) => request.pipe(response));
  origin.on('secureConnection', (socket) => say({ origin: describe(socket) }));
  const port = await listen(origin);

  const proxy = https.createServer({ cert, key });
  proxy.on('secureConnection', (socket) => say({ proxy: describe(socket) }));
  proxy.on('connect', (request, client, head) => {
    say({ connect: request.url });
    const onward = net.connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      onward.write(head);
      onward.pipe(client).pipe(onward);
    });
    onward.on('error', () => client.destroy());
    client.on('error', () => onward.destroy());
  });
  return listen(proxy);
}

function client(port) {
  const agent = new HttpsProxyAgent(`https://localhost:${port}`, { ca });
  return new Promise((resolve, reject) => {
    const request = https.request(`https://${NAME}/`, { agent, ca, cert, key, method: 'POST' }, async (response) => {
      const inner = describe(response.socket);
      resolve({ ...inner, sent: digest(BODY), received: digest(await all(response)) });
    });
    request.on('error', reject);
    request.end(BODY);
  });
}
