//! Two billing servers that nobody has configured anywhere, found by what they say of themselves.

use tollwire_harness::daemons::program;
use tollwire_harness::process::{Scratch, run};
use tollwire_harness::slp::agent::Agent;
use tollwire_harness::slp::lan::Lan;
use tollwire_harness::wait::PATIENCE;

use super::{print_indented, say, stage};

const BANK: &str = "service:billing:https://bank.example/pay";
const PHONE_BILL: &str = "service:billing:https://operator.example/bill";

pub fn show() {
    stage(
        "Service discovery: four hosts on a link; slpd as directory agent on one, as service agent on two",
    );
    let lan = Lan::new(4);
    let scratch = Scratch::new();
    let directory = Agent::start(lan.host(0), &scratch, "directory", "");
    let service_agent = "[agent]\nrole = \"service-agent\"\n";
    let one = Agent::start(lan.host(1), &scratch, "one", service_agent);
    let two = Agent::start(lan.host(2), &scratch, "two", service_agent);
    say(&format!("directory agent {}", directory.ip()));
    say(&format!("service agents  {}, {}", one.ip(), two.ip()));
    say(&format!(
        "a shop          {}, which knows none of them",
        lan.host(3).ip
    ));

    stage("Two billing servers register with the slpd of their host");
    let attributes = |name: &str, fee: u32, currency: &str| {
        format!(
            "(name={name}),(protocol=https),(agreement-required=false),(fee-basis-points={fee}),(currency={currency}),\
             (invoice-form-type=page),(acknowledgement-key=NzbLsXh8uDCcd)"
        )
    };
    for (host, agent, url, attributes) in [
        (1, &one, BANK, attributes("Bank of Example", 250, "EUR,USD")),
        (2, &two, PHONE_BILL, attributes("Phone bill", 900, "EUR")),
    ] {
        let mut tollctl = lan.host(host).command(program("tollctl"));
        tollctl
            .args(["slp", "--registration-socket"])
            .arg(agent.registration_socket());
        run(tollctl.args(["register", url, &attributes, "--lifetime", "600"]));
        say(url);
        print_indented(&attributes);
    }
    directory.wait_for_registered(&[BANK, PHONE_BILL], PATIENCE);
    say("the service agents found the directory agent by multicast, and registered both there");

    stage("The shop asks the network");
    for arguments in [
        &["findsrvs", "service:billing"][..],
        &[
            "findsrvs",
            "service:billing",
            "(&(currency=USD)(fee-basis-points<=300))",
        ],
        &["findsrvs", "service:billing", "(name=*bill*)"],
        &["findattrs", PHONE_BILL, "name,fee*"],
    ] {
        say(&format!("tollctl slp {}", arguments.join(" ")));
        let mut tollctl = lan.host(3).command(program("tollctl"));
        print_indented(&run(tollctl.arg("slp").args(arguments)));
    }
}
