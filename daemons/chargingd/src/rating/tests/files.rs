//! Files as the daemon reads them: old ones, rate sheets, and what is wrong in which line.

use std::path::{Path, PathBuf};

use super::super::{Query, RatingTable, Sheet, parse_sheet};
use super::{BEGIN, query, seconds, table};
use crate::config::rating_table;

/// A folder with files, gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn with(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("rating-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            std::fs::write(folder.join(file), text).unwrap();
        }
        Self(folder)
    }

    fn table(&self) -> Result<RatingTable, String> {
        rating_table(&self.0.join("tariffs.toml"))
    }

    /// What is wrong, with the folder's name left out.
    fn fault(&self) -> String {
        let fault = self.table().unwrap_err();
        fault.replace(&format!("{}/", self.0.display()), "")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_shipped_file_has_one_tariff_and_examples_that_do() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/tariffs.toml");
    let shipped = rating_table(&path).unwrap();
    assert_eq!(shipped.all().len(), 1);
    assert_eq!(
        shipped
            .find(&query("1"))
            .unwrap()
            .price_micro(BEGIN, seconds(60)),
        60_000
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let folder = Folder::with(
        "shipped",
        &[
            ("tariffs.toml", &text.replace("#:", "")),
            (
                "rates.csv",
                "prefix,name,price_per_minute,Remark\n43,day-and-night-2,0.02,new\n",
            ),
        ],
    );
    // In the first example stands prefix 43 too.
    assert!(
        folder
            .fault()
            .starts_with("rates.csv:2: tariff \"day-and-night-2\": prefix \"43\" in EUR")
    );
    std::fs::write(
        folder.0.join("rates.csv"),
        "prefix,name,price_per_minute\n44,far,0.02\n",
    )
    .unwrap();
    assert_eq!(folder.table().unwrap().all().len(), 8);
}

/// What could be written before tariffs counted anything but time.
#[test]
fn old_files_stay_what_they_are() {
    let table = table(
        "[[tariff]]\nname = \"default\"\nprefixes = [\"\"]\ncurrency = \"EUR\"\nsetup_fee_micro = 50000\n\
         price_per_minute_micro = 600000\nfirst_increment_seconds = 60\nnext_increment_seconds = 1\nfree_seconds = 0\n\
         minimum_micro = 0\nsteps = [{ from_seconds = 600, price_per_minute_micro = 300000 }]\n\
         [[tariff]]\nname = \"default\"\nprefixes = [\"49\", \"43\"]\ncurrency = \"EUR\"\nprice_per_minute_micro = 1\n",
    )
    .unwrap();
    let price = |called: &str, used: u64| {
        let query = Query {
            rating_group: Some(1),
            ..query(called)
        };
        table
            .find(&query)
            .unwrap()
            .price_micro(BEGIN, seconds(used))
    };
    assert_eq!(
        (price("1", 1), price("1", 601), price("sip:bob@x", 61)),
        (650_000, 6_055_000, 660_000)
    );
    assert_eq!(price("+4930", 60), 1);
    assert_eq!(super::table("").unwrap().all().len(), 0);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, fault) in [
        (
            "[[tariff]]\nname = \"a\"\nprice = 5\n",
            "tariffs.toml:3: tariff.price: unknown field",
        ),
        (
            "[[tariff]]\nname = \"a\"\nsteps = [{ from = 5 }]\n",
            "tariffs.toml:3: tariff.steps: unknown field",
        ),
        (
            "[[tariff]]\nname = \"a\"\nperiods = [{ day = 5 }]\n",
            "tariffs.toml:3: tariff.periods: unknown field",
        ),
        (
            "[[tariff]]\nname = \"a\"\nvalid_from = \"soon\"\n",
            "tariffs.toml:3: tariff.valid_from: ",
        ),
        (
            "# a comment\n\n[[tariff]]\nname = \"a\"\ncurrency = \"EUR\"\n\n[[tariff]]\nname = \"b\"\n",
            "tariffs.toml:3: tariff \"a\": it has no price",
        ),
        (
            "[[tariff]]\nname = \"a\"\ncurrency = \"EUR\"\nprice_per_event_micro = 1\n\n[[tariff]]\nname = \"b\"\n\
             currency = \"EUR\"\nprice_per_event_micro = 9999999999999\n",
            "tariffs.toml:6: tariff \"b\": price_per_event_micro is 0 to",
        ),
        (
            "[[csv]]\n",
            "tariffs.toml:1: csv.file: the name of a CSV file",
        ),
    ] {
        let error = table(text).expect_err(text);
        assert!(error.starts_with(fault), "{error}");
    }
    assert!(
        rating_table(Path::new("/nonexistent/t.toml"))
            .unwrap_err()
            .starts_with("/nonexistent/t.toml: ")
    );
}

