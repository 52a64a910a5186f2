//! RFC 4511, and as much of BER as its section 5.1 leaves.

use super::{Answer, printable};

/// How long the server's answer is, where it has come and says that TLS may begin.
pub(super) fn response(bytes: &[u8]) -> Answer<Option<usize>> {
    let Some((message, length)) = element(bytes, SEQUENCE, "LDAPMessage")? else { return Ok(None) };
    let (id, rest) = whole(message, INTEGER, "messageID")?;
    let (response, controls) = whole(rest, EXTENDED_RESPONSE, "ExtendedResponse")?;
    if id != [1] {
        return Err("the server says that it ends the connection, or answers another request than ours".to_string());
    }
    let (code, rest) = whole(response, ENUMERATED, "resultCode")?;
    let (_, rest) = whole(rest, OCTET_STRING, "matchedDN")?;
    let (diagnostic, _) = whole(rest, OCTET_STRING, "diagnosticMessage")?;
    if !controls.is_empty() {
        whole(controls, CONTROLS, "controls")?;
    }
    match code {
        [0] => Ok(Some(length)),
        [code] => Err(format!(
            "the server answered StartTLS with the result code {code} (RFC 4511 appendix A): {}",
            printable(&String::from_utf8_lossy(diagnostic))
        )),
        _ => Err("the server's result code is no number that LDAP has".to_string()),
    }
}

/// An element that has to be complete, and what is behind it.
fn whole<'a>(bytes: &'a [u8], tag: u8, name: &str) -> Answer<(&'a [u8], &'a [u8])> {
    let cut = || format!("the server's answer is cut short at {name}");
    let (content, length) = element(bytes, tag, name)?.ok_or_else(cut)?;
    Ok((content, &bytes[length..]))
}

/// The content of the first element, and how long it is with its header. `None` where more has to come.
fn element<'a>(bytes: &'a [u8], tag: u8, name: &str) -> Answer<Option<(&'a [u8], usize)>> {
    let (Some(found), Some(first)) = (bytes.first(), bytes.get(1)) else {
        return match bytes.first() {
            Some(found) if *found != tag => Err(other(*found, tag, name)),
            _ => Ok(None),
        };
    };
    if *found != tag {
        return Err(other(*found, tag, name));
    }
    let (header, length) = match first {
        0..=0x7f => (2, usize::from(*first)),
        // Active Directory has lengths of four bytes for everything.
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let Some(digits) = bytes.get(2..2 + count) else { return Ok(None) };
            (2 + count, digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)))
        }
        _ => return Err(format!("the length of the server's {name} is none that LDAP has (RFC 4511 section 5.1)")),
    };
    if length > super::MOST {
        return Err(format!("the server's {name} has {length} bytes: expected at most {}", super::MOST));
    }
    Ok(bytes.get(header..header + length).map(|content| (content, header + length)))
}

fn other(found: u8, tag: u8, name: &str) -> String {
    format!("the server says a BER tag of {found:#04x}: expected {tag:#04x} for {name}, and it may not be LDAP")
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const ENUMERATED: u8 = 0x0a;
const OCTET_STRING: u8 = 0x04;
const EXTENDED_RESPONSE: u8 = 0x78;
const CONTROLS: u8 = 0xa0;
