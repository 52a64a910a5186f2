//! Sessions that are resumed, and those that may not be.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;

use super::fixtures::{self, CLIENT, context, with_identity, without_identity};
use super::pair::{Pair, events};
use crate::context::{ContextOptions, Version};
use crate::engine::{Connection, ConnectionOptions, Event, NewSession, Server};
use crate::error::ErrorCode;

/// A clock that is set by hand.
#[derive(Debug)]
struct Clock(AtomicU64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}

/// A server and its clients, and what is changed between one connection and the next.
struct World {
    clock: Arc<Clock>,
    version: Version,
    client_context: ContextOptions,
    client: ConnectionOptions,
    server_context: ContextOptions,
    server_options: ConnectionOptions,
    server: Option<Server>,
    /// Sessions that the server's side keeps outside.
    outside: Vec<NewSession>,
    /// How many sessions the client told of in its last connection.
    told: usize,
}

impl World {
    fn new(version: Version) -> Self {
        let clock = Arc::new(Clock(AtomicU64::new(NOW)));
        let with_clock = |options: ContextOptions| ContextOptions {
            time: Some(clock.clone()),
            min_version: Some(version),
            max_version: Some(version),
            ..options
        };
        Self {
            client_context: with_clock(without_identity()),
            client: fixtures::client(),
            server_context: with_clock(with_identity(fixtures::SERVER)),
            server_options: fixtures::server(),
            server: None,
            outside: Vec::new(),
            told: 0,
            version,
            clock,
        }
    }

    fn server(&mut self) -> &mut Server {
        let (context, options) = (context(&self.server_context), self.server_options.clone());
        self.server.get_or_insert_with(|| Server::new(context, options).expect("right"))
    }

    /// Connects, and gives whether a session was resumed and the client's last session.
    fn connect(&mut self, session: Option<Vec<u8>>) -> (bool, Option<Vec<u8>>) {
        let server = self.server().accept().expect("there is no limit");
        let options = ConnectionOptions { session, ..self.client.clone() };
        let client = Connection::new(context(&self.client_context), options).expect("right");
        let mut pair = Pair { client, server, ..Pair::plain() };
        let mut secure = false;
        loop {
            pair.drive();
            let events = events(&mut pair.server);
            if events.is_empty() {
                break;
            }
            for event in events {
                match event {
                    Event::NewSession(session) => {
                        self.outside.push(session);
                        pair.server.answer_new_session().expect("it was asked");
                    }
                    Event::ResumeSession(id) => {
                        let found = self.outside.iter().find(|session| session.id == id);
                        let data = found.map(|session| session.data.clone());
                        pair.server.answer_resume_session(data).expect("it was asked");
                    }
                    event => {
                        assert_eq!(event, Event::Secure);
                        secure = true;
                    }
                }
            }
        }
        assert_eq!(pair.errors(), (None, None));
        let of_client = events(&mut pair.client);
        self.told = of_client.iter().filter(|event| matches!(event, Event::Session(_))).count();
        assert!(secure && pair.client.authorized());
        assert_eq!(pair.client.is_session_reused(), pair.server.is_session_reused(), "both ends say the same");
        assert_eq!(pair.client.protocol(), Some(self.version));
        assert_eq!(pair.client.finished(), pair.server.peer_finished());
        assert_eq!(pair.server.finished(), pair.client.peer_finished());
        let asked = self.server_options.request_cert;
        assert_eq!(pair.server.authorized(), asked && !self.client_context.certs.is_empty());
        assert_eq!(pair.server.peer_certificates().is_empty(), !pair.server.authorized());
        (pair.client.is_session_reused(), pair.client.session().map(<[u8]>::to_vec))
    }
}

