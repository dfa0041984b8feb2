"""The console's API as browsers, other programs and attackers meet it.

Which role may what stands here in a table of its own, written from the documentation and not from the
program's; every route is asked in every role. Then signing in, sessions, codes, forged requests, HTTP
itself, and the description (OpenAPI).
"""
import base64
import email
import email.policy
import hashlib
import hmac
import http.client
import json
import os
import re
import smtplib
import socket
import sqlite3
import ssl
import struct
import subprocess
import time
import unittest

import jsonschema

import console
import lab
from console import PASSWORD, Browser, add_user

ROLES = ["user", "domain_admin", "operator", "editor", "reviewer", "auditor", "admin"]
STAFF = {"domain_admin", "operator", "editor", "reviewer", "auditor"}
READERS = {"operator", "auditor"}
KEEPERS = {"user", "domain_admin", "operator"}
POLICY = {"editor", "operator", "auditor", "reviewer"}
DOMAINS = {"domain_admin", "operator", "auditor"}
ID = "4T0q7x1mZz2"
FILES = {"files": {"10-test.yaml": "version: 1\n"}}
KIDS = {"kids": ["999999"]}
LIST = {"scope": "user", "owner": "u@example.lab", "list": "block", "what": "spam@partner.lab"}

# method, path as described, path asked for, body, who may (an administrator may all)
ROUTES = [
    ("GET", "/session", None, None, set(ROLES)),
    ("PATCH", "/session", None, {"language": "fr"}, set(ROLES)),
    ("POST", "/session/password", None, {"old": "not it at all", "password": "whatever it may be"}, set(ROLES)),
    ("GET", "/overview", None, None, STAFF),
    ("GET", "/trace", "/trace?q=nothing", None, STAFF),
    ("GET", "/messages/{id}", "/messages/" + ID, None, STAFF),
    ("GET", "/queue", "/queue?by=reason", None, READERS),
    ("GET", "/queue/summary", None, None, READERS),
    ("GET", "/queue/messages", None, None, READERS),
    ("GET", "/queue/messages/{id}", "/queue/messages/" + ID, None, READERS),
    ("POST", "/queue/retry", None, {"selector": "all", "count": True}, {"operator"}),
    ("POST", "/queue/hold", None, {"selector": "all", "count": True}, {"operator"}),
    ("POST", "/queue/release", None, {"selector": "all", "count": True}, {"operator"}),
    ("POST", "/queue/fail", None, {"selector": "all", "count": True}, {"operator"}),
    ("POST", "/queue/pause", None, {"site": "nowhere.lab"}, {"operator"}),
    ("POST", "/queue/resume", None, {"site": "nowhere.lab"}, {"operator"}),
    ("GET", "/kept", None, None, KEEPERS | {"reviewer", "auditor"}),
    ("GET", "/kept/{kid}", "/kept/999999", None, KEEPERS | {"reviewer", "auditor"}),
    ("GET", "/kept/{kid}/preview", "/kept/999999/preview", None, KEEPERS | {"reviewer"}),
    ("POST", "/kept/release", None, KIDS, KEEPERS),
    ("POST", "/kept/reject", None, KIDS, KEEPERS),
    ("POST", "/kept/delete", None, KIDS, KEEPERS),
    ("POST", "/kept/undo", None, KIDS, KEEPERS),
    ("POST", "/kept/request", None, KIDS, KEEPERS),
    ("POST", "/kept/rescan", None, KIDS, {"operator"}),
    ("POST", "/kept/confirm", None, KIDS, KEEPERS),
    ("POST", "/kept/approve", None, {"kid": "999999"}, KEEPERS | {"reviewer"}),
    ("POST", "/kept/deny", None, {"kid": "999999"}, KEEPERS | {"reviewer"}),
    ("GET", "/lists", None, None, KEEPERS | {"auditor"}),
    ("GET", "/lists/check", "/lists/check?sender=a@b.lab&recipient=c@example.lab", None, KEEPERS | {"auditor"}),
    ("POST", "/lists", None, LIST, KEEPERS),
    ("POST", "/lists/request", None, LIST, KEEPERS),
    ("POST", "/lists/{number}/approve", "/lists/999999/approve", {}, {"operator"}),
    ("POST", "/lists/{number}/deny", "/lists/999999/deny", {"reason": "no"}, {"operator"}),
    ("DELETE", "/lists/{number}", "/lists/999999", None, KEEPERS),
    ("GET", "/incidents", None, None, {"reviewer", "auditor"}),
    ("GET", "/incidents/{id}", "/incidents/" + ID, None, {"reviewer", "auditor"}),
    ("POST", "/incidents/{id}/reveal", "/incidents/%s/reveal" % ID, {"reason": "asked by the DPO"}, {"reviewer"}),
    ("POST", "/incidents/{id}/close", "/incidents/%s/close" % ID, {"resolution": "false-positive"}, {"reviewer"}),
    ("GET", "/policy", None, None, POLICY),
    ("GET", "/policy/files", None, None, POLICY),
    ("GET", "/policy/files/{name}", "/policy/files/none.yaml", None, POLICY),
    ("POST", "/policy/check", None, FILES, {"editor"}),
    ("POST", "/policy/test", None, FILES, {"editor"}),
    ("POST", "/policy/diff", None, {**FILES, "days": 7}, {"editor"}),
    ("POST", "/policy/apply", None, {**FILES, "message": "m", "base": "0"}, {"editor"}),
    ("GET", "/history", None, None, POLICY),
    ("GET", "/live", None, None, READERS),
    ("GET", "/domains", None, None, DOMAINS),
    ("GET", "/domains/{domain}", "/domains/example.lab", None, DOMAINS),
    ("GET", "/domains/{domain}/spam", "/domains/example.lab/spam", None, DOMAINS),
    ("GET", "/domains/{domain}/dns", "/domains/example.lab/dns", None, DOMAINS),
    ("POST", "/probe", None, {"host": "127.0.0.1", "port": 1}, {"domain_admin", "operator"}),
    ("GET", "/domains/{domain}/keys", "/domains/example.lab/keys", None, DOMAINS),
    ("GET", "/domains/{domain}/letter", "/domains/example.lab/letter?language=fr", None, DOMAINS),
    ("GET", "/health", None, None, STAFF),
    ("GET", "/reputation/{address}", "/reputation/192.0.2.1", None, READERS),
    ("GET", "/audit", None, None, {"auditor"}),
    ("GET", "/users", None, None, {"auditor"}),
    ("POST", "/users", None, {"name": "x y", "roles": ["operator"]}, set()),
    ("PATCH", "/users/{name}", "/users/nobody", {"language": "fr"}, set()),
    ("DELETE", "/users/{name}", "/users/nobody", None, set()),
    ("POST", "/users/{name}/totp", "/users/nobody/totp", {}, set()),
]
# Those anybody may ask: signing in.
OPEN = {("POST", "/session"), ("POST", "/session/link"), ("POST", "/session/link/use"), ("GET", "/session/ways")}
# What these say to who may: the rest hangs on what else is configured.
SURE = {"/session/password": 403, "/queue": 200, "/queue/summary": 200, "/queue/messages": 200, "/queue/retry": 200,
        "/queue/hold": 200, "/queue/release": 200, "/queue/fail": 200, "/queue/pause": 200, "/queue/resume": 200,
        "/messages/{id}": 404, "/history": 200, "/health": 200,
        "/overview": 200, "/trace": 200, "/reputation/{address}": 200, "/policy": 200,
        "/domains": 200, "/domains/{domain}": 200, "/domains/{domain}/spam": 200, "/domains/{domain}/dns": 200, "/domains/{domain}/letter": 200, "/domains/{domain}/keys": 200}


