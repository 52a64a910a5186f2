//! The codes of errors: one table, from which the enum, Node's spelling and OpenSSL's words are made.

/// Hands the table of codes to another macro, as `Variant => "NODE_NAME", OpenSSL's words;` rows. For the components over this library:
/// each has an enum of its own, by its WIT.
#[doc(hidden)]
#[macro_export]
macro_rules! with_error_codes {
    ($callback:ident) => {
        $callback! {
            // Options.
            /// An option's value is not one of those that it takes.
            ErrInvalidArgValue => "ERR_INVALID_ARG_VALUE", None;
            /// The call does not fit the state the object is in, for example an answer to a question that was not asked.
            ErrInvalidState => "ERR_INVALID_STATE", None;
            /// A certificate that was given is not readable PEM or DER.
            ErrTlsInvalidCertificate => "ERR_TLS_INVALID_CERTIFICATE", None;
            /// A certificate revocation list that was given is not readable.
            ErrCryptoOperationFailed => "ERR_CRYPTO_OPERATION_FAILED", None;
            /// A private key that was given is not readable, or of a kind or size that is not supported.
            ErrTlsInvalidKey => "ERR_TLS_INVALID_KEY", None;
            /// A certificate and its private key do not belong together.
            ErrOsslX509KeyValuesMismatch => "ERR_OSSL_X509_KEY_VALUES_MISMATCH", Some("key values mismatch");
            /// The cipher list leaves no cipher suite that is supported in the range of versions.
            ErrSslNoCipherMatch => "ERR_SSL_NO_CIPHER_MATCH", Some("no cipher match");
            /// The range of versions is empty, or names a version that is not supported.
            ErrTlsInvalidProtocolVersion => "ERR_TLS_INVALID_PROTOCOL_VERSION", None;
            /// A name is missing, or is neither a DNS name nor an IP address, where one is needed.
            ErrTlsRequiredServerName => "ERR_TLS_REQUIRED_SERVER_NAME", None;
            /// A private key is encrypted and no passphrase was given (row O1).
            ErrMissingPassphrase => "ERR_MISSING_PASSPHRASE", None;
            /// A private key can't be decrypted: the passphrase is wrong, or the file is damaged (row O1).
            ErrOsslBadDecrypt => "ERR_OSSL_BAD_DECRYPT", Some("bad decrypt");
            /// A PKCS#12 file is not readable, or lacks a key or its certificate (row O3).
            ErrTlsInvalidPfx => "ERR_TLS_INVALID_PFX", None;
            /// The MAC of a PKCS#12 file is wrong: the passphrase is wrong or missing, or the file was changed (row O3).
            ErrOsslPkcs12MacVerifyFailure => "ERR_OSSL_PKCS12_MAC_VERIFY_FAILURE", Some("mac verify failure");
            /// The cipher list has what is neither a word, a separator nor a command of its language (row O6).
            ErrSslInvalidCommand => "ERR_SSL_INVALID_COMMAND", Some("invalid command");
            /// The prime of `dhparam` is too short to be safe (row O9).
            ErrSslDhKeyTooSmall => "ERR_SSL_DH_KEY_TOO_SMALL", Some("dh key too small");
            /// `secureProtocol` is not the name of a method, or one of a version that is not supported (row O10).
            ErrTlsInvalidProtocolMethod => "ERR_TLS_INVALID_PROTOCOL_METHOD", None;
            /// `secureProtocol` was given together with a lowest or highest version (row O10).
            ErrTlsProtocolVersionConflict => "ERR_TLS_PROTOCOL_VERSION_CONFLICT", None;
            /// A number is outside the range that its option takes.
            ErrOutOfRange => "ERR_OUT_OF_RANGE", None;
            /// `sessionIdContext` is longer than 32 bytes (row O18).
            ErrSslSslSessionIdContextTooLong => "ERR_SSL_SSL_SESSION_ID_CONTEXT_TOO_LONG", Some("ssl session id context too long");
            // The connection.
            /// Something was written after the end was sent.
            ErrStreamWriteAfterEnd => "ERR_STREAM_WRITE_AFTER_END", None;
            /// The transport failed.
            Econnreset => "ECONNRESET", None;
            /// The transport ended without `close_notify`: what was received may have been cut short (row K19).
            ErrSslUnexpectedEofWhileReading => "ERR_SSL_UNEXPECTED_EOF_WHILE_READING", Some("unexpected eof while reading");
            /// What arrived is not TLS.
            ErrSslWrongVersionNumber => "ERR_SSL_WRONG_VERSION_NUMBER", Some("wrong version number");
            /// There is no version that both sides speak.
            ErrSslUnsupportedProtocol => "ERR_SSL_UNSUPPORTED_PROTOCOL", Some("unsupported protocol");
            /// The client says that it offers less than it speaks, and we speak more (RFC 7507).
            ErrSslInappropriateFallback => "ERR_SSL_INAPPROPRIATE_FALLBACK", Some("inappropriate fallback");
            /// There is no cipher suite that both sides speak.
            ErrSslNoSharedCipher => "ERR_SSL_NO_SHARED_CIPHER", Some("no shared cipher");
            /// There is no key exchange group that both sides speak.
            ErrSslNoSuitableKeyShare => "ERR_SSL_NO_SUITABLE_KEY_SHARE", Some("no suitable key share");
            /// There is no signature scheme that both sides speak and for which there is a key.
            ErrSslNoSuitableSignatureAlgorithm => "ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM", Some("no suitable signature algorithm");
            /// There is no application protocol that both sides speak (RFC 7301 section 3.2).
            ErrSslNoApplicationProtocol => "ERR_SSL_NO_APPLICATION_PROTOCOL", Some("no application protocol");
            /// The server wants a certificate and the client sent none.
            ErrSslPeerDidNotReturnACertificate => "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE", Some("peer did not return a certificate");
            /// A message came that may not come at this point.
            ErrSslUnexpectedMessage => "ERR_SSL_UNEXPECTED_MESSAGE", Some("unexpected message");
            /// A message can't be decoded.
            ErrSslDecodeError => "ERR_SSL_DECODE_ERROR", None;
            /// A message has a value that is not allowed.
            ErrSslIllegalParameter => "ERR_SSL_ILLEGAL_PARAMETER", None;
            /// A record is longer than the protocol allows.
            ErrSslDataLengthTooLong => "ERR_SSL_DATA_LENGTH_TOO_LONG", Some("data length too long");
            /// A record does not carry a right authentication tag.
            ErrSslDecryptionFailedOrBadRecordMac => "ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC", Some("decryption failed or bad record mac");
            /// The peer's Finished message is wrong.
            ErrSslDigestCheckFailed => "ERR_SSL_DIGEST_CHECK_FAILED", Some("digest check failed");
            /// The peer's signature in the handshake is wrong, or of a kind that its certificate's key can't make.
            ErrSslBadSignature => "ERR_SSL_BAD_SIGNATURE", Some("bad signature");
            /// The peer lacks an extension that security needs, for example extended master secret (RFC 7627).
            ErrSslMissingExtension => "ERR_SSL_MISSING_EXTENSION", None;
            /// The handshake took longer than it may (row O20).
            ErrTlsHandshakeTimeout => "ERR_TLS_HANDSHAKE_TIMEOUT", None;
            /// Renegotiation was asked for, which is never done (row K14).
            ErrTlsRenegotiationDisabled => "ERR_TLS_RENEGOTIATION_DISABLED", None;
            /// The peer asked for renegotiation more often than `CLIENT_RENEG_LIMIT` (row K14).
            ErrTlsSessionAttack => "ERR_TLS_SESSION_ATTACK", None;
            /// A server has as many connections as it may have (row O24).
            ErrServerMaxConnections => "ERR_SERVER_MAX_CONNECTIONS", None;
            /// The caller gave the connection up.
            AbortErr => "ABORT_ERR", None;
            /// A fault within this component: please report it.
            ErrInternalAssertion => "ERR_INTERNAL_ASSERTION", None;
            // Alerts that the peer sent.
            /// Alert `unexpected_message` (10).
            ErrSslSslv3AlertUnexpectedMessage => "ERR_SSL_SSLV3_ALERT_UNEXPECTED_MESSAGE", Some("sslv3 alert unexpected message");
            /// Alert `bad_record_mac` (20).
            ErrSslSslv3AlertBadRecordMac => "ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC", Some("sslv3 alert bad record mac");
            /// Alert `record_overflow` (22).
            ErrSslTlsv1AlertRecordOverflow => "ERR_SSL_TLSV1_ALERT_RECORD_OVERFLOW", Some("tlsv1 alert record overflow");
            /// Alert `handshake_failure` (40): mostly no cipher suite, group or signature scheme in common.
            ErrSslSslv3AlertHandshakeFailure => "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE", Some("sslv3 alert handshake failure");
            /// Alert `bad_certificate` (42).
            ErrSslSslv3AlertBadCertificate => "ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", Some("sslv3 alert bad certificate");
            /// Alert `unsupported_certificate` (43).
            ErrSslSslv3AlertUnsupportedCertificate => "ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", Some("sslv3 alert unsupported certificate");
            /// Alert `certificate_revoked` (44).
            ErrSslSslv3AlertCertificateRevoked => "ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED", Some("sslv3 alert certificate revoked");
            /// Alert `certificate_expired` (45).
            ErrSslSslv3AlertCertificateExpired => "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", Some("sslv3 alert certificate expired");
            /// Alert `certificate_unknown` (46).
            ErrSslSslv3AlertCertificateUnknown => "ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN", Some("sslv3 alert certificate unknown");
            /// Alert `illegal_parameter` (47).
            ErrSslSslv3AlertIllegalParameter => "ERR_SSL_SSLV3_ALERT_ILLEGAL_PARAMETER", Some("sslv3 alert illegal parameter");
            /// Alert `unknown_ca` (48).
            ErrSslTlsv1AlertUnknownCa => "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", Some("tlsv1 alert unknown ca");
            /// Alert `access_denied` (49).
            ErrSslTlsv1AlertAccessDenied => "ERR_SSL_TLSV1_ALERT_ACCESS_DENIED", Some("tlsv1 alert access denied");
            /// Alert `decode_error` (50).
            ErrSslTlsv1AlertDecodeError => "ERR_SSL_TLSV1_ALERT_DECODE_ERROR", Some("tlsv1 alert decode error");
            /// Alert `decrypt_error` (51).
            ErrSslTlsv1AlertDecryptError => "ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR", Some("tlsv1 alert decrypt error");
            /// Alert `protocol_version` (70).
            ErrSslTlsv1AlertProtocolVersion => "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", Some("tlsv1 alert protocol version");
            /// Alert `insufficient_security` (71).
            ErrSslTlsv1AlertInsufficientSecurity => "ERR_SSL_TLSV1_ALERT_INSUFFICIENT_SECURITY", Some("tlsv1 alert insufficient security");
            /// Alert `internal_error` (80).
            ErrSslTlsv1AlertInternalError => "ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR", Some("tlsv1 alert internal error");
            /// Alert `inappropriate_fallback` (86).
            ErrSslTlsv1AlertInappropriateFallback => "ERR_SSL_TLSV1_ALERT_INAPPROPRIATE_FALLBACK", Some("tlsv1 alert inappropriate fallback");
            /// Alert `user_canceled` (90).
            ErrSslTlsv1AlertUserCancelled => "ERR_SSL_TLSV1_ALERT_USER_CANCELLED", Some("tlsv1 alert user cancelled");
            /// Alert `no_renegotiation` (100).
            ErrSslTlsv1AlertNoRenegotiation => "ERR_SSL_TLSV1_ALERT_NO_RENEGOTIATION", Some("tlsv1 alert no renegotiation");
            /// Alert `missing_extension` (109).
            ErrSslTlsv13AlertMissingExtension => "ERR_SSL_TLSV13_ALERT_MISSING_EXTENSION", Some("tlsv13 alert missing extension");
            /// Alert `unsupported_extension` (110).
            ErrSslTlsv1UnsupportedExtension => "ERR_SSL_TLSV1_UNSUPPORTED_EXTENSION", Some("tlsv1 unsupported extension");
            /// Alert `unrecognized_name` (112).
            ErrSslTlsv1UnrecognizedName => "ERR_SSL_TLSV1_UNRECOGNIZED_NAME", Some("tlsv1 unrecognized name");
            /// Alert `bad_certificate_status_response` (113).
            ErrSslTlsv1BadCertificateStatusResponse => "ERR_SSL_TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE", Some("tlsv1 bad certificate status response");
            /// Alert `unknown_psk_identity` (115).
            ErrSslTlsv1AlertUnknownPskIdentity => "ERR_SSL_TLSV1_ALERT_UNKNOWN_PSK_IDENTITY", Some("tlsv1 alert unknown psk identity");
            /// Alert `certificate_required` (116).
            ErrSslTlsv13AlertCertificateRequired => "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", Some("tlsv13 alert certificate required");
            /// Alert `no_application_protocol` (120).
            ErrSslTlsv1AlertNoApplicationProtocol => "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", Some("tlsv1 alert no application protocol");
            /// An alert that has no name here; its number is in `alert`.
            ErrSslUnknownAlertType => "ERR_SSL_UNKNOWN_ALERT_TYPE", None;
            // The peer's certificate (row K2), by OpenSSL's names.
            /// The certificate is signed by itself and is not trusted.
            DepthZeroSelfSignedCert => "DEPTH_ZERO_SELF_SIGNED_CERT", None;
            /// The chain ends in a certificate that is signed by itself and is not trusted.
            SelfSignedCertInChain => "SELF_SIGNED_CERT_IN_CHAIN", None;
            /// The issuer of a trusted certificate is not there.
            UnableToGetIssuerCert => "UNABLE_TO_GET_ISSUER_CERT", None;
            /// The issuer of the chain's last certificate is not among those that are trusted.
            UnableToGetIssuerCertLocally => "UNABLE_TO_GET_ISSUER_CERT_LOCALLY", None;
            /// There is only one certificate, and its issuer is not among those that are trusted.
            UnableToVerifyLeafSignature => "UNABLE_TO_VERIFY_LEAF_SIGNATURE", None;
            /// The time is after a certificate's `notAfter`.
            CertHasExpired => "CERT_HAS_EXPIRED", None;
            /// The time is before a certificate's `notBefore`.
            CertNotYetValid => "CERT_NOT_YET_VALID", None;
            /// A certificate was revoked.
            CertRevoked => "CERT_REVOKED", None;
            /// A certificate's signature is wrong.
            CertSignatureFailure => "CERT_SIGNATURE_FAILURE", None;
            /// A certificate that is no CA signed another one.
            InvalidCa => "INVALID_CA", None;
            /// There are more certificates below a CA than it allows.
            PathLengthExceeded => "PATH_LENGTH_EXCEEDED", None;
            /// A certificate is not meant for what it is used for here.
            InvalidPurpose => "INVALID_PURPOSE", None;
            /// A certificate can't be trusted, for a reason that has no name of its own.
            CertUntrusted => "CERT_UNTRUSTED", None;
            /// There is no revocation list for a certificate.
            UnableToGetCrl => "UNABLE_TO_GET_CRL", None;
            /// A revocation list is too old.
            CrlHasExpired => "CRL_HAS_EXPIRED", None;
            /// The time is before a revocation list's `thisUpdate`.
            CrlNotYetValid => "CRL_NOT_YET_VALID", None;
            /// The signature of a revocation list is wrong.
            CrlSignatureFailure => "CRL_SIGNATURE_FAILURE", None;
            /// A CA that may not sign revocation lists did so.
            KeyusageNoCrlSign => "KEYUSAGE_NO_CRL_SIGN", None;
            /// A revocation list has a critical extension that is not known.
            UnhandledCriticalCrlExtension => "UNHANDLED_CRITICAL_CRL_EXTENSION", None;
            /// The certificate is for another name (row M7).
            ErrTlsCertAltnameInvalid => "ERR_TLS_CERT_ALTNAME_INVALID", None;
        }
    };
}
#[cfg(all(feature = "component", target_os = "wasi", not(test)))]
pub(crate) use with_error_codes;

macro_rules! define {
    ($($(#[$doc:meta])* $code:ident => $name:literal, $reason:expr;)*) => {
        /// What went wrong, for programs. The names are Node's and OpenSSL's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorCode {
            $($(#[$doc])* $code,)*
        }

        impl ErrorCode {
            /// All codes, in the order of the contract.
            pub const ALL: &[Self] = &[$(Self::$code,)*];

            /// Node's spelling, for example `ERR_SSL_NO_SHARED_CIPHER`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$code => $name,)*
                }
            }

            /// OpenSSL's words, where programs match on them, for example `no shared cipher`.
            pub fn reason(self) -> Option<&'static str> {
                match self {
                    $(Self::$code => $reason,)*
                }
            }
        }
    };
}
with_error_codes!(define);
