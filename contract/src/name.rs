//! A test's name: what it is about, and in brackets at its end the rows that it shows.

use std::fmt;

use crate::{Contract, is_id};

/// A name and the rows that it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// What the test is about.
    pub text: String,
    /// The ids, in the order in which they were said first.
    pub ids: Vec<String>,
}

impl Shown {
    /// Reads a name such as `a server picks the context by name [O15 K4]`. Commas between are as good as spaces, and `[O15] [K4]` is
    /// the same. Brackets at the end in which no word looks like an id are text.
    pub fn parse(name: &str) -> Shown {
        let bracketed = name.strip_suffix(']').and_then(|name| name.rsplit_once('['));
        match bracketed.filter(|(_, ids)| words(ids).any(is_id)) {
            Some((before, ids)) => Shown::parse(before.trim_end()).and(ids),
            None => Shown { text: name.to_string(), ids: Vec::new() },
        }
    }

    /// The same, with these ids as well.
    pub fn and(mut self, ids: &str) -> Shown {
        for id in words(ids) {
            if !self.ids.iter().any(|known| known == id) {
                self.ids.push(id.to_string());
            }
        }
        self
    }

    /// The ids that no row of the contract has.
    pub fn unknown(&self, contract: &Contract) -> Vec<&str> {
        self.ids.iter().map(String::as_str).filter(|id| contract.row(id).is_none()).collect()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown { text, ids } = self;
        if ids.is_empty() { write!(f, "{text}") } else { write!(f, "{text} [{}]", ids.join(" ")) }
    }
}

fn words(ids: &str) -> impl Iterator<Item = &str> {
    ids.split([' ', ',']).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_in_ids() {
        for (name, text, ids) in [
            ("a name [K4]", "a name", &["K4"][..]),
            ("a name [K4 O15]", "a name", &["K4", "O15"]),
            ("a name[K4  O15 ]", "a name", &["K4", "O15"]),
            ("a name [K4, O15]", "a name", &["K4", "O15"]),
            ("a name [K4] [O15]", "a name", &["K4", "O15"]),
            ("[K4]", "", &["K4"]),
            ("twice [K4 K4]", "twice", &["K4"]),
            (
                "what is no id is kept, to be told [K4 K99 4K]",
                "what is no id is kept, to be told",
                &["K4", "K99", "4K"],
            ),
            ("two [brackets] [K4]", "two [brackets]", &["K4"]),
            ("none", "none", &[]),
            ("an array [u8; 4]", "an array [u8; 4]", &[]),
            ("inside [K4] only", "inside [K4] only", &[]),
            ("empty []", "empty []", &[]),
            ("open [K4", "open [K4", &[]),
            ("", "", &[]),
        ] {
            let shown = Shown::parse(name);
            assert_eq!(
                (shown.text.as_str(), shown.ids.iter().map(String::as_str).collect::<Vec<_>>()),
                (text, ids.to_vec())
            );
            assert_eq!(Shown::parse(&shown.to_string()), shown, "{name}");
        }
    }

    #[test]
    fn ids_from_two_places_are_one_list() {
        assert_eq!(Shown::parse("a name [K4]").and("O15 K4").to_string(), "a name [K4 O15]");
        assert_eq!(Shown::parse("a name").and("").to_string(), "a name");
    }

    #[test]
    fn unknown_ids_are_told() {
        assert_eq!(Shown::parse("a name [K4 K99 k4]").unknown(Contract::shared()), ["K99", "k4"]);
    }
}
