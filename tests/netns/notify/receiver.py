"""Who is told: a webhook (Python's own HTTP server and hmac) or a mail server (aiosmtpd), driven by a test.

    receiver.py webhook HOST PORT SECRET [CERTIFICATE KEY]      https with a certificate
    receiver.py mail HOST PORT [CERTIFICATE KEY USER PASSWORD]  STARTTLS and AUTH with a certificate

Everything received goes out as a JSON line. A JSON line on standard input, {"answer": 503}, changes what is answered
from now on: a status, or null for silence.
"""

import hashlib
import hmac
import http.server
import json
import ssl
import sys
import threading
import time

answer = {"webhook": 204, "mail": 250}


def tell(**event):
    """One line of output."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def tls(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def signed(header, secret, body):
    """Whether docs/webhooks.md's check succeeds."""
    parts = [part.split("=", 1) for part in header.split(",")]
    times = [value for name, value in parts if name == "t"]
    signatures = [value for name, value in parts if name == "v1"]
    if len(times) != 1 or abs(time.time() - int(times[0])) > 300:
        return False
    expected = hmac.new(secret.encode(), times[0].encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(hmac.compare_digest(expected, signature) for signature in signatures)


def webhook(host, port, secret, *certificate):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            tell(
                event="call",
                path=self.path,
                host=self.headers["Host"],
                type=self.headers["Content-Type"],
                key=self.headers["Idempotency-Key"],
                signed=signed(self.headers["Tollwire-Signature"], secret, body),
                forged=signed(self.headers["Tollwire-Signature"], secret, body + b" "),
                body=json.loads(body),
                answer=answer["webhook"],
            )
            if answer["webhook"] is None:
                threading.Event().wait()
            self.send_response(answer["webhook"])
            if 300 <= answer["webhook"] < 400:
                self.send_header("Location", f"http://{host}:{port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer((host, int(port)), Handler)
    if certificate:
        server.socket = tls(*certificate).wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def mail(host, port, certificate=None, key=None, user=None, password=None):
    from email import message_from_bytes
    from email.policy import default

    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            message = message_from_bytes(envelope.content, policy=default)
            tell(
                event="mail",
                sender=envelope.mail_from,
                to=envelope.rcpt_tos,
                tls=session.ssl is not None,
                user=getattr(session, "auth_data", None) and session.auth_data.login.decode(),
                subject=message["Subject"],
                header_to=message["To"],
                header_from=message["From"],
                message_id=message["Message-ID"],
                auto_submitted=message["Auto-Submitted"],
                text=message.get_content(),
                answer=answer["mail"],
            )
            return f"{answer['mail']} as told"

    def authenticate(server, session, envelope, mechanism, data):
        success = data.login == user.encode() and data.password == password.encode()
        return AuthResult(success=success, auth_data=data)

    options = {}
    if certificate:
        options = {
            "tls_context": tls(certificate, key),
            "require_starttls": True,
            "auth_required": True,
            "authenticator": authenticate,
        }
    Controller(Handler(), hostname=host, port=int(port), **options).start()


if __name__ == "__main__":
    {"webhook": webhook, "mail": mail}[sys.argv[1]](*sys.argv[2:])
    tell(event="ready")
    for line in sys.stdin:
        answer[sys.argv[1]] = json.loads(line)["answer"]
        tell(event="obeyed")
