"""The echo address: it answers proved senders with what came and what we think of it, and nobody else ever hears of it."""
import email
import email.policy
import re
import unittest

import lab
import signing

GOOD, BAD = "127.0.0.2", "127.0.0.3"    # the one address that SPF permits, and another
ECHO = "echo@example.lab"


class Echo(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = l = lab.Lab("echo")
        cls.addClassCleanup(l.close)
        cls.mx = l.mx()
        cls.key = signing.new_key()
        cls.said = []
        cls.hop = l.mx(reply=lambda line, s: cls.said.append(line) or ("550 5.1.1 no such" if "echo@" in line else None))
        l.dns({"lab": [], "sender.lab": ['@ TXT "v=spf1 ip4:127.0.0.2 -all"', "@ MX 10 mx", "mx A 127.0.0.1", signing.txt("s._domainkey", signing.record(cls.key))],
               "bare.lab": ["@ MX 10 mx", "mx A 127.0.0.1"], "example.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        port = l.ports.setdefault("smtp", lab.free_port())
        l.policy("version: 1\nuse: [postern/inbound]\nrules:\n"
                 "  - {id: odd-words, when: {subject: {words: [zanzibar]}}, then: {quarantine: suspects}}\n"
                 "  - {id: never, when: {subject: {words: [forbidden]}}, then: {reject: \"no\"}}\n")
        l.config(listeners=[{"name": "mx", "address": "127.0.0.1:%d" % port, "direction": "auto", "allow": ["127.0.0.1"]}],
                 domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % cls.hop.port], "recipients": "callout"}},
                 delivery={"port": cls.mx.port, "tls": {"policy": "none"}}, echo={"address": ECHO, "per_hour": 4})
        l.start_postern()

    def send(self, sender, source=GOOD, to=ECHO, subject="hello", headers=(), raw=None):
        return self.lab.send(to, sender=sender, subject=subject, headers=headers, source=source, raw=raw)

    def answers(self, to):
        return [email.message_from_bytes(raw, policy=email.policy.default) for sender, rcpts, raw in [*self.mx.messages, *self.hop.messages] if rcpts == [to]]

    def answer(self, to, n=1):
        return lab.wait_for(lambda: (lambda a: a[n - 1] if len(a) >= n else None)(self.answers(to)), because="the answer to " + to)

    def not_answered(self, text, sender, why):
        """The log says so before the 250, and what is sent behind it arrives alone."""
        ref = re.search(r"(?:accepted as |\(ref )(\w+)", text).group(1)
        self.assertRegex(self.lab.log(), r"%s: echo: <%s> is not answered: %s" % (ref, re.escape(sender), re.escape(why)))

    def test_proved_by_spf(self):
        code, text = self.send("spf@sender.lab", headers=["X-Mine: \r\n  <script>folded</script>", "Received: from inside (10.0.0.1) by old.lab; Sun, 22 Nov 2026 10:00:00 +0000"])
        self.assertEqual(code, 250, text)
        m = self.answer("spf@sender.lab")
        sender = [s for s, r, _ in self.mx.messages if r == ["spf@sender.lab"]]
        self.assertEqual(sender, [""], "nothing answers a null sender")
        self.assertEqual((m["Auto-Submitted"], m["Subject"], m["To"], m["From"].addresses[0].addr_spec), ("auto-replied", "Auto: hello", "spf@sender.lab", ECHO))
        self.assertRegex(m["In-Reply-To"], r"^<\d+\.\d+@example\.lab>$")
        body = m.get_content()
        for words in ("SPF:        pass", "DKIM:       none", "DMARC:", "Client:     127.0.0.2", "Outcome:    deliver", "<script>folded</script>",
                      "Received: from inside (10.0.0.1) by old.lab", "Authentication-Results: gw.example.lab"):
            self.assertIn(words, body)
        self.assertIn(re.search(r"accepted as (\w+)", text).group(1), body)
        self.assertNotIn("echo@", " ".join(self.said), "nobody behind us is asked whether it exists")

    def test_proved_by_dkim_alone(self):
        raw = signing.sign(lab.message("Hello.\r\n", "dkim@sender.lab", [ECHO]), self.key, "sender.lab", "s")
        self.assertEqual(self.send("dkim@sender.lab", source=BAD, raw=raw)[0], 250)
        body = self.answer("dkim@sender.lab").get_content()
        self.assertIn("SPF:        fail", body)
        self.assertIn("DKIM:       pass", body)

    def test_of_a_permitted_network(self):
        self.assertEqual(self.send("user@example.lab", source="127.0.0.1")[0], 250)
        self.assertIn("from a network that may relay", self.answer("user@example.lab").get_content())

    def test_what_a_rule_would_do(self):
        self.assertEqual(self.send("rule@sender.lab", subject="to Zanzibar")[0], 250)
        body = self.answer("rule@sender.lab").get_content()
        self.assertIn("Outcome:    quarantine", body)
        self.assertRegex(body, r"Rules: +.*odd-words")
        code, text = self.send("rule@sender.lab", subject="forbidden")
        self.assertEqual(code, 550, text)

    def test_nobody_proves_it(self):
        """Refused in the session, so that nobody is written to."""
        for sender, source, spf in (("victim@sender.lab", BAD, "fail"), ("victim@bare.lab", GOOD, "none")):
            code, text = self.send(sender, source=source)
            self.assertEqual(code, 550, text)
            self.assertIn("spf=" + spf, text)
            self.not_answered(text, sender, "of nobody whom SPF or DKIM proves")
        # Beside another recipient there is no session to refuse it in: nothing is said at all.
        code, text = self.send("victim@bare.lab", to=[ECHO, "postmaster@example.lab"])
        self.assertEqual(code, 250, text)
        self.not_answered(text, "victim@bare.lab", "of nobody whom SPF or DKIM proves")

    def test_robots_and_lists(self):
        """RFC 3834: not answered, and not refused either."""
        for i, (sender, headers, why) in enumerate((
                ("", (), "a bounce"), ("r1@sender.lab", ["Auto-Submitted: auto-replied"], "written by a program (Auto-Submitted)"),
                ("r2@sender.lab", ["auto-submitted: AUTO-GENERATED; x=y"], "written by a program (Auto-Submitted)"),
                ("r3@sender.lab", ["List-Id: <l.sender.lab>"], "of a list"), ("r4@sender.lab", ["Precedence: Bulk"], "bulk (Precedence)"),
                ("mailer-daemon@sender.lab", (), "from the address of a program"), ("x-request@sender.lab", (), "from the address of a list"),
                ("owner-x@sender.lab", (), "from the address of a list"))):
            with self.subTest(sender=sender, headers=headers):
                code, text = self.send(sender, headers=headers)
                self.assertEqual(code, 250, text)
                self.not_answered(text, sender, why)
        code, text = self.send(ECHO, source="127.0.0.1")
        self.assertEqual(code, 250, text)
        self.not_answered(text, ECHO, "from the echo address itself")
        self.assertEqual(self.send("fine@sender.lab", headers=["Auto-Submitted: no"])[0], 250)
        self.answer("fine@sender.lab")
        self.lab.queue_empty()
        wrong = [(s, r) for s, r, _ in self.mx.messages if r[0].split("@")[0] in ("r1", "r2", "r3", "r4", "mailer-daemon", "x-request", "owner-x", "echo", "victim")]
        self.assertEqual(wrong, [])

    def test_its_own_answer_ends_it(self):
        """Two echo addresses talk once at most: the answer comes back with the null sender."""
        self.assertEqual(self.send("loop@sender.lab")[0], 250)
        self.answer("loop@sender.lab")
        raw = [raw for _, r, raw in self.mx.messages if r == ["loop@sender.lab"]][0]
        code, text = self.send("", raw=raw)
        self.not_answered(text, "", "a bounce")
        code, text = self.send("loop@sender.lab", raw=raw)
        self.not_answered(text, "loop@sender.lab", "written by a program (Auto-Submitted)")

    def test_so_many_an_hour(self):
        refs = [self.send("often@sender.lab") for _ in range(6)]
        self.assertEqual({c for c, _ in refs}, {250})
        self.answer("often@sender.lab", 4)
        for _, text in refs[4:]:
            self.not_answered(text, "often@sender.lab", "one too many in this hour")
        self.lab.queue_empty()
        self.assertEqual(len(self.answers("often@sender.lab")), 4)

    def test_configuration(self):
        l = lab.Lab("echo-conf")
        self.addCleanup(l.close)
        for echo, words in (({"address": "echo@other.lab"}, "none of `domains`"), ({"address": "x"}, "not a mail address"), ({"per_hour": "3"}, "needs its `address`"),
                            ({"address": "postmaster@example.lab"}, "postmaster"), ({"adress": ECHO}, "address"), ({"address": ECHO, "per_hour": "0"}, "per_hour")):
            l.config(domains={"example.lab": {"recipients": "any"}}, echo=echo)
            r = l.tool("check", check=False)
            self.assertEqual(r.returncode, 1, echo)
            self.assertIn(words, r.stdout + r.stderr)


if __name__ == "__main__":
    unittest.main()
