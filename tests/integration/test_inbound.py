"""Mail from the world: who sent it is found out, written on top, and the policy acts on it.

The sender is the whole way: SMTP in, verifier, scanner, spool, SMTP out. Expected results are those of RFC 7208, 6376, 7489
and 8601, worked out here from the records, not read off our own answers.
"""
import glob
import itertools
import os
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import dns_server
import lab
import signing
from test_inbound_dkim import pem

GOOD, BAD = "127.0.0.2", "127.0.0.3"    # the one address that SPF permits, and another
FAR, FORGER = "198.51.100.2", "198.51.100.3"    # likewise, behind a relay
OURS = "example.lab"
SPF = '@ TXT "v=spf1 ip4:127.0.0.2 ip4:198.51.100.2 -all"'


def sender_zone(key, dmarc=None, more=()):
    """A domain with SPF and DKIM, the same for its host `mail`; nospf has none."""
    lines = [SPF, SPF.replace("@", "mail"), "nospf A 127.0.0.9", signing.txt("s._domainkey", signing.record(key)),
             signing.txt("s._domainkey.mail", signing.record(key)), *more]
    return lines + (['_dmarc TXT "%s"' % dmarc] if dmarc else [])


class Inbound(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("inbound")
        self.addCleanup(self.lab.close)
        self.key = signing.new_key()

    def start(self, zones=None, policy="use: [postern/inbound]\n", how=None, listener=(), server=None, **over):
        """Knot, or with `how` a server under our control."""
        if server or how:
            self.names = server or dns_server.NameServer({"lab": [], **zones}, how)
            self.lab.closers.append(self.names.close)
            self.lab.ports["dns"] = self.names.port
        elif zones:
            self.lab.dns({"lab": [], **zones})
        self.mx = self.lab.mx()
        port = self.lab.ports.setdefault("smtp", lab.free_port())
        self.lab.policy("version: 1\n" + policy)
        self.lab.config(listeners=[dict({"name": "mx", "address": "127.0.0.1:%d" % port, "direction": "inbound"}, **dict(listener))],
                        domains={OURS: {"deliver_to": ["127.0.0.1:%d" % self.mx.port]}}, **over)
        self.lab.start_postern()

    def message(self, author="sender.lab", headers=(), body="Hello.\r\n"):
        return lab.message(body, "a@" + author, ["b@" + OURS], headers=headers)

    def send(self, raw, sender="a@sender.lab", source=GOOD):
        """(code, text, the log's line about who sent it)"""
        code, text = self.lab.send("b@" + OURS, sender=sender, raw=raw, source=source)
        ref = re.search(r"(?:accepted as |\(ref )(\w+)", text).group(1)
        line = re.search(r"%s: identity: (.*)" % ref, self.lab.log())
        return code, text, line.group(1) if line else None

    def results(self, i=-1):
        """The fields Authentication-Results of the message that arrived, unfolded."""
        head = self.mx.messages[i][2].partition(b"\r\n\r\n")[0].decode()
        return [re.sub(r"\r\n\s+", " ", m) for m in re.findall(r"^Authentication-Results:((?:.*\r\n\s)*.*)", head + "\r\n", re.M)]

    # -- what is found out -------------------------------------------------------------

    def test_matrix(self):
        """SPF x DKIM x what DMARC asks x alignment: 200 messages."""
        policies = [(p, a) for p in (None, "none", "quarantine", "reject") for a in ("r", "s")]
        zones = {"%s-%s.lab" % (p or "absent", a): sender_zone(self.key, p and "v=DMARC1; p=%s; aspf=%s; adkim=%s" % (p, a, a))
                 for p, a in policies}
        zones["other.lab"] = sender_zone(self.key)
        self.start({**zones, OURS: []})
        spfs = [("pass", "%s", GOOD), ("pass", "mail.%s", GOOD), ("pass", "other.lab", GOOD), ("fail", "%s", BAD), ("none", "nospf.%s", GOOD)]
        dkims = [("pass", "%s"), ("pass", "mail.%s"), ("pass", "other.lab"), ("fail", "%s"), ("none", None)]
        delivered = held = 0
        for (p, strict), (spf, spf_domain, source), (dkim, dkim_domain) in itertools.product(policies, spfs, dkims):
            author = "%s-%s.lab" % (p or "absent", strict)

            def aligned(domain):        # RFC 7489, 3.1: the same; relaxed: the same organisation
                return domain == author or (strict == "r" and domain == "mail." + author)
            spf_domain = spf_domain.replace("%s", author)
            raw = self.message(author)
            if dkim_domain:
                dkim_domain = dkim_domain.replace("%s", author)
                raw = signing.sign(raw, self.key, dkim_domain, "s")
                raw = raw.replace(b"Hello", b"Hullo") if dkim == "fail" else raw
            passes = (spf == "pass" and aligned(spf_domain)) or (dkim == "pass" and aligned(dkim_domain))
            dmarc = "none" if p is None else "pass" if passes else "fail"
            code, text, line = self.send(raw, "x@" + spf_domain, source)
            case = (author, spf, spf_domain, dkim, dkim_domain, text, line)
            self.assertRegex(line, r"^spf=%s \(%s\), dkim=%s\b.*, dmarc=%s\b" % (spf, re.escape(spf_domain), dkim, dmarc), case)
            refused = dmarc == "fail" and p == "reject"
            self.assertEqual(code, 550 if refused else 250, case)
            held += dmarc == "fail" and p == "quarantine"
            delivered += not refused and not (dmarc == "fail" and p == "quarantine")
        self.mx.wait(delivered)
        self.lab.queue_empty()
        self.assertEqual(len(self.mx.messages), delivered)
        kept = self.lab.tool("--json", "quarantine", "list", "--limit", "1000").splitlines()
        self.assertEqual(len([l for l in kept if '"dmarc"' in l]), held)
        self.assertGreater(held, 10)

    def test_field(self):
        """On top, below our Received; by RFC 8601, 2.2. Forged ones are gone, others' stay."""
        self.start({"sender.lab": sender_zone(self.key, "v=DMARC1; p=reject"), OURS: []})
        forged = ["Authentication-Results: gw.example.lab; dkim=pass header.d=bank.lab",
                  "Authentication-Results: GW.Example.LAB 1; spf=pass",
                  "authentication-results:\r\n\t(a (nested) comment) \"gw.example.lab\";\r\n\tdmarc=pass",
                  "Authentication-Results: gw.example.lab.; dmarc=pass",
                  "Authentication-Results : gw.example.lab; dmarc=pass",
                  "Authentication-Results: (never closed gw.example.lab; dmarc=pass"]
        kept = ["Authentication-Results: other.lab; spf=pass smtp.mailfrom=x.lab",
                "Authentication-Results: notgw.example.lab; spf=fail", "X-Authentication-Results: gw.example.lab; spf=pass"]
        raw = signing.sign(self.message(headers=[*forged[:3], *kept, *forged[3:]]), self.key, "sender.lab", "s")
        code, text, line = self.send(raw)
        self.assertEqual(code, 250, text)
        got = self.mx.wait(1)[0][2]
        self.assertRegex(got.split(b"\r\nDKIM-")[0].decode(), r"^Received: from .*\r\n(\t.*\r\n)*Authentication-Results: gw\.example\.lab;\r\n"
                         r"\tspf=pass smtp\.mailfrom=sender\.lab;\r\n\tdkim=pass \(2048-bit key\) header\.d=sender\.lab header\.s=s\r\n"
                         r"\theader\.a=rsa-sha256 header\.b=\S+;\r\n\tdmarc=pass \(p=reject\) header\.from=sender\.lab$")
        self.assertEqual([f.strip() for f in self.results()[1:]], [k.split(":", 1)[1].strip() for k in kept[:2]])
        self.assertIn(b"X-Authentication-Results: gw.example.lab", got)
        self.assertNotIn(b"bank.lab", got)
        self.assertIn("6 forged Authentication-Results taken out", self.lab.log())
        # byte for byte what was sent, but for these lines
        rest = raw
        for f in forged:
            rest = rest.replace(f.encode() + b"\r\n", b"")
        self.assertTrue(got.endswith(rest))
        # the same in a message that travels in a file
        big = self.message(headers=[forged[0]], body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 3000)
        self.assertEqual(self.send(signing.sign(big, self.key, "sender.lab", "s"))[0], 250)
        got = self.mx.wait(2)[1][2]
        self.assertNotIn(b"bank.lab", got)
        self.assertTrue(got.endswith(b"y" * 70 + b"\r\n"))
        self.assertIn("dkim=pass", self.results()[0])
        # more of them than anybody needs
        code, text, line = self.send(self.message(headers=["X-%d: y\r\n%s" % (i, forged[0]) for i in range(1001)]))
        self.assertEqual((code, text[:5]), (554, "5.6.0"))

    def test_null_sender_and_helo(self):
        """A bounce: SPF of HELO (RFC 7208, 2.4); a HELO that is no name has none."""
        self.start({"client.example.lab": [SPF], OURS: []}, verify={"spf": {"engine": "both"}})
        self.assertEqual(self.send(self.message(), "")[0], 250)
        self.mx.wait(1)
        self.assertIn("spf=pass smtp.helo=client.example.lab", self.results()[0])
        self.assertIn("dkim=none", self.results()[0])
        self.assertIn("dmarc=none", self.results()[0])
        self.assertEqual((self.lab.counter("spf_compared"), self.lab.counter("spf_disagreements")), (1, 0))

    def test_who_is_not_asked(self):
        """Clients that may relay, in both directions of an `auto` listener; what comes from the world is."""
        self.start({"sender.lab": sender_zone(self.key, "v=DMARC1; p=reject"), OURS: []},
                   listener={"direction": "auto", "allow": ["127.0.0.5"]})
        raw = self.message(headers=["Authentication-Results: gw.example.lab; spf=pass"])
        code, text, line = self.send(raw, source="127.0.0.5")
        self.assertEqual((code, line), (250, None), text)
        self.mx.wait(1)
        self.assertEqual(len(self.results()), 1)        # a trusted peer's own: RFC 8601, 5
        code, text, line = self.send(raw, source=BAD)
        self.assertEqual(code, 550, text)
        self.assertIn("spf=fail", line)

    def test_arc(self):
        """A list that breaks both: its seal counts where it is trusted, and nowhere else."""
        import dkim
        other = signing.new_key()
        zones = {"sender.lab": sender_zone(self.key, "v=DMARC1; p=reject"), OURS: [],
                 "lists.lab": [SPF, signing.txt("arc._domainkey", signing.record(other))]}
        self.start(zones, verify={"arc": {"trust": ["lists.lab"]}})

        def through(results, domain="lists.lab"):
            raw = b"Authentication-Results: mx.lists.lab; " + results + b"\r\n" + self.message().replace(b"Hello", b"Hello, list")
            c = dkim.ARC(raw)
            return b"".join(c.sign(b"arc", domain.encode(), pem(other), b"mx.lists.lab",
                                   include_headers=[b"from", b"to", b"subject", b"date", b"message-id"])) + raw
        code, text, line = self.send(through(b"dmarc=pass header.from=sender.lab; arc=none"), "list@lists.lab")
        self.assertEqual(code, 250, (text, line))
        self.assertRegex(line, "dmarc=policy .*arc=pass")
        self.mx.wait(1)
        self.assertRegex(self.results()[0], r"dmarc=fail \(p=reject, sealed by lists\.lab\) header\.from=sender\.lab; "
                         r"arc=pass \(i=1\) header\.oldest-pass=0 smtp\.remote-ip=127\.0\.0\.2")
        for results in (b"dmarc=fail header.from=sender.lab; arc=none", b"spf=pass; arc=none",
                        b"spf=fail reason=\"; dmarc=pass\"; arc=none", b"spf=fail (; dmarc=pass ); arc=none"):
            code, text, line = self.send(through(results), "list@lists.lab")
            self.assertEqual(code, 550, (results, text, line))
        raw = through(b"dmarc=pass header.from=sender.lab; arc=none")
        self.assertEqual(self.send(raw.replace(b"Hello, list", b"Hello, you"), "list@lists.lab")[0], 550)
        # the same seal where nobody trusts it
        self.lab.config(listeners=[{"name": "mx", "address": "127.0.0.1:%d" % self.lab.ports["smtp"], "direction": "inbound"}],
                        domains={OURS: {"deliver_to": ["127.0.0.1:%d" % self.mx.port]}}, verify={"arc": {"trust": ["list.lab"]}})
        self.lab.tool("reload")
        self.assertEqual(self.send(raw, "list@lists.lab")[0], 550)

    def test_real_senders(self):
        """Postfix as a host of the Internet, and swaks."""
        self.start({"sender.lab": sender_zone(self.key, "v=DMARC1; p=reject"), OURS: []})
        port = self.lab.postfix("out", {"relayhost": "[127.0.0.1]:%d" % self.lab.ports["smtp"], "smtp_bind_address": GOOD,
                                        "myhostname": "mail.sender.lab"})
        raw = signing.sign(self.message(), self.key, "sender.lab", "s")
        import smtplib
        with smtplib.SMTP("127.0.0.1", port) as s:
            s.sendmail("a@sender.lab", ["b@" + OURS], raw)
        self.mx.wait(1, 60)
        self.assertRegex(self.results()[0], "spf=pass .*dkim=pass .*dmarc=pass")
        r = subprocess.run(["swaks", "--server", "127.0.0.1:%d" % self.lab.ports["smtp"], "--local-interface", BAD, "--from",
                            "a@sender.lab", "--to", "b@" + OURS, "--helo", "mail.sender.lab", "--h-From", "<a@sender.lab>"],
                           capture_output=True, text=True)
        self.assertIn("550 5.7.1 the domain of From: asks to refuse mail that fails DMARC", r.stdout)

    def test_blocklists(self):
        """RFC 5782: who is on which list, by weight; a list that says it does not answer us lists nobody."""
        zones = {"bl.lab": ["3.0.0.127 A 127.0.0.2", "4.0.0.127 A 127.0.0.10", "6.0.0.127 A 127.0.0.2"],
                 "white.lab": ["6.0.0.127 A 127.0.10.3"], "gone.lab": ["* A 127.255.255.254"], OURS: []}
        lists = [{"zone": "bl.lab", "name": "bl", "answers": {"127.0.0.2": "40", "127.0.0.9-11": "5"}},
                 {"zone": "white.lab", "allow": "true", "weight": "30"}, "gone.lab"]
        self.start(zones, verify={"dnsbl": lists}, policy="rules:\n"
                   "  - {id: listed, direction: inbound, when: {dnsbl: bl, reputation: {under: 20}}, then: {reject: \"5.7.1 on a blocklist\"}}\n"
                   "  - {id: gone, direction: inbound, when: {dnsbl: gone.lab}, then: {reject: true}}\n"
                   "  - {id: any, direction: inbound, when: {dnsbl: true}, then: {add_header: {X-Listed: \"yes\"}}}\n"
                   "  - {id: none, direction: inbound, when: {dnsbl: false}, then: {add_header: {X-Listed: \"no\"}}}\n")
        for source, want, listed, line in (("127.0.0.3", 550, None, "dnsbl=bl, reputation=10"), ("127.0.0.4", 250, "yes", "dnsbl=bl, reputation=45"),
                                           ("127.0.0.5", 250, "no", "reputation=50"), ("127.0.0.6", 250, "yes", "dnsbl=bl, reputation=40")):
            code, text, got = self.send(self.message("nobody.lab"), "a@nobody.lab", source)
            self.assertEqual(code, want, (source, text, got))
            self.assertTrue(got.endswith(line), got)
            if listed:
                lab.wait_for(lambda: self.mx.messages, because="it to arrive")
                self.assertIn(b"X-Listed: " + listed.encode(), self.mx.messages.pop()[2])

    # -- the DNS fails -------------------------------------------------------------------

    def test_asked_early(self):
        """SPF is looked up while the client has not said DATA yet; keys when the message is there; nothing twice."""
        self.start({"sender.lab": sender_zone(self.key, "v=DMARC1; p=reject"), OURS: []}, how=lambda n, k: None)
        raw = signing.sign(self.message(), self.key, "sender.lab", "s")
        with self.lab.smtp(GOOD) as s:
            s.ehlo()
            s.mail("a@sender.lab")
            s.rcpt("b@" + OURS)
            lab.wait_for(lambda: "sender.lab" in self.names.names(), because="SPF to be asked for before DATA")
            self.assertNotIn("s._domainkey.sender.lab", self.names.names())
            self.assertEqual(s.data(raw)[0], 250)
        names = self.names.names()
        for n in ("sender.lab", "s._domainkey.sender.lab", "_dmarc.sender.lab"):
            self.assertEqual(names.count(n), 1, names)

    def test_dead_dns(self):
        """Nothing answers: the message waits for its time and no longer, beside others; the policy says 451, or not."""
        zones = {"sender.lab": sender_zone(self.key, "v=DMARC1; p=reject"), OURS: []}
        self.start(zones, how=lambda n, k: "silent" if n.endswith("sender.lab") else None, verify={"timeout": "2s"})
        raw = signing.sign(self.message(), self.key, "sender.lab", "s")
        start = time.monotonic()
        out = []
        threads = [threading.Thread(target=lambda: out.append(self.send(raw))) for _ in range(10)]
        for t in threads:
            t.start()
        code, text, line = self.send(self.message("nobody.lab"), "a@nobody.lab")      # does not exist: not behind the others
        self.assertEqual(code, 250, text)
        quick = time.monotonic() - start
        for t in threads:
            t.join()
        self.assertGreater(time.monotonic() - start, 1.9)
        self.assertLess(quick, time.monotonic() - start)
        self.assertEqual(len(out), 10)
        for code, text, line in out:
            self.assertEqual((code, text.split(" (")[0]), (451, "4.7.0 the sender cannot be checked now, try again later"))
            self.assertRegex(line, "^spf=temperror .*dkim=temperror .*dmarc=temperror")
        # the names come back: it is taken
        self.names.how = None
        code, text, line = lab.wait_for(lambda: (lambda r: r if r[0] == 250 else None)(self.send(raw)), because="the DNS is back")
        self.assertRegex(line, "^spf=pass .*dkim=pass .*dmarc=pass")

    def test_dns_lies(self):
        """Failing, truncated, garbled, answering something else: temperror at most, never pass, never a crash."""
        zones = {"sender.lab": sender_zone(self.key, "v=DMARC1; p=reject"), OURS: []}
        mood = {}
        self.start(zones, how=lambda n, k: mood.get("how") if n.endswith("sender.lab") else None, policy="",
                   verify={"timeout": "3s"})
        raw = signing.sign(self.message(), self.key, "sender.lab", "s")
        pid = self.lab.pids("verifier")
        for how in ("servfail", "garbage", "other", "truncated"):
            mood["how"] = how
            code, text, line = self.send(raw)
            self.assertEqual(code, 250, text)           # no rule speaks of it
            self.assertRegex(line, "^spf=temperror .*dkim=temperror .*dmarc=temperror", how)
        self.mx.wait(4)
        self.assertIn("spf=temperror", self.results()[0])
        mood["how"] = "tcp"             # the sandbox lets the DNS through
        def passes():
            mood["n"] = mood.get("n", 0) + 1
            return "spf=pass" in self.send(raw)[2]
        lab.wait_for(passes, because="answers over TCP")
        self.assertEqual(self.lab.pids("verifier"), pid)
        self.assertGreaterEqual(self.lab.counter("inbound_unverified"), 4)
        self.assertEqual(self.lab.counter("inbound_verified"), 4 + mood["n"])

    # -- verifiers die ---------------------------------------------------------------------

    def in_flight(self, n=1, sender="a@sender.lab"):
        """n messages that wait for the DNS; their threads, and where their answers come."""
        out, threads = [], []
        for _ in range(n):
            t = threading.Thread(target=lambda: out.append(self.send(self.message(), sender)))
            t.start()
            threads.append(t)
        lab.wait_for(lambda: len(self.names.names()) > 0 and any("_dmarc" in x or "sender" in x for x in self.names.names()),
                     because="the question to be on its way")
        return threads, out

    def test_a_verifier_dies(self):
        """What it had is asked of the next one."""
        release = threading.Event()
        self.start({"sender.lab": sender_zone(self.key), OURS: []}, how=lambda n, k: None if release.is_set() else "silent",
                   verify={"timeout": "20s"}, dns={})
        threads, out = self.in_flight(5)
        lab.wait_for(lambda: self.lab.log().count("client=") == 5, because="all five to be there")
        time_to_data = lab.wait_for(lambda: self.names.names().count("_dmarc.sender.lab") + self.names.names().count("sender.lab") > 0)
        self.assertTrue(time_to_data)
        os.kill(self.lab.pids("verifier")[0], signal.SIGKILL)
        release.set()
        for t in threads:
            t.join()
        self.assertEqual([c for c, _, _ in out], [250] * 5)
        self.mx.wait(5)
        self.assertIn("spf=pass", self.results()[0])

    def test_a_message_that_kills(self):
        """Whoever is at the death of two verifiers is held, not delivered unchecked; the next message is fine."""
        self.start({"sender.lab": sender_zone(self.key), OURS: []}, how=lambda n, k: "silent" if n.endswith("sender.lab") else None,
                   verify={"timeout": "60s"})
        threads, out = self.in_flight()
        for i in range(2):
            pid = lab.wait_for(lambda: self.lab.pids("verifier"), because="a verifier")[0]
            lab.wait_for(lambda: self.names.names().count("_dmarc.sender.lab") + self.names.names().count("sender.lab") > i,
                         because="it to be asked for the %d. time" % (i + 1))
            # the body must have come too: the verifier then asks for DKIM or waits; its death is noticed either way
            lab.wait_for(lambda: self.state_of_messages() == "verify", because="the message to be at the verifier")
            os.kill(pid, signal.SIGKILL)
            lab.wait_for(lambda: self.lab.pids("verifier") not in ([], [pid]), because="the next verifier")
        threads[0].join()
        code, text, _ = out[0]
        self.assertEqual(code, 250, text)
        self.assertIn("was at the death of 2 verifiers", self.lab.log())
        held = lab.wait_for(lambda: self.lab.tool("--json", "held", "list"), because="it to be held")
        self.assertIn("unscannable", held)
        self.assertEqual(self.mx.messages, [])
        self.assertEqual(self.send(self.message("nobody.lab"), "a@nobody.lab")[0], 250)

    def state_of_messages(self):
        """Once DATA is over nothing more is written to the log before the answer: the client waits."""
        return "verify" if "client=" in self.lab.log() else ""

    def test_a_verifier_hangs(self):
        """It is stopped for good: the message goes to the one that replaces it."""
        self.start({"sender.lab": sender_zone(self.key), OURS: []}, verify={"timeout": "1s"})
        self.lab.check_logs = lambda: None      # the master's words for one that is ended are those of nonsense
        pid = self.lab.pids("verifier")[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            code, text, line = self.send(self.message())
        finally:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self.assertEqual(code, 250, text)
        self.assertIn("spf=pass", line)
        self.assertIn("does not answer", self.lab.log())
        self.assertNotEqual(self.lab.pids("verifier"), [pid])

    def test_reload(self):
        """Messages that wait for slow names live through a reload."""
        self.start({"sender.lab": sender_zone(self.key), OURS: []}, how=lambda n, k: 2 if n.endswith("sender.lab") else None)
        threads, out = self.in_flight(3)
        before = self.lab.pids("verifier")
        self.lab.tool("reload")
        self.assertNotEqual(self.lab.pids("verifier"), before)
        for t in threads:
            t.join()
        self.assertEqual([c for c, _, _ in out], [250] * 3)
        self.assertEqual(self.send(self.message(), source=GOOD)[0], 250)
        self.mx.wait(4)
        self.assertNotIn("died", self.lab.log())

    # -- relays in front of us ---------------------------------------------------------------

    def relayed(self, client, helo="mail.sender.lab", below=(), by="filter.isp.lab", headers=()):
        """As a relay writes it that got it from that client; below: what the client sent on top."""
        top = "Received: from %s (%s [%s])\r\n\tby %s (Postfix) with ESMTP id 4ABC\r\n\tfor <b@example.lab>; Sun, 22 Nov 2026 10:00:00 +0000" % (
            helo, "unknown", client, by)
        return ("\r\n".join([*headers, top, *below]) + "\r\n").encode() + self.message()

    def test_upstream(self):
        self.start({"sender.lab": sender_zone(self.key, "v=DMARC1; p=reject"), OURS: []},
                   listener={"upstream": ["127.0.0.10/31", "192.0.2.0/24"]},
                   policy="use: [postern/inbound]\nspam: {source: header, classes: {spam: \">= 12\", suspected: \">= 6\"}}\n"
                   "rules:\n  - {id: spam, direction: inbound, when: {spam: spam}, then: {quarantine: spam}}\n"
                   "  - {id: there, direction: inbound, when: {client: 198.51.100.2}, then: {add_header: {X-From: the origin}}}\n"
                   "limits:\n  - {id: per-client, per: client, allow: 4 messages / 1h, then: defer}\n")
        relay = "127.0.0.10"
        # nobody else may send
        with self.assertRaises(Exception) as e:
            self.send(self.relayed(FAR), source=GOOD)
        self.assertIn("554", str(e.exception))
        lab.wait_for(lambda: "add it to `upstream`" in self.lab.log(), because="the line to edit")
        # the client that the relay names, not the relay; lines below are anybody's
        code, text, line = self.send(self.relayed(FAR), source=relay)
        self.assertEqual(code, 250, text)
        self.assertIn("spf=pass", line)
        head = self.mx.wait(1)[0][2]
        self.assertRegex(head.decode(), r"^Received: from client\.example\.lab \(unknown \[127\.0\.0\.10\]\)")
        self.assertIn(b"X-From: the origin", head)
        forged = "Received: from mail.sender.lab (mail.sender.lab [%s]) by filter.isp.lab; Sun, 22 Nov 2026 10:00:00 +0000" % FAR
        code, text, line = self.send(self.relayed(FORGER, below=[forged]), source=relay)
        self.assertEqual(code, 550, text)
        self.assertIn("spf=fail", line)
        # through a second relay of theirs, and its content filter
        inner = "Received: from mail.sender.lab (unknown [%s])\r\n\tby edge.isp.lab (Postfix); Sun, 22 Nov 2026 10:00:00 +0000"
        local = "Received: from localhost (localhost [127.0.0.1])\r\n\tby edge.isp.lab (Postfix); Sun, 22 Nov 2026 10:00:00 +0000"
        code, text, line = self.send(self.relayed("192.0.2.7", below=[local, inner % FAR]), source=relay)
        self.assertIn("spf=pass", line)
        code, text, line = self.send(self.relayed("192.0.2.7", below=[inner % FORGER, inner % FAR]), source=relay)
        self.assertIn("spf=fail", line)
        # nobody knows where it comes from: nothing is said of SPF
        raw = self.message("nobody.lab")
        code, text, line = self.send(raw, "a@nobody.lab", source=relay)
        self.assertEqual(code, 250, text)
        self.assertIn("spf=unknown", line)
        # what it says of spam, above what the client wrote
        spam = ["X-Spam-Status: Yes, score=14.2 required=6.0 tests=BAYES_99,HTML_MESSAGE\r\n\tautolearn=no"]
        before = len(self.mx.messages)
        code, text, line = self.send(self.relayed(FAR, headers=spam), source=relay)
        self.assertEqual(code, 250, text)
        ham = ["X-Spam-Status: No, score=0.2 required=6.0 tests=NONE"]
        code, text, line = self.send(self.relayed(FAR, headers=ham, below=spam), source=relay)
        self.assertEqual(code, 250, text)
        self.mx.wait(4)
        kept = lab.wait_for(lambda: self.lab.tool("--json", "quarantine", "list"), because="spam in quarantine")
        self.assertIn('"spam"', kept)
        # limits are of the origin: it has sent four, another has not
        code, text, line = self.send(self.relayed(FAR), source=relay)
        self.assertEqual((code, text[:5]), (451, "4.7.1"), text)
        self.assertEqual(self.send(self.relayed(FORGER), source=relay)[0], 550)

    # -- the sandbox, the configuration -----------------------------------------------------

    def test_process(self):
        """Its own account where there is one, no file, no folder; asked how it is by status."""
        self.start({OURS: []})
        pid = self.lab.pids("verifier")[0]
        with open("/proc/%d/status" % pid) as f:
            status = f.read()
        self.assertRegex(status, r"Seccomp:\s+2")
        self.assertRegex(status, r"NoNewPrivs:\s+1")
        if os.geteuid() == 0:
            self.assertNotRegex(status, r"Uid:\s+0\b")
        for fd in glob.glob("/proc/%d/fd/*" % pid):
            target = os.readlink(fd) if os.path.islink(fd) else ""
            self.assertRegex(target, r"^(socket:|anon_inode:|pipe:|/memfd:|/dev/null|.*posternd.*log|/dev/(u)?random)", target)

    def test_bad_configuration(self):
        self.lab.policy("version: 1\nrules: [{id: a, direction: inbound, when: {dnsbl: [zenn]}, then: {reject: true}}]\n")
        self.lab.config(listeners=[{"name": "mx", "address": "127.0.0.1:2525", "direction": "inbound"}],
                        verify={"dnsbl": [{"zone": "zen.lab", "name": "zen"}]})
        r = self.lab.tool("check", check=False)
        self.assertIn("no blocklist `zenn` is asked", r.stdout + r.stderr)
        self.assertIn("did you mean `zen`?", r.stdout + r.stderr)
        self.assertEqual(r.returncode, 0)
        self.lab.config(listeners=[{"name": "mx", "address": "127.0.0.1:2525", "direction": "outbound", "allow": ["127.0.0.1"],
                                    "upstream": ["10.0.0.1"]}],
                        verify={"timeout": "1h", "spf": {"engine": "lax"}, "arc": {"trusted": ["x"]}, "processes": "99",
                                "dnsbl": [{"zone": "bl.lab", "answers": ["127.0.0"]}, {"name": "x"}, "bl.lab"]})
        r = self.lab.tool("check", check=False)
        for text in ("`upstream` is for mail that comes in", "five minutes at most", "did you mean `trust`?", "lax", "needs its `zone`", "stands twice",
                     "127.0.0`"):
            self.assertIn(text, r.stdout + r.stderr)
        self.assertEqual(r.returncode, 1)


if __name__ == "__main__":
    unittest.main()
