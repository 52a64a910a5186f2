//! examples/postgres against a real PostgreSQL: the command, and guest-tls composed into it, run in wasmtime, and the server wants a client
//! certificate (`clientcert=verify-full`) and SCRAM.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use host_tests::certificates::{Identity, Kind};
use host_tests::peers::rustls::{client_config, server_config};
use host_tests::postgres::{self, DATABASE, PASSWORD, Postgres, Settings, USER};
use host_tests::setup::{SERVER_NAME, Setup};
use host_tests::wasi::{Output, Program};
use host_tests::{paths, rows, table};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OnceCell;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn main() {
    table::main(rows![
        "postgres":
        the_server_sees_tls_1_3_and_whose_certificate_it_is,
        the_server_sees_tls_1_2_where_it_has_no_more,
        a_name_is_looked_up_and_every_address_is_tried,
        the_password_can_be_in_a_file,
        a_statement_can_give_many_rows_or_none,
        ten_mebibytes_come_as_they_are,
        the_binding_is_by_the_hash_of_the_signature,
        a_signature_without_a_hash_is_told,
        somebody_in_between_gets_nowhere,
        somebody_in_between_can_not_take_the_binding_away,
        cleartext_behind_the_answer_is_not_read_as_the_servers,
        an_authority_that_is_not_ours_is_refused,
        a_certificate_for_another_host_is_refused,
        without_a_client_certificate_the_server_refuses,
        the_certificate_of_another_user_is_refused,
        a_client_certificate_of_another_authority_is_refused,
        a_wrong_password_is_refused,
        a_server_without_tls_is_refused,
        a_key_of_another_certificate_is_told,
        an_error_in_a_query_is_the_servers,
    ]);
}

async fn the_server_sees_tls_1_3_and_whose_certificate_it_is() -> Result<()> {
    let server = of_p256().await?;
    let output = Client::of(server)?.ask(ABOUT_US).await?;
    same(&output.text()?, &about_us("TLSv1.3", "TLS_AES_256_GCM_SHA384"))?;
    same(
        &output.stderr,
        "TLSv1.3, TLS_AES_256_GCM_SHA384, prime256v1; SCRAM-SHA-256-PLUS, tls-server-end-point by SHA-256\n",
    )
}

async fn the_server_sees_tls_1_2_where_it_has_no_more() -> Result<()> {
    let authority = Kind::P256.authority();
    let settings = Settings {
        max_protocol_version: Some("TLSv1.2"),
        client_authority: Some(authority),
        ..Settings::new(Kind::Rsa2048.server())
    };
    let server = Postgres::start(&settings).await?;
    let client = Client { ca: Kind::Rsa2048.authority(), ..Client::of(&server)? };
    let output = client.ask(ABOUT_US).await?;
    same(&output.text()?, &about_us("TLSv1.2", "ECDHE-RSA-AES256-GCM-SHA384"))?;
    let wanted = "TLSv1.2, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, ";
    ensure!(output.stderr.starts_with(wanted), "{}", output.stderr);
    server.stop().await;
    Ok(())
}

async fn a_name_is_looked_up_and_every_address_is_tried() -> Result<()> {
    // `localhost` can be ::1, too, where this server does not listen.
    let client = Client { host: "localhost", ..Client::of(of_p256().await?)? };
    same(&client.ask("select 1 as one").await?.text()?, " one\n-----\n   1\n(SELECT 1)\n")
}

async fn the_password_can_be_in_a_file() -> Result<()> {
    let identity = postgres::client(USER, &Kind::P256.authority());
    std::fs::write(identity.folder.join("password"), format!("{PASSWORD}\n"))?;
    let client = Client { identity: Some(identity), ..Client::of(of_p256().await?)? };
    let output = client.run(&["--password-file", "/own/password", "--query", "select 1 as one"]).await?;
    same(&output.text()?, " one\n-----\n   1\n(SELECT 1)\n")
}

