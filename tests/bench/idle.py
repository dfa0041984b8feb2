#!/usr/bin/python3
"""idle.py -- what sessions cost the receiver that do nothing, are refused, or trickle.

    tests/bench/idle.py [--sessions 5000] [--refused 100000] [--seconds 10]

Three figures, each of a daemon of its own on loopback:
  * resident memory of all processes with so many idle sessions that have said
    EHLO, against none: PSS, so that what processes share counts once;
  * memory of the receiver before and after so many refused connections;
  * messages a second of eight clients, alone and beside one that trickles a byte
    a second into DATA and fifty more into a command line, in turn, several times.
"""
import argparse
import os
import resource
import socket
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import lab


def pss(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return sum(int(l.split()[1]) for l in f if l.startswith("Pss:"))


def everything(l):
    s = l.status()
    return sum(pss(p["pid"]) for p in s["processes"]) + pss(s["pid"])


def source(i):
    return "127.0.%d.%d" % (1 + i // 250, 1 + i % 250)


def start(l, **limits):
    mx = l.sink()
    l.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
    port = l.ports.setdefault("smtp", lab.free_port())
    l.config(delivery={"port": mx}, limits={"sessions": "20000"}, listeners=[
        {"name": "a", "address": "127.0.0.1:%d" % port, "direction": "outbound", "allow": ["127.0.0.0/16"],
         "limits": {"sessions": "20000", "sessions_per_client": "1000", "command_timeout": "30m", **limits}}])
    l.start_postern()
    return port


def greet(s):
    """EHLO and its answer to the end."""
    f = s.makefile("rb")
    f.readline()
    s.sendall(b"EHLO x.lab\r\n")
    while f.readline()[3:4] == b"-":
        pass
    return f


def idle(n):
    """KiB of all processes for each session."""
    with lab.Lab("idle") as l:
        port = start(l)
        l.send("b@partner.lab")
        receiver = l.pids("receiver")[0]
        before, before_rx = everything(l), pss(receiver)
        held = []
        for i in range(n):
            s = socket.create_connection(("127.0.0.1", port), 30, (source(i), 0))
            greet(s).close()
            held.append(s)
        assert l.counter("smtpd_sessions") == n
        after, after_rx = everything(l), pss(receiver)
        for s in held:
            s.close()
        lab.wait_for(lambda: l.counter("smtpd_sessions") == 0, because="the end of the sessions")
        print("idle: %d sessions: all processes %.1f MiB (without sessions %.1f), the receiver %.1f (%.1f), "
              "%.0f bytes each; afterwards %.1f" % (n, after / 1024, before / 1024, after_rx / 1024, before_rx / 1024,
              (after_rx - before_rx) * 1024 / n, pss(receiver) / 1024))
        return (after - before) / n


def refused(n):
    with lab.Lab("refused") as l:
        port = start(l)
        receiver = l.pids("receiver")[0]

        def burst(count):
            for i in range(count):
                with socket.create_connection(("127.0.0.1", port), 30, ("127.9.%d.%d" % (i // 250 % 250, 1 + i % 250), 0)) as s:
                    assert s.recv(200).startswith(b"554 ")
        burst(1000)
        before, t = pss(receiver), time.monotonic()
        threads = [threading.Thread(target=burst, args=(n // 4,)) for _ in range(4)]
        for th in threads:
            th.start()
        for th in threads:
            th.join()
        t = time.monotonic() - t
        assert l.counter("smtpd_connections_refused") >= n
        print("refused: %d connections in %.1f s (%.0f/s): the receiver %.2f MiB before, %.2f after"
              % (n, t, n / t, before / 1024, pss(receiver) / 1024))


class Trickle(threading.Thread):
    def __init__(self, port):
        super().__init__(daemon=True)
        self.stop = threading.Event()
        self.socks = []
        for i in range(51):
            s = socket.create_connection(("127.0.0.1", port), 30, (source(900 + i), 0))
            f = greet(s)
            if i == 0:
                s.sendall(b"MAIL FROM:<a@example.lab>\r\nRCPT TO:<b@partner.lab>\r\nDATA\r\n")
                for _ in range(3):
                    f.readline()
            self.socks.append(s)

    def run(self):
        while not self.stop.wait(1):
            for s in self.socks:
                s.sendall(b"x")
        for s in self.socks:
            s.close()


def rate(l, port, seconds, clients=8):
    done, until = [0] * clients, time.monotonic() + seconds
    text = lab.message("Hello.\r\n" * 20) + b".\r\n"

    def client(n):
        with socket.create_connection(("127.0.0.1", port)) as s:
            f = greet(s)
            while time.monotonic() < until:
                s.sendall(b"MAIL FROM:<a@example.lab>\r\nRCPT TO:<b@partner.lab>\r\nDATA\r\n")
                for _ in range(3):
                    f.readline()
                s.sendall(text)
                assert f.readline().startswith(b"250 "), "a message was refused"
                done[n] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return sum(done) / seconds


def trickle(seconds):
    with lab.Lab("trickle") as l:
        port = start(l, messages="1000000")
        rate(l, port, 2)
        alone, beside = [], []
        for _ in range(5):
            l.queue_empty(120)
            alone.append(rate(l, port, seconds / 5))
            t = Trickle(port)
            t.start()
            l.queue_empty(120)
            beside.append(rate(l, port, seconds / 5))
            t.stop.set()
            t.join()
        print("trickle: %.0f messages/s alone (%.0f-%.0f), %.0f beside 51 trickling clients (%.0f-%.0f)"
              % (statistics.median(alone), min(alone), max(alone), statistics.median(beside), min(beside), max(beside)))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--sessions", type=int, default=5000)
    ap.add_argument("--refused", type=int, default=100000)
    ap.add_argument("--seconds", type=float, default=10)
    a = ap.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if a.sessions + 100 > hard:
        sys.exit("%d sessions need more than %d descriptors: ulimit -n" % (a.sessions, hard))
    if a.sessions:
        idle(a.sessions)
    if a.refused:
        refused(a.refused)
    if a.seconds:
        trickle(a.seconds)


if __name__ == "__main__":
    main()
