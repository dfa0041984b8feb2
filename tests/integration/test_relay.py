"""The way of a message: internal server -> posternd -> MX, and every outcome on the way."""
import base64
import io
import json
import os
import re
import smtplib
import time
import unittest
import zipfile

import dkim
import dns.resolver

import lab

POLICY = """
version: 1
use: [postern/base, postern/fr-identifiers]
groups:
  partners: [partner.lab]
  dpo: [dpo@example.lab]
rules:
  - id: cards-outside
    title: {en: Card numbers outside, fr: Cartes bancaires vers l'exterieur}
    severity: high
    when:
      to: {not: [group:partners]}
      finds: {payment-card: {min: 1, confidence: medium}}
    then: {hold: {for: group:dpo, expires: 48h, on_expire: reject}}
  - id: iban-attachment
    when: {finds: {iban: {min: 1, in: [attachment]}}}
    then: {reject: "5.7.1 Bank details may not leave in a document (ref $ref)"}
  - id: newsletter
    when: {subject: {words: [circular]}}
    then: {add_header: {X-Circular: "yes"}, prefix_subject: "[INFO]"}
  - id: quiet
    when: {subject: {words: [vanish]}}
    then: {discard: true}
  - id: watched
    mode: shadow
    review_by: 2099-01-01
    when: {subject: {words: [hello]}}
    then: {reject: "5.7.1 no"}
"""


def docx(text):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("[Content_Types].xml", '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>')
        runs = "".join("<w:r><w:t>%s</w:t></w:r>" % text[i:i + 7] for i in range(0, len(text), 7))
        z.writestr("word/document.xml", '<?xml version="1.0"?><w:document xmlns:w="urn:w"><w:body><w:p>%s</w:p></w:body></w:document>' % runs)
    return out.getvalue()


def with_attachment(data, name, ctype, to="b@partner.lab", subject="file", sender="a@example.lab"):
    b64 = base64.encodebytes(data).decode().replace("\n", "\r\n")
    body = ("--b1\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--b1\r\nContent-Type: %s; name=\"%s\"\r\n"
            "Content-Disposition: attachment; filename=\"%s\"\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--b1--\r\n"
            % (ctype, name, name, b64))
    return lab.message(body, sender, [to], subject, ['Content-Type: multipart/mixed; boundary="b1"'])


