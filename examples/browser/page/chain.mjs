// A chain of certificates as cards, each with why it is trusted or not.

import { element, icon } from './dom.mjs';
import { REASONS } from './words.mjs';

/**
 * The cards of `certificates`, the server's first. `sent` says how many of them the server sent, `error` what the component found wrong
 * with them (none where they are trusted), `servername` whom they have to be for, `ownCa` whether the user said whom to trust,
 * `isSessionReused` whether they were checked in an earlier connection, and `now` which time they were checked at.
 */
export function cards({ certificates, ...circumstances }) {
  return certificates.map((certificate, at) => {
    const { verdict, why } = judge(certificates, at, circumstances);
    return element('li', { className: verdict },
      icon(verdict),
      element('p', { className: 'role' }, role(certificates, at, circumstances)),
      element('h3', {}, title(certificate)),
      element('p', { className: 'why' }, why),
      facts(certificate, circumstances.now),
      element('details', {},
        element('summary', {}, 'PEM'),
        element('pre', { tabIndex: 0, ariaLabel: `PEM of ${title(certificate)}` }, pem(certificate.raw))));
  });
}

/** What a certificate is called: its common name, or the first of its other names. */
export function title({ subject, subjectaltname }) {
  return attribute(subject, 'CN') ?? subject.at(-1)?.value ?? subjectaltname?.split(', ')[0] ?? 'a certificate without a name';
}

function judge(certificates, at, { error, servername, ownCa, isSessionReused, now }) {
  const isLast = at === certificates.length - 1;
  const below = certificates[at + 1] && title(certificates[at + 1]);
  if (error === undefined) {
    const source = ownCa ? 'one of the CAs that you gave' : 'one of Mozilla’s roots';
    const earlier = isSessionReused ? ' This was checked when the session began.' : '';
    if (isLast && at > 0) return { verdict: 'good', why: `Trusted: it is ${source}, so the chain ends here.${earlier}` };
    const signed = isLast ? `it is itself ${source}` : `${below} signed it`;
    if (at === 0) return { verdict: 'good', why: `Trusted: it is for ${servername}, it is valid now, and ${signed}.${earlier}` };
    return { verdict: 'good', why: `Trusted: it may issue certificates, and ${signed}.${earlier}` };
  }
  const reason = REASONS[error.code];
  if (isBlamed(certificates, at, reason?.blame, now)) return { verdict: 'bad', why: `${reason.means} ${reason.remedy}` };
  if (reason?.blame === undefined && at === 0) {
    return { verdict: 'bad', why: `${reason?.means ?? 'The chain is not trusted.'} ${error.message}` };
  }
  return { verdict: 'none', why: 'Nothing was found wrong with this one, but the chain as a whole is not trusted.' };
}

function isBlamed(certificates, at, blame, now) {
  const { validFrom, validTo } = certificates[at];
  switch (blame) {
    case 'first': return at === 0;
    case 'last': return at === certificates.length - 1;
    case 'expired': return Date.parse(validTo) < now;
    case 'early': return Date.parse(validFrom) > now;
    default: return false;
  }
}

function role(certificates, at, { error, sent }) {
  const isLast = at === certificates.length - 1;
  const whose = at < sent ? 'sent by the server' : 'not sent, taken from what is trusted';
  const selfSigned = same(certificates[at].subject, certificates[at].issuer);
  if (error === undefined && isLast) return at === 0 ? `The server’s certificate and trust anchor, ${whose}` : `Trust anchor, ${whose}`;
  if (at === 0) return `The server’s certificate, ${whose}`;
  return `${selfSigned ? 'Root' : 'Intermediate'}, ${whose}`;
}

function facts({ subject, issuer, subjectaltname, validFrom, validTo, serialNumber, fingerprint256, ca, ...key }, now) {
  const rows = [
    ['Subject', name(subject)],
    ['Issuer', name(issuer)],
    subjectaltname && ['Names', subjectaltname],
    ['Valid', `${day(validFrom)} to ${day(validTo)}, ${left(validFrom, validTo, now)}`],
    ['Key', keyName(key)],
    ['Serial', serialNumber, 'mono'],
    ['SHA-256', fingerprint256, 'mono'],
  ];
  return element('dl', {}, ...rows.filter(Boolean).flatMap(([term, value, className = '']) => [
    element('dt', {}, term), element('dd', { className }, value),
  ]));
}

function keyName({ nistCurve, asn1Curve, modulus, bits, exponent }) {
  if (modulus) return `RSA, ${bits} bit, exponent ${Number(exponent)}`;
  if (nistCurve || asn1Curve) return `ECDSA on ${nistCurve ?? asn1Curve}, ${bits} bit`;
  return 'Ed25519';
}

function left(from, to, now) {
  const days = (time) => Math.floor(Math.abs(time - now) / DAY_MS);
  const count = (number) => (number === 1 ? '1 day' : `${number} days`);
  if (Date.parse(from) > now) return `in ${count(days(Date.parse(from)))} at the earliest`;
  if (Date.parse(to) < now) return `over for ${count(days(Date.parse(to)))}`;
  return `${count(days(Date.parse(to)))} left`;
}

function day(text) {
  return new Date(text).toISOString().slice(0, 10);
}

function name(attributes) {
  return attributes.map(({ name, value }) => `${name}=${value}`).join(', ') || 'nothing';
}

function attribute(attributes, wanted) {
  return attributes.findLast(({ name }) => name === wanted)?.value;
}

function same(first, second) {
  return name(first) === name(second);
}

function pem(der) {
  let binary = '';
  for (const byte of der) binary += String.fromCharCode(byte);
  return `-----BEGIN CERTIFICATE-----\n${btoa(binary).replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----`;
}

const DAY_MS = 24 * 3600 * 1000;
