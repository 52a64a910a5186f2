//! `cargo xtask rows`: the rows of the contract, and the tests that show them.

use std::{collections::BTreeMap, fmt::Write, process::ExitCode};

use anyhow::{Context, Result, bail};
use contract::{Contract, Row, Shown};

use crate::{project::Project, readme, step::Step};

/// Prints every row of contract.toml with the tests that show it, as the tests' names say, and `rows: N of M shown` at the end.
///
/// It fails where a row is not shown, where a test names a row that is not there, and where README.md's table is not made
/// from the same.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// All tests of a row, not only the first few
    #[arg(long, short)]
    verbose: bool,
    /// Make the table of README.md anew
    #[arg(long)]
    write: bool,
}

/// Runs the command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<ExitCode> {
    let evidence = Evidence::gather(project)?;
    print!("{}", evidence.list(if arguments.verbose { usize::MAX } else { FEW }));
    if arguments.write {
        let what = if readme::write(project, &evidence)? { "README.md: written" } else { "README.md: as it was" };
        println!("{what}");
    }
    let wrong = wrong(project, &evidence)?;
    wrong.iter().for_each(|wrong| eprintln!("error: {wrong}"));
    println!("{}", evidence.summary());
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// As [`run`], as a step of another command: the error names all that is wrong.
pub(crate) fn check(project: &Project) -> Result<String> {
    let evidence = Evidence::gather(project)?;
    let wrong = wrong(project, &evidence)?;
    if !wrong.is_empty() {
        bail!("{}\n{}", evidence.summary(), wrong.join("\n"));
    }
    Ok(evidence.summary())
}

/// The contract with the tests that show its rows.
pub(crate) struct Evidence<'a> {
    contract: &'a Contract,
    /// By id; also of ids that the contract does not have.
    tests: BTreeMap<String, Vec<String>>,
}

/// How a row stands.
#[derive(Debug, PartialEq)]
pub(crate) enum State<'a> {
    /// Tests show it.
    Shown,
    /// Tests show it, but for this.
    InPart(&'a str),
    /// No test shows it.
    NotYet,
    /// It is the host's part, of which the component has nothing to show, and no host of `examples/` shows it.
    Hosts,
}

impl<'a> Evidence<'a> {
    /// Builds the test programs and asks them for their tests.
    fn gather(project: &Project) -> Result<Evidence<'static>> {
        let mut cargo = project.cargo();
        cargo.args(["test", "--package", "host-tests", "--tests", "--", "--list"]);
        let outcome = Step::new("rows: building the test programs and asking for their tests", cargo).run()?;
        let evidence = Evidence::new(Contract::shared(), outcome.lines.iter().filter_map(|line| test_name(line)));
        evidence.context("rows: cargo listed no tests of host-tests")
    }

    /// The evidence of tests with these names; none where there are none.
    pub(crate) fn new<'n>(contract: &'a Contract, names: impl Iterator<Item = &'n str>) -> Option<Evidence<'a>> {
        let mut tests = BTreeMap::<_, Vec<_>>::new();
        let mut count = 0;
        for Shown { text, ids } in names.map(Shown::parse) {
            count += 1;
            ids.into_iter().for_each(|id| tests.entry(id).or_default().push(text.clone()));
        }
        (count > 0).then_some(Evidence { contract, tests })
    }

    /// The rows, in the contract's order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&'a Row, State<'a>)> {
        self.contract.rows.iter().map(|row| (row, self.state(row)))
    }

    fn state(&self, row: &'a Row) -> State<'a> {
        match (&row.lacks, self.tests.contains_key(&row.id)) {
            (_, false) if !row.needs_test() => State::Hosts,
            (_, false) => State::NotYet,
            (Some(lacks), true) => State::InPart(lacks),
            (None, true) => State::Shown,
        }
    }

    /// Every row and at most `few` of its tests, a line each.
    fn list(&self, few: usize) -> String {
        let mut list = String::new();
        for (row, state) in self.rows() {
            let tests = self.tests.get(&row.id).map_or(&[][..], Vec::as_slice);
            let stands = match state {
                State::Shown => count(tests.len()),
                State::InPart(lacks) => format!("{}, but lacks {lacks}", count(tests.len())),
                State::NotYet => "no test".to_string(),
                State::Hosts => "the host's part".to_string(),
            };
            // Writing to a string can't fail.
            let _ = writeln!(list, "{:<4} {}: {stands}", row.id, row.item);
            tests.iter().take(few).for_each(|test| list += &format!("         {test}\n"));
            if tests.len() > few {
                list += &format!("         … and {} more\n", tests.len() - few);
            }
        }
        list
    }

    /// `rows: N of M shown`.
    fn summary(&self) -> String {
        let needed = self.rows().filter(|(_, state)| *state != State::Hosts).count();
        let shown = self.rows().filter(|(_, state)| *state == State::Shown).count();
        format!("rows: {shown} of {needed} shown")
    }

    /// What keeps the contract from being shown, a line for each kind of thing.
    fn wrong(&self) -> Vec<String> {
        let ids = |wanted: fn(&Row, &State<'_>) -> bool| {
            let rows = self.rows().filter(|(row, state)| wanted(row, state));
            rows.map(|(row, _)| row.id.as_str()).collect::<Vec<_>>().join(" ")
        };
        let unknown = self.tests.iter().filter(|(id, _)| self.contract.row(id).is_none());
        let unknown = unknown.map(|(id, tests)| format!("{id} ({})", tests.join("; "))).collect::<Vec<_>>().join(", ");
        let lines = [
            ("no test shows", ids(|row, state| *state == State::NotYet && !row.is_refusal())),
            ("no test shows the refusal of", ids(|row, state| *state == State::NotYet && row.is_refusal())),
            ("contract.toml says that something lacks of", ids(|_, state| matches!(state, State::InPart(_)))),
            ("tests name rows that contract.toml does not have:", unknown),
        ];
        lines.iter().filter(|(_, which)| !which.is_empty()).map(|(what, which)| format!("{what} {which}")).collect()
    }
}

