//! The names of cipher suites and groups: IANA's, which rustls has, and OpenSSL's, which users know.

use rustls::{CipherSuite, NamedGroup};

use crate::provider::suites;

/// A cipher suite and its names.
#[derive(Debug)]
pub struct SuiteNames {
    /// The suite.
    pub suite: CipherSuite,
    /// OpenSSL's name, for example `ECDHE-RSA-AES128-GCM-SHA256`.
    pub openssl: &'static str,
    /// IANA's name, for example `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`.
    pub iana: &'static str,
}

/// A key exchange group and its names.
#[derive(Debug)]
pub struct GroupNames {
    /// The group.
    pub group: NamedGroup,
    /// OpenSSL's name, for example `prime256v1`.
    pub openssl: &'static str,
    /// Other names that are understood, for example `P-256`.
    pub aliases: &'static [&'static str],
    /// `ECDH` or `KEM` (row K10).
    pub kind: &'static str,
    /// The size of the classical key in bits, as OpenSSL counts it.
    pub bits: u32,
}

/// The names of a suite, where it is one of those that are supported.
pub fn suite_names(suite: CipherSuite) -> Option<&'static SuiteNames> {
    SUITES.iter().find(|names| names.suite == suite)
}

/// Whether this build has the suite.
pub(super) fn is_supported(suite: &CipherSuite) -> bool {
    suites::ALL.iter().any(|supported| supported.suite() == *suite)
}

/// The suite of an OpenSSL or IANA name, in upper or lower case.
pub fn suite_by_name(name: &str) -> Option<CipherSuite> {
    supported_suites()
        .find(|names| name.eq_ignore_ascii_case(names.openssl) || name.eq_ignore_ascii_case(names.iana))
        .map(|names| names.suite)
}

/// The names of a group, where it is one of those that are supported.
pub fn group_names(group: NamedGroup) -> Option<&'static GroupNames> {
    GROUPS.iter().find(|names| names.group == group)
}

/// The group of a name, in upper or lower case.
pub fn group_by_name(name: &str) -> Option<NamedGroup> {
    GROUPS
        .iter()
        .find(|names| {
            name.eq_ignore_ascii_case(names.openssl)
                || names.aliases.iter().any(|alias| name.eq_ignore_ascii_case(alias))
        })
        .map(|names| names.group)
}

/// The names of all suites that are supported: OpenSSL's spelling, lower case, sorted (row M1).
pub fn ciphers() -> Vec<String> {
    let mut names: Vec<String> = supported_suites().map(|names| names.openssl.to_ascii_lowercase()).collect();
    names.sort();
    names
}

/// What a context speaks where nothing else was asked for, as a cipher list (row M9).
pub fn default_ciphers() -> String {
    supported_suites().map(|names| names.openssl).collect::<Vec<_>>().join(":")
}

/// The word for the default list of groups, which is all of them (row M9).
pub const DEFAULT_GROUPS: &str = "auto";

fn supported_suites() -> impl Iterator<Item = &'static SuiteNames> {
    SUITES.iter().filter(|names| is_supported(&names.suite))
}

/// All suites, in our order of preference; OpenSSL gives those of TLS 1.3 IANA's name.
const SUITES: &[SuiteNames] = &[
    SuiteNames {
        suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        openssl: "TLS_CHACHA20_POLY1305_SHA256",
        iana: "TLS_CHACHA20_POLY1305_SHA256",
    },
    SuiteNames {
        suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
        openssl: "TLS_AES_256_GCM_SHA384",
        iana: "TLS_AES_256_GCM_SHA384",
    },
    SuiteNames {
        suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
        openssl: "TLS_AES_128_GCM_SHA256",
        iana: "TLS_AES_128_GCM_SHA256",
    },
    SuiteNames {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        openssl: "ECDHE-ECDSA-CHACHA20-POLY1305",
        iana: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    },
    SuiteNames {
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        openssl: "ECDHE-RSA-CHACHA20-POLY1305",
        iana: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    },
    SuiteNames {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        openssl: "ECDHE-ECDSA-AES256-GCM-SHA384",
        iana: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    },
    SuiteNames {
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        openssl: "ECDHE-RSA-AES256-GCM-SHA384",
        iana: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    },
    SuiteNames {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        openssl: "ECDHE-ECDSA-AES128-GCM-SHA256",
        iana: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    },
    SuiteNames {
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        openssl: "ECDHE-RSA-AES128-GCM-SHA256",
        iana: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    },
];

const GROUPS: &[GroupNames] = &[
    GroupNames { group: NamedGroup::X25519MLKEM768, openssl: "X25519MLKEM768", aliases: &[], kind: "KEM", bits: 253 },
    GroupNames { group: NamedGroup::X25519, openssl: "X25519", aliases: &[], kind: "ECDH", bits: 253 },
    GroupNames {
        group: NamedGroup::secp256r1,
        openssl: "prime256v1",
        aliases: &["P-256", "secp256r1"],
        kind: "ECDH",
        bits: 256,
    },
    GroupNames { group: NamedGroup::secp384r1, openssl: "secp384r1", aliases: &["P-384"], kind: "ECDH", bits: 384 },
    GroupNames { group: NamedGroup::secp521r1, openssl: "secp521r1", aliases: &["P-521"], kind: "ECDH", bits: 521 },
];
