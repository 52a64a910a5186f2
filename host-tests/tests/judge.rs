//! Node as the judge: each configuration between Node and Node, and with the component at either end and at both. All that the ends
//! say of their connection is the same, but for the differences of [`DIFFERENCES`].

use std::sync::Arc;

use anyhow::{Result, ensure};
use contract::Shown;
use host_tests::certificates::{Identity, KINDS, Kind, Request, Validity};
use host_tests::judge::{Case, Difference, Seat};
use host_tests::peers::Peer;
use host_tests::rows;
use host_tests::setup::{GROUPS, P256, P384, Role, SUITES, Setup, Version, X25519};
use host_tests::table::{self, Row};
use serde_json::{Value, json};

fn main() {
    let mut rows = Vec::new();
    for (case, ids) in cases() {
        let name = case.name.clone();
        rows.push(Row::new("judge", name, move || judge(case.clone())).shows(&ids));
    }
    rows.extend(rows!["judge": every_expected_difference_is_expected_somewhere, the_judge_finds_what_differs]);
    table::main(rows);
}

async fn judge(case: Case) -> Result<()> {
    case.judge(DIFFERENCES).await
}

async fn every_expected_difference_is_expected_somewhere() -> Result<()> {
    let cases = cases();
    for Difference { property, because, is_there, .. } in DIFFERENCES {
        let seats = SEATS.iter().filter(|seat| cases.iter().any(|(case, _)| is_there(case, **seat)));
        ensure!(seats.count() > 0, "no case has the difference of `{property}`, {because}");
    }
    Ok(())
}

async fn the_judge_finds_what_differs() -> Result<()> {
    let case = Case {
        name: String::new(),
        client: Setup::client(Kind::P256),
        server: Setup::server(Kind::P256),
        refuser: None,
    };
    let view = |error, name, exporter| json!({ "error": error, "cipher": { "name": name }, "exporter": exporter });
    let good = || view(Value::Null, "a", "00");
    let expected =
        |property| Difference { property, because: "as it is", is_there: |_, _| true, is: |_, seen| seen == "b" };
    for (what, seen, differences, words) in [
        ("the same", good(), vec![], vec![]),
        ("another secret", view(Value::Null, "a", "11"), vec![], vec![]),
        ("a longer secret", view(Value::Null, "a", "1111"), vec![], vec!["`exporter` is"]),
        (
            "another name",
            view(Value::Null, "b", "00"),
            vec![],
            vec!["`cipher.name` is \"b\", and with node on both sides \"a\""],
        ),
        ("another name, as expected", view(Value::Null, "b", "00"), vec![expected("cipher")], vec![]),
        (
            "a name that nobody expected",
            view(Value::Null, "c", "00"),
            vec![expected("cipher")],
            vec!["`cipher.name` is", "`cipher` is no longer"],
        ),
        (
            "an expected difference of another property",
            view(Value::Null, "b", "00"),
            vec![expected("ciph")],
            vec!["`cipher.name` is", "`ciph` is no longer"],
        ),
        (
            "no difference, against what is expected",
            good(),
            vec![expected("cipher.name")],
            vec!["`cipher.name` is no longer different, as it is"],
        ),
        (
            "an error, of which all else is not known",
            view(json!("b"), "b", "00"),
            vec![expected("cipher")],
            vec!["`error` is"],
        ),
        ("an error, as expected", view(json!("b"), "b", "00"), vec![expected("error"), expected("cipher")], vec![]),
        ("a property that is missing", json!({ "cipher": { "name": "a" } }), vec![], vec!["`exporter` is null"]),
    ] {
        let wrong = case.compare(SEATS[0], &good(), &seen, &differences);
        let all = wrong.len() == words.len() && wrong.iter().zip(&words).all(|(wrong, words)| wrong.contains(words));
        ensure!(all, "{what}: {wrong:?}, not {words:?}");
    }
    Ok(())
}

