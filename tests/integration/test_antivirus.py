#!/usr/bin/python3
"""The antivirus through the real processes, with small databases of our own and libclamav as it is: new
signatures taken up while mail flows, databases that are broken, a blind engine, old signatures, kinds of
findings, attachments that come again, memory that is shared."""
import base64
import json
import os
import re
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab                                                                      # noqa: E402

POLICY = """version: 1
use: [postern/base]
rules:
  - {id: tools, direction: outbound, when: {virus: {kind: pua}}, then: {reject: "5.7.1 tools stay here"}}
  - {id: fishing, direction: outbound, when: {virus: {kind: [phishing, heuristic]}}, then: {reject: "5.7.1 fishing"}}
"""


def hexed(text):
    return text.encode().hex()


def mail(body=b"", name="a.bin", subject="s", ctype="application/octet-stream"):
    text = base64.encodebytes(body).decode().replace("\n", "\r\n")
    return lab.message("--b1\r\nContent-Type: text/plain\r\n\r\nHello.\r\n--b1\r\nContent-Type: %s; name=\"%s\"\r\n"
                       "Content-Disposition: attachment; filename=\"%s\"\r\nContent-Transfer-Encoding: base64\r\n"
                       "\r\n%s--b1--\r\n" % (ctype, name, name, text), subject=subject,
                       headers=['Content-Type: multipart/mixed; boundary="b1"'])


