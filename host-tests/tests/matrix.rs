//! Everyone × client and server × every version, suite, group and certificate that both can do: a mebibyte both ways, with
//! half-close.

use std::time::Instant;

use host_tests::certificates::KINDS;
use host_tests::meeting::Cell;
use host_tests::peers::Peer;
use host_tests::table::{self, Row, Summary};

fn main() {
    let arguments = table::arguments();
    let summary = Summary::default();
    let mut rows = Vec::new();
    for (client, server) in MEETINGS {
        for cell in Cell::all(client, server) {
            if let Some(why) = cell.cannot() {
                summary.cannot(&cell.meeting(), why);
                continue;
            }
            if let Some(why) = cell.cannot_half_close() {
                summary.note(&cell.meeting(), why);
            }
            let row = Row::new(cell.meeting(), cell.name(), move || async move { cell.run().await });
            rows.push(row.shows(&cell.shows()));
        }
    }
    if !arguments.list {
        make_certificates();
    }
    let started = Instant::now();
    let conclusion = libtest_mimic::run(&arguments, table::trials(rows, &summary));
    println!("the matrix, in {:.0} s:\n{summary}", started.elapsed().as_secs_f32());
    conclusion.exit();
}

/// Makes all certificates, side by side: keys of RSA take a while.
fn make_certificates() {
    let threads = KINDS.map(|kind| std::thread::spawn(move || kind.server()));
    for thread in threads {
        // Whoever needs it makes it again, and says what is wrong.
        let _ = thread.join();
    }
}

/// Who meets whom. The component meets itself once: that is both roles.
const MEETINGS: [(Peer, Peer); 7] = [
    (Peer::Component, Peer::OpenSsl),
    (Peer::Component, Peer::Node),
    (Peer::Component, Peer::Rustls),
    (Peer::Component, Peer::Component),
    (Peer::OpenSsl, Peer::Component),
    (Peer::Node, Peer::Component),
    (Peer::Rustls, Peer::Component),
];