/// What is wrong with the evidence, and with the table that is made from it.
fn wrong(project: &Project, evidence: &Evidence<'_>) -> Result<Vec<String>> {
    let mut wrong = evidence.wrong();
    wrong.extend(readme::stale(project, evidence)?);
    Ok(wrong)
}

/// The name in a line such as `component: a name [K4]: test` of what a test program lists.
fn test_name(line: &str) -> Option<&str> {
    line.strip_suffix(": test")
}

fn count(tests: usize) -> String {
    if tests == 1 { "1 test".to_string() } else { format!("{tests} tests") }
}

/// How many tests of a row are named unless all are asked for.
const FEW: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_what_cargo_prints() {
        for (line, name) in [
            ("component: a name [K4]: test", Some("component: a name [K4]")),
            ("module::tests::a_name: test", Some("module::tests::a_name")),
            ("     Running tests/component.rs (target/debug/deps/component-0123)", None),
            ("3 tests, 0 benchmarks", None),
            ("a_bench: benchmark", None),
            ("", None),
        ] {
            assert_eq!(test_name(line), name, "{line}");
        }
    }

    #[test]
    fn a_row_is_shown_by_a_test_that_names_it() -> Result<()> {
        let contract = contract()?;
        let evidence =
            Evidence::new(&contract, ["all [K1 K2 K4 X1]", "more [K1]", "none"].into_iter()).context("three tests")?;
        let states: Vec<_> = evidence.rows().map(|(row, state)| (row.id.as_str(), state)).collect();
        let expected = [
            ("K1", State::Shown),
            ("K2", State::InPart("half")),
            ("K3", State::Hosts),
            ("K4", State::Shown),
            ("X1", State::Shown),
        ];
        assert_eq!(states, expected);
        assert_eq!(evidence.summary(), "rows: 3 of 4 shown");
        assert_eq!(evidence.wrong(), ["contract.toml says that something lacks of K2"]);
        let list = evidence.list(1);
        assert!(list.contains("K1   a: 2 tests\n         all\n         … and 1 more\n"), "{list}");
        assert!(
            list.contains("K2   a: 1 test, but lacks half\n") && list.contains("K3   a: the host's part\n"),
            "{list}"
        );
        assert!(!evidence.list(usize::MAX).contains('…'));
        Ok(())
    }

    #[test]
    fn all_that_is_wrong_is_named() -> Result<()> {
        let contract = contract()?;
        let evidence = Evidence::new(&contract, ["a test [K4 K9]", "another [K9]"].into_iter()).context("two tests")?;
        let expected = [
            "no test shows K1 K2",
            "no test shows the refusal of X1",
            "tests name rows that contract.toml does not have: K9 (a test; another)",
        ];
        assert_eq!(evidence.wrong(), expected);
        assert_eq!(evidence.summary(), "rows: 1 of 4 shown");
        assert!(Evidence::new(&contract, [].into_iter()).is_none());
        Ok(())
    }

    fn contract() -> Result<Contract> {
        let row = |id: &str, more: &str| format!("[[row]]\nid = \"{id}\"\nitem = \"a\"\ndoes = \"b\"\n{more}\n");
        let rows = [
            row("K1", ""),
            row("K2", "lacks = \"half\""),
            row("K3", "host = \"all\""),
            row("K4", "host = \"half\"\nprimitive = \"half\""),
            row("X1", "because = \"c\"\ninstead = \"d\""),
        ];
        Contract::parse(&rows.concat()).map_err(anyhow::Error::msg)
    }
}
