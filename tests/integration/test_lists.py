#!/usr/bin/python3
"""Lists of senders through the real processes: who decides, for whom, whose word counts, until when; what
outlives the store, a reload and a restart; greylisting and harvest locks that an administrator's word spares."""
import json
import os
import re
import signal
import sqlite3
import time
import unittest

import lab

GOOD, FORGER, OTHER = "127.0.0.2", "127.0.0.3", "127.0.0.4"
SPF = '@ TXT "v=spf1 ip4:%s -all"' % GOOD
ZONES = {"lab": [], "friend.lab": [SPF, 'news TXT "v=spf1 ip4:%s -all"' % GOOD], "news.lab": [SPF], "evil.lab": [SPF],
         # without SPF: nothing proves it. strict: DMARC passes or fails.
         "plain.lab": ["@ MX 10 mx"], "strict.lab": [SPF, '_dmarc TXT "v=DMARC1; p=none"']}
POLICY = """
use: [postern/base, postern/inbound]
spam:
  checks: {SPAMMY: {score: 20, when: {subject: {words: [lottery]}}}}
  domains: {default: prudent}
rules:
  - {id: dlp, direction: inbound, when: {subject: {words: [secret]}}, then: {quarantine: dlp}}
"""


class Lists(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("lists")
        self.addCleanup(self.lab.close)
        self.lab.dns(ZONES)
        self.mx = self.lab.mx()

    def start(self, policy=POLICY, domain=(), **over):
        self.lab.policy("version: 1\n" + policy)
        port = self.lab.ports.setdefault("smtp", lab.free_port())
        at = {"deliver_to": ["127.0.0.1:%d" % self.mx.port]}
        self.lab.config(listeners=[{"name": "mx", "address": "127.0.0.1:%d" % port, "direction": "inbound"}],
                        domains={"example.lab": {**at, **dict(domain)}, "other.lab": at}, **over)
        self.lab.start_postern()

    # -- what is said ----------------------------------------------------------------------

    def entries(self, *args):
        return [json.loads(l) for l in self.lab.tool("--json", "lists", *args).splitlines()]

    def add(self, *args):
        """The number of the entry, once receivers have it."""
        item = self.entries("add", *args)[0]
        self.assertIn("number", item, item)
        self.spread()
        return item["number"]

    def remove(self, number):
        self.assertEqual(self.entries("remove", str(number))[0]["number"], number)
        self.spread()

    def spread(self):
        """`check` hands out what waits and says its generation; the receiver counts what it has."""
        newest = self.entries("check", "x@x.lab", "x@example.lab")[-1]["generation"]
        lab.wait_for(lambda: self.lab.counter("lists_generation") >= newest, because="the receiver has the lists")

    def send(self, *to, sender="bob@friend.lab", source=GOOD, subject="lottery", author=None, body="Hello.\r\n"):
        """The id of a message that was taken, or (code, text)."""
        raw = lab.message(body, sender=author or sender, to=to, subject=subject)
        code, text = self.lab.send(list(to), sender=sender, source=source, raw=raw)
        m = re.search(r"accepted as (\w+)", text)
        return m.group(1) if m else (code, text)

    def record(self, ref):
        lab.wait_for(lambda: json.loads(self.lab.tool("--json", "trace", ref).splitlines()[0]).get("time"),
                     because="the journal has it")
        return json.loads(self.lab.tool("--json", "explain", ref))

    def outcome(self, *to, **how):
        """{recipient: (outcome, rules)}"""
        ref = self.send(*to, **how)
        self.assertIsInstance(ref, str, ref)
        return {r["address"]: (r["outcome"], r["rules"]) for r in self.record(ref)["recipients"]}

    def one(self, to="ann@example.lab", **how):
        return self.outcome(to, **how)[to]

    SPAM = ("quarantine", ["spam/prudent/spam"])

    def audit(self):
        with sqlite3.connect("file:%s?mode=ro" % self.lab.path("store", "store.db"), uri=True) as db:
            return db.execute("SELECT what, who, subject, detail FROM audit WHERE what LIKE 'lists.%' ORDER BY seq").fetchall()

    # -- who decides ------------------------------------------------------------------------

    def test_who_decides(self):
        """A user's allow lifts what spam rules do, for him alone, and nothing else; above it stand the administrators."""
        self.start(antivirus={"engine": "libclamav", "databases": self.lab.signatures()})
        self.assertEqual(self.one(), self.SPAM)
        number = self.add("allow", "@friend.lab", "--for", "ann@example.lab", "--reason", "my bank")
        ref = self.send("ann@example.lab", "joe@example.lab")
        got = {r["address"]: r for r in self.record(ref)["recipients"]}
        self.assertEqual((got["ann@example.lab"]["outcome"], got["ann@example.lab"]["skipped"]), ("deliver", ["spam/prudent/spam"]))
        self.assertEqual((got["joe@example.lab"]["outcome"], got["joe@example.lab"]["rules"]), self.SPAM)
        want = {"number": number, "scope": "user", "owner": "ann@example.lab", "list": "allow", "what": "@friend.lab",
                "by": "header_from", "counts": True, "reason": "my bank"}
        self.assertEqual(self.record(ref)["identity"]["lists"], [want])
        line = "list entry %d: user ann@example.lab allow @friend.lab -- my bank\n" % number
        self.assertIn(line, self.lab.tool("explain", ref))
        self.assertIn(line, self.lab.tool("trace", ref))
        self.assertIn("lists: entry %d (user ann@example.lab allow @friend.lab) speaks of the author" % number, self.lab.log())
        # below the domain, with a tag, in capitals
        self.assertEqual(self.one(to="Ann+shop@example.lab", sender="Bob@NEWS.friend.lab", author="bob@friend.lab")[0], "deliver")
        self.assertEqual(self.one(subject="secret lottery"), ("quarantine", ["dlp"]))
        self.assertEqual(self.one(body=lab.EICAR), ("quarantine", ["virus"]))
        # his own block is above his allow; the domain's and everybody's above both
        block = self.add("block", "bob@friend.lab", "--for", "ann@example.lab")
        self.assertEqual(self.one(), ("quarantine", ["lists-user-block"]))
        self.assertEqual(self.one(sender="eve@friend.lab")[0], "deliver")
        domain = self.add("allow", "@friend.lab", "--for", "example.lab", "--expires", "30d")
        self.assertEqual(self.one()[0], "deliver")
        self.assertEqual(self.one(to="joe@example.lab")[0], "deliver")
        self.assertEqual(self.one(to="joe@other.lab"), self.SPAM)
        everybody = self.add("block", "@friend.lab")
        code, text = self.send("ann@example.lab")
        self.assertEqual(code, 550)
        self.assertRegex(text, r"5\.7\.1 <ann@example\.lab>: the sender is blocked here \(entry %d\) \(ref \w{11}\)" % everybody)
        # the author alone is known with the message
        code, text = self.send("ann@example.lab", sender="x@news.lab", author="bob@friend.lab", subject="hello")
        self.assertEqual(code, 550)
        self.assertIn("5.7.1 the sender is blocked here", text)
        out = self.lab.tool("lists", "check", "bob@friend.lab", "ann@example.lab")
        self.assertIn("when the sender is proved: refused, entry %d decides" % everybody, out)
        self.assertEqual(self.lab.counter("lists_refused"), 1)
        self.assertEqual(self.lab.counter("lists_entries"), 4)
        for n in (everybody, domain, block):
            self.remove(n)
        self.assertEqual(self.one()[0], "deliver")
        self.assertEqual([(what, subject) for what, who, subject, detail in self.audit()],
                         [("lists.add", "entry %d" % n) for n in (number, block, domain, everybody)] +
                         [("lists.remove", "entry %d" % n) for n in (everybody, domain, block)])
        self.assertEqual(self.audit()[0][3], "allow @friend.lab for user ann@example.lab, for ever: my bank")

    def test_proof(self):
        """An allow is no way in for whoever writes the name: SPF, DMARC; a domain that nothing proves."""
        self.start()
        for what in ("@friend.lab", "@plain.lab", "@strict.lab"):
            self.add("allow", what, "--for", "ann@example.lab")
        self.assertEqual(self.one()[0], "deliver")
        self.assertEqual(self.one(source=FORGER), self.SPAM)
        self.assertEqual(self.one(sender="x@news.lab", author="bob@friend.lab"), self.SPAM)
        self.assertEqual(self.one(sender="a@plain.lab"), self.SPAM)
        self.assertEqual(self.one(sender="a@strict.lab")[0], "deliver")
        # DMARC fails, though SPF proves another domain that is allowed
        self.assertEqual(self.one(sender="bob@friend.lab", author="a@strict.lab"), self.SPAM)
        self.assertIn("and nothing proves that he is who he says", self.lab.log())
        self.assertEqual(self.lab.counter("lists_unproved"), 4)
        # an administrator may say that he knows
        self.add("allow", "@plain.lab", "--expires", "1d", "--unauthenticated")
        self.assertEqual(self.one(sender="a@plain.lab")[0], "deliver")
        # a block needs no proof
        self.add("block", "@news.lab", "--for", "ann@example.lab")
        self.assertEqual(self.one(sender="x@news.lab", source=FORGER, subject="hello"), ("quarantine", ["lists-user-block"]))

    # -- time, and processes that come and go --------------------------------------------------

    def test_end(self):
        """An entry ends by itself, to the instant; the row goes, and the audit log says so."""
        self.start()
        for seconds in (3, 10, 30):     # on a slow machine the first may be over before it is read
            end = int((time.time() + seconds) * 1e6)
            item = self.lab.control({"cmd": "lists.add", "scope": "all", "list": "block", "what": "@evil.lab", "expires": end})[0]
            if "number" in item:
                break
        self.assertEqual(item["expires"], end, item)
        self.spread()
        seen = self.send("ann@example.lab", sender="x@evil.lab", subject="hello")
        if time.time() * 1e6 < end:
            self.assertEqual(seen[0], 550)
        lab.wait_for(lambda: self.audit()[-1][0] == "lists.expire", because="the entry has run out")
        self.assertGreaterEqual(time.time() * 1e6, end)
        self.assertEqual(self.one(sender="x@evil.lab", subject="hello")[0], "deliver")
        self.assertEqual(self.audit()[-1][1:3], ("expiry", "entry %d" % item["number"]))
        self.assertEqual(self.entries(), [{"v": 1, "found": 0, "more": False, "next": 0}])
        lab.wait_for(lambda: self.lab.counter("lists_entries") == 0, because="a book without it")

    def test_processes(self):
        """The lists outlive a reload, a restart, and the store: a receiver that starts without it has them too."""
        self.start()
        self.add("allow", "@friend.lab", "--for", "ann@example.lab")
        self.lab.tool("reload")
        self.assertEqual(self.one()[0], "deliver")
        self.lab.kill_postern()
        self.lab.start_postern()
        self.assertEqual(self.one()[0], "deliver")
        store, receiver = self.lab.pids("store")[0], self.lab.pids("receiver")[0]
        os.kill(store, signal.SIGSTOP)
        try:
            os.kill(receiver, signal.SIGKILL)
            lab.wait_for(lambda: self.lab.pids("receiver") not in ([], [receiver]), because="another receiver")
            ref = lab.wait_for(lambda: self.again("ann@example.lab"), because="it takes mail")
        finally:
            os.kill(store, signal.SIGCONT)
        self.assertEqual(self.record(ref)["recipients"][0]["outcome"], "deliver")
        os.kill(store, signal.SIGKILL)
        lab.wait_for(lambda: self.lab.pids("store") not in ([], [store]), because="another store")
        self.assertEqual(self.one()[0], "deliver")
        self.spread()
        self.assertEqual(self.lab.counter("lists_absent"), 0)

    def again(self, to):
        """The id, or None while nobody listens."""
        try:
            ref = self.send(to)
        except OSError:
            return None
        return ref if isinstance(ref, str) else None

    # -- the client -------------------------------------------------------------------------------

    def test_client(self):
        """Networks are the administrators': blocked at RCPT, or spared greylisting and the harvest lock."""
        self.lab.write("known", "ann@example.lab\n")
        self.start(policy=POLICY + "limits:\n  - {id: harvest, per: client, allow: 1 invalid recipients / 1h, then: {lock: 1h}}\n",
                   domain={"greylist": {"delay": "1h"}, "recipients": "file:known"})
        code, text = self.send("ann@example.lab")
        self.assertEqual(code, 451)
        self.assertIn("greylisted", text)
        number = self.add("allow", GOOD, "--expires", "1d", "--reason", "our partner's gateway", "--owner", "j.martin")
        self.assertEqual(self.one()[0], "deliver")
        for _ in range(3):
            code, text = self.send("nobody@example.lab")
            self.assertEqual((code, text.split()[0]), (550, "5.1.1"))
        self.assertEqual(self.one()[0], "deliver")
        listed = self.entries("list", "all")[0]
        self.assertEqual((listed["owner"], listed["number"], listed["kind"]), ("j.martin", number, "network"))
        self.remove(number)
        for _ in range(3):
            code, text = self.send("nobody@example.lab")
        self.assertIn("harvest", text)
        self.add("block", "127.0.0.4/31")
        code, text = self.send("ann@example.lab", source=OTHER, subject="hello")
        self.assertEqual(code, 550)
        self.assertIn("the client is blocked here", text)

    # -- the tool -----------------------------------------------------------------------------------

    def test_tool(self):
        """What cannot be is said with its place and what was meant; in and out again is the same."""
        self.start()

        def fails(*args, status=1):
            r = self.lab.tool("lists", *args, check=False)
            self.assertEqual(r.returncode, status, r)
            return r.stderr

        self.assertIn("did you mean `@friend.lab`", fails("add", "block", "*@friend.lab"))
        self.assertIn("did you mean `@friend.lab`", fails("add", "block", "friend.lab"))
        self.assertIn("did you mean `allow`", fails("add", "alow", "@friend.lab", status=2))
        self.assertIn("did you mean `remove`", fails("remov", "1", status=2))
        self.assertIn("until when?", fails("add", "allow", "@friend.lab"))
        self.assertIn("did you mean `example.lab`?", fails("add", "block", "@friend.lab", "--for", "ann@exampel.lab"))
        self.assertIn("too large a network", fails("add", "block", "0.0.0.0/0"))
        self.assertIn("the network is 10.0.0.0/8", fails("add", "block", "10.0.0.1/8"))
        self.assertIn("networks are for administrators", fails("add", "block", "192.0.2.1", "--for", "ann@example.lab"))
        self.assertIn("half the world", fails("add", "allow", "@lab", "--forever"))
        self.assertIn("ended already", fails("add", "allow", "@friend.lab", "--expires", "2020-01-01"))
        self.assertIn("no such entry", fails("remove", "77"))
        number = self.add("block", "@Bücher.example")
        self.assertEqual(self.entries()[0]["what"], "@xn--bcher-kva.example")
        self.assertIn("entry %d blocks @xn--bcher-kva.example already" % number, fails("add", "allow", "@bücher.example", "--forever"))
        # asked for, and decided
        item = self.entries("request", "allow", "@friend.lab", "--reason", "we need it")[0]
        self.assertEqual(item["state"], "requested")
        self.spread()
        self.assertEqual(self.one(), self.SPAM)
        self.assertEqual(self.entries("approve", str(item["number"]), "--expires", "90d")[0]["state"], "active")
        self.spread()
        self.assertEqual(self.one()[0], "deliver")
        # out and in
        out = self.lab.tool("lists", "export")
        for e in map(json.loads, out.splitlines()):
            self.remove(e["number"])
        self.assertEqual(self.one(), self.SPAM)
        self.lab.write("in.txt", out + "# a remark\nblock @evil.lab ann@example.lab  # known\n\nblock x@evil.lab example.lab\n")
        self.assertEqual(self.lab.tool("lists", "import", self.lab.path("in.txt")), "4 added\n")
        self.spread()
        self.assertEqual(self.one()[0], "deliver")
        keep = ("scope", "owner", "list", "what", "reason", "expires")
        had = [[e[k] for k in keep] for e in map(json.loads, out.splitlines())]
        self.assertEqual([[e[k] for k in keep] for e in self.entries()[:2]], had)
        self.lab.write("bad.txt", "block @evil.lab\nallow nobody\n")
        r = self.lab.tool("lists", "import", self.lab.path("bad.txt"), check=False)
        self.assertEqual(r.returncode, 1)
        self.assertRegex(r.stderr, r"bad\.txt:2: `nobody` is no address, @domain or network\nnothing was imported")
        self.lab.write("twice.txt", "block @evil.lab\nblock @evil.lab\n")
        r = self.lab.tool("lists", "import", self.lab.path("twice.txt"), check=False)
        self.assertEqual((r.returncode, r.stdout), (1, "1 added, others not: see above\n"))
        self.assertIn("twice.txt:2: not added", r.stderr)


if __name__ == "__main__":
    unittest.main()
