//! The components with each standard library: what they import must not depend on who builds them.

use std::fmt::Write;

use anyhow::{Context, Result};

use crate::{
    build, p3,
    project::Project,
    wasm_std::{Library, WasmStd},
    wit,
};

/// What came of it.
#[derive(Default)]
pub(crate) struct Checked {
    /// Libraries whose components keep what is promised.
    pub(crate) passed: u64,
    /// Libraries whose components do not.
    pub(crate) failed: u64,
    /// A line for each library that can't be had here, and why.
    pub(crate) left_out: String,
}

/// Builds both components with each library into `target/components/NAME`, and checks what they import and what docs/guest-tls.wit says.
pub(crate) fn check(project: &Project) -> Checked {
    let mut checked = Checked::default();
    for library in Library::ALL {
        let name = library.name();
        match WasmStd::of(project, library) {
            Ok(wasm_std) => match keeps_promises(project, &wasm_std, name) {
                Ok(line) => {
                    println!("standard library of {name}: {line}");
                    checked.passed += 1;
                }
                Err(error) => {
                    eprintln!("standard library of {name}: {error:#}");
                    checked.failed += 1;
                }
            },
            Err(error) => {
                eprintln!("standard library of {name}: {error:#}");
                // Writing to a string can't fail.
                let _ = writeln!(
                    checked.left_out,
                    "left out: the components with the standard library of {name}, which can't be had here"
                );
            }
        }
    }
    checked
}

fn keeps_promises(project: &Project, wasm_std: &WasmStd, name: &str) -> Result<String> {
    let place = project.components().join(name);
    build::product_in(project, wasm_std, &place)?;
    p3::product_in(project, wasm_std, &place)?;
    wit::check_of(project, &place.join("guest-tls.wasm")).context("the contract")
}
