// ws: a WebSocket server on https that echoes, and a client.

import { once } from 'node:events';
import https from 'node:https';

import WebSocket, { WebSocketServer } from 'ws';

import { BODY, NAME, ca, cert, describe, digest, key, listen, main, say } from './common.mjs';

await main({ server, client });

function server() {
  const below = https.createServer({ ca, cert, key, requestCert: true });
  const sockets = new WebSocketServer({ server: below });
  sockets.on('connection', (socket, request) => {
    say(describe(request.socket));
    socket.on('error', (error) => say({ error: String(error) }));
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.on('close', (code, reason) => say({ closed: code, reason: String(reason) }));
  });
  return listen(below);
}

async function client(port) {
  const socket = new WebSocket(`wss://localhost:${port}/`, { ca, cert, key, servername: NAME });
  const [[response]] = await Promise.all([once(socket, 'upgrade'), once(socket, 'open')]);
  const connection = describe(response.socket);
  socket.send('hello');
  const [text] = await once(socket, 'message');
  socket.send(BODY);
  const [echoed] = await once(socket, 'message');
  socket.close(1000, 'enough');
  const [code] = await once(socket, 'close');
  return { ...connection, text: String(text), sent: digest(BODY), received: digest(echoed), closed: code };
}
