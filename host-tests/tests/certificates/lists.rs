//! Which revocation list counts for a certificate (row O5, RFC 5280 section 6.3.3): each row is a set of lists made by the `openssl`
//! command, with what `openssl verify -crl_check_all`, Node and the component say of a server by them.
//!
//! `openssl verify` stops at most faults, and Node goes on and tells the last.

use std::sync::{Arc, OnceLock};

use anyhow::{Result, ensure};
use host_tests::certificates::{Identity, Kind, Request};
use host_tests::meeting::meet;
use host_tests::peers::Peer;
use host_tests::revocation::{List, openssl_says, resigned, tampered};
use host_tests::setup::{Setup, Turn};
use host_tests::table::Row;

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let row = |row: ListRow| Row::new("lists", format!("{} [O5]", row.what), move || row.check());
    ROWS.into_iter().map(row).collect()
}

/// One row: a sentence, the lists, and who says what.
#[derive(Clone, Copy)]
struct ListRow {
    what: &'static str,
    case: fn() -> Case,
    openssl: &'static str,
    node: &'static str,
    ours: Ours,
}

/// What the component says.
#[derive(Clone, Copy)]
enum Ours {
    /// What Node says.
    Same,
    /// Something else, for this reason.
    Differs(&'static str, &'static str),
}

struct Case {
    leaf: Arc<Identity>,
    root: Arc<Identity>,
    /// Files, each with one list or more.
    files: Vec<String>,
    allow_partial_trust_chain: bool,
    /// More of `openssl verify`.
    flags: &'static [&'static str],
}

impl ListRow {
    async fn check(self) -> Result<()> {
        let case = (self.case)();
        let said = openssl_says(&case.leaf, &case.root, &case.files, case.flags);
        ensure!(said == self.openssl, "openssl verify says {said:?}, and not {:?}", self.openssl);
        let client = Setup {
            roots: vec![case.root],
            crls: case.files,
            allow_partial_trust_chain: case.allow_partial_trust_chain,
            reject_unauthorized: false,
            turn: Turn::First,
            ..Setup::default()
        };
        let server = Setup { identity: Some(case.leaf), turn: Turn::Second, ..Setup::server(Kind::P256) };
        let ours = match self.ours {
            Ours::Same => self.node,
            Ours::Differs(ours, reason) => {
                ensure!(ours != self.node && !reason.is_empty(), "that is what Node says");
                ours
            }
        };
        for (peer, expected) in [(Peer::Node, self.node), (Peer::Component, ours)] {
            let (said, _) = meet(peer, &client, Peer::Node, &server).await?;
            let error = said.authorization_error.as_deref().unwrap_or(GOOD);
            ensure!(error == expected, "{peer:?} says {error:?}, and not {expected:?}: {said:?}");
            ensure!(said.authorized == Some(expected == GOOD), "{peer:?}: {said:?}");
        }
        Ok(())
    }
}

const GOOD: &str = "nothing";
const NO_NAME: &str = "Node has no name for it";
const ANCHOR: &str = "a trust anchor needs no list: it is not part of the path (RFC 5280 section 6.1)";
const DELTA: &str =
    "delta lists count, as in openssl verify -use_deltas (RFC 5280 section 5.2.4); Node does not set that flag";

macro_rules! list_rows {
    ($($what:literal: $case:expr; openssl $openssl:literal, node $node:expr $(, ours $ours:expr, because $because:expr)?;)*) => {
        const ROWS: [ListRow; [$($what),*].len()] = [$(ListRow {
            what: $what,
            case: || $case,
            openssl: $openssl,
            node: $node,
            ours: list_rows!(@ours $($ours, $because)?),
        }),*];
    };
    (@ours) => { Ours::Same };
    (@ours $ours:expr, $because:expr) => { Ours::Differs($ours, $because) };
}

