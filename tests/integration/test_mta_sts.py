"""MTA-STS (RFC 8461) through the real processes: a matrix, and what an attacker would try.

Knot serves the zones (one of them signed, for DANE), an HTTPS server the policies, and receivers of
every kind of certificate stand on addresses of their own. What is expected is computed from the
RFCs, not from what the relay did.
"""
import itertools
import os
import shutil
import signal
import unittest

import dns.message
import dns.query
import dns.rdatatype

import https_server
import lab
from test_dane import tlsa

CERTIFICATES = ["good", "wrong-name", "expired", "self-signed", "cn-only", "no-tls"]
POLICIES = {
    "enforce": "enforce, the MX is listed", "testing": "testing, listed", "none": "mode none",
    "unlisted": "enforce, the MX is not listed", "t-unlisted": "testing, not listed",
    "no-record": "no TXT record (and a policy that would forbid)", "two-records": "two TXT records",
    "404": "HTTP status 404", "redirect": "301 to the policy", "html": "text/html",
    "oversize": "64 KiB and a byte", "syntax": "no policy", "slow": "no answer", "refused": "nobody listens",
    "web-name": "the web server's certificate: wrong name", "web-expired": "… expired", "web-self": "… self-signed",
    "web-cn": "… with the name in its subject only",
}
DANE = {"none": "no TLSA", "match": "TLSA of the server's key", "mismatch": "TLSA of another key"}
WEB = {"web-name": "wrong-name", "web-expired": "expired", "web-self": "self-signed", "web-cn": "cn-only"}


def expected(policy, cert, dane):
    """(outcome, level): level is the last word of the proof, "" for a connection without TLS."""
    if dane == "mismatch":
        return "deferred", None                     # RFC 8461, 2: MTA-STS does not override DANE
    if dane == "match":
        return ("deferred", None) if cert == "no-tls" else ("sent", "dane")
    if policy == "unlisted" or (policy == "enforce" and cert != "good"):
        return "deferred", None                     # RFC 8461, 5
    # testing, none, and what cannot be had: as though there were no policy (RFC 8461, 3.3 and 5)
    return "sent", {"no-tls": "", "good": "verified"}.get(cert, "unverified")


