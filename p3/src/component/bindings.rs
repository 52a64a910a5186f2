//! What wit-bindgen makes of `wit/`, under the names that the sources that are shared with the other component know.

/// As it is made: with the versions in the names where there are several of a package.
#[allow(missing_docs, unreachable_pub, unsafe_code, unused_qualifications, clippy::all, reason = "generated")]
pub(crate) mod generated {
    wit_bindgen::generate!({
        path: ["../wit", "wit"],
        world: "guest:tls/tls-p3@0.3.0-draft",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export",
    });
}

pub(crate) mod exports {
    pub(crate) mod guest {
        pub(crate) use super::super::generated::exports::guest::tls0_1_0 as tls;
    }
}

pub(crate) mod wasi {
    pub(crate) mod clocks {
        pub(crate) use super::super::generated::wasi::clocks0_2_12::{monotonic_clock, wall_clock};
    }
}
