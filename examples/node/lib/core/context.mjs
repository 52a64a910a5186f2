// Node's options of a context (rows O1 to O12, O18, O19, O25, O26) in the component's words.

import { bytes, list } from './bytes.mjs';
import { failure } from './errors.mjs';

/**
 * Makes a `secure-context` of the component by Node's options of `createSecureContext`. Throws Node's errors.
 *
 * Beside Node's there is `compat` (see `set-compat`). `minVersion` may name an older version than TLS 1.2: what is spoken is TLS 1.2 at
 * least all the same. Options that only a native OpenSSL could carry out are refused.
 */
export function createContext(guest, options = {}) {
  refuse(options);
  return guest.call(({ secureContext: { SecureContext, SecureContextOptions } }) => {
    const made = new SecureContextOptions();
    credentials(made, options);
    versions(made, options);
    for (const [name, set] of Object.entries(SETTERS)) {
      if (options[name] !== undefined && options[name] !== null) set(made, options[name]);
    }
    return SecureContext.create(made);
  });
}

function credentials(made, { key, cert, ca, pfx, crl, passphrase, sigalgs }) {
  const secret = (own) => {
    const value = own ?? passphrase;
    return value === undefined || value === null ? undefined : bytes(value, 'passphrase');
  };
  // As in Node, a key, a certificate and an authority that are false or empty are not given.
  for (const one of list(cert || undefined)) made.addCert(bytes(one, 'cert'));
  for (const one of list(key || undefined)) made.addKey(bytes(one?.pem ?? one, 'key'), secret(one?.passphrase));
  for (const one of list(pfx)) made.addPfx(bytes(one?.buf ?? one, 'pfx'), secret(one?.passphrase));
  for (const one of list(ca || undefined)) made.addCa(bytes(one, 'ca'));
  for (const one of list(crl)) made.addCrl(bytes(one, 'crl'));
  if (sigalgs !== undefined && sigalgs !== null) {
    if (typeof sigalgs !== 'string') throw failure('ERR_INVALID_ARG_TYPE', `sigalgs has to be a string, not ${typeof sigalgs}`);
    if (sigalgs === '') throw failure('ERR_INVALID_ARG_VALUE', 'sigalgs is empty: name a signature scheme, or leave it out');
    made.setSigalgs(sigalgs);
  }
}

function versions(made, { minVersion, maxVersion, secureProtocol, secureOptions = 0 }) {
  if (secureProtocol) {
    if (minVersion || maxVersion) {
      const both = `secureProtocol ${secureProtocol} and ${minVersion ? 'minVersion' : 'maxVersion'} can't be given together`;
      throw failure('ERR_TLS_PROTOCOL_VERSION_CONFLICT', both);
    }
    made.setSecureProtocol(text(secureProtocol, 'secureProtocol'));
    return;
  }
  const known = (version, name) => {
    if (Object.hasOwn(VERSIONS, version)) return VERSIONS[version];
    const names = Object.keys(VERSIONS).join(', ');
    throw failure('ERR_TLS_INVALID_PROTOCOL_VERSION', `${name} ${JSON.stringify(version)} is no version: it has to be one of ${names}`);
  };
  const least = minVersion ? known(minVersion, 'minVersion') : undefined;
  const most = maxVersion ? known(maxVersion, 'maxVersion') : undefined;
  if (most === OLD) {
    throw failure('ERR_TLS_INVALID_PROTOCOL_VERSION', `maxVersion ${maxVersion} is not supported (RFC 8996): it has to be TLSv1.2 or TLSv1.3`);
  }
  const no12 = (secureOptions & SSL_OP_NO_TLSV1_2) !== 0;
  const no13 = (secureOptions & SSL_OP_NO_TLSV1_3) !== 0;
  if (no12) made.setMinVersion('tls13');
  else if (least !== undefined && least !== OLD) made.setMinVersion(least);
  if (no13) made.setMaxVersion('tls12');
  else if (most !== undefined) made.setMaxVersion(most);
}

function refuse(options) {
  if (options.pskCallback) {
    throw failure('ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', 'pskCallback: external pre-shared keys are not supported; authenticate by certificates');
  }
  for (const name of ['clientCertEngine', 'privateKeyEngine', 'privateKeyIdentifier']) {
    if (options[name]) {
      throw failure('ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED', `${name}: a component has no OpenSSL engines; give the key by the option key`);
    }
  }
}

const SETTERS = {
  allowPartialTrustChain: (made, allow) => made.setAllowPartialTrustChain(Boolean(allow)),
  certificateCompression: (made, algorithms) => made.setCertificateCompression(compressions(list(algorithms))),
  ciphers: (made, ciphers) => made.setCiphers(text(ciphers, 'ciphers')),
  compat: (made, compat) => made.setCompat(Boolean(compat)),
  dhparam: (made, parameters) => made.setDhparam(bytes(parameters, 'dhparam')),
  ecdhCurve: (made, groups) => made.setEcdhCurve(text(groups, 'ecdhCurve')),
  honorCipherOrder: (made, honor) => made.setHonorCipherOrder(Boolean(honor)),
  sessionIdContext: (made, context) => made.setSessionIdContext(bytes(context, 'sessionIdContext')),
  sessionTimeout: (made, seconds) => made.setSessionTimeout(whole(seconds, 'sessionTimeout')),
  ticketKeys(made, keys) {
    if (typeof keys === 'string') throw failure('ERR_INVALID_ARG_TYPE', 'ticketKeys has to be a buffer or a view of one, not a string');
    made.setTicketKeys(bytes(keys, 'ticketKeys'));
  },
};

function text(value, name) {
  if (typeof value === 'string') return value;
  throw failure('ERR_INVALID_ARG_TYPE', `${name} has to be a string, not ${value === null ? 'null' : typeof value}`);
}

/** Node has zstd as well: a peer that has nothing else in common gets its certificates uncompressed. */
function compressions(names) {
  for (const name of names) {
    if (!COMPRESSIONS.includes(name)) {
      throw failure('ERR_INVALID_ARG_VALUE', `certificateCompression ${JSON.stringify(name)} has to be one of ${COMPRESSIONS.join(', ')}`);
    }
  }
  return names.filter((name) => name !== 'zstd');
}

function whole(value, name) {
  if (typeof value !== 'number') throw failure('ERR_INVALID_ARG_TYPE', `${name} has to be a number, not ${typeof value}`);
  if (Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value;
  throw failure('ERR_OUT_OF_RANGE', `${name} has to be a whole number of seconds, and is ${value}`);
}

const COMPRESSIONS = ['zlib', 'brotli', 'zstd'];

/** A version that is never spoken. */
const OLD = 'old';

const VERSIONS = { 'TLSv1': OLD, 'TLSv1.1': OLD, 'TLSv1.2': 'tls12', 'TLSv1.3': 'tls13' };

/** Bits of `secureOptions`; the others are about what is never spoken, or have an option of their own. */
const SSL_OP_NO_TLSV1_2 = 0x08000000;
const SSL_OP_NO_TLSV1_3 = 0x20000000;
