"""Real mail servers with certificates of each kind: Postfix (OpenSSL) and Exim (GnuTLS) as next hops.

What must come of it is plain: encrypted is whatever speaks TLS, verified only what has a certificate of a
known authority, for its name, today. The server hands on what it took, so "delivered" is seen at the far end.
"""
import os
import unittest

import lab
import mta
from test_dane import certificates

KINDS = ["good", "wrong-name", "expired", "self-signed"]
SERVERS = ["postfix", "exim"]


class Receivers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("receivers")
        cls.addClassCleanup(cls.lab.close)
        certs, _ = certificates(cls.lab)
        for _, key, _ in certs.values():
            os.chmod(key, 0o644)        # Exim reads it when it is nobody in particular
        cls.end = cls.lab.mx()
        zone, routes = [], {}
        for kind in KINDS:
            for server in SERVERS:
                name = "%s-%s" % (server, kind)
                if server == "postfix":
                    port = cls.lab.postfix(name, {"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": certs[kind][0],
                                                  "smtpd_tls_key_file": certs[kind][1],
                                                  "relayhost": "[127.0.0.1]:%d" % cls.end.port})
                else:
                    port = mta.exim(cls.lab, name, cls.end.port, tls=certs[kind][:2])
                zone.append("%s A 127.0.0.1" % name)
                routes[name + ".lab"] = ["%s.secure.lab:%d" % (name, port)]
        cls.lab.dns({"secure.lab": zone})
        cls.lab.config(delivery={"retry": ["1h"], "routes": routes, "tls": {"policy": "none", "roots": "tls/roots.pem"}})
        cls.lab.policy("version: 1\nrules:\n"
                       "  - {id: v, when: {subject: {words: [verified]}}, then: {require_tls: verified}}\n")
        cls.lab.start_postern()

    def outcome(self, mid):
        def look():
            t = self.lab.control({"cmd": "trace", "q": mid, "limit": 1})[0]
            r = t.get("recipients", [{}])[0]
            proof = [w for w in (r.get("tls") or "").split() if w in ("verified", "unverified")]
            return (r["status"], "".join(proof)) if r.get("status") in ("sent", "deferred", "failed") else None
        return lab.wait_for(look, 60)

    def test_certificates(self):
        print("\n%-12s %-12s %-24s %s" % ("server", "certificate", "opportunistic", "require_tls: verified"))
        wrong = []
        for server in SERVERS:
            for kind in KINDS:
                got = []
                for subject in ("plain", "verified"):
                    code, text = self.lab.send(["u@%s-%s.lab" % (server, kind)], subject=subject)
                    self.assertEqual(code, 250, text)
                    got.append(self.outcome(text.split()[-1]))
                print("%-12s %-12s %-24s %s" % (server, kind, " ".join(got[0]), " ".join(got[1])))
                good = kind == "good"
                if got != ([("sent", "verified")] * 2 if good else [("sent", "unverified"), ("deferred", "unverified")]):
                    wrong.append((server, kind, got))
        self.assertEqual(wrong, [])
        # two messages came through each good server, one through each other
        self.end.wait(len(SERVERS) * (len(KINDS) + 1), 60)


if __name__ == "__main__":
    unittest.main(verbosity=2)
