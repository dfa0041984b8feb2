"""The store as an administrator meets it: who did what, whether that log is whole, and what a stolen database tells.
"""
import glob
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import unittest

import lab

SECRET = "Mitochondrial quarterly forecast"     # in the body only


class Store(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("store")
        cls.addClassCleanup(cls.lab.close)
        cls.mx = cls.lab.mx()
        cls.lab.dns({d: ["@ MX 10 mx", "mx A 127.0.0.1"] for d in ("partner.lab", "hold.lab", "quarantine.lab")})
        cls.lab.config(delivery={"port": cls.mx.port, "retry": ["1s"]})
        cls.lab.policy("version: 1\nrules:\n"
                       "  - {id: wait, when: {to: [hold.lab]}, then: {hold: dpo@example.lab}}\n"
                       "  - {id: away, when: {to: [quarantine.lab]}, then: {quarantine: spam}}\n")
        cls.lab.start_postern()

    # -- helpers ---------------------------------------------------------------------
    def send(self, to, **kw):
        code, text = self.lab.send(to, **kw)
        self.assertEqual(code, 250, text)
        return text.split()[-1]

    def kept(self, ident, kind="held"):
        return lab.wait_for(lambda: [l for l in self.lab.control({"cmd": kind + ".list", "selector": ident, "all": True})
                                     if "id" in l], because=ident + " to be kept")[0]

    def audit(self, **kw):
        lines = self.lab.control({"cmd": "audit.list", "limit": 1000, **kw})
        self.assertIn("found", lines[-1])
        return lines[:-1]

    def row(self, what, subject=None):
        """The newest row of this act."""
        def look():
            return [r for r in self.audit() if r["what"] == what and (subject is None or r["subject"] == subject)]
        return lab.wait_for(look, because="a row of " + what)[0]

    def verify(self, *args):
        r = self.lab.tool("audit", "verify", *args, check=False)
        return r.returncode, r.stdout + r.stderr

    def sql(self, *statements):
        """On the stopped store's database, as somebody with a copy of it would."""
        with sqlite3.connect(self.lab.path("store", "store.db")) as db:
            rows = [db.execute(s).fetchall() for s in statements]
        db.close()
        return rows[-1]

    def restart(self):
        self.restarts = getattr(self, "restarts", 0) + 1
        self.lab.start_postern("posternd-%s-%d.log" % (self.id().rsplit(".", 1)[1], self.restarts))

    def files(self):
        return "".join(self.read(f) for f in glob.glob(self.lab.path("store", "store.db*")))

    def read(self, path):
        with open(path, encoding="latin-1") as f:
            return f.read()

    # -- who did what ----------------------------------------------------------------
    def test_acts_are_written_down(self):
        me = "uid %d" % os.getuid()
        one, two, three = (self.send("b@hold.lab", body=SECRET) for _ in range(3))
        bad = self.send("b@quarantine.lab", body=SECRET)
        for ident in (one, two, three):
            self.kept(ident)
        self.kept(bad, "quarantine")
        self.lab.tool("held", "release", one, "--yes")
        self.lab.tool("held", "reject", two, "--text", "not like this", "--yes")
        self.lab.tool("held", "delete", three, "--yes")
        self.lab.tool("quarantine", "delete", bad, "--yes")
        for what, ident in (("held.release", one), ("held.reject", two), ("held.delete", three), ("quarantine.delete", bad)):
            r = self.row(what, ident)
            self.assertEqual(r["who"], me)
            self.assertRegex(r["hash"], "^[0-9a-f]{64}$")
        self.assertEqual(self.row("held.reject", two)["detail"], "not like this")
        # what others do is told to the store
        self.lab.tool("queue", "pause", "elsewhere.lab")
        self.lab.tool("queue", "resume", "elsewhere.lab")
        self.lab.tool("limits", "reset", "somebody@example.lab")
        self.lab.policy("version: 1\n", "20-more.yaml")
        self.lab.tool("reload")
        self.assertEqual(self.row("queue.pause", "elsewhere.lab")["who"], me)
        self.assertEqual(self.row("queue.resume", "elsewhere.lab")["who"], me)
        self.assertEqual(self.row("limits.reset", "somebody@example.lab")["who"], me)
        self.assertEqual(self.row("reload")["who"], me)
        policy = self.lab.control({"cmd": "policy.history"})[0]["policy"]
        self.assertEqual(self.row("policy", policy)["who"], me)
        # told again to a store that was started anew, written once
        n = len([r for r in self.audit() if r["what"] == "reload"])
        store = self.lab.pids("store")
        os.kill(store[0], signal.SIGKILL)
        lab.wait_for(lambda: self.lab.pids("store") not in ([], store), because="a new store")
        self.lab.tool("queue", "pause", "third.lab")
        self.row("queue.pause", "third.lab")
        self.assertEqual(len([r for r in self.audit() if r["what"] == "reload"]), n)
        # found by words, in pages
        self.assertEqual([r["subject"] for r in self.audit(q="HELD.reject not")], [two])
        page = self.lab.control({"cmd": "audit.list", "limit": 2})
        self.assertTrue(page[-1]["more"])
        after = self.lab.control({"cmd": "audit.list", "limit": 2, "before": page[-1]["next"]})
        self.assertEqual([r["seq"] for r in page[:2] + after[:2]], list(range(page[0]["seq"], page[0]["seq"] - 4, -1)))
        self.assertIn("held.reject", self.lab.tool("audit", "list", two))
        self.assertEqual(self.lab.tool("audit", "list", "--limit", "x", check=False).returncode, 2)

    def test_tampering_is_named(self):
        for i in range(6):
            self.lab.tool("queue", "pause", "site%d.lab" % i)
        self.row("queue.pause", "site5.lab")
        status, text = self.verify()
        self.assertEqual(status, 0, text)
        head = re.search(r"head (\d+:[0-9a-f]{64})", text).group(1)
        last = int(head.split(":")[0])
        self.assertEqual(self.verify("--head", head)[0], 0)
        self.assertEqual(self.verify("--head", "nonsense")[0], 2)
        # each row's hash is in the log: a witness that is elsewhere
        self.assertIn(head.split(":")[1], self.read(self.lab.daemon.log))
        self.lab.stop_postern()
        path, copy = self.lab.path("store", "store.db"), self.lab.path("copy.db")
        self.sql("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(path, copy)

        def broken(row, *statements):
            shutil.copy(copy, path)
            self.sql("DROP TRIGGER audit_stays", *statements)
            self.restart()
            status, text = self.verify()
            self.assertEqual(status, 1, text)
            self.assertIn("BROKEN: row %d " % row, text)
            self.lab.stop_postern()
        broken(last - 2, "UPDATE audit SET who='uid 4711' WHERE seq=%d" % (last - 2))
        broken(last - 3, "DELETE FROM audit WHERE seq=%d" % (last - 3))
        # The end cut off, and every trace of it: only a head noted before tells.
        shutil.copy(copy, path)
        self.sql("DELETE FROM audit WHERE seq>%d" % (last - 2),
                 "UPDATE sqlite_sequence SET seq=%d WHERE name='audit'" % (last - 2))
        self.restart()
        self.assertEqual(self.verify()[0], 0)
        status, text = self.verify("--head", head)
        self.assertEqual(status, 1, text)
        self.assertIn("cut off", text)
        self.lab.stop_postern()
        shutil.copy(copy, path)
        self.restart()
        self.assertEqual(self.verify("--head", head)[0], 0)

    # -- what a stolen database tells ------------------------------------------------
    def test_sealed(self):
        ident = self.send("b@hold.lab", body=SECRET + "\r\n", subject="Forecast")
        self.kept(ident)
        key = self.lab.path("keys", "store.key")
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)
        self.assertIn(SECRET, self.show(ident))
        self.assertNotIn(SECRET, self.files())
        # zstd keeps words of a short text as they are: without the seal they would be seen
        self.assertNotIn("Mitochondrial", self.files())
        self.assertIn(ident, self.lab.tool("held", "list"))
        # The key is lost: mail flows, what was held is said to be unreadable, nothing is deleted.
        self.lab.stop_postern()
        away = self.lab.path("away.key")
        os.rename(key, away)
        self.restart()
        self.assertIn("kept messages cannot be read", self.read(self.lab.daemon.log))
        n = len(self.mx.messages)
        self.send("b@partner.lab")
        self.mx.wait(n + 1)
        r = self.lab.control({"cmd": "held.release", "selector": ident})
        self.assertIn("store_key does not have", r[0]["error"])
        self.assertEqual(self.kept(ident)["state"], "waiting")
        fresh = self.send("b@hold.lab", body=SECRET + " two\r\n")
        self.kept(fresh)
        self.assertEqual(self.verify()[0], 0)
        # It is found again: its line goes before the new one's, and everything can be read.
        self.lab.stop_postern()
        both = self.read(away) + self.read(key)
        with open(key, "w") as f:
            f.write(both)
        self.restart()
        for i in (ident, fresh):
            self.assertIn(SECRET, self.show(i))
        self.lab.tool("held", "release", ident, "--yes")
        lab.wait_for(lambda: self.kept(ident)["state"] == "released", because="the release")
        # what the old key sealed is sealed with the new one in time: the old line may go
        def moved():
            keys = self.lab.control({"cmd": "store.keys"})
            return keys[-1]["done"] and len(keys) == 3 and keys[0]["contents"] == 0
        lab.wait_for(moved, because="all to be sealed anew")

    # -- where is my message -----------------------------------------------------------
    def test_searches(self):
        ident = self.send("b@partner.lab", sender="m.durand@example.lab",
                          raw=lab.message(subject="=?utf-8?q?R=C3=A9union_budget_2031?=", sender="m.durand@example.lab"))
        lab.wait_for(lambda: "sent" in self.lab.tool("trace", ident), because="the delivery")
        for words in (["reunion", "2031"], ["subject:\"budget 2031\""], ["from:m.durand@example.lab", "to:@partner.lab"],
                      ["durand", "since:1h"], ["ip:127.0.0.1", "budg*", "status:sent"], ["reply:queued", "from:durand"]):
            self.assertIn(ident, self.lab.tool("trace", *words), words)
        self.assertNotIn(ident, self.lab.tool("trace", "reunion", "2032"))
        r = self.lab.tool("trace", "form:durand", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("did you mean `from:`?", r.stdout + r.stderr)
        page = self.lab.control({"cmd": "trace", "q": "from:@example.lab", "limit": 1})
        if page[-1]["more"]:
            after = self.lab.control({"cmd": "trace", "q": "from:@example.lab", "limit": 1, "before": page[-1]["next"]})
            self.assertLess(after[0]["id"], page[0]["id"])
        stats = self.lab.control({"cmd": "journal.stats"})[0]
        self.assertEqual(len(stats["by_hour"]), 24)
        self.assertGreater(sum(h.get("sent", 0) for h in stats["by_hour"]), 0)
        self.assertIn("quarantine", self.lab.tool("store", "status"))

    # -- searches beside the store -------------------------------------------------------
    def searchers(self):
        """The store's keeper has forked them: they are its grandchildren."""
        def children(pid):
            with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
                return [int(p) for p in f.read().split()]
        keeper = children(self.lab.pids("store")[0])
        return [p for k in keeper for p in children(k)]

    def ask(self, **request):
        """A question, and the socket that its answer comes on."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(s.close)
        s.settimeout(60)
        s.connect(self.lab.path("run", "control.sock"))
        s.sendall(json.dumps(request, separators=(",", ":")).encode() + b"\n")
        return s

    def answer(self, s):
        with s.makefile() as f:
            return [json.loads(line) for line in f]

    def test_events_are_stored_while_searches_run(self):
        ident = self.send("b@partner.lab", subject="aside one")
        lab.wait_for(lambda: self.lab.control({"cmd": "trace", "q": "aside"})[-1]["found"] == 1, because="the journal")
        # A search that takes as long as we like: those who search stand still.
        one = self.searchers()
        self.assertEqual(len(one), 1)
        os.kill(one[0], signal.SIGSTOP)
        slow = self.ask(cmd="trace", q="aside")
        other = self.ask(cmd="trace", q="id:" + ident)      # a second searcher takes this one
        self.assertEqual(self.answer(other)[-1]["found"], 1)
        all_of_them = self.searchers()
        self.assertEqual(len(all_of_them), 2)
        for pid in all_of_them:
            os.kill(pid, signal.SIGSTOP)
        waiting = [self.ask(cmd="trace", q="aside") for _ in range(3)]
        overview = self.ask(cmd="overview")
        try:
            before, held = self.lab.counter("journal_events"), self.lab.control({"cmd": "journal.stats"})[0]["held"]
            for i in range(50):
                self.send("b@partner.lab", subject="aside too")
            kept = self.send("b@hold.lab")
            # accepted and sent, of each; held
            lab.wait_for(lambda: self.lab.counter("journal_events") >= before + 101, because="events to be stored meanwhile")
            lab.wait_for(lambda: self.lab.control({"cmd": "journal.stats"})[0]["held"] > held, because="a message to be kept")
            self.assertIn(kept, self.lab.tool("held", "show", kept))
            slow.setblocking(False)
            self.assertRaises(BlockingIOError, slow.recv, 1)
            slow.settimeout(60)
        finally:
            for pid in all_of_them:
                os.kill(pid, signal.SIGCONT)
        self.assertGreaterEqual(self.answer(slow)[-1]["found"], 1)
        for s in waiting:
            self.assertGreaterEqual(self.answer(s)[-1]["found"], 1)
        self.assertIn("needs", self.answer(overview)[0])
        self.assertEqual(self.lab.control({"cmd": "trace", "q": "aside", "limit": 1000})[-1]["found"], 51)

    def test_a_searcher_that_dies_costs_its_question(self):
        ident = self.send("b@partner.lab", subject="mortal")
        lab.wait_for(lambda: self.lab.control({"cmd": "trace", "q": "mortal"})[-1]["found"] == 1, because="the journal")
        store = self.lab.pids("store")
        for pid in self.searchers():
            os.kill(pid, signal.SIGSTOP)
        asked = [self.ask(cmd="trace", q="mortal") for _ in range(2)]
        # Stopped processes take no question: killed, they leave it without an answer.
        lab.wait_for(lambda: len(self.searchers()) == 2, because="both to be asked")
        for pid in self.searchers():
            os.kill(pid, signal.SIGKILL)
        told = [self.answer(s)[-1] for s in asked]
        self.assertTrue(all("found" in t or t["code"] == "busy" for t in told), told)
        self.assertTrue(any(t.get("code") == "busy" for t in told), told)
        self.assertIn(ident, self.lab.tool("trace", "mortal"))
        # without their keeper the store answers itself
        with open("/proc/%d/task/%d/children" % (store[0], store[0])) as f:
            os.kill(int(f.read().split()[0]), signal.SIGKILL)
        self.assertIn(ident, self.lab.tool("trace", "mortal"))
        self.assertEqual(self.lab.pids("store"), store)

    def test_a_stopped_store_slows_no_mail(self):
        self.send("b@partner.lab")
        store = self.lab.pids("store")[0]
        n = len(self.mx.messages)
        os.kill(store, signal.SIGSTOP)
        try:
            idents = [self.send("b@partner.lab", subject="stopped %d" % i) for i in range(200)]
            self.mx.wait(n + 200)                   # delivered, all of them, while the store stands still
        finally:
            os.kill(store, signal.SIGCONT)
        # and it is told everything
        for ident in (idents[0], idents[-1]):
            lab.wait_for(lambda i=ident: "sent" in self.lab.tool("trace", "id:" + i), because="the journal")
        lab.wait_for(lambda: self.lab.control({"cmd": "trace", "q": "subject:stopped status:sent", "limit": 1000})[-1]["found"] == 200,
                     because="all of them in the journal")

    def show(self, ident):
        import base64
        return "".join(base64.b64decode(l["raw"]).decode() for l in
                       self.lab.control({"cmd": "held.show", "id": ident, "raw": True}) if "raw" in l)


if __name__ == "__main__":
    unittest.main(verbosity=2)
