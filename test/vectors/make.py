#!/usr/bin/env python3
# make.py - writes redirection-header.json, the shared vectors of the redirection header.
#
# It owes nothing to the code that the vectors test: the bytes are packed here from docs/protocol.md's drawing, and
# every tag is computed by OpenSSL's SipHash (`openssl mac ... SIPHASH`), once, when this is run. Run it by hand when the
# protocol changes, and read the difference before committing it.
import ipaddress, json, os, struct, subprocess

KEY = "000102030405060708090a0b0c0d0e0f"
KEY2 = "a8f3c19b4d7e02165c88f0e1d2b3a495"
TYPES = ["", "capability", "forward", "redirect", "failure", "probe", "probe-ack", "revoke"]
LETTERS = "RPOLFXVA"  # 0x80 downwards
FLOW4 = dict(source="198.51.100.7", destination="203.0.113.53", sourcePort=5000, destinationPort=53, protocol=17)
FLOW6 = dict(source="2001:db8:7::7", destination="2001:db8:53::53", sourcePort=40000, destinationPort=443, protocol=6)
ICMP4 = dict(FLOW4, note="an inner ICMP error: the quoted packet's flow, turned round")
FRAG4 = dict(FLOW4, sourcePort=0, destinationPort=0, note="an inner fragment: both ports zero")

def flow_block(f):
    a, b = ipaddress.ip_address(f["source"]).packed, ipaddress.ip_address(f["destination"]).packed
    return a + b + struct.pack(">HHB3x", f["sourcePort"], f["destinationPort"], f["protocol"])

def siphash(key, data):
    path = "/tmp/shunt-vector-input"
    with open(path, "wb") as out:
        out.write(data)
    text = subprocess.run(["openssl", "mac", "-macopt", "hexkey:" + key, "-macopt", "size:8", "-in", path, "SIPHASH"],
                          check=True, capture_output=True, text=True).stdout
    os.unlink(path)
    return bytes.fromhex(text.strip())

def pack(type=2, flags="", port=5353, lease=0, hops=0, key=1, issued=1700000000, nonce=0, address="10.0.2.11",
         alternative=None, version=1, reserved=0):
    bits = sum(0x80 >> LETTERS.index(c) for c in flags)
    body = struct.pack(">BBHHBBIQ", version << 4 | type, bits, port, lease, hops, key, issued, nonce)
    body += ipaddress.ip_address(address).packed
    if alternative:
        body += ipaddress.ip_address(alternative[0]).packed + struct.pack(">HH", alternative[1], reserved)
    return body

vectors = []

def good(name, flow=None, secret=KEY, **fields):
    body = pack(**fields)
    tag = bytes(8)
    vector = {"name": name}
    if flow:
        signed, block = bytearray(body), flow
        if fields.get("type", 2) in (3, 4, 5):  # tagged as the redirect, F and X clear, for any port of the client
            signed[0] = 0x13
            signed[1] &= ~0x0C
            block = dict(flow, sourcePort=0)
        message = bytes(signed) + bytes(8) + flow_block(block)
        tag = siphash(secret, message)
    vector["hex"] = (body + tag).hex()
    vector["fields"] = dict(type=TYPES[fields.get("type", 2)], flags=body[1], port=fields.get("port", 5353),
        lease=fields.get("lease", 0), hops=fields.get("hops", 0), keyId=fields.get("key", 1),
        issued=fields.get("issued", 1700000000), nonce="%016x" % fields.get("nonce", 0),
        address=fields.get("address", "10.0.2.11"), tag=tag.hex())
    if fields.get("alternative"):
        vector["fields"]["alternative"] = dict(address=fields["alternative"][0], port=fields["alternative"][1])
    if flow:
        vector["flow"], vector["key"], vector["message"] = flow, secret, message.hex()
    vectors.append(vector)

def bad(name, reason, data=None, **fields):
    data = pack(**fields) + bytes.fromhex("1122334455667788") if data is None else data
    vectors.append({"name": name, "hex": data.hex(), "reason": reason})

N = 0x0123456789ABCDEF
good("capability: a nonce and nothing else", type=1, port=0, key=0, issued=0, nonce=N, address="0.0.0.0")
good("forward: IPv4, no flag", FLOW4)
good("forward: R and L, a lease of a minute", FLOW4, flags="RL", lease=60)
good("forward: R and P", FLOW4, flags="RP", port=53, nonce=N)
good("forward: R and O", FLOW4, flags="RO")
good("forward: F, in consequence of a failure", FLOW4, flags="RF", nonce=N)
good("forward: four hops, last key id", FLOW4, hops=4, key=255, secret=KEY2)
good("forward: five hops, the most", FLOW4, hops=5)
good("forward: IPv4 address, IPv6 flow", FLOW6)
good("forward: IPv6 address, IPv6 flow", FLOW6, flags="V", address="2001:db8:2::11", port=8443)
good("forward: IPv6 address, IPv4 flow", FLOW4, flags="VL", address="fd77:3::11", lease=65535)
good("forward: IPv4 alternative, IPv4 flow", FLOW4, flags="A", alternative=("10.0.2.12", 5354))
good("forward: IPv4 alternative, IPv6 flow", FLOW6, flags="A", alternative=("10.0.2.12", 5354), secret=KEY2)
good("forward: IPv6 alternative, IPv6 flow", FLOW6, flags="VA", address="2001:db8:2::11", alternative=("2001:db8:2::12", 443))
good("forward: IPv6 alternative, IPv4 flow", FLOW4, flags="VAO", address="2001:db8:2::11", alternative=("2001:db8:2::12", 443))
good("forward: a fragment's flow has no ports", FRAG4)
good("forward: an ICMP error has the flow it quotes", ICMP4)
good("forward: every field at its greatest", dict(source="255.255.255.254", destination="223.255.255.255", sourcePort=65535,
     destinationPort=65535, protocol=255), type=2, flags="RLF", port=65535, lease=65535, hops=5, key=255,
     issued=0xFFFFFFFF, nonce=0xFFFFFFFFFFFFFFFF, address="255.255.255.255")
