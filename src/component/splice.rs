//! `guest:tls/splice`: the engine and streams that stay the caller's.

use super::Component;
use super::bindings::exports::guest::tls::secure_pair::SecurePairBorrow;
use super::bindings::exports::guest::tls::splice::{Guest, InputStream, Outcome, OutputStream};
use super::bindings::exports::guest::tls::types::Error;
use super::bindings::wasi::io::streams::StreamError;
use super::secure_pair::{SecurePair, length};
use crate::engine::Cleartext;

impl Guest for Component {
    fn receive(pair: SecurePairBorrow<'_>, transport: &InputStream, max: u64) -> Result<Outcome, Error> {
        let pair = pair.get::<SecurePair>();
        pair.check_transport()?;
        let mut rest = pair.rest.borrow_mut();
        let mut connection = pair.now();
        if rest.encrypted.is_empty() {
            if connection.error().is_none() && !connection.wants_read() {
                return Ok(Outcome::Full);
            }
            match take(transport, max) {
                Ok(bytes) => rest.encrypted = bytes,
                Err(outcome) => {
                    if matches!(outcome, Outcome::End) {
                        connection.end_encrypted();
                    }
                    return Ok(outcome);
                }
            }
        }
        let taken = connection.write_encrypted(&rest.encrypted).inspect_err(|_| rest.encrypted.clear())?;
        Ok(moved(&mut rest.encrypted, taken))
    }

    fn send(pair: SecurePairBorrow<'_>, transport: &OutputStream) -> Result<Outcome, Error> {
        let pair = pair.get::<SecurePair>();
        pair.check_transport()?;
        let mut connection = pair.now();
        if !connection.wants_write() {
            return Ok(Outcome::Pending);
        }
        Ok(give(transport, |room| {
            let bytes = connection.read_encrypted(room);
            // What is buffered here and there waits for the last piece; then there is no reason to.
            (bytes, !connection.wants_write())
        }))
    }

    fn read(pair: SecurePairBorrow<'_>, to: &OutputStream, max: u64) -> Result<Outcome, Error> {
        let pair = pair.get::<SecurePair>();
        let mut connection = pair.now();
        if !connection.is_readable() {
            return Ok(Outcome::Pending);
        }
        let mut read = Ok(Cleartext::Pending);
        let outcome = give(to, |room| {
            read = connection.read_cleartext(room.min(length(max)));
            match &mut read {
                Ok(Cleartext::Data(bytes)) => (std::mem::take(bytes), !connection.is_readable()),
                _ => (Vec::new(), false),
            }
        });
        match (outcome, read?) {
            (Outcome::Pending, Cleartext::End) => Ok(Outcome::End),
            (outcome, _) => Ok(outcome),
        }
    }

    fn write(pair: SecurePairBorrow<'_>, from: &InputStream, max: u64) -> Result<Outcome, Error> {
        let pair = pair.get::<SecurePair>();
        let mut rest = pair.rest.borrow_mut();
        let mut connection = pair.now();
        if rest.cleartext.is_empty() {
            if connection.wants_write() {
                return Ok(Outcome::Full);
            }
            match take(from, max) {
                Ok(bytes) => rest.cleartext = bytes,
                Err(outcome) => return Ok(outcome),
            }
        }
        let taken = connection.write_cleartext(&rest.cleartext).inspect_err(|_| rest.cleartext.clear())?;
        Ok(moved(&mut rest.cleartext, taken))
    }
}

/// What has come on a stream, or why nothing has.
fn take(stream: &InputStream, max: u64) -> Result<Vec<u8>, Outcome> {
    match stream.read(max) {
        Ok(bytes) if bytes.is_empty() => Err(Outcome::Pending),
        Ok(bytes) => Ok(bytes),
        Err(StreamError::Closed) => Err(Outcome::End),
        Err(StreamError::LastOperationFailed(error)) => Err(Outcome::Failed(error.to_debug_string())),
    }
}

/// Gives a stream what `bytes` has for as much room as there is; `bytes` says, too, whether these are the last ones for now.
fn give(stream: &OutputStream, bytes: impl FnOnce(usize) -> (Vec<u8>, bool)) -> Outcome {
    let given = (|| {
        let room = length(stream.check_write()?);
        if room == 0 {
            return Ok(Outcome::Full);
        }
        let (bytes, last) = bytes(room);
        if bytes.is_empty() {
            return Ok(Outcome::Pending);
        }
        stream.write(&bytes)?;
        if last {
            stream.flush()?;
        }
        Ok(Outcome::Moved(bytes.len() as u64))
    })();
    given.unwrap_or_else(|error| match error {
        StreamError::Closed => Outcome::Failed("the stream is closed".into()),
        StreamError::LastOperationFailed(error) => Outcome::Failed(error.to_debug_string()),
    })
}

fn moved(rest: &mut Vec<u8>, taken: usize) -> Outcome {
    if taken == rest.len() {
        *rest = Vec::new();
    } else {
        rest.drain(..taken);
    }
    if taken == 0 { Outcome::Full } else { Outcome::Moved(taken as u64) }
}
