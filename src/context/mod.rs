//! Options → configuration: what a secure context is made of, and the context (row M2).

/// Reads a file of `tests/fixtures`, which `make.sh` there made.
#[cfg(test)]
macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("tests/fixtures/", $name))
    };
}

mod ber;
mod bindings;
mod ciphers;
mod compression;
mod crls;
mod dhparam;
mod identity;
mod keys;
pub mod names;
mod pbe;
mod pem;
mod pkcs12;
mod policy;
mod protocol;
mod roots;
mod secret;
mod sessions;
mod sigalgs;
mod trusted;

use std::fmt;
use std::sync::Arc;

use rustls::compress::{CertCompressor, CertDecompressor};
use rustls::crypto::CryptoProvider;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{ProtocolVersion, SupportedProtocolVersion};

use crate::engine::ServerSessions;
use crate::error::{Error, ErrorCode};
use crate::verify::VerifyOptions;
use bindings::Bindings;
pub use compression::CertificateCompression;
pub(crate) use crls::Crls;
pub(crate) use identity::Identities;
use policy::Policy;
use roots::Authorities;
pub(crate) use roots::Roots;
pub use roots::root_certificates;
pub use secret::{Secret, SecretFile};
use sessions::Sessions;
pub(crate) use sigalgs::sigalg_name;

/// What a context is made of. All of it may be left out.
#[derive(Clone, Debug, Default)]
pub struct ContextOptions {
    /// Files with certificate chains, leaf first, in PEM or DER (row O2).
    pub certs: Vec<Vec<u8>>,
    /// Files with private keys, in PEM or DER, plain or encrypted (row O1).
    pub keys: Vec<SecretFile>,
    /// PKCS#12 files (row O3). Their keys come before `keys` where both suit a peer; their authorities are trusted besides `cas`, or
    /// besides Mozilla's roots.
    pub pfxs: Vec<SecretFile>,
    /// Files with trust anchors, in PEM or DER; they replace Mozilla's roots (row O4).
    pub cas: Vec<Vec<u8>>,
    /// Files with certificate revocation lists, in PEM (any number) or DER (one) (row O5, RFC 5280 section 5).
    /// Default: none, and no certificate is looked up in one.
    ///
    /// Where there is any, every certificate below a trust anchor needs a list by its issuer that is about it and
    /// in time. Of several, the newest counts; a delta list is added to the one that it is for (section 6.3.3).
    pub crls: Vec<Vec<u8>>,
    /// Whether a certificate of `cas` that is not signed by itself is a trust anchor (row O25). Default: no, it only helps to
    /// build the path to one that is.
    pub allow_partial_trust_chain: bool,
    /// Whether to accept peers' certificates that OpenSSL accepts and webpki does not (row K2). Default: no.
    ///
    /// It weakens the check, so leave it off where the peers' certificates can be replaced. With it, a path is also good where
    /// own code, younger and less tried than webpki, finds nothing wrong with it: certificates of version 1 as leaves; a
    /// certificate that is signed by itself and stands in `cas`, although it says that it is a CA; a server's name that is
    /// only in the common name. Signatures, validity, usage, path lengths and name constraints are checked all the same.
    pub compat: bool,
    /// Cipher suites in OpenSSL's cipher-list language (row O6). Default: all, ChaCha20-Poly1305 first.
    pub ciphers: Option<String>,
    /// Signature schemes that are accepted and used, in order of preference (row O7). Default: all.
    pub sigalgs: Option<String>,
    /// Groups in order of preference (row O8). Default: all, X25519MLKEM768 first.
    pub groups: Option<String>,
    /// Parameters of finite-field Diffie-Hellman, in PEM or DER: checked and not used (row O9).
    pub dhparam: Option<Vec<u8>>,
    /// OpenSSL's name of a method, which excludes `min_version` and `max_version` (row O10).
    pub secure_protocol: Option<String>,
    /// The lowest version (row O10). Default: TLS 1.2.
    pub min_version: Option<Version>,
    /// The highest version (row O10). Default: TLS 1.3.
    pub max_version: Option<Version>,
    /// Whether the server's order of suites wins over the client's (row O11). Default: true.
    pub honor_cipher_order: Option<bool>,
    /// True if TLS 1.2 without extended master secret is refused (RFC 7627). Default: false: such a connection is never resumed, and
    /// gives no key material and no Finished messages to bind something to it.
    pub require_ems: bool,
    /// How long a session may be resumed, in seconds, 1 to 604800 (row O18). Default: 300.
    pub session_timeout: Option<u32>,
    /// Sessions of a context with another one are not resumed; at most 32 bytes (row O18). Default: empty.
    pub session_id_context: Vec<u8>,
    /// The keys of session tickets, exactly 48 bytes, shared by the servers of a fleet (row O19). Default: random.
    pub ticket_keys: Option<Secret>,
    /// How certificates may be compressed, in order of preference (row O26). Default: not at all.
    pub certificate_compression: Vec<CertificateCompression>,
    /// Where the time comes from. Default: the system's clock.
    pub time: Option<Arc<dyn TimeProvider>>,
}

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// Credentials and policy, immutable and shared by any number of connections (row M2).
#[derive(Debug)]
pub struct Context {
    identities: Arc<Identities>,
    roots: Arc<Roots>,
    client_roots: Arc<Roots>,
    crls: Crls,
    compat: bool,
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    honor_cipher_order: bool,
    require_ems: bool,
    sessions: Sessions,
    certificate_compression: Vec<CertificateCompression>,
    warnings: Vec<String>,
    time: Arc<dyn TimeProvider>,
    bindings: Bindings,
    server_sessions: Arc<ServerSessions>,
}

