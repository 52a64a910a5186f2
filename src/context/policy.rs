//! What is spoken: versions, cipher suites, groups and signature schemes of a context (rows O6, O7, O8, O10).

use rustls::crypto::CryptoProvider;
use rustls::{NamedGroup, SignatureScheme, SupportedProtocolVersion};

use super::ciphers::{self, CipherList};
use super::names::{DEFAULT_GROUPS, group_by_name};
use super::{ContextOptions, Version, protocol, sigalgs};
use crate::error::{Error, ErrorCode};
use crate::provider;

/// What a context speaks: the provider with only the suites, groups and signature schemes that it allows, and the versions that
/// are left.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) provider: CryptoProvider,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
    /// What we sign with, in this order. None: as the keys have it.
    pub(super) schemes: Option<Vec<SignatureScheme>>,
}

impl Policy {
    /// The policy of these options, or all that is wrong with them.
    pub(super) fn new(options: &ContextOptions) -> Result<Self, Vec<Error>> {
        let ciphers = options.ciphers.as_deref().map(ciphers::parse).transpose();
        let schemes = options.sigalgs.as_deref().map(sigalgs::parse).transpose();
        let groups = options.groups.as_deref().filter(|list| *list != DEFAULT_GROUPS).map(parse_groups).transpose();
        let versions = protocol::versions(options.secure_protocol.as_deref(), options.min_version, options.max_version);
        let (ciphers, schemes, groups, range) = match (ciphers, schemes, groups, versions) {
            (Ok(ciphers), Ok(schemes), Ok(groups), Ok(range)) => (ciphers, schemes, groups, range),
            (ciphers, schemes, groups, versions) => {
                let lists = [ciphers.err(), schemes.err(), groups.err()].into_iter().flatten().flatten();
                return Err(lists.chain(versions.err()).collect());
            }
        };

        let suite_b = ciphers.as_ref().and_then(|list| list.suite_b);
        let (schemes, groups) = match suite_b {
            Some(profile) => (Some(profile.schemes.to_vec()), Some(profile.groups.to_vec())),
            None => (schemes, groups),
        };
        let mut provider = provider::crypto_provider();
        if let Some(CipherList { tls13, tls12, .. }) = ciphers {
            let all = provider.cipher_suites;
            let of = |suite| all.iter().find(|have| have.suite() == suite).copied();
            provider.cipher_suites = tls13.into_iter().chain(tls12).filter_map(of).collect();
        }
        if let Some(groups) = groups {
            let all = provider.kx_groups;
            let of = |group| all.iter().find(|have| have.name() == group).copied();
            provider.kx_groups = groups.into_iter().filter_map(of).collect();
        }
        if let Some(schemes) = &schemes {
            provider.signature_verification_algorithms =
                sigalgs::restrict(provider.signature_verification_algorithms, schemes);
        }

        let versions: Vec<_> = [Version::Tls13, Version::Tls12]
            .into_iter()
            .filter(|version| range.contains(version))
            .map(Version::to_rustls)
            .filter(|version| provider.cipher_suites.iter().any(|suite| suite.version().version == version.version))
            .collect();
        if versions.is_empty() {
            return Err(vec![Error::new(
                ErrorCode::ErrSslNoCipherMatch,
                format!(
                    "The cipher list {:?} has no cipher suite of a version from {} to {}.",
                    options.ciphers.as_deref().unwrap_or_default(),
                    range.start(),
                    range.end(),
                ),
            )]);
        }
        // rustls offers all suites that it is given, also those of a version that it does not speak.
        provider
            .cipher_suites
            .retain(|suite| versions.iter().any(|version| version.version == suite.version().version));
        Ok(Self { provider, versions, schemes })
    }
}

