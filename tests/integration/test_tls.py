"""STARTTLS on the receiving side: real clients, real certificates, and what must not work."""
import os
import re
import smtplib
import socket
import ssl
import subprocess
import time
import unittest

import lab


def openssl(*args, **kw):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, **kw)


class Authority:
    """A CA of its own in a folder of the lab."""

    def __init__(self, l, name):
        self.lab, self.name = l, name
        self.pem, self.key = l.path(name + ".pem"), l.path(name + ".key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3",
                "-subj", "/CN=%s test CA" % name, "-keyout", self.key, "-out", self.pem)

    def issue(self, cn, out, days="3", start=None):
        """out.pem and out.key for the host name cn."""
        pem, key, csr = self.lab.path(out + ".pem"), self.lab.path(out + ".key"), self.lab.path(out + ".csr")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + cn,
                "-keyout", key, "-out", csr)
        ext = self.lab.write(out + ".ext", "subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth,clientAuth\n" % cn)
        openssl("x509", "-req", "-in", csr, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                "-extfile", ext, "-out", pem)
        os.chmod(key, 0o640)
        return pem, key


def trusting(ca):
    c = ssl.create_default_context(cafile=ca.pem)
    c.check_hostname = True
    return c


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("tls")
        cls.addClassCleanup(cls.lab.close)
        cls.ca = Authority(cls.lab, "ca")
        cls.ca.issue("gw.example.lab", "gw")
        cls.mx = cls.lab.mx()
        p = cls.lab.ports
        for name in ("smtp", "strict"):
            p[name] = lab.free_port()
        cls.lab.config(
            delivery={"routes": {"partner.lab": ["127.0.0.1:%d" % cls.mx.port]}, "retry": ["1s"]},
            tls={"certificate": "gw.pem", "key": "gw.key", "minimum": "1.2"},
            listeners=[cls.listener("offered", p["smtp"], tls="offered"),
                       cls.listener("strict", p["strict"], tls="required")])
        cls.lab.start_postern()

    @classmethod
    def listener(cls, name, port, **more):
        return {"name": name, "address": "127.0.0.1:%d" % port, "direction": "outbound",
                "allow": ["network:internal"], **more}

    def client(self, port="smtp"):
        s = smtplib.SMTP("127.0.0.1", self.lab.ports[port], local_hostname="client.example.lab", timeout=30)
        self.addCleanup(s.close)
        s._host = "gw.example.lab"      # whose certificate it must be
        return s

    def arrived(self, subject):
        return lab.wait_for(lambda: [m for m in list(self.mx.messages) if b"Subject: " + subject.encode() + b"\r\n" in m[2]],
                            because="the message " + subject)[0]

    def test_starttls_delivers_and_says_so(self):
        with self.client() as s:
            s.ehlo()
            self.assertTrue(s.has_extn("starttls"))
            self.assertEqual(s.starttls(context=trusting(self.ca))[0], 220)
            s.ehlo()
            self.assertFalse(s.has_extn("starttls"), "not offered again")
            self.assertEqual(s.sock.version(), "TLSv1.3")
            self.assertEqual(lab.wait_for(lambda: self.lab.counter("smtpd_tls_sessions") >= 1, because="the counter"), True)
            big = "".join("line %06d with some words in it\r\n" % i for i in range(60000))
            s.sendmail("a@example.lab", ["b@partner.lab"], lab.message(big, subject="tls-1"))
        m = self.arrived("tls-1")
        self.assertTrue(m[2].endswith(big.encode()))
        self.assertRegex(m[2].decode(), r"(?m)^\tby gw\.example\.lab \(Postern\) with ESMTPS id ")
        code, text = self.lab.send("b@partner.lab", subject="clear-1")
        self.assertEqual(code, 250, text)
        self.assertRegex(self.arrived("clear-1")[2].decode(), r"(?m)\(Postern\) with ESMTP id ")

    def test_tls12_delivers_and_older_is_refused(self):
        c = trusting(self.ca)
        c.maximum_version = ssl.TLSVersion.TLSv1_2
        with self.client() as s:
            s.starttls(context=c)
            self.assertEqual(s.sock.version(), "TLSv1.2")
            s.sendmail("a@example.lab", ["b@partner.lab"], lab.message(subject="tls12-1"))
        self.arrived("tls12-1")
        before = self.lab.counter("smtpd_tls_failures")
        r = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", "127.0.0.1:%d" % self.lab.ports["smtp"],
                            "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], input="QUIT\r\n", capture_output=True, text=True, timeout=30)
        self.assertRegex(r.stdout + r.stderr, r"(?i)alert protocol version|unsupported protocol")
        lab.wait_for(lambda: self.lab.counter("smtpd_tls_failures") > before, because="the counted failure")

    def test_openssl_verifies_the_chain(self):
        r = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", "127.0.0.1:%d" % self.lab.ports["smtp"],
                            "-CAfile", self.ca.pem, "-verify_hostname", "gw.example.lab", "-verify_return_error",
                            "-crlf", "-quiet"], input="QUIT\n", capture_output=True, text=True, timeout=30)
        self.assertIn("221 2.0.0", r.stdout, r.stderr)

    def test_renegotiation_is_refused(self):
        r = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", "127.0.0.1:%d" % self.lab.ports["smtp"],
                            "-tls1_2"], input="R\n", capture_output=True, text=True, timeout=30)
        self.assertRegex(r.stdout + r.stderr, r"(?i)no renegotiation|handshake failure|unexpected message")

    def test_no_session_is_resumed(self):
        for version in ("-tls1_2", "-tls1_3"):
            r = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect", "127.0.0.1:%d" % self.lab.ports["smtp"],
                                version, "-reconnect"], input="QUIT\r\n", capture_output=True, text=True, timeout=60)
            self.assertIn("New, ", r.stdout)
            self.assertNotIn("Reused, ", r.stdout)
            self.assertNotIn("TLS session ticket:", r.stdout)

    def test_swaks(self):
        r = subprocess.run(["swaks", "--tls", "--tls-verify", "--tls-ca-path", self.ca.pem,
                            "--server", "127.0.0.1:%d" % self.lab.ports["strict"], "--from", "a@example.lab", "--to", "b@partner.lab",
                            "--header", "Subject: swaks-1", "--timeout", "30"], capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.arrived("swaks-1")

    def test_required_before_anything(self):
        with self.client("strict") as s:
            s.ehlo()
            self.assertTrue(s.has_extn("starttls"))
            self.assertEqual(s.mail("a@example.lab")[0], 530)
            self.assertIn(b"5.7.0", s.docmd("RSET")[1])
            self.assertEqual(s.noop()[0], 250)
            s.starttls(context=trusting(self.ca))
            self.assertEqual(s.mail("a@example.lab")[0], 503, "EHLO again first")
            s.sendmail("a@example.lab", ["b@partner.lab"], lab.message(subject="strict-1"))
        self.arrived("strict-1")

    def test_injection_behind_starttls(self):
        """CVE-2011-0411: what came in clear is not answered inside TLS."""
        s = socket.create_connection(("127.0.0.1", self.lab.ports["smtp"]), timeout=30)
        self.addCleanup(s.close)
        f = s.makefile("rb")
        self.assertTrue(f.readline().startswith(b"220 "))
        s.sendall(b"EHLO a.lab\r\n")
        while f.readline()[3:4] == b"-":
            pass
        s.sendall(b"STARTTLS\r\nEHLO evil.lab\r\nMAIL FROM:<evil@example.lab>\r\nRCPT TO:<evil@partner.lab>\r\n")
        self.assertTrue(f.readline().startswith(b"220 "))
        t = trusting(self.ca).wrap_socket(s, server_hostname="gw.example.lab")
        t.sendall(b"NOOP\r\nRSET\r\nRCPT TO:<b@partner.lab>\r\nQUIT\r\n")
        got = b""
        while True:
            part = t.recv(65536)
            if not part:
                break
            got += part
        codes = [l[:3] for l in got.split(b"\r\n") if l]
        self.assertEqual(codes, [b"250", b"250", b"503", b"221"], got)
        self.assertNotIn("evil@partner.lab", self.lab.log())

    def test_garbage_instead_of_a_handshake(self):
        before = self.lab.counter("smtpd_tls_failures")
        for garbage in (b"EHLO again.lab\r\n" * 4, b"\x16\x03\x01\xff\xff" + b"x" * 20000, b"\x80" * 100):
            s = socket.create_connection(("127.0.0.1", self.lab.ports["smtp"]), timeout=30)
            f = s.makefile("rb")
            f.readline()
            s.sendall(b"EHLO a.lab\r\n")
            while f.readline()[3:4] == b"-":
                pass
            s.sendall(b"STARTTLS\r\n")
            self.assertTrue(f.readline().startswith(b"220 "))
            try:
                s.sendall(garbage)
                s.shutdown(socket.SHUT_WR)
                rest = f.read()
            except OSError:
                rest = b""
            self.assertNotIn(b"250", rest)
            s.close()
        lab.wait_for(lambda: self.lab.counter("smtpd_tls_failures") >= before + 3, because="three counted failures")
        self.assertEqual(self.lab.send("b@partner.lab", subject="after-garbage")[0], 250)

    def test_pipelining_inside_tls(self):
        """Many small commands in one record, and one command over many records."""
        with self.client() as s:
            s.starttls(context=trusting(self.ca))
            s.ehlo()
            s.sock.sendall(b"NOOP\r\n" * 90)
            for _ in range(90):
                self.assertEqual(s.getreply()[0], 250)
            for c in b"MAIL FROM:<a@example.lab>\r\n":
                s.sock.sendall(bytes([c]))
            self.assertEqual(s.getreply()[0], 250)
            # the end of one message and the next transaction in one record
            s.sock.sendall(b"RCPT TO:<b@partner.lab>\r\nDATA\r\n")
            self.assertEqual([s.getreply()[0], s.getreply()[0]], [250, 354])
            s.sock.sendall(lab.message(subject="pipe-1") + b".\r\nMAIL FROM:<a@example.lab>\r\nRCPT TO:<b@partner.lab>\r\nDATA\r\n")
            self.assertEqual([s.getreply()[0] for _ in range(4)], [250, 250, 250, 354])
            s.sock.sendall(lab.message("x" * 70000 + "\r\n", subject="pipe-2") + b".\r\n")
            self.assertEqual(s.getreply()[0], 250)
        self.arrived("pipe-1")
        self.arrived("pipe-2")

    def test_postfix_encrypts(self):
        port = self.lab.postfix("internal", {
            "relayhost": "[127.0.0.1]:%d" % self.lab.ports["strict"], "smtp_tls_security_level": "encrypt",
            "smtp_tls_loglevel": "1"})
        with smtplib.SMTP("127.0.0.1", port) as s:
            s.sendmail("a@example.lab", ["b@partner.lab"], lab.message(subject="postfix-tls-1"))
        self.assertRegex(self.arrived("postfix-tls-1")[2].decode(), r"with ESMTPS id")

    def test_reload_takes_a_new_certificate(self):
        def serial():
            with self.client() as s:
                s.starttls(context=trusting(self.ca))
                return s.sock.getpeercert()["serialNumber"]
        old = serial()
        stays = self.client()
        stays.starttls(context=trusting(self.ca))
        self.ca.issue("gw.example.lab", "gw")
        self.assertEqual(self.lab.tool("reload", check=False).returncode, 0)
        lab.wait_for(lambda: serial() != old, because="the new certificate")
        # a session of before is told to come back, through its TLS
        code, text = stays.getreply()
        self.assertEqual((code, text[:5]), (421, b"4.3.2"))


class Checks(unittest.TestCase):
    """`postern check` reads certificate and key as the receiver will."""

    def setUp(self):
        self.lab = lab.Lab("tlscheck")
        self.addCleanup(self.lab.close)
        self.ca = Authority(self.lab, "ca")
        self.ca.issue("gw.example.lab", "gw")
        self.ca.issue("other.example.lab", "other")

    def check(self, certificate="gw.pem", key="gw.key", **listener):
        self.lab.config(tls={"certificate": certificate, "key": key},
                        listeners=[{"name": "l", "address": "127.0.0.1:2525", "allow": ["network:internal"],
                                    "tls": "offered", **listener}])
        r = self.lab.tool("check", check=False)
        return r.returncode, r.stdout + r.stderr

    def test_errors_name_the_file(self):
        self.assertEqual(self.check()[0], 0)
        for args, says in (
                ({"certificate": "none.pem"}, r"tls\.certificate: .*none\.pem: No such file"),
                ({"key": "none.key"}, r"tls\.key: .*none\.key: No such file"),
                ({"certificate": "gw.key"}, r"tls\.certificate .*gw\.key: "),
                ({"key": "gw.pem"}, r"tls\.key .*gw\.pem"),
                ({"key": "other.key"}, r"tls\.key .*other\.key does not belong to the certificate .*gw\.pem"),
                ({"client_certificates": {"ca": "gw.key", "names": ["n.lab"]}}, r"client_certificates\.ca .*gw\.key"),
        ):
            status, text = self.check(**args)
            self.assertEqual(status, 1, text)
            self.assertRegex(text, says)
        os.chmod(self.lab.path("gw.key"), 0o644)
        self.assertRegex(self.check()[1], r"everybody may read")

    def test_expiry_is_a_warning(self):
        self.assertRegex(self.check()[1], r"warning: .*expires within two weeks")
        self.ca.issue("gw.example.lab", "gw", days="90")
        status, text = self.check()
        self.assertEqual(status, 0)
        self.assertNotIn("warning", text)
        self.ca.issue("gw.example.lab", "old", days="0")     # until now
        status, text = self.check("old.pem", "old.key")
        self.assertEqual(status, 0, text)
        self.assertRegex(text, r"has expired")

    def test_a_start_says_the_same(self):
        self.check(key="other.key")
        d = self.lab.start_postern(wait=False)
        self.assertEqual(d.p.wait(30), 1)
        self.lab.stop_postern()
        self.assertIn("does not belong", self.lab.log())


if __name__ == "__main__":
    unittest.main()
