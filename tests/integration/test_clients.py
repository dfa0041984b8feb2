"""Who the client is and for whom it may speak: PROXY headers, XCLIENT, networks bound to domains, banners."""
import re
import socket
import struct
import unittest

import lab


class Talk:
    """A connection whose every byte is the test's."""

    def __init__(self, port, first=b"", source="127.0.0.1"):
        self.s = socket.create_connection(("127.0.0.1", port), 30, (source, 0))
        self.f = self.s.makefile("rb")
        if first:
            self.s.sendall(first)

    def reply(self):
        """The lines of one reply as text; '' at the end of the connection."""
        lines = []
        while True:
            try:
                line = self.f.readline().decode()
            except ConnectionError:
                line = ""
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, line):
        self.s.sendall(line.encode() + b"\r\n")
        return self.reply()

    def mail(self, sender="a@example.lab", to="b@partner.lab", body="Hello."):
        return [self.say("MAIL FROM:<%s>" % sender), self.say("RCPT TO:<%s>" % to), self.say("DATA"),
                self.say("From: <%s>\r\nSubject: t\r\n\r\n%s\r\n." % (sender, body))]

    def close(self):
        self.f.close()
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def v2(client, port, command=0x21):
    addresses = socket.inet_aton(client) + socket.inet_aton("198.51.100.1") + struct.pack(">HH", port, 25)
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([command, 0x11]) + struct.pack(">H", len(addresses)) + addresses


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("clients")
        cls.addClassCleanup(cls.lab.close)
        cls.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        cls.mx = cls.lab.mx()
        cls.ports = {n: lab.free_port() for n in ("proxied", "xclient", "bound")}
        cls.lab.ports["smtp"] = cls.ports["bound"]
        cls.lab.config(
            delivery={"port": cls.mx.port},
            networks={"balancer": ["127.0.0.1"], "inside": ["10.1.2.3", "10.1.2.4"],
                      "bound": {"addresses": ["127.0.0.2"], "from": ["example.lab", ".sub.lab"]}},
            listeners=[
                {"name": "proxied", "address": "127.0.0.1:%d" % cls.ports["proxied"], "direction": "outbound",
                 "allow": ["network:inside", "127.0.0.9"], "proxy_protocol": ["network:balancer"],
                 "limits": {"sessions_per_client": 2}},
                {"name": "xclient", "address": "127.0.0.1:%d" % cls.ports["xclient"], "direction": "outbound",
                 "allow": ["network:inside", "127.0.0.0/8"], "xclient": ["127.0.0.1"]},
                {"name": "bound", "address": "127.0.0.1:%d" % cls.ports["bound"], "direction": "outbound",
                 "allow": ["network:bound", "127.0.0.1"], "hostname": "mx7.example.lab",
                 "banner": "ESMTP the back door"}])
        cls.lab.start_postern()

    def talk(self, name, first=b"", source="127.0.0.1"):
        t = Talk(self.ports[name], first, source)
        self.addCleanup(t.close)
        return t

    def received(self, subject_id):
        m = lab.wait_for(lambda: [m for m in self.mx.messages if subject_id.encode() in m[2]], because="the message")
        return m[0][2].decode()

    def test_proxy_header_names_the_client(self):
        for n, first in enumerate((b"PROXY TCP4 10.1.2.3 198.51.100.1 4711 25\r\n", v2("10.1.2.4", 4712))):
            with self.talk("proxied", first) as t:
                self.assertRegex(t.reply(), "^220 ")
                self.assertRegex(t.say("EHLO mail.inside.lab"), "^250-")
                answers = t.mail()
                self.assertRegex(answers[-1], "^250 2.0.0 accepted as ")
                mid = answers[-1].split()[-1]
            text = self.received("id " + mid)
            ip = ("10.1.2.3", "10.1.2.4")[n]
            self.assertRegex(text, r"Received: from mail\.inside\.lab \(inside \[%s\]\)" % re.escape(ip))
            self.assertRegex(self.lab.log(), r"%s: client=inside\[%s\]" % (mid, re.escape(ip)))

    def test_header_in_pieces_and_together_with_early_bytes(self):
        t = self.talk("proxied")
        for piece in (b"PRO", b"XY TCP4 10.1.2.3 198.5", b"1.100.1 4711 25\r", b"\nEHLO x.lab\r\n"):
            t.s.sendall(piece)
        self.assertRegex(t.reply(), "^220 ")
        self.assertRegex(t.reply(), "^250-")

    def test_access_looks_at_the_real_client(self):
        t = self.talk("proxied", b"PROXY TCP4 192.0.2.66 198.51.100.1 4711 25\r\n")
        self.assertRegex(t.reply(), r"^554 5\.7\.1 this client is not permitted to relay \(ref [0-9A-Za-z]{11}\)$")
        self.assertEqual(t.reply(), "")
        lab.wait_for(lambda: "reject: CONNECT from unknown[192.0.2.66]" in self.lab.log(), because="the log line")

    def test_sessions_count_for_the_real_client(self):
        first = b"PROXY TCP4 10.1.2.4 198.51.100.1 4711 25\r\n"
        held = [self.talk("proxied", first) for _ in range(2)]
        for t in held:
            self.assertRegex(t.reply(), "^220 ")
        self.assertRegex(self.talk("proxied", first).reply(), r"^421 4\.7\.0 too many sessions of this client")
        self.assertRegex(self.talk("proxied", first.replace(b"10.1.2.4", b"10.1.2.3")).reply(), "^220 ")
        held[0].close()
        lab.wait_for(lambda: self.talk("proxied", first).reply().startswith("220 "), because="a free session")

    def test_health_checks_are_the_balancer_itself(self):
        for first in (b"PROXY UNKNOWN\r\n", v2("10.1.2.3", 1, command=0x20)):
            self.assertRegex(self.talk("proxied", first).reply(), "^554 5.7.1 ", "127.0.0.1 itself may not relay")

    def test_no_banner_without_a_header(self):
        t = self.talk("proxied", b"EHLO x.lab\r\n")
        self.assertEqual(t.reply(), "")
        self.assertIn("a PROXY header of 127.0.0.1 cannot be read", self.lab.log())

    def test_from_elsewhere_a_header_is_junk(self):
        t = self.talk("proxied", b"PROXY TCP4 10.1.2.3 198.51.100.1 4711 25\r\n", source="127.0.0.9")
        self.assertRegex(t.reply(), "^220 ")
        self.assertRegex(t.reply(), r"^500 5\.5\.2 unknown command \(ref ")

    def test_xclient(self):
        with self.talk("xclient") as t:
            t.reply()
            self.assertIn("XCLIENT NAME ADDR PORT PROTO HELO LOGIN", t.say("EHLO proxy.lab"))
            self.assertRegex(t.say("XCLIENT NAME=pc7.inside.lab ADDR=10.1.2.3 PORT=4711 HELO=pc7 LOGIN=m.durand PROTO=SMTP"),
                             "^220 ")
            self.assertRegex(t.say("MAIL FROM:<a@example.lab>"), "^503 5.5.1 .*EHLO first")
            t.say("EHLO proxy.lab")
            mid = t.mail()[-1].split()[-1]
            self.assertRegex(t.say("XCLIENT ADDR=192.0.2.66"), "^554 5.7.1 this client is not permitted")
            self.assertEqual(t.reply(), "")
        text = self.received("id " + mid)
        self.assertIn("Received: from pc7 (pc7.inside.lab [10.1.2.3])", text)
        self.assertRegex(text, r"with SMTP id " + mid)
        self.assertIn("%s: client=pc7.inside.lab[10.1.2.3]" % mid, self.lab.log())

    def test_xclient_is_for_named_networks(self):
        with self.talk("xclient", source="127.0.0.5") as t:
            t.reply()
            self.assertNotIn("XCLIENT", t.say("EHLO x.lab"))
            self.assertRegex(t.say("XCLIENT ADDR=10.1.2.3"), r"^550 5\.7\.0 .*\(ref ")
        with self.talk("xclient") as t:
            t.reply()
            t.say("EHLO x.lab")
            self.assertRegex(t.say("XCLIENT ADDR=10.1.2.300"), "^501 5.5.4 bad XCLIENT attribute: ADDR=10.1.2.300")
            t.say("MAIL FROM:<a@example.lab>")
            self.assertRegex(t.say("XCLIENT ADDR=10.1.2.3"), "^503 ")

    def test_networks_may_be_bound_to_domains(self):
        with self.talk("bound", source="127.0.0.2") as t:
            self.assertRegex(t.reply(), "^220 mx7.example.lab ESMTP the back door$")
            self.assertRegex(t.say("EHLO x.lab"), "^250-mx7.example.lab\n")
            self.assertRegex(t.say("MAIL FROM:<boss@other.lab>"), r"^553 5\.7\.1 <boss@other\.lab>: .*\(ref [0-9A-Za-z]{11}\)$")
            self.assertRegex(t.say("MAIL FROM:<x@sub.lab>"), "^553 ", "`.sub.lab` is its subdomains only")
            for good in ("a@example.lab", "a@x.sub.lab", ""):
                self.assertRegex(t.say("MAIL FROM:<%s>" % good), "^250 ")
                t.say("RSET")
            mid = t.mail()[-1].split()[-1]
        self.assertIn("by mx7.example.lab (Postern)", self.received("id " + mid))
        with self.talk("bound") as t:       # another network of the same listener: not bound
            t.reply()
            t.say("EHLO x.lab")
            self.assertRegex(t.say("MAIL FROM:<boss@other.lab>"), "^250 ")

    def test_loops(self):
        with self.talk("bound") as t:
            t.reply()
            t.say("EHLO x.lab")
            hop = "Received: from a by mx7.example.lab (Postern) with ESMTP id 1; Sun, 22 Nov 2026 10:00:00 +0000\r\n"
            for n, want in ((1, "^250 "), (2, r"^554 5\.4\.6 .*loop.*\(ref ")):
                t.say("MAIL FROM:<a@example.lab>")
                t.say("RCPT TO:<b@partner.lab>")
                t.say("DATA")
                self.assertRegex(t.say(hop * n + "Subject: loop\r\n\r\nx\r\n."), want)
            t.say("MAIL FROM:<a@example.lab>")
            t.say("RCPT TO:<b@partner.lab>")
            t.say("DATA")
            self.assertRegex(t.say("Received: by x\r\n" * 51 + "\r\nx\r\n."), r"^554 5\.4\.6 too many hops")


if __name__ == "__main__":
    unittest.main()
