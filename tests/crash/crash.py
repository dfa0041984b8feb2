"""crash.py -- SIGKILL at random moments under load, round after round; what was lost, what came twice.

A round kills one role, one scanner worker, two roles at once, or every
process together, at a random moment of a steady load, sometimes while
the last round's victims are still starting. Each message carries a token;
a client that gets no 250 sends it again, as a mail server would. Some are large
(they lie beside the log), some are refused for good by the receiver (the sender must be
told), some are put off at first.

Lost: a token that was acknowledged and of which neither the message nor, when
it was refused, the notice arrived. Every duplicate is explained by one of:

  client    the client got no 250 and sent again: it has two ids
  crash     one id twice, with a kill of its queue or delivery process around the
            first of them: between the remote 250 and the next sync

A duplicate that is neither is a failure, as is a loss, and as is a record of the spool
that is reported as damaged: a torn write is to be known as one.
"""
import collections
import contextlib
import os
import random
import re
import signal
import smtplib
import threading
import time

import lab

SENDERS = 8
ROLES = ("receiver", "scanner", "worker", "signer", "queue", "queue", "delivery", "delivery", "store",
         "pair", "everything", "everything")
KILL_NEAR = 15      # seconds in which a kill may explain a second delivery


class Load:
    """SENDERS connections that send until stop(); each message is tried until it is acknowledged."""

    def __init__(self, lab_, seed):
        self.lab, self.seed, self.stopping = lab_, seed, False
        self.lock, self.next = threading.Lock(), 0
        self.acked, self.tries = set(), collections.Counter()
        self.threads = [threading.Thread(target=self.send, args=(i,)) for i in range(SENDERS)]
        for t in self.threads:
            t.start()

    def one(self):
        with self.lock:
            self.next += 1
            n = self.next
        token = "token-%06d" % n
        kind = "fail" if n % 23 == 0 else "slow" if n % 17 == 0 else "big" if n % 101 == 0 else "plain"
        to = {"fail": "nobody@partner.lab", "slow": "slow@partner.lab"}.get(kind, "b@partner.lab")
        body = "x" * 70 + "\r\n" + "body\r\n" * (250000 if kind == "big" else 300)
        return token, to, lab.message(body, subject=token + "-" + kind)

    def send(self, i):
        smtp = None
        while not self.stopping:
            token, to, text = self.one()
            while True:
                try:
                    with self.lock:
                        self.tries[token] += 1
                    if smtp is None:
                        smtp = self.lab.smtp(timeout=20)
                        smtp.ehlo()
                    smtp.sendmail("a@example.lab", [to], text)
                    with self.lock:
                        self.acked.add(token)
                    break
                except (OSError, smtplib.SMTPException):
                    if smtp:
                        smtp.close()
                    smtp = None
                    time.sleep(0.05)        # a mail server waits longer
            time.sleep(0.01)
        if smtp:
            smtp.close()

    def stop(self):
        self.stopping = True
        for t in self.threads:
            t.join(120)
            if t.is_alive():
                raise lab.LabError("a client is never acknowledged:\n" + lab.tail(self.lab.path("posternd.log")))


