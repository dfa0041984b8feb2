#!/usr/bin/env python3
"""Postern as a milter of a real Sendmail, by the lines of docs/MILTER.md: pass, change, refuse, take, and put off."""
import os
import re
import smtplib
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import lab                                                                      # noqa: E402
import mta                                                                      # noqa: E402

CARD = "4111 1111 1111 1111"
POLICY = """version: 1
use: [postern/base]
rules:
  - {id: held, when: {to: [hold.lab], finds: payment-card}, then: {hold: group:dpo}}
  - {id: redact, when: {to: [partner.lab], finds: payment-card}, then: {redact: this}}
  - {id: tag, when: {to: [tagged.lab]}, then: {prefix_subject: "[out]", add_header: {X-Seen: "yes"}}}
  - {id: no, when: {subject: {words: [refuseme]}}, then: {reject: "5.7.1 100% not outside"}}
groups: {dpo: [dpo@example.lab]}
"""


def lines_for_sendmail():
    """What docs/MILTER.md says is written into sendmail.mc."""
    with open(os.path.join(lab.ROOT, "docs/MILTER.md")) as f:
        return re.search(r"```\n(INPUT_MAIL_FILTER.*?)```", f.read(), re.S).group(1)


class Sendmail(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("milter-sendmail")
        cls.addClassCleanup(cls.lab.close)
        cls.mx = cls.lab.mx()
        cls.milter, back = lab.free_port(), lab.free_port()
        cls.lab.policy(POLICY)
        cls.lab.dns({"partner.lab": ["@ MX 0 ."]})
        cls.lab.config(listeners=[{"name": "sendmail", "milter": "inet:127.0.0.1:%d" % cls.milter}],
                       delivery={"routes": {"*": ["127.0.0.1:%d" % back]}, "retry": ["1s"], "tls": {"policy": "none"}})
        cls.lab.start_postern()
        mc = lines_for_sendmail()
        cls.mta = mta.sendmail(cls.lab, "sm", cls.mx.port,
                               mc.replace("inet:8891", "inet:%d" % cls.milter).replace("10026", str(back)))

    def send(self, to, helo="client.example.lab", **kw):
        to = [to] if isinstance(to, str) else to
        with smtplib.SMTP("127.0.0.1", self.mta, timeout=lab.DEADLINE) as s:
            s.ehlo(helo)
            for code, text in [s.mail("a@example.lab"), *(s.rcpt(t) for t in to)]:
                if code != 250:
                    return code, text.decode()
            code, text = s.data(lab.message(to=to, **kw))
            return code, text.decode()

    def arrived(self, subject, n=1):
        def look():
            with self.mx.lock:
                m = [m for m in self.mx.messages if subject.encode() in m[2].split(b"\r\n\r\n")[0]]
            return m if len(m) >= n else None
        return lab.wait_for(look, because="%s at the MX\n%s" % (subject, lab.tail(self.lab.path("sm", "traffic"), 60)))

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

    def test_folded_header(self):
        """What Sendmail hands over folded comes out as it was."""
        folded = "X-Long: one\r\n two\r\n\tthree"
        self.assertEqual(self.send("b@tagged.lab", subject="folded-1", headers=[folded])[0], 250)
        self.assertIn(folded.encode() + b"\r\n", self.arrived("folded-1")[0][2])

    def test_held_and_released_once(self):
        self.assertEqual(self.send("b@hold.lab", subject="held-1", body="card %s\r\n" % CARD)[0], 250)
        row = lab.wait_for(lambda: [l for l in self.lab.control({"cmd": "held.list", "selector": "", "all": True})
                                    if "id" in l and "held-1" in str(l)], because="held-1 to be held")[0]
        self.assertEqual([m for m in self.mx.messages if b"held-1" in m[2]], [], "Sendmail forgot it")
        self.lab.tool("held", "release", row["id"], "--yes")
        m = self.arrived("held-1")
        self.lab.queue_empty()
        self.assertEqual(len(m), 1)
        self.assertEqual(m[0][1], ["b@hold.lab"])
        self.assertIn(CARD.encode(), m[0][2])

    def test_each_his_own(self):
        self.assertEqual(self.send(["b@partner.lab", "c@tagged.lab", "d@hold.lab"], subject="own-1", body="card %s\r\n" % CARD)[0], 250)
        got = {m[1][0]: m for m in self.arrived("own-1", 2)}
        self.assertEqual(sorted(got), ["b@partner.lab", "c@tagged.lab"])
        self.assertNotIn(CARD.encode(), got["b@partner.lab"][2])
        self.assertIn(b"[out] own-1", got["c@tagged.lab"][2])

    def test_several_in_one_session(self):
        """RSET, a second message, a recipient nobody can be, and the next message is judged alone."""
        with smtplib.SMTP("127.0.0.1", self.mta, timeout=lab.DEADLINE) as s:
            s.ehlo("client.example.lab")
            s.mail("a@example.lab")
            s.rcpt("b@hold.lab")
            s.rset()
            s.sendmail("a@example.lab", ["b@tagged.lab"], lab.message(subject="second-1", body="card %s\r\n" % CARD))
            with self.assertRaises(smtplib.SMTPDataError):
                s.sendmail("a@example.lab", ["b@partner.lab"], lab.message(subject="refuseme"))
            s.sendmail("", ["b@partner.lab"], lab.message(subject="third-1"))
        self.assertEqual(self.arrived("second-1")[0][1], ["b@tagged.lab"])
        self.assertEqual(self.arrived("third-1")[0][0], "")

    def test_killed(self):
        """Without posternd Sendmail puts off (F=T); with it again the same message goes."""
        self.lab.kill_postern()
        try:
            code, text = self.send("b@partner.lab", subject="killed-1")
        except smtplib.SMTPResponseException as e:
            code, text = e.smtp_code, str(e.smtp_error)
        except smtplib.SMTPServerDisconnected as e:     # 421 at the greeting
            code, text = 421, str(e)
        self.assertEqual(code // 100, 4, text)
        self.lab.start_postern("posternd-again.log")
        self.assertEqual(self.send("b@partner.lab", subject="killed-1")[0], 250)
        self.assertEqual(len(self.arrived("killed-1")), 1)


if __name__ == "__main__":
    unittest.main()
