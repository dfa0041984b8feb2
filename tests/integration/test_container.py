"""systemd/Containerfile: the image is built (buildah, its base a Debian of mmdebstrap) and run as its header says: an ordinary
account, no capability, a read-only root, volumes and tmpfs.

Where the builder does not work, that is said, and the file's instructions are carried out in a root folder one by one.
"""
import contextlib
import glob
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import unittest

import booted
import fresh
import lab
import test_package

FILE = os.path.join(lab.ROOT, "systemd/Containerfile")
ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
# $0: the image's root, $1 and $2: uid and gid, $3: where volumes lie, $4: their places. As podman makes it: the root
# read-only, /proc and /dev of its own, no capability, no way to get one.
RUN = r"""
set -e
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"
mount -t tmpfs -o mode=755,nosuid tmpfs "$0/dev"
for n in null zero full random urandom; do : >"$0/dev/$n"; mount --bind "/dev/$n" "$0/dev/$n"; done
mkdir "$0/dev/shm"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$0/dev/shm"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$0/tmp"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$0/run/postern"
for v in $4; do mount --bind "$3$v" "$0$v"; done
mount -o remount,bind,ro "$0"
root=$0 uid=$1 gid=$2
shift 4
exec chroot "$root" setpriv --reuid="$uid" --regid="$gid" --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""


def instructions():
    """[(instruction, argument)], lines that go on joined, comments left out."""
    with open(FILE) as f:
        lines = "".join(l for l in f if not l.startswith("#")).replace("\\\n", " ").splitlines()
    return [tuple(l.split(" ", 1)) for l in lines if l]


class Image:
    """What the tests need of an image: its root and what is configured."""

    def __init__(self, root, user, entrypoint, health, volumes, stop):
        self.root, self.entrypoint, self.health, self.volumes, self.stop = root, entrypoint, health, volumes, stop
        with open(os.path.join(root, "etc/passwd")) as f:
            ids = next(l.split(":")[2:4] for l in f if l.startswith(user + ":"))
        self.uid, self.gid = map(int, ids)


def built(folder, base):
    """By buildah, in a storage of its own below folder."""
    tool = ["buildah", "--root", folder + "/storage", "--runroot", folder + "/run", "--storage-driver", "vfs"]

    def do(*argv):
        r = subprocess.run([*tool, *argv], cwd=folder, capture_output=True, text=True, env={**os.environ, "TMPDIR": folder})
        if r.returncode:
            raise booted.Unable("buildah %s: status %d: %s" % (argv[0], r.returncode, (r.stdout + r.stderr)[-2000:]))
        return r.stdout.strip()
    container = do("from", "scratch")
    do("add", "--quiet", container, base, "/")
    do("commit", "--quiet", "--rm", container, "localhost/base")
    do("build", "--isolation", "chroot", "--format", "docker", "--build-arg", "BASE=localhost/base", "--file", FILE, "--tag",
       "localhost/postern", folder)
    conf = json.loads(do("inspect", "--type", "image", "localhost/postern"))["Docker"]["config"]
    assert conf["Healthcheck"]["Test"][0] == "CMD-SHELL", conf
    return Image(do("mount", do("from", "localhost/postern")), conf["User"], conf["Entrypoint"], conf["Healthcheck"]["Test"][1],
                 sorted(conf["Volumes"]), conf["StopSignal"])


def stepped(folder, base):
    """Without a builder: each instruction by itself."""
    root, said = fresh.Fresh(base), dict(instructions())
    unittest.addModuleCleanup(root.close)
    for kind, text in instructions():
        if kind == "COPY":
            *names, to = text.split()
            for name in names:
                for p in glob.glob(os.path.join(folder, name)):
                    shutil.copy(p, root.path(to))
        elif kind == "RUN":
            root.run("/bin/sh", "-c", text)
    return Image(root.root, said["USER"], json.loads(said["ENTRYPOINT"]), said["HEALTHCHECK"].split(" CMD ")[1],
                 sorted(json.loads(said["VOLUME"])), said["STOPSIGNAL"])


class Container(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="postern-container-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        os.chmod(folder, 0o755)
        debs = test_package.build(folder + "/build")
        base = booted.tar_for(debs["postern"])
        try:
            cls.image = built(folder, base)
        except (booted.Unable, FileNotFoundError) as e:
            print("NOT RUN: the image is not built by a builder, its instructions are carried out one by one: %s" % e, flush=True)
            cls.image = stepped(folder, base)
        cls.lab = lab.Lab("container")
        cls.addClassCleanup(cls.lab.close)
        # A named volume begins with what the image has there, owners and all.
        cls.volumes = folder + "/volumes"
        for v in cls.image.volumes:
            os.makedirs(os.path.dirname(cls.volumes + v), exist_ok=True)
            subprocess.run(["cp", "-a", cls.image.root + v, cls.volumes + v], check=True)
        cls.mx = cls.lab.mx()
        cls.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        cls.port = cls.lab.ports["smtp"] = lab.free_port()

    def argv(self, *argv):
        return ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "--propagation", "private", "/bin/sh", "-c",
                RUN, self.image.root, str(self.image.uid), str(self.image.gid), self.volumes, " ".join(self.image.volumes), *argv]

    def first(self):
        """The pid of process 1 in there, seen from here; None: not yet."""
        with open("/proc/%d/task/%d/children" % ((self.lab.daemon.pid,) * 2)) as f:
            return next((int(p) for p in f.read().split()), None)

    def inside(self, *argv):
        """As `podman exec` does."""
        return subprocess.run(["nsenter", "--target", str(self.first()), "--mount", "--pid", "--ipc", "--uts", "--root", "--wd", "setpriv",
                               "--reuid=%d" % self.image.uid, "--regid=%d" % self.image.gid, "--clear-groups", "--bounding-set=-all",
                               "--no-new-privs", *argv], capture_output=True, text=True, env=ENV)

    def start(self):
        self.lab.daemon = lab.Proc(self.argv(*self.image.entrypoint), self.lab.path("posternd.log"), env=ENV)
        link = self.lab.path("run")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(link)
        os.symlink("/proc/%d/root/run/postern" % lab.wait_for(self.first, because="process 1"), link)

    def test_life(self):
        # Closed by default: without a configuration it ends and says so.
        r = subprocess.run(self.argv(*self.image.entrypoint), capture_output=True, text=True, env=ENV)
        self.assertEqual((r.returncode, r.stderr), (1, "posternd: /etc/postern/postern.yaml: No such file or directory\n"))
        r = subprocess.run(self.argv("postern", "init", "--yes", "--hostname", "gw.example.lab", "--domain", "example.lab", "--listen",
                                     "127.0.0.1:%d" % self.port), capture_output=True, text=True, env=ENV)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertIn("10-base.yaml\n   Until you have named them: nobody", r.stdout)
        # Its Internet has a name server and a port of its own.
        path = self.volumes + "/etc/postern/postern.yaml"
        with open(path) as f:
            conf = f.read().replace("\ndelivery: {delay_notice", "\ndelivery: {port: %d, retry: [1s], delay_notice" % self.mx.port)
        with open(path, "w") as f:
            f.write(conf + "dns: {servers: [\"127.0.0.1:%d\"], dnssec: false}\n" % self.lab.ports["dns"])
        self.start()
        self.lab.wait_ready()
        self.assertEqual(self.lab.send("b@partner.lab", subject="from a container")[0], 250)
        self.assertIn(b"Subject: from a container", self.mx.wait(1)[0][2])
        self.confined()
        health = self.inside("/bin/sh", "-c", self.image.health)
        self.assertEqual(health.returncode, 0, health.stdout + health.stderr)
        os.kill(self.first(), getattr(signal, self.image.stop))
        self.assertEqual(self.lab.daemon.p.wait(lab.DEADLINE), 0, self.lab.log())
        self.lab.stop_postern()
        # Another container with the same volumes has the journal of the first.
        self.start()
        self.lab.wait_ready()
        self.assertIn("from a container", self.inside("postern", "trace", "subject:container").stdout)
        os.kill(self.first(), signal.SIGTERM)
        self.assertEqual(self.lab.stop_postern(), 0)

    def confined(self):
        processes = [1] + [p["pid"] for p in self.lab.status()["processes"]]
        r = self.inside("/bin/sh", "-c", "".join("cat /proc/%d/status; " % p for p in processes))
        seen = [dict(l.split(":\t", 1) for l in ("Name:" + t).splitlines()) for t in r.stdout.split("Name:")[1:]]
        self.assertEqual(len(seen), len(processes), r.stderr)
        for status in seen:
            self.assertEqual(status["Uid"].split(), [str(self.image.uid)] * 4)
            self.assertEqual([int(status[c], 16) for c in ("CapPrm", "CapEff", "CapBnd", "CapAmb")], [0] * 4)
            self.assertEqual(status["NoNewPrivs"].strip(), "1")
        for path in ("/etc/passwd", "/usr/sbin/x", "/run/x", "/var/lib/x"):
            self.assertNotEqual(self.inside("/bin/sh", "-c", ": >>" + path).returncode, 0, path)

    def test_header(self):
        """The command of the header has what the test does by hand."""
        with open(FILE) as f:
            text = "".join(l.lstrip("#").strip() + "\n" for l in f if l.startswith("#")).replace("\\\n", " ")
        line = next(l for l in text.splitlines() if l.startswith("podman run -d"))
        words = shlex.split(line)
        for w in ("--read-only", "no-new-privileges", "/run/postern:mode=1777"):
            self.assertIn(w, words)
        self.assertEqual(words[words.index("--cap-drop") + 1], "all")
        volumes = sorted(words[i + 1].split(":")[1] for i, w in enumerate(words) if w == "-v")
        self.assertEqual(volumes, self.image.volumes)
        self.assertEqual([k for k, _ in instructions()], ["ARG", "FROM", "COPY", "RUN", "RUN", "USER", "VOLUME", "EXPOSE",
                                                         "HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT"])


if __name__ == "__main__":
    unittest.main()
