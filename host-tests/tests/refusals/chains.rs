//! Certificates that do not verify: the component's name for it is the one that Node has, on both sides, whether it ends the
//! connection or not.

use std::sync::Arc;

use anyhow::{Result, ensure};
use host_tests::certificates::{Identity, Kind, Request, Validity};
use host_tests::meeting::meet;
use host_tests::peers::Peer;
use host_tests::setup::{Role, Setup, Turn};
use host_tests::table::Row;

/// Each chain, shown by a server and by a client.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for chain in CHAINS {
        for role in [Role::Server, Role::Client] {
            if chain.only_servers && role == Role::Client {
                continue;
            }
            let what = chain.what;
            let shows = if role == Role::Client { "K2 O12 O13" } else { "K2 O13" };
            let name = format!("{what}, shown by a {role} and let through, as Node says");
            rows.push(Row::new("chains", name, move || chain.let_through(role)).shows(shows));
            let name = format!("{what}, shown by a {role} and refused");
            rows.push(Row::new("chains", name, move || chain.refused(role)).shows(shows));
        }
    }
    rows
}

/// A chain that does not verify.
#[derive(Clone, Copy)]
struct Chain {
    what: &'static str,
    make: fn() -> Arc<Identity>,
    /// OpenSSL's name for what is wrong.
    code: &'static str,
    /// The alert that says so.
    alert: u8,
    /// Whether it is only wrong for a server: clients have no name.
    only_servers: bool,
}

const CHAINS: [Chain; 13] = [
    Chain { what: "an expired certificate", make: expired, code: "CERT_HAS_EXPIRED", alert: 45, only_servers: false },
    Chain {
        what: "a certificate of the future",
        make: future,
        code: "CERT_NOT_YET_VALID",
        alert: 45,
        only_servers: false,
    },
    Chain {
        what: "a certificate that signs itself",
        make: self_signed,
        code: "DEPTH_ZERO_SELF_SIGNED_CERT",
        alert: 48,
        only_servers: false,
    },
    Chain {
        what: "a chain with an unknown root in it",
        make: with_root,
        code: "SELF_SIGNED_CERT_IN_CHAIN",
        alert: 48,
        only_servers: false,
    },
    Chain {
        what: "a certificate of an unknown authority",
        make: unknown,
        code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        alert: 48,
        only_servers: false,
    },
    Chain {
        what: "a chain that ends below an unknown authority",
        make: with_intermediate,
        code: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        alert: 48,
        only_servers: false,
    },
    Chain {
        what: "a certificate without its intermediate",
        make: without_intermediate,
        code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
        alert: 48,
        only_servers: false,
    },
    Chain {
        what: "a certificate for another name",
        make: other_name,
        code: "ERR_TLS_CERT_ALTNAME_INVALID",
        alert: 42,
        only_servers: true,
    },
    Chain {
        what: "an expired certificate of an unknown authority",
        make: expired_unknown,
        code: "CERT_HAS_EXPIRED",
        alert: 45,
        only_servers: false,
    },
    Chain {
        what: "an expired certificate for another name",
        make: expired_other_name,
        code: "CERT_HAS_EXPIRED",
        alert: 45,
        only_servers: true,
    },
    Chain {
        what: "a certificate for another purpose",
        make: other_purpose,
        code: "INVALID_PURPOSE",
        alert: 43,
        only_servers: false,
    },
    Chain {
        what: "a certificate signed by one that is no authority",
        make: no_authority,
        code: "INVALID_PURPOSE",
        alert: 43,
        only_servers: false,
    },
    Chain {
        what: "a chain that is longer than an authority allows",
        make: too_long,
        code: "PATH_LENGTH_EXCEEDED",
        alert: 48,
        only_servers: false,
    },
];

impl Chain {
    /// Without `rejectUnauthorized`, the handshake is done, and Node and the component give the same reason.
    async fn let_through(self, shower: Role) -> Result<()> {
        let (client, server) = self.setups(shower, false);
        let (ours, theirs) = match shower {
            Role::Server => {
                let (ours, _) = meet(Peer::Component, &client, Peer::Node, &server).await?;
                let (theirs, _) = meet(Peer::Node, &client, Peer::Component, &server).await?;
                (ours, theirs)
            }
            Role::Client => {
                let (_, ours) = meet(Peer::Node, &client, Peer::Component, &server).await?;
                let (_, theirs) = meet(Peer::Component, &client, Peer::Node, &server).await?;
                (ours, theirs)
            }
        };
        ensure!(theirs.authorization_error.as_deref() == Some(self.code), "Node says {:?}", theirs.authorization_error);
        ensure!(
            ours.authorization_error.as_deref() == Some(self.code),
            "the component says {:?}",
            ours.authorization_error
        );
        ensure!(ours.authorized == Some(false), "{ours:?}");
        ensure!(ours.failure.is_none() && ours.ended, "{ours:?}");
        Ok(())
    }

