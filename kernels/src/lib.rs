//! The hot loops of guest-tls' cryptography: the work that is done for every byte of a record or every bit of a key.
//!
//! A crate of its own for two reasons: cargo can give one crate its own `opt-level`, and the component around it is
//! built for few bytes; and `unsafe` may stand here and nowhere else.
//!
//! All that touches a secret runs in constant time: no branch and no address depends on one.

#![no_std]
