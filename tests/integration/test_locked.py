"""Files under a password that the message tells: opened, read, and still called encrypted.

Each file is opened by a program of others first, so that what Postern opens is no dialect of ours.
"""
import email.message
import glob
import io
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import time
import unittest
import zipfile
import zlib

import documents as d
import lab
import locked

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORD, PASSWORD = "Zanzibarquelle", "Tr0ub4dor&3"
POLICY = r"""version: 1
use: [postern/base]
detectors:
  marker: {words: [%s]}
rules:
  - {id: seen, when: {finds: {marker: {}}}, then: {hold: {for: a@example.lab}}}
  - {id: locked, when: {attachment: {encrypted: true}}, then: {hold: {for: a@example.lab}}}
""" % WORD
TEXT = ("The word is %s and 40 lines follow.\n" % WORD + "more of it, again and again\n" * 40).encode()
MEMBERS = {"inside.txt": TEXT, "second.txt": b"the second, shorter"}


def docx():
    return d.docx("the word is %s" % WORD, {"word/media/x.bin": os.urandom(9000)})


def files():
    """(name, kind, opens, bytes), with a reader that proves the file: (argv with {}, word expected in its files)."""
    z = ["7z", "x", "-y", "-bd", "-p" + PASSWORD, "-oout", "{}"]
    office = ["/usr/bin/python3", "-m", "msoffcrypto", "-p", PASSWORD, "{}", "out/plain.zip"]
    rows = []
    for what, options in (("", []), (", names too", ["-mhe=on"]), (", stored", ["-mx0"]), (", not solid", ["-ms=off"]), (", PPMd", ["-m0=PPMd"]),
                          (", LZMA", ["-m0=LZMA"]), (", bzip2", ["-m0=BZip2"]), (", BCJ", ["-m0=BCJ", "-m1=LZMA2"]),
                          (", BCJ2", ["-m0=BCJ2", "-m1=LZMA", "-m2=LZMA", "-m3=LZMA", "-mb0:1", "-mb0s1:2", "-mb0s2:3"])):
        rows.append(("7z" + what, "a.7z", "7z-names" if "names" in what else "7z", d.sevenzip(MEMBERS, "-p" + PASSWORD, *options), z))
    rows.append(("self-extracting 7z", "a.exe", "7z", b"MZ" + bytes(500) + d.sevenzip(MEMBERS, "-p" + PASSWORD), None))
    rows.append(("rar 4", "a.rar", "rar", locked.rar4(MEMBERS, PASSWORD), z))
    rows.append(("rar 4, names too", "a.rar", "rar-names", locked.rar4(MEMBERS, PASSWORD, True), z))
    rows.append(("rar 5", "a.rar", "rar", locked.rar5(MEMBERS, PASSWORD), z))
    rows.append(("rar 5, plain sums", "a.rar", "rar", locked.rar5(MEMBERS, PASSWORD, tweaked=False, checked=False), z))
    rows.append(("rar 5, names too", "a.rar", "rar-names", locked.rar5(MEMBERS, PASSWORD, True), z))
    rows.append(("docx, standard", "a.docx", "ooxml", locked.ooxml_standard(docx(), PASSWORD), office))
    for hash_, bits in (("SHA512", 256), ("SHA384", 256), ("SHA256", 128), ("SHA1", 128)):
        rows.append(("docx, agile %s AES-%d" % (hash_, bits), "a.docx", "ooxml",
                     locked.ooxml_agile(docx(), PASSWORD, hash_=hash_, bits=bits), office))
    rows.append(("xlsx that nobody asks for", "a.xlsx", "ooxml", locked.ooxml_agile(d.xlsx([WORD], {"S": (
        "visible", '<row><c t="s"><v>0</v></c></row>')}), "VelvetSweatshop"), None))
    for bits in (128, 40):
        rows.append(("xls, CryptoAPI RC4 %d" % bits, "a.xls", "ole2", locked.xls_cryptoapi(
            d.xls({"S": (False, [["row %d of a sheet" % i] for i in range(90)] + [[WORD]])}), PASSWORD, bits), office))
    for path in sorted(glob.glob(os.path.join(ROOT, "tests/corpus/document/locked-libreoffice.*"))):
        ext = path.rsplit(".", 1)[1]
        with open(path, "rb") as f:
            data = f.read()
        rows.append(("%s by LibreOffice" % ext, "a." + ext, "odf" if ext in ("odt", "ods") else "ole2", data, None))
    return rows


