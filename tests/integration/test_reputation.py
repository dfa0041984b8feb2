"""Our own experience with senders: who spams loses, who is good gains; kept, corrected, explained."""
import json
import os
import re
import unittest

import dns_server
import lab

ZONES = {
    "lab": [],
    # who is proved to be shop.lab: 127.1.0.0/16 alone; nobody publishes anything for other.lab
    "shop.lab": ['@ TXT "v=spf1 ip4:127.1.0.0/16 -all"', '_dmarc TXT "v=DMARC1; p=none"'],
    "plain.lab": ['@ TXT "v=spf1 ip4:127.1.0.0/16 -all"'],
    "other.lab": [],
}
POLICY = """version: 1
spam:
  checks:
    JUNK: {score: 20, when: {subject: {words: [junk]}}}
    DOUBT: {score: 8, when: {subject: {words: [doubt]}}}
    KNOWN_BAD: {score: 0.5, when: {experience: {under: 20}}}
    KNOWN_GOOD: {score: -0.5, when: {experience: {over: 80}}}
rules:
  - {id: no-spam, direction: inbound, when: {spam: [spam, suspected]}, then: {quarantine: spam}}
  - {id: shown, direction: inbound, when: {experience: {under: 20}}, then: {add_header: {X-Experience: bad}}}
"""
GOOD, BAD, LAZY = "127.1.0.7", "127.2.0.7", "127.3.0.7"