class Relay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("relay")
        cls.addClassCleanup(cls.lab.close)
        key = cls.lab.dkim_key("example.lab", "gw1")
        cls.mx = cls.lab.mx(reply=cls.answer)
        cls.back = cls.lab.mx()
        cls.lab.dns({"partner.lab": ["@ MX 20 mx", "mx A 127.0.0.1"],
                     "webmail.lab": ["@ MX 10 mx", "mx A 127.0.0.1"],
                     "nomail.lab": ["@ MX 0 ."],
                     "plain.lab": ["@ A 127.0.0.1"],
                     "example.lab": ["@ MX 10 mail", "mail A 127.0.0.1", key]})
        cls.lab.policy(POLICY)
        cls.lab.config(
            domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % cls.back.port], "recipients": "any",
                                     "dkim": [{"selector": "gw1", "key": "keys/gw1.example.lab.pem"}]}},
            delivery={"port": cls.mx.port, "retry": ["1s"], "expire": "1h"},
            antivirus={"engine": "libclamav", "databases": cls.lab.signatures()},
            scanners={"processes": "2"},
            listeners=[{"name": "smart-host", "address": "127.0.0.1:%d" % cls.lab.ports.setdefault("smtp", lab.free_port()),
                        "direction": "outbound", "allow": ["network:internal"], "max_size": "2MB"}])
        cls.lab.start_postern()

    temporary = {}

    @classmethod
    def answer(cls, line, session):
        if line.startswith("RCPT") and "later@" in line and cls.temporary.setdefault("later", 0) < 1:
            cls.temporary["later"] += 1
            return "451 4.3.0 come back"
        if line.startswith("RCPT") and "gone@" in line:
            return "550 5.1.1 no such user here"

    def arrived(self, subject, seconds=None):
        def look():
            for m in list(self.mx.messages):
                if b"Subject: " + subject.encode() in m[2]:
                    return m
        return lab.wait_for(look, seconds, because="the message " + subject)

    def test_clean_message_is_signed_and_delivered(self):
        code, text = self.lab.send("b@partner.lab", subject="clean-1", body="Bonjour,\r\n.leading dot\r\n\r\n")
        self.assertEqual(code, 250)
        m = re.fullmatch(r"2\.0\.0 accepted as ([0-9A-Za-z]{11})", text)
        self.assertTrue(m, text)
        sender, rcpts, data = self.arrived("clean-1")
        self.assertEqual((sender, rcpts), ("a@example.lab", ["b@partner.lab"]))
        self.assertIn(b"\r\n\r\nBonjour,\r\n.leading dot\r\n", data)
        heads = data.split(b"\r\n\r\n")[0].decode()
        self.assertRegex(heads, r"(?m)^Received: from client\.example\.lab \(.*\[127\.0\.0\.1\]\)")
        self.assertIn(m.group(1), heads)
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], self.lab.ports["dns"]

        def txt(name, timeout=5):
            n = name.decode() if isinstance(name, bytes) else name
            return b"".join(resolver.resolve(n, "TXT")[0].strings)
        self.assertTrue(dkim.verify(data, dnsfunc=txt))
        self.assertFalse(dkim.verify(data.replace(b"Bonjour", b"Bonsoir"), dnsfunc=txt))
        self.assertFalse(dkim.verify(b"Subject: forged\r\n" + data, dnsfunc=txt), "Subject is oversigned")

    def test_card_is_held_and_released(self):
        code, text = self.lab.send("x@webmail.lab", subject="card-1", body="Visa card: 4111 1111 1111 1111\r\n")
        self.assertEqual(code, 250, text)
        mid = text.split()[-1]
        held = lab.wait_for(lambda: [h for h in self.lab.control({"cmd": "held.list"}) if h.get("id") == mid],
                            because="the held message")
        self.assertEqual(len(held), 1)
        out = self.lab.tool("--json", "explain", mid)
        self.assertIn("cards-outside", out)
        self.assertNotIn("4111 1111", out)
        self.assertNotIn("4111 1111", self.lab.log())
        self.assertFalse([m for m in self.mx.messages if b"card-1" in m[2]])
        self.lab.tool("held", "release", mid, "--yes")
        self.arrived("card-1")

    def test_one_message_two_outcomes(self):
        code, text = self.lab.send(["x@webmail.lab", "y@partner.lab"], subject="card-2",
                                   body="Visa card: 4111 1111 1111 1111\r\n")
        self.assertEqual(code, 250, text)
        m = self.arrived("card-2")
        self.assertEqual(m[1], ["y@partner.lab"])
        def outcomes():
            t = self.lab.control({"cmd": "trace", "q": text.split()[-1], "limit": 5})[0]
            return {r["address"]: r["status"] for r in t.get("recipients", [])}
        lab.wait_for(lambda: outcomes() == {"x@webmail.lab": "held", "y@partner.lab": "sent"},
                     because="both outcomes in the journal")

    def test_iban_in_document_is_rejected(self):
        raw = with_attachment(docx("Please pay to FR14 2004 1010 0505 0001 3M02 606 today"), "invoice.docx",
                              "application/octet-stream", subject="iban-1")
        code, text = self.lab.send("b@partner.lab", raw=raw)
        self.assertEqual(code, 550, text)
        self.assertRegex(text, r"5\.7\.1 Bank details may not leave in a document \(ref [0-9A-Za-z]{11}\)")

    def test_virus_is_quarantined(self):
        raw = with_attachment(lab.EICAR.encode(), "invoice.com", "application/octet-stream", subject="virus-1")
        code, text = self.lab.send("b@partner.lab", raw=raw)
        self.assertEqual(code, 250, text)
        mid = text.split()[-1]
        q = lab.wait_for(lambda: [x for x in self.lab.control({"cmd": "quarantine.list"}) if x.get("id") == mid],
                         because="the quarantine")
        self.assertEqual(len(q), 1)
        out = self.lab.tool("quarantine", "show", mid)
        self.assertIn("Eicar", out)
        self.assertFalse([m for m in self.mx.messages if b"virus-1" in m[2]])

    def test_too_large(self):
        with self.lab.smtp() as s:
            s.ehlo()
            self.assertEqual(s.mail("a@example.lab", ["SIZE=3000000"])[0], 552)
        code, text = self.lab.send("b@partner.lab", body="x" * 78 + "\r\n" + ("y" * 76 + "\r\n") * 30000)
        self.assertEqual(code, 552, text)
        self.assertIn("5.3.4", text)

    def test_not_permitted(self):
        with self.assertRaises(smtplib.SMTPConnectError) as e:
            with self.lab.smtp(source="127.0.0.9") as s:
                s.ehlo()
        self.assertEqual(e.exception.smtp_code, 554)
        self.assertIn(b"not permitted to relay", e.exception.smtp_error)
        lab.wait_for(lambda: re.search(r"postern\.yaml:\d+", self.lab.log()), because="the line to edit in the log")

    def test_modifications(self):
        code, text = self.lab.send("b@partner.lab", subject="circular 7", sender="a@example.lab")
        self.assertEqual(code, 250, text)
        m = self.arrived("[INFO] circular 7")
        self.assertIn(b"\r\nX-Circular: yes\r\n", b"\r\n" + m[2])

    def test_shadow_changes_nothing_and_is_recorded(self):
        code, text = self.lab.send("b@partner.lab", subject="hello shadow")
        self.assertEqual(code, 250, text)
        self.arrived("hello shadow")
        out = lab.wait_for(lambda: "watched" in self.lab.tool("--json", "explain", text.split()[-1]) and
                           self.lab.tool("--json", "explain", text.split()[-1]), because="the record")
        rec = json.loads(out)
        self.assertEqual(rec["recipients"][0]["shadow"], ["watched"])
        self.assertEqual(rec["recipients"][0]["outcome"], "deliver")

    def test_discard_is_accepted_and_journalled(self):
        code, text = self.lab.send("b@partner.lab", subject="vanish-1")
        self.assertEqual(code, 250, text)
        lab.wait_for(lambda: "discarded" in json.dumps(self.lab.control({"cmd": "trace", "q": text.split()[-1]})),
                     because="the journal's entry")
        self.assertFalse([m for m in self.mx.messages if b"vanish-1" in m[2]])

    def test_temporary_failure_is_tried_again(self):
        code, text = self.lab.send("later@partner.lab", subject="later-1")
        self.assertEqual(code, 250)
        self.arrived("later-1")

    def test_permanent_failure_bounces(self):
        code, text = self.lab.send("gone@partner.lab", subject="gone-1", sender="boss@example.lab")
        self.assertEqual(code, 250)
        m = lab.wait_for(lambda: [m for m in self.back.messages if b"gone-1" in m[2]], because="the bounce")[0]
        self.assertEqual(m[0], "")
        self.assertEqual(m[1], ["boss@example.lab"])
        self.assertIn(b"multipart/report", m[2])
        self.assertIn(b"Status: 5.1.1", m[2])
        self.assertIn(b"no such user here", m[2])
        self.assertRegex(m[2].decode(), r"(?i)Auto-Submitted: auto-replied")

    def test_null_mx_bounces_and_address_fallback_delivers(self):
        code, _ = self.lab.send("u@nomail.lab", subject="nullmx-1", sender="boss@example.lab")
        self.assertEqual(code, 250)
        m = lab.wait_for(lambda: [m for m in self.back.messages if b"nullmx-1" in m[2]], because="the bounce")[0]
        self.assertIn(b"5.1.10", m[2])
        self.assertEqual(self.lab.send("u@plain.lab", subject="plain-1")[0], 250)
        self.arrived("plain-1")

    def test_bare_newlines_are_refused(self):
        with self.lab.smtp() as s:
            s.ehlo()
            s.mail("a@example.lab")
            s.rcpt("b@partner.lab")
            s.putcmd("data")
            self.assertEqual(s.getreply()[0], 354)
            s.sock.sendall(b"Subject: smuggle\r\n\r\none\n.\nMAIL FROM:<evil@example.lab>\r\n.\r\n")
            self.assertEqual(s.getreply()[0], 554)
            with self.assertRaises((smtplib.SMTPServerDisconnected, ConnectionError)):
                s.docmd("NOOP")
                s.docmd("NOOP")

    def test_large_message_arrives_whole(self):
        body = "".join("line %06d of a large message, with some words in it\r\n" % i for i in range(30000))
        self.assertEqual(self.lab.send("b@partner.lab", subject="large-1", body=body)[0], 250)
        m = self.arrived("large-1")
        self.assertTrue(m[2].endswith(body.encode()))

    def test_trace_queue_status(self):
        code, text = self.lab.send("b@partner.lab", subject="traced-1", sender="trace@example.lab")
        mid = text.split()[-1]
        self.arrived("traced-1")
        out = lab.wait_for(lambda: "sent" in self.lab.tool("trace", mid) and self.lab.tool("trace", mid),
                           because="the trace")
        self.assertIn("b@partner.lab", out)
        self.assertIn("trace@example.lab", self.lab.tool("trace", "trace@example.lab"))
        self.assertIn(mid, self.lab.tool("trace", "traced-1"), "found by a word of its subject")
        self.assertIn("running", self.lab.tool("status"))
        self.assertEqual(self.lab.tool("queue", check=False).returncode, 0)
        log = self.lab.log()
        self.assertRegex(log, r"postern/queue\[\d+\]: %s: from=<trace@example\.lab>, size=\d+, nrcpt=1 \(queue active\)" % mid)
        self.assertRegex(log, r"postern/delivery\[\d+\]: %s: to=<b@partner\.lab>, relay=.*\[127\.0\.0\.1\]:%d, delay=[\d.]+, "
                         r"delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+, dsn=2\.0\.0, status=sent \(250" % (mid, self.mx.port))


if __name__ == "__main__":
    unittest.main()
