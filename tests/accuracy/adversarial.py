"""adversarial.py -- ways to write a number so that a machine does not see it, and which are seen.

    adversarial.py [--markdown]

Each wrapping is made of a card, an IBAN and a NIR, in a whole message, beside their names. A wrapping that is said to be
seen here and is not, or the other way round, ends the program with status 1: the table in docs/DETECTORS.md is this one.
"""
import base64
import quopri
import sys

import measure
from documents import Document

VALUES = [("payment-card", "credit card", "4111 1111 1111 1111"), ("iban", "IBAN", "FR14 2004 1010 0505 0001 3M02 606"), ("fr-nir", "sécurité sociale", "1 84 12 76 451 089 46")]
HEAD = "From: a@example.org\r\nTo: b@example.net\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n"


def text(body, encoding="8bit"):
    raw = body.encode()
    if encoding == "quoted-printable":
        raw = quopri.encodestring(raw).replace(b"\n", b"\r\n")
    elif encoding == "base64":
        raw = base64.encodebytes(raw).replace(b"\n", b"\r\n")
    return (HEAD % ("plain", encoding)).encode() + raw


def page(body):
    return (HEAD % ("html", "8bit") + "<html><body>" + body + "</body></html>\r\n").encode()


def between(s, what):
    return what.join(s)


def other_digits(zero):
    return lambda s: "".join(chr(ord(zero) + int(c)) if c.isdigit() else c for c in s)


def plain(f):
    return lambda l, v: text("%s: %s\r\n" % (l, f(v)))


def rich(f):
    return lambda l, v: page("<p>%s: %s</p>" % (l, f(v)))


def compact(v):
    return v.replace(" ", "")


def soft_break(l, v):
    """Quoted-printable lines that end in the middle of the number."""
    s = "%s: %s\r\n" % (l, v)
    return (HEAD % ("plain", "quoted-printable")).encode() + "".join("=%02X" % b if b > 126 else chr(b) + ("=\r\n" if i % 5 == 4 else "") for i, b in enumerate(s.encode()) if b not in (13, 10)).encode() + b"\r\n"


LOOKALIKE = {"1": "l", "0": "O"}
CYRILLIC = {"A": "\u0410", "B": "\u0412", "E": "\u0415", "M": "\u041c", "O": "\u041e", "R": "\u0420", "F": "F"}

WRAPPINGS = [
    ("as one run of digits", plain(compact), True),
    ("hyphens", plain(lambda v: v.replace(" ", "-")), True),
    ("dots", plain(lambda v: v.replace(" ", ".")), True),
    ("no-break spaces", plain(lambda v: v.replace(" ", "\u00a0")), True),
    ("thin and narrow spaces", plain(lambda v: v.replace(" ", "\u202f")), True),
    ("en dashes", plain(lambda v: v.replace(" ", "\u2013")), True),
    ("two blanks", plain(lambda v: v.replace(" ", "  ")), True),
    ("lower case", plain(str.lower), True),
    ("zero-width spaces between all characters", plain(lambda v: between(v, "\u200b")), True),
    ("soft hyphens between all characters", plain(lambda v: between(compact(v), "\u00ad")), True),
    ("word joiners, byte-order marks, direction marks", plain(lambda v: between(v, "\u2060\ufeff\u200e")), True),
    ("variation selectors behind each character", plain(lambda v: between(v, "\ufe0f")), True),
    ("full-width digits and letters", plain(lambda v: "".join(chr(ord(c) + 0xfee0) if c.isalnum() else c for c in v)), True),
    ("Arabic-Indic digits", plain(other_digits("\u0660")), True),
    ("Devanagari digits", plain(other_digits("\u0966")), True),
    ("mathematical bold digits", plain(other_digits("\U0001d7ce")), True),
    ("mathematical monospace digits", plain(other_digits("\U0001d7f6")), True),
    ("superscript digits", plain(lambda v: "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(c)] if c.isdigit() else c for c in v)), False),
    ("a line break at a blank", plain(lambda v: v.replace(" ", "\r\n", 1)), True),
    ("soft line breaks of quoted-printable", soft_break, True),
    ("base64 body", lambda l, v: text("%s: %s\r\n" % (l, v), "base64"), True),
    ("HTML tags in it", rich(lambda v: v[:7] + "<b>" + v[7:] + "</b>"), True),
    ("a tag around each character", rich(lambda v: "".join("<span>%s</span>" % c for c in v)), True),
    ("HTML comments in it", rich(lambda v: between(v, "<!-- -->")), True),
    ("character references", rich(lambda v: "".join("&#%d;" % ord(c) if c != " " else c for c in v)), True),
    ("a table cell for each group", rich(lambda v: "<table><tr>" + "".join("<td>%s</td>" % g for g in v.split()) + "</tr></table>"), True),
    ("white on white, or hidden by style", rich(lambda v: "<span style='display:none'>%s</span>" % v), True),
    ("quotes around it in CSV", plain(lambda v: '1;"%s";x' % v), True),
    ("one character in each cell or box", plain(lambda v: between(compact(v), " | ")), False),
    ("one character a line", plain(lambda v: between(compact(v), "\r\n")), False),
    ("a blank between all digits", plain(lambda v: between(compact(v), " ")), False),
    ("letters for digits (l for 1, O for 0)", plain(lambda v: "".join(LOOKALIKE.get(c, c) for c in v)), False),
    ("backwards", plain(lambda v: v[::-1]), False),
    ("spelled out", plain(lambda v: " ".join("zero one two three four five six seven eight nine".split()[int(c)] if c.isdigit() else c for c in compact(v))), False),
    ("split over two messages", plain(lambda v: v[:len(v) // 2]), False),
]


def run():
    docs, rows = [], []
    for what, make, seen in WRAPPINGS:
        for name, label, v in VALUES:
            docs.append(Document("adversarial", name, "M", make(label, v), []))
    found = measure.detect(docs)
    bad = []
    for i, (what, _, seen) in enumerate(WRAPPINGS):
        got = []
        for k, (name, _, _) in enumerate(VALUES):
            levels = [f[1] for f in found[3 * i + k] if f[0] == name]
            best = max(levels, key=measure.LEVELS.index) if levels else "no"
            got.append(best)
        if seen != all(g != "no" for g in got) or (not seen and any(g != "no" for g in got)):
            bad.append((what, seen, got))
        rows.append((what, got))
    return rows, bad


def markdown(rows):
    lines = ["| written | card | IBAN | NIR |", "|---|---|---|---|"]
    return lines + ["| %s | %s | %s | %s |" % ((what,) + tuple(got)) for what, got in rows]


if __name__ == "__main__":
    rows, bad = run()
    if "--markdown" in sys.argv:
        print("\n".join(markdown(rows)))
    else:
        for what, got in rows:
            print("%-52s %s" % (what, "  ".join("%-6s" % g for g in got)))
    for what, seen, got in bad:
        print("%s: said to be %s, found %s" % (what, "seen" if seen else "not seen", got))
    sys.exit(1 if bad else 0)
