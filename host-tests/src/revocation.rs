//! Revocation lists (RFC 5280 section 5) made on the fly by the `openssl` command, and what `openssl verify` says of a certificate by
//! them.

use std::fs;
use std::path::Path;

use crate::certificates::{Identity, new_folder, openssl, verdict, write};

/// What a list is to be.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    /// `thisUpdate`, as in `20240101000000Z`.
    pub from: &'a str,
    /// `nextUpdate`.
    pub to: &'a str,
    /// Whether it is of version 1, and so has neither number nor extensions.
    pub is_version_1: bool,
    /// Its number, in hexadecimal.
    pub number: &'a str,
    /// Its extensions beside the number, as OpenSSL's configuration has them.
    pub extensions: &'a str,
    /// Its issuing distribution point, as OpenSSL's configuration has it.
    pub point: Option<&'a str>,
    /// Whom it has.
    pub revoked: &'a [&'a Identity],
    /// Why, in OpenSSL's words; the same for all.
    pub reason: Option<&'a str>,
}

impl Default for List<'_> {
    /// A list of version 2 with nobody in it, that is valid now.
    fn default() -> Self {
        Self {
            from: "20240101000000Z",
            to: "20991231235959Z",
            is_version_1: false,
            number: "01",
            extensions: "authorityKeyIdentifier=keyid:always",
            point: None,
            revoked: &[],
            reason: None,
        }
    }
}

impl List<'_> {
    /// Has it signed, and gives it in PEM. Panics with OpenSSL's words if that fails.
    pub fn by(&self, issuer: &Identity) -> String {
        let folder = new_folder();
        let (choice, point) = match (self.is_version_1, self.point) {
            (true, _) => ("", String::new()),
            (false, None) => ("crlnumber=number.txt\ncrl_extensions=extensions\n", String::new()),
            (false, Some(point)) => (
                "crlnumber=number.txt\ncrl_extensions=extensions\n",
                format!("issuingDistributionPoint=critical,@point\n[point]\n{point}\n"),
            ),
        };
        let configuration = format!(
            "[ca]\ndefault_ca=ca_default\n[ca_default]\ndatabase=index.txt\ndefault_md=sha256\n{choice}\
             [extensions]\n{}\n{point}",
            self.extensions
        );
        write(&folder, "crl.cnf", &configuration);
        write(&folder, "index.txt", "");
        write(&folder, "number.txt", &format!("{}\n", self.number));
        let (certificate, key) = (issuer.certificate_path(), issuer.key_path());
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        let ca = ["ca", "-config", "crl.cnf", "-keyfile", &key, "-cert", &certificate];
        for identity in self.revoked {
            let path = identity.certificate_path().display().to_string();
            let reason = self.reason.map_or_else(Vec::new, |reason| vec!["-crl_reason", reason]);
            openssl(&folder, &[&ca[..], &["-revoke", &path], &reason].concat());
        }
        openssl(&folder, &[&ca[..], &["-gencrl", "-crl_lastupdate", self.from, "-crl_nextupdate", self.to]].concat())
    }
}

/// The list with the last octet of its signature changed.
pub fn tampered(list: &str) -> String {
    through_der(list, |_, der| {
        if let Some(last) = der.last_mut() {
            *last ^= 1;
        }
    })
}

/// The list with these octets, which must be there once, in place of those, signed anew by an issuer with a key for P-256. What
/// OpenSSL's configuration can't say is made so.
pub fn resigned(list: &str, issuer: &Identity, from: &[u8], to: &[u8]) -> String {
    assert_eq!(from.len(), to.len(), "lengths stay as they are");
    through_der(list, |folder, der| {
        let places = der.windows(from.len()).enumerate().filter(|(_, octets)| *octets == from);
        let places: Vec<_> = places.map(|(place, _)| place).collect();
        assert_eq!(places.len(), 1, "{from:02x?} is in it {} times", places.len());
        der[places[0]..places[0] + to.len()].copy_from_slice(to);
        let tbs = first_in(content(der));
        fs::write(folder.join("tbs"), tbs).unwrap_or_else(|error| panic!("tbs: {error}"));
        let key = issuer.key_path().display().to_string();
        openssl(folder, &["dgst", "-sha256", "-sign", &key, "-out", "signature", "tbs"]);
        let signature = fs::read(folder.join("signature")).unwrap_or_else(|error| panic!("signature: {error}"));
        let parts = [tbs, ECDSA_WITH_SHA256, &element(0x03, &[&[0], &signature[..]].concat())].concat();
        *der = element(0x30, &parts);
    })
}

/// What `openssl verify -crl_check_all` says last of a certificate, by the files that there are: `OK`, or its words for what is wrong.
pub fn openssl_says(leaf: &Identity, root: &Identity, lists: &[String], flags: &[&str]) -> String {
    let folder = new_folder();
    write(&folder, "lists.pem", &lists.concat());
    let path = |path: &Path| path.display().to_string();
    let (root, chain, leaf) =
        (path(&root.certificate_path()), path(&leaf.chain_path()), path(&leaf.certificate_path()));
    let mut arguments = vec!["verify", "-crl_check_all", "-CAfile", &root, "-CRLfile", "lists.pem"];
    arguments.extend(flags);
    if fs::metadata(&chain).is_ok_and(|file| file.len() > 0) {
        arguments.extend(["-untrusted", &chain]);
    }
    arguments.push(&leaf);
    let (is_good, said) = verdict(&folder, &arguments);
    let errors = said.lines().filter(|line| line.starts_with("error "));
    match errors.filter_map(|line| line.split_once(" lookup: ")).next_back() {
        Some((_, words)) => words.to_owned(),
        None if is_good => "OK".to_owned(),
        None => said,
    }
}

fn through_der(list: &str, change: impl FnOnce(&Path, &mut Vec<u8>)) -> String {
    let folder = new_folder();
    write(&folder, "list.pem", list);
    openssl(&folder, &["crl", "-in", "list.pem", "-outform", "DER", "-out", "list.der"]);
    let path = folder.join("list.der");
    let mut der = fs::read(&path).unwrap_or_else(|error| panic!("list.der: {error}"));
    change(&folder, &mut der);
    fs::write(&path, der).unwrap_or_else(|error| panic!("list.der: {error}"));
    openssl(&folder, &["crl", "-inform", "DER", "-in", "list.der"])
}

/// The content of an element of DER, of at most 65,535 octets.
fn content(der: &[u8]) -> &[u8] {
    let (start, length) = bounds(der);
    &der[start..start + length]
}

/// The first of several elements, whole.
fn first_in(der: &[u8]) -> &[u8] {
    let (start, length) = bounds(der);
    &der[..start + length]
}

fn bounds(der: &[u8]) -> (usize, usize) {
    match der[1] {
        0x81 => (3, usize::from(der[2])),
        0x82 => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
        length => (2, usize::from(length)),
    }
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or_else(|_| panic!("too long: {}", content.len())).to_be_bytes();
    let header = match content.len() {
        0..=0x7f => vec![tag, length[1]],
        0x80..=0xff => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    [&header, content].concat()
}

/// RFC 5758 section 3.2, as `AlgorithmIdentifier`.
const ECDSA_WITH_SHA256: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
