//! Every field of a certificate is what Node says.

use anyhow::{Context as _, Result, ensure};
use host_tests::certificates::KINDS;
use host_tests::exchange::hex;
use host_tests::host::Host;
use host_tests::judge::view;
use host_tests::peers::component::failure;
use host_tests::peers::node;
use host_tests::table::Row;
use host_tests::tls::{Certificate, ErrorCode};
use serde_json::{Value, json};

use crate::odd::*;

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = ODD
        .into_iter()
        .map(|(what, make)| {
            Row::new("fields", format!("{what} reads as Node reads it [K7]"), move || same(vec![make()]))
        })
        .collect();
    rows.push(Row::new("fields", "certificates of every kind of key read as Node reads them [K7]", kinds));
    rows.push(Row::new("fields", "the roots are Mozilla's, and read as Node reads them [M10, K7]", roots));
    rows.push(Row::new("fields", "of a key that is not readable nothing is said [K7]", unreadable_key));
    rows.push(Row::new("fields", "what is no certificate is told so [K7]", no_certificate));
    rows
}

type OddRow = (&'static str, fn() -> Vec<u8>);

const ODD: [OddRow; 37] = [
    ("a usual certificate", || Odd::default().der()),
    ("a name without attributes", || subject(&[])),
    ("a multi-valued relative name", || {
        subject(&[&[attribute(CN, UTF8, b"a"), attribute(O, UTF8, b"b")], &[attribute(OU, UTF8, b"c")]])
    }),
    ("an attribute that is there three times", || {
        subject(&[
            &[attribute(OU, UTF8, b"1")],
            &[attribute(O, UTF8, b"x"), attribute(OU, UTF8, b"2")],
            &[attribute(OU, UTF8, b"3")],
        ])
    }),
    ("an attribute that has no name", || subject(&[&[attribute(UNKNOWN, UTF8, b"x")]])),
    ("a UTF8String", || subject(&[&[attribute(CN, UTF8, "Grüße 🔒".as_bytes())]])),
    ("a BMPString", || subject(&[&[attribute(CN, BMP, b"\x00G\x20\xac")]])),
    ("a T61String", || subject(&[&[attribute(CN, T61, b"Gr\xfc\xdfe")]])),
    ("a UniversalString", || subject(&[&[attribute(CN, UNIVERSAL, b"\x00\x00\x00A\x00\x01\xf5\x12")]])),
    ("a PrintableString with letters that it may not have", || subject(&[&[attribute(CN, PRINTABLE, b"a*\xe9")]])),
    ("a NUL in a common name", || subject(&[&[attribute(CN, UTF8, b"a.test\0.b.test")]])),
    ("names of DNS, with a wildcard", || named(&[element(0x82, b"a.test"), element(0x82, b"*.b.test")])),
    ("a comma in a name of DNS", || named(&[element(0x82, b"a.test, DNS:b.test")])),
    ("quotes and a backslash in a name of DNS", || named(&[element(0x82, b"a\"b\\c"), element(0x82, b"'d'")])),
    ("a NUL and a line's end in a name of DNS", || named(&[element(0x82, b"a.test\0b\nc\x7f")])),
    ("Latin letters in a name of DNS", || named(&[element(0x82, b"gr\xfc\xdfe.test")])),
    ("addresses of IPv4 and IPv6", || {
        let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xab, 0xcd];
        named(&[element(0x87, &[127, 0, 0, 1]), element(0x87, &v6), element(0x87, &[0; 16])])
    }),
    ("an address of five octets", || named(&[element(0x87, &[1, 2, 3, 4, 5])])),
    ("a URI with a comma, and a mailbox", || {
        named(&[element(0x86, b"http://a.test/b,c"), element(0x81, b"me@a.test")])
    }),
    ("a directory name", || {
        let inner = name(&[
            &[attribute(O, UTF8, "Grüße, und \"so\"".as_bytes())],
            &[attribute(CN, UTF8, b" a#+<b> "), attribute(OU, UTF8, b"x")],
        ]);
        named(&[element(0xa4, &inner)])
    }),
    ("a directory name with an attribute that has no name", || {
        named(&[element(0xa4, &name(&[&[attribute(UNKNOWN, UTF8, b"x")], &[attribute(CN, BMP, b"\x20\xac")]]))])
    }),
    ("a registered identifier", || named(&[element(0x88, UNKNOWN), element(0x88, &[0x2a, 0x86, 0x48])])),
    ("a principal name", || {
        named(&[other(UPN, UTF8, "grüße@a.test".as_bytes()), other(UPN, UTF8, b"a,b"), other(UPN, IA5, b"a")])
    }),
    ("other names of other kinds", || {
        named(&[
            other(SRV, IA5, b"_a.test"),
            other(SRV, IA5, b"_\xfc"),
            other(XMPP, UTF8, b"a@b"),
            other(UNKNOWN, UTF8, b"x"),
        ])
    }),
    // Since 24.22 Node shows these two as `DNS:`; xtask/locks has the version that is asked.
    ("alternative names that are none", || named(&[])),
    ("alternative names that are not readable", || extended(extension(SUBJECT_ALT_NAME, &[0x30, 5, 1]))),
    ("a CA with a key usage that forbids it", || {
        let constraints = extension(BASIC_CONSTRAINTS, &element(SEQUENCE, &[1, 1, 255]));
        Odd { extensions: vec![constraints, extension(KEY_USAGE, &[3, 2, 7, 0x80])], ..Odd::default() }.der()
    }),
    ("a CA", || extended(extension(BASIC_CONSTRAINTS, &element(SEQUENCE, &[1, 1, 255, 2, 1, 3])))),
    ("a CA with a key usage that is not readable", || {
        let constraints = extension(BASIC_CONSTRAINTS, &element(SEQUENCE, &[1, 1, 255]));
        Odd { extensions: vec![constraints, extension(KEY_USAGE, &[4, 1, 0])], ..Odd::default() }.der()
    }),
    ("purposes", || {
        let purposes = [element(OID, &[0x2b, 6, 1, 5, 5, 7, 3, 1]), element(OID, UNKNOWN)].concat();
        extended(extension(EXTENDED_KEY_USAGE, &element(SEQUENCE, &purposes)))
    }),
    ("where to find more", || {
        let access = |method: &[u8], location: Vec<u8>| element(SEQUENCE, &[element(OID, method), location].concat());
        let all = [
            access(OCSP, element(0x86, b"http://ocsp.test")),
            access(CA_ISSUERS, element(0x86, b"http://a.test/a,b\"c")),
            access(OCSP, element(0x86, b"http://ocsp2.test")),
            access(UNKNOWN, element(0x82, b"a.test")),
            access(OCSP, element(0x87, &[0; 16])),
            access(OCSP, other(UPN, UTF8, b"a,b")),
        ];
        extended(extension(INFO_ACCESS, &element(SEQUENCE, &all.concat())))
    }),
    ("a serial number that is long", || serial(&[0x7f; 40])),
    ("a serial number that is negative", || serial(&[0xff, 0x01])),
    ("a serial number of zero", || serial(&[0])),
    ("a serial number of a zero too many", || serial(&[0, 0x80])),
    ("years after 2050", || valid([time(GENERALIZED, "20500101000000Z"), time(GENERALIZED, "99991231235959Z")])),
    ("years before 1950", || valid([time(GENERALIZED, "19490228010203Z"), time(UTC, "500101000000Z")])),
];

