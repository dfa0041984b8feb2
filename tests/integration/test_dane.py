"""The matrix: policy x certificate x what the DNS says -> delivered, deferred or bounced.

Knot signs the zones, libunbound inside posternd validates them from anchors made here, and
receivers of every kind of certificate stand on addresses of their own. What is expected is
computed below from RFC 7672 and the meaning of each policy, not from what the relay did.
"""
import datetime
import hashlib
import itertools
import os
import ssl
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import lab

CERTIFICATES = ["good", "wrong-name", "expired", "self-signed", "no-tls"]
DNS = {
    "ee": "TLSA 3 1 1 of the server's key",
    "ta": "TLSA 2 0 1 of the authority",
    "wrong": "TLSA 3 1 1 of another key",
    "unusable": "TLSA 1 1 1: an authority of the Web",
    "failed": "TLSA that cannot be had",
    "none": "signed, no TLSA",
    "unsigned": "right TLSA in an unsigned zone",
    "bogus": "signed by another key than the anchor",
    "missing": "no such domain",
}
# name: (delivery.tls.policy, word that makes the policy require it)
POLICIES = {"none": ("none", ""), "dane": ("dane", ""), "dane+encrypted": ("dane", "encrypted"),
            "dane+verified": ("dane", "verified"), "dane+dane": ("dane", "danewanted")}
RULES = """
version: 1
rules:
  - {id: r1, when: {subject: {words: [encrypted]}}, then: {require_tls: encrypted}}
  - {id: r2, when: {subject: {words: [verified]}}, then: {require_tls: verified}}
  - {id: r3, when: {subject: {words: [danewanted]}}, then: {require_tls: dane}}
"""


def expected(policy, cert, dns):
    """(outcome, level): level is the last word of the proof, "" for a connection without TLS."""
    mode, rule = POLICIES[policy]
    if dns == "missing":
        return "bounced", None
    if dns == "bogus":
        return "deferred", None
    if mode == "none" or dns == "unsigned":
        dns = "none"
    if dns == "failed":
        return "deferred", None
    need = {"": 0, "encrypted": 1, "verified": 2, "danewanted": 3}[rule]
    if dns in ("ee", "ta", "wrong"):
        need = 3
    elif dns == "unusable":
        need = max(need, 1)
    if cert == "no-tls":
        has = 0
    elif dns == "ee" or (dns == "ta" and cert == "good"):
        has = 3                     # DANE-EE looks at nothing but the key (RFC 7672, 3.1.1)
    elif dns in ("ta", "wrong"):
        has = 1
    else:
        has = 2 if cert == "good" else 1
    return ("deferred", None) if has < need else ("sent", ["", "unverified", "verified", "dane"][has])


def certificates(l):
    """{kind: (chain, key, certificate)} and the authority."""
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    day = datetime.timedelta(days=1)

    def make(name, issuer, issuer_key, names, start, end, ca):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        b = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject)
             .public_key(key.public_key()).serial_number(x509.random_serial_number())
             .not_valid_before(start).not_valid_after(end)
             .add_extension(x509.BasicConstraints(ca=ca, path_length=None), True))
        if names:
            b = b.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        return b.sign(issuer_key or key, hashes.SHA256()), key

    def pem(c):
        return c.public_bytes(serialization.Encoding.PEM)

    ca, ca_key = make("Lab Authority", None, None, [], now - 30 * day, now + 30 * day, True)
    names = ["*.secure.lab", "*.plain.lab", "*.bogus.lab"]
    plan = {"good": (names, now - day, now + day, True), "wrong-name": (["mx.other.lab"], now - day, now + day, True),
            "expired": (names, now - 20 * day, now - 10 * day, True),
            "self-signed": (names, now - day, now + day, False)}
    out = {}
    for kind, (sans, start, end, signed) in plan.items():
        cert, key = make("mx-" + kind, ca.subject if signed else None, ca_key if signed else None, sans, start, end, False)
        chain = l.write("tls/%s.pem" % kind, pem(cert) + (pem(ca) if signed else b""))
        k = l.write("tls/%s.key" % kind, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                           serialization.NoEncryption()))
        os.chmod(k, 0o640)
        out[kind] = (chain, k, cert)
    l.write("tls/roots.pem", pem(ca))
    return out, ca


