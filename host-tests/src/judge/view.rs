//! What an end says of its connection, property by property, in the names and the forms that Node gives them.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::exchange::hex;
use crate::peers::component::{code_name, protocol_name};
use crate::tls::{Certificate, Cipher, EphemeralKeyInfo, NameAttribute, Pair, Tls};

/// Every property of the component that is compared, by the name that `peers/node-judge.mjs` gives the same one.
pub async fn look(tls: &mut Tls, pair: Pair) -> Result<Value> {
    let certificates = pair.peer_certificates(tls).await?;
    Ok(json!({
        "error": pair.error(tls).await?.map(|error| code_name(error.code)),
        "authorized": pair.authorized(tls).await?,
        "authorizationError": pair.authorization_error(tls).await?.map(|error| code_name(error.code)),
        // That it is so, the recorded bytes show.
        "encrypted": true,
        "servername": pair.servername(tls).await?,
        "alpnProtocol": pair.alpn_protocol(tls).await?.map(|name| String::from_utf8_lossy(&name).into_owned()),
        "cipher": pair.cipher(tls).await?.map(cipher),
        "protocol": pair.protocol(tls).await?.map(protocol_name),
        "ephemeralKeyInfo": pair.ephemeral_key_info(tls).await?.map(key_info),
        "peerCertificate": certificates.first().map(certificate),
        "peerCertificateChain": certificates.iter().map(|certificate| &certificate.fingerprint256).collect::<Vec<_>>(),
        "exporter": exported(tls, pair, 32, None).await?,
        "exporterWithContext": exported(tls, pair, 48, Some(b"context")).await?,
    }))
}

/// Properties that both ends must have the same, in every connection another: the one end's, and the other's.
pub const SECRETS: [(&str, &str); 2] = [("exporter", "exporter"), ("exporterWithContext", "exporterWithContext")];

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

fn certificate(certificate: &Certificate) -> Value {
    let name = |attributes: &[NameAttribute]| {
        let mut object = Map::new();
        for attribute in attributes {
            // An attribute that comes twice is a list.
            let value = json!(attribute.value);
            match object.get_mut(&attribute.name) {
                None => drop(object.insert(attribute.name.clone(), value)),
                Some(Value::Array(values)) => values.push(value),
                Some(one) => *one = json!([one.take(), value]),
            }
        }
        Value::Object(object)
    };
    json!({
        "subject": name(&certificate.subject),
        "issuer": name(&certificate.issuer),
        "valid_from": certificate.valid_from,
        "valid_to": certificate.valid_to,
        "serialNumber": certificate.serial_number,
        "fingerprint256": certificate.fingerprint256,
        "raw": hex(&certificate.raw),
    })
}

async fn exported(tls: &mut Tls, pair: Pair, length: u32, context: Option<&[u8]>) -> Result<Option<String>> {
    let exported = pair.export_keying_material(tls, length, b"EXPORTER-guest-tls-judge", context).await?;
    Ok(exported.ok().map(|bytes| hex(&bytes)))
}
