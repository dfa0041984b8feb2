"""The console's pages in a real browser (headless Chromium), with an API that answers as the contract says, and with hostile texts.

No page may run what a stranger wrote, be stopped by its own Content-Security-Policy, put a barrier before somebody
(axe-core, WCAG 2.1 AA) or be wider than a telephone. test_console_real.py goes the main ways with posternd itself.
Screenshots: $B/shots.
"""
import glob
import gzip
import hashlib
import json
import os
import re
import unittest
import urllib.request

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import browser
import console_mock
import lab

PAGES = os.path.join(lab.ROOT, "relay/console/pages")
SENT_MAX = 80 << 10     # bytes, compressed, until the first page stands there
EVERY = {"overview": "overview", "trace": "trace?q=example", "trace-none": "trace?q=nothing", "message": "messages/8Dofo000001", "queue": "queue", "queue-reason": "queue?by=reason",
         "queue-site": "queue?of=site%3Dexample.net", "queue-one": "queue?show=8Dofo000001", "holds": "kept?kind=hold", "quarantine": "quarantine", "kept-one": "kept/4",
         "lists": "lists", "incidents": "incidents", "incident": "incidents/1", "policy": "policy", "rule": "policy?rule=cards-outside", "files": "policy/files",
         "file": "policy/files/20-dlp.yaml", "history": "policy/history", "live": "live", "domains": "domains", "domain": "domains/example.org", "health": "health",
         "audit": "audit", "users": "users", "reputation": "reputation/192.0.2.7", "me": "me", "unknown": "no-such-page"}


def sources():
    return [p for p in glob.glob(PAGES + "/**/*.js", recursive=True) if "/vendor/" not in p]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class Tree(unittest.TestCase):
    """What can be seen without a browser."""

    def words(self, language):
        """{key: text or {form: text}} of a table: its entries stand as JSON."""
        out = {}
        for key, text, forms in re.findall(r'"([\w.-]+)": (?:("(?:[^"\\]|\\.)*")|\{ ((?:\w+: "(?:[^"\\]|\\.)*"(?:, )?)+) \})', read("%s/texts/%s.js" % (PAGES, language))):
            self.assertNotIn(key, out)
            out[key] = json.loads(text) if text else {k: json.loads(v) for k, v in re.findall(r'(\w+): ("(?:[^"\\]|\\.)*")', forms)}
        return out

    def test_both_languages_say_all(self):
        en, fr = self.words("en"), self.words("fr")
        self.assertGreater(len(en), 500)
        self.assertEqual(list(en), list(fr))
        for key in en:
            self.assertEqual(type(en[key]), type(fr[key]), key)
            parts = [[set(re.findall(r"\{\w+\}", t)) for t in (v.values() if isinstance(v, dict) else [v])] for v in (en[key], fr[key])]
            self.assertEqual(set.union(*parts[0]), set.union(*parts[1]), key)
            for v in (en[key], fr[key]):
                if isinstance(v, dict):
                    self.assertEqual(set(v), {"one", "other"}, key)

    def test_every_text_is_there(self):
        known, used = self.words("en"), set()
        for path in sources():
            used |= {(k, path) for k in re.findall(r'\bt\("([\w.-]+)"[,)]', re.sub(r"/\*.*?\*/", "", read(path), flags=re.S))}
        self.assertGreater(len(used), 200)
        for key, path in sorted(used):
            self.assertIn(key, known, path)

    def test_no_way_for_markup(self):
        for path in sources() + [PAGES + "/index.html"]:
            for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "dangerouslySetInnerHTML", "document.write", "eval(", "new Function", "srcdoc", "DOMParser", "javascript:"):
                self.assertNotIn(word, read(path), path)
        page = read(PAGES + "/index.html")
        self.assertIsNone(re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page))
        for path in sources():
            self.assertIsNone(re.search(r"\bstyle=", read(path)), path)

    def test_vendored_as_written_down(self):
        table = dict(re.findall(r"^\| `([\w.]+)` .*`(\w{64})` \|$", read(PAGES + "/vendor/README.md"), re.M))
        self.assertEqual(set(table), {os.path.basename(p) for p in glob.glob(PAGES + "/vendor/*.*s")})
        for name, digest in table.items():
            with open(PAGES + "/vendor/" + name, "rb") as f:
                self.assertEqual(hashlib.sha256(f.read()).hexdigest(), digest, name)
        with open(browser.AXE, "rb") as f:
            self.assertIn(hashlib.sha256(f.read()).hexdigest(), read(lab.ROOT + "/tests/vendor/README.md"))