#[test]
fn a_session_is_resumed_on_the_same_terms_only() {
    type Change = fn(&mut World);
    fn nothing(_: &mut World) {}
    fn no_tickets(world: &mut World) {
        world.server_options.tickets = false;
    }
    fn outside(world: &mut World) {
        world.server_options.session_events = true;
    }
    fn client_certificate(world: &mut World) {
        world.server_options.request_cert = true;
        world.client_context.certs = vec![CLIENT.0.to_vec()];
        world.client_context.keys = vec![CLIENT.1.to_vec().into()];
    }
    fn fleet(world: &mut World) {
        world.server_context.ticket_keys = Some(vec![5; 48].into());
    }
    fn new_server(world: &mut World) {
        world.server = None;
    }
    fn later(world: &mut World, seconds: u64) {
        world.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }
    #[rustfmt::skip]
    let rows: &[(&str, Change, Change, bool)] = &[
        ("by a ticket", nothing, nothing, true),
        ("by an id", no_tickets, nothing, true),
        ("from outside", outside, nothing, true),
        ("by a ticket, with a client certificate", client_certificate, nothing, true),
        ("by an id, with a client certificate", |world| { no_tickets(world); client_certificate(world) }, nothing, true),
        ("at the last second of its life", nothing, |world| later(world, 299), true),
        ("after its life", nothing, |world| later(world, 300), false),
        ("by an id after its life", no_tickets, |world| later(world, 300), false),
        ("from outside after its life", outside, |world| later(world, 300), false),
        ("after a shorter life", |world| world.server_context.session_timeout = Some(10), |world| later(world, 10), false),
        ("by a clock that is a minute behind", nothing, |world| { world.clock.0.fetch_sub(60, Ordering::Relaxed); }, true),
        ("long before it was made, by the clock", nothing, |world| { world.clock.0.fetch_sub(61, Ordering::Relaxed); }, false),
        ("by another server", nothing, new_server, false),
        ("by another server of the fleet", fleet, new_server, true),
        ("by another server of the fleet that serves another certificate", fleet, |world| { new_server(world); world.server_context.keys = vec![fixtures::OTHER.1.to_vec().into()]; world.server_context.certs = vec![fixtures::OTHER.0.to_vec()]; }, true),
        ("by another server of the fleet that takes no tickets", fleet, |world| { new_server(world); no_tickets(world) }, false),
        ("by another server of the fleet with another context id", fleet, |world| { new_server(world); world.server_context.session_id_context = b"x".to_vec() }, false),
        ("by another server of the fleet with another CA", fleet, |world| { new_server(world); world.server_context.cas = vec![fixtures::SERVER.0.to_vec()] }, false),
        ("from outside by another server", outside, new_server, true),
        ("from outside, where it was forgotten", outside, |world| world.outside.clear(), false),
        ("from outside, where it is not what it was", outside, |world| world.outside.iter_mut().for_each(|session| session.data.truncate(60)), false),
        ("after the ticket keys changed once", fleet, |world| world.server().set_ticket_keys(&[6; 48]).expect("right"), true),
        ("after the ticket keys changed twice", fleet, |world| for byte in [6, 7] { world.server().set_ticket_keys(&[byte; 48]).expect("right") }, false),
        ("by a server that asks for a certificate, where it did not", fleet, |world| { new_server(world); client_certificate(world) }, false),
        ("by a server that no longer asks for a certificate", |world| { fleet(world); client_certificate(world) }, |world| { new_server(world); world.server_options.request_cert = false }, false),
        ("by a client of another name", nothing, |world| world.client.servername = Some("SERVER.test".into()), true),
        ("by a client that trusts others", nothing, |world| world.client_context.cas.push(fixtures::SERVER.0.to_vec()), false),
        ("by a client that has another certificate", nothing, |world| { world.client_context.certs = vec![CLIENT.0.to_vec()]; world.client_context.keys = vec![CLIENT.1.to_vec().into()]; }, false),
        ("by a client that is less strict", nothing, |world| world.client.reject_unauthorized = false, false),
    ];
    for version in [Version::Tls12, Version::Tls13] {
        for (what, before, between, expected) in rows {
            let mut world = World::new(version);
            before(&mut world);
            let (resumed, session) = world.connect(None);
            assert!(!resumed, "{version}: {what}: the first is no resumption");
            // What TLS 1.3 resumes by is a ticket, whatever stands in it (RFC 8446 section 4.6.1).
            let without_tickets = version == Version::Tls13 && !world.server_options.tickets;
            assert_eq!(session.is_some(), !without_tickets, "{version}: {what}: there is a session");
            if without_tickets {
                continue;
            }
            between(&mut world);
            let (resumed, next) = world.connect(session);
            assert_eq!(resumed, *expected, "{version}: {what}");
            if *expected && version == Version::Tls13 {
                assert!(world.connect(next).0, "{version}: {what}: and again");
            }
        }
    }
}

