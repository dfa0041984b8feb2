"""The policy language as others see it: its JSON Schema, its manual, the policies that come with the program."""
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import jsonschema
import yaml

import lab

POSTERN = os.path.join(lab.BUILD, "postern")


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, cwd=lab.ROOT)


class Core(yaml.SafeLoader):
    """As editors read YAML: truths and numbers, but no dates, and `yes` is a word (YAML 1.2)."""


Core.yaml_implicit_resolvers = {}
Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))
Core.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(?:null|~|)$"), ["n", "~", ""])
Core.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("^-?[1-9][0-9]*$|^0$"), list("-0123456789"))
Core.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^-?[0-9]+\.[0-9]+$"), list("-0123456789"))
LOADERS = [yaml.BaseLoader, Core]       # the first: every scalar is text, as in the language


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def corpus():
    for path in sorted(glob.glob(os.path.join(lab.ROOT, "tests/corpus/policy/*.yaml"))):
        yield path, read(path[:-5] + ".expect")


class Schema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.schemas = {}
        for name, argv in (("policy", []), ("tests", ["--tests"])):
            r = run(POSTERN, "policy", "schema", *argv)
            assert r.returncode == 0, r.stderr
            schema = json.loads(r.stdout)
            jsonschema.Draft7Validator.check_schema(schema)
            cls.schemas[name] = jsonschema.Draft7Validator(schema)

    def errors(self, path, kind="policy", loader=yaml.BaseLoader):
        data = yaml.load(read(path), loader) or {}
        return [e.message for e in self.schemas[kind].iter_errors(data)]

    def test_what_comes_with_the_program_fits(self):
        policies = [p for d in ("etc/policy.d", "tests/policies/*") for p in glob.glob(os.path.join(lab.ROOT, d, "*.yaml"))]
        tests = [p for d in ("etc/policy.d", "tests/policies/*")
                 for p in glob.glob(os.path.join(lab.ROOT, d, "tests", "*.test.yaml"))]
        self.assertGreater(len(policies), 5)
        self.assertGreater(len(tests), 2)
        for kind, paths in (("policy", policies), ("tests", tests)):
            for path in paths:
                for loader in LOADERS:
                    self.assertEqual(self.errors(path, kind, loader), [], path)

    def test_what_the_program_accepts_fits(self):
        n = 0
        for path, expect in corpus():
            if "error: " in expect:
                continue
            for loader in LOADERS:
                self.assertEqual(self.errors(path, loader=loader), [], path)
            n += 1
        self.assertGreater(n, 30)

    # Broken in their structure: besides these every unknown key.
    STRUCTURE = ["attachment-key", "date-form", "empty-shape", "finds-count", "hold-without-for", "id-missing", "mode",
                 "not-a-map", "rules-map", "severity", "text-bare", "then-missing", "tls-name", "direction", "spam-score",
                 "discard-false", "exception-undated", "spam-profile-partial", "spam-profile-action", "spam-source"]

    def test_what_is_broken_in_its_structure_does_not(self):
        n = 0
        for path, expect in corpus():
            name = os.path.basename(path)[:-5]
            if name not in self.STRUCTURE and "error: unknown key `" not in expect:
                continue
            self.assertNotEqual(self.errors(path), [], path)
            n += 1
        self.assertGreater(n, 25)

    def test_help_and_defaults_are_in_it(self):
        rule = self.schemas["policy"].schema["definitions"]["RULE"]
        self.assertEqual(rule["properties"]["mode"]["default"], "enforce")
        self.assertIn("shadow", rule["properties"]["mode"]["description"])
        self.assertEqual(rule["required"], ["id", "then"])


class Shipped(unittest.TestCase):
    def setUp(self):
        self.made = tempfile.TemporaryDirectory()
        self.addCleanup(self.made.cleanup)

    def test_policies_pass_their_tests(self):
        for folder in ("etc/policy.d", *sorted(glob.glob("tests/policies/*", root_dir=lab.ROOT))):
            copy = os.path.join(self.made.name, os.path.basename(folder))
            shutil.copytree(os.path.join(lab.ROOT, folder), copy)
            for export in glob.glob(os.path.join(copy, "edm", "*.csv")):    # a key in git would be everybody's
                r = run(POSTERN, "edm", "build", export, export[:-4] + ".idx", "--columns", export[:-4] + ".yaml")
                self.assertEqual(r.returncode, 0, r.stderr)
            tests = sorted(glob.glob(os.path.join(copy, "tests", "*.test.yaml")))
            self.assertTrue(tests, folder)
            r = run(POSTERN, "-c", "/nonexistent", "test", *tests)
            self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
            self.assertRegex(r.stdout, r"(?m)^[1-9][0-9]* passed, 0 failed$")


class Manual(unittest.TestCase):
    def test_the_page_is_clean(self):
        page = os.path.join(lab.BUILD, "docs", "postern-policy.5")
        r = run("mandoc", "-Tlint", "-Wstyle", page)
        self.assertEqual((r.returncode, r.stdout + r.stderr), (0, ""))
        text = run("sh", "-c", "mandoc -Tutf8 %s | col -bx" % page).stdout
        for word in ("to_all", "require_tls", "payment-card", "boundary-duplicate", "on_unscannable", "$filenames"):
            self.assertIn(word, text)


if __name__ == "__main__":
    unittest.main()
