//! `guest:tls/client`.

use guest_tls::engine;

use super::bindings::exports::guest::tls::secure_context::SecureContextBorrow;
use super::bindings::exports::guest::tls::secure_pair::SecurePairOptions;
use super::bindings::exports::guest::tls::types::Error;
use super::bindings::generated::exports::guest::tls0_3_0_draft::client as wit;
use super::connection::Connection;
use super::secure_pair::{Options, context};
use super::{Component, convert};

impl wit::Guest for Component {
    fn connect(
        secure_context: SecureContextBorrow<'_>,
        options: SecurePairOptions,
    ) -> Result<wit::Connection, Vec<Error>> {
        let options = engine::ConnectionOptions { is_server: false, ..options.get::<Options>().get() };
        engine::Connection::new(context(&secure_context), options).map(Connection::handle).map_err(convert::errors)
    }
}
