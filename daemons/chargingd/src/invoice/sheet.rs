//! What stands on a page, before it is HTML or PDF.

/// A letter-like page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// BCP 47 tag of its language.
    pub language: &'static str,
    /// Its heading.
    pub title: String,
    /// Who sends it; lines.
    pub sender: Vec<String>,
    /// Who gets it; lines.
    pub recipient: Vec<String>,
    /// Names and values under the heading.
    pub facts: Vec<(&'static str, String)>,
    /// What follows.
    pub blocks: Vec<Block>,
    /// "Page", and "of" between the numbers.
    pub page_words: (&'static str, &'static str),
}

/// A part of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Figures.
    Table(Table),
    /// Sentences, a line each, perhaps with a heading.
    Text {
        /// Above it; empty for none.
        heading: &'static str,
        /// The lines.
        lines: Vec<String>,
    },
}

/// A table whose last rows may be totals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// What it is of.
    pub caption: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// A cell for each column.
    pub rows: Vec<Vec<String>>,
    /// Set off from `rows`.
    pub totals: Vec<Vec<String>>,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Whether its cells are figures, which stand on the right.
    pub is_figure: bool,
}

/// A column of words.
pub const fn words(title: &'static str) -> Column {
    Column {
        title,
        is_figure: false,
    }
}

/// A column of figures.
pub const fn figures(title: &'static str) -> Column {
    Column {
        title,
        is_figure: true,
    }
}

/// `text` without what would steer the reader's eye: control characters and bidirectional overrides are replaced.
pub fn clean(text: &str) -> String {
    let steers = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars()
        .map(|character| match character {
            '\t' => ' ',
            _ if steers(character) => char::REPLACEMENT_CHARACTER,
            _ => character,
        })
        .collect()
}

/// The lines of `text`, cleaned, without empty ones.
pub fn lines(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| clean(line.trim()));
    lines.filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_reader() {
        assert_eq!(
            clean("a\u{202e}b\u{1b}[1m\tc\nd"),
            "a\u{fffd}b\u{fffd}[1m c\u{fffd}d"
        );
        assert_eq!(lines(" one \r\n\n two"), ["one", "two"]);
    }
}
