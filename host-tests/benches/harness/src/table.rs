//! What was measured, as a table for people and as JSON.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// One figure of one implementation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Measured {
    /// What was done.
    pub(crate) figure: String,
    /// By whom.
    #[serde(rename = "impl")]
    pub(crate) implementation: String,
    /// What the value counts.
    pub(crate) unit: String,
    /// The median.
    pub(crate) value: f64,
    /// The median is not below this, with a confidence of 95 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) low: Option<f64>,
    /// Nor above this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) high: Option<f64>,
}

/// The name of what all others are compared with.
pub(crate) const OURS: &str = "guest-tls";

/// A line a figure, a column an implementation, and how many times as fast the first is.
pub(crate) fn table(measured: &[Measured]) -> String {
    let mut implementations = Vec::new();
    let mut figures = Vec::new();
    for one in measured {
        if !implementations.contains(&&one.implementation) {
            implementations.push(&one.implementation);
        }
        if !figures.contains(&(&one.figure, &one.unit)) {
            figures.push((&one.figure, &one.unit));
        }
    }
    let width = figures.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut table = String::new();
    // Writing to a string can't fail.
    let _ = write!(table, "{:width$}  {:>5}", "figure", "unit");
    for name in &implementations {
        let _ = write!(table, " {name:>15}");
    }
    for name in implementations.iter().filter(|name| **name != OURS) {
        let _ = write!(table, " {:>17}", format!("/ {name}"));
    }
    table.push('\n');
    for (figure, unit) in figures {
        let value = |name: &str| {
            let found = measured.iter().find(|one| &one.figure == figure && one.implementation == name);
            found.map(|one| one.value)
        };
        let _ = write!(table, "{figure:width$}  {unit:>5}");
        for name in &implementations {
            let _ = write!(table, " {:>15}", value(name).map_or_else(|| "–".to_string(), rounded));
        }
        for name in implementations.iter().filter(|name| **name != OURS) {
            let ratio = value(OURS).zip(value(name)).map(|(ours, others)| format!("{:.2}", ours / others));
            let _ = write!(table, " {:>17}", ratio.unwrap_or_default());
        }
        table.push('\n');
    }
    table
}

/// With the digits that mean something.
fn rounded(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_ours_to_theirs() {
        let one = |figure: &str, implementation: &str, value| Measured {
            figure: figure.to_string(),
            implementation: implementation.to_string(),
            unit: "/s".to_string(),
            value,
            low: None,
            high: None,
        };
        let table = table(&[one("sign", OURS, 300.0), one("sign", "ring-wasm", 100.0), one("alone", OURS, 1.5)]);
        let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["sign", "/s", "300", "100", "3.00"]);
        assert_eq!(lines[2], ["alone", "/s", "1.50", "–"]);
    }
}
