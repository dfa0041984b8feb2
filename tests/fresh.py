"""fresh.py -- a fresh Debian in a folder, made as an installer makes it, in which packages are installed.

The bare system is made once by mmdebstrap and kept as a tar file (FRESH_CACHE, else in the temporary
folder of the machine); what is installed into it afterwards is not. Nothing in it is running but what a
test starts; it shares the network of the machine.
"""
import os
import shutil
import subprocess
import tempfile

CACHE = os.environ.get("FRESH_CACHE", os.path.join(tempfile.gettempdir(), "postern-fresh"))
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "HOME": "/root"}
LEAN = ["path-exclude=/usr/share/locale/*", "path-exclude=/usr/share/man/*", "path-exclude=/usr/share/doc/*",
        "path-include=/usr/share/doc/postern*", "path-include=/usr/share/man/man?/postern*", "force-unsafe-io"]


def codename():
    with open("/etc/os-release") as f:
        return dict(l.strip().split("=", 1) for l in f if "=" in l)["VERSION_CODENAME"]


def mirror():
    """The mirror this machine uses for Debian itself."""
    r = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)|$(RELEASE)|$(CREATED_BY)"],
                       capture_output=True, text=True, check=True)
    for line in r.stdout.splitlines():
        site, release, kind = line.split("|")
        if kind == "Packages" and release.startswith(codename()) and "debian" in site and "security" not in site:
            return site
    return "http://deb.debian.org/debian"


def base():
    """The tar file of the bare system."""
    path = os.path.join(CACHE, codename() + ".tar")
    if not os.path.exists(path):
        os.makedirs(CACHE, exist_ok=True)
        fd, part = tempfile.mkstemp(suffix=".tar", dir=CACHE)
        os.close(fd)
        r = subprocess.run(["mmdebstrap", "--quiet", "--mode=root", "--variant=apt", "--skip=check/qemu",
                            *["--dpkgopt=" + o for o in LEAN], "--aptopt=Acquire::Languages \"none\"",
                            codename(), part, "deb %s %s main" % (mirror(), codename())],
                           capture_output=True, text=True)
        if r.returncode:
            os.unlink(part)
            raise RuntimeError("mmdebstrap: status %d\n%s" % (r.returncode, r.stderr))
        os.rename(part, path)
    return path


class Fresh:
    def __init__(self, tar=None):
        """tar: a root that was kept; none: the bare system."""
        tar = tar or base()
        self.root = tempfile.mkdtemp(prefix="postern-root-")
        os.chmod(self.root, 0o755)
        subprocess.run(["tar", "-C", self.root, "-xf", tar], check=True)
        shutil.copy("/etc/resolv.conf", self.path("etc/resolv.conf"))
        self.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.root, name.lstrip("/"))

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read().decode("utf-8", "surrogateescape")

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def argv(self, *argv):
        """argv run inside. /proc is mounted for that process alone: nothing is left behind."""
        return ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
                "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" \"$@\"", self.root, *argv]

    def run(self, *argv, check=True):
        r = subprocess.run(self.argv(*argv), env=ENV, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        if check and r.returncode:
            raise RuntimeError("%s: status %d\n%s" % (" ".join(argv), r.returncode, r.stdout))
        return r

    def install(self, *debs, check=True, apt=False):
        """Package files of this machine; apt: what they need is fetched as well."""
        for d in debs:
            shutil.copy(d, self.path("tmp"))
        how = ["apt-get", "install", "-y", "--no-install-recommends"] if apt else ["dpkg", "-i"]
        return self.run(*how, *["/tmp/" + os.path.basename(d) for d in debs], check=check)
