//! rustls' errors in the words of the contract.

use rustls::{
    AlertDescription, CertificateError, Error as TlsError, InvalidMessage, PeerIncompatible, PeerMisbehaved,
    ProtocolVersion,
};

use super::{Alert, Direction, Error, ErrorCode};

/// Who we are on the connection that failed, and how far it had come: all of it decides what an error is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Role {
    /// Whether we are the server.
    pub(crate) is_server: bool,
    /// Whether the peer has said anything that was TLS.
    pub(crate) heard_tls: bool,
    /// The version, once it was agreed on; a server's before is TLS 1.3 where the client offers it.
    pub(crate) version: Option<ProtocolVersion>,
    /// The alert that rustls sent for it. It sends none for some errors, and for a few another one than the RFC has.
    pub(crate) said: Option<u8>,
}

/// The error that rustls ended a connection with. One that came from the verifier of certificates has its own code
/// already and does not come here. An alert in it that is sent is the one that has to go out: what rustls sent, unless that was
/// none, or not what the RFC has.
pub(crate) fn from_rustls(error: &TlsError, role: Role) -> Error {
    let mut translated = translate(error, role);
    if let (Some(Alert { direction: Direction::Sent, description }), Some(said)) = (&mut translated.alert, role.said)
        && !is_mistaken(error, role)
    {
        *description = said;
    }
    translated
}

/// Whether rustls sends another alert for this than the RFC has, in the clear, where ours can take its place.
fn is_mistaken(error: &TlsError, role: Role) -> bool {
    match error {
        // Its alert is of TLS 1.3 (RFC 5246 section 7.4.6).
        TlsError::NoCertificatesPresented => role.version == Some(ProtocolVersion::TLSv1_2),
        // RFC 8446 sections 4.2 and 4.2.11: in the first message rustls has `decode_error` for all.
        TlsError::InvalidMessage(cause) => AlertDescription::from(*cause) == AlertDescription::IllegalParameter,
        // RFC 8446 section 4.1.3.
        TlsError::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite) => true,
        // RFC 8446 section 9.2.
        TlsError::PeerIncompatible(
            PeerIncompatible::KeyShareExtensionRequired
            | PeerIncompatible::NamedGroupsExtensionRequired
            | PeerIncompatible::SignatureAlgorithmsExtensionRequired,
        ) => role.version == Some(ProtocolVersion::TLSv1_3),
        _ => false,
    }
}

fn translate(error: &TlsError, role: Role) -> Error {
    match error {
        TlsError::AlertReceived(AlertDescription::CloseNotify) => Error {
            code: ErrorCode::ErrSslUnexpectedEofWhileReading,
            message: "The peer closed the connection by close_notify before the handshake was done.".into(),
            alert: Some(Alert { direction: Direction::Received, description: 0 }),
        },
        TlsError::AlertReceived(alert) => received(u8::from(*alert)),
        TlsError::InappropriateMessage { .. } | TlsError::InappropriateHandshakeMessage { .. } => sent(
            ErrorCode::ErrSslUnexpectedMessage,
            "The peer sent a message that may not come at this point.",
            AlertDescription::UnexpectedMessage,
        ),
        TlsError::InvalidMessage(cause) => invalid_message(cause, role),
        TlsError::PeerIncompatible(cause) => incompatible(cause, role),
        TlsError::PeerMisbehaved(PeerMisbehaved::TooManyRenegotiationRequests) => sent(
            ErrorCode::ErrTlsSessionAttack,
            "The peer asked for renegotiation again after it was refused (RFC 9325 section 3.5).",
            AlertDescription::HandshakeFailure,
        ),
        TlsError::PeerMisbehaved(cause) => misbehaved(cause),
        TlsError::DecryptError if role.said == Some(u8::from(AlertDescription::DecryptError)) => sent(
            ErrorCode::ErrSslDigestCheckFailed,
            "The peer's Finished message is wrong: the two sides have not seen the same handshake (RFC 8446 section 4.4.4).",
            AlertDescription::DecryptError,
        ),
        TlsError::DecryptError => sent(
            ErrorCode::ErrSslDecryptionFailedOrBadRecordMac,
            "A record does not carry a right authentication tag: it was changed on its way, or the two sides have different keys.",
            AlertDescription::BadRecordMac,
        ),
        TlsError::PeerSentOversizedRecord => sent(
            ErrorCode::ErrSslDataLengthTooLong,
            "The peer sent a record of more than 16384 bytes of content (RFC 8446 section 5.1).",
            AlertDescription::RecordOverflow,
        ),
        TlsError::NoApplicationProtocol => sent(
            ErrorCode::ErrSslNoApplicationProtocol,
            "None of the application protocols that the peer offers by ALPN is one of ours.",
            AlertDescription::NoApplicationProtocol,
        ),
        // RFC 8446 section 4.4.2.4.
        TlsError::NoCertificatesPresented if !role.is_server => sent(
            ErrorCode::ErrSslPeerDidNotReturnACertificate,
            "The server sent an empty list of certificates, and every server has to show one.",
            AlertDescription::DecodeError,
        ),
        TlsError::NoCertificatesPresented => sent(
            ErrorCode::ErrSslPeerDidNotReturnACertificate,
            "A client certificate is required and the client sent none.",
            match role.version {
                Some(ProtocolVersion::TLSv1_2) => AlertDescription::HandshakeFailure,
                _ => AlertDescription::CertificateRequired,
            },
        ),
        TlsError::InvalidCertificate(cause) => certificate(cause),
        TlsError::FailedToGetRandomBytes => sent(
            ErrorCode::ErrInternalAssertion,
            "The host gave no random bytes, and there is no TLS without them.",
            AlertDescription::InternalError,
        ),
        TlsError::FailedToGetCurrentTime => sent(
            ErrorCode::ErrInternalAssertion,
            "The host gave no time, and certificates can't be checked without it.",
            AlertDescription::InternalError,
        ),
        TlsError::General(what) => sent(
            ErrorCode::ErrInternalAssertion,
            format!("A fault within the component: {what}. Please report it."),
            AlertDescription::InternalError,
        ),
        _ => sent(
            ErrorCode::ErrInternalAssertion,
            "A fault within the component. Please report it.",
            AlertDescription::InternalError,
        ),
    }
}

