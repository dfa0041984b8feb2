"""What rules do to a message and whom they tell, through the real daemon.

Files are stripped, card numbers blackened and a disclaimer appended on the way
to a real receiver; what arrives is parsed by Python's own mail parser and its DKIM signature
verified by an independent implementation. Copies, notices, approvals by two
persons, expiry and a sender's override follow.
"""
import base64
import email
import email.policy
import io
import json
import os
import re
import subprocess
import unittest
import zipfile

import dkim
import lab

CARD = "4111 1111 1111 1111"
EXE = base64.b64encode(b"MZ\x90\0" + b"\0" * 200).decode()
BLOCKS = "\u2588" * 4

POLICY = """version: 1
use: [postern/base]
defaults: {contact: security@example.lab}
groups:
  dpo: [dpo1@example.lab, dpo2@example.lab, a@example.lab]
  one: [dpo1@example.lab]
  staff: [example.lab]
rules:
  - {id: strip, when: {attachment: {type: executable}}, then: {strip_attachment: this, notify: {sender: changed}}}
  - {id: redact, when: {to: {not: [hold.lab, reject.lab]}, finds: payment-card}, then: {redact: this, on_fail: hold}}
  - id: footer
    when: {to: [partner.lab]}
    then:
      append_text:
        text: {en: "This message is meant for its reader alone.", fr: "Ce message n'est destiné qu'à son lecteur."}
        html: "<hr><p>This message is meant for its reader alone.</p>"
  - {id: tag, when: {to: [tagged.lab]}, then: {prefix_subject: "[é]", add_header: {X-Files: $filenames}}}
  - {id: copy, when: {subject: {words: [copyme]}}, then: {bcc: archive@example.lab}}
  - {id: refuse, when: {to: [reject.lab], finds: payment-card}, then: {reject: "5.7.1 no cards", notify: [postmaster, sender],
     bcc: archive@example.lab, override: {allow: group:staff, justification: [subject-tag, header], until: 2099-01-01}}}
  - {id: two, severity: high, when: {to: [hold.lab], finds: payment-card}, then: {hold: {for: group:dpo, approvals: 2, expires: 1h, on_expire: reject},
     notify: {sender: held}}}
  - {id: legal, when: {to: [hold.lab], subject: {words: [contract]}}, then: {hold: {for: group:one, approvals: 1}}}
  - {id: tls, when: {to: [hold.lab], subject: {words: [elsewhere]}}, then: {redirect: other@redirect.lab}}
  - {id: short, when: {to: [expire.lab], subject: {words: [reject]}}, then: {hold: {for: group:one, approvals: 1, expires: 1s, on_expire: reject}}}
  - {id: short-release, when: {to: [expire.lab], subject: {words: [release]}}, then: {hold: {for: group:one, approvals: 1, expires: 1s, on_expire: release}}}
limits:
  - {id: busy, per: sender, allow: 2 messages / 1h, then: {notify: limits@example.lab}, exempt: [
     {match: a@example.lab, owner: tests, until: 2099-01-01, reason: they send much}]}
"""


