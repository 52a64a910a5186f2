//! TCP and the standard streams, without blocking.

use std::cell::Cell;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::task::{Poll, Waker};

use wasip2::cli::terminal_stdin::get_terminal_stdin;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, Network,
};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

use crate::failure::{Failure, Result};
use crate::runtime::{self, Source};

/// Bytes that come, and bytes that go: a TCP connection, or the standard streams.
///
/// When it is dropped while the other side has yet to take what was written, the host keeps it for as long as that lasts, and
/// [`lingering`] counts it: to drop an output stream of WASI 0.2 waits for its last write, and with it the whole program.
pub(crate) struct Duplex {
    streams: Rc<Streams>,
    /// Whether standard input is over where the other side has ended.
    ends_with_other: bool,
    /// Whether nothing more is read.
    over: Cell<bool>,
}

/// What the host has for it.
struct Streams {
    // Children go before what they belong to: that is the order of the fields.
    readable: Source,
    writable: Source,
    input: InputStream,
    output: OutputStream,
    socket: Option<TcpSocket>,
}

/// What a stream has for its reader.
pub(crate) enum Read {
    /// Bytes, at least one.
    Data(Vec<u8>),
    /// Nothing now.
    Pending,
    /// Nothing any more.
    End,
}

/// A stream failed, or its other side reset it.
#[derive(Clone, Debug)]
pub(crate) struct Broken(String);

impl Duplex {
    fn new(input: InputStream, output: OutputStream, socket: Option<TcpSocket>) -> Duplex {
        let (readable, writable) = (Source::new(input.subscribe()), Source::new(output.subscribe()));
        let streams = Rc::new(Streams { readable, writable, input, output, socket });
        Duplex { streams, ends_with_other: false, over: Cell::new(false) }
    }

    /// Standard input and standard output. Where the other side ends, what a file or a pipe has yet to say is still passed on; who sits at a
    /// terminal has nobody to talk to any more.
    pub(crate) fn standard() -> Duplex {
        let mut duplex = Duplex::new(wasip2::cli::stdin::get_stdin(), wasip2::cli::stdout::get_stdout(), None);
        duplex.ends_with_other = get_terminal_stdin().is_some();
        duplex
    }

    /// Standard input and standard output of who is here for what the other side says: where that has ended, all is over.
    pub(crate) fn standard_for_answers() -> Duplex {
        let mut duplex = Duplex::standard();
        duplex.ends_with_other = true;
        duplex
    }

    /// Where bytes come from.
    pub(crate) fn input(&self) -> &InputStream {
        &self.streams.input
    }

    /// Where bytes go to.
    pub(crate) fn output(&self) -> &OutputStream {
        &self.streams.output
    }

    /// Whether nothing more is to be read, whatever comes: see [`Self::shut_down`].
    pub(crate) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// At most `max` bytes of what has come.
    pub(crate) fn try_read(&self, max: usize) -> std::result::Result<Read, Broken> {
        if self.over.get() {
            return Ok(Read::End);
        }
        match self.streams.input.read(max as u64) {
            Ok(bytes) if bytes.is_empty() => Ok(Read::Pending),
            Ok(bytes) => Ok(Read::Data(bytes)),
            Err(StreamError::Closed) => Ok(Read::End),
            Err(error) => Err(Broken::of(error)),
        }
    }

    /// How many bytes may be written now.
    pub(crate) fn room(&self) -> std::result::Result<usize, Broken> {
        Ok(self.streams.output.check_write().map_err(Broken::of)? as usize)
    }

    /// Writes as many as [`Self::room`] said, or fewer.
    pub(crate) fn write(&self, bytes: &[u8]) -> std::result::Result<(), Broken> {
        self.streams.output.write(bytes).map_err(Broken::of)
    }

    /// Asks that what was written goes out; [`Self::room`] is 0 until it has.
    pub(crate) fn start_flush(&self) -> std::result::Result<(), Broken> {
        self.streams.output.flush().map_err(Broken::of)
    }

    /// Says that nothing more will be written. What was written has to be out. Of the standard streams, it may be that nothing more
    /// is read, either: see [`Self::standard`].
    pub(crate) fn shut_down(&self) {
        match &self.streams.socket {
            Some(socket) => {
                // Where the other side is gone already, there is nobody to tell.
                let _ = socket.shutdown(ShutdownType::Send);
            }
            None => self.over.set(self.ends_with_other),
        }
    }

    /// Whether there may be something to read since [`Read::Pending`]; if not, the task will be woken.
    pub(crate) fn poll_readable(&self, waker: &Waker) -> Poll<()> {
        self.streams.readable.poll_ready(waker)
    }

