"""What smpplib 2.2.4 lacks: the PDUs of SMPP 3.4 that it has no class for, and TLVs it cannot name."""

import struct

from smpplib import command, command_codes
from smpplib.command import Command, Param
from smpplib.ptypes import ostr


class Outbind(Command):
    """SMPP 3.4 section 4.1.7.1."""

    params = {
        "system_id": Param(type=str, max=16),
        "password": Param(type=str, max=9),
    }
    params_order = ("system_id", "password")


class CancelSM(Command):
    """SMPP 3.4 section 4.9.1."""

    params = {
        "service_type": Param(type=str, max=6),
        "message_id": Param(type=str, max=65),
        "source_addr_ton": Param(type=int, size=1),
        "source_addr_npi": Param(type=int, size=1),
        "source_addr": Param(type=str, max=21),
        "dest_addr_ton": Param(type=int, size=1),
        "dest_addr_npi": Param(type=int, size=1),
        "destination_addr": Param(type=str, max=21),
    }
    params_order = (
        "service_type", "message_id", "source_addr_ton", "source_addr_npi", "source_addr",
        "dest_addr_ton", "dest_addr_npi", "destination_addr",
    )


class ReplaceSM(Command):
    """SMPP 3.4 section 4.10.1."""

    params = {
        "message_id": Param(type=str, max=65),
        "source_addr_ton": Param(type=int, size=1),
        "source_addr_npi": Param(type=int, size=1),
        "source_addr": Param(type=str, max=21),
        "schedule_delivery_time": Param(type=str, max=17),
        "validity_period": Param(type=str, max=17),
        "registered_delivery": Param(type=int, size=1),
        "sm_default_msg_id": Param(type=int, size=1),
        "sm_length": Param(type=int, size=1),
        "short_message": Param(type=ostr, max=254, len_field="sm_length"),
    }
    params_order = (
        "message_id", "source_addr_ton", "source_addr_npi", "source_addr",
        "schedule_delivery_time", "validity_period", "registered_delivery",
        "sm_default_msg_id", "sm_length", "short_message",
    )

    def prep(self):
        self.sm_length = len(self.short_message or b"")


class Bodiless(Command):
    """The responses whose body is empty."""

    params = {}
    params_order = ()


class SubmitMulti(command.SubmitSM):
    """SMPP 3.4 section 4.5.1: `destinations` is a list of (ton, npi, address), or of a name of a
    distribution list."""

    destinations = ()

    def generate_params(self):
        body = super().generate_params()
        # The single destination of submit_sm stands where dest_address(es) belong.
        head = (
            (self.service_type or "").encode() + b"\0"
            + bytes([self.source_addr_ton or 0, self.source_addr_npi or 0])
            + (self.source_addr or "").encode() + b"\0"
        )
        single = bytes([self.dest_addr_ton or 0, self.dest_addr_npi or 0])
        single += (self.destination_addr or "").encode() + b"\0"
        assert body.startswith(head + single)
        several = bytes([len(self.destinations)])
        for destination in self.destinations:
            if isinstance(destination, str):
                several += b"\x02" + destination.encode() + b"\0"
            else:
                ton, npi, address = destination
                several += bytes([1, ton, npi]) + address.encode() + b"\0"
        return head + several + body[len(head + single):]


class SubmitMultiResp(Command):
    """SMPP 3.4 section 4.5.2."""

    params = {"message_id": Param(type=str, max=65), "no_unsuccess": Param(type=int, size=1)}
    params_order = ("message_id", "no_unsuccess")
    unsuccess_sme = ()

    def parse_params(self, data):
        """Reads the list of failed destinations, which has no fixed shape."""
        data, position = self._parse_string("message_id", data, 0)
        data, position = self._parse_int("no_unsuccess", data, position)
        failed = []
        for _ in range(self.no_unsuccess):
            ton, npi = data[position], data[position + 1]
            end = data.index(b"\0", position + 2)
            address = data[position + 2:end].decode("latin-1")
            status = struct.unpack(">L", data[end + 1:end + 5])[0]
            failed.append([ton, npi, address, status])
            position = end + 5
        self.unsuccess_sme = failed


OURS = {
    "outbind": Outbind,
    "cancel_sm": CancelSM,
    "cancel_sm_resp": Bodiless,
    "replace_sm": ReplaceSM,
    "replace_sm_resp": Bodiless,
    "submit_multi": SubmitMulti,
    "submit_multi_resp": SubmitMultiResp,
}


def make(name, client, fields):
    """The PDU of this name, with these fields; numbers, text, and octets as hexadecimal."""
    if name in OURS:
        pdu = OURS[name](name, client=client, allow_unknown_opt_params=True)
    else:
        pdu = command.factory(name, client=client, allow_unknown_opt_params=True)
    for field in pdu.params:
        if not hasattr(pdu, field):
            setattr(pdu, field, None)
    for field, value in fields.items():
        param = pdu.params.get(field)
        if param is not None and param.type is ostr:
            value = bytes.fromhex(value)
        setattr(pdu, field, value)
    return pdu


def octets(pdu, tlvs):
    """The PDU with `tlvs`, a list of (tag, value) in hexadecimal, after what smpplib writes."""
    raw = pdu.generate()
    for tag, value in tlvs:
        value = bytes.fromhex(value)
        raw += struct.pack(">HH", int(tag, 16), len(value)) + value
    return struct.pack(">L", len(raw)) + raw[4:]


def describe(raw, client):
    """A received PDU as JSON shows it. The TLVs are read here, byte for byte and in order."""
    length, command_id, status, sequence = struct.unpack(">LLLL", raw[:16])
    shown = {"status": status, "sequence": sequence, "hex": raw.hex()}
    try:
        shown["command"] = command_codes.get_command_name(command_id)
    except Exception:  # smpplib does not know it; the octets tell
        shown["command"] = f"{command_id:08x}"
        return shown, None
    pdu = make(shown["command"], client, {})
    pdu.parse(raw)
    fields = {}
    mandatory = 16
    for field in pdu.params_order:
        value = getattr(pdu, field, None)
        if value is None:
            continue
        if pdu.params[field].type is ostr:
            fields[field] = value.hex()
        elif isinstance(value, bytes):
            fields[field] = value.decode("latin-1")
        else:
            fields[field] = value
    if hasattr(pdu, "unsuccess_sme"):
        fields["unsuccess_sme"] = pdu.unsuccess_sme
    elif length > 16:
        mandatory = end_of_mandatory(pdu, raw)
        shown["tlvs"] = list(tlvs_of(raw[mandatory:]))
    shown["fields"] = fields
    return shown, pdu


def end_of_mandatory(pdu, raw):
    """Where the TLVs begin, walked field by field without smpplib."""
    position = 16
    length = 0
    for field in pdu.params_order:
        param = pdu.params[field]
        if position >= len(raw) or pdu.field_is_optional(field):
            break
        if param.type is int:
            if field == "sm_length":
                length = raw[position]
            position += param.size
        elif param.type is str:
            position = raw.index(b"\0", position) + 1
        else:
            position += length
    return position


def tlvs_of(octets_left):
    """(tag, value) pairs in hexadecimal."""
    position = 0
    while position < len(octets_left):
        tag, length = struct.unpack(">HH", octets_left[position:position + 4])
        value = octets_left[position + 4:position + 4 + length]
        assert len(value) == length, "a TLV runs past the end of its PDU"
        yield [f"{tag:04x}", value.hex()]
        position += 4 + length
