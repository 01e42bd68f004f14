//! Scopes, types, attribute lists, tag lists and predicates: RFC 2608's own examples, and where others went wrong.

use proptest::prelude::*;
use tollwire_slp::filter::{MAX_DEPTH, MAX_TERMS};
use tollwire_slp::service_type::{check_url, host_of};
use tollwire_slp::text::{self, Context};
use tollwire_slp::{AttributeList, ErrorCode, Filter, Meaning, ScopeList, ServiceType, TagList};

fn list(text: &str) -> AttributeList {
    AttributeList::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn strings_compare_without_case_and_with_white_space_folded() {
    for (left, right) in [
        ("  Some String  ", "SOME    STRING"),
        ("a\t\r\n b", "A B"),
        ("ÄÖÜ Straße", "äöü STRAßE"),
        ("", "   "),
    ] {
        assert!(text::equal(left, right), "{left:?} {right:?}");
    }
    for (left, right) in [("ab", "a b"), ("a", "ä"), ("1", "01")] {
        assert!(!text::equal(left, right), "{left:?} {right:?}");
    }
}

#[test]
fn scope_lists() {
    let parsed = |text: &str| ScopeList::parse(text);
    let scopes = parsed("Default, SALES  dept ,a\\2cb").expect("three");
    assert_eq!(
        scopes.iter().collect::<Vec<_>>(),
        ["a,b", "default", "sales dept"]
    );
    assert!(scopes.same_set(&parsed("a\\2CB,sales dept,DEFAULT,default").expect("the same")));
    assert!(scopes.intersects(&parsed("x,default").expect("two")));
    assert!(!scopes.intersects(&parsed("x,sales").expect("two")));
    assert!(parsed("sales dept").expect("one").is_subset(&scopes));
    assert_eq!(
        scopes.common(&parsed("A\\2Cb,x").expect("two")).to_string(),
        "a\\2cb"
    );
    assert_eq!(parsed("a").expect("one").without(&scopes).to_string(), "a");
    assert!(parsed("").expect("none").is_empty() && parsed("  ").expect("none").is_empty());
    for wrong in [
        "a,,b", ",", "a*", "a;b", "a+b", "a=b", "(a)", "a\\41", "a\\2", "a\u{1}",
    ] {
        let error = parsed(wrong).expect_err(wrong);
        assert_eq!(error.error_code(), ErrorCode::PARSE_ERROR);
    }
    let many = (0..65)
        .map(|n| format!("s{n}"))
        .collect::<Vec<_>>()
        .join(",");
    assert!(parsed(&many).is_err());
}

#[test]
fn service_types_and_urls() {
    let parsed = |text: &str| ServiceType::parse(text).expect(text);
    let concrete = parsed("SERVICE:Printer:lpr");
    assert_eq!(concrete.as_str(), "service:printer:lpr");
    assert_eq!(concrete.abstract_type(), Some("service:printer"));
    assert!(parsed("service:printer").matches(&concrete));
    assert!(concrete.matches(&concrete) && !concrete.matches(&parsed("service:printer")));
    assert!(!parsed("service:print").matches(&concrete));
    assert!(!parsed("service:printer").matches(&parsed("service:printer.acme:lpr")));
    assert!(!parsed("service:x.one").matches(&parsed("service:x.two")));
    assert_eq!(
        parsed("service:abstract.two:y").naming_authority(),
        Some("two")
    );
    assert_eq!(parsed("service:x.9999").naming_authority(), Some("9999"));
    assert_eq!(concrete.naming_authority(), None);
    for (url, of) in [
        (
            "service:printer:lpr://igore.example:515/draft",
            "service:printer:lpr",
        ),
        ("service:tftp://bad.glad.org:8080", "service:tftp"),
        ("SERVICE:Ftp:/at/zone", "service:ftp"),
        ("http://www.srvloc.org", "http"),
        ("mailto:somebody", "mailto"),
    ] {
        assert_eq!(ServiceType::of_url(url).expect(url).as_str(), of);
    }
    for wrong in [
        "",
        "service:",
        "service::x",
        "service:a:",
        "service:a:b:c",
        "a:b",
        "a b",
        "service:x.IANA",
        "service:.x",
        "a(b)",
    ] {
        assert!(ServiceType::parse(wrong).is_err(), "{wrong}");
    }
    for wrong in ["", "x", "x:", ":x", "a b://c", "a:\n"] {
        assert!(check_url(wrong).is_err(), "{wrong:?}");
    }
    for (url, host) in [
        ("service:a://host:80/path", Some("host")),
        ("service:a://user@[fe80::1]:80", Some("fe80::1")),
        ("service:a://192.0.2.1;x=y", Some("192.0.2.1")),
        ("service:a:/at/zone", None),
        ("service:a://", None),
    ] {
        assert_eq!(host_of(url), host, "{url}");
    }
}

#[test]
fn attribute_lists_and_the_types_of_values() {
    let attributes = list(
        "(Name=Igore),(Description=For developers only),\n (Protocol=LPR),(n=-7, 42,007),(b= TRUE ),\
         (o=\\FF\\00\\0a),(big=2147483648),(op=James \\3cdornan@monster\\3e),x-OK",
    );
    assert_eq!(attributes.len(), 9);
    let meanings = |tag: &str| -> Vec<Meaning> {
        let attribute = attributes.get(tag).expect(tag);
        attribute
            .values
            .iter()
            .map(|value| value.meaning.clone())
            .collect()
    };
    assert_eq!(
        meanings("n"),
        [
            Meaning::Integer(-7),
            Meaning::Integer(42),
            Meaning::Integer(7)
        ]
    );
    assert_eq!(meanings("b"), [Meaning::Boolean(true)]);
    assert_eq!(meanings("o"), [Meaning::Opaque([0, 10].into())]);
    assert_eq!(
        meanings("big"),
        [Meaning::String("2147483648".into())],
        "not in 32 bits"
    );
    assert_eq!(
        meanings("op"),
        [Meaning::String("james <dornan@monster>".into())]
    );
    assert_eq!(meanings("x-ok"), []);
    // What comes back is spelled as it went in.
    assert!(
        attributes
            .to_string()
            .contains("(op=James \\3cdornan@monster\\3e),x-OK")
    );
    assert_eq!(
        list("(a=1),(A=2,1)").to_string(),
        "(a=1,2)",
        "one tag, each value once"
    );
    for (wrong, code) in [
        (r"(x=4,true,sue,\ff\00\00)", ErrorCode::INVALID_REGISTRATION),
        ("(x=1),(x=a)", ErrorCode::INVALID_REGISTRATION),
        ("(x=true,false)", ErrorCode::INVALID_REGISTRATION),
        ("(x=1", ErrorCode::PARSE_ERROR),
        ("(x)", ErrorCode::PARSE_ERROR),
        ("(x=)", ErrorCode::PARSE_ERROR),
        ("(x=1,)", ErrorCode::PARSE_ERROR),
        ("(=1)", ErrorCode::PARSE_ERROR),
        ("(x=1)y", ErrorCode::PARSE_ERROR),
        ("(x=1),", ErrorCode::PARSE_ERROR),
        ("a,,b", ErrorCode::PARSE_ERROR),
        ("(x=a=b)", ErrorCode::PARSE_ERROR),
        ("(x=a(b)", ErrorCode::PARSE_ERROR),
        (r"(x=\41)", ErrorCode::PARSE_ERROR),
        (r"(x=\g0)", ErrorCode::PARSE_ERROR),
        (r"(x=\2)", ErrorCode::PARSE_ERROR),
        (r"(x=\ff\0)", ErrorCode::PARSE_ERROR),
        (r"(x=\ffz)", ErrorCode::PARSE_ERROR),
        ("(x_y=1)", ErrorCode::PARSE_ERROR),
        ("(x*=1)", ErrorCode::PARSE_ERROR),
        ("(x\ty=1)", ErrorCode::PARSE_ERROR),
        ("(x=a\u{7})", ErrorCode::PARSE_ERROR),
    ] {
        let error = AttributeList::parse(wrong).expect_err(wrong);
        assert_eq!(error.error_code(), code, "{wrong}: {error}");
    }
    // The comma is 0x2C, whatever RFC 2608 6.4 says.
    assert_eq!(
        list(r"(a=x\2cy)").get("a").expect("there").values[0].meaning,
        Meaning::String("x,y".into())
    );
}

#[test]
fn tag_lists() {
    let tags = TagList::parse("resolution,LOC*,x-*-z").expect("three");
    for (tag, meant) in [
        ("Resolution", true),
        ("resolutions", false),
        ("location", true),
        ("loc", true),
        ("x-a-z", true),
        ("x--z", true),
        ("x-z", false),
    ] {
        assert_eq!(tags.matches(tag), meant, "{tag}");
    }
    let bob = TagList::parse("*bob*").expect("one");
    for tag in ["some bob I know", "bigbob", "bobby", "bob"] {
        assert!(bob.matches(tag), "{tag}");
    }
    assert!(TagList::parse("").expect("all").matches("any"));
    for wrong in ["a,,b", "a=b", "a_b", "(a)", r"\41"] {
        assert!(TagList::parse(wrong).is_err(), "{wrong}");
    }
}

/// Predicate, attributes, whether it holds.
const PREDICATES: &[(&str, &str, bool)] = &[
    // RFC 2608 8.1's own.
    ("(x=3)", "(x=1,2,3)", true),
    ("(!(Y=0))", "(y=0,1)", true),
    ("(keyword=*)", "keyword", true),
    ("(x=33)", "(x=true)", false),
    ("(y=foo)", "(y=FOO)", true),
    ("(|(x=33)(y=foo))", "(x=true),(y=FOO)", true),
    ("(x=34*)", "(x=34foo)", true),
    ("(x=34*)", "(x=3432)", false),
    ("(&(q<=3)(speed>=1000))", "(q=3),(speed=1000)", true),
    ("(&(q<=3)(speed>=1000))", "(q=4),(speed=1000)", false),
    // Types.
    ("(x=3)", "(x=a,3a)", false),
    ("(x=03)", "(x=3)", true),
    ("(x=-0)", "(x=0)", true),
    ("(x<=9)", "(x=10)", false),
    ("(x<=9)", "(x=a10)", false),
    ("(x<=b)", "(x=a10)", true),
    ("(x>=2147483648)", "(x=5)", false),
    ("(b=true)", "(b=TRUE)", true),
    ("(b<=true)", "(b=true)", false),
    ("(b=*)", "(b=false)", true),
    (r"(o=\FF\0A)", r"(o=\ff\0a)", true),
    (r"(o=\FF\0A)", r"(o=\ff\0b)", false),
    (r"(o=\FF)", r"(o=\ff\00)", false),
    ("(o=*)", r"(o=\ff\00)", true),
    // Negation.
    ("(!(x=3))", "(x=3)", false),
    ("(!(x=3))", "(x=4)", true),
    ("(!(x=3))", "(y=4)", false),
    ("(!(x=3))", "(x=four)", false),
    ("(!(x=*))", "(y=4)", true),
    ("(!(x=*))", "x", false),
    ("(!(x=a*))", "(x=ab,cd)", true),
    ("(!(!(x=3)))", "(x=3)", true),
    ("(!(&(x=3)(y=4)))", "(x=3),(y=5)", true),
    ("(!(|(x=3)(y=4)))", "(x=5),(y=5)", true),
    ("(!(|(x=3)(y=4)))", "(x=3),(y=5)", false),
    ("(!(x<=3))", "(x=1,9)", true),
    // Wildcards and white space.
    ("(x=*)", "(x=1)", true),
    ("(x=**)", "(x=a)", true),
    ("(x=a*c)", "(x=abc)", true),
    ("(x=a*c)", "(x=ac)", true),
    ("(x=ab*bc)", "(x=abc)", false),
    ("(x=*b*b*)", "(x=abab)", true),
    ("(x=*b*b*)", "(x=aba)", false),
    ("(x= a  b )", "(x=A B)", true),
    ("(x=a *)", "(x=a  b)", true),
    (r"(x=a\2a)", r"(x=a\2a)", true),
    (r"(x=a\2a)", "(x=abc)", false),
    (r"(x=\28\29\5c)", r"(x=\28\29\5C)", true),
    // Tags.
    ("( X-y =3)", "(x-Y=3)", true),
    ("(x~=foo)", "(x=FOO)", true),
    // The list.
    ("(& (a=1) (b=2) )", "(a=1),(b=2)", true),
    ("(|(a=1))", "(a=1)", true),
    ("(u=http://a?b=c,d)", r"(u=http://a?b\3dc\2cd)", true),
];

#[test]
fn predicates() {
    for (predicate, attributes, holds) in PREDICATES {
        let filter =
            Filter::parse(predicate).unwrap_or_else(|error| panic!("{predicate}: {error}"));
        assert_eq!(
            filter.matches(&list(attributes)),
            *holds,
            "{predicate} {attributes}"
        );
    }
}

#[test]
fn no_predicates() {
    for wrong in [
        "",
        "x",
        "x=3",
        "(x=3",
        "x=3)",
        "(x=3))",
        "(x=3)(y=4)",
        "()",
        "(&)",
        "(|)",
        "(!)",
        "(!x=3)",
        "(=3)",
        "(x)",
        "(x<3)",
        "(x>3)",
        "(x:=3)",
        "(x:dn:=3)",
        "(x<=3*)",
        "(x>=*)",
        "(x~=a*)",
        "((x=3))",
        "(!(x=3)(y=4))",
        r"(x=\41)",
        r"(x=\2)",
        r"(x=\)",
        "(x_y=3)",
        "(x*=3)",
        "(&(x=3)y)",
    ] {
        let error = Filter::parse(wrong).expect_err(wrong);
        assert_eq!(error.error_code(), ErrorCode::PARSE_ERROR, "{wrong}");
    }
    let nested = |depth: usize| format!("{}(x=3){}", "(!".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(&nested(MAX_DEPTH - 1)).is_ok());
    assert!(Filter::parse(&nested(MAX_DEPTH)).is_err());
    assert!(Filter::parse(&nested(1_000_000)).is_err());
    let wide = |terms: usize| format!("(|{})", "(x=3)".repeat(terms));
    assert!(Filter::parse(&wide(MAX_TERMS)).is_ok());
    assert!(Filter::parse(&wide(MAX_TERMS + 1)).is_err());
}

proptest! {
    #[test]
    fn escaping_is_undone_by_reading(value in "\\PC{1,20}") {
        let text = format!("(a={})", text::escape(&value, Context::Attribute));
        let attributes = AttributeList::parse(&text).expect("escaped");
        let meaning = &attributes.get("a").expect("there").values[0].meaning;
        if let Meaning::String(string) = meaning {
            let folded = text::fold(&value);
            prop_assert_eq!(string.as_ref(), folded.as_ref());
        }
        let filter = Filter::parse(&text).expect("escaped");
        prop_assert!(filter.matches(&attributes));
        let scopes = ScopeList::parse(&text::escape(&value, Context::Scope));
        if let Ok(scopes) = scopes && !scopes.is_empty() {
            let folded = text::fold(&value);
            prop_assert_eq!(scopes.iter().collect::<Vec<_>>(), [folded.as_ref()]);
        }
    }

    #[test]
    fn opaque_values_are_any_octets(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
        let text = format!("(a={})", text::escape_opaque(&octets));
        let attributes = AttributeList::parse(&text).expect("opaque");
        prop_assert_eq!(
            &attributes.get("a").expect("there").values[0].meaning,
            &Meaning::Opaque(octets.into())
        );
    }

    #[test]
    fn nothing_panics(text in "[(&|!=<>~*,\\\\a-c0-9fF \u{e4}\u{1}()]{0,60}") {
        let _ = Filter::parse(&text);
        let _ = ScopeList::parse(&text);
        let _ = TagList::parse(&text);
        let _ = ServiceType::parse(&text);
        let _ = ServiceType::of_url(&text);
        let _ = host_of(&text);
        let _ = check_url(&text);
        if let Ok(list) = AttributeList::parse(&text) {
            let again = AttributeList::parse(&list.to_string()).expect("what was written reads");
            prop_assert_eq!(again, list);
        }
    }

    /// Both a predicate and its negation hold only where a tag has several values.
    #[test]
    fn a_negation_excludes(values in proptest::collection::vec(-3..3_i32, 1..3), asked in -3..3_i32, operator in 0..3_usize) {
        let values: Vec<String> = values.iter().map(i32::to_string).collect();
        let attributes = list(&format!("(x={})", values.join(",")));
        let term = format!("(x{}{asked})", ["=", "<=", ">="][operator]);
        let holds = Filter::parse(&term).expect("a term").matches(&attributes);
        let negated = Filter::parse(&format!("(!{term})")).expect("its negation").matches(&attributes);
        prop_assert!(holds || negated);
        if attributes.get("x").expect("there").values.len() == 1 {
            prop_assert!(holds != negated);
        }
    }
}
