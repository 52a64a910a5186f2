//! The guest of `cargo xtask ct`: it makes inputs of two classes for an operation on a secret, and runs the operation on one of them at
//! each call. The host has the clock, and decides by the times whether they tell the classes apart.
//!
//! What is called is what the component calls, compiled by the same profile: see [`operations`]. [`leaky`] has the twins that leak.
//!
//! So that the times say something of the operation and nothing of the measurement, inputs of both classes are made in the same way,
//! have the same size, and lie side by side in memory in the order in which they are used; each is used once. No instruction of the
//! measurement depends on the class after an input is made.

mod batch;
mod leaky;
mod operations;
mod random;

use std::cell::RefCell;

use batch::Batch;
use operations::OPERATIONS;
use random::Random;

#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "ct", pub_export_macro: true });
}

#[allow(unsafe_code, unreachable_pub, reason = "generated")]
mod export {
    super::bindings::export!(Component with_types_in crate::bindings);

    use super::Component;
}

/// What implements the world's exports.
struct Component;

impl bindings::Guest for Component {
    fn operations() -> Vec<bindings::Operation> {
        let operation = |operation: &operations::Operation| bindings::Operation {
            name: operation.name.into(),
            classes: (operation.classes[0].into(), operation.classes[1].into()),
            leaks: operation.leaks,
        };
        OPERATIONS.iter().map(operation).collect()
    }

    fn prepare(operation: u32, seed: u64, second_class: Vec<bool>) {
        CURRENT.with_borrow_mut(|current| {
            let mut random = Random::new(seed);
            let (_, batch) = match current.take() {
                Some((of, batch)) if of == operation => current.insert((of, batch)),
                _ => current.insert((operation, (OPERATIONS[operation as usize].batch)(&mut random))),
            };
            batch.prepare(&mut random, &second_class);
        });
    }

    fn run(index: u32) -> bool {
        CURRENT.with_borrow_mut(|current| current.as_mut().is_some_and(|(_, batch)| batch.run(index as usize)))
    }
}

thread_local! {
    /// The operation that was prepared last, and its inputs.
    static CURRENT: RefCell<Option<(u32, Box<dyn Batch>)>> = const { RefCell::new(None) };
}
