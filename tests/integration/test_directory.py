#!/usr/bin/python3
"""AUTH, groups and routes by LDAP, against a real slapd: good and bad, nested and changed, down and lying."""
import base64
import json
import os
import re
import signal
import smtplib
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from authority import Authority, trusting                                               # noqa: E402
from lab import Lab, free_port, wait_for                                                 # noqa: E402
from ldap import BASE, BINDER, Silent, Slapd, group, group_dn, person, user_dn           # noqa: E402

class Auth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        l = cls.lab = Lab("auth-ldap")
        cls.ca = Authority(l, "ca")
        pem, key = cls.ca.issue("gw.example.lab", "gw")
        cls.slapd = Slapd(l, entries=[person("dot", "dot@example.lab", "x", cn="*"),
                                      person("twin1", "twin@example.lab", "twin"), person("twin2", "twin@example.lab", "twin")])
        l.ports["smtp"] = free_port()
        l.config(directory={"corp": cls.slapd.config()}, tls={"certificate": pem, "key": key},
                 auth={"ldap": {"filter": "(|(uid=%m)(mail=%m))"}},
                 listeners=[{"name": "submit", "address": "127.0.0.1:%d" % l.ports["smtp"], "direction": "outbound",
                             "tls": "required", "auth": "ldap"}])
        l.start_postern()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def login(self, user, password):
        with smtplib.SMTP("127.0.0.1", self.lab.ports["smtp"], timeout=30) as s:
            s._host = "gw.example.lab"
            s.starttls(context=trusting(self.ca))
            s.ehlo()
            line = base64.b64encode(("\0%s\0%s" % (user, password)).encode()).decode()
            code, text = s.docmd("AUTH", "PLAIN " + line)
            return code, text.decode()

    def at_once(self, credentials):
        with ThreadPoolExecutor(16) as pool:
            return list(pool.map(lambda c: self.login(*c)[0], credentials))

    def tearDown(self):
        self.lab.tool("limits", "reset", "127.0.0.1")

    def test_right_and_wrong(self):
        self.assertEqual(self.login("ann", "ann's password")[0], 235)
        self.assertEqual(self.login("ann@example.lab", "ann's password")[0], 235)
        self.assertEqual(self.login("ann", "bob's password")[0], 535)
        self.assertEqual(self.login("nobody", "ann's password")[0], 535)
        # the connection that bound as ann is not ann's any more
        self.assertEqual(self.login("bob", "bob's password")[0], 235)

    def test_empty_password(self):
        """RFC 4513, 5.1.2: slapd says success to a name without a password."""
        self.assertIn(self.login("ann", "")[0], (501, 535))

    def test_hostile_names(self):
        names = ("*", "a*", "ann)(uid=*", "*)(objectClass=*", "ann\\2a", "(", ")", "\\", "ann)(|(uid=bob")
        self.assertEqual(self.at_once((n, "ann's password") for n in names), [535] * len(names))

    def test_two_entries_for_one_name(self):
        self.assertEqual(self.login("twin@example.lab", "twin")[0], 535)
        self.assertEqual(self.login("twin1", "twin")[0], 235)

    def test_locked_after_ten(self):
        codes = self.at_once([("ann", "wrong")] * 11)
        self.assertEqual(sorted(codes), [421] + [535] * 10)
        self.assertEqual(self.login("ann", "ann's password")[0], 421)

    def test_z_down(self):
        self.slapd.stop()
        code, text = self.login("ann", "ann's password")
        self.assertEqual((code, text[:5]), (454, "4.7.0"))
        self.slapd.start()
        wait_for(lambda: self.login("ann", "ann's password")[0] == 235, because="AUTH when slapd is back")


