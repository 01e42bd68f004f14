"""A provider that nobody of Tollwire wrote.

    provider.py FOLDER NAME TRUST MANAGER MANAGER-NAME ADDRESS TLS-CERTIFICATE TLS-KEY

FOLDER has NAME.pem, NAME.key, root.pem and crl.pem. Its base URL ends with /peers, everything else is its service. Serves one
session as docs/peer.md says, and ends.
Prints a line for each thing that it has seen to.
"""

import ipaddress
import sys
import threading
import time

from party import (
    Client, Party, Refused, a_jwe, a_nonce, a_string, an_identifier, an_integer, check_request, data, identifier, measures,
    members, nonce, say, serve, word,
)

folder, name, trust, manager, manager_name, address, tls_certificate, tls_key = sys.argv[1:]
own = Party(f"{folder}/{name}.pem", f"{folder}/{name}.key", f"{folder}/root.pem", f"{folder}/crl.pem")
client = Client(trust)
lock = threading.Lock()
sessions, keys, credentials, tokens = {}, {}, {}, {}
used = {"octets": 0, "requests": 0}
began = threading.Event()
ended = threading.Event()
causes = []


def a_policy(value):
    members(
        value,
        {
            "service": a_string, "not_before": an_integer, "not_after": an_integer, "times_of_day": list.__instancecheck__,
            "max_requests": lambda it: it is None or an_integer(it), "address_change": bool.__instancecheck__,
            "collect": measures, "max_seconds_between_messages": an_integer, "granted": data,
        },
    )
    return True


def an_address(value):
    members(value, {"ip": lambda it: bool(ipaddress.ip_address(it))}, {"udp_port": an_integer})
    return True


def take_credential(body):
    claims, _ = own.check(
        body,
        "user-credential+jwt",
        {
            "user_address": an_address, "accounting_session_id": an_identifier, "session_key": a_jwe, "policies": a_policy,
        },
        name=manager_name,
    )
    session = claims["accounting_session_id"]
    if tokens.setdefault(session, body) != body:
        raise Refused(409, "replayed")
    keys[session] = own.decrypt(claims["session_key"])
    credentials[session] = claims
    acknowledgement = {"accounting_session_id": session, "nonce": nonce()}
    return 200, "application/jose", own.sign("user-credential-acknowledgement+jwt", acknowledgement)


def allow(method, path, headers, peer):
    """What is to be checked of a ServiceRequest, in order."""
    token = headers.get("Tollwire-Service-Request")
    if not token:
        raise Refused(400, "malformed", "no ServiceRequest")
    claims = check_request(token, keys)
    session, request = claims["accounting_session_id"], claims["request"]
    policies = credentials[session]["policies"]
    if session in sessions and sessions[session] == "over":
        raise Refused(410, "closed")
    if (request["method"], request["target"]) != (method, path):
        raise Refused(403, "signature", "another request")
    own.nonces.take(request["nonce"])
    if not policies["not_before"] <= time.time() < policies["not_after"]:
        raise Refused(403, "policy", "lifetime")
    if not policies["address_change"] and peer != credentials[session]["user_address"]["ip"]:
        raise Refused(403, "policy", "address")
    return session


def handle(method, path, headers, body, peer):
    with lock:
        if (method, path) == ("POST", "/peers/credentials"):
            return take_credential(body)
        if (method, path) == ("POST", "/peers/revocations"):
            claims, _ = own.check(
                body,
                "revocation+jwt",
                {"accounting_session_id": an_identifier, "reason": a_string, "nonce": a_nonce},
                name=manager_name,
            )
            own.nonces.take(claims["nonce"])
            sessions[claims["accounting_session_id"]] = "over"
            causes.append("revoked")
            ended.set()
            return 204, None, ""
        session = allow(method, path, headers, peer)
        if (method, path) == ("DELETE", "/peers/sessions"):
            sessions[session] = "over"
            causes.append("user")
            ended.set()
            return 200, "application/json", "{}"
        policies = credentials[session]["policies"]
        if policies["max_requests"] is not None and used["requests"] >= policies["max_requests"]:
            raise Refused(403, "policy", "requests")
        sessions[session] = "open"
        text = f"echo {path}"
        used["requests"] += 1
        used["octets"] += len(body) + len(text)
        began.set()
        return 200, "text/plain", text


def account(session, sequence, kind, totals, **more):
    """Sends a message until it is answered: what was granted, and the message."""
    collected = credentials[session]["policies"]["collect"]
    named = {"octets": "octets", "requests": "requests", "time": "time_ms"}
    claims = {
        "message_id": identifier(), "accounting_session_id": session, "sequence": sequence, "kind": kind,
        "data": {named[it]: totals.get(named[it], 0) for it in collected}, "nonce": nonce(), **more,
    }
    token = own.sign("accounting-message+jwt", claims)
    deadline = time.monotonic() + 30
    while True:
        status, text = client.ask("POST", manager + "/accounting", token)
        if status == 200:
            break
        assert status in (408, 429, 503) and time.monotonic() < deadline, (status, text)
    answer, _ = own.check(
        text,
        "accounting-acknowledgement+jwt",
        {
            "message_id": an_identifier, "accounting_session_id": an_identifier, "sequence": an_integer,
            "state": lambda it: it in ("open", "closed"), "granted": data, "last": bool.__instancecheck__,
            "nonce": a_nonce,
        },
        name=manager_name,
    )
    for member in ("message_id", "accounting_session_id", "sequence"):
        assert answer[member] == claims[member], (answer, claims)
    return answer, claims, token


def refused(what, claims):
    say(what, word(client.ask("POST", manager + "/accounting", own.sign("accounting-message+jwt", claims))))


serve(address, tls_certificate, tls_key, handle)
say("serves")
assert began.wait(60), "no session"
with lock:
    [session] = [known for known, state in sessions.items() if state == "open"]
    totals = dict(used)
    policies = credentials[session]["policies"]
say("session", own.own.algorithm, policies["service"], ",".join(sorted(policies["collect"])), policies["address_change"])

answer, first, token = account(session, 1, "interim", totals)
say("interim", answer["state"], sorted(answer["granted"]), answer["last"])
status, text = client.ask("POST", manager + "/accounting", token)
repeated = own.check(
    text, "accounting-acknowledgement+jwt",
    {name: (lambda _: True) for name in answer}, name=manager_name,
)[0]
say("repeated", status, all(repeated[name] == answer[name] for name in answer if name != "nonce"))
refused("another under its id", {**first, "nonce": nonce(), "data": {**first["data"], "requests": 999}})
refused("its nonce again", {**first, "message_id": identifier(), "sequence": 2})
refused(
    "less than before",
    {**first, "message_id": identifier(), "sequence": 2, "nonce": nonce(), "data": {it: 0 for it in first["data"]}},
)
refused(
    "an unknown session", {**first, "message_id": identifier(), "accounting_session_id": identifier(), "nonce": nonce()}
)

assert ended.wait(60), "nobody ends it"
with lock:
    totals = dict(used)
answer, last, _ = account(session, 4, "final", totals, cause=causes[0])
say("final", causes[0], answer["state"], last["data"])
# What was overtaken comes late: it is taken, and moves nothing.
answer, _, _ = account(session, 3, "interim", totals)
say("late", answer["state"])
