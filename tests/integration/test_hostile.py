"""Hostile servers and name servers: every step, every wrong answer, and what must come of it.

Each case is a domain of its own with a server that misbehaves in one way. What is expected is written
beside it, from RFC 5321, 3207 and 7435: nothing but a 2xx to the end of the data is a delivery, a
5xx is one sender's bounce where it means the recipient or the message, everything else is put off.
"""
import contextlib
import datetime
import os
import re
import socket
import struct
import subprocess
import threading
import unittest

import lab
from authority import Authority

SENT, DEFERRED, BOUNCED = "sent", "deferred", "failed"
MEMORY_MIB = 24         # what the delivery process may grow by over all of it


class Gone(OSError):
    """The server hangs up, without a word."""


def at(step, answer, when=lambda s: True):
    """Answers the step so; a function is called with the session."""
    def reply(line, session):
        verb = line if line in ("CONNECT", ".") else line.split(" ")[0].upper().split(":")[0]
        if verb != step or not when(session):
            return None
        if answer == "HANGUP":
            raise Gone()
        return answer(session) if callable(answer) else answer
    return reply


def pour(text):
    """Says it for ever, until the other side has had enough."""
    def f(session):
        while True:
            session.wfile.write(text)
    return f


def raw(data, then=None):
    """Says these bytes instead of a reply; then hangs up, or waits for the other side to go."""
    def f(session):
        session.wfile.write(data)
        if then is None:
            with contextlib.suppress(OSError):
                while session.rfile.read(4096):
                    pass
        raise Gone()
    return f


STEPS = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."]
CASES = []      # (name, reply, outcome, pattern of the reply or None)


def case(name, reply, outcome, pattern=None):
    CASES.append((name, reply, outcome, pattern))


for step in STEPS:
    s = {"CONNECT": "greeting", ".": "dot"}.get(step, step.lower())
    case("hangup-" + s, at(step, "HANGUP"), DEFERRED, "lost connection with .* while")
    case("rubbish-" + s, at(step, "<html>no</html>"), DEFERRED, "not an SMTP reply")
    case("empty-" + s, at(step, " "), DEFERRED, "not an SMTP reply")
    case("code1xx-" + s, at(step, "150 hm"), DEFERRED, "not an SMTP reply")
    case("code6xx-" + s, at(step, "650 hm"), DEFERRED, "not an SMTP reply")
    case("code3xx-" + s, at(step, "399 hm"), DEFERRED)
    case("two-minds-" + s, at(step, "250-yes\r\n550 no"), DEFERRED, "contradicts itself")
    case("code4xx-" + s, at(step, "451 4.3.0 later"), DEFERRED, "451 4.3.0 later")
    case("code421-" + s, at(step, "421 4.3.2 going down"), DEFERRED, "421 4.3.2 going down")
    # A greeting speaks of the server, not of the mail; EHLO refused is followed by HELO.
    case("code5xx-" + s, at(step, "554 5.7.1 go away"),
         {"CONNECT": DEFERRED, "EHLO": SENT}.get(step, BOUNCED), None if step == "EHLO" else "554 5.7.1 go away")
    case("bytes8-" + s, at(step, "550 5.7.1 caf\u00e9 \x1b[31m\x00\x07"), {"CONNECT": DEFERRED, "EHLO": SENT}.get(step, BOUNCED))
    case("endless-lines-" + s, at(step, pour(b"250-and another thing\r\n")), DEFERRED, "too many lines|too long")
    case("endless-line-" + s, at(step, pour(b"x" * 4096)), DEFERRED, "too long|not an SMTP reply")
    case("zeros-" + s, at(step, pour(b"\0" * 4096)), DEFERRED, "too long")
    case("half-reply-" + s, at(step, raw(b"250-still", then=1)), DEFERRED, "lost connection")
