#!/usr/bin/env python3
"""Signatures and results through the milter: what Postfix and Sendmail send on verifies, what comes in is judged by who sent it."""
import json
import os
import re
import smtplib
import subprocess
import sys
import unittest

import dkim

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import lab                                                                      # noqa: E402
import mta                                                                      # noqa: E402
import signing                                                                  # noqa: E402

CARD = "4111 1111 1111 1111"
POLICY = """version: 1
use: [postern/base, postern/inbound]
rules:
  - {id: redact, when: {to: [partner.lab], finds: payment-card}, then: {redact: this}}
  - {id: tag, when: {to: [tagged.lab]}, then: {prefix_subject: "[out]", add_header: {X-Seen: "yes"}}}
"""
OURS = "example.lab"
CLIENT = "192.0.2.7"            # by XCLIENT; the one SPF permits
MC = """INPUT_MAIL_FILTER(`postern', `S=inet:%d@127.0.0.1, F=T, T=S:300s;R:300s;E:10m')dnl
"""


class Signed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = l = lab.Lab("milter-signed")
        cls.addClassCleanup(l.close)
        cls.mx = l.mx()
        cls.key = signing.new_key()
        spf = '@ TXT "v=spf1 ip4:%s ip4:127.0.0.1 -all"' % CLIENT
        records = [l.dkim_key(OURS, "s1")]
        cls.record = "".join(re.findall(r'"([^"]*)"', records[0]))
        cls.dns = l.dns({OURS: ["@ MX 10 mx", "mx A 127.0.0.1", *records], "partner.lab": ["@ MX 0 ."],
                         "sender.lab": [spf, signing.txt("s._domainkey", signing.record(cls.key)), '_dmarc TXT "v=DMARC1; p=reject"']})
        out, inward = lab.free_port(), lab.free_port()
        l.policy(POLICY)
        l.config(listeners=[{"name": "out", "milter": "inet:127.0.0.1:%d" % out},
                            {"name": "in", "milter": "inet:127.0.0.1:%d" % inward, "direction": "inbound"}],
                 domains={OURS: {"dkim": [{"selector": "s1", "key": l.path("keys", "s1.%s.pem" % OURS)}]}},
                 delivery={"routes": {"*": ["127.0.0.1:9"]}, "tls": {"policy": "none"}})
        l.start_postern()
        cls.ports = {}
        for name, port in (("out", out), ("in", inward)):
            cls.ports["postfix", name] = l.postfix("postfix-" + name, {
                "relayhost": "[127.0.0.1]:%d" % cls.mx.port, "smtpd_milters": "inet:127.0.0.1:%d" % port,
                "milter_default_action": "tempfail", "smtpd_authorized_xclient_hosts": "127.0.0.0/8",
                "mynetworks": "0.0.0.0/0"})
            cls.ports["sendmail", name] = mta.sendmail(l, "sendmail-" + name, cls.mx.port, MC % port)

    def send(self, where, raw, sender, to, client=None):
        with smtplib.SMTP("127.0.0.1", self.ports[where], timeout=lab.DEADLINE) as s:
            s.ehlo("client.example.lab")
            if client:
                self.assertEqual(s.docmd("XCLIENT", "ADDR=%s NAME=mail.sender.lab" % client)[0], 220)
                s.ehlo("mail.sender.lab")
            s.mail(sender)
            s.rcpt(to)
            code, text = s.data(raw)
            return code, text.decode()

    def arrived(self, subject):
        def look():
            with self.mx.lock:
                return [m[2] for m in self.mx.messages if re.search(rb"^Subject: (\[out\] )?%s\r$" % subject.encode(), m[2], re.M)]
        return lab.wait_for(look, because="%s at the MX" % subject)[0]

    def verifies(self, raw):
        """By dkimpy and by libopendkim."""
        self.assertTrue(dkim.verify(raw, dnsfunc=lambda name, timeout=5: self.record.encode()), raw)
        r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", "/nonexistent", "--json", "auth", "dkim",
                            self.lab.write("m.eml", raw), "--dns", "127.0.0.1:%d" % self.dns], capture_output=True, text=True, timeout=lab.DEADLINE)
        self.assertEqual(json.loads(r.stdout)["result"], "pass", r.stdout + r.stderr)

    def test_outgoing(self):
        """Clean, with another header, with another body, with fields the MTA adds itself, with a folded one."""
        for program in ("postfix", "sendmail"):
            where = (program, "out")
            for kind, to, raw in (
                    ("clean", "b@partner.lab", {}),
                    ("tagged", "b@tagged.lab", {"headers": ["X-Folded: one\r\n two\r\n\tthree"]}),
                    ("redacted", "b@partner.lab", {"body": "card %s\r\n  trailing  \r\n\r\n\r\n" % CARD})):
                subject = "%s-%s" % (program, kind)
                self.assertEqual(self.send(where, lab.message(subject=subject, to=[to], **raw), "a@" + OURS, to)[0], 250)
                m = self.arrived(subject)
                self.assertEqual(m.count(b"DKIM-Signature:"), 1)
                self.assertLess(m.index(b"DKIM-Signature:"), m.index(b"X-Postern-Id:"), "what we add is in our order")
                self.assertNotIn(CARD.encode(), m)
                self.verifies(m)
            # Neither Date nor Message-ID: who adds them adds what is signed, or what no signature names.
            self.send(where, b"From: <a@%s>\r\nTo: <b@partner.lab>\r\nSubject: %s-bare\r\n\r\nHello.\r\n" % (OURS.encode(), program.encode()),
                      "a@" + OURS, "b@partner.lab")
            self.verifies(self.arrived(program + "-bare"))

    def incoming(self, where, subject, client=None, sign=True, headers=(), body="Hello.\r\n"):
        raw = lab.message(body, "a@sender.lab", ["b@" + OURS], subject, headers)
        if sign:
            raw = signing.sign(raw, self.key, "sender.lab", "s")
        return self.send(where, raw, "a@sender.lab", "b@" + OURS, client)

    def results(self, raw):
        head = raw.partition(b"\r\n\r\n")[0].decode()
        return [re.sub(r"\r\n\s+", " ", m).strip() for m in re.findall(r"^Authentication-Results:((?:.*\r\n\s)*.*)", head + "\r\n", re.M)]

    def test_incoming(self):
        forged = ["Authentication-Results: gw.example.lab; dmarc=pass header.from=sender.lab",
                  "Authentication-Results: other.lab; spf=pass",
                  "Authentication-Results: GW.example.lab; dkim=pass",
                  "X-Postern-Id: forged"]
        for program, client in (("postfix", CLIENT), ("sendmail", None)):
            where = (program, "in")
            subject = program + "-good"
            code, text = self.incoming(where, subject, client, headers=forged)
            self.assertEqual(code, 250, text)
            m = self.arrived(subject)
            results = self.results(m)
            self.assertEqual(len(results), 2, results)
            self.assertRegex(results[0], r"^gw\.example\.lab;.*spf=pass.*dkim=pass.*dmarc=pass")
            self.assertEqual(results[1], "other.lab; spf=pass")
            self.assertLess(m.index(b"Authentication-Results: gw.example.lab"), m.index(b"From:"))
            # It was signed before it came: what we took away and put on top did not break it.
            self.assertTrue(dkim.verify(m, dnsfunc=lambda name, timeout=5: signing.record(self.key).encode()))
            # The signature alone passes DMARC; a broken one from the right address too.
            self.assertEqual(self.incoming(where, program + "-spf", client, sign=False)[0], 250)
            self.assertRegex(self.results(self.arrived(program + "-spf"))[0], r"spf=pass.*dkim=none.*dmarc=pass")
        code, text = self.incoming(("postfix", "in"), "postfix-far", "198.51.100.9")
        self.assertEqual(code, 250, text)
        self.assertRegex(self.results(self.arrived("postfix-far"))[0], r"spf=fail.*dkim=pass.*dmarc=pass")
        # Neither: p=reject.
        code, text = self.incoming(("postfix", "in"), "postfix-forged", "198.51.100.9", sign=False)
        self.assertEqual(code, 550, text)
        self.assertIn("DMARC", text)
        self.assertNotIn(b"postfix-forged", b"".join(m[2] for m in self.mx.messages))


if __name__ == "__main__":
    unittest.main()
