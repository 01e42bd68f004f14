//! What pages say: English and German are built in, and a folder may have others.

use tollwire_web::{Language, Messages};

use crate::config::Config;

const BUILT_IN: &[(&str, &str)] = &[
    ("en", include_str!("en.toml")),
    ("de", include_str!("de.toml")),
];

/// All languages of a configuration.
///
/// # Errors
/// The file and key, and what is wrong.
pub fn load(config: &Config) -> Result<Messages, String> {
    let folder = config.shop.messages.as_deref();
    Messages::load(BUILT_IN, folder, &config.shop.language)
}

/// A span of time in words, in the largest unit that it is whole in.
pub fn time(words: &Language, seconds: u32) -> String {
    let units = [
        ("time.days", 86_400),
        ("time.hours", 3_600),
        ("time.minutes", 60),
        ("time.seconds", 1),
    ];
    let fits = |(_, unit): &&(&str, u32)| seconds.is_multiple_of(*unit) && seconds / unit > 1;
    let (key, unit) = units.iter().find(fits).unwrap_or(&("time.seconds", 1));
    words.fill(key, &[("count", &(seconds / unit).to_string())])
}

/// Hundredths of a percent, in percent: `19`, `7.25`.
pub fn percent(words: &Language, basis_points: u16) -> String {
    let text = format!("{}.{:02}", basis_points / 100, basis_points % 100);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.replace('.', words.text("money.decimal"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderMap;

    #[test]
    fn both_languages_are_whole() {
        let messages = load(&Config::default()).expect("both");
        let german = messages.choose(Some("de"), &HeaderMap::new());
        let english = messages.choose(Some("en"), &HeaderMap::new());
        assert_eq!(percent(&german, 725), "7,25");
        assert_eq!(percent(&english, 1_900), "19");
        assert_eq!(percent(&english, 710), "7.1");
        assert_eq!(time(&english, 7_200), "2 hours");
        assert_eq!(time(&german, 90), "90 Sekunden");
        assert_eq!(time(&english, 3_600), "60 minutes");
    }
}
