"""The manual pages: whole, clean, and what they say of keys and commands is what the program knows."""
import glob
import os
import re
import subprocess
import unittest

import lab

MAN = os.path.join(lab.BUILD, "docs")


def read(path):
    with open(os.path.join(lab.ROOT, path)) as f:
        return f.read()


def accepted():
    """What the parser accepts: the list of keys at each call of conf_check_keys, as (place, keys)."""
    retry = re.search(r"#define RETRY_TABLE\(X\)(.*?)\nenum", read("relay/queue/retry.h"), re.S).group(1)
    retention = re.search(r"#define RETENTIONS\(X\)(.*?)\n#define", read("relay/master/config.h"), re.S).group(1)
    made = {"read_retry": re.findall(r'X\(\w+, "(\w+)"', retry), "read_retention": re.findall(r'X\(\w+, "(\w+)"', retention)}
    for path in sorted(glob.glob("relay/**/*.c", recursive=True, root_dir=lab.ROOT)):
        text = read(path)
        for call in re.finditer(r"conf_check_keys\(([^;]*)\);", text):
            before = text[:call.start()]
            arrays = {}
            for name, keys in re.findall(r"static const char \*const (\w+)\[\] = \{([^}]*)\}", before):
                arrays[name] = re.findall(r'"(\w+)"', keys)     # the last one of a name is the one in scope
            function = re.findall(r"^(\w+)\(", before, re.M)[-1]
            last = call.group(1).split(",")[-1]
            names = re.findall(r"\w+", last.split("?")[-1])
            for name in names:
                yield path + ": " + " ".join(call.group(1).split()), frozenset(made.get(function) or arrays[name])


def page(name):
    with open(os.path.join(MAN, name)) as f:
        return f.read()


class Manuals(unittest.TestCase):
    def test_clean(self):
        sources = [os.path.basename(p) for p in glob.glob(os.path.join(lab.ROOT, "docs/*.[158]"))]
        self.assertGreaterEqual(set(sources), {"postern.1", "posternd.8", "postern-ocr.8", "postern.yaml.5",
                                               "postern-policy.5", "postern-spool.5"})
        for name in sorted(sources):
            r = subprocess.run(["mandoc", "-Tlint", "-Wstyle", os.path.join(MAN, name)], capture_output=True, text=True)
            # Which other pages are installed here, and whether that is in a database, says nothing of ours.
            self.assertEqual([l for l in (r.stdout + r.stderr).splitlines()
                              if "referenced manual not found" not in l and "mandoc.db" not in l], [])
            self.assertNotIn("TABLE", page(name))

    def test_they_name_each_other(self):
        """Whoever is named as a page of ours is one."""
        ours = {os.path.basename(p) for p in glob.glob(os.path.join(lab.ROOT, "docs/*.[158]"))}
        for name in ours:
            for other, section in re.findall(r"^\.Xr (postern\S*) (\d)", page(name), re.M):
                self.assertIn("%s.%s" % (other, section), ours, name)

    def test_every_key(self):
        sections, section = {}, None
        for line in page("postern.yaml.5").splitlines():
            if line.startswith(".Ss "):
                section = sections.setdefault(line[4:].removesuffix("\\&"), [])
            elif line.startswith(".Sh "):
                section = None
            elif line.startswith(".It Cm ") and section is not None:
                section.append(line[7:])
        for name, keys in sections.items():
            self.assertEqual(len(keys), len(set(keys)), name)
        shown = {frozenset(keys): name for name, keys in sections.items()}
        parsed = list(accepted())
        self.assertGreater(len(parsed), 50)
        for place, keys in parsed:
            self.assertIn(keys, shown, "%s accepts %s: no section of docs/config_keys.c has just these" % (place, sorted(keys)))
        known = {keys for place, keys in parsed}
        for keys, name in shown.items():
            self.assertIn(keys, known, "docs/config_keys.c has a section %s that no parser knows" % name)

    def test_every_command(self):
        text = page("postern.1")
        listed = re.findall(r"^\.It Ic (\S+)$", text, re.M)
        said = subprocess.run([os.path.join(lab.BUILD, "postern"), "help"], capture_output=True, text=True).stdout
        self.assertEqual(listed, re.findall(r"^  ([a-z][a-z-]*) ", said, re.M))
        # Each option that a usage names stands on the page.
        rendered = subprocess.run("mandoc -Tutf8 -Owidth=140 %s | col -bx" % os.path.join(MAN, "postern.1"), shell=True,
                                  capture_output=True, text=True).stdout
        for name in listed:
            usage = subprocess.run([os.path.join(lab.BUILD, "postern"), "help", name], capture_output=True, text=True).stdout
            for option in re.findall(r"--[a-z-]+", usage):
                self.assertIn(option, rendered, name)


if __name__ == "__main__":
    unittest.main()
