"""DKIM from the first key to the next: made, published, found, used, retired; never unpublished where that is asked for."""
import glob
import json
import os
import re
import signal
import subprocess
import time
import unittest

import dkim

import lab

ZONE = "example.lab"


class Dkim(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("dkim")
        self.addCleanup(self.lab.close)
        self.mx = self.lab.mx()
        self.serial = 1
        self.records = {}
        self.lab.dns({ZONE: [], "partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.knot = self.lab.procs[-1]

    def configure(self, dk, **over):
        self.lab.config(domains={ZONE: {"dkim": dk}}, delivery={"port": self.mx.port, "tls": {"policy": "none"}}, **over)

    def publish(self, lines):
        """The zone with these lines, once the name server has taken it."""
        self.serial += 1
        self.lab.write("knot/%s.zone" % ZONE, "$ORIGIN %s.\n$TTL 1\n@ SOA ns hostmaster %d 60 60 60 1\n@ NS ns\nns A 127.0.0.1\n%s\n"
                       % (ZONE, self.serial, "\n".join(lines)))
        self.knot.p.send_signal(signal.SIGHUP)

        def taken():
            r = subprocess.run(["/usr/sbin/knotc", "-c", self.lab.path("knot/knot.conf"), "zone-status", ZONE, "+serial"],
                               capture_output=True, text=True)
            return "serial: %d" % self.serial in r.stdout
        lab.wait_for(taken, because="the zone's serial %d" % self.serial)

    def rotate(self, *more):
        r = self.lab.tool("dkim", "rotate", ZONE, *more, check=False)
        return r.returncode, r.stdout + r.stderr

    def ring(self):
        with open(self.lab.path("keys", ZONE + ".dkim")) as f:
            return {l.split()[0]: l.split()[2] for l in f if not l.startswith("#")}

    def lines(self, text):
        return [l for l in text.splitlines() if " IN TXT " in l]

    def mail(self, n=1, code=250):
        """Sends one; the signatures of what arrives, verified against what is published."""
        before = len(self.mx.messages)
        got = self.lab.send("b@partner.lab", sender="a@" + ZONE)
        self.assertEqual(got[0], code, got)
        if code != 250:
            return got[1]
        raw = self.mx.wait(before + 1)[-1][2]
        selectors = re.findall(rb"\bs=(\w+);", raw)
        return [s.decode() for s in selectors], raw

    def test_rotation(self):
        self.configure("managed")
        self.lab.start_postern()
        code, text = self.rotate()
        self.assertEqual(code, 0, text)
        first = self.lines(text)
        self.assertEqual([re.search(r"k=(\w+)", l).group(1) for l in first], ["rsa", "ed25519"])
        self.assertEqual(set(self.ring().values()), {"publish"})
        # nothing published: nothing signs, and the mail goes out with a warning
        self.assertEqual(self.mail()[0], [])
        code, text = self.rotate()
        self.assertEqual(code, 1, text)
        self.assertEqual(text.count("not published"), 2, text)
        # one of two
        self.publish(first[:1])
        code, text = self.rotate()
        self.assertEqual(code, 1, text)
        self.assertEqual(set(self.ring().values()), {"publish"})
        self.publish(first)
        lab.wait_for(lambda: self.rotate()[0] == 0, because="both keys in the DNS")
        self.assertEqual(set(self.ring().values()), {"active"})
        old = sorted(self.ring())
        lab.wait_for(lambda: sorted(self.mail()[0]) == old, because="signatures of the new keys")
        selectors, raw = self.mail()
        txt = {l.split()[0].rstrip("."): re.sub(r'"\s*"', "", l.split(" TXT ")[1]).strip('"').encode() for l in first}
        self.assertTrue(dkim.verify(raw, dnsfunc=lambda n, timeout=5: txt.get(n.decode().rstrip("."))))
        self.assertNotIn(b"; l=", raw)
        # the second rotation: new keys beside the old, which sign until the new ones are found
        code, text = self.rotate()
        self.assertEqual(code, 0, text)
        second = self.lines(text)
        self.assertFalse(set(second) & set(first))
        self.assertEqual(sorted(self.ring().values()), ["active", "active", "publish", "publish"])
        self.assertEqual(sorted(self.mail()[0]), old)
        self.publish(first + second)
        lab.wait_for(lambda: self.rotate()[0] == 0, because="the second pair in the DNS")
        self.assertEqual(sorted(self.ring().values()), ["active", "active", "retired", "retired"])
        new = sorted(k for k, v in self.ring().items() if v == "active")
        lab.wait_for(lambda: sorted(self.mail()[0]) == new, because="signatures of the second pair")
        # the old ones wait for their week
        code, text = self.rotate()
        self.assertEqual(code, 0)
        self.assertIn("Nothing to do yet", text)
        path = self.lab.path("keys", ZONE + ".dkim")
        with open(path) as f:
            ring = f.read()
        ring = re.sub(r"retired \S+", lambda m: "retired 2020-01-01T00:00:00Z", ring)
        self.lab.write("keys/%s.dkim" % ZONE, ring)
        code, text = self.rotate()
        self.assertEqual((code, text.count("delete this TXT record")), (0, 2), text)
        self.assertEqual(sorted(self.ring()), new)
        left = [os.path.basename(p).split(".")[0] for p in glob.glob(self.lab.path("keys", "*.pem"))]
        self.assertEqual(sorted(left), new, "the old private keys are gone")

    def test_rotation_cut_short(self):
        """A key made and not yet in the ring is taken by the next run; a broken ring is said, not overwritten."""
        self.configure("managed")
        day = time.strftime("%Y%m%d", time.gmtime())
        self.lab.tool("dkim", "new", ZONE, "r" + day)
        with open(self.lab.path("keys", "r%s.%s.pem" % (day, ZONE))) as f:
            made = f.read()
        code, text = self.rotate()
        self.assertEqual(code, 0, text)
        with open(self.lab.path("keys", "r%s.%s.pem" % (day, ZONE))) as f:
            self.assertEqual(f.read(), made)
        self.lab.write("keys/%s.dkim" % ZONE, "what is this\n")
        code, text = self.rotate()
        self.assertEqual(code, 1)
        self.assertIn(".dkim:1: not `SELECTOR ALGORITHM", text)
        r = self.lab.tool("check", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn(".dkim:1: not `SELECTOR ALGORITHM", r.stdout + r.stderr)
        self.configure([{"selector": "r" + day, "key": "keys/r%s.%s.pem" % (day, ZONE)}])
        code, text = self.rotate()
        self.assertEqual(code, 2)
        self.assertIn("managed: true", text)

    def make(self, selector, *option):
        return self.lines(self.lab.tool("dkim", "new", ZONE, selector, *option))[0], {
            "selector": selector, "key": "keys/%s.%s.pem" % (selector, ZONE),
            "algorithm": "ed25519-sha256" if option else "rsa-sha256"}

    def test_check(self):
        """check: true. What is not in the DNS does not sign; without any key that is, warn or refuse."""
        self.configure("managed")
        rsa, rsa_conf = self.make("r1")
        ed, ed_conf = self.make("e1", "--ed25519")
        both = {"keys": [rsa_conf, ed_conf], "check": "true"}
        self.publish([rsa])
        self.configure(both)
        self.lab.start_postern()
        # the first message comes before anything is known: it waits for the answer, and is signed right
        self.assertEqual(self.mail()[0], ["r1"])
        self.assertIn("DKIM key e1._domainkey.example.lab is not in the DNS: it does not sign", self.lab.log())
        self.publish([])
        self.lab.stop_postern()
        self.lab.start_postern()
        self.assertEqual(self.mail()[0], [])
        self.assertIn("no DKIM key of example.lab is published", self.lab.log())
        self.lab.stop_postern()
        self.configure(both, dkim_missing="refuse")
        self.lab.start_postern()
        self.assertRegex(self.mail(code=550), r"^5\.7\.1 no DKIM key")
        self.lab.stop_postern()
        # another key under the name is as good as none
        self.publish([rsa.replace("r1._domainkey", "e1._domainkey"), ed.replace("e1._domainkey", "r1._domainkey")])
        self.lab.start_postern()
        self.assertRegex(self.mail(code=550), r"^5\.7\.1 no DKIM key")
        self.lab.stop_postern()
        self.publish([rsa, ed])
        self.lab.start_postern()
        self.assertEqual(sorted(self.mail()[0]), ["e1", "r1"])

    def test_check_without_dns(self):
        """Nobody says whether the key is published: put off, not sent unsigned and not signed blindly."""
        self.configure("managed")
        _, conf = self.make("r1")
        self.lab.config(domains={ZONE: {"dkim": {"keys": [conf], "check": "true"}}}, delivery={"tls": {"policy": "none"}},
                        dns={"servers": ["127.0.0.1:%d" % lab.free_port()], "dnssec": "false"})
        self.lab.start_postern()
        code, text = self.lab.send("b@partner.lab", sender="a@" + ZONE)
        self.assertEqual((code, text[:5]), (451, "4.3.0"), text)

    def test_credential(self):
        """key: credential:NAME is what systemd's LoadCredential has put into $CREDENTIALS_DIRECTORY."""
        self.configure("managed")
        line, conf = self.make("c1")
        os.makedirs(self.lab.path("credentials"))
        os.rename(self.lab.path("keys", "c1.%s.pem" % ZONE), self.lab.path("credentials", "dkim-c1"))
        self.configure([{"selector": "c1", "key": "credential:dkim-c1"}])
        self.lab.start_postern(env={"CREDENTIALS_DIRECTORY": self.lab.path("credentials")})
        self.assertEqual(self.mail()[0], ["c1"])
        self.lab.stop_postern()
        self.configure([{"selector": "c1", "key": "credential:../keys/x"}])
        r = self.lab.tool("check", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("is no name of a credential", r.stdout + r.stderr)


if __name__ == "__main__":
    unittest.main()
