//! Record protection of TLS 1.3 (RFC 8446 section 5.2), once for all AEADs.

use core::marker::PhantomData;

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter, Nonce, OutboundChunks,
    OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm, UnsupportedOperationError,
    make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, PeerMisbehaved, ProtocolVersion};

use super::aead::{Aead, RecordKey, TAG_LEN};
use super::observer;

/// The record protection of the TLS 1.3 suites with the AEAD `A`.
pub(super) struct Tls13Aead<A>(PhantomData<fn() -> A>);

impl<A> Tls13Aead<A> {
    /// There is nothing to configure.
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<A: Aead> Tls13AeadAlgorithm for Tls13Aead<A> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Protection::<A>::new(&key, iv))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        observer::read_keys();
        Box::new(Protection::<A>::new(&key, iv))
    }

    fn key_len(&self) -> usize {
        A::KEY_LEN
    }

    fn extract_keys(&self, key: AeadKey, iv: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok(A::secrets(key, iv))
    }
}

/// One direction of one connection.
struct Protection<A> {
    key: RecordKey<A>,
    iv: Iv,
}

impl<A: Aead> Protection<A> {
    fn new(key: &AeadKey, iv: Iv) -> Self {
        Self { key: RecordKey::new(key.as_ref()), iv }
    }
}

impl<A: Aead> MessageEncrypter for Protection<A> {
    fn encrypt(&mut self, msg: OutboundPlainMessage<'_>, seq: u64) -> Result<OutboundOpaqueMessage, Error> {
        let rewritten = observer::sent(msg.typ, &msg.payload);
        let payload = rewritten.as_deref().map_or(msg.payload, OutboundChunks::Single);
        let len = self.encrypted_payload_len(payload.len());
        // TLSInnerPlaintext: the content, then its type. We add no padding.
        let mut record = PrefixedPayload::with_capacity(len);
        record.extend_from_chunks(&payload);
        record.extend_from_slice(&msg.typ.to_array());
        self.key.seal(&Nonce::new(&self.iv, seq), &make_tls13_aad(len), &mut record, 0);
        // The outside of every protected record says the same: application data of TLS 1.2.
        Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, ProtocolVersion::TLSv1_2, record))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len + CONTENT_TYPE_LEN + TAG_LEN
    }
}

impl<A: Aead> MessageDecrypter for Protection<A> {
    fn decrypt<'a>(&mut self, mut msg: InboundOpaqueMessage<'a>, seq: u64) -> Result<InboundPlainMessage<'a>, Error> {
        // Both are fixed (RFC 8446 section 5.2): a peer that chose them would choose as what its ciphertext is taken. Of what the
        // caller can be told, this is the one for which it sends `unexpected_message`.
        if (msg.typ, msg.version) != (ContentType::ApplicationData, ProtocolVersion::TLSv1_2) {
            return Err(PeerMisbehaved::IllegalMiddleboxChangeCipherSpec.into());
        }
        let aad = make_tls13_aad(msg.payload.len());
        let len = self.key.open(&Nonce::new(&self.iv, seq), &aad, &mut msg.payload)?;
        msg.payload.truncate(len);
        // Takes type and padding off, and answers a content above 2^14 bytes with `PeerSentOversizedRecord`.
        let plain = msg.into_tls13_unpadded_message()?;
        observer::received(plain.typ, plain.payload);
        Ok(plain)
    }
}

/// `TLSInnerPlaintext.type`.
const CONTENT_TYPE_LEN: usize = 1;
