//! What a certificate of `BEGIN TRUSTED CERTIFICATE` is trusted for: OpenSSL's `X509_CERT_AUX`, which `openssl x509 -addtrust` and
//! `-addreject` write behind the certificate.
//!
//! ```text
//! X509_CERT_AUX ::= SEQUENCE {
//!     trust   SEQUENCE OF OBJECT IDENTIFIER OPTIONAL,
//!     reject  [0] IMPLICIT SEQUENCE OF OBJECT IDENTIFIER OPTIONAL,
//!     alias   UTF8String OPTIONAL,
//!     keyid   OCTET STRING OPTIONAL,
//!     other   [1] IMPLICIT SEQUENCE OF AlgorithmIdentifier OPTIONAL }
//! ```
//!
//! Alias, key identifier and the rest are names for people, and are not looked at. OpenSSL's manual has the rules of trust in
//! openssl-verification-options(1), "Trust Settings".

use crate::certificate::der::{self, Reader};

/// What a certificate of the caller's is trusted for. The default is what it is without a word about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Purposes {
    /// To vouch for servers.
    pub(crate) server_auth: Trust,
    /// To vouch for clients.
    pub(crate) client_auth: Trust,
}

/// Whether a certificate is trusted for a purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Nothing is said: trusted where it signs itself, or where partial chains are allowed.
    #[default]
    Usual,
    /// Trusted, also where another one issued it.
    Trusted,
    /// Not trusted: no path may end in it.
    Rejected,
}

/// The bytes are no `X509_CERT_AUX`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoPurposes;

impl Purposes {
    /// What an `X509_CERT_AUX` says.
    pub(super) fn new(auxiliary: &[u8]) -> Result<Self, NoPurposes> {
        let mut fields = Reader::new(der::only(auxiliary, der::SEQUENCE).ok_or(NoPurposes)?);
        let identifiers = |list: &[u8]| -> Result<Vec<Vec<u8>>, NoPurposes> {
            let elements = Reader::new(list).all().ok_or(NoPurposes)?;
            let identifier = |element: der::Element<'_>| {
                (element.tag == der::OBJECT_IDENTIFIER).then(|| element.value.to_vec()).ok_or(NoPurposes)
            };
            elements.into_iter().map(identifier).collect()
        };
        let trusted = fields.optional(der::SEQUENCE).map(identifiers).transpose()?;
        let rejected = fields.optional(der::CONTEXT_CONSTRUCTED).map(identifiers).transpose()?;
        let _alias = fields.optional(der::UTF8_STRING);
        let _key_identifier = fields.optional(der::OCTET_STRING);
        let _other = fields.optional(der::CONTEXT_CONSTRUCTED + 1);
        if !fields.is_empty() {
            return Err(NoPurposes);
        }
        let names = |list: &Option<Vec<Vec<u8>>>, purpose: &[u8]| {
            list.iter().flatten().any(|oid| oid == purpose || oid == ANY_PURPOSE)
        };
        let trust = |purpose: &[u8]| match () {
            () if names(&rejected, purpose) => Trust::Rejected,
            () if names(&trusted, purpose) => Trust::Trusted,
            // Who is trusted for something, or for nothing, is trusted for nothing else.
            () if trusted.is_some() => Trust::Rejected,
            () => Trust::Usual,
        };
        Ok(Self { server_auth: trust(SERVER_AUTH), client_auth: trust(CLIENT_AUTH) })
    }
}

/// `id-kp-serverAuth` (RFC 5280 section 4.2.1.12).
const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
/// `id-kp-clientAuth`.
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
/// `anyExtendedKeyUsage`.
const ANY_PURPOSE: &[u8] = &[0x55, 0x1d, 0x25, 0];

#[cfg(test)]
mod tests {
    use super::*;

    const EMAIL: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 4];

    fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let value = parts.concat();
        [&[tag, u8::try_from(value.len()).expect("it is short")][..], &value].concat()
    }

    fn auxiliary(trust: &[&[u8]], reject: &[&[u8]]) -> Vec<u8> {
        let list = |tag, oids: &[&[u8]]| match oids.is_empty() {
            true => Vec::new(),
            false => tlv(tag, &[&oids.iter().flat_map(|oid| tlv(6, &[oid])).collect::<Vec<_>>()]),
        };
        tlv(0x30, &[&list(0x30, trust), &list(0xa0, reject), &tlv(0x0c, &[b"My CA"])])
    }

    #[test]
    fn trust_is_what_openssl_makes_of_it() {
        use Trust::*;
        type Row = (&'static str, &'static [&'static [u8]], &'static [&'static [u8]], [Trust; 2]);
        #[rustfmt::skip]
        let rows: [Row; 9] = [
            ("nothing said", &[], &[], [Usual, Usual]),
            ("trusted for servers", &[SERVER_AUTH], &[], [Trusted, Rejected]),
            ("trusted for clients", &[CLIENT_AUTH], &[], [Rejected, Trusted]),
            ("trusted for e-mail", &[EMAIL], &[], [Rejected, Rejected]),
            ("trusted for all", &[ANY_PURPOSE], &[], [Trusted, Trusted]),
            ("rejected for servers", &[], &[SERVER_AUTH], [Rejected, Usual]),
            ("rejected for e-mail", &[], &[EMAIL], [Usual, Usual]),
            ("rejected for all", &[SERVER_AUTH], &[ANY_PURPOSE], [Rejected, Rejected]),
            ("trusted and rejected", &[SERVER_AUTH, CLIENT_AUTH], &[CLIENT_AUTH], [Trusted, Rejected]),
        ];
        for (what, trust, reject, [server_auth, client_auth]) in rows {
            assert_eq!(Purposes::new(&auxiliary(trust, reject)), Ok(Purposes { server_auth, client_auth }), "{what}");
        }
        // `openssl verify` says "certificate rejected" of the first, and is content with the second.
        for (what, list, trust) in
            [("trusted for nothing", [0x30, 0], Rejected), ("rejected for nothing", [0xa0, 0], Usual)]
        {
            let expected = Purposes { server_auth: trust, client_auth: trust };
            assert_eq!(Purposes::new(&tlv(0x30, &[&list])), Ok(expected), "{what}");
        }
    }

    #[test]
    fn what_is_no_list_of_purposes_is_told() {
        let good = auxiliary(&[SERVER_AUTH], &[]);
        #[rustfmt::skip]
        let rows: [(&str, Vec<u8>); 5] = [
            ("nothing", Vec::new()),
            ("half of it", good[..good.len() / 2].to_vec()),
            ("more behind it", [&good[..], &[5, 0]].concat()),
            ("an unknown field", tlv(0x30, &[&[2, 1, 1]])),
            ("an integer in the list", tlv(0x30, &[&tlv(0x30, &[&[2, 1, 1]])])),
        ];
        for (what, bytes) in rows {
            assert_eq!(Purposes::new(&bytes), Err(NoPurposes), "{what}");
        }
    }
}