class Case(unittest.TestCase):
    antivirus = {}
    scanners = {"processes": "2"}
    policy = POLICY

    def setUp(self):
        self.lab = lab.Lab("antivirus")
        self.addCleanup(self.lab.close)
        self.mx = self.lab.mx()
        self.lab.dns({"partner.lab": ["@ MX 20 mx", "mx A 127.0.0.1"]})
        self.folder = self.lab.signatures()
        self.prepare()
        self.lab.policy(self.policy)
        self.lab.config(delivery={"port": self.mx.port, "retry": ["1s"]}, scanners=self.scanners,
                        antivirus={"engine": "libclamav", "databases": self.folder, **self.antivirus})
        self.lab.start_postern()

    def prepare(self):
        pass

    def put(self, name, text, where=None):
        """As freshclam does: written beside, then renamed."""
        path = os.path.join(where or self.folder, name)
        with open(path + ".tmp", "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.rename(path + ".tmp", path)

    def antivirus_status(self):
        return self.lab.status()["antivirus"]

    def alarms(self):
        return {a["kind"]: a["text"] for a in self.antivirus_status()["alarms"]}

    def send(self, body=b"x", **kw):
        return self.lab.send("b@partner.lab", raw=mail(body, **kw))

    def verdict(self, text):
        """The record of an accepted message."""
        mid = text.split()[-1]

        def record():
            r = self.lab.tool("--json", "explain", mid, check=False)
            return r.returncode == 0 and r.stdout
        return json.loads(lab.wait_for(record, because="the record"))


class Reload(Case):
    def test_new_signatures_while_mail_flows(self):
        """Each message has its verdict, and no worm passes once those who have the old signatures are gone."""
        worm = b"an unheard-of worm 4711"
        seen, old, stop = [], [], threading.Event()

        def sender():
            while not stop.is_set():
                before = bool(old) and not any(lab.alive(pid) for pid in old)
                code, text = self.send(worm)
                seen.append((before, code, text))
        t = threading.Thread(target=sender)
        t.start()
        try:
            lab.wait_for(lambda: len(seen) > 3, because="mail to flow")
            old += self.lab.pids("scanner")
            self.put("new.ndb", "Worm.Test.4711:0:*:%s\n" % hexed("an unheard-of worm 4711"))
            lab.wait_for(lambda: self.lab.counter("av_signature_reloads") == 1, 60, because="new signatures")
            lab.wait_for(lambda: not any(lab.alive(pid) for pid in old), because="the old scanner to end")
            n = len(seen)
            lab.wait_for(lambda: len(seen) > n + 5, because="more mail")
        finally:
            stop.set()
            t.join()
        self.assertEqual({c for b, c, t in seen}, {250}, "no message was deferred")
        found = self.verdict(seen[-1][2])["virus"]
        self.assertEqual(found["name"], "Worm.Test.4711.UNOFFICIAL")
        self.assertEqual(found["kind"], "malware")
        self.assertEqual(self.verdict(seen[0][2])["virus"], None)
        for before, code, text in seen:
            if before:
                self.assertTrue(self.verdict(text)["virus"], "sent after the switch, and clean")
        self.assertEqual(self.antivirus_status()["signatures"], 2)
        self.assertEqual(self.lab.counter("role_restarts"), 0)

    def broken(self, why):
        before = self.lab.pids("scanner", worker=False)
        lab.wait_for(lambda: "refused" in self.alarms(), 60, because="an alarm about " + why)
        self.assertEqual(self.lab.pids("scanner", worker=False), before, "the old scanner goes on")
        code, text = self.send(lab.EICAR.encode())
        self.assertEqual(code, 250)
        self.assertEqual(self.verdict(text)["virus"]["name"], "Eicar-Test-Signature.UNOFFICIAL")
        self.assertEqual(self.send(b"clean")[0], 250)
        r = self.lab.tool("status", check=False).stdout
        self.assertIn("new antivirus signatures are refused", r)
        self.assertIn("are refused, those of before go on", self.lab.log())

    def test_broken_empty_and_blind_databases(self):
        with open(os.path.join(self.folder, "test.ndb")) as f:
            good = f.read()
        self.put("new.ndb", "Worm.Test:0:*:61626\n")                    # cut in the middle of a byte
        self.broken("a broken file")
        os.unlink(os.path.join(self.folder, "new.ndb"))
        lab.wait_for(lambda: "refused" not in self.alarms(), 60, because="the alarm to end: these are in use")
        os.unlink(os.path.join(self.folder, "test.ndb"))
        self.broken("an empty folder")
        self.put("other.ndb", "Worm.Test:0:*:%s\n" % hexed("not the test file"))
        lab.wait_for(lambda: "EICAR" in self.alarms().get("refused", ""), 60, because="the canary to be missed")
        self.assertEqual(self.send(b"clean")[0], 250)
        self.put("daily.cvd", b"ClamAV-VDB:22 Nov 2026 10-00 +0000:1:1:90:x:y:z:1" + b" " * 463 + b"half a file")
        lab.wait_for(lambda: self.alarms().get("refused", "EICAR").find("EICAR") < 0, 60, because="half a cvd refused")
        os.unlink(os.path.join(self.folder, "daily.cvd"))
        self.put("test.ndb", good)
        lab.wait_for(lambda: not self.alarms(), 60, because="everything to be well again")
        self.assertEqual(self.antivirus_status()["signatures"], 2)
        self.assertEqual(self.lab.counter("role_restarts"), 0)

    def test_reload_of_the_configuration_says_why_not(self):
        os.rename(os.path.join(self.folder, "test.ndb"), os.path.join(self.folder, "test.away"))
        r = self.lab.tool("reload", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("no signatures loaded from", r.stderr)
        self.assertEqual(self.send(lab.EICAR.encode())[0], 250)
        self.lab.write("keys/short.key", "short")
        os.chmod(self.lab.path("keys", "short.key"), 0o600)
        self.lab.config(antivirus={"engine": "libclamav", "databases": self.folder, "stamp": {"key": "keys/short.key"}})
        r = self.lab.tool("check", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("openssl rand", r.stdout + r.stderr)

    def test_reload_of_the_configuration_while_one_is_tried(self):
        self.put("new.ndb", "Worm.Test:0:*:%s\n" % hexed("something else"))
        self.lab.tool("reload")
        lab.wait_for(lambda: self.antivirus_status()["signatures"] == 2, 60, because="new signatures")
        lab.wait_for(lambda: len(self.lab.pids("scanner", worker=False)) == 1, because="one scanner")
        self.assertEqual(self.send(lab.EICAR.encode())[0], 250)


class After(Case):
    antivirus = {"reload": "after"}

    def test_one_after_the_other(self):
        """Never two engines at once; who sends meanwhile waits or is asked to come again, and then is served."""
        worst = [1]
        stop = threading.Event()

        def look():
            while not stop.is_set():
                n = sum(1 for p in self.lab.status()["processes"] if p["role"] == "scanner" and not p["worker"])
                worst[0] = max(worst[0], n)
        t = threading.Thread(target=look)
        t.start()
        self.put("new.ndb", "Worm.Test:0:*:%s\n" % hexed("something else"))
        lab.wait_for(lambda: self.antivirus_status()["signatures"] == 2, 60, because="new signatures")
        stop.set()
        t.join()
        self.assertEqual(worst[0], 1)
        lab.wait_for(lambda: self.send(b"clean")[0] == 250, because="mail to be taken again")


class Blind(Case):
    scanners = {"processes": "1"}

    def test_canary_without_mail(self):
        """The folder of the engine vanishes. Nobody sends; it is noticed by the next message at the latest, mail
        waits, the alarm says so, and ends when the folder is back."""
        base = lab.wait_for(lambda: re.findall(r"temporary folders in (\S+)", self.lab.log()) or self.tmp(),
                            because="the folder")
        base = base[0] if isinstance(base, list) else base
        own = lab.wait_for(lambda: [e.path for e in os.scandir(base) if e.is_dir()], because="the worker's folder")[0]
        os.rename(own, own + ".away")
        code, text = self.send(lab.EICAR.encode())
        self.assertEqual(code, 451, text)
        lab.wait_for(lambda: "down" in self.alarms(), because="an alarm")
        r = self.lab.tool("status", check=False).stdout
        self.assertIn("the antivirus is blind, mail is deferred", r)
        self.assertGreater(self.lab.counter("av_canaries_missed"), 0)
        os.rename(own + ".away", own)
        # Nobody sends; the worker looks again by itself.
        lab.wait_for(lambda: not self.alarms(), because="the alarm to end")
        self.assertEqual(self.send(lab.EICAR.encode())[0], 250)

    def tmp(self):
        pid = self.lab.pids("scanner", worker=False)[0]
        run = self.lab.path("run", "scanner", str(pid))
        if os.path.isdir(run):
            return run
        st = os.stat(self.lab.path("run"))
        return "/dev/shm/postern-%x-%x/%d" % (st.st_dev, st.st_ino, pid)


class Kinds(Case):
    antivirus = {"pua": "true"}

    def prepare(self):
        self.put("kinds.ndb", "".join("%s:0:*:%s\n" % (n, hexed(t)) for n, t in [
            ("PUA.Win.Tool.Test", "a tool nobody asked for"), ("Worm.Test", "a worm for certain"),
            ("Email.Phishing.Test", "please enter your password here")]))

    def test_told_apart(self):
        code, text = self.send(b"a tool nobody asked for")
        self.assertEqual((code, text[:25]), (550, "5.7.1 tools stay here (re"))
        code, text = self.send(b"please enter your password here")
        self.assertEqual((code, text[:14]), (550, "5.7.1 fishing "))
        code, text = self.send(b"a worm for certain")
        self.assertEqual(code, 250)
        self.assertEqual(self.verdict(text)["recipients"][0]["rules"], ["virus"])
        # What is unwanted does not hide what is malicious, not even in the same file.
        code, text = self.send(b"a tool nobody asked for, and a worm for certain")
        self.assertEqual(code, 550, "both rules hit, the stricter outcome wins")
        with open(self.lab.path("m.eml"), "wb") as f:
            f.write(mail(b"a tool nobody asked for, and a worm for certain"))
        out = json.loads(self.lab.tool("--json", "explain", self.lab.path("m.eml"), "--direction", "outbound",
                                       "--from", "a@example.lab", "--to", "b@partner.lab"))
        self.assertEqual(out["virus"]["kind"], "malware")
        self.assertEqual(out["recipients"][0]["rules"], ["tools", "virus"])


class Unjudged(Case):
    antivirus = {"pua": "true"}
    policy = "version: 1\nuse: [postern/base]\n"

    def prepare(self):
        Kinds.prepare(self)

    def test_a_finding_no_rule_speaks_of_is_kept(self):
        code, text = self.send(b"a tool nobody asked for")
        self.assertEqual(code, 250)
        v = self.verdict(text)
        self.assertEqual(v["recipients"][0]["rules"], ["defaults/suspect"])
        self.assertEqual((v["recipients"][0]["outcome"], v["virus"]["kind"]), ("quarantine", "pua"))


class Off(Kinds):
    antivirus = {}
    test_told_apart = None

    def test_pua_is_not_looked_for(self):
        code, text = self.send(b"a tool nobody asked for")
        self.assertEqual(code, 250)
        self.assertEqual(self.verdict(text)["recipients"][0]["outcome"], "deliver")


class Old(Case):
    antivirus = {"max_age": "3d", "on_old": "defer"}

    def prepare(self):
        then = time.time() - 5 * 86400
        os.utime(os.path.join(self.folder, "test.ndb"), (then, then))

    def test_old_signatures_defer_until_new_ones_come(self):
        code, text = self.send(b"clean")
        self.assertEqual(code, 451, text)
        self.assertEqual(self.send(lab.EICAR.encode())[0], 250, "a virus is a virus")
        lab.wait_for(lambda: "5 days old" in self.alarms().get("old", ""), because="the alarm")
        self.assertGreater(self.antivirus_status()["age"], 4 * 86400)
        self.assertLess(self.lab.counter("av_signature_timestamp_seconds"), time.time() - 4 * 86400)
        doctor = self.lab.tool("doctor", check=False).stdout
        self.assertIn("5 days old", doctor)
        os.utime(os.path.join(self.folder, "test.ndb"))
        lab.wait_for(lambda: not self.alarms(), 60, because="the alarm to end")
        self.assertEqual(self.send(b"clean")[0], 250)


class OldUnscannable(Old):
    antivirus = {"max_age": "3d", "on_old": "unscannable"}
    test_old_signatures_defer_until_new_ones_come = None

    def test_held(self):
        code, text = self.send(b"clean")
        self.assertEqual(code, 250)
        v = self.verdict(text)
        self.assertEqual(v["recipients"][0]["outcome"], "hold")
        self.assertEqual(v["recipients"][0]["rules"], ["defaults/on_unscannable"])


class Remembered(Case):
    scanners = {"processes": "1"}

    def test_same_attachment_again(self):
        logo = os.urandom(60000)
        known = lambda: self.lab.counter("av_attachments_remembered")           # noqa: E731
        self.assertEqual(self.send(logo)[0], 250)
        self.assertEqual(known(), 0)
        self.assertEqual(self.send(logo, subject="again")[0], 250)
        self.assertEqual(known(), 1)
        # The same bytes said to be something else, or with one bit turned, are another attachment.
        self.assertEqual(self.send(logo, ctype="image/png")[0], 250)
        self.assertEqual(self.send(bytes([logo[0] ^ 1]) + logo[1:])[0], 250)
        self.assertEqual(known(), 1)
        # A virus beside a known attachment is found; so is one in its place, each time.
        raw = mail(logo).replace(b"\r\nHello.\r\n", b"\r\n" + lab.EICAR.encode() + b"\r\n")
        for _ in range(3):
            code, text = self.lab.send("b@partner.lab", raw=raw)
            self.assertEqual(self.verdict(text)["virus"]["part"], "1")
        for _ in range(3):
            code, text = self.send(lab.EICAR.encode() + logo)
            self.assertTrue(self.verdict(text)["virus"])
        # New signatures know the logo: what was remembered does not count any more.
        self.put("logo.ndb", "Worm.Logo:0:*:%s\n" % logo[1000:1040].hex())
        lab.wait_for(lambda: self.lab.counter("av_signature_reloads") == 1, 60, because="new signatures")
        code, text = self.send(logo)
        self.assertEqual(self.verdict(text)["virus"]["name"], "Worm.Logo.UNOFFICIAL")


class Memory(Case):
    def prepare(self):
        import random
        r = random.Random(7)
        self.put("many.ndb", "".join("Test.Many.%d:0:*:%s\n" % (i, r.randbytes(24).hex()) for i in range(60000)))

    @staticmethod
    def smaps(pid):
        with open("/proc/%d/smaps_rollup" % pid) as f:
            return {k: int(v) for k, v in re.findall(r"(\w+):\s+(\d+) kB", f.read())}

    def test_workers_share_the_signatures(self):
        parent = self.lab.pids("scanner", worker=False)[0]
        workers = lab.wait_for(lambda: len(p := self.lab.pids("scanner", worker=True)) == 2 and p, because="two workers")
        for i in range(20):
            self.assertEqual(self.send(os.urandom(2000), subject=str(i))[0], 250)
        whole = self.smaps(parent)["Rss"]
        for w in workers:
            own = self.smaps(w)["Private_Dirty"]
            print("engine and policy %d kB, of its own worker %d has %d kB" % (whole, w, own))
            self.assertLess(own, whole / 4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
