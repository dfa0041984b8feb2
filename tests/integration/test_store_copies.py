"""The store's database as a whole: looked at, copied while mail goes on, put back.
"""
import glob
import json
import os
import shutil
import sqlite3
import threading
import unittest

import lab


class Copies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("copies")
        cls.addClassCleanup(cls.lab.close)
        cls.mx = cls.lab.mx()
        cls.lab.dns({d: ["@ MX 10 mx", "mx A 127.0.0.1"] for d in ("partner.lab", "hold.lab")})
        cls.lab.config(delivery={"port": cls.mx.port, "retry": ["1s"]})
        cls.lab.policy("version: 1\nrules:\n  - {id: wait, when: {to: [hold.lab]}, then: {hold: dpo@example.lab}}\n")
        cls.lab.start_postern()
        cls.db = cls.lab.path("store", "store.db")

    def send(self, to, **kw):
        code, text = self.lab.send(to, **kw)
        self.assertEqual(code, 250, text)
        return text.split()[-1]

    def tool(self, *args):
        r = self.lab.tool("store", *args, check=False, timeout=120)
        return r.returncode, r.stdout + r.stderr

    def held(self):
        return {l["id"] for l in self.lab.control({"cmd": "held.list"}) if "id" in l}

    def sql(self, path, *statements):
        db = sqlite3.connect(path)
        try:
            with db:
                return [db.execute(s).fetchall() for s in statements][-1]
        finally:
            db.close()

    def restart(self):
        type(self).restarts = getattr(self, "restarts", 0) + 1
        self.lab.start_postern("posternd-again-%d.log" % self.restarts)

    def test_a_copy_made_under_load_is_whole(self):
        first = [self.send("b@hold.lab", subject="held %d" % i, body="Mitochondrial %d\r\n" % i) for i in range(5)]
        lab.wait_for(lambda: self.held() >= set(first), because="held messages")
        done, sent, failed = threading.Event(), [], []

        def load():
            while not done.is_set():
                try:
                    sent.append(self.send("b@hold.lab" if len(sent) % 5 == 0 else "b@partner.lab", subject="load"))
                except Exception as e:      # told by the test, not by the thread
                    failed.append(e)
                    return
        thread = threading.Thread(target=load)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(done.set)
        folder = self.lab.path("backups")
        os.mkdir(folder)
        lab.wait_for(lambda: len(sent) > 5 or failed, because="mail under way")
        for _ in range(3):
            n = len(sent)
            code, text = self.tool("backup", os.path.join(folder, "copy-%d.db" % n))
            self.assertEqual(code, 0, text)
            lab.wait_for(lambda: len(sent) > n or failed, because="mail goes on")
        done.set()
        thread.join()
        self.assertEqual(failed, [])
        copies = glob.glob(folder + "/*")
        self.assertEqual(len(copies), 3)
        for copy in copies:
            self.assertTrue(copy.endswith(".db"), copy)         # nothing unfinished, no log beside it
            self.assertEqual(os.stat(copy).st_mode & 0o777, 0o600)
            code, text = self.tool("check", copy)
            self.assertEqual(code, 0, text)
            with open(copy, "rb") as f:
                self.assertNotIn(b"Mitochondrial", f.read())    # what is sealed stays sealed
        # what is there is not written over; a folder gets a name with the time
        self.assertEqual(self.tool("backup", copies[0])[0], 3)
        code, text = self.tool("backup", folder, "--json")
        self.assertEqual(code, 0, text)
        copy = json.loads(text.splitlines()[-1])["file"]
        self.assertRegex(os.path.basename(copy), r"^store-\d{8}T\d{6}Z\.db$")
        # put back: refused while it runs; what was decided since is undone, what is held can be released
        code, text = self.tool("restore", copy)
        self.assertEqual(code, 1, text)
        self.assertIn("stop Postern", text)
        before = self.held()
        later = self.send("b@hold.lab", subject="after the copy")
        lab.wait_for(lambda: later in self.held(), because="the one after the copy")
        self.lab.tool("held", "delete", first[0], "--yes")
        self.lab.stop_postern()
        self.addCleanup(self.running)
        code, text = self.tool("check")
        self.assertEqual(code, 0, text)
        code, text = self.tool("restore", copy)
        self.assertEqual(code, 0, text)
        aside = glob.glob(self.db + ".before-*Z")
        self.assertEqual(len(aside), 1)
        self.assertEqual(self.sql(aside[0], "SELECT count(*) FROM kept WHERE state=6"), [(1,)])
        self.restart()
        self.assertEqual(self.held(), before)
        self.lab.tool("held", "release", first[0], "--yes")
        lab.wait_for(lambda: any(b"Mitochondrial 0" in data for _, _, data in self.mx.messages), because="the message of the copy")
        self.assertEqual(self.lab.tool("audit", "verify", check=False).returncode, 0)

    def running(self):
        """As the next test finds it."""
        if self.lab.daemon is None or self.lab.daemon.poll() is not None:
            self.restart()

    def test_faults_are_found(self):
        ident = self.send("b@hold.lab", subject="to be damaged")
        lab.wait_for(lambda: ident in self.held(), because="the held message")
        good = self.lab.path("good.db")
        self.assertEqual(self.tool("backup", good)[0], 0)

        def damaged(name, *statements):
            path = self.lab.path(name)
            shutil.copy(good, path)
            self.sql(path, *statements)
            code, text = self.tool("check", path)
            self.assertEqual(code, 1, text)
            return text
        self.assertIn("kept: 1 that wait have no content", damaged("a.db", "DELETE FROM kept_content WHERE kid=(SELECT max(kid) FROM kept_content)"))
        self.assertIn("contents: 1 belong to no kept message", damaged("b.db", "INSERT INTO kept_content(kid, method, bytes) SELECT 4711,"
                      " method, bytes FROM kept_content LIMIT 1"))
        self.assertIn("sealed: kept content", damaged("c.db", "UPDATE kept_content SET bytes=substr(bytes, 1, length(bytes)-1)||x'00'"
                      " WHERE kid=(SELECT max(kid) FROM kept_content)"))
        self.assertIn("audit log: row", damaged("d.db", "DROP TRIGGER audit_stays",
                      "INSERT INTO audit(seq, time, who, what, subject, detail, key, hash) SELECT coalesce(max(seq), 0)+1, 1, 'me', 'nothing',"
                      " '', '', 0, zeroblob(32) FROM audit", "UPDATE audit SET who='somebody' WHERE seq=(SELECT min(seq) FROM audit)"))
        self.assertIn("another state", damaged("e.db", "UPDATE kept_rcpt SET state=5"))
        # torn: pages of it are another's
        torn = self.lab.path("torn.db")
        shutil.copy(good, torn)
        with open(torn, "r+b") as f:
            f.seek(8192)
            f.write(b"\xa5" * 200000)
        code, text = self.tool("check", torn)
        self.assertEqual(code, 1, text)
        self.assertIn("fault", text)
        # --json, a line for each
        code, text = self.tool("check", self.lab.path("a.db"), "--json")
        lines = [json.loads(l) for l in text.splitlines()]
        self.assertEqual([l["what"] for l in lines if l["level"] == "fault"], ["kept"])
        # neither of them takes the database's place
        self.lab.stop_postern()
        self.addCleanup(self.running)
        was = self.sql(self.db, "SELECT count(*), max(seq) FROM event")
        for name in ("a.db", "torn.db"):
            code, text = self.tool("restore", self.lab.path(name))
            self.assertEqual(code, 1, text)
            self.assertIn("nothing was changed", text)
        self.assertEqual(self.sql(self.db, "SELECT count(*), max(seq) FROM event"), was)
        self.assertEqual(glob.glob(self.db + ".restore*"), [])
        self.assertEqual(self.tool("check", self.lab.path("nowhere.db"))[0], 3)
        self.assertEqual(self.tool("restore")[0], 2)
        self.assertEqual(self.tool("backup", "--quick", "x")[0], 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
