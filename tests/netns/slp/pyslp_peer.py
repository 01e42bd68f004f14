"""pyslp 0.1.7 as a peer: its client's messages to an agent, and its server on the network.

pyslp was written for Python before 3.11, where asyncio.coroutine was a name for types.coroutine.

    pyslp_peer.py client ADDRESS   registers, finds, asks for attributes and deregisters by unicast; prints what it read
    pyslp_peer.py server ADDRESS   serves what is registered with it by multicast, until killed; prints "ready"
"""

import asyncio
import socket
import sys
import types

if not hasattr(asyncio, "coroutine"):
    asyncio.coroutine = types.coroutine

from pyslp import creator, parse, slpd  # noqa: E402


def client(address):
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.settimeout(5)

    def ask(message):
        for _ in range(4):
            link.sendto(message, (address, 427))
            try:
                return link.recv(65535)
            except TimeoutError:
                pass
        raise SystemExit("no answer")

    url = "service:pyslp:tcp://python.example:99/x"
    # Its clients set FRESH and REQUEST MCAST, for they know no other way: here it is unicast.
    register = bytearray(creator.create_registration("service:pyslp:tcp", "DEFAULT", "(a=1,2),(b=Two Words)", 600, url))
    register[5] = 0x40
    header, error = parse.parse_acknowledge(ask(bytes(register)))
    print("registered", header["function_id"], error)

    def unicast(message):
        message = bytearray(message)
        message[5] = 0
        return bytes(message)

    request = creator.create_request(service_type="service:pyslp", scope_list="DEFAULT")
    _, error, entries = parse.parse_reply(ask(unicast(request)))
    print("found", error, [(entry["url"], entry["lifetime"] > 590) for entry in entries])
    request = creator.create_attr_request(url=url, scope_list="DEFAULT")
    _, error, attributes = parse.parse_attr_reply(ask(unicast(request)))
    print("attributes", error, attributes)
    request = creator.create_deregistration(url=url, scope_list="DEFAULT")
    _, error = parse.parse_acknowledge(ask(unicast(request)))
    print("deregistered", error)
    request = creator.create_request(service_type="service:pyslp", scope_list="DEFAULT")
    _, error, entries = parse.parse_reply(ask(unicast(request)))
    print("found", error, entries)


async def server(address):
    loop = asyncio.get_running_loop()
    agent = slpd.SLPDServer(scope="DEFAULT")
    task = loop.create_task(keep(agent, address))
    while not agent.url_entries:
        await asyncio.sleep(0.01)
    url = "service:pyslp:tcp://%s:99" % address
    agent.services[address]["service:pyslp:tcp"] = {url}
    agent.lifetime[address][url] = 65535
    agent.url_entries[address][url] = {
        "attr_list": "(from=python)",
        "local_ts": "2026-01-01 00:00:00.0",
        "lifetime": 65535,
        "service_type": "service:pyslp:tcp",
    }
    print("ready", flush=True)
    await task


@types.coroutine
def keep(agent, address):
    yield from agent.update([address], 427, "239.255.255.253")


if __name__ == "__main__":
    if sys.argv[1] == "client":
        client(sys.argv[2])
    else:
        asyncio.run(server(sys.argv[2]))
