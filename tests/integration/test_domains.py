"""Our domains: the plan, the letter and the keys in console and tool, and what several resolvers say of them."""
import json
import time
import unittest

import console
import lab
from dns_server import NameServer

SOURCE = "11.22.33.44"


class Domains(unittest.TestCase):
    """Two DNS servers: ours knows the plan, the other still has the zone of before."""
    @classmethod
    def setUpClass(cls):
        cls.lab = l = lab.Lab("domains")
        cls.addClassCleanup(l.close)
        cls.mx = l.mx()
        console.certificate(l)
        cls.port = lab.free_port()
        cls.configure()
        l.tool("dkim", "rotate", "example.lab")
        cls.plan = [json.loads(x) for x in l.tool("--json", "dns", "plan", "example.lab").splitlines()]
        zone = ["%s. %s %s" % (x["name"], x["type"], json.dumps(x["value"]) if x["type"] == "TXT" and len(x["value"]) < 250 else
                               " ".join('"%s"' % x["value"][i:i + 200] for i in range(0, len(x["value"]), 200)) if x["type"] == "TXT" else x["value"])
                for x in cls.plan if x["name"].endswith("example.lab") and x["value"] and x["topic"] not in ("tlsa", "mta-sts")]
        cls.now = NameServer({"example.lab": zone, "33.22.11.in-addr.arpa": ["44 PTR gw.example.lab."]})
        cls.before = NameServer({"example.lab": ["@ MX 10 old", "old A 127.0.0.1", '@ TXT "v=spf1 mx -all"']})
        cls.silent = NameServer({}, lambda name, kind: "silent")
        for s in (cls.now, cls.before, cls.silent):
            cls.addClassCleanup(s.close)
        cls.configure(dns={"servers": ["127.0.0.1:%d" % cls.now.port], "dnssec": "false",
                           "resolvers": ["127.0.0.1:%d" % cls.before.port, "127.0.0.1:%d" % cls.now.port]})
        l.start_postern()
        for name, domain in (("dana", "example.lab"), ("dora", "other.lab")):
            console.add_user(l, name, "--role", "domain_admin", "--domain", domain)
        console.add_user(l, "olga", "--role", "operator")
        console.add_user(l, "ulf", "--role", "user", "--address", "u@example.lab")

    @classmethod
    def configure(cls, **over):
        l = cls.lab
        l.config(hostname="gw.example.lab", tls={"certificate": "gw.pem", "key": "gw.key"},
                 listeners=[{"name": "smart-host", "address": "127.0.0.1:%d" % l.ports.setdefault("smtp", lab.free_port()), "direction": "auto",
                             "allow": ["network:internal"]}],
                 delivery={"source": [SOURCE], "tls": {"policy": "none"}}, console={"address": "127.0.0.1:%d" % cls.port},
                 domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % cls.mx.port], "dkim": "managed", "recipients": "any"}}, **over)

    def as_(self, name):
        b = console.Browser(self.port, self.lab.path("gw.pem"))
        self.assertEqual(b.sign_in(name)[0], 200)
        return b

    def test_plan_and_what_is_seen(self):
        b = self.as_("dana")
        status, o = b.ask("GET", "/domains/example.lab/dns")
        self.assertEqual(status, 200, o)
        rows = {(r["topic"], r["name"]): r for r in o["items"]}
        want = {(r["topic"], r["name"]): r["value"] for r in self.plan}
        self.assertEqual({k: r["value"] for k, r in rows.items()}, want, "the plan is the tool's")
        for topic in ("spf", "mx", "address", "ptr", "dmarc"):
            r = next(r for k, r in rows.items() if k[0] == topic)
            self.assertEqual((r["verdict"], len(r["seen"])), ("ok", 1), r)
        keys = [r for k, r in rows.items() if k[0] == "dkim"]
        self.assertEqual([(r["verdict"], r["state"], r["seen"]) for r in keys], [("ok", "publish", [r["value"]]) for r in keys])
        self.assertEqual(len(keys), 2)
        # The one who still has yesterday's zone says so, the other agrees.
        old, new = rows["mx", "example.lab"]["resolvers"]
        self.assertEqual((old["resolver"], old["verdict"], old["seen"]), ("127.0.0.1:%d" % self.before.port, "wrong", ["10 old.example.lab."]))
        self.assertEqual((new["resolver"], new["verdict"], new["seen"]), ("127.0.0.1:%d" % self.now.port, "ok", ["10 gw.example.lab."]))
        self.assertEqual([r["verdict"] for r in keys[0]["resolvers"]], ["missing", "ok"])
        self.assertEqual(rows["spf", "example.lab"]["resolvers"][0]["verdict"], "wrong")
        # Asked anew each time: nothing is remembered from the look before.
        asked = len(self.now.names())
        self.assertEqual(b.ask("GET", "/domains/example.lab/dns")[0], 200)
        self.assertGreater(len(self.now.names()), asked + 5)

    def test_the_tool_asks_the_same(self):
        r = self.lab.tool("--json", "dns", "check", "example.lab", check=False)
        rows = [json.loads(x) for x in r.stdout.splitlines()]
        shown = [{k: v for k, v in x.items()} for x in self.as_("olga").ask("GET", "/domains/example.lab/dns")[1]["items"]]
        self.assertEqual(r.returncode, 1, "one of the resolvers has another zone")
        self.assertEqual([(x["topic"], x["name"], x["verdict"], x["seen"], [(y["verdict"], y["seen"]) for y in x["resolvers"]]) for x in rows if x["topic"] != "mta-sts"],
                         [(x["topic"], x["name"], x["verdict"], x["seen"], [(y["verdict"], y["seen"]) for y in x["resolvers"]]) for x in shown if x["topic"] != "mta-sts"])
        # One resolver named by hand takes the place of those of postern.yaml.
        r = self.lab.tool("dns", "check", "example.lab", "--resolver", "127.0.0.1:%d" % self.before.port, check=False)
        self.assertRegex(r.stdout, r"ok +mx +MX +example\.lab\n +127\.0\.0\.1:%d +wrong +10 old\.example\.lab\.\n" % self.before.port)
        self.assertNotIn(":%d" % self.now.port, r.stdout)
        for bad in ("dns.example", "1.2.3.4:port", ""):
            self.assertEqual(self.lab.tool("dns", "check", "example.lab", "--resolver", bad, check=False).returncode, 2, bad)

    def test_a_resolver_that_is_silent(self):
        """It is waited for once, not for each line; what the others say stands beside it."""
        r = self.lab.tool("--json", "dns", "check", "example.lab", "--resolver", "127.0.0.1:%d" % self.silent.port,
                          "--resolver", "127.0.0.1:%d" % self.now.port, check=False)
        rows = [[y["verdict"] for y in json.loads(x)["resolvers"]] for x in r.stdout.splitlines()]
        self.assertEqual({x[0] for x in rows}, {"unknown"})
        self.assertIn("ok", {x[1] for x in rows})
        self.assertEqual(len(set(self.silent.names())), 1)

    def test_letter(self):
        b = self.as_("olga")
        for language, words in (("fr", "merci de publier"), ("en", "please publish")):
            status, o = b.ask("GET", "/domains/example.lab/letter?language=" + language)
            self.assertEqual((status, o["language"]), (200, language))
            self.assertEqual(o["text"], self.lab.tool("dns", "letter", "example.lab", "--lang", language))
            self.assertIn(words, o["text"])
        self.assertEqual(b.ask("GET", "/domains/example.lab/letter?language=xx")[0], 400)

    def test_keys(self):
        def items():
            return self.as_("dana").ask("GET", "/domains/example.lab/keys")[1]["items"]
        first = items()
        self.assertEqual([(k["algorithm"], k["state"], k["managed"], k["leaves"], k["trouble"]) for k in first],
                         [("rsa", "publish", True, None, None), ("ed25519", "publish", True, None, None)])
        self.assertEqual({k["record"] for k in first}, {r["value"] for r in self.plan if r["topic"] == "dkim"})
        self.assertLess(abs(first[0]["since"] / 1e6 - time.time()), 3600)

    def test_another_domains_administrator(self):
        b = self.as_("dora")
        for path in ("dns", "letter", "keys"):
            unseen, unknown = (b.ask("GET", "/domains/%s/%s" % (d, path)) for d in ("example.lab", "unknown.lab"))
            self.assertEqual((unseen[0], unseen), (404, unknown))
            self.assertEqual(self.as_("ulf").ask("GET", "/domains/example.lab/" + path)[0], 403)
        lines = [json.loads(x) for x in self.lab.tool("--json", "audit", "list").splitlines()]
        self.assertTrue(any(x.get("by", x.get("who")) == "dora" and "example.lab" in json.dumps(x) for x in lines), lines[-5:])


if __name__ == "__main__":
    unittest.main()
