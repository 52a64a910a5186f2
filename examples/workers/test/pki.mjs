// Certificates for the tests, made by openssl.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A CA, another one that nobody trusts, and certificates of the first; `file(name)` is where openssl finds them. */
export function pki() {
  const folder = mkdtempSync(join(tmpdir(), 'guest-tls-workers-'));
  const openssl = (...words) => execFileSync('openssl', words, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const made = {};
  const read = (name) => (made[name] = { certificate: text(`${name}.pem`), key: text(`${name}.key`) });
  const text = (name) => readFileSync(join(folder, name), 'utf8');
  const issue = (name, ...more) => {
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${name}.test`,
      '-keyout', `${name}.key`, '-out', `${name}.pem`, ...more);
    read(name);
  };
  for (const name of ['ca', 'stranger']) issue(name, '-days', '2');
  const leaf = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-addext', 'basicConstraints=critical,CA:false'];
  for (const name of ['server', 'client']) issue(name, ...leaf, '-days', '2', '-addext', `subjectAltName=DNS:${name}.test`);
  expired(openssl);
  read('expired');
  return { ...made, file: (name) => join(folder, name), remove: () => rmSync(folder, { recursive: true }) };
}

/** `req -x509` takes no dates in the past. */
function expired(openssl) {
  openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'expired.key', '-out', 'expired.csr',
    '-subj', '/CN=server.test', '-addext', 'subjectAltName=DNS:server.test');
  openssl('x509', '-req', '-in', 'expired.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-copy_extensions', 'copy',
    '-days', '-1', '-out', 'expired.pem');
}
