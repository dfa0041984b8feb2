"""Text in pictures, through the real processes: found, bounded, and said when it was not read."""
import email.message
import json
import os
import re
import signal
import subprocess
import threading
import time
import unittest

import documents as d
import lab
import pictures as pic

WORD, CARD, NIR = "Zanzibarquelle", "4539 5781 2345 6789", "2 55 08 14 168 025 38"
TEXT = "Invoice of the %s\nCard %s\nNIR %s" % (WORD, CARD, NIR)
POLICY = r"""version: 1
use: [postern/base, postern/fr-identifiers]
detectors:
  marker: {words: [%s]}
rules:
  - {id: seen, when: {finds: {any: [marker: {}, payment-card: {}, fr-nir: {}]}}, then: {reject: "5.7.1 that does not leave"}}
  - {id: unread, when: {defect: ocr-incomplete}, then: {reject: "5.7.1 a picture was not read"}}
""" % WORD


def files():
    plain = pic.draw(TEXT)
    png = pic.saved(plain, "PNG")
    rows = [("png", "a.png", png), ("png, turned by 3 degrees", "a.png", pic.saved(pic.draw(TEXT, angle=3), "PNG")),
            ("png, turned by -2 degrees", "a.png", pic.saved(pic.draw(TEXT, angle=-2), "PNG")),
            ("png, small letters", "a.png", pic.saved(pic.draw(TEXT, size=14, width=500), "PNG")),
            ("jpeg, quality 35, noise", "a.jpg", pic.saved(pic.draw(TEXT, noise=3000), "JPEG", quality=35)),
            ("jpeg, turned, quality 50", "a.jpg", pic.saved(pic.draw(TEXT, angle=1.5), "JPEG", quality=50)),
            ("gif", "a.gif", pic.saved(plain.quantize(16), "GIF")), ("bmp", "a.bmp", pic.saved(plain, "BMP")),
            ("webp", "a.webp", pic.saved(plain, "WEBP", quality=60)),
            ("tiff, second page", "a.tif", pic.saved(pic.draw("nothing here"), "TIFF", save_all=True, append_images=[plain])),
            ("picture with another name", "a.txt", png),
            ("docx", "a.docx", d.docx("x", {"word/media/image1.png": png})),
            ("pptx", "a.pptx", d.zip_of({"ppt/slides/slide1.xml": "<p:sld><a:p><a:t>x</a:t></a:p></p:sld>", "ppt/media/image1.png": png})),
            ("xlsx", "a.xlsx", d.xlsx(["x"], {"S": ("visible", "")}, {"xl/media/image1.png": png})),
            ("odt", "a.odt", d.odf("text", "<text:p>x</text:p>", {"Pictures/1.png": png})),
            ("zip", "a.zip", d.zip_of({"photo.jpg": pic.saved(plain, "JPEG")})),
            ("pdf, jpeg", "a.pdf", pic.pdf_jpeg(plain)), ("pdf, grey", "a.pdf", pic.pdf_rows(plain.convert("L"))),
            ("pdf, RGB", "a.pdf", pic.pdf_rows(plain)), ("pdf, CMYK", "a.pdf", pic.pdf_rows(plain.convert("CMYK"))),
            ("pdf, one bit", "a.pdf", pic.pdf_rows(plain.convert("1"))), ("pdf, palette", "a.pdf", pic.pdf_palette(plain)),
            ("pdf, fax (group 4)", "a.pdf", pic.pdf_fax(plain)),
            ("pdf, scan turned by 1 degree", "a.pdf", pic.pdf_jpeg(pic.draw(TEXT, angle=1)))]
    return rows


def mail(attached, body="See the picture.\r\n"):
    m = email.message.EmailMessage()
    m["From"], m["To"], m["Subject"] = "a@example.lab", "b@partner.lab", "files"
    m.set_content(body)
    for name, data in attached:
        m.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return m.as_bytes(policy=m.policy.clone(linesep="\r\n"))


