"""Blocklists of the domains that links lead to, asked by the verifier over a real DNS."""
import unittest

import lab


class Uribl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("uribl")
        cls.addClassCleanup(cls.lab.close)
        cls.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"],
                     "uribl.lab": ["evil.lab A 127.0.0.2", "shop.lab A 127.0.0.8", "example.lab A 127.0.0.2",
                                   "9.2.0.192 A 127.0.0.2"],
                     "angry.lab": ["* A 127.255.255.254"]})
        cls.back = cls.lab.mx()
        cls.lab.policy("version: 1\nrules:\n"
                       "  - {id: listed, direction: inbound, when: {url: {listed: true}}, then: {reject: \"5.7.1 bad link\"}}\n"
                       "  - {id: clear, direction: inbound, when: {url: {listed: false}}, then: {add_header: {X-Links: clear}}}\n")

    def start(self, *lists):
        self.lab.config(
            domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % self.back.port]}}, verify={"uribl": list(lists)},
            listeners=[{"name": "mx", "address": "127.0.0.1:%d" % self.lab.ports.setdefault("smtp", lab.free_port()),
                        "direction": "inbound"}])
        self.lab.start_postern()
        self.addCleanup(self.lab.stop_postern)

    def code(self, body, html=False):
        return self.lab.send("u@example.lab", sender="x@partner.lab", body=body,
                             headers=["Content-Type: text/%s; charset=utf-8" % ("html" if html else "plain")])[0]

    def test_links(self):
        self.start({"zone": "uribl.lab", "name": "ours", "answers": ["127.0.0.2"]})
        for body, html, code in (("see http://evil.lab/x", False, 550), ("see www.deep.evil.lab now", False, 550),
                                 ("<a href='https://EVIL.lab:8080/?q'>shop</a>", True, 550), ("see http://192.0.2.9/x", False, 550),
                                 ("see http://shop.lab/", False, 250),          # another answer of the list: not this kind
                                 ("see http://good.lab/", False, 250), ("see https://example.lab/", False, 250),       # ours
                                 ("no link", False, 250),
                                 ("\r\n".join("http://d%d.lab/" % i for i in range(30)) + "\r\nhttp://evil.lab/", False, 550)):
            self.assertEqual(self.code(body, html), code, body[:60])
        self.assertIn("links=evil.lab", self.lab.log())

    def test_a_list_that_refuses_us(self):
        """It lists nobody, and what it did not say is not known: neither rule holds."""
        n = len(self.back.messages)
        self.start("angry.lab")
        self.assertEqual(self.code("see http://evil.lab/x"), 250)
        self.assertNotIn(b"X-Links", self.back.wait(n + 1)[n][2])


if __name__ == "__main__":
    unittest.main()
