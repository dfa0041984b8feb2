"""postern dkim, dns and doctor: what is advised is what is checked, against a DNS that is right, wrong or empty."""
import json
import os
import re
import stat
import time
import unittest

import https_server
import lab
from authority import Authority

SOURCE = "11.22.33.44"


def zone_lines(plan, domain):
    """The BIND lines of `dns plan` that belong in the zone of the domain, relative to nothing."""
    return [l for l in plan.splitlines() if re.match(r"\S+\. IN ", l) and l.split()[0].endswith(domain + ".")]


class Tool(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("dnstool")
        self.addCleanup(self.lab.close)

    def configure(self, dkim=(), **over):
        self.lab.config(domains={"example.lab": {"dkim": list(dkim)} if dkim else {"recipients": "any"}},
                        delivery={"source": [SOURCE], "tls": {"policy": "none"}},
                        hostname="gw.example.lab", **over)

    def verdicts(self, domain="example.lab"):
        r = self.lab.tool("--json", "dns", "check", domain, check=False)
        lines = [json.loads(l) for l in r.stdout.splitlines()]
        return r.returncode, {(l["topic"], l["name"]): (l["verdict"], l["detail"]) for l in lines}

    @staticmethod
    def read(path):
        with open(path, "rb") as f:
            return f.read()

    def new_keys(self):
        """Both kinds of key, made by the tool; the dkim part of postern.yaml."""
        self.configure()
        out = []
        for selector, option, algorithm in (("r1", [], "rsa-sha256"), ("e1", ["--ed25519"], "ed25519-sha256")):
            text = self.lab.tool("dkim", "new", "example.lab", selector, *option)
            self.assertIn('%s._domainkey.example.lab. IN TXT "v=DKIM1; k=%s; p=' % (selector, algorithm.split("-")[0]), text)
            path = self.lab.path("keys", selector + ".example.lab.pem")
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            out.append({"selector": selector, "key": "keys/%s.example.lab.pem" % selector, "algorithm": algorithm})
        before = self.read(path)
        r = self.lab.tool("dkim", "new", "example.lab", "e1", "--ed25519", check=False)
        self.assertEqual(r.returncode, 1, "an existing key is never touched")
        self.assertEqual(self.read(path), before)
        return out

    def test_plan_published_is_all_ok(self):
        keys = self.new_keys()
        self.configure(keys)
        plan = self.lab.tool("dns", "plan", "example.lab")
        self.assertIn("example.lab. IN TXT \"v=spf1 ip4:%s -all\"" % SOURCE, plan)
        self.assertIn("44.33.22.11.in-addr.arpa. IN PTR gw.example.lab.", plan)
        self.assertIn("    type  TXT", plan)
        # The lines go into the zones as they are printed: what is advised must be what the check wants.
        self.lab.dns({"example.lab": zone_lines(plan, "example.lab"),
                      "33.22.11.in-addr.arpa": zone_lines(plan, "in-addr.arpa"), "org": []})
        self.configure(keys)
        code, got = self.verdicts()
        self.assertEqual(code, 0, got)
        self.assertEqual({v[0] for v in got.values()}, {"ok"}, got)
        self.assertEqual({k[0] for k in got}, {"address", "ptr", "spf", "dkim", "dmarc"})
        text = self.lab.tool("dkim", "check")
        self.assertEqual(text.count("published, and it is this key"), 2, text)
        self.lab.start_postern()
        text = self.lab.tool("doctor", check=False).stdout
        self.assertRegex(text, r"ok +daemon +posternd is running")
        self.assertRegex(text, r"ok +listener +smart-host answers")
        self.assertRegex(text, r"ok +spf +TXT +example\.lab")
        self.assertNotRegex(text, r"(?m)^wrong +(spf|dkim|ptr|listener|disk|memory|dns)")

    def test_nothing_published(self):
        keys = self.new_keys()
        self.lab.dns({"example.lab": [], "33.22.11.in-addr.arpa": []})
        self.configure(keys)
        code, got = self.verdicts()
        self.assertEqual(code, 1)
        self.assertEqual({v[0] for v in got.values()}, {"missing"}, got)
        r = self.lab.tool("dkim", "check", check=False)
        self.assertEqual((r.returncode, r.stdout.count("not published")), (1, 2), r.stdout)

    def test_wrong_lines_are_named(self):
        keys = self.new_keys()
        self.configure(keys)
        value = self.lab.tool("dkim", "show", "example.lab")
        rsa, ed = [l for l in value.splitlines() if " IN TXT " in l]
        self.lab.dns({"example.lab": [
            "gw A 11.22.33.45", '@ TXT "v=spf1 include:third.lab mx -all"', "@ MX 10 other",
            "other A 11.22.33.46", '_dmarc TXT "v=DMARC1; p=none"', '_dmarc TXT "v=DMARC1; p=reject"',
            rsa.replace("p=", "t=y; p="), 'e1._domainkey TXT "v=DKIM1; k=ed25519; p="'],
            "third.lab": ['@ TXT "v=spf1 ip4:11.22.34.0/24 -all"'],
            "33.22.11.in-addr.arpa": ["44 PTR host44.provider.lab."]})
        self.configure(keys)
        code, got = self.verdicts()
        self.assertEqual(code, 1)
        want = {"address": "other addresses", "ptr": "host44.provider.lab", "spf": "ip4:" + SOURCE, "dmarc": "several"}
        for topic, words in want.items():
            v = [v for k, v in got.items() if k[0] == topic]
            self.assertEqual(v[0][0], "wrong", (topic, v))
            self.assertIn(words, v[0][1])
        self.assertIn("t=y", got["dkim", "r1._domainkey.example.lab"][1])
        self.assertIn("revoked", got["dkim", "e1._domainkey.example.lab"][1])

    def test_spf_by_include_and_mx(self):
        for record, third, ok in (('"v=spf1 include:third.lab ~all"', '"v=spf1 ip4:11.22.33.0/24 -all"', True),
                                  ('"v=spf1 mx -all"', '"v=spf1 -all"', True),
                                  ('"v=spf1 a:gw.example.lab/30 -all"', '"v=spf1 -all"', True),
                                  ('"v=spf1 redirect=third.lab"', '"v=spf1 ip4:11.22.33.44 -all"', True),
                                  ('"v=spf1 -ip4:11.22.33.44 -all"', '"v=spf1 -all"', False),
                                  ('"v=spf1 include:example.lab -all"', '"v=spf1 -all"', False),
                                  ('"v=spf1 +all"', '"v=spf1 -all"', False)):
            with self.subTest(record):
                l = lab.Lab("spf")
                self.addCleanup(l.close)
                l.dns({"example.lab": ["@ TXT " + record, "@ MX 5 gw", "gw A " + SOURCE], "third.lab": ["@ TXT " + third]})
                self.lab = l
                self.configure()
                got = self.verdicts()[1]["spf", "example.lab"]
                self.assertEqual(got[0] == "ok", ok, got)

    def test_reverse_name_leads_back(self):
        self.lab.dns({"example.lab": ["gw A 11.22.33.45"], "33.22.11.in-addr.arpa": ["44 PTR gw.example.lab."]})
        self.configure()
        got = self.verdicts()[1]["ptr", "44.33.22.11.in-addr.arpa"]
        self.assertEqual(got[0], "wrong")
        self.assertIn("does not lead back", got[1])

    def inbound(self, web, **tls):
        self.lab.config(domains={"example.lab": {"recipients": "any"}}, hostname="gw.example.lab",
                        listeners=[{"name": "mx", "address": "127.0.0.1:%d" % lab.free_port(), "direction": "inbound"}],
                        delivery={"source": [SOURCE], "tls": {"policy": "none", "roots": web.ca,
                                                              "mta_sts": {"port": str(web.port), "timeout": "5s"}}})

    def test_mta_sts_and_tlsrpt(self):
        """The lines of our own domain, and the page behind them, as a sender would read it."""
        page = {}
        web = https_server.HttpsServer(self.lab, lambda host: page.get("certificate", "good"),
                                       lambda r: (page.get("status", 200), {"Content-Type": "text/plain"}, page["text"].encode()))
        self.inbound(web)
        plan = self.lab.tool("dns", "plan", "example.lab")
        records = [l for l in zone_lines(plan, "example.lab") if "mta-sts" in l or "_tls" in l]
        self.assertEqual(len(records), 2, plan)
        self.assertRegex(records[0], r'^_mta-sts\.example\.lab\. IN TXT "v=STSv1; id=[0-9a-f]{16};"$')
        advice = re.search(r"; mta-sts\.example\.lab: .*https://mta-sts\.example\.lab/\.well-known/mta-sts\.txt, as text/plain, with the lines: (.*)", plan)
        self.assertIsNotNone(advice, plan)
        page["text"] = advice.group(1).replace(" | ", "\n") + "\n"
        self.lab.dns({"example.lab": records + ["mta-sts A 127.0.0.1"], "empty.lab": [],
                      "twice.lab": ['_mta-sts TXT "v=STSv1; id=1"', '_mta-sts TXT "v=STSv1; id=2"', "mta-sts A 127.0.0.1",
                                    '_smtp._tls TXT "v=TLSRPTv1; rua=ftp://reports.lab/"']})
        self.inbound(web)

        def got(domain="example.lab"):
            return {k[1].split(".")[0]: v for k, v in self.verdicts(domain)[1].items() if k[0] in ("mta-sts", "tlsrpt")}
        self.assertEqual(got(), {"_mta-sts": ("ok", ""), "mta-sts": ("ok", "mode testing"), "_smtp": ("ok", "")})
        page["text"] = page["text"].replace("testing", "enforce").replace("gw.example", "old.example")
        self.assertEqual(got()["mta-sts"][0], "wrong")
        self.assertIn("(mode enforce) does not list gw.example.lab: servers that heed it will not deliver here", got()["mta-sts"][1])
        page["text"] = "<html>"
        self.assertIn("a line is not `name: value`", got()["mta-sts"][1])
        page["status"] = 404
        self.assertIn("HTTP status 404", got()["mta-sts"][1])
        page["certificate"] = "expired"
        web.contexts.clear()
        self.assertIn("certificate has expired", got()["mta-sts"][1])
        self.assertEqual({v[0] for v in got("empty.lab").values()}, {"optional"})
        page.update(certificate="good", status=200, text="version: STSv1\nmode: testing\nmx: *.example.lab\nmax_age: 1\n")
        twice = got("twice.lab")
        self.assertEqual({k: v[0] for k, v in twice.items()}, {"_mta-sts": "wrong", "mta-sts": "ok", "_smtp": "wrong"}, twice)

    def test_letter(self):
        self.configure(self.new_keys())
        en = self.lab.tool("dns", "letter", "example.lab")
        fr = self.lab.tool("dns", "letter", "example.lab", "--lang", "fr")
        self.assertIn("please publish", en)
        self.assertIn("merci de publier", fr)
        plan = zone_lines(self.lab.tool("dns", "plan", "example.lab"), "example.lab")
        for line in plan:
            self.assertIn(line, en)
            self.assertIn(line, fr)
        self.assertEqual(self.lab.tool("dns", "letter", "example.lab", "--lang", "xx", check=False).returncode, 2)

    def test_send_test(self):
        keys = self.new_keys()
        mx = self.lab.mx(reply=lambda line, s: {"R": "550 5.1.1 nobody here"}.get(line[:1]) if "gone@" in line else
                         "451 4.3.0 later" if "later@" in line else None)
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.lab.config(domains={"example.lab": {"dkim": keys}}, delivery={"port": mx.port, "tls": {"policy": "none"}})
        r = self.lab.tool("send-test", "b@partner.lab", check=False)
        self.assertEqual(r.returncode, 3, "posternd is not running")
        self.lab.start_postern()
        r = self.lab.tool("send-test", "b@partner.lab", check=False)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertRegex(r.stdout, r"from +postmaster@example\.lab\n")
        self.assertRegex(r.stdout, r"accepted as [0-9A-Za-z]{11}\nis +sent\nrelay +mx\.partner\.lab\[127\.0\.0\.1\]:%d\n"
                         r"TLS +none\nanswer +250 2\.0\.0 queued" % mx.port)
        self.assertEqual(mx.wait(1)[0][2].count(b"DKIM-Signature:"), 2)
        r = self.lab.tool("send-test", "gone@partner.lab", "--from", "boss@example.lab", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertRegex(r.stdout, r"answer +550 5\.1\.1 nobody here")
        r = self.lab.tool("--json", "send-test", "later@partner.lab", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertEqual(json.loads(r.stdout)["recipients"][0]["status"], "deferred")
        self.assertEqual(self.lab.tool("send-test", "not-an-address", check=False).returncode, 2)

    def doctor(self):
        """{topic: [(verdict, detail)]} for what is not of a domain."""
        r = self.lab.tool("--json", "doctor", check=False)
        out = {}
        for l in r.stdout.splitlines():
            l = json.loads(l)
            out.setdefault(l["topic"], []).append((l["verdict"], l["detail"]))
        return out

    def test_doctor_behind_nat(self):
        """The address we send from is private; the one the Internet sees is what SPF, PTR and blocklists are about."""
        public = "11.22.33.99"
        provider = self.lab.mx()
        zones = {"example.lab": ["gw A " + public, '@ TXT "v=spf1 ip4:%s -all"' % public],
                 "33.22.11.in-addr.arpa": ["99 PTR gw.example.lab."],
                 "provider.lab": ["@ MX 10 mx", "mx A 127.0.0.1"],
                 "clean.lab": [], "listed.lab": ["99.33.22.11 A 127.0.0.2", '99.33.22.11 TXT "spam seen on Tuesday"'],
                 "shy.lab": ["99.33.22.11 A 127.255.255.254"], "dead.lab": ["99.33.22.11 A 10.1.2.3"]}
        self.lab.dns(zones)
        conf = {"domains": {"example.lab": {"recipients": "any"}}, "hostname": "gw.example.lab",
                "delivery": {"source": ["127.0.0.1"], "port": provider.port, "tls": {"policy": "none"}}}
        ask = {"probe": ["provider.lab"], "blocklists": ["clean.lab", "listed.lab", "shy.lab", "dead.lab"]}
        self.lab.config(**conf, doctor=ask)
        got = self.doctor()
        self.assertEqual(got["source"][0][0], "note")
        self.assertIn("public_addresses", got["source"][0][1])
        self.assertNotIn("blocklist", got, "a private address is on no list")
        self.assertEqual(self.verdicts()[1]["spf", "example.lab"][0], "wrong")
        self.lab.config(**conf, doctor=ask, public_addresses=[public])
        got = self.doctor()
        self.assertNotIn("source", got)
        self.assertEqual([v[0] for v in got["blocklist"]], ["ok", "wrong", "note", "note"], got["blocklist"])
        self.assertIn("spam seen on Tuesday", got["blocklist"][1][1])
        self.assertEqual(got["outward"][0][0], "ok", got["outward"])
        v = self.verdicts()[1]
        self.assertEqual((v["spf", "example.lab"][0], v["ptr", "99.33.22.11.in-addr.arpa"][0], v["address", "gw.example.lab"][0]),
                         ("ok", "ok", "ok"))
        plan = self.lab.tool("dns", "plan", "example.lab")
        self.assertIn("ip4:%s " % public, plan)
        self.assertNotIn("127.0.0.1", plan)

    def test_doctor_way_out(self):
        for name, mx, verdict, words in (("refused", None, "wrong", "cannot be reached: Connection refused"),
                                         ("unwanted", "554 5.7.1 you are on our list", "wrong", "will not have us: 554 5.7.1"),
                                         ("nobody", "", "note", "no mail server could be looked up")):
            with self.subTest(name):
                self.lab = lab.Lab("out")
                self.addCleanup(self.lab.close)
                port = self.lab.mx(reply=lambda l, s, m=mx: m if l == "CONNECT" else None).port if mx else lab.free_port()
                self.lab.dns({"provider.lab": [] if mx == "" else ["@ MX 10 mx", "mx A 127.0.0.1"]})
                self.lab.config(delivery={"port": port, "tls": {"policy": "none"}}, doctor={"probe": ["provider.lab"], "blocklists": []})
                got = self.doctor()["outward"][0]
                self.assertEqual(got[0], verdict, got)
                self.assertIn(words, got[1])

    def test_doctor_certificate_and_signatures(self):
        ca = Authority(self.lab, "ca")
        ca.issue("gw.example.lab", "gw", days="90")
        ca.issue("gw.example.lab", "soon", days="5")
        ca.issue("other.lab", "other", days="90")
        self.lab.dns({})
        for cert, key, verdict, words in (("gw", "gw", "ok", "good for (89|90) more days"), ("soon", "soon", "note", "renew it"),
                                          ("other", "other", "note", "is not for gw.example.lab"), ("gw", "other", "wrong", "is not the key of"),
                                          ("none", "gw", "wrong", "no certificate can be read")):
            self.lab.config(hostname="gw.example.lab", tls={"certificate": cert + ".pem", "key": key + ".key"},
                            doctor={"probe": [], "blocklists": []})
            got = self.doctor()["tls"][0]
            self.assertEqual(got[0], verdict, (cert, key, got))
            self.assertRegex(got[1], words)
        folder = self.lab.signatures()
        for days, verdict in ((0, "ok"), (5, "note"), (30, "wrong")):
            t = time.time() - days * 86400 - 60
            for name in os.listdir(folder):
                os.utime(os.path.join(folder, name), (t, t))
            self.lab.config(antivirus={"engine": "libclamav", "databases": folder}, doctor={"probe": [], "blocklists": []})
            got = self.doctor()["antivirus"][0]
            self.assertEqual(got, (verdict, got[1]), got)
            self.assertIn("%d days old" % days, got[1])

    def test_sender_without_a_key(self):
        mx = self.lab.mx()
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        keys = self.new_keys()
        for missing, code in (("warn", 250), ("refuse", 550)):
            self.configure(keys, dkim_missing=missing)
            self.lab.config(domains={"example.lab": {"dkim": keys}}, dkim_missing=missing,
                            delivery={"port": mx.port, "tls": {"policy": "none"}})
            self.lab.start_postern()
            got = self.lab.send("b@partner.lab", sender="a@unsigned.lab")
            self.assertEqual(got[0], code, got)
            self.assertEqual(self.lab.send("b@partner.lab", sender="a@example.lab")[0], 250)
            self.assertIn("no DKIM key for the domain", self.lab.log())
            self.lab.queue_empty()
            self.lab.stop_postern()
        signed = [m[2].count(b"DKIM-Signature:") for m in mx.messages]
        self.assertEqual(sorted(signed), [0, 2, 2])


if __name__ == "__main__":
    unittest.main()
