//! Certificates as the component reads, matches and verifies them, and as Node does.

mod chains;
mod fields;
mod hosts;
mod lists;
mod odd;

use host_tests::table;

fn main() {
    table::main([fields::rows(), hosts::rows(), chains::rows(), lists::rows()].concat());
}
