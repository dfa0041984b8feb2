"""The first hour: `postern init` on an empty folder, a first message, and what the doctor says of it."""
import json
import os
import socket
import stat
import subprocess
import unittest

import lab
import yaml as pyyaml

TOOL = os.path.join(lab.BUILD, "postern")


class Init(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("init")
        self.addCleanup(self.lab.close)
        self.folder = self.lab.path("etc")

    def run_init(self, *args, answers=None, env=None):
        return subprocess.run([TOOL, "init", "--folder", self.folder, "--state", self.lab.path("var"), *args],
                              input=answers, stdin=subprocess.DEVNULL if answers is None else None,
                              capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})})

    def tool(self, *args):
        return subprocess.run([TOOL, "-c", os.path.join(self.folder, "postern.yaml"), *args], capture_output=True, text=True)

    def read(self, name="postern.yaml"):
        with open(os.path.join(self.folder, name)) as f:
            return f.read()

    def conf(self):
        return pyyaml.safe_load(self.read())

    def test_first_message(self):
        """--yes, nothing else: what it writes holds, starts, takes a message from loopback and delivers it."""
        mx = self.lab.mx()
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        port = self.lab.ports["smtp"] = lab.free_port()
        r = self.run_init("--yes", "--domain", "none", "--listen", "127.0.0.1:%d" % port)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertIn("doctor", r.stdout)
        r = self.tool("check")
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        # A laboratory has a DNS of its own, and its mail servers are not on port 25. No other line is touched.
        text = self.read().replace("delivery: {", "delivery: {port: %d, " % mx.port)
        self.assertIn("port: %d" % mx.port, text)
        text += 'dns: {servers: ["127.0.0.1:%d"]}\n' % self.lab.ports["dns"]
        with open(os.path.join(self.folder, "postern.yaml"), "w") as f:
            f.write(text)
        self.lab.daemon = lab.Proc([os.path.join(lab.BUILD, "posternd"), "-f", "-c", os.path.join(self.folder, "postern.yaml")],
                                   self.lab.path("posternd.log"))

        def running():
            if self.lab.daemon.poll() is not None:
                raise lab.LabError(lab.tail(self.lab.daemon.log))
            r = self.tool("--json", "status")
            return r.stdout and json.loads(r.stdout).get("state") == "running"
        lab.wait_for(running, because="the first start")
        code, text = self.lab.send("k.martin@partner.lab", subject="first")
        self.assertEqual(code, 250, text)
        self.assertIn(b"Subject: first", mx.wait(1)[0][2])
        # The certificate is offered, and is for our name.
        with self.lab.smtp() as s:
            s.ehlo()
            self.assertTrue(s.has_extn("starttls"))
            self.assertEqual(s.starttls()[0], 220)
        said = {}
        for l in self.tool("--json", "doctor").stdout.splitlines():
            l = json.loads(l)
            said.setdefault(l["topic"], []).append(l)
        for topic in ("daemon", "listener", "secret", "libraries", "disk"):
            self.assertEqual({l["verdict"] for l in said[topic]}, {"ok"}, said[topic])
        self.assertEqual([l["verdict"] for l in said["outward"]], ["note"])    # nobody asked for it
        self.assertEqual(said["policy"][0]["verdict"], "note")      # no domains yet: `our-domains` is empty
        self.assertRegex(said["policy"][0]["detail"], r"[0-9]+ warnings, the first: ")
        self.assertTrue(all(l["remedy"] for ls in said.values() for l in ls if l["verdict"] != "ok"), said)

    def test_secrets_are_closed(self):
        r = self.run_init("--yes", "--domain", "example.lab", "--hostname", "gw.example.lab")
        self.assertEqual(r.returncode, 0, r.stderr)
        secrets = [f for f in subprocess.run(["find", self.folder, "-name", "*.key", "-o", "-path", "*/keys/*.pem"],
                                             capture_output=True, text=True).stdout.split()]
        self.assertEqual(len(secrets), 3, secrets)           # of TLS, and DKIM's RSA and Ed25519
        for f in secrets:
            self.assertEqual(stat.S_IMODE(os.stat(f).st_mode), 0o600, f)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.folder, "keys")).st_mode), 0o700)
        out = subprocess.run(["openssl", "x509", "-in", os.path.join(self.folder, "tls/gw.example.lab.pem"), "-noout",
                              "-ext", "subjectAltName", "-checkend", str(86400 * 3000)], capture_output=True, text=True)
        self.assertEqual(out.returncode, 0, out.stdout)
        self.assertIn("DNS:gw.example.lab", out.stdout)
        self.assertIn("_domainkey.example.lab", self.tool("dkim", "show").stdout)
        os.chmod(secrets[0], 0o644)
        d = [json.loads(l) for l in self.tool("--json", "doctor").stdout.splitlines()]
        bad = [l for l in d if l["topic"] == "secret"]
        self.assertEqual([(l["verdict"], secrets[0] in l["detail"]) for l in bad], [("wrong", True)])
        self.assertIn("chmod 600", bad[0]["remedy"])

    def test_options(self):
        r = self.run_init("--yes", "--hostname", "GW.Example.lab", "--domain", "example.lab,example.net", "--domain", "third.lab",
                          "--network", "10.1.2.3 10.2.0.0/16", "--mailboxes", "10.1.2.3:2525", "--address", "192.0.2.20",
                          "--admin", "boss@example.lab", "--language", "fr")
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertIn("Et maintenant", r.stdout)
        c = self.conf()
        self.assertEqual(c["hostname"], "gw.example.lab")
        self.assertEqual(list(c["domains"]), ["example.lab", "example.net", "third.lab"])
        self.assertEqual(c["domains"]["third.lab"]["deliver_to"], ["10.1.2.3:2525"])
        self.assertEqual(c["networks"]["internal"], ["10.1.2.3", "10.2.0.0/16"])
        self.assertEqual(c["public_addresses"], ["192.0.2.20"])
        self.assertEqual(c["listeners"][0]["address"], "0.0.0.0:8025")
        self.assertIn("écrit par", self.read())
        base = pyyaml.safe_load(self.read("policy.d/10-base.yaml"))
        self.assertEqual(base["groups"]["dpo"], ["boss@example.lab"])
        self.assertEqual(base["defaults"]["contact"], "boss@example.lab")
        self.assertIn("postern/inbound", base["use"])
        r = self.tool("check")
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)

    def test_wrong_options(self):
        for args, said in ((["--domain", "a b..c"], "no domain name"), (["--network", "10.0.0.1/8"], "no address or network"),
                           (["--admin", "nobody"], "no mail address"), (["--admin", 'x"y@example.lab'], "no mail address"),
                           (["--language", "de"], "en or fr"), (["--listen", "8025"], "--listen"),
                           (["--certificate", "/x.pem"], "go together"), (["--bogus", "x"], "usage: postern init"), (["--hostname"], "usage")):
            r = self.run_init("--yes", *args)
            self.assertEqual(r.returncode, 2, args)
            self.assertIn(said, r.stderr)
        self.assertFalse(os.path.exists(self.folder))

    def test_questions(self):
        """A wrong answer is asked again; an empty one takes the default; the end of the input writes nothing."""
        answers = "en\ngw.example.lab\nexample..lab\nexample.lab\n10.1.2.3\nnone\n-\n\n"
        r = self.run_init(answers=answers)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertIn("`example..lab`: no domain name", r.stderr)
        c = self.conf()
        self.assertEqual((list(c["domains"]), c["networks"]["internal"], c["postmaster"]),
                         (["example.lab"], ["10.1.2.3"], "postmaster@example.lab"))
        self.assertNotIn("public_addresses", c)
        self.assertEqual(len(c["listeners"]), 1)
        self.folder = self.lab.path("etc2")
        r = self.run_init(answers="fr\n", env={"LANG": "fr_FR.UTF-8"})
        self.assertEqual(r.returncode, 1)
        self.assertIn("rien n'a été écrit", r.stderr)
        self.assertFalse(os.path.exists(self.folder))

    def test_language_of_the_system(self):
        r = self.run_init("--yes", "--dry-run", env={"LC_ALL": "", "LANG": "fr_FR.UTF-8"})
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("# Nos domaines", r.stdout)
        self.assertFalse(os.path.exists(self.folder))

    def test_never_overwrites(self):
        self.lab.write("etc/postern.yaml", "version: 1\n# mine\n")
        self.lab.write("etc/policy.d/10-base.yaml", "version: 1\n# mine too\n")
        r = self.run_init("--yes", "--hostname", "gw.example.lab")
        self.assertEqual(r.returncode, 1)
        self.assertIn("exists, left as it is", r.stdout)
        self.assertIn("hostname: gw.example.lab", r.stdout)      # what it would have written
        self.assertEqual(self.read(), "version: 1\n# mine\n")
        self.assertEqual(sorted(os.listdir(self.folder)), ["policy.d", "postern.yaml"])
        r = self.run_init("--yes", "--hostname", "gw.example.lab", "--json")
        got = json.loads(r.stdout)
        self.assertEqual((got["ok"], [f["state"] for f in got["files"]]), (False, ["exists"]))
        # Without a configuration of somebody's own the rest is filled in, and what is there stays.
        os.unlink(os.path.join(self.folder, "postern.yaml"))
        r = self.run_init("--yes", "--json")
        self.assertEqual(r.returncode, 0, r.stderr)
        states = {os.path.basename(f["path"]): f["state"] for f in json.loads(r.stdout)["files"]}
        self.assertEqual((states["10-base.yaml"], states["20-dlp.yaml"], states["postern.yaml"]), ("exists", "written", "written"))
        self.assertEqual(self.read("policy.d/10-base.yaml"), "version: 1\n# mine too\n")

    def test_example_of_the_package(self):
        """What the package brought is nobody's: its place is taken."""
        for name in ("postern.yaml", "policy.d/10-base.yaml"):
            with open(os.path.join(lab.ROOT, "etc", name)) as f:
                self.lab.write("etc/" + name, f.read())
        r = self.run_init("--yes", "--hostname", "gw.example.lab", "--admin", "boss@example.lab")
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        self.assertEqual(self.conf()["hostname"], "gw.example.lab")
        self.assertIn("boss@example.lab", self.read("policy.d/10-base.yaml"))

    def test_port_of_somebody_else(self):
        """A port that is taken is said, with who has it, by init and by the doctor."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            port = s.getsockname()[1]
            r = self.run_init("--yes", "--listen", "127.0.0.1:%d" % port)
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertRegex(r.stderr, r"port %d belongs to \S+ \(pid %d\)" % (port, os.getpid()))
            d = [json.loads(l) for l in self.tool("--json", "doctor").stdout.splitlines()]
            l = [l for l in d if l["topic"] == "listener"][0]
            self.assertEqual(l["verdict"], "wrong")
            self.assertIn("(pid %d)" % os.getpid(), l["detail"])


if __name__ == "__main__":
    unittest.main()
