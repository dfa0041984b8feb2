#!/usr/bin/env python3
"""Milters on sockets of the file system: who may, what was left behind, what systemd holds."""
import grp
import os
import pwd
import smtplib
import socket
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import lab                                                                      # noqa: E402

NEGOTIATE = b"\0\0\0\x0dO\0\0\0\6\0\0\1\xff\0\x1f\xff\xff"
ROUTES = {"routes": {"*": ["127.0.0.1:26"]}, "tls": {"policy": "none"}}


def negotiated(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(lab.DEADLINE)
        s.connect(path)
        s.sendall(NEGOTIATE)
        return s.recv(100)[4:5] == b"O"


class Socket(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("milter-socket")
        self.addCleanup(self.lab.close)
        self.path = self.lab.path("sockets", "milter")
        self.lab.dns({"partner.lab": ["@ MX 0 ."]})

    def configure(self, delivery=ROUTES, **listener):
        self.lab.config(listeners=[{"name": "mta", "milter": "unix:" + self.path, **listener}], delivery=delivery)

    def look(self):
        st = os.lstat(self.path)
        return stat.S_IMODE(st.st_mode), grp.getgrgid(st.st_gid).gr_name

    def refused(self):
        """What posternd says when it cannot start."""
        try:
            self.lab.start_postern()
        except lab.LabError as e:
            self.lab.stop_postern()
            return str(e)
        self.fail("it started")

    def test_with_postfix(self):
        mx = self.lab.mx()
        self.configure(socket_group="postfix")
        self.lab.start_postern()
        self.assertEqual(self.look(), (0o660, "postfix"))
        mta = self.lab.postfix("mta", {"relayhost": "[127.0.0.1]:%d" % mx.port, "smtpd_milters": "unix:" + self.path,
                                       "milter_default_action": "tempfail"})
        with smtplib.SMTP("127.0.0.1", mta, timeout=lab.DEADLINE) as s:
            s.sendmail("a@example.lab", ["b@partner.lab"], lab.message(subject="by a socket"))
        self.assertIn(b"X-Postern-Id: ", mx.wait(1)[0][2])
        # Another account of this machine does not get in.
        nobody = pwd.getpwnam("nobody")
        r = subprocess.run([sys.executable, "-c", "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])", self.path],
                           user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], capture_output=True, text=True)
        self.assertIn("PermissionError", r.stderr)
        self.assertIn("mta answers on " + self.path, self.lab.tool("doctor", check=False).stdout)
        self.assertIn("mta on %s\n" % self.path, self.lab.tool("status", "--all", check=False).stdout +
                      self.lab.tool("status", check=False).stdout)

    def test_left_behind(self):
        self.configure()
        self.lab.start_postern()
        before = os.lstat(self.path).st_ino
        self.lab.kill_postern()
        self.assertEqual(os.lstat(self.path).st_ino, before, "nobody was there to remove it")
        self.lab.start_postern("posternd-again.log")
        self.assertTrue(negotiated(self.path))
        with open(self.lab.path("posternd-again.log")) as f:
            self.assertIn(self.path + " was left behind", f.read())
        self.assertEqual(self.lab.stop_postern(), 0)
        self.assertFalse(os.path.lexists(self.path), "it goes with who made it")

    def test_somebody_elses(self):
        self.configure()
        os.makedirs(os.path.dirname(self.path))
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path)
            other.listen()
            self.assertIn("another program listens on " + self.path, self.refused())
            self.assertTrue(os.path.lexists(self.path))
        os.unlink(self.path)
        with open(self.path, "w") as f:
            f.write("precious")
        self.assertIn(self.path + " is there already and is no socket", self.refused())
        with open(self.path) as f:
            self.assertEqual(f.read(), "precious")
        os.unlink(self.path)
        self.configure(socket_group="no-such-group")
        self.assertIn("there is no group `no-such-group`", self.refused())
        self.assertFalse(os.path.lexists(self.path))

    def test_reload(self):
        self.configure()
        self.lab.start_postern()
        self.assertEqual(self.look(), (0o660, "root"))
        self.configure(socket_mode="0600", socket_group="postfix")
        self.lab.tool("reload")
        self.assertEqual(self.look(), (0o600, "postfix"))
        self.assertTrue(negotiated(self.path))
        old, self.path = self.path, self.lab.path("sockets", "another")
        self.configure()
        self.lab.tool("reload")
        self.assertTrue(negotiated(self.path))
        lab.wait_for(lambda: not os.path.lexists(old), because="the old socket to go")
        # One that took our name in the meantime is not ours to remove.
        os.unlink(self.path)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path)
            self.assertEqual(self.lab.stop_postern(), 0)
            self.assertTrue(os.path.lexists(self.path))

    def test_held_by_systemd(self):
        """By name, whatever it is; by path as well. It stays when posternd goes."""
        os.makedirs(os.path.dirname(self.path))
        with socket.socket(socket.AF_UNIX) as held, socket.create_server(("127.0.0.1", 0)) as port:
            held.bind(self.path)
            held.listen(64)
            self.lab.config(listeners=[{"name": "a", "milter": "systemd:postern-milter"}, {"name": "b", "milter": "systemd:second"}],
                            delivery=ROUTES)
            self.start([held, port], "postern-milter:second")
            self.assertTrue(negotiated(self.path))
            with socket.create_connection(port.getsockname()) as s:
                s.settimeout(lab.DEADLINE)
                s.sendall(NEGOTIATE)
                self.assertEqual(s.recv(100)[4:5], b"O")
            self.assertIn("%s comes from the starter, named postern-milter" % self.path, self.lab.log())
            said = self.lab.tool("doctor", check=False).stdout
            self.assertIn("a answers on " + self.path, said)
            self.assertIn("b answers on 127.0.0.1:%d" % port.getsockname()[1], said)
            self.assertEqual(self.lab.stop_postern(), 0)
            self.assertTrue(os.path.lexists(self.path))
            # Who waits meanwhile is served by the next one; this time it is known by its path.
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(lab.DEADLINE)
                s.connect(self.path)
                s.sendall(NEGOTIATE)
                self.configure()
                self.start([held], "")
                self.assertEqual(s.recv(100)[4:5], b"O")
            self.lab.stop_postern()
            self.lab.config(listeners=[{"name": "a", "milter": "systemd:postern-milter"}], delivery=ROUTES)
            self.assertIn("systemd holds no socket named postern-milter", self.refused())

    def start(self, sockets, names):
        fds = [s.fileno() for s in sockets]

        def place():
            for i, fd in enumerate([os.dup(fd) for fd in fds]):
                os.dup2(fd, 3 + i, inheritable=True)

        script = "export LISTEN_PID=$$ LISTEN_FDS=%d %s; exec \"$0\" -f -c \"$1\"" % (
            len(fds), "LISTEN_FDNAMES=" + names if names else "")
        self.lab.daemon = lab.Proc(["/bin/sh", "-c", script, os.path.join(lab.BUILD, "posternd"), self.lab.path("postern.yaml")],
                                   self.lab.path("posternd.log"), preexec_fn=place, close_fds=False)
        self.lab.wait_ready()


