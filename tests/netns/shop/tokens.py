"""A shop that nobody of Tollwire wrote: jwcrypto makes its invoices and checks what a billing server acknowledges.

    tokens.py BILLING-URL SHOP-ADDRESS SHOP-CERTIFICATE SHOP-KEY TRUST-FILE ACCOUNT PIN ALGORITHM

Written from docs/service-billing.md alone. Prints one line for each thing that it has seen to.
"""

import hashlib
import http.server
import json
import ssl
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import urlsafe_b64decode, urlsafe_b64encode
from secrets import token_urlsafe

from jwcrypto import jwk, jws

url, address, certificate, key_file, trust, account, pin, algorithm = sys.argv[1:]
SHOP = "https://books.example"
arrived = []
has_arrived = threading.Event()


class Shop(http.server.BaseHTTPRequestHandler):
    """Answers the first attempt with 503, so that it is sent again."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        arrived.append((self.path, self.headers["Content-Type"], body.decode()))
        self.send_response(503 if len(arrived) == 1 else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()
        if len(arrived) > 1:
            has_arrived.set()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server((address, 443), Shop)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key_file)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()

client = ssl.create_default_context(cafile=trust)


class Stay(urllib.request.HTTPRedirectHandler):
    """303 is what is to be seen."""

    def redirect_request(self, *_):
        return None


opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=client), Stay)


def ask(target, form=None):
    """Status, Location and text of an answer."""
    data = urllib.parse.urlencode(form).encode() if form else None
    try:
        answer = opener.open(target, data, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.headers.get("Location"), answer.read().decode()


def plain(text):
    """A part of a token: base64url without padding (RFC 7515 2)."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


keys = json.loads(ask(url + "/keys.json")[2])
[known] = keys["keys"]
bank = jwk.JWK(**known)
thumbprint = bank.thumbprint()
assert bank.is_public if hasattr(bank, "is_public") else "d" not in known
print("key", known["kty"], "thumbprint of", len(thumbprint))

form = json.loads(ask(url + "/form.json")[2])
assert form["action"] == url + "/pay", form
print("form", form["type"], ",".join(field["name"] for field in form["fields"]))

own = (
    jwk.JWK.generate(kty="OKP", crv="Ed25519")
    if algorithm == "EdDSA"
    else jwk.JWK.generate(kty="EC", crv="P-256")
)
now = int(time.time())
claims = {
    "iss": SHOP,
    "aud": thumbprint,
    "provider": "Python's bookshop",
    "reference": token_urlsafe(24),
    "provider_reference": "4711",
    "title": "A b\u00fcch",
    "amount_micro": 1_250_000,
    "currency": "EUR",
    "tax_basis_points": 700,
    "acknowledgement_url": SHOP + "/told?by=bank",
    "service_url": SHOP + "/thanks",
    "iat": now,
    "exp": now + 600,
    "via": [],
}


def signed(claims, key):
    """A compact JWS with the key in its header."""
    token = jws.JWS(json.dumps(claims).encode())
    header = {"alg": algorithm, "typ": "invoice+jwt", "jwk": key.export_public(as_dict=True)}
    # Members that only jwcrypto knows are none of the key's.
    header["jwk"].pop("kid", None)
    token.add_signature(key, None, json.dumps(header), None)
    return token.serialize(compact=True)


invoice = signed(claims, own)
fields = {"account": account, "pin": pin}

changed = invoice.split(".")
changed[1] = urlsafe_b64encode(json.dumps({**claims, "amount_micro": 1}).encode()).decode().rstrip("=")
status, _, _ = ask(url + "/pay", {"invoice": ".".join(changed), **fields})
print("altered", status)
# The key in the header is another one than that which signed.
other = jwk.JWK.generate(kty="OKP", crv="Ed25519") if algorithm == "EdDSA" else jwk.JWK.generate(kty="EC", crv="P-256")
header = json.loads(plain(invoice.split(".")[0]))
header["jwk"] = other.export_public(as_dict=True)
header["jwk"].pop("kid", None)
swapped = invoice.split(".")
swapped[0] = urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
print("another key", ask(url + "/pay", {"invoice": ".".join(swapped), **fields})[0])

status, location, text = ask(url + "/pay", {"invoice": invoice, **fields})
assert location and location.startswith(("/", url)), (status, location, text)
print("paid", status)
status, again, _ = ask(url + "/pay", {"invoice": invoice, **fields})
print("again", status, again == location)

assert has_arrived.wait(30), "no acknowledgement"
(path, kind, token), (_, _, repeated) = arrived[:2]
assert path == "/told?by=bank" and kind == "application/jose", (path, kind)
assert token == repeated, "a repetition is the same"
message = jws.JWS()
message.deserialize(token)
message.verify(bank)
header = json.loads(plain(token.split(".")[0]))
assert header["typ"] == "acknowledgement+jwt", header
print("acknowledged", header["alg"], header.get("kid") in (None, thumbprint))
told = json.loads(message.payload)
digest = urlsafe_b64encode(hashlib.sha256(invoice.encode()).digest()).decode().rstrip("=")
assert told["invoice"] == digest, told
assert told["iss"] == url and told["aud"] == SHOP, told
for name in ("reference", "provider_reference", "provider", "amount_micro", "currency"):
    assert told[name] == claims[name], (name, told)
assert now <= told["paid_at"] <= told["exp"] and told["iat"] <= time.time() + 1 and told["jti"], told
assert account not in json.dumps(told)
print("bound", len(told))
try:
    message.verify(own)
except jws.InvalidJWSSignature:
    print("not by another key")
