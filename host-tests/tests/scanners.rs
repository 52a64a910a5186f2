//! What scanners find of `guest-tls serve` is what SECURITY.md says: nmap, sslyze, OpenSSL, curl and Node.
//!
//! What they print is kept in target/artefacts/scan-*.txt.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::Kind;
use host_tests::cli::Running;
use host_tests::peers::Peer;
use host_tests::setup::{GROUPS, SERVER_NAME, SUITES, Setup, Turn, Version, X25519_MLKEM768};
use host_tests::{paths, rows, table};
use serde_json::Value;
use tokio::process::Command;
use tokio::task::JoinSet;

fn main() {
    table::main(rows![
        "scanners":
        the_policy_is_what_is_written,
        nmap_sees_every_suite_and_no_other,
        nmap_finds_no_known_fault,
        sslyze_finds_the_policy,
        sslyze_finds_what_mozilla_recommends_and_p_521,
        openssl_gets_through_with_every_suite_and_no_other,
        openssl_gets_through_with_every_group_and_no_other,
        openssl_sees_a_fallback_and_no_early_data,
        curl_gets_through_with_tls_1_2_and_1_3_only,
        node_gets_the_hybrid_group,
    ]);
}

async fn the_policy_is_what_is_written() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../SECURITY.md");
    let written = fs::read_to_string(path)?;
    let code = |names: &mut dyn Iterator<Item = &'static str>| {
        names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    let suites = |version| code(&mut SUITES.iter().filter(|suite| suite.version == version).map(|suite| suite.name));
    for (what, wanted) in [
        ("Suites of TLS 1.3", suites(Version::Tls13)),
        ("Suites of TLS 1.2", suites(Version::Tls12)),
        ("Groups", code(&mut GROUPS.iter().map(|group| group.name))),
    ] {
        let line = format!("| {what} | {wanted} |");
        ensure!(written.lines().any(|other| other == line), "SECURITY.md has no line\n{line}");
    }
    Ok(())
}

/// It tries each suite that IANA has ever had, in each version. Its ClientHello of TLS 1.2 lacks extended master secret.
async fn nmap_sees_every_suite_and_no_other() -> Result<()> {
    let server = Server::start().await?;
    let said = server.nmap("scan-nmap.txt", "ssl-enum-ciphers,ssl-cert,tls-alpn").await?;
    let wanted = BTreeMap::from([("TLSv1.2", policy(Version::Tls12)), ("TLSv1.3", policy(Version::Tls13))]);
    ensure!(enumerated(&said) == wanted, "{said}");
    ensure!(said.contains("cipher preference: server"), "{said}");
    ensure!(said.contains("least strength: A"), "{said}");
    server.end().await
}

async fn nmap_finds_no_known_fault() -> Result<()> {
    let telling = ["ssl-heartbleed", "ssl-ccs-injection", "ssl-poodle", "ssl-dh-params", "rsa-vuln-roca"];
    // These say nothing where they find nothing.
    let quiet = ["sslv2:", "sslv2-drown:", "ssl-known-key:"];
    let server = Server::start().await?;
    let scripts = format!("{},sslv2,sslv2-drown,ssl-known-key", telling.join(","));
    let said = server.nmap("scan-nmap-faults.txt", &scripts).await?;
    for script in telling {
        let section = said.split_once(&format!("| {script}: \n")).map(|(_, rest)| rest);
        let state = section.and_then(|section| section.lines().find(|line| line.contains("State: ")));
        ensure!(state.is_some_and(|state| state.ends_with("State: NOT VULNERABLE")), "{script}: {said}");
    }
    let mut states = said.lines().filter(|line| line.contains("State: "));
    ensure!(states.all(|state| state.ends_with("State: NOT VULNERABLE")), "{said}");
    ensure!(!quiet.iter().any(|script| said.contains(script)) && !said.contains("ERROR"), "{said}");
    server.end().await
}

