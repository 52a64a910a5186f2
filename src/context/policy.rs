//! What is spoken: versions, cipher suites and groups of a context (rows O6, O8, O10).

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, NamedGroup, SupportedProtocolVersion};

use super::Version;
use super::names::{group_by_name, suite_by_name};
use crate::error::{Error, ErrorCode};
use crate::provider;

/// What a context speaks: the provider with only the suites and groups that it allows, and the versions that are left.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) provider: CryptoProvider,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
}

impl Policy {
    /// The policy of these options, or all that is wrong with them.
    pub(super) fn new(
        ciphers: Option<&str>,
        groups: Option<&str>,
        min: Option<Version>,
        max: Option<Version>,
    ) -> Result<Self, Vec<Error>> {
        let mut errors = Vec::new();
        let mut provider = provider::crypto_provider();
        if let Some(list) = ciphers {
            match parse_ciphers(list) {
                Ok(wanted) => {
                    provider.cipher_suites = wanted
                        .iter()
                        .filter_map(|suite| provider.cipher_suites.iter().find(|have| have.suite() == *suite))
                        .copied()
                        .collect();
                }
                Err(error) => errors.push(error),
            }
        }
        if let Some(list) = groups.filter(|list| *list != AUTO) {
            match parse_groups(list) {
                Ok(wanted) => {
                    provider.kx_groups = wanted
                        .iter()
                        .filter_map(|group| provider.kx_groups.iter().find(|have| have.name() == *group))
                        .copied()
                        .collect();
                }
                Err(error) => errors.push(error),
            }
        }
        let (min, max) = (min.unwrap_or(Version::Tls12), max.unwrap_or(Version::Tls13));
        if min > max {
            errors.push(Error::new(
                ErrorCode::ErrTlsInvalidProtocolVersion,
                format!("The range of versions is empty: the lowest is {min}, the highest {max}."),
            ));
        }
        if !errors.is_empty() {
            return Err(errors);
        }

        let versions: Vec<_> = [Version::Tls13, Version::Tls12]
            .into_iter()
            .filter(|version| (min..=max).contains(version))
            .map(Version::to_rustls)
            .filter(|version| provider.cipher_suites.iter().any(|suite| suite.version().version == version.version))
            .collect();
        if versions.is_empty() {
            return Err(vec![Error::new(
                ErrorCode::ErrSslNoCipherMatch,
                format!(
                    "The cipher list {:?} has no cipher suite of a version from {min} to {max}.",
                    ciphers.unwrap_or_default()
                ),
            )]);
        }
        Ok(Self { provider, versions })
    }
}

fn parse_ciphers(list: &str) -> Result<Vec<CipherSuite>, Error> {
    let mut suites = Vec::new();
    for name in list.split([':', ',', ' ']).filter(|name| !name.is_empty()) {
        let suite = suite_by_name(name).ok_or_else(|| {
            Error::new(
                ErrorCode::ErrSslNoCipherMatch,
                format!("The cipher list has {name:?}, which is not the name of a cipher suite that is supported; `ciphers` gives those that are."),
            )
        })?;
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    match suites.is_empty() {
        true => {
            Err(Error::new(ErrorCode::ErrSslNoCipherMatch, "The cipher list is empty; leave it out for the default."))
        }
        false => Ok(suites),
    }
}

fn parse_groups(list: &str) -> Result<Vec<NamedGroup>, Error> {
    let mut groups = Vec::new();
    for name in list.split(':').filter(|name| !name.is_empty()) {
        let group = group_by_name(name).ok_or_else(|| {
            Error::new(
                ErrorCode::ErrInvalidArgValue,
                format!("The list of groups has {name:?}; expected X25519MLKEM768, X25519, P-256, P-384 or P-521, with `:` between, or auto."),
            )
        })?;
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    match groups.is_empty() {
        true => Err(Error::new(
            ErrorCode::ErrInvalidArgValue,
            "The list of groups is empty; leave it out, or give auto, for the default.",
        )),
        false => Ok(groups),
    }
}

/// The word for the default list of groups.
const AUTO: &str = "auto";

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (
        &'static str,
        Option<&'static str>,
        Option<&'static str>,
        Option<Version>,
        Option<Version>,
        Result<(usize, usize, usize), &'static [ErrorCode]>,
    );

    #[test]
    fn options_give_suites_groups_and_versions_or_errors() {
        use ErrorCode::*;
        use Version::*;
        #[rustfmt::skip]
        let rows: &[Row] = &[
            ("the default is all", None, None, None, None, Ok((9, 5, 2))),
            ("auto is the default", None, Some("auto"), None, None, Ok((9, 5, 2))),
            ("one suite of 1.3 leaves only 1.3", Some("TLS_AES_128_GCM_SHA256"), None, None, None, Ok((1, 5, 1))),
            ("separators are colon, comma and space", Some("TLS_AES_128_GCM_SHA256,ECDHE-RSA-AES128-GCM-SHA256 :ecdhe-ecdsa-aes128-gcm-sha256"), None, None, None, Ok((3, 5, 2))),
            ("IANA's names are names", Some("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), None, None, None, Ok((1, 5, 1))),
            ("a name twice counts once", Some("TLS_AES_128_GCM_SHA256:TLS_AES_128_GCM_SHA256"), None, None, None, Ok((1, 5, 1))),
            ("groups by any of their names", None, Some("P-256:secp384r1:x25519"), None, None, Ok((9, 3, 2))),
            ("only TLS 1.2", None, None, None, Some(Tls12), Ok((9, 5, 1))),
            ("only TLS 1.3", None, None, Some(Tls13), None, Ok((9, 5, 1))),
            ("an unknown suite", Some("AES128-SHA"), None, None, None, Err(&[ErrSslNoCipherMatch])),
            ("an empty list", Some(""), None, None, None, Err(&[ErrSslNoCipherMatch])),
            ("a suite outside the range of versions", Some("TLS_AES_128_GCM_SHA256"), None, None, Some(Tls12), Err(&[ErrSslNoCipherMatch])),
            ("an unknown group", None, Some("sect571r1"), None, None, Err(&[ErrInvalidArgValue])),
            ("an empty range", None, None, Some(Tls13), Some(Tls12), Err(&[ErrTlsInvalidProtocolVersion])),
            ("all that is wrong is said", Some("x"), Some("y"), Some(Tls13), Some(Tls12), Err(&[ErrSslNoCipherMatch, ErrInvalidArgValue, ErrTlsInvalidProtocolVersion])),
        ];
        for (what, ciphers, groups, min, max, expected) in rows {
            let got = Policy::new(*ciphers, *groups, *min, *max)
                .map(|policy| {
                    (policy.provider.cipher_suites.len(), policy.provider.kx_groups.len(), policy.versions.len())
                })
                .map_err(|errors| errors.iter().map(|error| error.code).collect::<Vec<_>>());
            assert_eq!(got, expected.map_err(<[_]>::to_vec), "{what}");
        }
    }
}
