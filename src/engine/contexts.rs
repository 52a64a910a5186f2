//! The contexts of a server, by the name that the client asks for (row O15).

use std::sync::Arc;

use rustls_pki_types::DnsName;

use crate::context::Context;
use crate::error::{Error, ErrorCode};

/// A context for each name, and one for all others.
#[derive(Clone, Debug)]
pub struct Contexts {
    default: Arc<Context>,
    named: Vec<(Pattern, Arc<Context>)>,
}

#[derive(Clone, Debug)]
enum Pattern {
    /// Just this name, in lower case.
    Exact(String),
    /// Any one label before this, in lower case, with the dot.
    Wildcard(String),
}

impl Contexts {
    /// One context for all names.
    pub fn new(default: Arc<Context>) -> Self {
        Self { default, named: Vec::new() }
    }

    /// Uses `context` for `hostname`, whose left-most label may be `*`. The one that was added last wins.
    /// Errors: `ErrTlsRequiredServerName`, `ErrTlsInvalidCertificate`.
    pub fn add(&mut self, hostname: &str, context: Arc<Context>) -> Result<(), Error> {
        let pattern = Pattern::parse(hostname)?;
        require_certificate(&context)?;
        self.named.push((pattern, context));
        Ok(())
    }

    /// Replaces the context for all other names. Error: `ErrTlsInvalidCertificate`.
    pub fn set_default(&mut self, context: Arc<Context>) -> Result<(), Error> {
        require_certificate(&context)?;
        self.default = context;
        Ok(())
    }

    /// The context for a client that asks for `name`.
    pub(super) fn choose(&self, name: Option<&str>) -> &Arc<Context> {
        name.map(str::to_ascii_lowercase)
            .and_then(|name| self.named.iter().rev().find(|(pattern, _)| pattern.matches(&name)))
            .map_or(&self.default, |(_, context)| context)
    }
}

/// A server can't do without a certificate.
pub(super) fn require_certificate(context: &Context) -> Result<(), Error> {
    match context.identities().is_empty() {
        true => Err(Error::new(
            ErrorCode::ErrTlsInvalidCertificate,
            "The context has no certificate, and a server needs one: add a certificate and its key.",
        )),
        false => Ok(()),
    }
}

impl Pattern {
    fn parse(hostname: &str) -> Result<Self, Error> {
        let (wildcard, name) = match hostname.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, hostname),
        };
        DnsName::try_from(name).map_err(|_| {
            Error::new(
                ErrorCode::ErrTlsRequiredServerName,
                format!("{hostname:?} is no DNS name; expected one such as example.com or *.example.com."),
            )
        })?;
        let name = name.to_ascii_lowercase();
        Ok(match wildcard {
            true => Self::Wildcard(format!(".{name}")),
            false => Self::Exact(name),
        })
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => name == exact,
            Self::Wildcard(suffix) => {
                name.strip_suffix(suffix.as_str()).is_some_and(|label| !label.is_empty() && !label.contains('.'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_its_names_only() {
        #[rustfmt::skip]
        let rows = [
            ("example.com", "example.com", true),
            ("Example.COM", "example.com", true),
            ("example.com", "www.example.com", false),
            ("*.example.com", "www.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "wwwexample.com", false),
        ];
        for (pattern, name, expected) in rows {
            let parsed = Pattern::parse(pattern).map(|parsed| parsed.matches(name));
            assert_eq!(parsed, Ok(expected), "{pattern} and {name}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for hostname in ["", "*", "*.", "a b", "*.*.example.com", "w*.example.com"] {
            assert_eq!(
                Pattern::parse(hostname).map(|_| ()).map_err(|error| error.code),
                Err(ErrorCode::ErrTlsRequiredServerName),
                "{hostname:?}"
            );
        }
    }
}
