"""Files of every kind: is the text in them found, where, and what is said of what cannot be read?

Each file holds a word and a valid card number of its own; one message carries all of them, and
`postern explain` says what it found in which. The table that is printed is that answer.
"""
import bz2
import collections
import email.message
import glob
import gzip
import io
import json
import lzma
import os
import re
import subprocess
import unittest
import zipfile

import xlwt
from reportlab.pdfgen import canvas

import documents as d
import lab
import locked

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MARK = "Zanzibarquelle"
POLICY = r"""version: 1
use: [postern/base]
detectors:
  marker: {words: [%s]}
rules:
  - {id: seen, when: {finds: {any: [marker: {}, payment-card: {}]}}, then: {hold: {for: a@example.lab}}}
""" % MARK


def luhn(digits):
    total = 0
    for i, c in enumerate(reversed(digits)):
        n = int(c) * (2 if i % 2 == 0 else 1)
        total += n - 9 if n > 9 else n
    return str(-total % 10)


def card(n):
    """The n-th card number: Visa, with a right check digit, written in groups."""
    s = "453957%09d" % (n * 7919)
    s += luhn(s)
    return " ".join(s[i:i + 4] for i in range(0, 16, 4))


def text(n, what=""):
    return "%s %s card %s" % (what, MARK, card(n)) if what else "%s card %s" % (MARK, card(n))


class Kinds:
    """The list of files: (what, file name, bytes, origin expected or None, part expected to be named)."""

    def __init__(self):
        self.rows = []

    def add(self, what, name, make, origin=None, member=None):
        n = len(self.rows) + 1
        self.rows.append((what, name, make(text(n)), origin, member, n))