async fn sslyze_finds_the_policy() -> Result<()> {
    let server = Server::start().await?;
    let json = paths::scratch()?.join("sslyze.json");
    let mut sslyze = server.sslyze();
    sslyze.args([
        "--mozilla_config",
        "disable",
        "--sslv2",
        "--sslv3",
        "--tlsv1",
        "--tlsv1_1",
        "--tlsv1_2",
        "--tlsv1_3",
    ]);
    sslyze.args(["--compression", "--early_data", "--elliptic_curves", "--ems", "--fallback", "--heartbleed"]);
    sslyze.args(["--openssl_ccs", "--reneg", "--robot", "--json_out"]).arg(&json);
    kept("scan-sslyze.txt", &mut sslyze).await?;
    let found: Value = serde_json::from_slice(&fs::read(&json).context("what sslyze found")?)?;
    let result = &found["server_scan_results"][0]["scan_result"];
    let of = |command: &str| -> Result<&Value> {
        let scan = &result[command];
        ensure!(scan["status"] == "COMPLETED", "{command}: {scan}");
        Ok(&scan["result"])
    };

    for version in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"] {
        let suites = of(&format!("{version}_cipher_suites"))?;
        ensure!(suites["is_tls_version_supported"] == false, "{version}: {suites}");
    }
    let accepted = |version: &str| -> Result<BTreeSet<String>> {
        let suites = of(&format!("{version}_cipher_suites"))?["accepted_cipher_suites"].as_array();
        let suites = suites.context("a list of suites")?.iter();
        suites.map(|suite| Ok(suite["cipher_suite"]["name"].as_str().context("a name")?.to_string())).collect()
    };
    ensure!(accepted("tls_1_3")? == policy(Version::Tls13), "{:?}", accepted("tls_1_3"));
    // It tries some of them by OpenSSL 1.0.2, which has no extended master secret.
    ensure!(accepted("tls_1_2")? == policy(Version::Tls12), "{:?}", accepted("tls_1_2"));

    let curves = of("elliptic_curves")?["supported_curves"].as_array().context("curves")?.iter();
    let curves: BTreeSet<_> = curves.filter_map(|curve| curve["name"].as_str()).collect();
    ensure!(curves == BTreeSet::from(["X25519", "secp256r1", "secp384r1", "secp521r1"]), "{curves:?}");

    for (command, field, wanted) in [
        ("tls_extended_master_secret", "supports_ems_extension", Value::Bool(true)),
        ("tls_compression", "supports_compression", Value::Bool(false)),
        ("tls_1_3_early_data", "supports_early_data", Value::Bool(false)),
        ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection", Value::Bool(false)),
        ("heartbleed", "is_vulnerable_to_heartbleed", Value::Bool(false)),
        ("robot", "robot_result", Value::from("NOT_VULNERABLE_RSA_NOT_SUPPORTED")),
        ("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos", Value::Bool(false)),
        ("session_renegotiation", "supports_secure_renegotiation", Value::Bool(true)),
        ("session_renegotiation", "client_renegotiations_success_count", Value::from(0)),
    ] {
        ensure!(of(command)?[field] == wanted, "{command}: {}", of(command)?);
    }
    server.end().await
}

async fn sslyze_finds_what_mozilla_recommends_and_p_521() -> Result<()> {
    let server = Server::start().await?;
    let mut sslyze = server.sslyze();
    let said = kept("scan-sslyze-mozilla.txt", sslyze.args(["--mozilla_config", "intermediate"])).await?;
    ensure!(said.contains("Checking results against Mozilla's \"intermediate\" configuration"), "{said}");
    let complaints = said.lines().filter_map(|line| line.strip_prefix("        * ")?.split_once(": "));
    let complaints: BTreeMap<_, _> = complaints.collect();
    let curves = "TLS curves {'secp521r1'} are supported, but should be rejected.";
    ensure!(complaints.get("tls_curves") == Some(&curves), "{complaints:?}");
    // The others are about the certificates of the tests.
    let others = complaints.keys().filter(|what| !what.contains("certificate")).count();
    ensure!(others == 1, "{complaints:?}");
    server.end().await
}

async fn openssl_gets_through_with_every_suite_and_no_other() -> Result<()> {
    let server = Server::start().await?;
    let all = output(Command::new("openssl").args(["ciphers", "ALL:COMPLEMENTOFALL@SECLEVEL=0"])).await?;
    let older = |name: &&str| !name.starts_with("TLS_");
    let mut tries = Vec::new();
    for name in all.trim().split(':').filter(older) {
        tries.push((name.to_string(), vec!["-tls1_2".into(), "-cipher".into(), format!("{name}@SECLEVEL=0")]));
    }
    for hash in [
        "AES_128_GCM_SHA256",
        "AES_256_GCM_SHA384",
        "CHACHA20_POLY1305_SHA256",
        "AES_128_CCM_SHA256",
        "AES_128_CCM_8_SHA256",
    ] {
        let name = format!("TLS_{hash}");
        tries.push((name.clone(), vec!["-tls1_3".into(), "-ciphersuites".into(), name]));
    }
    ensure!(tries.len() > 100, "this OpenSSL knows {} suites", tries.len());
    for version in ["-tls1", "-tls1_1"] {
        tries.push((
            version.to_string(),
            vec![version.into(), "-cipher".into(), "ALL:COMPLEMENTOFALL@SECLEVEL=0".into()],
        ));
    }
    let good = server.accepted("scan-openssl-suites.txt", tries).await?;
    let wanted: BTreeSet<_> = SUITES.iter().map(|suite| suite.openssl.to_string()).collect();
    ensure!(good == wanted, "{good:?}");
    server.end().await
}

