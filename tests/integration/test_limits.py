"""Limits over all receivers, locks, exemptions; transcripts; simulate says what a client hears."""
import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import time
import unittest

import lab

REF = re.compile(r"\(ref ([0-9A-Za-z]{11})\)")


class Base(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("limits")
        self.addCleanup(self.lab.close)
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.mx = self.lab.mx()

    def start(self, policy="", **conf):
        self.lab.config(delivery={"port": self.mx.port}, **conf)
        self.lab.policy("version: 1\n" + policy)
        self.lab.start_postern()

    def listener(self, **more):
        port = self.lab.ports.setdefault("smtp", lab.free_port())
        return {"name": "smart-host", "address": "127.0.0.1:%d" % port, "direction": "outbound",
                "allow": ["127.0.0.0/8"], **more}

    def session(self, source="127.0.0.1"):
        s = self.lab.smtp(source)
        self.addCleanup(s.close)
        s.ehlo()
        return s


class Limits(Base):
    def test_who_breaks_out_is_locked(self):
        self.start("limits:\n"
                   "  - {id: outbreak, per: sender, allow: 3 messages / 6s, then: {lock: 1h, notify: soc@example.lab}}\n"
                   "  - {id: day, per: sender, allow: 1000 messages / 1d}\n")
        answers = [self.lab.send("b@partner.lab", sender="bot@example.lab", subject="x%d" % i) for i in range(4)]
        self.assertEqual([c for c, _ in answers], [250] * 3 + [451])
        time.sleep(6.1)     # the six seconds are over, the lock is not
        with self.session() as s:
            code, text = s.mail("bot@example.lab")
        self.assertEqual(code, 451)
        self.assertRegex(text.decode(), r"4\.7\.1 locked by the limit outbreak, .*\(ref ")
        self.assertEqual(self.lab.send("b@partner.lab", sender="good@example.lab")[0], 250)
        self.assertRegex(self.lab.log(), r"bot@example\.lab is locked for 3600 s by the limit outbreak; notify soc@example\.lab")
        # The journal has the notice.
        ref = REF.search(answers[3][1]).group(1)
        lab.wait_for(lambda: "locked" in self.lab.tool("trace", ref, "--events"), because="the event")
        locked = [l for l in self.lab.control({"cmd": "limits.locked"})]
        self.assertEqual([(l["limit"], l["key"], l["locked"]) for l in locked], [("outbreak", "bot@example.lab", True)])
        self.assertAlmostEqual(locked[0]["free_at"], time.time() + 3600, delta=60)
        out = self.lab.tool("limits", "locked")
        self.assertRegex(out, r"outbreak +bot@example\.lab +locked")
        # It outlives its receiver, and ends by an operator's hand.
        os.kill(self.lab.pids("receiver")[0], signal.SIGKILL)
        lab.wait_for(lambda: self.lab.pids("receiver"), because="a new receiver")
        with self.session() as s:
            self.assertEqual(s.mail("bot@example.lab")[0], 451)
        self.assertIn("forgotten", self.lab.tool("limits", "reset", "bot@example.lab"))
        self.assertIn("nobody is locked", self.lab.tool("limits", "locked"))
        self.assertEqual(self.lab.send("b@partner.lab", sender="bot@example.lab")[0], 250)

    def test_exemptions(self):
        self.start("limits:\n  - {id: few, per: sender, allow: 1 messages / 1h, exempt: [\n"
                   "      {match: news@example.lab, owner: it@example.lab, until: 2099-12-31, reason: newsletter},\n"
                   "      {match: old@example.lab, owner: it@example.lab, until: 2020-01-01}]}\n")
        codes = {who: [self.lab.send("b@partner.lab", sender=who + "@example.lab")[0] for _ in range(3)]
                 for who in ("news", "old", "other")}
        self.assertEqual(codes, {"news": [250] * 3, "old": [250, 451, 451], "other": [250, 451, 451]})
        out = self.lab.tool("limits", "exempt")
        self.assertRegex(out, r"news@example\.lab +it@example\.lab +\S.* newsletter")
        self.assertRegex(out, r"old@example\.lab +it@example\.lab +expired")
        r = self.lab.tool("check", check=False)
        self.assertIn("this exemption has expired", r.stdout + r.stderr)

    def test_recipients_a_day(self):
        port = lab.free_port()
        self.lab.write("known.txt", "postmaster@example.lab\nboss@example.lab\n")
        self.start("limits:\n  - {id: spray, per: sender, allow: 3 unique recipients / 1d, then: reject}\n"
                   "  - {id: guess, per: client, allow: 2 invalid recipients / 1d, then: {lock: 10m}}\n",
                   listeners=[self.listener(), {"name": "mx", "address": "127.0.0.1:%d" % port, "direction": "inbound"}],
                   domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % self.mx.port], "recipients": "file:known.txt"}})
        with self.session() as s:
            for _ in range(5):
                s.mail("a@example.lab")
                self.assertEqual([s.rcpt("r%d@partner.lab" % i)[0] for i in range(3)], [250] * 3)
                s.rset()
            s.mail("a@example.lab")
            code, text = s.rcpt("r4@partner.lab")
            self.assertEqual(code, 550, text)
            self.assertIn(b"over the limit spray", text)
            self.assertEqual(s.rcpt("r2@partner.lab")[0], 250)
        with smtplib.SMTP("127.0.0.1", port) as s:
            s.ehlo()
            s.mail("x@elsewhere.lab")
            self.assertEqual([s.rcpt("guess%d@example.lab" % i)[0] for i in range(3)], [550, 550, 451])
            s.rset()
            self.assertEqual(s.mail("y@elsewhere.lab")[0], 451, "the client is locked, whoever it says it is")

    def test_connections(self):
        self.start("limits:\n  - {id: three, per: client, allow: 3 connections}\n",
                   receivers="2", listeners=[self.listener()])
        held = [self.session("127.0.0.7") for _ in range(3)]
        with self.assertRaises(smtplib.SMTPConnectError) as e:
            self.session("127.0.0.7")
        self.assertEqual(e.exception.smtp_code, 421)
        self.assertRegex(e.exception.smtp_error.decode(), REF)
        self.session("127.0.0.8")
        held[0].quit()
        lab.wait_for(lambda: self.connects("127.0.0.7"), because="room again")

    def connects(self, source):
        try:
            self.session(source)
            return True
        except smtplib.SMTPConnectError:
            return False

    def test_sessions_over_all_receivers(self):
        self.start(receivers="3", limits={"sessions": "12"},
                   listeners=[self.listener(limits={"sessions": "8", "sessions_per_client": "100"}),
                              {"name": "second", "address": "127.0.0.1:%d" % self.lab.ports.setdefault("two", lab.free_port()),
                               "direction": "outbound", "allow": ["127.0.0.0/8"]}])
        def fill(port, n):
            got = []
            for _ in range(n):
                s = socket.create_connection(("127.0.0.1", port))
                self.addCleanup(s.close)
                got.append(s.recv(200)[:3])
            return got
        self.assertEqual(sorted(fill(self.lab.ports["smtp"], 10)), [b"220"] * 8 + [b"421"] * 2)
        self.assertEqual(sorted(fill(self.lab.ports["two"], 6)), [b"220"] * 4 + [b"421"] * 2)
        self.assertEqual(self.lab.counter("smtpd_sessions"), 12)

    def test_memory_over_all_receivers(self):
        self.start(receivers="2", limits={"memory": "3MB"}, listeners=[self.listener(max_size="2MB")])
        big = []
        for i in range(2):      # each half a message: 2.6 MB of the three
            s = self.session()
            s.mail("a@example.lab")
            s.rcpt("b@partner.lab")
            self.assertEqual(s.docmd("DATA")[0], 354)
            s.sock.sendall(b"Subject: big\r\n\r\n" + (b"x" * 998 + b"\r\n") * 1300)
            big.append(s)
        lab.wait_for(lambda: self.lab.counter("smtpd_memory_bytes") > 2600000, because="the bytes to be counted")
        s = self.session()
        code, text = s.mail("a@example.lab", ["SIZE=1900000"])
        self.assertEqual((code, text[:5]), (452, b"4.3.1"))
        s.mail("a@example.lab")
        s.rcpt("b@partner.lab")
        with self.assertRaises(smtplib.SMTPDataError) as e:
            code, text = s.data(b"Subject: x\r\n\r\n" + (b"y" * 76 + b"\r\n") * 10000)
            raise smtplib.SMTPDataError(code, text)
        self.assertEqual(e.exception.smtp_code, 452, e.exception)
        self.assertEqual(self.lab.send("b@partner.lab", subject="small")[0], 250)
        for s in big:
            s.sock.sendall(b".\r\n")
            self.assertEqual(s.getreply()[0], 250)
        lab.wait_for(lambda: self.lab.counter("smtpd_memory_bytes") == 0, because="all given back")
        self.assertEqual(self.lab.send("b@partner.lab", body=("y" * 76 + "\r\n") * 10000)[0], 250)

    def test_envelopes_cost_too(self):
        self.start(limits={"memory": "1MB"}, listeners=[self.listener(limits={"errors": "10000"})])
        codes = []
        for n in range(8):
            s = self.session()
            s.mail("a@example.lab")
            for i in range(1000):
                s.sock.sendall(b"RCPT TO:<%s%04d@%s.partner.lab>\r\n" % (b"r" * 60, i, b"d" * 60))
            codes += [s.getreply()[0] for _ in range(1000)]
        self.assertIn(452, codes)
        self.assertLessEqual(self.lab.counter("smtpd_memory_bytes"), 1000000)

    def test_one_id(self):
        """From connect to the remote 250, and in every refusal."""
        self.start("rules:\n  - {id: r, when: {subject: {words: [bad]}}, then: {reject: \"5.7.1 no\"}}\n",
                   listeners=[self.listener(max_size="1MB", limits={"errors": "50"})])
        with self.session() as s:
            refusals = [s.docmd("BOGUS"), s.docmd("RCPT TO:<x@y.lab>"), s.docmd("MAIL FROM:<>", "SIZE=9999999"),
                        s.docmd("MAIL FROM:<a@b", "x"), s.docmd("EXPN x"), s.docmd("DATA")]
            ids = set()
            for code, text in refusals:
                self.assertGreaterEqual(code, 400)
                self.assertRegex(text.decode(), REF)
                ids.add(REF.search(text.decode()).group(1))
            self.assertEqual(len(ids), 1, "the first message has the session's id")
            s.mail("a@example.lab")
            s.rcpt("b@partner.lab")
            code, text = s.data(lab.message(subject="good"))
            self.assertEqual(text.decode().split()[-1], ids.pop())
            first = text.decode().split()[-1]
            s.mail("a@example.lab")
            s.rcpt("b@partner.lab")
            code, text = s.data(lab.message(subject="bad"))
            self.assertEqual(code, 550)
            second = REF.search(text.decode()).group(1)
        self.assertNotEqual(first, second)
        line = r"postern/delivery\[\d+\]: %s: to=<b@partner\.lab>, .*status=sent \(250" % first
        lab.wait_for(lambda: re.search(line, self.lab.log()), because="the remote 250 with the same id")
        self.assertIn("id " + first, self.mx.wait(1)[0][2].decode())
        log = self.lab.log()
        self.assertRegex(log, r"postern/receiver\[\d+\]: %s: reject: session from " % first)
        self.assertRegex(log, r"postern/queue\[\d+\]: %s: from=<a@example\.lab>" % first)
        self.assertRegex(log, r"%s: reject: END-OF-MESSAGE" % second)
        lab.wait_for(lambda: "a@example.lab" in self.lab.tool("trace", second), because="the refusal in the journal")


