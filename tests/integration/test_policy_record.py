"""Verdict records: replay, diff, backtest, promote, history, explain by ID, through the real daemon."""
import json
import os
import pwd
import signal
import subprocess
import unittest

import lab

HEAD = "version: 1\nuse: [postern/base, postern/fr-identifiers]\n"
NUMBERS = "Dossier: 1 84 12 76 451 089 46 et 2 69 05 49 588 157 80.\r\n"
A = HEAD + """
# the first policy
detectors: {inv: {pattern: 'INV-\\d{6}'}}
rules:
  - id: invoices
    severity: high
    when: {finds: {inv: {min: 3}}}      # so many
    then: {hold: {for: dpo@example.org}}
  - id: health
    title: {en: Health data}
    mode: shadow      # until it has proved itself
    review_by: 2031-03-01
    when:
      to: {not: [partner.lab]}
      finds: {fr-nir: {min: 1}}
    then: {reject: "5.7.1 health data (ref $ref)"}
  # about words
  - {id: words, when: {body: {words: [confidential]}}, then: {quarantine: words}}
"""


class Records(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("record")
        self.addCleanup(self.lab.close)
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"], "other.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.mx = self.lab.mx()
        self.lab.config(delivery={"port": self.mx.port})
        self.lab.policy(A)
        self.lab.start_postern()
        self.ids = {}

    def send(self, name, body, to="b@other.lab", code=250):
        got, text = self.lab.send(to, body=body, subject=name)
        self.assertEqual(got, code, text)
        self.ids[name] = text.split("ref ")[1].rstrip(")") if code != 250 else text.split()[-1]
        return self.ids[name]

    def read(self, path):
        with open(path) as f:
            return f.read()

    def tool(self, *args, status=0):
        r = self.lab.tool(*args, check=False)
        self.assertEqual(r.returncode, status, r.stdout + r.stderr)
        return r.stdout

    def lines(self, *args, status=0):
        return [json.loads(l) for l in self.tool("--json", *args, status=status).splitlines()]

    def reload(self, status=0):
        return self.tool("reload", status=status)

    def everything(self):
        self.send("plain", "Hello.\r\n")
        self.send("two", "INV-000001 INV-000002\r\n")
        self.send("three", "INV-000001 INV-000002 INV-000003\r\n")
        self.send("nir", NUMBERS)
        self.send("nir-partner", NUMBERS, to=["b@partner.lab", "c@other.lab"])
        self.send("words", "this is confidential\r\n")

    def test_from_policy_to_policy(self):
        self.everything()
        first = self.lines("replay", self.ids["plain"])[0]["policy"]
        # the same policy: the same verdict
        for name, outcome in [("plain", "deliver"), ("two", "deliver"), ("three", "hold"), ("nir", "deliver"),
                              ("words", "quarantine")]:
            r = self.lines("replay", self.ids[name])[0]
            self.assertTrue(r["same"], r)
            self.assertEqual(r["recipients"][0]["outcome"], outcome)
            self.assertEqual(r["policy"], first)
        self.assertIn("would change nothing", self.tool("diff"))
        self.assertEqual(self.lines("diff")[-1]["messages"], 6)

        # Two numbers are enough, health counts, words are others.
        self.lab.policy(A.replace("min: 3", "min: 2").replace("mode: shadow", "mode: enforce")
                        .replace("[confidential]", "[confidential, secret]"))
        out = self.tool("diff", "--last", "1h", status=1)
        self.assertIn("would newly reject 1, hold 1\n", out)
        for name in ("two", "nir"):
            self.assertIn(self.ids[name], out)
        self.assertNotIn(self.ids["three"], out)
        # Who may have said `secret` nobody knows, also where one copy would be refused for sure;
        # the one in quarantine is judged from its bytes.
        *changes, total = self.lines("diff", status=1)
        self.assertEqual(total["newly"]["hold"], 1)
        self.assertEqual(total["newly"]["reject"], 1)
        self.assertEqual(total["judged_from_message"], 1)
        self.assertEqual(total["unknown"], [{"why": "body", "messages": 2}])
        self.assertEqual(total["cannot_be_replayed"], 2)
        self.assertEqual(total["same"] + total["changed"] + total["cannot_be_replayed"], 6)
        self.assertIn({"v": 1, "was": "deliver", "is": "hold", "rule": "invoices", "gone": False, "messages": 1,
                       "ids": [self.ids["two"]]}, changes)

        # In force: old messages keep the policy they were judged by.
        self.reload()
        self.send("two-again", "INV-000001 INV-000002\r\n")
        second = self.lines("replay", self.ids["two-again"])[0]["policy"]
        self.assertNotEqual(second, first)
        self.assertTrue(self.lines("replay", self.ids["two"])[0]["same"])
        e = self.lines("explain", self.ids["two"])[0]
        self.assertEqual(e["policy"], first)
        self.assertIn({"rule": "invoices", "text": "finds inv: 2 distinct, min 3"}, e["near_misses"])
        self.assertEqual(e["findings"][0]["masked"], ["••••••••01", "••••••••02"])
        page = self.tool("explain", self.ids["two"])
        self.assertRegex(page, "near misses:\n(  .*\n)*  invoices: finds inv: 2 distinct, min 3\n")
        # With another policy, by hand.
        self.assertIn("otherwise", self.tool("replay", self.ids["two"], self.lab.path("policy.d"), status=1))

        # The other way: what would be released.
        self.lab.policy(HEAD + "detectors: {inv: {pattern: 'INV-\\d{6}'}}\n")
        *changes, total = self.lines("diff", "--last", "1h", status=1)
        self.assertEqual(total["newly"]["release"], 3)     # three, words, two-again
        self.assertEqual(total["cannot_be_replayed"], 0)
        self.assertTrue(all(c["gone"] for c in changes), changes)

    def test_backtest_and_promote(self):
        self.everything()
        rules = {l["id"]: l for l in self.lines("policy", "backtest")[:-1]}
        self.assertEqual((rules["health"]["was"], rules["health"]["would"]), (2, 2))
        *rest, total = self.lines("policy", "backtest", "--rule", "health", "--last", "1d", status=1)
        self.assertEqual(total["newly"]["reject"], 2)
        self.assertIn("no rule `helth`", self.lab.tool("policy", "backtest", "--rule", "helth", check=False).stderr)

        listed = {l["id"]: l for l in self.lines("policy", "list")}
        self.assertEqual(listed["health"]["mode"], "shadow")
        self.assertEqual(listed["health"]["hits_24h"], 2)
        self.assertEqual(listed["health"]["review_by"], "2031-03-01")
        self.assertEqual(listed["invoices"]["hits_7d"], 1)
        self.assertIn("health", self.tool("policy", "list"))

        self.lab.write("policy.d/tests/health.test.yaml", "version: 1\ntests:\n"
                       "  - {name: health leaves, direction: outbound, from: a@example.lab, to: b@other.lab,\n"
                       "     message: {body: \"1 84 12 76 451 089 46\"}, expect: {outcome: deliver, shadow: [health]}}\n")
        page = self.tool("policy", "show", "health")
        self.assertIn("      finds: {fr-nir: {min: 1}}\n", page)
        self.assertNotIn("about words", page)
        self.assertIn("tests/health.test.yaml:3  health leaves", page)
        self.assertIn("did you mean `health`", self.lab.tool("policy", "show", "helth", check=False).stderr)

        path = self.lab.path("policy.d/10-test.yaml")
        before = self.read(path)
        # its tests fail: nothing is written
        r = self.lab.tool("policy", "promote", "health", "--yes", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("with health enforced the tests fail", r.stderr)
        self.assertEqual(self.read(path), before)
        os.remove(self.lab.path("policy.d/tests/health.test.yaml"))
        # without --yes it is only shown
        r = self.lab.tool("policy", "promote", "health", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("would newly reject 2", r.stdout)
        self.assertIn("--yes", r.stderr)
        self.assertEqual(self.read(path), before)
        self.send("nir-shadow", NUMBERS)
        os.chmod(path, 0o640)
        r = self.lab.tool("policy", "promote", "health", "--yes", check=False)
        self.assertEqual(r.returncode, 0, r.stderr)
        # one word, and nothing else
        self.assertEqual(self.read(path), before.replace("mode: shadow", "mode: enforce"))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o640)
        self.assertEqual(os.listdir(self.lab.path("policy.d")).count("10-test.yaml"), 1)
        self.assertEqual([f for f in os.listdir(self.lab.path("policy.d")) if f.startswith("10-test.yaml.")], [])
        self.send("nir-enforced", NUMBERS, code=550)
        # what was refused has a record, too
        r = self.lines("replay", self.ids["nir-enforced"])[0]
        self.assertTrue(r["same"])
        self.assertEqual(r["recipients"][0]["outcome"], "reject")
        self.assertIn("enforced already", self.lab.tool("policy", "promote", "health", check=False).stderr)

    def test_promote_leaves_a_changed_file_alone(self):
        path = self.lab.path("policy.d/10-test.yaml")
        store = self.lab.pids("store")[0]
        os.kill(store, signal.SIGSTOP)
        try:
            p = subprocess.Popen([os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("postern.yaml"), "policy",
                                  "promote", "health", "--yes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            fds = "/proc/%d/fd" % p.pid
            # The folder is read before the daemon is asked, and that one does not answer now.
            lab.wait_for(lambda: any(os.readlink(os.path.join(fds, f)).startswith("socket:")
                                     for f in os.listdir(fds)), because="a question to the daemon")
            changed = self.read(path) + "# somebody else was here\n"
            self.lab.policy(changed)
        finally:
            os.kill(store, signal.SIGCONT)
        out, err = p.communicate(timeout=lab.DEADLINE)
        self.assertEqual(p.returncode, 1, out + err)
        self.assertIn("was changed meanwhile: nothing was written", err)
        self.assertEqual(self.read(path), changed)

    def test_without_the_daemon(self):
        self.send("plain", "Hello.\r\n")
        self.assertEqual(self.lab.stop_postern(), 0)
        self.assertIn("not known", self.tool("policy", "list"))
        self.assertIn("not known", self.tool("policy", "show", "health"))
        for args in (["diff"], ["policy", "backtest"], ["policy", "history"], ["policy", "promote", "health", "--yes"],
                     ["replay", self.ids["plain"]]):
            r = self.lab.tool(*args, check=False)
            self.assertEqual(r.returncode, 3, args)
        self.assertIn("mode: shadow", self.read(self.lab.path("policy.d/10-test.yaml")))
        # what was recorded is there after a restart
        self.lab.start_postern("posternd2.log")
        self.assertTrue(self.lines("replay", self.ids["plain"])[0]["same"])

    def test_records_are_not_kept_for_ever(self):
        self.send("plain", "Hello.\r\n")
        self.assertTrue(self.lines("replay", self.ids["plain"])[0]["same"])
        self.lab.config(delivery={"port": self.mx.port}, journal={"records": "0"})
        self.reload()
        self.send("after", "Hello.\r\n")
        lab.wait_for(lambda: self.lab.tool("trace", self.ids["after"], check=False).stdout, because="the journal")
        self.assertIn("no verdict record", self.lab.tool("replay", self.ids["after"], check=False).stderr)

    def test_lists_and_zones_are_kept_with_the_policy(self):
        self.lab.write("policy.d/lists/partners.txt", "partner.lab\n")
        self.lab.policy("version: 1\ngroups: {partners: \"file:lists/partners.txt\"}\n"
                        "schedules: {ever: {days: mon-sun, from: \"00:00\", to: \"24:00\", zone: Europe/Paris}}\nrules:\n"
                        "  - {id: strangers, when: {to: {not: group:partners}, schedule: ever}, then: {reject: \"5.7.1 no\"}}\n")
        self.reload()
        self.send("stranger", "Hello.\r\n", to="b@other.lab", code=550)
        before = self.lines("policy", "history")[0]["policy"]
        self.lab.write("policy.d/lists/partners.txt", "partner.lab\nother.lab\n")
        lab.wait_for(lambda: self.lines("policy", "history")[0]["policy"] != before, because="the new list")
        self.assertEqual(self.lines("policy", "history")[0]["how"], "list")
        self.send("partner", "Hello.\r\n", to="b@other.lab")
        r = self.lines("replay", self.ids["stranger"])[0]
        self.assertEqual((r["same"], r["policy"], r["recipients"][0]["outcome"]), (True, before, "reject"))
        self.assertIn("@@ -1,1 +1,2 @@\n partner.lab\n+other.lab\n", self.tool("policy", "diff", status=1))
        # The list of today on the mail of then.
        *changes, total = self.lines("diff", status=1)
        self.assertEqual(total["newly"]["release"], 1)
        self.assertEqual(changes[0]["ids"], [self.ids["stranger"]])

    def test_history(self):
        git = self.lab.path("policy.d")
        env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x@y",
               "GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x@y"}

        def run(*args):
            return subprocess.run(["git", "-C", git, *args], check=True, env=env, capture_output=True, text=True).stdout

        run("init", "-q")
        run("add", ".")
        run("commit", "-qm", "first")
        self.lab.policy(A.replace("min: 3", "min: 5"))
        run("commit", "-qam", "second")
        head = run("rev-parse", "HEAD").strip()
        self.reload()
        new, old = self.lines("policy", "history")
        self.assertEqual((new["how"], new["uid"], new["commit"]), ("reload", os.getuid(), head))
        self.assertEqual((old["how"], old["commit"]), ("start", None))
        self.assertIn(pwd.getpwuid(os.getuid()).pw_name, self.tool("policy", "history"))
        self.assertIn("policy %s is in force: reload by uid %d, commit %s" % (new["policy"], os.getuid(), head),
                      self.lab.log())
        diff = self.tool("policy", "diff", status=1)
        self.assertIn("-    when: {finds: {inv: {min: 3}}}      # so many\n", diff)
        self.assertIn("+    when: {finds: {inv: {min: 5}}}      # so many\n", diff)
        self.assertEqual(self.tool("policy", "diff", old["policy"][:8], new["policy"][:8], status=1), diff)
        self.assertEqual(self.tool("policy", "diff", new["policy"], "folder"), "")
        # the branch is packed, the tree a linked one: the commit is found all the same
        run("pack-refs", "--all")
        os.kill(self.lab.daemon.pid, signal.SIGHUP)
        lab.wait_for(lambda: len(self.lines("policy", "history")) == 3, because="the third entry")
        self.assertEqual([(h["how"], h["uid"], h["commit"]) for h in self.lines("policy", "history")][0],
                         ("signal", None, head))
        # A policy that is refused leaves no trace.
        self.lab.policy("rules: [")
        self.reload(status=1)
        self.assertEqual(len(self.lines("policy", "history")), 3)
        # The store knows it all when it comes back.
        store = self.lab.pids("store")
        os.kill(store[0], signal.SIGKILL)
        lab.wait_for(lambda: self.lab.pids("store") not in ([], store), because="a new store")
        self.assertEqual(len(self.lines("policy", "history")), 3)

    def test_a_stopped_store_slows_nobody(self):
        self.send("before", "Hello.\r\n")
        store = self.lab.pids("store")[0]
        os.kill(store, signal.SIGSTOP)
        try:
            for i in range(50):
                self.send("while-%d" % i, "Hello.\r\n")
        finally:
            os.kill(store, signal.SIGCONT)
        self.assertTrue(self.lines("replay", self.ids["while-49"])[0]["same"])
        self.assertEqual(self.lines("diff")[-1]["messages"], 51)
        self.assertEqual(self.lab.counter("journal_records_lost"), 0)


if __name__ == "__main__":
    unittest.main()
