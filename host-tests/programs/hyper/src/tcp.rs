//! TCP without blocking, and a runtime for one task, on `wasi:sockets` and `wasi:io`.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddrV4;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

/// A TCP connection.
pub(crate) struct Tcp {
    // Children go before what they belong to: that is the order of the fields.
    readable: Rc<Pollable>,
    writable: Rc<Pollable>,
    input: InputStream,
    output: OutputStream,
    socket: TcpSocket,
}

impl Tcp {
    /// Connects to this address.
    pub(crate) async fn connect(address: SocketAddrV4) -> io::Result<Self> {
        let octets = address.ip().octets();
        let address = Ipv4SocketAddress { port: address.port(), address: (octets[0], octets[1], octets[2], octets[3]) };
        let socket = create_tcp_socket(IpAddressFamily::Ipv4).map_err(failed)?;
        socket.start_connect(&instance_network(), IpSocketAddress::Ipv4(address)).map_err(failed)?;
        let connected = Rc::new(socket.subscribe());
        let (input, output) = poll_fn(|_| match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => wait_for(&connected),
            result => Poll::Ready(result.map_err(failed)),
        })
        .await?;
        let (readable, writable) = (Rc::new(input.subscribe()), Rc::new(output.subscribe()));
        drop(connected);
        Ok(Self { readable, writable, input, output, socket })
    }
}

impl AsyncRead for Tcp {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.input.read(buffer.remaining() as u64) {
            Ok(bytes) if bytes.is_empty() && buffer.remaining() > 0 => wait_for(&self.readable),
            Ok(bytes) => {
                buffer.put_slice(&bytes);
                Poll::Ready(Ok(()))
            }
            Err(StreamError::Closed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(io::Error::other(error))),
        }
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.output.check_write() {
            Ok(0) => wait_for(&self.writable),
            Ok(room) => {
                let count = bytes.len().min(room as usize);
                Poll::Ready(self.output.write(&bytes[..count]).map(|()| count).map_err(io::Error::other))
            }
            Err(error) => Poll::Ready(Err(io::Error::other(error))),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.output.flush().map_err(io::Error::other))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shutdown(ShutdownType::Send).map_err(failed))
    }
}

/// Runs a task to its end. Between its steps it waits for what the task waits for.
pub(crate) fn block_on<T>(task: impl Future<Output = T>) -> T {
    let woken = Arc::new(Woken::default());
    let waker = Arc::clone(&woken).into();
    let mut task = pin!(task);
    loop {
        if let Poll::Ready(result) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        // A connection that is gone has taken its pollables with it.
        let waited_for: Vec<_> = WAITED_FOR.take().iter().filter_map(Weak::upgrade).collect();
        if !woken.0.swap(false, Ordering::Relaxed) {
            poll(&waited_for.iter().map(Rc::as_ref).collect::<Vec<_>>());
        }
    }
}

/// Whether the task has woken itself.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Has the runtime wait for this before the task's next step.
fn wait_for<T>(pollable: &Rc<Pollable>) -> Poll<T> {
    WAITED_FOR.with_borrow_mut(|all| all.push(Rc::downgrade(pollable)));
    Poll::Pending
}

fn failed(code: ErrorCode) -> io::Error {
    io::Error::other(code)
}

thread_local! {
    static WAITED_FOR: RefCell<Vec<Weak<Pollable>>> = const { RefCell::new(Vec::new()) };
}
