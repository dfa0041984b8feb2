"""Backscatter: senders leave with a tag (BATV), bounces are known by it. Postfix bounces for real, Exim reads our tags."""
import datetime
import hashlib
import hmac
import json
import os
import re
import subprocess
import unittest

import lab
import mta
from test_postfix import maildir

SECRETS = {0: "0123456789abcdef0123456789abcdef01234567", 3: "correct-horse-battery-staple"}
LONG_AGO = "2020-01-01"


def today():
    return (datetime.datetime.now(datetime.timezone.utc).date() - datetime.date(1970, 1, 1)).days


def tagged(address, key=0, days=7, secret=None):
    """draft-levine-smtp-batv-01 by another hand; `days` from today it ends."""
    local, domain = address.rsplit("@", 1)
    head = "%d%03d" % (key, (today() + days) % 1000)
    mac = hmac.new((secret or SECRETS[key]).encode(), (head + address.lower()).encode(), hashlib.sha1).hexdigest()[:6]
    if local.startswith('"'):
        return '"prvs=%s%s=%s"@%s' % (head, mac, local[1:-1], domain)
    return "prvs=%s%s=%s@%s" % (head, mac, local, domain)


class Lab(lab.Lab):
    def begin(self, back, made=LONG_AGO, policy="use: [postern/base, postern/inbound]", port=25, **batv):
        os.makedirs(self.path("keys"), exist_ok=True)
        self.write("keys/batv.key", "".join("%d %s %s\n" % (k, made, s) for k, s in SECRETS.items()))
        os.chmod(self.path("keys", "batv.key"), 0o600)
        self.policy("version: 1\n%s\n" % policy)
        self.config(
            domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % back], "batv": {"key": "keys/batv.key", **batv}}},
            delivery={"port": port, "retry": ["1s"]},
            listeners=[{"name": "smart-host", "address": "127.0.0.1:%d" % self.ports.setdefault("smtp", lab.free_port()),
                        "direction": "outbound", "allow": ["127.0.0.1"]},
                       {"name": "mx", "address": "127.0.0.1:%d" % self.ports.setdefault("in", lab.free_port()),
                        "direction": "inbound"}])
        self.start_postern()

    def bounce(self, *to, sender="", headers=(), port="in"):
        """Offers mail as a stranger; (replies to RCPT, reply to the message or None)."""
        with lab.smtplib.SMTP("127.0.0.1", self.ports[port], "elsewhere.lab", timeout=60) as s:
            s.ehlo()
            s.mail(sender)
            got = [s.rcpt(t) for t in to]
            if all(code != 250 for code, _ in got):
                return got, None
            return got, s.data(lab.message(sender="mailer-daemon@elsewhere.lab", to=to, headers=headers))