class Locked(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("locked")
        cls.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        cls.lab.config()
        cls.lab.policy(POLICY)

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def explain(self, files_, body):
        m = email.message.EmailMessage()
        m["From"], m["To"], m["Subject"] = "a@example.lab", "b@partner.lab", "files"
        m.set_content(body)
        for name, data in files_:
            m.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
        path = self.lab.path("m.eml")
        with open(path, "wb") as f:
            f.write(m.as_bytes(policy=m.policy.clone(linesep="\r\n")))
        before = os.times()
        r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("postern.yaml"), "explain", path, "--json"],
                           capture_output=True, text=True, timeout=300)
        after = os.times()
        self.assertIn(r.returncode, (0, 1), r.stderr)
        self.cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return json.loads(r.stdout)

    def proved_by_others(self, what, name, data, argv):
        with tempfile.TemporaryDirectory(prefix="postern-locked-") as t:
            os.mkdir(os.path.join(t, "out"))
            with open(os.path.join(t, name), "wb") as f:
                f.write(data)
            r = subprocess.run([a.replace("{}", name) for a in argv], cwd=t, capture_output=True, text=True)
            self.assertEqual(r.returncode, 0, "%s: %s: %s" % (what, argv[0], r.stdout + r.stderr))
            found = b"".join(pathlib.Path(p).read_bytes() for p in glob.glob(os.path.join(t, "out", "**"), recursive=True) if os.path.isfile(p))
            self.assertTrue(WORD.encode() in found or WORD.encode("utf-16le") in found or found[:2] == b"PK", "%s: %s found no word in it" % (what, argv[0]))

    def rows_checked(self, out, rows, opened):
        parts = {p["part"]: p for p in out["parts"]}
        bad = []
        for i, (what, name, kind, _, _) in enumerate(rows):
            number = str(i + 2)
            p = parts[number]
            found = any(f["part"] == number or f["part"].startswith(number + ".") for f in out["findings"])
            print("%-32s %-10s %-6s %s" % (what, p.get("encryption"), p.get("opened", False), found))
            if (p["encrypted"], p.get("encryption"), p.get("opened", False), found) != (True, kind, opened, opened):
                bad.append((what, p, found))
        self.assertEqual(bad, [])

    def test_opened(self):
        rows = files()
        for what, name, _, data, argv in rows:
            if argv:
                self.proved_by_others(what, name, data, argv)
        out = self.explain([(r[1], r[3]) for r in rows], "The password: %s\n" % PASSWORD)
        print()
        self.rows_checked(out, rows, True)
        print("%.2f s of processor time" % self.cpu)

    def test_no_password_fits(self):
        rows = [r for r in files() if "nobody" not in r[0]]
        out = self.explain([(r[1], r[3]) for r in rows], "The password: another\n")
        print()
        self.rows_checked(out, rows, False)
        self.assertEqual([r["outcome"] for r in out["recipients"]], ["hold"])

    def test_the_work_is_bounded(self):
        """A sender may ask for any number of rounds, and many files may each have a salt of their own."""
        slow = locked.ooxml_agile(docx(), PASSWORD, spin=10, spin_text=str(1 << 60))
        r5 = bytearray(locked.rar5(MEMBERS, PASSWORD, power=10))
        zipped = bytearray(d.sevenzip(MEMBERS, "-p" + PASSWORD, "-mhc=off"))
        at = zipped.find(b"\x06\xf1\x07\x01") + 5
        self.assertEqual(zipped[at] & 0x3f, 19)
        zipped[at] = zipped[at] & 0xc0 | 62
        many = []
        for i in range(40):
            # Nothing but the salt differs; nobody needs the key that would fit.
            many.append(("%d.docx" % i, locked.ooxml_agile(docx(), PASSWORD, spin=10, spin_text="100000").replace(
                b"c2l4dGVlbiBieXRlczogYQ==", ("c2l4dGVlbiBieXRl%04dYQ==" % i).encode())))
        words = "".join("password: word%d\n" % i for i in range(30))
        before = time.monotonic()
        out = self.explain([("slow.docx", slow), ("b.rar", bytes(r5)), ("c.7z", bytes(zipped))] + many, words)
        print("\n43 files, 30 passwords: %.2f s of processor time" % self.cpu)
        self.assertLess(self.cpu, 30)
        self.assertLess(time.monotonic() - before, 280)
        for p in out["parts"][1:]:
            if p["type"] in ("docx", "7z", "rar"):
                self.assertTrue(p["encrypted"] and not p.get("opened", False), p)

    def test_nonsense(self):
        """Numbers that cannot be, in each place where a file tells one: it stays locked, and nothing is spent on it."""
        agile = locked.ooxml_agile(docx(), PASSWORD, spin=10)
        standard = locked.ooxml_standard(docx(), PASSWORD)
        zipped = d.sevenzip(MEMBERS, "-p" + PASSWORD, "-mhc=off")
        at = zipped.index(b"\x06\xf1\x07\x01")
        r5 = locked.rar5(MEMBERS, PASSWORD, True, power=4)
        kdf = r5.index(b"sixteen bytes ok") - 1
        bad = []
        for a, b in ((b'keyBits="256"', b'keyBits="999"'), (b'keyBits="256"', b'keyBits="000"'), (b'hashAlgorithm="SHA512"', b'hashAlgorithm="SHA999"'),
                     (b'cipherChaining="ChainingModeCBC"', b'cipherChaining="ChainingModeXXX"'), (b'saltValue="', b'saltValue=>')):
            self.assertEqual(len(a), len(b))
            bad.append(("a.docx", "ooxml", agile.replace(a, b)))
        head = standard.index(b"Microsoft Enhanced RSA"[:1] + b"\0i\0c\0r\0o") - 32
        for offset, value in ((-4, 0xffffffff), (16, 77), (16, 0), (16, 0xfffffff8)):
            bad.append(("a.docx", "ooxml", standard[:head + offset] + struct.pack("<I", value) + standard[head + offset + 4:]))
        for offset, value in ((5, 0xff), (6, 0xff), (4, 0xff)):
            bad.append(("a.7z", None, zipped[:at + offset] + bytes([value]) + zipped[at + offset + 1:]))
        bad.append(("a.rar", "rar-names", fixed_sum(r5[:kdf] + b"\xff" + r5[kdf + 1:])))
        bad.append(("a.rar", "rar-names", fixed_sum(r5[:kdf] + b"\x3f" + r5[kdf + 1:])))
        with open(os.path.join(ROOT, "tests/corpus/document/locked-libreoffice.odt"), "rb") as f:
            odt = f.read()
        for old, new in ((b'iteration-count="100000"', b'iteration-count="999999999999999999"'), (b'iteration-count="100000"', b'iteration-count="0"'),
                         (b"aes256-cbc", b"aes999-gcm"), (b'salt="', b'salt="QUJD')):
            bad.append(("a.odt", "odf", rewritten(odt, old, new)))
        out = self.explain([(name, data) for name, _, data in bad], "The password: %s\n" % PASSWORD)
        parts = {p["part"]: p for p in out["parts"]}
        for i, (name, kind, _) in enumerate(bad):
            p = parts[str(i + 2)]
            with self.subTest((i, name)):
                self.assertFalse(p.get("opened", False), p)
                if kind:
                    self.assertEqual((p["encrypted"], p.get("encryption")), (True, kind), p)
                else:       # as a 7z of which nothing can be read
                    self.assertTrue(p["encrypted"] or p["defects"], p)
        self.assertLess(self.cpu, 20)


def fixed_sum(rar):
    """The header sum of a RAR 5's first block, made right again."""
    size = rar[12]
    return rar[:8] + struct.pack("<I", zlib.crc32(rar[12:13 + size])) + rar[12:]


def rewritten(odt, old, new):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(odt)) as z, zipfile.ZipFile(out, "w") as w:
        for i in z.infolist():
            data = z.read(i)
            if i.filename == "META-INF/manifest.xml":
                assert old in data
                data = data.replace(old, new)
            w.writestr(i, data)
    return out.getvalue()


if __name__ == "__main__":
    unittest.main()
