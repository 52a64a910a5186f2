//! Gets a page so many times by ureq, each over a connection of its own, and writes what it got to standard output:
//! `ureq-get URL CA-FILE COUNT`.

use std::error::Error;
use std::{env, fs, io};

// [example]
use std::sync::Arc;

use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// A client of HTTPS that trusts this authority and nobody else.
fn agent(authority: &[u8]) -> Result<Agent, ureq::Error> {
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(guest_tls::provider::crypto_provider()))
        .root_certs(RootCerts::new_with_certs(&[Certificate::from_pem(authority)?]))
        .build();
    Ok(Agent::config_builder().tls_config(tls).build().into())
}
// [example]

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [url, authority, count] = arguments.as_slice() else {
        return Err("usage: ureq-get URL CA-FILE COUNT".into());
    };
    let authority = fs::read(authority).map_err(|error| format!("can't read {authority}: {error}"))?;
    for _ in 0..count.parse()? {
        // Connections belong to their agent: a new one makes a new one.
        let mut response = agent(&authority)?.get(url).call()?;
        io::copy(&mut response.body_mut().as_reader(), &mut io::stdout())?;
    }
    Ok(())
}
