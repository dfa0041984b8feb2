"""The Debian packages: what is in them, that lintian is content, that two builds are the same bytes."""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import lab

NAMES = ["postern", "postern-console", "postern-packs"]


def version():
    with open(os.path.join(lab.ROOT, "Makefile")) as f:
        return re.search(r"^VERSION := (\S+)$", f.read(), re.M).group(1)


def build(out, **env):
    """make deb; the package files by name."""
    r = subprocess.run(["make", "--no-print-directory", "deb", "B=" + lab.BUILD, "DEB_OUT=" + out], cwd=lab.ROOT,
                       capture_output=True, text=True, env={**os.environ, "MAKEFLAGS": "", **env})
    if r.returncode:
        raise lab.LabError("make deb: status %d\n%s%s" % (r.returncode, r.stdout, r.stderr))
    return {os.path.basename(p).split("_")[0]: p for p in glob.glob(os.path.join(out, "*.deb"))}


def field(deb, name):
    return subprocess.run(["dpkg-deb", "-f", deb, name], capture_output=True, text=True, check=True).stdout.strip()


def files(deb):
    text = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], capture_output=True, check=True).stdout
    r = subprocess.run(["tar", "-tf", "-"], input=text, capture_output=True, check=True)
    return {n[1:] for n in r.stdout.decode().splitlines() if not n.endswith("/")}


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="postern-deb-")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.debs = build(os.path.join(cls.dir, "one"))

    def test_what_is_where(self):
        self.assertEqual(sorted(self.debs), NAMES)
        have = {n: files(d) for n, d in self.debs.items()}
        for name, d in self.debs.items():
            self.assertEqual(field(d, "Version"), version())
        for n in ("/usr/sbin/posternd", "/usr/bin/postern", "/usr/sbin/postern-ocr", "/lib/systemd/system/postern.service",
                  "/lib/systemd/system/postern.socket", "/lib/systemd/system/postern-milter.socket", "/usr/share/man/man8/postern-milter.8.gz",
                  "/usr/share/doc/postern/guides/en/milter.md", "/usr/lib/sysusers.d/postern.conf", "/usr/lib/tmpfiles.d/postern.conf",
                  "/usr/share/man/man1/postern.1.gz", "/usr/share/man/man5/postern-policy.5.gz",
                  "/usr/share/man/man5/postern.yaml.5.gz", "/usr/share/man/man5/postern-spool.5.gz",
                  "/usr/share/man/man8/posternd.8.gz", "/usr/share/postern/postern.yaml", "/usr/share/postern/policy.schema.json"):
            self.assertIn(n, have["postern"])
        for n in ("grafana/postern.json", "prometheus/postern.rules.yaml", "console/console.yaml", "console/nginx.conf"):
            self.assertIn("/usr/share/postern/" + n, have["postern-console"])
        for n in ("policies/start/20-dlp.yaml", "policies/start/tests/shipped.test.yaml", "policies/criann/10-spam.yaml",
                  "templates/held.fr.txt"):
            self.assertIn("/usr/share/postern/" + n, have["postern-packs"])
        self.assertFalse(have["postern"] & have["postern-console"] | have["postern"] & have["postern-packs"])

    def test_closed_and_beside_others(self):
        """No file is active before somebody made it; nothing of another mail server is taken."""
        for d in self.debs.values():
            # Only what an administrator meets in /etc of other packages too: completion, fail2ban, … never ours.
            self.assertFalse([f for f in files(d) if f.startswith("/etc/postern/")])
            self.assertFalse([f for f in files(d) if os.path.basename(f) in ("sendmail", "mailq", "newaliases")])
            for f in ("Conflicts", "Provides", "Replaces", "Breaks"):
                self.assertNotIn("mail-transport-agent", field(d, f))
        postinst = os.path.join(self.dir, "control")
        subprocess.run(["dpkg-deb", "-e", self.debs["postern"], postinst], check=True)
        for script in ("preinst", "postinst", "prerm", "postrm"):
            path = os.path.join(postinst, script)
            if os.path.exists(path):
                with open(path) as f:
                    text = f.read()
                self.assertNotIn("dpkg-divert", text)
                self.assertNotIn("debconf", text)

    def test_lintian(self):
        r = subprocess.run(["lintian", "--fail-on", "error,warning", "--allow-root", *self.debs.values()],
                           capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertFalse([f for d in self.debs.values() for f in files(d) if "/lintian/overrides/" in f])

    def test_what_it_is_built_from(self):
        """dpkg-buildpackage looks at Build-Depends; each library that the Makefile asks pkg-config for is in there."""
        with open(os.path.join(lab.ROOT, "systemd/debian/control")) as f:
            named = set(re.findall(r"[\w.+-]+", re.search(r"(?ms)^Build-Depends: (.*?)^\S", f.read()).group(1)))
        with open(os.path.join(lab.ROOT, "Makefile")) as f:
            libraries = {w for line in re.findall(r"(?m)^PKGS\w* [:+]?= (.*)", f.read()) for w in line.split() if w[0].isalpha()}
        self.assertGreater(len(libraries), 12)
        for library in libraries:
            r = subprocess.run(["pkg-config", "--variable=pcfiledir", library], capture_output=True, text=True, check=True)
            r = subprocess.run(["dpkg", "-S", "%s/%s.pc" % (r.stdout.strip(), library)], capture_output=True, text=True, check=True)
            self.assertIn(r.stdout.split(":")[0], named, library)

    def test_links_of_the_documents(self):
        """What a page leads to is there, in the packages as in the tree."""
        top = os.path.join(self.dir, "documents")
        for deb in self.debs.values():
            subprocess.run(["dpkg-deb", "-x", deb, top], check=True)
        pages = glob.glob(top + "/usr/share/doc/**/*.md", recursive=True)
        self.assertGreater(len(pages), 30)
        links = 0
        for page in pages:
            with open(page) as f:
                text = re.sub(r"(?ms)^```.*?^```$", "", f.read())
            for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
                if "://" not in link and not link.startswith("mailto:"):
                    links += 1
                    self.assertTrue(os.path.exists(os.path.join(os.path.dirname(page), link)), "%s: %s" % (page[len(top):], link))
        self.assertGreater(links, 100)

    def test_two_builds_are_the_same_bytes(self):
        again = build(os.path.join(self.dir, "two", "elsewhere"), TZ="Pacific/Auckland", LC_ALL="C", HOME="/nonexistent")
        self.assertEqual({n: digest(p) for n, p in self.debs.items()}, {n: digest(p) for n, p in again.items()})

    def test_the_place_of_the_tree_is_not_in_an_object(self):
        """The same sources in two folders make the same objects, with their debugging information."""
        objects = ["obj/base/id.o", "obj/base/arena.o", "obj/relay/console/pages.o"]
        sums = []
        for place in ("here", "there/deeper"):
            top = os.path.join(self.dir, place)
            os.makedirs(top)
            for d in ("base", "include", "relay"):
                shutil.copytree(os.path.join(lab.ROOT, d), os.path.join(top, d))
            shutil.copy(os.path.join(lab.ROOT, "Makefile"), top)
            subprocess.run(["make", "--no-print-directory", *["build/" + o for o in objects]], cwd=top, check=True,
                           capture_output=True, env={**os.environ, "MAKEFLAGS": "", "CCACHE_DISABLE": "1"})
            sums.append([digest(os.path.join(top, "build", o)) for o in objects])
        self.assertEqual(sums[0], sums[1])

    def test_policies_of_the_packs_pass_their_tests(self):
        top = os.path.join(self.dir, "packs")
        subprocess.run(["dpkg-deb", "-x", self.debs["postern-packs"], top], check=True)
        found = sorted(glob.glob(top + "/usr/share/postern/policies/*"))
        self.assertGreater(len(found), 3)
        for folder in found:
            conf = os.path.join(self.dir, "postern.yaml")
            with open(conf, "w") as f:
                f.write(lab.yaml({"version": 1, "hostname": "gw.example.lab", "policy": folder,
                                  "networks": {"internal": ["127.0.0.1"]}, "antivirus": {"engine": "off"},
                                  "listeners": [{"name": "a", "address": "127.0.0.1:8025", "direction": "outbound",
                                                 "allow": ["network:internal"]}]}))
            r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", conf, "test"], capture_output=True, text=True)
            self.assertEqual(r.returncode, 0, folder + r.stdout + r.stderr)


if __name__ == "__main__":
    unittest.main()
