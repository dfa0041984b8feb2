"""What shells offer for postern, asked of the shells themselves."""
import os
import re
import subprocess
import tempfile
import unittest

import lab

FOLDER = os.path.join(lab.BUILD, "completion")
TOOL = os.path.join(lab.BUILD, "postern")


def commands():
    r = subprocess.run([TOOL, "help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"^  ([a-z][a-z-]*) ", r.stdout, re.M))


class Cases:
    """Each shell's offers(words, current) is a set; words: those before the one that is begun."""

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix="postern-completion-")
        self.addCleanup(self.dir.cleanup)
        with open(os.path.join(self.dir.name, "mail.eml"), "w"):
            pass

    def run_in(self, *argv):
        r = subprocess.run(argv, capture_output=True, text=True, cwd=self.dir.name, stdin=subprocess.DEVNULL,
                           env={**os.environ, "HOME": self.dir.name, "XDG_CONFIG_HOME": self.dir.name, "LC_ALL": "C.UTF-8"})
        self.assertEqual((r.returncode, r.stderr), (0, ""), argv)
        return set(l.split("\t")[0] for l in r.stdout.splitlines() if l.strip())

    def test_commands(self):
        self.assertTrue(commands() <= self.offers([], ""), commands() - self.offers([], ""))
        self.assertEqual(self.offers([], "dir"), {"directory"})
        self.assertEqual(self.offers(["-c", "mail.eml"], "directo"), {"directory"})

    def test_words(self):
        self.assertTrue({"list", "show", "promote"} <= self.offers(["policy"], ""))
        self.assertTrue({"retry", "release"} <= self.offers(["queue"], "re"))
        self.assertNotIn("show", self.offers(["queue"], "re"))
        self.assertNotIn("list", self.offers(["policy", "list"], "li"))

    def test_options(self):
        self.assertTrue({"--yes", "--folder", "--mailboxes"} <= self.offers(["init"], "--"))
        self.assertNotIn("--mailboxes", self.offers(["doctor"], "--"))
        self.assertEqual(self.offers(["doctor"], "--out"), {"--outward"})

    def test_values(self):
        self.assertEqual(self.offers(["init", "--language"], ""), {"en", "fr"})
        self.assertEqual(self.offers(["queue", "--by"], "s"), {"site", "sender"})

    def test_files(self):
        self.assertEqual(self.offers(["explain"], "mai"), {"mail.eml"})
        self.assertEqual(self.offers(["restore", "--key"], "mai"), {"mail.eml"})


class Bash(Cases, unittest.TestCase):
    def offers(self, words, current):
        line = ["postern", *words, current]
        return self.run_in("bash", "--norc", "-c", 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _postern; printf "%s\\n" "${COMPREPLY[@]}"',
                           "x", os.path.join(FOLDER, "bash"), *line)

    def test_registered(self):
        self.assertEqual(len(self.run_in("bash", "--norc", "-c", 'source "$1"; complete -p postern', "x", os.path.join(FOLDER, "bash"))), 1)


class Fish(Cases, unittest.TestCase):
    def offers(self, words, current):
        return self.run_in("fish", "--no-config", "-c", 'source $argv[1]; complete -C "$argv[2]"', os.path.join(FOLDER, "fish"),
                           " ".join(["postern", *words, current]))


class Zsh(Cases, unittest.TestCase):
    """The function as the shell calls it; what it hands to the editor is printed, and the editor's own choice is ours to make."""

    def offers(self, words, current):
        stubs = ('compadd() { shift; print -l -- $@ }; _describe() { print -l -- ${(@P)2%%:*} }; _files() { print -l -- *(N) }; '
                 'script=$1; shift; words=("$@"); CURRENT=$#; source $script')
        got = self.run_in("zsh", "-f", "-c", stubs, "x", os.path.join(FOLDER, "zsh"), "postern", *words, current)
        return {w for w in got if w.startswith(current)}

    def test_registered(self):
        with open(os.path.join(FOLDER, "zsh")) as f:
            self.assertEqual(f.readline(), "#compdef postern\n")


if __name__ == "__main__":
    unittest.main()
