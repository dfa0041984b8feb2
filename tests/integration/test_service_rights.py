"""The daemon with the rights that postern.service gives it, and no more: a master that is not root, roles with accounts
of their own, keys and certificates that only root may read. It is not systemd that applies them here
(tests/confined.py); where a machine can run one, test_systemd.py does.
"""
import base64
import os
import re
import shutil
import signal
import smtplib
import ssl
import subprocess
import sys
import unittest

import lab

UNIT = os.path.join(lab.ROOT, "systemd/postern.service")
ENTRY = re.compile(r"^(_postern-[a-z]+|postern-admin):")
# linux/capability.h: SETGID, SETUID, NET_BIND_SERVICE
LENT = 1 << 6 | 1 << 7 | 1 << 10


def status_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(l.split(":\t", 1) for l in f.read().splitlines())


def certificate(folder, name):
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    os.path.join(folder, "tls.key"), "-out", os.path.join(folder, "tls.crt"), "-days", "2", "-subj",
                    "/CN=" + name], check=True, capture_output=True)
    os.chmod(os.path.join(folder, "tls.key"), 0o600)
    os.chmod(folder, 0o700)     # as certbot leaves them


class Rights(unittest.TestCase):
    def setUp(self):
        self.assertEqual(os.geteuid(), 0, "integration tests run as root")
        self.lab = lab.Lab("rights")
        self.addCleanup(self.lab.close)
        self.accounts()
        key = self.lab.dkim_key("example.lab", "s1")
        # The configuration in a folder of its own, as in /etc/postern; the lab looks beside it.
        os.makedirs(self.lab.path("etc/policy.d"))
        shutil.move(self.lab.path("keys"), self.lab.path("etc"))
        for name in ("keys", "policy.d", "postern.yaml"):
            os.symlink("etc/" + name, self.lab.path(name))
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"], "example.lab": [key]})
        self.mx = self.lab.mx()

    def accounts(self):
        """passwd and group with the accounts of the package, for the daemon alone."""
        etc = self.lab.path("root/etc")
        os.makedirs(etc)
        for name in ("passwd", "group"):        # a machine with the package installed has them already
            with open("/etc/" + name) as f, open(os.path.join(etc, name), "w") as out:
                out.writelines(l for l in f if not ENTRY.match(l))
        subprocess.run(["systemd-sysusers", "--root=" + self.lab.path("root"), os.path.join(lab.ROOT, "systemd/postern.sysusers")],
                       check=True, capture_output=True)
        with open(os.path.join(etc, "passwd")) as f:
            lines = [l.split(":") for l in f if ENTRY.match(l)]
        self.ids = {l[0]: (int(l[2]), int(l[3])) for l in lines}
        self.assertEqual(len({uid for uid, _ in self.ids.values()}), len(self.ids))
        self.assertGreater(len(self.ids), 14)

    def folders(self, *left_out):
        """As tmpfiles and RuntimeDirectory= make them."""
        for name, account, mode in (("spool", "_postern-queue", 0o700), ("store", "_postern-store", 0o751),
                                    ("store/mta-sts", "_postern-fetcher", 0o700), ("run", "_postern-master", 0o755)):
            if name not in left_out:
                os.makedirs(self.lab.path(name), exist_ok=True)
                os.chmod(self.lab.path(name), mode)
                os.chown(self.lab.path(name), *self.ids[account])
        os.makedirs(self.lab.path("log"), exist_ok=True)
        for name in ("keys", "log"):
            os.chmod(self.lab.path(name), 0o700)

    def configure(self, **over):
        conf = {"delivery": {"port": self.mx.port, "retry": ["1s"]}, "log": {"to": "file:" + self.lab.path("log/postern.log")},
                "antivirus": {"engine": "libclamav", "databases": self.lab.signatures()},
                "domains": {"example.lab": {"dkim": [{"selector": "s1", "key": "keys/s1.example.lab.pem"}]}}}
        self.lab.config(**{**conf, **over})
        os.chmod(self.lab.path("postern.yaml"), 0o600)

    def start(self, wait=True, env=None):
        writable = [self.lab.path(f) for f in ("run", "spool", "store", "keys", "log") if os.path.isdir(self.lab.path(f))]
        argv = [sys.executable, os.path.join(lab.ROOT, "tests/confined.py"), UNIT, self.lab.path("root/etc"), ":".join(writable),
                os.path.join(lab.BUILD, "posternd"), "-f", "-c", self.lab.path("postern.yaml")]
        self.lab.daemon = lab.Proc(argv, self.lab.path("posternd.log"), env={**os.environ, **(env or {})})
        if wait:
            self.lab.wait_ready()

    def said(self):
        with open(self.lab.path("log/postern.log"), errors="replace") as f:
            return f.read() + self.lab.log()

    def delivered(self, n, subject):
        self.assertEqual(self.lab.send("b@partner.lab", subject=subject)[0], 250)
        message = self.mx.wait(n)[n - 1][2]
        self.assertIn(b"Subject: " + subject.encode(), message)
        return message

    def shown(self):
        """The name in the certificate of STARTTLS."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", self.lab.ports["smtp"], timeout=lab.DEADLINE) as s:
            s.starttls(context=context)
            der = s.sock.getpeercert(binary_form=True)
        pem = "-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n" % base64.encodebytes(der).decode()
        r = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem, capture_output=True, text=True, check=True)
        return r.stdout.strip().rsplit(" ", 1)[1]

    def test_a_whole_life(self):
        self.folders()
        certificate(self.lab.path("etc/tls"), "one.example.lab")
        port = self.lab.ports.setdefault("smtp", lab.free_port())
        self.configure(tls={"certificate": self.lab.path("etc/tls/tls.crt"), "key": self.lab.path("etc/tls/tls.key")},
                       listeners=[{"name": "a", "address": "127.0.0.1:%d" % port, "direction": "outbound", "tls": "offered",
                                   "allow": ["network:internal"]}])
        self.start()
        self.assertIn(b"\nDKIM-Signature: ", b"\n" + self.delivered(1, "the first"))
        self.master_and_roles()
        self.apart()
        self.assertEqual(self.shown(), "one.example.lab")
        # A reload reads what root alone may read: another certificate, the key of DKIM once more.
        certificate(self.lab.path("etc/tls"), "two.example.lab")
        os.rename(self.lab.path("log/postern.log"), self.lab.path("log/postern.log.1"))
        self.lab.tool("reload")
        self.assertEqual(self.shown(), "two.example.lab")
        self.assertIn(b"DKIM-Signature: ", self.delivered(2, "reloaded"))
        self.assertTrue(os.path.getsize(self.lab.path("log/postern.log")), "new roles write a log file that root alone may open")
        # Signatures of the antivirus that are new.
        with open(self.lab.path("clamav/new.tmp"), "w") as f:
            f.write("Worm.Test:0:*:%s\n" % b"another worm".hex())
        os.rename(self.lab.path("clamav/new.tmp"), self.lab.path("clamav/new.ndb"))
        lab.wait_for(lambda: self.lab.counter("av_signature_reloads") == 1, because="new signatures")
        self.ended()
        # What a role leaves is taken up by the next one, under the same rights.
        self.assertEqual(self.lab.stop_postern(), 0)
        self.start()
        self.delivered(3, "started again")
        self.assertIn("reloaded", self.lab.tool("trace", "subject:reloaded"))
        self.backed_up()
        self.assertNotRegex(self.said(), r"(?i)not permitted|permission denied|cannot")

    def master_and_roles(self):
        master = status_of(self.lab.daemon.pid)
        self.assertEqual(set(master["Uid"].split()[:3]), {str(self.ids["_postern-master"][0])})
        for name in ("CapBnd", "CapEff", "CapPrm"):
            self.assertEqual(int(master[name], 16), LENT, name)
        self.assertEqual((master["Seccomp"].strip(), master["NoNewPrivs"].strip()), ("2", "1"))
        processes = self.lab.status()["processes"]
        self.assertGreater(len({p["role"] for p in processes}), 5)
        for p in processes:
            with self.subTest(role=p["role"]):
                st = status_of(p["pid"])
                self.assertEqual(st["Uid"].split(), [str(self.ids["_postern-" + p["role"]][0])] * 4)
                self.assertEqual(st["Gid"].split(), [str(self.ids["_postern-" + p["role"]][1])] * 4)
                self.assertEqual(st["Groups"].split(), [])
                for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                    self.assertEqual(int(st[name], 16), 0, name)
        sock = os.stat(self.lab.path("run/control.sock"))
        with open(self.lab.path("root/etc/group")) as f:
            admin = [int(l.split(":")[2]) for l in f if l.startswith("postern-admin:")]
        self.assertEqual((sock.st_uid, [sock.st_gid], sock.st_mode & 0o777), (self.ids["_postern-master"][0], admin, 0o660))

    def apart(self):
        """Somebody with a scanner's account, without its sandbox: no signal, no trace, no file of another."""
        uid, gid = self.ids["_postern-scanner"]
        secrets = [self.lab.path(f) for f in ("keys/s1.example.lab.pem", "keys/store.key", "etc/tls/tls.key", "postern.yaml")]
        spool = [os.path.join(d, f) for d, _, files in os.walk(self.lab.path("spool")) for f in files]
        self.assertTrue(spool)
        for path in secrets:
            self.assertEqual(os.stat(path).st_uid, 0, path)
        others = [self.lab.daemon.pid, *self.lab.pids("queue"), *self.lab.pids("signer")]
        tries = """
import ctypes, os, signal, sys
others, files = eval(sys.argv[1])
worked = []
for pid in others:
    for what in (0, signal.SIGKILL):
        try:
            os.kill(pid, what)
            worked.append("kill %d" % pid)
        except PermissionError:
            pass
    if ctypes.CDLL(None, use_errno=True).ptrace(16, pid, None, None) == 0:      # PTRACE_ATTACH
        worked.append("ptrace %d" % pid)
    for name in ("mem", "environ", "fd/0"):
        try:
            open("/proc/%d/%s" % (pid, name), "rb").read(1)
            worked.append("%d %s" % (pid, name))
        except PermissionError:
            pass
for path in files:
    try:
        open(path, "rb")
        worked.append(path)
    except PermissionError:
        pass
print(worked)
"""
        r = subprocess.run([sys.executable, "-c", tries, repr((others, secrets + spool))], user=uid, group=gid, extra_groups=[],
                           capture_output=True, text=True)
        self.assertEqual((r.stdout, r.stderr), ("[]\n", ""))
        self.assertTrue(all(lab.alive(pid) for pid in others))

    def ended(self):
        """A role that hangs is ended all the same by a master that may not signal strangers: it acts as that role."""
        stopped = [self.lab.pids(role, worker=False)[0] for role in ("queue", "scanner")]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)        # nothing but SIGKILL ends these two now
        self.assertEqual(self.lab.stop_postern(seconds=lab.DEADLINE), 0)
        self.assertFalse([pid for pid in stopped if lab.alive(pid)])
        self.start()

    def backed_up(self):
        tool = [os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("etc/postern.yaml")]
        key, copy = self.lab.path("backup.key"), self.lab.path("copy.backup")
        subprocess.run([*tool, "backup", "key", key], check=True, capture_output=True)
        subprocess.run([*tool, "backup", copy, "--recipient", key + ".pub"], check=True, capture_output=True)
        self.assertEqual(self.lab.stop_postern(), 0)
        # Nothing beside the database is root's afterwards: the store could not open it any more.
        subprocess.run([*tool, "backup", copy + "-2", "--recipient", key + ".pub"], check=True, capture_output=True)
        owners = {os.lstat(os.path.join(d, n)).st_uid for d, ds, fs in os.walk(self.lab.path("store")) for n in ds + fs}
        self.assertEqual(owners - {self.ids["_postern-store"][0], self.ids["_postern-fetcher"][0]}, set())
        for name in ("etc", "store/store.db"):
            path = self.lab.path(name)
            (shutil.rmtree if os.path.isdir(path) else os.unlink)(path)
        # `restore` with the accounts of the package, as on the machine it is for.
        etc = self.lab.path("root/etc")
        r = subprocess.run(["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", "mount --bind \"$0/passwd\" /etc/passwd && "
                            "mount --bind \"$0/group\" /etc/group && exec \"$@\"", etc, *tool, "restore", copy, "--key", key], capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.start()
        self.assertIn(b"DKIM-Signature: ", self.delivered(4, "restored"))
        self.assertIn("the first", self.lab.tool("trace", "subject:first"))
        self.assertEqual(self.lab.stop_postern(), 0)

    def test_a_folder_that_is_not_the_role_s(self):
        """What the master cannot give away it names, with the command."""
        self.folders("spool")
        os.makedirs(self.lab.path("spool"))
        self.configure()
        self.start(wait=False)
        self.assertEqual(self.lab.daemon.p.wait(lab.DEADLINE), 1)
        self.assertEqual(self.lab.stop_postern(), 1)
        m = re.search(r"not started: .* must belong to _postern-queue: (install .*)\n", self.lab.log())
        self.assertTrue(m, self.lab.log())
        command = m.group(1)
        for account, ids in self.ids.items():       # this machine has no such accounts
            command = command.replace("-o " + account, "-o %d" % ids[0]).replace("-g " + account, "-g %d" % ids[1])
            command = command.replace("-R %s:" % account, "-R %d:%d" % ids)
        subprocess.run(["/bin/sh", "-c", command], check=True)
        self.start()
        self.delivered(1, "mended")

    def test_credentials(self):
        """systemd gives their files to the account of the unit, not to root."""
        self.folders()
        certificate(self.lab.path("credentials"), "credential.example.lab")
        for old, new in (("tls.key", "postern.tls.key"), ("tls.crt", "postern.tls.crt")):
            path = self.lab.path("credentials", new)
            os.rename(self.lab.path("credentials", old), path)
            os.chmod(path, 0o400)
            os.chown(path, *self.ids["_postern-master"])
        os.chown(self.lab.path("credentials"), *self.ids["_postern-master"])
        port = self.lab.ports.setdefault("smtp", lab.free_port())
        self.configure(tls={"certificate": "credential:postern.tls.crt", "key": "credential:postern.tls.key"},
                       listeners=[{"name": "a", "address": "127.0.0.1:%d" % port, "direction": "outbound", "tls": "offered",
                                   "allow": ["network:internal"]}])
        self.start(env={"CREDENTIALS_DIRECTORY": self.lab.path("credentials")})
        self.assertEqual(self.shown(), "credential.example.lab")

    def test_without_what_is_lent(self):
        """The same account without capabilities: all roles as the caller, as in a container. No half-way."""
        uid, gid = self.ids["_postern-master"]
        self.configure(log={"to": "stderr"}, domains={})
        os.chmod(self.lab.path("postern.yaml"), 0o644)
        for name in ("spool", "store", "run", "keys"):
            os.makedirs(self.lab.path(name), exist_ok=True)
            os.chown(self.lab.path(name), uid, gid)
        self.lab.daemon = lab.Proc(["setpriv", "--reuid=%d" % uid, "--regid=%d" % gid, "--clear-groups",
                                    os.path.join(lab.BUILD, "posternd"), "-f", "-c", self.lab.path("postern.yaml")],
                                   self.lab.path("posternd.log"))
        self.lab.wait_ready()
        for p in self.lab.status()["processes"]:
            self.assertEqual(status_of(p["pid"])["Uid"].split(), [str(uid)] * 4)
        self.delivered(1, "from a container")


if __name__ == "__main__":
    unittest.main()
