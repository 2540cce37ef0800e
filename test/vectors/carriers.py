#!/usr/bin/env python3
# carriers.py - writes carriers.json, the shared vectors of the carriers: whole IP packets, and the order of targets after
# failures.
#
# It owes nothing to the code that the vectors test: every byte is packed here from docs/protocol.md, checksums are summed
# by RFC 1071, and make.py has OpenSSL compute the tags. Run it by hand when the protocol changes, and read the difference
# before committing it.
import hashlib, ipaddress, json, os, struct

from make import FLOW4, FLOW6, KEY, N, TYPES, flow_block, pack, siphash

COOKIE = bytes.fromhex("ff53484e")
CLIENT4, SERVICE4, GATEWAY4, BACKEND4 = "198.51.100.7", "203.0.113.53", "10.0.0.1", "10.0.2.11"
CLIENT6, SERVICE6, GATEWAY6, BACKEND6 = "2001:db8:7::7", "2001:db8:53::53", "2001:db8::1", "2001:db8:2::11"
UDP, TCP, ICMP, ICMPV6 = 17, 6, 1, 58


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return ipaddress.ip_address(address).packed


def mapped(address):
    return packed(address) if ":" in address else bytes(10) + b"\xff\xff" + packed(address)


def pseudo(source, destination, length, protocol):
    return packed(source) + packed(destination) + struct.pack(">II", length, protocol)


def ip(source, destination, protocol, payload, fragment=0x4000, id=0, extensions=b""):
    """IPv6 extension headers are given with the protocol of the first of them."""
    if ":" in source:
        body = extensions + payload
        return struct.pack(">IHBB", 6 << 28, len(body), protocol, 64) + packed(source) + packed(destination) + body
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), id, fragment, 64, protocol, 0) + packed(source) + packed(destination)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def udp(source, destination, ports, payload, surplus=b"", zero=False):
    """The checksum ends where UDP does. The surplus area's own sum makes it right for who sums to the packet's end, too."""
    head = struct.pack(">HHHH", *ports, 8 + len(payload), 0)
    sum = checksum(pseudo(source, destination, 8 + len(payload), UDP) + head + payload) or 0xFFFF
    return head[:6] + struct.pack(">H", 0 if zero else sum) + payload + surplus


def tcp(source, destination, ports, sequence, acknowledgment, flags, options=b"", payload=b"", window=0):
    offset = (20 + len(options)) // 4 << 4
    head = struct.pack(">HHIIBBHHH", *ports, sequence, acknowledgment, offset, flags, window, 0, 0)
    sum = checksum(pseudo(source, destination, len(head + options + payload), TCP) + head + options + payload)
    return head[:16] + struct.pack(">H", sum) + head[18:] + options + payload


def icmp(type, code, rest, quoted, family=4, ends=None):
    body = struct.pack(">BBHI", type, code, 0, rest) + quoted
    extra = pseudo(*ends, len(body), ICMPV6) if family == 6 else b""
    return body[:2] + struct.pack(">H", checksum(extra + body)) + body[4:]


def header(flow=None, **fields):
    body = pack(**fields)
    if flow is None:
        return body + bytes(8)
    signed, block = bytearray(body), flow
    if fields.get("type", 2) in (3, 4, 5):
        signed[0], signed[1], block = 0x13, signed[1] & ~0x0C, dict(flow, sourcePort=0)
    return body + siphash(KEY, bytes(signed) + bytes(8) + flow_block(block))


def control(head, flow, size=0, packet=b"", pad=0):
    about = struct.pack(">BBH", flow["protocol"], 0, flow["destinationPort"]) + mapped(flow["destination"])
    data = COOKIE + head + about + packet
    return data + bytes([pad]) * max(0, size - len(data))


def surplus(head, odd, size=0, before=b"", wrong=0, first=0):
    option = before + struct.pack(">BBH", 127, 4 + len(head), 0x5352) + head
    start = 1 if odd else 0
    area = bytes(2) + option
    area += bytes(max(0, size - start - len(area)))
    ocs = checksum(area + bytes(len(area) % 2) + struct.pack(">H", start + len(area))) or 0xFFFF
    return bytes([first] * start) + struct.pack(">H", ocs ^ wrong) + area[2:]


