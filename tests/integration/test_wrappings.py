"""The EICAR file in every wrapping: is it found?

Each message is judged by `postern explain` with a signature that knows the file's 68 bytes and
nothing else; the table that is printed says in which part it was found. The second test does without
any antivirus: a word in each of the wrappings that hold text must be found by the detectors.
"""
import bz2
import concurrent.futures
import gzip
import json
import lzma
import os
import subprocess
import unittest
import zipfile

import documents as d
import lab
from wrappings import CRLF, b64, binhex, mail, multi, part, qp, qp_usual, tnef, uu, uu_base64, yenc

TEXT = part(b"Please see the file.\r\n", "text/plain", None)


def attached(data, name="file.bin", **kw):
    return mail(multi("mixed", TEXT, part(b64(data), **kw, extra='Content-Disposition: attachment; filename="%s"\r\n' % name)))


def text(body, more=""):
    return mail(("Content-Type: text/plain\r\n" + more + "\r\n").encode() + body)


def eml(data):
    return mail(multi("mixed", TEXT, part(b64(data), "application/octet-stream; name=x.com")), "inner")


def mime(x):
    """Transfer encodings and trees."""
    half = len(b64(x)) // 2
    one = b64(x).replace(CRLF, b"")
    yield "base64", attached(x)
    yield "base64, one long line", mail(multi("mixed", TEXT, part(one + CRLF)))
    yield "base64, three characters a line", mail(multi("mixed", TEXT, part(b64(x, 3))))
    yield "base64, junk between", mail(multi("mixed", TEXT, part(b"!".join(one[i:i + 5] for i in range(0, len(one), 5)) + CRLF)))
    yield "base64, spaces between", mail(multi("mixed", TEXT, part(b" ".join(one[i:i + 4] for i in range(0, len(one), 4)) + CRLF)))
    yield "base64, padding missing", mail(multi("mixed", TEXT, part(one.rstrip(b"=") + CRLF)))
    yield "base64, two runs joined", mail(multi("mixed", TEXT, part(b64(x[:25]) + b64(x[25:]))))
    yield "base64, footer behind it", mail(multi("mixed", TEXT, part(b64(x) + b"\r\n-- \r\na mailing list\r\n")))
    yield "base64, name in upper case and a comment", mail(multi("mixed", TEXT, part(b64(x), encoding="BASE64 (of sorts)")))
    yield "base64, field folded", mail(multi("mixed", TEXT, part(b64(x), encoding="\r\n base64")))
    yield "quoted-printable, all escaped", mail(multi("mixed", TEXT, part(qp(x), encoding="quoted-printable")))
    yield "quoted-printable, as usual", mail(multi("mixed", TEXT, part(qp_usual(x), encoding="quoted-printable")))
    yield "quoted-printable, lower case", mail(multi("mixed", TEXT, part(qp(x).lower(), encoding="quoted-printable")))
    yield "8bit", mail(multi("mixed", TEXT, part(x + CRLF, encoding="8bit")))
    yield "the body itself", mail(b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64(x))
    yield "an encoding nobody knows", mail(multi("mixed", TEXT, part(b64(x), encoding="x-private")))
    yield "no encoding named, yet base64 by a second field", mail(multi("mixed", TEXT, part(
        b64(x), encoding="7bit", extra="Content-Transfer-Encoding: base64\r\n")))
    yield "multipart/alternative", mail(multi("alternative", TEXT, part(b64(x))))
    yield "multipart/related", mail(multi("related", TEXT, part(b64(x), "image/png")))
    yield "multipart/signed", mail(multi("signed", multi("mixed", TEXT, part(b64(x)), boundary="in"), part(b"sig", "application/pgp-signature", None)))
    yield "a multipart nobody knows", mail(multi("x-mine", TEXT, part(b64(x))))
    deep = part(b64(x))
    for i in range(12):
        deep = multi("mixed", deep, boundary="level%dx" % i)
    yield "12 multiparts deep", mail(deep)
    yield "boundary not closed", mail(multi("mixed", TEXT, part(b64(x)), close=False))
    yield "in the preamble", mail(multi("mixed", TEXT, preamble=uu(x)))
    yield "in the epilogue", mail(multi("mixed", TEXT, epilogue=uu(x)))
    yield "a part behind the last boundary", mail(multi("mixed", TEXT, epilogue=b"--=_b\r\n" + part(b64(x))))
    yield "two boundary parameters", mail(multi("mixed", TEXT, part(b64(x)), more="; boundary=other"))
    yield "the second boundary parameter", mail(multi("mixed", TEXT, part(b64(x)), boundary="other").replace(
        b'boundary="other"', b'boundary=first; boundary="other"'))
    yield "a boundary that only begins alike", mail(multi("mixed", TEXT).replace(
        b"--=_b--", b"--=_bb\r\n" + part(b64(x)).replace(b"\\", b"\\\\") + b"--=_b--"))
    yield "two Content-Types, the second a multipart", mail(b"Content-Type: text/plain\r\n" + multi("mixed", TEXT, part(b64(x))))
    yield "two Content-Types, two boundaries", mail(b'Content-Type: multipart/mixed; boundary="aa"\r\n' + multi("mixed", TEXT, part(b64(x)), boundary="bb"))
    yield "a header line broken in two", mail(multi("mixed", TEXT, b"X-Strange\r\n" + part(b64(x))))
    yield "a blank line of spaces in the header", mail(multi("mixed", TEXT, b"X-A: b\r\n \r\n" + part(b64(x))))
    yield "a line above the header", mail(multi("mixed", TEXT, b"Hello\r\n" + part(b64(x))))
    yield "encoded multipart", mail(b"Content-Type: multipart/mixed; boundary=q\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
                                   b64(b"--q\r\n" + part(b64(x)) + b"--q--\r\n"))
    yield "message/rfc822", mail(multi("mixed", TEXT, part(eml(x), "message/rfc822", None)))
    yield "message/rfc822 in base64", mail(multi("mixed", TEXT, part(b64(eml(x)), "message/rfc822")))
    yield "message/rfc822 as a file", attached(eml(x), "forward.eml")
    five = eml(x)
    for i in range(5):
        five = mail(multi("mixed", TEXT, part(five, "message/rfc822", None), boundary="fwd%dx" % i))
    yield "forwarded six times", five
    yield "two halves in one part", mail(multi("mixed", TEXT, part(b64(x)[:half] + CRLF + b64(x)[half:])))
    yield "no MIME-Version", eml(x).replace(b"MIME-Version: 1.0\r\n", b"")


