//! What pages say, by language: a TOML file each.
//!
//! ```
//! use axum::http::HeaderMap;
//! use tollwire_web::{Currency, Messages};
//! let english = "[pay]\nto = \"Pay {amount} to {name}\"\n";
//! let german = "[pay]\nto = \"{amount} an {name} zahlen\"\n";
//! let messages = Messages::load(&[("en", english), ("de", german)], None, "en").unwrap();
//! let mut headers = HeaderMap::new();
//! headers.insert("accept-language", "fr, de-AT;q=0.8".parse().unwrap());
//! let words = messages.choose(None, &headers);
//! let amount = words.money(12_500_000, Currency::EUR);
//! assert_eq!(words.fill("pay.to", &[("amount", &amount), ("name", "Shop")]), "12,50\u{a0}€ an Shop zahlen");
//! assert_eq!(messages.choose(Some("en"), &headers).tag(), "en");
//! ```

mod accept;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_LANGUAGE;
use iso_currency::Currency;

use crate::money::{self, Style};

/// The words of the frame around pages, which every language needs besides.
const FRAME: &[(&str, &str)] = &[
    ("en", include_str!("frame.en.toml")),
    ("de", include_str!("frame.de.toml")),
];
/// The language whose keys all others need.
const MODEL: &str = "en";
/// Octets of a file.
const LARGEST_FILE: u64 = 1 << 20;
/// Languages.
const MOST_LANGUAGES: usize = 100;

/// Messages by key: those of table `pay` begin with `pay.`.
type Texts = BTreeMap<String, String>;

/// All languages; a clone is the same.
#[derive(Debug, Clone)]
pub struct Messages {
    languages: Arc<[Language]>,
    default: usize,
}

/// The messages of one language; a clone is the same.
#[derive(Debug, Clone)]
pub struct Language(Arc<Words>);

#[derive(Debug)]
struct Words {
    tag: String,
    texts: Texts,
    style: Style,
}

impl Messages {
    /// Reads the languages that are built in (`(tag, TOML)`, `en` among them), and then each `TAG.toml` of `folder`,
    /// which stands for one that is built in too. `default` is for those who ask for none of them.
    ///
    /// A file needs every key of `en`, with the same `{names}`; for languages other than `en` and `de` that is also
    /// those of the frame (`language`, `[frame]`, `[money]`: see `daemons/web/src/messages/frame.en.toml`).
    ///
    /// # Errors
    /// The file and key, and what is wrong.
    pub fn load(
        built_in: &[(&str, &str)],
        folder: Option<&Path>,
        default: &str,
    ) -> Result<Self, String> {
        let mut files: BTreeMap<String, (String, Texts)> = BTreeMap::new();
        for (tag, text) in built_in {
            let name = format!("{tag} (built in)");
            let texts = flat(&name, text)?;
            files.insert((*tag).to_owned(), (name, texts));
        }
        for (tag, name, text) in folder.map(read).transpose()?.unwrap_or_default() {
            files.insert(tag, (name.clone(), flat(&name, &text)?));
        }
        if files.len() > MOST_LANGUAGES {
            return Err(format!("more than {MOST_LANGUAGES} languages"));
        }
        for (tag, text) in FRAME {
            if let Some((_, texts)) = files.get_mut(*tag) {
                for (key, text) in flat("frame", text)? {
                    texts.entry(key).or_insert(text);
                }
            }
        }
        let model = files.get(MODEL).ok_or("no messages of the language en")?;
        let model = model.1.clone();
        let mut languages = Vec::with_capacity(files.len());
        for (tag, (name, texts)) in files {
            check(&name, &texts, &model)?;
            languages.push(Language::new(tag, texts));
        }
        let default = languages.iter().position(|it| it.tag() == default);
        Ok(Self {
            default: default.ok_or("the default language is none of those that there are")?,
            languages: languages.into(),
        })
    }

    /// The language of `asked` (the query's `lang`), or else the best for `Accept-Language`, or else the default.
    pub fn choose(&self, asked: Option<&str>, headers: &HeaderMap) -> Language {
        let tags: Vec<_> = self.languages.iter().map(Language::tag).collect();
        let asked = asked.filter(|tag| accept::is_tag(tag));
        let accepted = || {
            // Several lines are one list (RFC 9110 5.3), but no browser sends them.
            let header = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
            accept::choose(header, &tags)
        };
        let at = (asked.and_then(|tag| accept::fitting(tag, &tags)))
            .or_else(accepted)
            .unwrap_or(self.default);
        self.at(at)
    }

    /// The default language.
    pub fn default_language(&self) -> Language {
        self.at(self.default)
    }

    /// All of them, by tag.
    pub fn languages(&self) -> &[Language] {
        &self.languages
    }

    fn at(&self, at: usize) -> Language {
        // Both are positions in this list, which has one language at least.
        self.languages[at].clone()
    }
}

