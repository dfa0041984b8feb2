"""Verified TLS to the next hop (require_tls: verified) and REQUIRETLS from end to end (RFC 8689)."""
import os
import re
import smtplib
import unittest

import lab
from authority import Authority, trusting


class Verified(unittest.TestCase):
    """A gateway, a second one behind it that offers REQUIRETLS, and Postfixes with certificates of all kinds."""

    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("verified")
        cls.addClassCleanup(cls.lab.close)
        cls.far = lab.Lab("far")
        cls.addClassCleanup(cls.far.close)
        ca, other = Authority(cls.lab, "ca"), Authority(cls.lab, "other")
        for cn, out in (("gw.example.lab", "gw"), ("mx.elsewhere.lab", "wrong"),
                        ("mx.foreign.lab", "foreign"), ("domain.lab", "domain"), ("far.lab", "far")):
            (other if out == "foreign" else ca).issue(cn, out)
        ports = {}
        for name in ("wrong", "foreign", "domain"):
            ports[name] = cls.lab.postfix("mx-" + name, {
                "virtual_mailbox_base": cls.lab.path("mx-" + name, "mail"), "virtual_mailbox_maps": "static:box/",
                "virtual_uid_maps": "static:65534", "virtual_gid_maps": "static:65534",
                "virtual_mailbox_domains": "wrong.lab foreign.lab domain.lab", "smtpd_tls_security_level": "may",
                "smtpd_tls_cert_file": cls.lab.path(name + ".pem"), "smtpd_tls_key_file": cls.lab.path(name + ".key")})
        plain, cls.back = cls.lab.mx(), cls.lab.mx()
        # the second gateway: its own next hop is a server without TLS
        cls.far.ports["smtp"] = lab.free_port()
        cls.final = cls.far.mx()
        cls.far.config(hostname="far.lab", tls={"certificate": cls.lab.path("far.pem"), "key": cls.lab.path("far.key")},
                       delivery={"routes": {"far.lab": ["127.0.0.1:%d" % cls.final.port]}, "retry": ["1s"]},
                       listeners=[{"name": "in", "address": "127.0.0.1:%d" % cls.far.ports["smtp"], "direction": "outbound",
                                   "allow": ["127.0.0.1"], "tls": "offered"}])
        cls.lab.policy("version: 1\nrules:\n  - {id: careful, when: {subject: {words: [confidential]}}, then: {require_tls: verified}}\n"
                       "  - {id: coded, when: {subject: {words: [encoded]}}, then: {require_tls: encrypted}}\n")
        cls.lab.config(
            tls={"certificate": "gw.pem", "key": "gw.key"},
            domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % cls.back.port], "recipients": "any"}},
            delivery={"retry": ["1h"], "tls": {"policy": "none", "roots": "ca.pem"},
                      "routes": {"wrong.lab": ["127.0.0.1:%d" % ports["wrong"]],
                                 "foreign.lab": ["127.0.0.1:%d" % ports["foreign"]], "domain.lab": ["127.0.0.1:%d" % ports["domain"]],
                                 "plain.lab": ["127.0.0.1:%d" % plain.port], "far.lab": ["127.0.0.1:%d" % cls.far.ports["smtp"]]}},
            listeners=[{"name": "smart-host", "address": "127.0.0.1:%d" % cls.lab.ports.setdefault("smtp", lab.free_port()),
                        "direction": "outbound", "allow": ["network:internal"], "tls": "offered"}])
        cls.ca = ca
        cls.far.start_postern()
        cls.lab.start_postern()

    def outcome(self, mid, l=None):
        """The delivery's line in the log."""
        return lab.wait_for(lambda: re.search(r"%s: to=.*" % mid, (l or self.lab).log()), because="the outcome of " + mid).group(0)

    def send(self, to, subject):
        code, text = self.lab.send(to, subject=subject)
        self.assertEqual(code, 250, text)
        return self.outcome(text.split()[-1])

    def test_verified_certificate(self):
        # a static route to an address: the certificate must be for the domain
        self.assertIn("status=sent", self.send("u@domain.lab", "confidential-1"))
        self.assertIn(" verified", self.lab.tool("--json", "trace", "u@domain.lab"))

    def test_certificates_that_prove_nothing(self):
        for domain, why in (("wrong.lab", "it is not for "), ("foreign.lab", "unable to get local issuer|self.signed"),
                            ("plain.lab", "TLS is required, but was not offered")):
            line = self.send("u@" + domain, "confidential-2")
            self.assertIn("status=deferred", line)
            self.assertRegex(line, why)
            self.assertRegex(line, r"dsn=4\.7\.[45]")
            # whoever asks for less is carried, at once
            if domain != "plain.lab":
                self.assertIn("status=sent", self.send("u@" + domain, "encoded-2"))
            self.assertIn("status=sent", self.send("u@" + domain, "ordinary-2"))

    def requiretls(self, to, subject):
        with self.lab.smtp() as s:
            s._host = "gw.example.lab"
            s.starttls(context=trusting(self.ca))
            s.ehlo()
            self.assertTrue(s.has_extn("requiretls"))
            self.assertEqual(s.mail("a@example.lab", ["REQUIRETLS"])[0], 250)
            self.assertEqual(s.rcpt(to)[0], 250)
            code, text = s.data(lab.message(subject=subject))
            self.assertEqual(code, 250, text)
            return text.decode().split()[-1]

    def test_requiretls_is_passed_on(self):
        line = self.outcome(self.requiretls("u@far.lab", "require-1"))
        self.assertIn("status=sent", line)
        # the second gateway got the wish with it: it does not hand on in clear
        there = re.search(r"accepted as (\w{11})", line).group(1)
        line = self.outcome(there, self.far)
        self.assertIn("status=deferred", line)
        self.assertIn("dsn=4.7.4", line)
        self.assertFalse([m for m in self.final.messages if b"require-1" in m[2]])
        # a message without it goes the whole way
        self.assertIn("status=sent", self.send("u@far.lab", "ordinary-3"))
        lab.wait_for(lambda: [m for m in self.final.messages if b"ordinary-3" in m[2]], because="the other message")

    def test_requiretls_needs_it_of_the_next_hop(self):
        line = self.outcome(self.requiretls("u@domain.lab", "require-2"))
        self.assertIn("status=deferred", line)
        self.assertIn("dsn=4.7.30", line)
        self.assertIn("REQUIRETLS is required, but was not offered", line)
        line = self.outcome(self.requiretls("u@wrong.lab", "require-3"))
        self.assertIn("dsn=4.7.5", line)

    def test_a_bounce_shows_nothing_of_it(self):
        for require in (True, False):
            if require:
                mid = self.requiretls("u@domain.lab", "bounced-True")
            else:
                mid = self.lab.send("u@wrong.lab", subject="bounced-False confidential")[1].split()[-1]
            self.assertIn("status=deferred", self.outcome(mid))
            self.lab.tool("queue", "fail", mid, "--yes")
            m = lab.wait_for(lambda: [m for m in self.back.messages if mid.encode() in m[2]], because="the bounce")[0]
            self.assertEqual(m[0], "")
            self.assertEqual(b"Subject: bounced-" in m[2], not require)

    def test_requiretls_in_clear_is_refused(self):
        with self.lab.smtp() as s:
            s.ehlo()
            self.assertFalse(s.has_extn("requiretls"))
            code, text = s.mail("a@example.lab", ["REQUIRETLS"])
            self.assertEqual((code, text[:6]), (530, b"5.7.10"))


if __name__ == "__main__":
    unittest.main()
