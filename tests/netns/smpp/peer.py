"""An SMPP peer that a test drives: smpplib as ESME, and as the other side of a daemon's own bind.

Commands come as JSON lines on standard input; everything sent and seen goes out as JSON lines:

    {"do": "bind", "host": ..., "port": ..., "mode": "transceiver", "system_id": ..., "password": ...}
    {"do": "listen", "host": ..., "port": ...}      accepts binds, as an SMSC
    {"do": "send", "link": 1, "command": "submit_sm", "fields": {...}, "tlvs": [["1401", "00ff"]]}
    {"do": "long", "link": 1, "text": ..., "fields": {...}}   smpplib splits it, with UDH
    {"do": "raw", "link": 1, "hex": ...}            octets as they are
    {"do": "answer", "command": "deliver_sm", "status": 0}    how requests are answered from now on;
                                                    null: not at all; a list: one after the other
    {"do": "respond", "link": 1, "command": "deliver_sm_resp", "sequence": 7, "status": 0}
    {"do": "pause", "link": 1} and {"do": "resume", "link": 1}   stops and goes on reading
    {"do": "close", "link": 1}                      without unbind
    {"do": "unbind", "link": 1}
"""

import json
import os
import select
import socket
import ssl
import sys

import pdus
from smpplib import client as smpplib_client
from smpplib import consts, exceptions, gsm

REQUESTS_ANSWERED = (
    "bind_transmitter", "bind_receiver", "bind_transceiver", "submit_sm", "deliver_sm", "data_sm",
    "submit_multi", "enquire_link", "unbind", "query_sm", "cancel_sm", "replace_sm",
)


