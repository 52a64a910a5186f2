//! What a stream does, beside what tokio-rustls with ring does in its place: client and server, the peer is tokio-rustls each time.
//!
//! A scenario tells what happened in a sentence. The reference has to give the sentence that stands in the test, and then ours has to.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use guest_tls_wasmtime::Host;
use host_tests::certificates::Kind;
use host_tests::peers::{rustls, wasmtime};
use host_tests::setup::{SERVER_NAME, Setup, X25519};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, copy_bidirectional, duplex,
};
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

#[tokio::test]
async fn what_is_written_goes_while_its_task_sleeps() -> Result<()> {
    same(64 << 10, "1000 bytes came", async |mut ours, mut peer| {
        ours.write_all(&[1; 1000]).await?;
        // Nobody polls ours any more.
        let came = timeout(SOON, peer.read_exact(&mut [0; 1000])).await;
        drop(ours);
        Ok(came.map_or("nothing came".to_string(), |came| format!("{} bytes came", came.unwrap_or(0))))
    })
    .await
}

#[tokio::test]
async fn what_is_written_goes_while_its_task_sleeps_and_another_one_reads() -> Result<()> {
    same(64 << 10, "1000 bytes came", async |ours, mut peer| {
        let (mut reader, mut writer) = tokio::io::split(ours);
        let reading = tokio::spawn(async move { reader.read(&mut [0; 1]).await });
        tokio::task::yield_now().await;
        writer.write_all(&[1; 1000]).await?;
        let came = timeout(SOON, peer.read_exact(&mut [0; 1000])).await;
        reading.abort();
        drop(writer);
        Ok(came.map_or("nothing came".to_string(), |came| format!("{} bytes came", came.unwrap_or(0))))
    })
    .await
}

#[tokio::test]
async fn what_is_written_goes_before_the_stream_is_dropped() -> Result<()> {
    same(64 << 10, "40000 bytes came, then UnexpectedEof", async |mut ours, mut peer| {
        ours.write_all(&[1; 40_000]).await?;
        drop(ours);
        Ok(all_of(&mut peer).await)
    })
    .await
}

#[tokio::test]
async fn small_writes_go_before_the_stream_is_dropped() -> Result<()> {
    same(64 << 10, "300 bytes came, then UnexpectedEof", async |mut ours, mut peer| {
        for _ in 0..100 {
            ours.write_all(b"abc").await?;
        }
        drop(ours);
        Ok(all_of(&mut peer).await)
    })
    .await
}

#[tokio::test]
async fn a_question_that_is_not_flushed_gets_its_answer() -> Result<()> {
    same(64 << 10, "answer", async |mut ours, mut peer| {
        let answering = tokio::spawn(async move {
            peer.read_exact(&mut [0; 8]).await?;
            peer.write_all(b"answer").await?;
            peer.flush().await?;
            io::Result::Ok(peer)
        });
        ours.write_all(b"question").await?;
        let mut answer = [0; 6];
        timeout(SOON, ours.read_exact(&mut answer)).await??;
        drop(answering.await??);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    })
    .await
}

#[tokio::test]
async fn reading_goes_on_after_ones_own_end() -> Result<()> {
    same(4096, "peer: 5 bytes came, then the end; ours: 200000 bytes came, then the end", async |mut ours, mut peer| {
        let answering = tokio::spawn(async move {
            let came = all_of(&mut peer).await;
            peer.write_all(&[2; 200_000]).await?;
            peer.shutdown().await?;
            io::Result::Ok(came)
        });
        ours.write_all(b"query").await?;
        ours.shutdown().await?;
        let came = all_of(&mut ours).await;
        Ok(format!("peer: {}; ours: {came}", answering.await??))
    })
    .await
}

#[tokio::test]
async fn writing_goes_on_after_the_peers_end() -> Result<()> {
    same(4096, "ours: 5 bytes came, then the end; peer: 200000 bytes came, then the end", async |mut ours, mut peer| {
        let answering = tokio::spawn(async move {
            peer.write_all(b"query").await?;
            peer.shutdown().await?;
            io::Result::Ok(all_of(&mut peer).await)
        });
        let came = all_of(&mut ours).await;
        ours.write_all(&[2; 200_000]).await?;
        ours.shutdown().await?;
        Ok(format!("ours: {came}; peer: {}", answering.await??))
    })
    .await
}

#[tokio::test]
async fn writing_goes_on_after_the_transport_has_ended_one_way() -> Result<()> {
    let expected = "ours: 5 bytes came, then UnexpectedEof; wrote: Ok; peer: 7 bytes came";
    same_over_tcp(expected, async |mut ours, mut peer| {
        peer.write_all(b"query").await?;
        peer.end_transport()?;
        let came = all_of(&mut ours).await;
        let wrote = said(ours.write_all(b"answer!").await);
        let mut answer = [0; 7];
        let read = timeout(SOON, peer.read_exact(&mut answer)).await;
        Ok(format!("ours: {came}; wrote: {wrote}; peer: {} bytes came", read.map_or(0, |read| read.unwrap_or(0))))
    })
    .await
}