class Crash:
    def __init__(self, rounds, seed=None, say=print):
        self.rounds, self.say = rounds, say
        self.seed = seed if seed is not None else random.SystemRandom().randrange(1 << 32)
        self.random = random.Random(self.seed)
        self.kills = []             # (monotonic time, what)
        self.count = collections.Counter()
        self.arrived = []           # (token, kind of mail, id, time), in order
        self.seen_slow = set()

    # -- the receiving server ------------------------------------------------------
    def answer(self, line, session):
        verb = line[:4].upper()
        if verb == "RCPT" and "nobody@" in line:
            return "550 5.1.1 no such mailbox"
        if verb == "RCPT" and "slow@" in line and self.random.random() < 0.5:
            return "451 4.2.0 later"
        return None

    def fetch(self):
        """What has arrived so far, told apart."""
        with self.mx.lock:
            new = self.mx.messages[len(self.arrived):]
            stamps = self.mx.times[len(self.arrived):]
        for (sender, rcpts, data), when in zip(new, stamps):
            m = re.search(rb"^Subject: (token-\d+)-(\w+)", data, re.M)
            what = "notice" if sender == "" else "message"
            ids = re.findall(rb"\sid ([0-9A-Za-z]{11,})", data)
            self.arrived.append((m.group(1).decode() if m else "", what,
                                 (ids[0] if ids else b"").decode(), when))
        return self.arrived

    # -- processes -------------------------------------------------------------------
    def session(self):
        """Every process of this posternd: those of the session it was started in."""
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    with open("/proc/%s/stat" % name) as f:
                        fields = f.read().rsplit(")", 1)[1].split()
                    if int(fields[3]) == self.lab.daemon.pid:
                        found.append(int(name))
        return found

    def kill(self, pids):
        for p in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(p, signal.SIGKILL)

    def pids(self, role):
        with contextlib.suppress(Exception):
            if role == "worker":
                return self.random.sample(self.lab.pids("scanner", worker=True), 1)
            return self.lab.pids(role, worker=False)
        return []

    def everything(self):
        d = self.lab.daemon
        self.kill([d.pid])          # first: it would start others again
        while True:
            left = [p for p in self.session() if p != d.pid]
            if not left:
                break
            self.kill(left)
            time.sleep(0.005)
        d.p.wait()
        d.file.close()
        self.lab.start_postern()

    def round(self):
        what = self.random.choice(ROLES)
        time.sleep(self.random.uniform(0.02, 0.5))
        if what == "everything":
            self.kills.append((time.monotonic(), "queue delivery"))
            self.everything()
            self.kills.append((time.monotonic(), "queue delivery"))
        else:
            roles = self.random.sample(sorted(set(ROLES) - {"pair", "everything"}), 2) if what == "pair" else [what]
            pids = [p for r in roles for p in self.pids(r)]
            if not pids:
                what = "nobody yet"
            self.kills.append((time.monotonic(), " ".join(roles)))
            self.kill(pids)
            # Half of the time the next blow falls while they are starting.
            if self.random.random() < 0.5:
                self.lab.wait_ready()
                lab.wait_for(lambda: all(self.pids(r) for r in roles if r != "worker"), 60, because=str(roles))
        self.count[what] += 1

    # -- the whole ---------------------------------------------------------------------
    def settle(self, load):
        """Everything acknowledged has arrived, or the deadline has passed; what is missing."""
        def missing():
            have = {(t, w) for t, w, i, s in self.fetch()}
            return sorted(t for t in load.acked if (t, "notice" if int(t[6:]) % 23 == 0 else "message") not in have)

        def release():
            # A message that two killed workers had is held as unscannable, and rightly: somebody looks.
            self.lab.tool("held", "release", "all", "--yes", check=False)
            self.lab.tool("quarantine", "release", "all", "--yes", check=False)
            return not missing()
        with contextlib.suppress(lab.LabError):
            lab.wait_for(release, 180, every=0.5)
        with contextlib.suppress(lab.LabError):
            self.lab.queue_empty(60)
        return missing()

    def explain(self, load):
        """Duplicates as {cause: number} and those without a cause."""
        of = collections.defaultdict(list)
        for t, w, i, s in self.fetch():
            of[t, w].append((i, s))
        causes, strange = collections.Counter(), []
        for (t, w), list_ in of.items():
            first = {}
            for i, s in list_:
                if i in first:
                    near = any("queue" in k or "delivery" in k for when, k in self.kills
                               if first[i] - 1 <= when <= first[i] + KILL_NEAR)
                    causes["crash" if near else "strange"] += 1
                    if not near:
                        strange.append((t, w, i, "%.1f s after the first" % (s - first[i]), "kills around: " + ", ".join(
                            "%s %+.1f s" % (k, when - first[i]) for when, k in self.kills if abs(when - first[i]) < 30)))
                elif first:
                    # A notice is written anew when the crash came before it was recorded.
                    near = load.tries[t] > 1 or w == "notice"
                    causes["client" if near else "strange"] += 1
                    if not near:
                        strange.append((t, w, i))
                first.setdefault(i, s)
        return causes, strange

    def run(self):
        """Figures as a dict; "lost" and "strange" are what must be empty."""
        self.lab = lab.Lab("crash")
        with self.lab:
            self.mx = self.lab.mx(reply=self.answer)
            self.mx.times = Stamps(self.mx)
            self.lab.dns({n: ["@ MX 10 mx", "mx A 127.0.0.1"] for n in ("partner.lab", "example.lab")})
            self.lab.policy("version: 1\nrules:\n  - {id: big, when: {size: {over: 900MB}}, then: {reject: no}}\n")
            self.lab.config(delivery={"port": self.mx.port, "retry": ["1s"], "expire": "1h",
                                      "per_site": {"connections": "10"}}, scanners={"processes": "2"},
                            queue={"segment": "1MiB"})      # so that files are used again all the time
            self.lab.start_postern()
            load, begun = Load(self.lab, self.seed), time.monotonic()
            try:
                for n in range(self.rounds):
                    self.round()
                    if self.rounds > 50 and n % 20 == 19:
                        self.say("  %4d rounds, %6d acknowledged, %4.0f s" % (n + 1, len(load.acked), time.monotonic() - begun))
            finally:
                load.stop()
            lost = self.settle(load)
            causes, strange = self.explain(load)
            log = self.lab.log()
            reused = self.lab.control({"cmd": "queue.summary"})[0]["spool"]["reused"]
        self.say("seed %d: %d rounds in %.0f s: %s" % (self.seed, self.rounds, time.monotonic() - begun,
                 ", ".join("%s %d" % kv for kv in sorted(self.count.items()))))
        self.say("acknowledged %d  lost %d  retries by clients %d" %
                 (len(load.acked), len(lost), sum(load.tries.values()) - load.next))
        self.say("duplicates %d: %d sent again by a client that saw no 250, %d delivered before a crash and not yet "
                 "recorded, %d without a cause" % (sum(causes.values()), causes["client"], causes["crash"], causes["strange"]))
        damage = re.findall(r"spool damage.*", log)
        self.say("torn tails dropped %d  damaged records %d  files of the spool used again since the last start %d" %
                 (log.count(": torn tail of"), len(damage), reused))
        return {"acked": len(load.acked), "damage": damage, "lost": lost, "strange": strange, "duplicates": sum(causes.values()),
                "unacked": load.next - len(load.acked)}


class Stamps(list):
    """The time of each message in mx.messages, kept by the list that it is appended to."""

    def __init__(self, mx):
        super().__init__()
        stamps = self

        class Stamped(list):
            def append(self, m):
                stamps.append(time.monotonic())
                super().append(m)
        mx.messages = Stamped()
