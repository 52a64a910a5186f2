"""What this package uses of the interface `guest:tls@0.1.0` (see `wit/`, where every item is explained).

`tests/test_contract.py` compares each of these types with those that the component itself declares.
"""

from __future__ import annotations

from ._canonical import BOOL, BYTES, STRING, U32, U64, Borrow, Enum, Function, Int, List, Option, Own, Record, Result, Type, Variant

VERSION = "0.1.0"

PROTOCOL_VERSION = Enum("tls12", "tls13")
ERROR_CODE = Enum(
    "err-invalid-arg-value",
    "err-invalid-state",
    "err-tls-invalid-certificate",
    "err-crypto-operation-failed",
    "err-tls-invalid-key",
    "err-ossl-x509-key-values-mismatch",
    "err-ssl-no-cipher-match",
    "err-tls-invalid-protocol-version",
    "err-tls-required-server-name",
    "err-missing-passphrase",
    "err-ossl-bad-decrypt",
    "err-tls-invalid-pfx",
    "err-ossl-pkcs12-mac-verify-failure",
    "err-ssl-invalid-command",
    "err-ssl-dh-key-too-small",
    "err-tls-invalid-protocol-method",
    "err-tls-protocol-version-conflict",
    "err-out-of-range",
    "err-ssl-ssl-session-id-context-too-long",
    "err-stream-write-after-end",
    "econnreset",
    "err-ssl-unexpected-eof-while-reading",
    "err-ssl-wrong-version-number",
    "err-ssl-unsupported-protocol",
    "err-ssl-inappropriate-fallback",
    "err-ssl-no-shared-cipher",
    "err-ssl-no-suitable-key-share",
    "err-ssl-no-suitable-signature-algorithm",
    "err-ssl-no-application-protocol",
    "err-ssl-peer-did-not-return-a-certificate",
    "err-ssl-unexpected-message",
    "err-ssl-decode-error",
    "err-ssl-illegal-parameter",
    "err-ssl-data-length-too-long",
    "err-ssl-decryption-failed-or-bad-record-mac",
    "err-ssl-digest-check-failed",
    "err-ssl-bad-signature",
    "err-ssl-missing-extension",
    "err-tls-handshake-timeout",
    "err-tls-renegotiation-disabled",
    "err-tls-session-attack",
    "err-server-max-connections",
    "abort-err",
    "err-internal-assertion",
    "err-ssl-sslv3-alert-unexpected-message",
    "err-ssl-sslv3-alert-bad-record-mac",
    "err-ssl-tlsv1-alert-record-overflow",
    "err-ssl-sslv3-alert-handshake-failure",
    "err-ssl-sslv3-alert-bad-certificate",
    "err-ssl-sslv3-alert-unsupported-certificate",
    "err-ssl-sslv3-alert-certificate-revoked",
    "err-ssl-sslv3-alert-certificate-expired",
    "err-ssl-sslv3-alert-certificate-unknown",
    "err-ssl-sslv3-alert-illegal-parameter",
    "err-ssl-tlsv1-alert-unknown-ca",
    "err-ssl-tlsv1-alert-access-denied",
    "err-ssl-tlsv1-alert-decode-error",
    "err-ssl-tlsv1-alert-decrypt-error",
    "err-ssl-tlsv1-alert-protocol-version",
    "err-ssl-tlsv1-alert-insufficient-security",
    "err-ssl-tlsv1-alert-internal-error",
    "err-ssl-tlsv1-alert-inappropriate-fallback",
    "err-ssl-tlsv1-alert-user-cancelled",
    "err-ssl-tlsv1-alert-no-renegotiation",
    "err-ssl-tlsv13-alert-missing-extension",
    "err-ssl-tlsv1-unsupported-extension",
    "err-ssl-tlsv1-unrecognized-name",
    "err-ssl-tlsv1-bad-certificate-status-response",
    "err-ssl-tlsv1-alert-unknown-psk-identity",
    "err-ssl-tlsv13-alert-certificate-required",
    "err-ssl-tlsv1-alert-no-application-protocol",
    "err-ssl-unknown-alert-type",
    "depth-zero-self-signed-cert",
    "self-signed-cert-in-chain",
    "unable-to-get-issuer-cert",
    "unable-to-get-issuer-cert-locally",
    "unable-to-verify-leaf-signature",
    "cert-has-expired",
    "cert-not-yet-valid",
    "cert-revoked",
    "cert-signature-failure",
    "invalid-ca",
    "path-length-exceeded",
    "invalid-purpose",
    "cert-untrusted",
    "unable-to-get-crl",
    "crl-has-expired",
    "crl-not-yet-valid",
    "crl-signature-failure",
    "keyusage-no-crl-sign",
    "unhandled-critical-crl-extension",
    "err-tls-cert-altname-invalid",
)
DIRECTION = Enum("sent", "received")
ALERT = Record("Alert", direction=DIRECTION, description=Int(1), name=STRING)
ERROR = Record("Error", code=ERROR_CODE, message=STRING, alert=Option(ALERT), reason=Option(STRING))
ERRORS = List(ERROR)