async fn a_statement_can_give_many_rows_or_none() -> Result<()> {
    let statements = "create temporary table t (name text, number int);
        insert into t values ('a', 1), (null, -23), (E'line\\n\\x1b[31m', null), ('grün', 4);
        select name, number, 'x' as last from t order by number;
        select from t where false; select name from t where false;";
    let wanted = concat!(
        "CREATE TABLE\nINSERT 0 4\n",
        " name             | number | last\n",
        "------------------+--------+------\n",
        " NULL             |    -23 | x\n",
        " a                |      1 | x\n",
        " grün             |      4 | x\n",
        " line\\n\\u{1b}[31m |   NULL | x\n",
        "(SELECT 4)\n",
        "SELECT 0\n",
        " name\n------\n(SELECT 0)\n",
    );
    same(&Client::of(of_p256().await?)?.ask(statements).await?.text()?, wanted)
}

async fn ten_mebibytes_come_as_they_are() -> Result<()> {
    let client = Client::of(of_p256().await?)?;
    let many =
        client.ask("select n, repeat(lpad(n::text, 32, '.'), 32) as text from generate_series(1, 10240) n").await?;
    let many = many.text()?;
    let mut lines = many.lines().skip(2);
    for number in 1..=10_240 {
        let wanted = format!(" {number:5} | {}", format!("{number:.>32}").repeat(32));
        ensure!(lines.next() == Some(&wanted), "row {number} is another one");
    }
    ensure!(lines.eq(["(SELECT 10240)"]), "there is more, or less");

    let one = client.ask("select repeat('0123456789abcdef', 655360) as text").await?.text()?;
    let value = one.lines().nth(2).context("no row")?;
    ensure!(value.len() == 1 + (10 << 20), "the value has {} bytes", value.len());
    ensure!(value.as_bytes()[1..].chunks(16).all(|chunk| chunk == b"0123456789abcdef"), "the value is another one");
    Ok(())
}

async fn the_binding_is_by_the_hash_of_the_signature() -> Result<()> {
    // A server that computes another hash than we do lets nobody in.
    for (identity, authority, hash) in [
        (Kind::P384.server(), Kind::P384.authority(), "SHA-384"),
        (Kind::P521.server(), Kind::P521.authority(), "SHA-512"),
        (signed_by_pss(&Kind::Rsa2048.server(), &Kind::Rsa2048.authority())?, Kind::Rsa2048.authority(), "SHA-384"),
    ] {
        let server = Postgres::start(&Settings::new(identity)).await?;
        let output = Client { ca: authority, ..Client::of(&server)? }.ask("select 1 as one").await?;
        output.text()?;
        ensure!(output.stderr.ends_with(&format!(" by {hash}\n")), "{hash}: {}", output.stderr);
        server.stop().await;
    }
    Ok(())
}

async fn a_signature_without_a_hash_is_told() -> Result<()> {
    let server = Postgres::start(&Settings::new(Kind::Ed25519.server())).await?;
    let output = Client { ca: Kind::Ed25519.authority(), ..Client::of(&server)? }.ask("select 1").await?;
    refused(&output, "Ed25519, for which RFC 5929 has no channel binding")?;
    server.stop().await;
    Ok(())
}

/// Somebody with a valid certificate for our host, and even with our client's key, which PostgreSQL lets in: only the binding tells.
async fn somebody_in_between_gets_nowhere() -> Result<()> {
    let server = of_p256().await?;
    let (other, own) = (Kind::P384.server(), Kind::P256.server());
    // Both authorities are good for the client, and with the server's own key the same somebody is let through: it works.
    let ca = both_authorities();
    let port = in_between(server, own, Meddling::None).await?;
    let through = Client { port, ca: ca.clone(), ..Client::of(server)? }.ask("select 1 as one").await?;
    same(&through.text()?, " one\n-----\n   1\n(SELECT 1)\n")?;
    let port = in_between(server, other, Meddling::None).await?;
    let output = Client { port, ca, ..Client::of(server)? }.ask("select 1").await?;
    refused(&output, "SCRAM channel binding check failed")
}