def totp(secret, at=None):
    """RFC 6238, by hand."""
    key = base64.b32decode(secret)
    mac = hmac.new(key, struct.pack(">Q", int(at if at is not None else time.time()) // 30), hashlib.sha1).digest()
    at = mac[-1] & 15
    return "%06d" % ((struct.unpack(">I", mac[at:at + 4])[0] & 0x7fffffff) % 1000000)


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("console-api")
        cls.addClassCleanup(cls.lab.close)
        cls.mx = cls.lab.mx()
        cls.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        console.certificate(cls.lab)
        cls.port, cls.metrics = lab.free_port(), lab.free_port()
        cls.inbound = lab.free_port()
        cls.lab.config(listeners=[{"name": "smart-host", "address": "127.0.0.1:%d" % cls.lab.ports.setdefault("smtp", lab.free_port()), "direction": "outbound", "allow": ["network:internal"]},
                                  {"name": "mx", "address": "127.0.0.1:%d" % cls.inbound, "direction": "inbound"}],
                       delivery={"port": cls.mx.port, "retry": ["1s"]}, tls={"certificate": "gw.pem", "key": "gw.key"},
                       console={"address": "127.0.0.1:%d" % cls.port, "login": {"links": "true"}},
                       domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % cls.mx.port]}}, metrics={"address": "127.0.0.1:%d" % cls.metrics},
                       approvals={"url": "https://localhost:%d/approve?token=" % cls.port})
        cls.lab.start_postern()
        for role in ROLES:
            add_user(cls.lab, role, "--role", role, "--domain", "example.lab", "--address", "u@example.lab")
        cls.people = {}
        for role in ROLES:
            cls.people[role] = cls.browser()
            status, o = cls.people[role].sign_in(role)
            if status != 200:
                raise lab.LabError("%s: %d %s" % (role, status, o))

    @classmethod
    def browser(cls):
        return Browser(cls.port, cls.lab.path("gw.pem"))

    def new(self, name, *options):
        add_user(self.lab, name, *(options or ("--role", "operator")))
        b = self.browser()
        self.assertEqual(b.sign_in(name)[0], 200)
        return b

    def tool(self, *args, **kw):
        return subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("postern.yaml"), *args],
                              capture_output=True, text=True, **kw)

    # -- roles -------------------------------------------------------------------------
    def asked(self, b, method, path, body):
        """The status alone: of a stream of events its head, and then it is left."""
        if path != "/live":
            return b.ask(method, path, body)[0]
        c = b.connect()
        c.request("GET", "/api/v1/live", headers={"Cookie": "postern_session=%s" % b.cookie} if b.cookie else {})
        status = c.getresponse().status
        c.close()
        return status

    def test_every_route_in_every_role(self):
        nobody = self.browser()
        for method, path, real, body, may in ROUTES:
            with self.subTest(method=method, path=path, role="nobody"):
                self.assertEqual(self.asked(nobody, method, real or path, body), 401)
            for role in ROLES:
                with self.subTest(method=method, path=path, role=role):
                    status = self.asked(self.people[role], method, real or path, body)
                    if role not in may | {"admin"}:
                        self.assertEqual(status, 403)
                    elif path in SURE:
                        self.assertEqual(status, SURE[path])
                    else:
                        self.assertIn(status, (200, 400, 404, 409, 501, 503))

    def test_a_refusal_is_written_down(self):
        self.assertEqual(self.people["user"].ask("GET", "/users")[0], 403)
        rows = lab.wait_for(lambda: [r for r in self.people["auditor"].ask("GET", "/audit?q=users.list")[1]["items"]
                                     if r["who"] == "user" and r["what"] == "refused"], because="the row of the refusal")
        self.assertIn("/api/v1/users", json.dumps(rows))

    def test_roles_are_those_of_now(self):
        b = self.new("changes", "--role", "operator")
        self.assertEqual(b.ask("GET", "/queue")[0], 200)
        self.assertEqual(self.tool("users", "set", "changes", "--role", "editor").returncode, 0)
        self.assertEqual(b.ask("GET", "/queue")[0], 401)       # and has to sign in again
        self.assertEqual(b.sign_in("changes")[0], 200)
        self.assertEqual(b.ask("GET", "/queue")[0], 403)

    # -- signing in --------------------------------------------------------------------
    def test_sign_in(self):
        b = self.browser()
        wrong, unknown = b.sign_in("operator", "not the password"), b.sign_in("who is it", "not the password")
        self.assertEqual((wrong[0], wrong[1]["code"]), (401, "login"))
        self.assertEqual(wrong, unknown)
        self.assertIsNone(b.cookie)
        status, o = b.sign_in("operator")
        self.assertEqual((status, o["name"], o["roles"], o["domains"], o["addresses"], o["totp"]),
                         (200, "operator", ["operator"], ["example.lab"], ["u@example.lab"], False))
        cookie = b.headers["Set-Cookie"]
        for flag in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
            self.assertIn("; " + flag, cookie)
        self.assertNotIn("Domain", cookie)
        self.assertEqual(len(b.cookie), 64)
        first = b.cookie
        self.assertEqual(b.sign_in("operator")[0], 200)         # again: another secret, the old one is dead
        self.assertNotEqual(b.cookie, first)
        old = self.browser()
        old.cookie = first
        self.assertEqual(old.ask("GET", "/session")[0], 401)
        self.assertEqual(b.ask("PATCH", "/session", {"language": "fr"})[0], 200)
        self.assertEqual(b.ask("GET", "/session")[1]["language"], "fr")
        self.assertEqual(b.ask("PATCH", "/session", {"language": "de"})[0], 400)
        b.ask("PATCH", "/session", {"language": "en"})
        kept = b.cookie
        self.assertEqual(b.ask("DELETE", "/session")[0], 200)
        self.assertIn("Max-Age=0", b.headers["Set-Cookie"])
        b.cookie = kept
        self.assertEqual(b.ask("GET", "/session")[0], 401)
        for word in (PASSWORD, "not the password", kept, first):
            self.assertNotIn(word, self.lab.log())

    def test_too_many_failures(self):
        """A name from one address is locked for a while, with the right password too; others are not."""
        self.new("forgetful")
        b = self.browser()
        answers = [b.sign_in("forgetful", "wrong password %d" % i)[0] for i in range(10)]
        self.assertEqual(answers, [401] * 8 + [429] * 2)
        self.assertEqual(b.sign_in("forgetful")[1]["code"], "limit")
        self.assertEqual(b.sign_in("Forgetful")[0], 429)        # a name has one spelling
        self.assertEqual(self.browser().sign_in("auditor")[0], 200)
        rows = self.people["auditor"].ask("GET", "/audit?q=forgetful")[1]["items"]
        self.assertIn("sign-in-failed", [r["what"] for r in rows])

    def test_second_factor(self):
        b = self.new("careful")
        o = json.loads(self.tool("--json", "users", "totp", "careful").stdout)
        self.assertEqual(len(o["recovery"]), 10)
        self.assertIn("secret=" + o["secret"], o["uri"])
        self.assertEqual(b.ask("GET", "/queue")[0], 401)       # signed out by it
        status, e = b.sign_in("careful")
        self.assertEqual((status, e["code"]), (401, "totp"))
        self.assertEqual(b.sign_in("careful", code="000000" if totp(o["secret"]) != "000000" else "111111")[0], 401)
        code = totp(o["secret"])
        status, me = b.sign_in("careful", code=code)
        self.assertEqual((status, me["totp"]), (200, True))
        self.assertEqual(b.sign_in("careful", code=code)[0], 401, "a code is good once")
        self.assertEqual(self.browser().sign_in("careful", "wrong password", code=o["recovery"][0])[0], 401)
        self.new("careful2")    # (what failed above is forgiven by what succeeds below, not by time)
        self.assertEqual(b.sign_in("careful", code=o["recovery"][0])[0], 200)
        self.assertEqual(b.sign_in("careful", code=o["recovery"][0])[0], 401, "a recovery code is good once")
        self.assertEqual(self.tool("users", "totp", "careful", "--off").returncode, 0)
        self.assertEqual(self.browser().sign_in("careful")[0], 200)

    def test_own_password(self):
        b, other = self.new("renews"), self.browser()
        self.assertEqual(other.sign_in("renews")[0], 200)
        self.assertEqual(b.ask("POST", "/session/password", {"old": PASSWORD, "password": "short"})[0], 400)
        self.assertEqual(b.ask("POST", "/session/password", {"old": "wrong", "password": "another good one"})[0], 403)
        self.assertEqual(b.ask("POST", "/session/password", {"old": PASSWORD, "password": "another good one"})[0], 200)
        self.assertEqual(b.ask("GET", "/session")[0], 200)
        self.assertEqual(other.ask("GET", "/session")[0], 401)
        self.assertEqual(other.sign_in("renews")[0], 401)
        self.assertEqual(other.sign_in("renews", "another good one")[0], 200)

    def test_out_everywhere_and_removed(self):
        b, other = self.new("leaves"), self.browser()
        self.assertEqual(other.sign_in("leaves")[0], 200)
        self.assertEqual(b.ask("DELETE", "/session?everywhere=true")[0], 200)
        self.assertEqual(other.ask("GET", "/session")[0], 401)
        self.assertEqual(other.sign_in("leaves")[0], 200)
        admin = self.people["admin"]
        self.assertEqual(admin.ask("PATCH", "/users/leaves", {"disabled": True})[0], 200)
        self.assertEqual(other.ask("GET", "/session")[0], 401)
        self.assertEqual(other.sign_in("leaves")[0], 401)
        self.assertEqual(admin.ask("DELETE", "/users/leaves")[0], 200)
        self.assertEqual(admin.ask("DELETE", "/users/leaves")[0], 404)

    def test_accounts(self):
        admin = self.people["admin"]
        bad = [({"name": "a b", "roles": ["operator"]}, 400), ({"name": "dana", "roles": ["root"]}, 400),
               ({"name": "dana", "roles": []}, 400), ({"name": "dana", "roles": ["domain_admin"]}, 400),
               ({"name": "dana", "roles": ["user"]}, 400), ({"name": "dana", "roles": ["operator"], "password": "short"}, 400),
               ({"name": "dana", "roles": ["operator"], "shoe": 1}, 400), ({"name": "dana"}, 400),
               ({"name": "auditor", "roles": ["operator"]}, 409)]
        for body, status in bad:
            with self.subTest(body=body):
                self.assertEqual(admin.ask("POST", "/users", body)[0], status)
        status, o = admin.ask("POST", "/users", {"name": "dana", "password": PASSWORD, "roles": ["domain_admin"],
                                                 "domains": ["partner.lab"], "language": "fr"})
        self.assertEqual((status, o["name"], o["roles"], o["domains"], o["language"]), (200, "dana", ["domain_admin"],
                                                                                        ["partner.lab"], "fr"))
        b = self.browser()
        self.assertEqual(b.sign_in("dana")[1]["language"], "fr")
        rows = {u["name"]: u for u in admin.ask("GET", "/users")[1]["items"]}
        self.assertTrue(rows["dana"]["password"] and rows["dana"]["last"])
        self.assertNotIn("scrypt", json.dumps(rows))
        self.assertRegex(self.tool("users").stdout, r"dana +domain_admin +partner\.lab")

    def test_the_first_account_is_made_here(self):
        """No account and no password to begin with; the tool's exit statuses."""
        self.assertEqual(self.tool("users", "add", "x").returncode, 2)
        r = self.tool("users", "add", "x", "--role", "emperor", input=PASSWORD + "\n")
        self.assertEqual(r.returncode, 1)
        self.assertIn("roles are user, domain_admin", r.stderr)
        self.assertEqual(self.tool("users", "add", "x", "--role", "admin", input="short\n").returncode, 1)
        self.assertEqual(self.tool("users", "remove", "x").returncode, 1)

    def test_reload_signs_nobody_out(self):
        b = self.new("stays")
        old = self.lab.pids("console")
        self.lab.tool("reload")
        lab.wait_for(lambda: [p for p in self.lab.pids("console") if p not in old], because="the new console")
        lab.wait_for(lambda: not set(old) & set(self.lab.pids("console")), because="the old one's end")
        self.assertEqual(b.ask("GET", "/session")[1]["name"], "stays")
        self.assertEqual(b.ask("POST", "/queue/retry", {"selector": "all", "count": True})[0], 200)

    def test_sessions_run_out(self):
        """Half an hour without a request, twelve in all: whichever comes first."""
        idle, old, lives = (self.new(n) for n in ("idler", "old-hand", "liver"))

        def earlier(name, column, minutes):
            with sqlite3.connect(self.lab.path("store", "store.db"), timeout=60) as db:
                db.execute("UPDATE session SET %s = %s - ? WHERE name = ?" % (column, column), (minutes * 60000000, name))
            db.close()

        earlier("idler", "seen", 25)
        self.assertEqual(idle.ask("GET", "/session")[0], 200)       # and that was a request
        earlier("idler", "seen", 25)
        self.assertEqual(idle.ask("GET", "/session")[0], 200)
        earlier("idler", "seen", 31)
        self.assertEqual(idle.ask("GET", "/session")[0], 401)
        self.assertEqual(idle.ask("POST", "/session/password", {"old": PASSWORD, "password": "another long one"})[0], 401)
        earlier("old-hand", "created", 12 * 60 - 5)
        self.assertEqual(old.ask("GET", "/session")[0], 200)
        earlier("old-hand", "created", 6)
        self.assertEqual(old.ask("GET", "/session")[0], 401)        # asked a moment ago, and yet
        self.assertEqual(lives.ask("GET", "/session")[0], 200)
        self.assertEqual(idle.sign_in("idler")[0], 200)

    def test_figures_by_name(self):
        """Listeners, stages, reasons, rules, sites and domains; and what a scan takes."""
        self.assertEqual(self.lab.send("b@partner.lab", body="hello\r\n")[0], 250)
        text = lab.wait_for(lambda: (lambda t: t if re.search(r'site_deliveries_total\{site="[^"]+",result="', t) else None)(self.figures()),
                            because="a delivery in the figures")
        for line in (r'postern_listener_messages_total\{listener="\S+"\} [1-9]', r'postern_scan_seconds_count [1-9]',
                     r'postern_domain_recipients_total\{domain="\S+",direction="outbound"\} [1-9]',
                     r'# TYPE postern_rule_hits_total counter', r'# TYPE postern_limit_reached_total counter',
                     r'# TYPE postern_refused_total counter'):
            self.assertRegex(text, line)

    def test_link(self):
        """A link in a mail signs its address in, once; to ask for one says nothing of anybody."""
        b = self.browser()
        answers = [b.ask("POST", "/session/link", {"address": a})
                   for a in ("Z.Lab@example.lab", "nobody@partner.lab", "not an address", "x@example.lab\r\nBcc: y@z.lab")]
        self.assertEqual(answers, [answers[0]] * 4)
        self.assertEqual(answers[0][0], 202)

        def mails():
            with self.mx.lock:
                return [m for m in self.mx.messages if m[1] == ["z.lab@example.lab"]]
        text = lab.wait_for(mails, because="the mail with the link")[0][2].decode()
        text = email.message_from_string(text, policy=email.policy.default).get_content()
        link = re.search(r"https://localhost:%d/#/signin\?token=([0-9a-f]{64})" % self.port, text)
        self.assertTrue(link, text)
        self.assertEqual(b.ask("POST", "/session/link/use", {"token": "0" * 64})[0], 401)
        status, me = b.ask("POST", "/session/link/use", {"token": link.group(1)})
        self.assertEqual((status, me["name"], me["roles"], me["addresses"]), (200, "z.lab@example.lab", ["user"],
                                                                              ["z.lab@example.lab"]))
        b.csrf = me["csrf"]
        self.assertEqual(b.ask("GET", "/session")[1]["name"], "z.lab@example.lab")
        self.assertEqual(b.ask("PATCH", "/session", {"language": "fr"})[0], 200)
        self.assertEqual(b.ask("GET", "/session")[1]["language"], "fr")
        self.assertEqual(b.ask("GET", "/queue")[0], 403)
        self.assertEqual(self.browser().ask("POST", "/session/link/use", {"token": link.group(1)})[0], 401)
        token = self.browser()      # the token is no session either
        token.cookie = link.group(1)
        self.assertEqual(token.ask("GET", "/session")[0], 401)
        self.assertNotIn(link.group(1), self.lab.log())
        with self.mx.lock:
            self.assertFalse([m for m in self.mx.messages if "z.lab" in "".join(m[1]) and "y@" in "".join(m[1])])

    # -- forged requests ---------------------------------------------------------------
    def test_csrf(self):
        b, other = self.people["operator"], self.people["auditor"]
        body = {"selector": "all", "count": True}
        self.assertEqual(b.ask("POST", "/queue/retry", body)[0], 200)
        for headers in ({"csrf": False}, {"X_Postern_CSRF": "0" * 64}, {"X_Postern_CSRF": other.csrf},
                        {"Sec_Fetch_Site": "cross-site"}):
            with self.subTest(headers=headers):
                b2 = self.browser()
                b2.cookie, b2.csrf = b.cookie, None if "X_Postern_CSRF" in headers else b.csrf
                status, o = b2.ask("POST", "/queue/retry", body, **headers)
                self.assertEqual((status, o["code"]), (403, "csrf"))
        # a form of another site can send text/plain, no JSON
        status, _, _ = b.raw("POST", "/api/v1/queue/retry", json.dumps(body), {"Cookie": "postern_session=" + b.cookie,
                             "X-Postern-CSRF": b.csrf, "Content-Type": "text/plain"})
        self.assertEqual(status, 415)
        # signing in from another site's page is refused as well
        self.assertEqual(self.browser().ask("POST", "/session", {"name": "operator", "password": PASSWORD},
                                            Sec_Fetch_Site="cross-site")[0], 403)

    def test_forged_session(self):
        for cookie in ("0" * 64, "x", "0" * 63, "../../etc/passwd", "' OR 1=1 --", self.people["admin"].cookie[:-1] + "g"):
            with self.subTest(cookie=cookie):
                b = self.browser()
                b.cookie = cookie
                self.assertEqual(b.ask("GET", "/users")[0], 401)

    def test_host(self):
        for host, status in (("localhost", 200), ("127.0.0.1:%d" % self.port, 200), ("gw.example.lab", 200),
                             ("evil.example", 421), ("localhost.evil.example:8443", 421)):
            with self.subTest(host=host):
                self.assertEqual(self.browser().raw("GET", "/", headers={"Host": host})[0], status)

    # -- what is sent ------------------------------------------------------------------
    def test_bad_requests(self):
        b = self.people["operator"]
        for body in ({"selector": 5.5}, {"selector": ["all"]}, {"selector": "all", "count": "yes"}, {"selector": "all", "as": {}},
                     {"selector": "all", "cmd": "queue.fail"}, {}, ["all"], "all", None):
            with self.subTest(body=body):
                self.assertEqual(b.ask("POST", "/queue/retry", body)[0], 400)
        head = {"Cookie": "postern_session=" + b.cookie, "X-Postern-CSRF": b.csrf, "Content-Type": "application/json"}
        for text in ("{", '{"selector":"all","selector":"all"}', "[" * 5000, '{"selector":"a\\ud800"}', "\xff"):
            with self.subTest(text=text[:20]):
                self.assertEqual(b.raw("POST", "/api/v1/queue/retry", text.encode("latin-1"), head)[0], 400)
        self.assertEqual(b.raw("POST", "/api/v1/queue/retry", b" " * 70000, head)[0], 413)
        for path in ("/queue?by=colour", "/queue?limit=x", "/queue?shoe=1", "/queue?by=site&by=site", "/trace", "/queue/messages/x"):
            with self.subTest(path=path):
                self.assertEqual(b.ask("GET", path)[0], 400)
        for path in ("/nothing", "/queue/", "//queue", "/queue/retry/x", "/messages/", "/messages/a%00b", "/messages/%zz",
                     "/users/../queue", "/%71ueue"):
            with self.subTest(path=path):
                self.assertEqual(b.ask("GET", path)[0], 405 if path == "/queue/retry" else 404)
        self.assertEqual(b.ask("PATCH", "/queue", {})[0], 405)
        self.assertEqual(b.ask("GET", "/queue/retry")[0], 405)

    def test_files(self):
        b = self.browser()
        status, h, page = b.raw("GET", "/")
        self.assertEqual((status, h["Content-Type"]), (200, "text/html; charset=utf-8"))
        csp = h["Content-Security-Policy"]
        for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "form-action 'self'",
                     "base-uri 'none'", "frame-ancestors 'none'"):
            self.assertIn(rule, csp)
        self.assertNotIn("unsafe", csp)
        self.assertEqual((h["X-Content-Type-Options"], h["Referrer-Policy"], h["X-Frame-Options"]), ("nosniff", "no-referrer", "DENY"))
        self.assertIn("max-age=", h["Strict-Transport-Security"])
        tag = h["ETag"]
        self.assertRegex(tag, r'^"[0-9a-f]{24}"$')
        status, h, body = b.raw("GET", "/index.html", headers={"If-None-Match": '"x", W/%s' % tag})
        self.assertEqual((status, body, h["ETag"]), (304, b"", tag))
        status, h, body = b.raw("HEAD", "/")
        self.assertEqual((status, int(h["Content-Length"]), body), (200, len(page), b""))
        for path in ("/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "/index.html%00.js", "/./index.html",
                     "//index.html", "/..;/index.html", "/index.html/", "/INDEX.HTML", "/pages/", "/\\..\\x", "/.git/config"):
            with self.subTest(path=path):
                self.assertEqual(b.raw("GET", path)[0], 404)
        self.assertEqual(b.raw("POST", "/index.html", b"")[0], 404)

    # -- HTTP --------------------------------------------------------------------------
    def raw(self):
        tls = ssl.create_default_context(cafile=self.lab.path("gw.pem"))
        return tls.wrap_socket(socket.create_connection(("localhost", self.port), 60), server_hostname="localhost")

    def read_all(self, s):
        data = b""
        try:
            while True:
                part = s.recv(65536)
                if not part:
                    return data
                data += part
        except (ConnectionError, ssl.SSLError):
            return data

    def test_connections_are_kept(self):
        b = self.people["operator"]
        c = b.connect()
        for _ in range(20):
            status, h, body = b.raw("GET", "/api/v1/session", headers={"Cookie": "postern_session=" + b.cookie}, connection=c)
            self.assertEqual((status, h["Connection"]), (200, "keep-alive"))
        self.assertEqual(b.raw("GET", "/healthz", connection=c)[2], b"ok\n")
        c.close()

    def test_two_at_once(self):
        """Requests one behind the other in one piece are answered in order; the one that says so is the last."""
        with self.raw() as s:
            s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"
                      b"GET /api/v1/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                      b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            data = self.read_all(s)
        self.assertEqual(re.findall(rb"^HTTP/1\.1 (\d+)", data, re.M), [b"200", b"200", b"401"])

    def test_smuggling(self):
        inner = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for head in (b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
                     b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(inner), b"Content-Length: 0, %d\r\n" % len(inner),
                     b"Content-Length : 0\r\n", b" Content-Length: 0\r\n", b"Content-Length: 0\n", b"Content-Length: 0x10\r\n",
                     b"Host: localhost\r\nHost: evil\r\nContent-Length: 0\r\n"):
            with self.subTest(head=head), self.raw() as s:
                s.sendall(b"POST /api/v1/session HTTP/1.1\r\n" + (b"" if head.startswith(b"Host") else b"Host: localhost\r\n") + head +
                          b"\r\n0\r\n\r\n" + inner)
                found = re.findall(rb"^HTTP/1\.1 (\d+)", self.read_all(s), re.M)
                self.assertIn(found, ([b"400"], [b"501"]))

    def test_json_is_no_page(self):
        """What a stranger wrote comes as JSON, which no browser takes for a page."""
        subject = "<script>alert(1)</script><img src=x onerror=alert(1)>"
        code, text = self.lab.send("b@partner.lab", sender="a@example.lab", subject=subject)
        self.assertEqual(code, 250, text)
        ident = text.split()[-1]
        b = self.people["auditor"]
        o = lab.wait_for(lambda: (lambda r: r[1] if r[0] == 200 and r[1]["message"].get("subject") else None)(
            b.ask("GET", "/messages/" + ident)), because="the message in the journal")
        self.assertEqual(o["message"]["subject"], subject)
        self.assertEqual((b.headers["Content-Type"], b.headers["X-Content-Type-Options"]), ("application/json", "nosniff"))
        self.assertTrue(o["events"])
        self.assertEqual(o["message"]["id"], ident)
        items = b.ask("GET", "/trace?q=" + ident)[1]["items"]
        self.assertEqual([i["id"] for i in items], [ident])

    def test_overview(self):
        """What went through stands in this hour, what waits among the needs; a domain's administrator has his part alone."""
        operator, domain = self.people["operator"], self.people["domain_admin"]

        def sums(b):
            status, o = b.ask("GET", "/overview")
            self.assertEqual(status, 200)
            self.assertEqual([h["t"] - o["hours"][0]["t"] for h in o["hours"]], [3600 * i for i in range(24)])
            return o, {k: sum(h[k] for h in o["hours"]) for k in ("received", "delivered", "deferred", "held", "quarantined", "rejected")}
        _, before = sums(operator)
        for _ in range(3):
            self.assertEqual(self.lab.send("b@partner.lab", sender="a@example.lab")[0], 250)
        lab.wait_for(lambda: sums(operator)[1]["delivered"] >= before["delivered"] + 3, because="three deliveries")
        o, after = sums(operator)
        self.assertGreaterEqual(after["received"], before["received"] + 3)
        self.assertLess(abs(o["hours"][-1]["t"] - time.time()), 7200)
        self.assertEqual((o["hostname"], o["alarms"]), ("gw.example.lab", []))
        self.assertIsInstance(o["queue"]["messages"], int)
        for name, who in (("editor", None), ("reviewer", None), ("domain_admin", domain)):
            o = (who or self.people[name]).ask("GET", "/overview")[1]
            self.assertNotIn("queue", o)
            self.assertEqual("hours" in o, name != "domain_admin")
        # a line somebody asks for needs an operator, until it has its answer
        def asked(b):
            return sum(n["count"] for n in b.ask("GET", "/overview")[1]["needs"] if (n["kind"], n["href"]) == ("lists", "/lists?state=requested"))
        was = asked(operator)
        status, line = self.people["user"].ask("POST", "/lists/request", {**LIST, "list": "allow", "what": "asked@partner.lab"})
        self.assertEqual(status, 200, line)
        self.assertEqual((asked(operator), asked(domain), asked(self.people["editor"])), (was + 1, 0, 0))
        self.assertEqual(operator.ask("POST", "/lists/%d/deny" % line["number"], {"reason": "no"})[0], 200)
        self.assertEqual(asked(operator), was)

    def policy(self, name, text):
        """A file more in the policy's folder, in force."""
        folder = self.lab.path("policy.d")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "w") as f:
            f.write(text)
        r = self.tool("reload")
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)

    def forget(self, name):
        os.unlink(self.lab.path("policy.d", name))
        r = self.tool("reload")
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)

    def test_anothers_message(self):
        """A user with the id of another's quarantined message: 404 as for an id that nobody knows, and a line in the audit log for each try."""
        add_user(self.lab, "curious", "--role", "user", "--address", "curious@example.lab")
        curious, own, auditor = self.browser(), self.people["user"], self.people["auditor"]
        self.assertEqual(curious.sign_in("curious")[0], 200)

        def mine():
            return [x for x in own.ask("GET", "/kept?kind=quarantine")[1]["items"] if x["subject"] == "a tarantula"]
        self.policy("79-kept.yaml", "version: 1\nrules:\n  - id: kept-for-u\n    when: {subject: {words: [tarantula]}}\n    then: {quarantine: spam}\n")
        try:
            with smtplib.SMTP("127.0.0.1", self.inbound, local_hostname="client.partner.lab", timeout=60) as s:
                self.assertEqual(s.sendmail("x@partner.lab", ["u@example.lab"], "From: x@partner.lab\r\nTo: u@example.lab\r\nSubject: a tarantula\r\n\r\nHello.\r\n"), {})
            lab.wait_for(mine, because="the quarantined message")
        finally:
            self.forget("79-kept.yaml")
        kid = mine()[0]["kid"]
        self.assertEqual(own.ask("GET", "/kept/%s" % kid)[0], 200)

        def refused():
            return [x for x in auditor.ask("GET", "/audit?limit=200&q=who:curious")[1]["items"] if x["act"] == "refused" and x["subject"] == str(kid)]
        self.assertEqual(refused(), [])
        unknown = curious.ask("GET", "/kept/999999")
        self.assertEqual(unknown[0], 404)
        self.assertEqual(curious.ask("GET", "/kept/%s" % kid), unknown)
        self.assertEqual(len(lab.wait_for(refused, because="the line in the audit log")), 1)
        self.assertEqual(curious.ask("GET", "/kept/%s/preview" % kid)[0], 404)
        lab.wait_for(lambda: len(refused()) == 2, because="a line of that, too")
        items = curious.ask("POST", "/kept/delete", {"kids": [str(kid)], "reason": "not mine"})
        self.assertFalse(items[0] == 200 and items[1]["items"][0]["ok"], items)
        self.assertEqual(own.ask("GET", "/kept/%s" % kid)[1]["state"], "waiting")

    def test_overview_of_what_is_held(self):
        """A message on hold that waits for a voice, and the incident of it: each is told who can open it, until it is over."""
        self.policy("78-held.yaml", "version: 1\nuse: [postern/base]\n\ngroups:\n  dpo: [dpo@example.lab]\n\nrules:\n  - id: cards-held\n    when: {finds: {payment-card: {min: 1}}}\n"
                    "    then: {hold: {for: group:dpo, approvals: 1}}\n")
        add_user(self.lab, "of-elsewhere", "--role", "domain_admin", "--domain", "far.lab")
        far, operator = self.browser(), self.people["operator"]
        self.assertEqual(far.sign_in("of-elsewhere")[0], 200)

        def needs(b):
            return {n["kind"]: (n["count"], n["href"]) for n in b.ask("GET", "/overview")[1]["needs"] if n["kind"] != "lists"}
        self.assertEqual(needs(operator), {})
        code, text = self.lab.send("b@partner.lab", sender="a@example.lab", body="the card is 4111 1111 1111 1111, until 12/29")
        self.assertEqual(code, 250, text)
        lab.wait_for(lambda: needs(operator), because="the message among the needs")
        held = {"held": (1, "/kept?kind=hold")}
        voices = {**held, "approvals": (1, "/kept?kind=hold")}
        for who, what in (("operator", voices), ("domain_admin", held), ("editor", {}), ("reviewer", {**voices, "incidents": (1, "/incidents")}),
                          ("auditor", {**voices, "incidents": (1, "/incidents")})):
            with self.subTest(who=who):
                self.assertEqual(needs(self.people[who]), what)
        self.assertEqual(needs(far), {})
        kid = operator.ask("GET", "/kept?kind=hold")[1]["items"][0]["kid"]
        status, o = operator.ask("POST", "/kept/delete", {"kids": [kid], "reason": "a test card"})
        self.assertEqual((status, o["items"][0]["ok"]), (200, True), o)
        lab.wait_for(lambda: needs(operator) == {}, because="nothing to be needed")
        self.assertEqual(needs(self.people["domain_admin"]), {})
        self.assertEqual(needs(self.people["reviewer"]), {"incidents": (1, "/incidents")})

    def test_two_voices_and_one_against(self):
        """`approvals: 2`: one voice is not enough, one against it ends it; who has none is told so, who may not see it hears of nothing."""
        self.addCleanup(self.forget, "76-board.yaml")
        self.policy("76-board.yaml", "version: 1\ngroups:\n  board: [one@board.lab, two@board.lab, three@board.lab]\nrules:\n  - id: of-the-board\n"
                    "    when: {subject: {words: [xylophone]}}\n    then: {hold: {for: group:board, approvals: 2}}\n")
        one, two, three = (self.new("board-" + n, "--role", "user", "--address", n + "@board.lab") for n in ("one", "two", "three"))
        stranger, operator = self.new("board-none", "--role", "user", "--address", "none@board.lab"), self.people["operator"]
        code, text = self.lab.send("b@partner.lab", sender="a@example.lab", subject="the xylophone")
        self.assertEqual(code, 250, text)
        ident = text.split()[-1]

        def held():
            return [x for x in operator.ask("GET", "/kept?kind=hold&q=" + ident)[1]["items"] if x["id"] == ident]
        kid = lab.wait_for(held, because="the held message")[0]["kid"]

        def voice(b, what, **more):
            status, o = b.ask("POST", "/kept/" + what, {"kid": kid, **more})
            return (status, o["state"] if status == 200 else o["code"])
        self.assertEqual(voice(one, "approve"), (200, "waiting"))
        self.assertEqual(voice(operator, "deny"), (403, "forbidden"))
        self.assertEqual(voice(stranger, "deny"), (404, "not-found"))
        self.assertEqual(held()[0]["state"], "waiting")
        self.assertEqual(voice(two, "deny", reason="too loud"), (200, "denied"))
        self.assertEqual(voice(three, "approve"), (409, "conflict"))
        self.assertEqual(voice(one, "approve"), (409, "conflict"))

        def told():
            with self.mx.lock:
                return [m for m in self.mx.messages if "a@example.lab" in m[1] and ident.encode() in m[2] and b"too loud" in m[2]]
        lab.wait_for(told, because="the notice to the sender, with the reason")
        with self.mx.lock:
            self.assertEqual([m for m in self.mx.messages if "b@partner.lab" in m[1] and b"the xylophone" in m[2]], [])

        def rows():
            items = self.people["auditor"].ask("GET", "/audit?limit=200&q=" + ident)[1]["items"]
            return sorted((r["who"], r["what"]) for r in items if r["subject"] == ident)
        # The voice against it is what rejects it.
        lab.wait_for(lambda: rows() == [("one@board.lab", "held.approve"), ("two@board.lab", "held.deny"), ("two@board.lab", "held.reject")],
                     because="the rows in the audit log")

    def test_trace_of_a_domain(self):
        """Its administrator finds its mail, and of others nothing: not by search, not by id."""
        add_user(self.lab, "elsewhere", "--role", "domain_admin", "--domain", "elsewhere.lab")
        stranger, own = self.browser(), self.people["domain_admin"]
        self.assertEqual(stranger.sign_in("elsewhere")[0], 200)
        code, text = self.lab.send("b@partner.lab", sender="traced@example.lab")
        self.assertEqual(code, 250, text)
        ident = text.split()[-1]
        lab.wait_for(lambda: own.ask("GET", "/trace?q=" + ident)[1]["items"], because="the message in the journal")
        o = own.ask("GET", "/messages/" + ident)[1]
        self.assertEqual((o["message"]["sender"], o["explain"]["id"]), ("traced@example.lab", ident))
        self.assertEqual(stranger.ask("GET", "/trace?q=" + ident)[1]["items"], [])
        self.assertEqual(stranger.ask("GET", "/trace?q=traced")[1]["items"], [])
        self.assertEqual(stranger.ask("GET", "/messages/" + ident)[0], 404)

    def test_reputation(self):
        """A client nobody has seen is in the middle; what is no address is refused."""
        status, o = self.people["operator"].ask("GET", "/reputation/192.0.2.77")
        self.assertEqual((status, o["address"], o["score"], o["counts"], o["domain"]), (200, "192.0.2.77", 50, None, None))
        self.assertTrue(all(isinstance(line, str) for line in o["why"]) and o["why"])
        self.assertEqual(self.people["auditor"].ask("GET", "/reputation/2001:db8::1")[1]["address"], "2001:db8::1")
        self.assertEqual(self.people["operator"].ask("GET", "/reputation/rubbish")[0], 400)

    def test_policy_rules(self):
        """The rules in force without the editor: where they stand, how often they hit, and another policy after a reload."""
        b = self.people["auditor"]

        def write(mode):
            self.policy("77-shown.yaml", "version: 1\n\nrules:\n  - id: shown-here\n    mode: %s\n    review_by: 2099-03-01\n"
                        "    when: {subject: {words: [zanzibar]}}\n    then: {hold: {for: dpo@example.lab}}\n" % mode)

        def rule():
            status, o = b.ask("GET", "/policy")
            self.assertEqual(status, 200, o)
            return ({r["id"]: r for r in o["rules"]}.get("shown-here"), o["hash"])
        write("shadow")
        r, was = lab.wait_for(lambda: (lambda x: x if x[0] else None)(rule()), because="the rule in the list")
        self.assertEqual((r["name"], r["mode"], r["then"], r["file"].endswith("77-shown.yaml"), r["line"], r["hits_24h"], r["last"]),
                         ("shown-here", "shadow", "hold", True, 4, 0, None))
        self.assertEqual(self.lab.send("b@partner.lab", sender="a@example.lab", subject="to Zanzibar")[0], 250)
        r = lab.wait_for(lambda: (lambda x: x if x["hits_24h"] else None)(rule()[0]), because="its hit")
        self.assertEqual((r["hits_24h"], r["hits_7d"], r["shadow_7d"]), (1, 1, 1))
        self.assertLess(abs(r["last"] / 1e6 - time.time()), 7200)
        write("off")
        lab.wait_for(lambda: rule()[0]["mode"] == "off", because="the policy after the reload")
        self.assertNotEqual(rule()[1], was)
        listed = [json.loads(x) for x in self.tool("--json", "policy", "list").stdout.splitlines()]
        mine = b.ask("GET", "/policy")[1]["rules"]
        self.assertEqual([(r["id"], r["mode"], r["line"]) for r in mine], [(r["id"], r["mode"], r["line"]) for r in listed])

    def test_domains(self):
        """Those of postern.yaml; a domain's administrator has his own, and of others not even that they are there."""
        item = {"v": 1, "domain": "example.lab", "deliver_to": ["127.0.0.1:%d" % self.mx.port], "recipients": "any", "dkim": [],
                "dkim_managed": False, "max_size": None}
        for role in ("operator", "auditor", "domain_admin", "admin"):
            self.assertEqual(self.people[role].ask("GET", "/domains")[1]["items"], [item])
        o = self.people["domain_admin"].ask("GET", "/domains/example.lab")[1]
        self.assertEqual({k: o[k] for k in item}, item)
        self.assertEqual((o["greylist_seconds"], o["batv"]), (0, False))
        # What the policy does with spam to it: none here, then what its profile says.
        o = self.people["domain_admin"].ask("GET", "/domains/example.lab/spam")[1]
        self.assertEqual(o, {"v": 1, "domain": "example.lab", "on": False})
        self.policy("78-spam.yaml", "version: 1\nspam:\n  classes: {suspected: \">= 5\"}\n  domains: {example.lab: tag-suspects, u@example.lab: header-only}\n")
        try:
            o = lab.wait_for(lambda: (lambda x: x if x.get("on") else None)(self.people["domain_admin"].ask("GET", "/domains/example.lab/spam")[1]), because="the profile")
        finally:
            self.forget("78-spam.yaml")
        self.assertEqual((o["source"], o["profile"], o["by"], o["addresses"], o["addresses_more"], os.path.basename(o["file"])),
                         ("built-in", "tag-suspects", "example.lab", [{"address": "u@example.lab", "profile": "header-only"}], False, "78-spam.yaml"))
        self.assertEqual([(c["class"], c["tests"], c["action"]) for c in o["classes"]],
                         [("spam", ">= 12", "discard"), ("suspected", ">= 5", "tag"), ("marketing", "symbol BULK", "tag")])
        lab.wait_for(lambda: not self.people["domain_admin"].ask("GET", "/domains/example.lab/spam")[1]["on"], because="the policy without it")
        add_user(self.lab, "of-another", "--role", "domain_admin", "--domain", "another.lab")
        b = self.browser()
        self.assertEqual(b.sign_in("of-another")[0], 200)
        self.assertEqual(b.ask("GET", "/domains")[1]["items"], [])
        unseen, unknown = b.ask("GET", "/domains/example.lab"), b.ask("GET", "/domains/unknown.lab")
        self.assertEqual((unseen[0], unseen), (404, unknown))
        for part in ("dns", "keys", "spam", "letter"):
            self.assertEqual(b.ask("GET", "/domains/example.lab/" + part)[0], 404, part)

    def test_live(self):
        b = self.people["operator"]
        c = b.connect()
        c.request("GET", "/api/v1/live", headers={"Cookie": "postern_session=" + b.cookie})
        r = c.getresponse()
        self.assertEqual((r.status, r.headers["Content-Type"]), (200, "text/event-stream"))
        self.assertEqual(r.readline(), b": on\n")
        # The store follows from some moment after that on: mails go out until one of them is told.
        seen, sent = [], []

        def told():
            sent.append(self.lab.send("b@partner.lab")[1].split()[-1])
            c.sock.settimeout(2) if c.sock else None
            try:
                line = r.readline()
            except (TimeoutError, OSError):
                return False
            if line.startswith(b"data: "):
                seen.append(json.loads(line[6:]))
            return bool(seen)
        lab.wait_for(told, because="an event")
        self.assertIn(seen[0]["kind"], ("accepted", "sent", "released", "operator"))
        self.assertTrue(seen[0]["id"])
        c.close()

    # -- the description ---------------------------------------------------------------
    def test_openapi(self):
        status, h, data = self.browser().raw("GET", "/api/v1/openapi.json")
        self.assertEqual(status, 200)
        o = json.loads(data)
        self.assertEqual(o["openapi"], "3.1.0")
        described = {(m.upper(), p) for p, ms in o["paths"].items() for m in ms}
        self.assertEqual(described, {(m, p) for m, p, *_ in ROUTES} | OPEN | {("DELETE", "/session")})
        for method, path, _, _, may in ROUTES:
            self.assertEqual(set(o["paths"][path][method.lower()]["x-roles"]), may | {"admin"}, path)
        for path, methods in o["paths"].items():
            for method, op in methods.items():
                names = [p["name"] for p in op["parameters"] if p["in"] == "path"]
                self.assertEqual(names, re.findall(r"\{(\w+)\}", path))
                refs = re.findall(r'"\$ref": "#/components/(\w+)/(\w+)"', json.dumps(op))
                self.assertTrue(refs, path)
                for kind, name in refs:
                    self.assertIn(name, o["components"][kind])
                for schema in [p["schema"] for p in op["parameters"]] + [
                        c["schema"] for c in op.get("requestBody", {}).get("content", {}).values()]:
                    jsonschema.Draft202012Validator.check_schema(schema)
                self.assertEqual(set(op) - {"summary", "parameters", "requestBody", "responses", "security", "x-roles"}, set())
                self.assertLessEqual({"200", "default"}, set(op["responses"]))
        for schema in o["components"]["schemas"].values():
            jsonschema.Draft202012Validator.check_schema(schema)
        # answers are as described
        for path, name in (("/session", "Object"), ("/queue", "List"), ("/nothing", "Error")):
            b = self.people["operator"]
            jsonschema.Draft202012Validator(o["components"]["schemas"][name]).validate(b.ask("GET", path)[1])

    # -- figures -----------------------------------------------------------------------
    def figures(self):
        c = http.client.HTTPConnection("127.0.0.1", self.metrics, timeout=60)
        c.request("GET", "/metrics")
        text = c.getresponse().read().decode()
        c.close()
        return text

    def test_metrics(self):
        self.assertEqual(self.browser().raw("GET", "/metrics")[0], 404)
        c = http.client.HTTPConnection("127.0.0.1", self.metrics, timeout=60)
        c.request("GET", "/metrics")
        r = c.getresponse()
        text = r.read().decode()
        self.assertEqual(r.status, 200)
        self.assertIn("text/plain", r.headers["Content-Type"])
        for path, status in (("/api/v1/session", 404), ("/", 404), ("/healthz", 200), ("/readyz", 200), ("/approve?token=x", 404)):
            c.request("GET", path)
            r = c.getresponse()
            r.read()
            self.assertEqual(r.status, status, path)
        c.close()
        r = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        self.assertEqual((r.returncode, r.stdout + r.stderr), (0, ""))

    def test_alerts_and_dashboard(self):
        """The rules are sound, fire when they should, and ask for figures that there are."""
        folder = os.path.join(lab.ROOT, "etc", "prometheus")
        for argv in (["check", "rules", "postern.rules.yaml"], ["test", "rules", "postern.test.yaml"]):
            r = subprocess.run(["promtool", *argv], cwd=folder, capture_output=True, text=True)
            self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        c = http.client.HTTPConnection("127.0.0.1", self.metrics, timeout=60)
        c.request("GET", "/metrics")
        there = set(re.findall(r"^(?:# TYPE )?(postern_\w+)", c.getresponse().read().decode(), re.M))
        c.close()
        for path in ("prometheus/postern.rules.yaml", "grafana/postern.json"):
            with open(os.path.join(lab.ROOT, "etc", path)) as f:
                text = f.read()
            if path.endswith(".json"):
                text = json.dumps([t["expr"] for p in json.loads(text)["panels"] for t in p["targets"]])
            asked = set(re.findall(r"postern_\w+", re.sub(r"job=\S+", "", text)))
            self.assertTrue(asked)
            self.assertLessEqual(asked - {"postern_"}, there, path)


if __name__ == "__main__":
    unittest.main()
