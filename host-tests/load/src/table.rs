//! What was measured, in Markdown.

use std::fmt::Write;
use std::fs;

use anyhow::Result;

use crate::measure::{CLIENTS, Figures, LOADS, Plan, Work};
use crate::place::{BIG, Place, SMALL};

/// The tables, and what they were measured on.
pub(crate) fn markdown(all: &[Figures], plan: &Plan, place: &Place) -> Result<String> {
    let stunnel = all.iter().find(|figures| figures.name == STANDARD);
    let mut text = String::new();
    writeln!(text, "For each second of the server's own processor time; in brackets, the ratio to {STANDARD}:\n")?;
    let heads = |first: &str| -> [String; 2] {
        let names: String = all.iter().map(|figures| format!(" {} |", figures.name)).collect();
        [format!("| {first} |{names}"), format!("|---|{}", "---:|".repeat(all.len()))]
    };
    text += &(heads("").join("\n") + "\n");
    for (number, load) in LOADS.iter().enumerate() {
        let standard = stunnel.and_then(|figures| figures.work.get(number)?.as_ref().ok()).map(Work::rate);
        write!(text, "| {}, {} |", load.name, load.unit)?;
        for figures in all {
            match figures.work.get(number) {
                Some(Ok(work)) => write!(text, " {}{} |", rounded(work.rate()), ratio(work.rate(), standard, figures))?,
                _ => write!(text, " failed |")?,
            }
        }
        text.push('\n');
    }
    writeln!(
        text,
        "\nFor each second by the clock, and in brackets how much of one processor the server used of it:\n"
    )?;
    text += &(heads("").join("\n") + "\n");
    for (number, load) in LOADS.iter().enumerate() {
        write!(text, "| {}, {} |", load.name, load.unit)?;
        for figures in all {
            match figures.work.get(number) {
                Some(Ok(work)) => {
                    let rate = work.amount / work.time.as_secs_f64();
                    write!(text, " {} ({:.0} %) |", rounded(rate), work.busy() * 100.0)?;
                }
                _ => write!(text, " failed |")?,
            }
        }
        text.push('\n');
    }
    writeln!(text, "\nMemory of all the server's processes, in MB (10^6 bytes), PSS; in brackets, kB a connection:\n")?;
    text += &(heads("idle TLS 1.3 connections").join("\n") + "\n");
    for (number, count) in [&0].into_iter().chain(&plan.idle).enumerate() {
        write!(text, "| {count} |")?;
        for figures in all {
            let Ok([empty, ..]) = figures.memory.as_deref() else {
                write!(text, " failed |")?;
                continue;
            };
            let pss = figures.memory.as_ref().ok().and_then(|all| all.get(number)).map_or(0, |memory| memory.pss);
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
         connections: rustls; each has to answer a request at the end.",
        BIG >> 20,
        plan.time.as_secs()
    )?;
    Ok(text)
}

fn ratio(rate: f64, standard: Option<f64>, figures: &Figures) -> String {
    match standard {
        Some(standard) if figures.name != STANDARD => format!(" ({:.2})", rate / standard),
        _ => String::new(),
    }
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
