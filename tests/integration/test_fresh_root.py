"""From package to mail in a fresh Debian: installed, started, removed, put back, upgraded, purged.
Under systemd: test_systemd.py; in a container: test_container.py.

One root for all, in this order; each step leaves it as the next one needs it.
"""
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

import fresh
import lab
import test_package


def account(pid, root):
    """The name, in that root's passwd, of the account a process has."""
    with open("/proc/%d/status" % pid) as f:
        uid = re.search(r"^Uid:\s+(\d+)", f.read(), re.M).group(1)
    with open(os.path.join(root, "etc/passwd")) as f:
        return {l.split(":")[2]: l.split(":")[0] for l in f}[uid]


def newer(deb, folder, version):
    """The same package as another version, with a program that is not the same file."""
    tree = os.path.join(folder, "tree")
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = os.path.join(tree, "DEBIAN/control")
    with open(control) as f:
        text = re.sub(r"^Version: .*$", "Version: " + version, f.read(), flags=re.M)
    with open(control, "w") as f:
        f.write(text)
    with open(os.path.join(tree, "usr/sbin/posternd"), "ab") as f:
        f.write(b"\n# another build\n")
    out = os.path.join(folder, "postern_%s.deb" % version)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, out], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)
    return out


class FreshRoot(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="postern-fresh-debs-")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.debs = test_package.build(cls.dir)
        cls.fresh = fresh.Fresh()
        cls.addClassCleanup(cls.fresh.close)
        cls.lab = lab.Lab("fresh")
        cls.addClassCleanup(cls.lab.close)
        cls.refuse = []
        cls.mx = lab.ScriptedMX(reply=lambda line, s: "451 4.2.0 later" if cls.refuse and line.startswith("RCPT") else None)
        cls.lab.closers.append(cls.mx.close)
        cls.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"], "example.lab": ["gw A 127.0.0.1"]})
        cls.lab.ports["smtp"] = lab.free_port()
        os.symlink(cls.fresh.path("run/postern"), cls.lab.path("run"))
        cls.fresh.run("apt-get", "update")

    def start(self):
        self.lab.daemon = lab.Proc(self.fresh.argv("/usr/sbin/posternd", "-f"), self.lab.path("posternd.log"), env=fresh.ENV)
        self.lab.wait_ready()

    def test_1_installed_and_closed(self):
        r = self.fresh.install(*self.debs.values(), apt=True)
        self.assertIn("listens on nothing yet", r.stdout)
        self.assertEqual(os.listdir(self.fresh.path("etc/postern")), ["keys"])
        self.assertEqual(os.stat(self.fresh.path("etc/postern/keys")).st_mode & 0o777, 0o700)
        have = {l.split(":")[0] for l in self.fresh.read("etc/passwd").splitlines()}
        with open(os.path.join(lab.ROOT, "relay/ipc/role.h")) as f:
            for name in re.findall(r'"(_postern-\w+)"', f.read()):
                self.assertIn(name, have)
        self.assertIn("postern-admin:", self.fresh.read("etc/group"))
        wants = glob.glob(self.fresh.path("etc/systemd/system/*.wants/postern.*"))
        self.assertEqual([os.path.basename(w) for w in wants], ["postern.service"], "the socket unit is nobody's before it is asked for")
        # The unit waits for the file that `postern init` writes; started all the same, it says what is missing.
        unit = self.fresh.read("lib/systemd/system/postern.service")
        self.assertIn("\nConditionPathExists=/etc/postern/postern.yaml\n", unit)
        r = self.fresh.run("posternd", "-f", check=False)
        self.assertEqual((r.returncode, r.stdout), (1, "posternd: /etc/postern/postern.yaml: No such file or directory\n"))
        # Beside Postfix: nothing of one is taken or pushed out.
        r = self.fresh.run("apt-get", "install", "-s", "postfix")
        self.assertNotRegex(r.stdout, r"(?m)^Remv")
        self.assertRegex(r.stdout, r"(?m)^Inst postfix ")
        self.assertRegex(self.fresh.run("postern", "help").stdout, r"^usage: postern ")

    def test_2_first_message(self):
        r = self.fresh.run("postern", "init", "--yes", "--hostname", "gw.example.lab", "--domain", "example.lab",
                           "--listen", "127.0.0.1:%d" % self.lab.ports["smtp"])
        self.assertIn("/etc/postern/postern.yaml", r.stdout)
        # The one thing that is of this test: its Internet has a name server and a port of its own.
        conf = self.fresh.read("etc/postern/postern.yaml")
        self.assertEqual(conf.count("\ndelivery: {delay_notice"), 1)
        conf = conf.replace("\ndelivery: {delay_notice", "\ndelivery: {port: %d, retry: [1s], delay_notice" % self.mx.port)
        self.fresh.write("etc/postern/postern.yaml", conf + "dns: {servers: [\"127.0.0.1:%d\"], dnssec: false}\n" % self.lab.ports["dns"])
        self.assertEqual(self.fresh.run("postern", "check").returncode, 0)
        self.start()
        self.assertEqual(self.lab.send("b@partner.lab", subject="the first")[0], 250)
        sender, rcpts, data = self.mx.wait(1)[0]
        self.assertEqual((sender, rcpts), ("a@example.lab", ["b@partner.lab"]))
        self.assertIn(b"Subject: the first", data)
        for p in self.lab.status()["processes"]:
            self.assertEqual(account(p["pid"], self.fresh.root), "_postern-" + p["role"])
        self.assertEqual(account(self.lab.daemon.pid, self.fresh.root), "root")
        self.assertEqual(self.fresh.run("postern", "status", check=False).returncode, 0)

    def test_3_removed_and_put_back(self):
        self.refuse.append(True)
        self.assertEqual(self.lab.send("b@partner.lab", subject="waits")[0], 250)
        self.assertEqual(self.lab.stop_postern(), 0)
        key = "etc/postern/keys/store.key"
        was = self.fresh.read(key)
        self.fresh.run("dpkg", "--remove", "postern")
        self.assertFalse(os.path.exists(self.fresh.path("usr/sbin/posternd")))
        self.assertEqual(self.fresh.read(key), was)
        self.assertTrue(os.path.exists(self.fresh.path("etc/postern/postern.yaml")))
        self.assertTrue(os.listdir(self.fresh.path("var/spool/postern")))
        self.fresh.install(self.debs["postern"])
        self.refuse.clear()
        self.start()
        self.assertIn(b"Subject: waits", self.mx.wait(2)[1][2])
        self.assertEqual(self.fresh.read(key), was)
        self.assertIn("the first", self.fresh.run("postern", "trace", "subject:first").stdout, "the journal of before is there")

    def test_4_an_upgrade_reads_the_configuration_first(self):
        master = self.lab.daemon.pid
        good = self.fresh.read("etc/postern/postern.yaml")
        self.fresh.write("etc/postern/postern.yaml", good + "\"hostnmae\": \"gw2.example.lab\"\n")
        deb = newer(self.debs["postern"], self.dir, "99.0")
        r = self.fresh.install(deb, check=False)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("postern: version 99.0 does not take the configuration:", r.stdout)
        self.assertRegex(r.stdout, r"did you mean `hostname`")
        self.assertRegex(r.stdout, r"goes on running\. Mend /etc/postern/postern\.yaml, then: dpkg --configure postern")
        # What runs goes on running, and so does what it starts anew: its own program, not the one on the disk.
        self.assertTrue(lab.alive(master))
        self.assertTrue(self.lab.status()["replaced"])
        old = self.lab.pids("signer")[0]
        os.kill(old, signal.SIGKILL)
        pid = lab.wait_for(lambda: [p for p in self.lab.pids("signer") if p != old], because="another signer")[0]
        self.assertTrue(os.readlink("/proc/%d/exe" % pid).endswith(" (deleted)"))
        with open("/proc/%d/comm" % pid) as f:
            self.assertEqual(f.read(), "posternd\n")
        self.assertEqual(self.lab.send("b@partner.lab", subject="meanwhile")[0], 250)
        self.mx.wait(3)
        # Mended, the upgrade is finished; what runs now is the new one, with what the old one left.
        self.fresh.write("etc/postern/postern.yaml", good)
        self.fresh.run("dpkg", "--configure", "postern")
        self.assertEqual(self.fresh.run("dpkg-query", "-W", "-f=${db:Status-Abbrev}${Version}", "postern").stdout, "ii 99.0")
        self.assertEqual(self.lab.stop_postern(), 0)
        self.start()
        self.assertFalse(self.lab.status()["replaced"])
        self.assertEqual(self.lab.send("b@partner.lab", subject="after")[0], 250)
        self.mx.wait(4)
        self.assertEqual(self.lab.stop_postern(), 0)

    def test_5_purged(self):
        for _ in range(2):      # the second time there is nothing left to do
            r = self.fresh.run("dpkg", "--purge", "postern")
        self.assertFalse(os.path.exists(self.fresh.path("etc/postern/postern.yaml")))
        self.fresh.install(self.debs["postern"])
        r = self.fresh.run("dpkg", "--purge", "postern")
        for kept in ("/var/spool/postern", "/var/lib/postern", "/etc/postern"):
            self.assertIn("postern: kept: %s (" % kept, r.stdout)
        self.assertTrue(os.path.exists(self.fresh.path("etc/postern/keys/store.key")))
        self.assertTrue(os.path.exists(self.fresh.path("var/lib/postern/store.db")))
        self.assertFalse(glob.glob(self.fresh.path("etc/systemd/system/*.wants/postern.*")))


if __name__ == "__main__":
    unittest.main()
