"""What `make bench` measures with: messages that differ as they should, at the rate they should; a sink that counts; the goals."""
import email
import email.policy
import json
import os
import re
import socket
import subprocess
import sys
import unittest

import lab

sys.path.append(os.path.join(lab.ROOT, "tests", "bench"))
import goals  # noqa: E402
import measure  # noqa: E402
import patterns  # noqa: E402

TOOLS = os.path.join(lab.BUILD, "tools")


def setUpModule():
    subprocess.run(["make", "-s", "B=" + lab.BUILD, *[os.path.join(TOOLS, t) for t in ("smtp_load", "smtp_sink", "mail_floor")]],
                   cwd=lab.ROOT, check=True)


def tool(name, *args):
    r = subprocess.run([os.path.join(TOOLS, name), *map(str, args)], capture_output=True, text=True, timeout=lab.DEADLINE)
    return r.returncode, r.stdout, r.stderr


def load(*args):
    status, out, err = tool("smtp_load", *args)
    if status:
        raise lab.LabError(err)
    return json.loads(out)


def body(message, kind):
    return next(p for p in message.walk() if p.get_content_type() == kind).get_payload(decode=True)


class Load(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("bench")
        self.addCleanup(self.lab.close)

    def taken(self, n, *args):
        mx = self.lab.mx()
        told = load("-m", n, *args, mx.port)
        raw = [m[2] for m in mx.wait(n)]
        self.assertEqual((told["messages"], len(raw)), (n, n))
        return told, raw, mx

    def parsed(self, raw):
        out = []
        for r in raw:
            m = email.message_from_bytes(r, policy=email.policy.SMTP)
            self.assertEqual([p.defects for p in m.walk()], [[]] * len(list(m.walk())))
            out.append(m)
        return out

    def test_all_contents_differ(self):
        for size in (4096, 102400):
            told, raw, _ = self.taken(60, "-s", 7, "-l", size)
            for r in raw:
                self.assertLess(abs(len(r) - size), size // 20)
                self.assertNotRegex(r, rb"(?<!\r)\n|\r(?!\n)|\r\n\.")
            mails = self.parsed(raw)
            for kind in ("text/plain", "text/html", "application/octet-stream"):
                self.assertEqual(len({body(m, kind) for m in mails}), 60, kind)
            self.assertEqual(len({m["Message-ID"] for m in mails}), 60)
            self.assertGreater(len(body(mails[0], "application/octet-stream")), size // 4)
            self.assertEqual(sum(n for _, n in told["histogram"]), 60)
            self.assertLessEqual(told["p50"], told["p99"])
            self.assertLessEqual(told["p99"], told["max"])

    def test_nine_attachments_of_ten_recur(self):
        _, raw, _ = self.taken(400, "-s", 5, "-R")
        mails = self.parsed(raw)
        files = [body(m, "application/octet-stream") for m in mails]
        self.assertEqual(len(set(files)), 20 + 40)
        self.assertEqual(len({body(m, "text/plain") for m in mails}), 400)
        # Each of the twenty comes, and not only in one tenth of the run.
        self.assertEqual(len({f for f in files if files.count(f) > 1}), 20)

    def test_a_text_has_no_pattern(self):
        _, raw, _ = self.taken(2, "-l", 102400, "-k", "text")
        for m in self.parsed(raw):
            self.assertEqual(m.get_content_type(), "text/plain")
            text = m.get_payload()
            self.assertGreater(len(text), 90000)
            self.assertEqual([p for p in patterns.ALL if re.search(p, text)], [])
        self.assertEqual([i for i, p in enumerate(patterns.ALL) if re.search(p, patterns.HIT)], [137])

    def test_connections(self):
        _, _, mx = self.taken(12, "-s", 3, "-N")
        self.assertEqual(mx.connections, 12)
        _, _, mx = self.taken(12, "-s", 3)
        self.assertLessEqual(mx.connections, 3)     # who is ready first may have sent all before another is there

    def test_rate(self):
        told, _, mx = self.taken(50, "-s", 4, "-r", 100)
        self.assertGreaterEqual(told["seconds"], 0.489)     # the last is due 490 ms after the first
        self.assertEqual(mx.connections, 4)

    def test_a_refusal_is_an_error(self):
        mx = self.lab.mx(reply=lambda line, s: "451 4.3.0 later" if line == "." else None)
        status, out, err = tool("smtp_load", "-m", 3, mx.port)
        self.assertEqual((status, out), (1, ""))
        self.assertIn("451 4.3.0 later", err)
        self.assertEqual(tool("smtp_load", "-m", 3)[0], 2)

    def test_sink(self):
        p = self.lab.start([os.path.join(TOOLS, "smtp_sink")], "sink.log")
        port = int(lab.wait_for(lambda: re.match(r"port (\d+)\n", lab.tail(p.log))).group(1))
        self.assertEqual(measure.delivered(p.log), 0)
        load("-m", 300, "-s", 9, port)
        lab.wait_for(lambda: measure.delivered(p.log) == 300, because="300 messages")
        load("-m", 10, "-s", 3, "-l", 1 << 20, port)
        load("-m", 30, "-s", 3, "-N", port)
        lab.wait_for(lambda: measure.delivered(p.log) == 340, because="340 messages")
        # The end may come in any pieces, and what looks like one is none.
        with socket.create_connection(("127.0.0.1", port), lab.DEADLINE) as s:
            f = s.makefile("rb")
            for say in (b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n", b"a\r\n..\r\n.x\r\n", b"\n.\r\n", b"b\r", b"\n", b".", b"\r", b"\n"):
                s.sendall(say)
            lab.wait_for(lambda: measure.delivered(p.log) == 341, because="the message in pieces")
            s.sendall(b"QUIT\r\n")
            self.assertEqual([l[:3] for l in f.read().splitlines()], [b"220"] + [b"250"] * 5 + [b"354", b"250", b"221"])

    def test_floor(self):
        status, out, err = tool("mail_floor", "sign", "0.1")
        self.assertEqual(status, 0, err)
        self.assertGreater(json.loads(out)["signatures"], 0)
        status, out, err = tool("mail_floor", "scan", self.lab.signatures(), "mixed", 4096, "0.1")
        self.assertEqual(status, 0, err)
        self.assertEqual(json.loads(out)["signatures"], 1)
        for args in (("batch", self.lab.dir, 4096, 16, "0.1"), ("delay", self.lab.dir, 4096, 50, "0.2")):
            status, out, err = tool("mail_floor", *args)
            self.assertEqual(status, 0, err)
            json.loads(out)
        self.assertEqual([n for n in os.listdir(self.lab.dir) if "mail_floor" in n], [])


def side(accepted, delivered, cpu):
    return {"accepted/s": accepted, "delivered/s": delivered, "cpu ms/message": cpu, "peak MiB": 70.0}


def figures():
    """A run in which DKIM is the one goal that is missed, and some rows are not there."""
    cell = {"row": "source", "title": "plain", "mode": "plain", "size": 4096, "new": False, "many": False, "floor": None,
            "sides": {"posternd": side(6000, 5000, 0.25), "Postfix": side(1000, 500, 3.0)}}
    everything = {**cell, "row": "everything", "title": "everything", "floor": {"sign_ms": 1.0, "scan_ms": 1.0},
                  "sides": {"posternd": side(800, 800, 2.5), "Postfix": side(100, 100, 20)}}
    return {"version": 1, "when": "2026-11-23", "rounds": 3, "cells": [cell, everything],
            "machine": {"cpu": "a processor", "processors": 2, "kernel": "Linux 6.1", "load": [0.5, 2.0]},
            "dkim adds": {"posternd": 1.4, "Postfix": 5.0, "sign_ms": 1.0}}


class Goals(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("goals")
        self.addCleanup(self.lab.close)

    def run_(self, *args):
        path = self.lab.write("figures.json", json.dumps(figures()))
        return subprocess.run([os.path.join(lab.ROOT, "tests", "bench", "run"), "--from", path, *args], capture_output=True,
                              text=True)

    def test_verdicts(self):
        got = {g["name"]: g for g in goals.goals(figures()) if g["value"] is not None}
        self.assertEqual([n for n, g in got.items() if not g["met"]], ["DKIM, 4 KiB, CPU it adds: times a raw signature"])
        self.assertEqual([round(g["value"], 3) for g in got.values()], [12, 6, 10, 8, 1.25, 1.4])

    def test_strict(self):
        r = self.run_()
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual((r.stdout.count("MISSED"), r.stdout.count(" met ")), (1, 5), r.stdout)
        self.assertEqual(self.run_("--strict").returncode, 1)

    def test_readme(self):
        with open(os.path.join(lab.ROOT, "README.md")) as f:
            readme = f.read()
        path = self.lab.write("README.md", readme)
        r = self.run_("--readme", path)
        self.assertEqual(r.returncode, 0, r.stderr)
        with open(path) as f:
            new = f.read()
        self.assertIn("| DKIM, 4 KiB, CPU it adds: times a raw signature | at most 1.30x | 1.40x", new)
        self.assertIn("**missed**", new)
        # Nothing outside the marks is touched.
        self.assertEqual((new.split(goals.BEGIN)[0], new.split(goals.END)[1]),
                         (readme.split(goals.BEGIN)[0], readme.split(goals.END)[1]))
        again = self.lab.write("other.md", "no marks\n")
        self.assertEqual(self.run_("--readme", again).returncode, 1)


if __name__ == "__main__":
    unittest.main()
