"""The shared base goes away in every way it can: mail goes on, rows wait and catch up, and nothing is there twice."""
import contextlib
import os
import signal
import sqlite3
import subprocess
import time
import unittest
import urllib.parse

import lab
import postgres
from cluster_nodes import Node


class Lost(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = lab.Lab("lost")
        cls.addClassCleanup(cls.world.close)
        cls.pg = postgres.Postgres(cls.world)
        cls.mx = cls.world.mx()
        dns = cls.world.dns({d: ["@ MX 10 mx", "mx A 127.0.0.1"] for d in ("partner.lab", "hold.lab")})
        cls.a = Node("a", cls.pg, dns, cls.mx)
        cls.b = Node("b", cls.pg, dns, cls.mx, cls.pg.uri(urllib.parse.quote(cls.pg.folder, safe="")))  # the unix socket
        for node in (cls.a, cls.b):
            cls.addClassCleanup(node.close)
            node.start_postern(wait=False)
        for node in (cls.a, cls.b):
            node.wait_ready()
            node.there()
        cls.accepted = []

    def mail(self, n, node=None, to="x@partner.lab"):
        """n messages are accepted, whatever the base does."""
        node = node or self.b
        ids = [node.accept(to, subject="lost %d" % (len(self.accepted) + i)) for i in range(n)]
        self.accepted += ids
        return ids

    def caught_up(self):
        """Every accepted id has its events in the base, each once, and the two journals say the same."""
        for node in (self.a, self.b):
            node.shipped()
        for node in (self.a, self.b):
            lab.wait_for(lambda: node.counter("queue_messages") == 0, because="an empty queue")
        def complete():
            rows = self.pg.sql("SELECT e.kind, count(*), count(DISTINCT e.id) FROM event e JOIN message m ON m.id = e.id"
                               " WHERE m.subject LIKE 'lost %' AND m.parent IS NULL AND e.kind IN ('accepted', 'sent', 'held') GROUP BY 1")
            got = {k: (int(n), int(d)) for k, n, d in rows}
            total = len(self.accepted)
            return got.get("accepted") == (total, total) and \
                sum(got.get(k, (0, 0))[0] for k in ("sent", "held")) == total and got
        lab.wait_for(complete, every=0.1, because=lambda: "each of %d messages once: %s" % (len(self.accepted), self.pg.sql(
            "SELECT kind, count(*), count(DISTINCT id) FROM event GROUP BY 1")))
        self.assertEqual(self.pg.sql("SELECT count(*) FROM recipient WHERE attempts > 1"), [["0"]])
        # what a node has written, and nothing else, is what the base has of it
        for node in (self.a, self.b):
            with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % node.path("store/store.db"), uri=True)) as db:
                own = {tuple(map(str, r)) for r in db.execute("SELECT id, key FROM event WHERE id > 0")}
            self.assertEqual({tuple(r) for r in self.pg.sql("SELECT id, key FROM event WHERE node = '%s'" % node.name)}, own)

    def away(self, why):
        for node in (self.a, self.b):
            node.there(False)
            lab.wait_for(lambda: why in node.state()["why"], because=lambda: "%s in %s" % (why, node.state()))

    def test_it_is_stopped_killed_and_started(self):
        self.mail(5)
        self.caught_up()
        for sig in (signal.SIGINT, signal.SIGKILL):
            self.pg.stop(sig)
            ids = self.mail(10)
            self.away("")
            # this node's own is the answer, and it is said to be a part
            lines, last = lab.wait_for(lambda: (lambda r: r[0] and r)(self.b.find(ids[-1])), because="its own")
            self.assertEqual((lines[0]["id"], last["partial"]), (ids[-1], True))
            self.assertEqual(self.a.find(ids[-1])[0], [])
            self.assertGreater(self.b.state()["behind"], 0)
            self.pg.start()
            self.caught_up()
            self.assertEqual(self.a.one(ids[-1])["node"], "b")

    def test_it_does_not_answer_for_a_while(self):
        self.pg.freeze()
        try:
            start = time.monotonic()
            ids = self.mail(10)
            lines, last = self.b.find(ids[0])
            self.assertEqual((len(lines), last["partial"]), (1, True))
            kept = self.mail(1, to="x@hold.lab")[0]
            lab.wait_for(lambda: len(self.b.control({"cmd": "held.list", "selector": kept})) == 2, because="the hold")
            said = self.b.control({"cmd": "held.release", "id": kept})
            self.assertIn("busy", said[0]["error"])
            self.assertEqual(said[-1]["failed"], 1)
        finally:
            self.pg.thaw()
        self.caught_up()
        # what was asked and not answered is given back: now it is decided, once
        lab.wait_for(lambda: self.a.control({"cmd": "held.release", "id": kept})[-1].get("done") == 1, because="the release")
        lab.wait_for(lambda: self.b.control({"cmd": "held.list", "selector": kept, "all": True})[0]["state"] == "released",
                     because="the mark at home")

    def test_it_may_only_be_read(self):
        self.pg.sql("ALTER DATABASE postern SET default_transaction_read_only = on", "postgres")
        try:
            self.pg.stop()
            self.pg.start()
            ids = self.mail(5)
            self.away("read-only")
            # what is there can be read
            lab.wait_for(lambda: not self.a.find("nowhere")[1]["partial"], because="a search")
        finally:
            self.pg.sql("SET default_transaction_read_only = off; ALTER DATABASE postern RESET default_transaction_read_only",
                        "postgres")
            self.pg.stop()
            self.pg.start()
        self.caught_up()

    def test_a_wrong_password_and_a_newer_schema(self):
        self.pg.sql("ALTER ROLE postern PASSWORD 'other'")
        self.pg.stop()
        self.pg.start()
        self.mail(3)
        self.away("password authentication failed")
        text = self.b.tool("status", check=False).stdout
        self.assertIn("the shared base cannot be had", text)
        self.assertIn("rows wait", text)
        self.pg.password = "other"
        self.pg.sql("ALTER ROLE postern PASSWORD 'correct horse'")
        self.pg.password = "correct horse"
        for node in (self.a, self.b):
            node.there()
        self.pg.sql("UPDATE base SET version = version + 1000")
        self.addCleanup(self.pg.sql, "UPDATE base SET version = version % 1000")
        self.pg.stop()
        self.pg.start()
        self.mail(3)
        self.away("made by a newer Postern")
        self.assertTrue(self.b.state()["newer"])
        self.pg.sql("UPDATE base SET version = version - 1000")
        self.caught_up()

    def test_processes_die_and_nothing_is_there_twice(self):
        for role in ("cluster", "store"):
            pids = self.b.pids(role)
            self.mail(10)
            os.kill(pids[0], signal.SIGKILL)
            self.mail(10)
            lab.wait_for(lambda: self.b.pids(role) not in ([], pids), because="a new " + role)
        # what a queue has not been acknowledged yet goes with it: the node's own journal must have it all
        self.caught_up()
        self.b.kill_postern()
        self.b.start_postern("posternd-again.log")
        self.mail(2)
        self.caught_up()

    def test_a_claim_survives_its_node(self):
        """SIGKILL between the claim and its end: carried out, or given back; never twice, never stuck."""
        ident = self.mail(1, to="x@hold.lab")[0]
        lab.wait_for(lambda: [l for l in self.a.control({"cmd": "held.list", "selector": ident}) if l.get("id") == ident],
                     because="the hold on a")
        queue = self.a.pids("queue")[0]
        os.kill(queue, signal.SIGSTOP)          # the claim is won, and nobody takes the message
        try:
            asked = subprocess.Popen([os.path.join(lab.BUILD, "postern"), "-c", self.a.path("postern.yaml"), "held", "release",
                                      ident, "--yes"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            lab.wait_for(lambda: self.pg.sql("SELECT count(*) FROM kept WHERE state = 2 AND claimer IS NOT NULL") == [["1"]],
                         because="the claim")
            said = self.b.control({"cmd": "held.release", "id": ident})
            self.assertIn("somebody was faster", said[0]["error"])
        finally:
            self.a.kill_postern()
            asked.wait()
        self.a.start_postern("posternd-again.log")
        # it is decided by now, or it can be: by either node
        def over():
            state = self.b.control({"cmd": "held.list", "selector": ident, "all": True})[0]["state"]
            if state == "waiting":
                self.b.control({"cmd": "held.release", "id": ident})
            return state == "released"
        lab.wait_for(over, every=0.3, because="the release")
        self.caught_up()
        lab.wait_for(lambda: len([m for m in self.mx.messages if ident.encode() in m[2]]) >= 1, because="the delivery")
        self.assertEqual(len([m for m in self.mx.messages if ident.encode() in m[2]]), 1)

    def test_a_name_that_another_node_has(self):
        c = Node("c", self.pg, self.a.ports["dns"], self.mx, node="a")
        try:
            c.start_postern()
            lab.wait_for(lambda: c.state()["name_taken"], because="the name to be taken")
            self.assertIn("another one has the name `a`", c.tool("status", check=False).stdout)
            self.assertTrue(self.a.state()["there"])
            c.accept("x@partner.lab", subject="of the other a")
        finally:
            c.close()


if __name__ == "__main__":
    unittest.main()