    /// Whether there may be room since there was none; if not, the task will be woken.
    pub(crate) fn poll_writable(&self, waker: &Waker) -> Poll<()> {
        self.streams.writable.poll_ready(waker)
    }

    /// Waits for bytes. `None` at the end.
    pub(crate) async fn read(&self, max: usize) -> std::result::Result<Option<Vec<u8>>, Broken> {
        loop {
            match self.try_read(max)? {
                Read::Data(bytes) => return Ok(Some(bytes)),
                Read::End => return Ok(None),
                Read::Pending => self.streams.readable.ready().await,
            }
        }
    }

    /// Writes all of it.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> std::result::Result<(), Broken> {
        while !bytes.is_empty() {
            let room = self.room()?;
            if room == 0 {
                self.streams.writable.ready().await;
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.write(now)?;
            bytes = later;
        }
        Ok(())
    }

    /// Waits until all that was written is out.
    pub(crate) async fn flush(&self) -> std::result::Result<(), Broken> {
        self.start_flush()?;
        while self.room()? == 0 {
            self.streams.writable.ready().await;
        }
        Ok(())
    }

    /// The address of the other side, and our own. None for the standard streams.
    pub(crate) fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        let socket = self.streams.socket.as_ref()?;
        Some((address(socket.remote_address().ok()?), address(socket.local_address().ok()?)))
    }
}

impl Drop for Duplex {
    fn drop(&mut self) {
        if self.streams.is_settled() {
            return;
        }
        // Where only the system's buffers are full, or it has yet to say that they are not, there is nothing to wait for after this.
        if let Some(socket) = &self.streams.socket {
            let _ = socket.shutdown(ShutdownType::Send);
        }
        if self.streams.is_settled() {
            return;
        }
        let streams = self.streams.clone();
        LINGERING.set(LINGERING.get() + 1);
        runtime::spawn(async move {
            while !streams.is_settled() {
                streams.writable.ready().await;
            }
            LINGERING.set(LINGERING.get() - 1);
        });
    }
}

impl Streams {
    /// Whether all that was written is out, or can't be any more: then to drop the streams waits for nobody.
    fn is_settled(&self) -> bool {
        !matches!(self.output.check_write(), Ok(0))
    }
}

/// How many connections were given up whose other side does not take what was written before.
pub(crate) fn lingering() -> usize {
    LINGERING.get()
}

/// A TCP port that listens.
pub(crate) struct Listener {
    readable: Source,
    socket: TcpSocket,
}

impl Listener {
    /// Listens on this address. Port 0: one that is free.
    pub(crate) async fn bind(at: SocketAddr) -> Result<Listener> {
        let failed = |error: ErrorCode| {
            let hint = match error {
                ErrorCode::AccessDenied => ": the host forbids it (wasmtime run -S inherit-network)",
                _ => "",
            };
            Failure::network(format!("can't listen on {at}: {}{hint}", error.name()))
        };
        let network = instance_network();
        let (family, local) = socket_address(at);
        let socket = create_tcp_socket(family).map_err(failed)?;
        let ready = Source::new(socket.subscribe());
        // Hosts that don't know it have their own length of the queue.
        let _ = socket.set_listen_backlog_size(BACKLOG);
        socket.start_bind(&network, local).map_err(failed)?;
        finish(&ready, || socket.finish_bind()).await.map_err(failed)?;
        socket.start_listen().map_err(failed)?;
        finish(&ready, || socket.finish_listen()).await.map_err(failed)?;
        Ok(Listener { readable: ready, socket })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Result<SocketAddr> {
        let failed = |error: ErrorCode| Failure::network(format!("a port has no address: {}", error.name()));
        Ok(address(self.socket.local_address().map_err(failed)?))
    }

    /// Waits for a connection. An error is that of one connection, or a lack of something; the port listens on.
    pub(crate) async fn accept(&self) -> std::result::Result<Duplex, Broken> {
        let (socket, input, output) = finish(&self.readable, || self.socket.accept()).await.map_err(Broken::named)?;
        Ok(Duplex::new(input, output, Some(socket)))
    }
}

/// A host and a port, as people write them: `db.example:5432`, `[::1]:443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// A name or an address, without brackets.
    pub(crate) host: String,
    /// The TCP port.
    pub(crate) port: u16,
}

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Target, String> {
        let expected = || format!("`{text}` is no HOST:PORT, such as example.com:443 or [::1]:443");
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match bracketed {
            Some(host) if host.parse::<Ipv6Addr>().is_ok() => host,
            None if !host.is_empty() && !host.contains(':') => host,
            _ => return Err(expected()),
        };
        Ok(Target { host: host.to_string(), port: port.parse().map_err(|_| expected())? })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Connects to the first address of the target that answers.
pub(crate) async fn connect(target: &Target) -> Result<Duplex> {
    let network = instance_network();
    let mut failures = Vec::new();
    for address in addresses(&network, &target.host).await? {
        match open(&network, SocketAddr::new(address, target.port)).await {
            Ok(duplex) => return Ok(duplex),
            Err(ErrorCode::AccessDenied) => {
                return Err(Failure::network(format!(
                    "no connection to {target}: the host forbids it (wasmtime run -S inherit-network)"
                )));
            }
            Err(error) => failures.push(format!("{address}: {}", error.name())),
        }
    }
    Err(Failure::network(format!("no connection to {target}: {}", failures.join(", "))))
}

/// The addresses of a name, or the one that it is.
async fn addresses(network: &Network, host: &str) -> Result<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let failed = |error: ErrorCode| {
        let hint = match error {
            ErrorCode::PermanentResolverFailure | ErrorCode::AccessDenied => {
                ": there is no such name, or the host forbids to look it up (wasmtime run -S allow-ip-name-lookup)"
            }
            _ => "",
        };
        Failure::network(format!("the name {host} can't be looked up: {}{hint}", error.name()))
    };
    let stream = resolve_addresses(network, host).map_err(failed)?;
    let source = Source::new(stream.subscribe());
    let mut addresses = Vec::new();
    while let Some(address) = finish(&source, || stream.resolve_next_address()).await.map_err(failed)? {
        addresses.push(match address {
            IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
            IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => Ipv6Addr::new(a, b, c, d, e, f, g, h).into(),
        });
    }
    drop(source);
    Ok(addresses)
}

