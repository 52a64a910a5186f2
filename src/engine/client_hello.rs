//! What a ClientHello offers (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2), as far as the questions need it that come before
//! rustls has chosen: rustls shows less than they ask for.

use rustls::ProtocolVersion;

use super::reader::Reader;

/// A ClientHello. What the client did not send is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClientHello {
    /// TLS 1.2: the session that it wants to resume. TLS 1.3: often random bytes without a meaning.
    pub(super) session_id: Vec<u8>,
    /// The ticket of TLS 1.2 (RFC 5077); an empty one asks for a ticket.
    pub(super) ticket: Option<Vec<u8>>,
    /// The first ticket of TLS 1.3 (RFC 8446 section 4.2.11).
    pub(super) psk_identity: Option<Vec<u8>>,
    /// TLS 1.2: whether it offers extended master secret (RFC 7627).
    pub(super) extended_master_secret: bool,
    /// Whether it wants a stapled OCSP response (RFC 6066 section 8).
    pub(super) wants_staple: bool,
    /// The name that it asks for (RFC 6066 section 3).
    pub(super) server_name: Option<String>,
    /// Its application protocols in its order (RFC 7301).
    pub(super) alpn: Protocols,
    /// Its versions (RFC 8446 section 4.2.1); where it sent no list, the one in the message's head.
    pub(super) versions: Vec<u16>,
    /// Its cipher suites in its order.
    pub(super) suites: Vec<u16>,
    /// Its groups in its order (RFC 8446 section 4.2.7).
    pub(super) groups: Vec<u16>,
    /// Its signature schemes in its order (RFC 8446 section 4.2.3).
    pub(super) schemes: Vec<u16>,
}

/// The list of an ALPN extension as it is on the wire: 64 KiB may have as many names as half its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Protocols(Vec<u8>);

impl ClientHello {
    /// Reads the body of the message. `None` where it breaks the syntax; rustls then says why to the peer.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let legacy_version = reader.u16()?;
        let _random = reader.take(32)?;
        let mut hello = Self { session_id: reader.vector8()?.to_vec(), ..Self::default() };
        hello.suites = numbers(reader.vector16()?)?;
        let _compression_methods = reader.vector8()?;
        // TLS 1.2 allows a ClientHello without extensions.
        let extensions = if reader.is_empty() { &[][..] } else { reader.vector16()? };
        let mut extensions = Reader::new(extensions);
        while !extensions.is_empty() {
            let kind = extensions.u16()?;
            hello.extension(kind, extensions.vector16()?)?;
        }
        if hello.versions.is_empty() {
            hello.versions.push(legacy_version);
        }
        reader.is_empty().then_some(hello)
    }

    /// Whether all its versions are older than TLS 1.2 (RFC 8996).
    pub(super) fn is_too_old(&self) -> bool {
        self.versions.iter().all(|version| *version < u16::from(ProtocolVersion::TLSv1_2))
    }

    /// Whether it offers this version.
    pub(super) fn offers(&self, version: u16) -> bool {
        self.versions.contains(&version)
    }

    fn extension(&mut self, kind: u16, content: &[u8]) -> Option<()> {
        let mut reader = Reader::new(content);
        match kind {
            SERVER_NAME => {
                let names = Reader::new(reader.vector16()?).all(|name| Some((name.u8()?, name.vector16()?)))?;
                let host = names.into_iter().find(|(kind, _)| *kind == HOST_NAME);
                self.server_name = host.and_then(|(_, name)| String::from_utf8(name.to_vec()).ok());
            }
            STATUS_REQUEST => self.wants_staple = reader.u8()? == OCSP,
            SUPPORTED_GROUPS => self.groups = numbers(reader.vector16()?)?,
            SIGNATURE_ALGORITHMS => self.schemes = numbers(reader.vector16()?)?,
            ALPN => self.alpn = Protocols::read(reader.vector16()?)?,
            EXTENDED_MASTER_SECRET => self.extended_master_secret = true,
            SESSION_TICKET => self.ticket = Some(content.to_vec()),
            PRE_SHARED_KEY => {
                let mut identities = Reader::new(reader.vector16()?);
                let mut first = identities;
                self.psk_identity = first.vector16().map(<[u8]>::to_vec);
                while !identities.is_empty() {
                    let _ticket = identities.vector16()?;
                    let _obfuscated_age = identities.u32()?;
                }
            }
            SUPPORTED_VERSIONS => self.versions = numbers(reader.vector8()?)?,
            _ => {}
        }
        Some(())
    }
}

