#!/usr/bin/python3
"""AUTH, groups and routes by LDAP, against a real slapd: good and bad, nested and changed, down and lying."""
import base64
import json
import os
import smtplib
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from authority import Authority, trusting                                               # noqa: E402
from lab import Lab, free_port, wait_for                                                 # noqa: E402
from ldap import BASE, BINDER, Silent, Slapd, group, group_dn, person, user_dn           # noqa: E402

UNIT = {"scanners": {"processes": "1"}}


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
        self.assertIn("directory", l.tool("status"))

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


if __name__ == "__main__":
    unittest.main()
