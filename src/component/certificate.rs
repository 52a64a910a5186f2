//! `guest:tls/certificate`.

use super::Component;
use super::bindings::exports::guest::tls::certificate as wit;
use super::bindings::exports::guest::tls::types::Error;
use crate::certificate::{Certificate, check_server_identity};
use crate::context::root_certificates;

impl wit::Guest for Component {
    fn parse(file: Vec<u8>) -> Result<wit::Certificate, Error> {
        Ok(Certificate::parse(&file)?.into())
    }

    fn check_server_identity(host: String, certificate: Vec<u8>) -> Option<Error> {
        check_server_identity(&host, &certificate).err().map(Error::from)
    }

    fn root_certificates() -> Vec<String> {
        root_certificates()
    }
}
