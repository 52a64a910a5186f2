//! Decides once whether the kernels use WebAssembly's vectors, and says so by the cfg `simd128`.
//!
//! Functions that work on vectors enable the instructions themselves, so that no compiler flag is needed:
//! `#[cfg_attr(simd128, target_feature(enable = "simd128"))]`. Everywhere else, and with the feature `portable`, they are
//! the twin in plain Rust.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(simd128)");
    let is_wasm = env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32");
    if is_wasm && env::var_os("CARGO_FEATURE_PORTABLE").is_none() {
        println!("cargo:rustc-cfg=simd128");
    }
}
