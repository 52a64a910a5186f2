//! Record protection of TLS 1.2 (RFC 5246 section 6.2.3.3), once for all AEADs: AES-GCM as in RFC 5288 and
//! ChaCha20-Poly1305 as in RFC 7905. The two differ only in how much of the nonce the record carries.

use core::marker::PhantomData;

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter, MessageEncrypter,
    NONCE_LEN, Nonce, OutboundChunks, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls12AeadAlgorithm,
    UnsupportedOperationError, make_tls12_aad,
};
use rustls::{ConnectionTrafficSecrets, Error};

use super::aead::{Aead, RecordKey, TAG_LEN};
use super::observer;

/// The record protection of the TLS 1.2 suites with the AEAD `A`.
pub(super) struct Tls12Aead<A>(PhantomData<fn() -> A>);

impl<A> Tls12Aead<A> {
    /// There is nothing to configure.
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<A: Aead> Tls12AeadAlgorithm for Tls12Aead<A> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(Protection::<A>::new(&key, iv, extra))
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        // The explicit part comes with each record.
        Box::new(Protection::<A>::new(&key, iv, &[]))
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape {
            enc_key_len: A::KEY_LEN,
            fixed_iv_len: NONCE_LEN - A::EXPLICIT_NONCE_LEN,
            explicit_nonce_len: A::EXPLICIT_NONCE_LEN,
        }
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok(A::secrets(key, Iv::from(nonce(iv, explicit))))
    }
}

/// One direction of one connection.
struct Protection<A> {
    key: RecordKey<A>,
    /// The nonce of record zero. The explicit part of AES-GCM starts at a value from the key block and is XORed with
    /// the sequence number, as TLS 1.3 does with the whole nonce: RFC 5288 asks only that it never repeats.
    iv: Iv,
}

impl<A: Aead> Protection<A> {
    fn new(key: &AeadKey, fixed: &[u8], explicit: &[u8]) -> Self {
        Self { key: RecordKey::new(key.as_ref()), iv: Iv::from(nonce(fixed, explicit)) }
    }

    fn overhead() -> usize {
        A::EXPLICIT_NONCE_LEN + TAG_LEN
    }
}

impl<A: Aead> MessageEncrypter for Protection<A> {
    fn encrypt(&mut self, msg: OutboundPlainMessage<'_>, seq: u64) -> Result<OutboundOpaqueMessage, Error> {
        let rewritten = observer::sent(msg.typ, &msg.payload);
        let payload = rewritten.as_deref().map_or(msg.payload, OutboundChunks::Single);
        let nonce = Nonce::new(&self.iv, seq);
        let aad = make_tls12_aad(seq, msg.typ, msg.version, payload.len());
        let mut record = PrefixedPayload::with_capacity(self.encrypted_payload_len(payload.len()));
        record.extend_from_slice(&nonce.0[NONCE_LEN - A::EXPLICIT_NONCE_LEN..]);
        record.extend_from_chunks(&payload);
        self.key.seal(&nonce, &aad, &mut record, A::EXPLICIT_NONCE_LEN);
        Ok(OutboundOpaqueMessage::new(msg.typ, msg.version, record))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len + Self::overhead()
    }
}

impl<A: Aead> MessageDecrypter for Protection<A> {
    fn decrypt<'a>(&mut self, mut msg: InboundOpaqueMessage<'a>, seq: u64) -> Result<InboundPlainMessage<'a>, Error> {
        let len = msg.payload.len().checked_sub(Self::overhead()).ok_or(Error::DecryptError)?;
        let aad = make_tls12_aad(seq, msg.typ, msg.version, len);
        let (explicit, sealed) = msg.payload.split_at_mut(A::EXPLICIT_NONCE_LEN);
        let nonce = match explicit {
            [] => Nonce::new(&self.iv, seq),
            explicit => Nonce(nonce(&self.iv.as_ref()[..NONCE_LEN - explicit.len()], explicit)),
        };
        self.key.open(&nonce, &aad, sealed)?;
        // RFC 5246 section 6.2.1.
        if len > MAX_FRAGMENT_LEN {
            return Err(Error::PeerSentOversizedRecord);
        }
        let start = A::EXPLICIT_NONCE_LEN;
        let plain = msg.into_plain_message_range(start..start + len);
        observer::received(plain.typ, plain.payload);
        Ok(plain)
    }
}

/// `fixed` and `explicit` in a row; what is missing at the end stays zero.
fn nonce(fixed: &[u8], explicit: &[u8]) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    for (to, from) in nonce.iter_mut().zip(fixed.iter().chain(explicit)) {
        *to = *from;
    }
    nonce
}

/// The longest content of a record: 2^14 bytes.
const MAX_FRAGMENT_LEN: usize = 1 << 14;