/// The configurations, and the rows of the contract that they show.
fn cases() -> Vec<(Case, String)> {
    let mut cases = Vec::new();
    for version in [Version::Tls12, Version::Tls13] {
        let case = |name: &str, kind| {
            let only = |setup| Setup { versions: (version, version), ..setup };
            let (client, server) = (only(Setup::client(kind)), only(Setup::server(kind)));
            Case { name: format!("{name}, {version}"), client, server, refuser: None }
        };
        for (what, change) in CASES {
            let Shown { text, ids } = Shown::parse(what);
            let mut case = case(&text, Kind::P256);
            change(&mut case);
            cases.push((case, ids.join(" ") + PROPERTIES));
        }
        for kind in KINDS {
            cases.push((case(&format!("a certificate of {}", kind.name()), kind), PROPERTIES.to_string()));
        }
        for suite in SUITES.into_iter().filter(|suite| suite.version == version) {
            let kind = if suite.takes(Kind::P256) { Kind::P256 } else { Kind::Rsa2048 };
            let mut case = case(&format!("only {}", suite.name), kind);
            (case.client.suites, case.server.suites) = (vec![suite], vec![suite]);
            cases.push((case, PROPERTIES.to_string()));
        }
        for group in GROUPS.into_iter().filter(|group| version == Version::Tls13 || !group.is_hybrid()) {
            let mut case = case(&format!("only {}", group.name), Kind::Rsa2048);
            (case.client.groups, case.server.groups) = (vec![group], vec![group]);
            cases.push((case, PROPERTIES.to_string()));
        }
        for (what, refuser, change) in FAILURES {
            let mut case = Case { refuser: *refuser, ..case(what, Kind::P256) };
            change(&mut case);
            let shows = if refuser.is_some() { "K2" } else { "" };
            cases.push((case, shows.to_string()));
        }
    }
    cases
}

type Change = fn(&mut Case);

