#!/usr/bin/env python3
"""The milter protocol's corners, told by somebody else's client (miltertest), and frames no client would send."""
import glob
import os
import socket
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import lab                                                                      # noqa: E402

SCRIPTS = os.path.join(lab.ROOT, "tests/milter")
POLICY = """version: 1
use: [postern/base]
rules:
  - {id: held, when: {to: [hold.lab], finds: payment-card}, then: {hold: group:dpo}}
  - {id: redact, when: {to: [partner.lab], finds: payment-card}, then: {redact: this}}
  - {id: tag, when: {to: [tagged.lab]}, then: {prefix_subject: "[out]", add_header: {X-Seen: "yes"}}}
  - {id: no, when: {subject: {words: [refuseme]}}, then: {reject: "5.7.1 not outside"}}
groups: {dpo: [dpo@example.lab]}
"""
ALL = struct.pack(">III", 6, 0x1ff, 0x1fffff)


def frame(kind, data=b""):
    return struct.pack(">I", len(data) + 1) + kind + data


class Protocol(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("milter-protocol")
        cls.addClassCleanup(cls.lab.close)
        cls.path = cls.lab.path("milter.sock")
        cls.lab.policy(POLICY)
        cls.lab.dns({"partner.lab": ["@ MX 0 ."]})
        cls.lab.config(listeners=[{"name": "mta", "milter": "unix:" + cls.path, "max_size": "1MB"}],
                       delivery={"routes": {"*": ["127.0.0.1:9"]}, "tls": {"policy": "none"}})
        cls.lab.start_postern()

    def setUp(self):
        self.files = {}

    def script(self, name):
        path = os.path.join(SCRIPTS, name)
        r = subprocess.run(["miltertest", "-D", "socket=unix:" + self.path, "-D", "common=" + os.path.join(SCRIPTS, "common.inc"),
                            "-s", path], capture_output=True, text=True, timeout=lab.DEADLINE)
        self.assertEqual(r.returncode, 0, "%s\n%s%s\n%s" % (name, r.stdout, r.stderr, lab.tail(self.lab.daemon.log, 20)))

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.settimeout(lab.DEADLINE)
        s.connect(self.path)
        self.files[s] = s.makefile("rb")
        return s

    def heard(self, s, n):
        """n packets, as (letter, data)."""
        out, f = [], self.files[s]
        while len(out) < n:
            head = f.read(4)
            self.assertEqual(len(head), 4, "hung up after %s" % out)
            data = f.read(struct.unpack(">I", head)[0])
            out.append((data[:1], data[1:]))
        return out

    def message(self, subject=b"piped", to=b"b@partner.lab", body=b"Hello.\r\n"):
        return (frame(b"D", b"Mi\0queue-1\0") + frame(b"M", b"<a@example.lab>\0") + frame(b"R", b"<" + to + b">\0") + frame(b"T") +
                frame(b"L", b"From\0 <a@example.lab>\0") + frame(b"L", b"Subject\0 " + subject + b"\0") + frame(b"N") +
                frame(b"B", body) + frame(b"E"))

    def client(self):
        return frame(b"C", b"client.example.lab\0004\x04\xd2192.0.2.7\0") + frame(b"H", b"client.example.lab\0")

    def test_pipelined(self):
        """Everything of three messages in one write: every answer comes, in order. An MTA would wait."""
        s = self.connect()
        s.sendall(frame(b"O", ALL) + self.client() + self.message() + self.message(b"refuseme") + self.message(b"again") + frame(b"Q"))
        got = self.heard(s, 16)
        letters = b"".join(k for k, _ in got)
        # O, connect and helo; then mail, rcpt, data, end of header and what the end brings.
        self.assertEqual(letters, b"O" b"cc" + b"ccccic" + b"ccccy" + b"cc", letters)
        self.assertTrue(got[13][1].startswith(b"550 5.7.1 not outside"), got[13])
        rest = self.heard_to_the_end(s)
        self.assertEqual(b"".join(k for k, _ in rest), b"ccic")

    def heard_to_the_end(self, s):
        data, out = self.files[s].read(), []
        while data:
            n = struct.unpack(">I", data[:4])[0]
            out.append((data[4:5], data[5:4 + n]))
            data = data[4 + n:]
        return out

    def test_byte_by_byte(self):
        s = self.connect()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        for b in frame(b"O", ALL) + self.client() + self.message():
            s.sendall(bytes([b]))
        self.assertEqual(b"".join(k for k, _ in self.heard(s, 9)), b"O" b"cc" b"ccccic")

    def test_frames_no_mta_sends(self):
        """Each ends its connection and nothing else."""
        other = self.connect()
        other.sendall(frame(b"O", ALL) + self.client())
        self.heard(other, 3)
        for bad in (struct.pack(">I", 0) + b"D", struct.pack(">I", (256 << 10) + 1) + b"L", struct.pack(">I", 0xffffffff) + b"B",
                    struct.pack(">I", (64 << 20) + 1) + b"B", frame(b"?"), frame(b"O", ALL), frame(b"c")):
            s = self.connect()
            s.sendall(frame(b"O", ALL) + self.client())
            self.heard(s, 3)
            s.sendall(bad)
            self.assertEqual(self.heard_to_the_end(s), [], bad[:20])
        for bad in (frame(b"O", b"short"), frame(b"C", b""), frame(b"M", b"<a@example.lab>\0"), b"EHLO client.example.lab\r\n", b"GET / HTTP/1.0\r\n\r\n"):
            s = self.connect()
            s.sendall(bad)
            s.shutdown(socket.SHUT_WR)
            self.assertEqual(self.heard_to_the_end(s), [], bad)
        other.sendall(self.message())
        self.assertEqual(b"".join(k for k, _ in self.heard(other, 6)), b"ccccic", "the session beside them never noticed")

    def test_long(self):
        """A field of 60,000 characters, a new body of 200 kB; a header beyond its limit is refused at its end."""
        s = self.connect()
        s.sendall(frame(b"O", ALL) + self.client())
        self.heard(s, 3)
        card = b"card 4111 1111 1111 1111\r\n"
        head = (frame(b"M", b"<a@example.lab>\0") + frame(b"R", b"<b@partner.lab>\0") + frame(b"L", b"X-Long\0 " + b"abcdefghi " * 6000 + b"\0"))
        s.sendall(head + frame(b"N") + b"".join(frame(b"B", b"0123456789abcdef\r\n" * 3000) for _ in range(4)) + frame(b"E", card))
        got = self.heard(s, 3)
        new = []
        while not new or new[-1][0] != b"c":
            new += self.heard(s, 1)
        self.assertEqual(b"".join(d for k, d in new if k == b"b"), b"0123456789abcdef\r\n" * 12000 + b"card **** **** **** ****\r\n")
        self.assertEqual([k for k, _ in got], [b"c"] * 3)
        self.assertLessEqual(max(len(d) for k, d in new if k == b"b"), 65535)
        s.sendall(head + b"".join(frame(b"L", b"X-Many\0 " + b"abcdefghi " * 6000 + b"\0") for _ in range(4)) + frame(b"N") + frame(b"A"))
        got = self.heard(s, 3)
        self.assertEqual(got[2][0], b"y")
        self.assertTrue(got[2][1].startswith(b"552 5.3.4 header too large"), got[2])
        s.sendall(self.message())
        self.assertEqual(b"".join(k for k, _ in self.heard(s, 6)), b"ccccic")

    def test_smuggling(self):
        """Texts of a client begin no command of their own, and a bare LF in a body is refused."""
        s = self.connect()
        s.sendall(frame(b"O", ALL) + self.client())
        self.heard(s, 3)
        s.sendall(frame(b"M", b"<a@example.lab>\r\nRCPT TO:<x@partner.lab>\0"))
        self.assertEqual(self.heard(s, 1)[0][0], b"y")
        s.sendall(frame(b"M", b"<a@example.lab>\0") + frame(b"R", b"<b@partner.lab>\0") +
                  frame(b"L", b"Subject\nX-Evil\0 x\0") + frame(b"N"))
        got = self.heard(s, 3)
        self.assertEqual([k for k, _ in got], [b"c", b"c", b"y"])
        self.assertTrue(got[2][1].startswith(b"552"), got[2])
        s.sendall(frame(b"A") + self.message(body=b"one\n.\nMAIL FROM:<x@y>\n"))
        got = self.heard(s, 5)
        self.assertEqual(got[-1][0], b"y")
        self.assertTrue(got[-1][1].startswith(b"554 5."), got[-1])

    def test_alive(self):
        """Nothing of all this ended a process."""
        self.assertEqual([l for l in self.lab.log().splitlines() if "killed" in l or "exited" in l or "signal" in l], [])


for path in sorted(glob.glob(os.path.join(SCRIPTS, "*.lua"))):
    name = os.path.splitext(os.path.basename(path))[0]
    setattr(Protocol, "test_script_" + name, lambda self, name=name: self.script(name + ".lua"))


if __name__ == "__main__":
    unittest.main()