#[tokio::test]
async fn several_slices_are_written_at_once() -> Result<()> {
    same(64 << 10, "true; 0, 0, 9; abcdefghi", async |mut ours, mut peer| {
        let is_vectored = ours.is_write_vectored();
        let none = ours.write_vectored(&[]).await?;
        let empty = ours.write_vectored(&[IoSlice::new(b""), IoSlice::new(b"")]).await?;
        let slices = [IoSlice::new(b""), IoSlice::new(b"abc"), IoSlice::new(b"defgh"), IoSlice::new(b"i")];
        let count = ours.write_vectored(&slices).await?;
        let mut came = [0; 9];
        timeout(SOON, peer.read_exact(&mut came)).await??;
        Ok(format!("{is_vectored}; {none}, {empty}, {count}; {}", String::from_utf8_lossy(&came)))
    })
    .await
}

#[tokio::test]
async fn nothing_can_be_written() -> Result<()> {
    same(64 << 10, "wrote 0, flushed, wrote 0 after the end", async |mut ours, _peer| {
        let wrote = ours.write(b"").await?;
        ours.flush().await?;
        ours.shutdown().await?;
        let wrote_after = ours.write(b"").await?;
        Ok(format!("wrote {wrote}, flushed, wrote {wrote_after} after the end"))
    })
    .await
}

#[tokio::test]
async fn it_may_be_shut_down_twice() -> Result<()> {
    same(64 << 10, "Ok, Ok, flush: Ok; peer: 3 bytes came, then the end", async |mut ours, mut peer| {
        ours.write_all(b"abc").await?;
        let (first, second) = (said(ours.shutdown().await), said(ours.shutdown().await));
        let flush = said(ours.flush().await);
        Ok(format!("{first}, {second}, flush: {flush}; peer: {}", all_of(&mut peer).await))
    })
    .await
}

#[tokio::test]
async fn it_may_be_shut_down_when_the_transport_is_so_already() -> Result<()> {
    same_over_tcp("Ok", async |mut ours, mut peer| {
        ours.shutdown().await?;
        peer.read_to_end(&mut Vec::new()).await?;
        peer.shutdown().await?;
        drop(peer);
        ours.read_to_end(&mut Vec::new()).await?;
        Ok(said(ours.shutdown().await))
    })
    .await
}

#[tokio::test]
async fn a_write_waits_for_a_peer_that_does_not_read_and_is_woken_when_it_does() -> Result<()> {
    same(1024, "waited, woken, all came", async |mut ours, mut peer| {
        let piece = [7; 8192];
        let (mut taken, mut ready) = (0, true);
        while ready && taken < 1 << 20 {
            match timeout(SHORT, ours.write(&piece)).await {
                Ok(count) => taken += count?,
                Err(_) => ready = false,
            }
        }
        let waited = if ready { "did not wait" } else { "waited" };
        let writing = tokio::spawn(async move {
            ours.write_all(&piece).await?;
            ours.flush().await?;
            io::Result::Ok(ours)
        });
        let mut came = vec![0; taken + piece.len()];
        timeout(SOON, peer.read_exact(&mut came)).await??;
        let woken = timeout(SOON, writing).await.map_or("not woken", |_| "woken");
        let all = if came.iter().all(|byte| *byte == 7) { "all came" } else { "other bytes came" };
        Ok(format!("{waited}, {woken}, {all}"))
    })
    .await
}

#[tokio::test]
async fn a_write_that_waited_for_the_transport_and_was_dropped_wrote_nothing() -> Result<()> {
    same(1024, "what was taken and then b", async |mut ours, mut peer| {
        let mut taken = 0;
        while let Ok(count) = timeout(SHORT, ours.write(&[b'a'; 8192])).await {
            taken += count?;
        }
        let writing = tokio::spawn(async move {
            ours.write_all(b"b").await?;
            ours.shutdown().await
        });
        let mut came = Vec::new();
        timeout(SOON, peer.read_to_end(&mut came)).await??;
        writing.await??;
        let (last, first) = came.split_last().context("nothing came")?;
        let is_right = *last == b'b' && first.len() == taken && first.iter().all(|byte| *byte == b'a');
        Ok(if is_right { "what was taken and then b".into() } else { format!("{} bytes of {taken}", came.len()) })
    })
    .await
}

