"""The console's main ways in a real browser, with posternd itself behind them, over TLS: sign in, a message and what became of it,
the queue, a rule edited with an error and then without, the mail's link to approve, accounts, what comes live.

What each page looks like in every state is in test_console_pages.py.
"""
import json
import os
import pwd
import re
import unittest

import browser
import console
import lab

POLICY = """version: 1
groups:
  dpo: [dpo@example.lab]
rules:
  - id: two-eyes
    when: {subject: {words: [contract]}}
    then: {hold: {for: group:dpo, approvals: 1, expires: 48h, on_expire: reject}}
  - id: looked-at
    when: {subject: {words: [budget]}}
    then: {hold: {for: group:dpo, expires: 48h, on_expire: reject}}
"""
RULE = """version: 1
rules:
  - id: no-secrets
    when: {subject: {words: [secret]}}
    then: {reject: "5.7.1 not this"}
"""
REPLY = "451 4.7.1 come back <script>window.hit=1</script> later"


class Console(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        l = cls.lab = lab.Lab("browser")
        cls.addClassCleanup(l.close)
        cls.mx = l.mx(reply=lambda c, s: REPLY if c.startswith("RCPT") and "later" in c else None)
        l.dns({d: ["@ MX 10 mx", "mx A 127.0.0.1"] for d in ("partner.lab", "slow.lab", "example.lab")})
        cls.port = lab.free_port()
        console.certificate(l)
        l.policy(POLICY, "20-hold.yaml")
        l.policy(RULE, "50-own.yaml")
        try:
            u = pwd.getpwnam("_postern-editor" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)
        except KeyError:
            u = pwd.getpwnam("nobody")
        for d, _, files in os.walk(l.path("policy.d")):     # the editor's to write: an administrator's gift
            for p in [d] + [os.path.join(d, f) for f in files]:
                os.chown(p, u.pw_uid, u.pw_gid)
        cls.config = staticmethod(lambda undo: l.config(tls={"certificate": "gw.pem", "key": "gw.key"}, console={"address": "127.0.0.1:%d" % cls.port, "policy": "edit"},
                 approvals={"url": "https://localhost:%d/approve?token=" % cls.port}, delivery={"port": cls.mx.port, "retry": ["600s"]},
                 domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % cls.mx.port], "recipients": "any"}}, quarantine={"undo": undo}))
        cls.config("2s")
        if os.path.exists(l.path("policy.d", "10-test.yaml")):
            os.unlink(l.path("policy.d", "10-test.yaml"))
        l.start_postern()
        console.add_user(l, "anna", "--role", "admin")
        cls.url = "https://localhost:%d/" % cls.port
        cls.b = browser.Browser(shots=os.path.join(lab.BUILD, "shots", "real"))
        cls.addClassCleanup(cls.b.close)

    def setUp(self):
        b = self.b
        b.driver.delete_all_cookies()
        b.size(1280)
        b.open(self.url)
        b.js("try { localStorage.clear(); sessionStorage.clear(); } catch (e) {}")
        b.open(self.url + "icon.svg")

    def tearDown(self):
        self.assertEqual(self.b.faults(), [])
        self.assertIsNone(self.b.js("return window.hit || null"))

    def sign_in(self, where=""):
        b = self.b
        b.open(self.url + where)
        b.fill("input[name=name]", "anna")
        b.fill("input[name=password]", console.PASSWORD)
        b.click("button.main")
        b.find("#main h1")

    def go(self, where):
        self.b.js("location.hash = arguments[0]", "#/" + where)

    def sent(self, to, subject):
        code, text = self.lab.send(to, sender="m.durand@example.lab", subject=subject)
        self.assertEqual(code, 250, text)
        return re.search(r"accepted as (\w{11})", text)[1]

    def settled(self, ident, status):
        """Until the journal says so."""
        def there():
            lines = [json.loads(x) for x in self.lab.tool("--json", "trace", ident).splitlines()]
            return any(r["status"] == status for x in lines for r in x.get("recipients", []))
        lab.wait_for(there, because="%s to be %s" % (ident, status))

    # -------------------------------------------------------------------------------
    def test_sign_in(self):
        b = self.b
        b.open(self.url + "#/queue?by=reason")
        b.fill("input[name=name]", "anna")
        b.fill("input[name=password]", "not hers at all")
        b.click("button.main")
        b.find("[role=alert]", "not right")
        b.fill("input[name=password]", console.PASSWORD)
        b.click("button.main")
        b.find("#main h1", "Queue")
        self.assertIn("by=reason", b.driver.current_url)
        cookie = b.driver.get_cookie("postern_session")
        self.assertEqual((cookie["httpOnly"], cookie["secure"], cookie["sameSite"]), (True, True, "Strict"))
        b.click(".top button", "Français")
        b.find("#main h1", "File d’attente")
        b.wait(lambda: b.js("return fetch('api/v1/session').then((r) => r.json()).then((o) => o.language)") == "fr", "the server to know")
        b.click(".top button", "English")
        b.find("#main h1", "Queue")
        b.click("button[aria-label='Sign out']")
        b.find("input[name=password]")
        b.open(self.url + "icon.svg")
        b.open(self.url + "#/trace?q=example.lab")
        b.find("input[name=password]")

    def test_a_message(self):
        """From the search to the remote server's words, and why it still waits."""
        b = self.b
        ident = self.sent("later@slow.lab", "Slow <img src=x onerror=window.hit=1>")
        self.settled(ident, "deferred")
        self.sign_in("#/trace?q=slow.lab")
        b.text("Slow <img src=x onerror=window.hit=1>", "main")
        b.click("td a.id", ident)
        b.find("#main h1", ident)
        b.find(".state", "deferred")
        b.find(".reply", REPLY)
        b.find("summary", "What was said")
        b.find(".tree", "No rule hit")
        b.shot("message")
        self.assertEqual(b.axe(), [])
        b.click("main a.button", "In the queue")
        b.find("main h3", "slow.lab")
        b.find(".reply", "451 4.7.1")
        b.click("main button", "Retry")
        b.find("dialog h2", "Retry 1 message now?")
        b.click("dialog button", "Cancel")
        b.wait(lambda: not b.has("dialog"), "the dialog gone")
        self.go("queue")
        b.click("tbody button", "Pause")
        b.click("dialog button.main")
        b.text("slow.lab is paused", ".spoken")
        b.find("tbody .state", "paused")
        self.assertTrue(any(x.get("paused") for x in self.lab.control({"cmd": "queue.list", "by": "site"})))
        b.click("tbody button", "Resume")
        b.wait(lambda: not b.has("tbody .state", "paused"), "the site to go on")

    def type(self, text):
        self.b.js("const e = document.querySelector('.editor textarea'); Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set.call(e, arguments[0]);"
                  "e.dispatchEvent(new InputEvent('input', {bubbles: true}))", text)

    def test_edit_a_rule(self):
        b = self.b
        self.sign_in("#/policy/files")
        b.click("td a", "50-own.yaml")
        b.find(".editor textarea")
        self.type(RULE.replace("when:", "wehn:"))
        b.find(".diags button", "did you mean `when`?")
        b.shot("editor-error")
        self.type(RULE.replace("[secret]", "[secret, plans]"))
        b.find(".notice.ok", "No errors")
        b.click("button.main", "Test")
        b.find(".notice.ok", "passed")
        b.click("button.main", "Compare")
        b.find(".form input")
        b.fill(".form input", "plans are secret, too")
        b.shot("editor-apply")
        self.assertEqual(b.axe(), [])
        b.click("button.main", "Apply")
        b.text("in force", ".spoken")
        with open(self.lab.path("policy.d", "50-own.yaml")) as f:
            self.assertIn("[secret, plans]", f.read())
        lab.wait_for(lambda: self.lab.send("k@partner.lab", subject="our plans")[0] == 550, because="the new rule")

    def test_approve_by_the_mails_link(self):
        b = self.b
        ident = self.sent("k@partner.lab", "the contract <script>window.hit=1</script>")

        def link():
            with self.mx.lock:
                mails = [m[2] for m in self.mx.messages if "dpo@example.lab" in m[1]]
            found = [re.search(rb"https://localhost:\d+/approve\?token=[\w-]+", m.replace(b"=\r\n", b"").replace(b"=3D", b"=")) for m in mails]
            return [f[0].decode() for f in found if f]
        b.open(lab.wait_for(link, because="the mail to the approver")[-1])
        b.text("the contract <script>", "body")
        self.assertEqual(b.axe(), [])
        b.size(320)
        self.assertEqual(b.js("return Math.max(0, document.documentElement.scrollWidth - innerWidth)"), 0)
        b.shot("approve")
        b.click("form button")
        lab.wait_for(lambda: [m for m in self.mx.messages if "k@partner.lab" in m[1] and b"the contract" in m[2]], because="the approved message")
        self.settled(ident, "released")

    def test_release(self):
        """A held message: its text, made safe; then on its way."""
        b = self.b
        ident = self.sent("k@partner.lab", "the budget <script>window.hit=1</script>")
        self.settled(ident, "held")
        self.sign_in("#/kept?kind=hold&q=" + ident)
        b.click("tbody td a", "the budget <script>")
        b.click("button", "Show its text")
        b.text("Hello.", ".safetext")
        b.find(".tree a", "looked-at")
        b.shot("kept")
        self.assertEqual(b.axe(), [])
        b.click("button.main", "Release")
        b.fill("dialog textarea", "read by us, harmless")
        b.click("dialog button.main")
        b.text("1 message is being released", ".spoken")
        lab.wait_for(lambda: [m for m in self.mx.messages if "k@partner.lab" in m[1] and b"the budget" in m[2]], because="the released message")
        self.go("audit?q=anna")
        b.find("tbody td", "anna")

    def test_release_taken_back(self):
        """A release waits for `undo`; taken back, the message waits as before and has gone nowhere."""
        b = self.b

        def undo(time):
            self.config(time)
            self.lab.tool("reload")
        undo("10m")             # no machine is so slow
        self.addCleanup(undo, "2s")
        ident = self.sent("k@partner.lab", "the budget of next year")
        self.settled(ident, "held")
        self.sign_in("#/kept?kind=hold&q=" + ident)
        b.click("tbody td a", "the budget of next year")
        b.click("button.main", "Release")
        b.fill("dialog textarea", "too early")
        b.click("dialog button.main")
        b.click(".spoken button", "Undo")
        b.text("Undone: 1 message waits again", ".spoken")
        acts = [x for x in self.lab.control({"cmd": "audit.list", "q": "who:anna what:kept.undo"}) if "seq" in x]
        self.assertEqual(len(acts), 1)
        kept = [x for x in self.lab.control({"cmd": "kept.list", "kind": "hold", "state": "waiting"}) if x.get("id") == ident]
        self.assertEqual([(x["state"], bool(x.get("pending"))) for x in kept], [("waiting", False)])
        self.assertFalse([m for m in self.mx.messages if b"the budget of next year" in m[2]])

    def test_accounts(self):
        b = self.b
        self.sign_in("#/users")
        b.click("button.main", "Add an account")
        b.fill("input[name=name]", "bob")
        b.fill("input[name=new-password]", "a password of some length")
        b.click("label.check", "Operator")
        b.click("form button.main", "Save")
        b.find("tbody td", "bob")
        b.click("tbody button[aria-label='New factor for bob']")
        b.click("dialog button.main")
        b.find(".notice code")
        b.shot("users")
        b.click("tbody button[aria-label='Remove bob']")
        b.click("dialog button.danger")
        b.wait(lambda: not b.has("tbody td", "bob"), "the account gone")
        self.assertEqual([u["name"] for u in self.lab.control({"cmd": "users.list"}) if "name" in u], ["anna"])

    def test_live(self):
        b = self.b
        self.sign_in("#/live")
        b.text("connected", "main")
        ident = self.sent("k@partner.lab", "hello")
        b.find("tbody td a.id", ident)
        b.find("tbody .state", "delivered")

    def test_first_paint(self):
        """How long until the frame stands there; printed, for figures hang on the machine."""
        b = self.b
        self.sign_in()
        times = []
        for _ in range(3):
            b.open(self.url + "icon.svg")
            b.open(self.url)
            b.find("#main h1")
            times.append(b.wait(lambda: b.js("return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"), "a first paint"))
        print("first paint of the overview: %s ms" % ", ".join("%d" % t for t in times))


if __name__ == "__main__":
    unittest.main()