fn subject(relative: &[&[Vec<u8>]]) -> Vec<u8> {
    Odd { subject: name(relative), ..Odd::default() }.der()
}

fn named(names: &[Vec<u8>]) -> Vec<u8> {
    Odd::named(names).der()
}

fn extended(extension: Vec<u8>) -> Vec<u8> {
    Odd { extensions: vec![extension], ..Odd::default() }.der()
}

fn serial(serial: &[u8]) -> Vec<u8> {
    Odd { serial: serial.to_vec(), ..Odd::default() }.der()
}

fn valid(times: [Vec<u8>; 2]) -> Vec<u8> {
    Odd { validity: times.concat(), ..Odd::default() }.der()
}

fn other(kind: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    element(0xa0, &[element(OID, kind), element(0xa0, &element(tag, value))].concat())
}

const UPN: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 0x14, 2, 3];
const SRV: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 7];
const XMPP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 8, 5];
const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1];
const CA_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 2];

async fn kinds() -> Result<()> {
    // Node 24 crashes on curves that NIST has not named.
    let keys: [&[&str]; 7] = [
        &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        &["RSA", "-pkeyopt", "rsa_keygen_bits:2047", "-pkeyopt", "rsa_keygen_pubexp:3"],
        &["RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_keygen_pubexp:1099511627791"],
        &["RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"],
        &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        &["EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
        &["X25519"],
    ];
    let odd = keys.iter().map(|arguments| Odd { spki: spki(arguments), ..Odd::default() }.der());
    let mut all: Vec<Vec<u8>> = odd.collect();
    all.extend(
        KINDS.iter().flat_map(|kind| {
            [kind.server(), kind.authority()].map(|identity| identity.certificate.clone().into_bytes())
        }),
    );
    same(all).await
}

async fn roots() -> Result<()> {
    let roots = Host::shared()?.instance().await?.root_certificates().await?;
    ensure!(roots.len() > 100, "there are {}", roots.len());
    same(roots.into_iter().map(String::into_bytes).collect()).await
}

/// Node 24 crashes on such a certificate, so it is not asked.
async fn unreadable_key() -> Result<()> {
    let rsa = [element(OID, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]), vec![5, 0]].concat();
    let spki = element(SEQUENCE, &[element(SEQUENCE, &rsa), vec![3, 2, 0, 1]].concat());
    let der = Odd { spki, ..Odd::default() }.der();
    let read = Host::shared()?.instance().await?.parse(&der).await?;
    let read = read.map_err(|error| anyhow::anyhow!("not read: {}", failure(&error)))?;
    ensure!(read.subject.len() == 1 && read.raw == der, "{read:?}");
    ensure!(
        read.modulus.is_none() && read.bits.is_none() && read.exponent.is_none() && read.pubkey.is_none(),
        "{read:?}"
    );
    Ok(())
}

