"""browser.py -- a headless Chromium for tests: started with a profile of its own, ended by its pids.

It keeps what a page must never say: errors of its scripts, and what the Content-Security-Policy stopped.
All waiting is for something on the page, with the lab's deadline.
"""
import base64
import contextlib
import os
import shutil
import signal
import tempfile

from selenium import webdriver
from selenium.common.exceptions import JavascriptException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

import lab

WATCH = """
window.faults = [];
addEventListener("error", (e) => faults.push("error: " + e.message));
addEventListener("unhandledrejection", (e) => faults.push("rejection: " + (e.reason && e.reason.stack || e.reason)));
document.addEventListener("securitypolicyviolation", (e) => faults.push("CSP: " + e.violatedDirective + " " + e.blockedURI + " " + e.sourceFile + ":" + e.lineNumber));
"""
SEEN = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "region", "meta-viewport"]       # what hangs on colours and width
AXE = os.path.join(lab.ROOT, "tests/vendor/axe.min.js")


class Browser:
    axe_text = None

    def __init__(self, *options, shots=None):
        self.profile = tempfile.mkdtemp(prefix="postern-chromium-")
        self.shots = shots
        o = webdriver.ChromeOptions()
        o.binary_location = "/usr/bin/chromium"
        for a in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                  "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--user-data-dir=" + self.profile, "--lang=en", *options):
            o.add_argument(a)
        o.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        o.set_capability("acceptInsecureCerts", True)
        # Its temporary files are in its own folder; nothing of a proxy of this machine is between.
        env = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
        self.service = Service("/usr/bin/chromedriver", log_path=os.path.join(self.profile, "driver.log"),
                               env={**env, "TMPDIR": self.profile, "HOME": self.profile})
        self.driver = webdriver.Chrome(service=self.service, options=o)
        self.driver.set_script_timeout(lab.DEADLINE * 2)
        self.driver.set_page_load_timeout(lab.DEADLINE * 2)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})

    def close(self):
        pid = self.service.process.pid if self.service.process else None
        with contextlib.suppress(Exception):
            self.driver.quit()
        if pid:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.profile, ignore_errors=True)

    # -- how it looks ------------------------------------------------------------------
    def size(self, width, height=900):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def scheme(self, name):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}]})

    def shot(self, name):
        if not self.shots:
            return
        os.makedirs(self.shots, exist_ok=True)
        data = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})["data"]
        with open(os.path.join(self.shots, name + ".png"), "wb") as f:
            f.write(base64.b64decode(data))

    # -- where it is -------------------------------------------------------------------
    def js(self, text, *args):
        return self.driver.execute_script(text, *args)

    def open(self, url):
        self.driver.get(url)

    def wait(self, what, because):
        """what(): true or something; asked until it is."""
        def careful():
            try:
                return what()
            except (StaleElementReferenceException, JavascriptException):
                return None

        def told():
            with contextlib.suppress(Exception):
                return because + "\nthe page says: " + self.js("return document.body.innerText")[:1500]
            return because
        try:
            return lab.wait_for(careful, because=because)
        except lab.LabError:
            raise lab.LabError("timed out waiting for " + told()) from None

    def find(self, css, text=None):
        """The first visible one, when there is one; with this text in it."""
        def look():
            for e in self.driver.find_elements(By.CSS_SELECTOR, css):
                if e.is_displayed() and (text is None or text in (e.text or e.get_attribute("aria-label") or e.get_attribute("value") or "")):
                    return e
        return self.wait(look, "%s %s" % (css, text or ""))

    def has(self, css, text=None):
        return any(e.is_displayed() and (text is None or text in e.text) for e in self.driver.find_elements(By.CSS_SELECTOR, css))

    def text(self, text, css="body"):
        """Until the text stands there."""
        self.wait(lambda: self.js("const e = document.querySelector(arguments[0]); return e && e.innerText.includes(arguments[1])", css, text), "the text %r" % text)

    def click(self, css, text=None):
        def press():
            e = self.find(css, text)
            self.js("arguments[0].scrollIntoView({block: 'center'})", e)
            try:
                e.click()
            except Exception as x:      # moved away while we aimed: aim again
                if "intercepted" in str(x) or "stale" in str(x) or "not interactable" in str(x):
                    return False
                raise
            return True
        self.wait(press, "to press %s %s" % (css, text or ""))

    def fill(self, css, text):
        e = self.find(css)
        e.clear()
        e.send_keys(text)

    def keys(self, *keys):
        ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self):
        return self.driver.switch_to.active_element

    # -- what must not be --------------------------------------------------------------
    def faults(self):
        """What went wrong on this page, and in the console since asked last; 4xx answers are none."""
        said = self.js("return window.faults || []")
        for l in self.driver.get_log("browser"):
            if l["level"] in ("SEVERE", "WARNING") and "Failed to load resource" not in l["message"]:
                said.append(l["message"])
        return said

    def axe(self, rules=None):
        """Serious and critical barriers that axe-core finds: [(rule, where, why)]; by these rules alone, or all."""
        if not self.js("return !!window.axe"):
            if not Browser.axe_text:
                with open(AXE) as f:
                    Browser.axe_text = f.read()
            self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": Browser.axe_text})
        r = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, {runOnly: arguments[0] || ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'], resultTypes: ['violations'], preload: false})"
            ".then(done, (e) => done({error: String(e)}));", rules)
        if "error" in r:
            raise lab.LabError("axe: " + r["error"])
        return [(v["id"], v["impact"], n["target"], n.get("failureSummary", "")[:300]) for v in r["violations"] if v["impact"] in ("serious", "critical") for n in v["nodes"][:3]]
