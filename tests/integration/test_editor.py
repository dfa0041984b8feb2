"""The role that edits the policy for the console: what it shows, checks, tries and applies, and what it refuses."""
import os
import stat
import threading
import unittest

import lab

RULE = """version: 1
rules:
  - id: no-secrets
    when: {subject: {words: [%s]}}
    then: {reject: "5.7.1 not this"}
"""
FROM = """version: 1
rules:
  - id: by-sender
    when: {from: [%s]}
    then: {reject: "5.7.1 not you"}
"""
TEST = """version: 1
tests:
  - name: refused
    from: a@example.lab
    to: [b@partner.lab]
    message: {subject: "very secret"}
    expect: {all: {outcome: %s}}
"""


class Editor(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("editor")
        self.addCleanup(self.lab.close)
        self.mx = self.lab.mx()
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.lab.config(console={"address": "127.0.0.1:%d" % lab.free_port(), "tls": "off", "policy": "edit"},
                        approvals={"url": "https://gw.example.lab/approve"}, delivery={"port": self.mx.port})
        self.dir = self.lab.path("policy.d")
        os.unlink(os.path.join(self.dir, "10-test.yaml"))
        self.write("50-own.yaml", RULE % "secret")
        os.makedirs(os.path.join(self.dir, "tests"))
        self.write("tests/own.test.yaml", TEST % "reject")
        for d, _, files in os.walk(self.dir):       # the role's account may write here: an administrator's gift
            for p in [d] + [os.path.join(d, f) for f in files]:
                os.chown(p, *self.account())
        self.lab.start_postern()

    def account(self):
        if os.geteuid():
            return os.geteuid(), os.getegid()
        import pwd
        try:
            u = pwd.getpwnam("_postern-editor")
        except KeyError:
            u = pwd.getpwnam("nobody")
        return u.pw_uid, u.pw_gid

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def read(self, name):
        with open(os.path.join(self.dir, name)) as f:
            return f.read()

    def ask(self, cmd, **kw):
        return self.lab.control({"cmd": "editor." + cmd, **kw})[-1]

    def test_files(self):
        os.symlink("/etc/passwd", os.path.join(self.dir, "linked.yaml"))
        self.write("notes.md", "not of the policy")
        a = self.ask("files")
        self.assertEqual([f["name"] for f in a["files"]], ["50-own.yaml", "tests/own.test.yaml"])
        self.assertTrue(a["writable"])
        b = self.ask("read", name="50-own.yaml")
        self.assertEqual((b["text"], b["hash"]), (RULE % "secret", a["hash"]))
        for name in ("linked.yaml", "../postern.yaml", "/etc/passwd", "notes.md", "", "tests/../50-own.yaml", 7):
            self.assertEqual(self.ask("read", name=name).get("code"), "not-found", name)

    def test_check_and_test(self):
        a = self.ask("check", files={"50-own.yaml": RULE.replace("subject", "subjct") % "x"})
        self.assertFalse(a["ok"])
        d = a["diags"][0]
        self.assertEqual((d["file"], d["line"], d["level"]), ("policy.d/50-own.yaml", 4, "error"))
        self.assertIn("subject", d["hint"])
        self.assertEqual(self.read("50-own.yaml"), RULE % "secret")
        a = self.ask("check", files={"50-own.yaml": RULE % "x", "60-more.yaml": RULE.replace("no-secrets", "second") % "y"})
        self.assertEqual((a["ok"], a["rules"]), (True, 2))
        self.assertFalse(self.ask("check", files={"60-more.yaml": RULE % "y"})["ok"], "the same id twice")
        self.assertEqual(self.ask("check", files={"50-own.yaml": None})["rules"], 0)
        self.assertEqual((self.ask("test")["passed"], self.ask("test")["failed"]), (1, 0))
        a = self.ask("test", files={"50-own.yaml": RULE % "other"})
        self.assertEqual((a["ok"], a["failed"]), (False, 1))
        self.assertIn("own.test.yaml:7", a["text"])
        self.assertEqual(self.ask("test", files={"50-own.yaml": RULE % "other", "tests/own.test.yaml": None})["failed"], 0)

    def test_diff(self):
        self.write("60-from.yaml", FROM % "eve@example.lab")
        self.lab.tool("reload")
        for sender in ("eve", "mallory", "ann"):
            self.lab.send("b@partner.lab", sender=sender + "@example.lab", subject="harmless")
        lab.wait_for(lambda: self.lab.control({"cmd": "records.page", "after": 1 << 62, "since": 0, "total": True})[-1].get("total") == 3,
                     because="three records")
        lines = self.lab.control({"cmd": "editor.diff", "files": {"60-from.yaml": FROM % "mallory@example.lab"}, "days": 1})
        total = lines[-1]
        self.assertEqual((total["messages"], total["same"], total["changed"]), (3, 1, 2), lines)
        self.assertEqual((total["newly"]["reject"], total["newly"]["release"]), (1, 1), lines)
        self.assertEqual([(x["newly"], x["gone"]) for x in lines if x.get("id") == "by-sender"], [(1, 1)])
        self.assertEqual(self.ask("diff", days=0)["code"], "invalid")

    def test_apply(self):
        base = self.ask("files")["hash"]
        self.assertEqual(self.lab.send("b@partner.lab", subject="my plans")[0], 250)
        more = RULE.replace("no-secrets", "second") % "plans"
        for why, kw in (("say in a line", dict(files={"60-more.yaml": more}, base=base)),
                        ("no file", dict(files={}, base=base, message="m")),
                        ("have changed", dict(files={"60-more.yaml": more}, base="0" * 64, message="m")),
                        ("has errors", dict(files={"60-more.yaml": "rules: ["}, base=base, message="m")),
                        ("tests fail", dict(files={"50-own.yaml": RULE % "x"}, base=base, message="m")),
                        ("is called", dict(files={"../60.yaml": more}, base=base, message="m")),
                        ("is called", dict(files={"sub/60.yaml": more}, base=base, message="m"))):
            a = self.ask("apply", **kw)
            self.assertIn(why, a["error"])
            self.assertEqual(self.ask("files")["hash"], base)
        a = self.ask("apply", files={"60-more.yaml": more}, base=base, message="plans stay here")
        self.assertTrue(a["ok"], a)
        self.assertEqual(self.read("60-more.yaml"), more)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.dir, "60-more.yaml")).st_mode), 0o644)
        self.assertEqual(self.lab.send("b@partner.lab", subject="my plans")[0], 550)
        self.assertEqual(self.lab.control({"cmd": "policy.history"})[0]["policy"], a["policy"])
        self.assertEqual(self.lab.control({"cmd": "policy.history"})[0]["how"], "console")
        row = [r for r in self.lab.control({"cmd": "audit.list"}) if r.get("what") == "policy.apply"][0]
        self.assertEqual((row["who"], row["subject"]), ("uid %d" % os.geteuid(), a["policy"]))
        self.assertEqual(row["detail"], "60-more.yaml: plans stay here")
        base = self.ask("files")["hash"]
        self.assertTrue(self.ask("apply", files={"60-more.yaml": None}, base=base, message="not any more")["ok"])
        self.assertEqual(os.listdir(self.dir).count("60-more.yaml"), 0)
        self.assertEqual(self.lab.send("b@partner.lab", subject="my plans")[0], 250)
        self.assertEqual([f for f in os.listdir(self.dir) if ".edit-" in f], [])

    def test_what_the_daemon_refuses_is_taken_back(self):
        """postern.yaml is broken meanwhile: the reload fails for another reason than the policy."""
        base = self.ask("files")["hash"]
        with open(self.lab.path("postern.yaml"), "a") as f:
            f.write("\nnonsense: [\n")
        a = self.ask("apply", files={"50-own.yaml": RULE % "secret, plans", "60-more.yaml": RULE.replace("no-secrets", "b") % "z"},
                     base=base, message="two files")
        self.assertIn("the daemon keeps the old policy", a["error"])
        self.assertEqual((self.ask("files")["hash"], self.read("50-own.yaml")), (base, RULE % "secret"))

    def test_two_at_once(self):
        """Of two edits on one base one wins, and nothing of the other is there."""
        base, answers = self.ask("files")["hash"], []

        def one(word):
            answers.append(self.ask("apply", files={"50-own.yaml": RULE % ("secret, " + word)}, base=base, message=word))
        threads = [threading.Thread(target=one, args=(w,)) for w in ("alpha", "beta")]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(sum(a.get("ok") is True for a in answers), 1, answers)
        self.assertIn([a["code"] for a in answers if not a.get("ok")][0], ("busy", "conflict"))

    def test_not_writable(self):
        for d, _, files in os.walk(self.dir):
            for p in [os.path.join(d, f) for f in files] + [d]:
                os.chown(p, 0, 0)
                os.chmod(p, 0o755 if os.path.isdir(p) else 0o644)
        a = self.ask("files")
        self.assertFalse(a["writable"])
        a = self.ask("apply", files={"60-more.yaml": RULE.replace("no-secrets", "b") % "z"}, base=a["hash"], message="m")
        self.assertIn("Permission denied", a["error"])
        self.assertEqual(self.lab.send("b@partner.lab", subject="a secret")[0], 550)

    def test_off(self):
        self.lab.stop_postern()
        self.lab.config(console={"address": "127.0.0.1:%d" % lab.free_port(), "tls": "off"},
                        approvals={"url": "https://gw.example.lab/approve"}, delivery={"port": self.mx.port})
        self.lab.start_postern()
        self.assertIn("console: {policy: edit}", self.ask("files")["error"])
        self.assertNotIn("editor", [p["role"] for p in self.lab.status()["processes"]])


if __name__ == "__main__":
    unittest.main()