good("redirect: R and L, nonce echoed", FLOW4, type=3, flags="RL", lease=60, nonce=N)
good("redirect: X, the packet follows; the tag is as without X", FLOW4, type=3, flags="RLX", lease=60, nonce=N)
good("redirect: F, to a third server", FLOW4, type=3, flags="ROF", address="10.0.2.13", nonce=N)
good("redirect: IPv6 with alternative", FLOW6, type=3, flags="RPVA", address="2001:db8:2::11", port=443, nonce=N,
     alternative=("2001:db8:2::12", 443))
good("failure: the ticket of the redirect before", FLOW4, type=4, flags="RLF", lease=60, nonce=N)
good("failure: F and X, the request follows", FLOW4, type=4, flags="RLFX", lease=60, nonce=N)
good("probe: the ticket of the redirect before", FLOW4, type=5, flags="RL", lease=60, nonce=N)
good("probe-ack: signed by the one probed", FLOW4, type=6, flags="RL", lease=60, nonce=N)
good("probe-ack: IPv6", FLOW6, type=6, flags="RLV", lease=60, nonce=N, address="2001:db8:2::11", port=443)
good("revoke: the redirect's nonce", FLOW4, type=7, flags="RL", nonce=N)

bad("no bytes at all", "header_length", b"")
bad("three bytes", "header_length", pack()[:3])
bad("version 0", "header_version", version=0)
bad("version 2", "header_version", version=2)
bad("version 15, and short", "header_version", bytes.fromhex("f2000035"))
bad("type 0", "header_type", type=0)
bad("type 8", "header_type", type=8)
bad("type 15", "header_type", type=15)
bad("P and O", "header_flags", flags="PO")
bad("P and L", "header_flags", flags="PL")
bad("O and L", "header_flags", flags="OL")
bad("P, O and L", "header_flags", type=3, flags="RPOL")
bad("capability with R", "header_flags", type=1, flags="R")
bad("forward with X", "header_flags", type=2, flags="X")
bad("failure without F", "header_flags", type=4, flags="RL")
bad("probe with F", "header_flags", type=5, flags="RF")
bad("probe with X", "header_flags", type=5, flags="RX")
bad("probe-ack with an alternative", "header_flags", type=6, flags="A", alternative=("10.0.2.12", 1))
bad("revoke with X", "header_flags", type=7, flags="X")
bad("reserved bytes after the alternative", "header_flags", flags="A", alternative=("10.0.2.12", 1), reserved=1)
bad("four bytes short", "header_length", pack() + bytes(4))
bad("four bytes long", "header_length", pack() + bytes(12))
bad("V, and the length of IPv4", "header_length", pack(flags="V") + bytes(8))
bad("IPv4, and the length of V", "header_length", pack(address="2001:db8::1") + bytes(8))
bad("A, and the length without", "header_length", pack(flags="A") + bytes(8))
bad("V and A, and four bytes short", "header_length",
    pack(flags="VA", address="2001:db8::1", alternative=("2001:db8::2", 1)) + bytes(4))
bad("six hops", "header_hops", hops=6)
bad("255 hops", "header_hops", hops=255)
bad("forward to port 0", "header_port", port=0)
bad("redirect to port 0", "header_port", type=3, flags="R", port=0)
bad("failure of port 0", "header_port", type=4, flags="F", port=0)
bad("probe of port 0", "header_port", type=5, port=0)
bad("probe-ack of port 0", "header_port", type=6, port=0)
bad("revoke of port 0", "header_port", type=7, port=0)
bad("alternative with port 0", "header_port", flags="A", alternative=("10.0.2.12", 0))
bad("six hops and port 0: hops come first", "header_hops", hops=6, port=0)
bad("unknown version and type: version comes first", "header_version", version=3, type=9)

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "redirection-header.json"), "w") as out:
        about = "Written by make.py; every tag by OpenSSL. docs/protocol.md says what the fields mean."
        json.dump({"about": about, "vectors": vectors}, out, indent="\t")
        out.write("\n")
    print(len(vectors), "vectors,", sum("flow" in v for v in vectors), "tagged")
