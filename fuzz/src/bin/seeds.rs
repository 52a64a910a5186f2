//! `seeds FOLDER`: writes the inputs with which each target begins, a folder a target, out of the fixtures of the tests and of
//! handshakes that are played here.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use guest_tls::certificate::Certificate;
use guest_tls::engine::Event;
use guest_tls_fuzz::{Resumption, Setup, feed, handshake};
// Coverage is counted by libFuzzer also where nothing is fuzzed.
use libfuzzer_sys as _;

fn main() -> Result<(), Box<dyn Error>> {
    let seeds = Seeds(env::args_os().nth(1).ok_or("usage: seeds FOLDER")?.into());
    for (setup, head) in Setup::all() {
        let [client, server] = handshake(setup);
        for (target, end, bytes) in
            [("server", setup.server(), client.sent), ("client", setup.client(None), server.sent)]
        {
            let mut end = end;
            let seen = feed(&mut end, setup, &bytes, None);
            assert!(
                seen.events.contains(&Event::Secure),
                "{setup:?}: the recorded stream does not play again: {:?}",
                end.error()
            );
            seeds.write(target, &format!("handshake-{}", head[0]), &[&head, &bytes[..]])?;
            seeds.write("client_hello", &format!("{target}-{}", head[0]), &[&bytes])?;
        }
    }
    for Resumption { setup, client_hello, kept } in Resumption::of_both_versions() {
        let mut server = setup.server();
        feed(&mut server, setup, &client_hello, Some(&kept));
        assert!(server.is_session_reused(), "{setup:?}: the session is not resumed: {:?}", server.error());
        let name = if setup.tls12 { "tls12" } else { "tls13" };
        seeds.write("session", name, &[&kept])?;
        seeds.write("server", &format!("resumption-{name}"), &[&[setup.tls12.into(), 0], &client_hello])?;
    }
    for folder in FIXTURES {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))? {
            seeds.fixture(&entry?.path())?;
        }
    }
    for (kind, text) in TEXTS {
        seeds.write("context", &format!("{kind}-{}", text.len()), &[&[*kind], text.as_bytes()])?;
    }
    Ok(())
}

struct Seeds(PathBuf);

impl Seeds {
    fn fixture(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let file = fs::read(path)?;
        let name = path.file_name().ok_or("a file without a name")?.to_string_lossy();
        let kinds: &[u8] = match Certificate::parse(&file) {
            _ if name.ends_with(".p12") => &[1],
            _ if name.contains(".crl.") => &[4],
            _ if name.starts_with("dh-") => &[5],
            Ok(certificate) => {
                self.write("certificate", &name, &[&file])?;
                self.write("certificate", &format!("{name}.der"), &[&certificate.raw])?;
                let length = u16::try_from(certificate.raw.len())?.to_be_bytes();
                self.write("compressed_certificate", &name, &[&length, &stored(&certificate.raw)])?;
                &[2, 3]
            }
            Err(_) => &[0, 10],
        };
        for kind in kinds {
            self.write("context", &format!("{kind}-{name}"), &[&[*kind], &file])?;
        }
        Ok(())
    }

    fn write(&self, target: &str, name: &str, parts: &[&[u8]]) -> Result<(), Box<dyn Error>> {
        let folder = self.0.join(target);
        fs::create_dir_all(&folder)?;
        Ok(fs::write(folder.join(name), parts.concat())?)
    }
}

/// A zlib stream with one block that is not compressed (RFC 1950, RFC 1951 section 3.2.4).
fn stored(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u16).to_le_bytes();
    let sums = bytes.iter().fold((1, 0), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (a + b) % 65521)
    });
    let adler = (sums.1 << 16 | sums.0).to_be_bytes();
    [&[0x78, 0x01, 1][..], &length, &length.map(|byte| !byte), bytes, &adler].concat()
}

/// The tests' fixtures, as seen from this crate.
const FIXTURES: &[&str] = &[
    "../src/context/tests/fixtures",
    "../src/engine/tests/fixtures",
    "../src/provider/tests/fixtures",
    "../src/verify/fixtures",
];

/// Strings, and as which option the target `context` takes them.
const TEXTS: &[(u8, &str)] = &[
    (5, "auto"),
    (6, "ECDHE+CHACHA20:!aNULL:@SECLEVEL=2:@STRENGTH:+AES:-kRSA"),
    (6, "TLS_AES_256_GCM_SHA384:DEFAULT:!3DES"),
    (7, "ecdsa_secp256r1_sha256:RSA-PSS+SHA256:ed25519:ECDSA+SHA384"),
    (8, "X25519MLKEM768:X25519:P-256:secp384r1"),
    (9, "TLSv1_2_server_method"),
];