def archives(k):
    b = lambda t: {"inside.txt": t.encode()}
    k.add("zip", "a.zip", lambda t: d.zip_of(b(t)), member="inside.txt")
    k.add("zip, stored", "a.zip", lambda t: d.zip_of(b(t), zipfile.ZIP_STORED), member="inside.txt")
    k.add("zip, bzip2", "a.zip", lambda t: d.zip_of(b(t), zipfile.ZIP_BZIP2), member="inside.txt")
    k.add("zip, LZMA", "a.zip", lambda t: d.zip_of(b(t), zipfile.ZIP_LZMA), member="inside.txt")
    k.add("zip, wrong name", "a.jpg", lambda t: d.zip_of(b(t)), member="inside.txt")
    k.add("zip behind a GIF", "a.gif", lambda t: b"GIF89a\1\0\1\0\0\0\0;" + d.zip_of(b(t)), member="inside.txt")
    k.add("self-extracting zip", "a.exe", lambda t: b"MZ" + bytes(500) + d.zip_of(b(t)), member="inside.txt")
    k.add("self-extracting 7z", "a.exe", lambda t: b"MZ" + bytes(500) + d.sevenzip(b(t)), member="inside.txt")
    k.add("zip in zip in zip", "a.zip", lambda t: d.zip_of({"b.zip": d.zip_of({"c.zip": d.zip_of(b(t))})}), member="inside.txt")
    k.add("zip, password in the text", "a.zip", lambda t: d.sevenzip(b(t), "-pTr0ub4dor&3", kind="zip"), member="inside.txt")
    k.add("zip AES, password in the text", "a.zip", lambda t: d.sevenzip(b(t), "-pTr0ub4dor&3", "-mem=AES256", kind="zip"),
          member="inside.txt")
    k.add("7z", "a.7z", lambda t: d.sevenzip(b(t)), member="inside.txt")
    k.add("7z, PPMd", "a.7z", lambda t: d.sevenzip(b(t), "-m0=PPMd"), member="inside.txt")
    k.add("rar 4", "a.rar", lambda t: d.rar4_of(b(t)), member="inside.txt")
    k.add("rar 5", "a.rar", lambda t: d.rar5_of(b(t)), member="inside.txt")
    k.add("tar", "a.tar", lambda t: d.tar_of(b(t)), member="inside.txt")
    k.add("tar, GNU", "a.tar", lambda t: d.tar_of(b(t), form=d.tarfile.GNU_FORMAT), member="inside.txt")
    k.add("tar.gz", "a.tar.gz", lambda t: d.tar_of(b(t), "w:gz"), member="inside.txt")
    k.add("tgz", "a.tgz", lambda t: d.tar_of(b(t), "w:gz"), member="inside.txt")
    k.add("tar.bz2", "a.tar.bz2", lambda t: d.tar_of(b(t), "w:bz2"), member="inside.txt")
    k.add("tar.xz", "a.tar.xz", lambda t: d.tar_of(b(t), "w:xz"), member="inside.txt")
    k.add("gzip", "a.csv.gz", lambda t: gzip.compress(t.encode()), member="a.csv")
    k.add("bzip2", "a.txt.bz2", lambda t: bz2.compress(t.encode()), member="a.txt")
    k.add("xz", "a.txt.xz", lambda t: lzma.compress(t.encode()), member="a.txt")
    k.add("zstd", "a.txt.zst", lambda t: d.zstd_of(t.encode()), member="a.txt")
    k.add("cab", "a.cab", lambda t: d.cab_of(b(t)), member="inside.txt")
    k.add("iso", "a.iso", lambda t: d.iso_of(b(t)), member="inside.txt")
    k.add("lzh", "a.lzh", lambda t: d.lzh_of(b(t)), member="inside.txt")
    for method in range(5):
        k.add("arj, method %d" % method, "a.arj", lambda t, m=method: d.arj_of({"inside.txt": ("a line\n" * 40 + t).encode()}, "-m%d" % m), member="inside.txt")
    k.add("arj, password in the text", "a.arj", lambda t: d.arj_of(b(t), "-gTr0ub4dor&3"), member="inside.txt")
    k.add("ar", "a.a", lambda t: d.ar_of(b(t)), member="inside.txt")
    k.add("deb", "a.deb", lambda t: d.ar_of({"debian-binary": b"2.0\n", "data.tar.xz": d.tar_of(b(t), "w:xz")}), member="inside.txt")
    k.add("cpio", "a.cpio", lambda t: d.cpio_of(b(t)), member="inside.txt")
    k.add("xar", "a.xar", lambda t: d.xar_of(b(t)), member="inside.txt")
    k.add("7z AES, password in the text", "a.7z", lambda t: d.sevenzip(b(t), "-pTr0ub4dor&3"), member="inside.txt")
    k.add("7z AES, names too", "a.7z", lambda t: d.sevenzip(b(t), "-pTr0ub4dor&3", "-mhe=on"), member="inside.txt")
    k.add("rar 4 AES, password in the text", "a.rar", lambda t: locked.rar4(b(t), "Tr0ub4dor&3"), member="inside.txt")
    k.add("rar 5 AES, names too", "a.rar", lambda t: locked.rar5(b(t), "Tr0ub4dor&3", True), member="inside.txt")