async fn no_certificate() -> Result<()> {
    let mut tls = Host::shared()?.instance().await?;
    for file in [&b""[..], b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        match tls.parse(file).await? {
            Ok(certificate) => anyhow::bail!("{file:?} was read: {certificate:?}"),
            Err(error) => ensure!(error.code == ErrorCode::ErrTlsInvalidCertificate, "{}", failure(&error)),
        }
    }
    Ok(())
}

/// The component and Node say the same of each of these files.
async fn same(files: Vec<Vec<u8>>) -> Result<()> {
    let said = node::run(NODE, &json!(files.iter().map(|file| hex(file)).collect::<Vec<_>>())).await?;
    let mut tls = Host::shared()?.instance().await?;
    for (file, theirs) in files.iter().zip(said.as_array().context("no array")?) {
        let ours = match tls.parse(file).await? {
            Ok(certificate) => as_node(&certificate),
            Err(error) => anyhow::bail!("not read: {}", failure(&error)),
        };
        let (ours, theirs) = (ours.as_object().context("no object")?, theirs.as_object().context("no object")?);
        let names = ours.keys().chain(theirs.keys());
        let differences: Vec<_> = names
            .filter(|name| ours.get(*name) != theirs.get(*name))
            .map(|name| format!("{name}: {:?}, and Node says {:?}", ours.get(name), theirs.get(name)))
            .collect();
        ensure!(differences.is_empty(), "{}", differences.join("; "));
    }
    Ok(())
}

/// A certificate in the object that Node makes of it, as JSON: what is undefined there is left out.
fn as_node(certificate: &Certificate) -> Value {
    let all = view::certificate(certificate);
    let defined = all.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    Value::Object(defined.map(|(name, value)| (name.clone(), value.clone())).collect())
}

const NODE: &str = r#"
import { X509Certificate } from 'node:crypto';
let input = '';
for await (const some of process.stdin) input += some;
const read = (hex) => {
  try {
    const read = new X509Certificate(Buffer.from(hex, 'hex')).toLegacyObject();
    return { ...read, raw: read.raw.toString('hex'), pubkey: read.pubkey?.toString('hex') };
  } catch (error) {
    return { fault: String(error) };
  }
};
console.log(JSON.stringify(JSON.parse(input).map(read)));
"#;
