//! Record protection: what one side seals the other opens, and nothing else.

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundOpaqueMessage,
    OutboundPlainMessage, Tls13AeadAlgorithm,
};
use rustls::crypto::tls13::OkmBlock;
use rustls::internal::derive_traffic_key;
use rustls::{
    ContentType, Error, PeerMisbehaved, ProtocolVersion, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite,
};

use crate::provider::random::{fill, with_seed};
use crate::provider::suites::{ALL, TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384};

/// Every suite, every length up to 300 and the longest; as one piece and in chunks.
#[test]
fn seal_and_open() {
    for suite in ALL {
        let (mut encrypter, mut decrypter) = pair(*suite);
        for (seq, len) in (0..=300).chain([MAX_LEN - 1, MAX_LEN]).enumerate() {
            let text = text(len);
            for chunks in [vec![&text[..]], in_chunks(&text)] {
                let payload = OutboundChunks::new(&chunks);
                let sealed = seal(*suite, &mut *encrypter, payload, seq as u64);
                assert_eq!(
                    sealed.payload.as_ref().len(),
                    encrypter.encrypted_payload_len(len),
                    "{suite:?}, {len} bytes"
                );
                assert_eq!(
                    open(*suite, &mut *decrypter, &sealed, seq as u64).as_deref(),
                    Ok(text.as_slice()),
                    "{suite:?}, {len} bytes"
                );
            }
        }
    }
}

/// A fragment in the middle of several chunks, as rustls cuts long writes.
#[test]
fn fragments_of_chunks() {
    let text = text(100);
    let chunks = in_chunks(&text);
    for suite in ALL {
        let (mut encrypter, mut decrypter) = pair(*suite);
        for (start, end) in [(0, 0), (0, 1), (0, 100), (1, 99), (10, 12), (33, 90), (100, 100)] {
            let payload = OutboundChunks::Multiple { chunks: &chunks, start, end };
            let sealed = seal(*suite, &mut *encrypter, payload, 5);
            assert_eq!(
                open(*suite, &mut *decrypter, &sealed, 5).as_deref(),
                Ok(&text[start..end]),
                "{suite:?}, {start}..{end}"
            );
        }
    }
}

/// Each byte of a record counts, and so do its number, its type, its version and its length.
#[test]
fn tampered_records() {
    for suite in ALL {
        let (mut encrypter, mut decrypter) = pair(*suite);
        let text = text(60);
        let sealed = seal(*suite, &mut *encrypter, OutboundChunks::Single(&text), 7);
        let bytes = sealed.payload.as_ref().to_vec();
        let mut opened = |bytes: &[u8], seq| {
            let mut record = sealed.clone();
            record.payload = bytes.into();
            open(*suite, &mut *decrypter, &record, seq)
        };
        assert_eq!(opened(&bytes, 7).as_deref(), Ok(text.as_slice()));
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut tampered = bytes.clone();
                tampered[at] ^= 1 << bit;
                let refused = opened(&tampered, 7);
                assert_eq!(refused, Err(Error::DecryptError), "{suite:?}, byte {at}");
            }
        }
        for len in 0..bytes.len() {
            let refused = opened(&bytes[..len], 7);
            assert_eq!(refused, Err(Error::DecryptError), "{suite:?}, cut to {len}");
        }
        assert_eq!(opened(&[&bytes[..], &[0]].concat(), 7), Err(Error::DecryptError), "{suite:?}");
        assert_eq!(opened(&bytes, 8), Err(Error::DecryptError), "{suite:?}: another number");
        let (_, mut other) = with_seed(99, || pair_of_this_seed(*suite));
        assert_eq!(open(*suite, &mut *other, &sealed, 7), Err(Error::DecryptError), "{suite:?}");
        // TLS 1.3 fixes type and version (RFC 8446 section 5.2), TLS 1.2 authenticates them.
        let refusal = match suite {
            SupportedCipherSuite::Tls13(_) => PeerMisbehaved::IllegalMiddleboxChangeCipherSpec.into(),
            SupportedCipherSuite::Tls12(_) => Error::DecryptError,
        };
        for typ in [ContentType::Handshake, ContentType::Alert, ContentType::ChangeCipherSpec, ContentType::Unknown(99)]
        {
            let record = OutboundOpaqueMessage { typ, ..sealed.clone() };
            let refused = open(*suite, &mut *decrypter, &record, 7);
            assert_eq!(refused, Err(refusal.clone()), "{suite:?}: as {typ:?}");
        }
        for version in [ProtocolVersion::TLSv1_1, ProtocolVersion::TLSv1_3] {
            let record = OutboundOpaqueMessage { version, ..sealed.clone() };
            let refused = open(*suite, &mut *decrypter, &record, 7);
            assert_eq!(refused, Err(refusal.clone()), "{suite:?}: of {version:?}");
        }
    }
}

/// Content above 2^14 bytes (RFC 8446 section 5.4, RFC 5246 section 6.2.1), and content that has no type.
#[test]
fn illegal_contents() {
    for suite in ALL {
        let (mut encrypter, mut decrypter) = pair(*suite);
        for len in [MAX_LEN + 1, MAX_LEN + 100] {
            let sealed = seal(*suite, &mut *encrypter, OutboundChunks::Single(&text(len)), 0);
            assert_eq!(
                open(*suite, &mut *decrypter, &sealed, 0),
                Err(Error::PeerSentOversizedRecord),
                "{suite:?}, {len} bytes"
            );
        }
        if let SupportedCipherSuite::Tls13(_) = suite {
            // Zeros all the way: padding, and no type before it.
            let message = OutboundPlainMessage {
                typ: ContentType::Unknown(0),
                version: ProtocolVersion::TLSv1_3,
                payload: OutboundChunks::Single(&[0; 20]),
            };
            let sealed = encrypter.encrypt(message, 0).unwrap();
            assert_eq!(
                open(*suite, &mut *decrypter, &sealed, 0),
                Err(PeerMisbehaved::IllegalTlsInnerPlaintext.into()),
                "{suite:?}"
            );
        }
    }
}