def office(k):
    rel = '<Relationships><Relationship Id="r1" Type="http://x/hyperlink" TargetMode="External" Target="http://x/?%s"/></Relationships>'
    k.add("docx", "a.docx", lambda t: d.docx(t), "")
    k.add("docx, text in runs", "a.docx", lambda t: d.docx(body="<w:p>%s</w:p>" % "".join(
        '<w:r><w:t xml:space="preserve">%s</w:t></w:r>' % c for c in t)), "")
    k.add("docx, comment", "a.docx", lambda t: d.docx("x", {"word/comments.xml": "<w:comments>%s</w:comments>" % d.para(t)}), "comments")
    k.add("docx, deleted", "a.docx", lambda t: d.docx(body="<w:p><w:del w:author=\"x\"><w:r><w:delText>%s</w:delText></w:r></w:del></w:p>" % t),
          "deleted text")
    k.add("docx, hidden", "a.docx", lambda t: d.docx(body="<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>%s</w:t></w:r></w:p>" % t), "hidden text")
    k.add("docx, header", "a.docx", lambda t: d.docx("x", {"word/header1.xml": d.para(t)}), "headers and footers")
    k.add("docx, footer", "a.docx", lambda t: d.docx("x", {"word/footer2.xml": d.para(t)}), "headers and footers")
    k.add("docx, foot note", "a.docx", lambda t: d.docx("x", {"word/footnotes.xml": d.para(t)}), "foot notes")
    k.add("docx, end note", "a.docx", lambda t: d.docx("x", {"word/endnotes.xml": d.para(t)}), "end notes")
    k.add("docx, properties", "a.docx", lambda t: d.docx("x", {"docProps/core.xml": "<cp:c><dc:title>%s</dc:title></cp:c>" % t}), "properties")
    k.add("docx, custom XML", "a.docx", lambda t: d.docx("x", {"customXml/item1.xml": "<a><t>%s</t></a>" % t}), "custom XML")
    k.add("docx, link", "a.docx", lambda t: d.docx("x", {"word/_rels/document.xml.rels": rel % t}), "links")
    k.add("docx, UTF-16", "a.docx", lambda t: d.docx("x", {"word/document.xml": ('<w:d>%s</w:d>' % d.para(t)).encode("utf-16")}), "")
    k.add("docx, a stray file", "a.docx", lambda t: d.docx("x", {"word/secret.txt": t}), member="secret.txt")
    k.add("docx, picture's description", "a.docx", lambda t: d.docx(body='<w:p><wp:docPr id="1" descr="%s"/></w:p>' % t), "descriptions of pictures")
    k.add("docm, macro", "a.docm", lambda t: d.docx("x", {"word/vbaProject.bin": d.cfb(d.vba("' " + t))}), "macro Module1")
    k.add("docx, embedded xlsx", "a.docx", lambda t: d.docx("x", {"word/embeddings/b.xlsx": d.xlsx([t], {"S": (
        "visible", '<row><c t="s"><v>0</v></c></row>')})}), member="b.xlsx")
    k.add("xlsx", "a.xlsx", lambda t: d.xlsx([t], {"S": ("visible", '<row><c t="s"><v>0</v></c></row>')}), "")
    k.add("xlsx, in line", "a.xlsx", lambda t: d.xlsx([], {"S": ("visible", '<row><c t="inlineStr"><is><t>%s</t></is></c></row>' % t)}), "")
    k.add("xlsx, hidden sheet", "a.xlsx", lambda t: d.xlsx([t], {"S": ("visible", ""), "Prices": (
        "veryHidden", '<row><c t="s"><v>0</v></c></row>')}), "hidden sheet Prices")
    k.add("xlsx, comment", "a.xlsx", lambda t: d.xlsx([], {"S": ("visible", "")}, {"xl/comments1.xml": "<c><comment><text><t>%s</t></text></comment></c>" % t}), "comments")
    k.add("xlsx, text box", "a.xlsx", lambda t: d.xlsx([], {"S": ("visible", "")}, {"xl/drawings/drawing1.xml": "<a:p><a:t>%s</a:t></a:p>" % t}), "text boxes")
    k.add("pptx", "a.pptx", lambda t: d.zip_of({"ppt/slides/slide1.xml": "<p:sld><a:p><a:t>%s</a:t></a:p></p:sld>" % t}), "")
    k.add("pptx, hidden slide", "a.pptx", lambda t: d.zip_of({"ppt/slides/slide1.xml": '<p:sld show="0"><a:p><a:t>%s</a:t></a:p></p:sld>' % t}), "hidden slides")
    k.add("pptx, notes", "a.pptx", lambda t: d.zip_of({"ppt/notesSlides/n1.xml": "<a:p><a:t>%s</a:t></a:p>" % t}), "speaker notes")
    k.add("odt", "a.odt", lambda t: d.odf("text", "<text:p>%s</text:p>" % t), "")
    k.add("odt, comment", "a.odt", lambda t: d.odf("text", "<text:p>x<office:annotation><text:p>%s</text:p></office:annotation></text:p>" % t), "comments")
    k.add("odt, deleted", "a.odt", lambda t: d.odf("text", "<text:tracked-changes><text:deletion><text:p>%s</text:p></text:deletion></text:tracked-changes>" % t), "deleted text")
    k.add("odt, page header", "a.odt", lambda t: d.odf("text", "", {"styles.xml": "<style:header><text:p>%s</text:p></style:header>" % t}), "headers and footers")
    k.add("odt, properties", "a.odt", lambda t: d.odf("text", "", {"meta.xml": "<dc:title>%s</dc:title>" % t}), "properties")
    k.add("ods", "a.ods", lambda t: d.odf("spreadsheet", '<table:table table:name="S"><table:table-row><table:table-cell><text:p>%s</text:p></table:table-cell></table:table-row></table:table>' % t), "")
    k.add("ods, hidden sheet", "a.ods", lambda t: d.odf("spreadsheet", '<style:style style:name="ta2"><style:table-properties table:display="false"/></style:style>'
          '<table:table table:name="Prices" table:style-name="ta2"><table:table-row><table:table-cell><text:p>%s</text:p></table:table-cell></table:table-row></table:table>' % t), "hidden sheet Prices")
    k.add("odp", "a.odp", lambda t: d.odf("presentation", "<draw:page><text:p>%s</text:p></draw:page>" % t), "")
    k.add("epub", "a.epub", lambda t: d.zip_of({"mimetype": "application/epub+zip", "c.xhtml": "<html><body>%s</body></html>" % t}, zipfile.ZIP_STORED), member="c.xhtml")


