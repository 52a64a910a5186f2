// undici, to a server as in http2.mjs: two requests over one connection, of HTTP/2 where H2=1 is in the environment.

import { Agent, request } from 'undici';

import { BODY, NAME, ca, cert, digest, key, main } from './common.mjs';

await main({ client });

async function client(port) {
  const dispatcher = new Agent({ allowH2: process.env.H2 === '1', connections: 1, connect: { ca, cert, key, servername: NAME } });
  const requests = [];
  for (let at = 0; at < 2; at += 1) {
    const { statusCode, headers, body } = await request(`https://127.0.0.1:${port}/`, { method: 'POST', body: BODY, dispatcher });
    const received = digest(Buffer.from(await body.arrayBuffer()));
    requests.push({ status: statusCode, version: headers['x-version'], sent: digest(BODY), received });
  }
  await dispatcher.close();
  return { requests };
}
