"""docs/TROUBLESHOOTING.md: its commands exist, and the program says the words it quotes. The other texts stand as they should."""
import glob
import os
import re
import subprocess
import unittest

import lab

TOOL = os.path.join(lab.BUILD, "postern")


def read(path):
    with open(os.path.join(lab.ROOT, path)) as f:
        return f.read()


def said():
    """All string literals of the program, as they are joined when compiled."""
    text = ""
    for path in sorted(glob.glob("relay/**/*.[ch]", recursive=True, root_dir=lab.ROOT)):
        code = re.sub(r"/\*.*?\*/", "", read(path), flags=re.S)
        text += re.sub(r'"\s*\n?\s*"', "", code) + "\n"
    return text


class Texts(unittest.TestCase):
    def rows(self):
        for line in read("docs/TROUBLESHOOTING.md").splitlines():
            cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)][1:-1]
            if len(cells) == 4 and cells[2].startswith("`"):
                yield cells

    def test_words_are_the_programs(self):
        program, n = said(), 0
        for what, ask, words, do in self.rows():
            for quoted in re.findall(r"`([^`]+)`", words):
                self.assertIn(quoted.strip(), program, what)
                n += 1
        self.assertGreater(n, 30)

    def test_every_symptom_has_its_command(self):
        ask = None
        for cells in self.rows():
            ask = cells[1] or ask
            for command in re.findall(r"`postern ([a-z-]+)", ask + cells[3]):
                r = subprocess.run([TOOL, "help", command], capture_output=True, text=True)
                self.assertEqual(r.returncode, 0, command)
            self.assertIn("`postern ", ask)

    def test_glossary_in_both_languages(self):
        rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", read("docs/GLOSSARY.md"), re.M)
        self.assertGreater(len(rows), 25)
        terms = [r[0].lower() for r in rows]
        self.assertEqual(terms, sorted(set(terms)), "in order, each once")
        for term in ("dns", "a record", "mx record", "isp", "smtp"):     # those of the seed's glossary
            self.assertIn(term, terms)

    def test_every_role_has_its_row(self):
        table = re.search(r"#define ROLES\(X\)(.*?)\n\n", read("relay/ipc/role.h"), re.S).group(1)
        names = re.findall(r'X\(\w+, "(\w+)"', table)
        self.assertGreater(len(names), 8)
        for name in names:
            self.assertRegex(read("docs/SECURITY.md"), r"(?m)^\| %s \|" % name)

    def test_changelog_names_this_version(self):
        version = re.search(r"^VERSION := (\S+)", read("Makefile"), re.M).group(1)
        self.assertRegex(read("docs/CHANGELOG.md"), r"(?m)^## %s\b" % re.escape(version))


if __name__ == "__main__":
    unittest.main()
