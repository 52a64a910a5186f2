//! Chains of `fixtures/`, made by its `make.sh`. What Node says of such chains is compared in host-tests.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{PeerVerifier, Verdict, VerifyOptions};
use crate::certificate::Certificate;
use crate::context::{Context, ContextOptions};
use crate::error::{Error, ErrorCode};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name, ".pem"))
    };
}

const ROOT: &[u8] = fixture!("root");
const MIDDLE: &[u8] = fixture!("middle");
const LEAF: &[u8] = fixture!("leaf");
const OLD: &[u8] = fixture!("old");
const CLIENT_ONLY: &[u8] = fixture!("client-only");
const COMMON_NAME: &[u8] = fixture!("common-name.test");
const AUTHORITY_LEAF: &[u8] = fixture!("authority-leaf");
const CONSTRAINED: &[u8] = fixture!("constrained");
const OUTSIDE: &[u8] = fixture!("outside");
const DOTLESS: &[u8] = fixture!("dotless");
const OTHER: &[u8] = fixture!("other.test");
const UNNAMED: &[u8] = fixture!("unnamed.test");
const EXCLUDING: &[u8] = fixture!("excluding");
const WILDCARD: &[u8] = fixture!("wildcard");
const MIDDLE_TRUSTED: &[u8] = fixture!("middle.trusted");
const MIDDLE_REJECTED: &[u8] = fixture!("middle.rejected");
const LEAF_REJECTED: &[u8] = fixture!("leaf.rejected");
const VERSION_1: &[u8] = fixture!("version-1");
const ROOT_CRL: &[u8] = fixture!("root.crl");
const MIDDLE_CRL: &[u8] = fixture!("middle.crl");
const REVOKED_CRL: &[u8] = fixture!("middle-revoked.crl");
const OLD_CRL: &[u8] = fixture!("middle-old.crl");

/// Who is shown, and how it is looked at.
#[derive(Clone, Copy, Default)]
struct Case {
    /// The leaf first.
    sent: &'static [&'static [u8]],
    cas: &'static [&'static [u8]],
    crls: &'static [&'static [u8]],
    partial: bool,
    compat: bool,
    skips_name: bool,
    /// `server.test` where it is empty.
    host: &'static str,
}

