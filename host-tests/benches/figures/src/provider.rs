//! Primitives, by the traits that rustls uses them by: hashes, key exchanges, signatures.

use std::hint::black_box;

use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{CipherSuite, NamedGroup, SignatureScheme, SupportedCipherSuite};
use spki::SubjectPublicKeyInfoRef;
use spki::der::Decode as _;

use crate::{Figures, MESSAGE, fixtures, names};

impl Figures {
    /// All of this provider but its AEADs, whose traits would measure buffers as well.
    pub fn provider(&mut self, provider: &CryptoProvider) {
        self.hashes(provider);
        self.exchanges(provider);
        self.signatures(provider);
    }

    fn hashes(&mut self, provider: &CryptoProvider) {
        for (name, suite) in [
            (names::SHA_256, CipherSuite::TLS13_AES_128_GCM_SHA256),
            (names::SHA_384, CipherSuite::TLS13_AES_256_GCM_SHA384),
        ] {
            let suite = provider.cipher_suites.iter().find(|known| known.suite() == suite);
            let suite = suite.and_then(SupportedCipherSuite::tls13).expect("every provider has the suite");
            let hash = suite.common.hash_provider;
            self.bytes(name, TEXT.len(), move || hash.hash(black_box(&TEXT)));
        }
    }

    fn exchanges(&mut self, provider: &CryptoProvider) {
        for (name, group) in [
            (names::X25519_EXCHANGE, NamedGroup::X25519),
            (names::P256_EXCHANGE, NamedGroup::secp256r1),
            (names::HYBRID_EXCHANGE, NamedGroup::X25519MLKEM768),
        ] {
            let Some(group) = provider.kx_groups.iter().copied().find(|known| known.name() == group) else { continue };
            self.operation(name, move || exchange(group));
        }
    }

    fn signatures(&mut self, provider: &CryptoProvider) {
        for (sign, verify, scheme, key) in [
            (names::P256_SIGN, names::P256_VERIFY, SignatureScheme::ECDSA_NISTP256_SHA256, fixtures::P256_KEY),
            (names::P384_SIGN, names::P384_VERIFY, SignatureScheme::ECDSA_NISTP384_SHA384, fixtures::P384_KEY),
            (names::ED25519_SIGN, names::ED25519_VERIFY, SignatureScheme::ED25519, fixtures::ED25519_KEY),
            (names::RSA_SIGN, names::RSA_VERIFY, SignatureScheme::RSA_PSS_SHA256, fixtures::RSA_KEY),
        ] {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
            let key = provider.key_provider.load_private_key(key).expect("the key is in order");
            let signer = key.choose_scheme(&[scheme]).expect("the key is for this scheme");
            let signature = signer.sign(MESSAGE).expect("the key is in order");
            self.operation(sign, move || signer.sign(black_box(MESSAGE)));

            let spki = key.public_key().expect("the provider knows the public key");
            let spki = SubjectPublicKeyInfoRef::from_der(&spki).expect("the provider encodes it right");
            let public = spki.subject_public_key.raw_bytes().to_vec();
            let all = provider.signature_verification_algorithms.mapping;
            let (_, algorithms) =
                all.iter().find(|(known, _)| *known == scheme).expect("every provider has the scheme");
            let algorithm = algorithms[0];
            self.operation(verify, move || {
                algorithm.verify_signature(&public, black_box(MESSAGE), &signature).expect("the signature is right");
            });
        }
    }
}

/// A whole exchange: two key pairs and the secret, twice; for a KEM a key pair, an encapsulation and a decapsulation.
fn exchange(group: &'static dyn SupportedKxGroup) {
    let client = group.start().expect("there is randomness");
    let server = group.start_and_complete(client.pub_key()).expect("the share is right");
    let secret = client.complete(&server.pub_key).expect("the share is right");
    assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
}

const TEXT: [u8; 16 << 10] = [7; 16 << 10];
