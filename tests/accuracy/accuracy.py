#!/usr/bin/python3
"""accuracy.py -- precision and recall of every built-in detector, on mail that it makes itself.

    accuracy.py [--quick] [--no-corpus] [--seed N] [--scale N] [--show DETECTOR] [--high] [--write]

The same seed makes the same documents (documents.py, negatives.py). --quick makes fewer and
reads no corpus: that is what `make check` runs. --show prints misses and false finds of a detector, --high all
that are false at high. --write puts the tables into docs/DETECTORS.md.
Exit status 1 when a figure is below its floor.
"""
import argparse
import random
import sys
import time

import corpus
import documents
import measure
import persons          # noqa: F401  (registers its makers)
import secret_values    # noqa: F401
import things           # noqa: F401
from makers import MAKERS

# Of what a rule that asks for `high` acts on, so much must be right; issue and policy language say 0.98.
PRECISION_HIGH = 0.98
# Values beside their name, in a form that promises a level, must reach it. Not 1: people name things in more
# ways than any list has, and some of the templates put another number's name between.
RECALL = {"labelled": 0.95, "column": 0.95, "alone": 0.95}
# Why a floor is lower.
LOWER = {}


def make(seed, scale, names):
    out = []
    for name in sorted(names):
        m, r = MAKERS[name], random.Random("%s/%s" % (seed, name))
        plan = [(documents.labelled, 4 * scale), (documents.form_sheet, scale), (documents.alone, scale), (documents.csv, max(2, scale // 5)),
                (documents.html_table, max(2, scale // 5)), (documents.html_split, max(2, scale // 2)), (documents.invalid, 2 * scale), (documents.mention, 2 * scale),
                (documents.trace_header, max(2, scale // 10))]
        for f, n in plan:
            out += [d for d in (f(r, m) for _ in range(n)) if d]
    r = random.Random("%s/negatives" % seed)
    out += [documents.hard_negative(r) for _ in range(40 * scale)]
    return out


def figure(v):
    return "    -" if v is None else "1.000" if v == 1 else "%.3f" % min(v, 0.999)


def show(c):
    for level, got, d, where in c.misses[:25]:
        text = d.data.decode()
        if where:
            a, b = where
            text = d.data[max(0, a - 70):b + 40].decode(errors="replace")
        print("  miss  want %-6s got %-6s %-9s %r" % (level, got, d.group, text[-260:]))
    for level, d, a, b in c.wrong[:25]:
        print("  wrong %-6s %-9s %-18s %r" % (level, d.group, d.detector, d.data[max(0, a - 70):b + 30].decode(errors="replace") if d.kind == "T" else d.data[-300:]))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--quick", action="store_true")
    p.add_argument("--no-corpus", action="store_true")
    p.add_argument("--seed", default="2026")
    p.add_argument("--scale", type=int)
    p.add_argument("--show", action="append", default=[])
    p.add_argument("--high", action="store_true", help="every false find at high")
    p.add_argument("--write", action="store_true")
    a = p.parse_args()
    start = time.monotonic()
    names = [b["name"] for b in measure.builtins()]
    missing = set(names) ^ set(MAKERS)
    if missing:
        sys.exit("a detector without a maker, or the other way round: " + ", ".join(sorted(missing)))
    docs = make(a.seed, a.scale or (25 if a.quick else 100), MAKERS)
    counts = measure.count(docs, measure.detect(docs))
    real = None if a.quick or a.no_corpus else corpus.measure_all()
    bad = report(names, docs, counts, real)
    for n in a.show:
        print("\n%s" % n)
        show(counts[n])
        for hit in (real.hits[n] if real else [])[:40]:
            print("  real  %-6s %s: %r" % hit)
    if a.high:
        for n in names:
            for level, d, x, y in counts[n].wrong:
                if level == "high":
                    print("  %s in %s/%s %r" % (n, d.group, d.detector, d.data[max(0, x - 70):y + 30].decode(errors="replace") if d.kind == "T" else d.data[:300]))
    print("%d documents, seed %s, %.0f s" % (len(docs), a.seed, time.monotonic() - start))
    if a.write:
        import detectors_doc
        detectors_doc.write(figures(names, docs, counts, real))
    for line in bad:
        print("below the floor: " + line)
    sys.exit(1 if bad else 0)


def figures(names, docs, counts, real):
    lines = ["| detector | values | named | column | alone | precision at low | at medium | at high |" + (" false per MB at low | at medium | at high |" if real else ""),
             "|---|" + "---|" * (10 if real else 7)]
    for n in names:
        c = counts[n]
        cells = ["`%s`" % n, str(sum(c.wanted.values()))] + [figure(c.recall(g)).strip() for g in RECALL] + [figure(c.precision(l)) for l in measure.LEVELS]
        if real:
            cells += ["%.3f" % real.per_mb(n, l) for l in measure.LEVELS]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "%d documents, seed 2026." % len(docs)]
    return lines + (["", "```"] + real.summary().splitlines() + ["```"] if real else [])


def report(names, docs, counts, real):
    bad = []
    print("%-18s %8s %-23s  %-23s %s" % ("", "", "recall", "precision at least", "false per MB of text" if real else ""))
    print("%-18s %8s %7s %7s %7s  %7s %7s %7s %s" % ("detector", "values", "named", "column", "alone", "low", "medium", "high", "    low  medium    high" if real else ""))
    for n in names:
        c = counts[n]
        row = "%-18s %8d" % (n, sum(c.wanted.values()))
        for g in ("labelled", "column", "alone"):
            v = c.recall(g)
            floor = LOWER.get((n, g), RECALL[g])
            row += " %7s" % figure(v)
            if v is not None and v < floor:
                bad.append("%s: recall %s %.3f < %.2f" % (n, g, v, floor))
        row += " "
        for level in measure.LEVELS:
            v = c.precision(level)
            row += " %7s" % figure(v)
            if level == "high" and (v is None or v < PRECISION_HIGH):
                bad.append("%s: precision at high %s" % (n, v))
        if real:
            for level in measure.LEVELS:
                row += " %7.3f" % real.per_mb(n, level)
        print(row)
    wrong = sum(c.false["high"] for c in counts.values())
    print("%d false finds at high in %d documents" % (wrong, len(docs)))
    if real:
        print(real.summary())
    return bad


if __name__ == "__main__":
    main()
