"""lab.py -- a small Internet on loopback for tests, the demo and the benchmark.

A Lab is a temporary folder with a DNS server (Knot), receiving mail servers
(Postfix's smtp-sink, a Postfix, or a scripted one), keys, a policy and posternd
itself, each with folders and ports of its own, ended by pid. Nothing outside
the folder is touched and nothing is left running: see Lab.close().

All waiting is for an event (a port that answers, a file that appears, a
process that ends) with a deadline; reaching a deadline is an error that says
what was awaited and shows the log.
"""
import contextlib
import glob
import json
import os
import pwd
import random
import re
import select
import shutil
import signal
import smtplib
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, os.environ.get("B", "build"))
SANITIZED = "sanitized" in BUILD
# The EICAR test string, in two halves so that no scanner objects to this file.
EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-" + "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
DEADLINE = float(os.environ.get("LAB_DEADLINE", "90"))


LABS = []       # those that are open


class LabError(Exception):
    pass


RESERVED = []


def free_port(host="127.0.0.1"):
    """A port nobody listens on, this process's own until it ends: below those the kernel gives to
    outgoing connections, and reserved by an abstract socket, which every other test asks as well."""
    while True:
        port = random.randrange(10000, 32000)
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            mark.bind("\0postern-test-port-%d" % port)
            with socket.socket() as s:
                s.bind((host, port))
        except OSError:
            mark.close()
            continue
        RESERVED.append(mark.detach())
        return port


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(what, seconds=None, every=0.02, because=None):
    """Calls what() until it is true; its value. because: what is awaited, for the error."""
    end = time.monotonic() + (seconds or DEADLINE)
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            logs = "".join("\n---- %s\n%s" % (p, tail(p, 40)) for l in LABS for p in glob.glob(l.path("posternd*.log")))
            raise LabError("timed out waiting for %s%s" % (because() if callable(because) else because or what, logs))
        time.sleep(every)


def wait_port(host, port, proc=None, log=None, seconds=None):
    def up():
        if proc is not None and proc.poll() is not None:
            raise LabError("ended with status %s before it listened on port %d\n%s"
                           % (proc.returncode, port, tail(log)))
        with contextlib.suppress(OSError):
            socket.create_connection((host, port), 1).close()
            return True
    wait_for(up, seconds, because="port %d\n%s" % (port, tail(log)))


def tail(path, lines=40):
    if not path or not os.path.exists(path):
        return ""
    with open(path, errors="replace") as f:
        return "".join(f.readlines()[-lines:])


class Proc:
    """A child with its log; ended by its pid."""

    def __init__(self, argv, log, **kw):
        self.log = log
        self.file = open(log, "ab")
        self.p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.file,
                                  stderr=subprocess.STDOUT, start_new_session=True, **kw)

    def poll(self):
        return self.p.poll()

    @property
    def returncode(self):
        return self.p.returncode

    @property
    def pid(self):
        return self.p.pid

    def stop(self, sig=signal.SIGTERM, seconds=15):
        if self.p.poll() is None:
            self.p.send_signal(sig)
            try:
                self.p.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.p.pid, signal.SIGKILL)
                self.p.wait()
        self.file.close()
        return self.p.returncode


