"""corpus.py -- real text that Debian packages ship, in which no identifier is expected.

A find in it is false unless known.txt says why it is true: documentation has example cards and keys.
"""
import glob
import gzip
import html.parser
import os
import re
from collections import Counter, defaultdict

import measure
from documents import Document

PACKAGES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "packages")
# Folders, and what is read of them.
FOLDERS = [("changelogs and copyright", "/usr/share/doc/**/*", r"(changelog|NEWS|README|copyright|AUTHORS|\.txt)[^/]*$"),
           ("manuals in French", "/usr/share/man/fr/**/*", r"\.gz$"), ("manuals in German", "/usr/share/man/de/**/*", r"\.gz$"),
           ("manuals in Spanish", "/usr/share/man/es/**/*", r"\.gz$"), ("manuals in English", "/usr/share/man/man*/*", r"\.gz$"),
           ("books and guides", "/usr/share/doc/**/*", r"\.html?$"), ("proverbs", "/usr/share/games/fortunes/**/*", r"/[^/.]+$"),
           ("Perl's manual", "/usr/share/perl/**/*", r"\.pod$"), ("mail of Python's tests", "/usr/lib/python3*/test/test_email/data/*", r"\.txt$")]
FILE_MAX = 4 << 20
TOTAL_MAX = 40 << 20        # of each kind


class Text(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.out, self.skip = [], 0

    def handle_starttag(self, tag, attrs):
        self.skip += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.skip -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.skip:
            self.out.append(data)


def read(path):
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
            raw = f.read(FILE_MAX)
    except (OSError, EOFError):
        return b""
    if b"\0" in raw[:4096]:
        return b""
    text = raw.decode("utf-8", "replace") if b"\xc3" in raw or raw.isascii() else raw.decode("latin-1")
    if re.search(r"\.html?$", path):
        p = Text()
        p.feed(text)
        text = "".join(p.out)
    elif "/man/" in path:
        text = re.sub(r"\\f.|\\&|^\.\S+ ?", "", text, flags=re.M).replace("\\-", "-")
    return text.encode("utf-8", "replace")


class Real:
    def __init__(self):
        self.bytes = Counter()
        self.files = Counter()
        self.false = Counter()      # (detector, level)
        self.hits = defaultdict(list)
        self.known = 0

    def per_mb(self, name, level):
        above = measure.LEVELS[measure.LEVELS.index(level):]
        return sum(self.false[name, l] for l in above) / (sum(self.bytes.values()) / 1e6)

    def summary(self):
        lines = ["real text: %.1f MB in %d files; %d finds that are true (known.txt)" % (sum(self.bytes.values()) / 1e6, sum(self.files.values()), self.known)]
        for kind, n in self.bytes.items():
            lines.append("  %-26s %6.1f MB %6d files" % (kind, n / 1e6, self.files[kind]))
        for level in measure.LEVELS:
            lines.append("  false at %-6s %6d, %.3f per MB" % (level, sum(v for (_, l), v in self.false.items() if l == level),
                                                            sum(v for (_, l), v in self.false.items() if l == level) / (sum(self.bytes.values()) / 1e6)))
        return "\n".join(lines)


def known():
    """detector TAB text: a find with that text is true."""
    path = os.path.join(os.path.dirname(__file__), "known.txt")
    with open(path, encoding="utf-8") as f:
        return {tuple(l.rstrip("\n").split("\t")[:2]) for l in f if l.strip() and not l.startswith("#")}


def measure_all():
    real, true = Real(), known()
    for kind, pattern, names in FOLDERS:
        docs, paths, seen = [], [], set()
        for path in sorted(glob.glob(pattern, recursive=True)):
            if not re.search(names, path) or os.path.isdir(path):
                continue
            place = os.path.realpath(path)
            if place in seen or real.bytes[kind] > TOTAL_MAX:
                continue
            seen.add(place)
            data = read(path)
            if len(data) < 200 or hash(data) in seen:
                continue
            seen.add(hash(data))
            real.bytes[kind] += len(data)
            real.files[kind] += 1
            docs.append(Document(kind, None, "T", data, []))
            paths.append(path)
        if not docs:
            raise SystemExit("no text in %s: tests/deps $(cat %s)" % (pattern, PACKAGES))
        for d, path, finds in zip(docs, paths, measure.detect(docs)):
            for name, level, a, b in finds:
                if (name, d.data[a:b].decode(errors="replace").replace("\n", " ")) in true:
                    real.known += 1
                    continue
                real.false[name, level] += 1
                real.hits[name].append((level, path, d.data[max(0, a - 50):b + 20].decode(errors="replace")))
    for hits in real.hits.values():
        hits.sort(key=lambda h: -measure.LEVELS.index(h[0]))
    return real
