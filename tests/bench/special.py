"""special.py -- the rows of tests/bench/run that are no cells: syncs, the disk, delays, DKIM, memory, idle sessions."""
import importlib.machinery
import importlib.util
import os
import re
import resource
import statistics
import subprocess

import lab
import sides
from measure import count_syncs, floor

HERE = os.path.dirname(os.path.abspath(__file__))
CORES = os.cpu_count()


def seconds(b, least=1):
    return max(least, b.args.seconds)


def warm(side, **what):
    """So many messages a second."""
    run = side.load(500, **what)
    side.runs.clear()
    return min(run["accepted/s"], run["delivered/s"])


def flat_out(side, length, **what):
    """The same over so many seconds, twice."""
    n = int(max(500, warm(side, **what) * length))
    runs = [side.load(n, **what) for _ in range(2)]
    side.runs.clear()
    return statistics.mean(min(r["accepted/s"], r["delivered/s"]) for r in runs)


def syncs(b):
    """fsync, fdatasync and their sisters of all processes of each side, as the kernel counts them; for posternd the spool's own count too."""
    out = {"sessions": 64}
    for s in b.sides("plain"):
        n = int(max(500, warm(s, sessions=64) * seconds(b)))
        own = s.lab.counter("spool_syncs") if s.name == "posternd" else 0
        count = count_syncs(s, lambda: s.load(n, sessions=64))
        run = s.runs.pop()
        s.runs.clear()
        out[s.name] = None if count is None else count / n
        if s.name == "posternd":
            out["spool"], out["accepted/s"] = (s.lab.counter("spool_syncs") - own) / n, run["accepted/s"]
    if out["posternd"] is None:
        out["posternd"] = out["spool"]
    b.result["syncs"] = out
    b.say("syncs for each message, 64 sessions: posternd %.3f (the spool alone %.3f), Postfix %s" % (
        out["posternd"], out["spool"], "?" if out["Postfix"] is None else "%.2f" % out["Postfix"]))


def durable(b):
    """The queue's spool beside a bare loop, 64 messages a sync, batch by batch in turn (bench_spool); and the whole relay with
    64 sessions, which also has to speak SMTP and to deliver, beside them."""
    ours = b.sides("plain")[0]
    text = subprocess.run([os.path.join(lab.BUILD, "bench", "bench_spool"), "-d", ours.lab.dir, "-a", "-s", str(seconds(b))],
                          capture_output=True, text=True, check=True).stdout
    bare, spool, percent = (float(x) for x in re.search(r"^ +64 +(\d+) +(\d+) +(\d+)%", text, re.M).groups())
    rate = warm(ours, sessions=64)
    run = ours.load(int(max(500, rate * seconds(b))), sessions=64)
    ours.runs.clear()
    b.result["durable"] = {"bare": bare, "spool": spool, "ratio": percent / 100, "relay": run["accepted/s"]}
    b.say("durable, 64 at once: bare append+fdatasync %.0f/s, the spool %.0f/s (%.0f %%), the whole relay %.0f/s"
          % (bare, spool, percent, run["accepted/s"]))


def latency(mode):
    def row(b):
        """From the final dot to its 250, at 30 and 80 % of what each side takes for long; the floor at posternd's rate."""
        pair, out = b.sides(mode), {}
        highest = {s.name: flat_out(s, seconds(b), sessions=64) for s in pair}
        length = 2 if b.args.quick else seconds(b, 5)
        for percent in (30,) if b.args.quick else (30, 80):
            runs = {s.name: [] for s in pair}
            runs["floor"] = []
            for _ in range(b.args.rounds):
                for s in pair:
                    rate = highest[s.name] * percent / 100
                    runs[s.name].append({**s.load(int(rate * length) + 1, sessions=64, rate=rate), "rate": rate})
                    s.runs.clear()
                rate = highest["posternd"] * percent / 100
                runs["floor"].append({**floor("delay", pair[0].lab.dir, 4096, rate, length), "rate": rate})
            out[str(percent)] = found = {
                who: {"rate": rs[0]["rate"], **{k: statistics.median(r[k] for r in rs) for k in ("p50", "p99", "p999", "max")},
                      "late": sum(r.get("late", 0) for r in rs), "messages": sum(r["messages"] for r in rs),
                      "histogram": total([r["histogram"] for r in rs if "histogram" in r])} for who, rs in runs.items()}
            for who in ("posternd", "floor", "Postfix"):
                x = found[who]
                b.say("%s, %d %%: %-9s %7.0f/s   p50 %8.2f  p99 %8.2f  p99.9 %8.2f ms%s" % (
                    mode, percent, who, x["rate"], x["p50"] / 1000, x["p99"] / 1000, x["p999"] / 1000,
                    "   %d of %d found no idle session" % (x["late"], x["messages"]) if x["late"] else ""))
                bars(b, x["histogram"])
        b.result.setdefault("latency", {})[mode] = out
    return row