list_rows! {
    // The newest in time.
    "a newer list revokes what an older one before it does not":
        lists(&[OLDER, List { revoked: &[&server()], ..NEWER }]); openssl "certificate revoked", node "CERT_REVOKED";
    "a newer list revokes what an older one after it does not":
        lists(&[List { revoked: &[&server()], ..NEWER }, OLDER]); openssl "certificate revoked", node "CERT_REVOKED";
    "a newer list no longer has what an older one revokes":
        lists(&[List { revoked: &[&server()], ..OLDER }, NEWER]); openssl "OK", node GOOD;
    "two lists in one file, of which the newer revokes":
        bundle(&[OLDER, List { revoked: &[&server()], ..NEWER }]); openssl "certificate revoked", node GOOD,
        ours "CERT_REVOKED", because "Node reads the first list of a file, and no other";
    "an expired list beside a valid one": lists(&[EXPIRED, NEWER]); openssl "OK", node GOOD;
    "an expired list that revokes, beside a valid one that does not":
        lists(&[List { revoked: &[&server()], ..EXPIRED }, NEWER]); openssl "OK", node GOOD;
    "an expired list alone": lists(&[EXPIRED]); openssl "CRL has expired", node "CRL_HAS_EXPIRED";
    "a list of the future alone": lists(&[FUTURE]); openssl "CRL is not yet valid", node "CRL_NOT_YET_VALID";
    "a list of the future that revokes, beside one of now":
        lists(&[List { revoked: &[&server()], ..FUTURE }, OLDER]); openssl "OK", node GOOD;

    // Who signed it.
    "a list that was changed": from(vec![tampered(&OLDER.by(&root()))]);
        openssl "CRL signature failure", node "CRL_SIGNATURE_FAILURE";
    "a newer list that is good, beside one that was changed":
        from(vec![tampered(&OLDER.by(&root())), NEWER.by(&root())]); openssl "OK", node GOOD;
    "a newer list that was changed, beside a good one":
        from(vec![OLDER.by(&root()), tampered(&NEWER.by(&root()))]);
        openssl "CRL signature failure", node "CRL_SIGNATURE_FAILURE";
    "a list by another key of the same name, as its key identifier says": from(vec![OLDER.by(&twin())]);
        openssl "unable to get certificate CRL", node "UNABLE_TO_GET_CRL";
    "a newer list by another key of the same name, beside one by the issuer's":
        from(vec![OLDER.by(&root()), NEWER.by(&twin())]); openssl "OK", node GOOD;
    "a list by another key of the same name, with nothing that says so": from(vec![VERSION_1.by(&twin())]);
        openssl "CRL signature failure", node "CRL_SIGNATURE_FAILURE";
    "a root that may not sign lists": of_root(&no_signer(), &[OLDER]);
        openssl "key usage does not include CRL signing", node "UNSPECIFIED",
        ours "KEYUSAGE_NO_CRL_SIGN", because NO_NAME;
    "an intermediate that may not sign lists": {
        let middle = Request { issuer: Some(&root()), ..no_signers() }.issue();
        Case { leaf: below(&middle), ..from(vec![OLDER.by(&root()), OLDER.by(&middle)]) }
    }; openssl "key usage does not include CRL signing", node "UNSPECIFIED",
        ours "KEYUSAGE_NO_CRL_SIGN", because NO_NAME;

    // Version 1.
    "a list of version 1": lists(&[VERSION_1]); openssl "OK", node GOOD;
    "a list of version 1 that revokes": lists(&[List { revoked: &[&server()], ..VERSION_1 }]);
        openssl "certificate revoked", node "CERT_REVOKED";

    // Extensions.
    "an unknown extension": lists(&[List { extensions: "2.999.1=ASN1:NULL", ..OLDER }]); openssl "OK", node GOOD;
    "an unknown critical extension": lists(&[UNKNOWN]);
        openssl "unhandled critical CRL extension", node "UNSPECIFIED",
        ours "UNHANDLED_CRITICAL_CRL_EXTENSION", because NO_NAME;
    "a newer list with an unknown critical extension, beside one without":
        lists(&[OLDER, List { from: NEWER.from, ..UNKNOWN }]); openssl "OK", node GOOD;
    "an unknown critical extension of an entry": from(vec![unknown_entry(&Kind::P256.client())]);
        openssl "unhandled critical CRL extension", node "UNSPECIFIED",
        ours "UNHANDLED_CRITICAL_CRL_EXTENSION", because NO_NAME;

    // Scope.
    "a list of a partition, and a certificate without distribution points": lists(&[AT_A]);
        openssl "different CRL scope", node "UNABLE_TO_GET_CRL";
    "a newer list of a partition, beside a complete one": lists(&[OLDER, List { from: NEWER.from, ..AT_A }]);
        openssl "OK", node GOOD;
    "a list of the certificate's partition": at_a(&[AT_A]);
        openssl "different CRL scope", node "UNABLE_TO_GET_CRL", ours GOOD, because ANCHOR;
    "a list of the certificate's partition, and one for the rest": at_a(&[AT_A, AUTHORITIES]); openssl "OK", node GOOD;
    "a list of the certificate's partition that revokes it":
        at_a(&[List { revoked: &[&pointed()], ..AT_A }, AUTHORITIES]);
        openssl "certificate revoked", node "CERT_REVOKED";
    "a list of another partition": at_a(&[AT_B, AUTHORITIES]);
        openssl "different CRL scope", node "UNABLE_TO_GET_CRL";
    "a newer list of another partition that has the certificate, beside its own":
        at_a(&[List { revoked: &[&pointed()], from: NEWER.from, ..AT_B }, AT_A, AUTHORITIES]); openssl "OK", node GOOD;
    "a complete list, and a certificate with a distribution point": at_a(&[OLDER]); openssl "OK", node GOOD;
    "a list for users alone": lists(&[USERS]);
        openssl "different CRL scope", node "UNABLE_TO_GET_CRL", ours GOOD, because ANCHOR;
    "a list for users, and one for authorities": lists(&[USERS, AUTHORITIES]); openssl "OK", node GOOD;
    "a list for authorities alone": lists(&[AUTHORITIES]);
        openssl "different CRL scope", node "UNABLE_TO_GET_CRL";
    "a list for attribute certificates alone": lists(&[List { point: Some("onlyAA=TRUE"), ..OLDER }]);
        openssl "different CRL scope", node "UNABLE_TO_GET_CRL";
    "a list for one reason alone": lists(&[List { point: Some("onlysomereasons=keyCompromise"), ..OLDER }]);
        openssl "unable to get certificate CRL", node "UNABLE_TO_GET_CRL";
    "an indirect list alone": lists(&[List { point: Some("indirectCRL=TRUE"), ..OLDER }]);
        openssl "unable to get certificate CRL", node "UNABLE_TO_GET_CRL";

    // Delta lists.
    "a delta list alone": deltas(&[DELTA_LIST]); openssl "unable to get certificate CRL", node "UNABLE_TO_GET_CRL";
    "a delta list that revokes, and the list that it is for":
        deltas(&[COMPLETE, List { revoked: &[&server()], ..DELTA_LIST }]); openssl "certificate revoked", node GOOD,
        ours "CERT_REVOKED", because DELTA;
    "a delta list without what the list that it is for revokes":
        deltas(&[List { revoked: &[&server()], ..COMPLETE }, DELTA_LIST]);
        openssl "certificate revoked", node "CERT_REVOKED";
    "a delta list that ends what the list that it is for has on hold":
        deltas(&[
            List { revoked: &[&server()], reason: Some("certificateHold"), ..COMPLETE },
            List { revoked: &[&server()], reason: Some("removeFromCRL"), ..DELTA_LIST },
        ]);
        openssl "OK", node "CERT_REVOKED", ours GOOD, because DELTA;
    "a delta list that revokes, beside a complete one that is newer":
        deltas(&[List { number: "07", ..COMPLETE }, List { revoked: &[&server()], ..DELTA_LIST }]);
        openssl "OK", node GOOD;
    "a certificate on hold": lists(&[List { revoked: &[&server()], reason: Some("certificateHold"), ..OLDER }]);
        openssl "certificate revoked", node "CERT_REVOKED";

    // The chain.
    "a list for each certificate of a chain": chain(&[OLDER], &[OLDER]); openssl "OK", node GOOD;
    "no list for the intermediate": chain(&[], &[OLDER]); openssl "unable to get certificate CRL", node "UNABLE_TO_GET_CRL";
    "a newer list that revokes the intermediate": chain(&[OLDER, List { revoked: &[&middle()], ..NEWER }], &[OLDER]);
        openssl "certificate revoked", node "CERT_REVOKED";
    "a list that revokes the root itself": lists(&[List { revoked: &[&root()], ..OLDER }]);
        openssl "certificate revoked", node "CERT_REVOKED";
    "an intermediate that is an anchor, and its own list":
        Case { root: middle(), allow_partial_trust_chain: true, flags: &["-partial_chain"], ..chain(&[], &[OLDER]) };
        openssl "unable to get certificate CRL", node "UNABLE_TO_GET_CRL", ours GOOD, because ANCHOR;
}

