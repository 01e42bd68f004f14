//! What is sold: `shop-goods.toml`.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use axum::http::Uri;
use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use tollwire_runtime::config::{Configuration, Invalid};

use crate::goods::Root;
use crate::money;
use crate::order::Bought;

/// Goods of one catalogue.
const MAX_GOODS: usize = 10_000;

/// What is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Kind {
    /// A file to download.
    File {
        /// Where it is, below the root.
        path: PathBuf,
        /// Its media type.
        content_type: String,
    },
    /// What is at a URL, passed on once.
    Stream {
        /// The URL, http.
        upstream: String,
    },
    /// What is below a URL, passed on for a time.
    Service {
        /// The URL, http; its path ends with a slash.
        upstream: String,
        /// How long after its first use.
        seconds: u32,
    },
}

/// One of the goods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Good {
    /// What its address ends with.
    pub id: String,
    /// By language.
    pub title: BTreeMap<String, String>,
    /// By language.
    pub description: BTreeMap<String, String>,
    /// Its price, tax included, in micro-units.
    pub amount_micro: i64,
    /// ISO 4217.
    pub currency: Currency,
    /// The tax in it, in hundredths of a percent.
    pub tax_basis_points: u16,
    /// What is delivered.
    pub kind: Kind,
}

impl Good {
    /// Its title in a language, in English where it has none, or in whichever there is.
    pub fn title(&self, language: &str) -> &str {
        in_language(&self.title, language)
    }

    /// Its description, as [`Self::title`].
    pub fn description(&self, language: &str) -> &str {
        in_language(&self.description, language)
    }

    /// As an order keeps it.
    pub fn bought(&self, language: &str) -> Bought {
        Bought {
            id: self.id.clone(),
            title: self.title(language).to_owned(),
            amount_micro: self.amount_micro,
            currency: self.currency,
            tax_basis_points: self.tax_basis_points,
            kind: self.kind.clone(),
        }
    }
}

fn in_language<'a>(texts: &'a BTreeMap<String, String>, language: &str) -> &'a str {
    let text = texts.get(language).or_else(|| texts.get("en"));
    text.or_else(|| texts.values().next())
        .map_or("", String::as_str)
}

/// All goods, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalogue(Vec<Good>);

impl Catalogue {
    /// All of them.
    pub fn goods(&self) -> &[Good] {
        &self.0
    }

    /// One of them.
    pub fn good(&self, id: &str) -> Option<&Good> {
        self.0.iter().find(|good| good.id == id)
    }

    /// Reads the file, and looks whether the files that it names are below `root`.
    ///
    /// # Errors
    /// `FILE:LINE: KEY: WHAT`, for the operator.
    pub fn load(path: &Path, root: &Path) -> Result<Self, String> {
        let file: File = tollwire_runtime::config::load(path).map_err(|error| error.to_string())?;
        let named = |what: String| format!("{}: {what}", path.display());
        let goods = file.goods().map_err(named)?;
        let files = goods.0.iter().filter_map(|good| match &good.kind {
            Kind::File { path, .. } => Some((&good.id, path)),
            _ => None,
        });
        let mut opened = None;
        for (id, file) in files {
            if opened.is_none() {
                let root = Root::open(root)
                    .map_err(|error| format!("goods.root: {}: {error}", root.display()))?;
                opened = Some(root);
            }
            let found = opened.as_ref().map(|root| root.file(file)).transpose();
            found.map_err(|error| named(format!("good {id:?}: path: {error}")))?;
        }
        Ok(goods)
    }
}

/// The file as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    good: Vec<Written>,
}

/// `[[good]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    title: BTreeMap<String, String>,
    #[serde(default)]
    description: BTreeMap<String, String>,
    price: String,
    currency: Currency,
    #[serde(default)]
    tax_basis_points: u16,
    kind: WrittenKind,
    path: Option<PathBuf>,
    content_type: Option<String>,
    upstream: Option<String>,
    seconds: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenKind {
    File,
    Stream,
    Service,
}