def tell(**event):
    """One line of output."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


class Link(smpplib_client.Client):
    """smpplib's client, which keeps the octets of what it reads."""

    def __init__(self, number, *arguments, **options):
        super().__init__(*arguments, allow_unknown_opt_params=True, **options)
        self.number = number
        self.raw = b""
        self.paused = False

    def _recv_exact(self, exact_size):
        octets = super()._recv_exact(exact_size)
        self.raw += octets
        return octets

    def fileno(self):
        return self._socket.fileno()

    def waiting(self):
        """Octets that TLS has decrypted already."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0

    def adopt(self, connection):
        """Takes a connection that the other side opened."""
        self._socket = connection
        self.state = consts.SMPP_CLIENT_STATE_OPEN

    def write(self, octets):
        self._socket.sendall(octets)

    def read_frame(self):
        """One whole PDU, as octets."""
        self.raw = b""
        length = int.from_bytes(self._recv_exact(4), "big")
        self._recv_exact(length - 4)
        return self.raw


class Peer:
    """All links of this process, and how they answer."""

    def __init__(self):
        self.links = {}
        self.listener = None
        self.next_number = 1
        self.next_message_id = 1
        self.answers = {}
        self.orders = b""

    def number(self):
        self.next_number += 1
        return self.next_number - 1

    def run(self):
        while True:
            readable = [0] + [link for link in self.links.values() if not link.paused]
            if self.listener:
                readable.append(self.listener)
            waiting = [link for link in readable if isinstance(link, Link) and link.waiting()]
            ready = waiting or select.select(readable, [], [])[0]
            for source in ready:
                if source == 0:
                    octets = os.read(0, 1 << 16)
                    if not octets:
                        return
                    *lines, self.orders = (self.orders + octets).split(b"\n")
                    for line in lines:
                        self.obey(json.loads(line))
                elif source is self.listener:
                    self.accept()
                elif source.number in self.links:
                    self.read(source)

    def obey(self, order):
        do = order["do"]
        if do == "bind":
            self.bind(order)
        elif do == "listen":
            self.listener = socket.create_server((order["host"], order["port"]))
            tell(event="listening")
        elif do == "answer":
            self.answers[order["command"]] = order["status"]
            tell(event="obeyed")
        elif order["link"] not in self.links:
            tell(event="no such link", link=order["link"])
        else:
            link = self.links[order["link"]]
            try:
                self.use(link, do, order)
            except OSError as error:
                self.closed(link, str(error))

    def use(self, link, do, order):
        if do == "send":
            self.send(link, order["command"], order.get("fields", {}), order.get("tlvs", []),
                      order.get("status", 0))
        elif do == "long":
            parts, coding, esm_class = gsm.make_parts(order["text"])
            for part in parts:
                fields = dict(order["fields"], data_coding=coding, esm_class=esm_class,
                              short_message=part.hex())
                self.send(link, "submit_sm", fields, order.get("tlvs", []), 0)
            tell(event="parts", link=link.number, count=len(parts))
        elif do == "raw":
            link.write(bytes.fromhex(order["hex"]))
            tell(event="obeyed")
        elif do == "respond":
            self.respond(link, order["command"], order["sequence"], order["status"],
                         order.get("fields", {}), order.get("tlvs", []))
            tell(event="obeyed")
        elif do in ("pause", "resume"):
            link.paused = do == "pause"
            tell(event="obeyed")
        elif do == "close":
            self.closed(link, "by order")
        elif do == "unbind":
            self.send(link, "unbind", {}, [], 0)
        else:
            tell(event="not understood", order=order)

    def bind(self, order):
        context = None
        if "authority" in order:
            context = ssl.create_default_context(cafile=order["authority"])
            context.check_hostname = False
            if "certificate" in order:
                context.load_cert_chain(order["certificate"], order["key"])
        link = Link(self.number(), order["host"], order["port"], timeout=20, ssl_context=context)
        try:
            link.connect()
        except (exceptions.ConnectionError, OSError) as error:
            tell(event="closed", link=link.number, why=str(error))
            return
        self.links[link.number] = link
        if "mode" not in order:
            tell(event="connected", link=link.number)
            return
        fields = {name: order[name] for name in
                  ("system_id", "password", "system_type", "addr_ton", "addr_npi", "address_range",
                   "interface_version") if name in order}
        pdu = pdus.make("bind_" + order["mode"], link, fields)
        link.send_pdu(pdu)
        tell(event="sent", link=link.number, command=pdu.command, sequence=pdu.sequence,
             hex=pdu.generate().hex())

    def accept(self):
        connection, _ = self.listener.accept()
        connection.settimeout(20)
        link = Link(self.number(), "", 0)
        link.adopt(connection)
        self.links[link.number] = link
        tell(event="accepted", link=link.number)

    def send(self, link, command, fields, tlvs, status):
        pdu = pdus.make(command, link, fields)
        pdu.status = status
        octets = pdus.octets(pdu, tlvs)
        # Not send_pdu: its table forbids some of what SMPP 3.4 table 2-1 allows, and tests also send
        # what is forbidden.
        link.write(octets)
        tell(event="sent", link=link.number, command=command, sequence=pdu.sequence,
             hex=octets.hex())

    def respond(self, link, command, sequence, status, fields, tlvs):
        pdu = pdus.make(command, link, fields)
        pdu.sequence = sequence
        pdu.status = status
        link.write(pdus.octets(pdu, tlvs))

    def read(self, link):
        try:
            raw = link.read_frame()
        except (exceptions.ConnectionError, OSError) as error:
            self.closed(link, str(error))
            return
        shown, pdu = pdus.describe(raw, link)
        tell(event="pdu", link=link.number, **shown)
        if pdu is None or pdu.is_response() or pdu.command not in REQUESTS_ANSWERED:
            return
        status = self.answers.get(pdu.command, 0)
        if isinstance(status, list):
            status = status.pop(0) if status else 0
        if status is None:
            return
        fields = {}
        if status == 0 and pdu.command in ("submit_sm", "data_sm", "submit_multi"):
            fields["message_id"] = f"upstream-{self.next_message_id}"
            self.next_message_id += 1
        elif status == 0 and pdu.command.startswith("bind"):
            fields["system_id"] = "peer"
        try:
            self.respond(link, pdu.command + "_resp", pdu.sequence, status, fields, [])
        except OSError as error:
            self.closed(link, str(error))

    def closed(self, link, why):
        link.state = consts.SMPP_CLIENT_STATE_OPEN
        link.disconnect()
        self.links.pop(link.number, None)
        tell(event="closed", link=link.number, why=why)


if __name__ == "__main__":
    Peer().run()
