// OpenSSL's command line as the peer, and as the maker of certificates.

import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A folder with a CA (`ca.pem`) and, signed by it, certificates and keys for `server.test` and `client.test`. */
export class Authority {
  static async create() {
    const authority = new Authority(await mkdtemp(path.join(tmpdir(), 'guest-tls-browser-')));
    await authority.#make('ca', ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign']);
    for (const name of ['server', 'client']) {
      await authority.#make(name, [
        '-CA', authority.file('ca.pem'), '-CAkey', authority.file('ca.key'), '-addext', `subjectAltName=DNS:${name}.test`,
        '-addext', 'basicConstraints=critical,CA:FALSE', '-addext', `extendedKeyUsage=${name}Auth`,
      ]);
    }
    return authority;
  }

  constructor(folder) {
    this.folder = folder;
  }

  file(name) {
    return path.join(this.folder, name);
  }

  read(name) {
    return readFile(this.file(name), 'utf8');
  }

  remove() {
    return rm(this.folder, { recursive: true, force: true });
  }

  async #make(name, options) {
    const config = this.file('openssl.cnf');
    await writeFile(config, '[req]\ndistinguished_name = name\n[name]\n');
    await run('openssl', [
      'req', '-x509', '-config', config, '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-subj', `/CN=${name}.test`, '-keyout', this.file(`${name}.key`), '-out', this.file(`${name}.pem`), ...options,
    ]);
  }
}

/**
 * `openssl s_server` on a free port, for `connections` connections. It sends `bytes` random bytes with the upper bit set in the last of
 * them. Gives `port`, and `over`: a promise of what it sent and received, as `{bytes, sha256}`, and of all it printed.
 */
export async function serve(authority, { options = [], bytes = 0, connections = 1 } = {}) {
  const child = spawn('openssl', [
    's_server', '-accept', '127.0.0.1:0', '-naccept', `${connections}`, '-cert', authority.file('server.pem'),
    '-key', authority.file('server.key'), ...options,
  ]);
  const said = [];
  const payload = randomBytes(bytes).map((byte) => byte | 0x80);
  let errors = '';
  child.stderr.on('data', (text) => { errors += text; });
  // The other side may be gone first.
  child.stdin.on('error', () => {});
  let isSent = bytes === 0;
  const port = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => reject(new Error(`openssl s_server ended with ${code}: ${errors}`)));
    child.stdout.on('data', (piece) => {
      said.push(piece);
      const text = Buffer.concat(said.slice(0, 8)).toString('latin1');
      const found = /^ACCEPT 127\.0\.0\.1:(\d+)/m.exec(text);
      if (found) resolve(Number(found[1]));
      // Where there is something to send before the handshake is done, it does not print what was agreed on.
      if (!isSent && text.includes('CIPHER is')) {
        isSent = true;
        child.stdin.write(payload);
      }
    });
  });
  const over = new Promise((resolve) => child.once('close', () => {
    const all = Buffer.concat(said);
    // All that it says by itself is ASCII.
    const received = all.filter((byte) => byte >= 0x80);
    resolve({ sent: tally(payload), received: tally(received), text: all.filter((byte) => byte < 0x80).toString('latin1') + errors });
  }));
  return { port, over, kill: () => child.kill() };
}

function tally(bytes) {
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}
