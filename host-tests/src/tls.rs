//! An instance of the component, and its resources as plain handles.
//!
//! Every call has two results. The outer one is a trap, which is always a fault of the component. The inner one, where the
//! contract has one, is what the contract says.

use anyhow::Result;
use guest_tls_wasmtime::{Instance, bindings};
use wasmtime::component::{Resource, ResourceAny};
use wasmtime_wasi_io::bindings::wasi::io::poll::{Host as _, HostPollable};
use wasmtime_wasi_io::poll::DynPollable;
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream, InputStream, OutputStream};

use crate::host::error;

pub use bindings::exports::guest::tls::certificate::{Certificate, NameAttribute};
pub use bindings::exports::guest::tls::secure_context::CertificateCompression;
pub use bindings::exports::guest::tls::secure_pair::{
    AlpnOffer, Cipher, Cleartext, EphemeralKeyInfo, Event, NewSession, OcspRequest,
};
pub use bindings::exports::guest::tls::types::{Direction, Error, ErrorCode, ProtocolVersion};

/// What the contract answers: a value, or a typed error.
pub type Answer<T> = Result<Result<T, Error>>;

/// As [`Answer`], for what can go wrong in several ways at once.
pub type Creation<T> = Result<Result<T, Vec<Error>>>;

/// One instance. It does one call at a time.
pub struct Tls(Instance);

/// What a context is made of; see `secure-context-options`.
#[derive(Clone, Debug, Default)]
pub struct ContextOptions {
    /// Certificate chains, PEM.
    pub certificates: Vec<Vec<u8>>,
    /// Private keys, PEM or DER.
    pub keys: Vec<Vec<u8>>,
    /// PKCS#12 files.
    pub pfxs: Vec<Vec<u8>>,
    /// The passphrase of all keys and PKCS#12 files.
    pub passphrase: Option<Vec<u8>>,
    /// Trust anchors, PEM.
    pub roots: Vec<Vec<u8>>,
    /// Revocation lists, PEM.
    pub crls: Vec<Vec<u8>>,
    /// Whether trust anchors may have been issued by somebody else.
    pub allow_partial_trust_chain: bool,
    /// Whether to take what OpenSSL takes and webpki does not.
    pub compat: bool,
    /// The cipher list.
    pub ciphers: Option<String>,
    /// The signature schemes.
    pub sigalgs: Option<String>,
    /// The groups.
    pub groups: Option<String>,
    /// Parameters of finite-field Diffie-Hellman.
    pub dhparam: Option<Vec<u8>>,
    /// OpenSSL's name of a method.
    pub secure_protocol: Option<String>,
    /// How long sessions live, in seconds.
    pub session_timeout: Option<u32>,
    /// Whose sessions they are.
    pub session_id_context: Option<Vec<u8>>,
    /// The keys of tickets.
    pub ticket_keys: Option<Vec<u8>>,
    /// Whether the server's order of suites wins.
    pub honor_cipher_order: Option<bool>,
    /// Whether TLS 1.2 needs extended master secret.
    pub require_ems: bool,
    /// How certificates may be compressed.
    pub certificate_compression: Vec<CertificateCompression>,
    /// The lowest version.
    pub min_version: Option<ProtocolVersion>,
    /// The highest version.
    pub max_version: Option<ProtocolVersion>,
}

/// What a connection is made of; see `secure-pair-options`.
#[derive(Clone, Debug, Default)]
pub struct PairOptions {
    /// Whether this is the server.
    pub is_server: bool,
    /// The server's name.
    pub servername: Option<String>,
    /// Application protocols.
    pub alpn: Vec<Vec<u8>>,
    /// Whether the server asks for a certificate.
    pub request_cert: bool,
    /// Whether to go on with a peer that does not verify.
    pub accept_unauthorized: bool,
    /// Whether the caller checks the server's name itself.
    pub skip_server_identity: bool,
    /// Whether the server asks by event which context to use.
    pub sni_event: bool,
    /// Whether the server asks by event which application protocol to speak.
    pub alpn_event: bool,
    /// Whether the server's sessions are kept by the test.
    pub session_events: bool,
    /// Whether the server asks by event what to staple.
    pub ocsp_event: bool,
    /// Whether the server has no tickets.
    pub no_tickets: bool,
    /// The session that the client offers.
    pub session: Option<Vec<u8>>,
    /// Whether the client tells of each session.
    pub session_event: bool,
    /// Whether the client tells of the staple.
    pub request_ocsp: bool,
    /// Whether there are lines for a key log file.
    pub keylog: bool,
    /// Whether there is a trace.
    pub trace: bool,
    /// How long the handshake may take, in milliseconds.
    pub handshake_timeout: Option<u32>,
    /// How much may wait to be sent, in bytes.
    pub buffer_limit: Option<u32>,
}

