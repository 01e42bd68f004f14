"""A manager that nobody of Tollwire wrote. It has no money: it grants, and believes.

    manager.py FOLDER NAME TRUST ADDRESS TLS-CERTIFICATE TLS-KEY PROVIDER PROVIDER-NAME SERVICE SERVICE-URL

FOLDER has NAME.pem, NAME.key, root.pem, crl.pem and parties/PROVIDER-NAME.pem. PROVIDER is the provider's base URL, the service is at SERVICE-URL. Serves one
session as docs/peer.md says: it makes the provider repeat a message, and revokes the session when there was a request. Prints a line for each
thing that it has seen to.
"""

import json
import secrets
import sys
import threading
import time

from party import (
    Client, Party, Refused, a_nonce, a_string, an_identifier, an_integer, data, encrypt, identifier, members, nonce, say,
    serve,
)

folder, name, trust, address, tls_certificate, tls_key, provider, provider_name, service, url = sys.argv[1:]
own = Party(f"{folder}/{name}.pem", f"{folder}/{name}.key", f"{folder}/root.pem", f"{folder}/crl.pem")
provider_certificate = Party(
    f"{folder}/parties/{provider_name}.pem", f"{folder}/{name}.key", f"{folder}/root.pem"
).own
client = Client(trust)
lock = threading.Lock()
credentials, requests, arrived, attempts = {}, set(), [], {}
news = threading.Condition(lock)
session = identifier()


def a_service(value):
    members(value, {"name": a_string}, {"udp_port": an_integer})
    return True


def issue(body, peer):
    claims, user = own.check(
        body,
        "service-credential-request+jwt",
        {"service": a_service, "request_id": an_identifier, "nonce": a_nonce},
    )
    if body in credentials:
        return credentials[body]
    own.nonces.take(claims["nonce"])
    if claims["request_id"] in requests:
        raise Refused(409, "replayed")
    if claims["service"]["name"] != service:
        raise Refused(404, "unknown-service")
    requests.add(claims["request_id"])
    key = secrets.token_bytes(32)
    begin = int(time.time()) - 1
    policies = {
        "service": service, "not_before": begin, "not_after": begin + 600, "times_of_day": [], "max_requests": 10,
        "address_change": False, "collect": ["time", "octets", "requests"], "max_seconds_between_messages": 1,
        "granted": {"octets": 1_000_000, "requests": 10, "time_ms": 600_000},
    }
    pushed = own.sign(
        "user-credential+jwt",
        {
            "user_address": {"ip": peer}, "accounting_session_id": session,
            "session_key": encrypt(provider_certificate, key), "policies": policies,
        },
    )
    answers = [client.ask("POST", provider + "/credentials", pushed) for _ in range(2)]
    for status, text in answers:
        assert status == 200, (status, text)
        acknowledged, _ = own.check(
            text, "user-credential-acknowledgement+jwt", {"accounting_session_id": an_identifier, "nonce": a_nonce},
            name=provider_name,
        )
        assert acknowledged["accounting_session_id"] == session, acknowledged
    say("acknowledged twice by", provider_name)
    other = own.sign(
        "user-credential+jwt",
        {
            "user_address": {"ip": peer}, "accounting_session_id": session,
            "session_key": encrypt(provider_certificate, secrets.token_bytes(32)), "policies": policies,
        },
    )
    status, text = client.ask("POST", provider + "/credentials", other)
    say("another under its id", status, json.loads(text)["error"])
    credential = own.sign(
        "service-credential+jwt",
        {
            "request_id": claims["request_id"],
            "provider": {"name": provider_name, "address": url, "sessions": provider + "/sessions"},
            "validity": {"not_before": begin, "not_after": begin + 600},
            "session_key": encrypt(user, key), "accounting_session_id": session,
        },
    )
    say("issued to", user.name, user.algorithm)
    credentials[body] = (200, "application/jose", credential)
    return credentials[body]


def take(body):
    claims, _ = own.check(
        body,
        "accounting-message+jwt",
        {
            "message_id": an_identifier, "accounting_session_id": an_identifier, "sequence": an_integer,
            "kind": lambda it: it in ("interim", "final"), "data": data, "nonce": a_nonce,
        },
        {"cause": a_string},
        name=provider_name,
    )
    assert claims["accounting_session_id"] == session
    assert ("cause" in claims) == (claims["kind"] == "final"), claims
    assert set(claims["data"]) == {"time_ms", "octets", "requests"}, claims
    attempts.setdefault(claims["sequence"], []).append(body)
    news.notify_all()
    # The first is not answered at first.
    if claims["sequence"] == 1 and len(attempts[1]) == 1:
        raise Refused(503, "unavailable")
    arrived.append(claims)
    final = any(it["kind"] == "final" for it in arrived)
    answer = {
        "message_id": claims["message_id"], "accounting_session_id": session, "sequence": claims["sequence"],
        "state": "closed" if final else "open",
        "granted": {"octets": 1_000_000, "requests": 10, "time_ms": 600_000}, "last": final, "nonce": nonce(),
    }
    return 200, "application/jose", own.sign("accounting-acknowledgement+jwt", answer)


def handle(method, path, headers, body, peer):
    with lock:
        match method, path:
            case "GET", "/services":
                listed = {
                    "name": service, "title": "A service", "provider": provider_name, "price": "nothing",
                    "collect": ["time", "octets", "requests"],
                }
                return 200, "application/jose", own.sign(
                    "service-list+jwt", {"services": [listed], "nonce": nonce()}
                )
            case "POST", "/credentials":
                return issue(body, peer)
            case "POST", "/accounting":
                return take(body)
    raise Refused(404, "malformed", path)


def wait(what, condition):
    with lock:
        assert news.wait_for(condition, 60), what


serve(address, tls_certificate, tls_key, handle)
say("serves")
wait("a repetition", lambda: len(attempts.get(1, [])) > 1)
say("repeated the same", attempts[1][0] == attempts[1][1])
wait("a request", lambda: any(it["data"]["requests"] > 0 for it in arrived))
revocation = {"accounting_session_id": session, "reason": "operator", "nonce": nonce()}
token = own.sign("revocation+jwt", revocation)
say("revoked", client.ask("POST", provider + "/revocations", token)[0])
wait("the final message", lambda: any(it["kind"] == "final" for it in arrived))
with lock:
    [last] = {it["message_id"]: it for it in arrived if it["kind"] == "final"}.values()
    numbers = sorted(attempts)
    totals = [it["data"] for it in sorted(arrived, key=lambda it: it["sequence"])]
say("final", last["cause"], last["data"]["requests"], last["data"]["octets"])
say("in order", numbers == list(range(1, len(numbers) + 1)))
say("growing", all(a[it] <= b[it] for a, b in zip(totals, totals[1:]) for it in a))
