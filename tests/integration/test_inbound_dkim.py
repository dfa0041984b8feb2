"""DKIM signatures from outside, one wrong thing at a time, judged by `postern auth dkim`; and ARC chains as dkimpy seals them.

The expected results are those of RFC 6376 (3.5, 3.6.1, 6.1), RFC 8301 (3), RFC 8463 and RFC 8601 (2.7.1), not ours.
"""
import base64
import json
import os
import re
import subprocess
import time
import unittest

import dkim
from cryptography.hazmat.primitives import serialization

import lab
import signing

ZONE = "sender.lab"
BODY = b"Dear all,\r\n\r\nthe  figures \tare attached. \r\n-- \r\nA.\r\n\r\n\r\n"
RAW = (b"From: A <a@sender.lab>\r\nTo: b@example.lab\r\nSubject: Figures\r\n of  the year\r\n"
       b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@sender.lab>\r\n\r\n" + BODY)


def pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                             serialization.NoEncryption())


class Signatures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("idkim")
        cls.addClassCleanup(cls.lab.close)
        cls.rsa, cls.ed = signing.new_key(), signing.new_key(0)
        cls.small, cls.short, cls.long = signing.new_key(1024), signing.new_key(768), signing.new_key(4608)
        cls.other = signing.new_key()
        r = signing.record(cls.rsa)
        records = {"rsa": [r], "bare": [signing.record(cls.rsa, bare=True)], "ed": [signing.record(cls.ed)],
                   "small": [signing.record(cls.small)], "short": [signing.record(cls.short)],
                   "long": [signing.record(cls.long)], "other": [signing.record(cls.other)],
                   "testing": [signing.record(cls.rsa, "t=y; ")], "strict": [signing.record(cls.rsa, "t=s; ")],
                   "revoked": ["v=DKIM1; k=rsa; p="], "nokey": ["v=DKIM1; k=rsa"], "two": [r, signing.record(cls.other)],
                   "beside": [r, "some other text"], "version": [r.replace("DKIM1", "DKIM2")],
                   "sha1only": [signing.record(cls.rsa, "h=sha1; ")], "notmail": [signing.record(cls.rsa, "s=tlsrpt; ")],
                   "garbage": ["v=DKIM1; k=rsa; p=AAAA####"], "kind": [r.replace("k=rsa", "k=dsa")],
                   "huge": ["v=DKIM1; k=rsa; n=%s; p=%s" % ("x" * 2000, r.split("p=")[1])],
                   "twice": [r + "; p=AAAA"], "nov": [r.replace("v=DKIM1; ", "")]}
        zone = [signing.txt(s + "._domainkey", t) for s, texts in records.items() for t in texts]
        cls.port = cls.lab.dns({ZONE: zone, "lists.lab": [signing.txt("arc._domainkey", r)],
                                "fwd.lab": [signing.txt("arc._domainkey", signing.record(cls.other)),
                                            signing.txt("ed._domainkey", signing.record(cls.ed))]})

    def auth(self, raw, dns=None):
        path = self.lab.write("m.eml", raw)
        r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", "/nonexistent", "--json", "auth", "dkim", path, "--dns",
                            dns or "127.0.0.1:%d" % self.port], capture_output=True, text=True, timeout=60)
        self.assertIn(r.returncode, (0, 1), r.stderr)
        answer = json.loads(r.stdout)
        self.assertEqual(r.returncode, 0 if answer["result"] == "pass" else 1)
        return answer

    def one(self, raw, want, why=None, name=""):
        a = self.auth(raw)
        self.assertEqual(len(a["signatures"]), 1, name)
        s = a["signatures"][0]
        self.assertEqual((s["result"], a["result"]), (want, want), "%s: %s" % (name, s))
        if why:
            self.assertIn(why, s["why"] or "", name)
        return s

    def sign(self, selector="rsa", key=None, raw=RAW, **kw):
        return signing.sign(raw, key or self.rsa, ZONE, selector, **kw)

    def test_good(self):
        for canon in ("simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"):
            self.one(self.sign(canon=canon), "pass", name=canon)
            self.one(self.sign("ed", self.ed, canon=canon), "pass", name=canon)
        self.one(self.sign("small", self.small), "pass")        # RFC 8301, 3.2: 1024 bits must do
        for selector in ("bare", "beside", "nov"):              # 3.6.1: v= may be left out
            self.one(self.sign(selector), "pass", name=selector)
        s = self.one(self.sign("ed", self.ed), "pass")
        self.assertEqual((s["domain"], s["selector"], s["algorithm"]), (ZONE, "ed", "ed25519-sha256"))
        empty = RAW.split(b"\r\n\r\n")[0] + b"\r\n\r\n"
        for canon in ("simple/simple", "relaxed/relaxed"):      # 3.4.3, 3.4.4: the empty body
            self.one(self.sign(raw=empty, canon=canon), "pass", name=canon)
        # what other programs make
        for c in ((b"relaxed", b"relaxed"), (b"simple", b"simple")):
            sig = dkim.sign(RAW, b"rsa", ZONE.encode(), pem(self.rsa), canonicalize=c)
            self.one(sig + RAW, "pass", name="dkimpy %s" % c[0])
        path, key = self.lab.write("unsigned.eml", RAW), self.lab.write("rsa.pem", pem(self.rsa))
        with open(path, "rb") as f:
            r = subprocess.run(["/usr/sbin/opendkim-testmsg", "-d", ZONE, "-s", "rsa", "-k", key], stdin=f, capture_output=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.one(re.sub(rb"\r?\n", b"\r\n", r.stdout), "permerror", "sha1", "opendkim's default")

    def test_changed(self):
        good = self.sign()
        self.one(good.replace(b"figures", b"numbers"), "fail", "the body was changed")
        self.one(good.replace(b"Subject: Figures", b"Subject: Numbers"), "fail", "header was changed")
        self.one(good + b"more\r\n", "fail", "the body was changed")
        self.one(self.sign("rsa", self.other), "fail", "header was changed")
        self.one(self.sign(after=lambda f: f.replace("t=1", "t=2", 1) if "t=1" in f else f), "policy", "future")
        # one more From: than was signed
        over = self.sign(names=["from", "from", "to", "subject"])
        self.one(over, "pass")
        self.one(over.replace(b"From: A <a", b"From: x@evil.lab\r\nFrom: A <a"), "fail")

    def test_keys(self):
        for selector, want, why in (
                ("missing", "permerror", "no such key"), ("revoked", "permerror", "revoked"),
                ("nokey", "permerror", "has no key"), ("two", "permerror", "several keys"),
                ("version", "permerror", "another version"), ("sha1only", "permerror", "sha256"),
                ("notmail", "permerror", "not for mail"), ("garbage", "permerror", "cannot be read"),
                ("kind", "permerror", "unknown kind"), ("huge", "permerror", "too long"),
                ("twice", "permerror", "cannot be read"), ("ed", "permerror", "another kind"),
                ("testing", "neutral", "testing")):             # 3.6.1, t=y: as if it were not signed
            self.one(self.sign(selector), want, why, selector)
        self.one(self.sign("testing").replace(b"figures", b"numbers"), "neutral", "testing")
        self.one(self.sign("short", self.short), "policy", "too short")     # RFC 8301, 3.2
        self.one(self.sign("long", self.long), "policy", "too long")
        # t=s: i= must be of d= itself
        self.one(self.sign("strict", tags={"i": "@" + ZONE}), "pass")
        self.one(self.sign("strict", tags={"i": "a@mail." + ZONE}), "permerror", "forbids")
        self.one(self.sign("rsa", tags={"i": "a@mail." + ZONE}), "pass")

    def test_tags(self):
        now = int(time.time())
        for name, kw, want, why in (
                ("no v", {"tags": {"v": None}}, "neutral", "missing"),
                ("v=2", {"tags": {"v": "2"}}, "neutral", "missing"),
                ("no d", {"tags": {"d": None}}, "neutral", "missing"),
                ("empty s", {"tags": {"s": ""}}, "neutral", "missing"),
                ("no h", {"tags": {"h": None}}, "neutral", "missing"),
                ("no bh", {"tags": {"bh": None}}, "neutral", "missing"),
                ("wrong bh", {"tags": {"bh": base64.b64encode(b"x" * 32).decode()}}, "fail", "body"),
                ("no b", {"after": lambda f: f[:f.rindex("b=") + 2]}, "neutral", "missing"),
                ("unknown a", {"tags": {"a": "rsa-md5"}}, "neutral", "algorithm"),
                ("sha1", {"algorithm": "rsa-sha1"}, "permerror", "sha1"),
                ("unknown c", {"tags": {"c": "strict/relaxed"}}, "neutral", "canonicalisation"),
                ("no from", {"names": ["to", "subject"]}, "neutral", "From"),
                ("i of another", {"tags": {"i": "a@evil.lab"}}, "neutral", "i="),
                ("i of a longer name", {"tags": {"i": "a@xsender.lab"}}, "neutral", "i="),
                ("expired", {"tags": {"t": str(now - 9000), "x": str(now - 4000)}}, "policy", "expired"),
                ("holds on", {"tags": {"x": str(now + 4000)}}, "pass", None),
                ("x before t", {"tags": {"x": str(now - 5)}}, "neutral", "times"),
                ("x no number", {"tags": {"x": "soon"}}, "neutral", "times"),
                ("from the future", {"tags": {"t": str(now + 9000)}}, "policy", "future"),
                ("a little ahead", {"tags": {"t": str(now + 100)}}, "pass", None),
                ("tag twice", {"tags": {"q": "dns/txt; d=evil.lab"}}, "neutral", "cannot be read"),
                ("unknown tag", {"tags": {"zz": "1"}}, "pass", None),
                ("no list", {"after": lambda f: "DKIM-Signature: hello"}, "neutral", "cannot be read"),
                ("bad name", {"tags": {"d": "sender..lab"}}, "neutral", "no name"),
                ("long name", {"tags": {"s": "x" * 64}}, "neutral", "no name"),
                ("h without end", {"names": ["from"] + ["x"] * 500}, "neutral", "too many"),
                ("huge field", {"tags": {"zz": "y" * 17000}}, "neutral", "too long")):
            self.one(self.sign(**kw), want, why, name)

    def test_length(self):
        whole = len(signing.canonical(BODY, True))
        self.one(self.sign(length=whole), "pass")
        self.one(self.sign(length=whole) + b"Buy!\r\n", "policy", "l=")
        self.one(self.sign(length=whole - 9), "policy", "l=")
        self.one(self.sign(length=0), "policy", "l=")
        whole = len(signing.canonical(BODY, False))
        self.one(self.sign(length=whole, canon="simple/simple"), "pass")
        self.one(self.sign(length=whole, canon="simple/simple") + b"Buy!\r\n", "policy", "l=")
        self.one(self.sign(length=whole, tags={"l": str(whole + 100)}), "permerror")
        self.one(self.sign(length=whole, tags={"l": "-1"}), "neutral", "l=")

    def test_many(self):
        bad = self.sign().partition(b"From:")[0].replace(b"d=sender.lab", b"d=fwd.lab")
        a = self.auth(self.sign("ed", self.ed, raw=self.sign()))
        self.assertEqual([s["result"] for s in a["signatures"]], ["pass", "pass"])
        a = self.auth(bad + self.sign())
        self.assertEqual([s["result"] for s in a["signatures"]], ["permerror", "pass"])
        self.assertEqual(a["result"], "pass")
        # the good one is the tenth, then the eleventh: no more are tried
        self.assertEqual(self.auth(bad * 9 + self.sign())["result"], "pass")
        a = self.auth(bad * 10 + self.sign())
        self.assertEqual((a["result"], a["signatures"][10]["why"]), ("permerror", "one of too many: not tried"))
        # a thousand of them, all with a good key and a body to hash: bounded
        start = time.monotonic()
        raw = self.sign().partition(b"From:")[0] * 1000 + RAW.replace(BODY, b"x" * 70 * 1000 + b"\r\n")
        a = self.auth(raw)
        self.assertEqual((a["result"], len(a["signatures"])), ("fail", 30))
        self.assertLess(time.monotonic() - start, 20)
        # more header than is looked at
        self.assertEqual(self.auth(b"X-A: b\r\n" * 5000 + self.sign())["result"], "none")
        a = self.auth(self.sign() .replace(b"To:", b"X-A: b\r\n" * 5000 + b"To:"))
        self.assertEqual(a["result"], "permerror")

    def test_dns_is_away(self):
        with __import__("socket").socket(__import__("socket").AF_INET, __import__("socket").SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))        # hears, and says nothing
            a = self.auth(self.sign(), "127.0.0.1:%d" % s.getsockname()[1])
        self.assertEqual((a["result"], a["signatures"][0]["why"]), ("temperror", "the key cannot be looked up now"))

    # -- ARC ---------------------------------------------------------------------------

    def seal(self, raw, domain="lists.lab", selector="arc", key=None, results="dmarc=pass header.from=sender.lab", **kw):
        """One more set on top, by dkimpy."""
        srv = b"mx%d." % raw.count(b"ARC-Seal:") + domain.encode()      # dkimpy reads all of its own name
        raw = b"Authentication-Results: " + srv + b"; " + results.encode() + b"; arc=%s\r\n" % (
            b"pass" if b"ARC-Seal" in raw else b"none") + raw
        c = dkim.ARC(raw)
        lines = c.sign(selector.encode(), domain.encode(), pem(key or self.rsa), srv,
                       include_headers=[b"from", b"to", b"subject", b"date", b"message-id"], **kw)
        self.assertTrue(lines, "dkimpy does not seal it")
        return b"".join(lines) + raw

    def arc(self, raw):
        return self.auth(raw)["arc"]

    def test_arc(self):
        self.assertEqual(self.arc(RAW)["result"], "none")
        one = self.seal(self.sign())
        a = self.arc(one)
        self.assertEqual((a["result"], a["sets"], a["sealer"], a["oldest_pass"]), ("pass", 1, "lists.lab", 0), a)
        two = self.seal(one, "fwd.lab", key=self.other)
        a = self.arc(two)
        self.assertEqual((a["result"], a["sets"], a["sealer"], a["oldest_pass"]), ("pass", 2, "fwd.lab", 0), a)
        # a list that changes the body and seals what it made: its own signature fits, the one before no more
        changed = self.seal(one + b"_____\r\nthe list\r\n", "fwd.lab", key=self.other)
        a = self.arc(changed)
        self.assertEqual((a["result"], a["oldest_pass"]), ("pass", 2), a)
        self.assertEqual(self.auth(changed)["result"], "fail")
        five = one
        for i in range(4):
            five = self.seal(five, "fwd.lab", key=self.other)
        self.assertEqual((self.arc(five)["result"], self.arc(five)["sets"]), ("pass", 5))

    def test_arc_broken(self):
        one = self.seal(self.sign())
        two = self.seal(one, "fwd.lab", key=self.other)
        field = lambda raw, name, i: re.search(rb"^%s: i=%d;.*?\r\n(?![ \t])" % (name, i), raw, re.M | re.S).group(0)
        for name, raw, why in (
                ("body", one + b"more\r\n", "body"),
                ("header", one.replace(b"Subject: Figures", b"Subject: Numbers"), "header was changed"),
                ("results", one.replace(b"ARC-Authentication-Results: i=1; mx0.lists.lab; dmarc=pass",
                                        b"ARC-Authentication-Results: i=1; mx0.lists.lab; dmarc=fail"), "seal"),
                ("first set's results", two.replace(b"i=1; mx0.lists.lab; dmarc=pass", b"i=1; mx0.lists.lab; dmarc=fail"), "seal"),
                ("no seal", one.replace(field(one, b"ARC-Seal", 1), b""), "not whole"),
                ("no first set", two.replace(field(two, b"ARC-Seal", 1), b""), "not whole"),
                ("twice", field(one, b"ARC-Seal", 1) + one, "twice"),
                ("i=51", one.replace(field(one, b"ARC-Seal", 1), field(one, b"ARC-Seal", 1).replace(b"i=1;", b"i=51;")), "read"),
                ("i=0", one.replace(b"ARC-Seal: i=1", b"ARC-Seal: i=0"), "read"),
                ("gap", one.replace(b": i=1;", b": i=2;"), "not whole"),
                ("cv", one.replace(b"cv=none", b"cv=pass"), "cv="),
                ("cv=fail", two.replace(b"cv=pass", b"cv=fail"), "broken when it came"),
                ("key", one.replace(b"d=lists.lab", b"d=fwd.lab"), "changed"),
                ("no key", one.replace(b"d=lists.lab", b"d=nobody.lab"), "")):
            self.assertNotIn(raw, (one, two), name)
            a = self.arc(raw)
            if name == "no key":
                self.assertIn(a["result"], ("fail", "temperror"), (name, a))
                continue
            self.assertEqual(a["result"], "fail", (name, a))
            self.assertIn(why, a["why"], (name, a))


if __name__ == "__main__":
    unittest.main()