impl Context {
    /// Makes a context, or says all that is wrong with the options.
    pub fn new(options: &ContextOptions) -> Result<Self, Vec<Error>> {
        let policy = Policy::new(options);
        let authorities = Authorities::read(&options.cas);
        let crls = Crls::new(&options.crls);
        let key_provider = crate::provider::crypto_provider().key_provider;
        let identities = Identities::new(&options.certs, &options.keys, &options.pfxs, key_provider);
        let dhparam = options.dhparam.as_deref().map(dhparam::check).transpose();
        let sessions =
            Sessions::new(options.session_timeout, &options.session_id_context, options.ticket_keys.as_ref());
        match (policy, authorities, crls, identities, dhparam, sessions) {
            (Ok(policy), Ok(mut authorities), Ok(crls), Ok((identities, more)), Ok(dhparam), Ok(sessions)) => {
                authorities.add(more);
                let roots = |purpose| Arc::new(authorities.roots(options.allow_partial_trust_chain, purpose));
                Ok(Self {
                    identities: Arc::new(match policy.schemes {
                        Some(schemes) => identities.restricted_to(schemes),
                        None => identities,
                    }),
                    roots: roots(|purposes| purposes.server_auth),
                    client_roots: roots(|purposes| purposes.client_auth),
                    crls,
                    compat: options.compat,
                    provider: Arc::new(policy.provider),
                    versions: policy.versions,
                    honor_cipher_order: options.honor_cipher_order.unwrap_or(true),
                    require_ems: options.require_ems,
                    server_sessions: Arc::new(ServerSessions::new(sessions.ticket_keys.as_deref())),
                    sessions,
                    certificate_compression: options.certificate_compression.clone(),
                    warnings: dhparam
                        .map(|()| dhparam::NOT_USED.to_owned())
                        .into_iter()
                        .chain(authorities.warnings)
                        .collect(),
                    time: options.time.clone().unwrap_or_else(|| Arc::new(DefaultTimeProvider)),
                    bindings: Bindings::new(options),
                })
            }
            (policy, authorities, crls, identities, dhparam, sessions) => {
                let several = [policy.err(), authorities.err(), crls.err(), identities.err(), sessions.err()];
                Err(several.into_iter().flatten().flatten().chain(dhparam.err()).collect())
            }
        }
    }

    /// What the user should know of options that are good: which have no effect (row O9), and which certificates of `ca` are left
    /// out, since they can't be read (row O4). Sentences in English.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether the server's order of suites wins over the client's (row O11).
    pub fn honor_cipher_order(&self) -> bool {
        self.honor_cipher_order
    }

    /// True if TLS 1.2 without extended master secret is refused (RFC 7627).
    pub fn require_ems(&self) -> bool {
        self.require_ems
    }

    /// How long a session may be resumed, in seconds (row O18).
    pub fn session_timeout(&self) -> u32 {
        self.sessions.timeout
    }