#[test]
fn a_chain_is_good_or_has_openssls_name_of_what_is_wrong() {
    use ErrorCode::*;
    let usual = Case { sent: &[LEAF, MIDDLE], cas: &[ROOT], ..Case::default() };
    let compat = Case { compat: true, ..usual };
    let crls = |crls| Case { crls, ..usual };
    #[rustfmt::skip]
    let rows: Vec<(&str, Case, Option<ErrorCode>, &[&str])> = vec![
        ("a good chain ends in the root [K7]", usual, None, &["leaf", "middle", "root"]),
        ("what was sent too much is not in the chain [K7]", Case { sent: &[LEAF, OLD, MIDDLE, ROOT], ..usual }, None, &["leaf", "middle", "root"]),
        ("another root", Case { cas: &[AUTHORITY_LEAF], ..usual }, Some(UnableToGetIssuerCertLocally), &["leaf", "middle"]),
        ("another root, with the own one sent", Case { sent: &[LEAF, MIDDLE, ROOT], cas: &[AUTHORITY_LEAF], ..usual }, Some(SelfSignedCertInChain), &["leaf", "middle", "root"]),
        ("no intermediate", Case { sent: &[LEAF], ..usual }, Some(UnableToVerifyLeafSignature), &["leaf"]),
        ("an intermediate of `ca` is no anchor [O25]", Case { sent: &[LEAF], cas: &[MIDDLE], ..usual }, Some(UnableToGetIssuerCert), &["leaf", "middle"]),
        ("an intermediate of `ca` is one where that is allowed [O25]", Case { sent: &[LEAF], cas: &[MIDDLE], partial: true, ..usual }, None, &["leaf", "middle"]),
        ("an intermediate of `ca` leads to the root of `ca` [O25]", Case { sent: &[LEAF], cas: &[MIDDLE, ROOT], ..usual }, None, &["leaf", "middle", "root"]),
        ("an intermediate of `ca` is one where its own file says so", Case { sent: &[LEAF], cas: &[MIDDLE_TRUSTED], ..usual }, None, &["leaf", "middle"]),
        ("likewise above a leaf of version 1, in compat", Case { sent: &[VERSION_1], cas: &[MIDDLE_TRUSTED], host: "leaf", ..compat }, None, &["leaf", "middle"]),
        ("likewise above a leaf of version 1", Case { sent: &[VERSION_1], cas: &[MIDDLE_TRUSTED], ..usual }, Some(CertUntrusted), &["leaf", "middle"]),
        ("an intermediate that `ca` rejects is sent", Case { cas: &[ROOT, MIDDLE_REJECTED], ..usual }, Some(UnableToVerifyLeafSignature), &["leaf"]),
        ("an intermediate that `ca` rejects and has", Case { cas: &[ROOT, MIDDLE, MIDDLE_REJECTED], ..usual }, Some(UnableToVerifyLeafSignature), &["leaf"]),
        ("a leaf that `ca` rejects", Case { cas: &[ROOT, LEAF_REJECTED], ..usual }, Some(CertUntrusted), &["leaf"]),
        ("a leaf that `ca` rejects and has, in compat", Case { cas: &[LEAF, LEAF_REJECTED, ROOT], ..compat }, Some(CertUntrusted), &["leaf"]),
        ("an expired leaf", Case { sent: &[OLD, MIDDLE], ..usual }, Some(CertHasExpired), &["old", "middle", "root"]),
        ("a leaf for clients", Case { sent: &[CLIENT_ONLY, MIDDLE], ..usual }, Some(InvalidPurpose), &["client-only", "middle", "root"]),
        ("another host", Case { host: "other.test", ..usual }, Some(ErrTlsCertAltnameInvalid), &["leaf", "middle", "root"]),
        ("another host, and the caller looks at that [O22]", Case { host: "other.test", skips_name: true, ..usual }, None, &["leaf", "middle", "root"]),
        ("an expired leaf, and the caller looks at the name [O22]", Case { sent: &[OLD, MIDDLE], skips_name: true, ..usual }, Some(CertHasExpired), &["old", "middle", "root"]),
        ("lists of both issuers [O5]", crls(&[ROOT_CRL, MIDDLE_CRL]), None, &["leaf", "middle", "root"]),
        ("a list of the root alone [O5]", crls(&[ROOT_CRL]), Some(UnableToGetCrl), &["leaf", "middle", "root"]),
        ("a list that has the leaf [O5]", crls(&[ROOT_CRL, REVOKED_CRL]), Some(CertRevoked), &["leaf", "middle", "root"]),
        ("a list that is too old [O5]", crls(&[ROOT_CRL, OLD_CRL]), Some(CrlHasExpired), &["leaf", "middle", "root"]),
        ("a list that is too old, beside one that is not [O5]", crls(&[ROOT_CRL, OLD_CRL, MIDDLE_CRL]), None, &["leaf", "middle", "root"]),
        ("a list that is too old, beside one that has the leaf [O5]", crls(&[ROOT_CRL, OLD_CRL, REVOKED_CRL]), Some(CertRevoked), &["leaf", "middle", "root"]),
        ("of lists that are equally new, the one that has the leaf [O5]", crls(&[ROOT_CRL, MIDDLE_CRL, REVOKED_CRL]), Some(CertRevoked), &["leaf", "middle", "root"]),
        ("lists of both issuers, in compat [O5]", Case { compat: true, ..crls(&[ROOT_CRL, MIDDLE_CRL]) }, None, &["leaf", "middle", "root"]),
        ("a list that has the leaf, in compat [O5]", Case { compat: true, ..crls(&[ROOT_CRL, REVOKED_CRL]) }, Some(CertRevoked), &["leaf", "middle", "root"]),
        ("lists of both issuers, and a leaf of version 1, in compat [O5]", Case { sent: &[VERSION_1, MIDDLE], host: "leaf", compat: true, ..crls(&[ROOT_CRL, MIDDLE_CRL]) }, None, &["leaf", "middle", "root"]),
        ("no list for a leaf of version 1, in compat [O5]", Case { sent: &[VERSION_1, MIDDLE], host: "leaf", compat: true, ..crls(&[ROOT_CRL]) }, Some(UnableToGetCrl), &["leaf", "middle", "root"]),
        ("a CA as leaf", Case { sent: &[AUTHORITY_LEAF], cas: &[AUTHORITY_LEAF], ..usual }, Some(CertUntrusted), &["authority-leaf"]),
        ("a CA as leaf, in compat", Case { sent: &[AUTHORITY_LEAF], cas: &[AUTHORITY_LEAF], ..compat }, None, &["authority-leaf"]),
        ("a CA as leaf that is not trusted, in compat", Case { sent: &[AUTHORITY_LEAF], ..compat }, Some(DepthZeroSelfSignedCert), &["authority-leaf"]),
        ("a leaf of version 1", Case { sent: &[VERSION_1, MIDDLE], ..usual }, Some(CertUntrusted), &["leaf", "middle", "root"]),
        ("a leaf of version 1 for another host, in compat", Case { sent: &[VERSION_1, MIDDLE], ..compat }, Some(ErrTlsCertAltnameInvalid), &["leaf", "middle", "root"]),
        ("a leaf of version 1 with a label as name, in compat", Case { sent: &[VERSION_1, MIDDLE], host: "leaf", ..compat }, None, &["leaf", "middle", "root"]),
        ("a common name", Case { sent: &[COMMON_NAME, MIDDLE], host: "common-name.test", ..usual }, Some(ErrTlsCertAltnameInvalid), &["common-name.test", "middle", "root"]),
        ("a common name, in compat", Case { sent: &[COMMON_NAME, MIDDLE], host: "common-name.test", ..compat }, None, &["common-name.test", "middle", "root"]),
        ("an expired leaf, in compat", Case { sent: &[OLD, MIDDLE], ..compat }, Some(CertHasExpired), &["old", "middle", "root"]),
        ("a leaf for clients, in compat", Case { sent: &[CLIENT_ONLY, MIDDLE], ..compat }, Some(InvalidPurpose), &["client-only", "middle", "root"]),
        ("a name that a CA does not permit, in compat", Case { sent: &[OUTSIDE, CONSTRAINED], ..compat }, Some(CertUntrusted), &["outside", "constrained", "root"]),
        ("a common name that a CA does not permit, in compat", Case { sent: &[UNNAMED, CONSTRAINED], host: "unnamed.test", ..compat }, Some(CertUntrusted), &["unnamed.test", "constrained", "root"]),
        ("likewise with a dot at the end", Case { sent: &[UNNAMED, CONSTRAINED], host: "unnamed.test.", ..compat }, Some(CertUntrusted), &["unnamed.test", "constrained", "root"]),
        ("a label that a CA does not permit, in compat", Case { sent: &[DOTLESS, CONSTRAINED], host: "dotless", ..compat }, Some(CertUntrusted), &["dotless", "constrained", "root"]),
        ("a common name that a CA permits, in compat", Case { sent: &[OTHER, CONSTRAINED], host: "other.test", ..compat }, None, &["other.test", "constrained", "root"]),
        ("likewise with a dot at the end of the host", Case { sent: &[OTHER, CONSTRAINED], host: "other.test.", ..compat }, None, &["other.test", "constrained", "root"]),
        ("a wildcard for a host that a CA excludes, in compat", Case { sent: &[WILDCARD, EXCLUDING], host: "x.server.test", ..compat }, Some(CertUntrusted), &["wildcard", "excluding", "root"]),
    ];
    for (what, case, expected, chain) in rows {
        let verdict = verify(case, case.sent);
        let found = verdict.error();
        assert_eq!(found.as_ref().map(|error| error.code), expected, "{what}: {found:?}");
        assert_eq!(verdict.is_good(), expected.is_none(), "{what}");
        let names: Vec<String> = verdict
            .chain()
            .iter()
            .map(|der| Certificate::new(der).subject.pop().unwrap_or_else(|| panic!("{what}")).value)
            .collect();
        assert_eq!(names, chain, "{what}");
    }
}

