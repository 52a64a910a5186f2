//! What wasmtime makes of `wit/`.

#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "tls",
    with: {
        "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
        "wasi": wasmtime_wasi::p2::bindings,
    },
    imports: { default: async },
    exports: { default: async },
    additional_derives: [PartialEq],
});
