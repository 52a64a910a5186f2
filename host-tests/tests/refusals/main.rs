//! What is refused, by whom, and what each side says about it.

mod chains;
mod creation;
mod ends;
mod handshakes;
mod impossible;

use host_tests::table;

fn main() {
    table::main([handshakes::rows(), chains::rows(), creation::rows(), ends::rows(), impossible::rows()].concat());
}
