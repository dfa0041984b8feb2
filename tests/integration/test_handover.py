"""A queue handed over: rerouted, drained to another node, exported and imported. Lost 0, doubled 0."""
import contextlib
import json
import os
import random
import re
import subprocess
import unittest

import lab


class HandOver(unittest.TestCase):
    def node(self, name, mx_port, **delivery):
        node = lab.Lab(name)
        self.addCleanup(node.close)
        node.ports["dns"] = self.dns
        node.config(hostname=name + ".example.lab",
                    delivery={"port": mx_port, "retry": ["1s"], "expire": "1h", **delivery})
        node.start_postern()
        return node

    def setUp(self):
        self.first = lab.Lab("internet")
        self.addCleanup(self.first.close)
        self.mx = self.first.mx()
        self.dead = lab.free_port()
        self.dns = self.first.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})

    def load(self, node, n):
        for i in range(n):
            self.assertEqual(node.send("b@partner.lab", subject="token-%04d" % i,
                                       body="line\r\n" * (250000 if i % 50 == 7 else 20))[0], 250)
        return {"token-%04d" % i for i in range(n)}

    def tokens(self):
        with self.mx.lock:
            return sorted(re.search(rb"Subject: (token-\d+)", m[2]).group(1).decode() for m in self.mx.messages)

    def test_drain(self):
        """The first node cannot reach the MX; the second one can."""
        a, b = self.node("a", self.dead), self.node("b", self.mx.port)
        want = self.load(a, 100)
        self.assertEqual(a.counter("queue_messages"), 100)
        out = a.tool("drain", "127.0.0.1:%d" % b.ports["smtp"])
        self.assertIn("100 messages handed over", out)
        self.assertEqual(a.counter("queue_messages"), 0)
        b.queue_empty()
        self.assertEqual(self.tokens(), sorted(want))
        # New mail takes the same way until it is ended.
        self.assertEqual(a.send("b@partner.lab", subject="token-9999")[0], 250)
        lab.wait_for(lambda: "token-9999" in self.tokens(), because="new mail by the second node")
        self.assertEqual(a.tool("drain", "off", check=False).returncode, 0)
        self.assertNotIn("drain", a.control({"cmd": "queue.summary"})[0])

    def test_drain_to_a_node_that_refuses(self):
        """A mistake must not bounce the queue."""
        a = self.node("a", self.dead)
        refusing = self.first.mx(reply=lambda line, s: "554 5.7.1 not permitted to relay" if line[:4] == "RCPT" else None)
        self.load(a, 5)
        a.control({"cmd": "queue.drain", "selector": "all", "to": "127.0.0.1:%d" % refusing.port})
        lab.wait_for(lambda: "554 5.7.1 not permitted" in json.dumps(a.control({"cmd": "queue.list"})),
                     because="a refusal")
        self.assertEqual(a.counter("queue_messages"), 5)
        self.assertNotIn("non-delivery notification", a.log())

    def test_reroute(self):
        """One site's mail goes another way, durably."""
        a = self.node("a", self.dead)
        want = self.load(a, 20)
        other = self.first.mx(reply=lambda line, s: "421 4.3.2 not yet" if not self.open and line == "CONNECT" else None)
        self.open = False
        to = "127.0.0.1:%d" % other.port
        self.assertIn("say --yes", a.tool("queue", "reroute", "partner.lab", to, check=False).stderr)
        self.assertIn("20 sent another way", a.tool("queue", "reroute", "partner.lab", to, "--yes"))
        legs = lambda: [m["legs"][0] for m in a.control({"cmd": "queue.list"})]
        self.assertEqual({l.get("route") for l in legs()}, {"[127.0.0.1]:%d" % other.port})
        a.kill_postern()
        a.start_postern()
        self.assertEqual({l.get("route") for l in legs()}, {"[127.0.0.1]:%d" % other.port})
        # Back, and there again.
        self.assertIn("20 sent another way", a.tool("queue", "reroute", "all", "default", "--yes"))
        self.assertEqual({l.get("route") for l in legs()}, {None})
        a.tool("queue", "reroute", "all", to, "--yes")
        self.open = True
        a.queue_empty()
        with other.lock:
            got = sorted(re.search(rb"Subject: (token-\d+)", m[2]).group(1).decode() for m in other.messages)
        self.assertEqual(got, sorted(want))
        self.assertEqual(self.tokens(), [])

    def test_export_import(self):
        a = self.node("a", self.dead)
        want = self.load(a, 60)
        a.stop_postern()
        check = json.loads(a.tool("--json", "spool", "check"))
        self.assertTrue(check["clean"])
        self.assertEqual(check["messages"], 60)
        file = a.path("queue.export")
        self.assertEqual(a.tool("queue", "export", file, check=False).returncode, 0)
        # Never over an export that is there.
        self.assertEqual(a.tool("queue", "export", file, check=False).returncode, 1)
        b = self.node("b", self.mx.port)
        b.stop_postern()
        for text in ("60 messages imported, 0 left out", "0 messages imported, 60 left out"):
            r = b.tool("queue", "import", file, check=False)
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertIn(text, r.stderr)
        b.start_postern()
        b.queue_empty()
        self.assertEqual(self.tokens(), sorted(want))
        b.stop_postern()
        self.assertIn("0 messages imported", b.tool("queue", "import", file, check=False).stderr)
        self.assertIn("all is well", b.tool("spool", "check"))

    def export(self, a, held=0):
        """60 messages, the first of them held by an operator, as a file."""
        want = self.load(a, 60)
        for m in a.control({"cmd": "queue.list"})[:held]:
            a.tool("queue", "hold", m["id"])
        file = a.path("queue.export")
        self.assertEqual(a.tool("queue", "export", file, check=False).returncode, 0)
        a.stop_postern()
        return want, file

    def test_import_into_a_running_daemon(self):
        want, file = self.export(self.node("a", self.dead), held=7)
        b = self.node("b", self.mx.port)
        other = b.send("b@partner.lab", subject="token-5555")
        self.assertEqual(other[0], 250)
        for text in ("60 messages imported, 0 left out", "0 messages imported, 60 left out"):
            r = b.tool("queue", "import", file, check=False)
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertIn(text, r.stderr)
        lab.wait_for(lambda: b.counter("queue_messages") == 7, because="all but those that are held")
        self.assertEqual(b.control({"cmd": "queue.summary"})[0]["held"], 7)
        self.assertEqual(len(self.tokens()), 54)
        self.assertIn("7 released", b.tool("queue", "release", "held", "--yes"))
        b.queue_empty()
        self.assertEqual(self.tokens(), sorted(want | {"token-5555"}))
        # It is in the journal: who did it, and each message under its new name.
        self.assertIn("import segment", b.log())
        # The daemon goes on writing behind what it adopted, and starts with all of it.
        self.assertEqual(b.send("b@partner.lab", subject="token-6666")[0], 250)
        b.queue_empty()
        b.stop_postern()
        self.assertIn("all is well", b.tool("spool", "check"))
        # A folder that is not the one of the configuration is none of the daemon's business.
        b.start_postern()
        c = self.node("c", self.dead)
        r = b.tool("queue", "import", file, c.path("spool"), check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("not the one of this configuration", r.stderr)

    def test_import_cut_off(self):
        """The tool and the daemon are killed at any moment; what is imported in the end is there once."""
        want, file = self.export(self.node("a", self.dead))
        b = self.node("b", self.dead)
        seed = int(os.environ.get("IMPORT_SEED", random.randrange(1 << 30)))
        dice = random.Random(seed)
        tool = [os.path.join(lab.BUILD, "postern"), "-c", b.path("postern.yaml"), "queue", "import", file]
        for n in range(12):
            p = subprocess.Popen(tool, stderr=subprocess.DEVNULL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                p.wait(dice.uniform(0, 0.15))
            if n % 3 == 0:
                b.kill_postern()
            if n % 3 != 1:
                p.kill()
            p.wait()
            if n % 3 == 0:
                b.start_postern()
        self.assertEqual(b.tool("queue", "import", file, check=False).returncode, 0, "seed %d" % seed)
        for again in range(2):
            got = b.control({"cmd": "queue.list"})
            self.assertEqual(len(got), 60, "seed %d" % seed)
            self.assertEqual(len({m["parent"] for m in got}), 60, "seed %d" % seed)
            b.kill_postern()
            b.start_postern()


if __name__ == "__main__":
    unittest.main()
