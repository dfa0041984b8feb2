"""Archives in several attachments of one message: read where all pieces are there, else said to be incomplete.

Text lies across the cut, so that a piece alone does not show it. Sets that we write ourselves are opened by 7-Zip first.
"""
import email.message
import json
import os
import random
import struct
import subprocess
import tempfile
import unittest
import zlib

import documents as d
import lab

WORD = "Zanzibarquelle"
POLICY = r"""version: 1
use: [postern/base]
detectors:
  marker: {words: [%s]}
rules:
  - {id: seen, when: {finds: {marker: {}}}, then: {hold: {for: a@example.lab}}}
""" % WORD


def noise(n, seed=5):
    r = random.Random(seed)
    return bytes(r.randrange(33, 126) for _ in range(n))


# The middle of the word is where the second piece begins.
FIRST, SECOND = b"one file\n" + noise(990) + b" " + WORD[:7].encode(), WORD[7:].encode() + b" and on " + noise(700)
DATA = FIRST + SECOND


def rar4_volumes(between=False):
    """Two volumes, one file across them; between: each has a file of its own."""
    def block(kind, flags, body):
        raw = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(raw) & 0xffff) + raw

    def entry(name, piece, whole, flags):
        n = name.encode()
        return block(0x74, 0x8000 | flags, struct.pack("<IIBIIBBHI", len(piece), len(whole), 2, zlib.crc32(piece if flags & 2 else whole),
                                                      0x5a210000, 20, 0x30, len(n), 0x20) + n) + piece
    head = b"Rar!\x1a\x07\x00"
    if between:
        files = [entry("a.txt", b"nothing", b"nothing", 0), entry("b.txt", DATA, DATA, 0)]
    else:
        files = [entry("a.txt", FIRST, DATA, 2), entry("a.txt", SECOND, DATA, 1)]
    return [head + block(0x73, 0x111, bytes(6)) + files[0] + block(0x7b, 0x4001, b""),
            head + block(0x73, 0x11, bytes(6)) + files[1] + block(0x7b, 0x4000, b"")]


def rar5_volumes(between=False):
    def block(kind, flags, body, data=b""):
        head = d.vint(kind) + d.vint(flags) + (d.vint(len(data)) if flags & 2 else b"") + body
        head = d.vint(len(head)) + head
        return struct.pack("<I", zlib.crc32(head)) + head + data

    def entry(name, piece, whole, flags):
        n = name.encode()
        return block(2, 2 | flags, d.vint(4) + d.vint(len(whole)) + d.vint(0x20) + struct.pack(
            "<I", zlib.crc32(piece if flags & 16 else whole)) + d.vint(0) + d.vint(1) + d.vint(len(n)) + n, piece)
    head = b"Rar!\x1a\x07\x01\x00"
    if between:
        files = [entry("a.txt", b"nothing", b"nothing", 0), entry("b.txt", DATA, DATA, 0)]
    else:
        files = [entry("a.txt", FIRST, DATA, 16), entry("a.txt", SECOND, DATA, 8)]
    return [head + block(1, 0, d.vint(1)) + files[0] + block(5, 0, d.vint(1)),
            head + block(1, 0, d.vint(3) + d.vint(1)) + files[1] + block(5, 0, d.vint(0))]


def zip_volumes():
    """By Info-ZIP, whose smallest piece is 64 KiB."""
    with tempfile.TemporaryDirectory(prefix="postern-volumes-") as t:
        with open(os.path.join(t, "a.txt"), "wb") as f:
            f.write(noise(100000) + b" " + WORD.encode() + b" " + noise(60000, 6))
        with open(os.path.join(t, "b.txt"), "wb") as f:
            f.write(b"the last: " + WORD.encode())
        subprocess.run(["zip", "-q", "-0", "-s", "64k", "x.zip", "a.txt", "b.txt"], cwd=t, check=True)
        names = sorted(n for n in os.listdir(t) if n.startswith("x.z"))
        return [(n, open_(os.path.join(t, n))) for n in names]


def open_(path):
    with open(path, "rb") as f:
        return f.read()


