"""python-diameter 0.9.0 as a credit-control client of a chargingd that has other subscribers, and then of the one that
it is sent to.

    parts_client.py ADDRESS PORT SUBSCRIBER NAME=PORT...
"""

import sys

from diameter.message.avp.grouped import MultipleServicesCreditControl, RequestedServiceUnit, SubscriptionId
from diameter.message.commands.credit_control import CreditControlRequest
from diameter.message.constants import APP_DIAMETER_CREDIT_CONTROL_APPLICATION as CREDIT_CONTROL
from diameter.node import Node
from diameter.node.application import SimpleThreadingApplication

REALM = "tollwire.example"
ADDRESS, PORT, SUBSCRIBER = sys.argv[1:4]
PORTS = dict(argument.split("=") for argument in sys.argv[4:])


def ask(port):
    """The answer of the server at this port to the first request of the session."""
    node = Node("python." + REALM, REALM)
    peer = node.add_peer(f"aaa://server.{REALM}:{port};transport=tcp", REALM, ip_addresses=[ADDRESS],
                         is_persistent=True)
    application = SimpleThreadingApplication(CREDIT_CONTROL, is_auth_application=True)
    node.add_application(application, [peer])
    node.start()
    application.wait_for_ready(20)
    ccr = CreditControlRequest()
    ccr.session_id = f"python.{REALM};3;1"
    ccr.origin_host = ("python." + REALM).encode()
    ccr.origin_realm = REALM.encode()
    ccr.destination_realm = REALM.encode()
    ccr.auth_application_id = CREDIT_CONTROL
    ccr.service_context_id = "32260@3gpp.org"
    ccr.cc_request_type = 1
    ccr.cc_request_number = 0
    ccr.subscription_id = [SubscriptionId(subscription_id_type=2, subscription_id_data=SUBSCRIBER)]
    ccr.multiple_services_credit_control = [
        MultipleServicesCreditControl(rating_group=100, requested_service_unit=RequestedServiceUnit()),
    ]
    answer = application.send_request(ccr, 20)
    node.stop(force=True)
    return answer


first = ask(PORT)
print("first", first.result_code, "error" if first.header.is_error else "", first.redirect_host,
      first.redirect_host_usage, first.redirect_max_cache_time, flush=True)
host = first.redirect_host[0].removeprefix("aaa://").split(".")[0]
second = ask(PORTS[host])
print(host, second.result_code, second.multiple_services_credit_control[0].granted_service_unit.cc_time, flush=True)