const BOOK: &str = "[[csv]]\nfile = \"rates.csv\"\n[csv.tariff]\ncurrency = \"EUR\"\nfirst_increment_seconds = 60\n";

#[test]
fn rate_sheets() {
    let sheet = "\u{feff}prefix, name, price_per_minute, setup_fee_micro, valid_from, free_seconds\n\
        49 +4930;4940,germany,0.0195,,,\n\
        # mobile is dearer\n\
        4915,mobile,0.1,50000,,\n\
        \"4916,4917\",\"mobile, other\",0.000001,,2026-01-02T00:00:00Z,30\n";
    let folder = Folder::with("sheet", &[("tariffs.toml", BOOK), ("rates.csv", sheet)]);
    let table = folder.table().unwrap();
    let price = |called: &str, at_unix_ms: i64| {
        let tariff = table.find(&Query {
            at_unix_ms,
            ..query(called)
        })?;
        Some((
            tariff.name.to_string(),
            tariff.price_micro(at_unix_ms, seconds(1)),
        ))
    };
    let day = BEGIN + 86_400_000;
    assert_eq!(price("4930", BEGIN), Some(("germany".into(), 19_500)));
    assert_eq!(price("49151", BEGIN), Some(("mobile".into(), 150_000)));
    assert_eq!(price("4916", BEGIN), Some(("germany".into(), 19_500)));
    assert_eq!(price("4917", day), Some(("mobile, other".into(), 1)));
    assert_eq!(price("33", BEGIN), None);

    // Somebody else's columns, in somebody else's order.
    let book = "[[csv]]\nfile = \"carrier.csv\"\ndelimiter = \";\"\n\
        columns = { Destination = \"name\", Code = \"prefix\", Rate = \"price_per_minute\", Change = \"\" }\n\
        [csv.tariff]\ncurrency = \"USD\"\n";
    let sheet = "Destination;Change;Rate;Code\nAustria;up;0.02;43\n";
    let folder = Folder::with("carrier", &[("tariffs.toml", book), ("carrier.csv", sheet)]);
    assert_eq!(&*folder.table().unwrap().all()[0].name, "Austria");
}