def geneve(head, inner, version=0, flags=0x40, protocol=None, cls=0xFF17, type=0x81, options=b""):
    kind = protocol or (0x86DD if inner[0] >> 4 == 6 else 0x0800)
    words = 1 + len(head) // 4 + len(options) // 4
    return struct.pack(">BBHI", version << 6 | words, flags, kind, 0) + struct.pack(">HBB", cls, type, len(head) // 4) + head + options + inner


def tunnel(flow, inner, family=4, outer=None, **fields):
    ends = (GATEWAY6, BACKEND6) if family == 6 else (GATEWAY4, BACKEND4)
    if family == 6:
        fields = dict(fields, flags="V" + fields.get("flags", ""), address=BACKEND6)
    data = geneve(header(flow, **fields), inner, **(outer or {}))
    return ip(*ends, UDP, udp(*ends, (0x9234, 6081), data, zero=True))


CAPABILITY = dict(type=1, port=0, key=0, issued=0, nonce=N, address="0.0.0.0")
TICKET = dict(flags="RL", lease=60, nonce=N)
REDIRECT4 = header(FLOW4, type=3, **TICKET)
TCP4 = dict(FLOW4, destinationPort=443, protocol=TCP)
capability = header(**CAPABILITY)
failure = header(FLOW4, **dict(TICKET, type=4, flags="RLF"))
probe = header(FLOW4, type=5, **TICKET)
C4, C6 = (CLIENT4, SERVICE4), (CLIENT6, SERVICE6)

signals, tunnels, answers = [], [], []


def signal(name, packet, type=None, flow=None, refusal=None):
    """`type` and `flow`: what a server hears. Neither: an ordinary packet. `refusal`: of a control datagram to the control port."""
    vector = {"name": name, "packet": packet.hex()}
    if type:
        vector["signal"] = type
        vector["service"] = dict(address=flow["destination"], port=flow["destinationPort"], protocol=flow["protocol"])
    if refusal:
        vector["refusal"] = refusal
    signals.append(vector)


def asked(payload, ends=C4, ports=(5000, 3575), **more):
    return ip(*ends, UDP, udp(*ends, ports, payload, **more))


signal("control datagram: a capability, 88 bytes", asked(control(capability, FLOW4, 88)), "capability", FLOW4)
signal("control datagram: about a TCP service", asked(control(capability, TCP4, 88)), "capability", TCP4)
signal("control datagram: IPv6", asked(control(capability, FLOW6, 88), C6), "capability", FLOW6)
signal("control datagram: padding that is not zero", asked(control(capability, FLOW4, 88, pad=0x5A)), "capability", FLOW4)
signal("control datagram: UDP without a checksum", asked(control(capability, FLOW4, 88), zero=True), "capability", FLOW4)
signal("control datagram: a failure", asked(control(failure, FLOW4, 88)), "failure", FLOW4)
signal("control datagram: a failure, with the longest header",
       asked(control(header(FLOW6, type=4, flags="RPFVA", address=BACKEND6, port=443, nonce=N, alternative=("2001:db8:2::12", 443)), FLOW6, 88), C6),
       "failure", FLOW6)
signal("control datagram: to the service's own port, about that service", asked(control(capability, FLOW4, 88), ports=(5000, 53)), "capability", FLOW4)
signal("control datagram: to a service's port, about another service", asked(control(capability, TCP4, 88), ports=(5000, 53)))
signal("control datagram: a probe", asked(control(probe, FLOW4, 88), (CLIENT4, BACKEND4), (5001, 5353)), "probe", FLOW4)
signal("control datagram: one byte short", asked(control(capability, FLOW4, 87)), refusal="control_bad")
signal("control datagram: a redirect is no signal", asked(control(REDIRECT4, FLOW4, 88)), refusal="header_type")
signal("control datagram: version 2", asked(control(header(**dict(CAPABILITY, version=2)), FLOW4, 88)), refusal="header_version")

for odd, data in ((False, b"ABCD"), (True, b"ABC")):
    name = "odd" if odd else "even"
    def option(head, ends=C4, flow=FLOW4, **more):
        return asked(data, ends, (flow["sourcePort"], flow["destinationPort"]), surplus=surplus(head, odd, **more))
    signal("surplus area: a capability, %s length" % name, option(capability), "capability", FLOW4)
    signal("surplus area: 100 bytes of room, %s length" % name, option(capability, size=138 + odd), "capability", FLOW4)
    signal("surplus area: the area itself is odd, %s length" % name, option(capability, size=141), "capability", FLOW4)
    signal("surplus area: a failure, %s length" % name, option(failure), "failure", FLOW4)
    signal("surplus area: a wrong OCS, %s length" % name, option(capability, wrong=1))
    signal("surplus area: X is set, %s length" % name, option(header(FLOW4, **dict(TICKET, type=4, flags="RLFX"))))
V6 = dict(FLOW6, destinationPort=53, protocol=UDP)
signal("surplus area: IPv6", asked(b"ABCD", C6, (40000, 53), surplus=surplus(capability, False)), "capability", V6)
signal("surplus area: the byte before the OCS is not zero", asked(b"ABC", ports=(5000, 53), surplus=surplus(capability, True, first=1)))
signal("surplus area: 192 bytes, the most", asked(b"ABCD", ports=(5000, 53), surplus=surplus(capability, False, size=192)), "capability", FLOW4)
signal("surplus area: 193 bytes", asked(b"ABCD", ports=(5000, 53), surplus=surplus(capability, False, size=193)))
signal("surplus area: behind a NOP", asked(b"ABCD", ports=(5000, 53), surplus=surplus(capability, False, before=b"\x01\x01\x01\x01")))

SYN = bytes.fromhex("fe0e53521100") + struct.pack(">Q", N)
MSS = bytes.fromhex("020405b4")
LINUX = bytes.fromhex("020405b40402080a0102030400000000") + bytes.fromhex("01030307")


def syn(options, ends=C4, flags=2, source=5000):
    options += bytes(-len(options) % 4)
    return ip(*ends, TCP, tcp(*ends, (source, 443), 0x01020304, 0, flags, options, window=64240))


signal("SYN: the option alone", syn(SYN), "capability", TCP4)
signal("SYN: behind Linux's options", syn(LINUX + SYN), "capability", TCP4)
signal("SYN: IPv6", syn(MSS + SYN, C6), "capability", dict(FLOW6))
signal("SYN: another ExID", syn(SYN[:2] + b"\xf9\x89" + SYN[4:]))
signal("SYN: 13 bytes long", syn(b"\xfe\x0d" + SYN[2:13]))
signal("SYN: a type that is none", syn(SYN[:4] + b"\x12" + SYN[5:]))
signal("SYN: behind the end of the options", syn(b"\x00\x01\x01\x01" + SYN))
signal("SYN with ACK: not a SYN that asks", syn(SYN, flags=0x12))


def through(name, packet, flow=None, refusal=None, right=True):
    """`flow`: of the inner packet, as the tag covers it. `refusal`: by the checks that need neither key nor clock."""
    vector = {"name": name, "packet": packet.hex()}
    if refusal:
        vector["refusal"] = refusal
    else:
        vector["flow"], vector["right"] = flow_block(flow).hex(), right
    tunnels.append(vector)


DATA = ip(*C4, UDP, udp(*C4, (5000, 53), b"question"))
BIG = udp(*C4, (5000, 53), bytes(range(64)))
BIG6 = udp(*C6, (40000, 443), bytes(range(64)))
NOPORT = dict(FLOW4, sourcePort=0, destinationPort=0)
NOPORT6 = dict(FLOW6, sourcePort=0, destinationPort=0, protocol=UDP)
UDP6 = dict(FLOW6, protocol=UDP)
through("Geneve: IPv4 in IPv4", tunnel(FLOW4, DATA), FLOW4)
through("Geneve: R, L and a nonce", tunnel(FLOW4, DATA, **TICKET), FLOW4)
through("Geneve: IPv6 in IPv6, TCP", tunnel(FLOW6, ip(*C6, TCP, tcp(*C6, (40000, 443), 1, 0, 2)), 6), FLOW6)
through("Geneve: IPv4 in IPv6", tunnel(FLOW4, DATA, 6), FLOW4)
through("Geneve: IPv6 in IPv4", tunnel(UDP6, ip(*C6, UDP, BIG6)), UDP6)
through("Geneve: a datagram with a surplus area", tunnel(FLOW4, asked(b"ABC", ports=(5000, 53), surplus=surplus(capability, True))), FLOW4)
through("Geneve: an address that the tag does not cover", tunnel(dict(FLOW4, destinationPort=54), DATA), FLOW4, right=False)
through("Geneve: a first fragment", tunnel(NOPORT, ip(*C4, UDP, BIG[:40], fragment=0x2000, id=7)), NOPORT)
through("Geneve: a later fragment", tunnel(NOPORT, ip(*C4, UDP, BIG[40:], fragment=5, id=7)), NOPORT)
FIRST6 = struct.pack(">BBHI", UDP, 0, 1, 7)
LATER6 = struct.pack(">BBHI", UDP, 0, 40, 7)
WHOLE6 = struct.pack(">BBHI", UDP, 0, 0, 7)
through("Geneve: IPv6, a first fragment", tunnel(NOPORT6, ip(*C6, 44, BIG6[:40], extensions=FIRST6)), NOPORT6)
through("Geneve: IPv6, a later fragment", tunnel(NOPORT6, ip(*C6, 44, BIG6[40:], extensions=LATER6)), NOPORT6)
through("Geneve: IPv6, a fragment header on a whole packet", tunnel(UDP6, ip(*C6, 44, BIG6, extensions=WHOLE6)), UDP6)
HOP = struct.pack(">BBHI", UDP, 0, 0x0104, 0)
through("Geneve: IPv6, hop-by-hop options", tunnel(UDP6, ip(*C6, 0, BIG6, extensions=HOP)), UDP6)
SENT = ip(SERVICE4, CLIENT4, UDP, udp(SERVICE4, CLIENT4, (53, 5000), b"answer"))
BEGUN = ip(SERVICE4, CLIENT4, UDP, udp(SERVICE4, CLIENT4, (53, 5000), b"answer")[:8], fragment=0x2000, id=9)
ROUTER = ("192.0.2.1", SERVICE4)
through("Geneve: ICMP quotes a packet of the service", tunnel(FLOW4, ip(*ROUTER, ICMP, icmp(3, 4, 1400, SENT))), FLOW4)
through("Geneve: ICMP quotes a first fragment: its ports count", tunnel(FLOW4, ip(*ROUTER, ICMP, icmp(3, 4, 1400, BEGUN))), FLOW4)
SENT6 = ip(SERVICE6, CLIENT6, UDP, udp(SERVICE6, CLIENT6, (443, 40000), b"answer"))
QUOTED6 = ip(SERVICE6, CLIENT6, 0, udp(SERVICE6, CLIENT6, (443, 40000), b"answer"), extensions=HOP)
ROUTER6 = ("2001:db8:9::1", SERVICE6)
through("Geneve: ICMPv6 quotes a packet of the service", tunnel(UDP6, ip(*ROUTER6, ICMPV6, icmp(2, 0, 1280, SENT6, 6, ROUTER6))), UDP6)
through("Geneve: ICMPv6 quotes extension headers", tunnel(UDP6, ip(*ROUTER6, ICMPV6, icmp(2, 0, 1280, QUOTED6, 6, ROUTER6))), UDP6)
through("Geneve: version 1", tunnel(FLOW4, DATA, outer=dict(version=1)), refusal="tunnel_bad")
through("Geneve: O is set", tunnel(FLOW4, DATA, outer=dict(flags=0xC0)), refusal="tunnel_bad")
through("Geneve: C and VNI are not looked at", tunnel(FLOW4, DATA, outer=dict(flags=0)), FLOW4)
through("Geneve: another class", tunnel(FLOW4, DATA, outer=dict(cls=0xFF18)), refusal="tunnel_no_header")
through("Geneve: a second option", tunnel(FLOW4, DATA, outer=dict(options=bytes.fromhex("ff180100") + bytes(0))), refusal="header_length")
through("Geneve: a redirect decodes, but is no forward", tunnel(FLOW4, DATA, type=3, **TICKET), FLOW4)


def answer(name, form, query, payload, packet):
    answers.append({"name": name, "form": form, "query": query.hex(), "payload": payload.hex(), "answer": packet.hex()})


def from_service(payload, ends=C4, ports=(5000, 3575)):
    back = ends[::-1]
    return ip(*back, UDP, udp(*back, ports[::-1], payload))


payload = control(REDIRECT4, FLOW4)
answer("control datagram: the redirect", "control", asked(control(capability, FLOW4, 88)), payload, from_service(payload))
R6 = control(header(FLOW6, type=3, flags="RPVA", address=BACKEND6, port=443, nonce=N, alternative=("2001:db8:2::12", 443)), FLOW6)
answer("control datagram: IPv6, with an alternative: as long as the query", "control", asked(control(capability, FLOW6, 88), C6), R6, from_service(R6, C6))
ROOM = asked(b"ABC", ports=(5000, 53), surplus=surplus(capability, True, size=139))
answer("surplus area: indicate, by a control datagram from the service's port", "control", ROOM, payload, from_service(payload, ports=(5000, 53)))
RX = control(header(FLOW4, type=3, **dict(TICKET, flags="RLX")), FLOW4)
answer("surplus area: return, the packet behind the control datagram without its surplus area", "return", ROOM, RX,
       from_service(RX + ip(*C4, UDP, udp(*C4, (5000, 53), b"ABC")), ports=(5000, 53)))
RST = COOKIE + header(TCP4, type=3, **dict(TICKET, port=443))
answer("SYN: the reset", "reset", syn(LINUX + SYN), RST,
       ip(SERVICE4, CLIENT4, TCP, tcp(SERVICE4, CLIENT4, (443, 5000), 0, 0x01020305, 0x14, payload=RST)))

# ------------------------------------------------------------------------------ the order of targets after failures

M64 = (1 << 64) - 1


def mix(h):
    for _ in range(2):
        h ^= h >> 32
        h = h * 0xD6E8FEB86659FD93 & M64
    return h ^ h >> 32


def hash_address(h, address):
    low, high = struct.unpack("<QQ", mapped(address))
    return mix(mix(h ^ low) ^ high)


def rank(seed, source, address, port):
    h = hash_address(hash_address(seed ^ 0x6F74686572, source), address)
    return mix(h ^ struct.unpack("<H", struct.pack(">H", port))[0]) | 1


orders = []
for text, source, targets in (
    ("a seed", CLIENT4, [("10.0.2.%d" % i, 5353) for i in range(11, 17)]),
    ("a seed", "198.51.100.8", [("10.0.2.%d" % i, 5353) for i in range(11, 17)]),
    ("another seed", CLIENT6, [("2001:db8:2::%x" % i, 443) for i in range(17, 21)] + [("10.0.2.11", 8443)]),
):
    seed = struct.unpack("<Q", hashlib.sha256(b"shunt flow hash\0" + text.encode()).digest()[8:16])[0]
    ranked = sorted(((rank(seed, source, *target), target) for target in targets), reverse=True)
    orders.append({"seed": text, "secret": "%016x" % seed, "source": source,
                   "order": [{"address": a, "port": p, "rank": "%016x" % r} for r, (a, p) in ranked]})

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "carriers.json"), "w") as out:
        about = "Written by carriers.py; every tag by OpenSSL. docs/protocol.md says what the packets mean."
        json.dump({"about": about, "key": KEY, "nonce": "%016x" % N, "signals": signals, "tunnels": tunnels,
                   "answers": answers, "orders": orders}, out, indent="\t")
        out.write("\n")
    print(len(signals), "signals,", len(tunnels), "tunnel packets,", len(answers), "answers,", len(orders), "orders")
