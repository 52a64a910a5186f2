//! Rows as text in columns.

use std::fmt::{self, Write as _};

use crate::session::Rows;

/// Shows rows in columns that are as wide as their widest value, and below them what the server says.
pub(crate) struct Table<'a>(pub(crate) &'a Rows);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rows { columns, rows, tag } = self.0;
        if columns.is_empty() {
            return writeln!(f, "{tag}");
        }
        let mut widths: Vec<_> = columns.iter().map(|column| width(&column.name)).collect();
        for row in rows {
            for (widest, value) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(text(value)));
            }
        }
        let names = columns.iter().map(|column| (column.name.as_str(), false));
        line(f, names.zip(&widths))?;
        let rule = widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>();
        writeln!(f, "{}", rule.join("+"))?;
        for row in rows {
            let values = row.iter().zip(columns).map(|(value, column)| (text(value), column.is_number));
            line(f, values.zip(&widths))?;
        }
        writeln!(f, "({tag})")
    }
}

/// Text with its control characters escaped: what a server says must not steer a terminal, nor break a line.
pub(crate) struct Plain<'a>(pub(crate) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        characters(self.0).try_for_each(|character| f.write_char(character))
    }
}

/// One line: texts, whether each goes to the right, and the widths.
fn line<'a>(f: &mut fmt::Formatter<'_>, cells: impl Iterator<Item = ((&'a str, bool), &'a usize)>) -> fmt::Result {
    let mut separator = " ";
    let mut cells = cells.peekable();
    while let Some(((text, right), widest)) = cells.next() {
        f.write_str(separator)?;
        separator = " | ";
        let room = widest - width(text);
        if right {
            write!(f, "{:room$}", "")?;
        }
        write!(f, "{}", Plain(text))?;
        // No spaces at the end of a line.
        if !right && cells.peek().is_some() {
            write!(f, "{:room$}", "")?;
        }
    }
    writeln!(f)
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("NULL")
}

/// How many characters are shown.
fn width(text: &str) -> usize {
    characters(text).count()
}

fn characters(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(|character| {
        let escaped = character.is_control().then(|| character.escape_default());
        let plain = (!character.is_control()).then_some(character);
        escaped.into_iter().flatten().chain(plain)
    })
}