impl Language {
    fn new(tag: String, texts: Texts) -> Self {
        let part = |key: &str| {
            // A line is not broken within a sum.
            texts
                .get(key)
                .map_or_else(String::new, |it| it.replace(' ', "\u{a0}"))
        };
        let style = Style {
            decimal: part("money.decimal"),
            group: part("money.group"),
            symbol: part("money.symbol"),
            code: part("money.code"),
        };
        Self(Arc::new(Words { tag, texts, style }))
    }

    /// Its BCP 47 tag, for `lang`.
    pub fn tag(&self) -> &str {
        &self.0.tag
    }

    /// Its own name for itself.
    pub fn name(&self) -> &str {
        self.text("language")
    }

    /// The message of `key`. One that is not in `en` is a fault of the program: then it is the key itself.
    pub fn text<'a>(&'a self, key: &'a str) -> &'a str {
        match self.0.texts.get(key) {
            Some(text) => text,
            None => {
                debug_assert!(false, "no message {key}");
                tracing::error!(key, "no such message");
                key
            }
        }
    }

    /// The message of `key` with each `{name}` replaced by its value.
    pub fn fill(&self, key: &str, values: &[(&str, &str)]) -> String {
        let mut filled = String::new();
        for part in parts(self.text(key)) {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Name(name) => {
                    let value = values.iter().find(|(it, _)| *it == name);
                    debug_assert!(value.is_some(), "{key}: no value of {name}");
                    filled.push_str(value.map_or("", |(_, value)| value));
                }
            }
        }
        filled
    }

    /// A sum in micro-units as this language writes it: `12,50 €`.
    pub fn money(&self, micro: i64, currency: Currency) -> String {
        money::write(micro, currency, &self.0.style)
    }

    /// The sum of a currency that is known by its code only; of one that ISO 4217 does not know too.
    pub fn money_of(&self, micro: i64, code: &str) -> String {
        match Currency::from_code(code) {
            Some(currency) => self.money(micro, currency),
            None => {
                let amount = money::plain(micro, &self.0.style);
                format!("{amount}\u{a0}{code}")
            }
        }
    }
}

/// The files of a folder: tag, name, text.
fn read(folder: &Path) -> Result<Vec<(String, String, String)>, String> {
    let named = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let entries = std::fs::read_dir(folder).map_err(|error| named(folder, &error))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| named(folder, &error))?.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let tag = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        if !accept::is_tag(tag) {
            return Err(named(
                &path,
                &"is not named after a language: de.toml, pt-BR.toml",
            ));
        }
        let metadata = path.metadata().map_err(|error| named(&path, &error))?;
        if metadata.len() > LARGEST_FILE || files.len() >= MOST_LANGUAGES {
            return Err(named(&path, &"too large, or too many of them"));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| named(&path, &error))?;
        files.push((tag.to_owned(), path.display().to_string(), text));
    }
    Ok(files)
}

fn flat(name: &str, text: &str) -> Result<Texts, String> {
    let table: toml::Table = text.parse().map_err(|error| format!("{name}: {error}"))?;
    let mut texts = Texts::new();
    flatten(name, "", table, &mut texts)?;
    Ok(texts)
}

fn flatten(name: &str, prefix: &str, table: toml::Table, texts: &mut Texts) -> Result<(), String> {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            toml::Value::String(text) => {
                if parts(&text)
                    .any(|part| matches!(part, Part::Text(text) if text.contains(['{', '}'])))
                {
                    return Err(format!(
                        "{name}: {key}: a brace that is not around a {{name}}"
                    ));
                }
                texts.insert(key, text);
            }
            toml::Value::Table(table) => flatten(name, &format!("{key}."), table, texts)?,
            _ => return Err(format!("{name}: {key}: is no text")),
        }
    }
    Ok(())
}

/// Whether `texts` has what the model has.
fn check(name: &str, texts: &Texts, model: &Texts) -> Result<(), String> {
    for (key, of_model) in model {
        let text = texts
            .get(key)
            .ok_or_else(|| format!("{name}: {key}: is missing; in {MODEL} it is \"{of_model}\""))?;
        let (found, wanted) = (names(text), names(of_model));
        if found != wanted {
            let list = |names: BTreeSet<&str>| {
                let names: Vec<_> = names.iter().map(|name| format!("{{{name}}}")).collect();
                match names.is_empty() {
                    true => "none".to_owned(),
                    false => names.join(", "),
                }
            };
            return Err(format!(
                "{name}: {key}: has {}, and needs {}",
                list(found),
                list(wanted)
            ));
        }
    }
    for key in texts.keys().filter(|key| !model.contains_key(*key)) {
        // Of an older version: it does no harm.
        tracing::warn!(file = name, key, "a message that is not used");
    }
    Ok(())
}

enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
}

fn names(text: &str) -> BTreeSet<&str> {
    let name = |part| match part {
        Part::Name(name) => Some(name),
        Part::Text(_) => None,
    };
    parts(text).filter_map(name).collect()
}

