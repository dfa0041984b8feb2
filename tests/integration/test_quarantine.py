"""Quarantine and holds as people meet them: lists, previews, releases, requests, digests with their links.

Mail of strangers comes to a gateway with an antivirus; its recipients are on a mail server of ours (a
scripted one, and a Postfix where it matters). What a digest says is parsed by Python's own mail parser, its
signature verified by an independent implementation. Processes are killed in between: each decision
and each mail is made once.
"""
import email
import email.policy
import html
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import unittest
import urllib.parse

import dkim
import lab

POLICY = """version: 1
defaults: {contact: security@example.lab}
rules:
  - {id: junk, direction: inbound, when: {subject: {words: [junk]}}, then: {quarantine: spam}}
  - {id: macros, direction: inbound, when: {subject: {words: [macros]}}, then: {quarantine: macros}}
  - {id: twice, direction: inbound, when: {subject: {words: [secret]}}, then: {quarantine: malware}}
  - {id: pair, direction: inbound, when: {subject: {words: [couple]}}, then: {quarantine: {name: spam, approvals: 2}}}
"""
WORM = "THIS-IS-A-WORM-OF-OUR-OWN-MAKING"
HOSTILE = ("=?utf-8?q?junk_=E2=80=AEfdp=2Eexe_=3Cimg_src=3Dx_onerror=3Dalert(1)=3E?=\r\n"
           " =?utf-8?q?=0D=0ABcc=3A_victim=40example.lab_https=3A//evil.lab/?=")


