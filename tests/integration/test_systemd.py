"""The package under a real systemd: a fresh Debian started as a machine of its own (tests/booted.py).

One machine for all, in this order. Where none can be started, what has not been run is said by name, and what
the daemon owes systemd is tried with the sockets of test_service.py instead.
"""
import base64
import json
import os
import re
import shutil
import signal
import smtplib
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import booted
import fresh
import lab

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import test_fresh_root                                                          # noqa: E402
import test_package                                                             # noqa: E402
import test_service                                                             # noqa: E402

SERVICE = "postern.service"


class UnderSystemd(unittest.TestCase):
    @classmethod
    def make(cls):
        """Unable: this machine cannot."""
        cls.dir = tempfile.mkdtemp(prefix="postern-systemd-debs-")
        unittest.addModuleCleanup(shutil.rmtree, cls.dir)
        cls.debs = test_package.build(cls.dir)
        cls.root = fresh.Fresh(booted.tar_for(cls.debs["postern"]))
        unittest.addModuleCleanup(cls.root.close)
        os.unlink(cls.root.path("usr/sbin/policy-rc.d"))        # here services are started by their packages
        cls.lab = lab.Lab("systemd")
        unittest.addModuleCleanup(cls.lab.close)
        cls.machine = booted.Machine(cls.root.root, cls.lab.path("boot.log"))
        unittest.addModuleCleanup(cls.machine.close)
        cls.mx = cls.lab.mx()
        cls.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        cls.port = cls.lab.ports["smtp"] = lab.free_port()
        os.symlink("/proc/%d/root/run/postern" % cls.machine.init, cls.lab.path("run"))
        cls.sent = 0

    def show(self, *names, unit=SERVICE):
        return self.machine.show(unit, *names)

    def running(self):
        got = self.show("ActiveState", "SubState")
        return (got["ActiveState"], got["SubState"]) == ("active", "running")

    def main_pid(self):
        return int(self.show("MainPID")["MainPID"])

    def journal(self, *args):
        text = self.machine.run("journalctl", "--no-pager", "-u", SERVICE, *args).stdout
        return text

    def drop_in(self, text, unit=SERVICE):
        folder = "etc/systemd/system/%s.d" % unit
        os.makedirs(self.root.path(folder), exist_ok=True)
        self.root.write(folder + "/test.conf", text)
        self.machine.run("systemctl", "daemon-reload")

    def mail(self, subject):
        cls = type(self)
        self.assertEqual(self.lab.send("b@partner.lab", subject=subject)[0], 250)
        cls.sent += 1
        self.assertIn(b"Subject: " + subject.encode(), self.mx.wait(cls.sent)[cls.sent - 1][2])

    def why(self):
        return (self.machine.run("systemctl", "status", "--no-pager", "-l", "-n", "0", SERVICE, check=False).stdout
                + self.machine.run("journalctl", "--no-pager", "-n", "40", check=False).stdout)

    def ok(self, *argv):
        r = self.machine.run(*argv, check=False)
        self.assertEqual(r.returncode, 0, r.stdout + self.why())
        return r.stdout

    def test_1_installed(self):
        for name in ("postern", "postern-packs"):
            shutil.copy(self.debs[name], self.root.path("root"))
        self.ok("/bin/sh", "-c", "dpkg -i /root/postern_*.deb /root/postern-packs_*.deb")
        self.assertEqual(self.machine.run("systemctl", "is-enabled", SERVICE).stdout.strip(), "enabled")
        self.assertEqual(self.show("ActiveState", "ConditionResult"), {"ActiveState": "inactive", "ConditionResult": "no"})
        self.assertEqual(self.show("ActiveState", unit="postern.socket")["ActiveState"], "inactive")
        said = self.machine.run("systemd-analyze", "security", "--no-pager", SERVICE).stdout
        self.assertLess(float(re.search(r"Overall exposure level for postern\.service: ([\d.]+)", said).group(1)), 2.0, said)

    def test_2_started(self):
        self.machine.run("postern", "init", "--yes", "--hostname", "gw.example.lab", "--domain", "example.lab",
                         "--listen", "127.0.0.1:%d" % self.port)
        conf = self.root.read("etc/postern/postern.yaml")
        # Its Internet has a name server and a port of its own; the certificate comes from LoadCredential.
        conf = conf.replace("\ndelivery: {delay_notice", "\ndelivery: {port: %d, retry: [1s], delay_notice" % self.mx.port)
        for what, name in (("certificate", "crt"), ("key", "key")):
            conf, n = re.subn(r"(?m)^(tls: .*\b%s: )[^,}]+" % what, r'\1"credential:postern.tls.%s"' % name, conf)
            self.assertEqual(n, 1, conf)
        self.root.write("etc/postern/postern.yaml", conf + "dns: {servers: [\"127.0.0.1:%d\"], dnssec: false}\n"
                        % self.lab.ports["dns"], 0o600)
        store = self.root.path("etc/credstore")
        os.makedirs(store, 0o700, exist_ok=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        store + "/postern.tls.key", "-out", store + "/postern.tls.crt", "-days", "2", "-subj",
                        "/CN=credential.example.lab"], check=True, capture_output=True)
        for name in os.listdir(store):
            os.chmod(os.path.join(store, name), 0o600)
        self.ok("systemctl", "start", SERVICE)          # Type=notify: it comes back when it is ready
        self.assertTrue(self.running(), self.why())
        self.mail("under systemd")
        self.assertEqual(self.shown(), "credential.example.lab")
        accounts = {l.split(":")[2]: l.split(":")[0] for l in self.root.read("etc/passwd").splitlines()}
        processes = [("master", self.main_pid())] + [(p["role"], p["pid"]) for p in self.lab.status()["processes"]]
        for role, inside in processes:
            with open("/proc/%d/status" % self.machine.pid_here(inside)) as f:
                status = dict(l.split(":\t", 1) for l in f.read().splitlines())
            self.assertEqual(accounts[status["Uid"].split()[0]], "_postern-" + role)
            self.assertEqual(int(status["CapEff"], 16), 0x4c0 if role == "master" else 0, role)
            self.assertEqual((status["Seccomp"].strip(), status["NoNewPrivs"].strip()), ("2", "1"), role)
        self.assertEqual(self.machine.run("postern", "status", check=False).returncode, 0)

    def shown(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", self.port, timeout=lab.DEADLINE) as s:
            s.starttls(context=context)
            der = base64.encodebytes(s.sock.getpeercert(binary_form=True)).decode()
        r = subprocess.run(["openssl", "x509", "-noout", "-subject"], capture_output=True, text=True, check=True,
                           input="-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % der)
        return r.stdout.strip().rsplit(" ", 1)[1]

    def test_3_journal(self):
        """One line of the journal for each event, with its level, from the process that says it."""
        trace = json.loads(self.machine.run("postern", "--json", "trace", "subject:systemd").stdout.splitlines()[0])
        lines = [json.loads(l) for l in self.journal("-o", "json").splitlines()]
        way = {}
        for word in ("client=", "from=<", "to=<", "no DKIM key of example.lab is published"):
            found = [l for l in lines if "%s: %s" % (trace["id"], word) in str(l["MESSAGE"])]
            self.assertEqual(len(found), 1, word)
            way[word] = found[0]["PRIORITY"], found[0]["_SYSTEMD_UNIT"]
        self.assertEqual(way.pop("no DKIM key of example.lab is published"), ("4", SERVICE))
        self.assertEqual(set(way.values()), {("6", SERVICE)})
        # A fresh installation warns of what is so (no key in the DNS yet; this test's short certificate), of no policy.
        warned = [str(l["MESSAGE"]) for l in lines if int(l["PRIORITY"]) < 5 or "warning:" in str(l["MESSAGE"])]
        self.assertEqual([w for w in warned if "expires within" not in w and "no DKIM key of" not in w], [])

    def test_4_reload(self):
        pid, conf = self.main_pid(), self.root.read("etc/postern/postern.yaml")
        self.ok("systemctl", "reload", SERVICE)
        self.assertEqual(max(p["generation"] for p in self.lab.status()["processes"]), 2)
        self.root.write("etc/postern/postern.yaml", conf + "hostnmae: x\n", 0o600)
        self.assertNotEqual(self.machine.run("systemctl", "reload", SERVICE, check=False).returncode, 0)
        self.assertIn("did you mean `hostname`", self.journal())
        self.root.write("etc/postern/postern.yaml", conf, 0o600)
        self.assertEqual(self.main_pid(), pid)
        self.mail("after reloads")

    def test_5_sockets(self):
        """systemd holds the port: who comes while it is restarted or away is served, not refused."""
        self.drop_in("[Socket]\nListenStream=\nListenStream=127.0.0.1:%d\n" % self.port, "postern.socket")
        self.ok("systemctl", "stop", SERVICE)
        self.ok("systemctl", "start", "postern.socket")
        self.assertFalse(self.running())
        self.mail("wakes it up")
        self.assertIn("127.0.0.1 port %d comes from the starter" % self.port, self.journal())
        seen, stop = [], threading.Event()

        def client():
            while not stop.is_set():
                with smtplib.SMTP(timeout=lab.DEADLINE) as s:
                    try:
                        seen.append(s.connect("127.0.0.1", self.port)[0])
                    except OSError as e:
                        seen.append(repr(e))
                time.sleep(0.01)
        pid, t = self.main_pid(), threading.Thread(target=client)
        t.start()
        try:
            lab.wait_for(lambda: len(seen) > 3, because="clients")
            self.ok("systemctl", "restart", SERVICE)
            n = len(seen)
            lab.wait_for(lambda: len(seen) > n + 3, because="clients after the restart")
        finally:
            stop.set()
            t.join()
        self.assertNotEqual(self.main_pid(), pid)
        refused = [s for s in seen if s not in (220, 421)]
        self.assertFalse([s for s in refused if "Refused" in s], seen)
        self.mail("after the restart")

    def test_6_watchdog(self):
        """The master hangs: systemd starts everything anew. (That it says nothing while a role hangs: test_service.py.)"""
        self.drop_in("[Service]\nWatchdogSec=5\n")
        self.ok("systemctl", "restart", SERVICE)
        pid = self.main_pid()
        os.kill(self.machine.pid_here(pid), signal.SIGSTOP)
        lab.wait_for(lambda: self.main_pid() not in (0, pid) and self.running(), because=lambda: "a restart\n" + self.why())
        self.assertGreater(int(self.show("NRestarts")["NRestarts"]), 0)
        self.mail("after it hung")
        self.assertRegex(self.journal(), r"Watchdog timeout \(limit 5s\)!")
        self.drop_in("[Service]\n")
        self.ok("systemctl", "restart", SERVICE)

    def test_7_upgraded(self):
        """dpkg reads the configuration with the new program first, then restarts the service; nobody is refused."""
        pid, conf = self.main_pid(), self.root.read("etc/postern/postern.yaml")
        shutil.copy(test_fresh_root.newer(self.debs["postern"], self.dir, "99.0"), self.root.path("root/new.deb"))
        self.root.write("etc/postern/postern.yaml", conf + "hostnmae: x\n", 0o600)
        r = self.machine.run("dpkg", "-i", "/root/new.deb", check=False)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("goes on running", r.stdout)
        self.assertEqual(self.main_pid(), pid)
        self.mail("while it is not configured")
        self.root.write("etc/postern/postern.yaml", conf, 0o600)
        self.ok("dpkg", "--configure", "postern")
        lab.wait_for(self.running, because=lambda: "the new one\n" + self.why())
        self.assertNotEqual(self.main_pid(), pid)
        self.assertFalse(self.lab.status()["replaced"])
        self.mail("by the new one")

    def test_8_stopped(self):
        limit = int(self.show("TimeoutStopUSec")["TimeoutStopUSec"].rstrip("s"))
        self.ok("systemctl", "stop", "postern.socket", SERVICE)
        got = self.show("Result", "ExecMainStatus", "ActiveState", "ExecMainExitTimestampMonotonic", "InactiveEnterTimestampMonotonic")
        self.assertEqual((got["Result"], got["ExecMainStatus"], got["ActiveState"]), ("success", "0", "inactive"))
        self.assertEqual(limit, 20)
        self.assertNotIn("State 'stop-sigterm' timed out", self.journal())
        self.ok("systemctl", "start", SERVICE)
        self.mail("started again")
        # What lies in /run is kept over a restart and goes with the service.
        self.ok("systemctl", "stop", SERVICE)
        self.assertFalse(self.machine.run("ls", "/run/postern", check=False).returncode == 0)


def load_tests(loader, tests, pattern):
    try:
        UnderSystemd.make()
        return loader.loadTestsFromTestCase(UnderSystemd)
    except booted.Unable as e:
        for name in loader.getTestCaseNames(UnderSystemd):
            print("NOT RUN: %s under systemd: %s" % (name, e), flush=True)
        return loader.loadTestsFromTestCase(test_service.Watchdog)


if __name__ == "__main__":
    unittest.main()