class Sts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("sts")
        cls.addClassCleanup(cls.lab.close)
        cls.certs = https_server.Certificates(cls.lab)
        cls.port, cls.mx = None, {}
        kinds = {k: cls.certs.issue(k, ["*.secure.lab", "*.plain.lab"], "mx-" + k) for k in CERTIFICATES if k != "no-tls"}
        for i, kind in enumerate(CERTIFICATES):
            cls.mx[kind] = cls.lab.mx(host="127.0.11.%d" % (i + 1), port=cls.port or 0,
                                      tls=kinds[kind][:2] if kind in kinds else None)
            cls.port = cls.mx[kind].port
        cls.policies = {}                           # host -> what it answers, before the matrix's own
        cls.web = https_server.HttpsServer(cls.lab, cls.web_kind, cls.web_answer, host="127.0.11.200", certificates=cls.certs)
        zone = []
        for policy, cert, dane in itertools.product(POLICIES, CERTIFICATES, DANE):
            n = "%s-%s-%s" % (policy, cert, dane)
            zone += ["%s MX 10 mx-%s" % (n, n), "mx-%s A 127.0.11.%d" % (n, CERTIFICATES.index(cert) + 1),
                     "mta-sts.%s A %s" % (n, "127.0.11.201" if policy == "refused" else "127.0.11.200")]
            if policy != "no-record":
                zone.append('_mta-sts.%s TXT "v=STSv1; id=1;"' % n)
            if policy == "two-records":
                zone.append('_mta-sts.%s TXT "v=STSv1; id=2;"' % n)
            if dane != "none":
                own = kinds[cert if cert in kinds else "good"][2]
                other = kinds["good" if cert != "good" else "expired"][2]
                zone.append("_%d._tcp.mx-%s %s" % (cls.port, n, tlsa(3, 1, own if dane == "match" else other)))
        cls.plain = ["mx-good A 127.0.11.1", "mx-self A 127.0.11.4"]
        for n in ("kept", "gone", "lapse", "fresh", "killed", "next", "turn"):
            cls.plain += ["mta-sts.%s A 127.0.11.200" % n]
        cls.lab.dns({"secure.lab": zone, "plain.lab": cls.plain}, signed=["secure.lab"])

    @classmethod
    def web_kind(cls, host):
        return WEB.get(next((w for w in WEB if host.startswith("mta-sts.%s-" % w)), None), "good")

    @classmethod
    def web_answer(cls, r):
        if r.host in cls.policies:
            return cls.policies[r.host]
        name = r.host[len("mta-sts."):]
        policy = next(p for p in sorted(POLICIES, key=len, reverse=True) if name.startswith(p + "-"))
        mode = {"testing": "testing", "t-unlisted": "testing", "none": "none"}.get(policy, "enforce")
        listed = "mx-other.secure.lab" if policy in ("unlisted", "t-unlisted", "no-record", "two-records") else "*.secure.lab"
        text = "version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: 86400\r\n" % (mode, listed)
        kind, status, headers = "text/plain; charset=utf-8", 200, {}
        if policy == "404":
            status = 404
        elif policy == "redirect" and "again" not in r.path:
            status, headers = 301, {"Location": "https://%s/again/.well-known/mta-sts.txt" % r.headers["Host"]}
        elif policy == "html":
            kind = "text/html"
        elif policy == "oversize":
            text += "x: " + "x" * (65537 - len(text) - 3)
        elif policy == "syntax":
            text = text.replace("mode", "mod")
        elif policy == "slow":
            return "slow"
        return status, {"Content-Type": kind, **headers}, text.encode()

    def configure(self, timeout="3s", **tls):
        self.lab.config(delivery={"port": self.port, "retry": ["1s"], "tls": {
            "policy": "dane+mta-sts", "roots": self.web.ca, "mta_sts": {"port": str(self.web.port), "timeout": timeout}, **tls}},
            dns={"servers": ["127.0.0.1:%d" % self.lab.ports["dns"]], "dnssec": "true", "trust_anchor": "knot/anchors"})

    def start(self, **kw):
        # What another test left in the queue would be tried on and on.
        shutil.rmtree(self.lab.path("spool"), ignore_errors=True)
        self.configure(**kw)
        self.lab.start_postern()
        self.addCleanup(lambda: self.lab.daemon and self.lab.stop_postern())

    def restart(self):
        self.lab.stop_postern()
        self.lab.start_postern()

    def outcomes(self, mid, n, status=("sent", "deferred", "failed")):
        seen = {}

        def look():
            t = self.lab.control({"cmd": "trace", "q": mid, "limit": 1})[0]
            seen.update((r["address"], r["status"]) for r in t.get("recipients", []))
            got = {r["address"]: (r["status"], r.get("tls") or "", r.get("reply") or "", r.get("dsn") or "")
                   for r in t.get("recipients", []) if r["status"] in status}
            return got if len(got) == n else None
        try:
            return lab.wait_for(look, 120)
        except lab.LabError:
            self.fail("no outcome yet: %s\n%s" % ({a: s for a, s in seen.items() if s not in status},
                                                 lab.tail(self.lab.daemon.log, 30)))

    def send(self, to, subject="test"):
        code, text = self.lab.send(to, subject=subject)
        self.assertEqual(code, 250, text)
        return text.split()[-1]

    def one(self, domain, status=("sent", "deferred", "failed")):
        return self.outcomes(self.send("u@" + domain), 1, status)["u@" + domain]

    # -- the zone that changes -------------------------------------------------------
    def publish(self, *records):
        """plain.lab anew: what always stands in it and these; waits until Knot serves it."""
        cls = type(self)
        cls.serial = getattr(cls, "serial", 1) + 1
        self.lab.write("knot/plain.lab.zone", "$ORIGIN plain.lab.\n$TTL 1\n@ SOA ns hostmaster %d 60 60 60 1\n@ NS ns\nns A 127.0.0.1\n%s\n"
                       % (cls.serial, "\n".join([*cls.plain, *records])))
        os.kill(self.lab.procs[0].pid, signal.SIGHUP)

        def served():
            q = dns.message.make_query("plain.lab.", "SOA")
            a = dns.query.udp(q, "127.0.0.1", 5, self.lab.ports["dns"]).answer
            return a and a[0][0].serial == cls.serial
        lab.wait_for(served, because="zone %d" % cls.serial)

    def policy(self, name, text, status=200):
        type(self).policies["mta-sts.%s.plain.lab" % name] = (status, {"Content-Type": "text/plain"}, text.encode())

    @staticmethod
    def enforcing(mx="mx-good.plain.lab", age=86400, mode="enforce"):
        return "version: STSv1\nmode: %s\nmx: %s\nmax_age: %d\n" % (mode, mx, age)

    def route(self, domain):
        return self.lab.control({"cmd": "route", "address": "u@" + domain})[0]["tls"]["mta_sts"]

    # -- the matrix ------------------------------------------------------------------
    def test_matrix(self):
        self.start()
        cells = list(itertools.product(POLICIES, CERTIFICATES, DANE))
        to = ["u@%s-%s-%s.secure.lab" % c for c in cells]
        got = {}
        for part in (to[:len(to) // 2], to[len(to) // 2:]):
            got.update(self.outcomes(self.send(part), len(part)))
        words = {"sent": "delivered", "deferred": "deferred", "failed": "bounced"}
        print("\n%-12s" % "policy" + "".join(" %-14s" % c for c in CERTIFICATES) + "   (TLSA: none, match, mismatch)")
        wrong = []
        for p in POLICIES:
            line = "%-12s" % p
            for c in CERTIFICATES:
                shown = []
                for d in DANE:
                    status, proof, reply, dsn = got["u@%s-%s-%s.secure.lab" % (p, c, d)]
                    level = (proof.split(" ")[2] if proof else "") if status == "sent" else None
                    if (status, level) != expected(p, c, d):
                        wrong.append("%s %s %s: %s %r (%s), want %s" % (p, c, d, status, proof, reply, expected(p, c, d)))
                    if status == "deferred" and not dsn.startswith("4.7."):
                        wrong.append("%s %s %s: put off with %s %s" % (p, c, d, dsn, reply))
                    shown.append(words[status][:3] + {"dane": "/D", "verified": "/V", "unverified": "/E"}.get(level, ""))
                line += " %-14s" % " ".join(shown)
            print(line)
        print("del delivered (/D proved by DANE, /V by an authority, /E encrypted only, nothing: in clear), def deferred")
        for p, text in POLICIES.items():
            print("  %-12s %s" % (p, text))
        self.assertFalse(wrong, "\n" + "\n".join(wrong))
        # Who has no record is not asked, nor who has two; no redirect is followed; nobody is asked twice.
        asked = [r.host for r in self.web.requests]
        self.assertFalse([h for h in asked if "no-record" in h or "two-records" in h])
        self.assertFalse([r.path for r in self.web.requests if r.path != "/.well-known/mta-sts.txt"])
        twice = {h: asked.count(h) for h in asked if asked.count(h) > 1 and h.endswith(".secure.lab")}
        self.assertFalse(twice, "a policy that cannot be had is not asked for again at once")
        # A policy is nothing to a domain whose servers all have TLSA records.
        self.assertFalse([h for h in asked if "match" in h])
        log = self.lab.log()
        self.assertRegex(log, r"MTA-STS: the policy of redirect-good-none\.secure\.lab cannot be had \(sts-policy-fetch-error: HTTP status 301\)")
        self.assertRegex(log, r"web-expired-good-none\.secure\.lab cannot be had \(sts-webpki-invalid: ")
        self.assertRegex(log, r"web-cn-good-none\.secure\.lab cannot be had \(sts-webpki-invalid: ")
        self.assertRegex(log, r"syntax-good-none\.secure\.lab cannot be had \(sts-policy-invalid: it has no mode\)")
        self.assertRegex(log, r"oversize-good-none\.secure\.lab cannot be had \(sts-policy-fetch-error: the answer is too large\)")

    # -- what lasts ------------------------------------------------------------------
    def test_cached_policy_outlives_its_record(self):
        """Somebody forges the DNS: no record, and an MX of his own. What is known holds, across a restart."""
        self.policy("kept", self.enforcing())
        self.publish("kept MX 10 mx-good", '_mta-sts.kept TXT "v=STSv1; id=1"')
        self.start()
        status, proof, reply, dsn = self.one("kept.plain.lab")
        self.assertEqual(status, "sent", reply)
        self.assertIn(" verified ", proof)
        text = self.lab.tool("route", "u@kept.plain.lab")
        self.assertRegex(text, r"MTA-STS: enforce, from the cache, \S+ old of 24h 0m, id 1; mx mx-good\.plain\.lab\n")
        self.publish("kept MX 10 mx-self")
        self.restart()
        self.assertIn("MTA-STS: 1 policies are known", self.lab.log().split("stopped")[-1].replace("policy is", "policies are"))
        status, proof, reply, dsn = self.one("kept.plain.lab")
        self.assertEqual((status, dsn), ("deferred", "4.7.5"), reply)
        self.assertIn("does not list its mail server mx-self.plain.lab", reply)
        self.assertEqual(len(self.web.asked("mta-sts.kept.plain.lab")), 1)
        self.assertEqual(self.mx["self-signed"].messages and [m for m in self.mx["self-signed"].messages if "u@kept.plain.lab" in m[1]], [])

    def test_id_changes(self):
        """A new id brings the new policy; one that cannot be had leaves the old one; `none` withdraws it."""
        self.policy("gone", self.enforcing())
        self.publish("gone MX 10 mx-good", '_mta-sts.gone TXT "v=STSv1; id=1"')
        self.start()
        self.assertEqual(self.one("gone.plain.lab")[0], "sent")
        self.policy("gone", "", status=404)
        self.publish("gone MX 10 mx-self", '_mta-sts.gone TXT "v=STSv1; id=2"')
        self.restart()
        status, proof, reply, dsn = self.one("gone.plain.lab")
        self.assertEqual((status, dsn), ("deferred", "4.7.5"), reply)
        self.assertIn("cannot be refreshed (sts-policy-fetch-error: HTTP status 404)", self.lab.log())
        k = self.route("gone.plain.lab")
        self.assertEqual((k["mode"], k["id"], k["trouble"]), ("enforce", "1", "sts-policy-fetch-error"), k)
        self.assertIn("no newer policy", self.lab.tool("route", "u@gone.plain.lab", check=False).stdout)
        self.policy("gone", self.enforcing(mode="none", mx="mx-self.plain.lab"))
        self.publish("gone MX 10 mx-self", '_mta-sts.gone TXT "v=STSv1; id=3"')
        self.restart()
        status, proof, reply, dsn = self.one("gone.plain.lab", ("sent",))
        self.assertIn(" unverified ", proof)
        self.assertEqual(self.route("gone.plain.lab")["mode"], "none")

    def test_refreshed_before_its_end(self):
        """Nobody sends anything: the policy is fetched again by itself, and a failure leaves what is known."""
        host = "mta-sts.fresh.plain.lab"
        self.policy("fresh", self.enforcing(age=12))
        self.publish("fresh MX 10 mx-good", '_mta-sts.fresh TXT "v=STSv1; id=1"')
        self.start()
        self.assertEqual(self.one("fresh.plain.lab")[0], "sent")
        self.policy("fresh", self.enforcing(age=90000))
        self.publish("fresh MX 10 mx-good", '_mta-sts.fresh TXT "v=STSv1; id=2"')
        lab.wait_for(lambda: len(self.web.asked(host)) >= 2, because="a refresh")
        lab.wait_for(lambda: self.route("fresh.plain.lab")["max_age"] == 90000, because="the refreshed policy")
        k = self.route("fresh.plain.lab")
        self.assertEqual((k["id"], k["source"]), ("2", "cache"), k)

    def test_policy_ends(self):
        """Behind its max_age, with nothing new to be had, a policy is over (RFC 8461, 5.1)."""
        self.policy("lapse", self.enforcing(age=3))
        self.publish("lapse MX 10 mx-good", '_mta-sts.lapse TXT "v=STSv1; id=1"')
        self.start()
        self.assertEqual(self.one("lapse.plain.lab")[0], "sent")
        self.policy("lapse", "", status=404)
        self.publish("lapse MX 10 mx-self")
        lab.wait_for(lambda: not self.route("lapse.plain.lab")["found"], because="the end of the policy")
        self.restart()
        status, proof, reply, dsn = self.one("lapse.plain.lab", ("sent",))
        self.assertIn(" unverified ", proof)

    def test_next_server(self):
        """A server that fails the policy is passed over for the next; only when all fail the mail waits."""
        self.policy("next", self.enforcing(mx="*.plain.lab"))
        self.publish("next MX 10 mx-self", "next MX 20 mx-good", '_mta-sts.next TXT "v=STSv1; id=1"')
        self.start()
        status, proof, reply, dsn = self.one("next.plain.lab")
        self.assertEqual(status, "sent", reply)
        self.assertIn(" verified ", proof)
        self.assertEqual([m for m in self.mx["self-signed"].messages if "u@next.plain.lab" in m[1]], [])

    def test_reload(self):
        """MTA-STS off, and on again, without a restart: the fetcher goes and comes, what it knew is there."""
        self.policy("turn", self.enforcing())
        self.publish("turn MX 10 mx-self", '_mta-sts.turn TXT "v=STSv1; id=1"')
        self.start()
        status, proof, reply, dsn = self.one("turn.plain.lab")
        self.assertEqual((status, dsn), ("deferred", "4.7.5"), reply)
        for policy, fetchers, want in (("none", 0, "sent"), ("mta-sts", 1, "deferred")):
            self.configure(policy=policy)
            self.assertEqual(self.lab.tool("reload", check=False).returncode, 0)
            # Until those of before have gone, mail may still be theirs.
            lab.wait_for(lambda: [p["role"] for p in self.lab.status()["processes"]].count("delivery") == 1, because="one delivery")
            lab.wait_for(lambda: len(self.lab.pids("fetcher")) == fetchers, because="%d fetchers" % fetchers)
            status, proof, reply, dsn = self.one("turn.plain.lab", (want,))
            self.assertEqual(status, want, reply)
        self.assertEqual(len(self.web.asked("mta-sts.turn.plain.lab")), 1)
        self.assertRegex(self.lab.tool("status", check=False).stdout, "fetcher")

    def test_fetcher_dies(self):
        """It is killed while a policy is being fetched: the mail waits for the next fetcher and its answer."""
        name = "mta-sts.killed.plain.lab"
        type(self).policies[name] = "slow"
        self.publish("killed MX 10 mx-self", '_mta-sts.killed TXT "v=STSv1; id=1"')
        self.start(timeout="60s")
        mid = self.send("u@killed.plain.lab")
        lab.wait_for(lambda: self.web.asked(name), because="the fetch")
        self.policy("killed", self.enforcing())
        os.kill(self.lab.pids("fetcher")[0], signal.SIGKILL)
        status, proof, reply, dsn = self.outcomes(mid, 1)["u@killed.plain.lab"]
        self.assertEqual((status, dsn), ("deferred", "4.7.5"), reply)
        self.assertIn("does not list", reply)
        self.assertEqual(len(self.web.asked(name)), 2)


if __name__ == "__main__":
    unittest.main()
