#!/usr/bin/python3
"""Signing in to the console at a provider of OpenID Connect: groups to roles, and every answer that must not be taken."""
import http.client
import itertools
import json
import os
import sqlite3
import subprocess
import sys
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import console                                                                          # noqa: E402
import lab                                                                              # noqa: E402
import oidc_provider                                                                    # noqa: E402
from oidc_provider import CLIENT, Key, b64, hs256                                       # noqa: E402

ROLES = {"admin": "gw-admins", "operator": ["helpdesk", "night shift"], "auditor": "auditors"}
sources = itertools.count(2)
MISSING = object()


def ann(**more):
    return {"sub": "8f1c-ann", "preferred_username": "Ann", "email": "Ann@example.lab", "email_verified": True, "groups": ["helpdesk", "others"], **more}


class Visitor(console.Browser):
    """A browser from an address of its own: failures of others are not counted against it."""

    def __init__(self, port, ca, source=None):
        super().__init__(port, ca)
        self.way, self.source = None, source or "127.0.99.%d" % next(sources)

    def connect(self):
        return http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=60, source_address=(self.source, 0))

    def get(self, target, **headers):
        """(status, Location or None, body); both cookies are kept."""
        jar = ["%s=%s" % c for c in (("postern_session", self.cookie), ("__Host-postern_oidc", self.way)) if c[1]]
        status, h, body = self.raw("GET", target, headers={**({"Cookie": "; ".join(jar)} if jar else {}), **headers})
        self.set = h.get_all("Set-Cookie") or []
        for c in self.set:
            name, _, value = c.split(";")[0].partition("=")
            if name == "postern_session":
                self.cookie = value or None
            elif name == "__Host-postern_oidc":
                self.way = value or None
        return status, h.get("Location"), body.decode()

    def start(self, **query):
        return self.get("/oidc/start" + ("?" + urllib.parse.urlencode(query) if query else ""))

    def come_back(self, url, **headers):
        u = urllib.parse.urlsplit(url)
        return self.get(u.path + "?" + u.query, **headers)

    def me(self):
        status, o = self.ask("GET", "/session")
        self.csrf = o.get("csrf")
        return o if status == 200 else status


def changed(url, **query):
    """The same address with other members; MISSING takes one away."""
    u = urllib.parse.urlsplit(url)
    q = {**{k: v[0] for k, v in urllib.parse.parse_qs(u.query).items()}, **query}
    return u._replace(query=urllib.parse.urlencode({k: v for k, v in q.items() if v is not MISSING})).geturl()