/// Connections that come about.
const CASES: &[(&str, Change)] = &[
    ("nothing special", |_| {}),
    ("both versions at the client", |case| case.client.versions = (Version::Tls12, Version::Tls13)),
    ("both versions at the server", |case| case.server.versions = (Version::Tls12, Version::Tls13)),
    ("application protocols in common, the server's order", |case| {
        case.client.alpn = vec!["http/1.1", "h2"];
        case.server.alpn = vec!["h2", "http/1.1"];
    }),
    ("application protocols of the client alone", |case| case.client.alpn = vec!["h2"]),
    ("application protocols of the server alone", |case| case.server.alpn = vec!["h2"]),
    ("another name", |case| case.client.servername = "localhost".to_string()),
    ("an address for a name", |case| case.client.servername = "127.0.0.1".to_string()),
    ("a client that takes any server", |case| case.client.reject_unauthorized = false),
    ("a certificate for another name, let through", |case| {
        case.server.identity = Some(known(Request { alt_names: "DNS:other.test", ..server() }));
        case.client.reject_unauthorized = false;
    }),
    ("a wildcard certificate", |case| {
        case.server.identity = Some(known(Request { alt_names: "DNS:*.server.test", ..server() }));
        case.client.servername = "a.server.test".to_string();
    }),
    ("an expired certificate, let through", |case| {
        case.server.identity = Some(known(Request { validity: Validity::Over, ..server() }));
        case.client.reject_unauthorized = false;
    }),
    ("a certificate that signs itself, let through", |case| {
        case.server.identity = Some(server().issue());
        case.client.reject_unauthorized = false;
    }),
    ("an unknown authority, let through", |case| {
        case.server.identity = Some(Kind::P384.server());
        case.client.reject_unauthorized = false;
    }),
    ("a chain with an intermediate", |case| {
        let root = Kind::P256.authority();
        let authority =
            Request { issuer: Some(&root), is_authority: true, ..Request::new("an intermediate", Kind::P256) };
        case.server.identity = Some(Request { issuer: Some(&authority.issue()), ..server() }.issue());
    }),
    ("a client's certificate", |case| {
        ask(case);
        case.client.identity = Some(Kind::P256.client());
    }),
    ("a client's certificate of RSA", |case| {
        ask(case);
        case.server.roots = vec![Kind::Rsa2048.authority()];
        case.client.identity = Some(Kind::Rsa2048.client());
    }),
    ("a client's certificate, wanted and missing", |case| {
        ask(case);
        case.server.reject_unauthorized = false;
    }),
    ("a client's certificate of an unknown authority, let through", |case| {
        ask(case);
        case.server.reject_unauthorized = false;
        case.client.identity = Some(Kind::P384.client());
    }),
    (NOT_ASKED_FOR, |case| case.client.identity = Some(Kind::P256.client())),
    ("a certificate for another name, which the caller takes [O22]", |case| {
        case.server.identity = Some(known(Request { alt_names: "DNS:other.test", ..server() }));
        case.client.skip_server_identity = true;
    }),
    ("an unknown authority, of which the caller takes the name", |case| {
        case.server.identity = Some(Kind::P384.server());
        (case.client.skip_server_identity, case.client.reject_unauthorized) = (true, false);
    }),
    ("the client's order of suites [O11]", |case| {
        let suites = SUITES.iter().filter(|suite| suite.version == case.client.versions.0 && suite.takes(Kind::P256));
        case.client.suites = suites.copied().collect();
        case.server.suites = case.client.suites.iter().rev().copied().collect();
        case.server.honor_cipher_order = false;
    }),
    ("the server's order of suites [O11]", |case| {
        let suites = SUITES.iter().filter(|suite| suite.version == case.client.versions.0 && suite.takes(Kind::P256));
        case.client.suites = suites.copied().collect();
        case.server.suites = case.client.suites.iter().rev().copied().collect();
    }),
    ("signature schemes in the server's order", |case| {
        case.client.sigalgs = vec!["RSA-PSS+SHA256", "ECDSA+SHA256", "ed25519", "ECDSA+SHA384"];
        case.server.sigalgs = vec!["ECDSA+SHA384", "ECDSA+SHA256", "RSA-PSS+SHA256"];
    }),
    (OTHER_GROUP, |case| {
        case.client.groups = vec![X25519, P384, P256];
        case.server.groups = vec![P256, P384];
    }),
];

/// Connections that do not come about, or not for long; and who refuses whose certificate.
const FAILURES: &[(&str, Option<Role>, Change)] = &[
    ("a certificate for another name", Some(Role::Client), |case| {
        case.server.identity = Some(known(Request { alt_names: "DNS:other.test", ..server() }));
    }),
    ("a wildcard for a whole top-level domain", Some(Role::Client), |case| {
        case.server.identity = Some(known(Request { alt_names: "DNS:*.test", ..server() }));
    }),
    ("an expired certificate", Some(Role::Client), |case| {
        case.server.identity = Some(known(Request { validity: Validity::Over, ..server() }));
    }),
    ("an unknown authority", Some(Role::Client), |case| case.server.identity = Some(Kind::P384.server())),
    ("a client's certificate, required and missing", Some(Role::Server), ask),
    ("a client's certificate of an unknown authority", Some(Role::Server), |case| {
        ask(case);
        case.client.identity = Some(Kind::P384.client());
    }),
    ("no version in common", None, |case| {
        let other = if case.client.versions.0 == Version::Tls12 { Version::Tls13 } else { Version::Tls12 };
        case.server.versions = (other, other);
    }),
    ("no application protocol in common", None, |case| {
        case.client.alpn = vec!["http/1.1"];
        case.server.alpn = vec!["h2"];
    }),
    (NO_SUITE, None, |case| {
        let mut suites = SUITES.into_iter().filter(|suite| suite.version == case.client.versions.0);
        case.client.suites = suites.next().into_iter().collect();
        case.server.suites = suites.next().into_iter().collect();
    }),
    (NO_GROUP, None, |case| {
        case.client.groups = vec![X25519];
        case.server.groups = vec![P384];
    }),
];