async fn somebody_in_between_can_not_take_the_binding_away() -> Result<()> {
    let server = of_p256().await?;
    let port = in_between(server, Kind::P384.server(), Meddling::TakeBindingAway).await?;
    let output = Client { port, ca: both_authorities(), ..Client::of(server)? }.ask("select 1").await?;
    refused(&output, "the server offers SCRAM-SHA-256 without channel binding")
}

/// CVE-2021-23222.
async fn cleartext_behind_the_answer_is_not_read_as_the_servers() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let peer = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await?;
        tcp.read_exact(&mut [0; 8]).await?;
        // After the `S` a message in which authentication is done.
        tcp.write_all(b"SR\0\0\0\x08\0\0\0\0").await?;
        let mut rest = Vec::new();
        tcp.read_to_end(&mut rest).await.map(|_| ())
    });
    let output = Client { port, ..Client::of(of_p256().await?)? }.ask("select 1").await?;
    refused(&output, "no TLS with 127.0.0.1: ")?;
    ensure!(!output.stderr.contains("PostgreSQL"), "{}", output.stderr);
    // The connection may have been reset: that it is over is all that matters.
    let _ = peer.await?;
    Ok(())
}

async fn an_authority_that_is_not_ours_is_refused() -> Result<()> {
    let client = Client { ca: Kind::Rsa2048.authority(), ..Client::of(of_p256().await?)? };
    refused(&client.ask("select 1").await?, "no TLS with 127.0.0.1: ")
}

async fn a_certificate_for_another_host_is_refused() -> Result<()> {
    let server = Postgres::start(&Settings::new(postgres::client("server.test", &Kind::P256.authority()))).await?;
    let output = Client::of(&server)?.ask("select 1").await?;
    refused(&output, "no TLS with 127.0.0.1: ")?;
    server.stop().await;
    Ok(())
}

async fn without_a_client_certificate_the_server_refuses() -> Result<()> {
    let client = Client { identity: None, ..Client::of(of_p256().await?)? };
    refused(&client.ask("select 1").await?, "FATAL 28000: connection requires a valid client certificate")
}

async fn the_certificate_of_another_user_is_refused() -> Result<()> {
    let identity = Some(postgres::client("bob", &Kind::P256.authority()));
    let server = of_p256().await?;
    let output = Client { identity, ..Client::of(server)? }.ask("select 1").await?;
    // PostgreSQL tells its log why, and not the client.
    refused(&output, "the server says FATAL 28P01: password authentication failed for user \"alice\"")?;
    ensure!(
        server.log().contains("provided user name (alice) and authenticated user name (bob) do not match"),
        "{}",
        server.log()
    );
    Ok(())
}

async fn a_client_certificate_of_another_authority_is_refused() -> Result<()> {
    let identity = Some(postgres::client(USER, &Kind::P384.authority()));
    let output = Client { identity, ..Client::of(of_p256().await?)? }.ask("select 1").await?;
    refused(&output, "unknown_ca")
}

async fn a_wrong_password_is_refused() -> Result<()> {
    let client = Client { password: "wrong", ..Client::of(of_p256().await?)? };
    refused(
        &client.ask("select 1").await?,
        "the server says FATAL 28P01: password authentication failed for user \"alice\"",
    )
}

async fn a_server_without_tls_is_refused() -> Result<()> {
    let server = Postgres::start(&Settings::default()).await?;
    let output = Client::of(&server)?.ask("select 1").await?;
    refused(&output, "the server answered N to SSLRequest: it has no TLS")?;
    server.stop().await;
    Ok(())
}

async fn a_key_of_another_certificate_is_told() -> Result<()> {
    let client = Client::of(of_p256().await?)?;
    let identity = client.identity.as_ref().context("a certificate")?.with_key_of(&Kind::P384.client());
    refused(&Client { identity: Some(identity), ..client }.ask("select 1").await?, "key")
}

