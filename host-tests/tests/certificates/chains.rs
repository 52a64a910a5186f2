//! What a client says of a server's chain: the component and Node give the same name to what is wrong (row K2).

use std::sync::Arc;

use anyhow::{Result, ensure};
use host_tests::certificates::{Identity, Kind, Request, Validity};
use host_tests::meeting::meet;
use host_tests::peers::Peer;
use host_tests::setup::{Setup, Turn};
use host_tests::table::Row;

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let row = |(what, make, ours, nodes): ChainRow| {
        Row::new("chains", format!("{what} [K2]"), move || check(make(), ours, nodes))
    };
    CHAINS.into_iter().map(row).collect()
}

/// What the server shows, and how the client looks at it.
#[derive(Clone)]
struct Case {
    identity: Arc<Identity>,
    roots: Vec<Arc<Identity>>,
    crls: Vec<String>,
    allow_partial_trust_chain: bool,
    compat: bool,
}

/// What it is, how to make it, what the component says, and what Node does where that is something else.
type ChainRow = (&'static str, fn() -> Case, &'static str, Option<&'static str>);

const GOOD: &str = "nothing";
/// What webpki refuses and OpenSSL does not, unless compat is on.
const STRICTER: Option<&str> = Some(GOOD);

const CHAINS: [ChainRow; 38] = [
    ("a good certificate is good", || case(server()), GOOD, None),
    ("a good chain with an intermediate is good", || case(below(&intermediate())), GOOD, None),
    (
        "an expired certificate",
        || case(known(Request { validity: Validity::Over, ..usual() })),
        "CERT_HAS_EXPIRED",
        None,
    ),
    (
        "a certificate of the future",
        || case(known(Request { validity: Validity::Later, ..usual() })),
        "CERT_NOT_YET_VALID",
        None,
    ),
    (
        "an expired intermediate",
        || case(below(&known(Request { validity: Validity::Over, ..middle() }))),
        "CERT_HAS_EXPIRED",
        None,
    ),
    ("an expired root", expired_root, "CERT_HAS_EXPIRED", None),
    ("a certificate that signs itself", || case(usual().issue()), "DEPTH_ZERO_SELF_SIGNED_CERT", None),
    (
        "a root that was sent and is not trusted",
        || case(Kind::P384.server().with_chain(Kind::P384.authority().certificate.clone())),
        "SELF_SIGNED_CERT_IN_CHAIN",
        None,
    ),
    ("a certificate of an unknown authority", || case(Kind::P384.server()), "UNABLE_TO_VERIFY_LEAF_SIGNATURE", None),
    (
        "a chain below an unknown authority",
        || case(below(&Request { issuer: Some(&Kind::P384.authority()), ..middle() }.issue())),
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        None,
    ),
    ("a signature by another key of the same name", forged, "CERT_SIGNATURE_FAILURE", None),
    (
        "a certificate below one that is no CA",
        || case(below(&known(Request { extensions: Some("basicConstraints=critical,CA:FALSE"), ..middle() }))),
        "INVALID_PURPOSE",
        None,
    ),
    (
        "a certificate below one that is a CA by its key usage only",
        || case(below(&known(Request { extensions: Some("keyUsage=critical,keyCertSign"), ..middle() }))),
        "INVALID_CA",
        None,
    ),
    (
        "a certificate for another purpose",
        || {
            case(known(Request {
                extensions: Some("extendedKeyUsage=clientAuth\nsubjectAltName=DNS:server.test"),
                ..usual()
            }))
        },
        "INVALID_PURPOSE",
        None,
    ),
    (
        "a key that may only sign certificates",
        || {
            case(known(Request {
                extensions: Some("keyUsage=critical,keyCertSign\nsubjectAltName=DNS:server.test"),
                ..usual()
            }))
        },
        "INVALID_PURPOSE",
        None,
    ),
    (
        "an intermediate for another purpose",
        || {
            case(below(&known(Request {
                extensions: Some("basicConstraints=critical,CA:TRUE\nextendedKeyUsage=clientAuth"),
                ..middle()
            })))
        },
        "INVALID_PURPOSE",
        None,
    ),
    ("a chain that is longer than an authority allows", too_long, "PATH_LENGTH_EXCEEDED", None),
    ("a chain of seven intermediates", || case(below(&seven())), "CERT_UNTRUSTED", STRICTER),
    (
        "a chain of seven intermediates is good in compat mode",
        || Case { compat: true, ..case(below(&seven())) },
        GOOD,
        None,
    ),
    (
        "a certificate for another name",
        || case(known(Request { alt_names: "DNS:other.test", ..usual() })),
        "ERR_TLS_CERT_ALTNAME_INVALID",
        None,
    ),
    (
        "an unknown critical extension",
        || {
            case(known(Request {
                extensions: Some("2.999.1=critical,ASN1:NULL\nsubjectAltName=DNS:server.test"),
                ..usual()
            }))
        },
        "CERT_UNTRUSTED",
        Some("UNSPECIFIED"),
    ),
    (
        "an intermediate in `ca` is no anchor [O25]",
        || Case { roots: vec![intermediate()], ..case(below(&intermediate())) },
        "UNABLE_TO_GET_ISSUER_CERT",
        None,
    ),
    (
        "an intermediate in `ca` helps to get to the root [O25]",
        || Case {
            roots: vec![intermediate(), Kind::P256.authority()],
            ..case(below(&intermediate()).with_chain(String::new()))
        },
        GOOD,
        None,
    ),
    (
        "an intermediate in `ca` is an anchor where partial chains are allowed [O25]",
        || Case { roots: vec![intermediate()], allow_partial_trust_chain: true, ..case(below(&intermediate())) },
        GOOD,
        None,
    ),
    ("a revoked certificate [O5]", || revoked(&[&server()]), "CERT_REVOKED", None),
    ("a certificate beside a revoked one is good [O5]", || revoked(&[&Kind::P256.client()]), GOOD, None),
    (
        "a revoked intermediate [O5]",
        || Case {
            crls: vec![
                root_list(&[&intermediate()], Validity::Now),
                intermediate().revocation_list(&[], Validity::Now),
            ],
            ..case(below(&intermediate()))
        },
        "CERT_REVOKED",
        None,
    ),
    (
        "no list for the intermediate's certificates [O5]",
        || Case { crls: vec![root_list(&[], Validity::Now)], ..case(below(&intermediate())) },
        "UNABLE_TO_GET_CRL",
        None,
    ),
    (
        "a list that is too old [O5]",
        || Case { crls: vec![root_list(&[], Validity::Over)], ..case(server()) },
        "CRL_HAS_EXPIRED",
        None,
    ),
    ("a self-signed certificate that is trusted and no CA is good", || trusted(usual().issue(), false), GOOD, None),
    (
        "a self-signed certificate that is trusted and a CA",
        || trusted(authority_leaf(), false),
        "CERT_UNTRUSTED",
        STRICTER,
    ),
    (
        "a self-signed certificate that is trusted and a CA is good in compat mode",
        || trusted(authority_leaf(), true),
        GOOD,
        None,
    ),
    ("a leaf of version 1", || of_version_1(false), "CERT_UNTRUSTED", STRICTER),
    ("a leaf of version 1 is good in compat mode", || of_version_1(true), GOOD, None),
    ("a root of version 1 is good", root_of_version_1, GOOD, None),
    ("a common name alone", || common_name(false), "ERR_TLS_CERT_ALTNAME_INVALID", STRICTER),
    ("a common name alone is good in compat mode", || common_name(true), GOOD, None),
    (
        "an expired certificate in compat mode",
        || Case { compat: true, ..case(known(Request { validity: Validity::Over, ..usual() })) },
        "CERT_HAS_EXPIRED",
        None,
    ),
];

async fn check(case: Case, ours: &str, nodes: Option<&str>) -> Result<()> {
    let client = Setup {
        roots: case.roots,
        crls: case.crls,
        allow_partial_trust_chain: case.allow_partial_trust_chain,
        compat: case.compat,
        reject_unauthorized: false,
        turn: Turn::First,
        ..Setup::default()
    };
    let server = Setup { identity: Some(case.identity), turn: Turn::Second, ..Setup::server(Kind::P256) };
    for (peer, expected) in [(Peer::Node, nodes.unwrap_or(ours)), (Peer::Component, ours)] {
        let (said, _) = meet(peer, &client, Peer::Node, &server).await?;
        let said_error = said.authorization_error.as_deref().unwrap_or(GOOD);
        ensure!(said_error == expected, "{peer:?} says {said_error:?}, and not {expected:?}: {said:?}");
        ensure!(said.authorized == Some(expected == GOOD), "{peer:?}: {said:?}");
    }
    Ok(())
}

fn case(identity: Arc<Identity>) -> Case {
    Case {
        identity,
        roots: vec![Kind::P256.authority()],
        crls: Vec::new(),
        allow_partial_trust_chain: false,
        compat: false,
    }
}

fn server() -> Arc<Identity> {
    Kind::P256.server()
}

fn usual() -> Request<'static> {
    Request::new("server.test", Kind::P256)
}

