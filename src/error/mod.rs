//! What can go wrong, said to programs and to people.

mod code;
mod from_rustls;

use std::fmt;

pub use code::ErrorCode;
#[cfg(all(feature = "component", target_os = "wasi", not(test)))]
pub(crate) use code::with_error_codes;
pub(crate) use from_rustls::{Role, alert_name, from_rustls};

/// An error: a code for programs, a message for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What went wrong.
    pub code: ErrorCode,
    /// What was wrong, in which input, what was expected, what to do.
    pub message: String,
    /// The alert that ended the connection, where there was one.
    pub alert: Option<Alert>,
}

/// An alert of the TLS protocol (RFC 8446 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Who sent it.
    pub direction: Direction,
    /// Its number on the wire.
    pub description: u8,
}

/// Which side spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// We sent it to the peer.
    Sent,
    /// The peer sent it to us.
    Received,
}

impl Error {
    /// An error without an alert.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), alert: None }
    }

    /// OpenSSL's words for it, where programs match on them.
    pub fn reason(&self) -> Option<&'static str> {
        self.code.reason()
    }
}

impl Alert {
    /// Its RFC name, for example `unknown_ca`.
    pub fn name(&self) -> &'static str {
        alert_name(self.description)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_of_the_contract() {
        let wit = include_str!("../../wit/types.wit");
        let in_wit: Vec<String> = wit
            .split_once("enum error-code {")
            .map(|(_, rest)| rest)
            .unwrap_or_default()
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with('/') && line.ends_with(','))
            .map(|line| line.trim_end_matches(',').replace('-', "_").to_uppercase())
            .collect();
        let here: Vec<String> = ErrorCode::ALL.iter().map(|code| code.name().to_owned()).collect();
        assert!(!here.is_empty());
        assert_eq!(in_wit, here);
    }
}