class ScriptedMX:
    """A receiving server under the test's control: answers each command by a function.

    reply(command, session) -> text without CRLF, or None for the ordinary answer.
    Every accepted message is kept in .messages as (sender, [recipients], bytes).
    """

    def __init__(self, host="127.0.0.1", port=0, reply=None, esmtp=("PIPELINING", "8BITMIME", "SIZE 50000000"),
                 tls=None):
        """tls: (certificate chain, key) makes it offer STARTTLS."""
        mx, context = self, None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
        self.messages, self.lock, self.reply, self.esmtp = [], threading.Condition(), reply, esmtp
        self.connections = 0

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text):
                self.wfile.write(text.encode() + b"\r\n")

            def handle(self):
                self.sender, self.rcpts, self.secure = None, [], False
                with mx.lock:
                    mx.connections += 1
                with contextlib.suppress(OSError):
                    self.talk()
                if self.secure:
                    self.request.close()

            def ordinary(self, verb, line):
                if verb == "EHLO":
                    lines = ["mx.lab"] + list(mx.esmtp) + (["STARTTLS"] if context and not self.secure else [])
                    return "\r\n".join("250%s%s" % ("-" if i < len(lines) - 1 else " ", l)
                                       for i, l in enumerate(lines))
                if verb == "QUIT":
                    return "221 2.0.0 bye"
                if verb == "DATA":
                    return "354 go on"
                if verb == "STARTTLS":
                    return "220 2.0.0 go"
                return "250 2.0.0 ok"

            def talk(self):
                self.say((mx.reply and mx.reply("CONNECT", self)) or "220 mx.lab ESMTP")
                while True:
                    line = self.rfile.readline(4096)
                    if not line:
                        return
                    line = line.decode("utf-8", "replace").rstrip("\r\n")
                    verb = line.split(" ")[0].upper().split(":")[0]
                    answer = mx.reply and mx.reply(line, self)
                    if answer == "HANGUP":
                        return
                    answer = answer or self.ordinary(verb, line)
                    if verb == "MAIL" and answer.startswith("2"):
                        self.sender, self.rcpts = re.search("<(.*?)>", line).group(1), []
                    elif verb == "RCPT" and answer.startswith("2"):
                        self.rcpts.append(re.search("<(.*?)>", line).group(1))
                    if verb == "DATA" and answer.startswith("3") and not self.rcpts:
                        answer = "554 5.5.1 no valid recipients"
                    self.say(answer)
                    if verb == "STARTTLS" and context and answer.startswith("2"):
                        self.request = context.wrap_socket(self.request, server_side=True)
                        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
                        self.secure = True
                    if verb == "QUIT":
                        return
                    if verb == "DATA" and answer.startswith("3"):
                        data = []
                        while True:
                            line = self.rfile.readline()
                            if not line:
                                return
                            if line == b".\r\n":
                                break
                            data.append(line[1:] if line.startswith(b".") else line)
                        answer = (mx.reply and mx.reply(".", self)) or "250 2.0.0 queued"
                        if answer == "HANGUP":
                            return
                        if answer.startswith("2"):
                            with mx.lock:
                                mx.messages.append((self.sender, self.rcpts, b"".join(data)))
                                mx.lock.notify_all()
                        self.say(answer)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads, request_queue_size = True, True, 512

        self.server = Server((host, port), Handler)
        self.host, self.port = self.server.server_address
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def wait(self, n, seconds=None):
        """Until n messages have arrived; all of them."""
        with self.lock:
            if not self.lock.wait_for(lambda: len(self.messages) >= n, seconds or DEADLINE):
                raise LabError("%d of %d messages arrived" % (len(self.messages), n))
            return list(self.messages)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class SinkMX:
    def __init__(self, port, folder):
        self.port, self.folder = port, folder

    @property
    def messages(self):
        """(sender, [recipients], bytes as received) of each message that is complete."""
        out = []
        for path in sorted(glob.glob(os.path.join(self.folder, "m.*"))):
            with open(path, "rb") as f:
                data = f.read()
            # The sink's own lines stand above what it received.
            args = dict.fromkeys((b"X-Mail-Args", b"X-Rcpt-Args"), b"")
            lines, i = data.split(b"\n"), 0
            while re.match(rb"X-(Client|Helo|Mail|Rcpt)-", lines[i]):
                k, v = lines[i].split(b": ", 1)
                args[k] = args.get(k, b"") + v + b" "
                i += 1
            if lines[i].startswith(b"Received:"):
                i += 1
                while lines[i][:1] in (b" ", b"\t"):
                    i += 1
            raw = b"\r\n".join(lines[i:])
            out.append((args[b"X-Mail-Args"].decode().strip().strip("<>"), re.findall(r"<(.*?)>", args[b"X-Rcpt-Args"].decode()),
                        raw.rstrip(b"\r\n") + b"\r\n"))
        return out