#[test]
fn what_is_wrong_in_a_sheet_is_named_with_its_line() {
    for (sheet, fault) in [
        (
            "prefix,name,colour\n",
            "rates.csv:1: no column \"colour\" is known",
        ),
        (
            "prefix,name,price_per_minute\n49,a,0.02\n43,b\n",
            "rates.csv:3: ",
        ),
        (
            "prefix,name,price_per_minute\n49,a,0.0200001\n",
            "rates.csv:2: price_per_minute: \"0.0200001\" is not a price",
        ),
        (
            "prefix,name,price_per_minute\n49,a,-1\n",
            "rates.csv:2: price_per_minute: \"-1\" is not a price",
        ),
        (
            "prefix,name,price_per_minute\n49,a,1e3\n",
            "rates.csv:2: price_per_minute: ",
        ),
        (
            "prefix,name,price_per_minute\n49,a,99999999999999\n",
            "rates.csv:2: price_per_minute: ",
        ),
        (
            "prefix,name,price_per_minute_micro\n49,a,0.5\n",
            "rates.csv:2: price_per_minute_micro: \"0.5\" is not a whole",
        ),
        (
            "prefix,name,price_per_minute_micro\n49,a,-5\n",
            "rates.csv:2: tariff \"a\": price_per_minute_micro is 0 to",
        ),
        (
            "prefix,name,price_per_minute\n49a,a,1\n",
            "rates.csv:2: tariff \"a\": a prefix is digits",
        ),
        (
            "prefix,name,price_per_minute\n49,,1\n",
            "rates.csv:2: tariff \"\": it has no name",
        ),
        (
            "prefix,name,price_per_minute\n49,a,\n",
            "rates.csv:2: tariff \"a\": it has no price",
        ),
        (
            "prefix,name,currency,price_per_minute\n49,a,EURO,1\n",
            "rates.csv:2: currency: \"EURO\" is not an ISO",
        ),
        (
            "prefix,name,valid_from,price_per_minute\n49,a,today,1\n",
            "rates.csv:2: valid_from: \"today\" is not a time",
        ),
        (
            "prefix,name,price_per_minute\n\n49,a,1\n43,b,1\n49,c,1\n",
            "rates.csv:5: tariff \"c\": prefix \"49\" in EUR is also that of tariff \"a\" (rates.csv:3)",
        ),
    ] {
        let folder = Folder::with("faults", &[("tariffs.toml", BOOK), ("rates.csv", sheet)]);
        let error = folder.fault();
        assert!(error.starts_with(fault), "{error}");
    }
    let missing = Folder::with("missing", &[("tariffs.toml", BOOK)]);
    assert!(
        missing.fault().starts_with("rates.csv: "),
        "{}",
        missing.fault()
    );
    let wide = BOOK.replace("[csv.tariff]", "delimiter = \"→\"\n[csv.tariff]");
    let wide = Folder::with("wide", &[("tariffs.toml", &wide), ("rates.csv", "name\n")]);
    assert!(wide.fault().contains("delimiter is one ASCII character"));
}

#[test]
fn holidays_and_the_time_zone_are_the_files() {
    let text = "time_zone = \"Asia/Tokyo\"\nholidays = [\"2026-01-01\"]\n\
        [[tariff]]\nname = \"a\"\ncurrency = \"EUR\"\nprice_per_minute_micro = 60\n\
        periods = [{ days = [\"holiday\"], price_per_minute_micro = 120 }]\n\
        [[tariff]]\nname = \"b\"\nprefixes = [\"1\"]\ncurrency = \"EUR\"\nprice_per_minute_micro = 60\ntime_zone = \"UTC\"\n\
        holidays = []\nperiods = [{ days = [\"holiday\"], price_per_minute_micro = 120 }]\n\
        [[tariff]]\nname = \"c\"\nprefixes = [\"2\"]\ncurrency = \"EUR\"\nprice_per_minute_micro = 60\n";
    let table = table(text).unwrap();
    // 15:00 UTC is midnight in Tokyo: the holiday is over.
    let price = |called: &str, hours: i64| {
        let tariff = table.find(&query(called)).unwrap();
        tariff.price_micro(BEGIN + hours * 3_600_000, seconds(1))
    };
    assert_eq!((price("", 14), price("", 15), price("1", 14)), (2, 1, 1));
    assert_eq!(table.find(&query("2")).unwrap().time_zone(), None);
}

proptest::proptest! {
    #[test]
    fn any_sheet_is_read_or_refused_with_a_line(
        rows in "(prefix|name|price_per_minute|,|\"|\r|\n|#|[0-9]{1,3}|\\.|[a-z ]|é){0,60}",
        header in "(prefix,name,price_per_minute(\r\n|\n))?",
    ) {
        let text = header + &rows;
        match parse_sheet(&Sheet::default(), "rates.csv", &text) {
            Ok(tariffs) => {
                let lines = u32::try_from(text.matches('\n').count()).unwrap() + 1;
                for (place, _) in tariffs {
                    let line = place.unwrap().line;
                    proptest::prop_assert!((1..=lines).contains(&line), "{}", line);
                }
            }
            Err(fault) => {
                let line = fault.strip_prefix("rates.csv:").and_then(|rest| rest.split(':').next());
                proptest::prop_assert!(line.is_some_and(|line| line.parse::<u32>().is_ok()), "{}", fault);
            }
        }
    }
}