    /// With `rejectUnauthorized`, the connection ends with the same code, and its alert.
    async fn refused(self, shower: Role) -> Result<()> {
        let (client, server) = self.setups(shower, true);
        let (ours, theirs) = match shower {
            Role::Server => meet(Peer::Component, &client, Peer::Rustls, &server).await?,
            Role::Client => {
                let (theirs, ours) = meet(Peer::Rustls, &client, Peer::Component, &server).await?;
                (ours, theirs)
            }
        };
        let failure = ours.failure.unwrap_or_default();
        ensure!(failure.code == self.code && failure.alert == Some(self.alert), "the component says {failure}");
        let alert = theirs.failure.as_ref().and_then(|failure| failure.alert);
        ensure!(alert == Some(self.alert), "rustls was told {:?}", theirs.failure);
        Ok(())
    }

    fn setups(self, shower: Role, reject_unauthorized: bool) -> (Setup, Setup) {
        let identity = Some((self.make)());
        let roots = vec![Kind::P256.authority()];
        let client = Setup { roots: roots.clone(), reject_unauthorized, turn: Turn::First, ..Setup::default() };
        let server = Setup { roots, reject_unauthorized, turn: Turn::Second, ..Setup::server(Kind::P256) };
        match shower {
            Role::Server => (client, Setup { identity, ..server }),
            Role::Client => (Setup { identity, ..client }, Setup { request_cert: true, ..server }),
        }
    }
}

fn expired() -> Arc<Identity> {
    known(Request { validity: Validity::Over, ..usual() })
}

fn future() -> Arc<Identity> {
    known(Request { validity: Validity::Later, ..usual() })
}

fn self_signed() -> Arc<Identity> {
    usual().issue()
}

fn with_root() -> Arc<Identity> {
    let server = Kind::P384.server();
    server.with_chain(Kind::P384.authority().certificate.clone())
}

fn unknown() -> Arc<Identity> {
    Kind::P384.server()
}

fn with_intermediate() -> Arc<Identity> {
    Request { issuer: Some(&intermediate(&Kind::P384.authority())), ..usual() }.issue()
}

fn without_intermediate() -> Arc<Identity> {
    let identity = Request { issuer: Some(&intermediate(&Kind::P256.authority())), ..usual() }.issue();
    identity.with_chain(String::new())
}

fn other_name() -> Arc<Identity> {
    known(Request { alt_names: "DNS:other.test", ..usual() })
}

fn expired_unknown() -> Arc<Identity> {
    Request { issuer: Some(&Kind::P384.authority()), validity: Validity::Over, ..usual() }.issue()
}

fn expired_other_name() -> Arc<Identity> {
    known(Request { alt_names: "DNS:other.test", validity: Validity::Over, ..usual() })
}

fn other_purpose() -> Arc<Identity> {
    known(Request { extensions: Some("extendedKeyUsage=codeSigning\nsubjectAltName=DNS:server.test"), ..usual() })
}

fn no_authority() -> Arc<Identity> {
    let extensions = Some("basicConstraints=critical,CA:FALSE");
    let issuer = known(Request { extensions, ..Request::new("no authority", Kind::P256) });
    Request { issuer: Some(&issuer), ..usual() }.issue()
}

fn too_long() -> Arc<Identity> {
    let extensions = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign";
    let above = known(Request { extensions: Some(extensions), ..Request::new("the last above leaves", Kind::P256) });
    Request { issuer: Some(&intermediate(&above)), ..usual() }.issue()
}

fn usual() -> Request<'static> {
    Request::new("server.test", Kind::P256)
}

/// Issued by the authority that is trusted.
fn known(request: Request<'_>) -> Arc<Identity> {
    Request { issuer: Some(&Kind::P256.authority()), ..request }.issue()
}

fn intermediate(root: &Identity) -> Arc<Identity> {
    Request { issuer: Some(root), is_authority: true, ..Request::new("guest-tls test intermediate", Kind::P256) }
        .issue()
}
