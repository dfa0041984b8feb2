"""docs/CAPABILITIES.md names tests that exist, and every capability once."""
import os
import re
import unittest

import lab


def asked():
    """The numbers of the five source documents."""
    for letter, last, gaps in (("A", 16, ()), ("B", 4, ()), ("C", 18, (17,)), ("D", 17, ()), ("E", 21, (20,))):
        yield from (letter + str(n) for n in range(1, last + 1) if n not in gaps)


class Capabilities(unittest.TestCase):
    def rows(self):
        with open(os.path.join(lab.ROOT, "docs", "CAPABILITIES.md")) as f:
            for line in f:
                m = re.match(r"\| ([A-E]\d[^|]*) \| ([^|]*) \| ([^|]*) \|", line)
                if m:
                    yield m.groups()

    def test_every_capability_once(self):
        got = []
        for numbers, _, _ in self.rows():
            for part in numbers.split(", "):
                a, _, b = part.partition("-")
                got += [a[0] + str(n) for n in range(int(a[1:]), int((b or a)[1:]) + 1)]
        self.assertEqual(sorted(got), sorted(asked()))

    def test_the_tests_are_there(self):
        n = 0
        for numbers, _, tests in self.rows():
            file = None
            self.assertTrue(tests.startswith("- ") or tests == "-" or "`test_" in tests, numbers)
            for name in re.findall(r"`([^`]*test_[^`]*)`", tests):
                file, _, func = (name if not name.startswith("::") else file + name).partition("::")
                folder = "unit" if file.endswith(".c") else "integration"
                path = os.path.join(lab.ROOT, "tests", folder, file)
                self.assertTrue(os.path.exists(path), (numbers, file))
                if func:
                    with open(path) as f:
                        self.assertIn("def %s(" % func, f.read(), numbers)
                n += 1
        self.assertGreater(n, 50)


if __name__ == "__main__":
    unittest.main()