/// What is wrong with the peer's certificate where it is used to check the signature of the handshake.
fn certificate(cause: &CertificateError) -> Error {
    match cause {
        CertificateError::BadSignature => sent(
            ErrorCode::ErrSslBadSignature,
            "The peer's signature in the handshake does not verify: it does not have the key of its certificate.",
            AlertDescription::DecryptError,
        ),
        CertificateError::BadEncoding => sent(
            ErrorCode::ErrSslDecodeError,
            "The peer's certificate can't be read: it is not a certificate in DER of a version and a form that is known (RFC 5280).",
            AlertDescription::BadCertificate,
        ),
        other => sent(
            ErrorCode::ErrSslBadSignature,
            "The peer's signature in the handshake can't be checked: its scheme does not suit the key of its certificate.",
            AlertDescription::from(other.clone()),
        ),
    }
}

/// The RFC name of an alert (RFC 8446 section 6, and the IANA registry for those of other RFCs).
pub(crate) fn alert_name(description: u8) -> &'static str {
    ALERTS.iter().find(|alert| alert.0 == description).map_or("unknown", |alert| alert.1)
}

fn received(description: u8) -> Error {
    let name = alert_name(description);
    let code = ALERTS
        .iter()
        .find(|alert| alert.0 == description)
        .and_then(|alert| alert.2)
        .unwrap_or(ErrorCode::ErrSslUnknownAlertType);
    Error {
        code,
        message: format!("The peer ended the connection by the alert {name} ({description})."),
        alert: Some(Alert { direction: Direction::Received, description }),
    }
}

fn sent(code: ErrorCode, message: impl Into<String>, alert: AlertDescription) -> Error {
    Error {
        code,
        message: message.into(),
        alert: Some(Alert { direction: Direction::Sent, description: u8::from(alert) }),
    }
}

fn invalid_message(cause: &InvalidMessage, role: Role) -> Error {
    match cause {
        InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion if !role.heard_tls => sent(
            ErrorCode::ErrSslWrongVersionNumber,
            "What arrived is not TLS: the first bytes are no TLS record. Is the peer speaking cleartext?",
            AlertDescription::DecodeError,
        ),
        InvalidMessage::MessageTooLarge => sent(
            ErrorCode::ErrSslDataLengthTooLong,
            "The peer sent a record or message that is longer than the protocol allows.",
            AlertDescription::DecodeError,
        ),
        InvalidMessage::PreSharedKeyIsNotFinalExtension => sent(
            ErrorCode::ErrSslIllegalParameter,
            "The extension pre_shared_key is not the last of the ClientHello (RFC 8446 section 4.2.11).",
            AlertDescription::IllegalParameter,
        ),
        InvalidMessage::DuplicateExtension(kind) => sent(
            ErrorCode::ErrSslIllegalParameter,
            format!("A message of the peer has the extension {kind} twice (RFC 8446 section 4.2)."),
            AlertDescription::IllegalParameter,
        ),
        _ => sent(
            ErrorCode::ErrSslDecodeError,
            format!("A message of the peer can't be decoded: {}.", words(cause)),
            AlertDescription::from(*cause),
        ),
    }
}