class Ocr(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("ocr")
        cls.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        cls.lab.mx()
        cls.lab.policy(POLICY)
        cls.configure()
        cls.lab.start_postern()

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    @classmethod
    def configure(cls, **over):
        cls.lab.config(delivery={"tls": {"policy": "none"}, "port": cls.lab.ports.get("mx", 25)},
                       scanners={"processes": "1", "timeout": "90s", "ocr": {"languages": ["eng", "fra"], "time": "20s", "per_message": "60s", **over}})

    def reload(self):
        """Until the new reader is the only one."""
        before = self.lab.pids("reader")
        self.lab.tool("reload")
        lab.wait_for(lambda: len(self.lab.pids("reader")) == 1 and self.lab.pids("reader") != before, because="the new reader alone")

    def explain(self, attached):
        path = self.lab.path("m.eml")
        with open(path, "wb") as f:
            f.write(mail(attached))
        r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("postern.yaml"), "explain", path, "--json"],
                           capture_output=True, text=True, timeout=200)
        self.assertIn(r.returncode, (0, 1), r.stderr)
        return json.loads(r.stdout)

    def test_table(self):
        """Each file alone: what was found, where, and how long it took."""
        bad = []
        print("\n%-34s %-6s %-6s %-6s %-10s %6s" % ("picture", "word", "card", "NIR", "part", "s"))
        for what, name, data in files():
            before = time.monotonic()
            out = self.explain([(name, data)])
            took = time.monotonic() - before
            mine = [f for f in out["findings"] if f.get("origin") == "ocr"]
            names = {f["detector"] for f in mine}
            print("%-34s %-6s %-6s %-6s %-10s %6.2f" % (what, *("yes" if n in names else "NO" for n in ("marker", "payment-card", "fr-nir")),
                                                      mine[0]["part"] if mine else "", took))
            if not {"marker", "payment-card", "fr-nir"} <= names or out["defects"] != (["type-mismatch"] if name == "a.txt" else []):
                bad.append((what, names, out["defects"]))
        self.assertEqual(bad, [])

    def test_mail_is_refused(self):
        code, text = self.lab.send("b@partner.lab", raw=mail([("a.jpg", pic.saved(pic.draw(TEXT), "JPEG"))]))
        self.assertEqual((code, "5.7.1 that does not leave" in text), (550, True), text)
        code, text = self.lab.send("b@partner.lab", raw=mail([("a.png", pic.saved(pic.draw("a picture of nothing"), "PNG"))]))
        self.assertEqual(code, 250, text)
        pid = self.lab.pids("reader")[0]
        with open("/proc/%d/status" % pid) as f:
            print("\nreader: " + ", ".join(" ".join(l.split()) for l in f if re.match("VmHWM|RssAnon", l)))

    def test_too_large(self):
        """A picture of few bytes and many pixels is not unpacked."""
        im = pic.Image.new("1", (20000, 20000), 1)
        out = self.explain([("a.png", pic.saved(im, "PNG"))])
        self.assertEqual(out["defects"], ["ocr-incomplete"])
        code, text = self.lab.send("b@partner.lab", raw=mail([("a.png", pic.saved(im, "PNG"))]))
        self.assertEqual((code, "a picture was not read" in text), (550, True), text)

    def test_broken(self):
        whole = pic.saved(pic.draw(TEXT), "PNG")
        for name, data in (("a.png", whole[:40] + bytes(200)), ("a.jpg", b"\xff\xd8\xff" + bytes(300)), ("a.tif", b"II*\0" + b"\xff" * 300)):
            with self.subTest(name):
                self.assertEqual(self.explain([(name, data)])["defects"], ["ocr-incomplete"])

    def test_time_is_bounded(self):
        """More text than its time allows: what was read counts, the rest is said."""
        page = pic.saved(pic.draw("\n".join("%d many words on a long line of a very full page, again and again" % i for i in range(60)), size=22, width=1400), "PNG")
        self.configure(time="100ms")
        try:
            before = time.monotonic()
            out = self.explain([("a.png", page)])
            self.assertLess(time.monotonic() - before, 30)
        finally:
            self.configure()
        self.assertEqual(out["defects"], ["ocr-incomplete"])

    def test_a_child_dies(self):
        """It costs its picture, and no more: the parent is the same, another picture of the message is read."""
        page = pic.saved(pic.draw("\n".join("%d many words on a long line of a very full page, again and again" % i for i in range(120)), size=22, width=1400), "PNG")
        reader = self.lab.pids("reader")[0]
        said = []

        def child():
            with open("/proc/%d/task/%d/children" % (reader, reader)) as f:
                return [int(p) for p in f.read().split()]
        lab.wait_for(lambda: not child(), because="the children of other messages to have ended")
        sender = threading.Thread(target=lambda: said.append(self.lab.send("b@partner.lab", raw=mail([("a.png", page)]))))
        sender.start()
        try:
            os.kill(lab.wait_for(child, because="a child")[0], signal.SIGSEGV)
        finally:
            sender.join()
        self.assertEqual((said[0][0], "a picture was not read" in said[0][1]), (550, True), said)
        self.assertEqual(self.lab.pids("reader"), [reader])
        code, text = self.lab.send("b@partner.lab", raw=mail([("a.jpg", pic.saved(pic.draw(TEXT), "JPEG"))]))
        self.assertIn("that does not leave", text)

    def test_reader_hangs_and_dies(self):
        picture = mail([("a.jpg", pic.saved(pic.draw(TEXT), "JPEG"))])
        self.configure(time="1s", per_message="3s")
        self.reload()
        try:
            pid = self.lab.pids("reader")[0]
            os.kill(pid, signal.SIGSTOP)
            try:
                code, text = self.lab.send("b@partner.lab", raw=picture)
                self.assertEqual((code, "a picture was not read" in text), (550, True), text)
            finally:
                os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGKILL)
            lab.wait_for(lambda: self.lab.pids("reader") not in ([], [pid]), because="another reader")
            # Its channel comes with the next message at the latest.
            lab.wait_for(lambda: "that does not leave" in self.lab.send("b@partner.lab", raw=picture)[1], because="the new reader reads")
        finally:
            self.configure()
            self.reload()

    def test_reload(self):
        """Pictures are read all the while: by the old reader, then by the new one, and the old one goes."""
        picture = mail([("a.jpg", pic.saved(pic.draw(TEXT), "JPEG"))])
        said, done = [], threading.Event()

        def sender():
            while not done.is_set():
                said.append(self.lab.send("b@partner.lab", raw=picture)[1])
        t = threading.Thread(target=sender)
        t.start()
        try:
            for _ in range(2):
                self.reload()
                n = len(said)
                lab.wait_for(lambda: len(said) >= n + 2, because="two more mails")
        finally:
            done.set()
            t.join()
        self.assertEqual([s for s in said if "that does not leave" not in s], [])

    def test_configuration(self):
        def check(**over):
            self.configure(**over)
            r = subprocess.run([os.path.join(lab.BUILD, "posternd"), "-n", "-c", self.lab.path("postern.yaml")], capture_output=True, text=True)
            self.configure()
            return r.returncode, r.stdout + r.stderr
        self.assertEqual(check()[0], 0)
        for over, says in (({"languages": ["eng", "xyz"]}, "no language `xyz`"), ({"languages": []}, "empty"), ({"per_message": "89s"}, "three quarters"),
                           ({"langages": ["eng"]}, "languages"), ({"pixels": "5"}, "pixels"), ({"time": "0s"}, "time")):
            code, text = check(**over)
            with self.subTest(over):
                self.assertNotEqual(code, 0)
                self.assertIn(says, text)


if __name__ == "__main__":
    unittest.main()