class Transcripts(Base):
    def test_session(self):
        self.start(receivers="2", listeners=[self.listener(xclient=["127.0.0.1"])])
        self.assertIn("not recording", self.lab.tool("session", "show"))
        self.assertIn("recording sessions of 127.0.0.5", self.lab.tool("session", "start", "--client", "127.0.0.5"))
        for source in ["127.0.0.5"] * 6 + ["127.0.0.1"] * 3:
            s = self.session(source)
            s.docmd("AUTH", "PLAIN c2VjcmV0LWNyZWRlbnRpYWw=")
            s.docmd("AUTH\tPLAIN\tc2VjcmV0LWNyZWRlbnRpYWw=")
            s.docmd("AUTH LOGIN")
            s.docmd("c2VjcmV0LXVzZXI=")      # refused, but some clients go on
            s.mail("a@example.lab")
            s.rcpt("b@partner.lab")
            s.data(lab.message("confidential-body\r\n"))
            s.quit()
        out = self.lab.tool("session", "show")
        self.assertEqual(len(re.findall(r"client 127\.0\.0\.5$", out, re.M)), 6, "of both receivers\n" + out)
        self.assertNotIn("client 127.0.0.1\n", out)
        one = out[:out.index("closed while")]
        for want in (r"S: 220 gw\.example\.lab ESMTP", r"C: ehlo client\.example\.lab", r"C: mail FROM:<a@example\.lab>",
                     r"S: 250 2\.1\.5 recipient ok", r"S: 354 ", r"-- a message of \d+ bytes", r"S: 250 2\.0\.0 accepted as \w{11}",
                     r"C: quit"):
            self.assertRegex(one, "(?im)^  " + want)
        self.assertRegex(one, r"C: AUTH PLAIN …")
        self.assertNotIn("c2VjcmV0", out)
        self.assertNotIn("confidential-body", out)
        lines = [json.loads(l) for l in self.lab.tool("--json", "session", "show").splitlines()]
        self.assertTrue(lines[-1]["on"])
        self.assertEqual({l["client"] for l in lines[:-1]}, {"127.0.0.5"})
        self.assertIn("not recording", self.lab.tool("session", "stop") and self.lab.tool("session", "show"))
        n = len(lines)
        self.session("127.0.0.5").quit()
        self.assertEqual(len(self.lab.tool("--json", "session", "show").splitlines()), n)

    def test_ring_is_bounded(self):
        self.start()
        self.lab.tool("session", "start", "--minutes", "5")
        for _ in range(25):
            with self.session() as s:
                for _ in range(90):
                    s.noop()
        lines = [json.loads(l) for l in self.lab.tool("--json", "session", "show").splitlines()]
        self.assertGreater(lines[-1]["lost"], 0)
        self.assertLessEqual(len(lines), 2049)
        self.assertEqual(lines[-1]["lines"] - lines[-1]["lost"], len(lines) - 1)