async fn an_error_in_a_query_is_the_servers() -> Result<()> {
    let output = Client::of(of_p256().await?)?.ask("select 1 as one; select * from nowhere").await?;
    same(&String::from_utf8(output.stdout.clone())?, " one\n-----\n   1\n(SELECT 1)\n")?;
    let wanted = "the server says ERROR 42P01: relation \"nowhere\" does not exist; at character 32 of the query\n";
    ensure!(output.code == 1 && output.stderr.ends_with(wanted), "{output:?}");
    Ok(())
}

/// What is asked for, of whom, by whom.
#[derive(Clone)]
struct Client {
    host: &'static str,
    port: u16,
    ca: Arc<Identity>,
    identity: Option<Arc<Identity>>,
    password: &'static str,
}

impl Client {
    /// A client that a server of P-256 lets in.
    fn of(server: &Postgres) -> Result<Client> {
        static ALICE: OnceLock<Arc<Identity>> = OnceLock::new();
        let alice = ALICE.get_or_init(|| postgres::client(USER, &Kind::P256.authority()));
        let identity = Some(Arc::clone(alice));
        Ok(Client { host: "127.0.0.1", port: server.port, ca: Kind::P256.authority(), identity, password: PASSWORD })
    }

    /// Asks the server.
    async fn ask(&self, query: &str) -> Result<Output> {
        self.run(&["--password", self.password, "--query", query]).await
    }

    /// Runs the command with these arguments too.
    async fn run(&self, more: &[&str]) -> Result<Output> {
        let port = self.port.to_string();
        let mut folders = vec![(self.ca.folder.clone(), "/ca")];
        let mut arguments = vec!["--host", self.host, "--port", &port, "--user", USER, "--database", DATABASE];
        arguments.extend(["--ca", "/ca/certificate.pem"]);
        if let Some(identity) = &self.identity {
            folders.push((identity.folder.clone(), "/own"));
            arguments.extend(["--cert", "/own/certificate.pem", "--key", "/own/key.pem"]);
        }
        arguments.extend(more);
        program()?.output(&folders, &arguments).await
    }
}

/// The rows of a command that went well.
trait Text {
    fn text(&self) -> Result<String>;
}

impl Text for Output {
    fn text(&self) -> Result<String> {
        ensure!(self.code == 0, "exit code {}: {}", self.code, self.stderr);
        Ok(String::from_utf8(self.stdout.clone())?)
    }
}

fn refused(output: &Output, why: &str) -> Result<()> {
    ensure!(output.code == 1 && output.stdout.is_empty(), "it was not refused: {output:?}");
    ensure!(output.stderr.contains(why), "no {why:?} in {:?}", output.stderr);
    Ok(())
}

fn same(is: &str, wanted: &str) -> Result<()> {
    ensure!(is == wanted, "it is\n{is}and was expected to be\n{wanted}");
    Ok(())
}

/// The command, compiled.
fn program() -> Result<&'static Program> {
    static PROGRAM: OnceLock<Result<Program, String>> = OnceLock::new();
    let load = || {
        let path = paths::target().join("components/postgres.wasm");
        Program::load(&path).with_context(|| format!("{} (cargo xtask postgres makes it)", path.display()))
    };
    PROGRAM.get_or_init(|| load().map_err(|error| format!("{error:#}"))).as_ref().map_err(|error| anyhow!("{error}"))
}

/// The server of most rows.
async fn of_p256() -> Result<&'static Postgres> {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    SERVER.get_or_try_init(async || Postgres::start(&Settings::new(Kind::P256.server())).await).await
}

/// One file with the authorities of P-256 and P-384.
fn both_authorities() -> Arc<Identity> {
    static BOTH: OnceLock<Arc<Identity>> = OnceLock::new();
    let both = || {
        let mut both = Identity::clone(&Kind::P256.authority().with_chain(String::new()));
        both.certificate += &Kind::P384.authority().certificate;
        std::fs::write(both.certificate_path(), &both.certificate).unwrap_or_else(|error| panic!("{error}"));
        Arc::new(both)
    };
    Arc::clone(BOTH.get_or_init(both))
}

