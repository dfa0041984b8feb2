"""goals.py -- the goals of the benches: goal, figure, met or missed; and the table in the README.

Everything here is made of the JSON that tests/bench/run writes (--json FILE), so the README can be
filled from a run of yesterday. A goal whose row was not run has no figure.
"""
import re

SIZES = ((4096, "4 KiB"), (102400, "100 KiB"), (1048576, "1 MiB"))
NAMES = dict(SIZES)


def cell(r, row, size=4096, **more):
    for c in r["cells"]:
        if c["row"] == row and c["size"] == size and all(c.get(k) == v for k, v in more.items()):
            return c
    return None


def figure(c, what, side="posternd"):
    return c["sides"][side][what]


def ratio(c, what):
    """How many times better posternd is: more messages, less time."""
    a, b = figure(c, what), figure(c, what, "Postfix")
    return a / b if what.endswith("/s") else b / a


def floor_of(c):
    return c["floor"]["sign_ms"] + c["floor"]["scan_ms"]


def goal(out, name, want, value, met, text):
    out.append({"name": name, "goal": want, "value": value, "met": met, "text": text})


def least(out, name, want, value, text="%.1fx"):
    goal(out, name, "at least " + text % want, value, value is not None and value >= want, None if value is None else text % value)


def most(out, name, want, value, text="%.2fx", unit=""):
    goal(out, name, "at most " + text % want + unit, value, value is not None and value <= want,
         None if value is None else text % value + unit)


def compare(out, r, name, row, size, what, want, **more):
    c = cell(r, row, size, **more)
    least(out, name, want, ratio(c, what) if c else None)
    if c:
        out[-1]["text"] += " (%s: %.4g, Postfix %.4g)" % (what, figure(c, what), figure(c, what, "Postfix"))


def goals(r):
    out = []
    compare(out, r, "plain relay, 4 KiB, CPU for each message: times less than Postfix", "source", 4096, "cpu ms/message", 12)
    compare(out, r, "plain relay, 4 KiB, accepted: times Postfix", "source", 4096, "accepted/s", 6)
    compare(out, r, "plain relay, 4 KiB, delivered: times Postfix", "source", 4096, "delivered/s", 6)
    compare(out, r, "everything on, 4 KiB, accepted: times the pipeline", "everything", 4096, "accepted/s", 8, new=False)
    for size, name in SIZES:
        c = cell(r, "everything", size, new=False)
        most(out, "everything on, %s, CPU for each message: times the floor" % name, 1.25,
             figure(c, "cpu ms/message") / floor_of(c) if c else None)
        if c:
            out[-1]["text"] += " (%.2f ms, floor %.2f)" % (figure(c, "cpu ms/message"), floor_of(c))
    for size, name in SIZES:
        compare(out, r, "recurring attachments, %s, accepted: times the pipeline" % name, "recurring", size, "accepted/s", 8)
    d = r.get("dkim adds")
    most(out, "DKIM, 4 KiB, CPU it adds: times a raw signature", 1.3, d["posternd"] / d["sign_ms"] if d else None)
    if d:
        out[-1]["text"] += " (%.2f ms, a signature %.2f; opendkim adds %.2f)" % (d["posternd"], d["sign_ms"], d["Postfix"])
    s = r.get("syncs")
    most(out, "syncs for each message at 64 sessions", 0.25, s["posternd"] if s else None, "%.3f")
    if s:
        out[-1]["text"] += " (the spool alone %.3f%s)" % (
            s["spool"], "" if s["Postfix"] is None else "; Postfix %.2f" % s["Postfix"])
    compare(out, r, "1 MiB of text, 200 patterns, accepted: times body_checks", "patterns", 1048576, "accepted/s", 20)
    d = r.get("durable")
    least(out, "durable accept rate, 64 at once: of a bare append+fdatasync loop", 60, 100 * d["ratio"] if d else None, "%.0f %%")
    if d:
        out[-1]["text"] += " (the queue's spool %.0f/s, bare %.0f; the whole relay over SMTP %.0f/s)" % (d["spool"], d["bare"], d["relay"])
    m = r.get("memory", {})
    most(out, "memory, everything on, few signatures", 80, m.get("posternd"), "%.0f", " MiB")
    if m.get("Postfix"):
        out[-1]["text"] += " (the pipeline %.0f)" % m["Postfix"]
    many = m.get("many")
    most(out, "memory, 3.1 million signatures: times the bare engine", 1.3, many["posternd"] / many["engine"] if many else None)
    if many:
        out[-1]["text"] += " (%.0f MiB, the engine %.0f; the pipeline %.0f)" % (many["posternd"], many["engine"], many["Postfix"])
    idle = r.get("idle", {})
    for n in (2000, 10000):
        most(out, "%d idle sessions, each" % n, 17, idle.get(str(n)), "%.1f", " KiB")
    for n in (2000, 10000):
        most(out, "%d idle sessions with TLS, each" % n, 60, idle.get("%d TLS" % n), "%.1f", " KiB")
    lat = r.get("latency", {}).get("plain", {}).get("30")
    most(out, "p99 of the time to the 250 at 30 % of the highest rate: times the floor", 3,
         lat["posternd"]["p99"] / lat["floor"]["p99"] if lat else None)
    if lat:
        out[-1]["text"] += " (%.1f ms, append+fdatasync %.1f; Postfix %.1f)" % tuple(
            x["p99"] / 1000 for x in (lat["posternd"], lat["floor"], lat["Postfix"]))
    return out


