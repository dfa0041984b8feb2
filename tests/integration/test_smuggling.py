"""The smuggling matrix: whatever a client writes where a message might end, one message in is one
message out, with Postfix, Exim and OpenSMTPD as next hop (CVE-2023-51764, -51765, -51766).

Every next hop passes on to one scripted MX, which counts. Each variant goes to all three at
once, to a listener that refuses bare newlines and to one that normalises them, by DATA and
by BDAT.
"""
import itertools
import re
import socket
import unittest

import lab
import mta

HOPS = ["postfix", "exim", "opensmtpd"]
ENDS = [b"\n", b"\r", b"\r\n", b"\r\r\n", b"\n\r", b"\n\n"]
VARIANTS = [a + dot + b for a, dot, b in itertools.product(ENDS, [b".", b".."], ENDS)]
TRUE_END = b"\r\n.\r\n"


def bare(data):
    return re.search(rb"\r(?!\n)|(?<!\r)\n", data) is not None


def unstuffed(data):
    return re.sub(rb"(\A|\r\n)\.", rb"\1", data)


def normalised(data):
    return re.sub(rb"\r\n|\r|\n", b"\r\n", data)


class Client:
    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", port), 60)
        self.f = self.s.makefile("rb")

    def reply(self):
        lines = []
        while True:
            line = self.f.readline()
            if not line:
                return None
            lines.append(line)
            if line[3:4] != b"-":
                return b"".join(lines)

    def say(self, data, n=1):
        self.s.sendall(data)
        return [self.reply() for _ in range(n)][-1]

    def rest(self):
        """Every reply until the server closes."""
        out = []
        while True:
            try:
                r = self.reply()
            except ConnectionResetError:
                r = None
            if r is None:
                self.s.close()
                return out
            out.append(r[:3])