# An answer to the data before its end is none of its end's.
case("early-250", at("DATA", raw(b"354 go on\r\n250 2.0.0 queued\r\n")), DEFERRED)
case("early-550", at("DATA", raw(b"354 go on\r\n550 5.7.1 enough\r\n")), BOUNCED, "enough")
case("no-354", at("DATA", "250 2.0.0 thank you"), DEFERRED)
case("babbles-after", lambda line, s: "250 2.0.0 queued\r\n250 more\r\n550 and more" if line == "." else None, SENT)
case("own-name", at("CONNECT", "220 gw.example.lab ESMTP"), SENT)      # a static route may be a second gateway of that name
case("helo-too", lambda line, s: "502 what?" if line[:4] in ("EHLO", "HELO") else None, BOUNCED, "502 what")
case("good", lambda line, s: None, SENT)
case("good-8bit-banner", at("CONNECT", "220 caf\u00e9 \u0000 ESMTP"), SENT)


class Hostile(unittest.TestCase):
    def outcomes(self, l, mid, n):
        def look():
            t = l.control({"cmd": "trace", "q": mid, "limit": 1})[0]
            got = {r["address"]: (r["status"], r.get("dsn") or "", r.get("reply") or "", r.get("tls") or "")
                   for r in t.get("recipients", []) if r["status"] in (SENT, DEFERRED, BOUNCED)}
            return got if len(got) == n else None
        try:
            return lab.wait_for(look, 60, because="%d outcomes" % n)
        except lab.LabError:
            t = l.control({"cmd": "trace", "q": mid, "limit": 1})[0]
            self.fail("no outcome: %s" % [r["address"] for r in t["recipients"] if r["status"] not in (SENT, DEFERRED, BOUNCED)])

    def memory(self, l):
        kib = 0
        for pid in l.pids("delivery"):
            with open("/proc/%d/smaps_rollup" % pid) as f:
                kib += int(re.search(r"^Private_Dirty:\s+(\d+)", f.read(), re.M).group(1))
        return kib / 1024

    def judge(self, cases, got, address):
        wrong = []
        for name, outcome, pattern in cases:
            status, dsn, reply, _ = got[address(name)]
            class_ok = dsn[:1] == {SENT: "2", DEFERRED: "4", BOUNCED: "5"}[outcome]
            if status != outcome or not class_ok or (pattern and not re.search(pattern, reply)):
                wrong.append("%-22s %s %s (%s), want %s %s" % (name, status, dsn, reply, outcome, pattern))
            if not all(" " <= c <= "~" for c in reply):
                wrong.append("%-22s a reply that is not safe to print: %r" % (name, reply))
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_conversations(self):
        with lab.Lab("hostile") as l:
            servers = {name: l.mx(reply=reply) for name, reply, _, _ in CASES}
            l.config(delivery={"retry": ["1h"], "tls": {"policy": "none"},
                               "routes": {"%s.lab" % n: ["127.0.0.1:%d" % m.port] for n, m in servers.items()}})
            l.start_postern()
            before = self.memory(l)
            to = ["u@%s.lab" % c[0] for c in CASES]
            code, text = l.send(to)
            self.assertEqual(code, 250, text)
            mid = text.split()[-1]
            got = self.outcomes(l, mid, len(to))
            grown = self.memory(l) - before
            self.judge([(n, o, p) for n, _, o, p in CASES], got, lambda n: "u@%s.lab" % n)
            for name, _, outcome, _ in CASES:
                # Who says yes and no to the end of the data may have it; nobody has it twice.
                self.assertIn(len(servers[name].messages), [0, 1] if name == "two-minds-dot" else [outcome == SENT], name)
            print("\n%d hostile servers, the delivery process grew by %.1f MiB" % (len(CASES), grown))
            if not lab.SANITIZED:
                self.assertLess(grown, MEMORY_MIB)
            # what was said stands in the journal, without the message; the latest attempts of each
            self.assertEqual(l.tool("trace", mid).count("the attempt that ended "), 5)
            for name, words in (("code4xx-dot", r"S: 451 4\.3\.0 later\n"), ("rubbish-rcpt", r"S: <html>no</html>\n"),
                                ("half-reply-mail", r"S: 250-still\n +\d\.\d{3} -- lost connection")):
                mid = l.send("u@%s.lab" % name)[1].split()[-1]
                l.tool("queue", "retry", mid, "--yes")
                self.outcomes(l, mid, 1)
                for shown in (l.tool("trace", mid), l.tool("queue", "show", mid)):
                    self.assertIn("the attempt that ended ", shown)
                    self.assertRegex(shown, r"\d\.\d{3} " + words)
                    self.assertIn("C: MAIL FROM:<a@example.lab>", shown)
                    self.assertNotIn("Hello.", shown)

    def test_starttls(self):
        """STARTTLS refused, stripped, injected, and handshakes that fail: without a demand the mail goes in clear where
        nobody tampered; with one it waits."""
        hold = []

        def rubbish(session):
            session.wfile.write(b"220 2.0.0 go\r\n")
            session.request.recv(1, socket.MSG_PEEK)
            session.wfile.write(b"this is no TLS record, nor any other\r\n")
            raise Gone()

        def closes(session):
            session.wfile.write(b"220 2.0.0 go\r\n")
            session.request.recv(1, socket.MSG_PEEK)
            raise Gone()
        # name: (reply, extra EHLO lines, outcome without a demand, with one)
        offer = ("STARTTLS",)
        cases = {
            "stripped": (lambda line, s: None, (), SENT, DEFERRED),
            "tls4xx": (at("STARTTLS", "454 4.7.0 not now"), offer, SENT, DEFERRED),
            "tls5xx": (at("STARTTLS", "502 5.5.1 what?"), offer, SENT, DEFERRED),
            "tls250": (at("STARTTLS", "250 2.0.0 sure"), offer, SENT, DEFERRED),
            "tlshangup": (at("STARTTLS", "HANGUP"), offer, SENT, DEFERRED),
            "tlsrubbish": (at("STARTTLS", rubbish), offer, SENT, DEFERRED),
            "tlscloses": (at("STARTTLS", closes), offer, SENT, DEFERRED),
            # bytes behind the 220 are an attack: not even in clear
            "injected": (at("STARTTLS", raw(b"220 2.0.0 go\r\n250 forged\r\n")), offer, DEFERRED, DEFERRED),
            "injected-ehlo": (at("STARTTLS", raw(b"220 go\r\n250-mx\r\n250 SIZE\r\n")), offer, DEFERRED, DEFERRED),
        }
        with lab.Lab("starttls") as l:
            servers = {n: l.mx(reply=c[0], esmtp=("PIPELINING", *c[1])) for n, c in cases.items()}
            l.policy("version: 1\nrules:\n  - {id: r, when: {subject: {words: [secret]}}, then: {require_tls: encrypted}}\n")
            l.config(delivery={"retry": ["1h"], "tls": {"policy": "none"},
                               "routes": {"%s.lab" % n: ["127.0.0.1:%d" % m.port] for n, m in servers.items()}})
            l.start_postern()
            to = ["u@%s.lab" % n for n in cases]
            for subject, i in (("ordinary", 2), ("secret", 3)):
                mid = l.send(to, subject=subject)[1].split()[-1]
                l.tool("queue", "retry", mid, "--yes")          # sites that failed before rest
                got = self.outcomes(l, mid, len(to))
                self.judge([(n, c[i], None) for n, c in cases.items()], got, lambda n: "u@%s.lab" % n)
            for name, c in cases.items():
                self.assertEqual([b"ordinary" in m[2] for m in servers[name].messages], [True] * (c[2] == SENT), name)
            # each site once, with the words that say what to do about it
            log = l.log()
            for name in cases:
                self.assertEqual(len(re.findall(r"alert: TLS that is required for site %s\.lab cannot be had" % name, log)), 1, name)
            self.assertIn("TLS that is required for ", l.tool("status"))
            events = [e["kind"] for t in l.control({"cmd": "trace", "q": mid, "limit": 1}) for e in t.get("events", [])]
            self.assertIn("tls-failed", events)
            # an hour has not passed: the next message says nothing new
            mid = l.send(to, subject="secret again")[1].split()[-1]
            l.tool("queue", "retry", mid, "--yes")
            lab.wait_for(lambda: l.counter("smtp_tls_required_failures") >= 2 * len(cases) - 2, because="the second failures")
            self.assertEqual(l.log().count("alert: TLS"), len(cases))

    def test_certificates(self):
        """Certificates of every wrong kind: good enough where nothing is asked, never where proof is."""
        with lab.Lab("certs") as l:
            ca, other = Authority(l, "ca"), Authority(l, "other")
            kinds = {"good": SENT}
            ca.issue("good.lab", "good")
            ca.issue("elsewhere.lab", "wrongname")
            other.issue("unknownca.lab", "unknownca")
            ca.issue("*.wildcard.lab", "wildcard")
            ca.issue("*.lab", "toowild")          # over a whole top-level domain
            now = datetime.datetime.now(datetime.timezone.utc)

            def special(name, ext="", san=None, days=("-10", "10"), key="ec:prime256v1", digest="sha256"):
                san = "DNS:%s.lab" % name if san is None else san
                conf = l.write(name + ".cnf", "[ca]\ndefault_ca=c\n[c]\nnew_certs_dir=%s\ndatabase=%s\nserial=%s\npolicy=p\ndefault_md=%s\n"
                               "[p]\ncommonName=supplied\n[e]\n%s%s\n" % (
                                   l.dir, l.write(name + ".db", ""), l.write(name + ".srl", "%02x\n" % (len(kinds) + 80)), digest,
                                   "subjectAltName=%s\n" % san if san else "", ext))
                new = ["-newkey", "rsa:" + key[4:]] if key.startswith("rsa") else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
                subprocess.run(["openssl", "req", *new, "-nodes", "-subj", "/CN=%s.lab" % name, "-keyout", l.path(name + ".key"),
                                "-out", l.path(name + ".csr")], check=True, capture_output=True)
                day = lambda d: (now + datetime.timedelta(days=int(d))).strftime("%Y%m%d%H%M%SZ")
                subprocess.run(["openssl", "ca", "-batch", "-config", conf, "-extensions", "e", "-cert", ca.pem, "-keyfile", ca.key,
                                "-in", l.path(name + ".csr"), "-out", l.path(name + ".pem"), "-notext",
                                "-startdate", day(days[0]), "-enddate", day(days[1])], check=True, capture_output=True)
            special("expired", days=("-20", "-10"))
            special("future", days=("10", "20"))
            special("clientonly", ext="extendedKeyUsage=clientAuth\n")
            special("ipname", san="IP:127.0.0.1")
            special("longer", san="DNS:longer.lab.evil.lab")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3",
                            "-subj", "/CN=selfsigned.lab", "-addext", "subjectAltName=DNS:selfsigned.lab", "-keyout", l.path("selfsigned.key"),
                            "-out", l.path("selfsigned.pem")], check=True, capture_output=True)
            names = ["good", "wrongname", "unknownca", "wildcard", "toowild", "expired", "future", "clientonly", "ipname", "longer", "selfsigned"]
            domain = lambda n: "a.wildcard.lab" if n == "wildcard" else n + ".lab"
            # 127.0.0.1 is where the route says the server is: a certificate for that address proves it
            proved = {"good", "wildcard", "ipname"}
            servers = {n: l.mx(tls=(l.path(n + ".pem"), l.path(n + ".key"))) for n in names}
            l.policy("version: 1\nrules:\n  - {id: r, when: {subject: {words: [secret]}}, then: {require_tls: verified}}\n")
            l.config(delivery={"retry": ["1h"], "tls": {"policy": "none", "roots": "ca.pem"},
                               "routes": {domain(n): ["127.0.0.1:%d" % m.port] for n, m in servers.items()}})
            l.start_postern()
            to = ["u@" + domain(n) for n in names]
            for subject in ("ordinary", "secret", "ordinary again", "secret again"):
                mid = l.send(to, subject=subject)[1].split()[-1]
                got = self.outcomes(l, mid, len(to))
                self.judge([(n, SENT if n in proved or "ordinary" in subject else DEFERRED, None) for n in names], got,
                           lambda n: "u@" + domain(n))
                for n in names:
                    status, _, _, tls = got["u@" + domain(n)]
                    if status == SENT:
                        self.assertIn(" verified " if n in proved else " unverified ", tls, n)

    # -- DNS -----------------------------------------------------------------------------
    def test_name_servers(self):
        """Answers that are cut short, malformed, or lead round in circles."""
        with lab.Lab("baddns") as l:
            good = l.mx()
            dns = BadDNS()
            l.closers.append(dns.close)
            l.config(delivery={"retry": ["1h"], "port": good.port, "tls": {"policy": "none"}},
                     dns={"servers": ["127.0.0.1:%d" % dns.port], "dnssec": "false"})
            l.start_postern()
            before = self.memory(l)
            # The liars last: a resolver that was lied to asks that server less gladly for a while.
            got = {}
            for liars in (False, True):
                to = ["u@%s.lab" % n for n, (o, _) in BadDNS.CASES.items() if (o == DEFERRED) == liars]
                mid = l.send(to)[1].split()[-1]
                got.update(self.outcomes(l, mid, len(to)))
            self.judge([(n, o, p) for n, (o, p) in BadDNS.CASES.items()], got, lambda n: "u@%s.lab" % n)
            self.assertEqual(sorted(r for m in good.messages for r in m[1]),
                             sorted("u@%s.lab" % n for n, (o, _) in BadDNS.CASES.items() if o == SENT))
            if not lab.SANITIZED:
                self.assertLess(self.memory(l) - before, MEMORY_MIB)


