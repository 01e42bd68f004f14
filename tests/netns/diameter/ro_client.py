"""python-diameter 0.9.0 as a credit-control client: a session and one-time events, each answer on a line.

    ro_client.py ADDRESS PORT
"""

import sys

from diameter.message.avp.grouped import (
    CcMoney, MultipleServicesCreditControl, RequestedServiceUnit, SubscriptionId, UnitValue, UsedServiceUnit,
)
from diameter.message.commands.credit_control import CreditControlRequest
from diameter.message.constants import APP_DIAMETER_CREDIT_CONTROL_APPLICATION as CREDIT_CONTROL
from diameter.node import Node
from diameter.node.application import SimpleThreadingApplication

REALM = "tollwire.example"
INITIAL, UPDATE, TERMINATION, EVENT = 1, 2, 3, 4
ACTIONS = ["direct-debiting", "refund-account", "check-balance", "price-enquiry"]

node = Node("python." + REALM, REALM)
peer = node.add_peer(f"aaa://chargingd.{REALM}:{sys.argv[2]};transport=tcp", REALM,
                     ip_addresses=[sys.argv[1]], is_persistent=True)
application = SimpleThreadingApplication(CREDIT_CONTROL, is_auth_application=True)
node.add_application(application, [peer])
node.start()
application.wait_for_ready(20)
sessions = [0]


def request(kind, number, session):
    ccr = CreditControlRequest()
    ccr.session_id = session
    ccr.origin_host = ("python." + REALM).encode()
    ccr.origin_realm = REALM.encode()
    ccr.destination_realm = REALM.encode()
    ccr.auth_application_id = CREDIT_CONTROL
    ccr.service_context_id = "32260@3gpp.org"
    ccr.cc_request_type = kind
    ccr.cc_request_number = number
    ccr.subscription_id = [SubscriptionId(subscription_id_type=2, subscription_id_data="sip:alice@" + REALM)]
    return ccr


def money(micro):
    return CcMoney(unit_value=UnitValue(value_digits=micro, exponent=-6), currency_code=978)


def event(action, micro, session=None):
    if session is None:
        sessions[0] += 1
        session = f"python.{REALM};1;{sessions[0]}"
    ccr = request(EVENT, 0, session)
    ccr.requested_action = action
    ccr.requested_service_unit = RequestedServiceUnit(cc_money=money(micro))
    answer = application.send_request(ccr, 20)
    said = [ACTIONS[action], answer.result_code]
    if getattr(answer, "check_balance_result", None) is not None:
        said.append(f"balance={answer.check_balance_result}")
    if getattr(answer, "cost_information", None) is not None:
        value = answer.cost_information.unit_value
        said.append(f"cost={value.value_digits}e{value.exponent or 0}")
    print(*said, flush=True)
    return session


# A session of time, in three requests.
session = f"python.{REALM};2;1"
for kind, number, used in [(INITIAL, 0, None), (UPDATE, 1, 0), (TERMINATION, 2, 0)]:
    ccr = request(kind, number, session)
    service = MultipleServicesCreditControl(rating_group=100)
    if kind != TERMINATION:
        service.requested_service_unit = RequestedServiceUnit()
    if used is not None:
        service.used_service_unit = [UsedServiceUnit(cc_time=used)]
    ccr.multiple_services_credit_control = [service]
    answer = application.send_request(ccr, 20)
    granted = answer.multiple_services_credit_control[0].granted_service_unit
    print("session", kind, answer.result_code, granted.cc_time if granted else None, flush=True)

event(2, 900_000)
event(2, 1_100_000)
event(3, 250_000)
first = event(0, 400_000)
event(0, 400_000, first)
event(0, 700_000)
event(1, 100_000)
event(1, 200_001)
event(2, 700_000)
node.stop(force=True)
