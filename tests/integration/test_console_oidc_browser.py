#!/usr/bin/python3
"""Signing in at a provider of OpenID Connect in a real browser: by the keyboard alone, in English and in French, and out again."""
import os
import sys
import unittest

from selenium.webdriver.common.keys import Keys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import browser                                                                          # noqa: E402
import console                                                                          # noqa: E402
import lab                                                                              # noqa: E402
import oidc_provider                                                                    # noqa: E402

TABS = 20       # more than the sign-in page has stops


class Oidc(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        l = cls.lab = lab.Lab("oidc-browser")
        cls.addClassCleanup(l.close)
        console.certificate(l)
        cls.idp = oidc_provider.Provider(l)
        l.dns({"oidc.lab": ["idp A 127.0.0.1"]})
        l.write("oidc.secret", oidc_provider.SECRET)
        os.chmod(l.path("oidc.secret"), 0o600)
        cls.port = lab.free_port()
        l.config(tls={"certificate": "gw.pem", "key": "gw.key"}, approvals={"url": "https://localhost:%d/approve?token=" % cls.port},
                 domains={"example.lab": {"deliver_to": ["127.0.0.1:9"]}},
                 console={"address": "127.0.0.1:%d" % cls.port, "login": {"oidc": {
                     "issuer": cls.idp.issuer, "client_id": oidc_provider.CLIENT, "client_secret_file": "oidc.secret", "ca": cls.idp.certs.pem,
                     "roles": {"operator": "helpdesk"}, "button": {"en": "Sign in with Lab ID", "fr": "Se connecter avec Lab ID"}}}})
        l.start_postern()
        cls.url = "https://localhost:%d/" % cls.port
        cls.b = browser.Browser("--host-resolver-rules=MAP %s 127.0.0.1" % oidc_provider.NAME, shots=os.path.join(lab.BUILD, "shots", "oidc"))
        cls.addClassCleanup(cls.b.close)

    def setUp(self):
        b = self.b
        self.idp.bend, self.idp.person = {}, {"sub": "1", "preferred_username": "ann", "groups": ["helpdesk"]}
        b.driver.delete_all_cookies()
        b.size(1280)
        b.open(self.url + "icon.svg")
        b.js("try { localStorage.clear(); sessionStorage.clear(); } catch (e) {}")

    def tearDown(self):
        self.assertEqual(self.b.faults(), [])

    def tab_to(self, what):
        """Presses Tab until this is in focus."""
        for _ in range(TABS):
            self.b.keys(Keys.TAB)
            if self.b.js(what, self.b.focused()):
                return
        self.fail("no way there by the keyboard")

    def test_in_and_out_by_the_keyboard(self):
        b = self.b
        b.open(self.url + "#/queue?by=reason")
        b.find("a.button", "Sign in with Lab ID")
        b.shot("door")
        self.assertEqual(b.axe(), [])
        self.tab_to("return (arguments[0].getAttribute('href') || '').startsWith('oidc/start')")
        b.keys(Keys.ENTER)
        b.find("#main h1", "Queue")                     # where he wanted to go
        self.assertEqual(b.driver.current_url, self.url + "#/queue?by=reason")
        cookies = {c["name"]: c for c in b.driver.get_cookies()}
        self.assertEqual(set(cookies), {"postern_session"})         # that of the way is gone
        c = cookies["postern_session"]
        self.assertEqual((c["httpOnly"], c["secure"], c["sameSite"]), (True, True, "Strict"))
        b.js("location.hash = '#/overview'")
        b.find("#main h1", "Overview")
        b.find(".top .me", "ann")
        menu = b.js("return [...document.querySelectorAll('#menu a')].map((a) => a.getAttribute('href'))")
        self.assertIn("#/queue", menu)                  # an operator's, and no more than that
        self.assertNotIn("#/users", menu)
        self.assertEqual(b.axe(), [])
        left = len(self.idp.left)
        self.tab_to("return arguments[0].getAttribute('aria-label') === 'Sign out'")
        b.keys(Keys.ENTER)
        b.find("a.button", "Sign in with Lab ID")
        self.assertEqual(self.idp.left[left:], [{"client_id": oidc_provider.CLIENT, "post_logout_redirect_uri": self.url}])
        self.assertEqual(b.driver.get_cookies(), [])

    def test_in_french(self):
        b = self.b
        b.size(320)
        b.open(self.url)
        b.click("button", "Français")
        b.find("a.button", "Se connecter avec Lab ID")
        b.text("Ou avec un compte de cette passerelle")
        self.assertEqual(b.js("return Math.max(0, document.documentElement.scrollWidth - innerWidth)"), 0)
        b.shot("door-fr-320")
        self.assertEqual(b.axe(), [])
        b.click("a.button", "Se connecter avec Lab ID")
        b.find("#main h1", "Vue d’ensemble")

    def test_not_let_in(self):
        """The page that says so: readable, narrow, with a way back to the door."""
        b = self.b
        b.size(320)
        self.idp.person = {**self.idp.person, "groups": []}
        b.open(self.url)
        b.click("a.button", "Sign in with Lab ID")
        b.text("Nothing is open to you here", "h1")
        self.assertEqual(b.js("return Math.max(0, document.documentElement.scrollWidth - innerWidth)"), 0)
        self.assertEqual(b.axe(), [])
        b.shot("no-role")
        b.click("a", "Back to the sign-in page")
        b.find("a.button", "Sign in with Lab ID")
        b.open(self.url + "oidc/return?code=x&state=" + "0" * 64)
        b.text("Please begin again", "h1")
        self.assertEqual(b.axe(), [])


if __name__ == "__main__":
    unittest.main()
