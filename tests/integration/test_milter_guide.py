#!/usr/bin/env python3
"""docs/guides/en/milter.md, word by word: its Postfix and its Sendmail ask Postern, and are as before at the end."""
import os
import re
import shlex
import smtplib
import subprocess
import sys
import unittest

import yaml as pyyaml

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import lab                                                                      # noqa: E402
import mta                                                                      # noqa: E402

POLICY = """version: 1
use: [postern/base]
rules:
  - {id: held, when: {subject: {words: [wait]}}, then: {hold: group:dpo}}
groups: {dpo: [dpo@example.lab]}
"""


def blocks():
    with open(os.path.join(lab.ROOT, "docs/guides/en/milter.md")) as f:
        return re.findall(r"^```([^\n]*)\n(.*?)^```$", f.read(), re.M | re.S)


class Guide(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("milter-guide")
        self.addCleanup(self.lab.close)
        self.mx = self.lab.mx()
        self.ports = {"8891": str(lab.free_port()), "10026": str(lab.free_port())}
        self.lab.dns({"partner.lab": ["@ MX 0 ."]})
        self.lab.policy(POLICY)
        said = pyyaml.safe_load(self.here([t for k, t in blocks() if k == "yaml"][0]))
        self.lab.config(**{**said, "delivery": {**said["delivery"], "retry": ["1s"], "tls": {"policy": "none"}}})
        self.lab.start_postern()

    def here(self, text):
        """The ports and folders of this laboratory."""
        for port, ours in self.ports.items():
            text = text.replace(port, ours)
        return text.replace("/etc/postfix", self.lab.path("mta", "conf"))

    def do(self, kind, n=None):
        bin = self.lab.path("bin")
        os.chmod(self.lab.write("bin/postern", "#!/bin/sh\nexec %s -c %s \"$@\"\n" % (
            shlex.quote(os.path.join(lab.BUILD, "postern")), shlex.quote(self.lab.path("postern.yaml")))), 0o755)
        env = {**os.environ, "PATH": "%s:/usr/sbin:%s" % (bin, os.environ["PATH"]), "MAIL_CONFIG": self.lab.path("mta", "conf")}
        for text in [t for k, t in blocks() if k == kind][n:None if n is None else n + 1]:
            for line in self.here(text).splitlines():
                r = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=env, timeout=lab.DEADLINE)
                findings = re.match("postern (doctor|trace|status)", line)
                self.assertIn(r.returncode, (0, 1) if findings else (0,), line + "\n" + r.stdout + r.stderr)
                if line == "postern doctor":
                    self.assertIn("mta answers on 127.0.0.1:" + self.ports["8891"], r.stdout)
                if line.startswith("postern trace"):
                    self.assertIn("passed to the MTA", r.stdout)

    def send(self, port, subject):
        with smtplib.SMTP("127.0.0.1", port, timeout=lab.DEADLINE) as s:
            s.sendmail("a@example.lab", ["b@partner.lab"], lab.message(subject=subject))

    def arrived(self, subject):
        def look():
            with self.mx.lock:
                return [m[2] for m in self.mx.messages if b"Subject: " + subject.encode() + b"\r\n" in m[2]]
        return lab.wait_for(look, because=subject)

    def works(self, port):
        self.send(port, "through")
        self.assertIn(b"X-Postern-Id: ", self.arrived("through")[0])
        self.send(port, "wait")
        row = lab.wait_for(lambda: [l for l in self.lab.control({"cmd": "held.list", "selector": "", "all": True}) if "id" in l],
                           because="it to be held")[0]
        self.lab.tool("held", "release", row["id"], "--yes")
        self.assertEqual(len(self.arrived("wait")), 1)
        self.lab.queue_empty()

    def test_postfix(self):
        port = self.lab.postfix("mta", {"relayhost": "[127.0.0.1]:%d" % self.mx.port, "milter_connect_timeout": "10s"})
        self.do("sh postfix", 0)
        # A Postfix that reloads lets processes that wait for a client finish with the old words: until one has asked us.
        lab.wait_for(lambda: self.asked(port), because="Postfix to ask")
        lab.wait_port("127.0.0.1", int(self.ports["10026"]))
        self.works(port)
        self.do("sh")
        self.do("sh postfix", 1)
        lab.wait_for(lambda: not self.asked(port), because="Postfix to be as before")

    def asked(self, port):
        subject = "probe-%d" % len(self.mx.messages)
        self.send(port, subject)
        return b"X-Postern-Id" in self.arrived(subject)[0]

    def test_sendmail(self):
        mc = [t for k, t in blocks() if k == "text sendmail.mc"][0]
        self.works(mta.sendmail(self.lab, "sm", self.mx.port, self.here(mc)))
        self.do("sh")


if __name__ == "__main__":
    unittest.main()
