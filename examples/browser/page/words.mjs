// What things are called, for people.

/** The messages of a handshake (RFC 8446 section 4, RFC 5246 section 7.4), by the names in the component's trace. */
export const MESSAGES = {
  ClientHello: 'versions, suites, key share, name',
  ServerHello: 'version, suite, key share',
  EncryptedExtensions: 'the other choices, protected',
  CertificateRequest: 'asks for one from this side',
  Certificate: 'a chain of certificates, or none',
  CompressedCertificate: 'a chain, compressed',
  CertificateStatus: 'a stapled OCSP response',
  CertificateVerify: 'proof of the private key',
  ServerKeyExchange: 'key share, signed',
  ServerHelloDone: 'end of the first flight',
  ClientKeyExchange: 'the other key share',
  Finished: 'a MAC over all so far',
  NewSessionTicket: 'for the next handshake',
  KeyUpdate: 'new keys from here on',
  HelloRequest: 'a renegotiation, which is refused',
};

/** Why a certificate is not trusted (row K2): what it means, which certificate is to blame, and what to do. */
export const REASONS = {
  DEPTH_ZERO_SELF_SIGNED_CERT: {
    means: 'The server’s certificate is signed by itself, so nobody you trust vouches for it.', blame: 'first',
    remedy: 'If you know it to be the right one, give it as the CA to trust.',
  },
  SELF_SIGNED_CERT_IN_CHAIN: {
    means: 'The chain ends in a root that is not among those you trust.', blame: 'last',
    remedy: 'If you trust that root, give it as the CA.',
  },
  UNABLE_TO_GET_ISSUER_CERT: {
    means: 'The issuer of a certificate that you trust is not there.', blame: 'last',
    remedy: 'Give the root as the CA, and not only what it issued.',
  },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: {
    means: 'Whoever issued the last certificate of the chain is not among those you trust.', blame: 'last',
    remedy: 'If you trust that issuer, give its certificate as the CA.',
  },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: {
    means: 'The server sent one certificate only, and its issuer is not among those you trust.', blame: 'last',
    remedy: 'The server should send its intermediates, too; or give its issuer as the CA.',
  },
  CERT_HAS_EXPIRED: {
    means: 'A certificate of the chain is too old.', blame: 'expired', remedy: 'The server needs a new one. Or is your clock wrong?',
  },
  CERT_NOT_YET_VALID: {
    means: 'A certificate of the chain is not valid yet.', blame: 'early', remedy: 'Is your clock, or the issuer’s, wrong?',
  },
  CERT_REVOKED: { means: 'A certificate of the chain was revoked by its issuer.', remedy: 'Do not use it.' },
  CERT_SIGNATURE_FAILURE: {
    means: 'A signature of the chain is wrong.', remedy: 'Somebody changed a certificate, or another key signed it.',
  },
  INVALID_CA: { means: 'A certificate that may not issue others did so.', remedy: 'The server’s chain is wrong.' },
  PATH_LENGTH_EXCEEDED: { means: 'There are more certificates below a CA than it allows.', remedy: 'The server’s chain is wrong.' },
  INVALID_PURPOSE: {
    means: 'A certificate is not meant for a TLS server.', blame: 'first', remedy: 'The server needs one with the usage serverAuth.',
  },
  CERT_UNTRUSTED: { means: 'The chain can’t be trusted, for a reason that has no name of its own.', remedy: 'The message says more.' },
  UNABLE_TO_GET_CRL: { means: 'There is no revocation list for a certificate.', remedy: 'Give the list of its issuer.' },
  CRL_NOT_YET_VALID: { means: 'A revocation list is of the future.', remedy: 'Is the clock right?' },
  CRL_SIGNATURE_FAILURE: { means: 'The signature of a revocation list is wrong.', remedy: 'Fetch it again, from its issuer.' },
  KEYUSAGE_NO_CRL_SIGN: { means: 'A CA that may not sign revocation lists did so.', remedy: 'Give a list by who may.' },
  UNHANDLED_CRITICAL_CRL_EXTENSION: { means: 'A revocation list has a critical extension that is not known.', remedy: 'The message says which.' },
  CRL_HAS_EXPIRED: { means: 'A revocation list is too old.', remedy: 'Fetch a newer one.' },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    means: 'The certificate is for another name than the one you asked for.', blame: 'first',
    remedy: 'Ask for one of its names; or you are not where you wanted to be.',
  },
};

/** The codes of errors that say that a peer is not to be trusted. */
export const UNTRUSTED = new Set(Object.keys(REASONS));

/** What to say and do about other errors. */
export const ADVICE = {
  ABORT_ERR: 'You stopped it.',
  EACCES: 'The bridge connects only where its command line allows.',
  ECONNREFUSED: 'Nothing listens at that host and port.',
  ECONNRESET: 'The other side, or something between, cut the connection.',
  ENOTFOUND: 'There is no such host: look at its name.',
  ETIMEDOUT: 'Is something in the way, such as a firewall?',
  ERR_SSL_UNEXPECTED_EOF_WHILE_READING: 'What came may have been cut short: TLS says so, where TCP alone could not.',
  ERR_SSL_WRONG_VERSION_NUMBER: 'Whatever listens there does not speak TLS.',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'Offer another application protocol, or none.',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'Offer another application protocol, or none.',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'Give a client certificate and its key.',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'The server does not trust whoever issued your certificate.',
  ERR_MISSING_PASSPHRASE: 'Your key is encrypted: give its passphrase.',
  ERR_OSSL_BAD_DECRYPT: 'Look at the passphrase of your key.',
};