#[test]
fn sessions_that_follow_from_each_other_end_after_a_day() {
    for version in [Version::Tls12, Version::Tls13] {
        let mut world = World::new(version);
        world.server_context.session_timeout = Some(3600);
        let (_, mut session) = world.connect(None);
        let mut hours = 0;
        loop {
            world.clock.0.fetch_add(3500, Ordering::Relaxed);
            let (resumed, next) = world.connect(session);
            if !resumed {
                break;
            }
            hours += 1;
            session = next;
        }
        assert_eq!(hours, 24, "{version}: 24 times 3500 s are less than a day, 25 are more");
    }
}

#[test]
fn a_session_of_tls13_serves_once_and_one_of_tls12_many_times() {
    for (version, again) in [(Version::Tls12, true), (Version::Tls13, false)] {
        let mut world = World::new(version);
        let (_, session) = world.connect(None);
        assert!(world.connect(session.clone()).0, "{version}");
        assert_eq!(world.connect(session).0, again, "{version}");
    }
}

#[test]
fn a_resumption_of_tls12_tells_of_a_session_where_a_ticket_came() {
    for (tickets, expected) in [(true, 1), (false, 0)] {
        let mut world = World::new(Version::Tls12);
        world.server_options.tickets = tickets;
        world.client.session_event = true;
        let (_, session) = world.connect(None);
        assert_eq!(world.told, 1, "the full handshake, tickets: {tickets}");
        let (resumed, next) = world.connect(session);
        assert!(resumed && next.is_some(), "tickets: {tickets}");
        assert_eq!(world.told, expected, "the resumption, tickets: {tickets}");
        assert!(world.connect(next).0, "and again, tickets: {tickets}");
    }
}

#[test]
fn a_new_session_waits_for_its_answer() {
    for version in [Version::Tls12, Version::Tls13] {
        let mut world = World::new(version);
        world.server_options.session_events = true;
        let server = world.server().accept().expect("there is no limit");
        let client = Connection::new(context(&world.client_context), world.client.clone()).expect("right");
        let mut pair = Pair { client, server, ..Pair::plain() };
        pair.drive();
        let sessions =
            events(&mut pair.server).into_iter().filter(|event| matches!(event, Event::NewSession(_))).count();
        assert!(sessions > 0, "{version}");
        assert!(!pair.server.wants_write(), "{version}: it waits");
        assert_eq!(pair.server.write_encrypted(b"more"), Ok(0), "{version}: it waits");
        for _ in 0..sessions {
            pair.server.answer_new_session().expect("it was asked");
        }
        assert_eq!(pair.server.answer_new_session().map_err(|error| error.code), Err(ErrorCode::ErrInvalidState));
        pair.drive();
        assert!(events(&mut pair.client).contains(&Event::Secure), "{version}");
    }
}

#[test]
fn what_names_no_session_is_refused() {
    let options = ConnectionOptions { session: Some(b"session".to_vec()), ..fixtures::client() };
    let errors = Connection::new(fixtures::client_context(), options).map(|_| ()).expect_err("it is no name");
    assert_eq!(errors.iter().map(|error| error.code).collect::<Vec<_>>(), [ErrorCode::ErrInvalidArgValue]);
    // A name of the right length that is not known is a session that was forgotten: the handshake is a full one.
    let mut world = World::new(Version::Tls13);
    assert!(!world.connect(Some(vec![7; 32])).0);
}

/// Within the validity of the fixtures.
const NOW: u64 = 1_800_000_000;

#[test]
fn keys_of_tickets_have_48_bytes() {
    let server = Server::new(fixtures::server_context(), fixtures::server()).expect("right");
    for (length, expected) in [(0, false), (47, false), (48, true), (49, false)] {
        let set = server.set_ticket_keys(&vec![1; length]);
        assert_eq!(set.map_err(|error| error.code), if expected { Ok(()) } else { Err(ErrorCode::ErrInvalidArgValue) });
    }
    assert_eq!(server.ticket_keys().map(|keys| *keys), Ok([1; 48]));
}