/// What is not the same, and why.
const DIFFERENCES: &[Difference] = &[
    Difference {
        property: "cipher",
        because: "since wasm has no AES instruction: ChaCha20 comes first unless the caller says otherwise",
        is_there: |case, seat| seat.server() == Peer::Component && case.server.suites.is_empty(),
        is: |_, seen| seen.as_str().is_some_and(|name| name.contains("CHACHA20")),
    },
    Difference {
        property: "ephemeralKeyInfo",
        because: "since Node tells it to clients alone",
        is_there: |_, seat| seat.role == Role::Server && seat.who == Peer::Component,
        is: |node, _| node.is_null(),
    },
    Difference {
        property: "ephemeralKeyInfo",
        because: "since Node has neither a kind nor a size for a hybrid, where the component says KEM, and the size of X25519",
        is_there: |case, seat| seat.role == Role::Client && seat.who == Peer::Component && is_hybrid(case),
        is: |node, seen| {
            [(json!("TLSGroup"), json!("KEM")), (Value::Null, json!(253))].contains(&(node.clone(), seen.clone()))
        },
    },
    Difference {
        property: "certificate",
        because: "since Node says what the client has, and the component what it showed",
        is_there: |case, seat| {
            seat.role == Role::Client && seat.who == Peer::Component && case.name.starts_with(NOT_ASKED_FOR)
        },
        is: |_, seen| seen.is_null(),
    },
    Difference {
        property: "finished",
        because: "since the Finished messages of TLS 1.3 are as long as the hash of the suite",
        is_there: has_other_hash,
        is: |node, seen| node == "96 digits" && seen == "64 digits",
    },
    Difference {
        property: "peerFinished",
        because: "since the Finished messages of TLS 1.3 are as long as the hash of the suite",
        is_there: has_other_hash,
        is: |node, seen| node == "96 digits" && seen == "64 digits",
    },
    Difference {
        property: "sharedSigalgs",
        because: "since OpenSSL has Ed448, ML-DSA and older schemes as well",
        is_there: |case, seat| {
            let knows_any = seat.role == Role::Server || case.server.request_cert;
            knows_any && case.client.sigalgs.is_empty()
        },
        is: |node, seen| match (node.as_array(), seen.as_array()) {
            (Some(node), Some(seen)) => {
                let mut node = node.iter();
                !seen.is_empty() && seen.iter().all(|scheme| node.any(|other| other == scheme))
            }
            _ => false,
        },
    },
    Difference {
        property: "ephemeralKeyInfo",
        because: "since rustls takes the client's order of groups where it must ask again, and OpenSSL its own",
        is_there: |case, seat| {
            seat.role == Role::Client && seat.server() == Peer::Component && case.name.starts_with(OTHER_GROUP)
        },
        is: |node, seen| {
            let pairs = [(json!("prime256v1"), json!("secp384r1")), (json!(256), json!(384))];
            pairs.contains(&(node.clone(), seen.clone()))
        },
    },
    Difference {
        property: "error",
        because: "since the component names alerts as OpenSSL did until 3.1; Node 24's says SSL/TLS for SSLV3",
        is_there: |case, seat| {
            let fails = [NO_SUITE, NO_GROUP].iter().any(|name| case.name.starts_with(name));
            let misses = misses_certificate(case, Version::Tls12);
            seat.role == Role::Client && seat.who == Peer::Component && (fails || misses)
        },
        is: |node, seen| match (node.as_str(), seen.as_str()) {
            (Some(node), Some(seen)) => node.replace("SSL/TLS_ALERT", "SSLV3_ALERT") == seen,
            _ => false,
        },
    },
    Difference {
        property: "error",
        because: "since OpenSSL looks for a suite and a group at once in TLS 1.2; the component says which of the two it was",
        is_there: |case, seat| {
            let is_tls12 = case.client.versions.0 == Version::Tls12;
            seat.role == Role::Server && seat.who == Peer::Component && is_tls12 && case.name.starts_with(NO_GROUP)
        },
        is: |node, seen| node == "ERR_SSL_NO_SHARED_CIPHER" && seen == "ERR_SSL_NO_SUITABLE_KEY_SHARE",
    },
    Difference {
        property: "error",
        because: "since Node's client looks at the certificate after the handshake, and then leaves without a word",
        is_there: |case, seat| case.refuser == Some(Role::Client) && seat.role == Role::Server,
        is: |node, seen| is_silent(node) && is_reason(seen),
    },
    Difference {
        property: "error",
        because: "since Node's server looks at the certificate after the handshake, and then leaves without a word",
        is_there: |case, seat| {
            let is_nodes_own = seat.role == Role::Server && seat.who == Peer::Node;
            case.refuser == Some(Role::Server) && case.client.identity.is_some() && !is_nodes_own
        },
        is: |node, seen| is_silent(node) && is_reason(seen),
    },
];

