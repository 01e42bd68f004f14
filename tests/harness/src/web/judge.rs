//! Judges that nobody here wrote: html-validate over what servers send, axe-core over what browsers show.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::browser::Browser;
use crate::process::Scratch;

fn installed(path: &str) -> PathBuf {
    let modules = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/web/node_modules"
    ));
    let path = modules.join(path);
    assert!(
        path.exists(),
        "{} is missing: tests/packages.sh",
        path.display()
    );
    path
}

/// What html-validate has against pages: `(where, html)`. Of several from one place and alike all but one are left out.
///
/// # Panics
/// When it cannot be run.
#[must_use]
#[track_caller]
pub fn invalid_html(scratch: &Scratch, pages: &[(String, String)]) -> Vec<String> {
    let folder = scratch.path().join("pages");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let mut names = BTreeMap::new();
    for (number, (place, html)) in pages.iter().enumerate() {
        let name = format!("{number:04}.html");
        fs::write(folder.join(&name), html).expect("written");
        names.insert(name, place);
    }
    let rules = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../netns/web/html-validate.json"
    ));
    let output = Command::new("node")
        .arg(installed("html-validate/bin/html-validate.mjs"))
        .args(["--formatter", "json", "--config"])
        .arg(rules)
        .arg(&folder)
        .output()
        .expect("node runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(said.trim()).unwrap_or_else(|error| {
        panic!(
            "html-validate: {error}\n{said}{}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    let results = report.as_array().into_iter().flatten();
    let mut problems: Vec<String> = results
        .flat_map(|result| {
            let file = result["filePath"].as_str().unwrap_or_default();
            let name = file.rsplit('/').next().unwrap_or_default();
            let place = names.get(name).map_or(name, |place| place.as_str());
            let messages = result["messages"].as_array().into_iter().flatten();
            messages.map(move |it| {
                format!(
                    "{place}:{}: {}: {}",
                    it["line"], it["ruleId"], it["message"]
                )
            })
        })
        .collect();
    problems.sort();
    problems.dedup();
    problems
}

/// What axe-core has against the page that a browser shows, by WCAG 2.2 A and AA. The browser has to run scripts.
///
/// # Panics
/// When it cannot be run.
#[must_use]
#[track_caller]
pub fn inaccessible(browser: &Browser) -> Vec<String> {
    let axe = fs::read_to_string(installed("axe-core/axe.min.js")).expect("axe-core");
    let script = format!(
        "{axe}\nconst done = arguments[arguments.length - 1];\
         axe.run(document, {{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}})\
         .then(found => done({{violations: found.violations, passes: found.passes.length}}),\
         error => done({{error: String(error)}}));"
    );
    let found = browser.run_script(&script);
    assert!(
        found["passes"].as_u64().is_some_and(|passes| passes > 3),
        "axe has looked at nothing: {found}"
    );
    let violations = found["violations"].as_array().into_iter().flatten();
    violations
        .flat_map(|violation| {
            let nodes = violation["nodes"].as_array().into_iter().flatten();
            nodes.map(move |node| {
                format!(
                    "{}: {}: {}",
                    violation["id"], violation["help"], node["html"]
                )
            })
        })
        .collect()
}
