//! The WIT world, for a component.

use std::cell::RefCell;

use crate::{Figure, Figures};

/// What wit-bindgen makes of `wit/`.
pub mod bindings {
    #![allow(missing_docs, unsafe_code, unreachable_pub, clippy::pedantic)]
    wit_bindgen::generate!({
        path: "wit",
        world: "figures",
        pub_export_macro: true,
        default_bindings_module: "bench_figures::guest::bindings",
    });
}

thread_local! {
    static FIGURES: RefCell<Vec<Figure>> = const { RefCell::new(Vec::new()) };
}

/// Makes the figures and says what they are.
pub fn all(figures: fn() -> Figures) -> Vec<bindings::Figure> {
    FIGURES.with_borrow_mut(|all| {
        *all = figures().0;
        let told = |figure: &Figure| bindings::Figure {
            name: figure.name.clone(),
            unit: figure.unit.to_string(),
            amount: figure.amount,
        };
        all.iter().map(told).collect()
    })
}

/// Does one of them.
pub fn run(index: u32, iterations: u64) {
    FIGURES.with_borrow_mut(|all| all[index as usize].run(iterations));
}