fn middle() -> Request<'static> {
    Request { is_authority: true, ..Request::new("guest-tls test intermediate", Kind::P256) }
}

/// Issued by the authority that is trusted.
fn known(request: Request<'_>) -> Arc<Identity> {
    Request { issuer: Some(&Kind::P256.authority()), ..request }.issue()
}

fn intermediate() -> Arc<Identity> {
    static INTERMEDIATE: std::sync::OnceLock<Arc<Identity>> = std::sync::OnceLock::new();
    Arc::clone(INTERMEDIATE.get_or_init(|| known(middle())))
}

fn below(issuer: &Identity) -> Arc<Identity> {
    Request { issuer: Some(issuer), ..usual() }.issue()
}

fn expired_root() -> Case {
    let root =
        Request { is_authority: true, validity: Validity::Over, ..Request::new("an old root", Kind::P256) }.issue();
    Case { roots: vec![Arc::clone(&root)], ..case(below(&root)) }
}

/// Signed by one authority, and shown to who trusts another one with the same name.
fn forged() -> Case {
    // Without key identifiers, which would tell the two apart before any signature is looked at.
    const ROOT: &str = "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none";
    const LEAF: &str = "subjectAltName=DNS:server.test\nsubjectKeyIdentifier=none\nauthorityKeyIdentifier=none";
    let root = || Request { extensions: Some(ROOT), ..Request::new("twins", Kind::P256) }.issue();
    let leaf = Request { extensions: Some(LEAF), issuer: Some(&root()), ..usual() }.issue();
    Case { roots: vec![root()], ..case(leaf) }
}