impl Configuration for File {
    fn validate(&self) -> Result<(), Invalid> {
        self.goods()
            .map(drop)
            .map_err(|what| Invalid::new("good", what))
    }
}

impl File {
    fn goods(&self) -> Result<Catalogue, String> {
        if self.good.len() > MAX_GOODS {
            return Err(format!("at most {MAX_GOODS} goods"));
        }
        let mut goods: Vec<Good> = Vec::with_capacity(self.good.len());
        let mut ids = std::collections::HashSet::new();
        for written in &self.good {
            let id = &written.id;
            let good = (written.good()).map_err(|what| format!("good {id:?}: {what}"))?;
            if !ids.insert(id) {
                return Err(format!("good {id:?}: id: there are two of them"));
            }
            goods.push(good);
        }
        Ok(Catalogue(goods))
    }
}

impl Written {
    fn good(&self) -> Result<Good, String> {
        let in_path = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        if self.id.is_empty() || self.id.len() > 64 || !self.id.bytes().all(in_path) {
            return Err("id: 1 to 64 letters, digits, hyphens and underscores".into());
        }
        let texts = self.title.values().chain(self.description.values());
        if self.title.is_empty() || self.title.values().any(|title| title.trim().is_empty()) {
            return Err("title: one language at least, and none empty: { en = \"...\" }".into());
        }
        if self.title.values().any(|title| title.len() > 200)
            || texts.clone().any(|text| text.len() > 2_000)
        {
            return Err("title: at most 200 octets, and a description 2000".into());
        }
        if self.tax_basis_points > 10_000 {
            return Err("tax_basis_points: hundredths of a percent, at most 10000".into());
        }
        Ok(Good {
            id: self.id.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            amount_micro: money::parse(&self.price).map_err(|what| format!("price: {what}"))?,
            currency: self.currency,
            tax_basis_points: self.tax_basis_points,
            kind: self.kind()?,
        })
    }

    fn kind(&self) -> Result<Kind, String> {
        let needless = [
            ("path", self.path.is_some(), self.kind == WrittenKind::File),
            (
                "content_type",
                self.content_type.is_some(),
                self.kind == WrittenKind::File,
            ),
            (
                "upstream",
                self.upstream.is_some(),
                self.kind != WrittenKind::File,
            ),
            (
                "seconds",
                self.seconds.is_some(),
                self.kind == WrittenKind::Service,
            ),
        ];
        for (key, is_there, has_sense) in needless {
            if is_there && !has_sense {
                return Err(format!("{key}: not for goods of this kind"));
            }
        }
        match self.kind {
            WrittenKind::File => {
                let path = self.path.as_deref().ok_or("path: which file it is")?;
                let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
                if path.as_os_str().is_empty() || !path.components().all(plain) {
                    return Err("path: below goods.root, without \"..\"".into());
                }
                let content_type =
                    (self.content_type.as_deref()).unwrap_or("application/octet-stream");
                if axum::http::HeaderValue::from_str(content_type).is_err()
                    || !content_type.contains('/')
                {
                    return Err("content_type: a media type such as \"audio/flac\"".into());
                }
                Ok(Kind::File {
                    path: path.to_owned(),
                    content_type: content_type.into(),
                })
            }
            WrittenKind::Stream => Ok(Kind::Stream {
                upstream: self.upstream()?,
            }),
            WrittenKind::Service => {
                let upstream = self.upstream()?;
                if !upstream.ends_with('/') || upstream.contains('?') {
                    return Err("upstream: of a service it ends with a slash".into());
                }
                match self.seconds {
                    Some(seconds) if seconds > 0 => Ok(Kind::Service { upstream, seconds }),
                    _ => {
                        Err("seconds: how long the service may be used after its first use".into())
                    }
                }
            }
        }
    }

