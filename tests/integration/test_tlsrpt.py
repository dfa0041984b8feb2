"""TLS reports (RFC 8460) through the real processes: what is counted, and that it arrives.

Sessions of every outcome with servers of every kind; then the reports, by mail (signed; checked
by dkimpy) and by HTTPS, are read as their receivers would.
"""
import base64
import datetime
import email
import email.policy
import gzip
import json
import re
import unittest

import dkim

import https_server
import lab
from test_dane import tlsa

DAY = 86400


class Reports(unittest.TestCase):
    def setUp(self):
        l = self.lab = lab.Lab("tlsrpt")
        self.addCleanup(l.close)
        certs = https_server.Certificates(l)
        kinds = {k: certs.issue(k, ["*.secure.lab", "*.plain.lab"], "mx-" + k)
                 for k in ("good", "wrong-name", "expired", "self-signed")}
        self.mx, port = {}, 0
        for i, k in enumerate([*kinds, "no-tls"]):
            self.mx[k] = l.mx(host="127.0.12.%d" % (i + 1), port=port, tls=kinds[k][:2] if k in kinds else None)
            port = self.mx[k].port
        self.port = port
        self.web_status = 201
        self.web = https_server.HttpsServer(l, lambda host: "wrong-name" if "badcert" in host else "good", self.answer,
                                            host="127.0.12.200", certificates=certs)
        key = l.dkim_key("example.lab", "s1")
        secure = ["report MX 10 mx-report", "mx-report A 127.0.12.1"]
        for i, k in enumerate([*kinds, "no-tls"]):
            secure += ["%s MX 10 mx-%s" % (k, k), "mx-%s A 127.0.12.%d" % (k, i + 1), "mta-sts.%s A 127.0.12.200" % k,
                       '_mta-sts.%s TXT "v=STSv1; id=7"' % k, '_smtp._tls.%s TXT "v=TLSRPTv1; rua=mailto:tls@report.secure.lab"' % k]
        secure += ["dane MX 10 mx-dane", "mx-dane A 127.0.12.4", "_%d._tcp.mx-dane %s" % (port, tlsa(3, 1, kinds["self-signed"][2])),
                   "lost MX 10 mx-lost", "mx-lost A 127.0.12.1", "_%d._tcp.mx-lost %s" % (port, tlsa(3, 1, kinds["expired"][2])),
                   '_smtp._tls.dane TXT "v=TLSRPTv1; rua=https://web.secure.lab:%d/report"' % self.web.port,
                   '_smtp._tls.lost TXT "v=TLSRPTv1; rua=https://badcert.secure.lab:%d/report,mailto:tls@lost.secure.lab"' % self.web.port,
                   "unlisted MX 10 mx-good", "mta-sts.unlisted A 127.0.12.200", '_mta-sts.unlisted TXT "v=STSv1; id=7"',
                   "broken MX 10 mx-good", "mta-sts.broken A 127.0.12.200", '_mta-sts.broken TXT "v=STSv1; id=7"',
                   '_smtp._tls.broken TXT "v=TLSRPTv1; rua=mailto:tls@report.secure.lab"',
                   "quiet MX 10 mx-good", "web A 127.0.12.200", "badcert A 127.0.12.200"]
        l.dns({"secure.lab": secure, "example.lab": [key]}, signed=["secure.lab", "example.lab"])
        self.configure()

    def answer(self, r):
        if r.method == "POST":
            return self.web_status, {}, b""
        name = r.host.split(".")[1]
        if name == "broken":
            return 500, {}, b""
        return 200, {"Content-Type": "text/plain"}, ("version: STSv1\nmode: %s\nmx: %s\nmax_age: 86400\n" % (
            "testing" if name == "expired" else "enforce", "mx-other.lab" if name == "unlisted" else "mx-*.lab" if name == "broken"
            else "*.secure.lab")).encode()

    def configure(self, **reports):
        self.lab.config(
            domains={"example.lab": {"dkim": [{"selector": "s1", "key": "keys/s1.example.lab.pem", "algorithm": "rsa-sha256"}]}},
            tls_reports={"from": "tls-reports@example.lab", "organization": "Example & Sons", "contact": "postmaster@example.lab", **reports},
            delivery={"port": self.port, "retry": ["1h"], "tls": {
                "policy": "dane+mta-sts", "roots": self.web.ca, "mta_sts": {"port": str(self.web.port), "timeout": "10s"}}},
            dns={"servers": ["127.0.0.1:%d" % self.lab.ports["dns"]], "dnssec": "true", "trust_anchor": "knot/anchors"})

    def deliver(self, *names):
        to = ["u@%s.secure.lab" % n for n in names]
        code, text = self.lab.send(to)
        self.assertEqual(code, 250, text)

        def look():
            t = self.lab.control({"cmd": "trace", "q": text.split()[-1], "limit": 1})[0]
            got = {r["address"].split("@")[1].split(".")[0]: r["status"] for r in t.get("recipients", [])
                   if r["status"] in ("sent", "deferred", "failed")}
            return got if len(got) == len(to) else None
        return lab.wait_for(look, because="all outcomes")

    def seen(self, n):
        """{domain: [line]} once n sessions are counted."""
        def look():
            lines = [l for l in self.lab.control({"cmd": "tlsrpt.show"}) if "policy" in l]
            return lines if sum(l["successful"] + l["failed"] for l in lines) >= n else None
        by = {}
        for l in lab.wait_for(look, because="%d sessions in the store" % n):
            by.setdefault(l["domain"].split(".")[0], []).append(l)
        return by

    @staticmethod
    def outcome(lines):
        return sorted((l["policy"], l["successful"], l["failed"], tuple(f["result"] for f in l["failures"])) for l in lines)

    ALL = ("good", "wrong-name", "expired", "self-signed", "no-tls", "dane", "lost", "unlisted", "broken", "quiet")

    def run_sessions(self):
        self.lab.start_postern()
        self.addCleanup(lambda: self.lab.daemon and self.lab.stop_postern())
        got = self.deliver(*self.ALL)
        self.assertEqual(got, {"good": "sent", "wrong-name": "deferred", "expired": "sent", "self-signed": "deferred", "no-tls": "deferred",
                               "dane": "sent", "lost": "deferred", "unlisted": "deferred", "broken": "sent", "quiet": "sent"})
        return self.seen(11)

    def test_what_is_counted(self):
        by = self.run_sessions()
        want = {
            "good": [("sts", 1, 0, ())],
            "wrong-name": [("sts", 0, 1, ("certificate-host-mismatch",))],
            "expired": [("sts", 0, 1, ("certificate-expired",))],      # testing: delivered, and told
            "self-signed": [("sts", 0, 1, ("certificate-not-trusted",))],
            "no-tls": [("sts", 0, 1, ("starttls-not-supported",))],
            "dane": [("tlsa", 1, 0, ())],
            "lost": [("tlsa", 0, 1, ("validation-failure",))],
            "unlisted": [("sts", 0, 1, ("validation-failure",))],
            # no policy to be had: told once, and the session counts as one without a policy
            "broken": [("no-policy-found", 1, 0, ()), ("sts", 0, 1, ("sts-policy-fetch-error",))],
            "quiet": [("no-policy-found", 1, 0, ())],
        }
        self.assertEqual({d: self.outcome(l) for d, l in by.items()}, want)
        # It is all still there after a crash, and goes on from there.
        self.lab.kill_postern()
        self.lab.start_postern()
        self.assertEqual({d: self.outcome(l) for d, l in self.seen(11).items()}, want)
        self.deliver("good", "quiet")
        self.assertEqual(self.outcome(self.seen(13)["good"]), [("sts", 2, 0, ())])
        text = self.lab.tool("tlsrpt", "show", "today")
        self.assertRegex(text, r"wrong-name\.secure\.lab +sts +0 +1\n")
        self.assertRegex(text, r"  wrong-name\.secure\.lab: 1 certificate-host-mismatch, mx-wrong-name\.secure\.lab\[127\.0\.12\.2\]: "
                         r"it is not for mx-wrong-name\.secure\.lab\n")
        self.assertIn("no TLS with other servers on that day", self.lab.tool("tlsrpt", "yesterday"))
        self.assertEqual(self.lab.tool("tlsrpt", "2026-02-30", check=False).returncode, 2)
        self.assertEqual(self.lab.tool("tlsrpt", "nonsense", check=False).returncode, 2)
        lines = [json.loads(l) for l in self.lab.tool("--json", "tlsrpt", "show", "good.secure.lab").splitlines()]
        self.assertEqual([l["domain"] for l in lines], ["good.secure.lab"])

    def check_json(self, data, domain):
        today = datetime.datetime.now(datetime.timezone.utc).date()
        r = json.loads(gzip.decompress(data))
        self.assertEqual(r["organization-name"], "Example & Sons")
        self.assertEqual(r["contact-info"], "postmaster@example.lab")
        begin, end = (datetime.datetime.fromisoformat(r["date-range"][k].replace("Z", "+00:00")) for k in ("start-datetime", "end-datetime"))
        self.assertEqual((begin.date(), begin.hour, begin.minute, begin.second), (today, 0, 0, 0))
        self.assertLessEqual(end, datetime.datetime.now(datetime.timezone.utc))
        self.assertTrue(r["report-id"].endswith(".%s@gw.example.lab" % domain), r["report-id"])
        for p in r["policies"]:
            self.assertEqual(p["policy"]["policy-domain"], domain)
            self.assertEqual(p["summary"]["total-failure-session-count"],
                             sum(f["failed-session-count"] for f in p.get("failure-details", [])))
        return r, begin, end

    def test_sent(self):
        self.run_sessions()
        # The receiver of the reports fails the policy of its own domain (its TLSA record is of another key):
        # mail to it waits, reports go (RFC 8460, 3).
        r = self.lab.tool("tlsrpt", "send", check=False)
        self.assertEqual(r.returncode, 1, r.stdout + r.stderr)
        rows = {tuple(l.split()[:3]) for l in r.stdout.splitlines()}
        self.assertIn(("wrong-name.secure.lab", "mailto:tls@report.secure.lab", "sent"), rows, r.stdout)
        self.assertIn(("lost.secure.lab", "mailto:tls@lost.secure.lab", "sent"), rows, r.stdout)
        self.assertRegex(r.stdout, r"dane\.secure\.lab +https://\S+ +sent +HTTP status 201")
        self.assertRegex(r.stdout, r"lost\.secure\.lab +https://badcert\S+ +failed +SSL")
        self.assertRegex(r.stdout, r"quiet\.secure\.lab +- +unwanted +nobody asks for it")
        got = self.mx["good"].wait(10)
        mails = {}
        for sender, to, data in got:
            if to[0].startswith("tls@"):
                m = email.message_from_bytes(data, policy=email.policy.default)
                mails[m["TLS-Report-Domain"]] = (sender, to, data, m)
        self.assertEqual(set(mails), {"%s.secure.lab" % n for n in ("good", "wrong-name", "expired", "self-signed", "no-tls", "lost", "broken")})
        sender, to, data, m = mails["wrong-name.secure.lab"]
        self.assertEqual((sender, to), ("tls-reports@example.lab", ["tls@report.secure.lab"]))
        self.assertEqual(m["TLS-Report-Submitter"], "example.lab")
        self.assertEqual(m.get_content_type(), "multipart/report")
        self.assertEqual(m.get_param("report-type"), "tlsrpt")
        self.assertRegex(m["Subject"], r"^Report Domain: wrong-name\.secure\.lab Submitter: example\.lab Report-ID: <\S+@gw\.example\.lab>$")
        note, report = m.iter_parts()
        self.assertEqual(note.get_content_type(), "text/plain")
        self.assertEqual(report.get_content_type(), "application/tlsrpt+gzip")
        r, begin, end = self.check_json(report.get_content(), "wrong-name.secure.lab")
        self.assertEqual(report.get_filename(), "example.lab!wrong-name.secure.lab!%d!%d.json.gz" % (begin.timestamp(), end.timestamp()))
        self.assertEqual(r["policies"], [{
            "policy": {"policy-type": "sts", "policy-string": ["version: STSv1", "mode: enforce", "mx: *.secure.lab", "max_age: 86400"],
                       "policy-domain": "wrong-name.secure.lab", "mx-host": ["*.secure.lab"]},
            "summary": {"total-successful-session-count": 0, "total-failure-session-count": 1},
            "failure-details": [{
                "result-type": "certificate-host-mismatch", "sending-mta-ip": r["policies"][0]["failure-details"][0]["sending-mta-ip"],
                "receiving-mx-hostname": "mx-wrong-name.secure.lab", "receiving-ip": "127.0.12.2", "failed-session-count": 1,
                "failure-reason-code": "it is not for mx-wrong-name.secure.lab"}]}])
        self.assertRegex(r["policies"][0]["failure-details"][0]["sending-mta-ip"], r"^127\.")
        # Each is signed by the domain of its sender, headers of the report included.
        with open(self.lab.path("knot/example.lab.zone")) as f:
            key = next(l for l in f if "_domainkey" in l)
        key = "".join(re.findall('"([^"]*)"', key)).encode()
        for sender, to, data, m in mails.values():
            self.assertTrue(dkim.verify(data, dnsfunc=lambda name, timeout=5: key if name.startswith(b"s1._domainkey.example.lab") else None))
            self.assertNotIn(" l=", m["DKIM-Signature"])
        # By HTTPS
        posts = [p for p in self.web.requests if p.method == "POST"]
        self.assertEqual([(p.host, p.path, p.headers["Content-Type"]) for p in posts],
                         [("web.secure.lab", "/report", "application/tlsrpt+gzip")])
        r, begin, end = self.check_json(posts[0].body, "dane.secure.lab")
        self.assertEqual(r["policies"][0]["policy"]["policy-type"], "tlsa")
        self.assertRegex(r["policies"][0]["policy"]["policy-string"][0], r"^3 1 1 [0-9a-f]{64}$")
        # Reports are not counted among what they tell of.
        self.assertNotIn("report", self.seen(11))

    def test_without_a_key(self):
        """A report that nobody would believe is not sent (RFC 8460, 3)."""
        self.configure(**{"from": "tls@unsigned.lab", "send": "true"})
        self.run_sessions()
        r = self.lab.tool("tlsrpt", "send", "today", "good.secure.lab", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertRegex(r.stdout, r"failed +no DKIM key signs")
        self.assertIn("no DKIM key of `domains` signs for tls@unsigned.lab", self.lab.tool("check", check=False).stderr
                      + self.lab.tool("check", check=False).stdout)


if __name__ == "__main__":
    unittest.main()
