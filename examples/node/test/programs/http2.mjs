// Node's http2: a server that also speaks HTTP/1.1, and a client with several streams over one connection.

import http2 from 'node:http2';

import { BODY, NAME, all, ca, cert, describe, digest, key, listen, main, say } from './common.mjs';

await main({ server, client });

function server() {
  const echo = http2.createSecureServer({ ca, cert, key, requestCert: true, rejectUnauthorized: false, allowHTTP1: true }, (request, response) => {
    // As an application sees it, through the compatibility layer.
    const { encrypted, alpnProtocol, authorized } = request.socket;
    const { httpVersion } = request;
    response.setHeader('x-version', httpVersion);
    response.setHeader('x-connection', JSON.stringify({ encrypted, alpn: alpnProtocol, authorized, protocol: request.socket.getProtocol() }));
    request.pipe(response);
  });
  echo.on('secureConnection', (socket) => say(describe(socket)));
  echo.on('session', (session) => say({ session: { alpn: session.alpnProtocol, encrypted: session.encrypted } }));
  return listen(echo);
}

async function client(port) {
  const session = http2.connect(`https://127.0.0.1:${port}`, { ca, cert, key, servername: NAME });
  await new Promise((resolve, reject) => session.once('connect', resolve).once('error', reject));
  const { alpnProtocol, encrypted, originSet } = session;
  const connection = describe(session.socket);
  const streams = await Promise.all([post(session), post(session), post(session)]);
  await new Promise((resolve) => { session.close(resolve); });
  return { ...connection, session: { alpn: alpnProtocol, encrypted, originSet }, sent: digest(BODY), streams };
}

async function post(session) {
  const stream = session.request({ ':method': 'POST', ':path': '/' });
  stream.end(BODY);
  const headers = await new Promise((resolve, reject) => stream.once('response', resolve).once('error', reject));
  return { status: headers[':status'], connection: JSON.parse(headers['x-connection']), received: digest(await all(stream)) };
}
