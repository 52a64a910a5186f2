//! What is counted, in Prometheus' text form.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::bindings::guest::tls::secure_pair::SecurePair;
use crate::bindings::guest::tls::types;
use crate::failure::{variant_name, version_name};
use crate::relay::Moved;

/// Counters of everything that listens.
pub(crate) struct Counters {
    registry: Registry,
    /// Connections that were taken.
    accepted: Counter,
    /// Connections that were closed at once, since there were as many as there may be.
    pub(crate) rejected: Counter,
    open: Gauge,
    lingering: Gauge,
    handshakes: Family<Handshake, Counter>,
    failures: Family<Failed, Counter>,
    bytes: Family<Direction, Counter>,
    /// Connections that ended since nothing was said.
    pub(crate) idle: Counter,
    /// Connections to the back end that failed.
    pub(crate) backend: Counter,
    reloads: Family<Reload, Counter>,
    certificate: Gauge<f64, AtomicU64>,
    count: Rc<Cell<usize>>,
}

/// A connection that is open. It counts as long as this lives.
pub(crate) struct Open {
    count: Rc<Cell<usize>>,
    open: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Handshake {
    version: &'static str,
    resumed: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Failed {
    error: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reload {
    result: &'static str,
}

impl Counters {
    /// All of them at zero.
    pub(crate) fn new() -> Rc<Counters> {
        let mut registry = Registry::with_prefix("guest_tls");
        let counters = Counters {
            accepted: Counter::default(),
            rejected: Counter::default(),
            open: Gauge::default(),
            lingering: Gauge::default(),
            handshakes: Family::default(),
            failures: Family::default(),
            bytes: Family::default(),
            idle: Counter::default(),
            backend: Counter::default(),
            reloads: Family::default(),
            certificate: Gauge::default(),
            count: Rc::default(),
            registry: Registry::default(),
        };
        registry.register("connections_accepted", "Connections taken", counters.accepted.clone());
        registry.register("connections_rejected", "Connections closed at once: too many", counters.rejected.clone());
        registry.register("connections_open", "Connections that are open", counters.open.clone());
        let help = "Connections that were given up, and whose peer does not take the last bytes; they count for --max-connections";
        registry.register("connections_lingering", help, counters.lingering.clone());
        registry.register("handshakes", "TLS handshakes that succeeded", counters.handshakes.clone());
        registry.register(
            "connection_errors",
            "TLS connections that an error ended, by error",
            counters.failures.clone(),
        );
        registry.register("bytes", "Cleartext passed on, by direction: from TLS or to TLS", counters.bytes.clone());
        registry.register("idle_timeouts", "Connections ended since nothing was said", counters.idle.clone());
        registry.register("backend_failures", "Connections to the back end that failed", counters.backend.clone());
        registry.register("reloads", "Reloads of certificates and keys, by result", counters.reloads.clone());
        let help = "When the certificates in use were loaded, in seconds since 1970";
        registry.register("certificates_loaded_timestamp_seconds", help, counters.certificate.clone());
        Rc::new(Counters { registry, ..counters })
    }

    /// All of them as text.
    pub(crate) fn text(&self) -> String {
        self.lingering.set(crate::net::lingering() as i64);
        let mut text = String::new();
        // A string takes whatever is written.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    /// Counts a connection.
    pub(crate) fn open(&self) -> Open {
        self.accepted.inc();
        self.open.inc();
        self.count.set(self.count.get() + 1);
        Open { count: self.count.clone(), open: self.open.clone() }
    }

    /// How many are open.
    pub(crate) fn connections(&self) -> usize {
        self.count.get()
    }

    /// Counts a handshake that is done.
    pub(crate) fn handshake(&self, pair: &SecurePair) {
        let version = pair.protocol().map_or("", version_name);
        let resumed = if pair.is_session_reused() { "true" } else { "false" };
        self.handshakes.get_or_create(&Handshake { version, resumed }).inc();
    }

    /// Counts what ended a TLS connection.
    pub(crate) fn failure(&self, error: &types::Error) {
        let error = variant_name(error.code);
        self.failures.get_or_create(&Failed { error }).inc();
    }

    /// Counts bytes in the clear.
    pub(crate) fn moved(&self, moved: Moved) {
        for (direction, bytes) in [("from_tls", moved.received), ("to_tls", moved.sent)] {
            if bytes > 0 {
                self.bytes.get_or_create(&Direction { direction }).inc_by(bytes);
            }
        }
    }

    /// Counts a reload, and notes when it was where it was good.
    pub(crate) fn reload(&self, good: bool) {
        self.reloads.get_or_create(&Reload { result: if good { "success" } else { "failure" } }).inc();
        if good {
            self.loaded();
        }
    }

    /// Notes that certificates were loaded now.
    pub(crate) fn loaded(&self) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        self.certificate.set(now.as_secs_f64());
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
        self.open.dec();
    }
}
