"""The classifier learns from what people decide about quarantined mail, and then judges: through the real processes."""
import json
import os
import random
import re
import signal
import unittest

import lab

SPAM = ("bargain pills casino jackpot lottery winner viagra replica watches discount refinance mortgage guaranteed "
        "bonus limited offer click unsubscribe millions prize congratulations pharmacy weight miracle").split()
HAM = ("meeting agenda minutes budget quarter committee review draft schedule invoice contract colleague report "
       "figures project deadline workshop seminar library laboratory thesis lecture exam faculty").split()
BOTH = "the and for with your this that from have please will today week we you are our".split()
MINIMUM = 12


class Bayes(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("bayes")
        self.addCleanup(self.lab.close)
        self.mx = self.lab.mx()
        self.random = random.Random(8)
        self.lab.policy("""version: 1
use: [postern/antispam]
spam: {source: built-in, domains: {default: header-only}}
rules:
  - {id: park, direction: inbound, when: {header: {X-Park: {present: true}}}, then: {quarantine: park}}
""")
        port = self.lab.ports.setdefault("smtp", lab.free_port())
        self.lab.config(domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % self.mx.port]}},
                        listeners=[{"name": "mx", "address": "127.0.0.1:%d" % port, "direction": "inbound"}],
                        antispam={"bayes": {"minimum": str(MINIMUM), "delivered": "100"}})
        self.lab.start_postern()

    def text(self, words):
        return " ".join(self.random.choice(words if self.random.random() < 0.6 else BOTH) for _ in range(60)) + ".\r\n"

    def send(self, words, *headers):
        """Its id. No two have the same sender."""
        n = self.random.randrange(10 ** 9)
        code, text = self.lab.send("u@example.lab", sender="x@host%d.lab" % n, body=self.text(words),
                                   subject=" ".join(self.random.sample(words, 3)), headers=headers)
        self.assertEqual(code, 250, text)
        return re.search(r"accepted as (\w+)", text).group(1)

    def json(self, *args):
        return [json.loads(line) for line in self.lab.tool("--json", *args).splitlines()]

    def status(self):
        return self.json("bayes", "status")[0]

    def counts(self):
        s = self.status()
        return s["spam"], s["ham"]

    def parked(self, ids):
        lab.wait_for(lambda: {v.get("id") for v in self.json("quarantine", "list")} >= set(ids), because="all are kept")

    def verdict(self, id_):
        """What the classifier said of a message that passed, and the checks that hit."""
        lab.wait_for(lambda: self.json("trace", id_)[0].get("time"), because="the journal has it")
        record = self.json("explain", id_)[0]
        return (record["identity"] or {}).get("bayes"), record

    def judged(self, words):
        """(per cent, checks) of a new message. The model may be on its way still."""
        got = []

        def known():
            said, record = self.verdict(self.send(words))
            got[:] = [said, record]
            return said
        lab.wait_for(known, because="the scanners have a model")
        return got[0], got[1]

    def teach(self):
        spam = [self.send(SPAM, "X-Park: 1") for _ in range(MINIMUM)]
        ham = [self.send(HAM, "X-Park: 1") for _ in range(MINIMUM)]
        self.parked(spam + ham)
        return spam, ham

    def test_decisions_teach(self):
        before = self.status()
        self.assertEqual((before["on"], before["ready"], before["spam"], before["ham"]), (True, False, 0, 0))
        self.assertIn("it judges from %d each on" % MINIMUM, self.lab.tool("status"))
        self.assertIsNone(self.verdict(self.send(SPAM))[0])

        spam, ham = self.teach()
        for id_ in ham:
            self.lab.tool("quarantine", "release", id_)
        self.assertEqual(self.counts(), (0, MINIMUM))
        self.assertFalse(self.status()["ready"])
        self.confirm(spam)
        self.assertEqual(self.counts(), (MINIMUM, MINIMUM))
        self.assertTrue(self.status()["ready"])

        said, record = self.judged(SPAM)
        self.assertGreaterEqual(said["spam"], 99, record)
        self.assertIn("BAYES_99", json.dumps(record))
        self.assertTrue(said["clues"])
        for clue in said["clues"]:      # no word that somebody wrote is told to the journal
            self.assertRegex(clue["word"], r"^((word|pair|subject|hidden)#[0-9a-f]{8}|(from|host|header|file|shape):.*)$")
        said, record = self.judged(HAM)
        self.assertEqual(said["spam"], 0, record)
        self.assertIn("BAYES_00", json.dumps(record))

        # confirmed first and released later: taken back, and counted as ham
        self.lab.tool("quarantine", "release", spam[0])
        self.assertEqual(self.counts(), (MINIMUM - 1, MINIMUM + 1))
        self.assertEqual(self.json("bayes", "train", "spam", spam[0])[0]["changed"], 1)

        # each once, and the other way round on request
        known = self.json("bayes", "train", "ham", ham[0])[0]
        self.assertEqual((known["learnt"], known["changed"], known["known"]), (0, 0, 1))
        self.assertEqual(self.counts(), (MINIMUM, MINIMUM))
        self.assertEqual(self.json("bayes", "train", "spam", ham[0])[0]["changed"], 1)
        self.assertEqual(self.counts(), (MINIMUM + 1, MINIMUM - 1))
        self.assertEqual(self.json("bayes", "forget", ham[0])[0]["learnt"], 1)
        self.assertEqual(self.counts(), (MINIMUM, MINIMUM - 1))
        self.assertEqual(self.json("bayes", "train", "ham", ham[0])[0]["learnt"], 1)
        self.assertEqual(self.counts(), (MINIMUM, MINIMUM))

    def confirm(self, ids):
        for id_ in ids:
            self.lab.tool("quarantine", "confirm", id_)

    def files(self, folder, words, n):
        os.makedirs(self.lab.path(folder), exist_ok=True)
        for i in range(n):
            raw = lab.message(self.text(words), sender="a@host%d.lab" % i, subject=" ".join(self.random.sample(words, 3)))
            self.lab.write("%s/%d.eml" % (folder, i), raw.decode())
        return self.lab.path(folder)

    def test_files_restart_and_a_dead_store(self):
        spam, ham = self.files("spam", SPAM, 15), self.files("ham", HAM, 15)
        mbox = self.lab.write("more.mbox", "".join("From x@y Thu Jan  1 00:00:00 1970\n" + lab.message(self.text(HAM)).decode()
                                                   + "\n" for _ in range(3)))
        r = self.lab.tool("bayes", "train", "spam", spam, check=False)
        self.assertEqual((r.returncode, r.stdout), (1, "15 messages\n"))
        self.assertEqual(self.counts(), (0, 0))
        self.assertEqual(self.json("bayes", "train", "spam", spam, "--yes")[0]["learnt"], 15)
        self.assertEqual(self.json("bayes", "train", "ham", ham, mbox, "--yes")[0]["learnt"], 18)
        again = self.json("bayes", "train", "ham", ham, mbox, "--yes")[0]
        self.assertEqual((again["learnt"], again["known"]), (0, 18))
        self.assertEqual(self.counts(), (15, 18))

        new = self.lab.write("new.eml", lab.message(self.text(SPAM), subject="casino jackpot").decode())
        said = self.json("bayes", "test", new)[0]
        self.assertEqual((said["says"], said["spam"] >= 99), ("spam", True), said)
        self.assertIn("word:", json.dumps(said["clues"]))     # here the message itself is there

        # out, away, and in again
        copy = self.lab.path("copy")
        self.lab.tool("bayes", "export", copy)
        self.lab.tool("bayes", "forget", "--all", "--yes")
        self.assertEqual(self.counts(), (0, 0))
        self.lab.tool("bayes", "import", copy, "--yes")
        self.assertEqual(self.counts(), (15, 18))
        self.assertEqual(self.json("bayes", "test", new)[0], said)
        with open(copy) as f:
            self.lab.write("broken", f.read() + "nonsense\n")
        r = self.lab.tool("bayes", "import", self.lab.path("broken"), "--yes", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertRegex(r.stderr, r"broken:\d+: ")
        self.assertEqual(self.counts(), (15, 18))

        # a reload's new scanners, a new daemon, a store that is killed: all know it
        self.assertGreaterEqual(self.judged(SPAM)[0]["spam"], 99)
        self.lab.tool("reload")
        self.assertGreaterEqual(self.judged(SPAM)[0]["spam"], 99)
        self.lab.stop_postern()
        self.lab.start_postern()
        self.assertEqual(self.counts(), (15, 18))
        self.assertGreaterEqual(self.judged(SPAM)[0]["spam"], 99)

        self.lab.queue_empty()
        n = len(self.mx.messages)
        was = self.lab.pids("store")
        os.kill(was[0], signal.SIGKILL)
        for _ in range(5):
            self.send(SPAM)
        lab.wait_for(lambda: len(self.mx.messages) >= n + 5, because="mail goes on without the store")
        lab.wait_for(lambda: self.lab.pids("store") not in ([], was), because="another store")
        lab.wait_for(lambda: self.lab.tool("bayes", "status", check=False).returncode == 0, because="it answers")
        self.assertEqual(self.counts(), (15, 18))
        self.assertGreaterEqual(self.judged(SPAM)[0]["spam"], 99)


if __name__ == "__main__":
    unittest.main()
