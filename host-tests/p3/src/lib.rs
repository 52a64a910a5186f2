//! What the tests of guest-tls-p3 do from within: `p3-tests WHAT [PORT]`. Certificates come by the environment. What was seen goes to standard
//! output, a line each; the tests on the other side compare it.

mod guest;
mod many;
mod standard;
mod tcp;

use anyhow::{Result, bail};
use wasip3::cli::environment;

#[allow(missing_docs, unreachable_pub, unsafe_code, dead_code, clippy::all, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        path: ["../../wit", "../../p3/wit", "wit"],
        world: "test:p3/tests",
        generate_all,
    });
}

struct Tests;

impl wasip3::exports::cli::run::Guest for Tests {
    async fn run() -> Result<(), ()> {
        run().await.map_err(|error| eprintln!("p3-tests: {error:#}"))
    }
}

#[allow(unsafe_code, reason = "generated")]
mod export {
    use super::Tests;

    wasip3::cli::command::export!(Tests);
}

async fn run() -> Result<()> {
    let arguments = environment::get_arguments();
    let arguments: Vec<_> = arguments.iter().skip(1).map(String::as_str).collect();
    match arguments[..] {
        ["drop", port] => standard::dropped(port.parse()?).await,
        ["twice", port] => standard::set_up_twice(port.parse()?).await,
        ["unset", port] => standard::not_set_up(port.parse()?).await,
        ["cancel", silent, port] => standard::cancelled(silent.parse()?, port.parse()?).await,
        ["early", endless, port] => standard::left_early(endless.parse()?, port.parse()?).await,
        ["read", port] => standard::read(port.parse()?).await,
        ["many", count, port] => many::at_once(count.parse()?, port.parse()?).await,
        ["client", port] => guest::client(port.parse()?).await,
        ["serve"] => guest::serve().await,
        ["both", bytes] => guest::both(bytes.parse()?).await,
        ["questions"] => guest::questions(),
        _ => bail!("not one of the tests: {arguments:?}"),
    }
}

/// What the environment has under this name.
fn variable(name: &str) -> Option<Vec<u8>> {
    environment::get_environment().into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_bytes())
}
