#!/usr/bin/python3
"""clamd as the engine: Debian's own over its unix socket (descriptors) and over TCP (streams), its limits, its
absence, and somebody at its address who is slow, silent, or says OK to everything."""
import json
import os
import socket
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab                                                                      # noqa: E402
from test_antivirus import hexed, mail                                          # noqa: E402

POLICY = "version: 1\nuse: [postern/base]\n"


class Case(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("clamd")
        self.addCleanup(self.lab.close)
        self.mx = self.lab.mx()
        self.lab.dns({"partner.lab": ["@ MX 20 mx", "mx A 127.0.0.1"]})
        self.folder = self.lab.signatures()
        self.lab.policy(POLICY)

    def clamd(self, *more):
        """Debian's clamd with our signatures, in a folder of its own."""
        if os.geteuid() == 0:
            os.makedirs(self.lab.path("clamd"), exist_ok=True)
            os.chmod(self.lab.path("clamd"), 0o755)
        self.lab.ports.setdefault("clamd", lab.free_port())
        given = {m.split()[0] for m in more}
        self.lab.write("clamd/clamd.conf", "\n".join([l for l in [
            "Foreground yes", "LocalSocket " + self.lab.path("clamd", "ctl"), "LocalSocketMode 666",
            "FixStaleSocket yes", "TCPSocket %d" % self.lab.ports["clamd"], "TCPAddr 127.0.0.1",
            "DatabaseDirectory " + self.folder, "MaxThreads 4", "AlertExceedsMax yes", "AlertEncrypted yes",
            "SelfCheck 0"] if l.split()[0] not in given] + list(more)) + "\n")
        self.daemon = self.lab.start(["/usr/sbin/clamd", "--config-file=" + self.lab.path("clamd", "clamd.conf")],
                                     "clamd.log")
        lab.wait_port("127.0.0.1", self.lab.ports["clamd"], self.daemon, self.daemon.log, 60)
        lab.wait_for(lambda: os.path.exists(self.lab.path("clamd", "ctl")), because="clamd's socket")

    def postern(self, sock, scanners=None, **antivirus):
        self.lab.config(delivery={"port": self.mx.port, "retry": ["1s"]},
                        antivirus={"engine": "clamd", "socket": sock, **antivirus},
                        scanners={"processes": "1", **(scanners or {})})
        self.lab.start_postern()

    def send(self, body=b"x", **kw):
        return self.lab.send("b@partner.lab", raw=mail(body, **kw))

    def verdict(self, text):
        mid = text.split()[-1]

        def record():
            r = self.lab.tool("--json", "explain", mid, check=False)
            return r.returncode == 0 and r.stdout
        return json.loads(lab.wait_for(record, because="the record"))

    def alarms(self):
        return {a["kind"]: a["text"] for a in self.lab.status()["antivirus"]["alarms"]}


class Real(Case):
    def finds(self):
        code, text = self.send(b"clean")
        self.assertEqual(code, 250, text)
        v = self.verdict(text)
        self.assertEqual((v["virus"], v["recipients"][0]["outcome"]), (None, "deliver"))
        code, text = self.send(lab.EICAR.encode())
        self.assertEqual(code, 250, text)
        v = self.verdict(text)
        self.assertEqual(v["virus"]["name"], "Eicar-Test-Signature.UNOFFICIAL")
        self.assertRegex(v["virus"]["engine"], r"^clamd 1\.")
        self.assertEqual(v["virus"]["part"], "2")
        self.assertEqual(v["recipients"][0]["outcome"], "quarantine")

    def test_unix_socket(self):
        self.clamd("LogClean yes")
        self.postern(self.lab.path("clamd", "ctl"))
        self.finds()
        with open(self.daemon.log) as f:
            self.assertIn("/memfd:part (deleted): OK", f.read())
        with open(self.lab.path("m.eml"), "wb") as f:
            f.write(mail(lab.EICAR.encode()))
        out = json.loads(self.lab.tool("--json", "explain", self.lab.path("m.eml")))
        self.assertEqual(out["virus"]["part"], "2")
        self.assertIn("clamd 1.", self.lab.tool("status", check=False).stdout)
        # Signatures that clamd takes up by itself count at once.
        self.lab.write("clamav/new.ndb", "Worm.Test:0:*:%s\n" % hexed("a worm of today"))
        subprocess.run(["python3", "-c", "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
                        "s.sendall(b'zRELOAD\\0'); s.recv(99)", self.lab.path("clamd", "ctl")], check=True)

        def found():
            code, text = self.send(b"a worm of today")
            return code == 250 and self.verdict(text)["virus"]
        lab.wait_for(found, because="the new signature")

    def test_tcp(self):
        self.clamd("LogClean yes")
        self.postern("127.0.0.1:%d" % self.lab.ports["clamd"])
        self.finds()
        with open(self.daemon.log) as f:
            self.assertRegex(f.read(), r"instream\(.*OK")
        code, text = self.send(os.urandom(3 << 20) + lab.EICAR.encode())
        self.assertEqual(code, 250)
        self.assertEqual(self.verdict(text)["virus"]["name"], "Eicar-Test-Signature.UNOFFICIAL")

    def test_away_and_back(self):
        self.postern(self.lab.path("clamd", "ctl"))
        code, text = self.send(b"clean")
        self.assertEqual(code, 451, text)
        lab.wait_for(lambda: "clamd" in self.alarms().get("down", ""), because="an alarm")
        self.clamd()
        lab.wait_for(lambda: not self.alarms(), because="the alarm to end without mail")
        self.finds()
        self.daemon.stop()
        code, text = self.send(lab.EICAR.encode())
        self.assertEqual(code, 451, text)
        lab.wait_for(lambda: "down" in self.alarms(), because="an alarm")
        self.assertIn("the antivirus is blind, mail is deferred", self.lab.tool("status", check=False).stdout)
        self.clamd()
        lab.wait_for(lambda: self.send(b"clean")[0] == 250, because="mail to go on")

    def limits(self, sock, *conf, **antivirus):
        self.clamd(*conf)
        self.postern(sock(), **antivirus)
        code, text = self.send(os.urandom(2 << 20))
        self.assertEqual(code, 250, text)
        v = self.verdict(text)
        self.assertEqual(v["recipients"][0]["outcome"], "hold")
        self.assertEqual(v["recipients"][0]["rules"], ["defaults/on_unscannable"])
        self.finds()

    def test_its_limit_of_a_stream(self):
        self.limits(lambda: "127.0.0.1:%d" % self.lab.ports["clamd"], "StreamMaxLength 1M")

    def test_its_limit_of_a_file(self):
        self.limits(lambda: self.lab.path("clamd", "ctl"), "MaxFileSize 1M")

    def test_our_limit(self):
        self.limits(lambda: self.lab.path("clamd", "ctl"), max_size="1MiB")

    def doctor(self):
        out = self.lab.tool("--json", "doctor", check=False).stdout
        return [(c["verdict"], c["detail"]) for c in map(json.loads, out.splitlines()) if c.get("topic") == "antivirus"]

    def test_doctor(self):
        self.lab.config(antivirus={"engine": "clamd", "socket": self.lab.path("clamd", "ctl")},
                        doctor={"probe": [], "blocklists": []})
        self.assertRegex(str(self.doctor()), "wrong.*clamd.*deferred until it answers")
        self.clamd()
        got = self.doctor()
        self.assertRegex(str(got), "clamd 1.*finds the test file")
        self.assertNotIn("AlertExceedsMax", str(got))
        self.daemon.stop()
        self.clamd("AlertExceedsMax no")
        self.assertIn("AlertExceedsMax yes", str(self.doctor()))

    def test_clamd_that_is_silent_about_its_limits(self):
        self.clamd("AlertExceedsMax no")
        self.postern(self.lab.path("clamd", "ctl"))
        lab.wait_for(lambda: "AlertExceedsMax" in self.alarms().get("limits", ""), because="a word about it")
        self.assertIn("AlertExceedsMax yes", self.lab.tool("status", check=False).stdout)
        self.finds()

    def test_only_kinds_that_are_viruses_are_viruses(self):
        self.lab.write("clamav/new.ndb", "PUA.Test:0:*:%s\n" % hexed("a tool nobody asked for"))
        self.clamd("DetectPUA yes")
        self.postern(self.lab.path("clamd", "ctl"))
        code, text = self.send(b"a tool nobody asked for")
        v = self.verdict(text)
        self.assertEqual((v["virus"]["kind"], v["recipients"][0]["rules"]), ("pua", ["defaults/suspect"]))


class Impostor(Case):
    """Somebody else listens where clamd should."""
    def listen(self, answer):
        s = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(s.close)

        def serve(c):
            with c:
                try:
                    answer(c)
                except OSError:
                    pass

        def accept():
            while True:
                try:
                    c, _ = s.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(c,), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()
        return "127.0.0.1:%d" % s.getsockname()[1]

    def deferred(self, answer, why):
        self.postern(self.listen(answer), scanners={"timeout": "4s"})
        for body in (b"clean", lab.EICAR.encode()):
            code, text = self.send(body)
            self.assertEqual((code, text[:6]), (451, "4.7.1 "))
        lab.wait_for(lambda: why in self.alarms().get("down", ""), because="an alarm that says " + why)
        self.assertEqual(self.mx.messages, [])

    @staticmethod
    def commands(c):
        """Each command of a session; the bytes of streams are read away."""
        data, n = b"", 0

        def need(k):
            nonlocal data
            while len(data) < k:
                more = c.recv(65536)
                if not more:
                    raise OSError
                data += more
        while True:
            while b"\0" not in data:
                need(len(data) + 1)
            word, data = data.split(b"\0", 1)
            if word == b"zIDSESSION":
                continue
            n += 1
            while word == b"zINSTREAM":
                need(4)
                k, data = int.from_bytes(data[:4], "big"), data[4:]
                need(k)
                data = data[k:]
                if k == 0:
                    break
            yield n, word

    def test_silent(self):
        self.deferred(lambda c: c.recv(1) and c.recv(1 << 20) and threading.Event().wait(60), "does not answer in time")

    def test_garbage(self):
        def answer(c):
            c.recv(100)
            c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n\0")
            c.recv(1 << 20)
        self.deferred(answer, "garbage")

    def test_endless(self):
        def answer(c):
            while True:
                c.sendall(b"1: stream: " * 1000)
        self.deferred(answer, "garbage")

    def test_hangs_up(self):
        self.deferred(lambda c: None, "clamd")

    def test_says_ok_to_everything(self):
        def answer(c):
            for n, word in self.commands(c):
                c.sendall(b"%d: %s\0" % (n, b"ClamAV 1.4.6" if word == b"zVERSION" else b"stream: OK"))
        self.deferred(answer, "EICAR")

    def test_says_found_to_everything(self):
        def answer(c):
            for n, word in self.commands(c):
                c.sendall(b"%d: %s\0" % (n, b"ClamAV 1.4.6" if word == b"zVERSION" else b"stream: Worm.X FOUND"))
        self.deferred(answer, "a clean text is taken for")

    def test_answers_another_question(self):
        def answer(c):
            for n, word in self.commands(c):
                c.sendall(b"%d: %s\0" % (n + 1, b"ClamAV 1.4.6" if word == b"zVERSION" else b"stream: OK"))
        self.deferred(answer, "garbage")

    def test_says_ok_after_the_canary_only(self):
        """It knows EICAR and dies at the message: not clean."""
        def answer(c):
            for n, word in self.commands(c):
                c.sendall(b"%d: %s\0" % (n, {1: b"ClamAV 1.4.6", 2: b"stream: Eicar FOUND", 3: b"stream: OK"}.get(n, b"")))
        self.postern(self.listen(answer), scanners={"timeout": "4s"})
        code, text = self.send(b"x")
        self.assertEqual(code, 451)


if __name__ == "__main__":
    unittest.main(verbosity=2)
