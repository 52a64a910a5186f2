//! The WIT world over the engine.

mod bindings;
#[path = "../../../src/component/certificate.rs"]
mod certificate;
mod client;
mod connection;
#[path = "../../../src/component/convert.rs"]
mod convert;
mod pump;
#[path = "../../../src/component/seal.rs"]
mod seal;
#[path = "../../../src/component/secure_context.rs"]
mod secure_context;
#[path = "../../../src/component/secure_pair.rs"]
mod secure_pair;
mod server;
mod standard;
mod verdict;

/// What implements the world's exports.
struct Component;

#[allow(unsafe_code, unreachable_pub, reason = "generated")]
mod export {
    super::bindings::generated::export!(Component with_types_in crate::component::bindings::generated);

    use super::Component;
}
