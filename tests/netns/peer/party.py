"""What every party has to know of docs/peer.md, by jwcrypto and cryptography: nothing here is of Tollwire."""

import datetime
import hashlib
import http.server
import json
import re
import secrets
import ssl
import threading
import urllib.error
import urllib.request
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from jwcrypto import jwe, jwk, jws

LARGEST = 16384
IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{22,64}\Z")
NONCE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\.[A-Za-z0-9_-]{22,43}\Z")
PRIME = 2**255 - 19


class Refused(Exception):
    """A message that is not taken, and the word for it."""

    def __init__(self, status, word, detail=""):
        super().__init__(f"{status} {word} {detail}")
        self.status, self.word, self.detail = status, word, detail


def plain(text):
    """A part of a token: base64url without padding (RFC 7515 2)."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def written(octets):
    return urlsafe_b64encode(octets).decode().rstrip("=")


def identifier():
    return secrets.token_urlsafe(16)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def nonce(at=None):
    return (at or now()).strftime("%Y-%m-%dT%H:%M:%SZ") + "." + secrets.token_urlsafe(16)


def members(value, required, optional=()):
    """An object with just these members, each of its type."""
    if not isinstance(value, dict):
        raise Refused(400, "malformed", f"{value!r} is no object")
    known = {**required, **dict(optional)}
    for name, kind in known.items():
        if name not in value:
            if name in required:
                raise Refused(400, "malformed", f"no {name}")
        elif not kind(value[name]):
            raise Refused(400, "malformed", f"{name} is {value[name]!r}")
    if set(value) - set(known):
        raise Refused(400, "malformed", f"unknown: {set(value) - set(known)}")
    return value


def a_string(value):
    return isinstance(value, str) and len(value.encode()) <= 512


def an_integer(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def an_identifier(value):
    return isinstance(value, str) and bool(IDENTIFIER.match(value))


def a_nonce(value):
    return isinstance(value, str) and bool(NONCE.match(value))


def a_jwe(value):
    return isinstance(value, str) and value.count(".") == 4


def measures(value):
    return isinstance(value, list) and all(it in ("time", "octets", "requests") for it in value)


def data(value):
    members(value, {}, {"time_ms": an_integer, "octets": an_integer, "requests": an_integer})
    return True


class Nonces:
    """Takes each nonce once, and only one of now."""

    def __init__(self, skew=60):
        self.skew, self.seen = skew, set()

    def take(self, value):
        made = datetime.datetime.strptime(NONCE.match(value)[1], "%Y-%m-%dT%H:%M:%SZ")
        if abs((now() - made.replace(tzinfo=datetime.timezone.utc)).total_seconds()) > self.skew:
            raise Refused(403, "skew", value)
        if value in self.seen:
            raise Refused(409, "replayed", value)
        self.seen.add(value)


def no_duplicates(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise Refused(400, "malformed", "a member is there twice")
    return dict(pairs)


class Certified:
    """Whose a chain is, once it has led to a root."""

    def __init__(self, leaf):
        self.leaf = leaf
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        self.name = (uris or names.get_values_for_type(x509.DNSName))[0]
        self.key = leaf.public_key()
        if isinstance(self.key, ec.EllipticCurvePublicKey):
            assert isinstance(self.key.curve, ec.SECP256R1)
            self.algorithm = "ES256"
        else:
            assert isinstance(self.key, ed25519.Ed25519PublicKey)
            self.algorithm = "EdDSA"

    def jwk(self):
        return jwk.JWK.from_pyca(self.key)


class Trust:
    """Roots and lists. RFC 5280 as far as parties need it, step by step."""

    def __init__(self, roots, lists):
        self.roots = x509.load_pem_x509_certificates(Path(roots).read_bytes())
        self.lists = [x509.load_pem_x509_crl(Path(path).read_bytes()) for path in lists]

    def check(self, x5c):
        if not isinstance(x5c, list) or not 1 <= len(x5c) <= 4:
            raise Refused(403, "certificate", "no chain")
        chain = [x509.load_der_x509_certificate(b64decode(text, validate=True)) for text in x5c]
        at = now()
        for place, certificate in enumerate(chain):
            if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
                raise Refused(403, "certificate", "not valid now")
            usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
            if certificate in self.roots:
                break
            above = chain[place + 1 : place + 2] or [
                root for root in self.roots if root.subject == certificate.issuer
            ]
            if not above:
                raise Refused(403, "certificate", "it leads to no root")
            issuer = above[0]
            constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
            if not constraints.ca:
                raise Refused(403, "certificate", "the issuer is no authority")
            certificate.verify_directly_issued_by(issuer)
            self.not_revoked(certificate, issuer, at)
            if place == 0 and not usage.digital_signature:
                raise Refused(403, "certificate", "not for signatures")
            if issuer in self.roots:
                break
        else:
            raise Refused(403, "certificate", "it leads to no root")
        return Certified(chain[0])

    def not_revoked(self, certificate, issuer, at):
        if not self.lists:
            return
        lists = [known for known in self.lists if known.issuer == issuer.subject]
        good = [
            known
            for known in lists
            if known.is_signature_valid(issuer.public_key()) and at <= known.next_update_utc
        ]
        if not good:
            raise Refused(403, "certificate", "no list of now")
        if any(known.get_revoked_certificate_by_serial_number(certificate.serial_number) for known in good):
            raise Refused(403, "revoked")


class Party:
    """A certificate with its key, and whom it trusts."""

    def __init__(self, certificate, key, roots, *lists):
        self.chain = x509.load_pem_x509_certificates(Path(certificate).read_bytes())
        self.secret = serialization.load_pem_private_key(Path(key).read_bytes(), None)
        self.own = Certified(self.chain[0])
        self.trust = Trust(roots, lists)
        self.nonces = Nonces()

    def sign(self, typ, claims):
        """A compact JWS with the chain in its header."""
        header = {
            "alg": self.own.algorithm,
            "typ": typ,
            "x5c": [
                b64encode(it.public_bytes(serialization.Encoding.DER)).decode() for it in self.chain
            ],
        }
        token = jws.JWS(json.dumps(claims).encode())
        token.add_signature(jwk.JWK.from_pyca(self.secret), None, json.dumps(header), None)
        return token.serialize(compact=True)

    def check(self, token, typ, required, optional=(), name=None):
        """Claims of a message, and whose it is."""
        if len(token) > LARGEST or token.count(".") != 2:
            raise Refused(400, "malformed", "no token")
        header = json.loads(plain(token.split(".")[0]), object_pairs_hook=no_duplicates)
        if set(header) & {"crit", "jwk", "jku", "x5u", "b64"} or header.get("typ") != typ:
            raise Refused(403, "signature", str(header)[:80])
        certified = self.trust.check(header.get("x5c"))
        if header.get("alg") != certified.algorithm:
            raise Refused(403, "signature", header.get("alg"))
        message = jws.JWS()
        message.allowed_algs = [certified.algorithm]
        message.deserialize(token)
        try:
            message.verify(certified.jwk())
        except jws.InvalidJWSSignature as error:
            raise Refused(403, "signature") from error
        if name is not None and certified.name != name:
            raise Refused(403, "certificate", f"{certified.name} is not {name}")
        claims = json.loads(message.payload, object_pairs_hook=no_duplicates)
        return members(claims, required, optional), certified

    def decrypt(self, token):
        """What was encrypted to the own certificate."""
        header = json.loads(plain(token.split(".")[0]))
        assert header["alg"] == "ECDH-ES" and header["enc"] == "A256GCM", header
        assert not set(header) & {"crit", "zip", "apu", "apv"}, header
        if isinstance(self.secret, ed25519.Ed25519PrivateKey):
            # RFC 8032 5.1.5: the scalar is the first half of the seed's SHA-512.
            scalar = bytearray(hashlib.sha512(self.secret.private_bytes_raw()).digest()[:32])
            scalar[0] &= 248
            scalar[31] = scalar[31] & 127 | 64
            public = montgomery(self.secret.public_key().public_bytes_raw())
            key = jwk.JWK(kty="OKP", crv="X25519", x=written(public), d=written(bytes(scalar)))
        else:
            key = jwk.JWK.from_pyca(self.secret)
        message = jwe.JWE(algs=["ECDH-ES", "A256GCM"])
        message.deserialize(token, key)
        assert len(message.payload) == 32, "32 octets"
        return message.payload


def montgomery(point):
    """The X25519 form of an Ed25519 key (RFC 7748 4.1)."""
    y = int.from_bytes(point, "little") & (2**255 - 1)
    return ((1 + y) * pow(1 - y, -1, PRIME) % PRIME).to_bytes(32, "little")


def encrypt(certified, octets):
    """To whom a certificate is of."""
    if certified.algorithm == "EdDSA":
        key = jwk.JWK(kty="OKP", crv="X25519", x=written(montgomery(certified.key.public_bytes_raw())))
    else:
        key = certified.jwk()
    header = json.dumps({"alg": "ECDH-ES", "enc": "A256GCM"})
    message = jwe.JWE(octets, header, algs=["ECDH-ES", "A256GCM"], recipient=key)
    return message.serialize(compact=True)


def sign_request(key, session, method, target, with_nonce=None):
    """A ServiceRequest (d1-d3)."""
    claims = {
        "accounting_session_id": session,
        "request": {"method": method, "target": target, "nonce": with_nonce or nonce()},
    }
    token = jws.JWS(json.dumps(claims).encode())
    header = {"alg": "HS256", "typ": "service-request+jwt", "kid": session}
    token.add_signature(jwk.JWK(kty="oct", k=written(key)), None, json.dumps(header), None)
    return token.serialize(compact=True)


def check_request(token, sessions):
    """Claims of a ServiceRequest, checked by the key of the session that it names."""
    header = json.loads(plain(token.split(".")[0]), object_pairs_hook=no_duplicates)
    if header.get("alg") != "HS256" or header.get("typ") != "service-request+jwt":
        raise Refused(403, "signature")
    if header.get("kid") not in sessions:
        raise Refused(404, "unknown-session")
    message = jws.JWS()
    message.allowed_algs = ["HS256"]
    message.deserialize(token)
    try:
        message.verify(jwk.JWK(kty="oct", k=written(sessions[header["kid"]])))
    except jws.InvalidJWSSignature as error:
        raise Refused(403, "signature") from error
    claims = members(
        json.loads(message.payload, object_pairs_hook=no_duplicates),
        {"accounting_session_id": an_identifier, "request": dict.__instancecheck__},
    )
    members(claims["request"], {"method": a_string, "target": a_string, "nonce": a_nonce})
    if claims["accounting_session_id"] != header["kid"]:
        raise Refused(403, "signature")
    return claims


class Stay(urllib.request.HTTPRedirectHandler):
    """Nobody here redirects."""

    def redirect_request(self, *_):
        return None


class Client:
    """HTTPS with whom `trust` vouches for."""

    def __init__(self, trust):
        context = ssl.create_default_context(cafile=trust)
        self.opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), Stay)

    def ask(self, method, url, body=None, **headers):
        """Status and text of an answer."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            headers["Content-Type"] = "application/jose"
        octets = body.encode() if body is not None else None
        request = urllib.request.Request(url, octets, headers, method=method)
        try:
            answer = self.opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.read().decode()


def word(answer):
    """What a refusal says: status and word."""
    status, text = answer
    value = members(json.loads(text), {"error": a_string}, {"detail": a_string})
    return f"{status} {value['error']}"


def serve(address, certificate, key, handle):
    """HTTPS on port 443. `handle(method, path, headers, body, peer)` gives status, content type and text, or raises Refused."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            try:
                status, kind, text = handle(
                    self.command, self.path, self.headers, body, self.client_address[0]
                )
            except Refused as refused:
                status, kind = refused.status, "application/json"
                text = json.dumps({"error": refused.word, "detail": refused.detail})
            self.send_response(status)
            octets = text.encode()
            if kind:
                self.send_header("Content-Type", kind)
            if status != 204:
                self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

    server = Server((address, 443), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def say(*words):
    print(*words, flush=True)