# What is not whole on the screen: the page itself, elements over the right edge but for what scrolls by itself, and texts that a
# box without a scroll bar cuts off. What is there for readers alone (clip-path) is not seen anyway.
EDGES = """
const bad = [], wide = document.documentElement.scrollWidth - innerWidth;
if (wide > 0)
	bad.push("the page: " + wide);
const scrolls = (e) => e && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
const unseen = (e) => e && (getComputedStyle(e).clipPath !== "none" || unseen(e.parentElement));
for (const e of document.querySelectorAll("body *")) {
	const r = e.getBoundingClientRect(), s = getComputedStyle(e);
	if (!r.width || s.visibility === "hidden" || unseen(e))
		continue;
	if (r.right > innerWidth + 1 && !scrolls(e.parentElement))
		bad.push(`${e.tagName}.${e.className} to ${Math.round(r.right)}: ${e.textContent.slice(0, 40)}`);
	if (e.placeholder && !e.value) {		/* as text, it would be so broad */
		const c = document.createElement("canvas").getContext("2d");
		c.font = s.font;
		if (c.measureText(e.placeholder).width > e.clientWidth - parseFloat(s.paddingLeft) - parseFloat(s.paddingRight) + 1)
			bad.push(`${e.tagName}.${e.className} cuts: ${e.placeholder}`);
	}
	if (/hidden|clip/.test(s.overflowX) && e.scrollWidth > e.clientWidth + 1 && e.textContent.trim())
		bad.push(`${e.tagName}.${e.className} cuts: ${e.textContent.slice(0, 40)}`);
}
return bad;
"""


