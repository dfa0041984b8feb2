"""The queue as people meet it: why a message is still here, what may be done about it, the notices
that senders get, files of the spool used again; all through real processes."""
import json
import os
import signal
import threading
import unittest
from email import message_from_bytes, policy

import lab


class Queue(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("queue")
        cls.addClassCleanup(cls.lab.close)
        cls.gate = threading.Event()
        cls.mx = cls.lab.mx(reply=cls.answer)                       # knows nothing of DSN
        cls.back = cls.lab.mx(reply=cls.answer)                     # the internal server: bounces
        cls.lab.policy("version: 1\nrules:\n  - {id: big, when: {size: {over: 900MB}}, then: {reject: no}}\n")
        cls.lab.config(
            domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % cls.back.port], "recipients": "any"}},
            postmaster="postmaster@example.lab",
            delivery={"routes": {d: ["127.0.0.1:%d" % cls.mx.port] for d in ("partner.lab", "other.lab")}})
        cls.lab.start_postern()

    @classmethod
    def answer(cls, line, session):
        if line.startswith("RCPT"):
            for who, reply in (("grey", "451 4.7.1 Greylisting in action, please come back in 00:05:00"),
                               ("full", "452 4.2.2 Over quota, sorry"), ("busy", "451 4.3.2 too many messages"),
                               ("gone", "550 5.1.1 no such user"), ("nobody", "550 5.1.1 no such sender")):
                if "<%s@" % who in line:
                    return reply
        if line == "." and any(r.startswith("stuck@") for r in session.rcpts):
            cls.gate.wait(60)
        return None

    def tearDown(self):
        self.lab.tool("queue", "fail", "all", "--silent", "--yes", check=False)
        self.lab.queue_empty()

    def show(self, selector):
        return self.lab.control({"cmd": "queue.show", "selector": selector})

    def leg(self, selector, state="deferred"):
        return lab.wait_for(lambda: next((l for m in self.show(selector) for l in m.get("legs", ())
                                          if l["state"] == state), None), because=selector + " " + state)

    def test_why_it_is_here(self):
        """Class, curve and step of each; what is selected by them."""
        for who in ("grey", "full", "busy"):
            self.assertEqual(self.lab.send(who + "@partner.lab", subject=who)[0], 250)
        want = {"grey": ("greylisted", 300), "full": ("mailbox_full", 3600), "busy": ("rate", 300)}
        for who, (name, first) in want.items():
            leg = self.leg("to=%s@partner.lab" % who)
            self.assertEqual((leg["retry"]["class"], leg["retry"]["failed"], leg["retry"]["curve"][0]), (name, 1, first))
            wait = leg["next"] - leg["last_change"]
            self.assertTrue(0.85 * first < wait < 1.15 * first + 10, wait)
            self.assertEqual(len(self.show("reason=" + name)), 1)
        text = self.lab.tool("queue", "show", "reason=greylisting in action,older=0s")
        self.assertIn("retried as greylisted (asked to come again (greylisting)): after [5m] 5m 10m", text)
        self.assertIn("said: 451 4.7.1 Greylisting in action", text)
        self.assertIn("452 4.2.2 Over quota", self.lab.tool("queue", "--by", "reason"))
        self.assertIn("a@example.lab", self.lab.tool("queue", "--by", "sender"))
        self.assertEqual(self.lab.control({"cmd": "queue.show", "selector": "to=@partner.lab", "limit": 2})[2], {"v": 1, "more": 1})
        self.assertIn("and 2 messages more; `--limit N`", self.lab.tool("queue", "show", "to=@partner.lab", "--limit", "1"))
        self.assertNotIn("more;", self.lab.tool("queue", "show", "to=@partner.lab", "--limit", "3"))
        self.assertEqual(self.lab.tool("queue", "show", "all", "--limit", "0", check=False).returncode, 2)
        r = self.lab.tool("queue", "fail", "form=a@example.lab", "--yes", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("did you mean `from`?", r.stderr)
        self.assertEqual(self.lab.tool("queue", "retry", "to=@other.lab", check=False).returncode, 0)
        self.assertIn("1 held", self.lab.tool("queue", "hold", "reason=too many"))
        self.assertEqual(self.lab.control({"cmd": "queue.summary"})[0]["held"], 1)

    def test_only_that_recipient(self):
        """A fail by recipient leaves the others alone, and the sender learns of that one."""
        self.lab.send(["full@partner.lab", "grey@partner.lab", "full@other.lab"], subject="three")
        self.leg("to=full@other.lab")
        self.leg("to=full@partner.lab")
        self.assertIn("1 given up", self.lab.tool("queue", "fail", "to=full@partner.lab"))
        notice = lab.wait_for(lambda: next((m[2] for m in list(self.back.messages) if b"full@partner.lab" in m[2]
                                            and b"Action: failed" in m[2]), None), because="a notice")
        self.assertNotIn(b"grey@", notice.split(b"Content-Type: message/delivery-status")[1].split(b"--", 1)[0])
        status = {r["address"]: r["status"] for m in self.show("all") for l in m["legs"] for r in l["recipients"]}
        self.assertEqual(status, {"full@partner.lab": "failed", "grey@partner.lab": "pending", "full@other.lab": "pending"})

    def submit(self, subject, rcpt, rcpt_options=(), mail_options=(), sender="a@example.lab"):
        msg = lab.message("the body of " + subject + "\r\n", sender, [rcpt], subject)
        with self.lab.smtp() as s:
            s.ehlo()
            self.assertTrue(s.has_extn("dsn"))
            self.assertEqual(s.mail(sender, list(mail_options))[0], 250)
            self.assertEqual(s.rcpt(rcpt, list(rcpt_options))[0], 250)
            self.assertEqual(s.data(msg)[0], 250)

    def notice(self, word, to="a@example.lab"):
        raw = lab.wait_for(lambda: next((m[2] for m in list(self.back.messages)
                                         if m[1] == [to] and word in m[2]), None), because="a notice with %r" % word)
        m = message_from_bytes(raw, policy=policy.default)
        self.assertEqual((m.get_content_type(), m.get_param("report-type")), ("multipart/report", "delivery-status"))
        parts = list(m.iter_parts())
        self.assertEqual(parts[1].get_content_type(), "message/delivery-status")
        fields = dict(kv for block in parts[1].get_payload() for kv in block.items())
        return raw, fields, parts[2]

    def test_dsn(self):
        """RFC 3461 and 3464 from end to end."""
        self.submit("dsn-full", "gone@partner.lab", ["NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;first+2Balias@example.lab"],
                    ["RET=FULL", "ENVID=QQ314159+2B1"])
        raw, f, third = self.notice(b"QQ314159")
        self.assertEqual(f["Original-Envelope-Id"], "QQ314159+1")
        self.assertEqual(f["Original-Recipient"], "rfc822; first+alias@example.lab")
        self.assertEqual(f["Final-Recipient"], "rfc822; gone@partner.lab")
        self.assertEqual((f["Action"], f["Status"]), ("failed", "5.1.1"))
        self.assertIn("550 5.1.1 no such user", f["Diagnostic-Code"])
        self.assertEqual(third.get_content_type(), "message/rfc822")
        self.assertIn(b"the body of dsn-full", raw)
        # Headers alone, which is all that is asked for.
        self.submit("dsn-hdrs", "gone@partner.lab", (), ["RET=HDRS", "ENVID=hdrs1"])
        raw, f, third = self.notice(b"hdrs1")
        self.assertEqual(third.get_content_type(), "text/rfc822-headers")
        self.assertIn(b"Subject: dsn-hdrs", raw)
        self.assertNotIn(b"the body of dsn-hdrs", raw)
        # Nobody asked: nobody is told. And the next hop knows no DSN: that it was handed on is told here.
        self.submit("dsn-never", "gone@partner.lab", ["NOTIFY=NEVER"], ["ENVID=never1"])
        self.submit("dsn-success", "b@partner.lab", ["NOTIFY=SUCCESS"], ["ENVID=success1"])
        raw, f, third = self.notice(b"success1")
        self.assertEqual((f["Action"], f["Status"][0]), ("relayed", "2"))
        self.lab.queue_empty()
        self.assertFalse(any(b"never1" in m[2] for m in list(self.back.messages)))

    def test_double_bounce(self):
        """What bounces to a sender that does not exist is the postmaster's; what bounces to nobody ends."""
        self.submit("double", "gone@partner.lab", sender="nobody@example.lab")
        raw, f, third = self.notice(b"nobody@example.lab", to="postmaster@example.lab")
        self.assertEqual(f["Final-Recipient"], "rfc822; nobody@example.lab")
        self.submit("from-nobody", "gone@partner.lab", sender="")
        self.lab.queue_empty()
        self.assertFalse(any(b"from-nobody" in m[2] for m in list(self.back.messages)))

    def test_cut_off(self):
        """A delivery that dies after the end of the data: may be delivered twice, and it is said."""
        self.gate.clear()
        self.assertEqual(self.lab.send("stuck@partner.lab", subject="stuck")[0], 250)
        self.leg("to=stuck@partner.lab", "active")
        for p in self.lab.pids("delivery"):
            os.kill(p, signal.SIGKILL)
        lab.wait_for(lambda: "may_be_delivered_twice" in json.dumps(self.show("to=stuck@partner.lab")), because="a word of it")
        self.assertIn("so it may be delivered twice", self.lab.tool("queue", "show", "to=stuck@partner.lab"))
        self.gate.set()
        self.lab.queue_empty()
        self.assertIn("was cut off by a crash; it may be delivered twice", self.lab.log())

    def test_files_used_again(self):
        """200 MB through the spool: dead segments become new ones, with everybody's sandbox in place."""
        body = ("x" * 998 + "\r\n") * 800
        with self.lab.smtp() as s:
            for n in range(300):
                s.sendmail("a@example.lab", ["b@partner.lab"], lab.message(body, subject="again-%03d" % n))
        self.lab.queue_empty(120)
        spool = self.lab.control({"cmd": "queue.summary"})[0]["spool"]
        self.assertGreaterEqual(spool["reused"], 1, spool)
        with self.mx.lock:
            got = [m[2].split(b"Subject: ")[1][:9].decode() for m in self.mx.messages if b"Subject: again-" in m[2]]
            whole = all(m[2].endswith(body.encode()) for m in self.mx.messages if b"Subject: again-" in m[2])
        self.assertEqual(sorted(got), ["again-%03d" % n for n in range(300)])
        self.assertTrue(whole)
        self.lab.kill_postern()
        self.lab.start_postern()
        self.assertNotIn("spool damage", self.lab.log())
        self.assertEqual(self.lab.counter("queue_messages"), 0)


if __name__ == "__main__":
    unittest.main()
