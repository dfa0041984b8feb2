#!/usr/bin/python3
"""Signing in to the console by a bind at a real slapd: groups to roles, beside local accounts."""
import os
import sqlite3
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import console                                                                          # noqa: E402
import lab                                                                              # noqa: E402
from ldap import BASE, Slapd, group, group_dn, person, user_dn                          # noqa: E402
from test_console_api import totp                                                       # noqa: E402

ROLES = {"operator": group_dn("Hospital"), "admin": [group_dn("Admins"), group_dn("Nobody")],
         "auditor": "CN=Auditors, OU=groups, DC=example, DC=lab"}
WRONG = (401, "login")


class Login(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        l = cls.lab = lab.Lab("console-ldap")
        cls.addClassCleanup(l.close)
        console.certificate(l)
        cls.slapd = Slapd(l, entries=[
            person("boss", "boss@example.lab", "boss's password"), person("help", "help@example.lab", "help's password"),
            person("twin1", "twin@example.lab", "twin"), person("twin2", "twin@example.lab", "twin"),
            # an address of somebody else's makes nobody somebody else
            person("mallory", "boss@example.lab", "mallory's password"),
            person("far", "far@elsewhere.lab", "far's password"), person("staff", "staff@example.lab", "staff's password"),
            group("Admins", user_dn("boss")), group("Auditors", user_dn("boss"), user_dn("help")),
            group("Helpdesk", user_dn("help")), person("temp", "temp@example.lab", "temp's password"),
            person("gone", "gone@example.lab", "gone's password"), group("Temps", user_dn("temp"), user_dn("gone"))])
        cls.port = lab.free_port()
        cls.config()
        l.start_postern()
        console.add_user(l, "staff", "--role", "editor")
        console.add_user(l, "local", "--role", "operator")

    @classmethod
    def config(cls, totp="optional", **ldap):
        ldap = {"directory": "corp", "roles": ROLES, "domains": {"example.lab": group_dn("Helpdesk")}, "lasts": "2h", "again": "1s", **ldap}
        cls.lab.config(directory={"corp": cls.slapd.config(domains=["example.lab"])}, tls={"certificate": "gw.pem", "key": "gw.key"},
                       console={"address": "127.0.0.1:%d" % cls.port, "login": {"totp": totp, "ldap": ldap}})

    def browser(self):
        return console.Browser(self.port, self.lab.path("gw.pem"))

    def sign_in(self, name, password, **more):
        """(browser, status, code of the error or what he is)"""
        b = self.browser()
        status, o = b.sign_in(name, password, **more)
        return b, status, o if status == 200 else o["code"]

    def refused(self, name, password):
        return self.sign_in(name, password)[1:]

    def audit(self, name):
        o = self.sign_in("boss", "boss's password")[0].ask("GET", "/audit?q=" + name)[1]
        return [(r["what"], r["subject"], r["detail"]) for r in o["items"]]

    def test_groups_are_roles(self):
        b, status, me = self.sign_in("ann", "ann's password")       # Doctors, in Clinic, in Hospital
        self.assertEqual((status, me["name"], sorted(me["roles"]), me["addresses"], me["domains"], me["kind"]),
                         (200, "ann", ["operator", "user"], ["ann@example.lab"], [], "directory"))
        self.assertEqual(b.ask("GET", "/queue")[0], 200)
        self.assertEqual(b.ask("GET", "/users")[0], 403)
        self.assertEqual(b.ask("PATCH", "/session", {"language": "fr"})[0], 200)
        self.assertEqual(b.ask("POST", "/session/password", {"old": "ann's password", "password": "another good one"})[0], 400)
        self.assertNotIn("ann", [u["name"] for u in self.sign_in("boss", "boss's password")[0].ask("GET", "/users")[1]["items"]])
        _, status, me = self.sign_in("boss@EXAMPLE.lab", "boss's password")
        self.assertEqual((status, me), (401, "login"))              # two have that address: neither is him
        _, status, me = self.sign_in("Boss", "boss's password")
        self.assertEqual((me["name"], sorted(me["roles"])), ("boss", ["admin", "auditor", "user"]))
        _, _, me = self.sign_in("help@example.lab", "help's password")
        self.assertEqual((me["name"], sorted(me["roles"]), me["domains"]),
                         ("help", ["auditor", "domain_admin", "user"], ["example.lab"]))
        self.assertIn("by the directory", [d for w, s, d in self.audit("help") if (w, s) == ("sign-in", "help")][0])
        for word in ("ann's password", "boss's password"):
            self.assertNotIn(word, self.lab.log())

    def test_no_group(self):
        b, status, me = self.sign_in("bob", "bob's password")
        self.assertEqual((status, me["roles"], me["addresses"]), (200, ["user"], ["bob@example.lab"]))
        self.assertEqual((b.ask("GET", "/kept")[0], b.ask("GET", "/queue")[0]), (200, 403))
        self.assertEqual(self.sign_in("mallory", "mallory's password")[2]["roles"], ["user"])
        self.assertEqual(self.refused("far", "far's password"), (403, "forbidden"))    # no address of the directory's domains
        self.assertIn("no group gives a role", self.audit("far")[0][2])

    def test_wrong(self):
        b = self.browser()
        wrong, unknown = b.sign_in("help", "not it"), b.sign_in("stranger", "not it")
        self.assertEqual((wrong[0], wrong[1]["code"]), WRONG)
        self.assertEqual(wrong, unknown)
        for name in ("*", "hel*", "help)(uid=*", "*)(objectClass=*", "twin@example.lab", "staff", user_dn("help")):
            self.assertEqual(self.refused(name, "help's password"), WRONG, name)
        self.assertEqual(self.refused("h" * 40000, "x"), WRONG)
        self.assertEqual(self.refused("help", "help's password" + "\0" * 1000), WRONG)
        self.assertEqual(self.refused("staff@example.lab", "staff's password"), WRONG)  # the local account's name
        self.assertIn("is a local account's", self.audit("staff@example.lab")[0][2])
        self.assertEqual([self.refused("forgetful", "no %d" % i)[0] for i in range(9)], [401] * 8 + [429])
        self.assertIn("sign-in-failed", [w for w, _, _ in self.audit("forgetful")])

    def test_local_beside(self):
        _, status, me = self.sign_in("local", console.PASSWORD)
        self.assertEqual((status, me["roles"], me["kind"]), (200, ["operator"], "local"))
        self.assertEqual(self.sign_in("staff", console.PASSWORD)[2]["roles"], ["editor"])

    def test_ends(self):
        """Two hours, as `ldap` says: then his groups are asked for again. A local session has the twelve of `login`."""
        browsers = [self.sign_in(*who)[0] for who in (("ann", "ann's password"), ("local", console.PASSWORD))]
        for minutes, statuses in ((119, [200, 200]), (2, [401, 200])):
            with sqlite3.connect(self.lab.path("store", "store.db"), timeout=60) as db:
                db.execute("UPDATE session SET created = created - ? WHERE name IN ('ann', 'local')", (minutes * 60000000,))
            db.close()
            self.assertEqual([b.ask("GET", "/session")[0] for b in browsers], statuses)

    def test_looked_at_again(self):
        """Who is taken out of a group, or is found no more, is out soon; whoever lost nothing stays."""
        self.addCleanup(self.config)
        self.addCleanup(lambda: self.lab.tool("reload"))
        self.config(roles={**ROLES, "editor": group_dn("Temps")})
        self.assertEqual(self.lab.tool("reload"), "reloaded\n")
        lab.wait_for(lambda: "editor" in self.sign_in("temp", "temp's password")[2]["roles"], because="the new group to count")
        stays, temp, gone = (self.sign_in(*who)[0] for who in (("ann", "ann's password"), ("temp", "temp's password"), ("gone", "gone's password")))
        self.assertEqual([b.ask("GET", "/session")[0] for b in (stays, temp, gone)], [200] * 3)
        self.slapd.modify("dn: %s\nchangetype: modify\ndelete: member\nmember: %s\n" % (group_dn("Temps"), user_dn("temp")))
        lab.wait_for(lambda: temp.ask("GET", "/session")[0] == 401, because="the session of who is no longer in the group to end")
        self.assertEqual(gone.ask("GET", "/session")[0], 200)
        self.slapd.modify("dn: %s\nchangetype: delete\n" % user_dn("gone"))
        lab.wait_for(lambda: gone.ask("GET", "/session")[0] == 401, because="the session of who is gone to end")
        self.assertEqual(stays.ask("GET", "/session")[0], 200)
        self.assertIn(("session.ended", "temp", "a group that gave him a role is gone"), self.audit("temp"))
        self.assertIn(("session.ended", "gone", "the directory knows him no more"), self.audit("gone"))

    def test_second_factor_and_shut_out(self):
        """An account without a password holds the code, and shuts out; it gives no role."""
        self.lab.tool("users", "add", "help", "--no-password", "--role", "editor")
        secret = console.json.loads(self.lab.tool("--json", "users", "totp", "help"))["secret"]
        for name in ("help", "help@example.lab"):
            self.assertEqual(self.refused(name, "help's password"), (401, "totp"))
        b, status, me = self.sign_in("help@example.lab", "help's password", code=totp(secret))
        self.assertEqual((status, sorted(me["roles"]), me["totp"]), (200, ["auditor", "domain_admin", "user"], True))
        self.assertEqual(b.ask("GET", "/session")[0], 200)
        self.lab.tool("users", "set", "help", "--disable")
        self.assertEqual(b.ask("GET", "/session")[0], 401)
        self.assertEqual(self.refused("help@example.lab", "help's password"), WRONG)
        self.lab.tool("users", "remove", "help")
        self.assertEqual(self.sign_in("help", "help's password")[1], 200)

    def test_z_away_and_reloaded(self):
        b, status, _ = self.sign_in("ann", "ann's password")
        self.assertEqual(status, 200)
        self.slapd.stop()
        self.assertEqual(self.refused("ann", "ann's password"), (503, "busy"))
        self.assertEqual(self.sign_in("local", console.PASSWORD)[1], 200)
        self.assertEqual(b.ask("GET", "/session")[1]["name"], "ann")
        self.slapd.start()
        lab.wait_for(lambda: self.sign_in("ann", "ann's password")[1] == 200, because="slapd to be asked again")
        # roles as another configuration has them; without `ldap` its sessions are over
        self.config(totp="required", roles={"admin": group_dn("Hospital")})
        self.assertEqual(self.lab.tool("reload"), "reloaded\n")
        lab.wait_for(lambda: self.refused("ann", "ann's password") == (403, "forbidden"), because="administrators to need a code")
        self.lab.config(directory={"corp": self.slapd.config()}, tls={"certificate": "gw.pem", "key": "gw.key"},
                        console={"address": "127.0.0.1:%d" % self.port})
        self.assertEqual(self.lab.tool("reload"), "reloaded\n")
        lab.wait_for(lambda: b.ask("GET", "/session")[0] == 401, because="the end of the directory's sessions")

    def test_errors(self):
        """What cannot be is said before it is loaded."""
        bad = [({"roles": {"admni": group_dn("Admins")}}, "admni", "admin"),
               ({"roles": {"admin": "Admins"}}, "`Admins` is not a distinguished name", "CN="),
               ({"roles": {"admin": "cn=Admins,dc=elsewhere"}}, "does not lie below the `base` of directory `corp`", BASE),
               ({"roles": {"domain_admin": group_dn("Admins")}}, "say which", "domains: {example.org: GROUP}"),
               ({"directory": "crop"}, "no directory `crop`", "did you mean `corp`?"),
               ({"filter": "(uid=ann)"}, "%m", "%u"), ({"name": "u id"}, "no name of an attribute", "sAMAccountName"),
               ({"again": "3h"}, "`again` is a second at least", "again"), ({"lasts": "13h"}, "`lasts` is a minute at least", "lasts"), ({"rolls": {}}, "rolls", "roles")]
        self.addCleanup(self.config)
        for ldap, *words in bad:
            with self.subTest(ldap=ldap):
                self.config(**ldap)
                r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("postern.yaml"), "check"],
                                   capture_output=True, text=True)
                self.assertEqual(r.returncode, 1)
                for word in words:
                    self.assertIn(word, r.stdout + r.stderr)


if __name__ == "__main__":
    unittest.main()
