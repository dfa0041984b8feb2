"""measure.py -- what a relay takes: messages a second, processor time, memory, syncs.

A Side is one of those compared: posternd, or Postfix with its filters. Its processor time is the sum
over all its processes (user + system, /proc/PID/stat; children that ended are in their parents' books), its
memory the sum of their proportional memory (PSS: what several share counts once).

Work counts until it is done. The sink has the last message before everything is written down: so the time
is taken when the sink has it, and the processors' when the queue is empty (posternd's holds a message until
the journal has confirmed its events) and nobody of the side has run for a quarter of a second.
"""
import contextlib
import glob
import json
import os
import re
import signal
import statistics
import subprocess
import threading
import time

import lab

TICK = os.sysconf("SC_CLK_TCK")
TOOLS = os.path.join(lab.BUILD, "tools")
STILL = 0.25
WAIT = 600      # for the last message of a run; for its queue


def family(pid):
    """The process and its descendants."""
    kids = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as f:
                text = f.read()
        except OSError:
            continue
        head, rest = text.rsplit(")", 1)
        kids.setdefault(int(rest.split()[1]), []).append(int(head.split()[0]))
    out, todo = [], [pid]
    while todo:
        p = todo.pop()
        out.append(p)
        todo += kids.get(p, [])
    return out


def cpu(pid):
    """Seconds used by the family; children that ended are in their parents' books."""
    total = 0
    for p in family(pid):
        try:
            with open("/proc/%d/stat" % p) as f:
                v = f.read().rsplit(")", 1)[1].split()
            total += sum(int(x) for x in v[11:15])
        except OSError:
            pass
    return total / TICK


def by_process(pid):
    """{pid: (name, user, system)} in seconds, of the family."""
    out = {}
    for p in family(pid):
        try:
            with open("/proc/%d/stat" % p) as f:
                name, rest = f.read().split("(", 1)[1].rsplit(")", 1)
            with open("/proc/%d/cmdline" % p) as f:
                name = f.read().replace("\0", " ").strip() or name
            v = rest.split()
            out[p] = (name, int(v[11]) / TICK, int(v[12]) / TICK)
        except OSError:
            pass
    return out


def program(name):
    """posternd's by role, others' by service."""
    words = name.split()
    if "--role" in words:
        return words[words.index("--role") + 1]
    return os.path.basename(words[0]).rstrip(":")


def by_program(before, after, n):
    """{program: ms of processor for each of n messages}; what processes did that have ended is not in it."""
    out = {}
    for pid, (name, user, system) in after.items():
        _, u, s = before.get(pid, ("", 0, 0))
        if user + system > u + s:
            out[program(name)] = out.get(program(name), 0) + 1000 * (user + system - u - s) / n
    return out


def memory(pid):
    kib = 0
    for p in family(pid):
        try:
            with open("/proc/%d/smaps_rollup" % p) as f:
                kib += int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))
        except (OSError, AttributeError):
            pass
    return kib / 1024


def delivered(path):
    """Messages the sink has taken: it prints a rising counter (ours its port before that)."""
    try:
        with open(path, "rb") as f:
            f.seek(max(0, os.path.getsize(path) - 64))
            n = re.findall(rb"(?<!port )\b(\d+)", f.read())
    except OSError:
        return 0
    return int(n[-1]) if n else 0


class Perf:
    """perf stat or perf record of processes, from when it says that it counts to the end of the block."""

    def __init__(self, *argv, pids, **kw):
        (theirs, self.say), (self.hear, back) = os.pipe(), os.pipe()
        try:
            self.p = subprocess.Popen(["perf", *argv, "-p", ",".join(map(str, pids)), "-D", "-1", "--control",
                                       "fd:%d,%d" % (theirs, back)], pass_fds=(theirs, back), **kw)
        finally:
            os.close(theirs)
            os.close(back)

    def __enter__(self):
        with contextlib.suppress(BrokenPipeError):
            os.write(self.say, b"enable\n")
        os.read(self.hear, 16)                  # its ack, or its end
        return self

    def __exit__(self, *_):
        self.p.send_signal(signal.SIGINT)
        self.text = self.p.communicate(timeout=120)[1]
        os.close(self.say)
        os.close(self.hear)


SYNCS = ("fsync", "fdatasync", "sync_file_range", "msync")