def mixed(text="card %s" % CARD, html=None, exe=True, subject="test", headers=()):
    alt = ["--b", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", text]
    if html:
        alt = ["--b", 'Content-Type: multipart/alternative; boundary="c"', "", "--c", *alt[1:], "--c",
               "Content-Type: text/html; charset=iso-8859-1", "Content-Transfer-Encoding: quoted-printable", "", html,
               "--c--"]
    lines = ["From: <a@example.lab>", "To: <b@partner.lab>", "Subject: " + subject, "MIME-Version: 1.0", *headers,
             'Content-Type: multipart/mixed; boundary="b"', "", *alt]
    if exe:
        lines += ["--b", 'Content-Type: application/octet-stream; name="setup.exe"', "Content-Transfer-Encoding: base64",
                  'Content-Disposition: attachment; filename="setup.exe"', "", EXE]
    return ("\r\n".join([*lines, "--b--", ""])).encode()


def parse(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def leaves(raw):
    return [p for p in parse(raw).walk() if not p.is_multipart()]


class Lab(unittest.TestCase):
    """One daemon for the tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("actions")
        cls.mx = cls.lab.mx(esmtp=("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 50000000"))
        zones = {d: ["@ MX 10 mx", "mx A 127.0.0.1"] for d in
                 ("partner.lab", "tagged.lab", "reject.lab", "hold.lab", "expire.lab", "redirect.lab", "gw.example.lab")}
        zones["example.lab"] = ["@ MX 10 mx", "mx A 127.0.0.1", cls.lab.dkim_key("example.lab", "s1")]
        cls.lab.dns(zones)
        cls.lab.config(delivery={"port": cls.mx.port, "retry": ["1s"]}, postmaster="postmaster@example.lab",
                       approvals={"url": "https://gw.example.lab:8443/approve"},
                       domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % cls.mx.port],
                                                "dkim": [{"selector": "s1", "key": "keys/s1.example.lab.pem"}]}})
        cls.lab.policy(POLICY)
        cls.lab.start_postern()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def setUp(self):
        self.lab.queue_empty()
        with self.mx.lock:
            self.mx.messages.clear()

    def send(self, to, raw, code=250, sender="a@example.lab"):
        got, text = self.lab.send(to, raw=raw, sender=sender)
        self.assertEqual(got, code, text)
        return re.search(r"accepted as (\w+)" if code == 250 else r"\(ref (\w+)\)", text).group(1)

    def arrived(self, n, to=None):
        """n messages, those to an address when one is given."""
        def enough():
            with self.mx.lock:
                got = [m for m in self.mx.messages if to is None or to in m[1]]
            return got if len(got) >= n else None
        return lab.wait_for(enough, because=lambda: "%d messages to %s" % (n, to))

    def explain(self, ident):
        return json.loads(self.lab.tool("--json", "explain", ident))

    def signed(self, raw):
        """By python3-dkim, with the key that would stand in the DNS."""
        der = subprocess.run(["openssl", "rsa", "-in", self.lab.path("keys", "s1.example.lab.pem"), "-pubout"],
                             check=True, capture_output=True, text=True).stdout
        record = "v=DKIM1; k=rsa; p=" + "".join(l for l in der.splitlines() if "-----" not in l)
        self.assertTrue(dkim.verify(raw, dnsfunc=lambda name, timeout=5: record.encode()))


class Actions(Lab):
    # -- edits -------------------------------------------------------------------------
    def test_strip_redact_append(self):
        ident = self.send("b@partner.lab", mixed(html="<p>card =\r\n" + CARD + "</p></body>"))
        (_, _, raw), = self.arrived(1, "b@partner.lab")
        parts = leaves(raw)
        self.assertEqual([p.get_content_type() for p in parts], ["text/plain", "text/html", "text/plain"])
        self.assertEqual(parts[0].get_content().replace("\r\n", "\n"), "card %s\n\nThis message is meant for its reader alone."
                         % " ".join([BLOCKS] * 4))
        html = parts[1].get_content()
        self.assertNotIn("4111", html)
        self.assertRegex(html.replace("\n", " "), "</p> *<hr><p>This message is meant")
        self.assertIn("setup.exe", parts[2].get_content())
        self.assertNotIn(b"TVqQ", raw)
        self.assertEqual([d for p in parse(raw).walk() for d in p.defects], [])
        self.signed(raw)
        (_, _, note), = self.arrived(1, "a@example.lab")
        self.assertIn("setup.exe", parse(note).get_content())
        e = self.explain(ident)
        self.assertEqual({(x["action"], x["part"], x["rule"]) for x in e["edits"]},
                         {("strip_attachment", "2", "strip"), ("redact+append_text", "1.1", "redact,footer"),
                          ("redact+append_text", "1.2", "redact,footer")})
        self.assertNotIn("4111 1111", json.dumps(e))

    def test_recipients_differ(self):
        self.send(["b@partner.lab", "c@tagged.lab"], mixed(exe=True))
        (_, _, one), = self.arrived(1, "b@partner.lab")
        (_, _, two), = self.arrived(1, "c@tagged.lab")
        self.assertIn("meant for its reader", leaves(one)[0].get_content())
        self.assertNotIn("meant for its reader", leaves(two)[0].get_content())
        self.assertEqual(parse(two)["Subject"], "[é] test")
        self.assertEqual(parse(two)["X-Files"], "setup.exe")
        for raw in (one, two):
            self.assertIn(BLOCKS, leaves(raw)[0].get_content())
            self.signed(raw)

    def test_signed_mail_is_held(self):
        raw = (b"From: <a@example.lab>\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n"
               b"--b\r\n\r\ncard " + CARD.encode() + b"\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n")
        ident = self.send("c@tagged.lab", raw)
        held = lab.wait_for(lambda: [l for l in self.lab.control({"cmd": "held.list", "selector": ident}) if "id" in l],
                            because="the hold")
        self.assertEqual(held[0]["queue"], "security@example.lab")
        self.assertEqual(self.explain(ident)["refused_edits"],
                         [{"action": "redact", "part": "1", "rule": "redact", "why": "signed"}])

    def test_document_is_held(self):
        """A number in a document cannot be blackened: on_fail holds the message."""
        doc = io.BytesIO()
        with zipfile.ZipFile(doc, "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr("[Content_Types].xml", '<Types><Override PartName="/word/document.xml" ContentType='
                       '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>')
            z.writestr("word/document.xml", '<w:document xmlns:w="w"><w:body><w:p><w:r><w:t>card %s</w:t></w:r></w:p>'
                       '</w:body></w:document>' % CARD)
        raw = mixed("see the file", exe=False).replace(b"--b--\r\n", b"--b\r\nContent-Type: application/octet-stream; name=a.docx\r\n"
                    b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(doc.getvalue()) + b"\r\n--b--\r\n")
        ident = self.send("c@tagged.lab", raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        lab.wait_for(lambda: [l for l in self.lab.control({"cmd": "held.list", "selector": ident}) if "id" in l],
                     because="the hold")
        self.assertEqual(self.explain(ident)["refused_edits"],
                         [{"action": "redact", "part": "2", "rule": "redact", "why": "a document cannot be blackened"}])

    def test_archive_goes(self):
        """A program in an archive in an attached message: the archive is replaced, the message around it stays."""
        z = io.BytesIO()
        with zipfile.ZipFile(z, "w", zipfile.ZIP_DEFLATED) as f:
            f.writestr("docs/setup.exe", b"MZ\x90\0" + b"\0" * 300)
        inner = (b"From: <x@example.lab>\r\nSubject: inner\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n"
                 b"--i\r\n\r\nsee there\r\n--i\r\nContent-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                 + base64.encodebytes(z.getvalue()).replace(b"\n", b"\r\n") + b"--i--\r\n")
        raw = mixed("hello", exe=False).replace(b"--b--\r\n", b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"--b--\r\n")
        self.send("c@tagged.lab", raw)
        (_, _, got), = self.arrived(1, "c@tagged.lab")
        self.assertEqual([p.get_content_type() for p in parse(got).walk()],
                         ["multipart/mixed", "text/plain", "message/rfc822", "multipart/mixed", "text/plain", "text/plain"])
        texts = [p.get_content().strip() for p in leaves(got) if p.get_content_type() == "text/plain"]
        self.assertEqual(texts[:2], ["hello", "see there"])
        self.assertIn("a.zip", texts[2])
        self.assertEqual([d for p in parse(got).walk() for d in p.defects], [])
        self.signed(got)

    def test_large(self):
        """Edits far behind the first bytes of a message that lies in a memfd, and more than a verdict can carry."""
        lines = b"0123456789 abcdefghijklmnopqrstuvwxyz and so it goes on\r\n" * 20000
        text = lines + b"card " + CARD.encode() + b" end\r\n" + lines
        body = base64.encodebytes(text).replace(b"\n", b"\r\n")
        head = (b"From: <a@example.lab>\r\nSubject: large\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                b"Content-Transfer-Encoding: base64\r\n\r\n")
        self.send("c@tagged.lab", head + body)
        (_, _, raw), = self.arrived(1, "c@tagged.lab")
        got = leaves(raw)[0].get_payload(decode=True)
        self.assertEqual(got, text.replace(CARD.encode(), " ".join([BLOCKS] * 4).encode()))
        self.signed(raw)
        # not encoded: only the number is in the verdict, however large the rest
        self.send("c@tagged.lab", head.replace(b"base64", b"8bit") + text * 3)
        raw = self.arrived(2, "c@tagged.lab")[1][2]
        self.assertNotIn(CARD.encode(), raw)
        self.signed(raw)
        text = b"card " + CARD.encode() + b" end\r\n" + lines * 4
        ident = self.send("c@tagged.lab", head + base64.encodebytes(text).replace(b"\n", b"\r\n"))
        held = lab.wait_for(lambda: [l for l in self.lab.control({"cmd": "held.list", "selector": ident}) if "id" in l],
                            because="the hold")
        self.assertEqual(held[0]["state"], "waiting")

    # -- copies and notices --------------------------------------------------------------
    def test_copy(self):
        ident = self.send("c@tagged.lab", mixed(subject="copyme", exe=False))
        (sender, rcpts, raw), = self.arrived(1, "archive@example.lab")
        self.assertEqual((sender, rcpts), ("a@example.lab", ["archive@example.lab"]))
        self.assertIn(CARD.encode(), raw)               # as it was received
        (_, _, delivered), = self.arrived(1, "c@tagged.lab")
        self.assertNotIn(CARD.encode(), delivered)
        trace = self.lab.tool("trace", ident)
        self.assertIn("archive@example.lab", trace + self.lab.tool("trace", "archive@example.lab"))

    def test_refused_tells(self):
        ident = self.send("b@reject.lab", mixed(exe=False), code=550)
        (sender, _, raw), = self.arrived(1, "security@example.lab")
        m = parse(raw)
        self.assertEqual((sender, m["Auto-Submitted"]), ("", "auto-generated"))
        self.assertIn(ident, m.get_content())
        self.assertIn("payment-card", m.get_content())
        self.assertNotIn(CARD, m.get_content())
        self.signed(raw)
        self.arrived(1, "archive@example.lab")
        (_, _, raw), = self.arrived(1, "a@example.lab")
        self.assertEqual(parse(raw)["Subject"], "Your message was not sent")
        # a robot's mail is not answered
        self.send("b@reject.lab", mixed(exe=False, headers=["Auto-Submitted: auto-replied"]), code=550)
        self.arrived(2, "security@example.lab")
        self.lab.queue_empty()
        self.assertEqual(len(self.arrived(1, "a@example.lab")), 1)

    def test_limit_tells(self):
        for i in range(4):
            self.send("b@expire.lab", lab.message(sender="busy@example.lab", to=["b@expire.lab"]), sender="busy@example.lab")
        self.lab.queue_empty()
        told = [m for m in self.arrived(1, "limits@example.lab")]
        self.assertEqual(len(told), 1)          # once an hour
        self.assertIn("busy@example.lab", parse(told[0][2]).get_content())
        self.assertEqual(parse(told[0][2])["Subject"], "Limit busy reached by busy@example.lab")
        self.signed(told[0][2])

    def test_shipped_examples(self):
        r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", os.path.join(lab.ROOT, "etc/postern.yaml"), "test"],
                           capture_output=True, text=True)
        self.assertRegex(r.stdout, r"\d+ passed, 0 failed")
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)

    # -- override ---------------------------------------------------------------------------
    def test_override(self):
        code, text = self.lab.send("b@reject.lab", raw=mixed(exe=False))
        self.assertEqual(code, 550)
        self.assertIn("[override: reason]", text)
        self.assertEqual(self.lab.send("b@reject.lab", raw=mixed(exe=False, subject="x [override: .]"))[0], 550)
        ident = self.send("b@reject.lab", mixed(exe=False, subject="Re: cards [override: agreed with the client]"))
        (_, _, raw), = self.arrived(1, "b@reject.lab")
        self.assertEqual(parse(raw)["Subject"], "Re: cards")
        self.signed(raw)
        self.assertEqual(self.explain(ident)["recipients"][0]["overridden"],
                         [{"rule": "refuse", "reason": "agreed with the client"}])
        self.send("b@reject.lab", mixed(exe=False, headers=["X-Postern-Override: agreed with the client"]))
        raw = self.arrived(2, "b@reject.lab")[1][2]
        self.assertNotIn(b"override", raw.lower())
        # not for others
        self.assertEqual(self.lab.send("b@reject.lab", raw=mixed(exe=False, subject="[override: agreed with the client]"),
                                       sender="x@partner.lab")[0], 550)


class Approvals(Lab):
    def held(self, ident):
        return lab.wait_for(lambda: [l for l in self.lab.control({"cmd": "held.list", "selector": ident, "all": True})
                                     if "id" in l], because="the hold of " + ident)[0]

    def token(self, to, ident):
        """The token in the mail to an approver about a message."""
        def there():
            with self.mx.lock:
                mails = [parse(m[2]) for m in self.mx.messages if to in m[1]]
            return [t for m in mails if ident in m.get_content() for t in re.findall(r"approve/(\S+)", m.get_content())]
        return lab.wait_for(there, because="the mail to " + to)[0]

    def act(self, token, decision="approve", **more):
        return self.lab.control({"cmd": "approval.act", "token": token, "decision": decision, **more})[0]

    def test_two_persons(self):
        ident = self.send("b@hold.lab", mixed(exe=False))
        one, two = self.token("dpo1@example.lab", ident), self.token("dpo2@example.lab", ident)
        mail = next(m for m in self.arrived(1, "dpo1@example.lab") if ident.encode() in m[2])
        self.assertEqual(mail[0], "")
        self.signed(mail[2])
        text = parse(mail[2]).get_content()
        for word in (ident, "two", "payment-card", "a@example.lab", "b@hold.lab"):
            self.assertIn(word, text)
        self.assertNotIn(CARD, text)
        # the sender is told that it is held, and is not asked, although of the group
        note = parse(self.arrived(1, "a@example.lab")[0][2])
        self.assertEqual(note["Subject"], "Your message is being held for review")
        # to look decides nothing
        shown = self.lab.control({"cmd": "approval.show", "token": one})
        self.assertEqual((shown[0]["id"], shown[1]["as"]), (ident, "dpo1@example.lab"))
        self.assertEqual(shown[0]["approvals"], [{"rule": "two", "needed": 2, "given": 0, "approvers": [
            "dpo1@example.lab", "dpo2@example.lab"]}])
        bent = one[:40] + ("A" if one[40] != "A" else "B") + one[41:]
        self.assertIn("not one of this gateway", self.act(bent)["error"])
        self.assertEqual(self.act(one)["state"], "waits")
        self.assertIn("used already", self.act(one)["error"])
        # one person is one voice, whichever way it comes; the sender has none
        r = self.lab.tool("held", "approve", ident, "--as", "dpo1@example.lab", check=False)
        self.assertIn("has decided about it already", r.stderr)
        r = self.lab.tool("held", "approve", ident, "--as", "a@example.lab", check=False)
        self.assertIn("nobody decides about a message of his own", r.stderr)
        r = self.lab.tool("held", "approve", ident, "--as", "else@example.lab", check=False)
        self.assertIn("is not among those who may decide", r.stderr)
        self.assertEqual(self.held(ident)["state"], "waiting")
        out = self.lab.tool("held", "approve", "--token", two, "--text", "fine with me")
        self.assertIn("it is released", out)
        (_, _, raw), = self.arrived(1, "b@hold.lab")
        self.assertIn(CARD.encode(), raw)
        self.signed(raw)
        lab.wait_for(lambda: any("was approved" in parse(m[2])["Subject"] for m in self.arrived(2, "a@example.lab")),
                     because="the sender to be told")
        lab.wait_for(lambda: "released" in self.held(ident)["state"], because="the row to be done")
        trace = self.lab.tool("trace", ident)
        for word in ("dpo1@example.lab", "dpo2@example.lab", "fine with me", "via link"):
            self.assertIn(word, trace)

    def test_two_rules_and_redirect(self):
        ident = self.send("b@hold.lab", mixed(exe=False, subject="contract elsewhere"))
        self.held(ident)
        self.lab.tool("held", "approve", ident, "--as", "dpo2@example.lab")
        # the other rule's approver is missing: dpo1 speaks for both
        self.assertEqual(self.held(ident)["state"], "waiting")
        self.lab.tool("held", "approve", ident, "--as", "dpo1@example.lab")
        # the third rule's redirection holds still
        (_, rcpts, _), = self.arrived(1, "other@redirect.lab")
        self.assertEqual(rcpts, ["other@redirect.lab"])
        with self.mx.lock:
            self.assertFalse([m for m in self.mx.messages if "b@hold.lab" in m[1]])

    def test_denied(self):
        ident = self.send("b@hold.lab", mixed(exe=False))
        one = self.token("dpo1@example.lab", ident)
        self.assertEqual(self.act(one, "deny", text="ask the client first")["state"], "denied")
        note = lab.wait_for(lambda: [m for m in self.arrived(1, "a@example.lab") if b"delivery-status" in m[2]],
                            because="the sender to be told")[0][2]
        self.assertIn(b"ask the client first", note)
        two = self.token("dpo2@example.lab", ident)
        self.assertRegex(self.act(two)["error"], "it is reject(ing|ed) already")

    def test_expiry(self):
        one = self.send("b@expire.lab", mixed(exe=False, subject="reject"))
        two = self.send("b@expire.lab", mixed(exe=False, subject="release"))
        lab.wait_for(lambda: any(b"delivery-status" in m[2] and one.encode() in m[2]
                                 for m in self.arrived(1, "a@example.lab")), because="the rejection")
        (_, _, raw), = self.arrived(1, "b@expire.lab")
        self.assertEqual(parse(raw)["Subject"], "release")
        token = self.token("dpo1@example.lab", two)
        self.assertRegex(self.act(token)["error"], "too old|released already")

    def test_expiry_and_votes_survive(self):
        """What was decided, and what ran out while nobody was there, happens at the next start."""
        ident = self.send("b@hold.lab", mixed(exe=False))
        self.token("dpo1@example.lab", ident)
        self.lab.tool("held", "approve", ident, "--as", "dpo1@example.lab")
        late = self.send("b@expire.lab", mixed(exe=False, subject="reject"))
        self.held(late)
        self.lab.kill_postern()
        self.lab.start_postern()
        lab.wait_for(lambda: any(b"delivery-status" in m[2] and late.encode() in m[2]
                                 for m in self.arrived(1, "a@example.lab")), because="the rejection")
        self.assertEqual(self.held(ident)["state"], "waiting")
        self.lab.tool("held", "approve", ident, "--as", "dpo2@example.lab")
        self.arrived(1, "b@hold.lab")

    def test_operator(self):
        """Who operates the gateway may decide alone; the journal says so."""
        ident = self.send("b@hold.lab", mixed(exe=False))
        self.held(ident)
        self.lab.tool("held", "release", ident)
        self.arrived(1, "b@hold.lab")
        self.assertRegex(self.lab.tool("trace", ident), "released.*(uid|root)")


if __name__ == "__main__":
    unittest.main()
