// A page over https and a client that reads it. Nothing here knows of guest-tls: see README.md.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import https from 'node:https';

// A key and a certificate, by OpenSSL.
const pem = execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', '-', '-subj', '/CN=localhost',
  '-addext', 'subjectAltName=DNS:localhost', '-addext', 'basicConstraints=critical,CA:FALSE', '-days', '1'], { stdio: ['ignore', 'pipe', 'ignore'] });

const server = https.createServer({ key: pem, cert: pem }, (request, response) => response.end(`hello by ${request.socket.getProtocol()}\n`));
server.listen(0, '127.0.0.1');
await once(server, 'listening');

https.get({ host: '127.0.0.1', port: server.address().port, servername: 'localhost', ca: pem }, (response) => {
  console.log(response.socket.getCipher().standardName, response.socket.getPeerCertificate().subject.CN);
  response.pipe(process.stdout);
  server.close();
});
