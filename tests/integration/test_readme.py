"""What the README says is so: its policy loads, its error reads as printed, its commands exist."""
import os
import re
import subprocess
import unittest

import lab

with open(os.path.join(lab.ROOT, "README.md")) as f:
    README = f.read()
TOOL = os.path.join(lab.BUILD, "postern")


class Readme(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("readme")
        self.addCleanup(self.lab.close)

    def check(self, *args):
        return subprocess.run([TOOL, "-c", self.lab.path("postern.yaml"), *args], capture_output=True, text=True,
                              cwd=self.lab.dir)

    def test_policy_loads(self):
        block = re.search(r"```yaml\n(.*?)```", README, re.S).group(1)
        self.lab.config()
        self.lab.policy(block)
        r = self.check("check")
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertIn(", 3 rules", r.stdout)        # its own, and `virus` and `elsewhere` of postern/base

    def test_error_reads_as_printed(self):
        shown = re.search(r"\$ postern check\n(.*?)```", README, re.S).group(1).strip().splitlines()
        line = int(re.search(r":(\d+):7", "\n".join(shown)).group(1))
        self.lab.config()
        head = "version: 1\nrules:\n  - id: x\n    then: {hold: dpo@example.org}\n    when:\n"
        self.lab.policy("#\n" * (line - 1 - head.count("\n")) + head + "      recipient: webmail.example\n", "50-health.yaml")
        r = self.check("check")
        self.assertEqual(r.returncode, 1)
        self.assertEqual((r.stdout + r.stderr).strip().splitlines()[:len(shown)], shown)

    def test_commands_exist(self):
        table = README[README.index("## Run it"):README.index("## What it is made of")]
        names = set(re.findall(r"`postern (\w+)", table))
        self.assertGreater(len(names), 8)
        for name in sorted(names):
            r = subprocess.run([TOOL, "help", name], capture_output=True, text=True)
            self.assertEqual(r.returncode, 0, name + r.stderr)
            self.assertIn("usage: postern " + name, r.stdout)

    def test_targets_exist(self):
        for target in set(re.findall(r"^make (\w+)$", README, re.M)):
            r = subprocess.run(["make", "-n", target, "B=" + lab.BUILD], capture_output=True, text=True, cwd=lab.ROOT)
            self.assertEqual(r.returncode, 0, target + r.stderr)

    def test_installation(self):
        dest = self.lab.path("dest")
        subprocess.run(["make", "install", "DESTDIR=" + dest, "B=" + lab.BUILD] +
                       (["SANITIZE=address,undefined", "DEVELOPER=1"] if "sanitized" in lab.BUILD else []),
                       check=True, cwd=lab.ROOT, capture_output=True)
        for f in ("usr/sbin/posternd", "usr/bin/postern", "etc/postern/postern.yaml", "etc/postern/policy.d/20-dlp.yaml",
                  "usr/lib/systemd/system/postern.service", "usr/lib/sysusers.d/postern.conf"):
            self.assertTrue(os.path.exists(os.path.join(dest, f)), f)
        with open(os.path.join(dest, "etc/postern/postern.yaml"), "a") as f:
            f.write("# mine\n")
        r = subprocess.run([os.path.join(dest, "usr/bin/postern"), "-c", os.path.join(dest, "etc/postern/postern.yaml"),
                            "check"], capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        subprocess.run(["make", "install", "DESTDIR=" + dest, "B=" + lab.BUILD] +
                       (["SANITIZE=address,undefined", "DEVELOPER=1"] if "sanitized" in lab.BUILD else []),
                       check=True, cwd=lab.ROOT, capture_output=True)
        with open(os.path.join(dest, "etc/postern/postern.yaml")) as f:
            self.assertTrue(f.read().endswith("# mine\n"),
                            "an installation over another keeps what the administrator wrote")


if __name__ == "__main__":
    unittest.main()