#[test]
fn the_error_of_a_name_has_nodes_words() {
    #[rustfmt::skip]
    let rows: [(&str, &'static [&'static [u8]], &str, &str); 3] = [
        ("another name", &[LEAF, MIDDLE], "other.test", "Hostname/IP does not match certificate's altnames: Host: other.test. is not in the cert's altnames: DNS:server.test"),
        ("an address", &[LEAF, MIDDLE], "127.0.0.1", "Hostname/IP does not match certificate's altnames: IP: 127.0.0.1 is not in the cert's list: "),
        ("a common name of somebody else", &[COMMON_NAME, MIDDLE], "other.test", "Hostname/IP does not match certificate's altnames: Host: other.test. is not cert's CN: common-name.test"),
    ];
    for (what, sent, host, expected) in rows {
        let verdict = verify(Case { sent, cas: &[ROOT], host, ..Case::default() }, sent);
        assert_eq!(verdict.error().map(|error| error.message).as_deref(), Some(expected), "{what}");
    }
}

#[test]
fn a_signature_with_unused_bits_is_not_good() {
    for (what, changed) in [("the leaf's", 0), ("the CA's", 1)] {
        let mut sent = [der(LEAF), der(MIDDLE)];
        let start =
            sent[changed].windows(4).rposition(|octets| matches!(octets, [3, _, 0, 0x30])).expect("a BIT STRING");
        sent[changed][start + 2] = 1;
        let verdict =
            verify_ders(Case { cas: &[ROOT], compat: true, ..Case::default() }, &sent.map(CertificateDer::from));
        assert!(!verdict.is_good(), "{what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_certificate_is_never_good(place in 0usize..330, bit in 0u8..8, compat: bool, is_leaf: bool) {
        let mut sent = [der(LEAF), der(MIDDLE)];
        let changed = &mut sent[usize::from(!is_leaf)];
        if let Some(octet) = changed.get_mut(place) {
            *octet ^= 1 << bit;
            let sent: Vec<_> = sent.into_iter().map(CertificateDer::from).collect();
            let verdict = verify_ders(Case { cas: &[ROOT], compat, ..Case::default() }, &sent);
            prop_assert!(!verdict.is_good());
            prop_assert!(!verdict.chain().is_empty());
        }
    }
}

#[test]
fn the_signer_of_a_list_is_remembered_only_from_a_path_that_is_good() {
    let context = Arc::new(
        context(Case { cas: &[ROOT], crls: &[ROOT_CRL, MIDDLE_CRL], ..Case::default() })
            .expect("the fixtures are good"),
    );
    for (sent, expected) in [([OLD, MIDDLE], false), ([LEAF, MIDDLE], true)] {
        let sent = sent.map(|pem| CertificateDer::from(der(pem)));
        assert_eq!(verify_with(&context, Case::default(), &sent).is_good(), expected);
        for list in context.crls().lists() {
            assert_eq!(list.signer.get().is_some(), expected);
        }
    }
}

fn verify(case: Case, sent: &[&[u8]]) -> Arc<Verdict> {
    verify_ders(case, &sent.iter().map(|pem| CertificateDer::from(der(pem))).collect::<Vec<_>>())
}

fn verify_ders(case: Case, sent: &[CertificateDer<'_>]) -> Arc<Verdict> {
    verify_with(&Arc::new(context(case).expect("the fixtures are good")), case, sent)
}

fn verify_with(context: &Arc<Context>, case: Case, sent: &[CertificateDer<'_>]) -> Arc<Verdict> {
    let verdict = Arc::new(Verdict::default());
    let options = VerifyOptions { reject_unauthorized: false, danger_skip_server_identity: case.skips_name };
    let verifier = PeerVerifier::new(context.clone(), options, verdict.clone());
    let host = if case.host.is_empty() { "server.test" } else { case.host };
    let name = ServerName::try_from(host).expect("a host");
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    verifier.verify_server_cert(&sent[0], &sent[1..], &name, &[], now).expect("nothing is rejected");
    verdict
}

fn context(case: Case) -> Result<Context, Vec<Error>> {
    let files = |files: &[&[u8]]| files.iter().map(|file| file.to_vec()).collect();
    Context::new(&ContextOptions {
        cas: files(case.cas),
        crls: files(case.crls),
        allow_partial_trust_chain: case.partial,
        compat: case.compat,
        ..ContextOptions::default()
    })
}

fn der(pem: &[u8]) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem).expect("the fixture is PEM").to_vec()
}

/// The 15th of January 2027.
const NOW: u64 = 1_800_000_000;