/// Reads a list of groups with `:` between, or `/` as OpenSSL 3.5 has it. A `?` before a name passes over what is not known, and a
/// `*` asks for a key share, of which rustls decides.
fn parse_groups(list: &str) -> Result<Vec<NamedGroup>, Vec<Error>> {
    let (mut groups, mut errors) = (Vec::new(), Vec::new());
    for item in list.split([':', '/']).map(str::trim).filter(|item| !item.is_empty()) {
        let name = item.trim_start_matches(['?', '*']);
        let may_be_unknown = item[..item.len() - name.len()].contains('?');
        match group_by_name(name) {
            Some(group) if groups.contains(&group) => {}
            Some(group) => groups.push(group),
            None if may_be_unknown => {}
            None => errors.push(Error::new(
                ErrorCode::ErrInvalidArgValue,
                format!("The list of groups has {name:?}; expected X25519MLKEM768, X25519, P-256, P-384 or P-521, with `:` between, or auto."),
            )),
        }
    }
    match (groups.is_empty(), errors.is_empty()) {
        (_, false) => Err(errors),
        (true, true) => Err(vec![Error::new(
            ErrorCode::ErrInvalidArgValue,
            "The list of groups is empty; leave it out, or give auto, for the default.",
        )]),
        (false, true) => Ok(groups),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Suites, groups, versions and signature schemes that are left.
    type Left = (usize, usize, usize, usize);

    #[test]
    fn options_give_what_is_spoken_or_errors() {
        use ErrorCode::*;
        use Version::*;
        type Row = (&'static str, fn(&mut ContextOptions), Result<Left, &'static [ErrorCode]>);
        #[rustfmt::skip]
        let rows: [Row; 25] = [
            ("the default is all", |_| {}, Ok((9, 5, 2, 10))),
            ("auto is the default", |o| o.groups = Some("auto".into()), Ok((9, 5, 2, 10))),
            ("one suite of 1.3 leaves only 1.3", |o| o.ciphers = Some("TLS_AES_128_GCM_SHA256".into()), Ok((1, 5, 1, 10))),
            ("suites of 1.2 leave 1.3 as it is", |o| o.ciphers = Some("ECDHE-RSA-AES128-GCM-SHA256".into()), Ok((4, 5, 2, 10))),
            ("both", |o| o.ciphers = Some("TLS_AES_128_GCM_SHA256,ECDHE-RSA-AES128-GCM-SHA256 :ecdhe-ecdsa-aes128-gcm-sha256".into()), Ok((3, 5, 2, 10))),
            ("groups by any of their names", |o| o.groups = Some("P-256:secp384r1:x25519".into()), Ok((9, 3, 2, 10))),
            ("groups as OpenSSL 3.5 has them", |o| o.groups = Some("*X25519MLKEM768/?*X448:?brainpool / P-256".into()), Ok((9, 2, 2, 10))),
            ("a group twice counts once", |o| o.groups = Some("P-256:prime256v1".into()), Ok((9, 1, 2, 10))),
            ("signature schemes", |o| o.sigalgs = Some("ECDSA+SHA256:ed25519".into()), Ok((9, 5, 2, 2))),
            ("Suite B settles all three", |o| o.ciphers = Some("SUITEB128".into()), Ok((5, 2, 2, 2))),
            ("only TLS 1.2", |o| o.max_version = Some(Tls12), Ok((6, 5, 1, 10))),
            ("only TLS 1.3", |o| o.min_version = Some(Tls13), Ok((3, 5, 1, 10))),
            ("only TLS 1.2 by a method", |o| o.secure_protocol = Some("TLSv1_2_method".into()), Ok((6, 5, 1, 10))),
            ("an old method", |o| o.secure_protocol = Some("TLSv1_method".into()), Err(&[ErrTlsInvalidProtocolMethod])),
            ("a method and a version", |o| { o.secure_protocol = Some("TLS_method".into()); o.min_version = Some(Tls12) }, Err(&[ErrTlsProtocolVersionConflict])),
            ("a suite that we don't have", |o| o.ciphers = Some("AES128-SHA".into()), Err(&[ErrSslNoCipherMatch])),
            ("an empty list of suites", |o| o.ciphers = Some("".into()), Err(&[ErrSslNoCipherMatch])),
            ("what is no list of suites", |o| o.ciphers = Some("ALL:@WEAKNESS".into()), Err(&[ErrSslInvalidCommand])),
            ("a suite outside the range of versions", |o| { o.ciphers = Some("TLS_AES_128_GCM_SHA256".into()); o.max_version = Some(Tls12) }, Err(&[ErrSslNoCipherMatch])),
            ("unknown groups", |o| o.groups = Some("sect571r1:x448:P-256".into()), Err(&[ErrInvalidArgValue, ErrInvalidArgValue])),
            ("no group that is known", |o| o.groups = Some("?x448".into()), Err(&[ErrInvalidArgValue])),
            ("an empty list of groups", |o| o.groups = Some("".into()), Err(&[ErrInvalidArgValue])),
            ("an unknown signature scheme", |o| o.sigalgs = Some("RSA+MD5".into()), Err(&[ErrInvalidArgValue])),
            ("an empty range", |o| { o.min_version = Some(Tls13); o.max_version = Some(Tls12) }, Err(&[ErrTlsInvalidProtocolVersion])),
            ("all that is wrong is said", |o| {
                o.ciphers = Some("x".into());
                o.groups = Some("y".into());
                o.sigalgs = Some("z".into());
                o.secure_protocol = Some("v".into());
            }, Err(&[ErrSslNoCipherMatch, ErrInvalidArgValue, ErrInvalidArgValue, ErrTlsInvalidProtocolMethod])),
        ];
        for (what, change, expected) in rows {
            let mut options = ContextOptions::default();
            change(&mut options);
            let got = Policy::new(&options)
                .map(|Policy { provider, versions, .. }| {
                    let schemes = provider.signature_verification_algorithms.supported_schemes();
                    (provider.cipher_suites.len(), provider.kx_groups.len(), versions.len(), schemes.len())
                })
                .map_err(|errors| errors.iter().map(|error| error.code).collect::<Vec<_>>());
            assert_eq!(got, expected.map_err(<[_]>::to_vec), "{what}");
        }
    }
}
