"""The page behind links to approve, as a browser meets it: over TLS, from the link in the real mail.

To look decides nothing, to press a button does, once. What is forged, too old, oversized or slow gets nowhere.
"""
import base64
import html
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import unittest
import urllib.parse

import lab
import test_actions
from test_actions import CARD, mixed, parse


class Page(test_actions.Lab):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("approve")
        cls.addClassCleanup(cls.lab.close)
        cls.mx = cls.lab.mx(esmtp=("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 50000000"))
        zones = {d: ["@ MX 10 mx", "mx A 127.0.0.1"] for d in ("partner.lab", "hold.lab", "expire.lab")}
        zones["example.lab"] = ["@ MX 10 mx", "mx A 127.0.0.1", cls.lab.dkim_key("example.lab", "s1")]
        cls.lab.dns(zones)
        cls.port = lab.free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", cls.lab.path("gw.key"), "-out",
                        cls.lab.path("gw.pem")], check=True, capture_output=True)
        cls.configure("https://localhost:%d/approve?token=" % cls.port)
        cls.lab.policy(test_actions.POLICY)
        cls.lab.start_postern()
        cls.tls = ssl.create_default_context(cafile=cls.lab.path("gw.pem"))

    @classmethod
    def configure(cls, url, **console):
        cls.lab.config(delivery={"port": cls.mx.port, "retry": ["1s"]}, postmaster="postmaster@example.lab",
                       tls={"certificate": "gw.pem", "key": "gw.key"}, approvals={"url": url},
                       console={"address": "127.0.0.1:%d" % cls.port, **console},
                       domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % cls.mx.port],
                                                "dkim": [{"selector": "s1", "key": "keys/s1.example.lab.pem"}]}})

    @classmethod
    def tearDownClass(cls):
        pass

    # -- a browser -------------------------------------------------------------------
    def ask(self, method, target, body=None, **headers):
        """(status, headers, text)"""
        c = http.client.HTTPSConnection("localhost", self.port, context=self.tls, timeout=60)
        try:
            c.request(method, target, body, {k.replace("_", "-"): v for k, v in headers.items()})
            r = c.getresponse()
            return r.status, r.headers, r.read().decode()
        finally:
            c.close()

    def link(self, to, ident):
        """The link in the mail to an approver about a message, as path and query."""
        def there():
            with self.mx.lock:
                mails = [parse(m[2]) for m in self.mx.messages if to in m[1]]
            return [u for m in mails if ident in m.get_content() for u in re.findall(r"https://\S+", m.get_content())]
        url = urllib.parse.urlsplit(lab.wait_for(there, because="the mail to " + to)[0])
        self.assertEqual(url.netloc, "localhost:%d" % self.port)
        return url.path + "?" + url.query

    def token(self, link):
        return link.split("token=")[1]

    def post(self, link, decision="approve", reason="", **headers):
        """What a browser sends for one of the page's forms."""
        form = urllib.parse.urlencode({"token": self.token(link), "decision": decision, "reason": reason})
        return self.ask("POST", "/approve", form, Content_Type="application/x-www-form-urlencoded", **headers)

    def held(self, ident):
        return lab.wait_for(lambda: [l for l in self.lab.control({"cmd": "held.list", "selector": ident, "all": True})
                                     if "id" in l], because="the hold of " + ident)[0]

    def votes(self, ident):
        return self.held(ident).get("votes", [])

    # -- decisions -------------------------------------------------------------------
    def test_two_persons(self):
        raw = mixed(exe=True, subject="<script>alert(1)</script> & \"x\"").replace(b"setup.exe", b"<img src=x>.exe")
        ident = self.send("b@hold.lab", raw)
        one, two = self.link("dpo1@example.lab", ident), self.link("dpo2@example.lab", ident)
        status, headers, page = self.ask("GET", one)
        self.assertEqual(status, 200)
        text = html.unescape(page)
        for word in (ident, "a@example.lab", "b@hold.lab", "two", "payment-card", "dpo1@example.lab", "<script>alert(1)"):
            self.assertIn(word, text)
        self.assertNotIn(CARD, text)
        self.assertNotIn("<script", page)
        self.assertNotIn("<img", page)
        self.assertEqual(re.findall(r'name="decision" value="(\w+)"', page), ["approve", "deny"])
        self.assertEqual(re.findall(r'name="token" value="([^"]+)"', page), [self.token(one)] * 2)
        # what a browser is told
        self.assertEqual(headers["Cache-Control"], "no-store")
        self.assertEqual(headers["Referrer-Policy"], "no-referrer")
        self.assertEqual(headers["X-Frame-Options"], "DENY")
        csp = headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'", csp)
        style = re.search(r"<style>(.*?)</style>", page, re.S).group(1).encode()
        digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary"], input=style, capture_output=True, check=True).stdout
        self.assertIn("'sha256-%s'" % base64.b64encode(digest).decode(), csp)
        # in French, and with the token in the path
        self.assertIn("Approuver", self.ask("GET", one, Accept_Language="fr-FR,fr;q=0.9,en;q=0.5")[2])
        self.assertEqual(self.ask("GET", "/approve/" + self.token(one))[0], 200)
        # to look decides nothing, however often, nor does HEAD
        status, headers, body = self.ask("HEAD", one)
        self.assertEqual((status, body), (200, ""))
        self.assertEqual(self.votes(ident), [])
        status, _, page = self.post(one)
        self.assertEqual(status, 200)
        self.assertIn("You have approved", page)
        self.assertIn("another person", page)
        self.assertEqual(self.votes(ident), [{"address": "dpo1@example.lab", "decision": "approve"}])
        # a second press says what was decided, and the other button does not change it
        self.assertIn("You have approved", self.post(one, "deny")[2])
        self.assertEqual(self.votes(ident), [{"address": "dpo1@example.lab", "decision": "approve"}])
        self.assertEqual(self.held(ident)["state"], "waiting")
        # the second sees the first
        page = self.ask("GET", two)[2]
        self.assertIn("dpo1@example.lab: approved", page)
        self.assertIn("1 of 2", page)
        self.assertIn("being sent", self.post(two, reason="fine with me\r\nX: y")[2])
        self.arrived(1, "b@hold.lab")
        lab.wait_for(lambda: self.held(ident)["state"] == "released", because="the row to be done")
        self.assertIn("It was released", self.ask("GET", one)[2])
        trace = lab.wait_for(lambda: (lambda t: t if "fine with me" in t else None)(self.lab.tool("trace", ident)),
                             because="the journal")
        for word in ("dpo1@example.lab", "dpo2@example.lab", "via link"):
            self.assertIn(word, trace)
        for link in (one, two):
            self.assertNotIn(self.token(link), self.lab.log())

    def test_denied(self):
        ident = self.send("b@hold.lab", mixed(exe=False))
        one, two = self.link("dpo1@example.lab", ident), self.link("dpo2@example.lab", ident)
        self.assertIn("You have denied", self.post(one, "deny", "ask the client first")[2])
        lab.wait_for(lambda: [m for m in self.arrived(1, "a@example.lab") if b"ask the client first" in m[2]],
                     because="the sender to be told")
        status, _, page = self.post(two)
        self.assertEqual(status, 410)
        self.assertIn("decided already", page)
        self.assertRegex(self.held(ident)["state"], "reject")

    def test_expired_and_forged(self):
        ident = self.send("b@expire.lab", mixed(exe=False, subject="reject"))
        late = self.link("dpo1@example.lab", ident)
        lab.wait_for(lambda: self.held(ident)["state"] == "rejected", because="its time to be over")
        lab.wait_for(lambda: self.ask("GET", late)[0] == 404, because="the link to be too old")
        self.assertEqual(self.post(late)[0], 404)
        good = self.send("b@hold.lab", mixed(exe=False))
        link = self.link("dpo1@example.lab", good)
        bent = link[:-30] + ("A" if link[-30] != "A" else "B") + link[-29:]
        pages = {self.ask("GET", "/approve?token=" + t)[2] for t in (self.token(bent), "x", "A" * 87, "%00" * 20, "A" * 4000)}
        self.assertEqual(len(pages), 1)         # all the same: nothing is learnt from them
        self.assertEqual(self.ask("GET", bent)[0], 404)
        self.assertEqual(self.post(bent)[0], 404)
        self.assertEqual(self.votes(good), [])
        self.assertRegex(self.lab.log(), r"a link to approve is refused, from 127\.0\.0\.1: .*not one of this gateway")
        self.assertNotIn(self.token(bent), self.lab.log())

    # -- what is not served ------------------------------------------------------------
    def test_other_requests(self):
        ident = self.send("b@hold.lab", mixed(exe=False))
        link = self.link("dpo1@example.lab", ident)
        self.assertEqual(self.ask("GET", "/healthz")[::2], (200, "ok\n"))
        for method, target in (("POST", "/"), ("GET", "/approve"), ("GET", "/approve?token="), ("PUT", link), ("DELETE", link),
                               ("OPTIONS", "/approve"), ("POST", "/healthz"), ("GET", "/approve/../healthz"), ("GET", "//healthz"),
                               ("GET", "/healthz/"), ("GET", "/../../etc/passwd"), ("GET", "/%61pprove?token=x"),
                               ("GET", "/approve?token=a&token=b"), ("GET", "/metrics"), ("POST", link)):
            with self.subTest(method=method, target=target):
                self.assertEqual(self.ask(method, target, "" if method == "POST" else None)[0], 404)
        # a decision that is none; a body that is no form
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        self.assertEqual(self.ask("POST", "/approve", "token=%s&decision=maybe" % self.token(link), **form)[0], 400)
        self.assertEqual(self.ask("POST", "/approve", "token=%s&decision=approve" % self.token(link), Content_Type="text/plain")[0], 404)
        self.assertEqual(self.votes(ident), [])
        # too much
        status, _, _ = self.ask("POST", "/approve", "token=%s&decision=approve&x=%s" % (self.token(link), "x" * 20000), **form)
        self.assertEqual(status, 413)
        self.assertEqual(self.ask("GET", "/healthz", X_Long="x" * 9000)[0], 431)
        self.assertEqual(self.votes(ident), [])

    def raw(self):
        return self.tls.wrap_socket(socket.create_connection(("localhost", self.port), 60), server_hostname="localhost")

    def test_malformed(self):
        for request, status in ((b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200), (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
                                (b"GET /healthz HTTP/2.0\r\n\r\n", 505),
                                (b"GET http://x/ HTTP/1.1\r\n\r\n", 400), (b"GET /healthz HTTP/1.1\r\n folded: x\r\n\r\n", 400),
                                (b"POST /approve HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
                                (b"POST /approve HTTP/1.1\r\n\r\n", 411),
                                (b"POST /approve HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
                                (b"POST /approve HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400)):
            with self.subTest(request=request), self.raw() as s:
                s.sendall(request)
                self.assertIn(b"HTTP/1.1 %d " % status, s.recv(65536))

    def test_slow_clients(self):
        """They are hung up on, and nobody waits for them."""
        slow = [self.raw() for _ in range(40)]
        for s in slow:
            s.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        mute = [socket.create_connection(("localhost", self.port), 60) for _ in range(100)]
        self.assertEqual(self.ask("GET", "/healthz")[0], 200)
        for s in slow:
            try:
                self.assertEqual(s.recv(100), b"")      # the end comes without an answer
            except (ConnectionError, ssl.SSLError):
                pass
            s.close()
        for s in mute:
            s.close()

    # -- its life ---------------------------------------------------------------------
    def test_reload(self):
        """A new generation takes over; the link of before leads to it."""
        ident = self.send("b@hold.lab", mixed(exe=False))
        link = self.link("dpo1@example.lab", ident)
        old = self.lab.pids("console")
        self.lab.tool("reload")
        new = lab.wait_for(lambda: [p for p in self.lab.pids("console") if p not in old], because="the new console")
        self.assertEqual(len(new), 1)
        self.assertEqual(self.ask("GET", link)[0], 200)

    def test_account_and_sandbox(self):
        pid, = self.lab.pids("console")
        with open("/proc/%d/status" % pid) as f:
            status = f.read()
        self.assertRegex(status, r"Seccomp:\s+2")
        self.assertRegex(status, r"NoNewPrivs:\s+1")
        self.assertNotRegex(status, r"Uid:\s+0\s")

    def test_configuration(self):
        """What would be served in the clear to others, or without a certificate, is refused."""
        def check(console, **more):
            other = lab.Lab("approve-config")
            try:
                other.config(console=console, **more)
                return other.tool("check", check=False)
            finally:
                other.close()
        url = {"approvals": {"url": "https://gw.example.lab/approve"}}
        for console, why in (({"address": "0.0.0.0:8443", "tls": "off"}, "loopback address alone"),
                             ({"address": "127.0.0.1:8443"}, "needs a certificate"),
                             ({"tls": "off"}, "needs its `address`"),
                             ({"address": "127.0.0.1:8443", "certificate": "x.pem"}, "go together"),
                             ({"address": "127.0.0.1:8443", "tls": "off", "adress": "x"}, "address")):
            with self.subTest(console=console):
                r = check(console, **url)
                self.assertNotEqual(r.returncode, 0)
                self.assertIn(why, r.stdout + r.stderr)
        r = check({"address": "127.0.0.1:8443", "tls": "off"}, **url)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        r = check({"address": "127.0.0.1:8443", "tls": "off"})
        self.assertIn("no link to the console", r.stdout + r.stderr)

    def test_behind_a_proxy(self):
        """Plain HTTP on a loopback address; and a store that is away is a 503, not a wrong answer."""
        with lab.Lab("approve-plain") as other:
            port = lab.free_port()
            other.config(console={"address": "127.0.0.1:%d" % port, "tls": "off"},
                         approvals={"url": "https://gw.example.lab/approve"})
            other.start_postern()

            def get(target):
                c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                try:
                    c.request("GET", target)
                    return c.getresponse().status
                finally:
                    c.close()
            self.assertEqual((get("/healthz"), get("/approve?token=x")), (200, 404))
            pid, = other.pids("store")
            os.kill(pid, signal.SIGSTOP)
            try:
                self.assertEqual(get("/approve?token=x"), 503)
            finally:
                os.kill(pid, signal.SIGCONT)
            self.assertEqual(get("/approve?token=x"), 404)


if __name__ == "__main__":
    unittest.main()
