"""postern probe: what a mail server says of itself, by the daemon, by the tool alone and from the console; no mail is sent."""
import hashlib
import json
import socket
import ssl
import subprocess
import threading
import unittest

import console
import lab
from authority import Authority


class Probe(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = l = lab.Lab("probe")
        cls.addClassCleanup(l.close)
        ca = Authority(l, "ca")
        pem, key = ca.issue("mx.partner.lab", "mx", days="30")
        spki = subprocess.run(["openssl", "x509", "-in", pem, "-noout", "-pubkey"], check=True, capture_output=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=spki, check=True, capture_output=True).stdout
        cls.said = []
        cls.mx = l.mx(tls=(pem, key), reply=lambda line, s: cls.said.append(line))
        cls.plain = l.mx(esmtp=("PIPELINING",))
        cls.shut = l.mx(reply=lambda line, s: "554 5.7.1 we know you not" if line == "CONNECT" else None)
        l.dns({"partner.lab": ["mx A 127.0.0.1", "other A 127.0.0.1", "two A 127.0.0.9", "two A 127.0.0.1",
                               "_%d._tcp.mx TLSA 3 1 1 %s" % (cls.mx.port, hashlib.sha256(der).hexdigest()),
                               "_%d._tcp.other TLSA 3 1 1 %s" % (cls.mx.port, "ab" * 32)]})
        console.certificate(l)
        cls.port = lab.free_port()
        l.config(delivery={"source": ["127.0.0.1"], "tls": {"policy": "none", "roots": ca.pem}}, tls={"certificate": "gw.pem", "key": "gw.key"},
                 console={"address": "127.0.0.1:%d" % cls.port},
                 domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % cls.plain.port], "recipients": "any"}})

    def probe(self, *args, status=0):
        r = self.lab.tool("--json", "probe", *map(str, args), check=False)
        self.assertEqual(r.returncode, status, r.stdout + r.stderr)
        return json.loads(r.stdout), r.stderr

    def look(self, by):
        o, err = self.probe("mx.partner.lab", self.mx.port)
        self.assertEqual("does not run" in err, by == "tool")
        self.assertEqual((o["ok"], o["error"], o["address"], o["banner"], o["name"]), (True, None, "127.0.0.1", "220 mx.lab ESMTP", "mx.lab"))
        self.assertEqual((o["size"], o["starttls"], o["extensions"]), (50000000, True, ["PIPELINING", "8BITMIME", "SIZE 50000000"]))
        self.assertRegex(o["tls"], r"^TLSv1\.3 TLS_")
        c = o["certificate"]
        self.assertEqual((c["subject"], c["names"], c["verified"], c["why"]), ("CN=mx.partner.lab", ["mx.partner.lab"], True, None))
        self.assertIn(c["days"], (29, 30))
        self.assertEqual([t["matches"] for t in o["tlsa"]], [True])
        self.assertFalse(o["tlsa_secure"])
        self.assertEqual([s["step"] for s in o["steps"]],
                         ["dns", "connect", "greeting", "EHLO", "STARTTLS", "handshake", "EHLO (TLS)", "QUIT"])
        self.assertTrue(all(0 <= s["ms"] < 60000 for s in o["steps"]))
        verbs = {x.split()[0] for x in self.said}
        self.assertEqual(verbs, {"CONNECT", "EHLO", "STARTTLS", "QUIT"}, "nothing that begins a mail")

    def test_by_the_tool_and_by_the_daemon(self):
        self.look("tool")
        self.lab.start_postern()
        self.look("daemon")
        o, _ = self.probe("other.partner.lab", self.mx.port)
        self.assertEqual((o["certificate"]["verified"], [t["matches"] for t in o["tlsa"]]), (False, [False]))
        self.assertIn("not for other.partner.lab", o["certificate"]["why"])
        # The first address refuses, the next one answers.
        o, _ = self.probe("two.partner.lab", self.plain.port)
        self.assertEqual((o["address"], sorted(o["addresses"]), o["starttls"], o["certificate"], o["size"]),
                         ("127.0.0.1", ["127.0.0.1", "127.0.0.9"], False, None, None))
        o, _ = self.probe("127.0.0.1", self.shut.port, status=1)
        self.assertEqual((o["banner"], o["ok"]), ("554 5.7.1 we know you not", False))
        o, _ = self.probe("127.0.0.1", lab.free_port(), status=1)
        self.assertIn("Connection refused", o["steps"][0]["said"])
        o, _ = self.probe("nobody.partner.lab", status=1)
        self.assertEqual(o["error"], "nobody.partner.lab has no address")
        text = self.lab.tool("probe", "mx.partner.lab", str(self.mx.port))
        for words in ("banner       220 mx.lab ESMTP", "size         50000000 bytes", "certificate  CN=mx.partner.lab", "it is this certificate"):
            self.assertIn(words, text)
        for bad in ((), ("a b",), ("mx.partner.lab", "0"), ("mx.partner.lab", "25x"), ("mx.partner.lab", "25", "x")):
            self.assertEqual(self.lab.tool("probe", *bad, check=False).returncode, 2, bad)
        self.from_the_console()

    def from_the_console(self):
        people = {}
        for name, more in (("olga", ("operator",)), ("dana", ("domain_admin", "--domain", "example.lab")), ("dora", ("domain_admin", "--domain", "other.lab")),
                           ("ada", ("auditor",))):
            console.add_user(self.lab, name, "--role", *more)
            people[name] = console.Browser(self.port, self.lab.path("gw.pem"))
            self.assertEqual(people[name].sign_in(name)[0], 200)
        hop, other = ({"host": "127.0.0.1", "port": m.port} for m in (self.plain, self.mx))
        self.assertEqual(people["dana"].ask("POST", "/probe", hop)[1]["banner"], "220 mx.lab ESMTP")
        self.assertEqual(people["olga"].ask("POST", "/probe", hop)[0], 200)
        # No scanner of the networks behind us: not those of others, not just any port.
        for name, body, status in (("dana", other, 404), ("dora", hop, 404), ("olga", other, 404), ("ada", hop, 403),
                                   ("olga", {"host": "a b"}, 400), ("olga", {"host": "127.0.0.1", "port": 70000}, 400)):
            self.assertEqual(people[name].ask("POST", "/probe", body)[0], status, (name, body))
        self.assertEqual(people["olga"].ask("POST", "/probe", hop, csrf=False)[0], 403)

    def test_hostile_servers(self):
        """Nonsense, a flood, words before they are asked for, injected behind STARTTLS: said, and it ends."""
        for name, greeting, more, words in (
                ("http", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", "that is no SMTP"),
                ("early", b"220 mx.lab\r\n250 again\r\n", b"", "says more than it is asked"),
                ("flood", b"220-" + b"x" * 3000 + b"\r\n", b"220-" + b"y" * 1000 + b"\r\n", "that is no SMTP"),
                ("gone", b"", b"", "it hung up"),
                ("injected", b"220 mx.lab\r\n", None, "says more than it is asked")):
            with self.subTest(name), socket.create_server(("127.0.0.1", 0)) as s:
                def serve(s=s, greeting=greeting, more=more):
                    c, _ = s.accept()
                    with c:
                        try:
                            c.sendall(greeting)
                            if more is None:
                                c.recv(1000)
                                c.sendall(b"250-mx.lab\r\n250 STARTTLS\r\n")
                                c.recv(1000)
                                c.sendall(b"220 go\r\n250 injected\r\n")
                            for _ in range(500 if more else 0):
                                c.sendall(more)
                            if greeting:
                                c.recv(1000)
                        except (OSError, ssl.SSLError):
                            pass
                t = threading.Thread(target=serve, daemon=True)
                t.start()
                o, _ = self.probe("127.0.0.1", s.getsockname()[1], status=1)
                self.assertIn(words, o["error"])
                self.assertFalse(o["ok"])


if __name__ == "__main__":
    unittest.main()
