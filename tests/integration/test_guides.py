"""docs/guides: what they say is done. Commands (sh) run beside a gateway, a Postfix and a firewall; fragments of
configuration (yaml) and of policy (yaml policy) load; what is for Exchange and Domino (text snippet=KIND, powershell) is
what `postern snippet` writes; and both languages show the same."""
import glob
import os
import re
import shlex
import shutil
import subprocess
import unittest

import lab
import yaml as pyyaml

TOOL = os.path.join(lab.BUILD, "postern")
GUIDES = sorted(os.path.basename(p) for p in glob.glob(os.path.join(lab.ROOT, "docs/guides/en/*.md")))
PARTS = {"en": ["What you need", "Steps", "Check that it works", "When it does not", "How to go back"],
         "fr": ["Ce qu'il vous faut", "Étapes", "Vérifier", "Si cela ne marche pas", "Revenir en arrière"]}
KINDS = ("sh", "yaml", "yaml policy", "text snippet=", "text sendmail.mc", "powershell")    # "sh postfix": test_milter_guide


def read(*path):
    with open(os.path.join(lab.ROOT, *path)) as f:
        return f.read()


def blocks(text):
    """(kind, text) of each fenced block, in order."""
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", text, re.M | re.S)


class Written(unittest.TestCase):
    def test_both_languages(self):
        self.assertEqual(GUIDES, sorted(os.path.basename(p) for p in glob.glob(os.path.join(lab.ROOT, "docs/guides/fr/*.md"))))
        self.assertGreaterEqual(set(GUIDES), {"exchange.md", "exchange-2003-5.5.md", "domino.md", "postfix.md", "firewall.md",
                                              "migration.md"})
        for name in GUIDES:
            texts = {lang: read("docs/guides", lang, name) for lang in PARTS}
            self.assertEqual(blocks(texts["en"]), blocks(texts["fr"]), name)
            for lang, text in texts.items():
                self.assertEqual(re.findall(r"^## (.*)", text, re.M), PARTS[lang], name)
                for kind, _ in blocks(text):
                    self.assertTrue(kind.startswith(KINDS), (name, kind))
                for target in re.findall(r"\]\(([^)#:]+)", text):
                    self.assertTrue(os.path.exists(os.path.join(lab.ROOT, "docs/guides", lang, target)), (name, target))
            # What stands between backticks are names: the same ones.
            self.assertEqual(*(sorted(re.findall(r"`[^`\n]+`", re.sub(r"^```.*?^```$", "", t, flags=re.M | re.S))) for t in texts.values()))

    def test_commands_exist(self):
        """`postern X` anywhere in the texts is a command, and has the options that stand behind it."""
        n, helps = 0, {}
        for path in ["README.md", *sorted(glob.glob("docs/*.md", root_dir=lab.ROOT)),
                     *sorted(glob.glob("docs/guides/*/*.md", root_dir=lab.ROOT))]:
            for command, rest in re.findall(r"`(?:sudo )?postern (?:--json )?([a-z][a-z-]*)([^`]*)`", read(path)):
                if command not in helps:
                    helps[command] = subprocess.run([TOOL, "help", command], capture_output=True, text=True)
                r = helps[command]
                self.assertEqual(r.returncode, 0, "%s: postern %s" % (path, command))
                for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest):
                    self.assertIn(option, r.stdout + "--json --help", "%s: postern %s" % (path, command))
                n += 1
        self.assertGreater(n, 100)


