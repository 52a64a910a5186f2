//! The README's example of a Rust host, against OpenSSL: what stands there is what runs here.

#![allow(missing_docs, reason = "what bindgen makes has none")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, ensure};
use host_tests::certificates::Kind;
use host_tests::host::component_path;
use host_tests::{rows, table};
use wasmtime::component::{Component, Linker, ResourceAny, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

// [example]
wasmtime::component::bindgen!({ path: "../wit", world: "tls", with: { "wasi": wasmtime_wasi::p2::bindings::sync } });
use exports::guest::tls::secure_pair::Cleartext;

/// Gets a page, showing a client certificate, and gives it with a session for the next connection, and whether one was resumed.
fn get(
    tls: &Tls,
    mut store: &mut Store<Host>,
    context: ResourceAny,
    mut tcp: TcpStream,
    name: &str,
    session: Option<&[u8]>,
) -> wasmtime::Result<(Vec<u8>, Option<Vec<u8>>, bool)> {
    let (setters, connection) =
        (tls.guest_tls_secure_pair().secure_pair_options(), tls.guest_tls_secure_pair().secure_pair());
    let options = setters.call_constructor(&mut store)?;
    setters.call_set_servername(&mut store, options, name)?;
    if let Some(session) = session {
        setters.call_set_session(&mut store, options, session)?;
    }
    let pair = connection.call_create(&mut store, context, options)?.expect("the name is one");
    connection.call_write_cleartext(&mut store, pair, b"GET / HTTP/1.0\r\n\r\n")??;
    let (mut page, mut buffer) = (Vec::new(), [0; 16384]);
    loop {
        tcp.write_all(&connection.call_read_encrypted(&mut store, pair, u64::MAX)?)?;
        match connection.call_read_cleartext(&mut store, pair, u64::MAX)?? {
            Cleartext::Data(data) => page.extend(data),
            Cleartext::End => break,
            Cleartext::Pending => match tcp.read(&mut buffer)? {
                0 => connection.call_end_encrypted(&mut store, pair)?,
                // All of it is taken: nothing waits to be read.
                length => connection.call_write_encrypted(&mut store, pair, &buffer[..length])?.map(|_| ())?,
            },
        }
    }
    let session = connection.call_session(&mut store, pair)?;
    let reused = connection.call_is_session_reused(&mut store, pair)?;
    pair.resource_drop(&mut store)?;
    Ok((page, session, reused))
}

/// Who we are, with a key that may be encrypted, and the one CA that we trust.
fn context(
    tls: &Tls,
    mut store: &mut Store<Host>,
    [ca, cert, key]: [&[u8]; 3],
    passphrase: &[u8],
) -> wasmtime::Result<ResourceAny> {
    let contexts = tls.guest_tls_secure_context();
    let options = contexts.secure_context_options().call_constructor(&mut store)?;
    contexts.secure_context_options().call_add_ca(&mut store, options, ca)?;
    contexts.secure_context_options().call_add_cert(&mut store, options, cert)?;
    contexts.secure_context_options().call_add_key(&mut store, options, key, Some(passphrase))?;
    // Each error says what is wrong with which file.
    contexts.secure_context().call_create(&mut store, options)?.map_err(|errors| errors[0].clone().into())
}
// [example]

fn main() {
    table::main(rows![
        "readme":
        the_example_gets_a_page_from_openssl [M2 M6 O1 O2 O4 O14 O17 K8],
        the_readme_shows_the_example_as_it_is,
    ]);
}

#[derive(Default)]
struct Host(WasiCtx, ResourceTable);

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.0, table: &mut self.1 }
    }
}

async fn the_example_gets_a_page_from_openssl() -> Result<()> {
    // It blocks, as its host may.
    tokio::task::spawn_blocking(example).await?.map_err(|error| anyhow!("{error:?}"))
}

async fn the_readme_shows_the_example_as_it_is() -> Result<()> {
    let here = include_str!("readme.rs").split("// [example]\n").nth(1).context("the marks are there")?;
    let readme = include_str!("../../README.md");
    ensure!(readme.contains(here.trim()), "README.md has another example than tests/readme.rs");
    Ok(())
}

fn example() -> wasmtime::Result<()> {
    let (server, client, root) = (Kind::P256.server(), Kind::P256.client(), Kind::P256.authority());
    let encrypted = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-passout", "pass:secret", "-in"])
        .arg(client.key_path())
        .output()?;
    assert!(encrypted.status.success(), "{}", String::from_utf8_lossy(&encrypted.stderr));
    let mut process = Command::new("openssl")
        .args([
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-naccept",
            "2",
            "-www",
            "-Verify",
            "1",
            "-verify_return_error",
            "-CAfile",
        ])
        .arg(root.certificate_path())
        .arg("-cert")
        .arg(server.certificate_path())
        .arg("-key")
        .arg(server.key_path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let mut output = BufReader::new(process.stdout.take().expect("it is piped"));
    while !line.starts_with("ACCEPT") {
        line.clear();
        assert_ne!(output.read_line(&mut line)?, 0, "openssl ended before it listened");
    }
    let address = line.trim().rsplit(' ').next().expect("ACCEPT and an address").to_owned();

    let engine = Engine::default();
    let component = Component::from_file(&engine, component_path())?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
    let mut store = Store::new(&engine, Host::default());
    let tls = Tls::instantiate(&mut store, &component, &linker)?;
    let files = [root.certificate.as_bytes(), client.certificate.as_bytes(), &encrypted.stdout];
    let context = context(&tls, &mut store, files, b"secret")?;
    let mut session = None;
    for expected in [false, true] {
        let tcp = TcpStream::connect(&address)?;
        let (page, next, reused) = get(&tls, &mut store, context, tcp, "server.test", session.as_deref())?;
        let page = String::from_utf8_lossy(&page);
        assert!(page.starts_with("HTTP/1.0 200 ok") && page.contains("TLSv1.3"), "{page}");
        assert_eq!(reused, expected, "{page}");
        assert!(next.is_some(), "there is a session for the next connection");
        session = next;
    }
    process.kill()?;
    process.wait()?;
    Ok(())
}