def old(x):
    """Files within texts."""
    yield "uuencode", text(b"Hello\r\n" + uu(x))
    yield "uuencode, no end", text(uu(x).replace(b"`\r\nend\r\n", b""))
    yield "uuencode as a transfer encoding", mail(multi("mixed", TEXT, part(uu(x), encoding="x-uuencode")))
    yield "uuencode in base64", text(b64(uu(x)), "Content-Transfer-Encoding: base64\r\n")
    yield "uuencode in HTML", mail(b"Content-Type: text/html\r\n\r\n<pre>\r\n" + uu(x) + b"</pre>\r\n")
    yield "uuencode with a base64 alphabet", text(uu_base64(x))
    yield "yEnc", text(yenc(x), "Content-Transfer-Encoding: 8bit\r\n")
    yield "BinHex", text(binhex(x))
    yield "BinHex as a type", mail(multi("mixed", TEXT, part(binhex(x), "application/mac-binhex40", None)))
    yield "data URL", mail(b"Content-Type: text/html\r\n\r\n<a href=\"data:application/x;base64," + b64(x).replace(CRLF, b"") + b"\">x</a>\r\n")
    yield "data URL, escaped", mail(b"Content-Type: text/html\r\n\r\n<a href='data:;base64," + b"".join(
        b"%%%02X" % c for c in b64(x).replace(CRLF, b"")) + b"'>x</a>\r\n")
    yield "in a calendar", mail(multi("mixed", TEXT, part(b"BEGIN:VCALENDAR\r\nATTACH;ENCODING=BASE64;VALUE=BINARY:" + b64(
        x, 60).replace(CRLF, b"\r\n ").rstrip() + b"\r\nEND:VCALENDAR\r\n", "text/calendar", None)))
    yield "in an address card", mail(multi("mixed", TEXT, part(b"BEGIN:VCARD\r\nPHOTO;ENCODING=BASE64:" + b64(
        x).replace(CRLF, b"") + b"\r\nEND:VCARD\r\n", "text/vcard", None)))
    yield "winmail.dat", attached(tnef([("x.com", x)]), "winmail.dat", type="application/ms-tnef")
    yield "winmail.dat in winmail.dat", attached(tnef(messages=[tnef([("x.com", x)])]), "winmail.dat", type="application/ms-tnef")