def count_syncs(side, work):
    """How often the side syncs while work() is done; None when the kernel may not be asked."""
    with Perf("stat", "-x", ",", "-e", ",".join("syscalls:sys_enter_" + s for s in SYNCS), pids=side.processes(),
              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as counted:
        work()
    n = re.findall(r"^(\d+),", counted.text, re.M)
    return sum(map(int, n)) if len(n) == len(SYNCS) else None


class Side:
    def __init__(self, name, port, pids, sink_log, empty=None):
        """empty(): is the queue?"""
        self.name, self.port, self.pids, self.log, self.empty = name, port, pids, sink_log, empty
        self.runs = []

    def cpu(self):
        return sum(cpu(p) for p in self.pids)

    def memory(self):
        return sum(memory(p) for p in self.pids)

    def processes(self):
        return [q for p in self.pids for q in family(p)]

    def by_process(self):
        return {p: v for pid in self.pids for p, v in by_process(pid).items()}

    def settle(self):
        """Until there is nothing left to do; the seconds of processor used by then."""
        if self.empty:
            lab.wait_for(self.empty, WAIT, every=0.05, because="%s's empty queue" % self.name)
        used = self.cpu()
        while True:
            time.sleep(STILL)
            now = self.cpu()
            if now - used < 1.5 / TICK:         # a tick is what an idle process's clock may take
                return now
            used = now

    def generator(self, n, size=4096, sessions=20, source=False, kind="mixed", recur=False, anew=False, rate=None,
                  sender="a@example.lab", to="b@partner.lab"):
        if source:                              # smtp-source: one message over and over
            return ["/usr/sbin/smtp-source", "-s", str(min(sessions, n)), "-m", str(n), "-l", str(size), *([] if anew else ["-d"]),
                    "-f", sender, "-t", to, "127.0.0.1:%d" % self.port]
        return [os.path.join(TOOLS, "smtp_load"), "-s", str(sessions), "-m", str(n), "-l", str(size), "-k", kind,
                *(["-R"] if recur else []), *(["-N"] if anew else []), *(["-r", "%.3f" % rate] if rate else []),
                "-f", sender, "-t", to, str(self.port)]

    def load(self, n, sample=False, **what):
        """Gives it n messages; what it took. sample: looks at the memory meanwhile, which costs a little."""
        before, programs, c0 = delivered(self.log), self.by_process(), self.cpu()
        sampler = Sampler(self) if sample else None
        t0 = time.monotonic()
        r = subprocess.run(self.generator(n, **what), capture_output=True, text=True)
        t1 = time.monotonic()
        if r.returncode:
            raise lab.LabError("%s: %s" % (self.name, r.stderr or r.stdout))
        lab.wait_for(lambda: delivered(self.log) - before >= n, WAIT, every=0.01,
                     because=lambda: "%s to deliver (%d of %d)" % (self.name, delivered(self.log) - before, n))
        t2 = time.monotonic()
        used = self.settle() - c0
        peak = sampler.stop() if sampler else self.memory()
        told = {} if what.get("source") else json.loads(r.stdout)
        took = told.get("seconds", t1 - t0)
        run = {"accepted/s": n / took, "delivered/s": n / max(took, t2 - t0), "cpu ms/message": 1000 * used / n, "memory MiB": peak,
               "messages": n, "by program": by_program(programs, self.by_process(), n), **{k: told[k] for k in ("p50", "p99", "p999", "max", "late", "histogram") if k in told}}
        self.runs.append(run)
        return run

    def run(self, messages, size, sessions, sender="a@example.lab", to="b@partner.lab"):
        return self.load(messages, source=True, size=size, sessions=sessions, sender=sender, to=to)

    def median(self, what):
        return statistics.median(r[what] for r in self.runs)

    def medians(self):
        programs = sorted({p for r in self.runs for p in r["by program"]})
        return {**{k: self.median(k) for k in self.runs[0] if k not in ("histogram", "by program")},
                "by program": {p: statistics.median(r["by program"].get(p, 0) for r in self.runs) for p in programs}}


class Sampler(threading.Thread):
    """The most memory a side has at any time."""

    def __init__(self, side):
        super().__init__(daemon=True)
        self.side, self.peak, self.end = side, side.memory(), threading.Event()
        self.start()

    def run(self):
        while not self.end.wait(0.3):
            self.peak = max(self.peak, self.side.memory())

    def stop(self):
        self.end.set()
        self.join()
        return max(self.peak, self.side.memory())


def floor(*args, at_once=1, **env):
    """build/tools/mail_floor, as many at once; the mean of each figure."""
    ps = [subprocess.Popen([os.path.join(TOOLS, "mail_floor"), *map(str, args)], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, env={**os.environ, **env}) for _ in range(at_once)]
    outs = [p.communicate() for p in ps]
    for p, (_, err) in zip(ps, outs):
        if p.returncode:
            raise lab.LabError("mail_floor %s: %s" % (" ".join(map(str, args)), err))
    told = [json.loads(o) for o, _ in outs]
    return {k: statistics.mean(t[k] for t in told) for k in told[0]}
