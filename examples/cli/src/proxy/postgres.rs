//! How PostgreSQL's clients ask for TLS (its documentation, "Message Flow", "SSL Session Encryption").

use crate::failure::{Failure, Result};
use crate::net::Duplex;

/// Answers `SSLRequest` by the word to go ahead, and gives the first bytes of TLS, where they came with it: clients of version 17 may send
/// them at once. `incoming` is what has come already.
pub(crate) async fn answer(duplex: &Duplex, mut incoming: Vec<u8>) -> Result<Vec<u8>> {
    loop {
        while incoming.len() < REQUEST {
            match duplex.read(REQUEST - incoming.len()).await? {
                Some(bytes) => incoming.extend(bytes),
                None => return Err(Failure::network("the connection ended before it asked for TLS")),
            }
        }
        let rest = incoming.split_off(REQUEST);
        match &incoming[..] {
            // Nothing that came in the clear may be taken for what TLS protects (CVE-2021-23214): what is behind it has to be TLS.
            SSL_REQUEST => {
                duplex.write_all(b"S").await?;
                return Ok(rest);
            }
            // There is another way of encryption, which we don't speak: the client asks for TLS next.
            GSSENC_REQUEST => duplex.write_all(b"N").await?,
            // A handshake record (RFC 8446 section 5.1): direct TLS, as clients of version 17 can be told to do.
            [22, 3, ..] => return Ok([incoming, rest].concat()),
            _ => {
                return Err(Failure::network(
                    "the client did not ask for TLS by PostgreSQL's SSLRequest; does it have sslmode=require or better?",
                ));
            }
        }
        incoming = rest;
    }
}

/// The length of a request, and both of them.
const REQUEST: usize = 8;
const SSL_REQUEST: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
const GSSENC_REQUEST: &[u8] = &[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30];