fn too_long() -> Case {
    let extensions = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign";
    let above = known(Request { extensions: Some(extensions), ..Request::new("the last above leaves", Kind::P256) });
    case(below(&Request { issuer: Some(&above), ..middle() }.issue()))
}

/// The last of seven intermediates, each below the one before.
fn seven() -> Arc<Identity> {
    (1..7).fold(intermediate(), |above, number| {
        let name = format!("intermediate {number}");
        Request { issuer: Some(&above), is_authority: true, ..Request::new(&name, Kind::P256) }.issue()
    })
}

fn root_list(revoked: &[&Identity], validity: Validity) -> String {
    Kind::P256.authority().revocation_list(revoked, validity)
}

fn revoked(all: &[&Arc<Identity>]) -> Case {
    let all: Vec<&Identity> = all.iter().map(|identity| &***identity).collect();
    Case { crls: vec![root_list(&all, Validity::Now)], ..case(server()) }
}

fn trusted(identity: Arc<Identity>, compat: bool) -> Case {
    Case { roots: vec![Arc::clone(&identity)], compat, ..case(identity) }
}

fn authority_leaf() -> Arc<Identity> {
    Request { extensions: Some("basicConstraints=critical,CA:TRUE\nsubjectAltName=DNS:server.test"), ..usual() }.issue()
}

fn of_version_1(compat: bool) -> Case {
    Case { compat, ..case(server().of_version_1(Some(&Kind::P256.authority()))) }
}

fn root_of_version_1() -> Case {
    let root = Request::new("a root of old", Kind::P256).issue().of_version_1(None);
    Case { roots: vec![Arc::clone(&root)], ..case(below(&root)) }
}

fn common_name(compat: bool) -> Case {
    Case { compat, ..case(known(Request { extensions: Some("basicConstraints=critical,CA:FALSE"), ..usual() })) }
}
