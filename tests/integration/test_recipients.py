"""Does a mailbox of ours exist? The server behind us is asked at RCPT (callout), or a directory, or a file;
strangers are greylisted; who guesses addresses is locked out."""
import glob
import json
import os
import pwd
import re
import threading
import unittest

import lab
from ldap import Slapd


class Callout(unittest.TestCase):
    """The server behind us is a stage: RCPT of known@ is taken, all else as `answers` says."""

    def setUp(self):
        self.lab = lab.Lab("recipients")
        self.addCleanup(self.lab.close)
        self.asked, self.answers, self.gate, self.dead = [], {}, threading.Event(), False
        self.gate.set()
        self.heard, self.back_hook = [], self.answer
        self.back = self.lab.mx(reply=self.overheard)

    def overheard(self, line, session):
        self.heard.append(line)
        return self.back_hook(line, session)

    def answer(self, line, session):
        if self.dead:
            return "HANGUP"
        if line.startswith("MAIL"):
            self.mail = line
            return self.answers.get("MAIL")
        if line.startswith("RCPT"):
            who = re.search("<(.*?)>", line).group(1)
            self.asked.append(who)
            self.gate.wait(60)
            return self.answers.get(who.split("@")[0], None if who.startswith("known") else "550 5.1.1 no such user")
        return None

    def start(self, callout=None, policy=None, per_site=None, **domain):
        self.lab.policy(policy or "version: 1\nrules:\n  - {id: big, when: {size: {over: 900MB}}, then: {reject: no}}\n")
        self.lab.config(
            delivery={"per_site": per_site} if per_site else {},
            domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % self.back.port],
                                     "recipients": {"callout": callout} if callout else "callout", **domain}},
            listeners=[{"name": "mx", "address": "127.0.0.1:%d" % self.lab.ports.setdefault("smtp", lab.free_port()),
                        "direction": "inbound"}])
        self.lab.start_postern()

    def rcpt(self, *who, sender="x@elsewhere.lab"):
        with self.lab.smtp() as s:
            s.ehlo()
            s.mail(sender)
            got = [s.rcpt(w) for w in who]
            s.rset()
        return got[0] if len(got) == 1 else got

    def test_the_server_says_it(self):
        self.start()
        self.assertEqual(self.rcpt("known@example.lab")[0], 250)
        self.assertIn("MAIL FROM:<>", self.mail)
        code, text = self.rcpt("other@example.lab")
        self.assertEqual((code, text[:5]), (550, b"5.1.1"))
        self.assertRegex(text.decode(), r"no such recipient here \(ref ")
        # Both are remembered, whatever the case; nothing was asked twice, and nobody got mail.
        self.assertEqual(self.rcpt("Known@EXAMPLE.lab")[0], 250)
        self.assertEqual(self.rcpt("OTHER@example.lab")[0], 550)
        self.assertEqual(self.asked, ["known@example.lab", "other@example.lab"])
        self.assertEqual(self.back.messages, [])
        self.assertEqual(self.lab.counter("recipients_asked"), 2)
        self.assertEqual(self.lab.counter("recipients_remembered"), 2)
        # The postmaster can always be reached.
        self.assertEqual(self.rcpt("postmaster@example.lab")[0], 250)
        # A message goes its way.
        with self.lab.smtp() as s:
            s.sendmail("x@elsewhere.lab", ["known@example.lab"], lab.message(subject="hello"))
        self.assertIn(b"Subject: hello", self.back.wait(1)[0][2])

    def test_doubt_is_never_a_refusal(self):
        """What the server says of us, of the sender, of a full mailbox, says nothing about the mailbox."""
        self.answers = {"tempfail": "451 4.3.0 try later", "full": "552 5.2.2 mailbox full", "policy": "550 5.7.1 not from you",
                        "known1": "250 ok", "bare": "550 Unknown user", "moved": "551 user not local", "syntax": "501 5.5.4 what",
                        "old": "550 5.2.1 mailbox disabled", "hang": "HANGUP", "down": "421 4.3.2 going down"}
        self.start()
        for who, code in (("tempfail", 450), ("full", 450), ("policy", 450), ("syntax", 450), ("hang", 450), ("down", 450),
                          ("bare", 550), ("moved", 550), ("old", 550), ("known1", 250)):
            got = self.rcpt(who + "@example.lab")
            self.assertEqual(got[0], code, (who, got))
            if code == 450:
                self.assertTrue(got[1].startswith(b"4.1.1 "), got)
        asked = len(self.asked)
        self.assertEqual(self.rcpt("policy@example.lab")[0], 450)
        self.assertGreater(len(self.asked), asked)        # doubt is not remembered
        self.answers = {"MAIL": "553 5.1.8 no null sender here"}
        self.assertEqual(self.rcpt("fresh@example.lab")[0], 450)
        self.assertIn("no null sender here", self.lab.log())

    def test_the_server_is_away(self):
        """A mailbox that was known is taken for `stale`; of others nobody can say."""
        self.start(callout={"found": "1s", "stale": "1d", "timeout": "5s"})
        self.assertEqual(self.rcpt("known@example.lab")[0], 250)
        self.dead = True
        self.back.close()
        lab.wait_for(lambda: self.unsure("known@example.lab"), because="`found` to be over")
        self.assertEqual(self.rcpt("known@example.lab")[0], 250)
        self.assertEqual(self.rcpt("stranger@example.lab")[0], 450)
        out = self.lab.tool("recipients", "test", "known@example.lab", "stranger@example.lab", check=False)
        self.assertIn("was known before: accepted", out.stdout)
        self.assertIn("clients are told to come back", out.stdout)

    def unsure(self, who):
        return self.lab.control({"cmd": "recipients.test", "address": who})[0]["recipient"] == "unsure"

    def test_one_question_for_many(self):
        self.start(callout={"timeout": "60s"})
        self.gate.clear()
        sessions = [self.lab.smtp() for _ in range(20)]
        for s in sessions:
            s.ehlo()
            s.mail("x@elsewhere.lab")
            s.putcmd("RCPT", "TO:<known@example.lab>")
        lab.wait_for(lambda: self.asked, because="the question")
        self.gate.set()
        self.assertEqual([s.getreply()[0] for s in sessions], [250] * 20)
        self.assertEqual(self.asked, ["known@example.lab"])
        for s in sessions:
            s.close()

    def test_pipelined_and_gone(self):
        """All recipients of a pipelined group are asked for one after the other; a client that leaves does no harm."""
        self.start()
        with self.lab.smtp() as s:
            s.ehlo()
            s.sock.sendall(b"MAIL FROM:<x@elsewhere.lab>\r\nRCPT TO:<known1@example.lab>\r\nRCPT TO:<no@example.lab>\r\n"
                           b"RCPT TO:<known2@example.lab>\r\nDATA\r\n")
            self.assertEqual([s.getreply()[0] for _ in range(5)], [250, 250, 550, 250, 354])
            s.sock.sendall(b"Subject: group\r\n\r\nx\r\n.\r\n")
            self.assertEqual(s.getreply()[0], 250)
        self.assertEqual(sorted(self.back.wait(1)[0][1]), ["known1@example.lab", "known2@example.lab"])
        self.gate.clear()
        for _ in range(5):
            s = self.lab.smtp()
            s.ehlo()
            s.mail("x@elsewhere.lab")
            s.putcmd("RCPT", "TO:<known-gone@example.lab>")
            s.close()
        lab.wait_for(lambda: "known-gone@example.lab" in self.asked, because="the question")
        self.gate.set()
        lab.wait_for(lambda: self.lab.control({"cmd": "recipients.test", "address": "known-gone@example.lab"})[0]["source"]
                     == "remembered", because="the answer to be remembered")
        self.assertEqual(self.rcpt("known-gone@example.lab")[0], 250)

    def test_asked_over_a_reload(self):
        """A question that its process had no time for is asked by the next one: the session does not notice."""
        self.start(callout={"timeout": "120s"}, per_site={"connections": 1})
        held = threading.Event()
        answer = self.answer
        self.back_hook = lambda line, session: (held.wait(100), None)[1] if "known-slow" in line else answer(line, session)
        first, second = self.lab.smtp(), self.lab.smtp()
        for s, who in ((first, "known-slow"), (second, "known-next")):
            self.addCleanup(s.close)
            s.ehlo()
            s.mail("x@elsewhere.lab")
            s.putcmd("RCPT", "TO:<%s@example.lab>" % who)
            if s is first:
                lab.wait_for(lambda: self.lines("known-slow"), because="the first question")
        lab.wait_for(lambda: self.lab.counter("recipients_asked") == 2, because="the second question, which waits for the connection")
        self.assertFalse(self.lines("known-next"))
        r = self.lab.tool("reload", check=False)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        # The old process handed it back while the first is still under way.
        self.assertEqual(second.getreply()[0], 250)
        held.set()
        self.assertEqual(first.getreply()[0], 250)

    def lines(self, word):
        return [x for x in self.heard if word in x]

    def test_probe_cap(self):
        self.start(callout={"probes": 3, "timeout": "60s"})
        self.gate.clear()
        sessions = []
        for i in range(6):
            s = self.lab.smtp()
            s.ehlo()
            s.mail("x@elsewhere.lab")
            s.putcmd("RCPT", "TO:<known%d@example.lab>" % i)
            sessions.append(s)
        lab.wait_for(lambda: len(self.asked) >= 3 and self.lab.counter("recipients_unverified") == 3, because="three and no more")
        self.gate.set()
        self.assertEqual(sorted(s.getreply()[0] for s in sessions), [250] * 3 + [450] * 3)
        self.assertEqual(len(self.asked), 3)
        for s in sessions:
            s.close()

    def test_delivery_dies(self):
        """The process that asks is killed: another asks, or the client comes back."""
        self.start(callout={"timeout": "60s"})
        self.gate.clear()
        s = self.lab.smtp()
        s.ehlo()
        s.mail("x@elsewhere.lab")
        s.putcmd("RCPT", "TO:<known@example.lab>")
        lab.wait_for(lambda: self.asked, because="the question")
        for pid in self.lab.pids("delivery"):
            os.kill(pid, 9)
        self.gate.set()
        self.assertIn(s.getreply()[0], (250, 450))
        s.close()
        lab.wait_for(lambda: self.rcpt("known@example.lab")[0] == 250, because="a delivery process")

    def test_forget(self):
        self.start()
        self.assertEqual(self.rcpt("late@example.lab")[0], 550)
        self.answers["late"] = "250 ok"
        self.assertEqual(self.rcpt("late@example.lab")[0], 550)
        self.assertIn("does not exist", self.lab.tool("recipients", "test", "late@example.lab"))
        self.assertIn("exists", self.lab.tool("recipients", "test", "--fresh", "late@example.lab"))
        self.assertEqual(self.rcpt("late@example.lab")[0], 250)
        self.answers["late"] = "550 5.1.1 gone"
        self.assertIn("forgotten", self.lab.tool("recipients", "forget", "late@example.lab"))
        self.assertEqual(self.rcpt("late@example.lab")[0], 550)
        self.assertEqual(json.loads(self.lab.tool("recipients", "test", "who@foreign.lab", "--json"))["recipient"], "unknown")
        self.assertEqual(self.lab.tool("recipients", "test", "--fresh", check=False).returncode, 2)

    def test_harvest(self):
        """Who guesses is locked out, and from then on nobody is asked on his behalf."""
        self.start(policy="version: 1\nlimits:\n  - {id: guess, per: client, allow: 5 invalid recipients / 1h, then: {lock: 1h}}\n")
        got = [self.rcpt("guess%d@example.lab" % i) for i in range(5)]
        self.assertEqual([g[0] for g in got], [550] * 5)
        with self.lab.smtp() as s:
            s.ehlo()
            code = s.mail("x@elsewhere.lab")[0]
            if code == 250:
                code = s.rcpt("guess6@example.lab")[0]
            self.assertEqual(code, 451)
        asked = len(self.asked)
        with self.lab.smtp() as s:
            s.ehlo()
            code, text = s.mail("x@elsewhere.lab")
            self.assertEqual(code, 451)
            self.assertIn(b"the limit guess", text)
        self.assertEqual(len(self.asked), asked)

    def test_greylist(self):
        self.start(greylist={"delay": "2s", "retry": "1h"})
        code, text = self.rcpt("known@example.lab")
        self.assertEqual(code, 451)
        self.assertRegex(text.decode(), r"greylisted, come back in \d s")
        self.assertEqual(self.asked, [])                    # nobody is asked for a stranger
        self.assertEqual(self.rcpt("known@example.lab")[0], 451)
        # His tag is another each time; he is the same.
        tags = ("prvs=%010d=x@elsewhere.lab" % n for n in range(10000))
        lab.wait_for(lambda: self.rcpt("known@example.lab", sender=next(tags))[0] == 250, every=0.2, because="`delay` to be over")
        self.assertEqual(self.rcpt("known2@example.lab", sender="y@elsewhere.lab")[0], 250)     # no stranger any more
        self.assertGreater(self.lab.counter("recipients_greylisted"), 1)

    def test_reload_keeps_what_is_known(self):
        self.start()
        self.assertEqual(self.rcpt("known@example.lab")[0], 250)
        self.lab.tool("reload")
        self.assertEqual(self.rcpt("known@example.lab")[0], 250)
        self.assertEqual(self.asked, ["known@example.lab"])


