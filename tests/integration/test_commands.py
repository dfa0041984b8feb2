"""Every command line in the blocks of README and docs/*.md (the guides have test_guides.py and test_milter_sendmail.py): it
is run here, or another test runs it, which is named, or it stands below with the reason why none does. A line that is none of
these fails, so that a page cannot show what nobody tried.
"""
import glob
import os
import re
import subprocess
import unittest

import lab

TOOL = os.path.join(lab.BUILD, "postern")
PROMPT = r"(?:\$ |[a-z]+\d?# )?"
COMMAND = re.compile(PROMPT + r"(?:sudo )?(?:[A-Z_]+=\S+ )?(?:postern|make|apt|systemctl|scp|ssh|curl|for n in|podman)(?= )")
# Page, the line's beginning, the test that runs it and words of it that stand there.
ELSEWHERE = [
    ("README.md", "make && make deb", "test_package.py", '"make", "--no-print-directory", "deb"'),
    ("README.md", "sudo apt install ./build/postern", "test_fresh_root.py", "apt=True"),
    ("README.md", "sudo postern init", "test_first_hour.py", '"--yes"'),
    ("README.md", "sudo systemctl start postern", "test_systemd.py", '"systemctl", "start", SERVICE'),
    ("README.md", "postern check", "test_readme.py", "test_error_reads_as_printed"),
    ("README.md", "CRASH_ROUNDS=200 make crash", "test_crash_rounds.py", "CRASH_ROUNDS"),
    ("docs/INSTALL.md", "apt install ./postern_", "test_fresh_root.py", "apt=True"),
    ("docs/FIRST-HOUR.md", "postern restore /backup/", "test_backup.py", 'self.run_tool("restore"'),
    ("docs/CLUSTER.md", "", "test_cluster_docs.py", "CLUSTER.md"),
    ("docs/EDM.md", "postern edm", "test_edm.py", "EDM.md"),
    ("docs/FINGERPRINTS.md", "postern fingerprint", "test_fingerprint.py", '"fingerprint"'),
    ("docs/CONSOLE.md", "curl", "test_console_api.py", "X-Postern-CSRF"),
]
NOT_RUN = [
    ("README.md", "make demo", "tests/demo runs until it is stopped; what it does is that of every test that starts a gateway"),
    ("README.md", "make check", "it is this"),
    ("README.md", "make bench", "minutes of load; the tests measure none"),
    ("docs/MEMORY.md", "systemctl show", "a question to systemd, which tests run in few places"),
    ("docs/EDM.md", "scp patients.idx gw1:", "the transport of a site"),
    ("docs/EDM.md", "ssh gw1 mv", "the transport of a site"),
    ("docs/CONSOLE.md", "postern users [list] |", "a line of usage, not a command"),
]


def lines():
    """(page, command), without prompt and remark; of each fenced block, lines that go on joined."""
    out = []
    for page in ["README.md", *sorted(glob.glob("docs/*.md", root_dir=lab.ROOT))]:
        with open(os.path.join(lab.ROOT, page)) as f:
            for _, text in re.findall(r"^```([^\n]*)\n(.*?)^```$", f.read(), re.M | re.S):
                for line in text.replace("\\\n", " ").splitlines():
                    if COMMAND.match(line):
                        out.append((page, re.sub(r"\s+#.*", "", re.sub("^" + PROMPT, "", line)).strip()))
    return out


class Commands(unittest.TestCase):
    def place(self, page, line):
        """None: it is to be run here."""
        for where, begins, *rest in NOT_RUN + ELSEWHERE:
            if page == where and line.startswith(begins):
                return (where, begins, *rest)
        return None

    def test_nothing_is_left_out(self):
        """The lists are about lines that are there, and name tests that do it."""
        found = lines()
        self.assertGreater(len(found), 45)
        used = {self.place(*l) for l in found}
        for entry in NOT_RUN + ELSEWHERE:
            self.assertIn(entry, used, "no such line any more")
        for _, _, test, words in ELSEWHERE:
            with open(os.path.join(lab.ROOT, "tests/integration", test)) as f:
                self.assertIn(words, f.read(), test)

    def test_run(self):
        here = lab.Lab("commands")
        self.addCleanup(here.close)
        mx = here.mx()
        here.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        here.policy("version: 1\nuse: [postern/base]\n")
        port = lab.free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        here.path("tls.key"), "-out", here.path("tls.crt"), "-days", "30", "-subj", "/CN=gw.example.lab"],
                       check=True, capture_output=True)
        os.chmod(here.path("tls.key"), 0o600)
        here.config(delivery={"port": mx.port}, antispam={"bayes": {"minimum": "1"}}, doctor={"blocklists": []},
                    domains={"example.org": {"deliver_to": ["127.0.0.1:%d" % mx.port]}}, tls={"certificate": "tls.crt", "key": "tls.key"}, console={"address": "127.0.0.1:%d" % port, "login": {"links": "true"}})
        here.start_postern()
        self.assertEqual(here.send("b@partner.lab")[0], 250)
        mx.wait(1)
        work = here.path("work")
        mail = lab.message("The board met and wrote down its minutes, line by line, word by word.\r\n" * 9)
        for name in ("archive/2026/1.eml", "suspicious.eml"):
            os.makedirs(os.path.dirname(os.path.join(work, name)), exist_ok=True)
            with open(os.path.join(work, name), "wb") as f:
                f.write(mail.replace(b"test", b"about " + name.encode()))
        with open(work + "/spam.mbox", "wb") as f:
            f.write(b"From x Sun Nov 22 10:00:00 2026\n" + lab.message("Win a prize, cheap pills, act now.\r\n").replace(b"\r\n", b"\n") + b"\n")
        env = {**os.environ, "HOME": work}
        ran = []
        for page, line in lines():
            if self.place(page, line):
                continue
            with self.subTest(page=page, line=line):
                asks = None
                if re.match(r"postern users add", line) or line.startswith("postern backup"):
                    asks = "correct horse battery staple\n" * 2
                shell = (line.replace("/var/mail/archive", work + "/archive").replace("/backup/", work + "/"))
                if re.match("postern (backup|restore)", line):
                    shell += " --passphrase-file " + here.write("passphrase", "correct horse battery staple\n")
                    asks = None
                shell = re.sub(r"^postern", "%s -c %s" % (TOOL, here.path("postern.yaml")), shell)
                r = subprocess.run(["/bin/sh", "-c", shell], input=asks, capture_output=True, text=True, cwd=work, env=env,
                                   timeout=lab.DEADLINE)
                # 1: it found something to say, which is what these are for.
                fine = (0, 1) if re.match("postern (doctor|diff|lists check|bayes test)", line) else (0,)
                self.assertIn(r.returncode, fine, r.stdout + r.stderr)
                self.assertTrue(r.stdout or r.stderr or r.returncode == 0)
                ran.append(line)
        self.assertGreater(len(ran), 14, ran)
        self.assertIn("gateway of our bank", here.tool("lists", "list"))
        self.assertIn("carol", here.tool("users"))


if __name__ == "__main__":
    unittest.main()
