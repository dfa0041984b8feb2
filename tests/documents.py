"""documents.py -- files of every kind, each with a text of ours in a known place.

Archives come from Python's and Debian's own programs where there are any; the binary office
formats, which no small program writes, from the minimal writers below. Each function returns bytes.
"""
import io
import os
import struct
import subprocess
import tarfile
import tempfile
import zipfile
import zlib

# --- archives ----------------------------------------------------------------------------------


def zip_of(members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        for name, data in members.items():
            z.writestr(name, data)
    return out.getvalue()


def run(argv, members, result):
    """What a program makes of these files; result: the name of its output."""
    with tempfile.TemporaryDirectory(prefix="postern-documents-") as d:
        for name, data in members.items():
            with open(os.path.join(d, name), "wb") as f:
                f.write(data)
        r = subprocess.run(argv, cwd=d, capture_output=True)
        if r.returncode:
            raise RuntimeError("%s: %s" % (argv, (r.stdout + r.stderr).decode(errors="replace")))
        with open(os.path.join(d, result), "rb") as f:
            return f.read()


def sevenzip(members, *options, kind="7z"):
    return run(["7z", "a", "-bd", "-y", "-t" + kind, *options, "out." + kind, *members], members, "out." + kind)


def tar_of(members, mode="w", form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as t:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def iso_of(members):
    return run(["genisoimage", "-quiet", "-J", "-r", "-o", "out.iso", *members], members, "out.iso")


def zstd_of(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


def cab_of(members):
    """MS-CAB, one folder, not compressed."""
    data = b"".join(members.values())
    blocks = [data[i:i + 32768] for i in range(0, len(data), 32768)] or [b""]
    files, at = b"", 0
    for name, d in members.items():
        files += struct.pack("<IIHHHH", len(d), at, 0, 0x5a21, 0x6000, 0x20) + name.encode() + b"\0"
        at += len(d)
    head = 36 + 8
    first = head + len(files)
    body = b"".join(struct.pack("<IHH", 0, len(b), len(b)) + b for b in blocks)
    folder = struct.pack("<IHH", first, len(blocks), 0)
    size = first + len(body)
    return (b"MSCF" + struct.pack("<IIIIIBBHHHHH", 0, size, 0, head, 0, 3, 1, 1, len(members), 0, 7, 0) +
            folder + files + body)


def rar4_of(members, flags=0, main_flags=0):
    """RAR 4, stored."""
    def block(kind, fl, body):
        raw = struct.pack("<BHH", kind, fl, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(raw) & 0xffff) + raw
    out = b"Rar!\x1a\x07\x00" + block(0x73, main_flags, bytes(6))
    for name, d in members.items():
        n = name.encode()
        out += block(0x74, 0x8000 | flags, struct.pack("<IIBIIBBHI", len(d), len(d), 2, zlib.crc32(d), 0x5a210000,
                                                      20, 0x30, len(n), 0x20) + n) + d
    return out + block(0x7b, 0x4000, b"")


def vint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def rar5_of(members):
    """RAR 5, stored."""
    def block(kind, flags, body, data=b""):
        head = vint(kind) + vint(flags) + (vint(len(data)) if flags & 2 else b"") + body
        head = vint(len(head)) + head
        return struct.pack("<I", zlib.crc32(head)) + head + data
    out = b"Rar!\x1a\x07\x01\x00" + block(1, 0, vint(0))
    for name, d in members.items():
        n = name.encode()
        out += block(2, 2, vint(4) + vint(len(d)) + vint(0x20) + struct.pack("<I", zlib.crc32(d)) + vint(0) +
                     vint(1) + vint(len(n)) + n, d)
    return out + block(5, 0, vint(0))


def crc16(data):
    c = 0
    for b in data:
        c ^= b
        for _ in range(8):
            c = c >> 1 ^ (0xa001 if c & 1 else 0)
    return c


def lzh_of(members):
    """LHarc, level 0, stored."""
    out = b""
    for name, d in members.items():
        n = name.encode()
        body = b"-lh0-" + struct.pack("<IIIBB", len(d), len(d), 0x5a210000, 0x20, 0) + bytes([len(n)]) + n + \
            struct.pack("<H", crc16(d))
        out += bytes([len(body), sum(body) & 255]) + body + d
    return out + b"\0"


# --- compound files (MS-CFB, version 3) --------------------------------------------------------

FREE, END, FATSECT = 0xffffffff, 0xfffffffe, 0xfffffffd


def cfb(tree, scatter=False):
    """tree: name -> bytes or a tree. scatter: sectors of a stream lie backwards, so that chains count."""
    entries = [["Root Entry", 5, FREE, FREE, FREE, b""]]

    def add(node, parent):
        last = None
        for name, value in node.items():
            i = len(entries)
            entries.append([name, 1 if isinstance(value, dict) else 2, FREE, FREE, FREE,
                            b"" if isinstance(value, dict) else value])
            if last is None:
                entries[parent][4] = i
            else:
                entries[last][3] = i
            last = i
            if isinstance(value, dict):
                add(value, i)
    add(tree, 0)
    mini, minifat, starts = b"", [], {}
    for i, e in enumerate(entries):
        if e[1] == 2 and 0 < len(e[5]) < 4096:
            n = -(-len(e[5]) // 64)
            starts[i] = len(minifat)
            minifat += list(range(len(minifat) + 1, len(minifat) + n)) + [END]
            mini += e[5].ljust(n * 64, b"\0")
    sectors, fat = [], []

    def put(data):
        if not data:
            return END
        parts = [data[k:k + 512].ljust(512, b"\0") for k in range(0, len(data), 512)]
        base = len(sectors)
        order = list(range(len(parts)))
        if scatter:
            order.reverse()
        place = [base + order[k] for k in range(len(parts))]
        sectors.extend([None] * len(parts))
        fat.extend([END] * len(parts))
        for k, p in enumerate(parts):
            sectors[place[k]] = p
            fat[place[k]] = place[k + 1] if k + 1 < len(parts) else END
        return place[0]
    for i, e in enumerate(entries):
        if e[1] == 2 and i not in starts:
            starts[i] = put(e[5])
    root = put(mini)
    minifat_at = put(struct.pack("<%dI" % len(minifat), *minifat).ljust(-(-len(minifat) * 4 // 512) * 512, b"\xff"))
    directory = b""
    for i, e in enumerate(entries):
        name = e[0].encode("utf-16le")
        start, size = (root, len(mini)) if i == 0 else (starts.get(i, 0), len(e[5]))
        directory += name.ljust(64, b"\0") + struct.pack("<HBBIII", len(name) + 2, e[1], 1, e[2], e[3], e[4]) + \
            bytes(16 + 4 + 16) + struct.pack("<II", start, size) + bytes(4)
    directory_at = put(directory.ljust(-(-len(directory) // 512) * 512, b"\0"))
    nfat = 1
    while nfat * 128 < len(sectors) + nfat:
        nfat += 1
    fat_at = list(range(len(sectors), len(sectors) + nfat))
    fat += [FATSECT] * nfat
    table = struct.pack("<%dI" % len(fat), *fat).ljust(nfat * 512, b"\xff")
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack(
        "<HHHHH6xIIIIIIIII", 0x3e, 3, 0xfffe, 9, 6, 0, nfat, directory_at, 0, 4096,
        minifat_at if minifat else END, -(-len(minifat) * 4 // 512), END, 0)
    head = head[:76] + struct.pack("<109I", *(fat_at + [FREE] * (109 - nfat)))
    return head + b"".join(sectors) + table


def properties(**texts):
    """A SummaryInformation stream: title 2, subject 3, author 4."""
    ids = {"title": 2, "subject": 3, "author": 4}
    items, body = [], b""
    at = 8 + 8 * len(texts)
    for k, v in texts.items():
        raw = v.encode("cp1252") + b"\0"
        raw = struct.pack("<II", 0x1e, len(raw)) + raw.ljust(-(-len(raw) // 4) * 4, b"\0")
        items.append(struct.pack("<II", ids[k], at + len(body)))
        body += raw
    section = struct.pack("<II", at + len(body), len(items)) + b"".join(items) + body
    return struct.pack("<HHI", 0xfffe, 0, 0) + bytes(16) + struct.pack("<I", 1) + bytes(16) + struct.pack("<I", 48) + section


def doc(main, notes="", headers="", comments="", wide=False, extra=None):
    """Word 97: a FIB, the text in two pieces, a piece table."""
    stories = [main, notes, headers, "", comments, "", "", ""]
    text = "".join(stories)
    cut = len(main) // 2
    pieces, body, at = [], b"", 1536
    for k, (a, z) in enumerate([(0, cut), (cut, len(text))]):
        raw = text[a:z].encode("utf-16le" if wide or k else "cp1252")
        pieces.append((a, at + len(body), not (wide or k)))
        body += raw
    fib = bytearray(1536)
    struct.pack_into("<HH", fib, 0, 0xa5ec, 193)
    struct.pack_into("<H", fib, 10, 0x200)
    for i, s in enumerate(stories):
        struct.pack_into("<I", fib, 76 + 4 * i, len(s))
    plc = b"".join(struct.pack("<I", a) for a, _, _ in pieces) + struct.pack("<I", len(text))
    plc += b"".join(struct.pack("<HIH", 0, (fc * 2 | 0x40000000) if narrow else fc, 0) for _, fc, narrow in pieces)
    clx = b"\1\4\0abcd" + b"\2" + struct.pack("<I", len(plc)) + plc
    struct.pack_into("<II", fib, 418, 16, len(clx))
    tree = {"WordDocument": bytes(fib) + body, "1Table": bytes(16) + clx}
    tree.update(extra or {})
    return cfb(tree, scatter=True)


def record(kind, body):
    return struct.pack("<HH", kind, len(body)) + body


def xls(sheets, strings=(), macro=False):
    """Excel 97. sheets: name -> (hidden, [[value]]); a value: text (shared) or number."""
    table = list(strings)
    subs = []
    for hidden, rows in sheets.values():
        s = record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0))
        for r, row in enumerate(rows):
            for c, v in enumerate(row):
                if isinstance(v, str):
                    if v not in table:
                        table.append(v)
                    s += record(0xfd, struct.pack("<HHHI", r, c, 0, table.index(v)))
                else:
                    s += record(0x203, struct.pack("<HHHd", r, c, 0, v))
        subs.append(s + record(0x0a, b""))
    body = b"".join(struct.pack("<HB", len(t), 1) + t.encode("utf-16le") for t in table)
    sst = struct.pack("<II", len(table), len(table)) + body
    first, rest = sst[:100], sst[100:]
    # The table goes on in a CONTINUE record within a string, whose width is told anew.
    at, shared = 8, b""
    for t in table:
        size = 3 + 2 * len(t)
        if at < 100 <= at + size - 2 and 100 - at > 3:
            split = 100 - (100 - at - 3) % 2
            shared = record(0xfc, sst[:split]) + record(0x3c, b"\1" + sst[split:])
        at += size
    shared = shared or record(0xfc, first + rest)
    sheet_records = len(sheets)
    globals_ = record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 0))
    size = len(globals_) + len(shared) + 4
    names = [n.encode("utf-16le") for n in sheets]
    size += sum(4 + 8 + len(n) for n in names)
    bound, at = b"", size
    for (n, (hidden, _)), raw, s in zip(sheets.items(), names, subs):
        bound += record(0x85, struct.pack("<IBBBB", at, 1 if hidden else 0, 1 if macro else 0, len(n), 1) + raw)
        at += len(s)
    assert sheet_records == len(subs)
    return cfb({"Workbook": globals_ + bound + shared + record(0x0a, b"") + b"".join(subs)})


def ppt_record(kind, body, container=False, inst=0):
    return struct.pack("<HHI", inst << 4 | (15 if container else 0), kind, len(body)) + body


def ppt(slide, note, comment, obj=None):
    body = ppt_record(1006, ppt_record(4000, slide.encode("utf-16le")), True)
    body += ppt_record(1008, ppt_record(4008, note.encode("latin-1")), True)
    body += ppt_record(12000, ppt_record(4026, comment.encode("utf-16le")), True)
    if obj:
        body += ppt_record(4113, struct.pack("<I", len(obj)) + zlib.compress(obj), inst=1)
    return cfb({"PowerPoint Document": body, "Current User": struct.pack("<IIII", 0, 0, 0x14, 0xe391c05f)})


def native(name, data):
    """\\1Ole10Native: a file put into a document."""
    n = name.encode() + b"\0"
    body = struct.pack("<H", 2) + n + n + struct.pack("<HH", 0, 3) + struct.pack("<I", len(n)) + n + \
        struct.pack("<I", len(data)) + data
    return struct.pack("<I", len(body)) + body


def msg(subject, body, html=None, rtf=None, attachments=(), recipient=""):
    def text(s):
        return s.encode("utf-16le")
    tree = {"__properties_version1.0": bytes(32), "__substg1.0_0037001F": text(subject), "__substg1.0_1000001F": text(body),
            "__recip_version1.0_#00000000": {"__properties_version1.0": bytes(8), "__substg1.0_3003001F": text(recipient)}}
    if html:
        tree["__substg1.0_10130102"] = html
    if rtf:
        # MELA: not compressed
        tree["__substg1.0_10090102"] = struct.pack("<II", len(rtf) + 12, len(rtf)) + b"MELA" + bytes(4) + rtf
    for i, (name, data) in enumerate(attachments):
        tree["__attach_version1.0_#%08X" % i] = {"__properties_version1.0": bytes(8),
                                                 "__substg1.0_3707001F": text(name), "__substg1.0_37010102": data}
    return cfb(tree)


def vba(source):
    """A VBA storage; the source packed without any copying (MS-OVBA 2.4.1)."""
    raw = ("Attribute VB_Name = \"Module1\"\r\n" + source).encode("cp1252")
    out = b"\1"
    for i in range(0, len(raw), 2048):
        chunk = raw[i:i + 2048]
        data = b"".join(b"\0" + chunk[k:k + 8] for k in range(0, len(chunk), 8))
        out += struct.pack("<H", 0xb000 | (len(data) + 2 - 3)) + data
    return {"VBA": {"dir": b"\1" + bytes(20), "_VBA_PROJECT": bytes(7), "Module1": b"compiled" * 9 + out}}


# --- OOXML and ODF ------------------------------------------------------------------------------

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def para(text):
    return "<w:p><w:r><w:t>%s</w:t></w:r></w:p>" % text


def docx(main="", members=None, body=None):
    m = {"[Content_Types].xml": "<Types/>", "word/document.xml":
         '<?xml version="1.0"?><w:document %s><w:body>%s</w:body></w:document>' % (W, body or para(main))}
    m.update(members or {})
    return zip_of(m)


def xlsx(shared, sheets, members=None):
    """sheets: name -> (state, xml of the rows)."""
    book = "".join('<sheet name="%s" sheetId="%d" state="%s" r:id="rId%d"/>' % (n, i + 1, s, i + 1)
                   for i, (n, (s, _)) in enumerate(sheets.items()))
    rels = "".join('<Relationship Id="rId%d" Type="http://x/worksheet" Target="worksheets/sheet%d.xml"/>' % (i + 1, i + 1)
                   for i in range(len(sheets)))
    m = {"xl/workbook.xml": "<workbook><sheets>%s</sheets></workbook>" % book,
         "xl/_rels/workbook.xml.rels": "<Relationships>%s</Relationships>" % rels,
         "xl/sharedStrings.xml": "<sst>%s</sst>" % "".join("<si><t>%s</t></si>" % s for s in shared)}
    for i, (_, xml) in enumerate(sheets.values()):
        m["xl/worksheets/sheet%d.xml" % (i + 1)] = "<worksheet><sheetData>%s</sheetData></worksheet>" % xml
    m.update(members or {})
    return zip_of(m)


def odf(kind, content, members=None):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(zipfile.ZipInfo("mimetype"), "application/vnd.oasis.opendocument." + kind)
        z.writestr("content.xml", "<office:document-content>%s</office:document-content>" % content)
        for name, data in (members or {}).items():
            z.writestr(name, data)
    return out.getvalue()


# --- PDF ------------------------------------------------------------------------------------------


def pdf(content, packed=True, objects=(), page="", catalog="", fonts="/F1 5 0 R", to_unicode=None):
    """One page; content: a content stream. objects: more of them, from number 10 on, as bytes."""
    def stream(d, data):
        if packed:
            data = zlib.compress(data)
            d += "/Filter/FlateDecode"
        return b"<<%s/Length %d>>\nstream\n" % (d.encode(), len(data)) + data + b"\nendstream"
    objs = {1: b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog.encode(), 2: b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<<%s>>>>%s>>" %
            (fonts.encode(), page.encode()),
            4: stream("", content), 5: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"}
    if to_unicode:
        objs[6] = b"<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/ToUnicode 7 0 R/DescendantFonts[8 0 R]>>"
        objs[7] = stream("", to_unicode)
        objs[8] = b"<</Type/Font/Subtype/CIDFontType2/BaseFont/X/DW 500>>"
    for i, o in enumerate(objects):
        objs[10 + i] = o if isinstance(o, bytes) else stream(o[0], o[1])
    out, places = b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n", {}
    for n, o in objs.items():
        places[n] = len(out)
        out += b"%d 0 obj\n" % n + o + b"\nendobj\n"
    xref = len(out)
    out += b"xref\n0 %d\n" % (max(objs) + 1)
    for n in range(max(objs) + 1):
        out += b"%010d %05d %s \n" % (places.get(n, 0), 0 if n in places else 65535, b"n" if n in places else b"f")
    return out + b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (max(objs) + 1, xref)


def pdf_text(*lines):
    """A content stream that shows these lines."""
    out = b"BT /F1 12 Tf 72 720 Td 14 TL\n"
    for l in lines:
        out += b"(" + l.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)") + b") Tj T*\n"
    return out + b"ET\n"


def pdf_hex(text):
    """The same in two-byte codes that only a ToUnicode map explains: code = character + 1000."""
    codes = "".join("%04x" % (ord(c) + 1000) for c in text)
    cmap = ("1 begincodespacerange <0000> <ffff> endcodespacerange\n1 beginbfrange <%04x> <%04x> <0020> endbfrange\n"
            % (1032, 1126))
    return pdf(b"BT /F2 12 Tf 72 720 Td <%s> Tj ET" % codes.encode(), fonts="/F2 6 0 R", to_unicode=cmap.encode())


def qpdf(data, *options):
    return run(["qpdf", *options, "in.pdf", "out.pdf"], {"in.pdf": data}, "out.pdf")


# --- RTF ---------------------------------------------------------------------------------------------


def rtf(body):
    return (b"{\\rtf1\\ansi\\ansicpg1252\\deff0{\\fonttbl{\\f0 Arial;}}{\\colortbl;\\red0\\green0\\blue0;}"
            b"{\\info{\\title About}}\\pard " + body + b"\\par}")


def rtf_object(kind, data):
    c = kind + b"\0"
    ole = struct.pack("<III", 0x501, 2, len(c)) + c + struct.pack("<II", 0, 0) + struct.pack("<I", len(data)) + data
    return b"{\\object\\objemb{\\*\\objclass " + kind + b"}{\\*\\objdata " + ole.hex().encode() + b"}}"




# --- smaller kinds -------------------------------------------------------------------------------


def onenote(files, text=""):
    """A section as far as its readers by pattern go: the header's mark, text in UTF-16, files put in (MS-ONESTORE 2.6.13)."""
    out = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(1008) + text.encode("utf-16le") + bytes(64)
    for data in files:
        out += bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac") + struct.pack("<QIQ", len(data), 0, 0) + data
        out += bytes(-len(data) % 8) + bytes.fromhex("22a7fb710f790b4abb13899256426b24")
    return out


def dbf(fields, rows, codepage=3):
    """dBase III: fields {name: width}, all text."""
    row = 1 + sum(fields.values())
    head = 32 + 32 * len(fields) + 1
    out = struct.pack("<BBBBIHH17xBxx", 3, 126, 11, 22, len(rows), head, row, codepage)
    for name, width in fields.items():
        out += name.encode().ljust(11, b"\0") + b"C" + bytes(4) + bytes([width, 0]) + bytes(14)
    out += b"\r"
    for r in rows:
        out += b" " + b"".join(v.encode("cp1252").ljust(w)[:w] for v, w in zip(r, fields.values()))
    return out + b"\x1a"


def iwa(text):
    """A member of an iWork file: Snappy (a literal, a copy, a literal), around something like a protocol buffer."""
    raw = text.encode()
    body = b"\x0a" + bytes([len(raw) & 0x7f]) + raw
    first, again = body[:20], b"abcdefg\n"
    stream = bytes([len(first) - 1 << 2]) + first + bytes([len(again) - 1 << 2]) + again
    stream += bytes([(8 - 1) << 2 | 2]) + struct.pack("<H", 8)      # the eight once more
    rest = body[20:]
    stream += bytes([60 << 2, len(rest) - 1]) + rest
    # What is in the middle is no part of the text: it stands before it.
    whole = len(first) + 16 + len(rest)
    stream = bytes([whole & 0x7f | 0x80, whole >> 7]) + stream
    return b"\0" + struct.pack("<I", len(stream))[:3] + stream


def arj_of(members, *options):
    return run(["arj", "a", "-y", *options, "out.arj", *members], members, "out.arj")


def ar_of(members):
    out = b"!<arch>\n"
    for name, data in members.items():
        out += b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % ((name + "/").encode(), 0, 0, 0, 0o100644, len(data)) + data + b"\n" * (len(data) % 2)
    return out


def cpio_of(members):
    out = b""
    for i, (name, data) in enumerate(list(members.items()) + [("TRAILER!!!", b"")]):
        n = name.encode() + b"\0"
        head = b"070701" + b"".join(b"%08x" % v for v in (i + 1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(n), 0))
        out += head + n + bytes(-(len(head) + len(n)) % 4) + data + bytes(-len(data) % 4)
    return out


def xar_of(members):
    heap, files = b"", ""
    for i, (name, data) in enumerate(members.items()):
        packed = zlib.compress(data)
        files += ('<file id="%d"><name>%s</name><type>file</type><mode>0644</mode><data><length>%d</length><offset>%d</offset><size>%d</size>'
                  '<encoding style="application/x-gzip"/></data></file>' % (i + 1, name, len(packed), 20 + len(heap), len(data)))
        heap += packed
    toc = ('<?xml version="1.0" encoding="UTF-8"?><xar><toc><checksum style="sha1"><size>20</size><offset>0</offset></checksum>%s</toc></xar>' % files).encode()
    packed = zlib.compress(toc)
    import hashlib
    return struct.pack(">4sHHQQI", b"xar!", 28, 1, len(packed), len(toc), 1) + packed + hashlib.sha1(packed).digest() + heap


def lnk(target, arguments):
    """A shortcut with a local path and arguments in UTF-16 (MS-SHLLINK)."""
    head = struct.pack("<I", 0x4c) + bytes.fromhex("0114020000000000c000000000000046") + struct.pack("<I", 0x2 | 0x20 | 0x80) + bytes(52)
    path = target.encode("cp1252") + b"\0"
    info = struct.pack("<IIIIIII", 28 + 17 + len(path) + 1, 28, 1, 28, 28 + 17, 0, 28 + 17 + len(path)) + struct.pack("<IIII", 17, 3, 0, 16) + b"\0" + path + b"\0"
    a = arguments.encode("utf-16le")
    return head + info + struct.pack("<H", len(arguments)) + a + bytes(4)


def sqlite(*texts):
    import sqlite3
    with tempfile.TemporaryDirectory(prefix="postern-documents-") as t:
        path = os.path.join(t, "x.db")
        c = sqlite3.connect(path)
        c.execute("create table notes (id integer primary key, body text)")
        c.executemany("insert into notes (body) values (?)", [(x,) for x in texts])
        c.commit()
        c.close()
        with open(path, "rb") as f:
            return f.read()


def mhtml(html):
    return ('From: <Saved by a browser>\r\nSnapshot-Content-Location: http://x.example/\r\nSubject: x\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n'
            'MIME-Version: 1.0\r\nContent-Type: multipart/related; type="text/html"; boundary="----b"\r\n\r\n------b\r\n'
            'Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Location: http://x.example/\r\n\r\n'
            '%s\r\n------b--\r\n' % html.replace("=", "=3D")).encode()
