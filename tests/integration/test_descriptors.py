#!/usr/bin/env python3
"""No descriptor left: whoever listens rests for a second at a time, and goes on where it was when there are some."""
import os
import re
import socket
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import lab                                                                      # noqa: E402

FILES = 80              # that each process may open
CLIENTS = 100


class Descriptors(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("descriptors")
        self.addCleanup(self.lab.close)
        self.lab.ports["console"] = lab.free_port()
        self.lab.config(console={"address": "127.0.0.1:%d" % self.lab.ports["console"], "tls": "off"})
        self.lab.daemon = lab.Proc(["/bin/sh", "-c", 'ulimit -n %d; exec "$@"' % FILES, "sh", os.path.join(lab.BUILD, "posternd"),
                                    "-f", "-c", self.lab.path("postern.yaml")], self.lab.path("posternd.log"))
        self.lab.wait_ready()
        self.held = []

    def connect(self, port, n):
        for _ in range(n):
            self.held.append(socket.create_connection(("127.0.0.1", port), lab.DEADLINE))
            self.addCleanup(self.held[-1].close)

    def rests(self, text):
        return len(re.findall(text, self.lab.log()))

    def scarce(self, role, port, text, alive):
        """alive(socket): it was taken."""
        pid = self.lab.pids(role)[0]
        self.connect(port, CLIENTS)
        lab.wait_for(lambda: self.rests(text), because="%s to rest" % role)
        begun, before = self.cpu(pid), self.rests(text)
        lab.wait_for(lambda: self.rests(text) >= before + 3, because="%s to try again" % role)
        self.assertLess(self.cpu(pid) - begun, 1.0, "three seconds of rest, not of work")
        for s in self.held[:FILES]:
            s.close()
        for s in self.held[FILES:]:     # these had to wait: each process has files of its own
            alive(s)

    def cpu(self, pid):
        with open("/proc/%d/stat" % pid) as f:
            v = f.read().rpartition(")")[2].split()
        return (int(v[11]) + int(v[12])) / os.sysconf("SC_CLK_TCK")

    def banner(self, s):
        self.assertTrue(s.recv(100).startswith(b"220 "))

    def answer(self, s):
        s.sendall(b"GET /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 "))

    def test_receiver(self):
        self.scarce("receiver", self.lab.ports["smtp"], r"receiver\[\d+\]: accept: .*the listener rests", self.banner)

    def test_console(self):
        self.scarce("console", self.lab.ports["console"], r"console\[\d+\]: accept: .*the console rests", self.answer)


if __name__ == "__main__":
    unittest.main()