NAME_ATTRIBUTE = Record("NameAttribute", name=STRING, value=STRING)
INFO_ACCESS = Record("InfoAccess", method=STRING, values=List(STRING))
CERTIFICATE = Record(
    "Certificate",
    subject=List(NAME_ATTRIBUTE),
    issuer=List(NAME_ATTRIBUTE),
    subjectaltname=Option(STRING),
    info_access=Option(List(INFO_ACCESS)),
    ca=BOOL,
    modulus=Option(STRING),
    bits=Option(U32),
    exponent=Option(STRING),
    pubkey=Option(BYTES),
    asn1_curve=Option(STRING),
    nist_curve=Option(STRING),
    valid_from=STRING,
    valid_to=STRING,
    fingerprint=STRING,
    fingerprint256=STRING,
    fingerprint512=STRING,
    ext_key_usage=Option(List(STRING)),
    serial_number=STRING,
    raw=BYTES,
)

ALPN_OFFER = Record("AlpnOffer", servername=Option(STRING), protocols=List(BYTES))
OCSP_REQUEST = Record("OcspRequest", certificate=BYTES, issuer=Option(BYTES))
NEW_SESSION = Record("NewSession", id=BYTES, data=BYTES)
EVENT = Variant(
    sni=Option(STRING),
    resume_session=BYTES,
    alpn=ALPN_OFFER,
    ocsp_request=OCSP_REQUEST,
    new_session=NEW_SESSION,
    ocsp_response=Option(BYTES),
    session=BYTES,
    keylog=STRING,
    trace=STRING,
    secure=None,
)
CLEARTEXT = Variant(data=BYTES, pending=None, end=None)
CIPHER = Record("Cipher", name=STRING, standard_name=STRING, version=PROTOCOL_VERSION)
EPHEMERAL_KEY_INFO = Record("EphemeralKeyInfo", kind=STRING, name=STRING, size=U32)

CONTEXT_OPTIONS = "secure-context/secure-context-options"
CONTEXT = "secure-context/secure-context"
PAIR_OPTIONS = "secure-pair/secure-pair-options"
PAIR = "secure-pair/secure-pair"


def constructor(kind: str) -> Function:
    """Of a resource without parameters."""
    return Function((), Own(kind))


def method(kind: str, *params: Type, result: Type | None = None) -> Function:
    """Of a resource: its first parameter is the resource itself."""
    return Function((Borrow(kind), *params), result)


