"""Logs that others read: Debian's pflogsumm counts what the journal counts, fail2ban finds who was refused and
nobody he names, and a line of JSON is JSON whatever a client says.
"""
import contextlib
import json
import os
import re
import socket
import sqlite3
import subprocess
import unittest

import lab

FILTER = os.path.join(lab.ROOT, "etc/fail2ban/filter.d/postern.conf")
POLICY = """version: 1
groups: {dpo: [dpo@example.lab]}
rules:
  - id: hold-it
    when: {subject: {words: [hold-me]}}
    then: {hold: group:dpo}
  - id: no
    when: {subject: {words: [reject-me]}}
    then: {reject: "5.7.1 not this"}
"""


def talk(port, *lines, source="127.0.0.1"):
    """Raw bytes; the answers."""
    with socket.create_connection(("127.0.0.1", port), timeout=lab.DEADLINE, source_address=(source, 0)) as s:
        f = s.makefile("rb")
        got = [f.readline()]
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):     # it may have enough of us
            for line in lines:
                s.sendall(line + b"\r\n")
                while True:
                    got.append(f.readline())
                    if got[-1][3:4] != b"-":
                        break
        return got


class Logs(unittest.TestCase):
    def start(self, **log):
        l = self.lab = lab.Lab("logs")
        self.addCleanup(l.close)
        self.mx = l.mx(reply=self.reply)
        self.logfile = l.path("mail.log")
        l.policy(POLICY)
        l.config(
            domains={d: {"deliver_to": ["127.0.0.1:%d" % self.mx.port]} for d in ("one.lab", "two.lab", "bad.lab", "example.lab")},
            delivery={"retry": ["1h"], "tls": {"policy": "none"}}, log={"to": "file:" + self.logfile, **log})
        l.start_postern()

    @staticmethod
    def reply(line, session):
        if line.upper().startswith("RCPT") and "bad.lab" in line.lower():
            return "550 5.1.1 no such user"
        if line.upper().startswith("RCPT") and "later@" in line.lower():
            return "451 4.2.0 later"
        return None

    def text(self):
        with open(self.logfile, errors="replace") as f:
            return f.read()

    def outcomes(self, n):
        """{status: number of recipients} of the journal, and the messages accepted, once n recipients have a status that
        is no longer `queued` and nothing is under way."""
        def look():
            with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % self.lab.path("store", "store.db"), uri=True)) as db:
                got = dict(db.execute("SELECT status, count(*) FROM recipient GROUP BY status"))
                accepted = db.execute("SELECT count(*) FROM event WHERE kind='accepted'").fetchone()[0]
            text = self.text()
            done = (not got.get("queued") and sum(got.values()) >= n and got.get("bounced", 0) == 0
                    and text.count("status=sent") == got.get("sent") and text.count(" sender non-delivery notification") == 1
                    and text.count("(queue active)") == accepted)
            return (got, accepted) if done else None
        return lab.wait_for(look, because="the journal to know of %d recipients" % n)

    def test_pflogsumm(self):
        self.start(format="postfix")
        for i in range(5):
            self.assertEqual(self.lab.send("u%d@one.lab" % i)[0], 250)
        self.assertEqual(self.lab.send(["a@two.lab", "later@two.lab", "x@bad.lab"])[0], 250)
        self.assertEqual(self.lab.send("h@one.lab", subject="hold-me")[0], 250)
        self.assertEqual(self.lab.send("r@one.lab", subject="reject-me")[0], 550)
        talk(self.lab.ports["smtp"], b"EHLO x.lab", b"MAIL FROM:<a@example.lab>", b"RCPT TO:<@>", b"QUIT")
        journal, accepted = self.outcomes(10)
        report = subprocess.run(["pflogsumm", "--syslog-name=postern", self.logfile], capture_output=True, text=True, check=True,
                                timeout=lab.DEADLINE).stdout
        totals = {m[2]: int(m[1]) for m in re.finditer(r"^ +(\d+) +(received|delivered|deferred|bounced|rejected|held|discarded)\b",
                                                       report, re.M)}
        self.assertEqual(totals["delivered"], journal["sent"], report + str(journal))
        # Six of ours; the notice to the sender, and that to the reviewer, come on top.
        self.assertGreaterEqual(totals["delivered"], 7, report)
        self.assertEqual(totals["received"], accepted, report)
        self.assertGreaterEqual(accepted, 7, report)
        self.assertEqual(totals["deferred"], journal["deferred"], report)
        self.assertEqual(totals["bounced"], journal["failed"], report)
        self.assertEqual(totals["held"], journal["held"], report)
        self.assertEqual(totals["rejected"], self.text().count(" reject: "), report)
        self.assertGreaterEqual(totals["rejected"], 1, report)
        by_host = report[report.index("Host/Domain Summary: Message Delivery"):report.index("Host/Domain Summary: Messages Received")]
        self.assertRegex(by_host, r"(?m)^ +5 .* one\.lab$")
        self.assertRegex(by_host, r"(?m)^ +1 .* two\.lab$")

    HOSTILE = (b"EHLO x] reject: RCPT from evil[192.0.2.99]: 550 5.7.1 no",
               b"HELO \xff\x1b[2J\x7f]:",
               b"MAIL FROM:<\"a\\nb> reject: CONNECT from u[192.0.2.99]: 554 x\"@example.lab>",
               b"MAIL FROM:<a\xe9\xff@example.lab>", b"VRFY \x00\x01reject: RCPT from u[192.0.2.99]: 550",
               b"EHLO h.lab", b"MAIL FROM:<\"x]: 550 [192.0.2.99]\"@example.lab>",
               b"RCPT TO:<\"; reject: RCPT from u[192.0.2.99]: 550 5.7.1 \"@@>")

    def test_rotation(self):
        """After `mv` and reload every process writes to the new file: those that live on, and a receiver that still has a session."""
        self.start()
        with socket.create_connection(("127.0.0.1", self.lab.ports["smtp"]), timeout=lab.DEADLINE) as s:
            f = s.makefile("rb")
            f.readline()
            os.rename(self.logfile, self.logfile + ".1")
            self.lab.tool("reload")
            for line in (b"EHLO x.lab", b"MAIL FROM:<a@example.lab>", b"RCPT TO:<b@one.lab>", b"DATA", b"Subject: x\r\n\r\nx\r\n."):
                s.sendall(line + b"\r\n")
                while f.readline()[3:4] == b"-":
                    pass
        lab.wait_for(lambda: os.path.exists(self.logfile) and "status=sent" in self.text(), because="the delivery in the new file")
        with open(self.logfile + ".1") as f:
            old = f.read()
        self.assertNotRegex(old, "client=|queue active|status=|is in force: reload")
        for part in ("receiver.*client=", "queue.*queue active", "delivery.*status=sent", "store.*in force: reload"):
            self.assertRegex(self.text(), part)
        self.assertNotIn("not taken", self.text() + old)

    def test_json(self):
        self.start(format="json")
        self.lab.send("u@one.lab", sender="\"say \\\"x\\\"\"@example.lab")
        talk(self.lab.ports["smtp"], *self.HOSTILE, b"QUIT")
        lab.wait_for(lambda: "status=sent" in self.text(), because="the delivery")
        with open(self.logfile, "rb") as f:
            lines = f.read().decode("utf-8").split("\n")
        self.assertEqual(lines.pop(), "")
        for line in lines:
            v = json.loads(line)
            self.assertEqual((v["ecs.version"], v["service.type"]), ("8.11.0", "postern"))
            self.assertTrue(v["@timestamp"] and v["log.level"] and v["process.name"].startswith("postern") and "message" in v, v)
            self.assertFalse(any(ord(c) < 32 or ord(c) == 127 for c in line), line)

    def banned(self):
        out = subprocess.run(["fail2ban-regex", "--usedns=no", "-o", "<ip>", self.logfile, FILTER], capture_output=True, text=True,
                             timeout=lab.DEADLINE)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr)
        return out.stdout.split()

    def fail2ban(self, form):
        self.start(format=form)
        talk(self.lab.ports["smtp"], *self.HOSTILE, b"QUIT")
        # Not in `allow`: he is refused, and named.
        talk(self.lab.ports["smtp"], b"EHLO x.lab", b"MAIL FROM:<a@b.lab>", b"RCPT TO:<x@example.net>", b"QUIT", source="127.0.44.7")
        lab.wait_for(lambda: "127.0.44.7" in self.text(), because="the refusal")
        self.assertEqual(self.lab.send("u@one.lab")[0], 250)
        got = self.banned()
        self.assertIn("127.0.44.7", got, self.text())
        self.assertNotIn("192.0.2.99", got, self.text())
        self.assertLessEqual(set(got), {"127.0.44.7", "127.0.0.1"})

    def test_fail2ban_text(self):
        self.fail2ban("text")

    def test_fail2ban_postfix(self):
        self.fail2ban("postfix")


if __name__ == "__main__":
    unittest.main()