class Reputation(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("reputation")
        self.addCleanup(self.lab.close)
        self.lab.dns(ZONES)
        self.back = self.lab.mx()
        self.lab.policy(POLICY)

    def start(self, **reputation):
        port = self.lab.ports.setdefault("smtp", lab.free_port())
        users = self.lab.write("users", "".join(u + "@example.lab\n" for u in ("u", "v")))
        self.lab.config(listeners=[{"name": "mx", "address": "127.0.0.1:%d" % port, "direction": "inbound"}],
                        domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % self.back.port], "recipients": "file:" + users}},
                        verify={"reputation": reputation} if reputation else {"timeout": "20s"})
        self.lab.start_postern()

    def send(self, source, subject, sender="a@other.lab", n=1):
        for _ in range(n):
            code, text = self.lab.send("u@example.lab", sender=sender, subject=subject, source=source)
            self.assertEqual(code, 250, text)
        return re.search(r"accepted as (\w+)", text).group(1)

    def of(self, who):
        """What the tool says of an address: the daemon's own words."""
        return json.loads(self.lab.tool("--json", "reputation", who, check=False).stdout)["experience"]

    def until(self, who, what, want):
        """Counted once the client has its answer: at once, or a moment later."""
        lab.wait_for(lambda: round((self.of(who)[what[0]] or {}).get(what[1], 0)) == want, because="%s %s is %s" % (who, what, want))
        return self.of(who)

    # -- gained, lost, told ------------------------------------------------------------------

    def test_earned(self):
        self.start()
        self.send(GOOD, "offer", "news@shop.lab", 12)
        self.send(BAD, "junk", n=12)
        good = self.until(GOOD, ("counts", "clean"), 12)
        bad = self.until(BAD, ("counts", "spam"), 12)
        # Beta(13, 1): 13/14 - 1.28 * sqrt(13 / (196 * 15)) = 0.843; as good on the other side, and the domain too
        self.assertEqual((bad["score"], bad["grade"]), (16, "bad"))
        self.assertEqual((good["client"], good["grade"]), (84, "good"))
        self.assertEqual(self.of("shop.lab")["author"], 84)
        self.assertEqual(self.of("other.lab")["domain"], None)         # nothing proves it
        self.assertEqual(self.of(LAZY)["score"], 50)
        self.assertLess(self.of("127.2.0.8")["score"], 50)             # a neighbour of the bad one
        self.assertEqual(self.of("127.2.0.8")["counts"], None)
        # in words
        r = self.lab.tool("reputation", BAD, check=False)
        self.assertEqual(r.returncode, 1)
        for words in ("127.2.0.7: reputation 33 of 100\n", "16 of 100, counts -17\n",
                      "the address 127.2.0.7, known for 0 days: 12 messages: 12 spam\n",
                      "its network 127.2.0.0/24, known for 0 days: 12 messages: 12 spam\n",
                      "so it is bad: 16 of 100", "loses half of itself in 7 days\n"):
            self.assertIn(words, r.stdout)
        r = self.lab.tool("reputation", "shop.lab", check=False)
        self.assertEqual(r.returncode, 0)
        self.assertIn("shop.lab: reputation 84 of 100\n", r.stdout)
        # the policy knows it, and the log says it
        ref = self.send(BAD, "hello")
        self.assertIn("experience=16", self.lab.log())
        self.lab.queue_empty()
        self.assertIn(b"X-Experience: bad\r\n", [m[2] for m in self.back.messages][-1])
        got = json.loads(self.lab.tool("--json", "explain", ref))
        self.assertEqual((got["identity"]["experience"], [s["name"] for s in got["spam"]["symbols"]]), (16, ["KNOWN_BAD"]))
        ref = self.send("127.1.0.9", "hello", "news@shop.lab")          # a client nobody knows, of a good domain
        got = json.loads(self.lab.tool("--json", "explain", ref))
        self.assertEqual((got["identity"]["proved"], [s["name"] for s in got["spam"]["symbols"]]), ("shop.lab", ["KNOWN_GOOD"]))
        self.until(BAD, ("counts", "clean"), 1)
        # the worst, first
        worst = self.lab.control({"cmd": "reputation.list"})
        self.assertEqual({x["counts"]["name"] for x in worst}, {BAD, "127.2.0.0/24"})
        self.assertEqual([x["score"] for x in worst], sorted(x["score"] for x in worst))
        # forgotten: the address, and what it did to its network
        self.assertIn("our own experience is forgotten", self.lab.tool("reputation", BAD, "--forget"))
        self.assertEqual((self.of(BAD)["score"], self.of(BAD)["counts"], self.of(BAD)["network"]), (50, None, None))
        self.assertIn("nothing was counted", self.lab.tool("reputation", BAD, "--forget"))

    # -- more than messages --------------------------------------------------------------------

    def test_counted(self):
        """Recipients, greetings, forged authors; and who is not counted."""
        self.start()
        with self.lab.smtp(LAZY) as s:
            self.assertEqual(s.docmd("EHLO", "not a name!")[0], 501)
            s.ehlo("client.lab")
            s.mail("a@other.lab")
            for who, code in (("nobody1@example.lab", 550), ("nobody2@example.lab", 550), ("x@else.lab", 554), ("u@example.lab", 250)):
                self.assertEqual(s.rcpt(who)[0], code)
        got = self.of(LAZY)["counts"]
        self.assertEqual([round(got[k]) for k in ("bad_greetings", "unknown_recipients", "refused_recipients", "messages")], [1, 2, 1, 0])
        # DMARC fails; a domain without DMARC, whose SPF says no; neither proves a domain
        self.send(LAZY, "hello", "a@shop.lab")
        self.send(LAZY, "hello", "a@plain.lab")
        self.until(LAZY, ("counts", "forged"), 2)
        self.assertEqual((self.of("shop.lab")["domain"], self.of("plain.lab")["domain"]), (None, None))
        # SPF alone proves it where there is no DMARC record
        self.send(GOOD, "hello", "a@plain.lab")
        self.until("plain.lab", ("domain", "clean"), 1)

    # -- kept and corrected ----------------------------------------------------------------------

    def test_kept(self):
        """Over a restart, over a crash of the store and of a receiver; what is forgotten stays so; a release corrects."""
        self.start()
        ids = [self.send(BAD, "junk") for _ in range(6)]
        self.send(LAZY, "doubt", n=3)
        self.send(GOOD, "offer", "news@shop.lab", 4)
        self.until(BAD, ("counts", "spam"), 6)
        self.until(LAZY, ("counts", "suspected"), 3)
        self.until(GOOD, ("counts", "clean"), 4)
        before = {w: self.of(w)["score"] for w in (BAD, LAZY, GOOD, "shop.lab", "127.2.0.9")}
        self.lab.tool("reputation", LAZY, "--forget")
        before[LAZY] = 50
        self.lab.stop_postern()
        self.start()
        lab.wait_for(lambda: "experience with " in self.lab.log(), because="the store has read it")
        self.assertEqual({w: self.of(w)["score"] for w in before}, before)
        self.assertEqual(round(self.of(BAD)["counts"]["spam"]), 6)
        self.assertEqual(self.of(LAZY)["counts"], None)
        # a process that dies takes nothing with it, and nothing is counted twice
        for role in ("store", "receiver", "verifier"):
            pid, = self.lab.pids(role)
            os.kill(pid, 9)
            lab.wait_for(lambda: self.lab.pids(role) not in ([], [pid]), because="another " + role)
        self.lab.wait_ready()
        self.assertEqual({w: self.of(w)["score"] for w in before}, before)
        # people let two of them go: they were no spam
        lab.wait_for(lambda: ids[0] in self.lab.tool("quarantine", "list"), because="it is kept")
        for ref in ids[:2]:
            self.lab.tool("quarantine", "release", ref)
        got = self.until(BAD, ("counts", "corrected"), 2)
        self.assertEqual((round(got["counts"]["spam"]), round(got["counts"]["clean"])), (4, 2))
        self.assertGreater(got["score"], before[BAD])
        self.assertIn("2 corrected by people", " ".join(got["why"]))
        # what was only suspected is spam indeed, said twice and counted once
        ref = self.send(LAZY, "doubt")
        self.until(LAZY, ("counts", "suspected"), 1)
        lab.wait_for(lambda: ref in self.lab.tool("quarantine", "list"), because="it is kept")
        for _ in range(2):
            self.lab.tool("quarantine", "confirm", ref)
        got = self.until(LAZY, ("counts", "spam"), 1)
        self.assertEqual((round(got["counts"]["suspected"]), round(got["counts"]["corrected"])), (0, 1))
        # one that is deleted was rightly kept
        self.lab.tool("quarantine", "delete", ids[2], "--yes")
        self.assertEqual(round(self.of(BAD)["counts"]["spam"]), 4)

    # -- the early decision ------------------------------------------------------------------------

    def test_put_off(self):
        """Very bad and well founded: 451 at the first recipient, before a byte of the message; nobody else."""
        self.start(defer=10)
        self.send(BAD, "junk", n=22)         # Beta(23, 1): 0.958 - 1.28 * 0.04 = 0.907
        self.until(BAD, ("counts", "spam"), 22)
        with self.lab.smtp(BAD) as s:
            s.ehlo("client.lab")
            s.mail("a@other.lab")
            code, text = s.rcpt("u@example.lab")
        self.assertEqual(code, 451)
        self.assertIn(b"4.7.1 our experience with this client is bad (9 of 100)", text)
        self.assertEqual(self.lab.counter("recipients_deferred_by_experience"), 1)
        self.assertIn("its recipients are put off with 451", " ".join(self.of(BAD)["why"]))
        self.send("127.2.0.8", "hello")                                  # its neighbour is heard
        self.lab.tool("reputation", BAD, "--forget")
        self.send(BAD, "hello")

    # -- the lists -----------------------------------------------------------------------------------

    def test_asked_once(self):
        """All lists at once; of a client that comes again, none; what a list that is silent would say is unknown, and holds nobody up."""
        mood = {"one.lab": "silent", "two.lab": "silent"}
        names = dns_server.NameServer({"lab": [], "one.lab": ["7.0.2.127 A 127.0.0.2"], "two.lab": ["7.0.2.127 A 127.0.0.2"]},
                                      lambda n, k: next((m for z, m in mood.items() if n.endswith(z)), None))
        self.lab.closers.append(names.close)
        self.lab.ports["dns"] = names.port
        port = self.lab.ports.setdefault("smtp", lab.free_port())
        self.lab.config(listeners=[{"name": "mx", "address": "127.0.0.1:%d" % port, "direction": "inbound"}],
                        domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % self.back.port]}},
                        verify={"timeout": "2s", "reputation": "off", "dnsbl": [{"zone": "one.lab", "weight": "20"}, {"zone": "two.lab", "weight": "5"}]})
        self.lab.start_postern()
        asked = lambda source: sorted(n for n in names.names() if n.startswith(".".join(reversed(source.split(".")))))
        # neither has answered, and both have been asked
        ref = self.send("127.2.0.9", "hello")
        self.assertEqual(set(asked("127.2.0.9")), {"9.0.2.127.one.lab", "9.0.2.127.two.lab"})
        line = re.search(r"%s: identity: (.*)" % ref, self.lab.log()).group(1)
        self.assertNotIn("reputation=", line)
        # one of them is dead: the other's word counts, and the message has waited no longer than it may
        mood["one.lab"] = None
        ref = self.send("127.2.0.7", "hello")
        self.assertRegex(self.lab.log(), r"%s: identity: .*dnsbl=one\.lab, reputation=30\n" % ref)
        # both answer: weighed together
        mood["two.lab"] = None
        lab.wait_for(lambda: "dnsbl=one.lab+two.lab, reputation=25\n" in
                     (lambda r: self.lab.log()[self.lab.log().index(r + ": identity"):])(self.send("127.2.0.7", "hello")), because="the list is asked again")
        before = asked("127.2.0.7")
        for _ in range(3):
            ref = self.send("127.2.0.7", "hello")
            self.assertRegex(self.lab.log(), r"%s: identity: .*dnsbl=one\.lab\+two\.lab, reputation=25\n" % ref)
        self.assertEqual(asked("127.2.0.7"), before)

    def test_off(self):
        self.lab.policy(POLICY.replace("    KNOWN_BAD: {score: 0.5, when: {experience: {under: 20}}}\n", ""))
        port = self.lab.ports.setdefault("smtp", lab.free_port())
        self.lab.config(listeners=[{"name": "mx", "address": "127.0.0.1:%d" % port, "direction": "inbound"}],
                        domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % self.back.port]}}, verify={"reputation": "off"})
        self.lab.start_postern()
        self.send(BAD, "junk", n=3)
        self.assertEqual((self.of(BAD)["on"], self.of(BAD)["counts"]), (False, None))
        self.assertIn("switched off", self.lab.tool("reputation", BAD, check=False).stdout)


if __name__ == "__main__":
    unittest.main()
