"""What an administrator sees of mail from the world: in the journal, in status, in doctor, of one address."""
import json
import re
import unittest

import lab

STRANGER = "127.0.0.3"
ZONES = {
    "lab": [],
    # RFC 7208: only 127.0.0.2 may send; RFC 7489: what fails is refused
    "sender.lab": ['@ TXT "v=spf1 ip4:127.0.0.2 -all"', '_dmarc TXT "v=DMARC1; p=reject"'],
    # RFC 5782, 5: 127.0.0.2 is on every list, 127.0.0.1 on none
    "bl.lab": ["2.0.0.127 A 127.0.0.2", "3.0.0.127 A 127.0.0.2"],
    "uribl.lab": ["evil.lab A 127.0.0.2"],
}
LISTS = {"dnsbl": [{"zone": "bl.lab", "name": "bl", "weight": 20}], "uribl": [{"zone": "uribl.lab", "name": "ours"}]}


class Seen(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("seen")
        self.addCleanup(self.lab.close)
        self.lab.dns(ZONES)
        self.mx = self.lab.mx()

    def start(self, policy="use: [postern/inbound]\n", domain=(), **over):
        self.lab.policy("version: 1\n" + policy)
        port = self.lab.ports.setdefault("smtp", lab.free_port())
        self.lab.config(listeners=[{"name": "mx", "address": "127.0.0.1:%d" % port, "direction": "inbound"}],
                        domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % self.mx.port], **dict(domain)}}, **over)
        self.lab.start_postern()

    def send(self, source, body="Hello.\r\n"):
        """(code, id)"""
        code, text = self.lab.send("b@example.lab", sender="a@sender.lab", source=source, body=body)
        return code, re.search(r"(?:accepted as |\(ref )(\w+)", text).group(1)

    def json(self, *args):
        return [json.loads(line) for line in self.lab.tool("--json", *args).splitlines()]

    # -- the journal ---------------------------------------------------------------------

    def test_journal(self):
        """Of a message that was refused, and of one that arrived: found out, kept, shown."""
        self.start(verify=LISTS)
        code, bad = self.send(STRANGER, "see http://evil.lab/x\r\n")
        self.assertEqual(code, 550)
        code, good = self.send("127.0.0.2")
        self.assertEqual(code, 250)
        self.lab.queue_empty()
        common = {"dkim": "none", "arc": "none", "dnsbl": ["bl"], "reputation": 30, "spam": None}
        want = {bad: {**common, "spf": "fail", "dmarc": "fail", "dmarc_policy": "reject", "links": ["evil.lab"]},
                good: {**common, "spf": "pass", "dmarc": "pass", "dmarc_policy": "none", "links": []}}
        line = {bad: "identity: spf=fail, dkim=none, dmarc=fail p=reject, arc=none, dnsbl=bl, reputation=30, links=evil.lab\n",
                good: "identity: spf=pass, dkim=none, dmarc=pass, arc=none, dnsbl=bl, reputation=30\n"}
        for ref in (bad, good):
            lab.wait_for(lambda: self.json("trace", ref)[0].get("time"), because="the journal has it")
            self.assertEqual(self.json("explain", ref)[0]["identity"], want[ref])
            self.assertEqual(self.json("trace", ref)[0]["identity"], want[ref])
            self.assertIn(line[ref], self.lab.tool("explain", ref))
            self.assertIn("  " + line[ref], self.lab.tool("trace", ref))


if __name__ == "__main__":
    unittest.main()