class Postfix(unittest.TestCase):
    """A message leaves through us to a Postfix that finds out too late that nobody is there."""

    def test_both_ways(self):
        l = Lab("bounces")
        self.addCleanup(l.close)
        back = l.mx()
        inbound = l.ports["in"] = lab.free_port()
        mail = {"virtual_mailbox_base": l.path("mx", "mail"), "virtual_mailbox_maps": "inline:{ {known@partner.lab=box/} }",
                "virtual_uid_maps": "static:65534", "virtual_gid_maps": "static:65534",
                "virtual_mailbox_domains": "partner.lab", "smtpd_reject_unlisted_recipient": "no",
                "relayhost": "[127.0.0.1]:%d" % inbound}
        port = l.postfix("mx", mail)
        l.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"], "mx.lab": ["_dmarc TXT \"v=DMARC1; p=none\""]})
        l.begin(back.port, port=port, mode="refuse")
        senders = ["m.durand@example.lab", "VERP+u=example.net@example.lab", '"john doe"@example.lab']
        for n, sender in enumerate(senders):
            code, text = l.send("nobody%d@partner.lab" % n, sender=sender, subject="lost-%d" % n)
            self.assertEqual(code, 250, text)
        got = back.wait(len(senders))
        # What came back came to the plain addresses, from nobody.
        self.assertEqual([m[0] for m in got], [""] * len(senders))
        self.assertEqual(sorted(m[1][0] for m in got), sorted(senders))
        for sender in senders:
            self.assertRegex(l.log(), r"to=<%s>, bounce=valid" % re.escape(sender))
        # Postfix saw the tag, and wrote it where it delivers.
        seen = set(re.findall(r"from=<(.*?)>", lab.tail(l.path("mx", "maillog"), 400))) - {""}
        self.assertEqual(seen, {tagged(s) for s in senders})
        code, text = l.send("known@partner.lab", sender=senders[0], subject="found")
        self.assertEqual(code, 250, text)
        m = lab.wait_for(lambda: [m for m in maildir(l.path("mx", "mail")) if b"found" in m], because="the mailbox")
        self.assertIn(("Return-Path: <%s>" % tagged(senders[0])).encode(), m[0])
        # We ourselves speak of the plain address everywhere.
        trace = l.tool("--json", "trace", "nobody0@partner.lab")
        self.assertIn(senders[0], trace)
        self.assertNotIn("prvs=", trace)
        self.assertEqual(l.counter("bounces_proved"), len(senders))
        seen = [v["identity"]["bounce"] for v in map(json.loads, l.tool("--json", "trace", senders[0]).splitlines())
                if v.get("identity")]
        self.assertIn("valid", seen)
        # What fails here is told to the plain address as well, without a tag: it stays in the house.
        l.policy("version: 1\nrules:\n  - {id: hold, when: {subject: {words: [held]}}, then: {hold: {for: \"postmaster@example.lab\"}}}\n")
        l.tool("reload")
        code, text = l.send("known@partner.lab", sender=senders[0], subject="held")
        self.assertEqual(code, 250, text)
        ident = text.split()[-1]
        lab.wait_for(lambda: ident in l.tool("held", "list"), because="the hold")
        l.tool("held", "reject", ident)
        ndr = lab.wait_for(lambda: [m for m in back.messages if b"Subject: held" in m[2]], because="our own notification")
        self.assertEqual((ndr[0][0], list(ndr[0][1])), ("", [senders[0]]))

    def test_exim_reads_our_tags(self):
        """Exim's own prvscheck, with the same secret, finds our tags good."""
        l = Lab("bounces-exim")
        self.addCleanup(l.close)
        l.begin(lab.free_port())
        mta.house(l, "exim")
        exim = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mta.NAMESPACE, "sh", l.path("exim"),
                os.path.join(mta.unpack("exim4-daemon-light"), "usr/sbin/exim4")]
        for who in ("m.durand@example.lab", "verp+u=example.net@example.lab"):
            tag = l.tool("batv", "tag", who).strip()
            self.assertEqual(tag, tagged(who))
            for secret, want in ((SECRETS[0], "result=1"), (SECRETS[3], "result=")):
                r = subprocess.run([*exim, "-C", "/dev/null", "-be",
                                    "${prvscheck{%s}{%s}{result=$prvscheck_result}}" % (tag, secret)],
                                   capture_output=True, text=True)
                self.assertEqual(r.stdout.strip(), want, r)