    /// What compresses our certificates, in order of preference: for `cert_compressors` of rustls (row O26).
    pub fn cert_compressors(&self) -> Vec<&'static dyn CertCompressor> {
        compression::compressors(&self.certificate_compression)
    }

    /// What decompresses the peer's certificates, in order of preference: for `cert_decompressors` of rustls (row O26).
    pub fn cert_decompressors(&self) -> Vec<&'static dyn CertDecompressor> {
        compression::decompressors(&self.certificate_compression)
    }

    pub(crate) fn identities(&self) -> &Arc<Identities> {
        &self.identities
    }

    /// What servers' chains must lead to.
    pub(crate) fn roots(&self) -> &Arc<Roots> {
        &self.roots
    }

    /// What clients' chains must lead to: others than servers' where `BEGIN TRUSTED CERTIFICATE` says so.
    pub(crate) fn client_roots(&self) -> &Arc<Roots> {
        &self.client_roots
    }

    pub(crate) fn crls(&self) -> &Crls {
        &self.crls
    }

    pub(crate) fn compat(&self) -> bool {
        self.compat
    }

    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    pub(crate) fn versions(&self) -> &[&'static SupportedProtocolVersion] {
        &self.versions
    }

    /// What was given to seal tickets (row O19).
    pub(crate) fn ticket_keys(&self) -> Option<&[u8; 48]> {
        self.sessions.ticket_keys.as_deref()
    }

    /// The sessions of servers with this context.
    pub(crate) fn sessions(&self) -> &Arc<ServerSessions> {
        &self.server_sessions
    }

    /// What a server's sessions are bound to.
    pub(crate) fn server_binding(&self) -> [u8; 32] {
        self.bindings.server()
    }

    /// What a client's sessions are bound to.
    pub(crate) fn client_binding(&self, options: VerifyOptions) -> [u8; 32] {
        self.bindings.client(options)
    }

    /// Seconds since 1970, and 0 without a clock: then certificates are not valid either.
    pub(crate) fn now(&self) -> u64 {
        self.time.current_time().map_or(0, |now| now.as_secs())
    }

    pub(crate) fn time(&self) -> &Arc<dyn TimeProvider> {
        &self.time
    }
}

impl Version {
    /// The lowest that is spoken, also where nothing else was asked for (row M9).
    pub const MIN: Self = Self::Tls12;
    /// The highest that is spoken, also where nothing else was asked for (row M9).
    pub const MAX: Self = Self::Tls13;

    pub(crate) fn from_rustls(version: ProtocolVersion) -> Option<Self> {
        match version {
            ProtocolVersion::TLSv1_2 => Some(Self::Tls12),
            ProtocolVersion::TLSv1_3 => Some(Self::Tls13),
            _ => None,
        }
    }