class Oidc(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        l = cls.lab = lab.Lab("console-oidc")
        cls.addClassCleanup(l.close)
        console.certificate(l)
        cls.idp = oidc_provider.Provider(l)
        cls.keys = cls.idp.keys + [Key("key of " + alg, alg) for alg in ("PS256", "ES256", "EdDSA")]
        l.dns({"oidc.lab": ["idp A 127.0.0.1"]})
        l.write("oidc.secret", oidc_provider.SECRET + "\n")
        os.chmod(l.path("oidc.secret"), 0o600)
        cls.port = lab.free_port()
        cls.config()
        l.start_postern()
        console.add_user(l, "staff", "--role", "editor")

    @classmethod
    def config(cls, login=None, **oidc):
        oidc = {"issuer": cls.idp.issuer, "client_id": CLIENT, "client_secret_file": "oidc.secret", "ca": cls.idp.certs.pem, "roles": ROLES,
                "domains": {"example.lab": "helpdesk"}, "lasts": "2h", "button": {"fr": "Se connecter avec Lab ID"}, **oidc}
        cls.lab.config(tls={"certificate": "gw.pem", "key": "gw.key"}, domains={"example.lab": {"deliver_to": ["127.0.0.1:9"]}},
                       doctor={"probe": [], "blocklists": []}, approvals={"url": "https://localhost:%d/approve?token=" % cls.port},
                       console={"address": "127.0.0.1:%d" % cls.port, "login": {**(login or {}), "oidc": {k: v for k, v in oidc.items() if v is not None}}})

    def reconfigured(self, **oidc):
        """Until the fetcher that has read it is the one that is asked: a scope of its own tells."""
        def back():
            self.idp.bend = {}
            self.config()
            self.reload()
            lab.wait_for(lambda: self.scopes() == ["openid", "profile", "email"], because="the fetcher of before")
        self.addCleanup(back)
        mark = "mark-%d" % next(sources)
        self.config(scopes=["openid", mark], **oidc)
        self.reload()
        lab.wait_for(lambda: self.scopes() == ["openid", mark], because="the new fetcher")

    def scopes(self):
        status, to, _ = self.visitor().start()
        return urllib.parse.parse_qs(urllib.parse.urlsplit(to).query)["scope"][0].split() if status == 303 else None

    def reload(self):
        self.assertEqual(self.lab.tool("reload"), "reloaded\n")

    def setUp(self):
        self.idp.bend, self.idp.person, self.idp.keys = {}, ann(), list(self.keys)

    def visitor(self, **more):
        return Visitor(self.port, self.lab.path("gw.pem"), **more)

    def there(self, v=None, **query):
        """(visitor, where the provider sends it)"""
        v = v or self.visitor()
        status, to, body = v.start(**query)
        self.assertEqual(status, 303, body)
        return v, self.idp.authorize(to)

    def sign_in(self, **person):
        self.idp.person = ann(**person) if person else self.idp.person
        v, back = self.there()
        status, to, body = v.come_back(back)
        self.assertEqual((status, to), (303, "/#/"), body + self.lab.log()[-1000:])
        return v

    def audit(self, q):
        return [(r["what"], r["subject"], r["detail"]) for r in self.lab.control({"cmd": "audit.list", "q": q}) if "seq" in r]

    def refused(self, because, status=403, v=None, back=None):
        """This way back is not taken, and the audit log says why, of this visitor's address."""
        if back is None:
            v, back = self.there(v)
        got, to, body = v.come_back(back)
        self.assertEqual((got, to, v.cookie), (status, None, None), body)
        self.assertIn('href="/"', body)
        self.assertIn("__Host-postern_oidc=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0", v.set)
        if because:
            details = [d for w, _, d in self.audit(v.source) if w == "sign-in-failed" and "from %s:" % v.source in d]
            self.assertTrue(any(because in d for d in details), (because, details, self.lab.log()[-1500:]))
        return body

    # -- who comes in ------------------------------------------------------------------
    def test_groups_are_roles(self):
        v = self.sign_in()
        me = v.me()
        self.assertEqual((me["name"], sorted(me["roles"]), me["addresses"], me["domains"], me["kind"], me["totp"]),
                         ("ann", ["domain_admin", "operator", "user"], ["ann@example.lab"], ["example.lab"], "oidc", False))
        self.assertEqual((v.ask("GET", "/queue")[0], v.ask("GET", "/users")[0]), (200, 403))
        self.assertIn(("sign-in", "ann", "from %s, at the provider, as 8f1c-ann" % v.source), self.audit("ann"))
        self.assertEqual(v.ask("POST", "/session/password", {"old": "x" * 12, "password": "another good one"})[0], 400)
        # The next time his groups are others.
        boss = self.sign_in(groups=["gw-admins", "auditors"])
        self.assertEqual((sorted(boss.me()["roles"]), v.me()["name"]), (["admin", "auditor", "user"], "ann"))
        row = [u for u in boss.ask("GET", "/users")[1]["items"] if u["name"] == "ann"][0]
        self.assertEqual((row["issuer"], row["subject"], row["addresses"], row["password"]), (self.idp.issuer, "8f1c-ann", ["ann@example.lab"], False))
        for word in (oidc_provider.SECRET, "eyJ", v.cookie, boss.cookie):
            self.assertNotIn(word, self.lab.log())

    def test_cookies_and_address(self):
        v = self.visitor()
        status, to, _ = v.start(next="/queue?by=site&q=a%20b")
        self.assertEqual(status, 303)
        u = urllib.parse.urlsplit(to)
        q = {k: x[0] for k, x in urllib.parse.parse_qs(u.query).items()}
        self.assertEqual((u.netloc + u.path, q["redirect_uri"], q["client_id"], q["scope"], q["response_type"], q["code_challenge_method"]),
                         (self.idp.issuer[8:] + "/authorize", "https://localhost:%d/oidc/return" % self.port, CLIENT, "openid profile email", "code", "S256"))
        self.assertEqual(len(v.set), 1)
        self.assertRegex(v.set[0], r"^__Host-postern_oidc=[0-9a-f]{64}\.en/queue\?by=site&q=a%20b; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600$")
        for secret in (q["state"], q["nonce"], q["code_challenge"]):
            self.assertNotIn(secret, v.way)
        status, to, _ = v.come_back(self.idp.authorize(to))
        self.assertEqual((status, to, v.me()["language"]), (303, "/#/queue?by=site&q=a%20b", "en"))
        v, back = self.there(language="fr")
        v.come_back(back)
        self.assertEqual(v.me()["language"], "fr")
        self.assertTrue(any(c.startswith("postern_session=") and "SameSite=Strict" in c and "HttpOnly" in c and "Secure" in c for c in v.set), v.set)

    def test_next_leads_nowhere_else(self):
        for bad in ("//evil.example/", "https://evil.example/", "/\\evil.example", "/a\r\nSet-Cookie: x=y", "javascript:alert(1)", "/é", "/" + "a" * 300, "/a;b"):
            v, back = self.there(next=bad)
            status, to, _ = v.come_back(back)
            self.assertEqual(status, 303)
            self.assertTrue(to.startswith("/#/") and (to == "/#/" or bad == "//evil.example/"), to)
            self.assertFalse(any(c.startswith("x=") for c in v.set))

    def test_every_algorithm(self):
        for key in self.keys:
            self.idp.keys = [key] + [k for k in self.keys if k is not key]
            self.assertEqual(self.sign_in(sub="of " + key.alg, preferred_username=key.alg).me()["name"], key.alg.lower())

    def test_secret_in_the_body(self):
        self.idp.bend = {"discovery": lambda d: {**d, "token_endpoint_auth_methods_supported": ["client_secret_post"]}}
        self.addCleanup(self.lab.control, {"cmd": "oidc.show"})     # asks the provider afresh
        self.addCleanup(self.idp.bend.clear)
        self.assertEqual(self.lab.control({"cmd": "oidc.show"})[0]["secret"], "client_secret_post")
        self.assertEqual(self.sign_in().me()["name"], "ann")
        self.assertNotIn("Authorization", self.idp.asked("/token")[-1].headers)

    def test_one_person(self):
        """A subject is a person: its name follows the provider, another subject with that name is somebody else."""
        v = self.sign_in(sub="s-1", preferred_username="carol")
        self.idp.person = ann(sub="s-2", preferred_username="CAROL")
        self.refused("the name is another person's at the provider")
        renamed = self.sign_in(sub="s-1", preferred_username="carol.b")
        self.assertEqual((renamed.me()["name"], v.me()), ("carol.b", 401))
        self.assertIn(("users.renamed", "carol", "carol.b"), self.audit("carol"))
        self.assertEqual(self.sign_in(sub="s-2", preferred_username="carol").me()["name"], "carol")
        # Forgotten, the name is free, and he is out.
        self.lab.tool("users", "remove", "carol.b")
        self.assertEqual(renamed.me(), 401)
        self.assertEqual(self.sign_in(sub="s-3", preferred_username="carol.b").me()["name"], "carol.b")

    def test_addresses(self):
        for person, addresses in ((dict(email_verified=False), []), (dict(email="x@elsewhere.lab"), []), (dict(email="a b@example.lab"), []),
                                  (dict(email_verified="true"), ["ann@example.lab"])):
            self.assertEqual(self.sign_in(**person).me()["addresses"], addresses, person)
        self.idp.person = ann(groups=["others"], email_verified=False)
        body = self.refused("no group gives a role")
        self.assertIn("Nothing is open to you here", body)

    def test_another_configuration(self):
        """Other claims, how one proves oneself there, no word to the provider at signing out."""
        self.reconfigured(login={"totp": "required"}, groups_claim="realm_access.roles", name_claim="upn", mail="claimed", logout="local",
                          amr=["mfa", "otp"], acr=["gold"])
        self.assertIn("acr_values=gold", self.visitor().start()[1])
        dave = dict(upn="dave", sub="dave", acr="gold", amr=["pwd", "otp"], email_verified=False, realm_access={"roles": ["gw-admins"]})
        v = self.sign_in(**dave)
        me = v.me()
        self.assertEqual((me["name"], me["roles"], me["addresses"]), ("dave", ["user", "admin"], ["ann@example.lab"]))
        self.assertNotIn("leave", v.ask("DELETE", "/session")[1])
        for person, because in (({**dave, "amr": ["pwd"]}, "`amr`"), ({**dave, "acr": "silver"}, "`acr`"), ({**dave, "acr": None}, "`acr`")):
            self.idp.person = ann(**person)
            self.refused(because)

    def test_local_accounts(self):
        self.idp.person = ann(preferred_username="staff", sub="staff")
        self.refused("the name is a local account's")
        self.lab.tool("users", "add", "erin", "--no-password", "--role", "editor")
        v = self.sign_in(preferred_username="erin", sub="erin")
        self.assertEqual(v.me()["roles"], ["user", "domain_admin", "operator"])     # it gives no role
        self.lab.tool("users", "set", "erin", "--disable")
        self.assertEqual(v.me(), 401)
        self.refused("disabled")

    def test_ends(self):
        v = self.sign_in(sub="ends", preferred_username="ends")
        for minutes, status in ((119, dict), (2, int)):
            with sqlite3.connect(self.lab.path("store", "store.db"), timeout=60) as db:
                db.execute("UPDATE session SET created = created - ? WHERE name = 'ends'", (minutes * 60000000,))
            db.close()
            self.assertIsInstance(v.me(), status)

    def test_sign_out(self):
        v = self.sign_in()
        v.me()
        status, o = v.ask("DELETE", "/session")
        self.assertEqual((status, v.cookie), (200, None))
        u = urllib.parse.urlsplit(o["leave"])
        self.assertEqual((u.netloc + u.path, urllib.parse.parse_qs(u.query)), (self.idp.issuer[8:] + "/leave", {
            "client_id": [CLIENT], "post_logout_redirect_uri": ["https://localhost:%d/" % self.port]}))
        local = console.Browser(self.port, self.lab.path("gw.pem"))
        local.sign_in("staff")
        self.assertNotIn("leave", local.ask("DELETE", "/session")[1])

    def test_ways(self):
        self.assertEqual(self.visitor().ask("GET", "/session/ways"), (200, {"v": 1, "links": False, "oidc": {"en": "", "fr": "Se connecter avec Lab ID"}}))

    def test_by_another_name(self):
        """The way back leads to the name that the provider knows: the way there begins at that name."""
        v = self.visitor()
        status, to, _ = v.get("/oidc/start?next=/queue", Host="127.0.0.1:%d" % self.port)
        self.assertEqual((status, to), (303, "https://localhost:%d/oidc/start?moved=1&next=/queue" % self.port))
        self.assertIsNone(v.way)

    # -- who does not ------------------------------------------------------------------
    def test_the_way_back(self):
        v, back = self.there()
        other, another = self.there()
        begin = "This sign-in was not begun in this browser"
        before = len(self.idp.asked("/token"))
        for url in (changed(back, state="0" * 64), changed(back, state=MISSING), another, changed(back, state="")):
            who, own = self.there()
            self.assertIn(begin, self.refused(None, 400, who, url))
        nobody = self.visitor()
        self.assertIn(begin, self.refused(None, 400, nobody, back))
        french = nobody.come_back(back, **{"Accept-Language": "fr"})[2]
        self.assertIn("Veuillez recommencer", french)
        self.assertIn('<html lang="fr">', french)
        # From another issuer, from nobody, without a code, with an error.
        for query, because in ((dict(iss="https://evil.example"), "from another issuer"), (dict(iss=MISSING), "does not say which issuer"),
                               (dict(code=MISSING), "without a code"), (dict(code=MISSING, error="access_denied"), "it says access_denied"),
                               (dict(code=MISSING, error="<b>\n"), "cannot be shown")):
            who, own = self.there()
            body = self.refused(because, 403, who, changed(own, **query))
            self.assertNotIn("<b>", body)
        self.assertEqual(len(self.idp.asked("/token")), before)     # none of these came so far

    def test_taken_once(self):
        v, back = self.there()
        way = v.way
        self.assertEqual(v.come_back(back)[0], 303)
        thief = self.visitor()
        thief.way = way                     # with the cookie and all
        before = len(self.idp.asked("/token"))
        self.refused("taken already", 403, thief, back)
        self.assertEqual(len(self.idp.asked("/token")), before)
        # A code that the provider has seen before, in a way of its own.
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(back).query)["code"][0]
        who, own = self.there()
        self.refused("invalid_grant", 403, who, changed(own, code=code))

    def test_tokens_that_are_not_taken(self):
        now = time.time()
        one = self.idp.keys[0]
        forged = Key("k1")
        small = Key("small", bits=1024)
        self.addCleanup(self.lab.control, {"cmd": "oidc.show"})
        self.addCleanup(lambda: self.setUp())
        for bend, because in (
                ({"claims": lambda c: {**c, "nonce": "0" * 64}}, "`nonce`"),
                ({"claims": lambda c: {k: v for k, v in c.items() if k != "nonce"}}, "`nonce`"),
                ({"claims": lambda c: {**c, "aud": "another"}}, "`aud`"),
                ({"claims": lambda c: {**c, "aud": [CLIENT, "another"]}}, "`azp`"),
                ({"claims": lambda c: {**c, "azp": "another"}}, "`azp`"),
                ({"claims": lambda c: {**c, "iss": self.idp.issuer + "/"}}, "another issuer"),
                ({"claims": lambda c: {**c, "exp": now - 61}}, "expired"),
                ({"claims": lambda c: {**c, "iat": now + 120, "exp": now + 600}}, "from the future"),
                ({"claims": lambda c: {**c, "iat": now - 3600}}, "not the one we asked for"),
                ({"claims": lambda c: {**c, "at_hash": b64(b"0" * 16)}}, "`at_hash`"),
                ({"claims": lambda c: {**c, "preferred_username": "a\nb"}}, "`preferred_username` is no name"),
                ({"claims": lambda c: {**c, "sub": ""}}, "`sub`"),
                ({"claims": lambda c: {**c, "groups": None, "_claim_names": {"groups": "src1"}} if c.pop("groups") else c}, "more groups than"),
                ({"header": lambda h: {**h, "alg": "none"}, "signed": lambda t: t + "."}, "`none` is not taken"),
                ({"header": lambda h: {"alg": "HS256"}, "signed": lambda t: t + "." + b64(hs256(one.pem(), t.encode()))}, "`HS256` is not taken"),
                ({"header": lambda h: {**h, "alg": "ES256"}}, "not for this algorithm"),
                ({"header": lambda h: {**h, "crit": ["exp"]}}, "`crit`"),
                ({"header": lambda h: {**h, "typ": "at+jwt"}}, "`typ`"),
                ({"signed": lambda t: t + "." + b64(forged.sign(t.encode()))}, "signature is wrong"),
                ({"signed": lambda t: t + "." + b64(one.sign(t.encode())) + "=="}, "not base64url"),
                ({"signed": lambda t: t + "." + b64(b"0" * 256) + ".x"}, "three parts"),
                ({"tokens": lambda t: {**t, "id_token": "a." * 40000}}, "too large"),
                ({"tokens": lambda t: {k: v for k, v in t.items() if k != "id_token"}}, None)):
            self.idp.bend = bend
            self.refused(because, 403 if because else 503)
        # A key that would not do, and one that nobody knows: the keys are asked for once more, and not again within a minute.
        self.idp.bend = {}
        self.idp.keys = [small, one]
        self.assertEqual(self.lab.control({"cmd": "oidc.show"})[0]["keys"], 1)
        self.refused("it is of less than 2048 bits")
        before = len(self.idp.asked("/jwks"))
        self.idp.keys = [Key("k2"), one]
        self.assertEqual(self.sign_in().me()["name"], "ann")        # the provider has changed its key
        self.assertEqual(len(self.idp.asked("/jwks")), before + 1)
        self.idp.bend = {"header": lambda h: {**h, "kid": "k3"}}
        self.refused("no key of its kid (`k3`)")
        self.assertEqual(len(self.idp.asked("/jwks")), before + 1)

    def test_provider_in_trouble(self):
        """Slow, huge, leading elsewhere, of another issuer: nobody comes in, and the page says to try again."""
        elsewhere = (302, {"Location": self.idp.issuer + "/elsewhere"}, b"")
        for bend in ({"tokens": lambda t: b" " * 300000}, {"tokens": lambda t: elsewhere}, {"tokens": lambda t: b"[" * 5000}, {"tokens": lambda t: (500, {}, b"broken")}):
            self.idp.bend = bend
            v, back = self.there()
            self.assertIn("Try again in a moment", self.refused(None, 503, v, back))
        for bend, because in (({"discovery": lambda d: {**d, "issuer": "https://evil.example"}}, "of another issuer"), ({"discovery": lambda d: elsewhere}, "HTTP status 302"),
                              ({"discovery": lambda d: b" " * 200000}, "too large"), ({"discovery": lambda d: [d]}, "no object"),
                              ({"discovery": lambda d: {**d, "token_endpoint": "http://plain.example"}}, "`token_endpoint`"),
                              ({"discovery": lambda d: {**d, "code_challenge_methods_supported": ["plain"]}}, "S256"),
                              ({"discovery": lambda d: {**d, "token_endpoint_auth_methods_supported": ["private_key_jwt"]}}, "client_secret_basic"),
                              ({"jwks": lambda d: elsewhere}, "HTTP status 302"), ({"jwks": lambda d: {"keys": []}}, "no key"), ({"jwks": lambda d: b" " * 300000}, "too large"),
                              ({"jwks": lambda d: {"keys": d["keys"] * 65}}, "more than 64")):
            self.idp.bend = bend
            self.assertIn(because, self.lab.control({"cmd": "oidc.show"})[0]["error"])
        self.assertEqual(self.idp.asked("/elsewhere"), [])
        self.idp.bend = {}
        self.assertEqual(self.sign_in().me()["name"], "ann")        # what it had is still good
        self.reconfigured(timeout="1s")
        self.idp.bend = {"tokens": lambda t: "slow"}
        v, back = self.there()
        self.assertIn("Try again in a moment", self.refused(None, 503, v, back))
        self.idp.bend = {"discovery": lambda d: "slow"}
        self.reload()                   # a new fetcher, which knows nothing
        lab.wait_for(lambda: self.visitor().start()[0] == 503, because="the new fetcher to ask")
        self.idp.bend = {}

    def test_limit(self):
        source = "127.0.99.1"
        for _ in range(40):
            v, back = self.there(self.visitor(source=source))
            self.assertEqual(v.come_back(changed(back, iss="https://evil.example"))[0], 403)
        v = self.visitor(source=source)
        status, _, body = v.start()
        self.assertEqual((status, "Too many attempts" in body), (429, True))
        self.assertEqual(self.sign_in().me()["name"], "ann")        # from elsewhere

    # -- the administrator ---------------------------------------------------------------
    def doctor(self):
        out = self.lab.tool("--json", "doctor", check=False).stdout
        return [(x["verdict"], x["detail"]) for x in map(json.loads, out.splitlines()) if x.get("topic") == "oidc"]

    def test_doctor(self):
        (verdict, detail), = self.doctor()
        self.assertEqual(verdict, "ok", detail)
        self.assertIn("https://localhost:%d/oidc/return" % self.port, detail)
        self.idp.bend = {"discovery": lambda d: {**d, "issuer": "https://evil.example"}}
        (verdict, detail), = self.doctor()
        self.assertEqual(verdict, "wrong")
        self.assertIn("of another issuer", detail)

    def test_configuration(self):
        good = {"issuer": "https://idp.lab/x", "client_id": "x", "client_secret_file": "oidc.secret"}
        self.addCleanup(self.config)
        for bad, words in (({"issuer": "http://idp.lab", "scopes": ["email"], "group_claim": "x", "roles": {"domain_admin": "x"}, "domains": {"a b": "x"}, "clock_skew": "1h",
                             "timeout": "1m", "button": {"de": "x"}, "mail": "yes", "lasts": "40d", "acr": []},
                            ("an issuer is an https: URL", "`openid` has to be", "did you mean `groups_claim`?", "say which", "no domain name", "5 minutes at most", "10 seconds at most",
                             "`de`", "verified", "`lasts`", "1 to 16")),
                           ({"issuer": None, "client_id": None, "client_secret_file": None, "roles": {"root": "x"}},
                            ("needs its `issuer`", "needs the `client_id`", "needs the `client_secret_file`", "`root`"))):
            self.config(**{**good, "ca": None, "lasts": None, **bad})
            r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("postern.yaml"), "check"], capture_output=True, text=True, timeout=120)
            self.assertEqual(r.returncode, 1, (bad, r.stdout, r.stderr))
            for word in words:
                self.assertIn(word, r.stderr)
        self.config(login={"totp": "required"})
        r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("postern.yaml"), "check"], capture_output=True, text=True, timeout=120)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("how they have to prove themselves there", r.stderr)
        self.lab.write("short.secret", "x\n")
        for more, word in (({"client_secret_file": "none.secret"}, "none.secret"), ({"client_secret_file": "short.secret"}, "8 bytes"), ({"ca": "none.pem"}, "none.pem")):
            self.config(**more)
            r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("postern.yaml"), "check"], capture_output=True, text=True, timeout=120)
            self.assertEqual(r.returncode, 1, (more, r.stdout, r.stderr))
            self.assertIn(word, r.stderr)


if __name__ == "__main__":
    unittest.main()
