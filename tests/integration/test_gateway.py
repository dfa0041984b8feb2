"""Mail from the world to the mailbox server behind us: what reaches it, when, by which way, and what never does."""
import base64
import smtplib
import unittest

import lab

CRLF = "\r\n"


def mail(subject, *lines):
    return CRLF.join(["From: <x@partner.lab>", "To: <u@example.lab>", "Subject: " + subject,
                      "Date: Sun, 22 Nov 2026 10:00:00 +0000", "Message-ID: <%s@partner.lab>" % subject,
                      "MIME-Version: 1.0", *lines, ""]).encode()


# What mailbox servers need untouched (A8): TNEF, a picture within HTML, an invitation; trailing blanks, odd boundaries.
WINMAIL = mail("winmail", 'Content-Type: multipart/mixed; boundary="=_ b =_"', "", "preamble", "--=_ b =_",
               "Content-Type: text/plain", "", "trailing blanks   ", ".dot", "--=_ b =_",
               "Content-Type: application/ms-tnef; name=winmail.dat", "Content-Transfer-Encoding: base64", "",
               base64.b64encode(bytes.fromhex("789f3e22010001") + bytes(40)).decode(), "--=_ b =_--", "epilogue")
RELATED = mail("related", "Content-Type: multipart/related; boundary=r; type=\"text/html\"", "", "--r", "Content-Type: text/html", "",
               "<p>See <img src=cid:i></p>", "--r", "Content-Type: image/gif", "Content-ID: <i>",
               "Content-Transfer-Encoding: base64", "", "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "--r--")
INVITATION = mail("invitation", "Content-Type: text/calendar; method=REQUEST; charset=utf-8", "", "BEGIN:VCALENDAR", "METHOD:REQUEST",
                  "BEGIN:VEVENT", "UID:1@partner.lab", "SUMMARY:R\u00e9union", "END:VEVENT", "END:VCALENDAR")


class Gateway(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("gateway")
        self.addCleanup(self.lab.close)
        self.peers, self.away = [], False
        # The domain's MX leads elsewhere: next hops are not looked up.
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"], "example.lab": ["@ MX 10 mx", "mx A 127.0.0.99", "box1 A 127.0.0.1", "box2 A 127.0.0.1"]})
        self.back = self.lab.mx(reply=self.answer)

    def answer(self, line, session):
        if line == "CONNECT":
            self.peers.append(session.client_address[0])
            return "421 4.3.2 away" if self.away else None
        return None

    def start(self, policy="", hops=None, **domain):
        self.lab.policy("version: 1\n" + policy)
        self.lab.config(
            domains={"example.lab": {"deliver_to": hops or ["127.0.0.1:%d" % self.back.port], **domain}},
            delivery={"source": ["127.0.0.7"], "retry": ["1s"]},
            listeners=[{"name": "mx", "address": "127.0.0.1:%d" % self.lab.ports.setdefault("smtp", lab.free_port()),
                        "direction": "inbound", "max_size": "20MB"}])
        self.lab.start_postern()

    def send(self, raw, **kw):
        return self.lab.send("u@example.lab", sender="x@partner.lab", raw=raw, **kw)

    def test_what_is_legitimate_arrives_as_it_was(self):
        """A6, A7, A8: body and header bytes as sent, below our own fields; to the pinned address and port, from the chosen address."""
        self.start()
        for raw in (WINMAIL, RELATED, INVITATION):
            n = len(self.back.messages)
            code, text = self.send(raw)
            self.assertEqual(code, 250, text)
            got = self.back.wait(n + 1)[n][2]
            self.assertTrue(got.endswith(raw), got)
            self.assertRegex(got[:-len(raw)], rb"^Received: from (?s:.*)Authentication-Results: gw\.example\.lab;")
        self.assertEqual(set(self.peers), {"127.0.0.7"})
        self.assertIn("relay=127.0.0.1[127.0.0.1]:%d" % self.back.port, self.lab.log())

    def test_nothing_reaches_it_before_a_verdict(self):
        """A3, A5, C4: what is refused, quarantined, held or discarded makes no connection to the next hop."""
        self.start("rules:\n"
                   "  - {id: r, when: {subject: {words: [refuse]}}, then: {reject: \"5.7.1 no\"}}\n"
                   "  - {id: q, when: {subject: {words: [odd]}}, then: {quarantine: odd}}\n"
                   "  - {id: h, when: {subject: {words: [hold]}}, then: {hold: {for: dpo@example.lab}}}\n"
                   "  - {id: d, when: {subject: {words: [drop]}}, then: {discard: true}}\n"
                   "  - {id: b, when: {defect: boundary-duplicate}, then: {quarantine: malformed}}\n")
        twice = mail("two", "Content-Type: multipart/mixed; boundary=a; boundary=b", "", "--a", "", "x", "--a--")
        for raw, code in ((mail("refuse", "", "x"), 550), (mail("odd", "", "x"), 250), (mail("hold", "", "x"), 250),
                          (mail("drop", "", "x"), 250), (twice, 250)):
            self.assertEqual(self.send(raw)[0], code, raw)
        self.lab.queue_empty()
        self.assertEqual((self.peers, self.back.connections), ([], 0))
        kept = [m["queue"] for m in self.lab.control({"cmd": "quarantine.list"}) if "queue" in m]
        self.assertEqual(sorted(kept), ["malformed", "odd"])
        self.assertEqual(self.send(mail("fine", "", "x"))[0], 250)
        self.back.wait(1)

    def test_size(self):
        """D14: 552 at MAIL where SIZE says it, 552 behind DATA where it does not; a domain may have a limit of its own."""
        self.start(max_size="100kB")
        with self.lab.smtp() as s:
            s.ehlo()
            self.assertEqual(s.docmd("MAIL", "FROM:<x@partner.lab> SIZE=20000001")[0], 552)
            self.assertEqual(s.docmd("MAIL", "FROM:<x@partner.lab> SIZE=150000")[0], 250)
            s.rcpt("u@example.lab")
            self.assertEqual(s.docmd("DATA")[0], 552)
        with self.assertRaises(smtplib.SMTPDataError) as e, self.lab.smtp() as s:
            s.helo()
            s.sendmail("x@partner.lab", ["u@example.lab"], mail("large", "", *["y" * 70] * 3000))
        self.assertEqual(e.exception.smtp_code, 552)
        self.assertEqual(self.back.messages, [])

    def test_failover_and_waiting(self):
        """D13, D16, E10, E11: next hops by name; the second takes over where the first will not."""
        second = self.lab.mx()
        self.start(hops=["box1.example.lab:%d" % self.back.port, "box2.example.lab:%d" % second.port])
        self.away = True
        self.assertEqual(self.send(mail("to-the-second", "", "x"))[0], 250)
        self.assertIn(b"to-the-second", second.wait(1)[0][2])
        lab.wait_for(lambda: "relay=box2.example.lab[127.0.0.1]" in self.lab.log(), because="the log to say so")

    def test_all_away(self):
        """E6: mail waits, and is tried again."""
        self.start()
        self.away = True
        self.assertEqual(self.send(mail("waits", "", "x"))[0], 250)
        lab.wait_for(lambda: "status=deferred" in self.lab.log(), because="a try that fails")
        self.away = False
        self.assertIn(b"waits", self.back.wait(1)[0][2])


if __name__ == "__main__":
    unittest.main()