fn incompatible(cause: &PeerIncompatible, role: Role) -> Error {
    use PeerIncompatible as Cause;
    match cause {
        Cause::Tls12NotOffered
        | Cause::Tls12NotOfferedOrEnabled
        | Cause::ServerDoesNotSupportTls12Or13
        | Cause::ServerTlsVersionIsDisabledByOurConfig
        | Cause::SupportedVersionsExtensionRequired => sent(
            ErrorCode::ErrSslUnsupportedProtocol,
            "There is no version of TLS that both sides speak: ours are TLS 1.2 and TLS 1.3, as far as the context allows them.",
            AlertDescription::ProtocolVersion,
        ),
        Cause::NoCipherSuitesInCommon => sent(
            ErrorCode::ErrSslNoSharedCipher,
            "There is no cipher suite that both sides speak and that suits the certificate.",
            AlertDescription::HandshakeFailure,
        ),
        Cause::NoKxGroupsInCommon => sent(
            ErrorCode::ErrSslNoSuitableKeyShare,
            "There is no key exchange group that both sides speak.",
            AlertDescription::HandshakeFailure,
        ),
        Cause::NoSignatureSchemesInCommon | Cause::NoCertificateRequestSignatureSchemesInCommon => sent(
            ErrorCode::ErrSslNoSuitableSignatureAlgorithm,
            "There is no signature scheme that both sides speak and for which there is a key.",
            AlertDescription::HandshakeFailure,
        ),
        Cause::ExtendedMasterSecretExtensionRequired => sent(
            ErrorCode::ErrSslMissingExtension,
            "The peer speaks TLS 1.2 without extended master secret (RFC 7627), which is required here.",
            AlertDescription::HandshakeFailure,
        ),
        Cause::KeyShareExtensionRequired
        | Cause::NamedGroupsExtensionRequired
        | Cause::SignatureAlgorithmsExtensionRequired
        | Cause::EcPointsExtensionRequired => sent(
            ErrorCode::ErrSslMissingExtension,
            match cause {
                Cause::KeyShareExtensionRequired => "The peer left out the extension key_share, which TLS 1.3 needs.",
                Cause::NamedGroupsExtensionRequired => {
                    "The peer left out the extension supported_groups, which is needed."
                }
                Cause::EcPointsExtensionRequired => {
                    "The peer left out the extension ec_point_formats, which is needed."
                }
                _ => "The peer left out the extension signature_algorithms, which is needed.",
            },
            match role.version {
                Some(ProtocolVersion::TLSv1_3) => AlertDescription::MissingExtension,
                _ => AlertDescription::HandshakeFailure,
            },
        ),
        _ => sent(
            ErrorCode::ErrSslIllegalParameter,
            "The peer asks for something that is not spoken here, such as compression or raw public keys.",
            match role.is_server {
                true => AlertDescription::IllegalParameter,
                false => AlertDescription::HandshakeFailure,
            },
        ),
    }
}

fn misbehaved(cause: &PeerMisbehaved) -> Error {
    use PeerMisbehaved as Cause;
    match cause {
        // Also what the provider says of protected records.
        Cause::IllegalMiddleboxChangeCipherSpec => sent(
            ErrorCode::ErrSslUnexpectedMessage,
            "The peer sent a record whose type or version may not stand there: a protected record says application data of TLS 1.2, and change_cipher_spec comes alone (RFC 8446 sections 5 and 5.2).",
            AlertDescription::UnexpectedMessage,
        ),
        Cause::KeyEpochWithPendingFragment
        | Cause::MessageInterleavedWithHandshakeMessage
        | Cause::RejectedEarlyDataInterleavedWithHandshakeMessage
        | Cause::IllegalTlsInnerPlaintext
        | Cause::TooManyEmptyFragments
        | Cause::TooManyKeyUpdateRequests
        | Cause::TooManyWarningAlertsReceived => {
            sent(ErrorCode::ErrSslUnexpectedMessage, broke(cause), AlertDescription::UnexpectedMessage)
        }
        Cause::UnsolicitedEncryptedExtension
        | Cause::UnsolicitedServerHelloExtension
        | Cause::UnsolicitedCertExtension => {
            sent(ErrorCode::ErrSslIllegalParameter, broke(cause), AlertDescription::UnsupportedExtension)
        }
        _ => sent(ErrorCode::ErrSslIllegalParameter, broke(cause), AlertDescription::IllegalParameter),
    }
}

