#!/usr/bin/env python3
"""Postern as a milter of a real Postfix: what passes, what is changed, refused, taken; and what fails closed."""
import contextlib
import os
import signal
import smtplib
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import lab                                                                      # noqa: E402

CARD = "4111 1111 1111 1111"
POLICY = """version: 1
use: [postern/base]
rules:
  - {id: held, when: {to: [hold.lab], finds: payment-card}, then: {hold: group:dpo}}
  - {id: redact, when: {to: [partner.lab], finds: payment-card}, then: {redact: this}}
  - {id: tag, when: {to: [tagged.lab]}, then: {prefix_subject: "[out]", add_header: {X-Seen: "yes"}}}
  - {id: no, when: {subject: {words: [refuseme]}}, then: {reject: "5.7.1 100% not outside"}}
  - {id: virus-no, when: {virus: true, subject: {words: [evil]}}, then: {reject: "5.7.1 a virus stays here"}}
groups: {dpo: [dpo@example.lab]}
"""


class Milter(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("milter")
        cls.addClassCleanup(cls.lab.close)
        cls.mx = cls.lab.mx()
        cls.lab.ports["milter"], back = lab.free_port(), lab.free_port()
        cls.lab.policy(POLICY)
        cls.lab.dns({"partner.lab": ["@ MX 0 ."]})
        cls.conf = dict(
            listeners=[{"name": "postfix", "milter": "inet:127.0.0.1:%d" % cls.lab.ports["milter"]}],
            delivery={"routes": {"*": ["127.0.0.1:%d" % back]}, "retry": ["1s"], "tls": {"policy": "none"}},
            antivirus={"engine": "libclamav", "databases": cls.lab.signatures()})
        cls.lab.config(**cls.conf)
        cls.lab.start_postern()
        cls.mta = cls.lab.postfix("mta", {
            "relayhost": "[127.0.0.1]:%d" % cls.mx.port, "mydomain": "example.lab",
            "smtpd_milters": "inet:127.0.0.1:%d" % cls.lab.ports["milter"],
            "milter_default_action": "tempfail", "milter_connect_timeout": "10s"},
            master=["127.0.0.1:%d inet n - n - - smtpd -o smtpd_milters=" % back])

    def send(self, to, **kw):
        """The last reply of Postfix, as (code, text)."""
        to = [to] if isinstance(to, str) else to
        with smtplib.SMTP("127.0.0.1", self.mta, timeout=lab.DEADLINE) as s:
            s.ehlo("client.example.lab")
            for code, text in [s.mail("a@example.lab"), *(s.rcpt(t) for t in to)]:
                if code != 250:
                    return code, text.decode()
            code, text = s.data(lab.message(to=to, **kw))
            return code, text.decode()

    def arrived(self, subject, n=1):
        def look():
            with self.mx.lock:
                m = [m for m in self.mx.messages if b"Subject: " + subject.encode() in m[2] or
                     b"Subject: [out] " + subject.encode() in m[2]]
            return m if len(m) >= n else None
        return lab.wait_for(look, because="%s at the MX\n%s" % (subject, lab.tail(self.lab.path("mta", "maillog"), 20)))

    def held(self, subject):
        def look():
            return [l for l in self.lab.control({"cmd": "held.list", "selector": "", "all": True})
                    if "id" in l and subject in str(l)]
        return lab.wait_for(look, because=subject + " to be held")

    def test_clean(self):
        self.assertEqual(self.send("b@partner.lab", subject="clean-1", body="..dot\r\nand more\r\n")[0], 250)
        m = self.arrived("clean-1")[0]
        self.assertRegex(m[2], rb"X-Postern-Id: \w{11}\r\n")
        self.assertTrue(m[2].endswith(b"\r\n\r\n..dot\r\nand more\r\n"), m[2])
        self.assertEqual(m[2].count(b"Received:"), 1, "it never was in our queue")
        ident = m[2].split(b"X-Postern-Id: ")[1].split()[0].decode()
        lab.wait_for(lambda: "passed to the MTA" in self.lab.tool("trace", ident, check=False).stdout, because="the journal to have it")

    def test_refused_with_our_words(self):
        code, text = self.send("b@partner.lab", subject="refuseme")
        self.assertEqual(code, 550)
        self.assertRegex(text, r"5\.7\.1 100% not outside \(ref \w{11}\)")
        code, text = self.send("b@partner.lab", subject="evil", body=lab.EICAR + "\r\n")
        self.assertEqual(code, 550)
        self.assertRegex(text, r"5\.7\.1 a virus stays here \(ref \w{11}\)")

    def test_quarantined(self):
        self.assertEqual(self.send("b@partner.lab", subject="ill", body=lab.EICAR + "\r\n")[0], 250)
        lab.wait_for(lambda: [l for l in self.lab.control({"cmd": "quarantine.list", "selector": "", "all": True})
                              if "id" in l], because="it to be in quarantine")
        self.assertEqual([m for m in self.mx.messages if b"Subject: ill" in m[2]], [])

    def test_changed(self):
        self.assertEqual(self.send("b@tagged.lab", subject="tagged-1")[0], 250)
        m = self.arrived("tagged-1")[0][2]
        self.assertIn(b"Subject: [out] tagged-1\r\n", m)
        self.assertIn(b"X-Seen: yes\r\n", m)
        self.assertEqual(m.count(b"Subject:"), 1)
        text = "".join("line %d of a long body\r\n" % i for i in range(9000)) + "card %s.\r\n" % CARD
        self.assertEqual(self.send("b@partner.lab", subject="redacted-1", body=text)[0], 250)
        m = self.arrived("redacted-1")[0][2]
        self.assertNotIn(CARD.encode(), m)
        self.assertIn(b"line 8999 of a long body\r\ncard ", m)

    def test_held_and_released_once(self):
        self.assertEqual(self.send("b@hold.lab", subject="held-1", body="card %s\r\n" % CARD)[0], 250)
        row = self.held("held-1")[0]
        self.assertEqual([m for m in self.mx.messages if b"held-1" in m[2]], [], "Postfix forgot it")
        self.lab.tool("held", "release", row["id"], "--yes")
        m = self.arrived("held-1")
        self.lab.queue_empty()
        self.assertEqual(len(m), 1)
        self.assertIn(CARD.encode(), m[0][2])
        self.assertEqual(m[0][1], ["b@hold.lab"])

    def test_each_his_own(self):
        """Two texts and a hold in one message: one goes on with Postfix, one comes back by delivery, one waits."""
        self.assertEqual(self.send(["b@partner.lab", "c@tagged.lab", "d@hold.lab"], subject="own-1",
                                   body="card %s\r\n" % CARD)[0], 250)
        got = {m[1][0]: m for m in self.arrived("own-1", 2)}
        self.assertEqual(sorted(got), ["b@partner.lab", "c@tagged.lab"])
        self.assertNotIn(CARD.encode(), got["b@partner.lab"][2])
        self.assertIn(CARD.encode(), got["c@tagged.lab"][2])
        self.assertIn(b"[out] own-1", got["c@tagged.lab"][2])
        self.assertEqual(len(self.held("own-1")), 1)

    def test_no_memory(self):
        """A body that is given back is of the budget of all mail: it stands there twice."""
        def body(size):
            return "card %s.\r\n" % CARD + ("x" * 70 + "\r\n") * (size // 72)
        self.lab.config(limits={"memory": "1MB"}, **self.conf)
        self.lab.tool("reload")
        try:
            hits = self.lab.counter("limit_hits")
            code, text = self.send("b@partner.lab", subject="budget-1", body=body(650000))
            self.assertEqual(code, 451, text)
            self.assertEqual(self.lab.counter("limit_hits"), hits + 1)
            self.assertEqual(self.send("b@tagged.lab", subject="budget-2", body=body(650000))[0], 250, "its body stays as it was")
            self.assertEqual(self.send("b@partner.lab", subject="budget-3", body=body(300000))[0], 250)
            self.assertNotIn(CARD.encode(), self.arrived("budget-3")[0][2])
            lab.wait_for(lambda: self.lab.counter("smtpd_memory_bytes") == 0, because="what was charged to be given back")
        finally:
            self.lab.config(**self.conf)
            self.lab.tool("reload")

    def test_no_scanner(self):
        master = self.lab.daemon.pid
        scanners = self.lab.pids("scanner") + self.lab.pids("scanner", worker=True)
        os.kill(master, signal.SIGSTOP)         # it would start another one
        try:
            for pid in scanners:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            code, text = self.send("b@partner.lab", subject="alone-1")
            self.assertEqual(code // 100, 4, text)
        finally:
            os.kill(master, signal.SIGCONT)
        lab.wait_for(lambda: self.send("b@partner.lab", subject="alone-1")[0] == 250, because="a new scanner")
        self.assertEqual(len(self.arrived("alone-1")), 1)

    def test_doctor(self):
        self.assertRegex(self.lab.tool("doctor", check=False).stdout, "postfix answers on 127.0.0.1:%d" % self.lab.ports["milter"])

    def test_killed(self):
        """posternd dies between DATA and the answer: Postfix defers, the client keeps the message."""
        with smtplib.SMTP("127.0.0.1", self.mta, timeout=lab.DEADLINE) as s:
            s.ehlo("client.example.lab")
            s.mail("a@example.lab")
            s.rcpt("b@partner.lab")
            self.lab.kill_postern()
            code, text = s.data(lab.message(subject="killed-1"))
            self.assertEqual(code // 100, 4, text)
        self.lab.start_postern("posternd-again.log")
        self.assertEqual(self.send("b@partner.lab", subject="killed-1")[0], 250)
        self.assertEqual(len(self.arrived("killed-1")), 1)


class Configuration(unittest.TestCase):
    def test_places(self):
        with lab.Lab("milter-config") as l:
            for listener, delivery, want in (
                    ({"milter": "inet:127.0.0.1:8891", "tls": "offered"}, {"routes": {"*": ["127.0.0.1:26"]}}, "`tls` is for SMTP"),
                    ({"milter": "inet:127.0.0.1:8891"}, {}, "released mail returns"),
                    ({"milter": "/run/x"}, {"routes": {"*": ["127.0.0.1:26"]}}, "inet:127.0.0.1:8891"),
                    ({"address": "127.0.0.1:8025", "mtas": ["127.0.0.1"]}, {}, "`mtas` belongs to")):
                l.policy("version: 1\n")
                l.config(listeners=[{"name": "m", **listener}], delivery=delivery)
                r = l.tool("check", check=False)
                self.assertNotEqual(r.returncode, 0)
                self.assertIn(want, r.stdout + r.stderr)


if __name__ == "__main__":
    unittest.main()
