//! The files and strings of which a context is made; the first byte says as which of them the others are taken.

#![no_main]

use guest_tls::context::{Context, ContextOptions, SecretFile};
use guest_tls_fuzz::{PASSPHRASE, SERVER};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&kind, bytes)) = input.split_first() else { return };
    let file = bytes.to_vec();
    let secret = || SecretFile { file: file.clone().into(), passphrase: Some(PASSPHRASE.as_bytes().to_vec().into()) };
    // An anchor of its own is quicker than Mozilla's.
    let mut options = ContextOptions { cas: vec![SERVER.0.to_vec()], ..ContextOptions::default() };
    let text = || Some(String::from_utf8_lossy(bytes).into_owned());
    match kind % 11 {
        0 => {
            options.certs = vec![SERVER.0.to_vec()];
            options.keys = vec![secret()];
        }
        1 => {
            options.cas.clear();
            options.pfxs = vec![secret()];
        }
        2 => {
            options.certs = vec![file];
            options.keys = vec![SERVER.1.to_vec().into()];
        }
        3 => options.cas = vec![file],
        4 => options.crls = vec![file],
        5 => options.dhparam = Some(file),
        6 => options.ciphers = text(),
        7 => options.sigalgs = text(),
        8 => options.groups = text(),
        9 => options.secure_protocol = text(),
        _ => options.keys = vec![file.into()],
    }
    match Context::new(&options) {
        Ok(_) => {}
        Err(errors) => assert!(!errors.is_empty() && errors.iter().all(|error| !error.message.is_empty())),
    }
});
