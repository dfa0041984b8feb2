"""The unit files, and what the daemon owes systemd: the watchdog, credentials, its own program after an upgrade.

Under the rights the unit gives it runs in test_service_rights.py, under systemd itself in test_systemd.py.
"""
import os
import re
import shutil
import signal
import socket
import subprocess
import unittest

import lab

UNIT = os.path.join(lab.ROOT, "systemd/postern.service")
WATCHDOG_US = 2000000


class Units(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("units")
        self.addCleanup(self.lab.close)

    def test_exposure(self):
        """systemd-analyze's figure; docs/INSTALL.md says what is left of it and why."""
        r = subprocess.run(["systemd-analyze", "--no-pager", "security", "--offline=true", UNIT], capture_output=True, text=True)
        level = float(re.search(r"Overall exposure level for postern\.service: ([\d.]+)", r.stdout).group(1))
        self.assertLess(level, EXPOSURE, r.stdout)

    def test_verified(self):
        """Every directive is known, every program is there: what `systemd-analyze verify` says of a root with them."""
        root = self.lab.path("root")
        for folder in ("usr/sbin", "usr/bin", "etc", "lib/systemd/system"):
            os.makedirs(os.path.join(root, folder))
        for program in ("usr/sbin/posternd", "usr/bin/postern"):
            shutil.copy("/bin/true", os.path.join(root, program))
        for name in os.listdir("/lib/systemd/system"):
            if name.endswith((".target", ".slice")) or name in ("system.conf",):
                shutil.copy("/lib/systemd/system/" + name, os.path.join(root, "lib/systemd/system"))
        units = []
        for name in ("postern.service", "postern.socket", "postern-milter.socket"):
            units.append(os.path.join(root, "lib/systemd/system", name))
            shutil.copy(os.path.join(lab.ROOT, "systemd", name), units[-1])
        r = subprocess.run(["systemd-analyze", "--no-pager", "verify", "--man=no", "--root=" + root, "postern.service", "postern.socket",
                            "postern-milter.socket"],
                           capture_output=True, text=True)
        self.assertEqual((r.returncode, r.stdout + r.stderr), (0, ""))
        with open(units[0], "a") as f:
            f.write("[Service]\nProtectSystme=yes\n")
        r = subprocess.run(["systemd-analyze", "--no-pager", "verify", "--man=no", "--root=" + root, "postern.service"],
                           capture_output=True, text=True)
        self.assertIn("ProtectSystme", r.stderr, "a slip would have been said")

    def test_accounts_and_folders(self):
        """systemd-sysusers and -tmpfiles take their files; every role has its account."""
        root = self.lab.path("root")
        os.makedirs(os.path.join(root, "etc"))
        r = subprocess.run(["systemd-sysusers", "--root=" + root, os.path.join(lab.ROOT, "systemd/postern.sysusers")],
                           capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertNotIn("not a valid", r.stderr)
        with open(os.path.join(root, "etc/passwd")) as f:
            have = {l.split(":")[0] for l in f}
        with open(os.path.join(lab.ROOT, "relay/ipc/role.h")) as f:
            wanted = set(re.findall(r'"(_postern-\w+)"', f.read()))
        self.assertEqual(wanted - have, set())
        r = subprocess.run(["systemd-tmpfiles", "--create", "--root=" + root, os.path.join(lab.ROOT, "systemd/postern.tmpfiles")],
                           capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(os.stat(os.path.join(root, "etc/postern/keys")).st_mode & 0o7777, 0o700)


def open_text(path):
    with open(path, errors="replace") as f:
        return f.read()


class Watchdog(unittest.TestCase):
    """WATCHDOG=1 comes as long as every role answers, and not while one does not."""

    def setUp(self):
        self.lab = lab.Lab("watchdog")
        self.addCleanup(self.lab.close)
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(self.lab.path("notify"))
        self.addCleanup(self.notified.close)
        self.lab.config()
        self.stopped = None
        self.addCleanup(self.go_on)

    def go_on(self):
        if self.stopped:
            os.kill(self.stopped, signal.SIGCONT)
        self.stopped = None

    def hear(self, word):
        self.notified.settimeout(lab.DEADLINE)
        while self.notified.recv(4096).decode() != word:
            pass

    def drain(self):
        """All that has been said so far."""
        self.notified.setblocking(False)
        said = []
        try:
            while True:
                said.append(self.notified.recv(4096).decode())
        except BlockingIOError:
            return said

    def hanging(self):
        return {p["role"] for p in self.lab.status()["processes"] if p["silent_ms"] > 0}

    def test_stops_while_a_role_hangs(self):
        self.lab.start_postern(env={"NOTIFY_SOCKET": self.lab.path("notify"), "WATCHDOG_USEC": str(WATCHDOG_US)})
        self.hear("READY=1")
        for _ in range(3):
            self.hear("WATCHDOG=1")
        for role in ("store", "queue", "scanner"):
            with self.subTest(role=role):
                pid = self.lab.pids(role, worker=False)[0]
                os.kill(pid, signal.SIGSTOP)
                self.stopped = pid
                lab.wait_for(lambda: role in self.hanging(), because="the master to see that the %s hangs" % role)
                self.drain()
                # It hangs for as long as we hold it: nothing that could take time is waited for here.
                lab.wait_for(lambda: [p for p in self.lab.status()["processes"] if p["silent_ms"] > 1.5 * WATCHDOG_US / 1000])
                self.assertEqual(self.drain(), [])
                self.assertRegex(self.lab.log(), r"%s\[%d\] has not answered for \d+ ms: it hangs" % (role, pid))
                self.go_on()
                self.hear("WATCHDOG=1")
                self.assertIn("%s[%d] answers again" % (role, pid), self.lab.log())

    def test_not_for_another_process(self):
        """WATCHDOG_PID of somebody else: the variables were inherited, and are not for us."""
        self.lab.start_postern(env={"NOTIFY_SOCKET": self.lab.path("notify"), "WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"})
        self.hear("READY=1")
        started = self.lab.status()["uptime"]
        lab.wait_for(lambda: self.lab.status()["uptime"] > started + 1)     # ten times that time
        self.assertEqual(self.drain(), [])


class Credentials(unittest.TestCase):
    """credential:NAME, in every place of a secret: the certificate of TLS and its key, the store's key."""

    def test_tls_and_store(self):
        here = lab.Lab("credentials")
        self.addCleanup(here.close)
        os.makedirs(here.path("credentials"), 0o700)
        key, pem = here.path("credentials/postern.tls.key"), here.path("credentials/postern.tls.crt")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                        "-out", pem, "-days", "2", "-subj", "/CN=gw.example.lab"], check=True, capture_output=True)
        for f in (key, pem):
            os.chmod(f, 0o400)
        port = here.ports.setdefault("smtp", lab.free_port())
        here.config(tls={"certificate": "credential:postern.tls.crt", "key": "credential:postern.tls.key"},
                    store_key="credential:postern.store.key",
                    listeners=[{"name": "a", "address": "127.0.0.1:%d" % port, "direction": "outbound", "tls": "offered",
                                "allow": ["network:internal"]}])
        env = {"CREDENTIALS_DIRECTORY": here.path("credentials")}
        here.start_postern(env=env)
        with here.smtp() as s:
            s.starttls()
            self.assertEqual(s.ehlo()[0], 250)
        self.assertEqual(here.stop_postern(), 0)
        self.assertTrue(os.path.getsize(here.path("credentials/postern.store.key")))
        self.assertFalse(os.path.exists(here.path("keys/store.key")))
        os.unlink(key)
        here.start_postern(env=env, wait=False)
        self.assertNotEqual(here.daemon.p.wait(lab.DEADLINE), 0)
        self.assertIn("credentials/postern.tls.key", open_text(here.daemon.log))
        here.daemon = None


class Replaced(unittest.TestCase):
    """Another program is put in its place while it runs: what runs starts itself, not that."""

    def test_roles_and_reload(self):
        here = lab.Lab("replaced")
        self.addCleanup(here.close)
        os.makedirs(here.path("sbin"))
        for name in ("posternd", "postern-ocr"):
            if os.path.exists(os.path.join(lab.BUILD, name)):
                shutil.copy(os.path.join(lab.BUILD, name), here.path("sbin", name))
        here.config()
        here.daemon = lab.Proc([here.path("sbin/posternd"), "-f", "-c", here.path("postern.yaml")], here.path("posternd.log"))
        here.wait_ready()
        self.assertFalse(here.status()["replaced"])
        with open(here.path("sbin/new"), "w") as f:
            f.write("#!/bin/sh\nexit 1\n")
        os.chmod(here.path("sbin/new"), 0o755)
        os.rename(here.path("sbin/new"), here.path("sbin/posternd"))
        self.assertTrue(here.status()["replaced"])
        self.assertIn("another program is installed than the one that runs", here.tool("status"))
        old = here.pids("signer")[0]
        os.kill(old, signal.SIGKILL)
        lab.wait_for(lambda: [p for p in here.pids("signer") if p != old], because="another signer")
        generation = max(p["generation"] for p in here.status()["processes"])
        here.tool("reload")
        self.assertGreater(max(p["generation"] for p in here.status()["processes"]), generation)
        self.assertEqual(here.stop_postern(), 0)


EXPOSURE = 2.0

if __name__ == "__main__":
    unittest.main()