def print_goals(r):
    """The number of those missed."""
    missed = 0
    print("\n%-78s %-18s %s" % ("goal", "", "measured"))
    for g in goals(r):
        word = "not run" if g["value"] is None else "met" if g["met"] else "MISSED"
        missed += word == "MISSED"
        print("%-78s %-18s %-7s %s" % (g["name"], g["goal"], word, g["text"] or ""))
    return missed


# ---- the README ----

BEGIN, END = "<!-- made by tests/bench/run --readme -->", "<!-- end of what tests/bench/run made -->"


def rows(r):
    for c in r["cells"]:
        p, q = c["sides"]["posternd"], c["sides"]["Postfix"]
        yield ("%s%s, %s" % (c["title"], ", a connection each" if c.get("new") else "", NAMES.get(c["size"], c["size"])),
               "%.0f / %.0f" % (p["accepted/s"], q["accepted/s"]), "%.1fx" % ratio(c, "accepted/s"),
               "%.0f / %.0f" % (p["delivered/s"], q["delivered/s"]), "%.1fx" % ratio(c, "delivered/s"),
               "%.2f / %.2f" % (p["cpu ms/message"], q["cpu ms/message"]), "%.1fx" % ratio(c, "cpu ms/message"),
               "%.2f" % floor_of(c) if c.get("floor") else "")


BUSY = (" The machine had other work at the same time: read processor times and their ratios. Rates are what was left over, and more of that goes "
        "to the side with more processes, which is Postfix.")


ROLES = ("receiver", "scanner", "signer", "queue", "delivery", "store")


def where(r):
    """Which role posternd's processor time is of, in the cells of goals: what says why one is missed."""
    cells = [c for c in r["cells"] if c["row"] in ("source", "everything", "recurring", "patterns") and not c.get("new") and
             "by program" in c["sides"]["posternd"]]
    if not cells:
        return []
    out = ["", "Where posternd's processor time goes, ms for each message:", "", "| | %s |" % " | ".join(ROLES), "|---" * (len(ROLES) + 1) + "|"]
    for c in cells:
        ms = figure(c, "by program")
        out.append("| %s, %s | %s |" % (c["title"], NAMES[c["size"]], " | ".join("%.3g" % ms.get(role, 0) for role in ROLES)))
    return out


def readme_text(r):
    m = r["machine"]
    out = ["", "Measured %s on %s, %d processors, load %.1f before and %.1f after; %s, medians of %d rounds in turns."
           % (r["when"], m["cpu"], m["processors"], m["load"][0], m["load"][1], m["kernel"], r["rounds"]) +
           (BUSY if m["load"][0] > m["processors"] else ""), "",
           "| goal | | measured | |", "|---|---|---|---|"]
    for g in goals(r):
        if g["value"] is not None:
            out.append("| %s | %s | %s | %s |" % (g["name"], g["goal"], g["text"], "met" if g["met"] else "**missed**"))
    out += ["", "Posternd / Postfix with its filters:", "",
            "| | accepted/s | | delivered/s | | CPU ms | | floor, ms |", "|---|---|---|---|---|---|---|---|"]
    out += ["| %s |" % " | ".join(x) for x in rows(r)]
    out += where(r)
    lat = r.get("latency")
    if lat:
        out += ["", "From the final dot to its 250, ms, p50 / p99 / p99.9:", "",
                "| | messages/s | posternd | append+fdatasync | messages/s | Postfix |", "|---|---|---|---|---|---|"]
        for mode, loads in lat.items():
            for percent, x in loads.items():
                def ms(y):
                    return "%.1f / %.1f / %.1f" % (y["p50"] / 1000, y["p99"] / 1000, y["p999"] / 1000)
                out.append("| %s, %s %% of the highest rate | %.0f | %s | %s | %.0f | %s |" % (
                    mode, percent, x["posternd"]["rate"], ms(x["posternd"]), ms(x["floor"]), x["Postfix"]["rate"], ms(x["Postfix"])))
    return "\n".join(out) + "\n\n"


def write_readme(r, path):
    with open(path) as f:
        text = f.read()
    new, n = re.subn(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: BEGIN + "\n" + readme_text(r) + END, text, flags=re.S)
    if n != 1:
        raise SystemExit("%s: no place for the table: a line `%s` and below it `%s`" % (path, BEGIN, END))
    with open(path, "w") as f:
        f.write(new)