class Configuration(unittest.TestCase):
    def test_places(self):
        with lab.Lab("milter-socket-config") as l:
            good = {"milter": "unix:/run/x/milter"}
            for listeners, want in (
                    ([{"milter": "unix:relative/path"}], "the socket needs a path from / on"),
                    ([{"milter": "unix:/" + "x" * 107}], "the path of a socket has 107 bytes at most"),
                    ([{**good, "mtas": ["127.0.0.1"]}], "`mtas` are addresses"),
                    ([{**good, "socket_mode": "rw"}], "`rw` is no mode"),
                    ([{**good, "socket_mode": "4770"}], "`4770` is no mode of a socket"),
                    ([{"milter": "inet:127.0.0.1:8891", "socket_group": "postfix"}], "`socket_group` belongs to a `milter: unix:/PATH`"),
                    ([{"address": "127.0.0.1:25", "socket_group": "postfix"}], "`socket_group` belongs to a `milter`"),
                    ([{**good, "socket_grup": "postfix"}], "did you mean `socket_group`"),
                    ([{"milter": "systemd:"}], "systemd's sockets have a name"),
                    ([good, {**good, "name": "n"}], "have one socket")):
                l.policy("version: 1\n")
                l.config(listeners=[{"name": "m", **x} for x in listeners], delivery=ROUTES)
                r = l.tool("check", check=False)
                self.assertNotEqual(r.returncode, 0, listeners)
                self.assertIn(want, r.stdout + r.stderr)
            l.config(listeners=[{"name": "m", **good, "socket_mode": "0666"}], delivery=ROUTES)
            r = l.tool("check", check=False)
            self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
            self.assertIn("every account of this machine may speak as the mail server", r.stdout + r.stderr)


if __name__ == "__main__":
    unittest.main()