class Volumes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("volumes")
        cls.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        cls.lab.config()
        cls.lab.policy(POLICY)

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def explain(self, files):
        m = email.message.EmailMessage()
        m["From"], m["To"], m["Subject"] = "a@example.lab", "b@partner.lab", "files"
        m.set_content("Several files.\n")
        for name, data in files:
            m.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
        path = self.lab.path("m.eml")
        with open(path, "wb") as f:
            f.write(m.as_bytes(policy=m.policy.clone(linesep="\r\n")))
        r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("postern.yaml"), "explain", path, "--json"],
                           capture_output=True, text=True, timeout=120)
        self.assertIn(r.returncode, (0, 1), r.stderr)
        out = json.loads(r.stdout)
        return any(f["detector"] == "marker" for f in out["findings"]), out["defects"], out

    def read(self, what, files):
        with self.subTest(what):
            found, defects, out = self.explain(files)
            self.assertTrue(found, out["parts"])
            self.assertEqual(defects, [], out["parts"])

    def test_rar(self):
        for version, make in ((4, rar4_volumes), (5, rar5_volumes)):
            for between in (False, True):
                one, two = make(between)
                with tempfile.TemporaryDirectory(prefix="postern-volumes-") as t:
                    for n, data in (("x.part1.rar", one), ("x.part2.rar", two)):
                        with open(os.path.join(t, n), "wb") as f:
                            f.write(data)
                    subprocess.run(["7z", "x", "-y", "-bd", "-oout", "x.part1.rar"], cwd=t, check=True, capture_output=True)
                    self.assertEqual(open_(os.path.join(t, "out", "b.txt" if between else "a.txt")), DATA)
                for names in (("x.part1.rar", "x.part2.rar"), ("X.part01.rar", "x.PART02.rar"), ("x.rar", "x.r00")):
                    both = list(zip(names, (one, two)))
                    self.read((version, between, names), both)
                    self.read((version, between, names, "turned"), both[::-1])
                    for alone in both:
                        with self.subTest((version, between, alone[0])):
                            self.assertIn("archive-split", self.explain([alone])[1])

    def test_more_pieces_than_sets(self):
        """A message may have 16 sets, but one of them more pieces, and the last of them first."""
        whole = d.rar4_of({"a.bin": random.Random(7).randbytes(8000), "b.txt": DATA})
        step = len(whole) // 24 + 1
        pieces = [("x.rar.%03d" % (i + 1), whole[i * step:(i + 1) * step]) for i in range(24)]
        self.read("24 pieces", pieces[::-1])

    def test_nothing_hides_in_a_volume(self):
        """A set whose first says that it is all there is: the second is read by itself."""
        whole, _ = d.rar4_of({"a.txt": b"nothing"}), None
        second = d.rar4_of({"b.txt": DATA})
        self.assertTrue(self.explain([("x.part1.rar", whole), ("x.part2.rar", second)])[0])
        one, two = rar4_volumes(True)
        ended = one[:-7] + d.rar4_of({})[-7:]
        for first in (whole, ended):
            found, defects, out = self.explain([("x.part1.rar", first), ("x.part2.rar", two)])
            self.assertTrue(found, out["parts"])

    def test_zip(self):
        pieces = zip_volumes()
        self.assertEqual([n for n, _ in pieces], ["x.z01", "x.z02", "x.zip"])
        self.read("zip", pieces)
        self.read("zip, turned", pieces[::-1])
        for missing in range(3):
            rest = pieces[:missing] + pieces[missing + 1:]
            with self.subTest("without " + pieces[missing][0]):
                self.assertIn("archive-split", self.explain(rest)[1])

    def test_numbered(self):
        for kind, whole in (("7z", d.sevenzip({"a.txt": DATA}, "-mx0")), ("zip", d.zip_of({"a.txt": DATA}))):
            cut = whole.index(WORD.encode()[:7]) + 7 if WORD.encode() in whole else len(whole) // 2
            pieces = [("x.%s.%03d" % (kind, i + 1), p) for i, p in enumerate((whole[:cut], whole[cut:-20], whole[-20:]))]
            self.read(kind, pieces)
            for missing in range(3):
                rest = pieces[:missing] + pieces[missing + 1:]
                with self.subTest((kind, "without", pieces[missing][0])):
                    # Without its end a zip is read by what stands before each member.
                    found, defects, _ = self.explain(rest)
                    self.assertTrue({"archive-split", "archive-unreadable"} & set(defects) or (found and missing == 2), defects)


if __name__ == "__main__":
    unittest.main()
