//! Tests as rows of a table, with a summary that is always printed.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Result;
use contract::{Contract, Shown};
use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;

/// The runtime of all rows.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().unwrap_or_else(|error| panic!("no tokio runtime: {error}")))
}

/// Runs a row to its end, and says all that was wrong.
pub fn run(row: impl Future<Output = Result<()>>) -> Result<(), String> {
    runtime().block_on(row).map_err(|error| format!("{error:#}"))
}

/// A row: what it is about, its name, what it shows of the contract, and what it does.
#[derive(Clone)]
pub struct Row {
    /// The group by which it is counted.
    pub group: String,
    /// Its name in lists, and the rows of `contract.toml` that it shows.
    pub name: Shown,
    test: Arc<dyn Fn() -> RowFuture + Send + Sync>,
}

type RowFuture = Pin<Box<dyn Future<Output = Result<()>>>>;

impl Row {
    /// A row. A name may end in the ids of what it shows: `a server picks the context by name [O15 K4]`.
    pub fn new<F>(
        group: impl Into<String>,
        name: impl Into<String>,
        test: impl Fn() -> F + Send + Sync + 'static,
    ) -> Row
    where
        F: Future<Output = Result<()>> + 'static,
    {
        Row { group: group.into(), name: Shown::parse(&name.into()), test: Arc::new(move || Box::pin(test())) }
    }

    /// Says that this shows these rows of `contract.toml`, as in `O15 K4`, over the component and against a peer that is not ours
    /// (or, where something is refused, by its typed error).
    pub fn shows(self, ids: &str) -> Row {
        Row { name: self.name.and(ids), ..self }
    }
}

/// A row for each of these functions, by whose names they are called; in brackets what they show, as for [`table::Row::shows`].
///
/// [`table::Row::shows`]: crate::table::Row::shows
#[macro_export]
macro_rules! rows {
    ($group:literal: $($test:ident $([$($id:ident)+])?),* $(,)?) => {
        vec![$(
            $crate::table::Row::new($group, stringify!($test).replace('_', " "), $test)
                $(.shows(concat!($(stringify!($id), " "),+)))?
        ),*]
    };
}

/// Runs the rows, prints how many passed, and ends the process.
pub fn main(rows: Vec<Row>) -> ! {
    let summary = Summary::default();
    let conclusion = libtest_mimic::run(&arguments(), trials(rows, &summary));
    print!("{summary}");
    conclusion.exit()
}

/// The rows as tests, which are counted.
pub fn trials(rows: Vec<Row>, summary: &Summary) -> Vec<Trial> {
    let trial = |row: Row| {
        let summary = summary.clone();
        let unknown = row.name.unknown(Contract::shared()).join(" ");
        Trial::test(format!("{}: {}", row.group, row.name), move || {
            let result = if unknown.is_empty() {
                run((row.test)())
            } else {
                Err(format!("its name ends in {unknown}, which no row of contract.toml has"))
            };
            summary.ran(&row.group, result.is_ok());
            Ok(result?)
        })
    };
    rows.into_iter().map(trial).collect()
}

/// The arguments of the command line, with two rows at a time, and one character for each unless more is asked for.
pub fn arguments() -> Arguments {
    let mut arguments = Arguments::from_args();
    arguments.quiet |= arguments.format.is_none() && arguments.filter.is_none() && !arguments.list;
    arguments.test_threads.get_or_insert(2);
    arguments
}

/// How many rows of a group passed, failed, and could not be tried.
#[derive(Clone, Default)]
pub struct Summary(Arc<Mutex<BTreeMap<String, Counts>>>);

#[derive(Default)]
struct Counts {
    passed: usize,
    failed: usize,
    cannot: BTreeMap<&'static str, usize>,
    notes: BTreeMap<&'static str, usize>,
}

impl Summary {
    /// Counts a row that was run.
    pub fn ran(&self, group: &str, passed: bool) {
        self.with(group, |counts| if passed { counts.passed += 1 } else { counts.failed += 1 });
    }

    /// Counts a row that can't be run.
    pub fn cannot(&self, group: &str, why: &'static str) {
        self.with(group, |counts| *counts.cannot.entry(why).or_default() += 1);
    }

    /// Counts a row of which a part can't be run.
    pub fn note(&self, group: &str, what: &'static str) {
        self.with(group, |counts| *counts.notes.entry(what).or_default() += 1);
    }

    fn with(&self, group: &str, change: impl FnOnce(&mut Counts)) {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(groups.entry(group.to_string()).or_default());
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let width = groups.keys().map(|group| group.len()).max().unwrap_or(0);
        for (group, Counts { passed, failed, cannot, notes }) in groups.iter() {
            if passed + failed == 0 {
                continue;
            }
            write!(f, "  {group:width$} {passed:5} passed {failed:4} failed")?;
            match cannot.values().sum::<usize>() {
                0 => writeln!(f)?,
                count => writeln!(f, " {count:4} impossible")?,
            }
            for (why, count) in cannot {
                writeln!(f, "  {:width$} {count:5} impossible: {why}", "")?;
            }
            for (what, count) in notes {
                writeln!(f, "  {:width$} {count:5} without half-close: {what}", "")?;
            }
        }
        Ok(())
    }
}
