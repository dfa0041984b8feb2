"""docs/CLUSTER.md, read and done: its configuration, its commands in their order, its hook for git."""
import os
import re
import shlex
import subprocess
import unittest

import cluster
import lab

WRAPPERS = {
    # What stands behind ssh and scp here: other folders of this machine.
    "ssh": """#!/bin/sh
while [ "$1" != -- ]; do shift; done
case $2 in root@10.0.0.1) n=gw1;; root@10.0.0.2) n=gw2;; root@10.0.0.3) n=gw3;; *) exit 255;; esac
shift 2
PATH=%(bin)s/$n:$PATH exec "$@"
""",
    "scp": """#!/bin/sh
where() {
	case $1 in
	*:*) h=${1%%%%:*}; p=${1#*:}; p=${p#/etc/postern/}; p=${p#/root/}; echo %(hosts)s/$h/$p;;
	*) echo "$1";;
	esac
}
exec cp "$(where "$1")" "$(where "$2")"
""",
}


class Documented(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(lab.ROOT, "docs/CLUSTER.md")) as f:
            self.text = f.read()
        self.first = lab.Lab("world")
        self.addCleanup(self.first.close)
        self.mx = self.first.mx()
        dns = self.first.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.nodes, self.env = {}, dict(os.environ)
        bin, hosts = self.first.path("bin"), self.first.path("hosts")
        yaml = self.blocks("yaml")
        self.shared, own = yaml[0], yaml[1]
        self.assertIn("node: gw2", own)
        os.makedirs(hosts)
        for name, text in WRAPPERS.items():
            os.chmod(self.first.write("bin/" + name, text % {"bin": bin, "hosts": hosts}), 0o755)
        for i, name in enumerate(("ops", "gw1", "gw2", "gw3")):
            n = self.nodes[name] = cluster.Node(name, i)
            self.addCleanup(n.close)
            # As a package leaves it, but for the folders and addresses of this machine.
            n.config({"version": 1, "policy": "policy.d", "antivirus": {"engine": "off"}, "listeners": [
                {"name": "smart-host", "address": "127.0.0.1:8025", "direction": "outbound", "allow": ["127.0.0.1"]}]},
                networks={"exchange": ["127.0.0.1"]}, log={"to": "stderr"}, scanners={"processes": "1"},
                dns={"servers": ["127.0.0.1:%d" % dns], "dnssec": "false"},
                delivery={"port": self.mx.port if name == "gw1" else lab.free_port(), "retry": ["30m"], "tls": {"policy": "none"}})
            os.symlink(n.etc(), os.path.join(hosts, name))
            os.chmod(self.first.write("bin/%s/postern" % name, "#!/bin/sh\nexec %s \"$@\"\n" % shlex.join(n.argv())), 0o755)
        ops = self.nodes["ops"]
        ops.write("etc/node.yaml", open_and_read(ops.etc("node.yaml")).replace('"ops"', '"gw1"'))
        ops.write("etc/postern.yaml", self.shared)
        ops.write("etc/keys/dkim.pem", "a key\n")
        ops.policy("version: 1\nrules:\n  - {id: shared, when: {subject: {words: [forbidden]}}, then: {reject: \"5.7.1 no\"}}\n")

    def blocks(self, kind):
        return re.findall(r"^```%s\n(.*?)^```$" % kind, self.text, re.M | re.S)

    def run_at(self, host, command, cwd=None, status=(0,)):
        n = self.nodes[host]
        command = command.replace("/mnt/gw2/var/spool/postern", self.nodes["gw2"].path("spool"))
        if "scp" not in command:
            command = command.replace("/etc/postern", n.etc())
        # In front of a colon it is another host's, which scp knows.
        command = re.sub(r"(?<![:\w])/root/", n.etc() + "/" if "scp" not in command else self.nodes["ops"].etc() + "/", command)
        path = ":".join((self.first.path("bin", host), self.first.path("bin"), os.environ["PATH"]))
        r = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=cwd, env={**os.environ, "PATH": path})
        self.assertIn(r.returncode, status, command + "\n" + r.stdout + r.stderr)
        return r.stdout + r.stderr

    def test_step_by_step(self):
        for name in ("gw1", "gw2", "gw3"):
            self.nodes[name].start_postern()
        said = ""
        for block in self.blocks("sh"):
            for line in block.splitlines():
                host, command = re.fullmatch(r"(\w+)# (.*)", line).groups()
                if command == "postern drain --to gw1":
                    for i in range(3):
                        self.assertEqual(self.nodes["gw2"].send("b@partner.lab", subject="handed %d" % i)[0], 250)
                if "spool adopt" in command:
                    self.assertEqual(self.nodes["gw2"].send("b@partner.lab", subject="adopted")[0], 250)
                    self.nodes["gw2"].kill_postern()
                # What a dead gw2 has to say is nothing: it is asked before it is killed.
                said += self.run_at(host, command)
        self.assertIn("3 messages handed over to gw1; the queue is empty", said)
        self.assertIn("its messages are in the queue here", said)
        for name in ("gw1", "gw3"):
            n = self.nodes[name]
            self.assertEqual(n.status()["node_number"], int(name[2]))
            self.assertEqual(open_and_read(n.etc("keys/dkim.pem")), "a key\n")
            self.assertEqual(n.send("b@partner.lab", subject="forbidden")[0], 550)
        self.assertEqual(len([l for l in said.splitlines() if re.match(r"gw\d +\d .* well$", l)]), 3, said)
        self.nodes["gw1"].tool("queue", "retry", "all", "--yes")
        self.mx.wait(4)
        self.nodes["gw1"].queue_empty()
        self.assertEqual(sorted(re.search(rb"Subject: (.*)\r", m[2]).group(1) for m in self.mx.messages),
                         [b"adopted", b"handed 0", b"handed 1", b"handed 2"])

    def test_git(self):
        gw3, up = self.nodes["gw3"], self.first.path("upstream")
        git = lambda *args, cwd=up, **kw: subprocess.run(
            ["git", "-c", "user.name=ops", "-c", "user.email=ops@example.lab", "-c", "commit.gpgsign=false", *args],
            cwd=cwd, capture_output=True, text=True, **kw)
        os.makedirs(up)
        git("init", "-q", "-b", "main", check=True)
        write = lambda text: (self.first.write("upstream/policy.d/10-test.yaml", text), git("add", "-A", check=True),
                              git("commit", "-qm", "policy", check=True))
        for f in ("postern.yaml",):
            self.first.write("upstream/" + f, open_and_read(gw3.etc(f)))
        write("version: 1\n")
        os.unlink(gw3.etc("policy.d/10-test.yaml"))
        os.unlink(gw3.etc("postern.yaml"))
        git("init", "-q", "-b", "main", cwd=gw3.etc(), check=True)
        git("remote", "add", "origin", up, cwd=gw3.etc(), check=True)
        git("pull", "-q", "origin", "main", cwd=gw3.etc(), check=True)
        hook = gw3.etc(".git/hooks/post-merge")
        with open(hook, "w") as f:
            f.write(self.blocks("sh hook")[0])
        os.chmod(hook, 0o755)
        gw3.start_postern()
        pull = "git pull -q --ff-only origin main"
        write("version: 1\nrules:\n  - {id: no, when: {subject: {words: [wrong]}}, then: {rejct: x}}\n")
        self.assertIn("rejct", self.run_at("gw3", pull, cwd=gw3.etc(), status=(0, 1)))
        self.assertEqual(open_and_read(gw3.etc("policy.d/10-test.yaml")), "version: 1\n")
        self.assertEqual(gw3.send("b@partner.lab", subject="wrong")[0], 250)
        write("version: 1\nrules:\n  - {id: no, when: {subject: {words: [wrong]}}, then: {reject: \"5.7.1 x\"}}\n")
        self.assertIn("reloaded", self.run_at("gw3", pull, cwd=gw3.etc()))
        self.assertEqual(gw3.send("b@partner.lab", subject="wrong")[0], 550)
        self.assertIn("kept with git", gw3.tool("bundle", "check", self.bundle(gw3), check=False).stderr)

    def bundle(self, node):
        """One that is in order, for a node that takes none."""
        out = node.path("x.bundle")
        node.tool("bundle", "keygen", node.path("x"))
        node.write("etc/bundle.pub", open_and_read(node.path("x.pub")))
        r = node.tool("bundle", "make", "--key", node.path("x.key"), "-o", out, check=False)
        self.assertEqual(r.returncode, 0, r.stderr)
        return out


def open_and_read(path):
    with open(path) as f:
        return f.read()


if __name__ == "__main__":
    unittest.main()
