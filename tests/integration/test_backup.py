"""Backup, wipe, restore: what was held is still there and can be released; a damaged or foreign file opens nothing."""
import json
import os
import shutil
import stat
import subprocess
import unittest

import lab

TOOL = os.path.join(lab.BUILD, "postern")
PASSPHRASE = "correct horse battery staple"
HOLD = """version: 1
rules:
  - id: held
    when: {subject: {words: [secret]}}
    then: {hold: {for: boss@example.lab}}
groups: {many: ["file:lists/many.txt"]}
"""


class Backup(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("backup")
        self.addCleanup(self.lab.close)
        self.pass_file = self.lab.write("passphrase", PASSPHRASE + "\n")
        self.file = self.lab.path("copy.backup")

    def run_tool(self, command, *args, conf="etc/postern.yaml"):
        return subprocess.run([TOOL, "-c", self.lab.path(conf), command, *args], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)

    def configure(self, mx):
        """A folder of its own for the configuration; the store, the spool and one list outside it."""
        self.lab.write("policy.d/lists/many.txt", "example.lab\n")
        self.lab.policy(HOLD)
        self.lab.dkim_key("example.lab", "s1")
        text = self.lab.config(delivery={"routes": {"*": ["127.0.0.1:%d" % mx.port]}, "tls": {"policy": "none"}},
                               domains={"example.lab": {"dkim": [{"selector": "s1", "key": "keys/s1.example.lab.pem"}]}})
        etc = self.lab.path("etc")
        os.makedirs(etc)
        for name in ("postern.yaml", "policy.d", "keys"):
            shutil.move(self.lab.path(name), etc)
        os.symlink("policy.d/lists/many.txt", os.path.join(etc, "link"))
        outside = self.lab.write("outside.txt", "from elsewhere\n")
        os.symlink(outside, os.path.join(etc, "certbot"))
        # The lab's daemon and tool look here.
        os.symlink("etc/postern.yaml", self.lab.path("postern.yaml"))
        return text

    def tree(self):
        """Names, modes, contents below etc."""
        out = {}
        for folder, dirs, files in os.walk(self.lab.path("etc")):
            for name in dirs + files:
                path = os.path.join(folder, name)
                st = os.lstat(path)
                body = os.readlink(path) if os.path.islink(path) else None
                if stat.S_ISREG(st.st_mode):
                    with open(path, "rb") as f:
                        body = f.read()
                out[os.path.relpath(path, self.lab.path("etc"))] = (stat.S_IMODE(st.st_mode), body)
        return out

    def held(self):
        lines = [json.loads(l) for l in self.lab.tool("--json", "held", "list").splitlines()]
        return [l for l in lines if l.get("id")]

    def test_wipe_and_restore(self):
        mx = self.lab.mx()
        self.configure(mx)
        self.lab.start_postern()
        self.assertEqual(self.lab.send("b@partner.lab", subject="a secret", body="the body that was kept\r\n")[0], 250)
        lab.wait_for(self.held, because="the held message")
        # Beside the running daemon.
        r = self.run_tool("backup", self.file, "--passphrase-file", self.pass_file)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        with open(self.file, "rb") as f:
            self.assertNotIn(b"PRIVATE KEY", f.read())
        self.assertEqual(sorted(n for n in os.listdir(self.lab.dir) if n.startswith("copy")), ["copy.backup"])
        r = self.run_tool("restore", self.file, "--passphrase-file", self.pass_file)
        self.assertEqual(r.returncode, 1)
        self.assertIn("posternd runs", r.stderr)
        self.lab.stop_postern()
        before = self.tree()
        # Nothing over what is there, without --force.
        r = self.run_tool("restore", self.file, "--passphrase-file", self.pass_file)
        self.assertEqual(r.returncode, 1)
        self.assertIn("files are there already", r.stderr)
        self.assertEqual(self.tree(), before)
        for name in ("etc", "store", "spool", "run"):
            shutil.rmtree(self.lab.path(name))
        r = self.run_tool("restore", self.file, "--passphrase-file", self.pass_file, "--check")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertFalse(os.path.exists(self.lab.path("etc")))
        r = self.run_tool("restore", self.file, "--passphrase-file", self.pass_file)
        self.assertEqual(r.returncode, 0, r.stderr)
        # As it was; what the link outside led to is now a file.
        before["certbot"] = (0o644, b"from elsewhere\n")
        self.assertEqual(self.tree(), before)
        self.lab.start_postern(log="posternd-2.log")
        held = lab.wait_for(self.held, because="what was held before")
        self.assertEqual(len(held), 1)
        self.lab.tool("held", "release", held[0]["id"], "--yes")
        message = mx.wait(1)[0]
        self.assertIn(b"the body that was kept", message[2])
        self.assertIn(b"DKIM-Signature", message[2])       # with the key from the backup
        self.assertEqual(self.lab.tool("audit", "verify", check=False).returncode, 0)

    def test_force(self):
        self.configure(self.lab.mx())
        r = self.run_tool("backup", self.file, "--passphrase-file", self.pass_file)        # never started: no store yet
        self.assertEqual(r.returncode, 0, r.stderr)
        r = self.run_tool("backup", self.file, "--passphrase-file", self.pass_file)
        self.assertEqual(r.returncode, 1)
        self.assertIn("writes over nothing", r.stderr)
        self.lab.write("etc/policy.d/10-test.yaml", "version: 1\n# changed\n")
        r = self.run_tool("restore", self.file, "--passphrase-file", self.pass_file, "--force")
        self.assertEqual(r.returncode, 0, r.stderr)
        with open(self.lab.path("etc/policy.d/10-test.yaml")) as f:
            self.assertEqual(f.read(), HOLD)
        with open(self.lab.path("etc/policy.d/10-test.yaml.before-restore")) as f:
            self.assertIn("# changed", f.read())

    def test_damage(self):
        """A byte changed anywhere, an end that is missing, something behind it, another passphrase: nothing is written."""
        self.configure(self.lab.mx())
        self.assertEqual(self.run_tool("backup", self.file, "--passphrase-file", self.pass_file).returncode, 0)
        wrong = self.lab.write("wrong", "another passphrase\n")
        r = self.run_tool("restore", self.file, "--passphrase-file", wrong)
        self.assertEqual(r.returncode, 1)
        self.assertIn("passphrase or key is not the one", r.stderr)
        key = self.lab.path("backup.key")       # the rest with a key: scrypt takes its time
        self.run_tool("backup", "key", key)
        self.assertEqual(self.run_tool("backup", self.lab.path("by-key"), "--recipient", key + ".pub").returncode, 0)
        with open(self.lab.path("by-key"), "rb") as f:
            good = f.read()
        shutil.rmtree(self.lab.path("etc"))
        cases = [good[:n] + bytes([good[n] ^ 1]) + good[n + 1:] for n in (0, 20, 30, 60, 130, len(good) // 2, len(good) - 1)]
        cases += [good[:-1], good[:len(good) // 2], good[:10], b"", good + b"x", b"not a backup\n" * 100]
        for bad in cases:
            path = self.lab.write("bad.backup", bad)
            r = self.run_tool("restore", path, "--key", key)
            self.assertEqual(r.returncode, 1)
            self.assertRegex(r.stderr, "backup|newer|archive|passphrase")
            self.assertFalse(os.path.exists(self.lab.path("etc")))

    def test_key(self):
        """Who has the public key makes backups; only the private one reads them."""
        self.configure(self.lab.mx())
        key = self.lab.path("backup.key")
        self.assertEqual(self.run_tool("backup", "key", key).returncode, 0)
        self.assertEqual(stat.S_IMODE(os.stat(key).st_mode), 0o600)
        r = self.run_tool("backup", self.file, "--recipient", key + ".pub")
        self.assertEqual(r.returncode, 0, r.stderr)
        for args, said in ((["--passphrase-file", self.pass_file], "for a key"), (["--key", key + ".pub"], "no private X25519 key")):
            r = self.run_tool("restore", self.file, "--check", *args)
            self.assertEqual(r.returncode, 1)
            self.assertIn(said, r.stderr)
        other = self.lab.path("other.key")
        self.run_tool("backup", "key", other)
        self.assertEqual(self.run_tool("restore", self.file, "--check", "--key", other).returncode, 1)
        r = self.run_tool("restore", self.file, "--check", "--key", key, "--json")
        self.assertEqual(r.returncode, 0, r.stderr)
        got = json.loads(r.stdout)
        self.assertEqual((got["done"], got["store"]), ("checked", False))
        self.assertIn("format 1", got["manifest"])

    def test_usage(self):
        short = self.lab.write("short", "secret\n")
        self.configure(self.lab.mx())
        r = self.run_tool("backup", self.file, "--passphrase-file", short)
        self.assertEqual(r.returncode, 1)
        self.assertIn("12 characters", r.stderr)
        for args in (("backup",), ("restore",), ("restore", "a", "b"), ("backup", "--bogus")):
            self.assertEqual(self.run_tool(*args).returncode, 2, args)


if __name__ == "__main__":
    unittest.main()
