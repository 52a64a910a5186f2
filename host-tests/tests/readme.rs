//! The README's example of a Rust host, against OpenSSL: what stands there is what runs here.

#![allow(missing_docs, reason = "what bindgen makes has none")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, anyhow, ensure};
use host_tests::certificates::Kind;
use host_tests::host::component_path;
use host_tests::{rows, table};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

// [example]
wasmtime::component::bindgen!({ path: "../wit", world: "tls", with: { "wasi": wasmtime_wasi::p2::bindings::sync } });
use exports::guest::tls::secure_pair::Cleartext;

fn get(tls: &Tls, mut store: &mut Store<Host>, mut tcp: TcpStream, name: &str, ca: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let (contexts, pairs) = (tls.guest_tls_secure_context(), tls.guest_tls_secure_pair());
    let options = contexts.secure_context_options().call_constructor(&mut store)?;
    contexts.secure_context_options().call_add_ca(&mut store, options, ca)?;
    let context = contexts.secure_context().call_create(&mut store, options)?.expect("the CA is readable");
    let options = pairs.secure_pair_options().call_constructor(&mut store)?;
    pairs.secure_pair_options().call_set_servername(&mut store, options, name)?;
    let (pair, connection) = (pairs.secure_pair().call_create(&mut store, context, options)?, pairs.secure_pair());
    let pair = pair.expect("the name is one");
    connection.call_write_cleartext(&mut store, pair, b"GET / HTTP/1.0\r\n\r\n")??;
    let (mut page, mut buffer) = (Vec::new(), [0; 16384]);
    loop {
        tcp.write_all(&connection.call_read_encrypted(&mut store, pair, u64::MAX)?)?;
        match connection.call_read_cleartext(&mut store, pair, u64::MAX)?? {
            Cleartext::Data(data) => page.extend(data),
            Cleartext::End => return Ok(page),
            Cleartext::Pending => match tcp.read(&mut buffer)? {
                0 => connection.call_end_encrypted(&mut store, pair)?,
                // All of it is taken: nothing waits to be read.
                length => connection.call_write_encrypted(&mut store, pair, &buffer[..length])?.map(|_| ())?,
            },
        }
    }
}
// [example]

fn main() {
    table::main(rows![
        "readme":
        the_example_gets_a_page_from_openssl [M2 M6 O4 O14],
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
    let identity = Kind::P256.server();
    let ca = std::fs::read(Kind::P256.authority().certificate_path())?;
    let mut server = Command::new("openssl")
        .args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-www", "-cert"])
        .arg(identity.certificate_path())
        .arg("-key")
        .arg(identity.key_path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let mut output = BufReader::new(server.stdout.take().expect("it is piped"));
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
    let page = get(&tls, &mut store, TcpStream::connect(address)?, "server.test", &ca)?;
    server.kill()?;
    server.wait()?;
    let page = String::from_utf8_lossy(&page);
    assert!(page.starts_with("HTTP/1.0 200 ok") && page.contains("TLSv1.3"), "{page}");
    Ok(())
}