    fn upstream(&self) -> Result<String, String> {
        let text = self.upstream.as_deref().ok_or("upstream: where it is")?;
        let uri: Option<Uri> = text.parse().ok();
        let fits = |uri: &Uri| {
            let authority = uri.authority().map_or("", |authority| authority.as_str());
            uri.scheme_str() == Some("http") && !authority.is_empty() && !authority.contains('@')
        };
        match uri {
            Some(uri) if fits(&uri) => Ok(uri.to_string()),
            _ => Err("upstream: an http URL of this network, without a user: \"http://127.0.0.1:8000/live\"".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "[[good]]\nid = \"song\"\nkind = \"file\"\npath = \"a/song.flac\"\ncontent_type = \"audio/flac\"\n\
        price = \"2.50\"\ncurrency = \"EUR\"\ntax_basis_points = 1900\ntitle = { en = \"A song\", de = \"Ein Lied\" }\n";

    fn parse(text: &str) -> Result<Catalogue, String> {
        let file: File = tollwire_runtime::config::parse(Path::new("goods.toml"), text)
            .map_err(|error| error.to_string())?;
        file.goods()
    }

    #[test]
    fn a_file_a_stream_and_a_service() {
        let text = format!(
            "{FILE}[[good]]\nid = \"live\"\nkind = \"stream\"\nupstream = \"http://127.0.0.1:8000/live\"\nprice = \"1\"\n\
             currency = \"USD\"\ntitle = {{ de = \"Funk\" }}\n[[good]]\nid = \"app\"\nkind = \"service\"\n\
             upstream = \"http://127.0.0.1:9000/app/\"\nseconds = 3600\nprice = \"1\"\ncurrency = \"EUR\"\ntitle = {{ en = \"App\" }}\n"
        );
        let catalogue = parse(&text).unwrap();
        let song = catalogue.good("song").unwrap();
        assert_eq!(song.amount_micro, 2_500_000);
        assert_eq!((song.title("de"), song.title("fr")), ("Ein Lied", "A song"));
        assert_eq!(catalogue.good("live").unwrap().title("en"), "Funk");
        let service = &catalogue.good("app").unwrap().kind;
        assert!(matches!(service, Kind::Service { seconds: 3_600, .. }));
        assert!(catalogue.good("nothing").is_none());
    }

    #[test]
    fn what_cannot_be_sold_is_refused_by_its_key() {
        for (from, to, key) in [
            ("\"song\"", "\"../song\"", "id"),
            ("\"song\"", "\"\"", "id"),
            ("a/song.flac", "../song.flac", "path"),
            ("a/song.flac", "/etc/passwd", "path"),
            ("a/song.flac", "a/../../b", "path"),
            ("2.50", "-2.50", "price"),
            ("2.50", "2,50", "price"),
            ("EUR", "XYZ1", "currency"),
            ("1900", "190000", "tax_basis_points"),
            ("audio/flac", "audio\\n/flac", "content_type"),
            ("A song", " ", "title"),
            ("kind = \"file\"", "kind = \"file\"\nseconds = 5", "seconds"),
            ("kind = \"file\"", "kind = \"stream\"", "path"),
            ("kind = \"file\"", "kind = \"film\"", "kind"),
            ("price", "prize", "prize"),
        ] {
            let error = parse(&FILE.replace(from, to)).expect_err(to);
            assert!(error.contains(key), "{to}: {error}");
        }
        let error = parse(&format!("{FILE}{FILE}")).unwrap_err();
        assert!(error.contains("two of them"), "{error}");
        for upstream in [
            "https://a/",
            "ftp://a/",
            "http://user@a/",
            "/path",
            "http://a/b",
            "http://a/?b",
        ] {
            let text = format!(
                "[[good]]\nid = \"app\"\nkind = \"service\"\nupstream = \"{upstream}\"\nseconds = 1\nprice = \"1\"\n\
                 currency = \"EUR\"\ntitle = {{ en = \"App\" }}\n"
            );
            assert!(parse(&text).unwrap_err().contains("upstream"), "{upstream}");
        }
    }
}