const SEATS: [Seat; 6] = [
    seat(Role::Client, Peer::Component, Peer::Node),
    seat(Role::Client, Peer::Node, Peer::Component),
    seat(Role::Client, Peer::Component, Peer::Component),
    seat(Role::Server, Peer::Component, Peer::Node),
    seat(Role::Server, Peer::Node, Peer::Component),
    seat(Role::Server, Peer::Component, Peer::Component),
];

const fn seat(role: Role, who: Peer, other: Peer) -> Seat {
    Seat { role, who, other }
}

/// Whether they agree on X25519MLKEM768.
fn is_hybrid(case: &Case) -> bool {
    let groups = &case.client.groups;
    case.client.versions.1 == Version::Tls13
        && case.server.versions.1 == Version::Tls13
        && (groups.is_empty() || groups.iter().any(|group| group.is_hybrid()))
}

/// Whether Node with Node chooses SHA-384 and a server of the component SHA-256, in TLS 1.3.
fn has_other_hash(case: &Case, seat: Seat) -> bool {
    let is_tls13 = case.client.versions.1.min(case.server.versions.1) == Version::Tls13;
    is_tls13 && seat.server() == Peer::Component && case.server.suites.is_empty()
}

/// Whether a client of this version is refused since it has no certificate.
fn misses_certificate(case: &Case, version: Version) -> bool {
    case.refuser == Some(Role::Server) && case.client.identity.is_none() && case.client.versions.0 == version
}

/// Whether Node said nothing of why it ended.
fn is_silent(node: &Value) -> bool {
    ["closed", "ECONNRESET"].iter().any(|code| node == code)
}

/// Whether this is an error of TLS or of a certificate, and so a reason.
fn is_reason(seen: &Value) -> bool {
    seen.as_str().is_some_and(|code| code.starts_with("ERR_SSL_") || code == "UNABLE_TO_VERIFY_LEAF_SIGNATURE")
}

fn ask(case: &mut Case) {
    case.server.request_cert = true;
    case.server.roots = vec![Kind::P256.authority()];
}

fn server() -> Request<'static> {
    Request::new("server.test", Kind::P256)
}

/// Issued by the authority that is trusted.
fn known(request: Request<'_>) -> Arc<Identity> {
    Request { issuer: Some(&Kind::P256.authority()), ..request }.issue()
}

const NOT_ASKED_FOR: &str = "a client's certificate that nobody asked for";
const OTHER_GROUP: &str = "a group that the client did not think of first";
const NO_SUITE: &str = "no suite in common";
const NO_GROUP: &str = "no group in common";

/// The rows that a connection shows which comes about.
const PROPERTIES: &str = " K2 K3 K4 K5 K6 K7 K8 K10 K11 K12 K13 K15 K17";
