//! What the component offers as a client: its first message, read by rustls.

use anyhow::{Context as _, Result, anyhow};
use rustls::server::Acceptor;

use crate::peers::component::good;
use crate::setup::SUITES;
use crate::tls::{ContextOptions, PairOptions, Tls};

/// A `ClientHello`, in the order of the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Suites, by OpenSSL's names.
    pub suites: Vec<&'static str>,
    /// Groups, by RFC names.
    pub groups: Vec<String>,
    /// Signature schemes, by rustls' names.
    pub schemes: Vec<String>,
}

/// What a client with this context offers.
pub async fn hello(tls: &mut Tls, options: &ContextOptions) -> Result<Hello> {
    let context = good(tls.context(options).await?)?;
    let options = PairOptions { servername: Some("server.test".into()), ..PairOptions::default() };
    let pair = good(tls.pair(context, &options).await?)?;
    let bytes = pair.read_encrypted(tls, u64::MAX).await?;
    pair.drop(tls).await?;
    context.drop(tls).await?;
    let mut acceptor = Acceptor::default();
    acceptor.read_tls(&mut bytes.as_slice())?;
    let accepted = acceptor.accept().map_err(|(error, _)| anyhow!("rustls can't read the ClientHello: {error}"))?;
    let accepted = accepted.context("the ClientHello is not whole")?;
    let hello = accepted.client_hello();
    // rustls spells suites of TLS 1.3 in its own way. What is no suite of ours is the signal of RFC 5746.
    let name = |suite: &rustls::CipherSuite| {
        let name = suite.as_str()?.replace("TLS13_", "TLS_");
        SUITES.iter().find(|suite| suite.name == name).map(|suite| suite.openssl)
    };
    Ok(Hello {
        suites: hello.cipher_suites().iter().filter_map(name).collect(),
        groups: hello.named_groups().unwrap_or_default().iter().map(|group| format!("{group:?}")).collect(),
        schemes: hello.signature_schemes().iter().map(|scheme| format!("{scheme:?}")).collect(),
    })
}