/// A `secure-context`.
#[derive(Clone, Copy, Debug)]
pub struct Context(ResourceAny);

/// A `secure-pair`.
#[derive(Clone, Copy, Debug)]
pub struct Pair(ResourceAny);

/// A `tls-socket`.
#[derive(Clone, Copy, Debug)]
pub struct Socket(ResourceAny);

/// A `server`.
#[derive(Clone, Copy, Debug)]
pub struct Server(ResourceAny);

impl ContextOptions {
    /// The same options as users of the crate have them.
    pub fn as_setters(&self) -> guest_tls_wasmtime::ContextOptions {
        let mut made = guest_tls_wasmtime::ContextOptions::new()
            .allow_partial_trust_chain(self.allow_partial_trust_chain)
            .compat(self.compat)
            .require_ems(self.require_ems)
            .certificate_compression(self.certificate_compression.clone());
        for certificate in &self.certificates {
            made = made.cert(certificate.clone());
        }
        for key in &self.keys {
            made = match &self.passphrase {
                Some(passphrase) => made.encrypted_key(key.clone(), passphrase.clone()),
                None => made.key(key.clone()),
            };
        }
        for pfx in &self.pfxs {
            made = made.pfx(pfx.clone(), self.passphrase.as_deref());
        }
        for root in &self.roots {
            made = made.ca(root.clone());
        }
        for crl in &self.crls {
            made = made.crl(crl.clone());
        }
        made = set(made, &self.ciphers, |made, ciphers| made.ciphers(ciphers));
        made = set(made, &self.sigalgs, |made, sigalgs| made.sigalgs(sigalgs));
        made = set(made, &self.groups, |made, groups| made.ecdh_curve(groups));
        made = set(made, &self.dhparam, |made, dhparam| made.dhparam(dhparam));
        made = set(made, &self.secure_protocol, |made, name| made.secure_protocol(name));
        made = set(made, &self.session_timeout, |made, seconds| made.session_timeout(seconds));
        made = set(made, &self.session_id_context, |made, context| made.session_id_context(context));
        made = set(made, &self.ticket_keys, |made, keys| made.ticket_keys(keys));
        made = set(made, &self.honor_cipher_order, |made, honor| made.honor_cipher_order(honor));
        made = set(made, &self.min_version, |made, version| made.min_version(version));
        set(made, &self.max_version, |made, version| made.max_version(version))
    }
}

impl Tls {
    pub(crate) fn new(instance: Instance) -> Tls {
        Tls(instance)
    }

    /// The names of all cipher suites.
    pub async fn ciphers(&mut self) -> Result<Vec<String>> {
        let (store, world) = self.0.enter();
        let guest = world.guest_tls_secure_context();
        guest.call_ciphers(store).await.map_err(error)
    }

    /// What holds where nothing else was asked for: `default-ciphers`, `default-ecdh-curve`, `default-min-version`,
    /// `default-max-version`.
    pub async fn defaults(&mut self) -> Result<(String, String, ProtocolVersion, ProtocolVersion)> {
        let (store, world) = self.0.enter();
        let guest = world.guest_tls_secure_context();
        Ok((
            guest.call_default_ciphers(&mut *store).await.map_err(error)?,
            guest.call_default_ecdh_curve(&mut *store).await.map_err(error)?,
            guest.call_default_min_version(&mut *store).await.map_err(error)?,
            guest.call_default_max_version(&mut *store).await.map_err(error)?,
        ))
    }

    /// Reads a certificate.
    pub async fn parse(&mut self, file: &[u8]) -> Answer<Certificate> {
        let (store, world) = self.0.enter();
        world.guest_tls_certificate().call_parse(store, file).await.map_err(error)
    }

    /// `check-server-identity`
    pub async fn check_server_identity(&mut self, host: &str, certificate: &[u8]) -> Result<Option<Error>> {
        let (store, world) = self.0.enter();
        let guest = world.guest_tls_certificate();
        guest.call_check_server_identity(store, host, certificate).await.map_err(error)
    }