    pub(crate) fn to_rustls(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &rustls::version::TLS12,
            Self::Tls13 => &rustls::version::TLS13,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CERT: &[u8] = include_bytes!("../engine/tests/fixtures/server.pem");
    const KEY: &[u8] = include_bytes!("../engine/tests/fixtures/server.key.pem");
    const OTHER_KEY: &[u8] = include_bytes!("../engine/tests/fixtures/other.key.pem");
    const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";

    fn options(certs: &[&[u8]], keys: &[&[u8]], cas: &[&[u8]]) -> ContextOptions {
        ContextOptions {
            certs: certs.iter().map(|cert| cert.to_vec()).collect(),
            keys: keys.iter().map(|key| key.to_vec().into()).collect(),
            cas: cas.iter().map(|ca| ca.to_vec()).collect(),
            ..ContextOptions::default()
        }
    }

    #[test]
    fn files_that_do_not_do_are_told_by_what_is_wrong_with_them() {
        use ErrorCode::*;
        type Row = (
            &'static str,
            &'static [&'static [u8]],
            &'static [&'static [u8]],
            &'static [&'static [u8]],
            &'static [(ErrorCode, &'static str)],
        );
        #[rustfmt::skip]
        let rows: &[Row] = &[
            ("a certificate and its key", &[CERT], &[KEY], &[], &[]),
            ("nothing at all", &[], &[], &[], &[]),
            ("a certificate and another key", &[CERT], &[OTHER_KEY], &[], &[(ErrOsslX509KeyValuesMismatch, "Certificate 1 has no private key: the key given")]),
            ("a certificate without a key", &[CERT], &[], &[], &[(ErrOsslX509KeyValuesMismatch, "Certificate 1")]),
            ("a key without a certificate", &[], &[KEY], &[], &[(ErrOsslX509KeyValuesMismatch, "Private key 1")]),
            ("a key in place of a certificate", &[KEY], &[], &[], &[(ErrTlsInvalidCertificate, "found PRIVATE KEY")]),
            ("a certificate in place of a key", &[], &[CERT], &[], &[(ErrTlsInvalidKey, "found CERTIFICATE")]),
            ("an encrypted key", &[], &[ENCRYPTED], &[], &[(ErrMissingPassphrase, "no passphrase was given")]),
            ("no certificate", &[b"hello"], &[], &[], &[(ErrTlsInvalidCertificate, "neither PEM nor")]),
            ("no key", &[], &[b"hello"], &[], &[(ErrTlsInvalidKey, "neither PEM nor")]),
            ("PEM that does not end", &[b"-----BEGIN CERTIFICATE-----\nAAAA\n"], &[], &[], &[(ErrTlsInvalidCertificate, "no -----END line")]),
            ("PEM that is not base64", &[b"-----BEGIN CERTIFICATE-----\n****\n-----END CERTIFICATE-----\n"], &[], &[], &[(ErrTlsInvalidCertificate, "not base64")]),
            ("PEM with what is no certificate", &[b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"], &[], &[], &[(ErrTlsInvalidCertificate, "Certificate 1 of the file, in line 1, is not a readable X.509 certificate")]),
            ("the second CA file is wrong", &[], &[], &[CERT, b"x"], &[(ErrTlsInvalidCertificate, "CA file 2 of 2")]),
            ("the second of two certificates is wrong", &[CERT, b"x"], &[KEY], &[], &[(ErrTlsInvalidCertificate, "File 2 of 2")]),
            ("all that is wrong is said", &[b"x"], &[b"x"], &[b"x"], &[(ErrTlsInvalidCertificate, "CA file"), (ErrTlsInvalidCertificate, "PEM"), (ErrTlsInvalidKey, "PEM")]),
        ];
        for (what, certs, keys, cas, expected) in rows {
            let errors = Context::new(&options(certs, keys, cas)).err().unwrap_or_default();
            let codes: Vec<_> = errors.iter().map(|error| error.code).collect();
            assert_eq!(codes, expected.iter().map(|row| row.0).collect::<Vec<_>>(), "{what}: {errors:?}");
            for (error, (_, text)) in errors.iter().zip(*expected) {
                assert!(error.message.contains(text), "{what}: {:?} does not say {text:?}", error.message);
            }
        }
    }

    #[test]
    fn a_pfx_stands_beside_all_others_and_so_do_its_authorities() {
        let pfx = SecretFile {
            file: include_bytes!("tests/fixtures/modern.p12").to_vec().into(),
            passphrase: Some("Grüße".as_bytes().to_vec().into()),
        };
        let alone = ContextOptions { pfxs: vec![pfx.clone()], ..ContextOptions::default() };
        let context = Context::new(&alone).expect("the file is good");
        let others = Context::new(&ContextOptions::default()).expect("the defaults are good");
        assert_eq!(context.roots().anchors().len(), others.roots().anchors().len() + 1);
        assert!(!context.identities().is_empty());

        // As in Node, it stands beside all the others: its authorities beside those of `ca`, and no more of Mozilla's.
        let all = ContextOptions { pfxs: vec![pfx.clone(), pfx], ..options(&[CERT], &[KEY], &[fixture!("ca.pem")]) };
        let context = Context::new(&all).expect("they go together");
        assert_eq!(context.roots().certificates().len(), 3);
        assert!(context.roots().are_own() && context.warnings().is_empty());
    }

    #[test]
    fn a_ca_that_can_not_be_read_is_left_out_with_a_warning_that_says_which() {
        let ca = std::str::from_utf8(fixture!("ca.pem")).expect("it is text");
        let not_base64 = ca.replacen('\n', "\n!", 1);
        let not_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let half = &ca[..ca.len() / 2];
        let long = [ca, &not_x509.repeat(20)].concat();
        let lines = ca.lines().count();
        #[rustfmt::skip]
        let rows: [(&str, String, usize, Vec<String>); 6] = [
            ("two good ones", [ca, ca].concat(), 2, vec![]),
            ("the second is no base64", [ca, &not_base64, ca].concat(), 2, vec![format!("CA file 1 of 1: The file with the certificate is not readable PEM: the section that begins in line {} has text between its lines that is not base64. It is not trusted; the others of the file are.", lines + 1)]),
            ("the second is no certificate", [ca, not_x509, ca].concat(), 2, vec![format!("CA file 1 of 1: Certificate 2 of the file, in line {}, is not a readable X.509 certificate. It is not trusted; the others of the file are.", lines + 1)]),
            ("the first is no certificate", [not_x509, ca].concat(), 1, vec!["CA file 1 of 1: Certificate 1 of the file, in line 1, is not a readable X.509 certificate. It is not trusted; the others of the file are.".into()]),
            ("the second has no end", [ca, half, "\n", ca].concat(), 2, vec![format!("CA file 1 of 1: The file with the certificate is not readable PEM: the section that begins in line {} has no -----END line. It is not trusted; the others of the file are.", lines + 1)]),
            ("webpki reads one as no anchor", [ca, std::str::from_utf8(fixture!("no-anchor.pem")).expect("it is text")].concat(), 1, vec![format!("CA file 1 of 1: Certificate 2 of the file, in line {} (\"CN=ca\"), can't be a trust anchor: it is of version 2, and only versions 1 and 3 are read (RFC 5280 section 4.1.2.1). It is not trusted; the others of the file are.", lines + 1)]),
        ];
        for (what, file, count, warnings) in rows {
            let context = Context::new(&options(&[], &[], &[file.as_bytes()])).expect(what);
            assert_eq!(context.roots().anchors().len(), count, "{what}");
            assert_eq!(context.warnings(), warnings, "{what}");
        }
        let context = Context::new(&options(&[], &[], &[long.as_bytes()])).expect("one is good");
        assert_eq!(context.warnings().len(), 9);
        assert!(context.warnings()[8].contains("12 more are left out"), "{:?}", context.warnings());
    }

    #[test]
    fn files_may_begin_with_a_byte_order_mark() {
        let marked = |file: &[u8]| [b"\xef\xbb\xbf", file].concat();
        let with_marks = options(&[&marked(CERT)], &[&marked(KEY)], &[&marked(CERT)]);
        let context = Context::new(&ContextOptions { dhparam: Some(marked(fixture!("dh-3072.pem"))), ..with_marks });
        assert_eq!(context.expect("they are good").roots().certificates().len(), 1);
        // UTF-16, as PowerShell's `>` writes it, is read by nobody, and is told.
        let utf16 = |file: &[u8]| -> Vec<u8> {
            [&[0xff, 0xfe][..], &file.iter().flat_map(|byte| [*byte, 0]).collect::<Vec<_>>()].concat()
        };
        let errors = Context::new(&options(&[&utf16(CERT)], &[&utf16(KEY)], &[&utf16(CERT)])).expect_err("UTF-16");
        assert_eq!(errors.len(), 3);
        assert!(errors.iter().all(|error| error.message.contains("UTF-16: save it as ASCII or UTF-8")), "{errors:?}");
    }

    #[test]
    fn old_and_openssl_s_own_labels_are_read_and_their_trust_is_honoured() {
        let old = String::from_utf8_lossy(fixture!("ca.pem")).replace(" CERTIFICATE", " X509 CERTIFICATE");
        // The anchors for servers' and for clients' chains.
        #[rustfmt::skip]
        let rows: [(&str, &[u8], [usize; 2]); 4] = [
            ("X509 CERTIFICATE", old.as_bytes(), [1, 1]),
            ("trusted for servers", fixture!("ca.for-servers.pem"), [1, 0]),
            ("not trusted for servers", fixture!("ca.not-for-servers.pem"), [0, 1]),
            ("no CA, and trusted for clients", fixture!("p256.trusted.pem"), [0, 1]),
        ];
        for (what, file, expected) in rows {
            let context = Context::new(&options(&[], &[], &[file])).expect(what);
            assert_eq!(
                [context.roots(), context.client_roots()].map(|roots| roots.anchors().len()),
                expected,
                "{what}"
            );
            assert!(context.roots().are_own() && context.client_roots().are_own(), "{what}");
        }
    }

    #[test]
    fn options_without_effect_are_told() {
        let options = ContextOptions { dhparam: Some(b"auto".to_vec()), ..ContextOptions::default() };
        let context = Context::new(&options).expect("auto is good");
        assert!(context.warnings()[0].contains("dhparam"), "{:?}", context.warnings());
        assert!(Context::new(&ContextOptions::default()).expect("the defaults are good").warnings().is_empty());
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret = SecretFile { file: KEY.to_vec().into(), passphrase: Some(b"open sesame".to_vec().into()) };
        let options = ContextOptions {
            ticket_keys: Some(vec![0x5a; 48].into()),
            keys: vec![secret],
            certs: vec![CERT.to_vec()],
            ..ContextOptions::default()
        };
        let context = Context::new(&options).expect("they are good");
        for shown in [format!("{:?}", options.keys), format!("{:?}", options.ticket_keys), format!("{context:?}")] {
            assert!(!shown.contains("90, 90") && !shown.contains("45, 45") && !shown.contains("sesame"), "{shown}");
        }
    }

    /// The first word of a message that Rust's debug output has and English has not: a name like `MaximumPathDepthExceeded`, or a
    /// variant with its content.
    fn debug_word(message: &str) -> Option<&str> {
        let humps = |word: &str| {
            let letters: Vec<_> = word.chars().collect();
            let starts = |pair: &&[char]| pair[0].is_ascii_uppercase() && pair[1].is_ascii_lowercase();
            letters.first().is_some_and(char::is_ascii_uppercase)
                && letters.iter().all(char::is_ascii_alphanumeric)
                && letters.windows(2).filter(starts).count() > 1
        };
        let words = message.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '#');
        words
            .into_iter()
            .find(|word| humps(word))
            .or(["Some(", "Ok(", "Err(", " { ", "[("].into_iter().find(|text| message.contains(text)))
    }

    /// Every kind of file that is broken in every place that has a sentence of its own.
    #[test]
    fn no_message_about_a_file_is_debug_output() {
        assert_eq!(debug_word("It is MaximumPathDepthExceeded."), Some("MaximumPathDepthExceeded"));
        assert_eq!(debug_word("It is TrailingData(Certificate)."), Some("TrailingData"));
        assert_eq!(debug_word("It is PEM, OpenSSL's `keyCertSign`, of PKCS#12 (RFC 5280 section 4.1)."), None);
        let files: [&[u8]; 12] = [
            CERT,
            KEY,
            ENCRYPTED,
            b"hello",
            fixture!("modern.p12"),
            fixture!("nss.p12"),
            fixture!("no-encryption.p12"),
            fixture!("rsa.encrypted.der"),
            fixture!("ca.for-servers.pem"),
            fixture!("no-anchor.pem"),
            fixture!("rc4.p12"),
            fixture!("dh-1024.pem"),
        ];
        let mut seen = std::collections::BTreeSet::new();
        for file in files {
            let halves = [
                file.to_vec(),
                file[..file.len() / 2].to_vec(),
                [file, b"x"].concat(),
                file.iter().rev().copied().collect(),
            ];
            for file in halves {
                let secret =
                    || SecretFile { file: file.clone().into(), passphrase: Some("Grüße".as_bytes().to_vec().into()) };
                let all = ContextOptions {
                    certs: vec![file.clone()],
                    keys: vec![secret()],
                    pfxs: vec![secret()],
                    cas: vec![file.clone()],
                    dhparam: Some(file.clone()),
                    ..ContextOptions::default()
                };
                seen.extend(Context::new(&all).err().into_iter().flatten().map(|error| error.message));
            }
        }
        assert!(seen.len() > 25, "{seen:#?}");
        for message in seen {
            assert_eq!(debug_word(&message), None, "{message}");
            assert!(message.ends_with('.') && !message.contains(".."), "{message}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_files_make_a_context_or_errors(
            file in proptest::collection::vec(any::<u8>(), 0..200),
            place in 0usize..800,
            byte: u8,
            list in "[a-zA-Z0-9:, _-]{0,40}",
        ) {
            let mut changed = CERT.to_vec();
            if let Some(at) = changed.get_mut(place) {
                *at = byte;
            }
            for cert in [&file[..], &changed] {
                let mut options = options(&[cert], &[&file], &[cert]);
                options.ciphers = Some(list.clone());
                options.groups = Some(list.clone());
                let errors = Context::new(&options).err().unwrap_or_default();
                prop_assert!(!errors.is_empty());
                for Error { message, .. } in &errors {
                    prop_assert_eq!(debug_word(message).filter(|word| !list.contains(*word)), None, "{}", message);
                }
            }
        }
    }
}
