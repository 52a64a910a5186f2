//! What wit-bindgen makes of `wit/`.

#![allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]

wit_bindgen::generate!({
    path: "wit",
    world: "tls",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export",
});
