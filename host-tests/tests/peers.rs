//! The peers meet each other, without the component: what they report must be right before they judge anyone.

use host_tests::meeting::Cell;
use host_tests::peers::Peer;
use host_tests::table::{self, Row, Summary};

fn main() {
    let arguments = table::arguments();
    let summary = Summary::default();
    let mut rows = Vec::new();
    for client in PEERS {
        for server in PEERS {
            for cell in Cell::all(client, server).into_iter().step_by(EVERY) {
                match cell.cannot() {
                    Some(why) => summary.cannot(&cell.meeting(), why),
                    None => rows.push(Row::new(cell.meeting(), cell.name(), move || async move { cell.run().await })),
                }
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, table::trials(rows, &summary));
    println!("the peers among themselves:\n{summary}");
    conclusion.exit();
}

const PEERS: [Peer; 3] = [Peer::OpenSsl, Peer::Node, Peer::Rustls];

/// A prime, so that every suite, group and certificate has its turn.
const EVERY: usize = 7;
