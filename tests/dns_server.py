"""dns_server.py -- a name server under the test's control: slow, silent, failing, lying; it notes what it is asked.

zones are lines as in lab.dns(): {"sender.lab": ["@ TXT \"v=spf1 -all\""]}. What stands in no zone does not exist.
"""
import contextlib
import socket
import struct
import threading
import time

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.zone


class NameServer:
    """how(name, type) -> None the honest answer, a number: after so many seconds, or "silent", "servfail", "garbage",
    "truncated" (and silence over TCP), "tcp" (the honest answer
    over TCP only), "other" (an answer to another question)."""

    def __init__(self, zones, how=None):
        self.zones = {dns.name.from_text(n): dns.zone.from_text(
            "$ORIGIN %s.\n$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n@ NS ns\nns A 127.0.0.1\n%s\n" % (n, "\n".join(lines)),
            origin=n + ".", relativize=False) for n, lines in zones.items()}
        self.how, self.asked, self.lock, self.closed = how, [], threading.Lock(), False
        self.udp, self.tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        while True:     # one number for both
            self.udp.bind(("127.0.0.1", 0))
            try:
                self.tcp.bind(self.udp.getsockname())
                break
            except OSError:
                self.udp.close()
                self.udp = socket.socket(type=socket.SOCK_DGRAM)
        self.port = self.udp.getsockname()[1]
        self.tcp.listen(64)
        for f in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=f, daemon=True).start()

    def names(self):
        with self.lock:
            return [n for n, _, _ in self.asked]

    def honest(self, q):
        r = dns.message.make_response(q)
        name, kind = q.question[0].name, q.question[0].rdtype
        zone = max((z for o, z in self.zones.items() if name.is_subdomain(o)), key=lambda z: len(z.origin), default=None)
        if zone is None:
            r.set_rcode(dns.rcode.NXDOMAIN)
            return r
        r.flags |= dns.flags.AA
        rrs = zone.get_rrset(name, kind)
        if rrs is not None:
            r.answer.append(rrs)
        elif not any(n == name or n.is_subdomain(name) for n in zone.nodes):
            r.set_rcode(dns.rcode.NXDOMAIN)
        if rrs is None:
            r.authority.append(zone.get_rrset(zone.origin, dns.rdatatype.SOA))
        return r

    def answer(self, packet, tcp):
        with contextlib.suppress(Exception):
            q = dns.message.from_wire(packet)
            name = q.question[0].name.to_text(omit_final_dot=True).lower()
            kind = dns.rdatatype.to_text(q.question[0].rdtype)
            with self.lock:
                self.asked.append((name, kind, time.monotonic()))
            how = self.how and self.how(name, kind)
            r = self.honest(q)
            if isinstance(how, (int, float)):
                time.sleep(how)
            elif how == "silent" or (how == "truncated" and tcp):
                return None
            elif how == "servfail":
                r = dns.message.make_response(q)
                r.set_rcode(dns.rcode.SERVFAIL)
            elif how == "truncated" or (how == "tcp" and not tcp):
                r = dns.message.make_response(q)
                r.flags |= dns.flags.TC
            elif how == "garbage":
                return packet[:2] + b"\x81\x80" + b"\xff" * 40
            elif how == "other":
                q.question[0].name = dns.name.from_text("other.lab")
                r = self.honest(q)
            return r.to_wire(max_size=65535 if tcp else 4096)
        return None

    def serve_udp(self):
        def one(packet, peer):
            out = self.answer(packet, False)
            if out:
                with contextlib.suppress(OSError):
                    self.udp.sendto(out, peer)
        with contextlib.suppress(OSError):
            while not self.closed:
                packet, peer = self.udp.recvfrom(65535)
                threading.Thread(target=one, args=(packet, peer), daemon=True).start()

    def serve_tcp(self):
        def one(c):
            with contextlib.suppress(OSError, struct.error), c:
                while True:
                    n = struct.unpack("!H", c.recv(2, socket.MSG_WAITALL))[0]
                    out = self.answer(c.recv(n, socket.MSG_WAITALL), True)
                    if out is None:
                        time.sleep(60)
                        return
                    c.sendall(struct.pack("!H", len(out)) + out)
        with contextlib.suppress(OSError):
            while not self.closed:
                threading.Thread(target=one, args=(self.tcp.accept()[0],), daemon=True).start()

    def close(self):
        self.closed = True
        self.udp.close()
        self.tcp.close()