def binary(k):
    k.add("doc", "a.doc", lambda t: d.doc(t + "\r"), "")
    k.add("doc, UTF-16", "a.doc", lambda t: d.doc("\u20ac " + t + "\r", wide=True), "")
    k.add("doc, foot note", "a.doc", lambda t: d.doc("x\r", notes=t + "\r"), "foot notes")
    k.add("doc, header", "a.doc", lambda t: d.doc("x\r", headers=t + "\r"), "headers and footers")
    k.add("doc, comment", "a.doc", lambda t: d.doc("x\r", comments=t + "\r"), "comments")
    k.add("doc, properties", "a.doc", lambda t: d.doc("x\r", extra={"\5SummaryInformation": d.properties(title=t)}), "properties")
    k.add("doc, macro", "a.doc", lambda t: d.doc("x\r", extra={"Macros": d.vba("' " + t)}), "macro Module1")
    k.add("doc, file put in", "a.doc", lambda t: d.doc("x\r", extra={"ObjectPool": {"_1": {"\1Ole10Native": d.native("in.txt", t.encode())}}}), member="in.txt")
    k.add("xls", "a.xls", lambda t: d.xls({"S": (False, [["name", t], [1.0, 2.5]])}, strings=["x" * 30]), "")
    k.add("xls, hidden sheet", "a.xls", lambda t: d.xls({"S": (False, [["x"]]), "Prices": (True, [[t]])}), "hidden sheet Prices")
    k.add("xls by xlwt", "a.xls", xlwt_xls, "")
    k.add("xls by xlwt, hidden sheet", "a.xls", lambda t: xlwt_xls(t, True), "hidden sheet Prices")
    k.add("ppt", "a.ppt", lambda t: d.ppt(t, "x", "x"), "")
    k.add("ppt, notes", "a.ppt", lambda t: d.ppt("x", t, "x"), "speaker notes")
    k.add("ppt, comment", "a.ppt", lambda t: d.ppt("x", "x", t), "comments")
    k.add("ppt, object", "a.ppt", lambda t: d.ppt("x", "x", "x", d.doc(t + "\r")), member="object")
    k.add("msg", "a.msg", lambda t: d.msg("s", t), "")
    k.add("msg, recipient", "a.msg", lambda t: d.msg("s", "x", recipient=t), "headers")
    k.add("msg, HTML", "a.msg", lambda t: d.msg("s", "x", html=b"<html><p>%s</p></html>" % t.encode()), member="body.html")
    k.add("msg, RTF", "a.msg", lambda t: d.msg("s", "x", rtf=d.rtf(t.encode())), member="body.rtf")
    k.add("msg, attachment", "a.msg", lambda t: d.msg("s", "x", attachments=[("in.txt", t.encode())]), member="in.txt")
    k.add("OLE2 of no known kind", "a.bin", lambda t: d.cfb({"Strange": (t + "\n").encode() * 60}), "")
    k.add("rtf", "a.rtf", lambda t: d.rtf(t.encode()), "")
    k.add("rtf, \\'hh", "a.rtf", lambda t: d.rtf(b"".join(b"\\'%02x" % c for c in t.encode())), "")
    k.add("rtf, \\u", "a.rtf", lambda t: d.rtf(b"".join(b"\\u%d?" % c for c in t.encode())), "")
    k.add("rtf, hidden", "a.rtf", lambda t: d.rtf(b"x {\\v %s} y" % t.encode()), "hidden text")
    k.add("rtf, header", "a.rtf", lambda t: d.rtf(b"{\\header %s}x" % t.encode()), "headers and footers")
    k.add("rtf, behind \\bin", "a.rtf", lambda t: d.rtf(b"\\bin8 }}}}}}}}%s" % t.encode()), "")
    k.add("rtf, file put in", "a.rtf", lambda t: d.rtf(d.rtf_object(b"Package", d.native("in.txt", t.encode())[4:])), member="in.txt")
    k.add("rtf, embedded doc", "a.rtf", lambda t: d.rtf(d.rtf_object(b"Word.Document.8", d.doc(t + "\r"))), member="Word.Document.8")


