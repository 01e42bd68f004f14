use std::path::Path;
use std::sync::Arc;

use tollwire_invoice::{BillingServer, Fee};
use tollwire_jose::SigningKey;
use tollwire_runtime::config::{ConfigError, parse};

use super::*;

const SHIPPED: &str = include_str!("../../../../conf/billd.toml");
const TEMPLATE: &str = include_str!("../../../../conf/slp-templates/billing.1.0.en");

fn read(text: &str) -> Result<Config, ConfigError> {
    parse(Path::new("billd.toml"), text)
}

fn problem(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn the_shipped_file_is_the_default_and_names_every_option() {
    assert_eq!(read(SHIPPED).unwrap(), Config::default());
    // What stands there as a comment is an option too; files of certificates would have to be there.
    let mut text = String::new();
    for line in SHIPPED.lines().filter(|line| !line.starts_with("# tls_")) {
        let option = line.strip_prefix("# ").filter(|rest| {
            rest.starts_with("[[")
                || rest
                    .split_once(" = ")
                    .is_some_and(|(key, _)| !key.contains(' '))
        });
        text.push_str(option.unwrap_or(line));
        text.push('\n');
    }
    let text = text
        .replace(
            "account_types = [\"prepaid\"]",
            "account_types = [\"prepaid\", \"phone-bill\"]",
        )
        .replace(
            "key = \"...\"",
            "key = \"NzbLsXh8uDCcd-6MNwXF4W-7noWXFZAfHkxZsRGC9Xs\"",
        )
        .replace("number = \"+4930123456\"\n", "")
        .replace("account = \"line-7\"\n", "");
    let error = read(&text).err().map(|error| error.to_string());
    assert_eq!(error, None, "{text}");
}

#[test]
fn what_cannot_work_is_named_with_what_to_do() {
    for (text, key) in [
        (
            "[billing]\nurl = \"http://bank.example/pay\"",
            "billing.url",
        ),
        (
            "[billing]\nurl = \"https://192.0.2.1/pay\"\npasskeys = true",
            "billing.passkeys",
        ),
        (
            "[billing]\nurl = \"https://bank.example/pay?x\"",
            "billing.url",
        ),
        ("[billing]\nname = \" \"", "billing.name"),
        (
            "[billing]\nfee_basis_points = 10001",
            "billing.fee_basis_points",
        ),
        ("[billing]\ncurrencies = []", "billing.currencies"),
        (
            "[billing]\nmaximum_micro = 2147483648",
            "billing.maximum_micro",
        ),
        ("[billing]\nfields = [\"account\"]", "billing.fields"),
        ("[billing]\nfields = [\"iban\"]", "billing.fields"),
        ("[billing]\nsettles = \"proxy\"", "proxy.account"),
        (
            "[billing]\nsettles = \"proxy\"\n[proxy]\naccount = \"a\"\npredicate = \"(\"",
            "proxy.predicate",
        ),
        (
            "[[phone_bill.networks]]\nnetwork = \"192.0.2.0/24\"\naccount = \"a\"",
            "billing.account_types",
        ),
        (
            "[billing]\naccount_types = [\"phone-bill\"]\n[[phone_bill.networks]]\nnetwork = \"192.0.2.0/24\"",
            "phone_bill.networks",
        ),
        (
            "[[agreements]]\nname = \"key:x\"\nkey = \"NzbLsXh8uDCcd-6MNwXF4W-7noWXFZAfHkxZsRGC9Xs\"",
            "agreements.name",
        ),
        (
            "[[agreements]]\nname = \"a\"\nkey = \"short\"",
            "agreements.key",
        ),
        (
            "[[agreements]]\nname = \"a\"\nkey = \"NzbLsXh8uDCcd-6MNwXF4W-7noWXFZAfHkxZsRGC9Xs\"\n\
             [[agreements]]\nname = \"A\"\nkey = \"MzbLsXh8uDCcd-6MNwXF4W-7noWXFZAfHkxZsRGC9Xs\"",
            "agreements",
        ),
        ("[secrets]\npasses = 0", "secrets.memory_kib"),
        ("[store]\nkeep_days = 1", "store.keep_days"),
        (
            "[web]\nlisten = \"0.0.0.0:80\"\ntls_certificate_file = \"a\"",
            "web.tls_key_file",
        ),
        ("[diameter]\ncharging = \"tls:192.0.2.1:5658\"", "diameter"),
        ("[billing]\nunknown = 1", "unknown"),
    ] {
        let problem = problem(text);
        assert!(problem.contains(key), "{text}: {problem}");
    }
}

#[test]
fn what_is_advertised_satisfies_the_template_and_comes_back() {
    let config = read(
        "[billing]\nurl = \"https://bank.example:8443/pay/\"\nname = \"Bank of Example\"\nfee_fixed_micro = 100000\n\
         currencies = [\"EUR\", \"USD\"]\naccount_types = [\"prepaid\", \"phone-bill\"]\n\
         [[phone_bill.networks]]\nnetwork = \"192.0.2.0/24\"\naccount = \"line\"\n\
         [[phone_bill.networks]]\nnetwork = \"198.51.100.0/24\"\noperator = { name = \"Other\", account = \"other\" }\n\
         [[phone_bill.prefixes]]\nprefix = \"4930\"\n",
    )
    .unwrap();
    let key = Arc::new(SigningKey::generate_ed25519().unwrap());
    let thumbprint = key.public().thumbprint();
    let server = config.server(&thumbprint);
    let read = BillingServer::read(&server.service_url(), &server.to_attributes()).unwrap();
    assert_eq!(read, server);
    assert_eq!(server.url, "https://bank.example:8443/pay");
    assert_eq!(server.phone_prefixes, ["4930"]);
    assert_eq!(server.client_networks.len(), 1);
    let template = tollwire_slp::Template::parse(TEMPLATE).unwrap();
    let attributes = tollwire_slp::AttributeList::parse(&server.to_attributes()).unwrap();
    let violations = template.violations(&attributes);
    assert!(violations.is_empty(), "{violations:?}");
    let settings = config.settings(key).unwrap();
    assert_eq!(&*settings.url, "https://bank.example:8443/pay");
    assert_eq!(
        settings.fee,
        Fee {
            basis_points: 250,
            fixed_micro: 100_000
        }
    );
    assert_eq!(config.billing.path(), "/pay");
    assert!(config.hands_on() && !Config::default().hands_on());
}

#[test]
fn the_narrowest_network_and_the_longest_prefix_count() {
    let config = read(
        "[billing]\naccount_types = [\"phone-bill\"]\n\
         [[phone_bill.networks]]\nnetwork = \"192.0.2.0/24\"\naccount = \"house\"\n\
         [[phone_bill.networks]]\nnetwork = \"192.0.2.7/32\"\nnumber = \"+4930123\"\n\
         [[phone_bill.prefixes]]\nprefix = \"49\"\n\
         [[phone_bill.prefixes]]\nprefix = \"4930\"\noperator = { account = \"berlin\" }\n",
    )
    .unwrap();
    let account = |address: &str| {
        let entry = config.phone_bill.network(address.parse().unwrap());
        entry.map(|entry| entry.account.clone())
    };
    assert_eq!(account("192.0.2.1"), Some(Some("house".into())));
    assert_eq!(account("::ffff:192.0.2.1"), Some(Some("house".into())));
    assert_eq!(account("192.0.2.7"), Some(None));
    assert_eq!(account("198.51.100.1"), None);
    let operator = |number: &str| {
        config
            .phone_bill
            .prefix(number)
            .map(|entry| entry.operator.is_some())
    };
    assert_eq!(operator("+4930123"), Some(true));
    assert_eq!(operator("+4989123"), Some(false));
    assert_eq!(operator("+4312"), None);
}
