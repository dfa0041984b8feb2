"""Real peers: Postfix as the internal server and as the receiving MX, with and without TLS."""
import os
import re
import smtplib
import subprocess
import unittest

import lab


def maildir(path):
    out = []
    for d, _, files in os.walk(path):
        if os.path.basename(d) == "new":
            for f in files:
                with open(os.path.join(d, f), "rb") as h:
                    out.append(h.read())
    return out


class Postfix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("postfix")
        cls.addClassCleanup(cls.lab.close)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=mx.partner.lab", "-keyout", cls.lab.path("mx.key"), "-out", cls.lab.path("mx.pem")],
                       check=True, stderr=subprocess.DEVNULL)
        mail = {"virtual_mailbox_base": cls.lab.path("mx", "mail"), "virtual_mailbox_maps": "static:box/",
                "virtual_uid_maps": "static:65534", "virtual_gid_maps": "static:65534"}
        cls.mx_port = cls.lab.postfix("mx", {
            **mail, "virtual_mailbox_domains": "partner.lab", "smtpd_tls_security_level": "may",
            "smtpd_tls_cert_file": cls.lab.path("mx.pem"), "smtpd_tls_key_file": cls.lab.path("mx.key"),
            "smtpd_tls_received_header": "yes"})
        cls.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"], "example.lab": ["@ MX 0 ."]})
        cls.lab.config(delivery={"port": cls.mx_port, "retry": ["1s"]})
        cls.lab.start_postern()
        cls.internal = cls.lab.postfix("internal", {
            "relayhost": "[127.0.0.1]:%d" % cls.lab.ports["smtp"], "mydomain": "example.lab"})

    def wait_mail(self, word):
        return lab.wait_for(lambda: [m for m in maildir(self.lab.path("mx", "mail")) if word in m],
                            because="%s in the mailbox\n%s" % (word, lab.tail(self.lab.path("mx", "maillog"))))

    def test_through_both(self):
        for i in range(20):
            with smtplib.SMTP("127.0.0.1", self.internal) as s:
                s.sendmail("a@example.lab", ["u%d@partner.lab" % i],
                           lab.message("From Postfix, line\r\n..two\r\n", subject="through-%02d." % i))
        for i in range(20):
            m = self.wait_mail(b"Subject: through-%02d." % i)
            self.assertEqual(len(m), 1)
            self.assertIn(b"\n..two\n", m[0])
        self.assertIn(b"using TLSv1", m[0], "the MX offers STARTTLS: it was used")
        self.lab.queue_empty()
        self.assertIn("TLS", self.lab.tool("--json", "trace", "u0@partner.lab"))

    def test_refusal_reaches_the_internal_server(self):
        self.lab.policy("version: 1\nrules:\n  - {id: no, when: {subject: {words: [refuseme]}},"
                        " then: {reject: \"5.7.1 Not outside\"}}\n")
        self.assertEqual(self.lab.tool("reload", check=False).returncode, 0)
        with smtplib.SMTP("127.0.0.1", self.internal) as s:
            s.sendmail("a@example.lab", ["u@partner.lab"], lab.message(subject="refuseme"))
        lab.wait_for(lambda: re.search(r"status=bounced .*5\.7\.1 Not outside",
                                       lab.tail(self.lab.path("internal", "maillog"), 400)),
                     because="the internal Postfix to hear the refusal\n" + lab.tail(self.lab.path("internal", "maillog"), 30))

    def test_bdat(self):
        """Postfix offers CHUNKING: a small message in one breath with its envelope, a large one in four chunks."""
        body = "".join("%07d .line of a large message\r\n.\r\n" % i for i in range(90000))
        for n, (subject, text) in enumerate((("chunk-small", "hello\r\n"), ("chunk-large", body))):
            with smtplib.SMTP("127.0.0.1", self.internal) as s:
                s.sendmail("a@example.lab", ["b%d@partner.lab" % n], lab.message(text, subject=subject))
            got = self.wait_mail(b"Subject: " + subject.encode())[0]
            self.assertEqual(got.split(b"\n\n", 1)[1], text.replace("\r\n", "\n").encode())
        self.lab.queue_empty()
        log = lambda: re.findall(r"disconnect from .* bdat=(\d+)", lab.tail(self.lab.path("mx", "maillog"), 1000))
        lab.wait_for(lambda: sum(int(x) for x in log()) >= 4, because="Postfix to count BDAT commands")
        self.assertNotIn(" data=", "".join(l for l in lab.tail(self.lab.path("mx", "maillog"), 1000).splitlines() if "disconnect" in l))

    def test_many_recipients_in_one_transaction(self):
        to = ["r%d@partner.lab" % i for i in range(50)]
        with smtplib.SMTP("127.0.0.1", self.internal) as s:
            s.sendmail("a@example.lab", to, lab.message(subject="fifty-1"))
        lab.wait_for(lambda: len([m for m in maildir(self.lab.path("mx", "mail")) if b"fifty-1" in m]) == 50,
                     because="fifty copies")


if __name__ == "__main__":
    unittest.main()
