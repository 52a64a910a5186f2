//! The rows of `contract.toml`, and the names of tests, which say what rows they show.
//!
//! Both `cargo xtask rows` and the tests themselves read the contract with this, so that an id means the same to both.

use std::sync::OnceLock;

use serde::Deserialize;

mod name;

pub use name::Shown;

/// What the project promises, in the order of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The rows.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
}

/// A promise.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// By which tests and texts call it, for example `K4`.
    pub id: String,
    /// What Node calls it.
    pub item: String,
    /// What it does.
    pub does: String,
    /// What the host does, where the row is the host's part.
    pub host: Option<String>,
    /// What the component gives the host for that.
    pub primitive: Option<String>,
    /// What of the row is not there yet.
    pub lacks: Option<String>,
    /// Why it cannot be: of an X row only.
    pub because: Option<String>,
    /// What to do in its place: of an X row only.
    pub instead: Option<String>,
}

impl Contract {
    /// The project's contract.
    pub fn shared() -> &'static Contract {
        static SHARED: OnceLock<Contract> = OnceLock::new();
        SHARED.get_or_init(|| Contract::parse(FILE).unwrap_or_else(|error| panic!("contract.toml: {error}")))
    }

    /// Reads a contract. The error names all that is wrong.
    pub fn parse(text: &str) -> Result<Contract, String> {
        let contract: Contract = toml::from_str(text).map_err(|error| error.to_string())?;
        let wrong: Vec<_> =
            contract.rows.iter().enumerate().flat_map(|(at, row)| row.wrong(&contract.rows[..at])).collect();
        if wrong.is_empty() { Ok(contract) } else { Err(wrong.join("\n")) }
    }

    /// The row with this id.
    pub fn row(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.id == id)
    }
}

impl Row {
    /// Whether a test must show it: all but the host's part of which the component gives nothing.
    pub fn needs_test(&self) -> bool {
        self.host.is_none() || self.primitive.is_some()
    }

    /// Whether it is something that cannot be.
    pub fn is_refusal(&self) -> bool {
        self.id.starts_with('X')
    }

    fn wrong(&self, before: &[Row]) -> Vec<String> {
        let Row { id, item, does, .. } = self;
        let mut wrong = Vec::new();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                wrong.push(format!("row {id:?}: {what}"));
            }
        };
        must(is_id(id), "an id is one of M, O, S, K, X, and a number, such as \"K4\"");
        must(before.iter().all(|row| row.id != *id), "there is another row with this id");
        must(!item.is_empty() && !does.is_empty(), "`item` and `does` must say something");
        must(self.primitive.is_none() || self.host.is_some(), "only a row with `host` has a `primitive`");
        let reasons = [&self.because, &self.instead];
        must(
            reasons.iter().all(|reason| reason.is_some() == self.is_refusal()),
            "X rows, and no others, have `because` and `instead`",
        );
        wrong
    }
}

fn is_id(word: &str) -> bool {
    let number = word.strip_prefix(['M', 'O', 'S', 'K', 'X']).unwrap_or_default();
    !number.is_empty() && !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit())
}

const FILE: &str = include_str!("../../contract.toml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_contract_is_whole() {
        let contract = Contract::shared();
        for (letter, count) in [('M', 10), ('O', 26), ('S', 9), ('K', 20), ('X', 9)] {
            let ids: Vec<_> =
                contract.rows.iter().map(|row| row.id.as_str()).filter(|id| id.starts_with(letter)).collect();
            let expected: Vec<_> = (1..=count).map(|number| format!("{letter}{number}")).collect();
            assert_eq!(ids, expected);
        }
        assert!(contract.row("O23").is_some_and(|row| !row.needs_test()));
        assert!(contract.row("M4").is_some_and(Row::needs_test));
        assert!(contract.row("K21").is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let row = |fields: &str| format!("[[row]]\nitem = \"a\"\ndoes = \"b\"\n{fields}\n");
        for (text, expected) in [
            (row("id = \"Q1\""), "row \"Q1\": an id is one of M, O, S, K, X, and a number, such as \"K4\""),
            (row("id = \"K01\""), "row \"K01\": an id is"),
            (row("id = \"K1\"").repeat(2), "row \"K1\": there is another row with this id"),
            (row("id = \"K1\"\nprimitive = \"p\""), "only a row with `host` has a `primitive`"),
            (row("id = \"K1\"\nbecause = \"p\""), "X rows, and no others"),
            (row("id = \"X1\"\nbecause = \"p\""), "X rows, and no others"),
            (row("id = \"K1\"\nsays = \"p\""), "unknown field `says`"),
            (row(""), "missing field `id`"),
            ("[[row]]\nid = \"K1\"\nitem = \"\"\ndoes = \"\"".to_string(), "must say something"),
        ] {
            let error = Contract::parse(&text).expect_err(&text);
            assert!(error.contains(expected), "{text}: {error}");
        }
        let both = Contract::parse(&(row("id = \"K0\"") + &row("id = \"Q1\""))).expect_err("two are wrong");
        assert_eq!(both.lines().count(), 2, "{both}");
    }
}