def small(k):
    k.add("docx under a password (agile)", "a.docx", lambda t: locked.ooxml_agile(d.docx(t), "Tr0ub4dor&3"), "", member="a.docx")
    k.add("docx under a password (standard)", "a.docx", lambda t: locked.ooxml_standard(d.docx(t), "Tr0ub4dor&3"), "", member="a.docx")
    k.add("OneNote", "a.one", lambda t: d.onenote([], t), "anything readable")
    k.add("OneNote, file put in", "a.one", lambda t: d.onenote([b"x" * 50, d.docx(t)]), "", member="embedded file")
    k.add("dBase", "a.dbf", lambda t: d.dbf({"NAME": 20, "NOTE": 80}, [("Dur\u00e9", "x"), ("y", t)]), "")
    k.add("Pages", "a.pages", lambda t: d.zip_of({"Index/Document.iwa": d.iwa("a line before it: " + t), "preview.jpg": b"\xff\xd8\xff"}, zipfile.ZIP_STORED), "", member="Document.iwa")
    k.add("SQLite", "a.db", lambda t: d.sqlite("x", t, "y"), "anything readable")
    k.add("shortcut, target", "a.lnk", lambda t: d.lnk("C:\\" + t, "x"), "anything readable")
    k.add("shortcut, arguments", "a.lnk", lambda t: d.lnk("C:\\x.exe", "/c " + t), "anything readable")
    k.add("internet shortcut", "a.url", lambda t: ("[InternetShortcut]\r\nURL=http://x.example/?%s\r\n" % t).encode(), "")
    k.add("web query", "a.iqy", lambda t: ("WEB\r\n1\r\nhttp://x.example/?%s\r\n" % t).encode(), "")
    k.add("web archive", "a.mht", lambda t: d.mhtml("<html><body><p>%s</p></body></html>" % t), member="")
    k.add("XPS", "a.xps", lambda t: d.zip_of({"FixedDocumentSequence.fdseq": "<x/>", "Documents/1/Pages/1.fpage": '<FixedPage><Glyphs UnicodeString="%s"/></FixedPage>' % t}), member="1.fpage")
    k.add("Visio", "a.vsdx", lambda t: d.zip_of({"visio/document.xml": "<x/>", "visio/pages/page1.xml": "<PageContents><Shapes><Shape><Text>%s</Text></Shape></Shapes></PageContents>" % t}), member="page1.xml")
    k.add("Publisher", "a.pub", lambda t: d.cfb({"Contents": b"x" * 700, "Quill": {"QuillSub": {"CONTENTS": (t + " ").encode("utf-16le") * 20}}}))
    k.add("Access", "a.mdb", lambda t: b"\0\1\0\0Standard Jet DB\0" + bytes(400) + t.encode() + bytes(400), "anything readable")
    k.add("PostScript", "a.ps", lambda t: ("%%!PS-Adobe-3.0\n/Helvetica findfont 12 scalefont setfont 72 700 moveto (%s) show showpage\n" % t).encode(), "")
    k.add("property list", "a.plist", lambda t: ('<?xml version="1.0"?><!DOCTYPE plist><plist><dict><key>a</key><string>%s</string></dict></plist>' % t).encode(), "")
    k.add("ini file", "a.ini", lambda t: ("[a]\nb=%s\n" % t).encode(), "")
    k.add("yaml", "a.yaml", lambda t: ("a:\n  - %s\n" % t).encode(), "")


def reportlab_pdf(t):
    out = io.BytesIO()
    c = canvas.Canvas(out)
    c.drawString(72, 700, t)
    c.save()
    return out.getvalue()


