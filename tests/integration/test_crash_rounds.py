"""The short form of `make crash`: some rounds of SIGKILL at random moments under load."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "crash"))
import crash  # noqa: E402


class Rounds(unittest.TestCase):
    def test_rounds(self):
        r = crash.Crash(int(os.environ.get("CRASH_ROUNDS", "15")), say=lambda s: print(s, flush=True)).run()
        self.assertGreater(r["acked"], 0)
        self.assertEqual(r["unacked"], 0, "every message was acknowledged in the end")
        self.assertEqual(r["lost"], [])
        self.assertEqual(r["strange"], [], "duplicates without a cause")
        self.assertEqual(r["damage"], [], "a torn write is no damage")


if __name__ == "__main__":
    unittest.main()
