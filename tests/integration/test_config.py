"""Bad input: the configuration, the policy, a reload; the daemon that does not start, or stays as it was."""
import os
import re
import signal
import smtplib
import subprocess
import time
import unittest

import lab


class Config(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("config")
        self.addCleanup(self.lab.close)
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})

    def posternd(self, *args):
        return subprocess.run([os.path.join(lab.BUILD, "posternd"), *args, "-c", self.lab.path("postern.yaml")],
                              capture_output=True, text=True, timeout=30)

    def test_typo_is_shown_with_its_place(self):
        self.lab.config()
        with open(self.lab.path("postern.yaml"), "a") as f:
            f.write("listenres: []\nscanners: {processes: many}\n")
        lines = open(self.lab.path("postern.yaml")).read().splitlines()
        at = lines.index("listenres: []") + 1
        for args in (["-n"], ["-f"]):
            r = self.posternd(*args)
            self.assertNotEqual(r.returncode, 0)
            self.assertRegex(r.stderr + r.stdout, r"(?s)postern\.yaml:%d:1.*listenres.*did you mean `listeners`" % at)

    def test_policy_typo(self):
        self.lab.config()
        self.lab.policy("version: 1\nrules:\n  - id: x\n    when:\n      recipient: a.lab\n    then: {discard: true}\n")
        r = self.posternd("-f")
        self.assertNotEqual(r.returncode, 0)
        out = r.stdout + r.stderr
        self.assertRegex(out, r"unknown key `recipient` in `when`")
        self.assertRegex(out, r"10-test\.yaml:5:7")
        self.assertIn("did you mean", out)

    def test_reload(self):
        mx = self.lab.mx()
        self.lab.config(delivery={"port": mx.port, "retry": ["1s"]})
        self.lab.start_postern()
        self.assertEqual(self.lab.send("b@partner.lab", subject="before")[0], 250)
        self.lab.policy("version: 1\nrules: [{id: x, whne: {}, then: {reject: no}}]\n")
        os.kill(self.lab.daemon.pid, signal.SIGHUP)
        lab.wait_for(lambda: "reload refused" in self.lab.log(), because="the refusal in the log")
        self.assertIn("unknown key `whne`", self.lab.log())
        self.assertEqual(self.lab.send("b@partner.lab", subject="still")[0], 250)
        r = self.lab.tool("reload", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("whne", r.stdout + r.stderr)
        # More errors than a pipe holds are said all the same.
        bad = "  - id: rule-%d\n    when: {whne: " + 400 * "x" + "}\n    then: {reject: no}\n"
        self.lab.policy("version: 1\nrules:\n" + "".join(bad % i for i in range(250)), name="20-" + 200 * "y" + ".yaml")
        r = self.lab.tool("reload", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertGreaterEqual(len(r.stdout + r.stderr), 60000)       # the answer ends there
        os.unlink(self.lab.path("policy.d", "20-" + 200 * "y" + ".yaml"))
        # A session that is open stays open over a good reload and has the new policy for its next message.
        self.lab.policy("version: 1\nrules:\n  - {id: x, when: {subject: {words: [after]}}, then: {reject: \"5.7.1 no\"}}\n")
        old = set(self.lab.pids("receiver"))
        r = self.lab.tool("reload", check=False)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertTrue(set(self.lab.pids("receiver")) - old)
        self.assertEqual(self.lab.send("b@partner.lab", subject="after")[0], 550)
        self.assertEqual(self.lab.send("b@partner.lab", subject="other")[0], 250)
        mx.wait(3)

    def test_nobody_is_permitted(self):
        port = self.lab.ports.setdefault("smtp", lab.free_port())
        self.lab.config(listeners=[{"name": "a", "address": "127.0.0.1:%d" % port, "direction": "outbound"}])
        self.lab.start_postern()
        with self.assertRaises(smtplib.SMTPConnectError) as e:
            self.lab.smtp()
        self.assertEqual(e.exception.smtp_code, 554)

    def test_second_daemon_is_refused(self):
        self.lab.config()
        self.lab.start_postern()
        r = self.posternd("-f")
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("another posternd runs here already", r.stderr)
        self.assertEqual(self.lab.status()["state"], "running")

    def test_port_taken(self):
        import socket
        with socket.socket() as s:
            s.bind(("127.0.0.1", self.lab.ports.setdefault("smtp", lab.free_port())))
            s.listen()
            self.lab.config()
            r = self.posternd("-f")
        self.assertEqual(r.returncode, 1)
        self.assertIn("cannot listen on 127.0.0.1 port %d" % self.lab.ports["smtp"], r.stderr)

    def test_tool_without_daemon(self):
        self.lab.config()
        r = self.lab.tool("status", check=False)
        self.assertEqual(r.returncode, 3)
        r = self.lab.tool("statsu", check=False)
        self.assertEqual(r.returncode, 2)
        self.assertIn("status", r.stderr)

    def test_no_directory(self):
        self.lab.config()
        self.lab.start_postern()
        self.assertIn("`directory` in postern.yaml", self.lab.control({"cmd": "directory"})[0]["error"])

    def test_limits(self):
        mx = self.lab.mx()
        self.lab.config(delivery={"port": mx.port})
        self.lab.policy("version: 1\nlimits:\n"
                        "  - {id: per-sender, per: sender, allow: 5 messages / 1h, then: defer}\n")
        self.lab.start_postern()
        codes = [self.lab.send("b@partner.lab", sender="burst@example.lab", subject="l%d" % i) for i in range(7)]
        self.assertEqual([c for c, _ in codes], [250] * 5 + [451] * 2)
        self.assertIn("4.7.1", codes[-1][1])
        self.assertEqual(self.lab.send("b@partner.lab", sender="other@example.lab")[0], 250)
        # The table is shared memory: it outlives the receiver.
        os.kill(self.lab.pids("receiver")[0], signal.SIGKILL)
        lab.wait_for(lambda: self.lab.pids("receiver"), because="a new receiver")
        self.assertEqual(self.lab.send("b@partner.lab", sender="burst@example.lab")[0], 451)

    def test_killer_message_is_held(self):
        """A scan that takes longer than its time ends its scanner; twice, and the message is held."""
        mx = self.lab.mx()
        self.lab.config(delivery={"port": mx.port}, scanners={"processes": "2", "timeout": "150ms"})
        self.lab.start_postern()
        # Character sets of two bytes are read at some 20 MB/s: this one needs most of a second.
        raw = lab.message("", subject="killer", headers=["Content-Type: text/plain; charset=shift_jis",
                                                         "Content-Transfer-Encoding: 8bit"])
        raw += (b"\x93\xfa\x96\x7b\x8c\xea" * 12 + b"\r\n") * 250000
        code, text = self.lab.send("b@partner.lab", raw=raw)
        self.assertEqual(code, 250, text)
        mid = text.split()[-1]
        held = lab.wait_for(lambda: [h for h in self.lab.control({"cmd": "held.list"}) if h.get("id") == mid],
                            because="the held message")
        self.assertTrue(held)
        self.assertGreaterEqual(self.lab.counter("scan_errors"), 2)
        self.assertEqual(self.lab.send("b@partner.lab", subject="meanwhile")[0], 250)
        mx.wait(1)
        self.assertFalse([m for m in mx.messages if b"killer" in m[2]])


if __name__ == "__main__":
    unittest.main()
