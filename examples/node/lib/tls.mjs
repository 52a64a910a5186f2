// The module `tls`, with the component in OpenSSL's place: as an object, and its names but `rootCertificates`, which take their time.

import { checkServerIdentity } from './certificates.mjs';
import { alpnList } from './core/connection.mjs';
import { connect } from './connect.mjs';
import { guest } from './guest.mjs';
import {
  SecureContext, createSecureContext, defaults, getCACertificates, getCiphers, rootCertificates, setDefaultCACertificates, setModule,
} from './secure-context.mjs';
import { SecurePair, createSecurePair } from './secure-pair.mjs';
import { Server, createServer } from './server.mjs';
import { TLSSocket } from './tls-socket.mjs';

/** How often a peer may ask for renegotiation within `CLIENT_RENEG_WINDOW` seconds (row M8). */
const CLIENT_RENEG_LIMIT = guest().call(({ server }) => server.clientRenegLimit());
const CLIENT_RENEG_WINDOW = guest().call(({ server }) => server.clientRenegWindow());

/** Writes the protocols of ALPN, a byte of length before each, to `out.ALPNProtocols`. */
function convertALPNProtocols(protocols, out) {
  const names = alpnList(protocols);
  out.ALPNProtocols = Buffer.concat(names.flatMap((name) => {
    if (name.length > 255) throw Object.assign(new RangeError('an ALPN protocol has 255 bytes at most'), { code: 'ERR_OUT_OF_RANGE' });
    return [Buffer.of(name.length), name];
  }));
}

/** How certificates may be compressed (row O26): zlib both ways, brotli only where a peer does it. */
function getCertificateCompressionAlgorithms() {
  return ['zlib', 'brotli'];
}

const tls = {
  CLIENT_RENEG_LIMIT, CLIENT_RENEG_WINDOW, SecureContext, SecurePair, Server, TLSSocket, checkServerIdentity, connect, convertALPNProtocols,
  convertNPNProtocols: convertALPNProtocols, createSecureContext, createSecurePair, createServer, getCACertificates,
  getCertificateCompressionAlgorithms, getCiphers, setDefaultCACertificates,
  get rootCertificates() {
    return rootCertificates();
  },
};

for (const name of Object.keys(defaults)) {
  Object.defineProperty(tls, name, {
    configurable: true, enumerable: true,
    get: () => defaults[name],
    set: (value) => { defaults[name] = value; },
  });
}

setModule(tls);

export default tls;
export {
  CLIENT_RENEG_LIMIT, CLIENT_RENEG_WINDOW, SecureContext, SecurePair, Server, TLSSocket, checkServerIdentity, connect, convertALPNProtocols,
  createSecureContext, createSecurePair, createServer, getCACertificates,
  getCertificateCompressionAlgorithms, getCiphers, setDefaultCACertificates,
};
export const { DEFAULT_CIPHERS, DEFAULT_ECDH_CURVE, DEFAULT_MAX_VERSION, DEFAULT_MIN_VERSION } = defaults;