const OLDER: List<'static> = List {
    from: "20240101000000Z",
    to: "20991231235959Z",
    is_version_1: false,
    number: "05",
    extensions: "authorityKeyIdentifier=keyid:always",
    point: None,
    revoked: &[],
    reason: None,
};
const NEWER: List<'static> = List { from: "20250101000000Z", number: "06", ..OLDER };
const EXPIRED: List<'static> = List { to: "20241231235959Z", ..OLDER };
const FUTURE: List<'static> = List { from: "20980101000000Z", ..OLDER };
const VERSION_1: List<'static> = List { is_version_1: true, ..OLDER };
const UNKNOWN: List<'static> =
    List { extensions: "authorityKeyIdentifier=keyid:always\n2.999.1=critical,ASN1:NULL", ..OLDER };
const AT_A: List<'static> = List { point: Some("fullname=URI:http://a.test/crl"), ..OLDER };
const AT_B: List<'static> = List { point: Some("fullname=URI:http://b.test/crl"), ..OLDER };
const USERS: List<'static> = List { point: Some("onlyuser=TRUE"), ..OLDER };
const AUTHORITIES: List<'static> = List { point: Some("onlyCA=TRUE"), ..OLDER };
/// OpenSSL looks for a delta list where this extension is.
const COMPLETE: List<'static> =
    List { extensions: "authorityKeyIdentifier=keyid:always\nfreshestCRL=URI:http://a.test/delta", ..OLDER };