def parse(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


class Quarantine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("quarantine")
        cls.addClassCleanup(cls.lab.close)
        cls.mx = cls.lab.mx(esmtp=("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 50000000"))
        zones = {"stranger.lab": ["@ MX 10 mx", "mx A 127.0.0.1"], "fr.lab": ["@ MX 10 mx", "mx A 127.0.0.1"],
                 "example.lab": ["@ MX 10 mx", "mx A 127.0.0.1", cls.lab.dkim_key("example.lab", "s1")]}
        cls.dns = cls.lab.dns(zones)
        cls.zone = zones["example.lab"][2]
        cls.port = lab.free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", cls.lab.path("gw.key"), "-out",
                        cls.lab.path("gw.pem")], check=True, capture_output=True)
        smtp = cls.lab.ports["smtp"] = lab.free_port()
        here = {"deliver_to": ["127.0.0.1:%d" % cls.mx.port]}
        cls.signatures = cls.lab.signatures()
        cls.lab.config(listeners=[{"name": "mx", "address": "127.0.0.1:%d" % smtp, "direction": "inbound"}],
                       delivery={"port": cls.mx.port, "retry": ["1s"]}, postmaster="postmaster@example.lab",
                       antivirus={"engine": "libclamav", "databases": cls.signatures},
                       tls={"certificate": "gw.pem", "key": "gw.key"}, console={"address": "127.0.0.1:%d" % cls.port},
                       approvals={"url": "https://localhost:%d/approve?token=" % cls.port},
                       quarantine={"users_release": ["spam"], "two_persons": ["malware"], "undo": "3s"},
                       digest={"language": "en", "url": "https://localhost:%d/digest?token=" % cls.port,
                               "domains": {"fr.lab": {"language": "fr"}}},
                       domains={"fr.lab": here, "example.lab": {**here, "dkim": [{"selector": "s1", "key": "keys/s1.example.lab.pem"}]}})
        cls.lab.policy(POLICY)
        cls.lab.start_postern()
        cls.tls = ssl.create_default_context(cafile=cls.lab.path("gw.pem"))

    def setUp(self):
        with self.mx.lock:
            self.mx.messages.clear()

    # -- helpers -----------------------------------------------------------------------------
    def send(self, to, subject="junk", body="Hello.\r\n", headers=()):
        code, text = self.lab.send(to, body=body, subject=subject, sender="s@stranger.lab", headers=headers)
        self.assertEqual(code, 250, text)
        return re.search(r"accepted as (\w+)", text).group(1)

    def item(self, ident):
        def there():
            return [l for l in self.lab.control({"cmd": "kept.list", "q": ident}) if "kid" in l]
        return lab.wait_for(there, because="the store to have " + ident)[0]

    def kid(self, ident):
        return self.item(ident)["kid"]

    def arrived(self, to, subject="", n=1):
        def enough():
            with self.mx.lock:
                got = [m for m in self.mx.messages if to in m[1] and subject in str(parse(m[2])["Subject"])]
            return got if len(got) >= n else None
        return lab.wait_for(enough, because="%d messages to %s" % (n, to))

    def state(self, ident, want):
        lab.wait_for(lambda: self.item(ident)["state"] == want, because="%s to be %s" % (ident, want))

    def ask(self, method, target, body=None, **headers):
        c = http.client.HTTPSConnection("localhost", self.port, context=self.tls, timeout=60)
        try:
            c.request(method, target, body, {k.replace("_", "-"): v for k, v in headers.items()})
            r = c.getresponse()
            return r.status, r.read().decode()
        finally:
            c.close()

    def post(self, link, decision):
        form = urllib.parse.urlencode({"token": link.split("token=")[1], "decision": decision})
        return self.ask("POST", "/digest", form, Content_Type="application/x-www-form-urlencoded")

    def digest(self, to, subject="quarantine"):
        """The mail that tells him, after it was asked for; its links as paths."""
        self.lab.tool("digest", "send", to)
        raw = self.arrived(to, subject)[-1][2]
        mail = parse(raw)
        text = mail.get_body(("plain",)).get_content()
        links = [urllib.parse.urlsplit(u) for u in re.findall(r"https://localhost\S+", text)]
        return raw, mail, [u.path + "?" + u.query for u in links]

    # -- previews ------------------------------------------------------------------------------
    def test_preview_is_text(self):
        body = ('<html><script>alert(1)</script><p>Dear <b>friend</b>,\u202e see</p><img src="https://evil.lab/x.png">'
                '<p style="display:none">hidden</p></html>')
        raw = ("From: <s@stranger.lab>\r\nTo: <anna@example.lab>\r\nSubject: %s\r\nMIME-Version: 1.0\r\n"
               "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n"
               "Content-Transfer-Encoding: 8bit\r\n\r\n%s\r\n--b\r\nContent-Type: application/octet-stream\r\n"
               "Content-Disposition: attachment; filename*=utf-8''a%%E2%%80%%AEgpj.exe%%0D%%0AX\r\n\r\nMZ\r\n--b--\r\n"
               % (HOSTILE, body)).encode()
        code, text = self.lab.send("anna@example.lab", raw=raw, sender="s@stranger.lab")
        self.assertEqual(code, 250, text)
        ident = re.search(r"accepted as (\w+)", text).group(1)
        answer = self.lab.control({"cmd": "kept.preview", "kid": self.kid(ident)})[0]
        seen = answer
        headers = {h["name"]: h["value"] for h in seen["headers"]}
        self.assertIn("[U+202E]fdp.exe <img", headers["Subject"])
        self.assertIn("Dear friend,[U+202E] see", seen["text"])
        for gone in ("alert(1)", "hidden", "evil.lab", "<"):
            self.assertNotIn(gone, seen["text"])
        name = [p["name"] for p in seen["parts"] if p["attachment"]][0]
        self.assertIn("[U+202E]gpj.exe", name)
        self.assertNotRegex(json.dumps(answer, ensure_ascii=False), "[\u202e\u0000-\u001f]")
        shown = self.lab.tool("quarantine", "preview", ident)
        self.assertIn("Dear friend,[U+202E] see", shown)
        self.assertNotIn("\nBcc:", shown)
        long = self.send("anna@example.lab", body="0123456789 abcdef\r\n" * 4000)
        seen = self.lab.control({"cmd": "kept.preview", "kid": self.kid(long)})[0]
        self.assertTrue(seen["truncated"])
        self.assertLessEqual(len(seen["text"]), 16384)
        for i in (ident, long):
            self.lab.tool("quarantine", "delete", i)

    # -- a last look -----------------------------------------------------------------------------
    def test_virus_known_later(self):
        early = self.send("bert@example.lab", body=WORM + "\r\n", subject="junk worm")
        clean = self.send("bert@example.lab", body="fine\r\n", subject="junk fine")
        self.kid(early), self.kid(clean)
        with open(os.path.join(self.signatures, "worm.ndb"), "w") as f:
            f.write("Own-Worm:0:*:%s\n" % WORM.encode().hex())
        before = self.lab.counter("av_signature_reloads")
        lab.wait_for(lambda: self.lab.counter("av_signature_reloads") > before, 60, because="new signatures")
        r = self.lab.tool("quarantine", "release", early, check=False)
        self.assertEqual(r.returncode, 1, r.stdout)
        self.assertIn("Own-Worm", r.stdout + r.stderr)
        self.assertEqual(self.item(early)["state"], "waiting")
        self.assertIn("Own-Worm", self.item(early)["virus"])
        seen = self.lab.tool("quarantine", "rescan", "queue=spam,to=bert@example.lab", "--yes")
        self.assertRegex(seen, early + r".*Own-Worm")
        self.assertRegex(seen, clean + r".*clean")
        self.lab.tool("quarantine", "release", clean)
        self.arrived("bert@example.lab", "fine")
        self.assertEqual([m for m in self.mx.messages if WORM.encode() in m[2]], [])
        # its recipient may no longer have it, by no link of before either
        self.assertEqual(self.item(early)["class"], "virus")
        self.lab.tool("quarantine", "release", early, "--anyway")
        self.arrived("bert@example.lab", "worm")
        os.unlink(os.path.join(self.signatures, "worm.ndb"))

    def test_no_scanner_no_release(self):
        """Without a scanner nothing leaves unlooked at; the release waits for one."""
        ident = self.send("nora@example.lab", subject="junk waits")
        self.kid(ident)
        workers = self.lab.pids("scanner", worker=True)
        self.assertTrue(workers)
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            both = [subprocess.Popen([os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("postern.yaml"), "quarantine",
                                      "release", ident], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                    for _ in range(2)]
            for p in both:
                self.addCleanup(p.stdout.close)
            # the second is told that the first is at it, which waits for the scanner
            lab.wait_for(lambda: [p for p in both if p.poll() is not None], because="one of the releases to be refused")
            done = [p for p in both if p.poll() is not None]
            self.assertEqual(len(done), 1)
            self.assertIn("somebody is releasing it", done[0].stdout.read())
            self.assertEqual(self.item(ident)["state"], "waiting")
            self.assertEqual(self.mx.messages, [])
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
        other = [p for p in both if p is not done[0]][0]
        self.assertIn("released", other.communicate(timeout=90)[0])
        self.arrived("nora@example.lab", "waits")

    # -- digests -----------------------------------------------------------------------------------
    def test_digest(self):
        one = self.send("anna@example.lab", HOSTILE, headers=["X-Mine: 1"])
        two = self.send(["anna@example.lab", "bea@example.lab"], "junk for both")
        third = self.send("anna@example.lab", "macros inside")
        for i in (one, two, third):
            self.kid(i)
        raw, mail, links = self.digest("anna@example.lab")
        # what it is: ours, signed, for nobody to answer
        self.assertEqual(mail["Auto-Submitted"], "auto-generated")
        self.assertEqual(str(mail["To"]), "anna@example.lab")
        self.assertEqual([k for k in mail.keys() if k.lower() == "bcc"], [])
        self.assertIn("3 messages in quarantine", mail["Subject"])
        key = re.findall(r'"(.*?)"', self.zone)
        self.assertTrue(dkim.verify(raw, dnsfunc=lambda name, **kw: "".join(key).encode()))
        text, page = mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()
        self.assertIn("[U+202E]fdp.exe <img", text)
        for bad in ("<img", "onerror=alert(1)>", "https://evil.lab", "\u202e"):
            self.assertNotIn(bad, page)
        self.assertNotIn("https://evil.lab", text)
        self.assertIn("for both", page)
        self.assertEqual(len(set(links)), 3)
        self.assertEqual(sorted(set(re.findall(r'<a href="https://localhost:\d+(/digest\?token=[\w-]+)"', page))), sorted(links))
        # to look decides nothing
        by = {}
        for link in links:
            status, shown = self.ask("GET", link)
            self.assertEqual(status, 200)
            self.assertNotIn("<img", shown)
            by[re.search(r"<td>(\w{11})</td>", shown).group(1)] = link
            self.assertEqual(self.ask("HEAD", link), (200, ""))
        self.assertEqual(set(by), {one, two, third})
        self.assertEqual({self.item(i)["state"] for i in by}, {"waiting"})
        # his own part of what is for two
        status, shown = self.post(by[two], "release")
        self.assertEqual(status, 200, shown)
        self.assertIn("on its way", shown)
        got = self.arrived("anna@example.lab", "for both")
        self.assertEqual([m[1] for m in got], [["anna@example.lab"]])
        items = lab.wait_for(lambda: [l for l in self.lab.control({"cmd": "kept.list", "q": two}) if "kid" in l
                                      and l["state"] == "released"], because="the part to be released")
        self.assertEqual(items[0]["recipients"], ["anna@example.lab"])
        rest = [l for l in self.lab.control({"cmd": "kept.list", "q": two}) if l.get("state") == "waiting"]
        self.assertEqual([l["recipients"] for l in rest], [["bea@example.lab"]])
        # again, and with another button: it says what was done
        for decision in ("release", "request"):
            self.assertIn("on its way", self.post(by[two], decision)[1])
        self.assertIn("It was delivered", self.ask("GET", by[two])[1])
        self.assertEqual(len(self.arrived("anna@example.lab", "for both")), 1)
        # the sender onto a list of his own, beside what is done with the message
        status, shown = self.post(by[third], "block")
        self.assertIn("blocked", shown)
        rows = [l for l in self.lab.control({"cmd": "lists.list", "owner": "anna@example.lab"}) if "number" in l]
        self.assertEqual([(l["list"], l["what"], l["scope"]) for l in rows], [("block", "s@stranger.lab", "user")])
        self.assertEqual(self.post(by[third], "allow")[0], 503)
        self.lab.tool("lists", "remove", str(rows[0]["number"]))
        # what he may not have at once he asks for; what is not offered is not done
        self.assertEqual(self.post(by[third], "release")[0], 503)
        self.assertIn('value="request"', self.ask("GET", by[third])[1])
        self.assertIn("asked for it", self.post(by[third], "request")[1])
        asked = [l for l in self.lab.control({"cmd": "kept.list", "asked": True}) if "kid" in l]
        self.assertEqual([(l["id"], l["requests"][0]["address"]) for l in asked], [(third, "anna@example.lab")])
        self.lab.tool("quarantine", "release", third)
        self.arrived("anna@example.lab", "macros")
        self.arrived("anna@example.lab", "is released")
        # decided by somebody else
        self.lab.tool("quarantine", "delete", one)
        status, shown = self.ask("GET", by[one])
        self.assertEqual(status, 410)
        self.assertIn("decided already", shown)
        # forged, cut, of another purpose
        bent = links[0][:-30] + ("A" if links[0][-30] != "A" else "B") + links[0][-29:]
        for bad in (bent, "/digest", "/digest?token=", "/digest?token=x", links[0][:-4], links[0].replace("/digest", "/approve")):
            self.assertEqual(self.ask("GET", bad)[0], 404, bad)
        self.assertEqual(self.post(bent, "release")[0], 404)
        self.assertEqual(self.post(links[0], "everything")[0], 400)
        for link in links:
            self.assertNotIn(link.split("token=")[1], self.lab.log())
        # nothing new: nothing is sent
        self.lab.queue_empty()
        with self.mx.lock:
            self.mx.messages.clear()
        self.lab.tool("digest", "send", "anna@example.lab")
        self.send("anna@example.lab", "ordinary")
        self.arrived("anna@example.lab", "ordinary")
        self.assertEqual(len(self.mx.messages), 1)

    def test_digest_in_french(self):
        ident = self.send("zoe@fr.lab", "=?utf-8?q?junk_=C3=A9t=C3=A9?=")
        self.kid(ident)
        _, mail, links = self.digest("zoe@fr.lab", "quarantaine")
        self.assertIn("1 message en quarantaine", mail["Subject"])
        self.assertEqual(mail["Content-Language"], "fr")
        self.assertIn("Objet : junk été", mail.get_body(("plain",)).get_content())
        status, page = self.ask("GET", links[0], Accept_Language="fr")
        self.assertIn("Me le remettre", page)
        self.assertIn("Vous l&#39;avez fait remettre" if "&#39;" in page else "fait remettre",
                      html.unescape(self.post_fr(links[0])))
        self.arrived("zoe@fr.lab", "junk")

    def post_fr(self, link):
        form = urllib.parse.urlencode({"token": link.split("token=")[1], "decision": "release"})
        return self.ask("POST", "/digest", form, Content_Type="application/x-www-form-urlencoded", Accept_Language="fr")[1]

    def test_digest_of_many(self):
        for i in range(0, 120, 40):
            with self.lab.smtp() as s:
                s.ehlo()
                for k in range(i, i + 40):
                    s.sendmail("s@stranger.lab", ["many@example.lab"], lab.message(sender="s@stranger.lab", to=["many@example.lab"],
                                                                                   subject="junk number %d" % k))
        lab.wait_for(lambda: len([l for l in self.lab.control({"cmd": "kept.list", "to": "many@example.lab", "limit": 1000})
                                  if "kid" in l]) == 120, because="120 in quarantine")
        _, mail, links = self.digest("many@example.lab")
        self.assertIn("120 messages", mail["Subject"])
        self.assertEqual(len(links), 100)
        self.assertIn("and 20 more", mail.get_body(("plain",)).get_content())
        self.lab.tool("quarantine", "delete", "to=many@example.lab", "--yes")

    def test_killed_in_between(self):
        """Everybody is told once, and each release is made once, however often the store is killed."""
        users = ["user%02d@example.lab" % i for i in range(12)]
        ids = [self.send(u, "junk for " + u) for u in users]
        for i in ids:
            self.kid(i)
        self.lab.control({"cmd": "digest.send"})
        for n in range(1, 3):
            lab.wait_for(lambda: len([m for m in self.mx.messages if "quarantine" in m[2].decode("latin1")]) >= n * 4,
                         because="some to be told")
            self.kill_store()
        for u in users:
            self.arrived(u, "in quarantine")
        links = {}
        for u in users:
            mail = parse(self.arrived(u, "in quarantine")[0][2])
            links[u] = re.search(r"https://localhost:\d+(/digest\S+)", mail.get_body(("plain",)).get_content()).group(1)
        for i, u in enumerate(users):
            if i == 6:
                self.kill_store()
            lab.wait_for(lambda: self.post(links[u], "release")[0] == 200, because="the page of " + u)
        for u in users:
            self.arrived(u, "junk for")
        for i in ids:
            self.state(i, "released")
        self.lab.queue_empty()
        with self.mx.lock:
            told = [m[1][0] for m in self.mx.messages if "in quarantine" in str(parse(m[2])["Subject"])]
            had = [m[1][0] for m in self.mx.messages if "junk for" in str(parse(m[2])["Subject"])]
        self.assertEqual(sorted(t for t in told if t in users), users)
        self.assertEqual(sorted(had), users)

    def kill_store(self):
        pid, = self.lab.pids("store")
        os.kill(pid, signal.SIGKILL)
        lab.wait_for(lambda: [p for p in self.lab.pids("store") if p != pid], because="a new store")

    # -- two persons -------------------------------------------------------------------------------
    def test_one_person_is_not_two(self):
        ident = self.send("carl@example.lab", "secret thing")
        kid = self.kid(ident)
        for want in ("needed", "decided about it already"):
            self.assertIn(want, json.dumps(self.lab.control({"cmd": "kept.release", "kids": [kid]})))
        self.assertEqual(self.item(ident)["state"], "waiting")
        self.assertEqual(self.item(ident)["approvals"][0]["given"], 1)
        self.lab.tool("quarantine", "delete", ident)

    def test_a_rule_asks_for_two(self):
        """In a quarantine from which one may release: the rule says two, to the gateway's own command too."""
        ident = self.send("carl@example.lab", "couple")
        kid = self.kid(ident)
        self.assertEqual([(a["needed"], a["given"]) for a in self.item(ident)["approvals"]], [(2, 0)])
        self.assertIn("needed", json.dumps(self.lab.control({"cmd": "quarantine.release", "selector": ident})))
        self.assertEqual(self.item(ident)["approvals"][0]["given"], 1)
        self.assertIn("decided about it already", json.dumps(self.lab.control({"cmd": "kept.release", "kids": [kid]})))
        self.assertEqual(self.item(ident)["state"], "waiting")
        self.lab.tool("quarantine", "release", ident, "--anyway")
        self.arrived("carl@example.lab", "couple")

    # -- decisions that wait -----------------------------------------------------------------------
    def test_undo(self):
        """Taken back it waits; else it is carried out, also by the store that comes after."""
        back, on = self.send("olga@example.lab", "junk back"), self.send("olga@example.lab", "junk on")
        kids = {i: self.kid(i) for i in (back, on)}
        for i in (back, on):
            self.assertEqual(self.lab.control({"cmd": "kept.release", "kids": [kids[i]], "undo": True})[0]["state"], "pending")
        self.assertEqual(self.item(back)["pending"]["verb"], "release")
        self.assertTrue(self.lab.control({"cmd": "kept.undo", "kids": [kids[back]]})[0]["ok"])
        self.kill_store()
        self.arrived("olga@example.lab", "junk on")
        self.state(on, "released")
        self.assertEqual(self.item(back)["state"], "waiting")
        self.assertNotIn("pending", self.item(back))
        whats = [r["what"] for r in self.lab.control({"cmd": "audit.list", "q": back}) if "what" in r]
        self.assertEqual(whats[:2], ["kept.undo", "kept.later"])
        self.lab.tool("quarantine", "delete", back)

    # -- the tool ------------------------------------------------------------------------------------
    def test_tool(self):
        ident = self.send("tina@example.lab", "junk tool")
        kid = self.kid(ident)
        lines = [json.loads(l) for l in self.lab.tool("--json", "quarantine", "list", "to=tina@example.lab").splitlines()]
        self.assertEqual([l["kid"] for l in lines if "kid" in l], [kid])
        self.assertIn("confirmed", self.lab.tool("quarantine", "confirm", ident))
        self.assertTrue(self.item(ident)["confirmed"])
        shown = json.loads(self.lab.tool("--json", "digest", "preview", "tina@example.lab"))
        self.assertEqual(shown["messages"], 0)          # what is confirmed is told no more
        self.assertIn("deleted", self.lab.tool("quarantine", "delete", ident))
        self.assertEqual(self.lab.tool("quarantine", "preview", ident, check=False).returncode, 1)
        self.assertEqual(self.lab.tool("quarantine", "frobnicate", check=False).returncode, 2)
        self.assertEqual(self.lab.tool("digest", "send", "nobody", check=False).returncode, 1)


class Incidents(unittest.TestCase):
    """What rules about content held or refused: masked, revealed with a reason, closed."""
    CARD = "4111 1111 1111 1111"

    def test_incidents(self):
        with lab.Lab("incidents") as l:
            mx = l.mx()
            l.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
            l.config(delivery={"port": mx.port})
            l.policy("version: 1\nuse: [postern/base]\nrules:\n"
                     "  - {id: cards, when: {subject: {words: [hold]}, finds: payment-card}, then: {hold: {for: dpo@example.lab}}}\n"
                     "  - {id: never, when: {subject: {words: [refuse]}, finds: payment-card}, then: {reject: '5.7.1 no cards'}}\n")
            l.start_postern()
            body = "the card is %s, thanks\r\n" % self.CARD
            self.assertEqual(l.send("b@partner.lab", body, subject="hold")[0], 250)
            self.assertEqual(l.send("b@partner.lab", body, subject="refuse")[0], 550)

            def items():
                got = [i for i in l.control({"cmd": "incidents.list"}) if "rules" in i]
                return got if len(got) == 2 else None
            by = {i["outcome"]: i for i in lab.wait_for(items, because="two incidents")}
            self.assertEqual(by["hold"]["rules"], ["cards"])
            self.assertEqual(by["reject"]["rules"], ["never"])
            shown = l.tool("incidents", "show", by["hold"]["id"]) + l.tool("incidents", "show", by["reject"]["id"])
            self.assertIn("1111", shown)
            self.assertNotIn(self.CARD, shown)
            # in clear: not without a reason, not of what is not kept, and somebody has asked for it
            held = by["hold"]["id"]
            self.assertEqual(l.control({"cmd": "incidents.reveal", "id": held})[0]["code"], "invalid")
            self.assertIn(self.CARD, l.tool("incidents", "reveal", held, "--reason", "the author asks"))
            audit = l.control({"cmd": "audit.list", "q": "reveal"})
            self.assertEqual([(a["subject"], a["detail"]) for a in audit if "what" in a], [(held, "the author asks")])
            r = l.tool("incidents", "reveal", by["reject"]["id"], "--reason", "the author asks", check=False)
            self.assertEqual(r.returncode, 1)
            self.assertIn("not kept", r.stderr)
            # closed once, and counted for its rule
            self.assertIn("closed", l.tool("incidents", "close", held, "false", "--note", "a test card"))
            self.assertEqual(l.tool("incidents", "close", held, "other", check=False).returncode, 1)
            self.assertEqual(l.tool("incidents", "close", held, check=False).returncode, 2)
            rules = {json.loads(x)["rule"]: json.loads(x) for x in l.tool("--json", "incidents", "rules").splitlines()}
            self.assertEqual((rules["cards"]["false_positive"], rules["cards"]["open"]), (1, 0))
            self.assertEqual((rules["never"]["false_positive"], rules["never"]["open"]), (0, 1))
            for flags, want in ((["--state", "closed"], {held}), (["--rule", "never"], {by["reject"]["id"]}), ([], {by["reject"]["id"]}),
                                (["--state", "all", "--search", "PARTNER"], {held, by["reject"]["id"]}), (["--search", "nobody"], set())):
                lines = [json.loads(x) for x in l.tool("--json", "incidents", "list", *flags).splitlines()]
                self.assertEqual({x["id"] for x in lines if "id" in x}, want, flags)


class Hours(unittest.TestCase):
    def check(self, **over):
        with lab.Lab("digest-config") as other:
            other.config(**over)
            r = other.tool("check", check=False)
            return r.returncode, r.stdout + r.stderr

    def test_configuration(self):
        for section, why in (({"digest": {"at": ["25:00"]}}, "no time of the day"),
                             ({"digest": {"at": ["09:00", "08:00"]}}, "times rise"),
                             ({"digest": {"at": ["09:00"], "languge": "fr"}}, "language"),
                             ({"digest": {"language": "de"}}, "fr"),
                             ({"digest": {"url": "http://gw/digest"}}, "HTTPS"),
                             ({"quarantine": {"undo": "2h"}}, "an hour at most"),
                             ({"quarantine": {"users_release": ["a"], "two_persons": ["a"]}}, "stands in both")):
            with self.subTest(section=section):
                code, text = self.check(**section)
                self.assertNotEqual(code, 0)
                self.assertIn(why, text)
        code, text = self.check(digest={"at": ["08:00", "14:30"], "domains": {"fr.lab": {"language": "fr"}, "x.lab": "off"}},
                                quarantine={"users_release": ["spam", "bulk"], "two_persons": ["malware"]})
        self.assertEqual(code, 0, text)


if __name__ == "__main__":
    unittest.main()
