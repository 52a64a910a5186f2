//! Strings of ASN.1, and bytes as text.

/// A string of any of X.509's types (RFC 5280 section 4.1.2.4); none where the bytes are not one of its type.
///
/// Strings of one octet a character are read as Latin-1, T.61 among them: so does everyone, OpenSSL included.
pub(crate) fn text(tag: u8, bytes: &[u8]) -> Option<String> {
    match tag {
        UTF8_STRING => String::from_utf8(bytes.to_vec()).ok(),
        BMP_STRING => {
            let units = bytes.chunks(2).map(|pair| pair.try_into().map(u16::from_be_bytes));
            units.map(|unit| char::from_u32(unit.ok()?.into())).collect()
        }
        UNIVERSAL_STRING => {
            let units = bytes.chunks(4).map(|four| four.try_into().map(u32::from_be_bytes));
            units.map(|unit| char::from_u32(unit.ok()?)).collect()
        }
        NUMERIC_STRING | PRINTABLE_STRING | TELETEX_STRING | IA5_STRING | VISIBLE_STRING => Some(latin1(bytes)),
        _ => None,
    }
}

/// Octets as the first 256 characters of Unicode.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Upper-case hexadecimal.
pub(crate) fn hex(bytes: &[u8], separator: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(separator)
}

/// The content of an INTEGER in upper-case hexadecimal, two digits an octet, with `-` where it is negative: as OpenSSL
/// prints a serial number.
pub(crate) fn integer(bytes: &[u8]) -> String {
    let is_negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut magnitude = bytes.to_vec();
    if is_negative {
        let mut carry = true;
        for octet in magnitude.iter_mut().rev() {
            (*octet, carry) = (!*octet).overflowing_add(u8::from(carry));
        }
    }
    let digits = match magnitude.iter().position(|octet| *octet != 0) {
        Some(first) => hex(&magnitude[first..], ""),
        None => "0".into(),
    };
    match is_negative {
        true => format!("-{digits}"),
        false => digits,
    }
}

const UTF8_STRING: u8 = 0x0c;
const NUMERIC_STRING: u8 = 0x12;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const VISIBLE_STRING: u8 = 0x1a;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_every_type_are_text() {
        #[rustfmt::skip]
        let rows: &[(&str, u8, &[u8], Option<&str>)] = &[
            ("UTF8String", UTF8_STRING, b"Gr\xc3\xbc\xc3\x9fe", Some("Grüße")),
            ("a UTF8String that is not UTF-8", UTF8_STRING, b"\xff", None),
            ("PrintableString", PRINTABLE_STRING, b"plain", Some("plain")),
            ("TeletexString", TELETEX_STRING, b"Gr\xfc\xdfe", Some("Grüße")),
            ("BMPString", BMP_STRING, b"\x00G\x00r\x00\xfc\x00\xdf\x00e", Some("Grüße")),
            ("a BMPString with half a pair", BMP_STRING, b"\xd8\x00", None),
            ("a BMPString of three octets", BMP_STRING, b"\x00G\x00", None),
            ("UniversalString", UNIVERSAL_STRING, b"\x00\x01\xf5\x12", Some("🔒")),
            ("a UniversalString beyond Unicode", UNIVERSAL_STRING, b"\x00\x11\x00\x00", None),
            ("IA5String with Latin-1", IA5_STRING, b"\xff", Some("ÿ")),
            ("an OCTET STRING", 4, b"x", None),
        ];
        for (what, tag, bytes, expected) in rows {
            assert_eq!(text(*tag, bytes).as_deref(), *expected, "{what}");
        }
    }

    #[test]
    fn integers_are_hexadecimal() {
        #[rustfmt::skip]
        let rows: &[(&[u8], &str)] = &[
            (&[0], "0"), (&[0, 0x80], "80"), (&[0x7f, 1], "7F01"), (&[1, 0], "0100"),
            (&[0xff], "-01"), (&[0x80], "-80"), (&[0xff, 0], "-0100"), (&[0xfe, 0xff], "-0101"),
        ];
        for (bytes, expected) in rows {
            assert_eq!(integer(bytes), *expected, "{bytes:02x?}");
        }
    }
}