def xlwt_xls(t, hidden=False):
    out = io.BytesIO()
    b = xlwt.Workbook()
    b.add_sheet("S").write(0, 0, "x")
    s = b.add_sheet("Prices")
    s.write(3, 2, t)
    s.visibility = 1 if hidden else 0
    b.save(out)
    return out.getvalue()


def pdfs(k):
    k.add("pdf", "a.pdf", lambda t: d.pdf(d.pdf_text(t)), "")
    k.add("pdf, plain", "a.pdf", lambda t: d.pdf(d.pdf_text(t), packed=False), "")
    k.add("pdf, kerned", "a.pdf", lambda t: d.pdf(b"BT /F1 12 Tf 72 720 Td [%s] TJ ET" % b" ".join(b"(%c) -20" % c for c in t.encode())), "")
    k.add("pdf, glyph by glyph", "a.pdf", lambda t: d.pdf(b"BT /F1 10 Tf " + b"".join(
        b"1 0 0 1 %d 700 Tm (%c) Tj " % (50 + i * 5, c) for i, c in enumerate(t.encode()) if c != 32) + b"ET"), "")
    k.add("pdf, ToUnicode", "a.pdf", d.pdf_hex, "")
    k.add("pdf, object streams", "a.pdf", lambda t: d.qpdf(d.pdf(d.pdf_text(t)), "--object-streams=generate"), "")
    for bits, opt in (("RC4-40", ["40"]), ("RC4-128", ["128", "--use-aes=n"]), ("AES-128", ["128", "--use-aes=y"]), ("AES-256", ["256"])):
        weak = ["--allow-weak-crypto"] if bits != "AES-256" else []
        k.add("pdf, %s, no password" % bits, "a.pdf", lambda t: d.qpdf(d.pdf(d.pdf_text(t)), *weak, "--encrypt", "", "owner", *opt, "--"), "")
        k.add("pdf, %s, password in the text" % bits, "a.pdf", lambda t: d.qpdf(d.pdf(d.pdf_text(t)), *weak, "--encrypt", "Tr0ub4dor&3", "own", *opt, "--"), "")
    k.add("pdf, owner's password in the text", "a.pdf", lambda t: d.qpdf(d.pdf(d.pdf_text(t)), "--encrypt", "user", "Tr0ub4dor&3", "256", "--"), "")
    k.add("pdf, note", "a.pdf", lambda t: d.pdf(d.pdf_text("x"), page="/Annots[<</Type/Annot/Subtype/Text/Contents(%s)>>]" % t), "fields, notes and links")
    k.add("pdf, form field", "a.pdf", lambda t: d.pdf(d.pdf_text("x"), catalog="/AcroForm<</Fields[<</FT/Tx/T(a)/V(%s)>>]>>" % t), "fields, notes and links")
    k.add("pdf, properties", "a.pdf", lambda t: d.pdf(d.pdf_text("x"), objects=[b"<</Title(%s)>>" % t.encode()]), "properties")
    k.add("pdf, XMP", "a.pdf", lambda t: d.pdf(d.pdf_text("x"), objects=[("/Type/Metadata/Subtype/XML", b"<x:xmpmeta><dc:title>%s</dc:title></x:xmpmeta>" % t.encode())]), "properties")
    k.add("pdf, script", "a.pdf", lambda t: d.pdf(d.pdf_text("x"), catalog="/OpenAction<</S/JavaScript/JS(// %s)>>" % t), "scripts")
    k.add("pdf, older version", "a.pdf", lambda t: d.pdf(d.pdf_text("x"), objects=[("", d.pdf_text(t))]), "no page of the document")
    k.add("pdf, form XObject", "a.pdf", lambda t: d.pdf(b"/X1 Do", page="", fonts="/F1 5 0 R>>/XObject<</X1 10 0 R", objects=[
        ("/Type/XObject/Subtype/Form/BBox[0 0 612 792]/Resources<</Font<</F1 5 0 R>>>>", d.pdf_text(t))]), "")
    k.add("pdf, attached file", "a.pdf", lambda t: d.pdf(d.pdf_text("x"), objects=[
        b"<</Type/Filespec/F(in.txt)/EF<</F 11 0 R>>>>", ("/Type/EmbeddedFile", t.encode())]), member="in.txt")
    k.add("pdf, file that nothing names", "a.pdf", lambda t: d.pdf(d.pdf_text("x"), objects=[("/Type/EmbeddedFile", t.encode())]))
    k.add("pdf, AF array", "a.pdf", lambda t: d.pdf(d.pdf_text("x"), catalog="/AF[<</Type/Filespec/UF(in.txt)/EF<</UF 10 0 R>>>>]",
                                                    objects=[("", t.encode())]), member="in.txt")
    k.add("pdf, ASCIIHex", "a.pdf", lambda t: d.pdf(d.pdf_text("x"), objects=[
        b"<</Filter/ASCIIHexDecode/Length 9999>>stream\n" + d.pdf_text(t).hex().encode() + b">\nendstream"]), "no page of the document")
    k.add("pdf by ReportLab", "a.pdf", reportlab_pdf, "")


