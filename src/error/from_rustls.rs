//! rustls' errors in the words of the contract.

use rustls::{AlertDescription, Error as TlsError, InvalidMessage, PeerIncompatible, PeerMisbehaved, ProtocolVersion};

use super::{Alert, Direction, Error, ErrorCode};

/// Who we are on the connection that failed, and how far it had come: both decide what an error is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Role {
    /// Whether we are the server.
    pub(crate) is_server: bool,
    /// Whether the peer has said anything that was TLS.
    pub(crate) heard_tls: bool,
    /// The version, once it was agreed on.
    pub(crate) version: Option<ProtocolVersion>,
}

/// The error that rustls ended a connection with. One that came from the verifier of certificates has its own code
/// already and does not come here.
pub(crate) fn from_rustls(error: &TlsError, role: Role) -> Error {
    match error {
        TlsError::AlertReceived(alert) => received(u8::from(*alert)),
        TlsError::InappropriateMessage { .. } | TlsError::InappropriateHandshakeMessage { .. } => sent(
            ErrorCode::ErrSslUnexpectedMessage,
            "The peer sent a message that may not come at this point.",
            AlertDescription::UnexpectedMessage,
        ),
        TlsError::InvalidMessage(cause) => invalid_message(cause, role),
        TlsError::PeerIncompatible(cause) => incompatible(cause, role),
        TlsError::PeerMisbehaved(cause @ PeerMisbehaved::TooManyRenegotiationRequests) => sent(
            ErrorCode::ErrTlsSessionAttack,
            "The peer asked for renegotiation again after it was refused (RFC 9325 section 3.5).",
            misbehaved_alert(cause),
        ),
        TlsError::PeerMisbehaved(cause) => sent(
            ErrorCode::ErrSslIllegalParameter,
            format!("The peer broke the protocol: {cause:?}."),
            misbehaved_alert(cause),
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
        TlsError::NoCertificatesPresented => sent(
            ErrorCode::ErrSslPeerDidNotReturnACertificate,
            "A client certificate is required and the client sent none.",
            AlertDescription::CertificateRequired,
        ),
        TlsError::InvalidCertificate(cause) => sent(
            ErrorCode::ErrSslDecryptError,
            "The peer's signature in the handshake does not verify: it does not have the key of its certificate.",
            AlertDescription::from(cause.clone()),
        ),
        TlsError::FailedToGetRandomBytes => Error::new(
            ErrorCode::ErrInternalAssertion,
            "The host gave no random bytes, and there is no TLS without them.",
        ),
        TlsError::FailedToGetCurrentTime => Error::new(
            ErrorCode::ErrInternalAssertion,
            "The host gave no time, and certificates can't be checked without it.",
        ),
        TlsError::General(what) => Error::new(
            ErrorCode::ErrInternalAssertion,
            format!("A fault within the component: {what}. Please report it."),
        ),
        _ => Error::new(ErrorCode::ErrInternalAssertion, "A fault within the component. Please report it."),
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
        _ => sent(
            ErrorCode::ErrSslDecodeError,
            format!("A message of the peer can't be decoded: {cause:?}."),
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
            "The peer speaks TLS 1.2 without extended master secret (RFC 7627), which is not safe.",
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

fn misbehaved_alert(cause: &PeerMisbehaved) -> AlertDescription {
    use PeerMisbehaved as Cause;
    match cause {
        Cause::KeyEpochWithPendingFragment
        | Cause::MessageInterleavedWithHandshakeMessage
        | Cause::IllegalMiddleboxChangeCipherSpec
        | Cause::IllegalTlsInnerPlaintext
        | Cause::TooManyEmptyFragments
        | Cause::TooManyKeyUpdateRequests => AlertDescription::UnexpectedMessage,
        Cause::IncorrectBinder | Cause::SignedHandshakeWithUnadvertisedSigScheme => AlertDescription::DecryptError,
        Cause::UnsolicitedEncryptedExtension
        | Cause::UnsolicitedServerHelloExtension
        | Cause::UnsolicitedCertExtension => AlertDescription::UnsupportedExtension,
        _ => AlertDescription::IllegalParameter,
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