class Strangers(unittest.TestCase):
    def setUp(self):
        self.lab = Lab("bounces-in")
        self.addCleanup(self.lab.close)
        self.back = self.lab.mx()
        self.out = self.lab.mx()
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"], "lists.lab": ["@ MX 10 mx", "mx A 127.0.0.1"],
                      "elsewhere.lab": ["_dmarc TXT \"v=DMARC1; p=none\""]})

    def begin(self, **kw):
        self.lab.begin(self.back.port, port=self.out.port, **kw)

    def test_refused_at_rcpt(self):
        self.begin(mode="refuse", untagged=["shop@example.lab"])
        a = "a@example.lab"
        for to, code in ((tagged(a), 250), (tagged(a, key=3), 250), (tagged(a).upper(), 250), (tagged(a, days=0), 250),
                         (tagged(a, days=-1), 550), (tagged(a, secret="another-secret-of-somebody"), 550),
                         (tagged(a, key=5, secret="another-secret-of-somebody"), 550), (a, 550),
                         (tagged("b@example.lab").replace("=b@", "=a@"), 550), ("postmaster@example.lab", 250),
                         ("shop@example.lab", 250), (49 * "l" + "@example.lab", 250)):
            got, _ = self.lab.bounce(to)
            self.assertEqual(got[0][0], code, (to, got))
            if code == 550:
                self.assertTrue(got[0][1].startswith(b"5.7.1 <a@example.lab>"), got)
        # Others may write to the plain address, and answer the tagged one.
        for to in (a, tagged(a), tagged(a, secret="another-secret-of-somebody")):
            got, last = self.lab.bounce(to, sender="x@elsewhere.lab")
            self.assertEqual((got[0][0], last[0]), (250, 250), (to, got, last))
        self.assertEqual({r.lower() for m in self.back.wait(10) for r in m[1]},
                         {a, "postmaster@example.lab", "shop@example.lab", 49 * "l" + "@example.lab"})
        self.assertEqual(self.lab.counter("bounces_unproved"), 5)
        self.assertRegex(self.lab.tool("simulate", "--client", "127.0.0.1", "--listener", "mx", "--from", "<>", "--to", a,
                                       check=False).stdout, r"550 5\.7\.1 .*\n.*`batv` of domain example\.lab: untagged")

    def test_one_at_a_time(self):
        """What a bounce proves is said of the message: recipients that differ come in messages of their own."""
        self.begin()
        a, b = tagged("a@example.lab"), tagged("b@example.lab")
        got, last = self.lab.bounce(a, "b@example.lab", b)
        self.assertEqual([c for c, _ in got], [250, 452, 250])
        self.assertEqual(last[0], 250)
        self.assertEqual(sorted(self.back.wait(1)[0][1]), ["a@example.lab", "b@example.lab"])

    def test_policy(self):
        """Without `refuse` a rule decides, at the end of the message: callouts of others to the plain address are answered."""
        self.begin()
        got, last = self.lab.bounce("a@example.lab")
        self.assertEqual(got[0][0], 250)
        self.assertEqual(last[0], 550)
        self.assertIn(b"nothing was sent from this address", last[1])
        self.assertEqual(self.lab.bounce(tagged("a@example.lab", days=-3))[1][0], 550)
        self.assertEqual(self.lab.bounce(tagged("a@example.lab"))[1][0], 250)
        # A reader's receipt comes to the address in the header.
        self.assertEqual(self.lab.bounce("a@example.lab", headers=[
            "Content-Type: multipart/report; report-type=disposition-notification; boundary=x"])[1][0], 250)
        ref = re.search(r"ref (\S+?)\)", last[1].decode()).group(1)
        lab.wait_for(lambda: "bounce=untagged" in self.lab.tool("explain", ref, check=False).stdout,
                     because="the record of the refused message")

    def test_grace(self):
        """What went out before there were tags comes back without."""
        self.begin(made=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"), mode="refuse")
        self.assertEqual(self.lab.bounce("a@example.lab")[1][0], 250)
        self.assertIn("bounce=grace", self.lab.log())
        self.assertEqual(self.lab.bounce(tagged("a@example.lab"))[1][0], 250)

    def test_who_is_not_tagged(self):
        self.begin(exempt=["lists.lab"], untagged=["shop@example.lab"])
        for to, sender, seen in (("u@partner.lab", "a@example.lab", tagged("a@example.lab")),
                                 ("u@lists.lab", "a@example.lab", "a@example.lab"),
                                 ("u@partner.lab", "shop@example.lab", "shop@example.lab"),
                                 ("u@partner.lab", "a@elsewhere.lab", "a@elsewhere.lab"),
                                 ("u@partner.lab", "", ""),
                                 ("u@partner.lab", tagged("a@example.lab", days=3), tagged("a@example.lab", days=3))):
            n = len(self.out.messages)
            self.assertEqual(self.lab.send(to, sender=sender)[0], 250)
            self.assertEqual(self.out.wait(n + 1)[n][0], seen)
        # To servers of our own it is whom it is from.
        self.assertEqual(self.lab.send("b@example.lab", sender="a@example.lab")[0], 250)
        self.assertEqual(self.back.wait(1)[0][0], "a@example.lab")

    @staticmethod
    def read(path):
        with open(path) as f:
            return f.read().splitlines()

    def test_keys(self):
        """A second key on top signs; tags of the first stay good. A file others may read stops the start."""
        self.begin(mode="refuse")
        path = self.lab.path("keys", "batv.key")
        before = self.read(path)
        first = self.lab.tool("batv", "tag", "a@example.lab").strip()
        self.assertIn("key 1 signs", self.lab.tool("batv", "new", path))
        after = self.read(path)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(after[2:], before)
        secret = after[1].split()[2]
        self.lab.tool("reload")
        lab.wait_for(lambda: self.lab.send("u@partner.lab")[0] == 250 and
                     self.out.messages and self.out.messages[-1][0] == tagged("a@example.lab", key=1, secret=secret),
                     because="mail signed with the new key")
        self.assertEqual(self.lab.bounce(first)[1][0], 250)
        self.assertEqual(self.lab.tool("batv", "check", first).strip(), "valid: a@example.lab")
        r = self.lab.tool("--json", "batv", "check", "a@example.lab", check=False)
        self.assertEqual((r.returncode, json.loads(r.stdout)["bounce"]), (1, "untagged"))
        os.chmod(path, 0o644)
        r = self.lab.tool("check", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("chmod 600", r.stdout + r.stderr)
        self.assertNotEqual(self.lab.tool("reload", check=False).returncode, 0)
        self.assertEqual(self.lab.bounce(first)[1][0], 250)     # the old generation goes on


if __name__ == "__main__":
    unittest.main()
