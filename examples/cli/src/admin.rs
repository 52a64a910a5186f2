//! Counters and health over HTTP, for those who run a service. One request a connection.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::listen::Service;
use crate::net::{Broken, Duplex, Listener};
use crate::runtime::{sleep, spawn, timeout};

/// Answers requests until the end of the program.
pub(crate) async fn run(service: Rc<Service>, listener: Listener) {
    let open = Rc::new(());
    loop {
        match listener.accept().await {
            Ok(_) if Rc::strong_count(&open) > CONNECTIONS => {}
            Ok(duplex) => {
                let (service, guard) = (service.clone(), open.clone());
                spawn(async move {
                    // Who is slow or gone gets no answer.
                    let _ = timeout(TIME, talk(&service, duplex)).await;
                    drop(guard);
                });
            }
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn talk(service: &Service, duplex: Duplex) -> Result<(), Broken> {
    let mut head = Vec::new();
    let answer = loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&head) {
            Ok(httparse::Status::Complete(_)) => {
                break answer(service, request.method.unwrap_or_default(), request.path.unwrap_or_default());
            }
            Ok(httparse::Status::Partial) if head.len() < HEAD => match duplex.read(HEAD).await? {
                Some(bytes) => head.extend(bytes),
                None => return Ok(()),
            },
            _ => break Answer::text("400 Bad Request", "this is no HTTP request\n"),
        }
    };
    let Answer { status, kind, body } = answer;
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    duplex.write_all(head.as_bytes()).await?;
    duplex.write_all(body.as_bytes()).await?;
    duplex.flush().await?;
    duplex.shut_down();
    // A close before all was read would reset the connection, and the answer with it.
    let rest = async { while let Ok(Some(_)) = duplex.read(HEAD).await {} };
    if let Either::Left(_) = select(Box::pin(rest), Box::pin(sleep(Duration::from_secs(1)))).await {}
    Ok(())
}

struct Answer {
    status: &'static str,
    kind: &'static str,
    body: String,
}

impl Answer {
    fn text(status: &'static str, body: impl Into<String>) -> Answer {
        Answer { status, kind: "text/plain; charset=utf-8", body: body.into() }
    }
}

fn answer(service: &Service, method: &str, path: &str) -> Answer {
    let path = path.split('?').next().unwrap_or_default();
    match (method, path) {
        ("GET" | "HEAD", "/metrics") => Answer {
            status: "200 OK",
            kind: "application/openmetrics-text; version=1.0.0; charset=utf-8",
            body: if method == "GET" { service.counters.text() } else { String::new() },
        },
        ("GET", "/healthz") if service.is_stopping() => Answer::text("503 Service Unavailable", "stopping\n"),
        ("GET", "/healthz") => Answer::text("200 OK", "ok\n"),
        ("POST", "/-/reload" | "/-/quit") if !service.server.lifecycle => {
            Answer::text("403 Forbidden", "start the program with --lifecycle to allow this\n")
        }
        ("POST", "/-/reload") => match service.reload(true) {
            Ok(_) => Answer::text("200 OK", "certificates and keys were read again\n"),
            Err(failure) => Answer::text("500 Internal Server Error", format!("they stay as they were: {failure}\n")),
        },
        ("POST", "/-/quit") => {
            service.stop();
            Answer::text("200 OK", "stopping\n")
        }
        (_, "/metrics" | "/healthz" | "/-/reload" | "/-/quit") => {
            Answer::text("405 Method Not Allowed", "GET for /metrics and /healthz, POST for /-/reload and /-/quit\n")
        }
        _ => Answer::text("404 Not Found", "there are /metrics, /healthz, /-/reload and /-/quit\n"),
    }
}

/// The longest head of a request.
const HEAD: usize = 8 * 1024;

/// How long a request may take.
const TIME: Duration = Duration::from_secs(10);

/// How many requests there may be at once.
pub(crate) const CONNECTIONS: usize = 64;
