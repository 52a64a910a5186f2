//! Certificates and their private keys (rows O1, O2).

use std::sync::Arc;

use rustls::crypto::KeyProvider;
use rustls::server::ClientHello;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{CipherSuite, Error as TlsError, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::CertificateDer;

use super::keys::PrivateKey;
use super::pkcs12::{self, Pfx};
use super::secret::SecretFile;
use super::sigalgs::Restricted;
use super::{keys, pem};
use crate::certificate::X509;
use crate::error::{Error, ErrorCode};

/// All certificates of a context, each with its chain and its key. Chooses the one that suits the peer.
#[derive(Debug, Default)]
pub(crate) struct Identities(Vec<Arc<CertifiedKey>>);

impl Identities {
    /// Reads certificates and keys, and puts together what belongs together. `certs` and `key_files` are files in PEM or DER,
    /// `pfxs` are PKCS#12.
    ///
    /// Gives also the certificates of authorities that the PKCS#12 files hold.
    pub(super) fn new(
        certs: &[Vec<u8>],
        key_files: &[SecretFile],
        pfxs: &[SecretFile],
        provider: &'static dyn KeyProvider,
    ) -> Result<(Self, Vec<CertificateDer<'static>>), Vec<Error>> {
        let mut errors = Vec::new();
        let chains: Vec<_> = read_all(certs, |file| pem::certificates(file).map_err(|error| vec![error]), &mut errors);
        let keys: Vec<_> = read_all(key_files, keys::private_keys, &mut errors).into_iter().flatten().collect();
        let pfxs: Vec<_> = read_all(pfxs, |file| pkcs12::read(file).map_err(|error| vec![error]), &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }

        let others = match pair_up(chains, keys, provider) {
            (identities, wrong) if wrong.is_empty() => identities,
            (_, wrong) => return Err(wrong),
        };
        // In Node, a PKCS#12 file takes the place of a certificate with the same kind of key.
        let (mut identities, mut authorities) = (Vec::new(), Vec::new());
        let count = pfxs.len();
        for (Pfx { keys, certificates }, number) in pfxs.into_iter().zip(1..) {
            let wrong = match chains_of(certificates, &keys, provider) {
                Ok((chains, more)) => {
                    let (more_identities, wrong) = pair_up(chains, keys, provider);
                    identities.extend(more_identities);
                    authorities.extend(more);
                    wrong
                }
                Err(wrong) => wrong,
            };
            errors.extend(wrong.into_iter().map(|mut error| {
                error.message = format!("PKCS#12 file {number} of {count}: {}", error.message);
                error
            }));
        }
        identities.extend(others);
        if errors.is_empty() { Ok((Self(identities), authorities)) } else { Err(errors) }
    }

    /// The same, which only sign by these schemes, and prefer them in this order (row O7).
    pub(super) fn restricted_to(self, schemes: Vec<SignatureScheme>) -> Self {
        let schemes: Arc<[_]> = schemes.into();
        let restricted = |identity: &Arc<CertifiedKey>| {
            let key = Restricted { key: identity.key.clone(), schemes: schemes.clone() };
            Arc::new(CertifiedKey::new(identity.cert.clone(), Arc::new(key)))
        };
        Self(self.0.iter().map(restricted).collect())
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the keys can sign by one of these schemes.
    pub(crate) fn can_sign(&self, schemes: &[SignatureScheme]) -> bool {
        self.choose(schemes, None).is_some()
    }

    /// What a server shows to this client.
    pub(crate) fn resolve_for_client(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.for_client(hello.signature_schemes(), hello.cipher_suites()).cloned()
    }

    /// The one that a server shows to a client with these schemes and suites (row O2).
    fn for_client(&self, schemes: &[SignatureScheme], suites: &[CipherSuite]) -> Option<&Arc<CertifiedKey>> {
        // Where none suits, the first goes on to the check that says what is not in common.
        self.choose(schemes, Some(suites)).or(self.0.first())
    }

    /// What a client shows to a server that knows these schemes.
    pub(crate) fn resolve_for_server(&self, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.choose(schemes, None).cloned()
    }

    /// The first that suits the peer's signature schemes and suites.
    fn choose(&self, schemes: &[SignatureScheme], suites: Option<&[CipherSuite]>) -> Option<&Arc<CertifiedKey>> {
        self.0.iter().find(|identity| {
            identity.key.choose_scheme(schemes).is_some()
                && suites.is_none_or(|suites| suites.iter().any(|suite| suits(*suite, identity.key.algorithm())))
        })
    }
}

/// Certificates, the leaf first where there is one.
type Chain = Vec<CertificateDer<'static>>;

/// Reads each file by `read`, and notes what is wrong with it under the number of the file.
fn read_all<F, T>(files: &[F], read: fn(&F) -> Result<T, Vec<Error>>, errors: &mut Vec<Error>) -> Vec<T> {
    let count = files.len();
    files
        .iter()
        .zip(1..)
        .filter_map(|(file, number)| match read(file) {
            Ok(value) => Some(value),
            Err(wrong) => {
                errors.extend(wrong.into_iter().map(|mut error| {
                    if count > 1 {
                        error.message = format!("File {number} of {count}: {}", error.message);
                    }
                    error
                }));
                None
            }
        })
        .collect()
}

/// Sorts the certificates of a PKCS#12 file: a chain for each that has one of the keys, and the authorities, which sign
/// themselves. Those that lead nowhere are left out.
fn chains_of(
    certificates: Vec<CertificateDer<'static>>,
    keys: &[PrivateKey],
    provider: &'static dyn KeyProvider,
) -> Result<(Vec<Chain>, Chain), Vec<Error>> {
    let names: Vec<_> = certificates
        .iter()
        .zip(1..)
        .map(|(certificate, number)| {
            let certificate = X509::new(certificate).ok_or_else(|| {
                Error::new(
                    ErrorCode::ErrTlsInvalidCertificate,
                    format!("Certificate {number} of the file is not a readable X.509 certificate."),
                )
            })?;
            Ok((certificate.subject.to_vec(), certificate.issuer.to_vec()))
        })
        .collect::<Vec<Result<_, Error>>>();
    let errors: Vec<_> = names.iter().filter_map(|name| name.clone().err()).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let names: Vec<_> = names.into_iter().flatten().collect();

    // What is wrong with a key is told when it is put together with its chain.
    let signers: Vec<_> = keys.iter().filter_map(|key| provider.load_private_key(key.clone_key()).ok()).collect();
    let is_leaf = |certificate: &CertificateDer<'static>| signers.iter().any(|signer| has_key(certificate, &**signer));
    let (leaves, others): (Vec<_>, Vec<_>) = (0..certificates.len()).partition(|at| is_leaf(&certificates[*at]));
    let signs_itself = |at: &usize| names[*at].0 == names[*at].1;
    let (authorities, intermediates): (Vec<_>, Vec<_>) = others.into_iter().partition(signs_itself);
    let chain = |leaf: usize| {
        let (mut chain, mut left) = (vec![leaf], intermediates.clone());
        let issuer_of = |at: usize, left: &[usize]| left.iter().position(|above| names[*above].0 == names[at].1);
        while let Some(above) = chain.last().and_then(|at| issuer_of(*at, &left)) {
            chain.push(left.remove(above));
        }
        chain.into_iter().map(|at| certificates[at].clone()).collect()
    };
    let chains = match leaves.is_empty() {
        // Whichever: none has the key, which is told with its number.
        true => vec![certificates.clone()],
        false => leaves.into_iter().map(chain).collect(),
    };
    Ok((chains, authorities.into_iter().map(|at| certificates[at].clone()).collect()))
}

/// Gives each chain the key that its leaf was made for.
fn pair_up(
    chains: Vec<Chain>,
    keys: Vec<PrivateKey>,
    provider: &'static dyn KeyProvider,
) -> (Vec<Arc<CertifiedKey>>, Vec<Error>) {
    let mut errors = Vec::new();
    let mut signers = Vec::new();
    for (key, number) in keys.into_iter().zip(1..) {
        match provider.load_private_key(key.clone_key()) {
            Ok(signer) => signers.push((number, signer, false)),
            Err(error) => {
                // The provider says why in words; other errors it has none.
                let why = match &error {
                    TlsError::General(why) => why.as_str(),
                    _ => "it is not readable",
                };
                errors.push(Error::new(ErrorCode::ErrTlsInvalidKey, format!("Private key {number}: {why}.")));
            }
        }
    }
    if !errors.is_empty() {
        return (Vec::new(), errors);
    }

    let mut identities = Vec::new();
    for (chain, number) in chains.into_iter().zip(1..) {
        let mut matching = None;
        for (_, signer, used) in &mut signers {
            if chain.first().is_some_and(|leaf| has_key(leaf, &**signer)) {
                // A key may be given again for each of its certificates.
                *used = true;
                matching.get_or_insert_with(|| signer.clone());
            }
        }
        match matching {
            Some(signer) => identities.push(Arc::new(CertifiedKey::new(chain, signer))),
            None => errors.push(mismatch(match signers.len() {
                0 => format!("Certificate {number} has no private key: no key was given."),
                1 => format!("Certificate {number} has no private key: the key given has another public key."),
                count => {
                    format!("Certificate {number} has no private key: none of the {count} given has its public key.")
                }
            })),
        }
    }
    // A wrong pair is one mistake: it is told once, by its certificate.
    if errors.is_empty() {
        errors.extend(
            signers.into_iter().filter(|(_, _, used)| !used).map(|(number, ..)| {
                mismatch(format!("Private key {number} belongs to none of the certificates given."))
            }),
        );
    }
    (identities, errors)
}

/// Whether a certificate was made for this key. webpki, which rustls would ask, reads no certificate of version 1 and none above
/// 64 KiB; who sends one of these may have peers that do.
fn has_key(certificate: &CertificateDer<'_>, signer: &dyn SigningKey) -> bool {
    let certified = X509::new(certificate).map(|x509| x509.spki.to_vec());
    signer.public_key().is_some_and(|own| certified.is_some_and(|certified| own.as_ref() == certified))
}

fn mismatch(message: String) -> Error {
    Error::new(ErrorCode::ErrOsslX509KeyValuesMismatch, message)
}

/// Whether a key of this algorithm can serve the suite. A suite of TLS 1.3 suits every key.
fn suits(suite: CipherSuite, algorithm: SignatureAlgorithm) -> bool {
    use CipherSuite as Suite;
    match suite {
        Suite::TLS13_AES_128_GCM_SHA256 | Suite::TLS13_AES_256_GCM_SHA384 | Suite::TLS13_CHACHA20_POLY1305_SHA256 => {
            true
        }
        Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        | Suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
        | Suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => algorithm == SignatureAlgorithm::RSA,
        Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | Suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
        | Suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => algorithm != SignatureAlgorithm::RSA,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rustls::{CipherSuite as Suite, SignatureScheme as Scheme};

    use super::*;
    use crate::certificate::der;

    const CERTS: [&[u8]; 3] = [fixture!("rsa.cert.pem"), fixture!("ed25519.cert.pem"), fixture!("p256.cert.pem")];
    /// In another order than the certificates.
    const KEYS: [&[u8]; 3] = [fixture!("p256.pem"), fixture!("rsa.pkcs1.pem"), fixture!("ed25519.pem")];
    const TLS13: Suite = Suite::TLS13_AES_128_GCM_SHA256;

    #[test]
    fn the_identity_is_the_first_that_suits_the_client() {
        let identities = three();
        type Row = (&'static str, &'static [Scheme], &'static [Suite], usize);
        #[rustfmt::skip]
        let rows: [Row; 8] = [
            ("all", &[Scheme::ECDSA_NISTP256_SHA256, Scheme::ED25519, Scheme::RSA_PSS_SHA256], &[TLS13], 0),
            ("RSA", &[Scheme::RSA_PKCS1_SHA256], &[TLS13], 0),
            ("Ed25519", &[Scheme::ED25519], &[TLS13], 1),
            ("ECDSA", &[Scheme::ECDSA_NISTP256_SHA256], &[TLS13], 2),
            ("all, and a suite for RSA", &[Scheme::ECDSA_NISTP256_SHA256, Scheme::RSA_PSS_SHA256], &[Suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], 0),
            ("all, and a suite for ECDSA", &[Scheme::ECDSA_NISTP256_SHA256, Scheme::RSA_PSS_SHA256], &[Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256], 2),
            ("Ed25519, and a suite for ECDSA", &[Scheme::ED25519], &[Suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256], 1),
            ("none of ours, so the first", &[Scheme::ED448], &[TLS13], 0),
        ];
        for (what, schemes, suites, expected) in rows {
            assert_eq!(leaf(identities.for_client(schemes, suites)), Some(certificate(expected)), "{what}");
            let signs = what != "none of ours, so the first";
            assert_eq!(identities.can_sign(schemes), signs, "{what}");
        }
    }

    #[test]
    fn a_key_serves_several_certificates_and_may_be_given_with_each() {
        let key = || SecretFile::from(KEYS[0].to_vec());
        for keys in [vec![key()], vec![key(), key()]] {
            let (identities, _) = Identities::new(&[CERTS[2].to_vec(), CERTS[2].to_vec()], &keys, &[], key_provider())
                .unwrap_or_else(|errors| panic!("{} keys: {errors:?}", keys.len()));
            assert_eq!(identities.0.len(), 2, "{} keys", keys.len());
        }
    }

    #[test]
    fn schemes_restrict_and_order_what_keys_sign_with() {
        let all = [Scheme::RSA_PSS_SHA256, Scheme::RSA_PKCS1_SHA512, Scheme::ED25519, Scheme::ECDSA_NISTP256_SHA256];
        let identities = three().restricted_to(vec![Scheme::RSA_PKCS1_SHA512, Scheme::RSA_PSS_SHA256]);
        let rsa = identities.for_client(&all, &[TLS13]).expect("there are three");
        let scheme = |schemes: &[Scheme]| rsa.key.choose_scheme(schemes).map(|signer| signer.scheme());
        assert_eq!(scheme(&all), Some(Scheme::RSA_PKCS1_SHA512));
        assert_eq!(scheme(&[Scheme::RSA_PSS_SHA256]), Some(Scheme::RSA_PSS_SHA256));
        assert_eq!(scheme(&[Scheme::RSA_PSS_SHA512]), None);
        assert!(!identities.can_sign(&[Scheme::ED25519, Scheme::ECDSA_NISTP256_SHA256]));
    }

    #[test]
    fn a_pfx_gives_an_identity_and_its_authorities() {
        let word = "Grüße".as_bytes().to_vec();
        let file = |file: &[u8]| SecretFile { file: file.to_vec().into(), passphrase: Some(word.clone().into()) };
        let pfxs = [file(fixture!("modern.p12")), file(fixture!("sha512.p12"))];
        let (identities, authorities) = Identities::new(&[], &[], &pfxs, key_provider()).expect("both are good");
        let ecdsa = identities.for_client(&[Scheme::ECDSA_NISTP256_SHA256], &[TLS13]);
        assert_eq!(leaf(ecdsa), Some(certificate(2)));
        assert_eq!(ecdsa.map(|identity| identity.cert.len()), Some(1), "the authority is not sent");
        assert_eq!(leaf(identities.for_client(&[Scheme::RSA_PSS_SHA256], &[TLS13])), Some(certificate(0)));
        assert_eq!(authorities, pem::certificates(fixture!("ca.pem")).expect("it is one"));
    }

    #[test]
    fn each_certificate_has_its_key_also_where_a_key_is_there_for_several() {
        let certs = |list: &[&[u8]]| list.iter().map(|file| file.to_vec()).collect::<Vec<_>>();
        let keys = |list: &[&[u8]]| list.iter().map(|file| SecretFile::from(file.to_vec())).collect::<Vec<_>>();
        let [rsa, ed25519, p256] = CERTS;
        let [p256_key, rsa_key, _] = KEYS;
        let old: &[u8] = fixture!("p256.v1.cert.pem");
        type Row<'a> = (&'a str, &'a [&'a [u8]], &'a [&'a [u8]], Result<usize, &'a str>);
        #[rustfmt::skip]
        let rows: [Row<'_>; 8] = [
            ("one key for two certificates", &[p256, old], &[p256_key], Ok(2)),
            ("the same key for each of two", &[p256, old], &[p256_key, p256_key], Ok(2)),
            ("the same key twice for one", &[p256], &[p256_key, p256_key], Ok(1)),
            ("a certificate of version 1", &[old], &[p256_key], Ok(1)),
            ("a key without a certificate", &[p256], &[p256_key, rsa_key], Err("Private key 2 belongs to none")),
            ("a certificate without a key", &[p256, rsa], &[p256_key], Err("Certificate 2 has no private key: the key given has another")),
            ("no key at all", &[p256], &[], Err("Certificate 1 has no private key: no key was given.")),
            ("others' keys", &[ed25519], &[p256_key, rsa_key], Err("Certificate 1 has no private key: none of the 2 given")),
        ];
        for (what, list, key_files, expected) in rows {
            match (Identities::new(&certs(list), &keys(key_files), &[], key_provider()), expected) {
                (Ok((identities, _)), Ok(count)) => assert_eq!(identities.0.len(), count, "{what}"),
                (Err(errors), Err(text)) => assert!(errors[0].message.contains(text), "{what}: {errors:?}"),
                (found, _) => panic!("{what}: {:?}", found.map(|(identities, _)| identities.0.len())),
            }
        }
    }

    /// What stands in a certificate is no matter of its key: one of 70,000 bytes more has it too. webpki reads none above 64 KiB.
    #[test]
    fn a_certificate_above_64_kib_has_its_key() {
        let leaf = certificate(2);
        let x509 = X509::new(&leaf).expect("it is one");
        let element = |tag: u8, content: &[u8]| {
            let octets = content.len().to_be_bytes();
            let octets = &octets[octets.iter().take_while(|octet| **octet == 0).count()..];
            match content.len() {
                short @ ..=0x7f => [&[tag, short as u8], content].concat(),
                _ => [&[tag, 0x80 | octets.len() as u8], octets, content].concat(),
            }
        };
        let comment = element(0x30, &[&[0x06, 3, 0x55, 0x1d, 0x63][..], &element(0x04, &vec![b'x'; 70_000])].concat());
        // All fields up to the key, and then the extension; the signature is wrong then, which nobody asks who sends it.
        let end = x509.spki.as_ptr() as usize + x509.spki.len() - x509.tbs.as_ptr() as usize;
        let fields = &x509.tbs[x509.tbs.len() - der::only(x509.tbs, der::SEQUENCE).expect("it is one").len()..end];
        let tbs = element(0x30, &[fields, &element(0xa3, &element(0x30, &comment))].concat());
        let signature = element(0x03, &[&[0], x509.signature].concat());
        let big = element(0x30, &[&tbs[..], &element(0x30, x509.signature_algorithm), &signature].concat());
        let keys = [SecretFile::from(KEYS[0].to_vec())];
        let (identities, _) =
            Identities::new(std::slice::from_ref(&big), &keys, &[], key_provider()).expect("it has its key");
        assert!(big.len() > 1 << 16 && identities.0.len() == 1);
    }

    #[test]
    fn a_pfx_stands_beside_certificates_and_comes_before_them() {
        let word = "Grüße".as_bytes().to_vec();
        let pfx = SecretFile { file: fixture!("modern.p12").to_vec().into(), passphrase: Some(word.into()) };
        let (certs, keys) = ([CERTS[0].to_vec(), fixture!("p256.v1.cert.pem").to_vec()], [KEYS[1], KEYS[0]]);
        let keys = keys.map(|key| SecretFile::from(key.to_vec()));
        let (identities, authorities) = Identities::new(&certs, &keys, &[pfx], key_provider()).expect("all are good");
        assert_eq!((identities.0.len(), authorities.len()), (3, 1));
        let ecdsa = identities.for_client(&[Scheme::ECDSA_NISTP256_SHA256], &[TLS13]);
        assert_eq!(leaf(ecdsa), Some(certificate(2)), "the one of the PKCS#12 file");
        assert_eq!(leaf(identities.for_client(&[Scheme::RSA_PSS_SHA256], &[TLS13])), Some(certificate(0)));
    }

    fn three() -> Identities {
        let keys = KEYS.map(|key| SecretFile::from(key.to_vec()));
        let certs = CERTS.map(<[u8]>::to_vec);
        Identities::new(&certs, &keys, &[], key_provider()).expect("all belong together").0
    }

    fn key_provider() -> &'static dyn KeyProvider {
        crate::provider::crypto_provider().key_provider
    }

    fn leaf(identity: Option<&Arc<CertifiedKey>>) -> Option<CertificateDer<'static>> {
        identity?.cert.first().cloned()
    }

    fn certificate(number: usize) -> CertificateDer<'static> {
        pem::certificates(CERTS[number]).expect("it is one").remove(0)
    }
}
