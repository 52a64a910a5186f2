//! What was measured, in Markdown.

use std::fmt::Write;
use std::fs;

use anyhow::Result;

use crate::measure::{CLIENTS, Figures, LOADS, Plan, REQUESTS, Work};
use crate::place::{BIG, Place, SMALL};

/// The tables, and what they were measured on.
pub(crate) fn markdown(all: &[Figures], plan: &Plan, place: &Place) -> Result<String> {
    let stunnel = all.iter().position(|figures| figures.name == STANDARD);
    let mut text = String::new();
    writeln!(text, "For each second of the server's own processor time; in brackets, the ratio to {STANDARD}:\n")?;
    let heads = |first: &str| -> [String; 2] {
        let names: String = all.iter().map(|figures| format!(" {} |", figures.name)).collect();
        [format!("| {first} |{names}"), format!("|---|{}", "---:|".repeat(all.len()))]
    };
    text += &(heads("").join("\n") + "\n");
    let rows = rows(all, plan);
    for (name, row) in &rows {
        let standard = stunnel.and_then(|place| *row.get(place)?).map(Work::rate);
        write!(text, "| {name} |")?;
        for (work, figures) in row.iter().zip(all) {
            match (work, standard) {
                (None, _) => write!(text, " failed |")?,
                (Some(work), Some(standard)) if figures.name != STANDARD => {
                    write!(text, " {} ({:.2}) |", rounded(work.rate()), work.rate() / standard)?;
                }
                (Some(work), _) => write!(text, " {} |", rounded(work.rate()))?,
            }
        }
        text.push('\n');
    }
    writeln!(
        text,
        "\nFor each second by the clock, and in brackets how much of one processor the server used of it:\n"
    )?;
    text += &(heads("").join("\n") + "\n");
    for (name, row) in &rows {
        write!(text, "| {name} |")?;
        for work in row {
            let Some(work) = work else {
                write!(text, " failed |")?;
                continue;
            };
            let rate = work.amount / work.time.as_secs_f64();
            write!(text, " {} ({:.0} %) |", rounded(rate), work.busy() * 100.0)?;
        }
        text.push('\n');
    }
    writeln!(text, "\nMemory of all the server's processes, in MB (10^6 bytes), PSS; in brackets, kB a connection:\n")?;
    text += &(heads("idle TLS 1.3 connections").join("\n") + "\n");
    for (number, count) in [&0].into_iter().chain(&plan.idle).enumerate() {
        write!(text, "| {count} |")?;
        for figures in all {
            let Ok([empty, ..]) = figures.idle.as_ref().map(|idle| &*idle.memory) else {
                write!(text, " failed |")?;
                continue;
            };
            let idle = figures.idle.as_ref().ok();
            let pss = idle.and_then(|idle| idle.memory.get(number)).map_or(0, |memory| memory.pss);
            write!(text, " {:.1}", pss as f64 / 1e6)?;
            if *count > 0 {
                write!(text, " ({:.1})", pss.saturating_sub(empty.pss) as f64 / 1e3 / *count as f64)?;
            }
            write!(text, " |")?;
        }
        text.push('\n');
    }
    text.push('\n');
    let versions: Vec<_> = all.iter().map(|figures| format!("{} ({})", figures.version, figures.cipher)).collect();
    writeln!(text, "* Versions, and the suites that they and OpenSSL's client agree on: {}.", versions.join("; "))?;
    writeln!(
        text,
        "* Machine: {}, {} processors; each server on processor {} with one worker, load and back end (nginx) on {}. Files a process \
         may have open: {}. Load average before: {}.",
        processor(),
        place.processors,
        place.server_processors(),
        place.load_processors(),
        place.open_files,
        place.load_average
    )?;
    writeln!(
        text,
        "* TLS 1.3, a certificate on P-256, X25519. Connections: {CLIENTS} `openssl s_time -tls1_3` at once, with `-new` or `-reuse`, and \
         `-www /small` ({SMALL} bytes) for the request. Requests: `wrk -c 50`. Bulk: `wrk -c 4` of a file of {} MiB. {} s a figure. Idle \
         connections: rustls, 8 requests at once when they are woken.",
        BIG >> 20,
        plan.time.as_secs()
    )?;
    Ok(text)
}

/// The work of all terminators, load by load; what failed is missing.
fn rows<'a>(all: &'a [Figures], plan: &Plan) -> Vec<(String, Vec<Option<&'a Work>>)> {
    let loads = LOADS.iter().enumerate().map(|(number, load)| {
        let work = all.iter().map(|figures| figures.work.get(number)?.as_ref().ok());
        (format!("{}, {}", load.name, load.unit), work.collect())
    });
    let mut rows: Vec<_> = loads.collect();
    let most = plan.idle.last().copied().unwrap_or_default();
    let beside = all.iter().map(|figures| figures.idle.as_ref().ok().map(|idle| &idle.work));
    rows.push((format!("{}, beside {most} idle ones, {}", REQUESTS.name, REQUESTS.unit), beside.collect()));
    let woken = all.iter().map(|figures| figures.idle.as_ref().ok().map(|idle| &idle.woken));
    rows.push((format!("requests, each on another one of {most} idle connections"), woken.collect()));
    rows
}

/// Three digits are more than such a figure is good for.
fn rounded(value: f64) -> String {
    let step = 10_f64.powf((value.abs().max(1.0).log10().floor() - 2.0).max(0.0));
    format!("{:.0}", (value / step).round() * step)
}

/// The processor's name.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_string(), |(_, name)| name.to_string())
}

/// What all others are compared with.
const STANDARD: &str = "stunnel";