async fn openssl_gets_through_with_every_group_and_no_other() -> Result<()> {
    let server = Server::start().await?;
    let groups = "X25519 P-256 P-384 P-521 X448 secp224r1 secp256k1 brainpoolP256r1 brainpoolP384r1 ffdhe2048 ffdhe3072 ffdhe8192";
    let mut tries = Vec::new();
    for (version, suites) in [("-tls1_3", "ALL"), ("-tls1_2", "aRSA")] {
        // With ECDSA in TLS 1.2, the list would be about the certificate's curve, too (RFC 8422 section 5.1).
        let options = |group| [version, "-cipher", suites, "-groups", group].map(str::to_string).to_vec();
        tries.extend(groups.split(' ').map(|group| (format!("{version} {group}"), options(group))));
    }
    let good = server.accepted("scan-openssl-groups.txt", tries).await?;
    let classical = GROUPS.iter().filter(|group| !group.is_hybrid()).map(|group| group.name);
    let wanted: BTreeSet<_> =
        classical.flat_map(|group| [format!("-tls1_3 {group}"), format!("-tls1_2 {group}")]).collect();
    ensure!(good == wanted, "{good:?}");
    server.end().await
}

async fn openssl_sees_a_fallback_and_no_early_data() -> Result<()> {
    let server = Server::start().await?;
    let said = server.s_client(&["-tls1_2".into(), "-fallback_scsv".into()]).await?;
    ensure!(said.contains("alert inappropriate fallback") && said.contains("Cipher is (NONE)"), "{said}");
    let whole = server.s_client(&["-ign_eof".into()]).await?;
    ensure!(whole.contains("Max Early Data: 0") && whole.contains("Compression: NONE"), "{whole}");
    keep("scan-openssl.txt", &format!("{whole}\n{said}"))?;
    server.end().await
}

async fn curl_gets_through_with_tls_1_2_and_1_3_only() -> Result<()> {
    let server = Server::start().await?;
    let mut all = String::new();
    for (version, works) in [("1.0", false), ("1.1", false), ("1.2", true), ("1.3", true)] {
        let mut curl = Command::new("curl");
        curl.args(["-sSv", "--max-time", "30", "--noproxy", "*", "--ciphers", "DEFAULT@SECLEVEL=0", "--cacert"]);
        curl.arg(Kind::P256.authority().certificate_path());
        curl.args([&format!("--tlsv{version}"), "--tls-max", version]);
        curl.args(["--resolve", &format!("{SERVER_NAME}:{}:127.0.0.1", server.port)]);
        curl.arg(format!("https://{SERVER_NAME}:{}/", server.port));
        let (worked, said) = ran(&mut curl).await?;
        let wanted =
            if works { format!("SSL connection using TLSv{version} / ") } else { "alert protocol version".to_string() };
        ensure!(worked == works && said.contains(&wanted), "{version}: {said}");
        all += &format!("curl --tlsv{version} --tls-max {version}\n{said}\n");
    }
    keep("scan-curl.txt", &all)?;
    server.end().await
}

/// Debian's OpenSSL has no ML-KEM yet; Node's has.
async fn node_gets_the_hybrid_group() -> Result<()> {
    let server = Server::start().await?;
    let setup = Setup { groups: vec![X25519_MLKEM768], turn: Turn::Silent, ..Setup::client(Kind::P256) };
    let report = Peer::Node.connect(&setup, server.port).await;
    let said = server.end_saying().await?;
    ensure!(said.contains(", X25519MLKEM768, for server.test"), "{report:?}\n{said}");
    Ok(())
}

/// A server with certificates of P-256 and of RSA.
struct Server {
    running: Running,
    port: u16,
}

impl Server {
    async fn start() -> Result<Server> {
        let (ecdsa, rsa) = (Kind::P256.server(), Kind::Rsa2048.server());
        let folders = [(&*ecdsa.folder, "/ecdsa"), (&*rsa.folder, "/rsa")];
        let mut running = Running::start(
            &folders,
            &[
                ["serve", "--listen", "127.0.0.1:0", "--www", "/ecdsa", "--until-stdin-ends", "--grace", "5"]
                    .as_slice(),
                &["--cert", "/ecdsa/certificate.pem", "--key", "/ecdsa/key.pem"],
                &["--cert", "/rsa/certificate.pem", "--key", "/rsa/key.pem"],
            ]
            .concat(),
        )?;
        let port = running.port().await?;
        Ok(Server { running, port })
    }

    async fn end(self) -> Result<()> {
        self.end_saying().await.map(drop)
    }

    /// Stops it, and gives what it said. No scanner may have ended it.
    async fn end_saying(self) -> Result<String> {
        let ended = self.running.stop().await?;
        ensure!(ended.code == 0, "exit code {}: {}", ended.code, ended.stderr);
        Ok(ended.stderr)
    }