/// RFC 8446 section 5.4: zeros after the type are padding, and zeros before it are not.
#[test]
fn padding_of_tls13() {
    for suite in ALL.iter().filter(|suite| suite.tls13().is_some()) {
        let (mut encrypter, mut decrypter) = pair(*suite);
        // The content, its type, and zeros; the encrypter adds one more as "type".
        let inner = [b"text\0\0".as_slice(), &[23], &[0; 40]].concat();
        let message = OutboundPlainMessage {
            typ: ContentType::Unknown(0),
            version: ProtocolVersion::TLSv1_3,
            payload: OutboundChunks::Single(&inner),
        };
        let sealed = encrypter.encrypt(message, 3).unwrap();
        let opened = open(*suite, &mut *decrypter, &sealed, 3);
        assert_eq!(opened.as_deref(), Ok(b"text\0\0".as_slice()), "{suite:?}");
    }
}

/// No nonce twice: all records of one text differ, and in TLS 1.2 with AES-GCM so do the explicit parts.
#[test]
fn nonces_differ() {
    for suite in ALL {
        let (mut encrypter, _) = pair(*suite);
        let mut seen = std::collections::HashSet::new();
        for seq in (0..300).chain([u64::from(u32::MAX), 1 << 40, u64::MAX - 1]) {
            let sealed = seal(*suite, &mut *encrypter, OutboundChunks::Single(b"the same"), seq);
            assert!(seen.insert(sealed.payload.as_ref()[..8].to_vec()), "{suite:?}, {seq}");
        }
    }
}

fn seal(
    suite: SupportedCipherSuite,
    encrypter: &mut dyn MessageEncrypter,
    payload: OutboundChunks<'_>,
    seq: u64,
) -> OutboundOpaqueMessage {
    let message = OutboundPlainMessage { typ: ContentType::ApplicationData, version: suite.version().version, payload };
    let sealed = encrypter.encrypt(message, seq).unwrap();
    // What is seen from outside (RFC 8446 section 5.2).
    assert_eq!(sealed.typ, ContentType::ApplicationData);
    assert_eq!(sealed.version, ProtocolVersion::TLSv1_2);
    sealed
}

fn open(
    suite: SupportedCipherSuite,
    decrypter: &mut dyn MessageDecrypter,
    sealed: &OutboundOpaqueMessage,
    seq: u64,
) -> Result<Vec<u8>, Error> {
    let mut bytes = sealed.payload.as_ref().to_vec();
    let message = InboundOpaqueMessage::new(sealed.typ, sealed.version, &mut bytes);
    let opened = decrypter.decrypt(message, seq)?;
    assert_eq!(opened.typ, ContentType::ApplicationData);
    assert_eq!(opened.version, suite.version().version);
    Ok(opened.payload.to_vec())
}

/// Both ends of one direction, with keys that are the same in each run.
fn pair(suite: SupportedCipherSuite) -> (Box<dyn MessageEncrypter>, Box<dyn MessageDecrypter>) {
    with_seed(1, || pair_of_this_seed(suite))
}

fn pair_of_this_seed(suite: SupportedCipherSuite) -> (Box<dyn MessageEncrypter>, Box<dyn MessageDecrypter>) {
    let secret = random::<32>();
    match suite {
        SupportedCipherSuite::Tls13(Tls13CipherSuite { aead_alg, .. }) => {
            let iv = random::<12>();
            (
                aead_alg.encrypter(key(&secret, *aead_alg), Iv::from(iv)),
                aead_alg.decrypter(key(&secret, *aead_alg), Iv::from(iv)),
            )
        }
        SupportedCipherSuite::Tls12(Tls12CipherSuite { aead_alg, .. }) => {
            let shape = aead_alg.key_block_shape();
            assert_eq!(shape.fixed_iv_len + shape.explicit_nonce_len, 12);
            // Keys come from rustls only, and from the TLS 1.3 side only.
            let like = match shape.enc_key_len {
                16 => TLS13_AES_128_GCM_SHA256,
                _ => TLS13_AES_256_GCM_SHA384,
            };
            let like = like.tls13().unwrap().aead_alg;
            let (iv, explicit) = (random::<12>(), random::<8>());
            let (iv, explicit) = (&iv[..shape.fixed_iv_len], &explicit[..shape.explicit_nonce_len]);
            (aead_alg.encrypter(key(&secret, like), iv, explicit), aead_alg.decrypter(key(&secret, like), iv))
        }
    }
}

/// A key of the length that the AEAD wants.
fn key(secret: &[u8], aead: &dyn Tls13AeadAlgorithm) -> AeadKey {
    let hkdf = TLS13_AES_128_GCM_SHA256.tls13().unwrap().hkdf_provider;
    derive_traffic_key(&*hkdf.expander_for_okm(&OkmBlock::new(secret)), aead)
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes).unwrap();
    bytes
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + len) as u8).collect()
}

/// Pieces of growing length, with empty ones among them.
fn in_chunks(text: &[u8]) -> Vec<&[u8]> {
    let mut chunks = vec![&text[..0]];
    let mut rest = text;
    let mut len = 1;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(len.min(rest.len()));
        chunks.extend([chunk, &[]]);
        rest = after;
        len *= 2;
    }
    chunks
}

/// The longest content of a record.
const MAX_LEN: usize = 1 << 14;
