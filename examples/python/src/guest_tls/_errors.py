"""The guest's errors as the exceptions of Python's `ssl`: the very same classes, so that code which catches those catches these."""

from __future__ import annotations

import errno
import ipaddress
import ssl
from typing import Any, Optional, TypeVar

from ._canonical import GuestFault

Explained = TypeVar("Explained", bound=ssl.SSLError)


def exception(error: Any, hostname: Optional[str] = None, header_fault: Optional[str] = None) -> OSError:
    """The exception for an `error` of the interface. `header_fault` is OpenSSL's reason for refusing the record's header that came last,
    where it would: the guest says less of what is no TLS. Beside the attributes that `ssl` gives it (`reason`, `library`, `verify_code`,
    `verify_message`) it has `code`, the error's code by Node's name, and `alert`: the number of the TLS alert that went with it, or None.
    """
    code = error.code.upper().replace("-", "_")
    made: OSError
    if error.code in VERIFY_CODES or error.code == ALTNAME_INVALID:
        made = not_verified(error, hostname)
    elif error.code == "econnreset":
        made = ConnectionResetError(error.message)
    elif error.code == "err-tls-handshake-timeout":
        made = TimeoutError(f"The handshake operation timed out: {error.message}")
    elif error.code == "err-ssl-unexpected-eof-while-reading":
        words = f"[SSL: {UNEXPECTED_EOF}] EOF occurred in violation of protocol: {error.message}"
        made = explained(ssl.SSLEOFError(EOF, words), UNEXPECTED_EOF)
    else:
        if header_fault is not None and error.code in ABOUT_RECORDS:
            words = header_fault.replace("_", " ").lower()
        else:
            words = error.reason or code.removeprefix("ERR_").removeprefix("SSL_").replace("_", " ").lower()
        reason = words.upper().replace(" ", "_")
        made = explained(ssl.SSLError(FAULT, f"[SSL: {reason}] {words}: {error.message}"), reason)
    return tell(made, code, error.alert and error.alert.description)


