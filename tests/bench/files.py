#!/usr/bin/python3
"""What a message with files costs to judge, with the policy that is shipped and without antivirus:
milliseconds of `postern explain --json` (the least of five). "cpu" is the processor time of the whole
process less that of one that judges a small message: on a busy machine the figure to look at."""
import email.message
import json
import os
import random
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
import documents as d  # noqa: E402
BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
WORDS = [w for w in open(os.path.join(ROOT, "LICENSE")).read().split() if w.isalpha()]


def prose(r, n):
    out = []
    while n > 0:
        out.append(" ".join(r.choice(WORDS) for _ in range(12)))
        n -= len(out[-1]) + 1
    return out


def mail(files, text):
    m = email.message.EmailMessage()
    m["From"], m["To"], m["Subject"] = "a@example.org", "b@partner.example", "files"
    m.set_content("\n".join(text))
    for name, data in files:
        m.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return m.as_bytes(policy=m.policy.clone(linesep="\r\n"))


def docx(r, size):
    """Text of 2 MiB, and pictures (which don't shrink) up to the size."""
    m = {"word/document.xml": "<w:document><w:body>%s</w:body></w:document>" % "".join(d.para(l) for l in prose(r, 2 << 20))}
    rest = size - len(d.zip_of(m))
    for i in range(4):
        m["word/media/image%d.png" % i] = b"\x89PNG\r\n\x1a\n" + r.randbytes(rest // 4)
    return d.zip_of(m)


def main():
    r = random.Random(7)
    pdf = d.pdf(b"".join(d.pdf_text(*(l.encode("ascii", "ignore").decode() for l in prose(r, 3000))) for _ in range(300)))
    cases = [
        ("10 MiB, with a docx of 5 MiB", mail([("a.docx", docx(r, 5 << 20))], prose(r, (10 << 20) - (7 << 20)))),
        ("zip of 200 texts, 4 MiB of text", mail([("a.zip", d.zip_of({"%d.txt" % i: "\n".join(prose(r, 20000)) for i in range(200)}))], ["x"])),
        ("pdf, 300 pages of text, %.1f MiB" % (len(pdf) / (1 << 20)), mail([("a.pdf", pdf)], ["x"])),
        ("xlsx, 50,000 rows", mail([("a.xlsx", d.xlsx(WORDS, {"S": ("visible", "".join(
            '<row><c t="s"><v>%d</v></c><c><v>%d</v></c></row>' % (r.randrange(len(WORDS)), r.randrange(10**9)) for _ in range(50000)))}))], ["x"])),
        ("7z, 4 MiB of text", mail([("a.7z", d.sevenzip({"a.txt": "\n".join(prose(r, 4 << 20)).encode()}))], ["x"])),
    ]
    with tempfile.TemporaryDirectory(prefix="postern-bench-") as dir_:
        conf = os.path.join(dir_, "postern.yaml")
        os.symlink(os.path.join(ROOT, "etc", "policy.d"), os.path.join(dir_, "policy.d"))
        with open(conf, "w") as f:
            f.write("version: 1\nhostname: gw.example.org\nrun: %s/run\nspool: %s/spool\nstore: sqlite:%s/s.db\npolicy: policy.d\n"
                    "networks: {exchange: [127.0.0.1]}\nlisteners:\n  - {name: a, address: \"127.0.0.1:2525\", direction: outbound, "
                    "allow: [network:exchange]}\ndomains: {example.org: {deliver_to: [\"127.0.0.1:26\"]}}\nantivirus: {engine: off}\n"
                    % (dir_, dir_, dir_))
        print("%-36s %10s %9s %9s %9s %9s %9s" % ("message", "bytes", "anatomy", "detect", "evaluate", "all ms", "cpu ms"))
        floor = 0
        for what, raw in [("", mail([], ["x"]))] + cases:
            path = os.path.join(dir_, "m.eml")
            with open(path, "wb") as f:
                f.write(raw)
            best = None
            for _ in range(5):
                before = os.times()
                out = subprocess.run([os.path.join(BUILD, "postern"), "-c", conf, "explain", path, "--json"], capture_output=True)
                after = os.times()
                ms = json.loads(out.stdout)["ms"]
                ms["all"] = sum(v for v in ms.values())
                ms["cpu"] = 1000 * (after.children_user + after.children_system - before.children_user - before.children_system)
                best = ms if best is None else {k: min(v, best[k]) for k, v in ms.items()}
            if not what:
                floor = best["cpu"]
                continue
            print("%-36s %10d %9.1f %9.1f %9.1f %9.1f %9.0f" % (what, len(raw), best["anatomy"], best["detect"], best["evaluate"],
                                                               best["all"], best["cpu"] - floor), flush=True)


if __name__ == "__main__":
    main()
