//! Whether a certificate is for a host: the component and Node give the same answer, in the same words.

use anyhow::{Result, ensure};
use host_tests::exchange::hex;
use host_tests::host::Host;
use host_tests::peers::component::code_name;
use host_tests::peers::node;
use host_tests::table::Row;
use serde_json::json;

use crate::odd::*;

/// All rows.
pub(crate) fn rows() -> Vec<Row> {
    let row = |(what, host, make, good): (&'static str, &'static str, fn() -> Odd, bool)| {
        Row::new("hosts", format!("{what} [M7]"), move || check(host, make(), good))
    };
    HOSTS.into_iter().map(row).collect()
}

type HostRow = (&'static str, &'static str, fn() -> Odd, bool);

const HOSTS: [HostRow; 34] = [
    ("the name itself is good", "a.test", || dns(&["a.test"]), true),
    ("case does not count", "A.Test", || dns(&["a.tEST"]), true),
    ("a dot at the host's end does not count", "a.test.", || dns(&["a.test"]), true),
    ("one of several names is enough", "b.test", || dns(&["a.test", "b.test"]), true),
    ("another name is not good", "x.test", || dns(&["a.test", "b.test"]), false),
    ("a wildcard stands for a label", "a.b.test", || dns(&["*.b.test"]), true),
    ("a wildcard does not stand for two labels", "a.b.b.test", || dns(&["*.b.test"]), false),
    ("a wildcard does not stand for none", "b.test", || dns(&["*.b.test"]), false),
    ("a wildcard does not stand below a top-level domain", "a.test", || dns(&["*.test"]), false),
    ("a wildcard stands for part of a label", "abc.b.test", || dns(&["a*c.b.test"]), true),
    ("a wildcard stands in the left-most label only", "a.b.test", || dns(&["a.*.test"]), false),
    ("two wildcards are none", "abc.b.test", || dns(&["*b*.b.test"]), false),
    ("a wildcard in an A-label is none", "xn--abc.b.test", || dns(&["xn--*.b.test"]), false),
    ("a wildcard stands for an A-label", "xn--bcher-kva.b.test", || dns(&["*.b.test"]), true),
    ("an A-label is compared as it is", "xn--bcher-kva.test", || dns(&["xn--bcher-kva.test"]), true),
    ("a name with an empty label is no name", "a..test", || dns(&["a..test"]), false),
    ("a name with a comma is not two", "b.test", || dns(&["a.test, DNS:b.test"]), false),
    ("a name with a NUL does not end there", "a.test", || dns(&["a.test\0.b.test"]), false),
    ("the common name counts where there is no other", "odd.test", Odd::default, true),
    ("a common name of somebody else does not", "a.test", Odd::default, false),
    ("the common name does not count beside a name of DNS", "odd.test", || dns(&["a.test"]), false),
    (
        "the common name counts beside other alternative names",
        "odd.test",
        || Odd::named(&[element(0x81, b"me@a.test")]),
        true,
    ),
    // Node before 24.22 takes the common name in these two; xtask/locks has the version that is asked.
    ("the common name does not count beside alternative names that are none", "odd.test", || Odd::named(&[]), false),
    ("the common name does not count beside alternative names that are not readable", "odd.test", unreadable, false),
    ("one of several common names is enough", "b.test", || common_names(&["a.test", "b.test"]), true),
    ("none of several common names", "c.test", || common_names(&["a.test", "b.test"]), false),
    ("a certificate without a name is for nobody", "a.test", || common_names(&[]), false),
    ("an address is among the addresses", "127.0.0.1", || addresses(), true),
    ("another address is not", "127.0.0.2", || addresses(), false),
    ("an address of IPv6 is compared by value", "2001:db8::1", || addresses(), true),
    ("an address of IPv6 in long form", "2001:0DB8:0:0:0:0:0:0001", || addresses(), true),
    ("an address is not a name of DNS", "127.0.0.1", || dns(&["127.0.0.1"]), false),
    ("an address is not a common name", "127.0.0.1", || common_names(&["127.0.0.1"]), false),
    ("a host with a zone is for nobody", "fe80::1%eth0", || addresses(), false),
];

fn dns(names: &[&str]) -> Odd {
    Odd::named(&names.iter().map(|name| element(0x82, name.as_bytes())).collect::<Vec<_>>())
}

fn common_names(names: &[&str]) -> Odd {
    let sets: Vec<_> = names.iter().map(|name| [attribute(CN, UTF8, name.as_bytes())]).collect();
    Odd { subject: name(&sets.iter().map(|set| &set[..]).collect::<Vec<_>>()), ..Odd::default() }
}

fn addresses() -> Odd {
    let v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    Odd::named(&[element(0x87, &[127, 0, 0, 1]), element(0x87, &v6)])
}

fn unreadable() -> Odd {
    Odd { extensions: vec![extension(SUBJECT_ALT_NAME, &[0x30, 5, 1])], ..Odd::default() }
}

async fn check(host: &str, odd: Odd, good: bool) -> Result<()> {
    let der = odd.der();
    let theirs = node::run(NODE, &json!({ "host": host, "certificate": hex(&der) })).await?;
    let ours = Host::shared()?.instance().await?.check_server_identity(host, &der).await?;
    ensure!(theirs.is_null() == good, "Node says {theirs}");
    let ours = match ours {
        Some(error) => json!({ "code": code_name(error.code), "message": error.message }),
        None => json!(null),
    };
    ensure!(ours == theirs, "the component says {ours}, and Node {theirs}");
    Ok(())
}

const NODE: &str = r#"
import { X509Certificate } from 'node:crypto';
import tls from 'node:tls';
let input = '';
for await (const some of process.stdin) input += some;
const { host, certificate } = JSON.parse(input);
const error = tls.checkServerIdentity(host, new X509Certificate(Buffer.from(certificate, 'hex')).toLegacyObject());
console.log(JSON.stringify(error ? { code: error.code, message: error.message } : null));
"#;