def not_verified(error: Any, hostname: Optional[str]) -> ssl.SSLCertVerificationError:
    """The exception for a peer that was not verified."""
    if error.code == ALTNAME_INVALID:
        is_address = hostname is not None and is_ip(hostname)
        number = X509_V_ERR_IP_ADDRESS_MISMATCH if is_address else X509_V_ERR_HOSTNAME_MISMATCH
        what = "IP address" if is_address else "Hostname"
        words = f"{what} mismatch, certificate is not valid for '{hostname}'."
    else:
        number, words = VERIFY_CODES[error.code]
    made = ssl.SSLCertVerificationError(FAULT, f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {words} ({error.message})")
    made.verify_code = number
    made.verify_message = words
    return explained(made, "CERTIFICATE_VERIFY_FAILED")


def unreadable(error: Any) -> OSError:
    """The exception for a certificate or a key that is not taken: by OpenSSL's number and library. It gives most of them no reason, and
    the message and `code` say more.
    """
    code = error.code.upper().replace("-", "_")
    if error.code == "err-ossl-x509-key-values-mismatch":
        made = refused("KEY_VALUES_MISMATCH", f"key values mismatch: {error.message}", "X509", X509_R_KEY_VALUES_MISMATCH)
    elif error.code in UNREADABLE:
        made = pem_lib("SSL", error.message)
    else:
        return exception(error)
    return tell(made, code, None)


def pem_lib(library: str, message: str) -> ssl.SSLError:
    """What OpenSSL says of a file that it can't read, and why."""
    made = unexplained(ssl.SSLError(ERR_R_PEM_LIB, f"[{library}] PEM lib: {message}"))
    made.library = library
    tell(made, "PEM_LIB", None)
    return made


def no_data(words: str, message: str) -> ssl.SSLError:
    """For `cadata` without a certificate."""
    made = unexplained(ssl.SSLError(0, f"{words}: cadata does not contain a certificate ({message})"))
    tell(made, words.upper().replace(" ", "_"), None)
    return made


def refused(reason: str, message: str, library: str = "SSL", number: int = int(ssl.SSL_ERROR_SSL)) -> ssl.SSLError:
    """An `SSLError` of this package's own, by the reason, library and number that OpenSSL has for it."""
    made = explained(ssl.SSLError(number, f"[{library}: {reason}] {message}"), reason, library)
    tell(made, reason, None)
    return made


def before_tls() -> ssl.SSLError:
    """For a socket that holds bytes which no TLS has brought."""
    made = unexplained(ssl.SSLError(errno.ENOTCONN, "Closed before TLS handshake with data in recv buffer."))
    made.reason = "Closed before TLS handshake with data in recv buffer."
    return made


def lost(fault: GuestFault) -> ssl.SSLError:
    """For connections of an instance that has stopped."""
    return refused("INTERNAL_ERROR", str(fault))


def want_read() -> ssl.SSLWantReadError:
    """More bytes of the peer are needed first."""
    return unexplained(ssl.SSLWantReadError(int(ssl.SSL_ERROR_WANT_READ), "The operation did not complete (read)"))


def want_write() -> ssl.SSLWantWriteError:
    """The transport has to take bytes first."""
    return unexplained(ssl.SSLWantWriteError(int(ssl.SSL_ERROR_WANT_WRITE), "The operation did not complete (write)"))


def closed() -> ssl.SSLZeroReturnError:
    """The peer has ended TLS where it could not."""
    return unexplained(ssl.SSLZeroReturnError(int(ssl.SSL_ERROR_ZERO_RETURN), "TLS/SSL connection has been closed (EOF)"))


def is_ip(hostname: str) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(hostname)
    except ValueError:
        return False
    return True


def explained(error: Explained, reason: str, library: str = "SSL") -> Explained:
    """With what `ssl` sets on its own errors."""
    error.library = library
    error.reason = reason
    return error


def unexplained(error: Explained) -> Explained:
    """Likewise where OpenSSL gives no reason: the attributes are there, and None."""
    error.library = error.reason = None  # type: ignore[assignment]
    return error


def tell(error: OSError, code: str, alert: Optional[int]) -> OSError:
    """Sets what the guest knows beside that."""
    error.code = code  # type: ignore[attr-defined]
    error.alert = alert  # type: ignore[attr-defined]
    return error


# The numbers of `ssl.SSLErrorNumber` as `ssl` puts them into its errors.
FAULT, EOF = int(ssl.SSL_ERROR_SSL), int(ssl.SSL_ERROR_EOF)
# Numbers of OpenSSL's errors (openssl/err.h, openssl/x509err.h), which `ssl` gives as `errno` where it loads files.
ERR_R_PEM_LIB, X509_R_KEY_VALUES_MISMATCH, X509_R_NO_CERTIFICATE_OR_CRL_FOUND = 524297, 116, 136
UNREADABLE = ("err-tls-invalid-certificate", "err-tls-invalid-key", "err-missing-passphrase", "err-ossl-bad-decrypt")
UNEXPECTED_EOF = "UNEXPECTED_EOF_WHILE_READING"
# What the guest says of what can't be a record.
ABOUT_RECORDS = ("err-ssl-wrong-version-number", "err-ssl-decode-error", "err-ssl-data-length-too-long", "err-ssl-unexpected-message")
ALTNAME_INVALID = "err-tls-cert-altname-invalid"
X509_V_ERR_HOSTNAME_MISMATCH = 62
X509_V_ERR_IP_ADDRESS_MISMATCH = 64

# The numbers and words of OpenSSL 3 (X509_verify_cert_error_string(3)).
VERIFY_CODES = {
    "unable-to-get-issuer-cert": (2, "unable to get issuer certificate"),
    "unable-to-get-crl": (3, "unable to get certificate CRL"),
    "cert-signature-failure": (7, "certificate signature failure"),
    "cert-not-yet-valid": (9, "certificate is not yet valid"),
    "cert-has-expired": (10, "certificate has expired"),
    "crl-signature-failure": (8, "CRL signature failure"),
    "crl-not-yet-valid": (11, "CRL is not yet valid"),
    "crl-has-expired": (12, "CRL has expired"),
    "depth-zero-self-signed-cert": (18, "self-signed certificate"),
    "self-signed-cert-in-chain": (19, "self-signed certificate in certificate chain"),
    "unable-to-get-issuer-cert-locally": (20, "unable to get local issuer certificate"),
    # OpenSSL finds 20 first, where `ssl` stops, and then 21, which Node gives.
    "unable-to-verify-leaf-signature": (20, "unable to get local issuer certificate"),
    "cert-revoked": (23, "certificate revoked"),
    "keyusage-no-crl-sign": (35, "key usage does not include CRL signing"),
    "unhandled-critical-crl-extension": (36, "unhandled critical CRL extension"),
    "path-length-exceeded": (25, "path length constraint exceeded"),
    "invalid-purpose": (26, "unsuitable certificate purpose"),
    "cert-untrusted": (27, "certificate not trusted"),
    "invalid-ca": (79, "invalid CA certificate"),
}
