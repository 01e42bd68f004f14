"""python-diameter 0.9.0 as a packet gateway: several services in one session, a redirection, and a server that lifts it.

    gy_client.py ADDRESS PORT [pool]

Each answer is a line. After "redirected" or "used up" it waits for the server's Re-Auth-Request. With "pool" two of the
services draw on a credit pool, which it counts as RFC 8506 5.1.2 has it.
"""

import queue
import sys
from fractions import Fraction

from diameter.message.avp.grouped import (
    MultipleServicesCreditControl, RequestedServiceUnit, SubscriptionId, UsedServiceUnit,
)
from diameter.message.commands.credit_control import CreditControlRequest
from diameter.message.constants import APP_DIAMETER_CREDIT_CONTROL_APPLICATION as CREDIT_CONTROL
from diameter.node import Node
from diameter.node.application import SimpleThreadingApplication

REALM = "tollwire.example"
SESSION = f"python.{REALM};1;gy"
INITIAL, UPDATE, TERMINATION = 1, 2, 3
ACTIONS = ["terminate", "redirect", "restrict-access"]
asked = queue.Queue()


def from_server(application, message):
    # RFC 8506 5.5: a Re-Auth-Request is answered with DIAMETER_LIMITED_SUCCESS, and a CCR-Update follows.
    answer = application.generate_answer(message, result_code=2002)
    asked.put((message.header.command_code, message.session_id, getattr(message, "g_s_u_pool_identifier", None)))
    return answer


node = Node("python." + REALM, REALM)
peer = node.add_peer(f"aaa://chargingd.{REALM}:{sys.argv[2]};transport=tcp", REALM,
                     ip_addresses=[sys.argv[1]], is_persistent=True)
application = SimpleThreadingApplication(CREDIT_CONTROL, is_auth_application=True, request_handler=from_server)
node.add_application(application, [peer])
node.start()
application.wait_for_ready(20)
numbers = iter(range(100))
pools, multipliers = {}, {}
POOL_EXHAUSTED = 8


def request(kind, services, reason=None):
    ccr = CreditControlRequest()
    ccr.session_id = SESSION
    ccr.origin_host = ("python." + REALM).encode()
    ccr.origin_realm = REALM.encode()
    ccr.destination_realm = REALM.encode()
    ccr.auth_application_id = CREDIT_CONTROL
    ccr.service_context_id = "32251@3gpp.org"
    ccr.cc_request_type = kind
    ccr.cc_request_number = next(numbers)
    ccr.multiple_services_indicator = 1
    ccr.subscription_id = [SubscriptionId(subscription_id_type=1, subscription_id_data="262011234567890")]
    for group, octets, events, more in services:
        service = MultipleServicesCreditControl(rating_group=group)
        if more:
            service.requested_service_unit = RequestedServiceUnit()
        if octets is not None:
            service.used_service_unit = [UsedServiceUnit(cc_total_octets=octets, reporting_reason=reason)]
            if group in multipliers:
                pool, multiplier = multipliers.pop(group)
                pools[pool] -= octets * multiplier
        if events is not None:
            service.used_service_unit = [UsedServiceUnit(cc_service_specific_units=events)]
        ccr.multiple_services_credit_control.append(service)
    answer = application.send_request(ccr, 20)
    print(["", "initial", "update", "termination"][kind], answer.result_code, flush=True)
    for service in answer.multiple_services_credit_control:
        said = ["  group", service.rating_group, service.result_code]
        granted = service.granted_service_unit
        if granted is not None:
            for name in ["cc_total_octets", "cc_service_specific_units"]:
                if getattr(granted, name, None) is not None:
                    said.append(f"{name}={getattr(granted, name)}")
        for reference in service.g_s_u_pool_reference:
            pool, value = reference.g_s_u_pool_identifier, reference.unit_value
            multiplier = value.value_digits * Fraction(10) ** (value.exponent or 0)
            multipliers[service.rating_group] = pool, multiplier
            pools[pool] = pools.get(pool, 0) + granted.cc_total_octets * multiplier
            said.append(f"pool={pool} type={reference.cc_unit_type} multiplier={multiplier}")
        for name in ["validity_time", "quota_holding_time", "volume_quota_threshold"]:
            if getattr(service, name, None) is not None:
                said.append(f"{name}={getattr(service, name)}")
        final = service.final_unit_indication
        if final is not None:
            said.append("then " + ACTIONS[final.final_unit_action])
            if final.redirect_server is not None:
                said.append(final.redirect_server.redirect_server_address)
        print(*said, flush=True)
    for pool, left in pools.items():
        print("  pool", pool, "has", left, flush=True)


def asked_back():
    code, session, pool = asked.get(timeout=60)
    print("asked back", code, session == SESSION, *([] if pool is None else ["for pool", pool]), flush=True)


INTERNET, STREAMING, CONTENT, UNKNOWN = 10, 20, 30, 77


def services_of_their_own():
    request(INITIAL, [(INTERNET, None, None, True), (CONTENT, None, None, True), (UNKNOWN, None, None, True)])
    request(UPDATE, [(INTERNET, 900_000, None, True), (CONTENT, None, 1, True)])
    request(UPDATE, [(INTERNET, 600_000, None, True)])
    # The last octets are used: the redirection has begun.
    request(UPDATE, [(INTERNET, 500_000, None, False)])
    print("redirected", flush=True)
    asked_back()
    request(UPDATE, [(INTERNET, None, None, True)])
    request(TERMINATION, [(INTERNET, 250_000, None, False), (CONTENT, None, 0, False)])


def services_of_one_pool():
    request(INITIAL, [(INTERNET, None, None, True), (STREAMING, None, None, True)])
    # One spends what the other was granted: C1*M1 + C2*M2 is S.
    request(UPDATE, [(INTERNET, 200_000, None, True), (STREAMING, 360_000, None, True)], POOL_EXHAUSTED)
    print("used up", flush=True)
    asked_back()
    request(UPDATE, [(INTERNET, 100_000, None, True), (STREAMING, 20_000, None, True)])
    request(TERMINATION, [(INTERNET, 1_750_000, None, False), (STREAMING, 50_000, None, False)])


(services_of_one_pool if sys.argv[3:] == ["pool"] else services_of_their_own)()
node.stop(force=True)