    /// `root-certificates`
    pub async fn root_certificates(&mut self) -> Result<Vec<String>> {
        let (store, world) = self.0.enter();
        world.guest_tls_certificate().call_root_certificates(store).await.map_err(error)
    }

    /// Makes a context.
    pub async fn context(&mut self, options: &ContextOptions) -> Creation<Context> {
        let context = options.as_setters().create_in(&mut self.0).await.map_err(error)?;
        Ok(context.map(Context))
    }

    /// Makes a connection without I/O.
    pub async fn pair(&mut self, context: Context, options: &PairOptions) -> Creation<Pair> {
        let options = self.pair_options(options).await?;
        let (store, world) = self.0.enter();
        let guest = world.guest_tls_secure_pair().secure_pair();
        let pair = guest.call_create(store, context.0, options).await.map_err(error)?;
        Ok(pair.map(Pair))
    }

    /// Makes a connection over streams, which it owns from then on.
    pub async fn socket(
        &mut self,
        context: Context,
        options: &PairOptions,
        (input, output): (impl InputStream, impl OutputStream),
    ) -> Creation<Socket> {
        let options = self.pair_options(options).await?;
        let (input, output) = self.streams(input, output)?;
        let (store, world) = self.0.enter();
        let guest = world.guest_tls_socket().tls_socket();
        let socket = guest.call_create(store, context.0, options, input, output).await.map_err(error)?;
        Ok(socket.map(Socket))
    }

    /// Makes a server.
    pub async fn server(&mut self, context: Context, options: &PairOptions) -> Creation<Server> {
        let options = self.pair_options(options).await?;
        let (store, world) = self.0.enter();
        let guest = world.guest_tls_server().server();
        let server = guest.call_create(store, context.0, options).await.map_err(error)?;
        Ok(server.map(Server))
    }

    /// Waits, by `wasi:io/poll`, until one of these is ready.
    pub async fn ready(&mut self, pollables: &[Resource<DynPollable>]) -> Result<()> {
        let handles = pollables.iter().map(|pollable| Resource::new_borrow(pollable.rep())).collect();
        self.0.table().poll(handles).await.map_err(error)?;
        Ok(())
    }

    /// Drops pollables.
    pub fn drop_pollables(&mut self, pollables: Vec<Resource<DynPollable>>) -> Result<()> {
        let table = self.0.table();
        pollables.into_iter().try_for_each(|pollable| HostPollable::drop(table, pollable).map_err(error))
    }

    /// Bytes of linear memory that the instance has now.
    pub fn memory(&self) -> usize {
        self.0.memory()
    }

    async fn pair_options(&mut self, options: &PairOptions) -> Result<ResourceAny> {
        let (store, world) = self.0.enter();
        let setters = world.guest_tls_secure_pair().secure_pair_options();
        let made = setters.call_constructor(&mut *store).await.map_err(error)?;
        setters.call_set_is_server(&mut *store, made, options.is_server).await.map_err(error)?;
        if let Some(servername) = &options.servername {
            setters.call_set_servername(&mut *store, made, servername).await.map_err(error)?;
        }
        if !options.alpn.is_empty() {
            setters.call_set_alpn_protocols(&mut *store, made, &options.alpn).await.map_err(error)?;
        }
        setters.call_set_request_cert(&mut *store, made, options.request_cert).await.map_err(error)?;
        setters
            .call_set_danger_skip_server_identity(&mut *store, made, options.skip_server_identity)
            .await
            .map_err(error)?;
        setters.call_set_reject_unauthorized(&mut *store, made, !options.accept_unauthorized).await.map_err(error)?;
        setters.call_set_sni_event(&mut *store, made, options.sni_event).await.map_err(error)?;
        setters.call_set_alpn_event(&mut *store, made, options.alpn_event).await.map_err(error)?;
        setters.call_set_session_events(&mut *store, made, options.session_events).await.map_err(error)?;
        setters.call_set_ocsp_event(&mut *store, made, options.ocsp_event).await.map_err(error)?;
        setters.call_set_tickets(&mut *store, made, !options.no_tickets).await.map_err(error)?;
        setters.call_set_session_event(&mut *store, made, options.session_event).await.map_err(error)?;
        setters.call_set_request_ocsp(&mut *store, made, options.request_ocsp).await.map_err(error)?;
        setters.call_set_keylog(&mut *store, made, options.keylog).await.map_err(error)?;
        setters.call_set_trace(&mut *store, made, options.trace).await.map_err(error)?;
        if let Some(session) = &options.session {
            setters.call_set_session(&mut *store, made, session).await.map_err(error)?;
        }
        if let Some(milliseconds) = options.handshake_timeout {
            setters.call_set_handshake_timeout(&mut *store, made, milliseconds).await.map_err(error)?;
        }
        if let Some(bytes) = options.buffer_limit {
            setters.call_set_buffer_limit(&mut *store, made, bytes).await.map_err(error)?;
        }
        Ok(made)
    }