class Console(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mock = console_mock.Mock()
        cls.addClassCleanup(cls.mock.__exit__)
        cls.b = browser.Browser(shots=os.path.join(lab.BUILD, "shots"))
        cls.addClassCleanup(cls.b.close)

    def setUp(self):
        b = self.b
        self.mock.off, self.mock.empty, self.mock.gone, self.mock.sessions = set(), False, set(), {}
        b.driver.delete_all_cookies()
        b.size(1280)
        b.scheme("light")
        b.open(self.mock.url + "icon.svg")
        b.js("try { localStorage.clear(); sessionStorage.clear(); } catch (e) {}")
        del self.mock.asked[:]

    def tearDown(self):
        self.assertEqual(self.b.faults(), [])
        self.assertIsNone(self.b.js("return window.hit || null"))

    def sign_in(self, name="admin", where=""):
        """With a cookie that is there already: the door itself is gone through by test_sign_in, test_second_factor, test_session_ends and test_keyboard_alone."""
        b = self.b
        r = urllib.request.Request(self.mock.url + "api/v1/session", json.dumps({"name": name, "password": console_mock.PASSWORD}).encode(), {"Content-Type": "application/json"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(r, timeout=lab.DEADLINE) as answer:
            key, value = answer.headers["Set-Cookie"].split(";")[0].split("=", 1)
        b.driver.add_cookie({"name": key, "value": value, "path": "/", "httpOnly": True, "sameSite": "Strict"})
        b.open(self.mock.url + where)
        b.find("#main h1")

    def go(self, where):
        b = self.b
        b.js("window.marked = document.querySelector('#main h1'); location.hash = arguments[0]", "#/" + where)
        self.still()

    def still(self):
        """Until the page has its answers."""
        self.b.wait(lambda: self.b.js("return location.hash !== '' && !document.querySelector('.loading') && !!document.querySelector('main h1')"), "the page")

    def sent(self, method, path):
        return [body for m, p, body in self.mock.asked if m == method and p == path]

    def said(self, text):
        self.b.text(text, ".spoken")

    # -- every page ----------------------------------------------------------------
    def test_every_page(self):
        """Both colours, broad and narrow: no barrier, nothing broader than the page, no script of a stranger's.

        The second time only what may be another then: what is told by colour and place.
        """
        b = self.b
        self.sign_in()
        for scheme, width in (("light", 1280), ("dark", 320)):
            b.scheme(scheme)
            b.size(width)
            for name, where in EVERY.items():
                with self.subTest(page=name, scheme=scheme, width=width):
                    self.go(where)
                    mains, headings, over, hit, text = b.js("return [document.querySelectorAll('main').length, document.querySelectorAll('h1').length,"
                                                            "Math.max(0, document.documentElement.scrollWidth - innerWidth), window.hit || null, document.body.innerText]")
                    self.assertEqual((mains, headings, over, hit), (1, 1, 0, None))
                    self.assertNotIn("undefined", text)
                    self.assertNotIn("[object", text)
                    b.shot("%s-%s-%d" % (name, scheme, width))
                    self.assertEqual(b.axe(None if scheme == "light" else browser.SEEN), [])
                    self.assertEqual(b.faults(), [])

    def test_other_colours(self):
        """Contrast again, the other way round, of pages that have all there is."""
        b = self.b
        self.sign_in()
        for scheme, width in (("dark", 1280), ("light", 320)):
            b.scheme(scheme)
            b.size(width)
            for name in ("overview", "message", "kept-one", "holds", "file", "queue", "domain"):
                with self.subTest(page=name, scheme=scheme, width=width):
                    self.go(EVERY[name])
                    self.assertEqual(b.js("return Math.max(0, document.documentElement.scrollWidth - innerWidth)"), 0)
                    b.shot("%s-%s-%d" % (name, scheme, width))
                    self.assertEqual(b.axe(browser.SEEN), [])

    def test_french_on_a_telephone(self):
        """320 pixels and longer words: on every page nothing broader than the screen, nothing cut off, nothing over its edge; the door, too."""
        b = self.b
        b.size(320)
        self.mock.oidc = {"en": "Sign in with Example ID", "fr": "Se connecter avec l’identité de l’établissement"}
        self.addCleanup(setattr, self.mock, "oidc", None)
        b.open(self.mock.url)
        b.click("button", "Français")
        b.find("a.button", "Se connecter avec l’identité")
        for where in ("", "#/signin?by=mail"):
            b.open(self.mock.url + where)
            b.find("h1", "Se connecter")
            self.assertEqual(b.js(EDGES), [])
        self.sign_in()
        for s in self.mock.sessions.values():
            s["language"] = "fr"
        b.open(self.mock.url + "icon.svg")
        b.open(self.mock.url)
        b.find("#main h1", "Vue d’ensemble")
        for name, where in EVERY.items():
            with self.subTest(page=name):
                self.go(where)
                self.assertEqual(b.js("return document.documentElement.lang"), "fr")
                self.assertEqual(b.js(EDGES), [])
                b.shot("%s-fr-320" % name)

    def test_axe_sees(self):
        """The judge is awake: a barrier put there is found."""
        self.b.open(self.mock.url)
        self.b.find("input[name=name]")
        self.assertEqual(self.b.axe(), [])
        self.b.js("const i = document.createElement('input'); document.querySelector('main').append(i)")
        self.assertIn("label", [v[0] for v in self.b.axe()])

    def test_nothing_there(self):
        """Empty states say what would stand here."""
        b = self.b
        self.sign_in(where="#/me")
        self.mock.empty = True
        for where in ("overview", "queue", "kept", "lists", "incidents", "policy", "domains", "audit", "users"):
            with self.subTest(page=where):
                self.go(where)
                b.find(".empty .strong")
                b.shot("empty-" + where)
        self.assertEqual(b.axe(), [])

    def test_hostile_texts_are_seen(self):
        """Not run, and not swallowed either: the one who decides sees what is there."""
        b = self.b
        self.sign_in()
        self.go("messages/8Dofo000001")
        b.text("<img src=x onerror=\"window.hit=1\">", "main")
        b.text("⟨U+202E⟩", "main")
        self.assertEqual(b.js("return document.querySelectorAll('main img, main script, main iframe').length"), 0)
        self.go("kept/1")
        b.click("button", "Show its text")
        b.text("Dear colleague", ".safetext")
        b.text("<script>window.hit=1</script>", ".safetext")
        self.assertEqual(b.axe(), [])

    # -- the door --------------------------------------------------------------------
    def test_sign_in(self):
        b = self.b
        b.open(self.mock.url + "#/trace?q=example")     # a deep link is kept for afterwards
        b.fill("input[name=name]", "admin")
        b.fill("input[name=password]", "wrong")
        b.click("button.main")
        b.find("[role=alert]", "not right")
        b.shot("door-wrong")
        self.assertEqual(b.axe(), [])
        b.fill("input[name=password]", console_mock.PASSWORD)
        b.click("button.main")
        b.find("#main h1", "Trace")
        self.assertIn("q=example", b.driver.current_url)
        b.click("button[aria-label='Sign out']")
        b.find("input[name=password]")
        self.assertEqual(len(self.sent("DELETE", "/session")), 1)
        b.wait(lambda: not self.mock.sessions, "the session's end")

    def test_second_factor(self):
        b = self.b
        b.open(self.mock.url)
        b.fill("input[name=name]", "totp")
        b.fill("input[name=password]", console_mock.PASSWORD)
        b.click("button.main")
        b.find("input[name=code]")
        b.wait(lambda: b.focused().get_attribute("name") == "code", "the code's field in focus")
        b.keys("000000", Keys.ENTER)
        b.find("[role=alert]", "code is not right")
        b.fill("input[name=code]", "123456")
        b.keys(Keys.ENTER)
        b.find("#main h1", "Overview")

    def test_link_by_mail(self):
        b = self.b
        b.open(self.mock.url + "#/signin?by=mail")
        b.fill("input[name=address]", "user@example.org")
        b.click("button.main")
        b.find("h2", "mailbox")
        self.assertEqual(self.sent("POST", "/session/link"), [{"address": "user@example.org"}])
        b.open(self.mock.url + "icon.svg")
        b.open(self.mock.url + "#/signin?token=good")
        b.find("button.main", "Sign me in")
        self.assertEqual(self.sent("POST", "/session/link/use"), [])        # to open it decides nothing
        b.click("button.main", "Sign me in")
        b.find("#main h1", "My quarantine")
        self.assertNotIn("token", b.driver.current_url)
        b.driver.delete_all_cookies()
        b.open(self.mock.url + "icon.svg")
        b.open(self.mock.url + "#/signin?token=good")
        b.click("button.main", "Sign me in")
        b.find("[role=alert]", "used already")

    def test_menus_by_role(self):
        b = self.b
        menus = {"user": {"mine", "lists"}, "operator": {"overview", "live", "trace", "queue", "kept", "lists", "policy", "domains", "reputation", "health"},
                 "editor": {"overview", "trace", "policy", "health"}, "reviewer": {"overview", "trace", "kept", "policy", "incidents", "health"},
                 "auditor": {"overview", "live", "trace", "queue", "kept", "lists", "policy", "incidents", "domains", "reputation", "health", "audit", "users"},
                 "domain": {"overview", "trace", "kept", "lists", "domains", "health"}}
        for name, pages in menus.items():
            with self.subTest(role=name):
                b.driver.delete_all_cookies()
                b.open(self.mock.url + "icon.svg")
                self.sign_in(name)
                self.assertEqual({a.get_attribute("href").split("#/")[1] for a in b.driver.find_elements(By.CSS_SELECTOR, "#menu li a")}, pages)
        self.go("users")        # as the domain's administrator
        b.find("#main h1", "Not allowed")
        self.assertEqual(self.sent("GET", "/users"), [])

    def test_session_ends(self):
        """Ended elsewhere: the door, and afterwards the same page."""
        b = self.b
        self.sign_in()
        self.go("trace?q=example")
        self.mock.sessions.clear()
        self.b.js("location.hash = '#/queue?by=sender'")
        b.find("input[name=password]")
        b.fill("input[name=name]", "admin")
        b.fill("input[name=password]", console_mock.PASSWORD)
        b.click("button.main")
        b.find("#main h1", "Queue")
        self.assertIn("by=sender", b.driver.current_url)

    # -- the ways through it --------------------------------------------------------------
    def test_find_a_message(self):
        b = self.b
        self.sign_in()
        b.keys("/")
        b.wait(lambda: b.focused().get_attribute("name") == "find", "the search in focus")
        b.keys("m.durand@example.org", Keys.ENTER)
        b.find("#main h1", "Trace")
        self.assertEqual(self.sent("GET", "/trace")[0]["q"], "m.durand@example.org")
        b.click(".pager a", "Older")
        b.wait(lambda: self.sent("GET", "/trace")[-1].get("before") == "8", "the next page asked for")
        b.wait(lambda: b.has("td a.id", "8Dofo000008"), "its first line")
        b.driver.back()
        b.click("td a.id", "8Dofo000001")
        b.find("#main h1", "8Dofo000001")
        b.text("451 4.7.1 <img", ".reply")              # the remote server's words
        b.find(".tree mark", "•••• 1111")
        b.find(".condition", "to: <k.martin@partner.example> is not in the list")
        b.find('.condition[data-depth="1"]', "finds payment-card: 2 distinct, min 1")
        b.find(".condition .state", "does not hold")
        b.click("summary", "1 rule nearly hit")
        b.find("details .condition .state", "not asked")
        b.driver.back()
        b.find("td a.id", "8Dofo000001")

    def test_release_with_reason(self):
        b = self.b
        self.sign_in("operator")
        self.go("kept?kind=hold")
        b.click("tbody tr:nth-child(1) input[type=checkbox]")
        b.click("tbody tr:nth-child(3) input[type=checkbox]")
        b.find(".bulk", "2 chosen")
        b.click(".bulk button", "Reject")
        b.find("dialog h2", "Reject 2 messages?")
        b.shot("dialog-reject")
        self.assertEqual(b.axe(), [])
        b.click("dialog button.danger")
        b.find("dialog .wrong", "why")                  # not without a reason
        self.assertEqual(self.sent("POST", "/kept/reject"), [])
        b.fill("dialog textarea", "not ours to send")
        b.click("dialog button.danger")
        self.said("2 messages are being rejected")
        self.assertEqual(self.sent("POST", "/kept/reject"), [{"kids": ["1", "3"], "undo": True, "reason": "not ours to send"}])
        b.wait(lambda: not b.has("td a.id", "8Dofo000001") and len(b.driver.find_elements(By.CSS_SELECTOR, "tbody tr")) == 8, "the list anew")
        b.shot("undo")
        self.assertEqual(b.axe(), [])
        b.click(".spoken button", "Undo")               # while it lasts
        self.said("Undone: 2 messages wait again")
        self.assertEqual(self.sent("POST", "/kept/undo"), [{"kids": ["1", "3"]}])
        b.find("a[href='#/kept/1']")
        self.go("kept/2")
        b.click("button.main", "Release")
        b.find("dialog h2", "Release 1 message?")
        b.keys(Keys.ESCAPE)
        b.wait(lambda: not b.has("dialog"), "the dialog gone")
        self.assertEqual(self.sent("POST", "/kept/release"), [])
        b.click("button.main", "Release")
        b.click("dialog button.main")
        self.said("1 message is being released")
        self.assertEqual(self.sent("POST", "/kept/release"), [{"kids": ["2"], "undo": True}])

    def test_a_users_own(self):
        b = self.b
        self.sign_in("user")
        b.find("#main h1", "My quarantine")
        b.click("tbody tr:nth-child(1) input[type=checkbox]")
        b.click(".bulk button", "Ask for release")
        b.click("dialog button.main")
        b.wait(lambda: self.sent("POST", "/kept/request"), "asked")
        self.go("lists")
        b.click("summary", "Add an entry")
        b.fill("input[name=what]", "nonsense")
        b.click("form.card button.main")
        b.find(".wrong", "no address, domain or network")
        self.assertEqual(b.axe(), [])
        b.fill("input[name=what]", "news@example.com")
        b.click("form.card button.main")
        b.find("tbody td", "news@example.com")
        self.assertEqual(self.sent("POST", "/lists")[-1], {"scope": "user", "owner": "user@example.org", "list": "block", "what": "news@example.com", "expires": "never"})

    def test_domain(self):
        """Its steps, keys, spam profile, a look at its servers, and the letter on paper."""
        b = self.b
        self.sign_in("operator")
        self.go("domains/example.org")
        b.find(".steps tbody tr:nth-child(4) .state", "to do")      # DNS: 1 of 3 lines
        b.text("1 of 3 needed lines", ".steps")
        b.find(".steps tbody tr:nth-child(6) .state", "under way")
        self.assertEqual([e.text for e in b.driver.find_elements(By.CSS_SELECTOR, ".keys tbody .state")], ["signs", "to be published", "retired", "wrong"])
        b.find(".keys tbody tr:nth-child(3)", "gw2025")
        b.text("tag-suspects", ".spam")
        b.find(".spam tbody tr:nth-child(2)", "marked in header and subject")
        b.text("boss@example.org: header-only", ".spam")
        self.assertEqual(b.find(".spam a.button").get_attribute("href").split("#")[1], "/policy/files/20-dlp.yaml?line=3")
        b.click(".probe button", "10.1.2.3:25")
        b.find(".probe .card .state", "in order")
        self.assertEqual(self.sent("POST", "/probe"), [{"host": "10.1.2.3", "port": 25}])
        b.find(".steps tbody tr:nth-child(6) .state", "done")
        b.click(".letter button", "Show the letter")
        b.text("Dear colleague", ".letter .safetext")
        self.assertEqual(b.axe(), [])
        b.shot("domain-looked-at")
        b.js("window.print = () => { window.printed = document.body.dataset.print }")
        b.click(".letter button", "Print")
        self.assertEqual(b.js("return window.printed"), "letter")
        b.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        try:
            b.text("Dear colleague", ".letter .safetext")
            self.assertEqual([b.has(x) for x in (".keys", ".spam", ".steps", ".letter button", ".letter select", ".letter .safetext")], [False] * 5 + [True])
        finally:
            b.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        b.js("dispatchEvent(new Event('afterprint'))")
        self.assertIsNone(b.js("return document.body.dataset.print || null"))
        self.sign_in_as("auditor")
        self.go("domains/example.org")
        b.find(".probe .quiet", "Operators and administrators")
        self.assertFalse(b.has(".probe button"))

    def sign_in_as(self, name):
        """Another one, in the same browser."""
        self.b.driver.delete_all_cookies()
        self.b.open(self.mock.url + "icon.svg")
        self.sign_in(name)

    def test_queue_counts_first(self):
        b = self.b
        self.sign_in("operator")
        self.go("queue?of=site%3Dexample.net")
        b.click("button.danger", "Return")
        b.find("dialog h2", "Return 812 messages to their senders?")
        self.assertEqual(self.sent("POST", "/queue/fail"), [{"selector": "site=example.net", "count": True}])
        b.click("dialog button", "Cancel")
        b.wait(lambda: not b.has("dialog"), "the dialog gone")
        self.assertEqual(len(self.sent("POST", "/queue/fail")), 1)
        b.click("main button", "Retry")
        b.find("dialog h2", "Retry 812 messages now?")
        b.click("dialog button.main")
        self.said("812 messages are tried now")
        self.assertEqual(self.sent("POST", "/queue/retry")[-1], {"selector": "site=example.net"})
        self.go("queue")
        b.click("tbody button", "Pause")
        b.click("dialog button.main")
        self.said("example.net is paused")
        self.assertEqual(self.sent("POST", "/queue/pause"), [{"site": "example.net"}])

    def test_incident(self):
        b = self.b
        self.sign_in("reviewer")
        self.go("incidents/1")
        b.find("mark", "•••• 1111")
        self.assertNotIn("4111 1111", b.js("return document.body.innerText"))
        b.click("button", "Show unmasked")
        b.find("dialog", "audit log")
        b.fill("dialog textarea", "short")
        b.click("dialog button.main")
        b.find("dialog .wrong", "10")
        b.fill("dialog textarea", "complaint no. 4711 of the bank")
        b.click("dialog button.main")
        b.text("4111 1111 1111 1111", "main")
        self.assertEqual(self.sent("POST", "/incidents/1/reveal"), [{"reason": "complaint no. 4711 of the bank"}])
        b.click("button", "Mask again")
        b.wait(lambda: "4111 1111" not in b.js("return document.body.innerText"), "masked again")

    def edit(self, text):
        """As typing does, at once."""
        self.b.js("const e = document.querySelector('.editor textarea'); Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set.call(e, arguments[0]);"
                  "e.dispatchEvent(new InputEvent('input', {bubbles: true}))", text)

    def test_edit_a_rule(self):
        """With an error, which is shown where it is; then without, step by step, until it is in force."""
        b = self.b
        self.sign_in("editor")
        self.go("policy")
        b.click("tbody td a", "cards-outside")
        b.click("main a.button", "20-dlp.yaml")
        b.find(".editor textarea")
        self.edit(console_mock.RULES_TEXT.replace("when:", "wehn:"))
        b.find(".diags button", "did you mean `when`?")     # checked without being asked
        b.find(".editor pre b", "5")
        b.shot("editor-error")
        self.assertEqual(b.axe(), [])
        b.click(".diags button")
        b.wait(lambda: b.js("const e = document.activeElement; return e.value && e.value.slice(e.selectionStart, e.selectionStart + 4)") == "wehn",
               "the place of the error to be selected")
        b.click("button", "Test")
        self.assertEqual(self.sent("POST", "/policy/test"), [])      # not before it is right
        right = console_mock.RULES_TEXT.replace("min: 1", "min: 2")
        self.edit(right)
        b.find(".notice.ok", "No errors")
        b.click("button.main", "Test")
        b.find(".notice.ok", "12 tests passed")
        b.click("button.main", "Compare")
        b.text("1 change in 4,810 messages of 7 days", "main")
        b.fill(".form input", "two cards, not one")
        b.shot("editor-apply")
        self.assertEqual(b.axe(), [])
        b.click("button.main", "Apply")
        self.said("in force")
        self.assertEqual(self.sent("POST", "/policy/apply"), [{"files": {"20-dlp.yaml": right}, "message": "two cards, not one", "base": "e3fa5561c0bdb6f6"}])
        b.text("a0b1c2d3e4f50617", "main")

    def test_editor_not_there(self):
        """A gateway without it says so, and what does it instead; the draft is not lost."""
        b = self.b
        self.mock.off = {"/policy/check"}
        self.sign_in("editor")
        self.go("policy/files/20-dlp.yaml")
        b.find(".editor textarea")
        self.edit(console_mock.RULES_TEXT + "# more\n")
        b.find(".notice", "Not available here yet")
        b.text("postern check policy.d", "main")
        b.driver.refresh()
        b.wait(lambda: b.js("return document.querySelector('.editor textarea')?.value.endsWith('# more\\n')"), "the draft again")
        b.click("button", "Throw away")
        b.click("dialog button.danger")
        b.wait(lambda: not b.js("return document.querySelector('.editor textarea').value.endsWith('# more\\n')"), "the draft gone")

    def test_live(self):
        b = self.b
        self.sign_in("operator")
        self.go("live")
        b.wait(lambda: len(b.driver.find_elements(By.CSS_SELECTOR, "tbody tr")) == 5, "five events")
        b.click("button", "Pause")
        for q in self.mock.live:
            q.put({"v": 1, "seq": 9, "time": console_mock.NOW, "id": "8Dofo000077", "kind": "sent", "rcpt": "late@example.net"})
        b.find("button", "Go on (1 new)")
        self.assertFalse(b.has("tbody td", "late@example.net"))
        b.click("button", "Go on")
        b.find("tbody td", "late@example.net")
        b.fill("form.search input[name=q]", "late@")
        b.keys(Keys.ENTER)
        b.wait(lambda: len(b.driver.find_elements(By.CSS_SELECTOR, "tbody tr")) == 1, "one line fits")

    # -- for everybody ----------------------------------------------------------------------
    def test_language(self):
        b = self.b
        self.sign_in()
        self.go("kept/4")
        b.click(".top button", "Français")
        b.find("#main h1", "Quarantaine et retenues")
        b.wait(lambda: b.js("return document.documentElement.lang") == "fr", "the page's language")
        b.wait(lambda: self.sent("PATCH", "/session") == [{"language": "fr"}], "the server told")
        self.go("overview")
        b.text("À vous", "main")
        b.shot("overview-fr")
        self.assertEqual(b.axe(), [])
        self.go("queue?of=site%3Dexample.net")
        b.click("button.danger", "Retourner")
        b.find("dialog h2", "Retourner 812 messages à leurs expéditeurs ?")

    def test_colours_by_hand(self):
        b = self.b
        self.sign_in()
        ground = "return getComputedStyle(document.documentElement).backgroundColor"
        light = b.js(ground)
        b.click(".top button[aria-label='Use dark colours']")
        b.wait(lambda: b.js(ground) != light, "dark")
        b.driver.refresh()
        b.find("#main h1")
        self.assertNotEqual(b.js(ground), light)        # remembered, and stronger than the system's

    def test_keyboard_alone(self):
        """In, to a message, and a decision, without a mouse; the focus is always seen, and never lost."""
        b = self.b
        b.open(self.mock.url)
        b.find("input[name=name]").click()
        b.keys("operator", Keys.TAB, console_mock.PASSWORD, Keys.ENTER)
        b.find("#main h1", "Overview")
        b.js("document.activeElement.blur()")
        b.keys(Keys.TAB)
        self.assertEqual(b.focused().text, "Skip to content")
        b.keys(Keys.ENTER)
        self.assertEqual(b.focused().get_attribute("id"), "main")
        self.walk(lambda e: e.tag_name == "a" and "kind=hold" in (e.get_attribute("href") or ""))
        b.keys(Keys.ENTER)
        b.find("#main h1", "Quarantine and holds")
        b.wait(lambda: b.focused().tag_name == "h1", "the new page's name in focus")
        b.find("tbody tr")
        self.walk(lambda e: e.get_attribute("type") == "checkbox" and b.js("return !!arguments[0].closest('tbody')", e))
        b.keys(Keys.SPACE)
        b.find(".bulk", "1 chosen")
        self.walk(lambda e: e.tag_name == "button" and e.text == "Release")
        b.keys(Keys.ENTER)
        b.find("dialog[open]")
        for _ in range(8):                              # nothing behind a dialog is reached
            b.keys(Keys.TAB)
            self.assertTrue(b.js("return document.activeElement === document.body || !!document.activeElement.closest('dialog')"))
        self.walk(lambda e: e.tag_name == "button" and e.text == "Release" and b.js("return !!arguments[0].closest('dialog')", e))
        b.keys(Keys.ENTER)
        self.said("1 message is being released")
        self.assertEqual(self.sent("POST", "/kept/release"), [{"kids": ["1"], "undo": True}])

    def walk(self, wanted, most=120):
        """TAB until it is wanted(element); each stop can be seen."""
        b = self.b
        for _ in range(most):
            b.keys(Keys.TAB)
            e = b.focused()
            if e.tag_name == "body":
                continue
            self.assertTrue(b.js("const s = getComputedStyle(arguments[0]), p = getComputedStyle(arguments[0].parentElement);"
                                 "return s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 || p.outlineStyle !== 'none'", e), e.get_attribute("outerHTML")[:200])
            if wanted(e):
                return e
        self.fail("not reached by TAB")

    def test_errors_say_what_to_do(self):
        b = self.b
        self.sign_in()
        self.go("messages/none")
        b.find("[role=alert]", "Nothing here")
        self.mock.off = {"/health"}
        self.go("health")
        b.find(".notice", "postern --help")
        self.assertEqual(b.axe(), [])

    def test_small(self):
        """What is sent until the overview stands there."""
        b = self.b
        self.sign_in()
        b.driver.refresh()
        b.find("#main h1")
        b.wait(lambda: b.js("return document.querySelectorAll('.chart canvas').length") == 2, "the charts")
        names = {re.sub(r"[?#].*", "", u).split("/", 3)[3] or "index.html" for u in b.js("return performance.getEntriesByType('resource').map((e) => e.name).concat(location.href)")
                 if "/api/" not in u}
        total = 0
        for n in sorted(names):
            with open(os.path.join(PAGES, n), "rb") as f:
                total += len(gzip.compress(f.read(), 6))
        self.assertGreater(len(names), 10)
        self.assertLess(total, SENT_MAX)
        print("sent until the overview: %d files, %d bytes compressed" % (len(names), total))


if __name__ == "__main__":
    unittest.main()