/// The text between placeholders, and their names.
fn parts(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((name, after)) = placeholder(rest) {
            rest = after;
            return Some(Part::Name(name));
        }
        let next = rest.char_indices().skip(1).find(|(_, it)| *it == '{');
        let (front, after) = rest.split_at(next.map_or(rest.len(), |(at, _)| at));
        rest = after;
        Some(Part::Text(front))
    })
}

fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (!name.is_empty() && name.bytes().all(fits)).then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENGLISH: &str = "title = \"Shop\"\n[pay]\nto = \"Pay {amount} to {name}\"\n";
    const GERMAN: &str = "title = \"Laden\"\n[pay]\nto = \"{amount} an {name} zahlen\"\n";

    fn load(german: &str) -> Result<Messages, String> {
        Messages::load(&[("en", ENGLISH), ("de", german)], None, "en")
    }

    fn fault(german: &str) -> String {
        load(german).unwrap_err()
    }

    #[test]
    fn a_language_is_whole_or_refused() {
        let messages = load(GERMAN).unwrap();
        let german = messages.choose(Some("de"), &HeaderMap::new());
        assert_eq!((german.tag(), german.name()), ("de", "Deutsch"));
        assert_eq!(german.text("title"), "Laden");
        assert_eq!(
            german.fill("pay.to", &[("name", "{amount}"), ("amount", "1 €")]),
            "1 € an {amount} zahlen",
            "what is filled in is not looked at"
        );
        assert_eq!(
            fault("title = \"Laden\""),
            "de (built in): pay.to: is missing; in en it is \"Pay {amount} to {name}\""
        );
        assert_eq!(
            fault(&GERMAN.replace("{name} ", "")),
            "de (built in): pay.to: has {amount}, and needs {amount}, {name}"
        );
        assert!(fault(&GERMAN.replace("Laden", "L {x")).contains("title: a brace"));
        assert!(fault(&GERMAN.replace("\"Laden\"", "5")).contains("title: is no text"));
        assert!(fault("title =").starts_with("de (built in): "));
    }

    #[test]
    fn a_folder_adds_languages_and_replaces_those_built_in() {
        let folder = crate::scratch("messages");
        let all = |text: &str| format!("{}\n{text}", include_str!("frame.en.toml"));
        let swedish = "title = \"Butik\"\n[pay]\nto = \"Betala {amount} till {name}\"\n";
        let (top, tables) = swedish.split_once('\n').unwrap();
        let frame = include_str!("frame.en.toml").replace("English", "Svenska");
        std::fs::write(folder.join("sv.toml"), format!("{top}\n{frame}\n{tables}")).unwrap();
        std::fs::write(folder.join("de.toml"), GERMAN.replace("Laden", "Geschäft")).unwrap();
        std::fs::write(folder.join("README"), "no language").unwrap();
        let load = || {
            let built_in = [("en", ENGLISH), ("de", GERMAN)];
            Messages::load(&built_in, Some(&folder), "sv")
        };
        let messages = load().unwrap();
        let none = HeaderMap::new();
        assert_eq!(messages.choose(None, &none).name(), "Svenska");
        assert_eq!(messages.choose(Some("de"), &none).text("title"), "Geschäft");
        assert_eq!(messages.choose(Some("xx"), &none).tag(), "sv");
        assert_eq!(messages.choose(Some("\0"), &none).tag(), "sv");
        let tags: Vec<_> = messages.languages().iter().map(Language::tag).collect();
        assert_eq!(tags, ["de", "en", "sv"]);
        std::fs::write(folder.join("fr.toml"), all("")).unwrap();
        let error = load().unwrap_err();
        assert!(error.contains("fr.toml: pay.to: is missing"), "{error}");
        std::fs::remove_file(folder.join("fr.toml")).unwrap();
        std::fs::write(folder.join("no language.toml"), "").unwrap();
        assert!(
            load()
                .unwrap_err()
                .contains("no language.toml: is not named")
        );
    }

    #[test]
    fn sums_are_written_as_the_language_has_them() {
        let messages = load(GERMAN).unwrap();
        let [german, english] = messages.languages() else {
            panic!()
        };
        assert_eq!(german.money(12_500_000, Currency::EUR), "12,50\u{a0}€");
        assert_eq!(english.money(12_500_000, Currency::EUR), "€12.50");
        assert_eq!(english.money_of(12_500_000, "CHF"), "CHF\u{a0}12.50");
        assert_eq!(german.money_of(1_000_000, "XQX"), "1\u{a0}XQX");
    }

    proptest! {
        #[test]
        fn parts_are_the_whole(text in "[a-z{}_ é]{0,40}") {
            let again: String = parts(&text)
                .map(|part| match part {
                    Part::Text(text) => text.to_owned(),
                    Part::Name(name) => format!("{{{name}}}"),
                })
                .collect();
            prop_assert_eq!(again, text);
        }
    }
}
