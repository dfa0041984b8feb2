"""measure.py -- runs build/tools/detect_lines over documents and counts; used by accuracy.py."""
import json
import os
import subprocess
from collections import Counter, defaultdict

LEVELS = ["low", "medium", "high"]

# A find of the first in a value of the second is true as well: neither counted for nor against.
ALSO = {("fr-siren", "fr-siret"), ("fr-siren", "fr-tva"), ("private-key", "gcp-key"), ("password-in-clear", "connection-string"),
        ("fr-rib", "iban"), ("connection-string", "azure-key")}


def tool():
    return os.path.join(os.environ.get("B", "build"), "tools", "detect_lines")


def builtins():
    out = subprocess.run([tool(), "-l"], capture_output=True, check=True, text=True).stdout
    return [json.loads(l) for l in out.splitlines()]


def detect(documents):
    """A list of (detector, confidence, from, to) for each document."""
    parts = []
    for i, d in enumerate(documents):
        parts.append(b"%s %d %d\n" % (d.kind.encode(), i, len(d.data)))
        parts.append(d.data)
    p = subprocess.run([tool()], input=b"".join(parts), capture_output=True)
    if p.returncode:
        raise SystemExit("detect_lines: %s" % p.stderr.decode())
    found = [[] for _ in documents]
    done = 0
    for line in p.stdout.decode().splitlines():
        w = line.split()
        if w[1] == "done":
            done += 1
            if w[2:] == ["undecided"]:
                raise SystemExit("undecided: %r" % documents[int(w[0])].data[:200])
        else:
            found[int(w[0])].append((w[1], w[2], int(w[3]), int(w[4])))
    if done != len(documents):
        raise SystemExit("detect_lines answered %d of %d" % (done, len(documents)))
    return found


class Count:
    """One detector: truths met by class, finds true and false by level."""
    def __init__(self):
        self.wanted = Counter()     # class -> truths that promise a level
        self.met = Counter()        # class -> those found at it or above
        self.any = Counter()        # class -> found at all
        self.true = Counter()
        self.false = Counter()      # level -> finds, not cumulated
        self.misses = []
        self.wrong = []

    def precision(self, level):
        above = LEVELS[LEVELS.index(level):]
        t, f = sum(self.true[l] for l in above), sum(self.false[l] for l in above)
        return t / (t + f) if t + f else None

    def recall(self, group):
        return self.met[group] / self.wanted[group] if self.wanted[group] else None


def overlap(a, b):
    return a[0] < b[1] and b[0] < a[1]


def count(documents, found, counts=None):
    counts = counts if counts is not None else defaultdict(Count)
    for d, finds in zip(documents, found):
        if d.kind == "T":
            for name, a, b, level in d.truths:
                best = max((LEVELS.index(f[1]) for f in finds if f[0] == name and overlap((a, b), f[2:])), default=-1)
                tally(counts[name], d, level, best, (a, b))
        else:
            for name in {t[0] for t in d.truths}:
                mine = sorted((LEVELS.index(f[1]) for f in finds if f[0] == name), reverse=True)
                for i, t in enumerate(t for t in d.truths if t[0] == name):
                    tally(counts[name], d, t[3], mine[i] if i < len(mine) else -1, None)
        for name, level, a, b in finds:
            beside = [t for t in d.truths if d.kind == "M" or overlap((t[1], t[2]), (a, b))]
            if any(t[0] == name for t in beside):
                counts[name].true[level] += 1
            elif any((name, t[0]) in ALSO for t in beside):
                continue
            else:
                counts[name].false[level] += 1
                if len(counts[name].wrong) < 400:
                    counts[name].wrong.append((level, d, a, b))
    return counts


def tally(c, d, level, best, where):
    if level is None:
        return
    c.wanted[d.group] += 1
    c.any[d.group] += best >= 0
    if best >= LEVELS.index(level):
        c.met[d.group] += 1
    elif len(c.misses) < 400:
        c.misses.append((level, LEVELS[best] if best >= 0 else "none", d, where))
