//! The WIT world over the engine, one file an interface. It translates and does nothing else.

mod bindings;
mod certificate;
mod convert;
mod seal;
mod secure_context;
mod secure_pair;
mod server;
mod socket;
mod splice;

/// What implements the world's exports.
struct Component;

#[allow(unsafe_code, unreachable_pub, reason = "generated")]
mod export {
    super::bindings::export!(Component with_types_in crate::component::bindings);

    use super::Component;
}
