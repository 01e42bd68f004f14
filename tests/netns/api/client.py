"""A client of chargingd's HTTP API: Python's urllib and ssl, and openapi-spec-validator as judge of the description.

    client.py tokens URL CA OPERATOR READER ALICE
    client.py reloaded URL CA OLD NEW
    client.py limited URL CA
    client.py certificates URL CA CERTIFICATE KEY STRANGER STRANGERS_KEY FOREIGN FOREIGN_KEY

Ends with 0 if everything is as it should be, and says what is not.
"""

import json
import ssl
import sys
import urllib.error
import urllib.request

import jsonschema
import openapi_spec_validator

EXPIRY = 4_000_000_000_000


class Client:
    def __init__(self, url, authority, token=None, certificate=None):
        self.url, self.token = url, token
        self.context = ssl.create_default_context(cafile=authority)
        if certificate:
            self.context.load_cert_chain(*certificate)

    def ask(self, method, path, body=None, headers=()):
        """Status, headers and body."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        if self.token is not None:
            request.add_header("Authorization", "Bearer " + self.token)
        for name, value in headers:
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.context) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def status(self, method, path, body=None):
        return self.ask(method, path, body)[0]

    def operate(self, operation, /, **fields):
        status, _, body = self.ask("POST", "/v1/operations", {operation: fields})
        return status, json.loads(body) if body.startswith(b"{") else body


def same(found, wanted, what):
    if found != wanted:
        sys.exit(f"{what}: {found!r}, not {wanted!r}")


def check_schema(description, schema, value, what):
    # Their references begin at the root of the description.
    validator = jsonschema.Draft202012Validator({**schema, "components": description["components"]})
    for error in validator.iter_errors(value):
        sys.exit(f"{what}: {error.message} at {list(error.absolute_path)}")


def tokens(url, authority, operator, reader, alice):
    nobody, wrong = Client(url, authority), Client(url, authority, "wrong")
    operator, reader, alice = (Client(url, authority, token) for token in (operator, reader, alice))
    status, headers, body = nobody.ask("GET", "/v1/openapi.json")
    same((status, headers["Content-Type"], headers["Cache-Control"]), (200, "application/json", "no-store"), "description")
    description = json.loads(body)
    openapi_spec_validator.validate(description)

    for name in ("alice", "bob"):
        fields = {"name": name, "payment": "postpaid", "currency": "EUR", "credit_limit_micro": 0, "identities": []}
        same(operator.operate("create-account", **fields)[0], 200, "create")
        fields = {"account": name, "amount_micro": 5_000_000, "reference": "r"}
        same(operator.operate("top-up", **fields)[0], 200, "top-up")
    terms = {
        "rating_groups": [10], "unit": "octets", "price": {"amount_micro": 300_000, "per": 1_000_000},
        "recharge": {"calendar": {"every": {"month": 1}}, "amount": {"fixed": 1000}},
        "when_short": {"action": "redirect", "address": "https://pay.example.org/"},
    }
    fields = {"account": "alice", "service_account": "gprs", "terms": terms}
    same(operator.operate("set-service-account", **fields)[0], 200, "set-service-account")
    issue = {"batch": "spring", "count": 3, "amount_micro": 7, "currency": "EUR", "expires_unix_ms": EXPIRY}
    same(reader.status("POST", "/v1/vouchers", issue), 403, "a reader issues vouchers")
    same(alice.status("POST", "/v1/vouchers", issue), 403, "a customer issues vouchers")
    status, _, body = operator.ask("POST", "/v1/vouchers", issue)
    issued = json.loads(body)
    check_schema(description, {"$ref": "#/components/schemas/IssuedVouchers"}, issued, "issued vouchers")
    codes = issued["codes"]

    # Every route that is described is there, is closed to strangers, and answers readers as described.
    for path, methods in description["paths"].items():
        for method, route in methods.items():
            method = method.upper()
            real = path.replace("{name}", "alice").replace("{file}", "2020-01.json")
            real += "?account=alice" if any(
                parameter["name"] == "account" and parameter.get("required") for parameter in route.get("parameters", ())
            ) else ""
            if path == "/v1/openapi.json":
                continue
            for stranger in (nobody, wrong):
                status, headers, body = stranger.ask(method, real, b"{}" if method == "POST" else None)
                same((status, headers["WWW-Authenticate"]), (401, "Bearer"), f"{method} {real} by a stranger")
                check_schema(description, {"$ref": "#/components/schemas/Problem"}, json.loads(body), real)
            status, _, body = reader.ask(method, real, b"{}" if method == "POST" else None)
            if method == "POST":
                if status not in (400, 403, 422):
                    sys.exit(f"{method} {real} by a reader: {status}")
                continue
            if path.startswith("/v1/peers/"):
                same((status, b"no accounting manager" in body), (404, True), real)
                continue
            if "{file}" in path:
                same(b"no such route" in body, False, real)
                continue
            same(status, 200, f"{method} {real} by a reader: {body!r}")
            content = route["responses"]["200"]["content"]["application/json"]
            if "schema" in content:
                check_schema(description, content["schema"], json.loads(body), f"{method} {real}")
    same(reader.status("POST", "/v1/operations", {"block": {"account": "alice"}}), 403, "a reader blocks")
    same(reader.status("POST", "/v1/invoices/close", {"period": "2020-01"}), 403, "a reader closes a month")
    same(operator.status("GET", "/v1/nothing"), 404, "no such route")
    same(nobody.status("GET", "/v1/nothing"), 401, "no such route, for strangers")
    same(operator.status("DELETE", "/v1/accounts/alice"), 404, "no such method")
    same(operator.status("GET", "/metrics"), 404, "what is not in the table")
    same(operator.status("POST", "/v1/operations", b" " * 300_000), 413, "a large body")

    # A customer: his own account alone.
    for path, status in [
        ("/v1/accounts/alice", 200), ("/v1/accounts/bob", 404), ("/v1/accounts/nobody", 404), ("/v1/accounts", 403),
        ("/v1/ledger?account=alice", 200), ("/v1/ledger?account=alice/gprs", 200), ("/v1/ledger?account=bob", 404),
        ("/v1/ledger?account=@cash:EUR", 404), ("/v1/ledger?account=alice&account=bob", 403),
        ("/v1/records?account=alice", 200), ("/v1/records?account=bob", 404), ("/v1/records", 403),
        ("/v1/invoices?account=alice", 200), ("/v1/invoices?account=bob", 404), ("/v1/invoices", 403),
        ("/v1/invoices/preview?account=bob", 404), ("/v1/invoices/1.json", 404), ("/v1/invoices/periods", 403),
        ("/v1/settlements/2020-01.json", 403), ("/v1/sessions", 403), ("/v1/audit", 403), ("/v1/audit?account=alice", 403),
        ("/v1/vouchers", 403), ("/v1/trial-balance", 403), ("/v1/tariffs", 403), ("/v1/health", 200),
    ]:
        same(alice.status("GET", path), status, f"{path} by alice")
    own, foreign = {"account": "alice"}, {"account": "bob"}
    recharge = {"service_account": "gprs", "amount": 500, "reference": "r1"}
    status, account = alice.operate("recharge", **own, **recharge)
    same((status, account["service_accounts"][0]["balance"]), (200, 500), "recharge")
    status, account = alice.operate("redeem-voucher", **own, code=codes[0], reference="r2")
    same((status, account["balance_micro"]), (200, 5_000_000 - 150 + 7), "redeem")
    same(alice.operate("redeem-voucher", **own, code=codes[0], reference="r3")[0], 409, "redeem again")
    same(alice.operate("set-profile", **own, language="de")[0], 200, "profile")
    same(alice.operate("redeem-voucher", **foreign, code=codes[1], reference="r4")[0], 404, "redeem for bob")
    same(alice.operate("recharge", **foreign, **recharge)[0], 404, "recharge of bob")
    same(alice.operate("set-profile", **foreign, language="de")[0], 404, "profile of bob")
    for name, fields in [
        ("top-up", {"amount_micro": 1, "reference": "x"}), ("block", {}), ("set-credit-limit", {"credit_limit_micro": 1}),
        ("set-service-account", {"service_account": "gprs", "terms": terms}), ("add-identity", {"identity": "sip:x@y"}),
    ]:
        same(alice.operate(name, **own, **fields)[0], 403, f"{name} by alice")
    same(alice.operate("void-vouchers", batch="spring")[0], 403, "void-vouchers by alice")
    gprs = {"service_account": "gprs"}
    status, account = alice.operate("set-service-rules", **own, **gprs, thresholds=[100])
    rules = account["service_accounts"][0]
    same((status, rules["thresholds"], rules["recharge"]["amount"]), (200, [100], {"fixed": 1000}), "own thresholds")
    rule = {"at_minimum": 1, "amount": {"fixed": 10}}
    same(alice.operate("set-service-rules", **own, **gprs, recharge=rule)[0], 400, "the operator's rule")
    same(alice.operate("set-service-rules", **own, **gprs, recharge=None)[0], 400, "the operator's rule away")
    same(alice.operate("set-service-rules", **foreign, **gprs, thresholds=[1])[0], 404, "thresholds of bob's")
    same(alice.operate("set-service-rules", account="alice/gprs", **gprs, thresholds=[1])[0], 404, "another name")
    same(reader.status("POST", "/v1/operations", {"set-service-rules": {**own, **gprs}}), 403, "rules by a reader")
    same(alice.operate("close-service-account", **own, service_account="gprs")[0], 200, "close by alice")

    # What was changed, by whom; and no secrets.
    _, _, body = reader.ask("GET", "/v1/audit?account=alice")
    for secret in (operator.token, alice.token, *codes, *(code.replace("-", "") for code in codes)):
        same(secret in body.decode(), False, "a secret in the audit log")
    lines = [(line["who"], line["operation"], line["outcome"] == "done") for line in json.loads(body)]
    same(lines, [
        ("token operator", "create-account", True), ("token operator", "top-up", True),
        ("token operator", "set-service-account", True), ("token alice", "recharge", True),
        ("token alice", "redeem-voucher", True), ("token alice", "redeem-voucher", False),
        ("token alice", "set-profile", True), ("token alice", "set-service-rules", True),
        ("token alice", "set-service-rules", False), ("token alice", "set-service-rules", False),
        ("token alice", "close-service-account", True),
    ], "audit")


def reloaded(url, authority, old, new):
    same(Client(url, authority, new).status("GET", "/v1/health"), 200, "the new token")
    same(Client(url, authority, old).status("GET", "/v1/health"), 401, "the old token")


def limited(url, authority):
    client = Client(url, authority)
    for _ in range(200):
        status, headers, _ = client.ask("GET", "/v1/openapi.json")
        if status == 429:
            same(headers["Retry-After"].isdigit(), True, "Retry-After")
            return
    sys.exit("200 requests in a row")


def certificates(url, authority, *pairs):
    known, stranger, foreign = (pairs[at:at + 2] for at in (0, 2, 4))
    for certificate in (None, foreign):
        try:
            status = Client(url, authority, certificate=certificate).status("GET", "/v1/openapi.json")
        except OSError:
            continue
        sys.exit(f"{certificate} is let in: {status}")
    same(Client(url, authority, certificate=stranger).status("GET", "/v1/health"), 401, "a name without a role")
    client = Client(url, authority, certificate=known)
    fields = {"name": "carol", "payment": "prepaid", "currency": "EUR", "credit_limit_micro": 0, "identities": []}
    same(client.operate("create-account", **fields)[0], 200, "create")
    _, _, body = client.ask("GET", "/v1/audit")
    same([line["who"] for line in json.loads(body)], ["certificate dns:portal.example"], "audit")


{"tokens": tokens, "reloaded": reloaded, "limited": limited, "certificates": certificates}[sys.argv[1]](*sys.argv[2:])