/// The same certificate, signed anew by RSASSA-PSS with SHA-384.
fn signed_by_pss(identity: &Identity, issuer: &Identity) -> Result<Arc<Identity>> {
    // A folder of its own.
    let signed = identity.with_chain(identity.chain.clone());
    let mut openssl = Command::new("openssl");
    openssl.current_dir(&identity.folder).args(["x509", "-req", "-in", "request.pem", "-extfile", "ca.cnf"]);
    openssl.args(["-extensions", "extensions", "-days", "3650", "-set_serial", "1", "-sha384"]);
    openssl.args(["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]);
    openssl.arg("-CA").arg(issuer.certificate_path()).arg("-CAkey").arg(issuer.key_path());
    openssl.arg("-out").arg(signed.certificate_path());
    let output = openssl.output()?;
    ensure!(output.status.success(), "openssl x509: {}", String::from_utf8_lossy(&output.stderr));
    let certificate = std::fs::read_to_string(signed.certificate_path())?;
    let Identity { name, kind, chain, key, is_root, folder, .. } = &*signed;
    let (name, chain, key, folder): (_, _, _, PathBuf) = (name.clone(), chain.clone(), key.clone(), folder.clone());
    Ok(Arc::new(Identity { name, kind: *kind, certificate, chain, key, is_root: *is_root, folder }))
}

/// What somebody in between does to what passes.
#[derive(Clone, Copy)]
enum Meddling {
    /// Nothing.
    None,
    /// It takes SCRAM-SHA-256-PLUS out of the server's list.
    TakeBindingAway,
}

/// Takes one connection, ends its TLS with this certificate, and passes it on to the server over TLS of its own, with our key.
async fn in_between(server: &Postgres, identity: Arc<Identity>, meddling: Meddling) -> Result<u16> {
    let acceptor = server_config(&Setup { identity: Some(identity), ..Setup::default() })?;
    let connector = client_config(&Setup {
        roots: vec![Kind::P256.authority()],
        identity: Client::of(server)?.identity,
        ..Setup::default()
    })?;
    let (acceptor, connector) = (TlsAcceptor::from(Arc::new(acceptor)), TlsConnector::from(Arc::new(connector)));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (port, server) = (listener.local_addr()?.port(), server.port);
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await?;
        let mut request = [0; 8];
        client.read_exact(&mut request).await?;
        client.write_all(b"S").await?;
        let mut client = acceptor.accept(client).await?;

        let mut upstream = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await?;
        upstream.write_all(&request).await?;
        if upstream.read_u8().await? != b'S' {
            bail!("the server has no TLS");
        }
        let mut upstream = connector.connect(ServerName::try_from(SERVER_NAME)?, upstream).await?;
        if let Meddling::TakeBindingAway = meddling {
            let length = client.read_u32().await?;
            let mut startup = vec![0; length as usize - 4];
            client.read_exact(&mut startup).await?;
            upstream.write_u32(length).await?;
            upstream.write_all(&startup).await?;
            upstream.flush().await?;
            let mut offer = [0; OFFER.len()];
            upstream.read_exact(&mut offer).await?;
            ensure!(&offer == OFFER, "the server offers {offer:?}");
            client.write_all(OFFER_WITHOUT_BINDING).await?;
            client.flush().await?;
        }
        tokio::io::copy_bidirectional(&mut client, &mut upstream).await?;
        Ok(())
    });
    Ok(port)
}

/// AuthenticationSASL.
const OFFER: &[u8; 43] = b"R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";

const OFFER_WITHOUT_BINDING: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";

/// What the server knows of our connection.
const ABOUT_US: &str = "select version, cipher, client_dn, current_user from pg_stat_ssl where pid = pg_backend_pid()";

fn about_us(version: &str, cipher: &str) -> String {
    let width = cipher.len();
    format!(
        " version | {:width$} | client_dn             | current_user\n\
         ---------+-{:-<width$}-+-----------------------+--------------\n \
         {version} | {cipher} | /O=guest-tls/CN=alice | alice\n(SELECT 1)\n",
        "cipher", ""
    )
}