impl Protocols {
    /// The names of a list. `None` where a name is cut.
    fn read(list: &[u8]) -> Option<Self> {
        let mut names = Reader::new(list);
        while !names.is_empty() {
            names.vector8()?;
        }
        Some(Self(list.to_vec()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, in their order.
    pub(super) fn protocols(&self) -> impl Iterator<Item = &[u8]> {
        let mut names = Reader::new(&self.0);
        std::iter::from_fn(move || names.vector8())
    }
}

fn numbers(vector: &[u8]) -> Option<Vec<u16>> {
    Reader::new(vector).all(Reader::u16)
}

/// Extension types, RFC 8446 section 4.2.
const SERVER_NAME: u16 = 0;
const STATUS_REQUEST: u16 = 5;
const SUPPORTED_GROUPS: u16 = 10;
pub(super) const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
pub(super) const EXTENDED_MASTER_SECRET: u16 = 23;
const SESSION_TICKET: u16 = 35;
const PRE_SHARED_KEY: u16 = 41;
pub(super) const SUPPORTED_VERSIONS: u16 = 43;

/// `NameType.host_name` (RFC 6066 section 3).
const HOST_NAME: u8 = 0;
/// `CertificateStatusType.ocsp` (RFC 6066 section 8).
const OCSP: u8 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A vector with its length in two bytes.
    fn vector(content: &[u8]) -> Vec<u8> {
        [&u16::try_from(content.len()).expect("short").to_be_bytes()[..], content].concat()
    }

    fn hello(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let extensions: Vec<u8> = extensions
            .iter()
            .flat_map(|(kind, content)| [kind.to_be_bytes().to_vec(), vector(content)].concat())
            .collect();
        [&[3, 3][..], &[7; 32], &[2, 0xaa, 0xbb], &vector(&[0x13, 0x03]), &[1, 0], &vector(&extensions)].concat()
    }

    /// What it is about, types and contents of the extensions, and what is read.
    type ExtensionRow = (&'static str, Vec<(u16, Vec<u8>)>, Option<ClientHello>);

    #[test]
    fn each_extension_is_read() {
        let base = ClientHello {
            session_id: vec![0xaa, 0xbb],
            suites: vec![0x1303],
            versions: vec![0x0303],
            ..ClientHello::default()
        };
        let with = |change: fn(&mut ClientHello)| {
            let mut hello = base.clone();
            change(&mut hello);
            Some(hello)
        };
        #[rustfmt::skip]
        let rows: Vec<ExtensionRow> = vec![
            ("none", vec![], with(|_| ())),
            ("one that is not known", vec![(0xfafa, vec![1, 2, 3])], with(|_| ())),
            ("a server name", vec![(0, vector(&[&[0][..], &vector(b"a.b")].concat()))], with(|hello| hello.server_name = Some("a.b".into()))),
            ("a name of another type", vec![(0, vector(&[&[1][..], &vector(b"a.b")].concat()))], with(|_| ())),
            ("a request for a staple", vec![(5, vec![1, 0, 0, 0, 0])], with(|hello| hello.wants_staple = true)),
            ("a status request of another type", vec![(5, vec![2, 0, 0])], with(|_| ())),
            ("groups", vec![(10, vector(&[0, 29, 0, 23]))], with(|hello| hello.groups = vec![29, 23])),
            ("signature schemes", vec![(13, vector(&[4, 3]))], with(|hello| hello.schemes = vec![0x0403])),
            ("application protocols", vec![(16, vector(&[2, b'h', b'2', 1, b'x']))], with(|hello| hello.alpn = Protocols(b"\x02h2\x01x".to_vec()))),
            ("an empty ticket", vec![(35, vec![])], with(|hello| hello.ticket = Some(vec![]))),
            ("a ticket", vec![(35, vec![1, 2])], with(|hello| hello.ticket = Some(vec![1, 2]))),
            ("two identities and their binders", vec![(41, [vector(&[0, 1, 9, 0, 0, 0, 0, 0, 2, 8, 8, 1, 2, 3, 4]), vector(&[1, 0, 1, 0])].concat())], with(|hello| hello.psk_identity = Some(vec![9]))),
            ("the second of two identities is cut", vec![(41, vector(&[0, 1, 9, 0, 0, 0, 0, 0, 2, 8]))], None),
            ("extended master secret", vec![(23, vec![])], with(|hello| hello.extended_master_secret = true)),
            ("versions", vec![(43, vec![4, 3, 4, 3, 3])], with(|hello| hello.versions = vec![0x0304, 0x0303])),
            ("a list that is cut", vec![(16, vector(&[3, b'h', b'2']))], None),
            ("half a number", vec![(10, vector(&[0, 29, 0]))], None),
        ];
        for (what, extensions, expected) in rows {
            assert_eq!(ClientHello::read(&hello(&extensions)), expected, "{what}");
        }
    }

    #[test]
    fn a_hello_is_too_old_where_no_version_is_tls12_or_newer() {
        for (versions, expected) in [
            (&[0x0300][..], true),
            (&[0x0302, 0x0301], true),
            (&[0x0303], false),
            (&[0x0302, 0x0303], false),
            (&[0x0304], false),
            (&[0xfafa, 0x0302], false),
        ] {
            let hello = ClientHello { versions: versions.to_vec(), ..ClientHello::default() };
            assert_eq!(hello.is_too_old(), expected, "{versions:x?}");
        }
    }

    #[test]
    fn a_hello_of_tls12_may_have_no_extensions_and_nothing_may_follow() {
        let mut bytes = hello(&[]);
        bytes.truncate(bytes.len() - 2);
        assert!(ClientHello::read(&bytes).is_some());
        bytes.extend([0, 0, 0]);
        assert_eq!(ClientHello::read(&bytes), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_a_hello_or_none(kind in 0u16..60, content in proptest::collection::vec(any::<u8>(), 0..80), cut in 0usize..120) {
            let mut bytes = hello(&[(kind, content.clone())]);
            bytes.truncate(cut.max(20));
            if let Some(read) = ClientHello::read(&bytes) {
                let items = read.alpn.protocols().count() + read.versions.len() + read.groups.len() + read.schemes.len();
                prop_assert!(items <= content.len() + 1, "no more items than bytes");
            }
            let _ = ClientHello::read(&content);
        }
    }
}
