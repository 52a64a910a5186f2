//! TLS on the command line, as a wasip2 command: `connect`, `serve`, `proxy`, and what belongs to them.
//!
//! Files, TCP and the command line are here; TLS, and every parser of what peers send by it, is in guest-tls, another component, which has no
//! files and no network. `wac plug` makes one file of both.
//!
//! * [`arguments`]: the command line. [`failure`]: what goes wrong, and exit codes.
//! * [`runtime`]: tasks that wait for pollables. [`net`]: TCP and the standard streams. [`files`]: contexts of files.
//! * [`tls`]: a TLS connection. [`mod@relay`]: bytes between one and a stream in the clear.
//! * [`listen`]: what all servers have: a port, limits, an end. [`handles`]: that the host has enough of them. [`terminator`]: their certificates. [`counters`], [`admin`]: who asks how it goes.
//! * [`connect`], [`serve`], [`proxy`], [`inspect`]: the commands. [`certificate`]: how certificates are shown.

use std::io::Write as _;

use clap::Parser as _;

use crate::arguments::{Arguments, Command};
use crate::failure::Result;

/// Says a line on standard error. Whoever reads it may have gone: that is no reason to end, as `eprintln!` would.
macro_rules! tell {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

mod admin;
mod arguments;
mod certificate;
mod connect;
mod counters;
mod failure;
mod files;
mod handles;
mod inspect;
mod listen;
mod net;
mod proxy;
mod relay;
mod runtime;
mod serve;
mod terminator;
mod tls;

#[allow(missing_docs, unreachable_pub, unsafe_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "wit"],
        world: "guest-tls:cli/command",
        with: {
            "wasi:io/error@0.2.12": wasip2::io::error,
            "wasi:io/poll@0.2.12": wasip2::io::poll,
            "wasi:io/streams@0.2.12": wasip2::io::streams,
        },
        generate_all,
    });
}

fn main() {
    let done = match Arguments::try_parse() {
        Ok(arguments) => run(arguments.command),
        Err(error) => {
            // Help is such an error, too, and goes to standard output by code 0. Where it can't be printed, nobody can be told.
            let _ = error.print();
            leave(error.exit_code().try_into().unwrap_or(1))
        }
    };
    match done {
        Ok(()) => leave(0),
        Err(failure) => {
            tell!("guest-tls: {failure}");
            leave(failure.exit_code())
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Connect(arguments) => runtime::run(connect::run(arguments)),
        Command::Serve(arguments) => runtime::run(serve::run(arguments)),
        Command::Proxy(arguments) => runtime::run(proxy::run(arguments)),
        Command::Ciphers(arguments) => inspect::ciphers(&arguments),
        Command::Cert(arguments) => inspect::cert(&arguments),
        Command::Completions(arguments) => inspect::completions(&arguments),
        Command::Version => inspect::version(),
    }
}

/// Ends the program. Rust's standard library knows only good and bad of what WASI 0.2 has stable; codes need the host's leave
/// (wasmtime run -S cli-exit-with-code).
fn leave(code: u8) -> ! {
    let _ = std::io::stdout().flush();
    wasip2::cli::exit::exit_with_code(code);
    unreachable!("the host ends the program")
}