def total(histograms):
    return [[bound, sum(h[i][1] for h in histograms)] for i, (bound, _) in enumerate(histograms[0])] if histograms else []


def bars(b, histogram):
    """The histogram as lines: each bound is twice the one before."""
    n = sum(x for _, x in histogram)
    for bound, x in histogram:
        if x:
            b.say("    %10s %6.2f %% %s" % ("above" if bound == 0 else "< %g ms" % (bound / 1000), 100 * x / n, "#" * round(50 * x / n)))


def dkim_adds(b):
    """Processor time of a message with a signature less that of one without, in turns, beside a raw signature."""
    signed = b.sides("dkim")
    plain = []
    try:
        for f in (sides.posternd, sides.postfix):
            plain.append(f("plain"))
        every = [plain[0], signed[0], plain[1], signed[1]]
        counts = [int(max(300, warm(s) * seconds(b))) for s in every]
        signs, added = [], {"posternd": [], "Postfix": []}
        for _ in range(max(3, b.args.rounds)):
            used = [s.load(n)["cpu ms/message"] for s, n in zip(every, counts)]
            added["posternd"].append(used[1] - used[0])
            added["Postfix"].append(used[3] - used[2])
            signs.append(floor("sign", 1, at_once=CORES)["sign_ms"])
        for s in every:
            s.runs.clear()
    finally:
        for s in plain:
            s.lab.close()
    out = {k: statistics.median(v) for k, v in added.items()}
    out["sign_ms"] = statistics.median(signs)
    b.result["dkim adds"] = out
    b.say("DKIM adds: posternd %.2f ms, Postfix %.2f, a raw signature %.2f" % (out["posternd"], out["Postfix"], out["sign_ms"]))


def remember_memory(b):
    """From the cells: the most that all processes of a side had together with everything on."""
    few = [c for c in b.result["cells"] if c["row"] in ("everything", "recurring")]
    many = [c for c in b.result["cells"] if c["row"] == "many"]
    m = {}
    if few:
        m.update({s: max(c["sides"][s]["peak MiB"] for c in few) for s in ("posternd", "Postfix")})
    if many:
        m["many"] = {s: max(c["sides"][s]["peak MiB"] for c in many) for s in ("posternd", "Postfix")}
        m["many"]["engine"] = min(c["floor"]["engine_mib"] for c in many)
    if m:
        b.result["memory"] = m


def idle(b):
    """KiB of all processes for each session that has sent a message and nothing since."""
    b.close()
    loader = importlib.machinery.SourceFileLoader("bench_idle", os.path.join(HERE, "idle"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    out = b.result["idle"] = {}
    for n in (2000,) if b.args.quick else (2000, 10000):
        if n + 200 > resource.getrlimit(resource.RLIMIT_NOFILE)[1]:
            raise lab.LabError("%d idle sessions need more descriptors than this account may have: ulimit -Hn" % n)
        for name, tls in ((str(n), False), ("%d TLS" % n, True)):
            out[name] = module.measure(n, "message", tls, afterwards=False)
        b.say("%d idle sessions: %.1f KiB each, with TLS %.1f" % (n, out[str(n)], out["%d TLS" % n]))
