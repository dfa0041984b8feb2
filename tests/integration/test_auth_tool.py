"""postern auth spf and auth dmarc: real zones on Knot, asked through libunbound."""
import json
import os
import socket
import subprocess
import unittest

import lab

IP = "11.22.33.44"
SIX = "2a00:1:2:3::4"
LONG = "v=spf1 " + " ".join("ip4:11.22.44.%d" % i for i in range(40)) + " ip4:%s -all" % IP

ZONES = {
    "example.lab": [
        '@ TXT "v=spf1 include:_spf.provider.lab mx:mail.example.lab -all"', '@ TXT "unrelated"',
        "mail MX 10 mx.mail", "mx.mail A 11.22.33.50", "mx.mail AAAA " + SIX,
        '_dmarc TXT "v=DMARC1; p=re" "ject; sp=quarantine"',
        'twice TXT "v=spf1 -all"', 'twice TXT "v=spf1 +all"',
        'odd TXT "v=spf1 exists:%{l}.who.example.lab exp=why.example.lab -all"',
        'why TXT "%{i} is not %{d}\'s; %{s}"',
        "joe\\043news.who A 127.0.0.2", "a\\061b.c\\047d.who A 127.0.0.2",        # + = /
        'space TXT "v=spf1 exists:a%_b%-c%%d.who.example.lab -all"', "a\\032b\\03720c\\037d.who A 127.0.0.2",
        'oddmx TXT "v=spf1 mx -all"', "oddmx MX 5 x\\061y.who", "x\\061y.who A " + IP,
        'name TXT "v=spf1 ptr -all"', "host.name A " + IP,
        'void TXT "v=spf1 a:no1.example.lab a:no2.example.lab a:no3.example.lab +all"',
        'long TXT ' + " ".join('"%s"' % LONG[i:i + 200] for i in range(0, len(LONG), 200)),
        'deep TXT "v=spf1 include:lame.lab -all"', "alias CNAME example.lab.",
        '_dmarc.both TXT "v=DMARC1; p=none"', '_dmarc.both TXT "v=DMARC1; p=reject"',
        '_dmarc.own TXT "v=DMARC1; p=none; psd=n"'],
    "provider.lab": ['_spf TXT "v=spf1 ip4:11.22.33.40/29 ?all"'],
    "33.22.11.in-addr.arpa": ["44 PTR host.name.example.lab.", "44 PTR liar.example.lab."],
    "3.0.0.0.2.0.0.0.1.0.0.0.0.0.a.2.ip6.arpa": [],
    "lab": ['_dmarc TXT "v=DMARC1; p=reject; psd=y"'],
}


