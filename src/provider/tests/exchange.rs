//! Key exchange: the two sides agree, and a share that is not what it should be is refused.

use rustls::crypto::SupportedKxGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved};

use crate::provider::kx::{ALL, SECP256R1, SECP384R1, SECP521R1, X25519, X25519MLKEM768, ecdh::Ecdh, mlkem};
use crate::provider::p256::P256;

/// Shares have the lengths of RFC 8446 section 4.2.8.2 and draft-ietf-tls-ecdhe-mlkem, and both sides get one secret.
#[test]
fn both_sides_agree() {
    for (group, client_len, server_len, secret_len) in [
        (X25519MLKEM768, 1184 + 32, 1088 + 32, 64),
        (X25519, 32, 32, 32),
        (SECP256R1, 65, 65, 32),
        (SECP384R1, 97, 97, 48),
        (SECP521R1, 133, 133, 66),
    ] {
        for _ in 0..3 {
            let client = group.start().unwrap();
            assert_eq!(client.group(), group.name());
            assert_eq!(client.pub_key().len(), client_len, "{group:?}");
            let server = group.start_and_complete(client.pub_key()).unwrap();
            assert_eq!(server.group, group.name());
            assert_eq!(server.pub_key.len(), server_len, "{group:?}");
            assert_eq!(server.secret.secret_bytes().len(), secret_len, "{group:?}");
            let secret = client.complete(&server.pub_key).unwrap();
            assert_eq!(secret.secret_bytes(), server.secret.secret_bytes(), "{group:?}");
        }
    }
}

/// The hybrid is what the draft says: each half computed alone gives the same bytes, ML-KEM first.
#[test]
fn the_hybrid_is_its_halves() {
    let client = X25519MLKEM768.start().unwrap();
    let (encapsulation_key, client_x25519) = client.pub_key().split_at(1184);
    let (ciphertext, post_quantum) = mlkem::encapsulate(encapsulation_key).unwrap();
    let server = X25519.start_and_complete(client_x25519).unwrap();
    let secret = client.complete(&[ciphertext.as_slice(), &server.pub_key].concat()).unwrap();
    assert_eq!(&secret.secret_bytes()[..32], post_quantum.as_slice());
    assert_eq!(&secret.secret_bytes()[32..], server.secret.secret_bytes());
}

/// A server without ML-KEM takes the X25519 half, which the client has sent as a share of its own.
#[test]
fn the_hybrid_offers_its_classical_half() {
    let client = X25519MLKEM768.start().unwrap();
    let (group, share) = client.hybrid_component().unwrap();
    assert_eq!(group, NamedGroup::X25519);
    assert_eq!(share, &client.pub_key()[1184..]);
    let server = X25519.start_and_complete(share).unwrap();
    let secret = client.complete_hybrid_component(&server.pub_key).unwrap();
    assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
    // No other group has halves.
    for group in ALL.iter().filter(|group| group.name() != NamedGroup::X25519MLKEM768) {
        assert!(group.start().unwrap().hybrid_component().is_none(), "{group:?}");
    }
}

/// FIPS 203: a changed ciphertext gives another secret and no error, and the same one each time.
#[test]
fn mlkem_rejects_implicitly() {
    let keys = mlkem::KeyPair::generate().unwrap();
    let (ciphertext, secret) = mlkem::encapsulate(keys.encapsulation_key().as_ref()).unwrap();
    assert_eq!(keys.decapsulate(&ciphertext).unwrap(), secret);
    for at in (0..ciphertext.len()).step_by(97) {
        let mut changed = ciphertext;
        changed[at] ^= 1;
        let rejected = keys.decapsulate(&changed).unwrap();
        assert_ne!(rejected, secret, "byte {at}");
        assert_eq!(rejected, keys.decapsulate(&changed).unwrap(), "byte {at}");
    }
}