class Smuggling(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("smuggling")
        cls.addClassCleanup(cls.lab.close)
        cls.mx = cls.lab.mx()
        onward = "[127.0.0.1]:%d" % cls.mx.port
        cls.ports = {
            # As lenient as Postfix was for twenty years: the relay in front must not need its help.
            "postfix": cls.lab.postfix("postfix", {"relayhost": onward, "smtpd_forbid_bare_newline": "no",
                                                   "default_process_limit": "20"}),
            "exim": mta.exim(cls.lab, "exim", cls.mx.port),
            "opensmtpd": mta.opensmtpd(cls.lab, "opensmtpd", cls.mx.port)}
        cls.strict, cls.lenient = lab.free_port(), lab.free_port()
        cls.lab.ports["smtp"] = cls.strict
        listener = {"direction": "outbound", "allow": ["network:internal"]}
        cls.lab.config(
            delivery={"retry": ["1s"], "routes": {h + ".lab": ["127.0.0.1:%d" % p] for h, p in cls.ports.items()}},
            listeners=[{"name": "smart-host", "address": "127.0.0.1:%d" % cls.strict, **listener},
                       {"name": "printers", "address": "127.0.0.1:%d" % cls.lenient, "bare_newlines": "normalise",
                        **listener}])
        cls.lab.start_postern()
        cls.sent = {}           # tag -> body as it must arrive

    def begin(self, port):
        c = Client(port)
        self.assertTrue(c.reply().startswith(b"220"))
        self.assertIn(b"CHUNKING", c.say(b"EHLO client.example.lab\r\n"))
        c.say(b"MAIL FROM:<a@example.lab>\r\n" + b"".join(b"RCPT TO:<b@%s.lab>\r\n" % h.encode() for h in HOPS), 4)
        return c

    def text(self, tag, variant):
        head = b"From: <a@example.lab>\r\nSubject: %s\r\n\r\n" % tag.encode()
        evil = (b"MAIL FROM:<evil@example.lab>\r\nRCPT TO:<victim@postfix.lab>\r\nDATA\r\n"
                b"Subject: smuggled %s\r\n\r\nevil\r\n" % tag.encode())
        return head, b"before" + variant + evil

    def by_data(self, port, tag, variant):
        head, body = self.text(tag, variant)
        c = self.begin(port)
        self.assertTrue(c.say(b"DATA\r\n").startswith(b"354"))
        c.s.sendall(head + body + b".\r\nQUIT\r\n")
        self.sent[tag] = normalised(unstuffed(body))
        return c.rest()

    def by_bdat(self, port, tag, variant):
        head, body = self.text(tag, variant)
        c = self.begin(port)
        # cut inside the variant, where a machine that looks at chunks one by one would trip
        cut = len(head) + len(b"before") + len(variant) // 2
        whole = head + body
        c.s.sendall(b"BDAT %d\r\n%sBDAT %d LAST\r\n%sQUIT\r\n" % (cut, whole[:cut], len(whole) - cut, whole[cut:]))
        self.sent[tag] = normalised(body)
        return c.rest()

    def check(self, tags):
        """Each of the tags came out once at each next hop, and nothing else at all."""
        for h in HOPS:
            self.lab.send("last@%s.lab" % h, subject="sentinel")
        self.lab.queue_empty(120)
        want = len(tags) * len(HOPS) + len(HOPS)
        lab.wait_for(lambda: len(self.mx.messages) >= want, 120,
                     because="%d messages; there are %d" % (want, len(self.mx.messages)))
        got = {}
        for sender, rcpts, data in self.mx.messages:
            self.assertEqual(sender, "a@example.lab")
            head, body = data.split(b"\r\n\r\n", 1)
            subject = re.search(rb"(?m)^Subject: (.*?)\r?$", head).group(1).decode()
            if subject == "sentinel":
                continue
            self.assertIn(subject, tags)
            for r in rcpts:
                self.assertRegex(r, r"\Ab@(postfix|exim|opensmtpd)\.lab\Z")
                got.setdefault((subject, r), []).append(body)
        for tag in tags:
            for h in HOPS:
                bodies = got.pop((tag, "b@%s.lab" % h), [])
                self.assertEqual(bodies, [self.sent[tag]], "%s by %s" % (tag, h))
        self.assertEqual(got, {})
        del self.mx.messages[:]

    def test_refusing_listener(self):
        accepted = []
        for i, v in enumerate(VARIANTS):
            tag = "data-%d" % i
            if v.find(TRUE_END) >= 0 and not bare(v[:v.find(TRUE_END)] + TRUE_END):
                continue        # the client did end its message here
            replies = self.by_data(self.strict, tag, v)
            self.assertEqual(replies, [b"554"] if bare(v) else [b"250", b"221"], repr(v))
            if not bare(v):
                accepted.append(tag)
            tag = "bdat-%d" % i
            replies = self.by_bdat(self.strict, tag, v)
            # a chunk's end is known: the session goes on behind a refused one
            if bare(v):
                self.assertIn(replies, ([b"250", b"554", b"221"], [b"554", b"503", b"221"]), repr(v))
            else:
                self.assertEqual(replies, [b"250", b"250", b"221"], repr(v))
                accepted.append(tag)
        self.assertGreaterEqual(len(accepted), 2)
        self.check(accepted)

    def test_normalising_listener(self):
        accepted = []
        for i, v in enumerate(VARIANTS):
            if TRUE_END not in v:
                accepted.append("ndata-%d" % i)
                self.assertEqual(self.by_data(self.lenient, accepted[-1], v), [b"250", b"221"], repr(v))
            accepted.append("nbdat-%d" % i)
            self.assertEqual(self.by_bdat(self.lenient, accepted[-1], v), [b"250", b"250", b"221"], repr(v))
        self.assertGreater(len(accepted), 120)
        self.check(accepted)

    def test_the_matrix_would_see_it(self):
        """Without the relay in front, this Postfix makes two messages of one."""
        c = Client(self.ports["postfix"])
        c.reply()
        c.say(b"EHLO client.example.lab\r\n")
        c.say(b"MAIL FROM:<a@example.lab>\r\nRCPT TO:<b@postfix.lab>\r\n", 2)
        self.assertTrue(c.say(b"DATA\r\n").startswith(b"354"))
        head, body = self.text("direct", b"\r\n.\n")
        c.s.sendall(head + body + b".\r\nQUIT\r\n")
        self.assertEqual(c.rest().count(b"250"), 4, "two messages, a sender and a recipient")
        lab.wait_for(lambda: any(m[0] == "evil@example.lab" for m in self.mx.messages), because="the smuggled message")
        lab.wait_for(lambda: len(self.mx.messages) >= 2, because="both messages")
        del self.mx.messages[:]


if __name__ == "__main__":
    unittest.main()
