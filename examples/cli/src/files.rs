//! Files, and contexts made of them. What is wrong with a file is said with its name.

use std::fs;
use std::path::Path;

use crate::arguments::{Server, Sni, Switch, Tls, Version};
use crate::bindings::guest::tls::secure_context::{SecureContext, SecureContextOptions};
use crate::bindings::guest::tls::types::{ErrorCode, ProtocolVersion};
use crate::failure::{Failure, Result, joined};

/// The content of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::NotFound => ": is it in a folder that the host opened (wasmtime run --dir)?",
            _ => "",
        };
        Failure::file(format!("can't read {}: {error}{hint}", path.display()))
    })
}

/// The first line of a file.
pub(crate) fn passphrase(path: Option<&Path>) -> Result<Option<Vec<u8>>> {
    let Some(path) = path else { return Ok(None) };
    let content = read(path)?;
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
}

/// The context of a client.
pub(crate) fn client_context(tls: &Tls) -> Result<SecureContext> {
    let options = common(tls)?;
    own(tls, &options)?;
    for path in &tls.ca {
        add(path, &options, |options, file| options.add_ca(file))?;
    }
    create(options)
}

/// The contexts of a server: its own, and those by name.
pub(crate) struct ServerContexts {
    /// For clients that ask for no name, or for another one.
    pub(crate) own: SecureContext,
    /// By name.
    pub(crate) by_name: Vec<(String, SecureContext)>,
    /// The keys of tickets, the one that seals first; none for random ones.
    pub(crate) ticket_keys: Vec<Vec<u8>>,
}

/// Reads all files of a server.
pub(crate) fn server_contexts(tls: &Tls, server: &Server) -> Result<ServerContexts> {
    if tls.cert.is_empty() && tls.pfx.is_none() {
        return Err(Failure::usage("a server needs a certificate: --cert FILE --key FILE, or --pfx FILE"));
    }
    let options = server_options(tls, server)?;
    own(tls, &options)?;
    let own = create(options)?;
    let by_name =
        server.sni.iter().map(|sni| Ok((sni.name.clone(), named(tls, server, sni)?))).collect::<Result<_>>()?;
    let ticket_keys = match &server.ticket_keys {
        Some(path) => ticket_keys(path)?,
        None => Vec::new(),
    };
    Ok(ServerContexts { own, by_name, ticket_keys })
}

/// What a list of OpenSSL's kind leaves, as a context, or what is wrong with it.
pub(crate) fn create(options: SecureContextOptions) -> Result<SecureContext> {
    let context = SecureContext::create(options).map_err(|errors| Failure::file(joined(&errors)))?;
    for warning in context.warnings() {
        tell!("guest-tls: {warning}");
    }
    Ok(context)
}

fn named(tls: &Tls, server: &Server, sni: &Sni) -> Result<SecureContext> {
    let options = server_options(tls, server)?;
    let passphrase = passphrase(tls.passphrase_file.as_deref())?;
    add(&sni.cert, &options, |options, file| options.add_cert(file))?;
    add(&sni.key, &options, |options, file| options.add_key(file, passphrase.as_deref()))?;
    create(options).map_err(|failure| failure.context(format_args!("--sni {}", sni.name)))
}

fn server_options(tls: &Tls, server: &Server) -> Result<SecureContextOptions> {
    let options = common(tls)?;
    for path in &server.client_ca {
        add(path, &options, |options, file| options.add_ca(file))?;
    }
    if server.tickets == Switch::On {
        options.set_session_timeout(server.session_timeout.as_secs().try_into().unwrap_or(u32::MAX));
    }
    Ok(options)
}

/// What both sides have.
fn common(tls: &Tls) -> Result<SecureContextOptions> {
    let options = SecureContextOptions::new();
    options.set_min_version(version(tls.min_version));
    options.set_max_version(version(tls.max_version));
    if let Some(list) = &tls.ciphers {
        options.set_ciphers(list);
    }
    if let Some(list) = &tls.groups {
        options.set_ecdh_curve(list);
    }
    if let Some(list) = &tls.sigalgs {
        options.set_sigalgs(list);
    }
    for path in &tls.crl {
        add(path, &options, |options, file| options.add_crl(file))?;
    }
    Ok(options)
}

/// Our certificates and keys.
fn own(tls: &Tls, options: &SecureContextOptions) -> Result<()> {
    let passphrase = passphrase(tls.passphrase_file.as_deref())?;
    for path in &tls.cert {
        add(path, options, |options, file| options.add_cert(file))?;
    }
    // Both in one file is usual, too.
    let keys = if tls.key.is_empty() { &tls.cert } else { &tls.key };
    for path in keys {
        add(path, options, |options, file| options.add_key(file, passphrase.as_deref()))?;
    }
    if let Some(path) = &tls.pfx {
        add(path, options, |options, file| options.add_pfx(file, passphrase.as_deref()))?;
    }
    Ok(())
}

/// Adds a file. It is tried by itself first, so that what is wrong with it is said with its name.
fn add(path: &Path, options: &SecureContextOptions, add: impl Fn(&SecureContextOptions, &[u8])) -> Result<()> {
    let file = read(path)?;
    let alone = SecureContextOptions::new();
    add(&alone, &file);
    if let Err(errors) = SecureContext::create(alone) {
        // A certificate without its key, and the reverse, is nothing to say of one file.
        let errors: Vec<_> =
            errors.into_iter().filter(|error| error.code != ErrorCode::ErrOsslX509KeyValuesMismatch).collect();
        if !errors.is_empty() {
            return Err(Failure::file(format!("{}: {}", path.display(), joined(&errors))));
        }
    }
    add(options, &file);
    Ok(())
}

fn ticket_keys(path: &Path) -> Result<Vec<Vec<u8>>> {
    let content = read(path)?;
    if content.is_empty() || content.len() % TICKET_KEY != 0 {
        return Err(Failure::file(format!(
            "{}: ticket keys are {TICKET_KEY} random bytes each, and this file has {} (head -c {TICKET_KEY} /dev/urandom)",
            path.display(),
            content.len()
        )));
    }
    Ok(content.chunks(TICKET_KEY).map(<[u8]>::to_vec).collect())
}

fn version(version: Version) -> ProtocolVersion {
    match version {
        Version::Tls12 => ProtocolVersion::Tls12,
        Version::Tls13 => ProtocolVersion::Tls13,
    }
}

const TICKET_KEY: usize = 48;
