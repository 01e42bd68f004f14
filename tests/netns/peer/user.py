"""A user that nobody of Tollwire wrote.

    user.py FOLDER NAME TRUST MANAGER MANAGER-NAME SERVICE PATH

FOLDER has NAME.pem, NAME.key, root.pem and crl.pem. Written from docs/peer.md alone. Prints a line for each thing that it has seen to.
"""

import json
import sys
import urllib.parse

from party import (
    Client, Party, a_jwe, a_nonce, a_string, an_identifier, an_integer, identifier, measures, members, nonce, plain, say,
    sign_request, word, written,
)

folder, name, trust, manager, manager_name, service, path = sys.argv[1:]
own = Party(f"{folder}/{name}.pem", f"{folder}/{name}.key", f"{folder}/root.pem", f"{folder}/crl.pem")
client = Client(trust)

status, token = client.ask("GET", manager + "/services")
listed, _ = own.check(
    token, "service-list+jwt", {"services": list.__instancecheck__, "nonce": a_nonce}, name=manager_name
)
own.nonces.take(listed["nonce"])
for entry in listed["services"]:
    members(
        entry,
        {"name": a_string, "title": a_string, "provider": a_string, "price": a_string, "collect": measures},
    )
[entry] = [entry for entry in listed["services"] if entry["name"] == service]
say("listed", entry["provider"], ",".join(sorted(entry["collect"])))

claims = {"service": {"name": service}, "request_id": identifier(), "nonce": nonce()}
asked = own.sign("service-credential-request+jwt", claims)


def refused(what, token):
    say(what, word(client.ask("POST", manager + "/credentials", token)))


head, payload, signature = asked.split(".")
other = {**claims, "service": {"name": "another"}}
refused("altered", ".".join([head, written(json.dumps(other).encode()), signature]))
refused("cut off", asked[:-2])
refused("another type", own.sign("user-credential+jwt", claims))
refused("unknown member", own.sign("service-credential-request+jwt", {**claims, "more": 1}))
refused("unknown service", own.sign("service-credential-request+jwt", {**other, "request_id": identifier(), "nonce": nonce()}))

answer = client.ask("POST", manager + "/credentials", asked)
assert answer[0] == 200, answer
credential, _ = own.check(
    answer[1],
    "service-credential+jwt",
    {
        "request_id": an_identifier, "provider": dict.__instancecheck__, "validity": dict.__instancecheck__,
        "session_key": a_jwe, "accounting_session_id": an_identifier,
    },
    name=manager_name,
)
members(credential["provider"], {"name": a_string, "address": a_string, "sessions": a_string})
members(credential["validity"], {"not_before": an_integer, "not_after": an_integer})
assert credential["request_id"] == claims["request_id"], credential
assert credential["provider"]["name"] == entry["provider"], credential
key, session = own.decrypt(credential["session_key"]), credential["accounting_session_id"]
say("credential", own.own.algorithm, len(key))

say("the same again", client.ask("POST", manager + "/credentials", asked) == answer)
refused("the same request_id", own.sign("service-credential-request+jwt", {**claims, "nonce": nonce()}))
refused("the same nonce", own.sign("service-credential-request+jwt", {**claims, "request_id": identifier()}))

url = credential["provider"]["address"].rstrip("/") + path
parts = urllib.parse.urlsplit(url)
target = parts.path + (f"?{parts.query}" if parts.query else "")
request = sign_request(key, session, "GET", target)


def use(token, method="GET", url=url):
    return client.ask(method, url, Tollwire_Service_Request=token)


status, text = use(request)
say("served", status, text)
say("replayed", word(use(request)))
say("another target", use(sign_request(key, session, "GET", target + "x"))[0])
say("another method", use(sign_request(key, session, "DELETE", target))[0])
say("another key", word(use(sign_request(bytes(32), session, "GET", target))))
say("another session", word(use(sign_request(key, identifier(), "GET", target))))
head, payload, signature = sign_request(key, session, "GET", target).split(".")
none = {**json.loads(plain(head)), "alg": "none"}
say("no algorithm", use(".".join([written(json.dumps(none).encode()), payload, ""]))[0])

end = credential["provider"]["sessions"]
say("ended", use(sign_request(key, session, "DELETE", urllib.parse.urlsplit(end).path), "DELETE", end)[0])
say("after the end", word(use(sign_request(key, session, "GET", target))))