async fn open(network: &Network, to: SocketAddr) -> std::result::Result<Duplex, ErrorCode> {
    let (family, remote) = socket_address(to);
    let socket = create_tcp_socket(family)?;
    let source = Source::new(socket.subscribe());
    socket.start_connect(network, remote)?;
    let (input, output) = finish(&source, || socket.finish_connect()).await?;
    drop(source);
    Ok(Duplex::new(input, output, Some(socket)))
}

/// Tries until it does not say that it would block.
async fn finish<T>(
    source: &Source,
    mut attempt: impl FnMut() -> std::result::Result<T, ErrorCode>,
) -> std::result::Result<T, ErrorCode> {
    loop {
        match attempt() {
            Err(ErrorCode::WouldBlock) => source.ready().await,
            other => return other,
        }
    }
}

fn socket_address(address: SocketAddr) -> (IpAddressFamily, IpSocketAddress) {
    match address {
        SocketAddr::V4(v4) => {
            let [a, b, c, d] = v4.ip().octets();
            let address = Ipv4SocketAddress { port: v4.port(), address: (a, b, c, d) };
            (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(address))
        }
        SocketAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.ip().segments();
            let address = (a, b, c, d, e, f, g, h);
            let (flow_info, scope_id) = (v6.flowinfo(), v6.scope_id());
            let address = Ipv6SocketAddress { port: v6.port(), flow_info, address, scope_id };
            (IpAddressFamily::Ipv6, IpSocketAddress::Ipv6(address))
        }
    }
}

fn address(address: IpSocketAddress) -> SocketAddr {
    match address {
        IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (a, b, c, d) }) => {
            (Ipv4Addr::new(a, b, c, d), port).into()
        }
        IpSocketAddress::Ipv6(Ipv6SocketAddress { port, address: (a, b, c, d, e, f, g, h), .. }) => {
            (Ipv6Addr::new(a, b, c, d, e, f, g, h), port).into()
        }
    }
}

impl Broken {
    fn of(error: StreamError) -> Broken {
        Broken(match error {
            StreamError::Closed => "the other side has closed the connection".to_string(),
            StreamError::LastOperationFailed(error) => return Broken::because(&error.to_debug_string()),
        })
    }

    /// In the host's own words, which may go on for pages.
    pub(crate) fn because(why: &str) -> Broken {
        Broken(why.lines().next().unwrap_or_default().to_string())
    }

    fn named(error: ErrorCode) -> Broken {
        Broken(error.name().to_string())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many connections may wait to be accepted, if the host's system allows so many.
const BACKLOG: u64 = 4096;

thread_local! {
    static LINGERING: Cell<usize> = const { Cell::new(0) };
}