def packed(x):
    """Archives and documents."""
    z = d.zip_of({"x.com": x})
    yield "zip", attached(z, "a.zip")
    yield "zip, stored", attached(d.zip_of({"x.com": x}, zipfile.ZIP_STORED), "a.zip")
    yield "zip, no extension, another type", attached(z, "a.txt", type="text/plain")
    zz = z
    for i in range(4):
        zz = d.zip_of({"%d.zip" % i: zz})
    yield "zip, five deep", attached(zz, "a.zip")
    yield "zip behind a program", attached(b"MZ" + bytes(500) + z, "setup.scr")
    yield "zip behind a picture", attached(b"\xff\xd8\xff\xe0" + bytes(300) + z, "a.jpg", type="image/jpeg")
    yield "zip, second member", attached(d.zip_of({"a.txt": b"hello", "b/x.com": x}), "a.zip")
    yield "zip, locked, password in the mail", mail(multi("mixed", part(b"The password: infected123\r\n", "text/plain", None), part(b64(
        d.sevenzip({"x.com": x}, "-pinfected123", kind="zip")))))
    yield "7z", attached(d.sevenzip({"x.com": x}), "a.7z")
    yield "tar", attached(d.tar_of({"x.com": x}), "a.tar")
    yield "tar.gz", attached(d.tar_of({"x.com": x}, "w:gz"), "a.tgz")
    yield "tar.bz2", attached(d.tar_of({"x.com": x}, "w:bz2"), "a.tbz")
    yield "tar.xz", attached(d.tar_of({"x.com": x}, "w:xz"), "a.txz")
    yield "gzip", attached(gzip.compress(x), "x.com.gz")
    yield "bzip2", attached(bz2.compress(x), "x.com.bz2")
    yield "xz", attached(lzma.compress(x), "x.com.xz")
    yield "zstd", attached(d.zstd_of(x), "x.com.zst")
    yield "iso", attached(d.iso_of({"x.com": x}), "a.iso")
    yield "cab", attached(d.cab_of({"x.com": x}), "a.cab")
    yield "rar 4", attached(d.rar4_of({"x.com": x}), "a.rar")
    yield "rar 5", attached(d.rar5_of({"x.com": x}), "a.rar")
    yield "lzh", attached(d.lzh_of({"x.com": x}), "a.lzh")
    yield "zip in tar.gz in 7z", attached(d.sevenzip({"a.tgz": d.tar_of({"a.zip": z}, "w:gz")}), "a.7z")
    yield "mail in a zip", attached(d.zip_of({"m.eml": eml(x)}), "a.zip")
    yield "docx, embedded", attached(d.docx("text", {"word/embeddings/oleObject1.bin": d.cfb({"\1Ole10Native": d.native("x.com", x)})}), "a.docx")
    yield "xlsx, a file in it", attached(d.xlsx(["a"], {"S": ("visible", "")}, {"xl/media/x.bin": x}), "a.xlsx")
    yield "odt, a file in it", attached(d.odf("text", "text", {"Object 1": x}), "a.odt")
    yield "Outlook message", attached(d.msg("s", "b", attachments=[("x.com", x)]), "a.msg")
    yield "Word document, an object", attached(d.doc("text", extra={"ObjectPool": {"_1": {"\1Ole10Native": d.native("x.com", x)}}}), "a.doc")
    yield "PowerPoint, an object", attached(d.ppt("s", "n", "c", d.cfb({"\1Ole10Native": d.native("x.com", x)})), "a.ppt")
    yield "PDF, a file in it", attached(d.pdf(d.pdf_text("x"), objects=[
        b"<</Type/Filespec/F(x.com)/EF<</F 11 0 R>>>>", ("/Type/EmbeddedFile", x)]), "a.pdf")
    hexed = d.native("x.com", x)[4:]
    ole = b"\1\5\0\0\2\0\0\0\x08\0\0\0Package\0" + bytes(8) + len(hexed).to_bytes(4, "little") + hexed
    yield "RTF, an object", attached(b"{\\rtf1 text{\\object\\objemb{\\*\\objdata " + ole.hex().encode() + b"}}}", "a.rtf")
    yield "winmail.dat in a zip", attached(d.zip_of({"winmail.dat": tnef([("x.com", x)])}), "a.zip")
    yield "uuencode in a mail in a zip", attached(d.zip_of({"m.eml": text(uu(x))}), "a.zip")


class Wrappings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("wrappings")
        cls.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        cls.lab.policy("version: 1\nuse: [postern/base]\ndetectors:\n  marker: {words: [zanzibarquelle]}\n"
                       "rules:\n  - {id: m, when: {finds: marker}, then: {add_header: {X-M: '1'}}}\n")

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def judge(self, numbered):
        n, raw = numbered
        path = self.lab.path("m%d.eml" % n)
        with open(path, "wb") as f:
            f.write(raw)
        r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("postern.yaml"), "explain", path, "--json"],
                           capture_output=True, text=True, timeout=120)
        self.assertIn(r.returncode, (0, 1), r.stderr)
        return json.loads(r.stdout)

    def all(self, groups, x):
        cases = [c for g in groups for c in g(x) if c]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            yield from zip(cases, pool.map(self.judge, ((i, raw) for i, (_, raw) in enumerate(cases))))

    def test_virus(self):
        self.lab.config(antivirus={"engine": "libclamav", "databases": self.lab.signatures()})
        found, missed = 0, []
        print("\n%-48s %s" % ("the EICAR file in", "found in part"))
        for (what, _), out in self.all((mime, old, packed), lab.EICAR.encode()):
            virus = out["virus"]
            print("%-48s %s" % (what, virus["part"] or "the message" if virus else "NOT FOUND"))
            found += bool(virus)
            if not virus:
                missed.append(what)
        print("found in %d of %d wrappings" % (found, found + len(missed)))
        self.assertEqual(missed, [])
        self.assertGreaterEqual(found, 60)

    def test_text(self):
        self.lab.config()
        missed = []
        for (what, _), out in self.all((mime, old, packed), b"The word is Zanzibarquelle, of this many letters.\r\n"):
            if not any(f["detector"] == "marker" for f in out["findings"]):
                missed.append(what)
        self.assertEqual(missed, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