def texts(k):
    k.add("plain text", "a.txt", lambda t: t.encode(), "")
    k.add("text, UTF-16", "a.txt", lambda t: t.encode("utf-16"), "")
    k.add("csv", "a.csv", lambda t: ("name;value\nx;%s\n" % t).encode(), "")
    k.add("json", "a.json", lambda t: json.dumps({"a": t}).encode(), "")
    k.add("xml", "a.xml", lambda t: ('<?xml version="1.0"?><a>%s</a>' % t).encode(), "")
    k.add("source code", "a.py", lambda t: ("#!/usr/bin/python3\n# %s\n" % t).encode(), "")
    k.add("html, visible", "a.html", lambda t: ("<html><body><p>%s</p></body></html>" % t).encode(), "")
    k.add("html, hidden", "a.html", lambda t: ('<html><body>x<p style="display:none">%s</p></body></html>' % t).encode(), "")
    k.add("html, comment", "a.html", lambda t: ("<html><body>x<!-- %s --></body></html>" % t).encode(), "")
    k.add("calendar", "a.ics", lambda t: ("BEGIN:VCALENDAR\r\nDESCRIPTION:%s\r\nEND:VCALENDAR\r\n" % t).encode(), "")
    k.add("vCard", "a.vcf", lambda t: ("BEGIN:VCARD\r\nNOTE:%s\r\nEND:VCARD\r\n" % t).encode(), "")
    k.add("svg", "a.svg", lambda t: ("<svg><text>%s</text></svg>" % t).encode(), "")
    mail = "From: a@b.example\r\nTo: c@d.example\r\nSubject: x\r\nMIME-Version: 1.0\r\n\r\n%s\r\n"
    k.add("mail as a file", "a.eml", lambda t: (mail % t).encode(), member="")
    k.add("mail in a zip", "a.zip", lambda t: d.zip_of({"m.eml": mail % t}), member="")


