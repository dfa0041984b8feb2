"""cluster.py -- nodes of a cluster in a lab: each a posternd with a configuration folder of its own.

postern.yaml is the same on all nodes, byte for byte; what differs (name, folders, addresses) stands in node.yaml.
"""
import collections
import os
import re
import smtplib
import subprocess
import threading

import lab


class Node(lab.Lab):
    """A Lab whose configuration lies in etc/, as on a machine."""

    def __init__(self, name, number, dns=None):
        super().__init__(name)
        self.name, self.number = name, number
        if dns:
            self.ports["dns"] = dns
        os.makedirs(self.path("etc", "policy.d"))
        os.makedirs(self.path("etc", "keys"))

    def etc(self, *names):
        return self.path("etc", *names)

    def config(self, shared, **own):
        """shared: the same for all nodes; own: over what a node has of its own."""
        self.ports.setdefault("smtp", lab.free_port())
        mine = {"node": self.name, "hostname": self.name + ".example.lab", "run": self.path("run"),
                "spool": self.path("spool"), "store": "sqlite:" + self.path("store", "store.db"),
                "listeners": {"smart-host": {"address": "127.0.0.1:%d" % self.ports["smtp"]}}, **own}
        with open(self.etc("postern.yaml"), "w") as f:
            f.write(lab.yaml(shared))
        with open(self.etc("node.yaml"), "w") as f:
            f.write(lab.yaml(mine))
        if not os.listdir(self.etc("policy.d")):
            self.policy("version: 1\n")

    def policy(self, text, name="10-test.yaml"):
        return self.write("etc/policy.d/" + name, text)

    def argv(self, *args):
        return [os.path.join(lab.BUILD, "postern"), "-c", self.etc("postern.yaml"), *args]

    def start_postern(self, log="posternd.log", wait=True, env=None):
        self.daemon = lab.Proc([os.path.join(lab.BUILD, "posternd"), "-f", "-c", self.etc("postern.yaml")],
                               self.path(log), env={**os.environ, **(env or {})})
        if wait:
            self.wait_ready()
        return self.daemon

    def tool(self, *args, check=True, **kw):
        r = subprocess.run(self.argv(*args), capture_output=True, text=True, **kw)
        if check and r.returncode not in (0, 1):
            raise lab.LabError("postern %s: status %d\n%s%s" % (" ".join(args), r.returncode, r.stdout, r.stderr))
        return r if not check else r.stdout


def shared(nodes=("a", "b", "c"), dns=None, **over):
    """postern.yaml of all of them."""
    conf = {
        "version": 1, "policy": "policy.d", "networks": {"internal": ["127.0.0.0/8"]},
        "cluster": {"nodes": {name: i + 1 for i, name in enumerate(nodes)}},
        "listeners": [{"name": "smart-host", "address": "127.0.0.1:8025", "direction": "outbound",
                       "allow": ["network:internal"]}],
        "delivery": {"tls": {"policy": "none"}}, "antivirus": {"engine": "off"},
        "scanners": {"processes": "1"}, "log": {"to": "stderr"},
    }
    if dns:
        conf["dns"] = {"servers": ["127.0.0.1:%d" % dns], "dnssec": "false"}
    for k, v in over.items():
        conf[k] = {**conf[k], **v} if isinstance(v, dict) and isinstance(conf.get(k), dict) else v
    return conf


def haproxy(where, front, backs, listen="127.0.0.1"):
    """HAProxy on port `front` before the ports of `backs` ({name: port}), saying with PROXY v2 who came."""
    servers = "".join("    server %s 127.0.0.1:%d check inter 100ms fall 1 rise 2 send-proxy-v2 check-send-proxy"
                      " on-marked-down shutdown-sessions\n" % b for b in backs.items())
    where.write("haproxy.cfg", """global
    maxconn 1000
defaults
    mode tcp
    timeout connect 5s
    timeout client 2m
    timeout server 2m
    retries 3
    option redispatch
frontend smtp
    bind %s:%d
    default_backend nodes
backend nodes
    balance leastconn
%s""" % (listen, front, servers))
    p = where.start(["haproxy", "-db", "-f", where.path("haproxy.cfg")], "haproxy.log")
    lab.wait_port(listen, front, p, p.log)
    return p


class Load:
    """Clients that send one message after the other, each with its own token; what was answered 250 is accepted."""

    def __init__(self, port, clients=4, host="127.0.0.1", rcpt="b@partner.lab", sender="a@example.lab"):
        self.where, self.rcpt, self.sender = (host, port), rcpt, sender
        self.accepted, self.refused, self.ids = set(), [], {}
        self.lock, self.ending, self.count = threading.Lock(), threading.Event(), 0
        self.threads = [threading.Thread(target=self.client, args=(k,), daemon=True) for k in range(clients)]
        for t in self.threads:
            t.start()

    def client(self, k):
        while not self.ending.is_set():
            with self.lock:
                self.count += 1
                token = "token-%06d" % self.count
            try:
                with smtplib.SMTP(*self.where, local_hostname="client.lab", timeout=20,
                                  source_address=("127.0.1.%d" % (k + 1), 0)) as s:
                    s.ehlo()
                    s.mail(self.sender)
                    code, text = s.rcpt(self.rcpt)
                    if code == 250:
                        code, text = s.data(lab.message(sender=self.sender, to=[self.rcpt], subject=token))
                    if code == 250:
                        with self.lock:
                            self.accepted.add(token)
                            self.ids[token] = text.decode().split()[-1]
                    else:
                        with self.lock:
                            self.refused.append((code, text))
                        self.ending.wait(0.05)
            except (OSError, smtplib.SMTPException):
                self.ending.wait(0.02)     # as a mail server would: again later, this one is not accepted

    def wait(self, n):
        """Until n more are accepted."""
        n += len(self.accepted)
        lab.wait_for(lambda: len(self.accepted) >= n, because=lambda: "%d accepted, have %d; refused: %s"
                     % (n, len(self.accepted), self.refused[-3:]))

    def end(self):
        self.ending.set()
        for t in self.threads:
            t.join(60)
        return self.accepted


def number_of(text):
    """An id as the number it is."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    n = 0
    for ch in text:
        n = n * 62 + digits.index(ch)
    return n


def node_of(text):
    return number_of(text) % (16 * 3844) // 480     # base/id.h


def tokens(mx):
    """Every token that arrived, with how often."""
    with mx.lock:
        found = [re.search(rb"Subject: (\S+)", m[2]).group(1).decode() for m in mx.messages]
    return collections.Counter(found)


class Proxied(smtplib.SMTP):
    """A client of a node that takes PROXY headers alone: it says who it is, as HAProxy would."""

    def __init__(self, port, client):
        self.who = client
        super().__init__("127.0.0.1", port, local_hostname="client.lab", timeout=60)

    def _get_socket(self, host, port, timeout):
        s = super()._get_socket(host, port, timeout)
        s.sendall(b"PROXY TCP4 %s 127.0.0.1 40000 %d\r\n" % (self.who.encode(), port))
        return s
