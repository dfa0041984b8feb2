"""booted.py -- a root folder that is started as a machine: systemd as process 1, in namespaces of its own.

Nothing of the machine is used but its network and a branch of its second cgroup hierarchy; /proc/sys is read-only
in it. What a machine must have for that (root, that hierarchy, mounts) not every one has: boot() then
raises Unable, which says what is missing, and whoever calls it says what has not been tried.
"""
import contextlib
import hashlib
import os
import signal
import subprocess
import tempfile
import time

import fresh
import lab

INIT = "/lib/systemd/systemd"
# Of no use without devices, a console or people who sign in.
MASKED = ["systemd-logind.service", "getty.target", "console-getty.service", "systemd-udevd.service", "sys-kernel-debug.mount",
          "sys-kernel-tracing.mount", "dev-hugepages.mount", "sys-fs-fuse-connections.mount", "systemd-modules-load.service",
          "systemd-remount-fs.service", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
          "fstrim.timer", "systemd-tmpfiles-clean.timer"]
# $0: the root folder; $1: the cgroup that becomes its whole tree.
PREPARE = r"""
set -e
mount --rbind "$0" "$0"
mount --make-rprivate "$0"
mount -t proc proc "$0/proc"
mount --bind "$0/proc/sys" "$0/proc/sys"
mount -o remount,bind,ro "$0/proc/sys"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$0/sys"
mount -t cgroup2 cgroup2 "$0/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid tmpfs "$0/dev"
for n in null zero full random urandom tty; do : >"$0/dev/$n"; mount --bind "/dev/$n" "$0/dev/$n"; done
mkdir "$0/dev/pts" "$0/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$0/dev/pts"
ln -s pts/ptmx "$0/dev/ptmx"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$0/dev/shm"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$0/run"
mkdir -p "$0/.old"
cd "$0"
pivot_root . .old
# shared, in a group of its own: what systemd mounts for one unit (credentials) reaches the others that way
exec chroot . /bin/sh -c 'umount -l /.old && mount --make-rshared / && exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin "$0" --unit=multi-user.target --show-status=0' "$1"
"""


class Unable(Exception):
    pass


def hierarchy():
    """The folder of the machine's second cgroup hierarchy."""
    with open("/proc/self/mountinfo") as f:
        for line in f:
            before, _, after = line.partition(" - ")
            if after.split()[0] == "cgroup2" and "rw" in before.split()[5].split(","):
                return before.split()[4]
    raise Unable("no cgroup2 hierarchy is mounted for writing")


class Machine:
    def __init__(self, root, log):
        """root: a Debian with systemd in it."""
        self.root = root
        if os.geteuid() != 0:
            raise Unable("not root")
        for unit in MASKED:
            with contextlib.suppress(FileExistsError):
                os.symlink("/dev/null", os.path.join(root, "etc/systemd/system", unit))
        self.log, self.init, self.proc = log, None, None
        try:
            self.cgroup = tempfile.mkdtemp(prefix="postern-booted-", dir=hierarchy())
        except OSError as e:
            raise Unable("no cgroup can be made: %s" % e)
        try:
            self.boot()
        except BaseException:
            self.close()
            raise

    def boot(self):
        """The child moves itself into the cgroup first, so that its namespace begins there."""
        argv = ["/bin/sh", "-c", "echo $$ >\"$1/cgroup.procs\" && exec unshare --pid --fork --mount --uts --ipc --cgroup "
                "--kill-child --propagation private /bin/sh -c \"$2\" \"$0\" \"$3\"", self.root, self.cgroup, PREPARE, INIT]
        self.proc = lab.Proc(argv, self.log)
        end = time.monotonic() + lab.DEADLINE
        while True:
            self.init = self.init or self.pid_of_init()
            if self.proc.poll() is not None:
                raise Unable("process 1 ended, or there were no namespaces for it: " + lab.tail(self.log).strip())
            if self.init and self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"):
                return
            if time.monotonic() > end:
                raise Unable("systemd did not come up: " + lab.tail(self.log).strip())
            time.sleep(0.05)

    def pid_of_init(self):
        """systemd moves itself into init.scope once it has taken the tree over."""
        try:
            with open(os.path.join(self.cgroup, "init.scope/cgroup.procs")) as f:
                return min((int(l) for l in f), default=None)
        except FileNotFoundError:
            return None

    def argv(self, *argv):
        return ["nsenter", "--target", str(self.init), "--pid", "--mount", "--uts", "--ipc", "--root", "--wd", *argv]

    def run(self, *argv, check=True, stdin=None):
        r = subprocess.run(self.argv(*argv), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, input=stdin,
                           env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8",
                                "HOME": "/root", "SYSTEMD_PAGER": ""})
        if check and r.returncode:
            raise lab.LabError("%s: status %d\n%s" % (" ".join(argv), r.returncode, r.stdout))
        return r

    def show(self, unit, *names):
        """Properties of a unit."""
        text = self.run("systemctl", "show", unit, *["--property=" + n for n in names]).stdout
        return dict(l.split("=", 1) for l in text.splitlines())

    def pid_here(self, inside):
        """The pid outside of a process whose pid inside is known."""
        for folder, _, _ in os.walk(self.cgroup):
            with open(os.path.join(folder, "cgroup.procs")) as f:
                for pid in f.read().split():
                    with contextlib.suppress(FileNotFoundError), open("/proc/%s/status" % pid) as st:
                        line = next(l for l in st if l.startswith("NSpid:"))
                        if line.split()[-1] == str(inside):
                            return int(pid)
        raise lab.LabError("no process %s in there" % inside)

    def close(self):
        """Process 1 ends, and with it everything in its namespace."""
        if self.init:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.init, signal.SIGKILL)
        if self.proc:
            self.proc.stop(signal.SIGKILL)
        end = time.monotonic() + lab.DEADLINE
        while os.path.isdir(self.cgroup) and time.monotonic() < end:
            for folder, _, _ in os.walk(self.cgroup, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            time.sleep(0.02)


def tar_for(deb):
    """A fresh root with systemd and what a package needs, as a tar file that is kept for the next time."""
    needs = subprocess.run(["dpkg-deb", "-f", deb, "Pre-Depends", "Depends"], capture_output=True, text=True, check=True).stdout
    mark = hashlib.sha256(needs.encode()).hexdigest()[:12]
    tar = os.path.join(fresh.CACHE, "%s-systemd-%s.tar" % (fresh.codename(), mark))
    if os.path.exists(tar):
        return tar
    root = fresh.Fresh()
    root.run("apt-get", "update")
    root.run("apt-get", "install", "-y", "--no-install-recommends", "systemd-sysv")
    depends = subprocess.run(["dpkg-deb", "-f", deb, "Depends"], capture_output=True, text=True, check=True).stdout
    root.run("apt-get", "satisfy", "-y", "--no-install-recommends", depends.strip())
    root.run("apt-get", "clean")
    fd, part = tempfile.mkstemp(suffix=".tar", dir=fresh.CACHE)
    os.close(fd)
    subprocess.run(["tar", "-C", root.root, "-cf", part, "."], check=True)
    os.rename(part, tar)
    root.close()
    return tar