class Simulate(Base):
    POLICY = ("rules:\n  - id: no-secrets\n    when: {subject: {words: [secret]}}\n    then: {reject: \"5.7.1 no secrets\"}\n"
              "limits:\n  - {id: few, per: sender, allow: 2 recipients / 1h}\n")

    def simulate(self, *args, **kw):
        r = self.lab.tool("--json", "simulate", *args, check=False, **kw)
        self.assertIn(r.returncode, (0, 1), r.stderr)
        return json.loads(r.stdout)

    def test_the_same_answers(self):
        """What simulate says, command by command, is what the daemon then says."""
        self.start(self.POLICY, networks={"bound": {"addresses": ["127.0.0.2"], "from": ["example.lab"]}},
                   listeners=[self.listener(allow=["network:bound", "127.0.0.1"], max_size="1MB")])
        secret = self.lab.write("secret.eml", lab.message(subject="a secret"))
        plain = self.lab.write("plain.eml", lab.message(subject="plain") + b".dots\r\n..\r\n")
        large = self.lab.write("large.eml", lab.message(body=("x" * 76 + "\r\n") * 20000))
        loop = self.lab.write("loop.eml", b"Received: by gw.example.lab\r\n" * 2 + b"\r\nx\r\n")
        cases = [("127.0.0.9", "a@example.lab", ["b@partner.lab"], None),
                 ("127.0.0.2", "a@other.lab", ["b@partner.lab"], None),
                 ("127.0.0.2", "<>", ["b@partner.lab"], plain),
                 ("127.0.0.1", "s1@example.lab", ["b@partner.lab", "c@partner.lab", "d@partner.lab"], plain),
                 ("127.0.0.1", "s2@example.lab", ["not an address", "b@partner.lab"], secret),
                 ("127.0.0.1", "s3@example.lab", ["b@partner.lab"], large),
                 ("127.0.0.1", "s4@example.lab", ["b@partner.lab"], loop)]
        for client, sender, to, path in cases:
            said = self.simulate("--client", client, "--helo", "x.lab", "--from", sender, "--to", ",".join(to),
                                 *([path] if path else []))
            real = self.real(client, [d["command"] for d in said["dialogue"]], path)
            self.assertEqual([re.sub(r"accepted as \w+", "accepted as", re.sub(REF, "", d["reply"].replace("\r\n", "\n"))) for d in said["dialogue"]],
                             [re.sub(REF, "", r) for r in real], (client, sender, to, path))

    def real(self, client, commands, path):
        answers = []
        with socket.create_connection(("127.0.0.1", self.lab.ports["smtp"]), 30, (client, 0)) as s, s.makefile("rb") as f:
            for c in commands:
                if c.startswith("(the message"):
                    with open(path, "rb") as m:
                        s.sendall(re.sub(rb"(?m)^\.", b"..", m.read()) + b".\r\n")
                elif not c.startswith("(connects"):
                    s.sendall(c.encode() + b"\r\n")
                lines = [f.readline()]
                while lines[-1][3:4] == b"-":
                    lines.append(f.readline())
                answers.append(re.sub(r"accepted as \w+", "accepted as", b"".join(lines).decode().replace("\r\n", "\n").strip()))
        return answers

    def test_which_line_decided(self):
        self.lab.config(networks={"inside": {"addresses": ["10.1.2.3"], "from": ["example.lab"]}},
                        listeners=[self.listener(allow=["network:inside"])])
        self.lab.policy("version: 1\n" + self.POLICY)
        with open(self.lab.path("postern.yaml")) as f:
            lines = f.read().splitlines()
        place = lambda word: 1 + next(i for i, l in enumerate(lines) if word in l)
        w = self.simulate("--client", "10.9.9.9", "--from", "a@example.lab", "--to", "b@partner.lab")["dialogue"][-1]
        self.assertEqual((w["code"], w["why"]["line"]), (554, place('"allow"')))
        w = self.simulate("--client", "10.1.2.3", "--from", "a@evil.lab", "--to", "b@partner.lab")["dialogue"][-1]
        self.assertEqual((w["code"], w["why"]["line"], w["why"]["text"]), (553, place('"inside":'), "`from` of network inside"))
        path = self.lab.write("secret.eml", lab.message(subject="a secret"))
        r = self.simulate("--client", "10.1.2.3", "--from", "a@example.lab", "--to", "b@partner.lab", path)
        w = r["dialogue"][-1]
        self.assertEqual((w["code"], w["why"]["line"], w["why"]["text"]), (550, 3, "rule no-secrets: reject"))
        self.assertTrue(w["why"]["file"].endswith("10-test.yaml"))
        self.assertEqual(r["verdict"]["recipients"][0]["outcome"], "reject")
        r = self.simulate("--client", "10.1.2.3", "--from", "a@example.lab", "--to", "b@p.lab,c@p.lab,d@p.lab")
        w = r["dialogue"][-2]
        self.assertEqual((w["code"], w["why"]["line"], w["why"]["text"]), (451, 7, "limit few"))
        self.assertEqual(self.lab.tool("simulate", "--client", "10.1.2.3", check=False).returncode, 2)
        self.assertEqual(self.lab.tool("simulate", "--client", "x", "--from", "a@b.lab", "--to", "c@d.lab",
                                       check=False).returncode, 2)

    def test_limits_as_the_daemon_counts_them(self):
        self.start(self.POLICY)
        args = ("--client", "127.0.0.1", "--from", "a@example.lab", "--to", "b@partner.lab,c@partner.lab")
        self.assertEqual([d["code"] for d in self.simulate(*args)["dialogue"][3:5]], [250, 250])
        self.assertEqual(self.lab.send("b@partner.lab")[0], 250)
        for _ in range(2):      # asking takes nothing
            self.assertEqual([d["code"] for d in self.simulate(*args)["dialogue"][3:5]], [250, 451])
        self.assertEqual(self.lab.send("b@partner.lab")[0], 250)
        self.assertEqual(self.lab.send("b@partner.lab")[0], 451)


if __name__ == "__main__":
    unittest.main()
