"""What an administrator sees of mail from the world: in the journal, in status, in doctor, of one address."""
import json
import re
import socket
import threading
import unittest

import lab

STRANGER = "127.0.0.3"
ZONES = {
    "lab": [],
    # RFC 7208: only 127.0.0.2 may send; RFC 7489: what fails is refused
    "sender.lab": ['@ TXT "v=spf1 ip4:127.0.0.2 -all"', '_dmarc TXT "v=DMARC1; p=reject"'],
    "good.lab": ["3.0.0.127 A 127.0.0.5"],
    "gone.lab": ["other A 127.0.0.2"],
    "all.lab": ["* A 127.0.0.2"],
    "shy.lab": ["* A 127.255.255.254"],
    "names.lab": ["test A 127.0.1.2"],
    # RFC 5782, 5: 127.0.0.2 is on every list, 127.0.0.1 on none
    "bl.lab": ["2.0.0.127 A 127.0.0.2", "3.0.0.127 A 127.0.0.2"],
    "uribl.lab": ["evil.lab A 127.0.0.2", "2.0.0.127 A 127.0.0.14"],
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
        common = {"dkim": "none", "arc": "none", "dnsbl": ["bl"], "reputation": 30, "experience": 50, "bayes": None, "bounce": None, "spam": None, "lists": []}
        want = {bad: {**common, "spf": "fail", "dmarc": "fail", "dmarc_policy": "reject", "links": ["evil.lab"], "proved": None},
                good: {**common, "spf": "pass", "dmarc": "pass", "dmarc_policy": "none", "links": [], "proved": "sender.lab"}}
        line = {bad: "identity: spf=fail, dkim=none, dmarc=fail p=reject, arc=none, dnsbl=bl, reputation=30, links=evil.lab\n",
                good: "identity: spf=pass, dkim=none, dmarc=pass, arc=none, dnsbl=bl, reputation=30\n"}
        for ref in (bad, good):
            lab.wait_for(lambda: self.json("trace", ref)[0].get("time"), because="the journal has it")
            self.assertEqual(self.json("explain", ref)[0]["identity"], want[ref])
            self.assertEqual(self.json("trace", ref)[0]["identity"], want[ref])
            self.assertIn(line[ref], self.lab.tool("explain", ref))
            self.assertIn("  " + line[ref], self.lab.tool("trace", ref))

    # -- doctor, status --------------------------------------------------------------------

    def doctor(self, topic):
        r = self.lab.tool("--json", "doctor", check=False)
        return {(v["verdict"], v["detail"]) for v in map(json.loads, r.stdout.splitlines()) if v["topic"] == topic}

    def doctored(self, **over):
        self.start(doctor={"probe": [], "blocklists": []}, **over)

    def test_doctor_lists(self):
        """Alive are those that have their test entries; what they are counted for does not matter there."""
        self.doctored(verify={"dnsbl": [{"zone": "bl.lab", "answers": ["127.0.0.9"]}, "gone.lab", "all.lab", "shy.lab"],
                              "uribl": ["uribl.lab", "names.lab", "all.lab"]})
        got = self.doctor("lists")
        self.assertEqual({d for v, d in got if v == "ok"}, {z + " is alive" for z in ("bl.lab", "uribl.lab", "names.lab")})
        wrong = sorted(d for v, d in got if v == "wrong")
        self.assertEqual(len(wrong), 4, wrong)
        for have, want in zip(wrong, ("all.lab lists 127.0.0.1, ", "all.lab lists invalid, ", "gone.lab does not list 127.0.0.2, ",
                                      "shy.lab: the list does not answer public resolvers")):
            self.assertTrue(have.startswith(want), (have, want))

    def test_doctor_callout(self):
        """A server that takes every address makes it useless; no mail is sent to find out."""
        self.mx.reply = lambda line, session: "550 5.1.1 no such user" if line.startswith("RCPT") else None
        self.doctored(domain={"recipients": "callout"})
        (verdict, text), = self.doctor("callout")
        self.assertEqual(verdict, "ok", text)
        self.mx.reply = lambda line, session: None
        (verdict, text), = self.doctor("callout")
        self.assertEqual(verdict, "wrong", text)
        self.assertIn("takes every address", text)
        self.mx.reply = lambda line, session: "451 4.3.0 later" if line.startswith("RCPT") else None
        (verdict, text), = self.doctor("callout")
        self.assertEqual(verdict, "wrong", text)
        self.assertIn("does not say who exists", text)
        self.assertEqual(self.mx.messages, [])

    def test_doctor_filter(self):
        """Dead, deaf, another program, and what rspamd says to a ping. Unrated mail is counted."""
        said = []
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def serve():
            while True:
                try:
                    c = server.accept()[0]
                except OSError:
                    return
                self.asked = c.recv(65536)
                if said[0]:
                    c.sendall(said[0])
                    c.close()
        threading.Thread(target=serve, daemon=True).start()
        dead = lab.free_port()
        self.doctored(antispam={"rspamd": "127.0.0.1:%d" % dead}, policy="spam: {source: rspamd}\n")
        (verdict, text), = self.doctor("filter")
        self.assertEqual((verdict, text.split(": ")[1]), ("wrong", "Connection refused"))
        self.assertEqual(self.lab.counter("inbound_unrated"), 0)
        self.assertEqual(self.send("127.0.0.2")[0], 250)
        self.assertEqual(self.lab.counter("inbound_unrated"), 1)
        out = self.lab.tool("status", check=False).stdout
        self.assertIn("1 messages are not rated", out)
        self.assertIn("from the world: 1 looked into, 0 of them late or without DNS, 0 failed DMARC, 1 not rated", out)
        self.lab.stop_postern()
        self.doctored(antispam={"rspamd": "127.0.0.1:%d" % server.getsockname()[1]}, policy="spam: {source: rspamd}\n")
        for answer, want in ((b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npong\r\n", "ok"), (b"220 smtp\r\n", "wrong"), (b"", "wrong")):
            said[:] = [answer]
            (verdict, text), = self.doctor("filter")
            self.assertEqual(verdict, want, (answer, text))
            self.assertTrue(self.asked.startswith(b"GET /ping HTTP/1.0\r\n"))

    # -- simulate ------------------------------------------------------------------------

    def whys(self, client, *to):
        said, = self.json("simulate", "--client", client, "--from", "a@sender.lab", "--to", ",".join(to))
        got = [d for d in said["dialogue"] if d["command"].startswith("RCPT")]
        self.assertEqual({d["code"] for d in got}, {250})
        return [d["why"]["text"] for d in got]

    def test_simulate(self):
        """What would be asked about a recipient is said, and nobody is asked."""
        asked = []
        self.mx.reply = lambda line, session: asked.append(line)
        self.start(domain={"recipients": "callout", "greylist": {"delay": "5m", "exempt": ["192.0.2.0/24"]}})
        grey, callout = "a stranger is told to come back in 300 s", "the server behind us is asked whether he exists"
        self.assertEqual(self.whys("198.51.100.7", "b@example.lab", "postmaster@example.lab"),
                         ["our domain example.lab; %s; %s" % (grey, callout), "our domain example.lab; " + grey])
        self.assertEqual(self.whys("192.0.2.1", "b@example.lab", "postmaster@example.lab"),
                         ["our domain example.lab; " + callout, "our domain example.lab"])
        self.assertEqual((asked, self.lab.counter("recipients_asked"), self.lab.counter("recipients_greylisted")), ([], 0, 0))
        self.lab.stop_postern()
        self.start(domain={"recipients": "ldap"}, directory={"corp": {"servers": ["ldap://127.0.0.1:%d" % lab.free_port()],
                                                             "base": "dc=example,dc=lab"}})
        self.assertEqual(self.whys("192.0.2.1", "b@example.lab"), ["our domain example.lab; the directory is asked whether he exists"])

    # -- one address -----------------------------------------------------------------------

    def test_reputation(self):
        """Lists with their answers and weights, what follows of them, limits and locks, exemptions, last messages."""
        lists = [{"zone": "bl.lab", "name": "bl", "weight": 20}, {"zone": "bl.lab", "name": "coded", "answers": {"127.0.0.2": 15, "127.0.0.3": 40}},
                 {"zone": "good.lab", "name": "good", "allow": True, "weight": 5}, "gone.lab", "shy.lab"]
        policy = """limits:
  - {id: strangers, per: client, allow: 2 messages / 1h, then: {lock: 1h},
     exempt: [{match: 127.0.0.8/30, owner: mail@example.lab, until: 2099-01-01, reason: a partner}]}
"""
        self.start(policy=policy, verify={"dnsbl": lists})
        self.assertEqual(self.send(STRANGER)[0], 250)
        ref = self.send(STRANGER)[1]
        got, = self.json("reputation", STRANGER)
        # 127.0.0.3 of bl.lab is 127.0.0.2: 20 and 15; good.lab takes 5 off; nobody else says anything: 50 - 20 - 15 + 5
        self.assertEqual((got["v"], got["address"], got["reputation"], got["locked"]), (1, STRANGER, 20, False))
        self.assertEqual([(x["name"], x["state"], x["answer"], x["weight"]) for x in got["lists"]],
                         [("bl", "listed", "127.0.0.2", 20), ("coded", "listed", "127.0.0.2", 15), ("good", "listed", "127.0.0.5", 5),
                          ("gone.lab", "clear", None, 0), ("shy.lab", "unknown", "127.255.255.254", 0)])
        self.assertEqual([(x["limit"], x["used"], x["allow"]) for x in got["limits"]], [("strangers", 2, 2)])
        self.assertEqual((got["exemptions"], got["trusted"]), ([], []))
        lab.wait_for(lambda: len(self.json("reputation", STRANGER)[0]["messages"]) == 2, because="the journal has them")
        self.assertEqual(self.json("reputation", STRANGER)[0]["messages"][0]["id"], ref)
        with self.lab.smtp(STRANGER) as s:
            s.ehlo()
            self.assertEqual(s.mail("a@sender.lab")[0], 250)
            self.assertEqual(s.rcpt("b@example.lab")[0], 250)
            self.assertEqual(s.docmd("DATA")[0], 451)
        r = self.lab.tool("reputation", STRANGER, check=False)
        self.assertEqual(r.returncode, 1)
        for words in ("127.0.0.3: reputation 20 of 100, locked by a limit\n", "-20", "+5", "the list does not answer public resolvers",
                      "strangers: locked for ", ref, "<a@sender.lab> to b@example.lab: "):
            self.assertIn(words, r.stdout)
        r = self.lab.tool("reputation", "127.0.0.9", check=False)
        self.assertEqual(r.returncode, 0)
        self.assertIn("127.0.0.9: reputation 50 of 100\n", r.stdout)
        self.assertRegex(r.stdout, r"127\.0\.0\.8/30 is exempt from strangers until 2099-01-0[12] .*, mail@example\.lab: a partner\n")
        self.assertIn("none in the journal", r.stdout)
        self.assertEqual(self.lab.tool("reputation", "nowhere", check=False).returncode, 2)
        self.lab.stop_postern()
        r = self.lab.tool("--json", "reputation", STRANGER, check=False)
        self.assertEqual(r.returncode, 3)
        got = json.loads(r.stdout)
        self.assertEqual((got["reputation"], got["limits"], got["messages"]), (20, None, None))


if __name__ == "__main__":
    unittest.main()