class Documents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab("documents")
        cls.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        cls.lab.config()
        cls.lab.policy(POLICY)

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()

    def explain(self, files, body="See the files.", name="m.eml"):
        m = email.message.EmailMessage()
        m["From"], m["To"], m["Subject"] = "a@example.lab", "b@partner.lab", "files"
        m.set_content(body)
        for fname, data in files:
            m.add_attachment(data, maintype="application", subtype="octet-stream", filename=fname)
        path = self.lab.path(name)
        with open(path, "wb") as f:
            f.write(m.as_bytes(policy=m.policy.clone(linesep="\r\n")))
        r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", self.lab.path("postern.yaml"), "explain", path, "--json"],
                           capture_output=True, text=True, timeout=120)
        self.assertIn(r.returncode, (0, 1), r.stderr)
        return json.loads(r.stdout)

    def test_table(self):
        k = Kinds()
        for group in (archives, office, binary, small, pdfs, texts):
            group(k)
        out = self.explain([(name, data) for _, name, data, _, _, _ in k.rows], body="The password: Tr0ub4dor&3\n")
        parts = {p["part"]: p for p in out["parts"]}
        masked = lambda n: card(n)[-4:]
        print("\n%-36s %-12s %-6s %-6s %-24s %s" % ("file", "type", "word", "card", "part", "text"))
        bad = []
        for i, (what, name, data, origin, member, n) in enumerate(k.rows):
            number = str(i + 2)
            mine = [f for f in out["findings"] if f["part"] == number or f["part"].startswith(number + ".")]
            words = [f for f in mine if f["detector"] == "marker"]
            cards = [f for f in mine if f["detector"] == "payment-card" and any(m.replace(" ", "").endswith(masked(n)) for m in f["masked"])]
            f = (cards or words or [None])[0]
            print("%-36s %-12s %-6s %-6s %-24s %s" % (what, parts[number]["type"], "yes" if words else "NO", "yes" if cards else "NO",
                  "" if f is None else f["part"] + (" " + f["name"] if f["name"] else ""), "" if f is None else f.get("origin", "")))
            if not words or not cards:
                bad.append("%s: word %s, card %s" % (what, bool(words), bool(cards)))
                continue
            if origin is not None and not any(g.get("origin", "") == origin for g in cards):
                bad.append("%s: found in %r, expected %r" % (what, [g.get("origin", "") for g in cards], origin))
            if member and not any(parts[g["part"]]["name"] == member for g in cards):
                bad.append("%s: found in parts %r, expected %r" % (what, [parts[g["part"]]["name"] for g in cards], member))
        self.assertEqual(bad, [])
        self.assertGreaterEqual(len(k.rows), 100)
        print("%d files, %d parts" % (len(k.rows), len(parts)))


    def words(self, text_):
        return collections.Counter(re.findall(r"\w{3,}", text_))

    def test_pdf_against_poppler(self):
        """Of the words that poppler's pdftotext finds, how many are found here? Both join hyphenated words their own way."""
        subprocess.run(["make", "-s", "B=" + lab.BUILD, os.path.join(lab.BUILD, "tools", "text_of")], cwd=ROOT, check=True)
        made = {"one column": self.reportlab(1), "two columns and a table": self.reportlab(2)}
        made["object streams"] = d.qpdf(made["two columns and a table"], "--object-streams=generate")
        made["locked for copying"] = d.qpdf(made["one column"], "--encrypt", "", "owner", "256", "--extract=n", "--")
        made["linear"] = d.qpdf(made["one column"], "--linearize")
        for path in sorted(glob.glob("/usr/share/doc/**/*.pdf", recursive=True))[:20]:
            with open(path, "rb") as f:
                made[path] = f.read()
        print("\n%-64s %8s %8s %8s" % ("pdf", "poppler", "here", "recall"))
        for what, data in made.items():
            path = self.lab.path("x.pdf")
            with open(path, "wb") as f:
                f.write(data)
            theirs = self.words(subprocess.run(["pdftotext", path, "-"], capture_output=True, check=True).stdout.decode(errors="replace"))
            ours = self.words(subprocess.run([os.path.join(lab.BUILD, "tools", "text_of"), path, "x.pdf"], capture_output=True,
                                             check=True).stdout.decode(errors="replace"))
            total = sum(theirs.values())
            found = sum(min(n, ours[w]) for w, n in theirs.items())
            print("%-64s %8d %8d %8.4f" % (what[-64:], total, found, found / total if total else 1))
            with self.subTest(what):
                self.assertGreaterEqual(found, 0.98 * total)

    def reportlab(self, columns):
        out = io.BytesIO()
        c = canvas.Canvas(out, pageCompression=1)
        with open(os.path.join(ROOT, "LICENSE")) as f:
            text_ = [w for w in f.read().split() if len(w) < 20]
        at = 0
        for page in range(3):
            for col in range(columns):
                for line in range(50):
                    words, room = [], 500 // columns
                    while at < len(text_) and c.stringWidth(" ".join(words + [text_[at]]), "Times-Roman", 10) < room:
                        words.append(text_[at])
                        at += 1
                    c.setFont("Times-Roman", 10)
                    c.drawString(40 + col * (room + 20), 800 - line * 12, " ".join(words))
            for i in range(5 if columns > 1 else 0):
                c.setFont("Courier-Bold", 9)
                c.drawString(40, 150 - 12 * i, "row %d" % i)
                c.drawRightString(300, 150 - 12 * i, "total %d.00" % (i * 1234567))
            c.showPage()
        c.save()
        return out.getvalue()


if __name__ == "__main__":
    unittest.main()