GROUPS = """version: 1
defaults: {contact: dpo@example.lab}
groups:
  doctors: "ldap:cn=Doctors,ou=groups,dc=example,dc=lab"
  hospital: ["ldap:CN=Hospital, OU=groups, DC=example, DC=lab", chief@example.lab]
rules:
  - {id: doctors-out, direction: outbound, when: {from: group:doctors}, then: {add_header: {X-Doctor: "yes"}}}
  - {id: to-hospital, direction: outbound, when: {to: group:hospital}, then: {reject: "5.7.1 not to the hospital"}}
  - {id: ring, direction: outbound, when: {from: "ldap:cn=Ring1,ou=groups,dc=example,dc=lab"}, then: {add_header: {X-Ring: "yes"}}}
"""


class Groups(unittest.TestCase):
    def lab(self, policy=GROUPS, slapd=None, **directory):
        l = Lab("groups-ldap")
        self.addCleanup(l.close)
        mx = l.mx()
        self.slapd = slapd or Slapd(l)
        l.policy(policy)
        l.config(directory={"corp": self.slapd.config(cache={"found": "1h", "missing": "1h", "stale": "1h"}, **directory)},
                 delivery={"routes": {"*": ["127.0.0.1:%d" % mx.port]}})
        l.start_postern()
        return l, mx

    def flush(self, l):
        self.assertIn("forgotten", l.tool("directory", "flush", "corp"))

    def test_nested_changed_and_down(self):
        l, mx = self.lab()
        # ann is in Doctors; bob in Ring2, which is in Ring1, which is in Ring2
        self.assertEqual(l.send("x@far.lab", sender="ann@example.lab")[0], 250)
        self.assertEqual(l.send("x@far.lab", sender="bob@example.lab")[0], 250)
        self.assertEqual(l.send("x@far.lab", sender="stranger@elsewhere.lab")[0], 250)
        heads = {m[0]: m[2] for m in mx.wait(3)}
        self.assertIn(b"X-Doctor: yes", heads["ann@example.lab"])
        self.assertNotIn(b"X-Ring", heads["ann@example.lab"])
        self.assertIn(b"X-Ring: yes", heads["bob@example.lab"])
        self.assertNotIn(b"X-Doctor", heads["bob@example.lab"])
        self.assertNotIn(b"X-", heads["stranger@elsewhere.lab"].split(b"\r\n\r\n")[0])
        # nested two deep, in any spelling of the name and of the address, and the plain member beside it
        for to in ("ann@example.lab", "Ann@EXAMPLE.lab", "chief@example.lab"):
            code, text = l.send(to, sender="x@example.lab")
            self.assertEqual((code, text[:29]), (550, "5.7.1 not to the hospital (re"), to)
        self.assertEqual(l.send("bob@example.lab", sender="x@example.lab")[0], 250)
        # hostile addresses are values, not filters
        for to in ("*@example.lab", "ann)(mail=*@example.lab", '"*"@example.lab', "a\\2a@example.lab"):
            with l.smtp() as s:
                s.ehlo()
                s.mail("x@example.lab")
                if s.rcpt(to)[0] == 250:
                    self.assertEqual(s.data(b"Subject: x\r\n\r\nx\r\n")[0], 250, to)
        # membership changes: what is kept is used until it is forgotten
        self.slapd.add_member("Doctors", user_dn("bob"))
        self.assertEqual(l.send("bob@example.lab", sender="x@example.lab")[0], 250)
        self.flush(l)
        self.assertEqual(l.send("bob@example.lab", sender="x@example.lab")[0], 550)
        # LDAP away: what is known stays known, what is not waits
        self.slapd.stop()
        self.assertEqual(l.send("bob@example.lab", sender="x@example.lab")[0], 550)
        self.assertEqual(l.send("ann@example.lab", sender="x@example.lab")[0], 451)   # forgotten above
        code, text = l.send("new@far.lab", sender="ann@example.lab")
        self.assertEqual((code, text[:29]), (451, "4.7.1 A group cannot be looke"))
        # … but not what no group decides: the null sender to somebody known
        self.assertGreater(l.counter("directory_failures"), 0)
        # a restart while LDAP is away forgets nothing
        wait_for(lambda: os.path.getsize(l.path("run", "directory.cache")) > 200, because="the cache on disk")
        time_of = os.path.getmtime(l.path("run", "directory.cache"))
        self.assertGreater(time_of, 0)
        l.stop_postern()
        l.start_postern()
        self.assertEqual(l.send("bob@example.lab", sender="x@example.lab")[0], 550)
        self.slapd.start()
        wait_for(lambda: l.send("ann@example.lab", sender="x@example.lab")[0] == 550, because="slapd to be asked again")

    def test_killed_and_reloaded(self):
        """The process dies, is replaced, and a reload replaces it again: no message is lost or let through."""
        l, mx = self.lab()
        for round in range(3):
            self.assertEqual(l.send("ann@example.lab", sender="x@example.lab")[0], 550)
            pid = l.pids("directory")[0]
            os.kill(pid, signal.SIGKILL)
            codes = set()
            wait_for(lambda: codes.add(l.send("ann@example.lab", sender="x@example.lab")[0]) or
                     l.pids("directory") not in ([], [pid]), because="another directory")
            self.assertLessEqual(codes, {550, 451})
            wait_for(lambda: l.send("ann@example.lab", sender="x@example.lab")[0] == 550, because="it to be asked")
            self.assertEqual("reloaded\n", l.tool("reload"))
        self.assertEqual(l.send("x@far.lab", sender="ann@example.lab")[0], 250)
        self.assertIn(b"X-Doctor: yes", mx.wait(1)[0][2])

    def test_stale(self):
        """An answer past its time is used while LDAP is away, and counted."""
        l, mx = self.lab(**{})
        l.config(directory={"corp": self.slapd.config(cache={"found": "1s", "missing": "1s", "stale": "1h"})},
                 delivery={"routes": {"*": ["127.0.0.1:%d" % mx.port]}})
        self.assertEqual("reloaded\n", l.tool("reload"))
        self.assertEqual(l.send("ann@example.lab", sender="x@example.lab")[0], 550)
        self.slapd.stop()
        wait_for(lambda: l.send("ann@example.lab", sender="x@example.lab")[0] == 550 and l.counter("directory_stale_answers") > 0,
                 because="an answer from old knowledge")
        self.assertRegex(l.tool("status"), r"directories: \d+ questions, .* [1-9]\d* from old knowledge")

    def test_nested_forms(self):
        """`off` sees members alone; `chain` is refused by what is no Active Directory, instead of finding nobody."""
        l, _ = self.lab(groups={"nested": "off"})
        self.assertEqual(l.send("ann@example.lab", sender="x@example.lab")[0], 250)     # in Doctors alone
        l.config(directory={"corp": self.slapd.config(groups={"nested": "chain"})})
        l.tool("directory", "flush", "corp")
        wait_for(lambda: l.tool("reload") == "reloaded\n")
        l.tool("directory", "flush", "corp")
        self.assertEqual(l.send("ann@example.lab", sender="x@example.lab")[0], 451)
        self.assertIn("is for Active Directory", l.log())

    def test_group_that_is_not_there(self):
        """Its rule would never hold; that is told, and the mail waits."""
        l, _ = self.lab(GROUPS.replace("cn=Doctors", "cn=Docters"))
        self.assertEqual(l.send("x@far.lab", sender="ann@example.lab")[0], 451)
        self.assertIn("there is no group cn=Docters", l.log())

    def test_tool(self):
        l, _ = self.lab()
        text = l.tool("directory", "lookup", "corp", "ann@example.lab")
        self.assertIn("(mail=ann@example.lab)", text)
        self.assertIn("uid=ann,ou=people,dc=example,dc=lab", text)
        self.assertIn("cn=hospital,ou=groups,dc=example,dc=lab", text)
        self.assertIn("had nothing", text)
        self.assertIn("fresh", l.tool("directory", "lookup", "corp", "ann@example.lab"))
        one = json.loads(l.tool("--json", "directory", "lookup", "corp", "nobody@example.lab").splitlines()[0])
        self.assertEqual((one["what"], one["status"], one["values"]), ("groups", "missing", []))
        self.assertIn("base: found", l.tool("directory", "test", "corp"))
        self.assertIn("in use", l.tool("directory"))
        r = l.tool("directory", "test", "crop", check=False)
        self.assertNotEqual(r.returncode, 0)
        # what would never be answered is an error before it is loaded
        l.policy(GROUPS.replace("cn=Doctors,ou=groups,dc=example", "cn=Doctors,dc=elsewhere"))
        r = l.tool("check", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("lies below the `base` of no directory", r.stderr + r.stdout)
        l.policy(GROUPS)
        # offline: nobody is asked, people say who is in
        l.write("m.eml", "From: <ann@example.lab>\r\nSubject: x\r\n\r\nx\r\n")
        ask = ["--json", "explain", l.path("m.eml"), "--no-antivirus", "--direction", "outbound", "--from", "ann@example.lab",
               "--to", "x@far.lab"]
        ring = ["--member", "ldap:cn=Ring1,ou=groups,dc=example,dc=lab=bob@example.lab"]
        said = json.loads(l.tool(*ask))["recipients"][0]
        self.assertEqual((said["outcome"], said["rules"]), ("defer", ["defaults/directory"]))
        said = json.loads(l.tool(*ask, "--member", "doctors=ann@example.lab", "--member", "hospital=chief@example.lab",
                                 *ring))["recipients"][0]
        self.assertEqual((said["outcome"], said["rules"]), ("deliver", ["doctors-out"]))
        l.write("policy.d/tests/t.test.yaml", """version: 1
tests:
  - {name: in, from: ann@example.lab, to: [x@far.lab], groups: {doctors: [ann@example.lab], hospital: [],
     "ldap:cn=Ring1,ou=groups,dc=example,dc=lab": []}, expect: {all: {outcome: deliver, rules: [doctors-out]}}}
  - {name: unknown, from: ann@example.lab, to: [x@far.lab], expect: {all: {outcome: defer}}}
""")
        self.assertIn("2 passed, 0 failed", l.tool("test"))


class Routes(unittest.TestCase):
    """Next hops: by recipient, by sender, weighted, failing over, by LDAP."""

    def setUp(self):
        self.l = Lab("routes")
        self.addCleanup(self.l.close)
        self.mx = {}

    def hop(self, name, **kw):
        self.mx[name] = self.l.mx(**kw)
        return "127.0.0.1:%d" % self.mx[name].port

    def start(self, **conf):
        self.l.config(**conf)
        self.l.start_postern()

    def route(self, *args):
        return json.loads(self.l.tool("--json", "route", *args))

    def test_precedence_and_split(self):
        """One message, six recipients, five ways: each copy once, on its own way."""
        l = self.l
        l.policy("version: 1\ngroups: {loud: [loud@example.lab]}\n")
        names = ["boss", "partner", "sub", "news", "loud", "any", "ours"]
        hops = {n: self.hop(n) for n in names}
        self.start(domains={"ours.lab": {"deliver_to": [hops["ours"]]}},
                   delivery={"pools": {"bulk": {"source": ["127.0.0.9"], "hello": "bulk.example.lab"}},
                             "routes": {"boss@partner.lab": hops["boss"], "partner.lab": hops["partner"],
                                        ".partner.lab": {"to": hops["sub"], "pool": "bulk"}, "*": hops["any"]},
                             "sender_routes": {"news@example.lab": hops["news"], "group:loud": hops["loud"]}})
        to = ["boss@partner.lab", "a@partner.lab", "b@partner.lab", "c@x.partner.lab", "d@ours.lab", "e@far.lab"]
        self.assertEqual(l.send(to, sender="news@example.lab")[0], 250)
        self.assertEqual(l.send("f@far.lab", sender="loud@example.lab")[0], 250)
        self.assertEqual(l.send("g@far.lab", sender="quiet@example.lab")[0], 250)
        l.queue_empty()
        got = {n: sorted(r for m in self.mx[n].messages for r in m[1]) for n in names}
        self.assertEqual(got, {"boss": ["boss@partner.lab"], "partner": ["a@partner.lab", "b@partner.lab"],
                               "sub": ["c@x.partner.lab"], "ours": ["d@ours.lab"], "news": ["e@far.lab"],
                               "loud": ["f@far.lab"], "any": ["g@far.lab"]})
        # the pool: the name it greets with stands in what was received there
        self.assertEqual(len(self.mx["partner"].messages), 1)       # one transaction for both
        said = self.route("c@x.partner.lab")
        self.assertEqual((said["by"]["match"], said["hello"], said["source"]), (".partner.lab", "bulk.example.lab", ["127.0.0.9"]))
        said = self.route("e@far.lab", "--from", "news@example.lab")
        self.assertEqual((said["by"]["section"], said["by"]["match"], said["by"]["line"] > 0),
                         ("delivery.sender_routes", "news@example.lab", True))
        self.assertEqual(self.route("e@far.lab", "--from", "loud@example.lab")["by"]["match"], "group:loud")
        self.assertEqual(self.route("e@far.lab")["by"]["match"], "*")
        self.assertIn("decided by line", l.tool("route", "boss@partner.lab"))
        # the journal says of each where it went
        trace = l.tool("trace", "boss@partner.lab")
        self.assertIn(":%d" % self.mx["boss"].port, l.log())
        self.assertIn("boss@partner.lab", trace)

    def test_pool_leaves_by_its_address_and_name(self):
        heard = []

        def reply(line, session):
            if line.startswith("EHLO"):
                heard.append((session.client_address[0], line))
        bulk = self.hop("bulk", reply=reply)
        self.start(delivery={"source": ["127.0.0.8"],
                             "pools": {"bulk": {"source": ["127.0.0.9"], "hello": "bulk.example.lab"}},
                             "routes": {"a.lab": bulk, "b.lab": {"to": bulk, "pool": "bulk"},
                                        "c.lab": {"to": bulk, "hello": "own.example.lab"}}})
        for d in "abc":
            self.assertEqual(self.l.send("x@%s.lab" % d)[0], 250)
        self.l.queue_empty()
        self.assertEqual(sorted(heard), [("127.0.0.8", "EHLO gw.example.lab"), ("127.0.0.8", "EHLO own.example.lab"),
                                         ("127.0.0.9", "EHLO bulk.example.lab")])

    def test_weights_backup_and_health(self):
        """A third goes there, two thirds here; when both are dead, to the backup."""
        l = self.l
        hops = [self.hop(n) for n in ("one", "two", "spare")]
        self.start(delivery={"retry": ["1s"], "per_site": {"messages_per_connection": 1, "connections": 5},
                             "routes": {"far.lab": {"to": [{"to": hops[0], "weight": 2}, {"to": hops[1], "weight": 1},
                                                          {"to": hops[2], "backup": "true"}]}}})
        n = 120
        for i in range(n):
            self.assertEqual(l.send("x%d@far.lab" % i)[0], 250)
        l.queue_empty()
        # binomial(120, 2/3): mean 80, deviation 5.2; six of them either way
        self.assertTrue(49 <= len(self.mx["one"].messages) <= 111, len(self.mx["one"].messages))
        self.assertEqual(len(self.mx["one"].messages) + len(self.mx["two"].messages), n)
        self.assertEqual(len(self.mx["spare"].messages), 0)
        shares = [(t["port"], t["weight"], t["preference"]) for t in self.route("x@far.lab")["targets"]]
        self.assertEqual(sorted(shares), sorted([(self.mx["one"].port, 2, 0), (self.mx["two"].port, 1, 0),
                                                 (self.mx["spare"].port, 0, 1)]))
        self.assertIn("67%", l.tool("route", "x@far.lab"))
        for name in ("one", "two"):
            self.mx[name].close()
        for i in range(10):
            self.assertEqual(l.send("y%d@far.lab" % i)[0], 250)
        l.queue_empty()
        self.assertEqual(len(self.mx["spare"].messages), 10)
        rests = {t["port"]: t["rests"] for t in self.route("x@far.lab")["targets"]}
        self.assertGreater(rests[self.mx["one"].port], 0)
        self.assertEqual(rests[self.mx["spare"].port], 0)

    def ldap(self, **directory):
        self.slapd = Slapd(self.l, entries=[
            person("far", "far@ours.lab", mailHost=self.hop("far")), person("near", "near@ours.lab", mailHost=self.hop("near")),
            person("lost", "lost@ours.lab"), person("bad", "bad@ours.lab", mailHost="not a host!")])
        return {"corp": self.slapd.config(**directory)}

    def test_ldap(self):
        l = self.l
        directory = self.ldap(cache={"found": "1s", "missing": "1s", "stale": "1h"})
        self.start(directory=directory, delivery={"retry": ["1s"]},
                   domains={"ours.lab": {"deliver_to": {"ldap": {"attribute": "mailHost"}}}})
        self.assertEqual(l.send(["far@ours.lab", "near@ours.lab", "lost@ours.lab", "bad@ours.lab", "nobody@ours.lab",
                                 "*@ours.lab"], sender="a@example.lab")[0], 250)
        wait_for(lambda: l.log().count("dsn=5.1.1") >= 2, because="those the directory does not know")
        self.assertEqual([m[1] for m in self.mx["far"].wait(1)], [["far@ours.lab"]])
        self.assertEqual([m[1] for m in self.mx["near"].wait(1)], [["near@ours.lab"]])
        wait_for(lambda: "has no mailHost" in l.log() and "which is no host" in l.log(), because="what cannot be a route")
        said = self.route("far@ours.lab")
        self.assertEqual((said["by"]["section"], said["by"]["directory_used"], said["targets"][0]["port"]),
                         ("domains", True, self.mx["far"].port))
        # the mailbox moves: the next message follows
        self.slapd.modify("dn: %s\nchangetype: modify\nreplace: mailHost\nmailHost: 127.0.0.1:%d\n"
                          % (user_dn("far"), self.mx["near"].port))
        wait_for(lambda: self.route("far@ours.lab")["targets"][0]["port"] == self.mx["near"].port, because="the new route")
        # LDAP away: those that are known go where they went, nobody bounces
        self.assertEqual(self.route("near@ours.lab")["ok"], True)
        self.slapd.stop()
        wait_for(lambda: self.route("near@ours.lab").get("by", {}).get("stale"), because="a route from old knowledge")
        self.assertEqual(l.send(["near@ours.lab", "unknown@ours.lab"], sender="a@example.lab")[0], 250)
        self.assertEqual(self.mx["near"].wait(2)[-1][1], ["near@ours.lab"])
        wait_for(lambda: re.search(r"to=<unknown@ours.lab>.*dsn=4.4.3.*cannot be asked", l.log()), because="the one who waits")
        self.assertNotIn("to=<unknown@ours.lab>, relay=none, delay=0, delays=0/0/0/0, dsn=5", l.log())
        # … and then it is known that he is not there
        self.slapd.start()
        wait_for(lambda: re.search(r"to=<unknown@ours.lab>.*dsn=5.1.1", l.log()), 60, because="LDAP's answer")

    def test_a_dead_way_holds_up_no_other(self):
        """One recipient's own route is dead: his domain's mail goes on, and its site does not rest."""
        l = self.l
        ours, dead = self.hop("ours"), "127.0.0.1:%d" % free_port()
        self.start(delivery={"retry": ["1s"], "routes": {"boss@far.lab": dead, "far.lab": ours}})
        self.assertEqual(l.send(["boss@far.lab", "a@far.lab"])[0], 250)
        self.mx["ours"].wait(1)
        wait_for(lambda: re.search(r"to=<boss@far.lab>.*status=deferred", l.log()), because="the dead way")
        for i in range(5):
            self.assertEqual(l.send("b%d@far.lab" % i)[0], 250)
        self.assertEqual(len(self.mx["ours"].wait(6)), 6)


class Servers(unittest.TestCase):
    """What a directory's server may do to us."""

    def check(self, l, **directory):
        l.policy("version: 1\n")
        l.config(directory={"corp": directory})
        l.start_postern()
        return lambda: json.loads(l.tool("--json", "directory", "test", "corp"))

    def test_tls(self):
        """StartTLS and ldaps, the right certificate and each kind of wrong one."""
        l = Lab("ldap-tls")
        self.addCleanup(l.close)
        ca, other = Authority(l, "ca"), Authority(l, "other")
        good = Slapd(l, "good", tls=ca.issue("localhost", "good-cert"))
        wrong_name = Slapd(l, "wrong", tls=ca.issue("elsewhere.lab", "wrong-cert"))
        plain = Slapd(l, "plain")
        d = good.config(tls={"ca": "ca.pem", "starttls": "required"})
        rows = [
            ("starttls", ["ldap://localhost:%d" % good.port], "ca.pem", True, "TLSv1"),
            ("ldaps", ["ldaps://localhost:%d" % good.tls_port], "ca.pem", True, "TLSv1"),
            ("another authority", ["ldaps://localhost:%d" % good.tls_port], "other.pem", False, "certificate"),
            ("another authority, StartTLS", ["ldap://localhost:%d" % good.port], "other.pem", False, "certificate"),
            ("another name", ["ldaps://localhost:%d" % wrong_name.tls_port], "ca.pem", False, "not for localhost"),
            ("no TLS there", ["ldap://localhost:%d" % plain.port], "ca.pem", False, "asking for TLS"),
            ("no TLS on ldaps", ["ldaps://localhost:%d" % plain.port], "ca.pem", False, "TLS handshake"),
            ("the second has the right one", ["ldaps://localhost:%d" % wrong_name.tls_port,
                                              "ldaps://localhost:%d" % good.tls_port], "ca.pem", True, "TLSv1"),
        ]
        del other
        l.config(directory={"d%d" % i: {**d, "servers": urls, "tls": {"ca": pem, "starttls": "required"}}
                            for i, (_, urls, pem, _, _) in enumerate(rows)})
        l.start_postern()
        for i, (name, _, _, works, says) in enumerate(rows):
            said = json.loads(l.tool("--json", "directory", "test", "d%d" % i))
            self.assertEqual(said["status"], "found" if works else "unknown", (name, said))
            self.assertIn(says, said["server"] if works else said["error"], name)

    def test_wrong_password_of_ours(self):
        l = Lab("ldap-bind")
        self.addCleanup(l.close)
        test = self.check(l, **Slapd(l).config())
        self.assertEqual(test()["status"], "found")
        l.stop_postern()
        l.write("ldap.pw", "wrong\n")
        l.start_postern()
        said = test()
        self.assertEqual(said["status"], "unknown")
        self.assertIn("Invalid credentials", said["error"])
        l.stop_postern()
        l.write("ldap.pw", "\n")
        r = l.tool("check", check=False)
        self.assertIn("an empty password would bind as nobody", r.stderr + r.stdout)
        l.write("ldap.pw", "x\n")
        os.chmod(l.path("ldap.pw"), 0o644)
        r = l.tool("check", check=False)
        self.assertIn("everybody may read", r.stderr + r.stdout)
        l.daemon = None

    def test_silent_and_failing_over(self):
        """The first server never answers: the second does, and the first is left alone for a while."""
        l = Lab("ldap-silent")
        self.addCleanup(l.close)
        silent, slapd = Silent(l), Slapd(l)
        d = slapd.config(timeout="1s")
        d["servers"].insert(0, "ldap://127.0.0.1:%d" % silent.port)
        test = self.check(l, **d)
        self.assertEqual(test()["status"], "found")
        begin = time.monotonic()
        self.assertEqual(test()["status"], "found")
        self.assertLess(time.monotonic() - begin, 5)
        servers = json.loads(l.tool("--json", "directory"))["servers"]
        self.assertEqual([s["used"] for s in servers], [False, True])
        self.assertGreaterEqual(servers[0]["failures"], 1)
        self.assertLessEqual(len(silent.held), 3)

    def test_only_silent(self):
        l = Lab("ldap-mute")
        self.addCleanup(l.close)
        silent = Silent(l)
        test = self.check(l, servers=["ldap://127.0.0.1:%d" % silent.port], base=BASE, timeout="500ms")
        said = test()
        self.assertEqual(said["status"], "unknown")
        self.assertIn("in time", said["error"])
        wait_for(lambda: l.counter("directories_down") == 1, because="the count of directories that are down")
        self.assertIn("DOWN", l.tool("directory"))

    def test_huge(self):
        """A thousand entries for one address, a group with 3,000 members, an entry above the bound."""
        l = Lab("ldap-huge")
        self.addCleanup(l.close)
        many = [person("p%d" % i, "many@example.lab") for i in range(1000)]
        big = person("big", "big@example.lab", description="x" * (3 << 20))
        crowd = group("Crowd", user_dn("ann"), *(user_dn("p%d" % i) for i in range(3000)))
        l.policy(GROUPS.replace("cn=Ring1", "cn=Crowd"))
        routed = person("routed", "routed@ours.lab", description=["10.0.%d.%d" % (i // 250, i % 250) for i in range(2000)])
        l.config(directory={"corp": Slapd(l, entries=[*many, big, crowd, routed]).config()},
                 delivery={"routes": {"*": {"to": ["127.0.0.1:%d" % l.mx().port]},
                                      "big@example.lab": {"ldap": {"attribute": "description"}},
                                      "ours.lab": {"ldap": {"attribute": "description"}}}})
        l.start_postern()
        self.assertEqual(l.send("x@far.lab", sender="ann@example.lab")[0], 250)
        # who has a thousand entries is nobody in particular: it cannot be said
        self.assertEqual(l.send("x@far.lab", sender="many@example.lab")[0], 451)
        self.assertEqual(l.send("x@far.lab", sender="big@example.lab")[0], 250)
        # an answer larger than can be costs its connection, and is no answer; so are 2,000 next hops
        for address in ("big@example.lab", "routed@ours.lab"):
            said = json.loads(l.tool("--json", "route", address))
            self.assertEqual((said["ok"], said["status"]), (False, "deferred"), address)
        self.assertEqual(l.send("x@far.lab", sender="bob@example.lab")[0], 250)

    def test_garbage(self):
        """A server that answers with anything but LDAP is one that fails."""
        import socketserver
        import threading

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.recv(4096)
                self.request.sendall(self.server.says)
                self.request.recv(4096)

        l = Lab("ldap-garbage")
        self.addCleanup(l.close)
        says = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x30\x84\xff\xff\xff\xff", b"\x30\x03\x02\x01\x63",
                b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x7f", b"\0" * 5000]
        d = {}
        for i, s in enumerate(says):
            server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
            server.daemon_threads, server.says = True, s
            threading.Thread(target=server.serve_forever, daemon=True).start()
            l.closers += [server.shutdown, server.server_close]
            l.write("ldap.pw", "x\n")
            os.chmod(l.path("ldap.pw"), 0o600)
            d["d%d" % i] = {"servers": ["ldap://127.0.0.1:%d" % server.server_address[1]], "base": BASE, "bind": BINDER,
                            "password_file": "ldap.pw", "timeout": "1s"}
        l.config(directory=d)
        l.start_postern()
        pids = l.pids("directory")
        for name in d:
            self.assertEqual(json.loads(l.tool("--json", "directory", "test", name))["status"], "unknown", name)
        self.assertEqual(l.pids("directory"), pids)


if __name__ == "__main__":
    unittest.main()