#[tokio::test]
async fn a_write_that_is_polled_once_and_begun_again_is_written_once() -> Result<()> {
    for length in [5, 40_000, 200_000] {
        same(64 << 10, "once", async |mut ours, mut peer| {
            let bytes = (0..length).map(|at| at as u8).collect::<Vec<_>>();
            let reading = tokio::spawn(async move {
                let mut came = Vec::new();
                peer.read_to_end(&mut came).await.map(|_| came)
            });
            let mut written = 0;
            while written < length {
                // Each future is given up after one poll.
                let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut ours).poll_write(cx, &bytes[written..]))).await;
                match polled {
                    Poll::Ready(count) => written += count?,
                    Poll::Pending => sleep(Duration::from_millis(1)).await,
                }
            }
            ours.shutdown().await?;
            let came = reading.await??;
            Ok(if came == bytes { "once".into() } else { format!("{} of {length} bytes", came.len()) })
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_flush_waits_for_a_transport_that_takes_nothing() -> Result<()> {
    same(1024, "waited, then Ok", async |mut ours, mut peer| {
        ours.write_all(&[1; 20_000]).await?;
        let waited = if timeout(SHORT, ours.flush()).await.is_err() { "waited" } else { "did not wait" };
        let mut all = [0; 20_000];
        let (flushed, came) = tokio::join!(ours.flush(), peer.read_exact(&mut all));
        came?;
        Ok(format!("{waited}, then {}", said(flushed)))
    })
    .await
}

#[tokio::test]
async fn both_ways_are_copied_to_their_ends() -> Result<()> {
    let expected = "peer: 300000 bytes came, then the end; copied 300000 and 300000";
    same(4096, expected, async |mut ours, peer| {
        let (mut plain, echo) = duplex(1000);
        tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(echo);
            tokio::io::copy(&mut reader, &mut writer).await?;
            writer.shutdown().await
        });
        let asking = tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(peer);
            let write = async {
                writer.write_all(&[3; 300_000]).await?;
                writer.shutdown().await
            };
            let (written, came) = tokio::join!(write, all_of(&mut reader));
            written.map(|()| came)
        });
        let (from, to) = timeout(LATE, copy_bidirectional(&mut ours, &mut plain)).await??;
        Ok(format!("peer: {}; copied {from} and {to}", asking.await??))
    })
    .await
}

#[tokio::test]
async fn a_transport_that_is_gone_is_told_to_the_writer() -> Result<()> {
    same(64 << 10, "write: BrokenPipe", async |mut ours, peer| {
        drop(peer);
        // What was sent before may have been taken.
        for _ in 0..3 {
            if let Err(error) = ours.write_all(b"abc").await {
                return Ok(format!("write: {:?}", error.kind()));
            }
        }
        Ok("write: Ok".to_string())
    })
    .await
}

#[tokio::test]
async fn a_handshake_that_is_dropped_ends_the_transport() -> Result<()> {
    let (ours, theirs) = (wasmtime::connector(host(), &client()).await?, reference_connector()?);
    let mut told = Vec::new();
    for is_ours in [false, true] {
        let (near, mut far) = duplex(64 << 10);
        let connecting: Pin<Box<dyn Future<Output = ()> + Send>> = if is_ours {
            let connector = ours.clone();
            Box::pin(async move { drop(connector.connect(SERVER_NAME, near).await) })
        } else {
            let connecting = theirs.connect(server_name()?, near);
            Box::pin(async move { drop(connecting.await) })
        };
        // The peer says nothing: the ClientHello is on its way, and then the client gives up.
        ensure!(timeout(SHORT, connecting).await.is_err(), "there was a handshake with nobody");
        let mut hello = Vec::new();
        far.read_to_end(&mut hello).await?;
        told.push(format!("a record of type {:?}, then the end", hello.first()));
    }
    ensure!(told == ["a record of type Some(22), then the end"; 2], "{told:?}");
    Ok(())
}