def tlsa(usage, selector, cert):
    data = cert.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo) \
        if selector else cert.public_bytes(serialization.Encoding.DER)
    return "TLSA %d %d 1 %s" % (usage, selector, hashlib.sha256(data).hexdigest())


class Dane(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("dane")
        cls.addClassCleanup(cls.lab.close)
        certs, ca = certificates(cls.lab)
        other = certs["wrong-name"][2]
        cls.port = None
        cls.mx = {}
        for i, kind in enumerate(CERTIFICATES):
            tls = certs[kind][:2] if kind in certs else None
            cls.mx[kind] = cls.lab.mx(host="127.0.9.%d" % (i + 1), port=cls.port or 0, tls=tls)
            cls.port = cls.mx[kind].port
        # a server that nobody but a record vouches for, and that keeps messages inside TLS (RFC 8689)
        cls.said = []
        cls.keeper = cls.lab.mx(host="127.0.9.100", port=cls.port, tls=certs["self-signed"][:2], esmtp=("PIPELINING", "REQUIRETLS"),
                                reply=lambda line, session: cls.said.append(line))
        cls.shared = cls.lab.mx(host="127.0.9.101", port=cls.port, tls=certs["good"][:2])
        zones = {"secure.lab": [], "plain.lab": [], "bogus.lab": []}
        for i, kind in enumerate(CERTIFICATES):
            for dns in DNS:
                if dns == "missing":
                    continue
                zone = {"unsigned": "plain.lab", "bogus": "bogus.lab"}.get(dns, "secure.lab")
                n = "%s-%s" % (kind, dns)
                z = zones[zone]
                z += ["%s MX 10 mx-%s" % (n, n), "mx-%s A 127.0.9.%d" % (n, i + 1)]
                own = certs[kind][2] if kind in certs else other
                wrong = other if kind != "wrong-name" else certs["good"][2]
                record = {"ee": tlsa(3, 1, own), "unsigned": tlsa(3, 1, own), "ta": tlsa(2, 0, ca),
                          "wrong": tlsa(3, 1, wrong), "unusable": tlsa(1, 1, own),
                          "failed": "CNAME tlsa.bogus.lab."}.get(dns)
                if record:
                    z.append("_%d._tcp.mx-%s %s" % (cls.port, n, record))
        zones["bogus.lab"].append("tlsa " + tlsa(3, 1, other))
        # mx and alias: TLSA at the end of a CNAME, and at its beginning (RFC 7672, 2.2.2)
        zones["secure.lab"] += [
            "alias MX 10 mx-alias", "mx-alias CNAME mx-end", "mx-end A 127.0.9.1",
            "_%d._tcp.mx-end %s" % (cls.port, tlsa(3, 1, certs["good"][2])),
            "alias2 MX 10 mx-alias2", "mx-alias2 CNAME mx-out.plain.lab.",
            "_%d._tcp.mx-alias2 %s" % (cls.port, tlsa(3, 1, other)),
            # the first host's TLSA cannot be had: the second gets the mail
            "two MX 10 mx-good-failed", "two MX 20 mx-good-ee",
            # one server for domains of which one proves it and one does not
            "shared MX 10 mx-shared", "other MX 10 mx-shared", "mx-shared A 127.0.9.101",
            "_%d._tcp.mx-shared %s" % (cls.port, tlsa(3, 1, certs["good"][2])),
            "keeper MX 10 mx-keeper", "mx-keeper A 127.0.9.100",
            "_%d._tcp.mx-keeper %s" % (cls.port, tlsa(3, 1, certs["self-signed"][2])),
            "doubtful MX 10 mx-doubtful", "mx-doubtful A 127.0.9.100"]
        zones["plain.lab"] += ["mx-out A 127.0.9.1", "shared MX 10 mx-shared.secure.lab."]
        cls.lab.dns(zones, signed=["secure.lab"], forged=["bogus.lab"])
        cls.lab.policy(RULES)

    def configure(self, policy, **over):
        self.lab.config(**over, delivery={"port": self.port, "retry": ["1s"], "tls": {"policy": policy, "roots": "tls/roots.pem"}},
                        dns={"servers": ["127.0.0.1:%d" % self.lab.ports["dns"]], "dnssec": "true",
                             "trust_anchor": "knot/anchors"})

    def address(self, cert, dns):
        zone = {"unsigned": "plain.lab", "bogus": "bogus.lab"}.get(dns, "secure.lab")
        return "u@%s-%s.%s" % (cert, dns, zone)

    def outcomes(self, mid, n):
        """{recipient: (status, proof, reply)} once all n are known."""
        seen = {}

        def look():
            t = self.lab.control({"cmd": "trace", "q": mid, "limit": 1})[0]
            seen.update((r["address"], r["status"]) for r in t.get("recipients", []))
            got = {r["address"]: (r["status"], r.get("tls") or "", r.get("reply") or "", r.get("dsn") or "")
                   for r in t.get("recipients", []) if r["status"] in ("sent", "deferred", "failed")}
            return got if len(got) == n else None
        try:
            return lab.wait_for(look, 60)
        except lab.LabError:
            self.fail("no outcome yet: %s\n%s" % ({a: s for a, s in seen.items() if s not in ("sent", "deferred", "failed")},
                                                 lab.tail(self.lab.daemon.log, 30)))

    def send(self, to, subject):
        code, text = self.lab.send(to, subject=subject)
        self.assertEqual(code, 250, text)
        return text.split()[-1]

    def test_matrix(self):
        cells = list(itertools.product(CERTIFICATES, DNS))
        to = [self.address(*c) for c in cells]
        got = {}
        for mode in ("none", "dane"):
            self.configure(mode)
            self.lab.start_postern()
            ids = {p: self.send(to, "%s %s" % (mode, word)) for p, (m, word) in POLICIES.items() if m == mode}
            for p, mid in ids.items():
                for (cert, dns), a in zip(cells, to):
                    got[p, cert, dns] = self.outcomes(mid, len(to))[a]
            self.lab.stop_postern()
        words = {"sent": "delivered", "deferred": "deferred", "failed": "bounced"}
        print("\n%-15s %-12s" % ("policy", "certificate") + "".join("%-12s" % d for d in DNS))
        wrong = []
        for p in POLICIES:
            for cert in CERTIFICATES:
                line = "%-15s %-12s" % (p, cert)
                for dns in DNS:
                    status, proof, reply, dsn = got[p, cert, dns]
                    want, level = expected(p, cert, dns)
                    level_got = proof.split(" ")[2] if proof and status == "sent" else "" if status == "sent" else None
                    if words[status] != {"sent": "delivered"}.get(want, want) or level_got != level:
                        wrong.append("%s %s %s: %s %r (%s), want %s %r" % (p, cert, dns, status, proof, reply, want, level))
                    if status == "deferred" and not dsn.startswith("4.7.") and dns != "bogus":
                        wrong.append("%s %s %s: put off with %s %s" % (p, cert, dns, dsn, reply))
                    line += "%-12s" % (words[status] + {"dane": "/D", "verified": "/V", "unverified": "/E"}.get(level_got, ""))
                print(line)
        print("/D proved by DANE, /V by an authority, /E encrypted only; nothing: in clear")
        for d, text in DNS.items():
            print("  %-9s %s" % (d, text))
        self.assertFalse(wrong, "\n" + "\n".join(wrong))
        # What servers without TLS received, beyond what policy "none" sends them.
        clear = [r for m in self.mx["no-tls"].messages if b"Subject: none" not in m[2] for r in m[1]]
        self.assertEqual(sorted(clear), sorted(self.address("no-tls", d) for d in ("none", "unsigned")))

    def test_requiretls(self):
        """DANE is proof enough for REQUIRETLS; the server must still offer it."""
        self.configure("dane", tls={"certificate": "tls/good.pem", "key": "tls/good.key"}, listeners=[
            {"name": "smart-host", "address": "127.0.0.1:%d" % self.lab.ports.setdefault("smtp", lab.free_port()),
             "direction": "outbound", "allow": ["network:internal"], "tls": "offered"}])
        self.lab.start_postern()
        self.addCleanup(lambda: self.lab.daemon and self.lab.stop_postern())
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        got = {}
        for a in ("u@keeper.secure.lab", "u@self-signed-ee.secure.lab", "u@doubtful.secure.lab", "u@good-wrong.secure.lab"):
            with self.lab.smtp() as s:
                s.starttls(context=context)
                s.ehlo()
                self.assertEqual(s.mail("a@example.lab", ["REQUIRETLS"])[0], 250)
                self.assertEqual(s.rcpt(a)[0], 250)
                code, text = s.data(lab.message(to=[a], subject="kept"))
                self.assertEqual(code, 250, text)
            got[a] = self.outcomes(text.decode().split()[-1], 1)[a]
        sent, unoffered, unproved, wrong = got.values()
        self.assertEqual(sent[0], "sent", sent)
        self.assertIn(" dane subject=CN=mx-self-signed", sent[1])
        self.assertTrue([l for l in self.said if l.startswith("MAIL FROM:<a@example.lab>") and l.endswith(" REQUIRETLS")], self.said)
        self.assertEqual((unoffered[0], unoffered[3]), ("deferred", "4.7.30"), unoffered)
        self.assertEqual((unproved[0], unproved[3]), ("deferred", "4.7.5"), unproved)
        self.assertIn("verified TLS is required", unproved[2])
        self.assertEqual((wrong[0], wrong[3]), ("deferred", "4.7.5"), wrong)
        self.assertIn("DANE TLS is required", wrong[2])
        # whoever asks for less goes to the same servers, at once
        to = ["u@self-signed-ee.secure.lab", "u@doubtful.secure.lab"]
        less = self.outcomes(self.send(to, "less"), 2)
        self.assertEqual([less[a][0] for a in to], ["sent", "sent"], less)

    def test_shared_server(self):
        """A connection, or a session that is resumed, counts for each domain what it has proved for that one."""
        self.configure("dane")
        self.lab.start_postern()
        self.addCleanup(lambda: self.lab.daemon and self.lab.stop_postern())
        a, b, c = "u@shared.secure.lab", "u@other.secure.lab", "u@shared.plain.lab"

        def proof(to, subject):
            status, tls, reply, dsn = self.outcomes(self.send([to], subject), 1)[to]
            return tls.split(" ")[2] if status == "sent" else status + " " + dsn
        before = self.shared.connections
        self.assertEqual(proof(a, "one"), "dane")
        self.assertEqual(proof(b, "two danewanted"), "dane")
        self.assertEqual(self.shared.connections, before + 1, "one connection for two domains")
        # Its MX record is not proved, so nothing of DANE is: the connection was held against records that do
        # not speak for this domain. Good enough for who asks nothing …
        self.assertEqual(proof(c, "three"), "unverified")
        self.assertEqual(self.shared.connections, before + 1)
        # … not for who wants it verified: a connection of its own, with the authority's word for the domain
        self.assertEqual(proof(c, "four verified"), "verified")
        self.assertEqual(self.shared.connections, before + 2)
        self.assertEqual(proof(c, "five danewanted"), "deferred 4.7.5")
        # And the other way round: that connection does not carry what DANE must prove.
        self.assertEqual(proof(a, "six"), "dane")

    def test_aliases_and_next_host(self):
        self.configure("dane")
        self.lab.start_postern()
        self.addCleanup(lambda: self.lab.daemon and self.lab.stop_postern())
        to = ["u@alias.secure.lab", "u@alias2.secure.lab", "u@two.secure.lab"]
        got = self.outcomes(self.send(to, "aliases"), 3)
        self.assertEqual(got[to[0]][0], "sent", got)
        self.assertIn(" dane subject=CN=mx-good", got[to[0]][1])
        # The records at the alias name another key, and must be heeded though the addresses are unsigned.
        self.assertEqual(got[to[1]][0], "deferred", got)
        self.assertIn("DANE", got[to[1]][2])
        self.assertEqual(got[to[2]][0], "sent", got)
        self.assertIn(" dane ", got[to[2]][1])
        route = self.lab.tool("route", "u@good-ee.secure.lab")
        self.assertIn("usable", route)
        self.assertIn("policy dane", route)
        log = self.lab.log()
        self.assertRegex(log, r"relay=mx-alias\.secure\.lab\[127\.0\.9\.1\]:%d, tls=TLSv1\.3 \S+ dane subject=CN=mx-good" % self.port)
        self.assertRegex(log, r"DANE TLS is required, and host mx-alias2\.secure\.lab\S+ has not proved it")


if __name__ == "__main__":
    unittest.main()
