//! RFC 2609 templates: what is read, what is refused at which line, and services that keep to them or not.

use proptest::prelude::*;
use tollwire_slp::template::{Fault, Kind};
use tollwire_slp::{AttributeList, ServiceType, Template};

const BILLING: &str = include_str!("../../../conf/slp-templates/billing.1.0.en");
const DOCUMENT: &str = include_str!("../../../docs/service-billing.md");

/// After RFC 2609 Appendix A, with every part of the grammar.
const TRANSDUCER: &str = "\
template-type=Net-Transducer
template-version=0.1

template-description=
  Measures things.
  In two lines.

template-url-syntax=
  ; none

sample-units= string L
# The units of sample data.
kelvin,
 celsius, fahrenheit

sample-resolution= integer L O
-1, 
+5
# help
";

fn list(text: &str) -> AttributeList {
    AttributeList::parse(text).expect(text)
}

fn faults(template: &Template, attributes: &str) -> Vec<String> {
    template
        .violations(&list(attributes))
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn every_part_of_a_template() {
    let error = Template::parse(TRANSDUCER).expect_err("two defaults without M");
    assert_eq!(
        (error.line, error.what.as_str()),
        (16, "several defaults, and no flag M")
    );
    let template =
        Template::parse(&TRANSDUCER.replace("integer L O", "integer L O m")).expect("it is one");
    assert_eq!(template.id(), "Net-Transducer.0.1");
    assert_eq!(template.service_type.as_str(), "service:net-transducer");
    assert_eq!(template.description, "  Measures things.\n  In two lines.");
    let units = template.get("sample-units").expect("defined");
    assert_eq!(
        (units.kind, units.literal, units.optional, units.line),
        (Kind::String, true, false, 11)
    );
    assert_eq!((units.default.len(), units.allowed.len()), (0, 3));
    assert_eq!(units.help, " The units of sample data.\n");
    let resolution = template.get("sample-resolution").expect("defined");
    assert_eq!((resolution.default.len(), resolution.allowed.len()), (2, 0));
    assert_eq!(
        faults(&template, "(Sample-Units=CELSIUS),(sample-resolution=7,8)"),
        [""; 0]
    );
    assert_eq!(
        faults(&template, "(sample-units=inch)"),
        ["sample-units cannot be inch"]
    );
    assert_eq!(
        faults(&template, "(sample-resolution=x)"),
        [
            "sample-units is required",
            "sample-resolution is an integer"
        ]
    );
}

#[test]
fn what_is_no_template_is_told_by_its_line() {
    let head = "template-type=a\n\ntemplate-version=1.0\n\ntemplate-description=\nx\n\ntemplate-url-syntax=\nx\n\n";
    for (text, line, what) in [
        ("template-type=a\n", 1, "no template-version"),
        ("template-type=a\n\ntemplate-version=one\n", 3, "no version"),
        ("template-type=a b\n", 1, "reserved"),
        ("", 1, "no template-type"),
        (&format!("{head}a = number\n"), 11, "no attribute type"),
        (&format!("{head}a = integer Q\n"), 11, "no flag"),
        (&format!("{head}a = integer M m\n"), 11, "twice"),
        (&format!("{head}a = integer\n12x\n"), 12, "not an integer"),
        (
            &format!("{head}a = integer\n1,\n# help\n"),
            13,
            "ends with a comma",
        ),
        (&format!("{head}a = integer\n1,\n"), 11, "ends with a comma"),
        (&format!("{head}a = keyword M\n"), 11, "a keyword has"),
        (&format!("{head}a = boolean M\n"), 11, "one value"),
        (
            &format!("{head}a = string\n#h\nx,y\n\nA = string\n"),
            15,
            "defined twice",
        ),
        (
            &format!("{head}a = string O\n#h\nx,y\n"),
            11,
            "needs a default",
        ),
        (
            &format!("{head}a = string O\nz\n#h\nx,y\n"),
            11,
            "is not allowed",
        ),
        (&format!("{head}not an attribute\n"), 11, "no ="),
        (&format!("{head}a,b = string\n"), 11, "no attribute's name"),
        (&format!("{head}template-type=b\n"), 11, "twice"),
    ] {
        let error = Template::parse(text).expect_err(text);
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.what.contains(what), "{text}: {error}");
    }
}

#[test]
fn the_billing_template_and_the_example_of_its_document() {
    let template = Template::parse(BILLING).expect("it ships");
    assert_eq!(template.id(), "billing.1.0");
    let https = ServiceType::parse("service:billing:https").expect("a type");
    assert!(template.is_of(&https));
    assert!(template.is_of(&ServiceType::parse("service:billing").expect("a type")));
    assert!(!template.is_of(&ServiceType::parse("service:billing.acme:https").expect("a type")));
    let example: String = DOCUMENT
        .split("```")
        .nth(1)
        .expect("the attributes")
        .lines()
        .collect();
    assert_eq!(faults(&template, &example), [""; 0]);
    // Every attribute of the template that is required is one whose absence is told.
    let all = list(&example);
    for definition in &template.attributes {
        let mut without = all.clone();
        let tags = tollwire_slp::TagList::parse(&definition.tag).expect("a tag");
        without.remove(&tags);
        let missing = template.violations(&without);
        let required = !definition.optional && definition.kind != Kind::Keyword;
        assert_eq!(
            missing.len(),
            usize::from(required),
            "{}",
            definition.spelled
        );
        assert!(
            missing
                .iter()
                .all(|violation| violation.fault == Fault::Missing)
        );
    }
    for (change, fault) in [
        (
            ("(agreement-required=false)", "(agreement-required=maybe)"),
            "agreement-required is a boolean",
        ),
        (
            ("(fee-basis-points=250)", "(fee-basis-points=2.5)"),
            "fee-basis-points is an integer",
        ),
        (
            ("(fee-basis-points=250)", "(fee-basis-points=250,300)"),
            "fee-basis-points has one value",
        ),
        (
            ("(invoice-form-type=fields)", "(invoice-form-type=paper)"),
            "invoice-form-type cannot be paper",
        ),
        (("(name=Bank of Example)", "name"), "name has a value"),
        (
            ("(settles=self)", "(settles=self,never)"),
            "settles cannot be never",
        ),
    ] {
        let (from, to) = change;
        let changed = example.replace(from, to);
        assert_ne!(changed, example, "{from}");
        assert_eq!(faults(&template, &changed), [fault]);
    }
    // A number is a name too, and what the template does not know is anybody's own.
    let odd = example.replace("(name=Bank of Example)", "(name=42),(x-own=1),flag");
    assert_eq!(faults(&template, &odd), [""; 0]);
}

proptest! {
    #[test]
    fn nothing_panics(text in "(template-type=a\n\n)?([a-z=,# \\\\\n]|string|integer|keyword| [mlox]|\n\n){0,60}") {
        let _ = Template::parse(&text);
    }

    #[test]
    fn a_damaged_template_is_read_or_refused(at in 0..BILLING.len(), with in any::<char>()) {
        let mut text = BILLING.to_owned();
        if text.is_char_boundary(at) && text.is_char_boundary(at + 1) {
            text.replace_range(at..=at, &with.to_string());
        }
        if let Err(error) = Template::parse(&text) {
            prop_assert!(error.line >= 1 && error.line <= text.lines().count());
        }
    }
}