class Directory(unittest.TestCase):
    """`recipients: ldap`, and a file, with a real slapd; a Postfix with mailboxes of its own behind `callout`."""

    def test_ldap(self):
        self.lab = lab.Lab("recipients-ldap")
        self.addCleanup(self.lab.close)
        slapd = Slapd(self.lab)
        self.lab.config(directory={"corp": slapd.config(cache={"found": "1s", "missing": "1s", "stale": "1d"})},
                        domains={"example.lab": {"deliver_to": ["127.0.0.1:9"], "recipients": "ldap"}},
                        listeners=[{"name": "mx", "address": "127.0.0.1:%d" % self.lab.ports.setdefault("smtp", lab.free_port()),
                                    "direction": "inbound"}])
        self.lab.start_postern()
        self.assertEqual([self.rcpt(w) for w in ("ann@example.lab", "BOB@example.lab", "zoe@example.lab", "*@example.lab",
                                                 "postmaster@example.lab")], [250, 250, 550, 550, 250])
        self.assertIn("ldap, corp", self.lab.tool("recipients", "test", "ann@example.lab"))
        slapd.stop()
        # Who was known counts; of others nobody can say.
        lab.wait_for(lambda: self.lab.control({"cmd": "recipients.test", "address": "new@example.lab"})[0]["recipient"] == "unsure",
                     because="the directory to be away")
        self.assertEqual([self.rcpt(w) for w in ("ann@example.lab", "stranger@example.lab")], [250, 450])
        slapd.start()
        lab.wait_for(lambda: self.rcpt("stranger@example.lab") == 550, because="the directory to be back")

    def rcpt(self, who):
        with self.lab.smtp() as s:
            s.ehlo()
            s.mail("x@elsewhere.lab")
            return s.rcpt(who)[0]

    def test_postfix_with_mailboxes(self):
        self.lab = lab.Lab("recipients-postfix")
        self.addCleanup(self.lab.close)
        ids = pwd.getpwnam("nobody")
        os.makedirs(self.lab.path("inside", "mail"))
        self.lab.write("inside/boxes", "anna@example.lab anna/\nberta@example.lab berta/\n")
        port = self.lab.postfix("inside", {
            "virtual_mailbox_domains": "example.lab", "virtual_mailbox_maps": "texthash:" + self.lab.path("inside", "boxes"),
            "virtual_mailbox_base": self.lab.path("inside", "mail"), "virtual_uid_maps": "static:%d" % ids.pw_uid,
            "virtual_gid_maps": "static:%d" % ids.pw_gid, "virtual_minimum_uid": "1"})
        self.lab.config(domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % port], "recipients": "callout"}},
                        listeners=[{"name": "mx", "address": "127.0.0.1:%d" % self.lab.ports.setdefault("smtp", lab.free_port()),
                                    "direction": "inbound"}])
        self.lab.start_postern()
        self.assertEqual([self.rcpt(w) for w in ("anna@example.lab", "carla@example.lab", "berta@example.lab")], [250, 550, 250])
        with self.lab.smtp() as s:
            self.assertEqual(list(s.sendmail("x@elsewhere.lab", ["anna@example.lab", "carla@example.lab"],
                                             lab.message(subject="for anna"))), ["carla@example.lab"])
        box = lambda: glob.glob(self.lab.path("inside", "mail", "anna", "new", "*"))
        with open(lab.wait_for(box, because="the mailbox")[0]) as f:
            self.assertIn("Subject: for anna", f.read())
        # A callout leaves nothing behind.
        self.assertEqual(glob.glob(self.lab.path("inside", "mail", "berta", "new", "*")), [])


if __name__ == "__main__":
    unittest.main()
