"""A redis-server of a test's own: a folder, a free port, ended by its pid."""
import os
import signal
import socket
import subprocess

import lab


class Redis:
    def __init__(self, owner, name="redis", *options, port=None, tls=None):
        """tls: (certificate, key, CA); then it listens for TLS alone."""
        self.lab, self.name, self.tls = owner, name, tls
        self.port = port or lab.free_port()
        self.folder = owner.path(name)
        os.makedirs(self.folder, exist_ok=True)
        self.options = list(options)
        self.proc = None
        self.start()
        owner.closers.append(self.close)

    def start(self, *options):
        listen = ["--port", str(self.port)] if not self.tls else \
            ["--port", "0", "--tls-port", str(self.port), "--tls-cert-file", self.tls[0], "--tls-key-file",
             self.tls[1], "--tls-ca-cert-file", self.tls[2], "--tls-auth-clients", "no"]
        self.proc = lab.Proc(["redis-server", *listen, "--bind", "127.0.0.1", "--dir", self.folder,
                              "--save", "", "--appendonly", "no", "--unixsocket", self.folder + "/sock",
                              *self.options, *options], os.path.join(self.folder, "log"))
        if self.tls:
            lab.wait_port("127.0.0.1", self.port, self.proc, os.path.join(self.folder, "log"))
        else:
            lab.wait_for(self.answers, because="redis-server")

    def answers(self):
        try:
            return self.call("PING") is not None
        except OSError:
            return False

    def call(self, *words):
        """One command; a string, an integer, None or a list. Errors are returned as text."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as s:
            s.sendall(b"*%d\r\n" % len(words) + b"".join(
                b"$%d\r\n%s\r\n" % (len(w), w) for w in (str(x).encode() for x in words)))
            return self.read(s.makefile("rb"))

    def read(self, f):
        line = f.readline()
        kind, rest = line[:1], line[1:].strip().decode()
        if kind in b"+-" and kind:
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            n = int(rest)
            return None if n < 0 else f.read(n + 2)[:-2].decode(errors="replace")
        if kind == b"*":
            return [self.read(f) for _ in range(int(rest))]
        raise OSError("redis-server has closed the connection")

    def kill(self):
        self.proc.p.kill()
        self.proc.p.wait()
        self.proc.file.close()
        self.proc = None

    def pause(self):
        os.kill(self.proc.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.proc.pid, signal.SIGCONT)

    def close(self):
        if self.proc:
            os.kill(self.proc.pid, signal.SIGCONT)
            self.proc.stop(signal.SIGKILL)
            self.proc = None