/// Both ends of a connection, and what can be done with a transport below them.
trait Ends: AsyncRead + AsyncWrite + Unpin + Send {
    /// Ends the sending side of the transport without `close_notify`.
    fn end_transport(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

type Stream = Box<dyn Ends>;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Below> Ends for tokio_rustls::client::TlsStream<S> {
    fn end_transport(&mut self) -> io::Result<()> {
        self.get_mut().0.end()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + Below> Ends for tokio_rustls::server::TlsStream<S> {
    fn end_transport(&mut self) -> io::Result<()> {
        self.get_mut().0.end()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Ends for guest_tls_wasmtime::TlsStream<S> {}

/// A transport whose sending side can be ended.
trait Below {
    fn end(&mut self) -> io::Result<()>;
}

impl Below for DuplexStream {
    fn end(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Below for tokio::net::TcpStream {
    fn end(&mut self) -> io::Result<()> {
        socket2::SockRef::from(&*self).shutdown(std::net::Shutdown::Write)
    }
}

/// Has the scenario over a transport in memory with room for so many bytes each way.
async fn same(room: usize, expected: &str, scenario: impl AsyncFn(Stream, Stream) -> Result<String>) -> Result<()> {
    for subject in SUBJECTS {
        let (near, far) = duplex(room);
        let (ours, peer) = subject.meet(near, far).await.with_context(|| format!("{subject:?}: handshake"))?;
        subject.play(expected, &scenario, ours, peer).await?;
    }
    Ok(())
}

/// Has the scenario over TCP.
async fn same_over_tcp(expected: &str, scenario: impl AsyncFn(Stream, Stream) -> Result<String>) -> Result<()> {
    for subject in SUBJECTS {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let near = tokio::net::TcpStream::connect(listener.local_addr()?);
        let (near, far) = tokio::try_join!(near, listener.accept())?;
        let (ours, peer) = subject.meet(near, far.0).await.with_context(|| format!("{subject:?}: handshake"))?;
        subject.play(expected, &scenario, ours, peer).await?;
    }
    Ok(())
}

/// Whose stream it is: the reference's first.
#[derive(Clone, Copy, Debug)]
enum Subject {
    ReferenceClient,
    ReferenceServer,
    OurClient,
    OurServer,
}

const SUBJECTS: [Subject; 4] =
    [Subject::ReferenceClient, Subject::ReferenceServer, Subject::OurClient, Subject::OurServer];

impl Subject {
    /// The subject's stream and its peer's.
    async fn meet<S>(self, near: S, far: S) -> Result<(Stream, Stream)>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + Below + 'static,
    {
        let acceptor = TlsAcceptor::from(Arc::new(rustls::server_config(&server())?));
        let connector = reference_connector()?;
        Ok(match self {
            Subject::ReferenceClient => {
                let (near, far) = tokio::try_join!(connector.connect(server_name()?, near), acceptor.accept(far))?;
                (Box::new(near), Box::new(far))
            }
            Subject::ReferenceServer => {
                let (far, near) = tokio::try_join!(connector.connect(server_name()?, far), acceptor.accept(near))?;
                (Box::new(near), Box::new(far))
            }
            Subject::OurClient => {
                let ours = wasmtime::connector(host(), &client()).await?;
                let (near, far) = tokio::join!(ours.connect(SERVER_NAME, near), acceptor.accept(far));
                (Box::new(near?), Box::new(far?))
            }
            Subject::OurServer => {
                let ours = wasmtime::acceptor(host(), &server()).await?;
                let (far, near) = tokio::join!(connector.connect(server_name()?, far), ours.accept(near));
                (Box::new(near?), Box::new(far?))
            }
        })
    }

    async fn play(
        self,
        expected: &str,
        scenario: &impl AsyncFn(Stream, Stream) -> Result<String>,
        ours: Stream,
        peer: Stream,
    ) -> Result<()> {
        let told = timeout(LATE, scenario(ours, peer)).await.with_context(|| format!("{self:?}: it hangs"))?;
        let told = told.unwrap_or_else(|error| format!("failed: {error:#}"));
        ensure!(told == expected, "{self:?}\n     did: {told}\nexpected: {expected}");
        Ok(())
    }
}

/// What there is to read, in words.
async fn all_of(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut all = Vec::new();
    match timeout(SOON, stream.read_to_end(&mut all)).await {
        Ok(Ok(_)) => format!("{} bytes came, then the end", all.len()),
        Ok(Err(error)) => format!("{} bytes came, then {:?}", all.len(), error.kind()),
        Err(_) => format!("{} bytes came, then nothing", all.len()),
    }
}

fn said(result: io::Result<()>) -> String {
    result.map_or_else(|error| format!("{:?}", error.kind()), |()| "Ok".to_string())
}

fn reference_connector() -> Result<TlsConnector> {
    Ok(TlsConnector::from(Arc::new(rustls::client_config(&client())?)))
}

fn host() -> &'static Host {
    host_tests::host::Host::shared().unwrap_or_else(|error| panic!("{error:#}")).pool()
}

/// ring has no ML-KEM.
fn client() -> Setup {
    Setup { groups: vec![X25519], ..Setup::client(Kind::P256) }
}

fn server() -> Setup {
    Setup { groups: vec![X25519], ..Setup::server(Kind::P256) }
}

fn server_name() -> Result<ServerName<'static>> {
    Ok(ServerName::try_from(SERVER_NAME)?)
}

/// Longer than anything takes that needs nobody.
const SHORT: Duration = Duration::from_millis(100);

/// How long what has to come may take.
const SOON: Duration = Duration::from_secs(5);

/// How long a scenario may take.
const LATE: Duration = Duration::from_secs(30);
