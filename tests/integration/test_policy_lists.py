"""Lists of a policy (`file:lists/x.txt`) come into force by themselves; a bad line changes nothing and is told."""
import json
import os
import unittest

import lab

POLICY = """version: 1
groups:
  blocked: "file:lists/blocked.txt"
rules:
  - {id: blocked, when: {to: group:blocked}, then: {reject: "5.7.1 blocked"}}
"""


class Lists(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("lists")
        self.addCleanup(self.lab.close)
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.mx = self.lab.mx()
        self.lab.config(delivery={"port": self.mx.port})
        self.lab.policy(POLICY)
        self.list = self.lab.path("policy.d", "lists", "blocked.txt")
        os.makedirs(os.path.dirname(self.list))
        self.write("nobody.lab\n")
        self.lab.start_postern()

    def write(self, text, replace=False):
        path = self.list + ".new" if replace else self.list
        with open(path, "w") as f:
            f.write(text)
        if replace:
            os.rename(path, self.list)

    def code(self, to="b@partner.lab"):
        return self.lab.send(to)[0]

    def attention(self):
        return " ".join(n["text"] for n in json.loads(self.lab.tool("--json", "status", check=False).stdout)["attention"])

    def test_a_list_is_taken_anew(self):
        self.assertEqual(self.code(), 250)
        self.write("nobody.lab\npartner.lab   # as of today\n")
        lab.wait_for(lambda: self.code() == 550, because="the list written in place")
        self.write("# nobody\n", replace=True)
        lab.wait_for(lambda: self.code() == 250, because="the list replaced by another file")

    def test_a_bad_line_keeps_the_old_list(self):
        self.write("partner.lab\n")
        lab.wait_for(lambda: self.code() == 550, because="the list")
        self.write("this is not a domain\nother.lab\n")
        text = lab.wait_for(lambda: "refused" in self.attention() and self.attention(), because="the alarm")
        self.assertIn("lists/blocked.txt:1", text)
        self.assertEqual(self.code(), 550)
        self.assertEqual(self.code("a@other.lab"), 250)
        self.write("other.lab\n")
        lab.wait_for(lambda: self.code("a@other.lab") == 550, because="the list set right")
        self.assertEqual(self.code(), 250)
        self.assertNotIn("refused", self.attention())

    def test_half_an_edit_is_not_taken_with_it(self):
        self.lab.policy(POLICY + "  - {id: all, then: {reject: \"5.7.1 everything\"}}\n")
        self.write("other.lab\n")
        lab.wait_for(lambda: "takes both" in self.attention(), because="the note that a list waits")
        self.assertEqual(self.code(), 250)
        self.lab.policy(POLICY)
        r = self.lab.tool("reload", check=False)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertEqual(self.code("a@other.lab"), 550)
        self.assertEqual(self.code(), 250)
        self.assertNotIn("takes both", self.attention())


if __name__ == "__main__":
    unittest.main()
