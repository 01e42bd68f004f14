"""python-diameter 0.9.0 as an element that accounts: sessions and events, each answer on a line.

    rf_client.py ADDRESS PORT
"""

import datetime
import sys

from diameter.message.avp.grouped import VendorSpecificApplicationId
from diameter.message.commands.accounting import AccountingRequest
from diameter.message.constants import APP_DIAMETER_BASE_ACCOUNTING as ACCOUNTING
from diameter.message import Avp, constants
from diameter.node import Node
from diameter.node.application import SimpleThreadingApplication

REALM = "tollwire.example"
EVENT, START, INTERIM, STOP = 1, 2, 3, 4
NAMES = ["", "event", "start", "interim", "stop"]

node = Node("python." + REALM, REALM)
peer = node.add_peer(f"aaa://chargingd.{REALM}:{sys.argv[2]};transport=tcp", REALM,
                     ip_addresses=[sys.argv[1]], is_persistent=True)
application = SimpleThreadingApplication(ACCOUNTING, is_acct_application=True)
node.add_application(application, [peer])
node.start()
application.wait_for_ready(20)


def request(session, kind, number):
    acr = AccountingRequest()
    acr.header.application_id = ACCOUNTING
    acr.session_id = f"python.{REALM};1;{session}"
    acr.origin_host = ("python." + REALM).encode()
    acr.origin_realm = REALM.encode()
    acr.destination_realm = REALM.encode()
    acr.accounting_record_type = kind
    acr.accounting_record_number = number
    acr.acct_application_id = ACCOUNTING
    acr.event_timestamp = datetime.datetime(2026, 11, 21, 9, 0, tzinfo=datetime.timezone.utc)
    return acr


def send(acr, again=False):
    acr.header.is_retransmit = again
    answer = application.send_request(acr, 20)
    said = [NAMES[acr.accounting_record_type], acr.accounting_record_number, answer.result_code]
    for name in ["acct_interim_interval", "accounting_realtime_required"]:
        said.append(getattr(answer, name, None))
    print(*said, flush=True)


# A session, of which two records are sent twice.
send(request(1, START, 0))
send(request(1, INTERIM, 1))
send(request(1, INTERIM, 1), again=True)
send(request(1, INTERIM, 2))
send(request(1, STOP, 3))
send(request(1, STOP, 3))

# An event as 3GPP's Rf has it, under an application of a vendor's, with AVPs that not every dictionary has.
acr = request(2, EVENT, 0)
acr.acct_application_id = None
acr.vendor_specific_application_id = VendorSpecificApplicationId(vendor_id=10415, acct_application_id=ACCOUNTING)
acr.append_avp(Avp.new(constants.AVP_SERVICE_CONTEXT_ID, value="32260@3gpp.org"))
acr.append_avp(Avp.new(
    constants.AVP_TGPP_SERVICE_INFORMATION, constants.VENDOR_TGPP, is_mandatory=True,
    value=[
        Avp.new(constants.AVP_TGPP_PS_INFORMATION, constants.VENDOR_TGPP, is_mandatory=True, value=[
            Avp.new(constants.AVP_TGPP_3GPP_CHARGING_ID, constants.VENDOR_TGPP, is_mandatory=True, value=b"\x00\x01\x02\x03"),
        ]),
        Avp.new(constants.AVP_TGPP_IMS_INFORMATION, constants.VENDOR_TGPP, is_mandatory=True, value=[
            Avp.new(constants.AVP_TGPP_CALLING_PARTY_ADDRESS, constants.VENDOR_TGPP, is_mandatory=True,
                    value="sip:alice@" + REALM),
        ]),
    ]))
send(acr)

# An end without a beginning, and a record that names no application.
send(request(3, STOP, 2))
acr = request(4, EVENT, 0)
acr.acct_application_id = None
send(acr)
node.stop(force=True)