const DELTA_LIST: List<'static> =
    List { extensions: "authorityKeyIdentifier=keyid:always\n2.5.29.27=critical,ASN1:INTEGER:5", ..NEWER };

/// Lists of the root, each a file, and a server that it issued.
fn lists(lists: &[List<'_>]) -> Case {
    from(lists.iter().map(|list| list.by(&root())).collect())
}

fn from(files: Vec<String>) -> Case {
    Case { leaf: server(), root: root(), files, allow_partial_trust_chain: false, flags: &[] }
}

fn bundle(all: &[List<'_>]) -> Case {
    let case = lists(all);
    Case { files: vec![case.files.concat()], ..case }
}

/// Likewise of a root of its own.
fn of_root(root: &Arc<Identity>, lists: &[List<'_>]) -> Case {
    let files = lists.iter().map(|list| list.by(root)).collect();
    Case { leaf: below(root), root: Arc::clone(root), ..from(files) }
}

/// Lists of the root, and a server whose certificate says where its list is.
fn at_a(all: &[List<'_>]) -> Case {
    Case { leaf: pointed(), ..lists(all) }
}

fn deltas(all: &[List<'_>]) -> Case {
    Case { flags: &["-use_deltas", "-extended_crl"], ..lists(all) }
}

/// A server below an intermediate, with the root's lists and the intermediate's.
fn chain(roots: &[List<'_>], middles: &[List<'_>]) -> Case {
    let files = roots.iter().map(|list| list.by(&root())).chain(middles.iter().map(|list| list.by(&middle())));
    Case { leaf: below(&middle()), ..from(files.collect()) }
}

/// A list with an entry whose reason is replaced by a critical `holdInstructionCode` without content.
fn unknown_entry(revoked: &Identity) -> String {
    const REASON: &[u8] = &[0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01, 0x01];
    const CRITICAL: &[u8] = &[0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x17, 0x01, 0x01, 0xff, 0x04, 0x00];
    let list = List { revoked: &[revoked], reason: Some("keyCompromise"), ..OLDER }.by(&root());
    resigned(&list, &root(), REASON, CRITICAL)
}

fn root() -> Arc<Identity> {
    Kind::P256.authority()
}

fn server() -> Arc<Identity> {
    Kind::P256.server()
}

fn below(issuer: &Identity) -> Arc<Identity> {
    Request { issuer: Some(issuer), ..Request::new("server.test", Kind::P256) }.issue()
}

/// Another root with the name of the first.
fn twin() -> Arc<Identity> {
    static TWIN: OnceLock<Arc<Identity>> = OnceLock::new();
    let make = || Request { is_authority: true, ..Request::new(&root().name, Kind::P256) }.issue();
    Arc::clone(TWIN.get_or_init(make))
}

fn middle() -> Arc<Identity> {
    static MIDDLE: OnceLock<Arc<Identity>> = OnceLock::new();
    let request = Request { is_authority: true, ..Request::new("an intermediate with lists", Kind::P256) };
    Arc::clone(MIDDLE.get_or_init(|| Request { issuer: Some(&root()), ..request }.issue()))
}

fn no_signers() -> Request<'static> {
    let extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash";
    Request { extensions: Some(extensions), ..Request::new("signs no lists", Kind::P256) }
}

fn no_signer() -> Arc<Identity> {
    no_signers().issue()
}

/// A server whose certificate has a distribution point.
fn pointed() -> Arc<Identity> {
    static POINTED: OnceLock<Arc<Identity>> = OnceLock::new();
    let extensions = "subjectAltName=DNS:server.test\ncrlDistributionPoints=URI:http://a.test/crl";
    let make = || {
        let request = Request { extensions: Some(extensions), ..Request::new("server.test", Kind::P256) };
        Request { issuer: Some(&root()), ..request }.issue()
    };
    Arc::clone(POINTED.get_or_init(make))
}
