// Certificates as Node shows them (row K7), and the check of a server's name (row M7).

import { X509Certificate } from 'node:crypto';
import net from 'node:net';
import { domainToASCII } from 'node:url';

import { failure } from './core/errors.mjs';

/** A certificate of the component's in the shape of `getPeerCertificate()`: what it does not have is undefined or left out, as this Node does. */
export function legacyObject(certificate) {
  const shown = {
    subject: names(certificate.subject),
    issuer: names(certificate.issuer),
    subjectaltname: certificate.subjectaltname,
    infoAccess: certificate.infoAccess && accesses(certificate.infoAccess),
    ca: certificate.ca,
    modulus: certificate.modulus,
    bits: certificate.bits,
    exponent: certificate.exponent,
    pubkey: certificate.pubkey && buffer(certificate.pubkey),
    asn1Curve: certificate.asn1Curve,
    nistCurve: certificate.nistCurve,
    valid_from: certificate.validFrom,
    valid_to: certificate.validTo,
    fingerprint: certificate.fingerprint,
    fingerprint256: certificate.fingerprint256,
    fingerprint512: certificate.fingerprint512,
    ext_key_usage: certificate.extKeyUsage,
    serialNumber: certificate.serialNumber,
    raw: buffer(certificate.raw),
  };
  leavesOut ??= !showsAll(certificate.raw);
  if (leavesOut) for (const name of Object.keys(shown)) if (shown[name] === undefined) delete shown[name];
  return shown;
}

/** A chain, leaf first, with each one's issuer as its `issuerCertificate`; one that signed itself is its own. */
export function nested(chain) {
  const shown = chain.map(legacyObject);
  shown.forEach((certificate, at) => {
    if (at + 1 < shown.length) certificate.issuerCertificate = shown[at + 1];
    else if (isDeepEqual(chain[at].subject, chain[at].issuer)) certificate.issuerCertificate = certificate;
  });
  return shown[0];
}

/** Bytes as a Buffer, without a copy. */
export function buffer(bytes) {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Says what is wrong where `certificate`, an object as of `getPeerCertificate`, is not for `hostname` (row M7): an error with `reason`,
 * `host` and `cert`, or nothing. Within the handshake the component checks the same by the certificate itself; this one is for programs that
 * call it on their own, with whatever object they have.
 */
export function checkServerIdentity(hostname, certificate) {
  return mismatch(hostname, certificate, matches);
}

/**
 * Likewise by RFC 9525, as the component does within the handshake unless it is in `compat` mode: by the alternative names alone, where `*`
 * is a whole label.
 */
export function checkStrictly(hostname, certificate) {
  const whole = (name, pattern) => matches(name, pattern) && (!pattern.includes('*') || pattern.startsWith('*.'));
  return mismatch(hostname, { ...certificate, subject: undefined }, whole);
}

/** Says what is wrong, where `fits(name, pattern)` tells whether one of the certificate's names is the name. */
function mismatch(hostname, certificate, fits) {
  const host = `${hostname}`.replace(/\.$/, '');
  const name = domainToASCII(host) || host;
  const { subject, subjectaltname } = certificate;
  const alternatives = subjectaltname ? split(subjectaltname) : [];
  const dns = valuesOf(alternatives, 'DNS:');
  const addresses = valuesOf(alternatives, 'IP Address:').map(canonical);
  let reason;
  if (net.isIP(host)) {
    if (!addresses.includes(canonical(host))) reason = `IP: ${host} is not in the cert's list: ${addresses.join(', ')}`;
  } else if (dns.length > 0) {
    if (!dns.some((pattern) => fits(name, pattern))) reason = `Host: ${host}. is not in the cert's altnames: ${subjectaltname}`;
  } else if (subject?.CN) {
    const common = [subject.CN].flat();
    if (!common.some((pattern) => fits(name, pattern))) reason = `Host: ${host}. is not cert's CN: ${common}`;
  } else {
    reason = 'Cert does not contain a DNS name';
  }
  return reason && identityError(reason, hostname, certificate);
}

/** The error of a certificate that is for another name. */
export function identityError(reason, host, cert) {
  const message = `Hostname/IP does not match certificate's altnames: ${reason}`;
  return failure('ERR_TLS_CERT_ALTNAME_INVALID', message, { reason, host, cert });
}

/** Whether the runtime's own objects have the fields of other kinds of keys: Node 24's do, and Node 20's don't. */
function showsAll(raw) {
  try {
    const shown = new X509Certificate(raw).toLegacyObject();
    return 'modulus' in shown && 'asn1Curve' in shown;
  } catch {
    return false;
  }
}

/** Whether a DNS name matches a pattern, whose left-most label may have one `*`, which stands for a part of one label (RFC 6125 section 6.4.3). */
function matches(host, pattern) {
  if (!pattern) return false;
  const name = labels(host);
  const wanted = labels(pattern.replace(/\.$/, ''));
  if (name.length !== wanted.length || wanted.includes('')) return false;
  // Nobody knows which code point a byte beyond ASCII was meant to be.
  if (wanted.some((label) => /[^\x21-\x7e]/.test(label))) return false;
  if (name.slice(1).some((label, at) => label !== wanted[at + 1])) return false;
  const parts = wanted[0].split('*');
  if (parts.length === 1 || wanted[0].includes('xn--')) return name[0] === wanted[0];
  if (parts.length > 2 || wanted.length <= 2) return false;
  const [prefix, suffix] = parts;
  return name[0].length >= prefix.length + suffix.length && name[0].startsWith(prefix) && name[0].endsWith(suffix);
}

function labels(host) {
  return host.replace(/[A-Z]/g, (letter) => letter.toLowerCase()).split('.');
}

/** The names in a text such as `DNS:a.test, IP Address:127.0.0.1`, where one that could be taken for several is a JSON string. */
function split(text) {
  const names = [];
  for (let at = 0; at < text.length;) {
    let name = '';
    while (at < text.length && !text.startsWith(', ', at)) {
      const quoted = text[at] === '"' && /^"(?:[^"\\]|\\.)*"/.exec(text.slice(at));
      if (quoted) {
        name += JSON.parse(quoted[0]);
        at += quoted[0].length;
      } else {
        name += text[at++];
      }
    }
    names.push(name);
    at += 2;
  }
  return names;
}

function valuesOf(names, kind) {
  return names.filter((name) => name.startsWith(kind)).map((name) => name.slice(kind.length));
}

function canonical(address) {
  return net.isIPv6(address) ? new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname : address;
}

/** Attributes as an object: an array where a name is there several times. */
function names(attributes) {
  const object = Object.create(null);
  for (const { name, value } of attributes) {
    object[name] = name in object ? [object[name], value].flat() : value;
  }
  return object;
}

function accesses(infoAccess) {
  const object = Object.create(null);
  for (const { method, values } of infoAccess) object[method] = values;
  return object;
}

function isDeepEqual(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

let leavesOut;