class Lab:
    def __init__(self, name="lab", keep=False):
        self.dir = tempfile.mkdtemp(prefix="postern-%s-" % name)
        os.chmod(self.dir, 0o755)
        self.keep, self.procs, self.closers = keep, [], []
        self.zones = {}
        self.daemon = None
        self.ports = {}
        LABS.append(self)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text):
        p = self.path(name)
        os.makedirs(os.path.dirname(p), exist_ok=True)
        with open(p, "wb" if isinstance(text, bytes) else "w") as f:
            f.write(text)
        return p

    def start(self, argv, log, **kw):
        p = Proc(argv, self.path(log), **kw)
        self.procs.append(p)
        return p

    def close(self):
        if self.daemon:
            self.stop_postern()
        try:
            self.check_logs()
        finally:
            self.clean_up()

    def check_logs(self):
        """What a sanitizer, an assertion or a broken channel said is a failure of any test."""
        for path in glob.glob(self.path("posternd*.log")):
            with open(path, errors="replace") as f:
                bad = re.search(r"^.*(ERROR: (Address|Leak)Sanitizer|runtime error:|assertion failed|broke the rules"
                                r"|sent nonsense).*$", f.read(), re.M)
            if bad:
                raise LabError("in posternd's log: %s\n%s" % (bad.group(0), tail(path, 60)))

    def clean_up(self):
        LABS.remove(self)
        for p in reversed(self.procs):
            p.stop()
        for c in self.closers:
            c()
        if self.keep:
            print("kept:", self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind and self.daemon:
            print("---- posternd's log ----\n" + tail(self.daemon.log, 60), file=sys.stderr)
        self.close()

    # -- DNS -----------------------------------------------------------------------
    def dns(self, zones, signed=(), forged=()):
        """zones: {"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]}. Knot on loopback; its port.

        Knot signs those in signed and forged. Their DS records are the file knot/anchors; those of
        the forged ones name a key that is not theirs.
        """
        port = free_port()
        conf = ["server:", "    rundir: %s" % self.path("knot"), "    listen: 127.0.0.1@%d" % port,
                "log:", "  - target: stderr", "    any: warning", "database:",
                "    storage: %s" % self.path("knot"), "policy:", "  - id: lab",
                "    algorithm: ecdsap256sha256", "    single-type-signing: on", "zone:"]
        os.makedirs(self.path("knot"), exist_ok=True)
        for name, records in zones.items():
            conf += ["  - domain: %s" % name, "    file: %s" % self.path("knot", name + ".zone"),
                     *(["    dnssec-signing: on", "    dnssec-policy: lab", "    zonefile-sync: -1"]
                       if name in signed or name in forged else ["    journal-content: none"])]
            self.write("knot/%s.zone" % name, "$ORIGIN %s.\n$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n"
                       "@ NS ns\nns A 127.0.0.1\n%s\n" % (name, "\n".join(records)))
        self.write("knot/knot.conf", "\n".join(conf) + "\n")
        p = self.start(["/usr/sbin/knotd", "-c", self.path("knot/knot.conf")], "knot.log")
        wait_port("127.0.0.1", port, p, p.log)
        self.ports["dns"] = port
        anchors = ""
        for name in [*signed, *forged]:
            def ds():
                r = subprocess.run(["/usr/sbin/keymgr", "-c", self.path("knot/knot.conf"), name, "ds"],
                                   capture_output=True, text=True)
                return [l for l in r.stdout.splitlines() if " DS " in l and l.split()[-2] == "2"]
            owner, _, tag, alg, kind, digest = wait_for(ds, because="the keys of " + name)[0].split()
            if name in forged:
                digest = digest[::-1]
            anchors += "%s IN DS %s %s %s %s\n" % (owner, tag, alg, kind, digest)
        if anchors:
            self.write("knot/anchors", anchors)
        return port

    # -- keys ----------------------------------------------------------------------
    def dkim_key(self, domain, selector):
        """An RSA key for the domain; returns the TXT record's line for its zone."""
        os.makedirs(self.path("keys"), exist_ok=True)
        pem = self.path("keys", "%s.%s.pem" % (selector, domain))
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", pem, "2048"], check=True,
                       stderr=subprocess.DEVNULL)
        os.chmod(pem, 0o600)
        der = subprocess.run(["openssl", "rsa", "-in", pem, "-pubout", "-outform", "PEM"], check=True,
                             capture_output=True, text=True).stdout
        key = "".join(l for l in der.splitlines() if "-----" not in l)
        half = len(key) // 2
        return '%s._domainkey TXT "v=DKIM1; k=rsa; p=%s" "%s"' % (selector, key[:half], key[half:])

    # -- antivirus -----------------------------------------------------------------
    def signatures(self):
        """A signature database that knows EICAR: the official one is no Debian package."""
        body = EICAR.encode()
        self.write("clamav/test.ndb", "Eicar-Test-Signature:0:*:%s\n" % body.hex())
        return self.path("clamav")

    # -- receivers -----------------------------------------------------------------
    def sink(self, *options, host="127.0.0.1", port=None, log="sink.log"):
        port = port or free_port(host)
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        p = self.start(["/usr/sbin/smtp-sink", *user, *options, "%s:%d" % (host, port), "512"], log)
        wait_port(host, port, p, p.log)
        return port

    def sink_mx(self):
        """Postfix's smtp-sink as a receiving MX that keeps each message in a file."""
        folder = self.path("mx")
        os.makedirs(folder)
        os.chmod(folder, 0o777)
        return SinkMX(self.sink("-d", os.path.join(folder, "m."), log="mx.log"), folder)

    def mx(self, **kw):
        m = ScriptedMX(**kw)
        self.closers.append(m.close)
        return m

    def postfix(self, name, main, master=(), port=None):
        """A Postfix of its own. main: {parameter: value}; returns its SMTP port."""
        port = port or free_port()
        base = self.path(name)
        for d in ("conf", "queue", "data", "mail"):
            os.makedirs(os.path.join(base, d), exist_ok=True)
        ids = pwd.getpwnam("postfix")
        os.chown(os.path.join(base, "data"), ids.pw_uid, ids.pw_gid)
        nobody = pwd.getpwnam("nobody")
        os.chown(os.path.join(base, "mail"), nobody.pw_uid, nobody.pw_gid)
        params = {
            "compatibility_level": "3.6", "queue_directory": base + "/queue",
            "data_directory": base + "/data", "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin", "mail_owner": "postfix",
            "setgid_group": "postdrop", "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4",
            "myhostname": name + ".lab", "mydestination": "", "mynetworks": "127.0.0.0/8",
            "alias_maps": "", "alias_database": "", "maillog_file": base + "/maillog",
            "maillog_file_prefixes": self.dir, "smtp_dns_support_level": "disabled",
            "smtp_host_lookup": "native", "biff": "no", "smtputf8_enable": "yes",
            "multi_instance_name": "", "smtpd_peername_lookup": "no",
            "queue_run_delay": "2s", "minimal_backoff_time": "2s", "maximal_backoff_time": "5s",
        }
        params.update(main)
        self.write(name + "/conf/main.cf", "".join("%s = %s\n" % kv for kv in params.items()))
        with open("/usr/share/postfix/master.cf.dist") as f:
            lines = [l for l in f.read().splitlines() if not re.match(r"smtp\s+inet", l)]
        lines.insert(0, "127.0.0.1:%d inet n - n - - smtpd" % port)
        # No service is chrooted: the folders above hold no copies of libraries.
        lines = [re.sub(r"^(\S+\s+(?:unix|fifo|inet)\s+\S+\s+\S+\s+)[-y](\s)", r"\1n\2", l) for l in lines]
        if not any(l.startswith("postlog") for l in lines):
            lines.append("postlog unix-dgram n - n - 1 postlogd")
        self.write(name + "/conf/master.cf", "\n".join(lines + list(master)) + "\n")
        conf = base + "/conf"
        for f in os.listdir(conf):
            os.chmod(os.path.join(conf, f), 0o644)
        r = subprocess.run(["/usr/sbin/postfix", "-c", conf, "start"], capture_output=True, text=True)
        if r.returncode:
            raise LabError("postfix: " + r.stdout + r.stderr + tail(base + "/maillog"))
        pid = wait_for(lambda: tail(base + "/queue/pid/master.pid").strip(), because="postfix's pid")
        self.closers.append(lambda: subprocess.run(["/usr/sbin/postfix", "-c", conf, "stop"],
                                                   capture_output=True))
        wait_port("127.0.0.1", port, log=base + "/maillog")
        self.ports[name] = port
        self.ports[name + ".pid"] = int(pid)
        return port

    # -- posternd ------------------------------------------------------------------
    def config(self, **over):
        """postern.yaml as a dict, written as YAML (JSON is YAML)."""
        port = self.ports.setdefault("smtp", free_port())
        conf = {
            "version": 1, "hostname": "gw.example.lab", "run": self.path("run"),
            "spool": self.path("spool"), "store": "sqlite:" + self.path("store", "store.db"),
            "policy": "policy.d", "networks": {"internal": ["127.0.0.1"]},
            "listeners": [{"name": "smart-host", "address": "127.0.0.1:%d" % port,
                           "direction": "outbound", "allow": ["network:internal"]}],
            "delivery": {"tls": {"policy": "none"}}, "antivirus": {"engine": "off"},
            "scanners": {"processes": "1"}, "log": {"to": "stderr"},
        }
        if "dns" in self.ports:
            conf["dns"] = {"servers": ["127.0.0.1:%d" % self.ports["dns"]], "dnssec": "false"}
        for k, v in over.items():
            if isinstance(v, dict) and isinstance(conf.get(k), dict):
                conf[k] = {**conf[k], **v}
            else:
                conf[k] = v
        os.makedirs(self.path("policy.d"), exist_ok=True)
        if not glob.glob(self.path("policy.d", "*.yaml")):
            self.policy("version: 1\n")
        return self.write("postern.yaml", yaml(conf))

    def policy(self, text, name="10-test.yaml"):
        return self.write("policy.d/" + name, text)

    def start_postern(self, log="posternd.log", wait=True, env=None):
        self.daemon = Proc([os.path.join(BUILD, "posternd"), "-f", "-c", self.path("postern.yaml")],
                           self.path(log), env={**os.environ, **(env or {})})
        if wait:
            self.wait_ready()
        return self.daemon

    def wait_ready(self, seconds=60):
        def ready():
            if self.daemon.poll() is not None:
                raise LabError("posternd ended with status %s\n%s"
                               % (self.daemon.returncode, tail(self.daemon.log)))
            with contextlib.suppress(Exception):
                return self.status()["state"] == "running"
        wait_for(ready, seconds, because="posternd to be ready\n" + tail(self.daemon.log))

    def stop_postern(self, seconds=12):
        d, self.daemon = self.daemon, None
        return d.stop(seconds=seconds)

    def kill_postern(self):
        """SIGKILL to every process at once, as a power cut would."""
        pids = [p["pid"] for p in self.status()["processes"]] + [self.daemon.pid]
        for pid in reversed(pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.daemon.p.wait()
        self.daemon.file.close()
        self.daemon = None
        # Until the last one has really ended its sockets are still bound.
        wait_for(lambda: not any(alive(pid) for pid in pids), because="the end of killed processes")

    def log(self):
        with open(self.path("posternd.log"), errors="replace") as f:
            return f.read()

    def tool(self, *args, check=True, **kw):
        """The tool `postern`; its output as text."""
        r = subprocess.run([os.path.join(BUILD, "postern"), "-c", self.path("postern.yaml"), *args],
                           capture_output=True, text=True, **kw)
        if check and r.returncode not in (0, 1):
            raise LabError("postern %s: status %d\n%s%s" % (" ".join(args), r.returncode, r.stdout, r.stderr))
        return r if not check else r.stdout

    def control(self, request, seconds=30):
        """One request to the control socket; the JSON lines of its answer."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(seconds)
            s.connect(self.path("run", "control.sock"))
            s.sendall(json.dumps(request, separators=(",", ":")).encode() + b"\n")
            data = b""
            while True:
                part = s.recv(65536)
                if not part:
                    break
                data += part
        return [json.loads(l) for l in data.decode().splitlines() if l]

    def status(self):
        return self.control({"cmd": "status"})[0]

    def counter(self, name):
        return self.status()["counters"][name]

    def pids(self, role, worker=None):
        return [p["pid"] for p in self.status()["processes"] if p["role"] == role
                and p["state"] == "ready" and (worker is None or p["worker"] == worker)]

    def queue_empty(self, seconds=60):
        wait_for(lambda: self.counter("queue_messages") == 0, seconds,
                 because="an empty queue\n" + tail(self.daemon.log))

    def smtp(self, source="127.0.0.1", timeout=60):
        return smtplib.SMTP("127.0.0.1", self.ports["smtp"], local_hostname="client.example.lab",
                            timeout=timeout, source_address=(source, 0))

    def send(self, to, body="Hello.\r\n", sender="a@example.lab", subject="test", headers=(), raw=None,
             source="127.0.0.1"):
        """Sends one message; the final reply as (code, text)."""
        to = [to] if isinstance(to, str) else to
        msg = raw if raw is not None else message(body, sender, to, subject, headers)
        with self.smtp(source) as s:
            s.ehlo()
            code, text = s.mail(sender)
            if code != 250:
                return code, text.decode()
            for r in to:
                code, text = s.rcpt(r)
                if code != 250:
                    return code, text.decode()
            try:
                code, text = s.data(msg)
            except smtplib.SMTPDataError as e:      # refused before the 354
                code, text = e.smtp_code, e.smtp_error
            return code, text.decode()


def message(body="Hello.\r\n", sender="a@example.lab", to=("b@partner.lab",), subject="test", headers=()):
    lines = ["From: <%s>" % sender, "To: " + ", ".join("<%s>" % t for t in to), "Subject: " + subject,
             "Date: Sun, 22 Nov 2026 10:00:00 +0000", "Message-ID: <%d.%d@example.lab>" % (os.getpid(), time.time_ns()),
             "MIME-Version: 1.0", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def yaml(value, indent=0):
    """A dict of dicts, lists and scalars as YAML that people would write; every scalar quoted."""
    pad = "  " * indent
    if isinstance(value, dict):
        out = ""
        for k, v in value.items():
            if isinstance(v, (dict, list)) and v:
                out += "%s%s:\n%s" % (pad, json.dumps(str(k)), yaml(v, indent + 1))
            else:
                out += "%s%s: %s" % (pad, json.dumps(str(k)), yaml(v).lstrip() if v == [] or v == {} else json.dumps(str(v)) + "\n")
        return out or pad + "{}\n"
    if isinstance(value, list):
        return "".join("%s- %s" % (pad, yaml(v, indent + 1).lstrip()) for v in value) or pad + "[]\n"
    return pad + json.dumps(str(value)) + "\n"
