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


if __name__ == "__main__":
    unittest.main()
