//! The component, in an instance of its own for each connection.

use anyhow::{Result, anyhow};
use tokio::net::{TcpListener, TcpStream};

use super::Listening;
use crate::exchange::{Application as _, Exchange, hex};
use crate::host::Host;
use crate::pump::PairPump;
use crate::setup::{EXPORTER_BYTES, EXPORTER_LABEL, Failure, Report, Role, Setup, Tally, Version};
use crate::tls::{ContextOptions, Error, ErrorCode, Pair, PairOptions, ProtocolVersion, Tls};

/// A server that takes one connection.
pub async fn listen(setup: &Setup) -> Result<Listening> {
    listen_with(&context_options(setup), setup).await
}

/// A server that takes one connection, with a context that is not the setup's own.
pub async fn listen_with(options: &ContextOptions, setup: &Setup) -> Result<Listening> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let (mut tls, pair) = start(options, setup, Role::Server).await?;
    let setup = setup.clone();
    let server = async move {
        let (tcp, _) = listener.accept().await?;
        drop(listener);
        talk(&setup, &mut tls, pair, tcp).await
    };
    Ok(Listening::spawn(port, server))
}

/// A client.
pub async fn connect(setup: &Setup, port: u16) -> Result<Report> {
    connect_with(&context_options(setup), setup, port).await
}

/// A client, with a context that is not the setup's own.
pub async fn connect_with(options: &ContextOptions, setup: &Setup, port: u16) -> Result<Report> {
    let (mut tls, pair) = start(options, setup, Role::Client).await?;
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    talk(setup, &mut tls, pair, tcp).await
}

/// The options of a context for this setup.
pub fn context_options(setup: &Setup) -> ContextOptions {
    let names = setup.suites.iter().map(|suite| suite.openssl).collect::<Vec<_>>();
    let groups = setup.groups.iter().map(|group| group.name).collect::<Vec<_>>();
    ContextOptions {
        certificates: setup.identity.iter().map(|identity| identity.full_chain().into_bytes()).collect(),
        keys: setup.identity.iter().map(|identity| identity.key.clone().into_bytes()).collect(),
        roots: setup.roots.iter().map(|root| root.certificate.clone().into_bytes()).collect(),
        crls: setup.crls.iter().map(|crl| crl.clone().into_bytes()).collect(),
        allow_partial_trust_chain: setup.allow_partial_trust_chain,
        compat: setup.compat,
        ciphers: (!names.is_empty()).then(|| names.join(":")),
        groups: (!groups.is_empty()).then(|| groups.join(":")),
        sigalgs: (!setup.sigalgs.is_empty()).then(|| setup.sigalgs.join(":")),
        honor_cipher_order: Some(setup.honor_cipher_order),
        min_version: Some(version(setup.versions.0)),
        max_version: Some(version(setup.versions.1)),
        ..ContextOptions::default()
    }
}

/// The options of a connection for this setup.
pub fn pair_options(setup: &Setup, role: Role) -> PairOptions {
    PairOptions {
        is_server: role == Role::Server,
        servername: (role == Role::Client).then(|| setup.servername.clone()),
        alpn: setup.alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
        request_cert: setup.request_cert,
        accept_unauthorized: !setup.reject_unauthorized,
        skip_server_identity: setup.skip_server_identity,
        ..PairOptions::default()
    }
}

/// The answer, or the typed error as a failure of the test.
pub fn good_answer<T>(answer: Result<T, Error>) -> Result<T> {
    answer.map_err(|error| anyhow!("{error:?}"))
}

/// What the component says of a connection that is over, and drops it.
pub async fn report(
    tls: &mut Tls,
    pair: Pair,
    (sent, received, ended): (Tally, Tally, bool),
    error: Option<Error>,
) -> Result<Report> {
    let failure = error.as_ref().map(failure);
    let mut report = Report { sent, received, ended, failure, ..Report::default() };
    report.protocol = pair.protocol(tls).await?.map(|version| protocol_name(version).to_string());
    report.suite = pair.cipher(tls).await?.map(|cipher| cipher.standard_name);
    report.group = pair.ephemeral_key_info(tls).await?.map(|info| info.name);
    report.alpn = pair.alpn_protocol(tls).await?.map(|name| String::from_utf8_lossy(&name).into_owned());
    report.servername = pair.servername(tls).await?;
    report.authorized = Some(pair.authorized(tls).await?);
    report.authorization_error = pair.authorization_error(tls).await?.map(|error| code_name(error.code));
    let certificates = pair.peer_certificates(tls).await?;
    let subject = certificates.first().and_then(|leaf| leaf.subject.iter().find(|part| part.name == "CN"));
    report.peer_subject = subject.map(|part| part.value.clone());
    let exporter = pair.export_keying_material(tls, EXPORTER_BYTES as u32, EXPORTER_LABEL.as_bytes(), None).await?;
    report.exporter = exporter.ok().map(|bytes| hex(&bytes));
    pair.drop(tls).await?;
    Ok(report)
}

/// The component's error in the words of all peers.
pub fn failure(error: &Error) -> Failure {
    Failure {
        code: code_name(error.code),
        message: error.message.clone(),
        reason: error.reason.clone(),
        alert: error.alert.as_ref().map(|alert| alert.description),
    }
}

/// What was created, or all that was wrong as one error.
pub fn good<T>(created: Result<T, Vec<Error>>) -> Result<T> {
    created.map_err(|errors| {
        let all = errors.iter().map(|error| failure(error).to_string()).collect::<Vec<_>>();
        anyhow!("nothing was created: {}", all.join("; "))
    })
}

/// As Node writes it: `ERR_SSL_NO_SHARED_CIPHER`.
pub fn code_name(code: ErrorCode) -> String {
    code.node_name()
}

/// As Node writes it: `TLSv1.3`.
pub fn protocol_name(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::Tls12 => Version::Tls12.name(),
        ProtocolVersion::Tls13 => Version::Tls13.name(),
    }
}

async fn start(options: &ContextOptions, setup: &Setup, role: Role) -> Result<(Tls, Pair)> {
    let mut tls = Host::shared()?.instance().await?;
    let context = good(tls.context(options).await?)?;
    let pair = good(tls.pair(context, &pair_options(setup, role)).await?)?;
    Ok((tls, pair))
}

async fn talk(setup: &Setup, tls: &mut Tls, pair: Pair, tcp: TcpStream) -> Result<Report> {
    let mut pump = PairPump::new(pair, tcp, Exchange::new(setup.turn, setup.bytes));
    let error = pump.run(tls).await?;
    report(tls, pair, pump.application.result(), error).await
}

fn version(version: Version) -> ProtocolVersion {
    match version {
        Version::Tls12 => ProtocolVersion::Tls12,
        Version::Tls13 => ProtocolVersion::Tls13,
    }
}
