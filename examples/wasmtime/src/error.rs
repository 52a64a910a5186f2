//! What can go wrong.

use std::sync::Arc;
use std::{fmt, io};

use crate::bindings::exports::guest::tls::types::{Error as TlsError, ErrorCode};

/// What went wrong. As an [`io::Error`] it is the inner error, so that `error.get_ref()` can be downcast to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The component can't be compiled or instantiated.
    Component(String),
    /// What is wrong with options of a context, a connector or an acceptor: one error for each thing.
    Options(Vec<TlsError>),
    /// What ended the connection, by the contract's code.
    Tls(TlsError),
    /// The connection's instance trapped, by this connection or another one, and is gone: why.
    Trapped(Arc<str>),
    /// The transport failed.
    Transport(Arc<io::Error>),
    /// The host has as many connections as it may have: see `connections` of [`Limits`](crate::Limits) and
    /// [`HostOptions::instances_max`](crate::HostOptions::instances_max).
    TooManyConnections {
        /// How many that are.
        limit: usize,
    },
}

impl Error {
    /// The contract's code, where there is one; the first one of several.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Options(errors) => errors.first().map(|error| error.code),
            Error::Tls(error) => Some(error.code),
            Error::Component(_) | Error::Trapped(_) | Error::Transport(_) | Error::TooManyConnections { .. } => None,
        }
    }

    fn kind(&self) -> io::ErrorKind {
        match self {
            Error::Component(_) => io::ErrorKind::Other,
            Error::Options(_) => io::ErrorKind::InvalidInput,
            Error::Trapped(_) => io::ErrorKind::ConnectionAborted,
            Error::Transport(error) => error.kind(),
            Error::TooManyConnections { .. } => io::ErrorKind::QuotaExceeded,
            Error::Tls(error) => match error.code {
                ErrorCode::ErrSslUnexpectedEofWhileReading => io::ErrorKind::UnexpectedEof,
                ErrorCode::ErrTlsHandshakeTimeout => io::ErrorKind::TimedOut,
                ErrorCode::ErrStreamWriteAfterEnd => io::ErrorKind::BrokenPipe,
                ErrorCode::Econnreset => io::ErrorKind::ConnectionReset,
                ErrorCode::ErrServerMaxConnections => io::ErrorKind::ConnectionRefused,
                _ => io::ErrorKind::InvalidData,
            },
        }
    }
}

impl ErrorCode {
    /// As Node writes it: `ERR_SSL_NO_SHARED_CIPHER`.
    pub fn node_name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").trim_start_matches("ErrorCode::").chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Component(why) => write!(f, "the component can't be run: {why}"),
            Error::Options(errors) => {
                for (index, error) in errors.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{}: {}", error.code.node_name(), error.message)?;
                }
                Ok(())
            }
            Error::Tls(error) => write!(f, "{}: {}", error.code.node_name(), error.message),
            Error::Trapped(why) => write!(f, "the instance with this connection is gone: {why}"),
            Error::Transport(error) => write!(f, "the transport failed: {error}"),
            Error::TooManyConnections { limit } => write!(
                f,
                "the host has {limit} connections, which are all that its instances may have: close some, or raise \
                 `Limits::connections` or `HostOptions::instances_max`"
            ),
        }
    }
}