    fn streams(
        &mut self,
        input: impl InputStream,
        output: impl OutputStream,
    ) -> Result<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let table = self.0.table();
        Ok((table.push(Box::new(input) as DynInputStream)?, table.push(Box::new(output) as DynOutputStream)?))
    }

    async fn drop_resource(&mut self, resource: ResourceAny) -> Result<()> {
        let (store, _) = self.0.enter();
        resource.resource_drop_async(store).await.map_err(error)
    }
}

/// Sets an option where there is a value.
fn set<O, V: Clone>(options: O, value: &Option<V>, set: impl FnOnce(O, V) -> O) -> O {
    match value {
        Some(value) => set(options, value.clone()),
        None => options,
    }
}

/// Methods that hand a call on to the component.
macro_rules! calls {
    ($handle:ident: $interface:ident, $resource:ident; $($(#[$doc:meta])* $name:ident = $call:ident($($arg:ident: $ty:ty),*) -> $result:ty;)*) => {
        impl $handle {
            $($(#[$doc])*
            pub async fn $name(self, tls: &mut Tls $(, $arg: $ty)*) -> Result<$result> {
                let (store, world) = tls.0.enter();
                let guest = world.$interface().$resource();
                guest.$call(store, self.0 $(, $arg)*).await.map_err(error)
            })*

            /// Ends the handle.
            pub async fn drop(self, tls: &mut Tls) -> Result<()> {
                tls.drop_resource(self.0).await
            }
        }
    };
}

calls! { Context: guest_tls_secure_context, secure_context;
    /// `warnings`
    warnings = call_warnings() -> Vec<String>;
}

calls! { Pair: guest_tls_secure_pair, secure_pair;
    /// `write-encrypted`
    write_encrypted = call_write_encrypted(bytes: &[u8]) -> Result<u64, Error>;
    /// `end-encrypted`
    end_encrypted = call_end_encrypted() -> ();
    /// `read-encrypted`
    read_encrypted = call_read_encrypted(max: u64) -> Vec<u8>;
    /// `write-cleartext`
    write_cleartext = call_write_cleartext(bytes: &[u8]) -> Result<u64, Error>;
    /// `end`
    end = call_end() -> ();
    /// `read-cleartext`
    read_cleartext = call_read_cleartext(max: u64) -> Result<Cleartext, Error>;
    /// `next-event`
    next_event = call_next_event() -> Option<Event>;
    /// `error`
    error = call_error() -> Option<Error>;
    /// `is-closed`
    is_closed = call_is_closed() -> bool;
    /// `authorized`
    authorized = call_authorized() -> bool;
    /// `authorization-error`
    authorization_error = call_authorization_error() -> Option<Error>;
    /// `servername`
    servername = call_servername() -> Option<String>;
    /// `alpn-protocol`
    alpn_protocol = call_alpn_protocol() -> Option<Vec<u8>>;
    /// `cipher`
    cipher = call_cipher() -> Option<Cipher>;
    /// `protocol`
    protocol = call_protocol() -> Option<ProtocolVersion>;
    /// `ephemeral-key-info`
    ephemeral_key_info = call_ephemeral_key_info() -> Option<EphemeralKeyInfo>;
    /// `peer-certificates`
    peer_certificates = call_peer_certificates() -> Vec<Certificate>;
    /// `peer-certificate-chain`
    peer_certificate_chain = call_peer_certificate_chain() -> Vec<Certificate>;
    /// `export-keying-material`
    export_keying_material = call_export_keying_material(length: u32, label: &[u8], context: Option<&[u8]>) -> Result<Vec<u8>, Error>;
    /// `answer-resume-session`
    answer_resume_session = call_answer_resume_session(data: Option<&[u8]>) -> Result<(), Error>;
    /// `answer-alpn`
    answer_alpn = call_answer_alpn(protocol: Option<&[u8]>) -> Result<(), Error>;
    /// `answer-ocsp-request`
    answer_ocsp_request = call_answer_ocsp_request(response: Option<&[u8]>) -> Result<(), Error>;
    /// `answer-new-session`
    answer_new_session = call_answer_new_session() -> Result<(), Error>;
    /// `abort`
    abort = call_abort(why: &str) -> ();
    /// `handshake-deadline`
    handshake_deadline = call_handshake_deadline() -> Option<u64>;
    /// `certificates`
    certificates = call_certificates() -> Vec<Certificate>;
    /// `encrypted`
    encrypted = call_encrypted() -> bool;
    /// `is-session-reused`
    is_session_reused = call_is_session_reused() -> bool;
    /// `session`
    session = call_session() -> Option<Vec<u8>>;
    /// `tls-ticket`
    tls_ticket = call_tls_ticket() -> Option<Vec<u8>>;
    /// `finished`
    finished = call_finished() -> Option<Vec<u8>>;
    /// `peer-finished`
    peer_finished = call_peer_finished() -> Option<Vec<u8>>;
    /// `shared-sigalgs`
    shared_sigalgs = call_shared_sigalgs() -> Vec<String>;
    /// `set-max-send-fragment`
    set_max_send_fragment = call_set_max_send_fragment(size: u32) -> bool;
    /// `update-keys`
    update_keys = call_update_keys() -> Result<(), Error>;
    /// `renegotiate`
    renegotiate = call_renegotiate() -> Result<(), Error>;
    /// `bytes-read`
    bytes_read = call_bytes_read() -> u64;
    /// `bytes-written`
    bytes_written = call_bytes_written() -> u64;
}

calls! { Socket: guest_tls_socket, tls_socket;
    /// `read`
    read = call_read(max: u64) -> Result<Cleartext, Error>;
    /// `write`
    write = call_write(bytes: &[u8]) -> Result<u64, Error>;
    /// `flush`
    flush = call_flush() -> Result<bool, Error>;
    /// `end`
    end = call_end() -> Result<(), Error>;
    /// `subscribe`
    subscribe = call_subscribe() -> Vec<Resource<DynPollable>>;
}

calls! { Server: guest_tls_server, server;
    /// `ticket-keys`
    ticket_keys = call_ticket_keys() -> Result<Vec<u8>, Error>;
    /// `set-ticket-keys`
    set_ticket_keys = call_set_ticket_keys(keys: &[u8]) -> Result<(), Error>;
    /// `set-max-connections`
    set_max_connections = call_set_max_connections(max: Option<u32>) -> ();
    /// `connections`
    connections = call_connections() -> u32;
}

impl Pair {
    /// `answer-sni`
    pub async fn answer_sni(self, tls: &mut Tls, context: Option<Context>) -> Answer<()> {
        let (store, world) = tls.0.enter();
        let guest = world.guest_tls_secure_pair().secure_pair();
        guest.call_answer_sni(store, self.0, context.map(|context| context.0)).await.map_err(error)
    }
}

impl Socket {
    /// `pair`
    pub async fn pair(self, tls: &mut Tls) -> Result<Pair> {
        let (store, world) = tls.0.enter();
        let guest = world.guest_tls_socket().tls_socket();
        guest.call_pair(store, self.0).await.map(Pair).map_err(error)
    }
}

impl Server {
    /// `add-context`
    pub async fn add_context(self, tls: &mut Tls, hostname: &str, context: Context) -> Answer<()> {
        let (store, world) = tls.0.enter();
        let guest = world.guest_tls_server().server();
        guest.call_add_context(store, self.0, hostname, context.0).await.map_err(error)
    }

    /// `set-secure-context`
    pub async fn set_secure_context(self, tls: &mut Tls, context: Context) -> Answer<()> {
        let (store, world) = tls.0.enter();
        let guest = world.guest_tls_server().server();
        guest.call_set_secure_context(store, self.0, context.0).await.map_err(error)
    }

    /// `accept`
    pub async fn accept(self, tls: &mut Tls, (input, output): (impl InputStream, impl OutputStream)) -> Answer<Socket> {
        let (input, output) = tls.streams(input, output)?;
        let (store, world) = tls.0.enter();
        let guest = world.guest_tls_server().server();
        guest.call_accept(store, self.0, input, output).await.map(|answer| answer.map(Socket)).map_err(error)
    }

    /// `accept-pair`
    pub async fn accept_pair(self, tls: &mut Tls) -> Answer<Pair> {
        let (store, world) = tls.0.enter();
        let guest = world.guest_tls_server().server();
        guest.call_accept_pair(store, self.0).await.map(|answer| answer.map(Pair)).map_err(error)
    }
}
