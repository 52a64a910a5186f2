// Makes a CA and certificates of it with openssl, where there are none in `keys/` yet, and runs both Workers with them.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import workerd from 'workerd';

const keys = fileURLToPath(new URL('keys/', import.meta.url));

if (!existsSync(keys)) {
  mkdirSync(keys);
  const openssl = (...words) => execFileSync('openssl', words, { cwd: keys, stdio: ['ignore', 'ignore', 'pipe'] });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-days', '30', '-subj', '/CN=workers CA', '-keyout', 'ca.key', '-out', 'ca.pem');
  for (const name of ['client', 'server']) {
    openssl('req', '-x509', ...key, '-days', '30', '-subj', `/CN=${name}.test`, '-CA', 'ca.pem', '-CAkey', 'ca.key',
      '-addext', 'basicConstraints=critical,CA:false', '-addext', `subjectAltName=DNS:${name}.test`,
      '-keyout', `${name}.key`, '-out', `${name}.pem`);
  }
}

const read = (name) => readFileSync(keys + name, 'utf8');
const env = {
  ...process.env,
  TARGET: '127.0.0.1:8443', SERVERNAME: 'server.test',
  CLIENT_CA: read('ca.pem'), CLIENT_CERT: read('client.pem'), CLIENT_KEY: read('client.key'),
  SERVER_CLIENT_AUTH: 'required', SERVER_CA: read('ca.pem'), SERVER_CERT: read('server.pem'), SERVER_KEY: read('server.key'),
};
const child = spawn(workerd.default, ['serve', 'config.capnp'], { cwd: new URL('.', import.meta.url), env, stdio: 'inherit' });
child.on('exit', (code) => process.exit(code ?? 1));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill());
