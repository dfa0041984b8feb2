"""Mail from the world with the second engine of SPF, and with DMARC by tree walk, in the caged verifier."""
import re
import unittest

import lab

GOOD, BAD = "127.0.0.2", "127.0.0.3"    # the one address that SPF permits, and another


class Engines(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("engines")
        self.addCleanup(self.lab.close)

    def start(self, verify):
        self.lab.dns({"sender.lab": ['@ TXT "v=spf1 include:i.sender.lab -all"', 'i TXT "v=spf1 ip4:127.0.0.2 exists:no.sender.lab ~all"',
                                     '_dmarc TXT "v=DMARC1; p=reject"', 'sub TXT "v=spf1 ip4:127.0.0.2 -all"',
                                     '_dmarc.sub TXT "v=DMARC1; p=quarantine; psd=n"'], "lab": [], "example.lab": []})
        self.mx = self.lab.mx()
        self.lab.ports["smtp"] = port = lab.free_port()
        self.lab.policy("version: 1\nuse: [postern/inbound]\n")
        self.lab.config(listeners=[{"name": "mx", "address": "127.0.0.1:%d" % port, "direction": "inbound"}],
                        domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % self.mx.port]}}, verify=verify)
        self.lab.start_postern()

    def send(self, source, author="sender.lab", sender="a@sender.lab"):
        """(code, what was found out)"""
        raw = lab.message("Hello.\r\n", "a@" + author, ["b@example.lab"])
        code, text = self.lab.send("b@example.lab", sender=sender, raw=raw, source=source)
        ref = re.search(r"(?:accepted as |\(ref )(\w+)", text).group(1)
        return code, re.search(r"%s: identity: (.*)" % ref, self.lab.log()).group(1)

    def test_both(self):
        """libspf2 lets every loopback client pass: it is counted, and the strict result stands."""
        self.start({"spf": {"engine": "both"}})
        code, found = self.send(GOOD)
        self.assertEqual(code, 250)
        self.assertIn("spf=pass", found)
        code, found = self.send(BAD)
        self.assertEqual(code, 550)
        self.assertIn("spf=fail", found)
        lab.wait_for(lambda: self.lab.counter("spf_compared") == 2, because="two comparisons")
        self.assertEqual(self.lab.counter("spf_disagreements"), 1)

    def test_libspf2_alone(self):
        self.start({"spf": {"engine": "libspf2"}})
        code, found = self.send(BAD)
        self.assertEqual(code, 250)
        self.assertIn("spf=pass", found)
        self.assertEqual(self.lab.counter("spf_compared"), 0)

    def test_tree_walk(self):
        """psd=n cuts sub.sender.lab off from sender.lab, which the Public Suffix List would not."""
        self.start({"dmarc": {"discovery": "tree-walk"}})
        code, found = self.send(GOOD)
        self.assertEqual(code, 250)
        self.assertIn("dmarc=pass", found)
        code, found = self.send(GOOD, author="sub.sender.lab")
        self.assertIn("spf=pass", found)
        self.assertIn("dmarc=fail", found)


if __name__ == "__main__":
    unittest.main()