#: By interface and name.
FUNCTIONS = {
    "certificate#parse": Function((BYTES,), Result(CERTIFICATE, ERROR)),
    "certificate#root-certificates": Function((), List(STRING)),
    "secure-context#ciphers": Function((), List(STRING)),
    "secure-context#[constructor]secure-context-options": constructor(CONTEXT_OPTIONS),
    "secure-context#[method]secure-context-options.add-cert": method(CONTEXT_OPTIONS, BYTES),
    "secure-context#[method]secure-context-options.add-key": method(CONTEXT_OPTIONS, BYTES, Option(BYTES)),
    "secure-context#[method]secure-context-options.add-ca": method(CONTEXT_OPTIONS, BYTES),
    "secure-context#[method]secure-context-options.add-crl": method(CONTEXT_OPTIONS, BYTES),
    "secure-context#[method]secure-context-options.set-allow-partial-trust-chain": method(CONTEXT_OPTIONS, BOOL),
    "secure-context#[method]secure-context-options.set-compat": method(CONTEXT_OPTIONS, BOOL),
    "secure-context#[method]secure-context-options.set-ciphers": method(CONTEXT_OPTIONS, STRING),
    "secure-context#[method]secure-context-options.set-ecdh-curve": method(CONTEXT_OPTIONS, STRING),
    "secure-context#[method]secure-context-options.set-min-version": method(CONTEXT_OPTIONS, PROTOCOL_VERSION),
    "secure-context#[method]secure-context-options.set-max-version": method(CONTEXT_OPTIONS, PROTOCOL_VERSION),
    "secure-context#[method]secure-context-options.set-honor-cipher-order": method(CONTEXT_OPTIONS, BOOL),
    "secure-context#[method]secure-context-options.set-ticket-keys": method(CONTEXT_OPTIONS, BYTES),
    "secure-context#[static]secure-context.create": Function((Own(CONTEXT_OPTIONS),), Result(Own(CONTEXT), ERRORS)),
    "secure-pair#[constructor]secure-pair-options": constructor(PAIR_OPTIONS),
    "secure-pair#[method]secure-pair-options.set-is-server": method(PAIR_OPTIONS, BOOL),
    "secure-pair#[method]secure-pair-options.set-servername": method(PAIR_OPTIONS, STRING),
    "secure-pair#[method]secure-pair-options.set-alpn-protocols": method(PAIR_OPTIONS, List(BYTES)),
    "secure-pair#[method]secure-pair-options.set-request-cert": method(PAIR_OPTIONS, BOOL),
    "secure-pair#[method]secure-pair-options.set-reject-unauthorized": method(PAIR_OPTIONS, BOOL),
    "secure-pair#[method]secure-pair-options.set-danger-skip-server-identity": method(PAIR_OPTIONS, BOOL),
    "secure-pair#[method]secure-pair-options.set-session": method(PAIR_OPTIONS, BYTES),
    "secure-pair#[method]secure-pair-options.set-sni-event": method(PAIR_OPTIONS, BOOL),
    "secure-pair#[method]secure-pair-options.set-tickets": method(PAIR_OPTIONS, BOOL),
    "secure-pair#[method]secure-pair-options.set-keylog": method(PAIR_OPTIONS, BOOL),
    "secure-pair#[method]secure-pair-options.set-handshake-timeout": method(PAIR_OPTIONS, U32),
    "secure-pair#[method]secure-pair-options.set-buffer-limit": method(PAIR_OPTIONS, U32),
    "secure-pair#[static]secure-pair.create": Function((Borrow(CONTEXT), Own(PAIR_OPTIONS)), Result(Own(PAIR), ERRORS)),
    "secure-pair#[method]secure-pair.write-encrypted": method(PAIR, BYTES, result=Result(U64, ERROR)),
    "secure-pair#[method]secure-pair.end-encrypted": method(PAIR),
    "secure-pair#[method]secure-pair.read-encrypted": method(PAIR, U64, result=BYTES),
    "secure-pair#[method]secure-pair.write-cleartext": method(PAIR, BYTES, result=Result(U64, ERROR)),
    "secure-pair#[method]secure-pair.end": method(PAIR),
    "secure-pair#[method]secure-pair.read-cleartext": method(PAIR, U64, result=Result(CLEARTEXT, ERROR)),
    "secure-pair#[method]secure-pair.next-event": method(PAIR, result=Option(EVENT)),
    "secure-pair#[method]secure-pair.answer-sni": method(PAIR, Option(Borrow(CONTEXT)), result=Result(None, ERROR)),
    "secure-pair#[method]secure-pair.abort": method(PAIR, STRING),
    "secure-pair#[method]secure-pair.error": method(PAIR, result=Option(ERROR)),
    "secure-pair#[method]secure-pair.authorized": method(PAIR, result=BOOL),
    "secure-pair#[method]secure-pair.authorization-error": method(PAIR, result=Option(ERROR)),
    "secure-pair#[method]secure-pair.servername": method(PAIR, result=Option(STRING)),
    "secure-pair#[method]secure-pair.alpn-protocol": method(PAIR, result=Option(BYTES)),
    "secure-pair#[method]secure-pair.cipher": method(PAIR, result=Option(CIPHER)),
    "secure-pair#[method]secure-pair.ephemeral-key-info": method(PAIR, result=Option(EPHEMERAL_KEY_INFO)),
    "secure-pair#[method]secure-pair.peer-certificates": method(PAIR, result=List(CERTIFICATE)),
    "secure-pair#[method]secure-pair.peer-certificate-chain": method(PAIR, result=List(CERTIFICATE)),
    "secure-pair#[method]secure-pair.export-keying-material": method(PAIR, U32, BYTES, Option(BYTES), result=Result(BYTES, ERROR)),
    "secure-pair#[method]secure-pair.is-session-reused": method(PAIR, result=BOOL),
    "secure-pair#[method]secure-pair.session": method(PAIR, result=Option(BYTES)),
    "secure-pair#[method]secure-pair.finished": method(PAIR, result=Option(BYTES)),
    "secure-pair#[method]secure-pair.peer-finished": method(PAIR, result=Option(BYTES)),
}
