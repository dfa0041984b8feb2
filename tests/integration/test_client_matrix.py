"""Clients people really have deliver through posternd: swaks, curl, Python's smtplib, msmtp and Postfix;
with BDAT, DSN and SMTPUTF8. What arrives is what they were given, byte for byte."""
import os
import re
import smtplib
import socket
import subprocess
import unittest
from email import message_from_bytes, policy

import lab

FULL = ("PIPELINING", "8BITMIME", "SIZE 50000000", "DSN", "SMTPUTF8")
BARE = ("PIPELINING", "SIZE 50000000")


def body_of(data):
    return data.split(b"\r\n\r\n", 1)[1]


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("clients")
        cls.addClassCleanup(cls.lab.close)
        cls.heard = []
        cls.mx = cls.lab.mx(esmtp=FULL, reply=cls.note)             # has every extension
        cls.old = cls.lab.mx(esmtp=BARE)                            # has none of the new ones
        cls.back = cls.lab.mx(esmtp=("PIPELINING", "8BITMIME"))     # the internal server: bounces
        cls.lab.config(
            domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % cls.back.port], "recipients": "any"}},
            delivery={"retry": ["1s"], "routes": {"partner.lab": ["127.0.0.1:%d" % cls.mx.port],
                                                  "xn--bcher-kva.lab": ["127.0.0.1:%d" % cls.mx.port],
                                                  "old.lab": ["127.0.0.1:%d" % cls.old.port]}})
        cls.lab.policy("version: 1\nrules:\n  - {id: no, when: {to: [\u00e9t\u00e9@partner.lab, caf\u00e9.lab]},"
                       " then: {reject: \"5.7.1 not there\"}}\n")
        cls.lab.start_postern()
        cls.internal = cls.lab.postfix("internal", {
            "relayhost": "[127.0.0.1]:%d" % cls.lab.ports["smtp"], "mydomain": "example.lab"})
        cls.port = str(cls.lab.ports["smtp"])

    @classmethod
    def note(cls, line, session):
        if re.match("MAIL|RCPT", line):
            cls.heard.append(line)

    def arrived(self, mx, subject):
        word = b"Subject: " + subject.encode()
        found = lab.wait_for(lambda: [m for m in list(mx.messages) if word in m[2]],
                             because="%s\n%s" % (subject, lab.tail(self.lab.daemon.log)))
        self.assertEqual(len(found), 1)
        return found[0]

    def same(self, mx, subject, raw, sender="a@example.lab", to=("b@partner.lab",)):
        """The message arrived once, with nothing changed but a Received field on top."""
        m = self.arrived(mx, subject)
        self.assertEqual((m[0], sorted(m[1])), (sender, sorted(to)))
        self.assertTrue(m[2].startswith(b"Received: from "), m[2][:200])
        self.assertEqual(re.sub(rb"\A(Received: .*\r\n(?:[ \t].*\r\n)*)+", b"", m[2]), raw)
        return m[2]

    def raw(self, subject, body="Hello.\r\n.dot\r\n..two\r\n\r\nFrom here\r\n.\r\nend\r\n", headers=()):
        return lab.message(body, subject=subject, headers=headers)

    def run_client(self, argv, data=None):
        r = subprocess.run(argv, input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        self.assertEqual(r.returncode, 0, r.stdout.decode(errors="replace"))
        return r.stdout

    def test_swaks(self):
        raw = self.raw("swaks-1")
        out = self.run_client(["swaks", "--server", "127.0.0.1:" + self.port, "--from", "a@example.lab", "--to",
                               "b@partner.lab", "--data", "@" + self.lab.write("swaks.eml", raw)])
        self.assertIn(b"accepted as", out)
        # swaks ends the file it was given with a line end of its own
        m = self.arrived(self.mx, "swaks-1")
        self.assertEqual(body_of(m[2]).rstrip(b"\r\n"), body_of(raw).rstrip(b"\r\n"))
        out = self.run_client(["swaks", "--server", "127.0.0.1:" + self.port, "--pipeline", "--from", "a@example.lab",
                               "--to", "b@partner.lab,c@partner.lab", "--header", "Subject: swaks-2"])
        self.assertEqual(sorted(self.arrived(self.mx, "swaks-2")[1]), ["b@partner.lab", "c@partner.lab"])

    def test_curl(self):
        raw = self.raw("curl-1")
        self.run_client(["curl", "-sS", "smtp://127.0.0.1:%s/client.example.lab" % self.port, "--mail-from",
                         "a@example.lab", "--mail-rcpt", "b@partner.lab", "--mail-rcpt", "c@partner.lab",
                         "-T", self.lab.write("curl.eml", raw)])
        self.same(self.mx, "curl-1", raw, to=("b@partner.lab", "c@partner.lab"))

    def test_msmtp(self):
        raw = self.raw("msmtp-1")
        self.run_client(["msmtp", "--host=127.0.0.1", "--port=" + self.port, "--from=a@example.lab", "--auth=off",
                         "--tls=off", "--file=", "--dsn-notify=failure,delay", "--dsn-return=hdrs", "b@partner.lab"],
                        raw.replace(b"\r\n", b"\n"))
        m = self.arrived(self.mx, "msmtp-1")
        self.assertEqual(body_of(m[2]), body_of(raw))
        self.assertIn("RCPT TO:<b@partner.lab> NOTIFY=FAILURE,DELAY", self.heard)
        self.assertTrue([h for h in self.heard if h.startswith("MAIL FROM:<a@example.lab>") and h.endswith("RET=HDRS")])

    def test_smtplib(self):
        raw = self.raw("smtplib-1", body="caf\u00e9\r\n.\u00e9\r\n",
                       headers=("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"))
        with self.lab.smtp() as s:
            s.ehlo()
            for word in ("smtputf8", "chunking", "dsn", "pipelining", "limits", "8bitmime", "enhancedstatuscodes"):
                self.assertTrue(s.has_extn(word), word)
            self.assertFalse(s.has_extn("binarymime"))
            s.sendmail("a@example.lab", ["b@partner.lab"], raw, ["BODY=8BITMIME"])
        self.same(self.mx, "smtplib-1", raw)

    def bdat(self, raw, sizes, mail="MAIL FROM:<a@example.lab>", rcpt="RCPT TO:<b@partner.lab>"):
        """All of it in one group, as Exchange does."""
        s = socket.create_connection(("127.0.0.1", int(self.port)), 60)
        f = s.makefile("rb")
        f.readline()
        s.sendall(b"EHLO client.example.lab\r\n")
        while f.readline()[3:4] == b"-":
            pass
        out, at = [("%s\r\n%s\r\n" % (mail, rcpt)).encode()], 0
        for n in sizes:
            out.append(b"BDAT %d\r\n" % n + raw[at:at + n])
            at += n
        out.append(b"BDAT %d LAST\r\n" % (len(raw) - at) + raw[at:] + b"QUIT\r\n")
        s.sendall(b"".join(out))
        replies = f.read().splitlines()
        s.close()
        return [r[:3].decode() for r in replies], replies

    def test_bdat(self):
        raw = self.raw("bdat-1", body="x" * 70 + "\r\n.\r\nRSET\r\n")
        codes, replies = self.bdat(raw, [0, 1, len(raw) - 20])
        self.assertEqual(codes, ["250"] * 6 + ["221"], replies)
        self.assertIn(b"accepted as", replies[-2])
        self.same(self.mx, "bdat-1", raw)
        # large enough to leave the frames for a file in memory
        raw = self.raw("bdat-2", body="".join("line %06d of a larger message\r\n" % i for i in range(40000)))
        self.assertEqual(self.bdat(raw, [100000] * 10)[0], ["250"] * 13 + ["221"])
        self.same(self.mx, "bdat-2", raw)
        # what does not end with a line end gets one
        raw = self.raw("bdat-3", body="no end")
        self.assertEqual(self.bdat(raw, [])[0], ["250"] * 3 + ["221"])
        self.same(self.mx, "bdat-3", raw + b"\r\n")

    def test_dsn_goes_on(self):
        """The next hop offers DSN: it gets what the client said, and nobody here writes a notice."""
        raw = self.raw("dsn-1")
        with self.lab.smtp() as s:
            s.sendmail("dsn1@example.lab", ["ok@partner.lab"], raw, ["RET=HDRS", "ENVID=QQ+2B1"],
                       ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;old+2Bok@example.lab"])
        self.same(self.mx, "dsn-1", raw, sender="dsn1@example.lab", to=("ok@partner.lab",))
        self.assertTrue([h for h in self.heard if h.startswith("MAIL FROM:<dsn1@example.lab>") and
                         h.endswith("RET=HDRS ENVID=QQ+2B1")], self.heard)
        self.assertIn("RCPT TO:<ok@partner.lab> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;old+2Bok@example.lab", self.heard)
        self.lab.queue_empty()
        self.assertFalse([m for m in self.back.messages if m[1] == ["dsn1@example.lab"]])

    def notice(self, to):
        found = lab.wait_for(lambda: [m for m in list(self.back.messages) if m[1] == [to]], because="a notice to " + to)
        self.assertEqual((len(found), found[0][0]), (1, ""))
        self.assertTrue(found[0][2].isascii())
        m = message_from_bytes(found[0][2], policy=policy.default)
        self.assertEqual(m.get_content_type(), "multipart/report")
        return m, [dict(p.items()) for p in list(m.iter_parts())[1].get_payload()]

    def test_dsn_ends_here(self):
        """It does not: asked for success, the sender is told that the message was relayed."""
        with self.lab.smtp() as s:
            s.sendmail("dsn2@example.lab", ["b@old.lab"], self.raw("dsn-2"), ["ENVID=abc"],
                       ["NOTIFY=SUCCESS", "ORCPT=rfc822;b@older.lab"])
        self.arrived(self.old, "dsn-2")
        _, status = self.notice("dsn2@example.lab")
        self.assertEqual(status[0]["Original-Envelope-Id"], "abc")
        self.assertEqual((status[1]["Action"], status[1]["Status"]), ("relayed", "2.0.0"))
        self.assertEqual(status[1]["Original-Recipient"], "rfc822; b@older.lab")

    def test_notify_never_and_ret_full(self):
        # 8-bit text for a server without 8BITMIME is a failure; who said NEVER hears nothing of it
        raw = self.raw("dsn-3", body="caf\u00e9 au lait\r\n", headers=("Content-Type: text/plain; charset=utf-8",
                                                                     "Content-Transfer-Encoding: 8bit"))
        with self.lab.smtp() as s:
            s.sendmail("never@example.lab", ["b@old.lab"], raw, ["BODY=8BITMIME"], ["NOTIFY=NEVER"])
            s.sendmail("hdrs@example.lab", ["b@old.lab"], raw, ["BODY=8BITMIME", "RET=HDRS"])
        m, status = self.notice("hdrs@example.lab")
        self.assertEqual(status[1]["Status"], "5.6.3")
        self.assertIn("8BITMIME was not offered", status[1]["Diagnostic-Code"])
        self.assertNotIn("au lait", m.as_string())
        raw = self.raw("dsn-4", body="all of this\r\n")
        with self.lab.smtp() as s:
            s.ehlo()
            s.mail("full@example.lab", ["RET=FULL", "SMTPUTF8"])
            self.assertEqual(s.docmd('RCPT TO:<"a<b"@partner.lab>')[0], 250)
            self.assertEqual(s.data(raw)[0], 250)
        m, status = self.notice("full@example.lab")
        self.assertEqual(status[1]["Status"], "5.1.3")
        self.assertEqual(list(m.iter_parts())[2].get_content_type(), "message/rfc822")
        self.assertIn("all of this", m.as_string())
        self.lab.queue_empty()
        self.assertFalse([x for x in self.back.messages if x[1] == ["never@example.lab"]])

    def test_smtputf8(self):
        raw = ("From: Ren\u00e9 <ren\u00e9@example.lab>\r\nTo: <\u4f60\u597d@partner.lab>\r\n"
               "Subject: utf8-1 \u00e9t\u00e9\r\n\r\nBonjour \u00e0 tous\r\n").encode()
        with self.lab.smtp() as s:
            s.ehlo()
            self.assertEqual(s.docmd("MAIL FROM:<nobody@example.lab> BODY=8BITMIME")[0], 250)
            s.command_encoding = "utf-8"
            self.assertEqual(s.docmd("RCPT TO:<\u4f60\u597d@partner.lab>")[0], 553)
            s.rset()
            s.sendmail("ren\u00e9@example.lab", ["\u4f60\u597d@partner.lab", "b@b\u00fccher.lab"], raw,
                       ["BODY=8BITMIME", "SMTPUTF8"])
        lab.wait_for(lambda: len([m for m in self.mx.messages if b"utf8-1" in m[2]]) == 2, because="both copies")
        got = {m[1][0]: m for m in self.mx.messages if b"utf8-1" in m[2]}
        self.assertEqual(set(got), {"\u4f60\u597d@partner.lab", "b@xn--bcher-kva.lab"})
        for m in got.values():
            self.assertEqual(m[0], "ren\u00e9@example.lab")
            self.assertTrue(m[2].endswith(raw))
            self.assertRegex(m[2].decode(), r"with UTF8SMTP id ")
        self.assertTrue([h for h in self.heard if h.startswith("MAIL FROM:<ren\u00e9@") and h.endswith(" SMTPUTF8")])
        lab.wait_for(lambda: "sent" in self.lab.tool("trace", "\u4f60\u597d@partner.lab"), because="the journal's line")

    def test_smtputf8_not_offered(self):
        """Needed and not to be had: 5.6.7 in a notice that ASCII readers can read; not needed: it goes."""
        head = "From: <u8@example.lab>\r\nTo: <b@old.lab>\r\nSubject: utf8-2 \u00e9\r\n\r\n"
        with self.lab.smtp() as s:
            s.command_encoding = "utf-8"
            s.sendmail("u8@example.lab", ["\u00e9@old.lab"], (head + "x\r\n").encode(), ["SMTPUTF8"],
                       ["ORCPT=utf-8;\u00e9@older.lab"])
            s.sendmail("a@example.lab", ["b@old.lab"], self.raw("utf8-3"), ["SMTPUTF8"])
        self.arrived(self.old, "utf8-3")
        m, status = self.notice("u8@example.lab")
        self.assertEqual(status[1]["Status"], "5.6.7")
        self.assertEqual(status[1]["Final-Recipient"], r"utf-8; \x{E9}@old.lab")
        self.assertEqual(status[1]["Original-Recipient"], r"utf-8; \x{E9}@older.lab")
        self.assertEqual(list(m.iter_parts())[2].get_content_type(), "message/global-headers")
        self.assertFalse([m for m in self.old.messages if b"utf8-2" in m[2]])

    def test_address_lists_know_utf8(self):
        for to in ("\u00e9t\u00e9@partner.lab", "x@caf\u00e9.lab", "x@XN--CAF-DMA.lab"):
            with self.lab.smtp() as s:
                s.command_encoding = "utf-8"
                with self.assertRaises(smtplib.SMTPDataError) as e:
                    s.sendmail("a@example.lab", [to], self.raw("listed"), ["SMTPUTF8"])
                self.assertEqual(e.exception.smtp_code, 550, to)

    def test_postfix_as_client(self):
        """An internal Postfix that uses CHUNKING, DSN and SMTPUTF8 because they are offered."""
        raw = self.raw("postfix-1")
        with smtplib.SMTP("127.0.0.1", self.internal) as s:
            s.sendmail("pf@example.lab", ["pf@partner.lab"], raw, ["RET=HDRS", "ENVID=pf1"], ["NOTIFY=FAILURE"])
        self.same(self.mx, "postfix-1", raw, sender="pf@example.lab", to=("pf@partner.lab",))
        self.assertTrue([h for h in self.heard if h.startswith("RCPT TO:<pf@partner.lab> NOTIFY=FAILURE ORCPT=rfc822;")],
                        self.heard)
        self.assertTrue([h for h in self.heard if h.startswith("MAIL FROM:<pf@") and h.endswith("RET=HDRS ENVID=pf1")])
        raw = ("From: <pf@example.lab>\r\nSubject: postfix-2 \u00e9\r\n\r\nx\r\n").encode()
        with smtplib.SMTP("127.0.0.1", self.internal) as s:
            s.command_encoding = "utf-8"
            s.sendmail("pf@example.lab", ["\u00e7a@partner.lab"], raw, ["BODY=8BITMIME", "SMTPUTF8"])
        m = self.arrived(self.mx, "postfix-2")
        self.assertEqual(m[1], ["\u00e7a@partner.lab"])
        self.assertIn(b"with UTF8SMTP", m[2])


if __name__ == "__main__":
    unittest.main()
