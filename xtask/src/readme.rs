//! The table of README.md that is made from the contract: what works, and what does not.

use std::fs;

use anyhow::{Context, Result};
use contract::Row;

use crate::{
    project::{Project, write_if_changed},
    rows::{Evidence, State},
};

/// Makes the table anew; whether that changed anything.
pub(crate) fn write(project: &Project, evidence: &Evidence<'_>) -> Result<bool> {
    let made = with_table(&read(project)?, &table(evidence))?;
    write_if_changed(&project.root.join(FILE), made.as_bytes())
}

/// What to do where the table is not what the evidence says.
pub(crate) fn stale(project: &Project, evidence: &Evidence<'_>) -> Result<Option<String>> {
    let text = read(project)?;
    let is_stale = with_table(&text, &table(evidence))? != text;
    Ok(is_stale.then(|| format!("the table of {FILE} is stale: run `cargo xtask rows --write`, and commit")))
}

fn read(project: &Project) -> Result<String> {
    fs::read_to_string(project.root.join(FILE)).with_context(|| format!("can't read {FILE}"))
}

/// The text of a file with this between two marks, which are lines of it.
pub(crate) fn between(file: &str, text: &str, [begin, end]: [&str; 2], new: &str) -> Result<String> {
    let marks =
        || format!("{file} must have the lines {} and {}, once each and in this order", begin.trim(), end.trim());
    let (before, rest) = text.split_once(begin).with_context(marks)?;
    let (_, after) = rest.split_once(end).with_context(marks)?;
    anyhow::ensure!(![before, after].iter().any(|part| part.contains(begin) || part.contains(end)), marks());
    Ok(format!("{before}{begin}{new}{end}{after}"))
}

fn with_table(text: &str, table: &str) -> Result<String> {
    between(FILE, text, [BEGIN, END], table)
}

fn table(evidence: &Evidence<'_>) -> String {
    let (refusals, rows): (Vec<_>, Vec<_>) = evidence.rows().partition(|(row, _)| row.is_refusal());
    let rows = rows.iter().map(|(row, state)| line(&[&row.id, &row.item, &row.does, &words(row, state)]));
    let refusals = refusals.iter().map(|(row, state)| {
        let reason = |text: &Option<String>| text.clone().unwrap_or_default();
        line(&[&row.id, &row.item, &row.does, &reason(&row.because), &reason(&row.instead), &words(row, state)])
    });
    format!(
        "| row | what | what it does | shown |\n|---|---|---|---|\n{}\n\
         What cannot be, and is refused:\n\n\
         | row | what | what happens | because | instead | shown |\n|---|---|---|---|---|---|\n{}",
        rows.collect::<String>(),
        refusals.collect::<String>()
    )
}

fn words(row: &Row, state: &State<'_>) -> String {
    let state = match state {
        State::Shown => "yes".to_string(),
        State::InPart(lacks) => format!("all but: {lacks}"),
        State::NotYet => "not yet".to_string(),
        State::Hosts => String::new(),
    };
    match (&row.host, &row.primitive) {
        (None, _) => state,
        (Some(host), None) => format!("the host {host}"),
        (Some(host), Some(primitive)) => format!("{state}: {primitive}; the host {host}"),
    }
}

/// A line of a table: a bar inside a cell would begin another one.
fn line(cells: &[&str]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

const FILE: &str = "README.md";

const BEGIN: &str = "<!-- `cargo xtask rows --write` makes what follows from contract.toml and the tests -->\n\n";

const END: &str = "\n<!-- to here -->\n";

#[cfg(test)]
mod tests {
    use contract::Contract;

    use super::*;

    #[test]
    fn a_table_is_put_between_the_marks() -> Result<()> {
        let text = format!("before\n{BEGIN}old\n{END}after\n");
        let made = with_table(&text, "new\n")?;
        assert_eq!(made, format!("before\n{BEGIN}new\n{END}after\n"));
        assert_eq!(with_table(&made, "new\n")?, made);
        for bad in ["nothing".to_string(), format!("{BEGIN} only"), format!("{END}{BEGIN}"), text.repeat(2)] {
            assert!(with_table(&bad, "new").is_err_and(|error| error.to_string().contains("once each")), "{bad}");
        }
        Ok(())
    }

    #[test]
    fn a_table_has_a_line_a_row() -> Result<()> {
        let text = "[[row]]\nid = \"K1\"\nitem = \"a|b\"\ndoes = \"c\"\n\
                    [[row]]\nid = \"K2\"\nitem = \"d\"\ndoes = \"e\"\nlacks = \"half\"\n\
                    [[row]]\nid = \"K3\"\nitem = \"f\"\ndoes = \"g\"\nhost = \"dials\"\nprimitive = \"streams\"\n\
                    [[row]]\nid = \"K4\"\nitem = \"h\"\ndoes = \"i\"\nhost = \"knows it\"\n\
                    [[row]]\nid = \"X1\"\nitem = \"j\"\ndoes = \"k\"\nbecause = \"l\"\ninstead = \"m\"\n";
        let contract = Contract::parse(text).map_err(anyhow::Error::msg)?;
        let evidence = Evidence::new(&contract, ["a test [K1 K2 X1]"].into_iter()).context("a test")?;
        let table = table(&evidence);
        let lines: Vec<_> = table.lines().filter(|line| line.starts_with("| K") || line.starts_with("| X")).collect();
        let expected = [
            "| K1 | a\\|b | c | yes |",
            "| K2 | d | e | all but: half |",
            "| K3 | f | g | not yet: streams; the host dials |",
            "| K4 | h | i | the host knows it |",
            "| X1 | j | k | l | m | yes |",
        ];
        assert_eq!(lines, expected);
        Ok(())
    }
}