def name(text):
    return b"".join(struct.pack("B", len(x)) + x.encode() for x in text.split(".") if x) + b"\0"


A, CNAME, MX, AAAA = 1, 5, 15, 28


class BadDNS:
    """A name server that lies by the first label of what it is asked; UDP and TCP on one port."""
    TRY = "try again|did not answer"
    CASES = {
        "fine": (SENT, None),
        "truncated": (SENT, None),                      # the whole answer comes over TCP
        "cut-for-good": (DEFERRED, TRY),                # TC, and nobody at TCP
        "cname-loop": (DEFERRED, TRY),
        "cname-self": (DEFERRED, TRY),
        "cname-long": (DEFERRED, TRY),                  # a chain that never ends
        "cname-mx": (SENT, None),                       # an alias of a domain with MX (RFC 5321, 5.1)
        "mx-loop": (DEFERRED, None),                    # the MX host's address runs in a circle
        "mx-cname": (SENT, None),                       # against RFC 2181, 10.3, and common
        "short-rdata": (DEFERRED, TRY),
        "pointer-loop": (DEFERRED, TRY),
        "count-lies": (DEFERRED, TRY),
        "garbage": (DEFERRED, TRY),
        "silent": (DEFERRED, TRY),
        "servfail": (DEFERRED, TRY),
        "refused": (DEFERRED, TRY),
        "wrong-question": (DEFERRED, TRY),
        "null-mx": (BOUNCED, "nullMX"),
        "mx-root-among": (SENT, None),                  # "." beside a real host
        "mx-number": (BOUNCED, None),                   # an address where a name belongs
        "many": (SENT, None),                           # 300 MX records
        "nothing": (BOUNCED, None),
    }

    def __init__(self):
        self.udp, self.tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        self.port = lab.free_port()
        for s in (self.udp, self.tcp):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", self.port))
        self.tcp.listen(64)
        threading.Thread(target=self.serve_udp, daemon=True).start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    def close(self):
        # shutdown wakes what waits in accept; recvfrom needs a packet
        with contextlib.suppress(OSError):
            self.tcp.shutdown(socket.SHUT_RDWR)
        self.tcp.close()
        with contextlib.suppress(OSError):
            self.udp.shutdown(socket.SHUT_RDWR)
        self.udp.close()

    def serve_udp(self):
        with contextlib.suppress(OSError):
            while True:
                q, who = self.udp.recvfrom(4096)
                if not q:
                    return
                a = self.answer(q, False)
                if a is not None:
                    self.udp.sendto(a, who)

    def serve_tcp(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.tcp.accept()
                with s, contextlib.suppress(OSError, struct.error):
                    s.settimeout(5)
                    n = struct.unpack("!H", s.recv(2))[0]
                    a = self.answer(s.recv(n), True)
                    if a is not None:
                        s.sendall(struct.pack("!H", len(a)) + a)

    def answer(self, q, tcp):
        at, labels = 12, []
        while q[at]:
            labels.append(q[at + 1:at + 1 + q[at]].decode().lower())
            at += q[at] + 1
        kind = struct.unpack("!H", q[at + 1:at + 3])[0]
        question, owner, first = q[12:at + 5], ".".join(labels), labels[0]
        out, flags = [], 0x8580

        def rr(who, t, data, raw_owner=None):
            out.append((raw_owner or name(who)) + struct.pack("!HHIH", t, 1, 60, len(data)) + data)

        def packet(flags=flags, count=None, q=question):
            return self.id + struct.pack("!HHHHH", flags, 1, len(out) if count is None else count, 0, 0) + q + b"".join(out)
        self.id = q[:2]
        good = struct.pack("!H", 10) + name("mx.lab")
        if first == "mx" or first == "end":
            if kind == A:
                rr(owner, A, bytes([127, 0, 0, 1]))
            return packet()
        if first == "truncated":
            if not tcp:
                return packet(flags=0x8780)
            if kind == MX:
                rr(owner, MX, good)
        elif first == "cut-for-good":
            return None if tcp else packet(flags=0x8780)
        elif first in ("cname-loop", "loop-b"):
            rr(owner, CNAME, name("loop-b.lab" if first == "cname-loop" else "cname-loop.lab"))
        elif first == "cname-self":
            rr(owner, CNAME, name(owner))
        elif first.startswith("cname-long"):
            n = int(first[10:] or 0)
            rr(owner, CNAME, name("cname-long%d.lab" % (n + 1)))
        elif first == "cname-mx":
            rr(owner, CNAME, name("fine.lab"))
            if kind == MX:
                rr("fine.lab", MX, good)
        elif first == "mx-loop" and kind == MX:
            rr(owner, MX, struct.pack("!H", 10) + name("cname-loop.lab"))
        elif first == "mx-cname" and kind == MX:
            rr(owner, MX, struct.pack("!H", 10) + name("alias.lab"))
        elif first == "alias":
            rr(owner, CNAME, name("end.lab"))
            if kind == A:
                rr("end.lab", A, bytes([127, 0, 0, 1]))
        elif first == "short-rdata":
            out.append(name(owner) + struct.pack("!HHIH", MX, 1, 60, 40) + b"\0\x0a")
        elif first == "pointer-loop":
            n = 12 + len(question)
            rr(owner, MX, struct.pack("!H", 10) + struct.pack("!H", 0xc000 | n), raw_owner=struct.pack("!H", 0xc000 | n))
        elif first == "count-lies":
            rr(owner, MX, good)
            return packet(count=500)
        elif first == "garbage":
            return self.id + os.urandom(60)
        elif first == "silent":
            return None
        elif first == "servfail":
            return packet(flags=0x8182)
        elif first == "refused":
            return packet(flags=0x8185)
        elif first == "wrong-question":
            rr("other.lab", MX, good)
            return packet(q=name("other.lab") + question[-4:])
        elif first == "null-mx" and kind == MX:
            rr(owner, MX, struct.pack("!H", 0) + b"\0")
        elif first == "mx-root-among" and kind == MX:
            rr(owner, MX, struct.pack("!H", 5) + b"\0")
            rr(owner, MX, good)
        elif first == "mx-number" and kind == MX:
            rr(owner, MX, struct.pack("!H", 10) + name("127.0.0.1"))
        elif first == "many" and kind == MX:
            for i in range(300):
                rr(owner, MX, struct.pack("!H", 10 if i == 299 else 10) + name("mx.lab"), raw_owner=b"\xc0\x0c")
            if not tcp and len(packet()) > 1200:
                out.clear()
                return packet(flags=0x8780)
        elif first == "fine" and kind == MX:
            rr(owner, MX, good)
        elif first == "nothing" or labels[-1] != "lab":
            return packet(flags=0x8583)
        return packet()


if __name__ == "__main__":
    unittest.main()