class Done(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("guides")
        self.addCleanup(self.lab.close)

    def base(self):
        self.lab.config(hostname="gw1.example.org", delivery={"source": ["192.0.2.20"]})
        with open(self.lab.path("postern.yaml")) as f:
            return pyyaml.safe_load(f)

    def check(self, what):
        r = self.lab.tool("check", check=False)
        self.assertEqual(r.returncode, 0, what + "\n" + r.stdout + r.stderr)

    def test_fragments_load(self):
        n = 0
        for name in GUIDES:
            for kind, text in blocks(read("docs/guides/en", name)):
                if not kind.startswith("yaml"):
                    continue
                base = self.base()
                if kind == "yaml":
                    self.lab.write("postern.yaml", pyyaml.safe_dump({**base, **pyyaml.safe_load(text)}))
                else:
                    self.lab.policy(text)
                self.check(name + "\n" + text)
                self.lab.policy("version: 1\n")
                n += 1
        self.assertGreater(n, 6)

    def test_snippets(self):
        said = {}
        for name in GUIDES:
            found = blocks(read("docs/guides/en", name))
            fragment = [pyyaml.safe_load(text) for kind, text in found if kind == "yaml"]
            for kind, text in found:
                if kind.startswith("text snippet="):
                    which = kind.partition("=")[2]
                    self.lab.write("postern.yaml", pyyaml.safe_dump({**self.base(), **fragment[-1]}))
                    said[which] = self.lab.tool("snippet", which)
                    for line in text.splitlines():
                        self.assertIn(line.removesuffix(" `").strip(), said[which], name)
                    self.assertIn("postern snippet " + which, [t.strip() for k, t in found if k == "sh"])
        self.assertEqual(set(said), {"exchange", "exchange2003", "exchange55", "domino"})
        for kind, text in blocks(read("docs/guides/en/exchange.md")):
            if kind == "powershell":
                for connector in re.findall(r'Connector "([^"]+)"', text):
                    self.assertIn('-Name "%s"' % connector, said["exchange"])

    def test_commands_run(self):
        """Each guide from its first line to its last, with the addresses and folders of this laboratory."""
        mx = self.lab.mx()
        self.lab.dns({"partner.example": ["@ MX 10 mx", "mx A 127.0.0.1"], "example.org": ["@ MX 10 gw1", "gw1 A 127.0.0.1"]})
        self.lab.config(hostname="gw1.example.org", networks={"exchange": ["127.0.0.1", "10.1.2.3"]}, listeners=[
            {"name": "smart-host", "address": "127.0.0.1:%d" % self.lab.ports.setdefault("smtp", lab.free_port()),
             "direction": "outbound", "allow": ["network:exchange"]},
            {"name": "internet", "address": "127.0.0.1:%d" % lab.free_port(), "direction": "inbound"}],
            domains={"example.org": {"deliver_to": ["127.0.0.1:%d" % mx.port], "recipients": "callout"}},
            delivery={"source": ["127.0.0.1"], "port": mx.port, "routes": {"behind.example": ["10.1.2.3:25"]}}, doctor={"blocklists": []})
        shutil.rmtree(self.lab.path("policy.d"))
        shutil.copytree(os.path.join(lab.ROOT, "etc/policy.d"), self.lab.path("policy.d"))
        self.lab.start_postern()
        self.assertEqual(self.lab.send("bob@partner.example", sender="alice@example.org")[0], 250)
        mx.wait(1)
        postfix = os.path.join(self.lab.path("behind"), "conf")
        self.lab.postfix("behind", {})
        bin = self.lab.path("bin")
        os.chmod(self.lab.write("bin/postern", "#!/bin/sh\nexec %s -c %s \"$@\"\n" % (
            shlex.quote(TOOL), shlex.quote(self.lab.path("postern.yaml")))), 0o755)
        env = {**os.environ, "PATH": "%s:/usr/sbin:%s" % (bin, os.environ["PATH"]), "MAIL_CONFIG": postfix}
        work = self.lab.path("work")
        os.makedirs(work)
        ran = []
        for name in [*GUIDES, "README.md"]:
            rules = []
            for kind, text in blocks(read("docs/guides/en", name) if name in GUIDES else self.asks(read(name))):
                if kind != "sh":
                    continue
                for line in text.splitlines():
                    line = (line.replace("probe 10.1.2.3 25", "probe 127.0.0.1 %d" % mx.port).replace("/etc/postfix", postfix)
                            .replace("postmap -q 192.0.2.20", "postmap -q 127.0.0.1")
                            .replace("[gw1.example.org]:8025", "[127.0.0.1]:%d" % self.lab.ports["smtp"]))
                    if line in ran and re.match(r"postern [^>]*$", line):
                        continue        # two guides ask the same
                    ran.append(line)
                    if line.startswith("nft "):
                        rules.append(line)
                        continue
                    r = subprocess.run(["sh", "-c", line], capture_output=True, text=True, cwd=work, env=env, timeout=lab.DEADLINE)
                    findings = re.match(r"postern (doctor|import|dns check|trace|status|probe|recipients|simulate) ?", line)
                    self.assertIn(r.returncode, (0, 1) if findings else (0,), "%s: %s\n%s%s" % (name, line, r.stdout, r.stderr))
                    self.said(name, line, r.stdout)
            if rules:           # in a network of their own, so that this machine's is not touched
                r = subprocess.run(["unshare", "-n", "sh", "-ec", "\n".join(rules)], capture_output=True, text=True, cwd=work, env=env)
                self.assertEqual(r.returncode, 0, name + r.stderr)
                self.assertIn("table inet postern_mail", r.stdout)
        self.assertGreater(len(ran), 35)

    def asks(self, text):
        """A page with make, apt and init in its blocks, which others run: what asks a daemon that is there."""
        return re.sub(r"^(?!```|postern ).*\n", "", re.sub(r"\A.*?(?=^```sh\nmake && make deb)", "", text, flags=re.M | re.S), flags=re.M)

    def said(self, name, line, text):
        """What a guide promises of an answer."""
        for command, words in (("postern simulate --client 10.1.2.3", "250"), ("postern simulate --client 198", "554 5.7.1"),
                               ("postern trace", "bob@partner.example"), ("postern recipients", "alice@example.org"),
                               ("postconf -h relayhost", "127.0.0.1"), ("postmap", "permit"), ("postern dns plan", "MX")):
            if line.startswith(command):
                self.assertIn(words, text, name + ": " + line)


if __name__ == "__main__":
    unittest.main()
