//! Parameters of finite-field Diffie-Hellman: checked, and then not used, since no suite of ours needs them (row O9).

use der::Decode;
use der::asn1::UintRef;

use crate::certificate::pem;
use crate::error::{Error, ErrorCode};

/// What the user is told of parameters that are good.
pub(super) const NOT_USED: &str = "The option dhparam has no effect: no cipher suite with finite-field Diffie-Hellman is supported. All that are use elliptic curves or ML-KEM.";

/// Checks a file of parameters in PEM (`DH PARAMETERS`, `X9.42 DH PARAMETERS`) or DER (PKCS#3, X9.42), or Node's word `auto`.
pub(super) fn check(file: &[u8]) -> Result<(), Error> {
    if file == AUTO {
        return Ok(());
    }
    let invalid = |why: &str| Error::new(ErrorCode::ErrInvalidArgValue, format!("The file of dhparam {why}."));
    if file.len() > MAX_FILE {
        return Err(invalid(&format!("has {} bytes; at most {MAX_FILE} are read", file.len())));
    }
    let bits = match pem::looks_like_pem(file) {
        true => {
            let section = pem::sections(file, LABELS)
                .next()
                .ok_or_else(|| {
                    invalid(&format!(
                        "has no parameters: expected -----BEGIN DH PARAMETERS-----, found {}",
                        pem::labels(file)
                    ))
                })?
                .map_err(|cause| invalid(&format!("is not readable PEM: {cause}")))?;
            prime_bits(&section.data)
        }
        false => prime_bits(file),
    };
    let bits =
        bits.ok_or_else(|| invalid("does not hold parameters: expected a prime and a generator in DER, or PEM of it"))?;
    match bits >= MIN_BITS {
        true => Ok(()),
        false => Err(Error::new(
            ErrorCode::ErrSslDhKeyTooSmall,
            format!(
                "The prime of dhparam has {bits} bits, and is to have {MIN_BITS} at least; or leave the option out, since it has no effect."
            ),
        )),
    }
}

/// The length of the prime. It is followed by the generator, and then by numbers that may be there.
fn prime_bits(der: &[u8]) -> Option<usize> {
    let numbers = Vec::<UintRef<'_>>::from_der(der).ok()?;
    let [prime, _generator, ..] = &numbers[..] else { return None };
    let bytes = prime.as_bytes();
    let leading = usize::try_from(bytes.first()?.leading_zeros()).ok()?;
    Some(bytes.len() * 8 - leading)
}

const AUTO: &[u8] = b"auto";
const LABELS: &[&str] = &["DH PARAMETERS", "X9.42 DH PARAMETERS"];
const MIN_BITS: usize = 2048;
/// The longest file that is read, in bytes.
const MAX_FILE: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_good_or_what_is_wrong_is_said() {
        // A prime of 256 bytes that starts with these, and the generator 2.
        let der = |start: &[u8]| {
            let length = |length: usize| [&[0x82][..], &u16::to_be_bytes(length as u16)].concat();
            let prime = [start, &[0xff; 255]].concat();
            let numbers = [&[0x02], &length(prime.len())[..], &prime, &[0x02, 1, 2]].concat();
            [&[0x30], &length(numbers.len())[..], &numbers].concat()
        };
        type Row = (&'static str, Vec<u8>, Option<(ErrorCode, &'static str)>);
        #[rustfmt::skip]
        let rows: [Row; 8] = [
            ("Node's word for the default", b"auto".to_vec(), None),
            ("2048 bits in DER", der(&[0, 0x80]), None),
            ("3072 bits in PEM", include_bytes!("tests/fixtures/dh-3072.pem").to_vec(), None),
            ("2047 bits in DER", der(&[0x7f]), Some((ErrorCode::ErrSslDhKeyTooSmall, "2047 bits"))),
            ("1024 bits in PEM", include_bytes!("tests/fixtures/dh-1024.pem").to_vec(), Some((ErrorCode::ErrSslDhKeyTooSmall, "1024 bits"))),
            ("a key", include_bytes!("../engine/tests/fixtures/server.key.pem").to_vec(), Some((ErrorCode::ErrInvalidArgValue, "found PRIVATE KEY"))),
            ("no parameters", b"hello".to_vec(), Some((ErrorCode::ErrInvalidArgValue, "does not hold"))),
            ("a file that is too long", vec![b' '; MAX_FILE + 1], Some((ErrorCode::ErrInvalidArgValue, "at most"))),
        ];
        for (what, file, expected) in rows {
            let found = check(&file).err();
            assert_eq!(found.as_ref().map(|error| error.code), expected.map(|(code, _)| code), "{what}: {found:?}");
            let text = expected.map(|(_, text)| text).unwrap_or_default();
            assert!(found.is_none_or(|error| error.message.contains(text)), "{what}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_are_good_by_chance(file in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(check(&file).is_err());
        }
    }
}
