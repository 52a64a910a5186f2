//! Inputs of an operation, and the operation.

use std::hint::black_box;

use crate::random::Random;

/// One of the two classes of inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Class 1: as a rule the input that is always the same.
    First,
    /// Class 2: as a rule random inputs.
    Second,
}

/// An operation with inputs for some runs.
pub(crate) trait Batch {
    /// Makes an input for each entry, of the second class where that is true, in place of those before.
    fn prepare(&mut self, random: &mut Random, second_class: &[bool]);

    /// Runs the operation on an input. Whether it went as it must.
    fn run(&mut self, index: usize) -> bool;
}

/// An operation out of how an input is made and what is done with it.
pub(crate) fn batch<I: 'static>(
    make: impl FnMut(&mut Random, Class) -> I + 'static,
    run: impl FnMut(&mut I) -> bool + 'static,
) -> Box<dyn Batch> {
    Box::new(Of { make, run, inputs: Vec::new() })
}

struct Of<I, M, R> {
    make: M,
    run: R,
    inputs: Vec<I>,
}

impl<I, M: FnMut(&mut Random, Class) -> I, R: FnMut(&mut I) -> bool> Batch for Of<I, M, R> {
    fn prepare(&mut self, random: &mut Random, second_class: &[bool]) {
        self.inputs.clear();
        for second in second_class {
            let class = if *second { Class::Second } else { Class::First };
            self.inputs.push((self.make)(random, class));
        }
    }

    fn run(&mut self, index: usize) -> bool {
        black_box((self.run)(black_box(&mut self.inputs[index])))
    }
}
