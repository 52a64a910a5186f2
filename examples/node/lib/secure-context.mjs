// Credentials and policy (rows M1, M2, M9, M10).

import { readFileSync } from 'node:fs';

import { list } from './core/bytes.mjs';
import { createContext } from './core/context.mjs';
import { VERSIONS } from './core/connection.mjs';
import { failure } from './core/errors.mjs';
import { guest } from './guest.mjs';

/** An immutable set of credentials, for any number of connections. Made by `createSecureContext`. */
export class SecureContext {
  #options;
  #hasCertificate;
  #made = new WeakMap();

  constructor(options) {
    this.#options = { ...options };
    this.#hasCertificate = list(options.cert || undefined).length > 0 || list(options.pfx).length > 0;
    this.in(guest());
  }

  /** The `secure-context` in this instance of the component: instances come and go, and a context lives in one. */
  in(instance) {
    if (!this.#made.has(instance)) this.#made.set(instance, createContext(instance, this.#options));
    return this.#made.get(instance);
  }

  /** Whether a server can be made of it. */
  get hasCertificate() {
    return this.#hasCertificate;
  }

  /** Sentences about options that have no effect. */
  get warnings() {
    const instance = guest();
    return instance.call(() => this.in(instance).warnings());
  }
}

/**
 * Makes a `SecureContext` by Node's options. Where `ca` is not given, the default certificates are trusted: see
 * `setDefaultCACertificates`. Throws Node's errors.
 */
export function createSecureContext(options = {}) {
  if (options === null || typeof options !== 'object') {
    throw failure('ERR_INVALID_ARG_TYPE', `options has to be an object, not ${options === null ? 'null' : typeof options}`);
  }
  const whole = {
    ...options,
    minVersion: options.minVersion ?? (options.secureProtocol ? undefined : defaults.DEFAULT_MIN_VERSION),
    maxVersion: options.maxVersion ?? (options.secureProtocol ? undefined : defaults.DEFAULT_MAX_VERSION),
    ciphers: options.ciphers ?? defaults.DEFAULT_CIPHERS,
    ecdhCurve: options.ecdhCurve ?? defaults.DEFAULT_ECDH_CURVE,
    ca: list(options.ca || undefined).length > 0 ? options.ca : defaultRoots(),
  };
  const plain = CREDENTIALS.every((name) => options[name] === undefined || options[name] === null);
  if (!plain) return warned(new SecureContext(whole));
  // A client with nothing of its own makes the same context for every connection, and Mozilla's roots take time to read.
  const key = JSON.stringify([...PLAIN.map((name) => whole[name]), generation]);
  if (common?.key !== key) common = { key, context: warned(new SecureContext(whole)) };
  return common.context;
}

/** Makes a context by what the module has as `createSecureContext` now: programs put their own there, and Node's `tls` asks it too. */
export function contextOf(options) {
  return module.createSecureContext(options);
}

/** Says which object is the module `tls` of this process. */
export function setModule(object) {
  module = object;
}

/** `context`, if it is one of ours. */
export function ours(context, name) {
  if (context instanceof SecureContext) return context;
  if (context?.context instanceof SecureContext) return context.context;
  throw failure('ERR_TLS_INVALID_CONTEXT', `${name} has to be a SecureContext of guest-tls: make it by its createSecureContext`);
}

/** The names of all cipher suites (row M1). */
export function getCiphers() {
  return ask((context) => context.ciphers());
}

/** What holds where nothing else is said (row M9). They can be set, as in Node. */
export const defaults = {
  DEFAULT_CIPHERS: ask((context) => context.defaultCiphers()),
  DEFAULT_ECDH_CURVE: ask((context) => context.defaultEcdhCurve()),
  DEFAULT_MIN_VERSION: VERSIONS[ask((context) => context.defaultMinVersion())],
  DEFAULT_MAX_VERSION: VERSIONS[ask((context) => context.defaultMaxVersion())],
};

/** Mozilla's roots as of the component's build, PEM (row M10). */
export function rootCertificates() {
  bundled ??= Object.freeze(guest().call(({ certificate }) => certificate.rootCertificates()));
  return bundled;
}

/** The certificates of a kind, PEM (row M10): `default`, `bundled`, `extra` (those of NODE_EXTRA_CA_CERTS) or `system`. */
export function getCACertificates(type = 'default') {
  switch (type) {
    case 'bundled': return rootCertificates();
    case 'extra': return Object.freeze(extra());
    case 'default':
      if (trusted?.generation !== generation) trusted = { generation, list: Object.freeze([...(chosen ?? [...rootCertificates(), ...extra()])]) };
      return trusted.list;
    case 'system':
      throw failure('ERR_FEATURE_UNAVAILABLE_ON_PLATFORM', 'guest-tls does not read the system\'s certificates: give them by setDefaultCACertificates');
    default: throw failure('ERR_INVALID_ARG_VALUE', `type ${JSON.stringify(type)} has to be default, bundled, extra or system`);
  }
}

/** What is trusted from now on where `ca` is not given (row M10): PEM, each a string or a view of bytes. */
export function setDefaultCACertificates(certificates) {
  if (!Array.isArray(certificates)) throw failure('ERR_INVALID_ARG_TYPE', `certs has to be an array, not ${typeof certificates}`);
  const texts = certificates.map((one) => (typeof one === 'string' ? one : new TextDecoder().decode(one)));
  // Says what is wrong with them, before they are taken.
  for (const one of texts) guest().call(({ certificate }) => certificate.parse(new TextEncoder().encode(one)));
  chosen = [...new Set(texts)];
  generation += 1;
}

function warned(context) {
  for (const warning of context.warnings) process.emitWarning(warning, 'SecurityWarning');
  return context;
}

/** What a context trusts without `ca`: nothing where that is the component's own default. */
function defaultRoots() {
  if (chosen !== undefined) return chosen;
  return extra().length > 0 ? [...rootCertificates(), ...extra()] : undefined;
}

function extra() {
  if (extras === undefined) {
    const file = process.env.NODE_EXTRA_CA_CERTS;
    extras = [];
    try {
      if (file) extras = readFileSync(file, 'utf8').match(PEM) ?? [];
    } catch (error) {
      process.emitWarning(`Ignoring extra certs from \`${file}\`, load failed: ${error.message}`);
    }
  }
  return extras;
}

function ask(question) {
  return guest().call(({ secureContext }) => question(secureContext));
}

/** What makes a context besides credentials. */
const PLAIN = [
  'allowPartialTrustChain', 'ca', 'certificateCompression', 'ciphers', 'compat', 'ecdhCurve', 'honorCipherOrder', 'maxVersion', 'minVersion',
  'secureOptions', 'secureProtocol', 'sessionTimeout', 'sigalgs',
];

const CREDENTIALS = [
  'key', 'cert', 'pfx', 'ca', 'crl', 'dhparam', 'ticketKeys', 'sessionIdContext', 'passphrase', 'clientCertEngine', 'privateKeyEngine',
  'privateKeyIdentifier', 'pskCallback',
];
const PEM = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;

let module = { createSecureContext };
let bundled;
let extras;
let chosen;
/** What `getCACertificates()` gave: as in Node, the same list until other ones are set. */
let trusted;
let generation = 0;
let common;