fn broke(cause: &PeerMisbehaved) -> String {
    format!("The peer broke the protocol: {}.", words(cause))
}

/// rustls' name of what is wrong, as words: `MissingData("SessionID")` is "missing data (SessionID)".
fn words(cause: &impl std::fmt::Debug) -> String {
    let name = format!("{cause:?}");
    let (name, detail) = name.split_once('(').unwrap_or((&name, ""));
    let mut words = String::new();
    let mut before = ' ';
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && before.is_ascii_lowercase() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
        before = letter;
    }
    match detail.trim_matches([')', '"']) {
        "" => words,
        detail => format!("{words} ({detail})"),
    }
}

/// Number, RFC name, and what it is called when the peer sent it.
const ALERTS: &[(u8, &str, Option<ErrorCode>)] = &[
    (0, "close_notify", None),
    (10, "unexpected_message", Some(ErrorCode::ErrSslSslv3AlertUnexpectedMessage)),
    (20, "bad_record_mac", Some(ErrorCode::ErrSslSslv3AlertBadRecordMac)),
    (22, "record_overflow", Some(ErrorCode::ErrSslTlsv1AlertRecordOverflow)),
    (40, "handshake_failure", Some(ErrorCode::ErrSslSslv3AlertHandshakeFailure)),
    (42, "bad_certificate", Some(ErrorCode::ErrSslSslv3AlertBadCertificate)),
    (43, "unsupported_certificate", Some(ErrorCode::ErrSslSslv3AlertUnsupportedCertificate)),
    (44, "certificate_revoked", Some(ErrorCode::ErrSslSslv3AlertCertificateRevoked)),
    (45, "certificate_expired", Some(ErrorCode::ErrSslSslv3AlertCertificateExpired)),
    (46, "certificate_unknown", Some(ErrorCode::ErrSslSslv3AlertCertificateUnknown)),
    (47, "illegal_parameter", Some(ErrorCode::ErrSslSslv3AlertIllegalParameter)),
    (48, "unknown_ca", Some(ErrorCode::ErrSslTlsv1AlertUnknownCa)),
    (49, "access_denied", Some(ErrorCode::ErrSslTlsv1AlertAccessDenied)),
    (50, "decode_error", Some(ErrorCode::ErrSslTlsv1AlertDecodeError)),
    (51, "decrypt_error", Some(ErrorCode::ErrSslTlsv1AlertDecryptError)),
    (70, "protocol_version", Some(ErrorCode::ErrSslTlsv1AlertProtocolVersion)),
    (71, "insufficient_security", Some(ErrorCode::ErrSslTlsv1AlertInsufficientSecurity)),
    (80, "internal_error", Some(ErrorCode::ErrSslTlsv1AlertInternalError)),
    (86, "inappropriate_fallback", Some(ErrorCode::ErrSslTlsv1AlertInappropriateFallback)),
    (90, "user_canceled", Some(ErrorCode::ErrSslTlsv1AlertUserCancelled)),
    (100, "no_renegotiation", Some(ErrorCode::ErrSslTlsv1AlertNoRenegotiation)),
    (109, "missing_extension", Some(ErrorCode::ErrSslTlsv13AlertMissingExtension)),
    (110, "unsupported_extension", Some(ErrorCode::ErrSslTlsv1UnsupportedExtension)),
    (112, "unrecognized_name", Some(ErrorCode::ErrSslTlsv1UnrecognizedName)),
    (113, "bad_certificate_status_response", Some(ErrorCode::ErrSslTlsv1BadCertificateStatusResponse)),
    (115, "unknown_psk_identity", Some(ErrorCode::ErrSslTlsv1AlertUnknownPskIdentity)),
    (116, "certificate_required", Some(ErrorCode::ErrSslTlsv13AlertCertificateRequired)),
    (120, "no_application_protocol", Some(ErrorCode::ErrSslTlsv1AlertNoApplicationProtocol)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rustls_become_words() {
        for (name, expected) in [
            (words(&InvalidMessage::MissingData("SessionID")), "missing data (SessionID)"),
            (words(&InvalidMessage::MessageTooShort), "message too short"),
            (words(&PeerMisbehaved::SelectedUnofferedCipherSuite), "selected unoffered cipher suite"),
        ] {
            assert_eq!(name, expected);
        }
    }
}
