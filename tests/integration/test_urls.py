"""Links through the real processes: conditions on them, their explanation of past messages, what replays and
diffs know; and messages in fragments, refused on the way out and judged on the way in."""
import email.message
import email.policy
import json
import smtplib
import unittest

import documents
import lab

POLICY = """version: 1
use: [postern/base]
groups:
  banks: [bank.example, paypal.com]
exceptions:
  - {id: archive, rules: [elsewhere], when: {from: archive@example.lab}, reason: old tool, until: 2099-01-01}
rules:
  - {id: phish, when: {url: {lookalike_of: [group:banks, group:our-domains]}}, then: {reject: "5.7.1 a link imitates $rule"}}
  - {id: lie, when: {url: {text_mismatch: true, host: {not: [clicks.mailer.example]}}}, then: {reject: "5.7.1 a link lies"}}
  - {id: blocked, when: {url: {host: [blocked.test, .blocked.test]}}, then: {reject: "5.7.1 a link is blocked"}}
  - {id: fragment-in, direction: inbound, when: {defect: [message-partial, external-body]}, then: {add_header: {X-Fragment: "yes"}}}
"""
HTML = ("Content-Type: text/html; charset=utf-8",)
PARTIAL = ('Content-Type: message/partial; id="x@example.lab"; number=1; total=2',)


class Urls(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("urls")
        self.addCleanup(self.lab.close)
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.mx = self.lab.mx()
        self.lab.policy(POLICY)
        self.back = self.lab.mx()
        smart, mx = (self.lab.ports.setdefault(n, lab.free_port()) for n in ("smtp", "inbound"))
        self.lab.config(delivery={"port": self.mx.port},
                        domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % self.back.port], "recipients": "any"}},
                        listeners=[{"name": "smart-host", "address": "127.0.0.1:%d" % smart, "direction": "outbound",
                                    "allow": ["network:internal"]},
                                   {"name": "mx", "address": "127.0.0.1:%d" % mx, "direction": "inbound"}])
        self.lab.start_postern()

    def code(self, body, headers=HTML, **kw):
        code, text = self.lab.send("b@partner.lab", body=body, headers=headers, **kw)
        return code, text

    def test_links(self):
        code, text = self.code("<a href='https://p\u0430ypal.com/login?token=geheim'>Log in</a>")
        self.assertEqual(code, 550, text)
        self.assertIn("a link imitates phish", text)
        ref = text.split("(ref ")[1].rstrip(")")
        code, text = self.code("<a href='https://elsewhere.example/'>https://bank.example/login</a>")
        self.assertEqual((code, "a link lies" in text), (550, True), text)
        for fine in ("<a href='https://www.bank.example/'>bank.example</a>", "<a href='https://elsewhere.example'>here</a>",
                     "<a href='https://clicks.mailer.example/1'>www.shop.example</a>", "<p>https://paypal.com</p>"):
            self.assertEqual(self.code(fine)[0], 250, fine)
        self.assertEqual(self.code("see hxxp://paypa1[.]com/x\r\n", headers=())[0], 550)

        # What is told of it later: the link, defanged, and nothing of its query.
        line = lab.wait_for(lambda: [l for l in self.lab.tool("--json", "explain", ref, check=False).stdout.splitlines() if '"urls"' in l],
                            because="the message in the journal")[0]
        got = json.loads(line)
        self.assertEqual([u["rule"] for u in got["urls"]], ["phish"])
        self.assertIn("hxxps://xn--pypal-4ve[.]com/login", got["urls"][0]["url"])
        self.assertEqual(got["urls"][0]["why"], "taken for paypal[.]com: it looks the same")
        self.assertNotIn("geheim", line)

    def test_links_in_files(self):
        rel = '<Relationships><Relationship Id="rId1" Type="http://x/hyperlink" TargetMode="External" Target="%s"/></Relationships>'
        html = "<html><a href='%s'>x</a>"
        files = {
            "a.docx": lambda u: documents.docx("x", {"word/_rels/document.xml.rels": rel % u}),
            "a.odt": lambda u: documents.odf("text", '<text:p><text:a xlink:href="%s">x</text:a></text:p>' % u),
            "a.pdf": lambda u: documents.pdf(documents.pdf_text("x"), objects=[b"<</S/URI/URI(%s)>>" % u.encode()]),
            "a.html": lambda u: (html % u).encode(),
            "a.ics": lambda u: b"BEGIN:VCALENDAR\r\nURL:%s\r\nEND:VCALENDAR\r\n" % u.replace("blocked", "blo\r\n cked").encode(),
            "a.vcf": lambda u: b"BEGIN:VCARD\r\nURL:%s\r\nEND:VCARD\r\n" % u.encode(),
            "a.msg": lambda u: documents.msg("s", "x", html=(html % u).encode()),
            "a.zip": lambda u: documents.zip_of({"in/a.html": (html % u).encode()}),
        }
        for name, make in files.items():
            for host, want in (("www.blocked.test", 550), ("www.fine.test", 250)):
                m = email.message.EmailMessage()
                m["From"], m["To"], m["Subject"] = "a@example.lab", "b@partner.lab", name
                m.set_content("see there")
                m.add_attachment(make("https://%s/x" % host), maintype="application", subtype="octet-stream", filename=name)
                code, text = self.lab.send("b@partner.lab", raw=m.as_bytes(policy=email.policy.SMTP))
                self.assertEqual(code, want, (name, host, text))

    def test_replay(self):
        code, text = self.code("<a href='https://bank-login.example/'>x</a>")
        self.assertEqual(code, 550)
        self.assertEqual(self.code("<a href='https://fine.example/'>x</a>")[0], 250)
        ref = text.split("(ref ")[1].rstrip(")")
        out = lab.wait_for(lambda: self.lab.tool("replay", ref, check=False).stdout or None, because="the record")
        self.assertIn("same", out)

    def test_fragments(self):
        code, text = self.code("Subject: x\r\n\r\nhalf\r\n", headers=PARTIAL)
        self.assertEqual(code, 550, text)
        self.assertIn("5.6.0 A message in fragments or with its body elsewhere cannot be examined, send it whole (ref ", text)
        code, text = self.code("Content-Type: text/plain\r\n\r\n", headers=(
            'Content-Type: message/external-body; access-type=URL; URL="https://elsewhere.example/x"',))
        self.assertEqual((code, "send it whole" in text), (550, True), text)
        # within something else it is the same
        code, text = self.code("--b\r\n" + PARTIAL[0] + "\r\n\r\nSubject: x\r\n\r\nhalf\r\n--b--\r\n",
                               headers=("Content-Type: multipart/mixed; boundary=b",))
        self.assertEqual(code, 550, text)
        # who has reason to
        self.assertEqual(self.code("Subject: x\r\n\r\nhalf\r\n", headers=PARTIAL, sender="archive@example.lab")[0], 250)
        self.assertEqual(len(self.mx.wait(1)), 1)
        # inbound it is a defect, and the rest of the policy decides
        raw = lab.message(sender="x@elsewhere.lab", to=["a@example.lab"], headers=PARTIAL, body="Subject: x\r\n\r\nhalf\r\n")
        with smtplib.SMTP("127.0.0.1", self.lab.ports["inbound"]) as s:
            s.sendmail("x@elsewhere.lab", ["a@example.lab"], raw)
        self.assertIn(b"X-Fragment: yes", self.back.wait(1)[0][2])


if __name__ == "__main__":
    unittest.main()