    async fn nmap(&self, artefact: &str, scripts: &str) -> Result<String> {
        let mut nmap = Command::new("nmap");
        nmap.args(["-n", "-Pn", "-sT", "-p", &self.port.to_string(), "--script", scripts]);
        nmap.args(["--script-args", &format!("tls.servername={SERVER_NAME},vulns.showall"), "127.0.0.1"]);
        kept(artefact, &mut nmap).await
    }

    fn sslyze(&self) -> Command {
        let mut sslyze = Command::new(paths::target().join("tools/sslyze"));
        sslyze.args(["--sni", SERVER_NAME, &format!("127.0.0.1:{}", self.port)]);
        sslyze
    }

    async fn s_client(&self, options: &[String]) -> Result<String> {
        s_client(self.port, options).await
    }

    /// Which of these tries, by their names, ends in a connection; all of them are kept.
    async fn accepted(&self, artefact: &str, tries: Vec<(String, Vec<String>)>) -> Result<BTreeSet<String>> {
        let tries = Arc::new(std::sync::Mutex::new(tries.into_iter()));
        let mut workers = JoinSet::new();
        for _ in 0..4 {
            let (port, tries) = (self.port, tries.clone());
            workers.spawn(async move {
                let mut done = Vec::new();
                loop {
                    let next = tries.lock().ok().and_then(|mut tries| tries.next());
                    let Some((name, options)) = next else { return anyhow::Ok(done) };
                    let said = s_client(port, &options).await?;
                    let good = said.contains("Cipher is ") && !said.contains("Cipher is (NONE)");
                    let why = if good { "Cipher is " } else { ":error:" };
                    let line = said.lines().find(|line| line.contains(why));
                    done.push((name, good, line.unwrap_or_default().to_string()));
                }
            });
        }
        let mut done = Vec::new();
        while let Some(some) = workers.join_next().await {
            done.extend(some??);
        }
        done.sort();
        let lines = done
            .iter()
            .map(|(name, good, line)| format!("{:<9} {name:<40} {line}\n", if *good { "accepted" } else { "refused" }));
        keep(artefact, &lines.collect::<String>())?;
        Ok(done.into_iter().filter(|(_, good, _)| *good).map(|(name, ..)| name).collect())
    }
}

async fn s_client(port: u16, options: &[String]) -> Result<String> {
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-servername", SERVER_NAME, "-nocommands"]);
    if options.iter().any(|option| option == "-ign_eof") {
        let request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        return Ok(ran_with(openssl.args(options), request).await?.1);
    }
    Ok(ran(openssl.args(options)).await?.1)
}

/// The suites of a version, by IANA's names.
fn policy(version: Version) -> BTreeSet<String> {
    SUITES.iter().filter(|suite| suite.version == version).map(|suite| suite.name.to_string()).collect()
}

/// The suites that nmap lists, by version. It has names of its own for those of TLS 1.3.
fn enumerated(said: &str) -> BTreeMap<&str, BTreeSet<String>> {
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut version = "";
    for line in said.lines().map(|line| line.trim_start_matches(['|', '_', ' ']).trim_end()) {
        let name = line.trim_end_matches(':');
        if line.ends_with(':') && (name.starts_with("TLSv") || name.starts_with("SSLv")) {
            version = name;
        } else if let Some(suite) = line.split(' ').next().filter(|suite| suite.starts_with("TLS_")) {
            versions.entry(version).or_default().insert(suite.replace("TLS_AKE_WITH_", "TLS_"));
        }
    }
    versions
}

/// Runs a scanner, and keeps what it prints.
async fn kept(artefact: &str, command: &mut Command) -> Result<String> {
    let (_, said) = ran(command).await?;
    keep(artefact, &said)?;
    Ok(said)
}

fn keep(artefact: &str, text: &str) -> Result<()> {
    let folder = paths::target().join("artefacts");
    fs::create_dir_all(&folder)?;
    Ok(fs::write(folder.join(artefact), text)?)
}

async fn output(command: &mut Command) -> Result<String> {
    let (worked, said) = ran(command).await?;
    ensure!(worked, "{said}");
    Ok(said)
}

/// Whether it ended well, and all that it printed.
async fn ran(command: &mut Command) -> Result<(bool, String)> {
    ran_with(command, "").await
}

async fn ran_with(command: &mut Command, input: &str) -> Result<(bool, String)> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("{name} does not start: `cargo xtask test` gets it"))?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    // Who does not read it is free to.
    let _ = tokio::io::AsyncWriteExt::write_all(&mut stdin, input.as_bytes()).await;
    drop(stdin);
    let output = tokio::time::timeout(Duration::from_secs(120), child.wait_with_output()).await;
    let output = output.with_context(|| format!("{name} does not end"))??;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Ok((output.status.success(), said))
}
