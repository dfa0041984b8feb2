#!/usr/bin/python3
"""The signed stamp of the antivirus, X-Postern-AV, between an edge, a hub and a second hub, each a posternd of its
own; C8 to C15 and C18 of the table of capabilities."""
import base64
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab                                                                      # noqa: E402

SECRET = base64.b64encode(bytes(range(32))).decode()
HUBS = {"edge": "127.0.0.5", "hub": "127.0.0.6"}        # the addresses they connect from


def stamps(raw):
    head = raw.split(b"\r\n\r\n")[0].decode()
    return [re.sub(r"\s+", " ", v).strip() for v in re.findall(r"(?mi)^X-Postern-AV:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)", head)]


def tags(stamp):
    return dict(re.findall(r"(\w)=([^;]+)", stamp))


class Chain(unittest.TestCase):
    """edge -> hub -> far -> a receiving server."""
    @classmethod
    def setUpClass(cls):
        cls.mx = lab.ScriptedMX()
        cls.addClassCleanup(cls.mx.close)
        dns = lab.Lab("stamp-dns")
        cls.addClassCleanup(dns.close)
        cls.dns = dns.dns({"partner.lab": ["@ MX 20 mx", "mx A 127.0.0.1"]}) or dns.ports["dns"]
        cls.nodes = {}
        next_port = cls.mx.port
        for name in ("far", "hub", "edge"):
            node = cls.nodes[name] = lab.Lab("stamp-" + name)
            cls.addClassCleanup(node.close)
            node.ports["dns"] = dns.ports["dns"]
            node.folder = node.signatures()
            # The same files, down to their times of another day: what counts is what they say.
            os.utime(os.path.join(node.folder, "test.ndb"), (1.79e9, 1.79e9))
            cls.configure(name, next_port)
            node.start_postern()
            next_port = node.ports["smtp"]

    @classmethod
    def configure(cls, name, next_port, stamp=None, engine=None):
        node = cls.nodes[name]
        node.next_port = next_port
        node.write("keys/stamp.key", SECRET + "\n")
        os.chmod(node.path("keys", "stamp.key"), 0o600)
        if stamp is None:
            stamp = {"key": "keys/stamp.key", "trust": ["network:hubs"]}
        antivirus = engine or {"engine": "libclamav", "databases": node.folder, "max_age": "0"}
        if stamp:
            antivirus["stamp"] = stamp
        node.config(hostname=name + ".example.lab", delivery={
            "port": next_port, "retry": ["1s"], **({"source": [HUBS[name]]} if name in HUBS else {})},
            networks={"internal": ["127.0.0.0/8"], "hubs": list(HUBS.values())},
            antivirus=antivirus)

    def setUp(self):
        self.before = {n: self.counters(n) for n in self.nodes}

    def counters(self, name):
        return {k: v for k, v in self.nodes[name].status()["counters"].items() if k.startswith("av_")}

    def counted(self, name, what):
        return self.counters(name)["av_" + what] - self.before[name]["av_" + what]

    def arrived(self, subject):
        def look():
            for m in list(self.mx.messages):
                if b"Subject: " + subject.encode() + b"\r\n" in m[2]:
                    return m[2]
        return lab.wait_for(look, because="the message " + subject)

    def through(self, node, subject, headers=(), source="127.0.0.1", body="Hello.\r\n"):
        code, text = self.nodes[node].send("b@partner.lab", subject=subject, headers=headers, source=source, body=body)
        self.assertEqual(code, 250, text)
        return self.arrived(subject)

    def reload(self, name, **kw):
        self.configure(name, self.nodes[name].next_port, **kw)
        out = self.nodes[name].tool("reload", check=False)
        self.assertEqual(out.returncode, 0, out.stderr)

    def genuine(self, subject):
        """A stamp as the edge makes it, and the message it is on."""
        raw = self.through("edge", subject)
        self.setUp()
        return stamps(raw)[0], raw

    def replay(self, node, raw, subject, source=HUBS["edge"], change=lambda r: r):
        """The message as it arrived, from that address, under a new subject."""
        raw = change(re.sub(rb"(?m)^Subject: .*\r$", b"Subject: " + subject.encode() + b"\r", raw))
        code, text = self.nodes[node].send("b@partner.lab", raw=raw, source=source)
        self.assertEqual(code, 250, text)
        return self.arrived(subject)

    def test_c08_a_clean_message_is_stamped(self):
        raw = self.through("far", "c8")
        self.assertEqual(len(stamps(raw)), 1)
        t = tags(stamps(raw)[0])
        self.assertEqual(t["v"], "1")
        self.assertRegex(t["e"], r"^libclamav-1\.")
        self.assertRegex(t["s"], r"^daily0\+main0\+set[0-9a-f]{16}\+n1\+opt0$")
        self.assertEqual(self.counted("far", "stamps_made"), 1)
        self.assertEqual(self.counted("far", "scans"), 1)
        # The secret makes it what it is: somebody else with the key comes to the same.
        import hashlib
        import hmac
        head, body = raw.split(b"\r\n\r\n", 1)
        fields = re.findall(rb"(?mi)^((?:content-[^:]*|mime-version):[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n)", head + b"\r\n")
        digest = hashlib.sha256(b"".join(fields) + b"\n\n" + body.rstrip(b"\r\n")).digest()
        self.assertEqual(base64.b64encode(digest).decode(), t["b"])
        text = "postern antivirus stamp 1\nclean\n%s\n%s\n%s\n" % (t["t"], t["e"], t["s"])
        self.assertEqual(base64.b64encode(hmac.digest(SECRET.encode(), text.encode() + digest, "sha256")).decode(), t["m"])

    def test_c09_without_the_credential_the_second_hop_scans_again(self):
        stamp = {"key": "keys/stamp.key", "trust": ["network:hubs"], "authenticated": "true"}
        self.reload("hub", stamp=stamp)
        try:
            self.through("edge", "c9")
            self.assertEqual((self.counted("hub", "scans"), self.counted("hub", "stamps_accepted")), (1, 0))
            # What the hub has stamped the far one believes.
            self.assertEqual((self.counted("far", "scans"), self.counted("far", "stamps_accepted")), (0, 1))
        finally:
            self.reload("hub")

    def test_c10_c11_a_forged_stamp_does_nothing(self):
        forged = ("X-Postern-AV: v=1; t=1795000000; e=libclamav-1.4.6; s=daily0+main0+set0000000000000000+n1+opt0; b=%s; m=%s"
                  % (base64.b64encode(bytes(32)).decode(), base64.b64encode(bytes(32)).decode()))
        for i, (source, what) in enumerate([("127.0.0.1", "stamps_stripped"), (HUBS["edge"], "stamps_refused")]):
            raw = self.through("far", "c10-%d" % i, headers=[forged], source=source)
            self.assertEqual(self.counted("far", "scans"), i + 1)
            self.assertEqual(self.counted("far", what), 1)
            self.assertEqual(len(stamps(raw)), 1)
            self.assertNotIn(base64.b64encode(bytes(32)).decode(), stamps(raw)[0])

    def test_c12_a_stamp_that_matches_saves_the_scan(self):
        raw = self.through("edge", "c12")
        self.assertEqual([self.counted(n, "scans") for n in ("edge", "hub", "far")], [1, 0, 0])
        self.assertEqual([self.counted(n, "stamps_accepted") for n in ("edge", "hub", "far")], [0, 1, 1])
        self.assertEqual(len(stamps(raw)), 1)

    def test_c12_what_the_policy_changes_is_what_is_stamped(self):
        """Each recipient's own bytes have their own stamp, and the hub believes both."""
        edge = self.nodes["edge"]
        edge.policy("version: 1\nrules:\n  - {id: foot, when: {to: b@partner.lab}, then: {append_text: \"Ours.\", "
                    "prefix_subject: \"[X]\", add_header: {X-Seen: 'yes'}, remove_header: [X-Postern-*]}}\n", "20.yaml")
        out = edge.tool("reload", check=False)
        self.assertEqual(out.returncode, 0, out.stderr)
        self.setUp()
        try:
            code, text = edge.send(["b@partner.lab", "c@partner.lab"], subject="c12-both",
                                   headers=["X-Postern-AV: forged", "Content-Type: text/plain; charset=utf-8"])
            self.assertEqual(code, 250, text)

            def both():
                found = [m for m in list(self.mx.messages) if b"c12-both" in m[2]]
                return len(found) == 2 and found
            found = lab.wait_for(both, because="both messages")
            self.assertEqual(sorted(b"Ours." in m[2] for m in found), [False, True])
            self.assertEqual(len({stamps(m[2])[0] for m in found}), 2)
            self.assertEqual([len(stamps(m[2])) for m in found], [1, 1])
            self.assertEqual([self.counted("hub", n) for n in ("scans", "stamps_accepted")], [0, 2])
        finally:
            os.unlink(edge.path("policy.d", "20.yaml"))
            edge.tool("reload", check=False)

    def test_c13_other_signatures_scan_and_stamp_anew(self):
        hub = self.nodes["hub"]
        with open(os.path.join(hub.folder, "own.ndb"), "w") as f:
            f.write("Worm.Hub:0:*:%s\n" % b"only the hub knows".hex())
        lab.wait_for(lambda: hub.status()["antivirus"]["signatures"] == 2, 60, because="new signatures")
        self.setUp()
        try:
            raw = self.through("edge", "c13")
            self.assertEqual([self.counted(n, "scans") for n in ("edge", "hub", "far")], [1, 1, 1])
            self.assertEqual(self.counted("hub", "stamps_refused"), 1)
            self.assertIn("+n1+", tags(stamps(raw)[0])["s"], "the far one has stamped with its own")
            code, text = self.nodes["edge"].send("b@partner.lab", subject="c13-worm", body="only the hub knows\r\n")
            self.assertEqual(code, 250)
            lab.wait_for(lambda: hub.control({"cmd": "quarantine.list"}), because="the worm in the hub's quarantine")
        finally:
            os.unlink(os.path.join(hub.folder, "own.ndb"))
            lab.wait_for(lambda: hub.status()["antivirus"]["signatures"] == 1, 60, because="the old signatures")

    def test_c14_without_a_stamp_the_hop_scans_and_stamps(self):
        self.reload("edge", engine={"engine": "off"}, stamp=False)
        try:
            raw = self.through("edge", "c14")
            self.assertEqual([self.counted(n, "scans") for n in ("edge", "hub", "far")], [0, 1, 0])
            self.assertEqual(self.counted("hub", "stamps_made"), 1)
            self.assertEqual(self.counted("far", "stamps_accepted"), 1)
            self.assertEqual(len(stamps(raw)), 1)
        finally:
            self.reload("edge")

    def test_c15_an_old_stamp_is_not_believed(self):
        stamp, raw = self.genuine("c15-first")
        self.replay("far", raw, "c15-same")
        self.assertEqual(self.counted("far", "stamps_accepted"), 1, "another subject is no other body")
        self.reload("far", stamp={"key": "keys/stamp.key", "trust": ["network:hubs"], "expires": "1m"})
        try:
            # As made two minutes ago, by somebody who knows the secret.
            import hmac
            t = tags(stamp)
            then = str(int(t["t"]) - 120)
            text = "postern antivirus stamp 1\nclean\n%s\n%s\n%s\n" % (then, t["e"], t["s"])
            mac = base64.b64encode(hmac.digest(SECRET.encode(), text.encode() + base64.b64decode(t["b"]), "sha256"))
            old = raw.replace(t["t"].encode() + b";", then.encode() + b";").replace(t["m"].encode(), mac)
            self.setUp()
            self.replay("far", old, "c15-old")
            self.assertEqual((self.counted("far", "scans"), self.counted("far", "stamps_refused")), (1, 1))
        finally:
            self.reload("far")
        self.setUp()
        self.replay("far", old, "c15-within-the-hour")
        self.assertEqual((self.counted("far", "scans"), self.counted("far", "stamps_accepted")), (0, 1))

    def test_c16_a_stamp_does_not_go_with_another_body(self):
        stamp, raw = self.genuine("c16-first")
        changes = {
            "c16-body": lambda r: r.replace(b"Hello.", b"Hallo."),
            "c16-more": lambda r: r + b"one more line\r\n",
            "c16-encoding": lambda r: r.replace(b"MIME-Version: 1.0\r\n", b"MIME-Version: 1.0\r\n"
                                                b"Content-Transfer-Encoding: base64\r\n"),
            "c16-twice": lambda r: r.replace(b"X-Postern-AV:", b"X-Postern-AV: v=1\r\nX-Postern-AV:", 1),
            "c16-mac": lambda r: re.sub(rb"m=(.)", lambda m: b"m=" + (b"A" if m[1] != b"A" else b"B"), r, count=1),
        }
        for n, (subject, change) in enumerate(changes.items()):
            out = self.replay("far", raw, subject, change=change)
            self.assertEqual((self.counted("far", "scans"), self.counted("far", "stamps_accepted")), (n + 1, 0), subject)
            self.assertEqual(len(stamps(out)), 1)
        self.replay("far", raw, "c16-itself")
        self.assertEqual(self.counted("far", "stamps_accepted"), 1)
        # A worm under a stamp of something else is found.
        code, text = self.nodes["far"].send("b@partner.lab", raw=raw.replace(b"Hello.", lab.EICAR.encode()).replace(
            b"c16-first", b"c16-worm"), source=HUBS["edge"])
        self.assertEqual(code, 250)
        lab.wait_for(lambda: self.nodes["far"].control({"cmd": "quarantine.list"}), because="the worm in quarantine")

    def test_c18_stamps_of_strangers_are_stripped(self):
        stamp, raw = self.genuine("c18-first")
        # A genuine stamp from somebody who is not trusted: scanned, and stamped anew.
        self.replay("far", raw, "c18-stranger", source="127.0.0.1")
        self.assertEqual((self.counted("far", "scans"), self.counted("far", "stamps_stripped")), (1, 1))
        # Where no stamps are made they go all the same, in any case and folding, all of them.
        self.reload("far", stamp=False)
        try:
            raw = self.through("far", "c18-none", headers=["X-Postern-AV: v=1", "x-postern-av : forged", "X-Other: stays",
                                                           "X-POSTERN-AV:\r\n folded;\r\n\tstamp"])
            self.assertEqual(stamps(raw), [])
            self.assertNotIn(b"forged", raw)
            self.assertNotIn(b"folded", raw)
            self.assertIn(b"X-Other: stays\r\n", raw)
        finally:
            self.reload("far")
        self.reload("far", engine={"engine": "off"}, stamp=False)
        try:
            self.assertEqual(stamps(self.through("far", "c18-off", headers=["X-Postern-AV: v=1"])), [])
        finally:
            self.reload("far")

    def test_key_that_everybody_may_read_is_refused(self):
        far = self.nodes["far"]
        far.write("keys/open.key", SECRET)
        os.chmod(far.path("keys", "open.key"), 0o644)
        try:
            self.configure("far", far.next_port, stamp={"key": "keys/open.key"})
            r = far.tool("reload", check=False)
            self.assertNotEqual(r.returncode, 0)
        finally:
            self.reload("far")
        self.assertIn("may be read by everybody", far.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
