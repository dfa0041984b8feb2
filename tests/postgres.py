"""postgres.py -- a PostgreSQL of Debian in a folder of its own, on a free loopback port.

initdb refuses root, so it runs as `postgres`, Debian's account for it (nobody where there is none). Nothing
is synced: a power cut is not what is tested.
"""
import glob
import os
import pwd
import shutil
import signal
import subprocess

import lab


def programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found:
        raise lab.LabError("no PostgreSQL: the package postgresql-15 is missing")
    return os.path.dirname(found[-1])


class Postgres:
    """p = Postgres(lab); p.uri(), p.sql("…"), p.stop(), p.start(), p.freeze(), p.thaw(), p.close()."""

    def __init__(self, of, password="correct horse", tls=None):
        self.lab, self.bin, self.password = of, programs(), password
        self.folder = of.path("pg")
        self.port = lab.free_port()
        self.root = os.geteuid() == 0
        if self.root:
            try:
                self.account = pwd.getpwnam("postgres")
            except KeyError:
                self.account = pwd.getpwnam("nobody")
        os.makedirs(self.folder)
        secret = of.write("pg.password", password + "\n")
        os.chmod(secret, 0o644)
        if self.root:
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)
        self.run("initdb", "-D", self.folder + "/data", "-U", "postern", "--pwfile", secret, "-A", "scram-sha-256",
                 "--no-sync", "-E", "UTF8", "--locale=C")
        settings = ["listen_addresses = '127.0.0.1'", "unix_socket_directories = '%s'" % self.folder, "fsync = off",
                    "full_page_writes = off", "shared_buffers = 16MB", "max_connections = 30",
                    "autovacuum = off", "max_wal_size = 1GB", "log_min_messages = warning"]
        if tls:
            for source, name in zip(tls, ("server.crt", "server.key")):
                shutil.copy(source, self.folder + "/" + name)
                os.chmod(self.folder + "/" + name, 0o600)
                if self.root:
                    os.chown(self.folder + "/" + name, self.account.pw_uid, self.account.pw_gid)
            settings += ["ssl = on", "ssl_cert_file = '%s/server.crt'" % self.folder, "ssl_key_file = '%s/server.key'" % self.folder]
        with open(self.folder + "/data/postgresql.conf", "a") as f:
            f.write("\n".join(settings) + "\n")
        self.p = None
        os.chmod(self.folder, 0o755)            # its unix socket lies there
        of.closers.append(self.close)
        self.start()
        self.sql("CREATE DATABASE postern", "postgres")

    def as_account(self):
        if not self.root:
            return {}
        return {"user": self.account.pw_uid, "group": self.account.pw_gid, "extra_groups": []}

    def run(self, program, *args):
        r = subprocess.run([self.bin + "/" + program, *args], capture_output=True, text=True, cwd="/", **self.as_account())
        if r.returncode:
            raise lab.LabError("%s: %s" % (program, r.stdout + r.stderr))
        return r.stdout

    def start(self):
        self.p = lab.Proc([self.bin + "/postgres", "-D", self.folder + "/data", "-p", str(self.port)],
                          self.lab.path("postgres.log"), cwd="/", **self.as_account())
        lab.wait_for(self.answers, because=lambda: "PostgreSQL\n" + lab.tail(self.p.log))

    def answers(self):
        if self.p.poll() is not None:
            raise lab.LabError("PostgreSQL ended: " + lab.tail(self.p.log))
        return subprocess.run([self.bin + "/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0

    def stop(self, sig=signal.SIGINT):
        """SIGINT ends sessions and stops, SIGQUIT and SIGKILL are crashes."""
        pids = self.pids()
        self.p.stop(sig)
        if sig == signal.SIGKILL:       # its children notice within a moment; the next start wants them gone
            lab.wait_for(lambda: not any(lab.alive(p) for p in pids), because="the end of PostgreSQL's children")

    def pids(self):
        r = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.p.pid)], capture_output=True, text=True)
        return [int(l) for l in r.stdout.split()] + [self.p.pid]

    def freeze(self):
        self.frozen = self.pids()
        for pid in self.frozen:
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self.frozen:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self.frozen = []

    def sql(self, text, database="postern"):
        """Rows of texts."""
        r = subprocess.run([self.bin + "/psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1",
                            "-p", str(self.port), "-U", "postern", "-d", database, "-c",
                            text],
                           capture_output=True, text=True, env={**os.environ, "PGPASSWORD": self.password,
                                                                "PGOPTIONS": "-c search_path=postern"})
        if r.returncode:
            raise lab.LabError("psql: " + r.stderr)
        return [l.split("\t") for l in r.stdout.splitlines()]

    def uri(self, host="127.0.0.1", **options):
        query = "&".join("%s=%s" % kv for kv in options.items())
        return "postgresql://postern@%s:%d/postern%s" % (host, self.port, "?" + query if query else "")

    def close(self):
        if getattr(self, "frozen", None):
            self.thaw()
        if self.p and self.p.poll() is None:
            self.p.stop(signal.SIGINT)
