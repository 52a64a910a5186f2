// Keys and certificates of the tests, made by OpenSSL's command line once per run of a test file.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Where the files are, for programs that take paths. Removed at the end of the process. */
export const folder = mkdtempSync(path.join(tmpdir(), 'guest-tls-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** A certificate authority: `{name, key, cert}`, PEM. */
export const authority = root('ca');

/** Another one that nobody here trusts. */
export const stranger = root('stranger');

/** For `localhost`, `a.test`, `*.b.test` and 127.0.0.1, by `authority`: `{name, key, cert}`, PEM. */
export const server = issue('server', { alternatives: 'DNS:localhost,DNS:a.test,DNS:*.b.test,IP:127.0.0.1' });

/** For `other.test` alone. */
export const other = issue('other', { alternatives: 'DNS:other.test' });

/** A client's, CN `client`. */
export const client = issue('client', { usage: 'clientAuth', alternatives: 'DNS:client.test' });

/** The path of a file of this name: `server.key`, `server.crt`. */
export function file(name) {
  return path.join(folder, name);
}

/** Over since 2020. */
export function expired() {
  return issue('expired', { alternatives: 'DNS:localhost,IP:127.0.0.1', dates: ['200101000000Z', '200201000000Z'] });
}

/** Signed by itself, and no authority. */
export function selfSigned() {
  const [key, cert] = [file('self.key'), file('self.crt')];
  openssl('req', '-x509', ...NEW_KEY, '-keyout', key, '-out', cert, '-subj', '/CN=self', '-days', '30', '-addext', 'subjectAltName=DNS:localhost');
  return read('self');
}

/** RSA with many names and extensions: what `getPeerCertificate` has to show. */
export function ornate() {
  return issue('ornate', {
    newKey: ['-newkey', 'rsa:2048', '-nodes'],
    subject: '/C=NL/O=One/OU=First/OU=Second/CN=localhost/emailAddress=a@b.test',
    alternatives: 'DNS:localhost,DNS:*.b.test,IP:127.0.0.1,IP:::1,URI:https://a.test/?a,email:a@b.test',
    more: 'authorityInfoAccess=OCSP;URI:http://ocsp.test/,OCSP;URI:http://ocsp2.test/,caIssuers;URI:http://ca.test/',
    usage: 'serverAuth,clientAuth',
  });
}

/** A certificate by `authority`. `dates` is the start and the end of its validity as OpenSSL's `ca` takes them. */
export function issue(name, { alternatives, usage = 'serverAuth', subject = `/CN=${name}`, more = '', dates, newKey = NEW_KEY }) {
  openssl('req', '-new', ...newKey, '-keyout', file(`${name}.key`), '-out', file(`${name}.csr`), '-subj', subject);
  const lines = ['[own]', 'basicConstraints=critical,CA:FALSE', `extendedKeyUsage=${usage}`, `subjectAltName=${alternatives}`, more];
  const database = path.join(folder, `${name}.db`);
  mkdirSync(database);
  writeFileSync(path.join(database, 'index.txt'), '');
  writeFileSync(file(`${name}.cnf`), [
    '[ca]', 'default_ca=this', '[this]', `database=${database}/index.txt`, `new_certs_dir=${database}`, 'rand_serial=yes', 'default_md=sha256',
    'policy=any', 'email_in_dn=yes', 'unique_subject=no', '[any]', 'C=optional', 'O=optional', 'OU=optional', 'CN=supplied', 'emailAddress=optional', ...lines, '',
  ].join('\n'));
  const validity = dates ? ['-startdate', dates[0], '-enddate', dates[1]] : ['-days', '30'];
  openssl('ca', '-batch', '-notext', '-config', file(`${name}.cnf`), '-extensions', 'own', '-in', file(`${name}.csr`), '-out', file(`${name}.crt`),
    '-cert', file('ca.crt'), '-keyfile', file('ca.key'), ...validity);
  return read(name);
}

/** Writes PKCS#12 of the key and the certificate of this name, with the authority's. */
export function pfx(path, name, password) {
  openssl('pkcs12', '-export', '-in', file(`${name}.crt`), '-inkey', file(`${name}.key`), '-certfile', file('ca.crt'), '-out', path, '-password', `pass:${password}`);
}

function root(name) {
  openssl('req', '-x509', ...NEW_KEY, '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`), '-subj', `/CN=guest-tls ${name}`, '-days', '30',
    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
  return read(name);
}

function read(name) {
  return { name, key: readFileSync(file(`${name}.key`), 'utf8'), cert: readFileSync(file(`${name}.crt`), 'utf8') };
}

function openssl(...args) {
  return execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
}