class Auth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("auth")
        cls.addClassCleanup(cls.lab.close)
        cls.port = cls.lab.dns(ZONES)

    def auth(self, *args, dns=None):
        return subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("none.yaml"), "auth", *args,
                               "--dns", "127.0.0.1:%d" % (dns or self.port)], capture_output=True, text=True)

    def spf(self, sender, want, *words, ip=IP, helo="mail.example.lab", options=()):
        r = self.auth("spf", "--ip", ip, "--helo", helo, "--from", sender, *options)
        self.assertEqual(r.stdout.split(":")[0], want, r.stdout + r.stderr)
        self.assertEqual(r.returncode, 0 if want == "pass" else 1, r.stdout)
        for w in words:
            self.assertIn(w, r.stdout)
        return r.stdout

    def test_where_it_comes_from(self):
        self.spf("joe@example.lab", "pass", "ip4:11.22.33.40/29 of _spf.provider.lab, by include:_spf.provider.lab of example.lab")
        self.spf("joe@example.lab", "pass", "mx:mail.example.lab of example.lab", ip="11.22.33.50")
        self.spf("joe@example.lab", "pass", "mx:mail.example.lab of example.lab", ip=SIX)
        self.spf("joe@example.lab", "fail", "-all of example.lab", "2 of 10 terms", ip="11.22.33.51")
        self.spf("joe@alias.example.lab", "pass")
        self.spf("", "pass", "HELO", helo="example.lab")
        self.spf("joe@mail.example.lab", "none", "no SPF record")
        self.spf("joe@nowhere.example.lab", "none", "no such domain")
        self.spf("joe@twice.example.lab", "permerror", "several SPF records")
        self.spf("joe@void.example.lab", "permerror", "a:no3.example.lab", "more than 2")
        self.spf("joe@long.example.lab", "pass", "ip4:%s of long.example.lab" % IP)
        self.spf("joe@name.example.lab", "pass", "ptr of name.example.lab")

    def test_names_that_are_no_host_names(self):
        """What macros make of a local part is asked for as it is."""
        self.spf("joe+news@odd.example.lab", "pass", "exists:%{l}.who.example.lab")
        self.spf("a=b.c/d@odd.example.lab", "pass")
        self.spf("joe@space.example.lab", "pass", "exists:a%_b%-c%%d.who.example.lab")
        self.spf("joe@oddmx.example.lab", "pass", "mx of oddmx.example.lab")
        out = self.spf("jim@odd.example.lab", "fail")
        self.assertIn("11.22.33.44 is not odd.example.lab's; jim@odd.example.lab", out)

    def test_each_question_is_shown(self):
        out = self.spf("joe@example.lab", "pass", options=["-v"])
        self.assertIn("dns  TXT  example.lab: found\n", out)
        for record in ("v=spf1 include:_spf.provider.lab mx:mail.example.lab -all", "unrelated"):      # in any order
            self.assertIn("\n            %s\n" % record, out)
        self.assertIn("dns  TXT  _spf.provider.lab: found\n            v=spf1 ip4:11.22.33.40/29 ?all", out)
        out = self.spf("joe@void.example.lab", "permerror", options=["-v"])
        self.assertIn("dns  A    no1.example.lab: no such name", out)

    def test_json(self):
        r = json.loads(self.auth("--json", "spf", "--ip", IP, "--from", "<joe@example.lab>", "--helo", "x").stdout)
        self.assertEqual((r["v"], r["result"], r["identity"], r["domain"]), (1, "pass", "mailfrom", "example.lab"))
        self.assertEqual(r["path"][1], {"domain": "_spf.provider.lab", "term": "ip4:11.22.33.40/29"})
        self.assertEqual((r["questions"][0]["name"], r["questions"][0]["status"]), ("example.lab", "found"))
        self.assertCountEqual(r["questions"][0]["records"],
                              ["v=spf1 include:_spf.provider.lab mx:mail.example.lab -all", "unrelated"])
        r = json.loads(self.auth("--json", "dmarc", "--from", "joe@sub.example.lab").stdout)
        self.assertEqual((r["result"], r["disposition"], r["tag"], r["organisation"]), ("fail", "quarantine", "sp", "example.lab"))

    def test_second_engine(self):
        self.spf("joe@example.lab", "pass", "libspf2      pass\n", options=["--engine", "both"])
        self.spf("joe@example.lab", "pass", options=["--engine", "libspf2"])
        self.spf("joe@example.lab", "fail", ip="11.22.33.51", options=["--engine", "libspf2"])

    def test_as_postern_yaml_says(self):
        self.lab.config(hostname="gw.example.lab", verify={"spf": {"engine": "both"}, "dmarc": {"discovery": "tree-walk"}})
        out = self.lab.tool("auth", "spf", "--ip", IP, "--from", "joe@example.lab", "--helo", "x.lab")
        self.assertIn("libspf2      pass", out)
        out = self.lab.tool("auth", "dmarc", "--from", "a@own.example.lab", "--dkim", "example.lab")
        self.assertIn("organisation own.example.lab", out)

    def test_server_that_does_not_answer(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
            deaf.bind(("127.0.0.1", 0))
            r = self.auth("spf", "--ip", IP, "--from", "joe@example.lab", dns=deaf.getsockname()[1])
        self.assertEqual((r.returncode, r.stdout.split(":")[0]), (1, "temperror"), r.stdout + r.stderr)
        self.assertIn("in time", r.stdout)

    def dmarc(self, want, *args, words=()):
        r = self.auth("dmarc", *args)
        self.assertEqual(r.stdout.split(":")[0], want, r.stdout + r.stderr)
        self.assertEqual(r.returncode, 0 if want == "pass" else 1)
        for w in words:
            self.assertIn(w, r.stdout)

    def test_dmarc(self):
        f = ["--from", "Joe <joe@example.lab>"]
        self.dmarc("pass", *f, "--spf", "bounce.example.lab", words=["SPF vouches for bounce.example.lab, aligned with example.lab"])
        self.dmarc("pass", *f, "--spf", "fail:example.lab", "--dkim", "pass:example.lab", words=["DKIM vouches"])
        self.dmarc("fail", *f, "--spf", "pass:example.com", words=["asks for     reject (p=reject)"])
        self.dmarc("fail", "--from", "a@x.example.lab", words=["asks for     quarantine (sp=quarantine)", "record of    example.lab"])
        self.dmarc("none", "--from", "a@both.example.lab")
        self.dmarc("permerror", "--from", "nobody", words=["no @"])
        self.dmarc("fail", "--from", "a@own.example.lab", "--from", "b@provider.lab", "--spf", "own.example.lab",
                   words=["From:        provider.lab", "record of    lab"])

    def test_tree_walk(self):
        w = ["--discovery", "tree-walk", "--from"]
        self.dmarc("fail", *w, "a@b.c.example.lab", words=["organisation example.lab"])
        self.dmarc("fail", *w, "a@b.provider.lab", words=["organisation provider.lab", "record of    lab"])
        self.dmarc("fail", *w, "a@own.example.lab", "--dkim", "example.lab", words=["organisation own.example.lab"])
        self.dmarc("pass", *w, "a@own.example.lab", "--dkim", "x.own.example.lab")

    def test_usage(self):
        for args in ((), ("spf",), ("spf", "--ip", "no"), ("spf", "--ip", IP), ("spf", "--ip", IP, "--from"), ("dmarc",),
                     ("spf", "--ip", IP, "--from", "a@b.lab", "--engine", "exim"), ("dmarc", "--from", "a", "--spf", "maybe:b"),
                     ("dmarc", "--from", "a", "--sample", "100"), ("dmarc", "--from", "a", "--discovery", "guess"), ("iprev",)):
            with self.subTest(args):
                r = self.auth(*args)
                self.assertEqual(r.returncode, 2, r.stdout)
                self.assertIn("usage: postern auth spf --ip ADDRESS", r.stderr)


if __name__ == "__main__":
    unittest.main()
