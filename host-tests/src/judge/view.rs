//! What an end says of its connection, property by property, in the names and the forms that Node gives them.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::exchange::hex;
use crate::peers::component::{code_name, protocol_name};
use crate::tls::{Certificate, Cipher, EphemeralKeyInfo, NameAttribute, Pair, Tls};

/// Every property of the component that is compared, by the name that `peers/node-judge.mjs` gives the same one.
pub async fn look(tls: &mut Tls, pair: Pair) -> Result<Value> {
    let chain = pair.peer_certificate_chain(tls).await?;
    let mut fragments = Vec::new();
    for size in [511, 512, 16384, 16385] {
        fragments.push(pair.set_max_send_fragment(tls, size).await?);
    }
    Ok(json!({
        "error": pair.error(tls).await?.map(|error| code_name(error.code)),
        "authorized": pair.authorized(tls).await?,
        "authorizationError": pair.authorization_error(tls).await?.map(|error| code_name(error.code)),
        "encrypted": pair.encrypted(tls).await?,
        "servername": pair.servername(tls).await?,
        "alpnProtocol": pair.alpn_protocol(tls).await?.map(|name| String::from_utf8_lossy(&name).into_owned()),
        "cipher": pair.cipher(tls).await?.map(cipher),
        "protocol": pair.protocol(tls).await?.map(protocol_name),
        "ephemeralKeyInfo": pair.ephemeral_key_info(tls).await?.map(key_info),
        "certificate": pair.certificates(tls).await?.first().map(certificate),
        "peerCertificate": pair.peer_certificates(tls).await?.first().map(certificate),
        "peerCertificateChain": chain.iter().map(|certificate| &certificate.fingerprint256).collect::<Vec<_>>(),
        "isSessionReused": pair.is_session_reused(tls).await?,
        "hasTicket": pair.tls_ticket(tls).await?.is_some(),
        "finished": pair.finished(tls).await?.map(|bytes| hex(&bytes)),
        "peerFinished": pair.peer_finished(tls).await?.map(|bytes| hex(&bytes)),
        "sharedSigalgs": pair.shared_sigalgs(tls).await?,
        "setMaxSendFragment": fragments,
        "exporter": exported(tls, pair, 32, None).await?,
        "exporterWithContext": exported(tls, pair, 48, Some(b"context")).await?,
    }))
}

/// Properties that both ends must have the same, in every connection another: the one end's, and the other's.
pub const SECRETS: [(&str, &str); 3] =
    [("exporter", "exporter"), ("exporterWithContext", "exporterWithContext"), ("finished", "peerFinished")];

/// A view as lines: the path of a property, as in `cipher.name`, and its value. Secrets are as good as any others of their
/// length.
pub fn lines(view: &Value) -> BTreeMap<String, Value> {
    let mut lines = BTreeMap::new();
    for (name, value) in view.as_object().into_iter().flatten() {
        let is_secret = SECRETS.iter().any(|(one, other)| name == one || name == other);
        match value.as_str().filter(|_| is_secret) {
            Some(secret) => drop(lines.insert(name.clone(), json!(format!("{} digits", secret.len())))),
            None => flatten(name, value, &mut lines),
        }
    }
    lines
}

fn flatten(path: &str, value: &Value, lines: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| flatten(&format!("{path}.{name}"), value, lines))
        }
        value => drop(lines.insert(path.to_string(), value.clone())),
    }
}

fn cipher(cipher: Cipher) -> Value {
    json!({ "name": cipher.name, "standardName": cipher.standard_name, "version": protocol_name(cipher.version) })
}

fn key_info(info: EphemeralKeyInfo) -> Value {
    json!({ "type": info.kind, "name": info.name, "size": info.size })
}

/// A certificate in the object that Node makes of it.
pub fn certificate(certificate: &Certificate) -> Value {
    let access = certificate.info_access.as_ref().map(|all| {
        let entries = all.iter().map(|one| (one.method.clone(), json!(one.values)));
        entries.collect::<Map<_, _>>()
    });
    json!({
        "subject": name(&certificate.subject),
        "issuer": name(&certificate.issuer),
        "subjectaltname": certificate.subjectaltname,
        "infoAccess": access,
        "ca": certificate.ca,
        "modulus": certificate.modulus,
        "bits": certificate.bits,
        "exponent": certificate.exponent,
        "pubkey": certificate.pubkey.as_ref().map(|key| hex(key)),
        "asn1Curve": certificate.asn1_curve,
        "nistCurve": certificate.nist_curve,
        "valid_from": certificate.valid_from,
        "valid_to": certificate.valid_to,
        "fingerprint": certificate.fingerprint,
        "fingerprint256": certificate.fingerprint256,
        "fingerprint512": certificate.fingerprint512,
        "ext_key_usage": certificate.ext_key_usage,
        "serialNumber": certificate.serial_number,
        "raw": hex(&certificate.raw),
    })
}

/// A name in the object that Node makes of it: an attribute that comes several times has a list of values.
fn name(attributes: &[NameAttribute]) -> Value {
    let mut object = Map::new();
    for attribute in attributes {
        let value = json!(attribute.value);
        match object.get_mut(&attribute.name) {
            None => drop(object.insert(attribute.name.clone(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(one) => *one = json!([one.take(), value]),
        }
    }
    Value::Object(object)
}

async fn exported(tls: &mut Tls, pair: Pair, length: u32, context: Option<&[u8]>) -> Result<Option<String>> {
    let exported = pair.export_keying_material(tls, length, b"EXPORTER-guest-tls-judge", context).await?;
    Ok(exported.ok().map(|bytes| hex(&bytes)))
}
