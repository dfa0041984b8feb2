#!/usr/bin/python3
"""signatures.py -- a database of antivirus signatures that find nothing.

    tests/bench/signatures.py FOLDER [COUNT]      3000000 when no count is given

What an engine costs depends on what it must compare with; benches may not download
ClamAV's own databases. These have their form, and cost a mail of 4 KiB what was measured for as many: most are hashes
of whole files (MD5, SHA-256) and of sections of programs, one in forty is a string
of bytes for one kind of file (all kinds, Windows programs, HTML, mail, text), with
gaps in some; one in four thousand a logical signature of two strings. Hashes and strings are drawn, so
none is ever found; sizes are spread as files' sizes are, so that no file escapes being hashed.
The same count gives the same bytes. One signature is real, and the canary of the scanner
finds it: EICAR's.
"""
import os
import random
import sys

EICAR = ("44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature\n",
         "Eicar-Test-Signature:0:0:58354f2150254041505b345c505a58353428505e2937434329377d2445494341522d5354414e444152442d"
         "414e544956495255532d544553542d46494c452124482b482a\n")
TARGETS = (0, 0, 1, 1, 1, 1, 3, 3, 4, 7)


def size(r):
    """Of a file: 256 bytes to 8 MiB, small ones oftener."""
    return int(256 * 2 ** (r.random() * 15))


def hashes(r, n, hex_, form):
    """In slices: drawing bytes in bulk is what makes three million a matter of seconds."""
    for at in range(0, n, 4096):
        k = min(4096, n - at)
        drawn = r.randbytes(hex_ // 2 * k).hex()
        yield "".join(form % {"hash": drawn[i * hex_:(i + 1) * hex_], "size": size(r), "n": at + i} for i in range(k))


def string(r, least=16, most=48):
    """Bytes no text has beside one another, so that no message meets them; a third with a gap."""
    s = r.randbytes(r.randrange(least, most)).hex()
    if r.random() < 0.05:
        s = s[:24] + "{-%d}" % r.randrange(4, 64) + s[24:] if len(s) > 40 else s[:16] + "??" + s[18:]
    return s


def make(folder, count=3000000, seed=12):
    """Writes bench.hdb, .hsb, .mdb, .ndb and .ldb; returns the folder."""
    os.makedirs(folder, exist_ok=True)
    r = random.Random(seed)
    ldb, ndb = count // 4000, count // 40
    hsb, mdb = count // 8, count // 3
    hdb = max(0, count - ldb - ndb - hsb - mdb - len(EICAR))
    with open(os.path.join(folder, "bench.hdb"), "w") as f:
        f.write(EICAR[0])
        f.writelines(hashes(r, hdb, 32, "%(hash)s:%(size)d:Bench.Md5-%(n)d\n"))
    with open(os.path.join(folder, "bench.hsb"), "w") as f:
        f.writelines(hashes(r, hsb, 64, "%(hash)s:%(size)d:Bench.Sha256-%(n)d:73\n"))
    with open(os.path.join(folder, "bench.mdb"), "w") as f:
        f.writelines(hashes(r, mdb, 32, "%(size)d:%(hash)s:Bench.Section-%(n)d\n"))
    with open(os.path.join(folder, "bench.ndb"), "w") as f:
        f.write(EICAR[1])
        f.writelines("Bench.Bytes-%d:%d:*:%s\n" % (i, r.choice(TARGETS), string(r)) for i in range(ndb))
    with open(os.path.join(folder, "bench.ldb"), "w") as f:
        f.writelines("Bench.Logical-%d;Engine:51-255,Target:%d;(0&1);%s;%s\n"
                     % (i, r.choice(TARGETS), r.randbytes(20).hex(), r.randbytes(12).hex()) for i in range(ldb))
    return folder


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    print(make(sys.argv[1], *map(int, sys.argv[2:])))
