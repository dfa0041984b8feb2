"""The cases of tests/corpus/spf once more, through the tool, libunbound and real DNS packets.

A name server of a few lines answers as the case says. Documentation addresses become others, since
libunbound answers their reverse zones itself; what never answers fails at once, to save time.
"""
import concurrent.futures
import errno
import glob
import json
import os
import re
import socket
import socketserver
import subprocess
import threading
import unittest

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import yaml

import lab

OTHERS = [("192.0.2", "11.22.33"), ("2.0.192", "33.22.11"), ("198.51.100", "11.22.44"), ("203.0.113", "11.22.55"),
          ("113.0.203", "55.22.11"), ("2001:db8", "2a00:db8"), ("2001:DB8", "2a00:DB8"),
          ("8.b.d.0.1.0.0.2", "8.b.d.0.0.0.a.2"), ("2.0.0.1.0.d.b.8", "2.a.0.0.0.d.b.8")]
# What an argument or this translation cannot say: a NUL, an address cut in two, our own name and clock,
# and the order of records, which resolvers turn.
NOT_HERE = {"strings-joined", "sender-domain-nul", "letters", "receiver-unknown", "ptr-11-names"}


def unescape(text):
    return re.sub(rb"\\x(..)", lambda m: bytes([int(m.group(1), 16)]), text.encode())


def wire_name(text):
    return dns.name.Name([l for l in unescape(text).rstrip(b".").split(b".") if l] + [b""])


def text_strings(data):
    parts = re.findall(rb"'([^']*)'", data) if data.startswith(b"'") else [data]
    return [p[i:i + 255] for p in parts for i in range(0, max(len(p), 1), 255)]


def rdata(kind, data):
    if kind == "TXT":
        wire = b"".join(bytes([len(s)]) + s for s in text_strings(unescape(data)))
    elif kind in ("A", "AAAA"):
        wire = socket.inet_pton(socket.AF_INET if kind == "A" else socket.AF_INET6, data)
    else:
        pref, name = data.split(" ", 1) if kind == "MX" else ("", data)
        wire = (int(pref).to_bytes(2, "big") if pref else b"") + wire_name(name).to_wire()
    return dns.rdata.GenericRdata(dns.rdataclass.IN, dns.rdatatype.from_text(kind), wire)


class Names(threading.Thread):
    """Answers from `zone`, UDP and TCP on one port."""

    def __init__(self):
        super().__init__(daemon=True)
        self.zone = {}
        names = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                reply = names.answer(self.request[0])
                wire = reply.to_wire(max_size=65535)
                if len(wire) > 1232:
                    cut = dns.message.make_response(dns.message.from_wire(self.request[0]))
                    cut.flags |= dns.flags.TC
                    wire = cut.to_wire()
                self.request[1].sendto(wire, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                while len(head := self.rfile.read(2)) == 2:
                    wire = names.answer(self.rfile.read(int.from_bytes(head, "big"))).to_wire(max_size=65535)
                    self.wfile.write(len(wire).to_bytes(2, "big") + wire)

        class TcpServer(socketserver.ThreadingTCPServer):
            daemon_threads = True
        TcpServer.allow_reuse_address = True
        self.tcp = None
        while self.tcp is None:         # a port that is free for both
            self.udp = socketserver.UDPServer(("127.0.0.1", 0), Udp)
            self.port = self.udp.server_address[1]
            try:
                self.tcp = TcpServer(("127.0.0.1", self.port), Tcp)
            except OSError as e:
                self.udp.server_close()
                if e.errno != errno.EADDRINUSE:
                    raise
        threading.Thread(target=self.tcp.serve_forever, daemon=True).start()
        self.start()

    def run(self):
        self.udp.serve_forever()

    def close(self):
        for s in (self.udp, self.tcp):
            s.shutdown()
            s.server_close()

    def answer(self, wire):
        q = dns.message.from_wire(wire)
        r = dns.message.make_response(q)
        r.flags |= dns.flags.RA
        name, kind = q.question[0].name, q.question[0].rdtype
        owner, want = name, dns.rdatatype.to_text(kind)
        for _ in range(8):
            records = self.zone.get(name.canonicalize())
            if records is None:
                r.set_rcode(dns.rcode.NXDOMAIN)
                return r
            alias = None
            for line in records:
                times = re.match(r"x(\d+) ", line)
                line = line[times.end():] if times else line
                word, _, data = line.partition(" ")
                if word in ("TIMEOUT", "SERVFAIL", "BOGUS") and data in ("", want):
                    r.set_rcode(dns.rcode.SERVFAIL)
                    return r
                if word == "CNAME":
                    alias = wire_name(data)
                    self.add(r, name, "CNAME", [data])
                elif word == want:
                    self.add(r, name, want, [data.replace("#", str(i + 1)) for i in range(int(times.group(1)) if times else 1)])
            if alias is None:
                return r
            name = alias
        return r

    @staticmethod
    def add(r, name, kind, data):
        for d in data:
            rrset = r.find_rrset(r.answer, name, dns.rdataclass.IN, dns.rdatatype.from_text(kind), create=True, force_unique=True)
            rrset.ttl = 60
            rrset.items[rdata(kind, d)] = None


class Wire(unittest.TestCase):
    def cases(self):
        for path in sorted(glob.glob(os.path.join(lab.ROOT, "tests/corpus/spf/*.yml"))):
            with open(path) as f:
                text = f.read()
            for a, b in OTHERS:
                text = text.replace(a, b)
            tree = yaml.load(text, Loader=yaml.CSafeLoader)      # libyaml, as everywhere else
            for c in tree["cases"]:
                if c["id"] not in NOT_HERE:
                    yield c, tree["zone"]

    @staticmethod
    def zone_of(c, shared):
        zone = {wire_name(k).canonicalize(): [str(x) for x in v] for k, v in {**shared, **c.get("zone", {})}.items()}
        if "spf" in c:
            key = wire_name("example.com").canonicalize()
            zone[key] = ["TXT " + str(c["spf"])] + zone.get(key, [])
        return zone

    def judge(self, names, c, shared):
        names.zone = self.zone_of(c, shared)
        args = ["--ip", c.get("ip", "11.22.33.1"), "--helo", unescape(c.get("helo", "mail.example.com"))]
        if not c.get("helo-only"):
            args += ["--from", unescape(c.get("from", "user@example.com"))]
        r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", "/nonexistent", "--json", "auth", "spf", *args,
                            "--dns", "127.0.0.1:%d" % names.port], capture_output=True)
        got = json.loads(r.stdout) if r.stdout else {"result": r.stderr.decode()}
        want = c["want"] if isinstance(c["want"], list) else [c["want"]]
        if got["result"] not in want:
            return "%s: %s, not %s: %s" % (c["id"], c["want"], got["result"], got)
        if "exp" in c and got["explanation"].lower() != str(c["exp"]).lower():
            return "%s: explanation %r, not %r" % (c["id"], c["exp"], got["explanation"])
        if "by" in c and (got["path"][-1]["term"] if got["path"] else "") != c["by"]:
            return "%s: decided by %r: %s" % (c["id"], c["by"], got["path"])
        return None

    def test_all(self):
        """Two at a time, each with a name server of its own."""
        cases = list(self.cases())
        self.assertGreater(len(cases), 350)

        def some(part):
            names = Names()
            try:
                return [bad for c, shared in part if (bad := self.judge(names, c, shared))]
            finally:
                names.close()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            wrong = [w for part in pool.map(some, (cases[::2], cases[1::2])) for w in part]
        self.assertEqual(wrong, [], "\n".join(wrong))


if __name__ == "__main__":
    unittest.main()