/// A point whose x coordinate begins with a zero: it stays in the secret (RFC 8446 section 7.4.2).
#[test]
fn leading_zeros_stay() {
    let secret_of = |n: u16| {
        let mut bytes = [0; 32];
        bytes[30..].copy_from_slice(&n.to_be_bytes());
        elliptic_curve::SecretKey::from_slice(&bytes).unwrap()
    };
    let group = Ecdh::<P256>::new(NamedGroup::secp256r1);
    let generator = group.start_with(secret_of(1)).pub_key().to_vec();
    // 379 is the first multiple of the generator with such an x.
    let secret = group.start_with(secret_of(379)).complete(&generator).unwrap();
    assert_eq!(secret.secret_bytes().len(), 32);
    assert_eq!(secret.secret_bytes()[0], 0);
}

/// Whatever a peer sends that is not a share of the group gives `illegal_parameter`, from both sides.
#[test]
fn invalid_shares() {
    for group in ALL {
        let client_share = group.start().unwrap().pub_key().to_vec();
        let server_share = group.start_and_complete(&client_share).unwrap().pub_key;
        for (side, share) in [(Side::Server, &client_share), (Side::Client, &server_share)] {
            for (name, invalid) in invalid(*group, side, share) {
                let refused = match side {
                    Side::Server => group.start_and_complete(&invalid).err(),
                    Side::Client => group.start().unwrap().complete(&invalid).err(),
                };
                assert_eq!(refused, Some(INVALID), "{group:?}, {side:?}: {name}");
            }
        }
    }
    // The classical half alone is no less strict.
    for invalid in [vec![], vec![9; 31], vec![9; 33], vec![0; 32]] {
        let client = X25519MLKEM768.start().unwrap();
        assert_eq!(client.complete_hybrid_component(&invalid).err(), Some(INVALID));
    }
}

/// Which side reads the share.
#[derive(Clone, Copy, Debug)]
enum Side {
    Client,
    Server,
}

/// Broken variants of a good share.
fn invalid(group: &dyn SupportedKxGroup, side: Side, share: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let len = share.len();
    let changed = |change: &dyn Fn(&mut [u8])| {
        let mut share = share.to_vec();
        change(&mut share);
        share
    };
    let mut all = vec![
        ("empty", vec![]),
        ("one byte less", share[..len - 1].to_vec()),
        ("one byte more", [share, &[0]].concat()),
    ];
    match (group.name(), side) {
        (NamedGroup::X25519MLKEM768, side) => {
            all.push(("only X25519", share[len - 32..].to_vec()));
            all.push(("only ML-KEM", share[..len - 32].to_vec()));
            for point in SMALL_ORDER {
                let share = changed(&|share| share[len - 32..].copy_from_slice(&point));
                all.push(("X25519 of small order", share));
            }
            if let Side::Server = side {
                // FIPS 203 section 7.2: each number of 12 bits must be below q = 3329.
                all.push(("a number above q", changed(&|share| share[..2].fill(0xff))));
                let q = changed(&|share| {
                    share[0] = 0x01;
                    share[1] = (share[1] & 0xf0) | 0x0d;
                });
                all.push(("q itself", q));
            }
        }
        (NamedGroup::X25519, _) => {
            all.extend(SMALL_ORDER.map(|point| ("small order", point.to_vec())));
        }
        _ => {
            let x = &share[1..1 + len / 2];
            all.extend([
                ("not on the curve", changed(&|share| share[len - 1] ^= 1)),
                ("coordinates of zero", changed(&|share| share[1..].fill(0))),
                ("coordinates above p", changed(&|share| share[1..].fill(0xff))),
                ("compressed", [&[2 | (share[len - 1] & 1)], x].concat()),
                ("compact", [&[5], x].concat()),
                ("hybrid", changed(&|share| share[0] = 6 | (share[len - 1] & 1))),
                ("identity", vec![0]),
                ("identity, padded", changed(&|share| share.fill(0))),
                ("without its tag", share[1..].to_vec()),
            ]);
        }
    }
    all
}

const INVALID: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

/// Points of Curve25519 of order 1, 2, 4 and 8, and some that are the same modulo p.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    with_first_byte([0; 32], 1),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    // p - 1, p and p + 1
    with_first_byte(TOP, 0xec),
    with_first_byte(TOP, 0xed),
    with_first_byte(TOP, 0xee),
];

/// 2^255 - 1.
const TOP: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[31] = 0x7f;
    bytes
};

const fn with_first_byte(mut bytes: [u8; 32], first: u8) -> [u8; 32] {
    bytes[0] = first;
    bytes
}
