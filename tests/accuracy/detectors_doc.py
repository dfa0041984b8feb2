#!/usr/bin/python3
"""detectors_doc.py -- the tables of docs/DETECTORS.md, from the program and from what was measured.

    detectors_doc.py --write [FIGURES]     writes them anew (FIGURES: the table of accuracy.py)
    detectors_doc.py --check               says what in the page is not what the program does

A table stands between <!-- table NAME --> and <!-- end -->. Figures are not compared digit by digit: each detector must
have a row whose claim at `high` is at least the floor.
"""
import os
import re
import sys

import adversarial
import measure
import persons          # noqa: F401
import secret_values    # noqa: F401
import things           # noqa: F401
from makers import MAKERS

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "DETECTORS.md")
BLOCK = re.compile(r"(<!-- table (\w+) -->\n)(.*?)(<!-- end -->)", re.S)


def definitions():
    lines = ["| detector | finds | defined by |", "|---|---|---|"]
    return lines + ["| `%s` | %s | %s |" % (b["name"], b["help"], MAKERS[b["name"]].source) for b in measure.builtins()]


def keywords():
    return ["- `%s`, within %d characters: %s" % (b["name"], b["within"], ", ".join(b["keywords"])) for b in measure.builtins()]


def written():
    return adversarial.markdown(adversarial.run()[0])


TABLES = {"definitions": definitions, "keywords": keywords, "written": written}


def page():
    with open(PAGE, encoding="utf-8") as f:
        return f.read()


def write(figures=None):
    def new(m):
        lines = TABLES[m.group(2)]() if m.group(2) in TABLES else figures if figures else m.group(3).splitlines()
        return m.group(1) + "\n".join(lines) + "\n" + m.group(4)
    text = BLOCK.sub(new, page())
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(text)


def check():
    bad = []
    blocks = {m.group(2): m.group(3).splitlines() for m in BLOCK.finditer(page())}
    for name, make in TABLES.items():
        want, have = make(), blocks.get(name, [])
        bad += ["%s: not in the page: %s" % (name, l) for l in want if l not in have]
        bad += ["%s: only in the page: %s" % (name, l) for l in have if l not in want]
    rows = [[c.strip(" `") for c in l.strip("|").split("|")] for l in blocks.get("figures", []) if l.startswith("| `")]
    names = [b["name"] for b in measure.builtins()]
    if [r[0] for r in rows] != names:
        bad.append("figures: rows are not the program's detectors")
    bad += ["figures: %s claims %s at high" % (r[0], r[7]) for r in rows if float(r[7]) < 0.98]
    return bad


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write()
    elif sys.argv[1:] == ["--check"]:
        bad = check()
        print("\n".join(bad[:40]) or "docs/DETECTORS.md is what the program does")
        sys.exit(1 if bad else 0)
    else:
        sys.exit(__doc__)
