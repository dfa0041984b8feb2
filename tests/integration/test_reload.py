"""Reload, stop and restart under sessions that are open: nobody is cut off, nothing is refused, nothing sent twice."""
import contextlib
import os
import re
import signal
import smtplib
import socket
import threading
import time
import unittest

import lab


class Reload(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("reload")
        self.addCleanup(self.lab.close)
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.mx = self.lab.mx()

    def start(self, **conf):
        self.lab.config(delivery={"port": self.mx.port}, **conf)
        self.lab.start_postern()

    def reload(self):
        r = self.lab.tool("reload", check=False)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)

    def receivers(self, state):
        return [p["pid"] for p in self.lab.status()["processes"] if p["role"] == "receiver" and p["state"] == state]

    def test_sessions_live_on(self):
        self.start()
        idle, open_, body = self.lab.smtp(), self.lab.smtp(), self.lab.smtp()
        for s in (idle, open_, body):
            self.addCleanup(s.close)
            s.ehlo()
        open_.mail("a@example.lab")
        body.mail("a@example.lab")
        body.rcpt("b@partner.lab")
        self.assertEqual(body.docmd("DATA")[0], 354)
        body.sock.sendall(b"Subject: half\r\n\r\nfirst\r\n")
        old = self.receivers("ready")
        self.lab.policy("version: 1\nrules:\n  - {id: x, when: {subject: {words: [after]}}, then: {reject: \"5.7.1 no\"}}\n")
        self.reload()
        self.assertEqual(self.receivers("retiring"), old)
        # Longer than the eight seconds that the end of the program would leave them.
        deadline = time.monotonic() + 9
        while time.monotonic() < deadline:
            self.assertEqual(idle.noop()[0], 250)
            time.sleep(1)
        body.sock.sendall(b"second\r\n.\r\n")
        self.assertEqual(body.getreply()[0], 250)
        self.assertEqual(open_.rcpt("b@partner.lab")[0], 250)
        self.assertEqual(open_.data(lab.message(subject="open"))[0], 250)
        # The old process asks the new scanners: the policy in force is one.
        with self.assertRaises(smtplib.SMTPDataError) as e:
            idle.sendmail("a@example.lab", ["b@partner.lab"], lab.message(subject="after"))
        self.assertEqual(e.exception.smtp_code, 550)
        self.assertEqual(self.lab.send("b@partner.lab", subject="after")[0], 550)
        for s in (idle, open_, body):
            self.assertEqual(s.quit()[0], 221)
        lab.wait_for(lambda: not self.receivers("retiring"), because="the end of the old receiver")
        self.assertEqual(self.lab.counter("smtpd_sessions"), 0)
        self.mx.wait(2)

    def test_an_old_generation_serves_with_new_peers(self):
        self.start()
        s = self.lab.smtp()
        self.addCleanup(s.close)
        s.ehlo()
        self.reload()
        for role in ("queue", "signer"):
            before = self.lab.pids(role)[0]
            os.kill(before, signal.SIGKILL)
            lab.wait_for(lambda: (self.lab.pids(role) or [before])[0] != before, because="a new " + role)
        lab.wait_for(lambda: s.mail("a@example.lab")[0] == 250 or s.rset() is None, because="the new queue")
        self.assertEqual(s.rcpt("b@partner.lab")[0], 250)
        self.assertEqual(s.data(lab.message(subject="new peers"))[0], 250)
        s.quit()
        lab.wait_for(lambda: not self.receivers("retiring"), because="the end of the old receiver")

    def test_stop_hurries_old_generations(self):
        self.start()
        s = self.lab.smtp()
        self.addCleanup(s.close)
        s.ehlo()
        self.reload()
        start = time.monotonic()
        self.assertEqual(self.lab.stop_postern(), 0)
        self.assertLess(time.monotonic() - start, 10, "the time SIGTERM may take")
        self.assertEqual(s.getreply()[0], 421)

    def test_reloads_under_load(self):
        self.start(scanners={"processes": "2"})
        results, stop = [], threading.Event()

        def client(n):
            while not stop.is_set():
                try:
                    with self.lab.smtp() as s:
                        s.ehlo()
                        for i in range(20):
                            s.mail("a%d@example.lab" % n)
                            s.rcpt("b@partner.lab")
                            results.append(s.data(lab.message(subject="load"))[0])
                except (OSError, smtplib.SMTPException) as e:
                    results.append(repr(e))

        threads = [threading.Thread(target=client, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        for _ in range(5):
            self.reload()
        stop.set()
        for t in threads:
            t.join()
        self.assertGreater(len(results), 50)
        self.assertEqual(set(results), {250})
        self.assertEqual(self.lab.counter("scan_errors"), 0, "a scanner that retires is no error")
        self.assertEqual(self.lab.counter("role_restarts"), 0)
        self.mx.wait(len(results))
        self.assertEqual(len(self.mx.messages), len(results))

    def test_connecting_during_reloads(self):
        """Thousands of clients connect while generations follow each other: each is greeted and served."""
        self.start()
        said, trouble, stop = [0], [], threading.Event()

        def client():
            port = self.lab.ports["smtp"]
            while not stop.is_set():
                try:
                    with socket.create_connection(("127.0.0.1", port), lab.DEADLINE) as s:
                        f = s.makefile("rb")
                        lines = [f.readline()]
                        for command in (b"NOOP", b"QUIT"):
                            s.sendall(command + b"\r\n")
                            lines.append(f.readline())
                    if [l[:3] for l in lines] != [b"220", b"250", b"221"]:
                        trouble.append(lines)
                    said[0] += 1
                except OSError as e:
                    trouble.append(repr(e))

        threads = [threading.Thread(target=client) for _ in range(4)]
        for t in threads:
            t.start()
        reloads = 0
        while reloads < 10 or (said[0] < 3000 and not trouble):
            self.reload()
            reloads += 1
        stop.set()
        for t in threads:
            t.join()
        self.assertEqual(trouble, [], "of %d clients during %d reloads" % (said[0], reloads))
        self.assertGreaterEqual(said[0], 3000)

    def test_a_session_outlives_a_row_of_reloads(self):
        """More generations than are kept: who came before the first of them is still served by the policy in force."""
        self.start()
        idle, busy = self.lab.smtp(), self.lab.smtp()
        for s in (idle, busy):
            self.addCleanup(s.close)
            s.ehlo()
        busy.mail("a@example.lab")
        for _ in range(7):
            self.reload()
        self.assertEqual(idle.noop()[0], 250)
        self.assertEqual(busy.rcpt("b@partner.lab")[0], 250)
        self.assertEqual(busy.data(lab.message(subject="seven reloads"))[0], 250)
        for s in (idle, busy):
            self.assertEqual(s.quit()[0], 221)
        lab.wait_for(lambda: not self.receivers("retiring"), because="the end of the old receivers")
        self.mx.wait(1)

    def test_when_it_is_said_it_is_so(self):
        """Whoever connects after `postern reload` has ended is judged by the new policy."""
        self.start()
        for i in range(12):
            self.lab.policy("version: 1\nrules:\n  - {id: x, when: {subject: {words: [%s]}}, then: {reject: \"5.7.1 no\"}}\n"
                            % ("this" if i % 2 else "that"))
            self.reload()
            self.assertEqual(self.lab.send("b@partner.lab", subject="this")[0], 550 if i % 2 else 250)

    def test_killed_receiver_leaves_no_sessions(self):
        self.start()
        held = [self.lab.smtp() for _ in range(5)]
        for s in held:
            self.addCleanup(s.close)
        self.assertEqual(self.lab.counter("smtpd_sessions"), 5)
        os.kill(self.lab.pids("receiver")[0], signal.SIGKILL)
        lab.wait_for(lambda: self.lab.counter("smtpd_sessions") == 0, because="the count of sessions")
        lab.wait_for(lambda: self.lab.pids("receiver"), because="a new receiver")
        self.assertEqual(self.lab.send("b@partner.lab", subject="again")[0], 250)

    def test_stop_answers_what_was_accepted(self):
        """SIGTERM under load: every message in the queue was answered 250, and no other."""
        self.start()
        said, lock = [], threading.Lock()
        started = threading.Barrier(9)

        def client(n):
            s = self.lab.smtp()
            with contextlib.closing(s), contextlib.suppress(OSError, smtplib.SMTPException):
                s.ehlo()
                started.wait()
                for i in range(10000):
                    if s.mail("a%d@example.lab" % n)[0] != 250 or s.rcpt("b@partner.lab")[0] != 250:
                        return
                    code, text = s.data(lab.message(subject="stop"))
                    if code == 250:
                        with lock:
                            said.append(text.decode().split()[-1])

        threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
        for t in threads:
            t.start()
        started.wait()
        lab.wait_for(lambda: len(said) > 50, because="messages under way")
        log = self.lab.daemon.log
        self.assertEqual(self.lab.stop_postern(), 0)
        for t in threads:
            t.join()
        with open(log) as f:
            queued = set(re.findall(r"postern/queue\[\d+\]: (\w+): from=<a\d@example\.lab>.*\(queue active\)", f.read()))
        self.assertEqual(queued, set(said))


class Activation(unittest.TestCase):
    """Sockets that another program holds, as systemd does."""

    def setUp(self):
        self.lab = lab.Lab("activation")
        self.addCleanup(self.lab.close)
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.mx = self.lab.mx()
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.addCleanup(self.listening.close)
        self.lab.ports["smtp"] = self.listening.getsockname()[1]
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(self.lab.path("notify"))
        self.notified.settimeout(30)
        self.addCleanup(self.notified.close)
        self.lab.config(delivery={"port": self.mx.port})

    def start(self, wait=True):
        fd = self.listening.fileno()
        argv = ["/bin/sh", "-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" -f -c \"$1\"",
                os.path.join(lab.BUILD, "posternd"), self.lab.path("postern.yaml")]
        self.lab.daemon = lab.Proc(argv, self.lab.path("posternd.log"),
                                   preexec_fn=lambda: os.dup2(fd, 3, inheritable=True), close_fds=False,
                                   env={**os.environ, "NOTIFY_SOCKET": self.lab.path("notify")})
        if wait:
            self.lab.wait_ready()

    def hear(self):
        return self.notified.recv(4096).decode()

    def test_a_restart_refuses_no_connection(self):
        self.start()
        self.assertEqual(self.hear(), "READY=1")
        self.assertIn("port %d comes from the starter" % self.lab.ports["smtp"], self.lab.log())
        self.assertEqual(self.lab.send("b@partner.lab", subject="one")[0], 250)
        results, stop = [], threading.Event()

        def client():
            while not stop.is_set():
                try:
                    with self.lab.smtp() as s:
                        results.append(s.ehlo()[0])
                except smtplib.SMTPServerDisconnected:
                    results.append("told to come back")
                except smtplib.SMTPResponseException as e:
                    results.append(e.smtp_code)
                except OSError as e:
                    results.append(repr(e))

        threads = [threading.Thread(target=client) for _ in range(3)]
        for t in threads:
            t.start()
        lab.wait_for(lambda: len(results) > 10, because="sessions")
        self.assertEqual(self.lab.stop_postern(), 0)
        # Nobody accepts now; who comes waits in the backlog.
        waiting = socket.create_connection(("127.0.0.1", self.lab.ports["smtp"]))
        self.start()
        waiting.settimeout(30)
        self.assertTrue(waiting.recv(100).startswith(b"220 "))
        waiting.close()
        n = len(results)
        lab.wait_for(lambda: len(results) > n + 10, because="sessions after the restart")
        stop.set()
        for t in threads:
            t.join()
        self.assertFalse([r for r in results if r not in (250, 421, "told to come back")])
        self.assertEqual([self.hear(), self.hear()], ["STOPPING=1", "READY=1"])

    def test_reload_is_told(self):
        self.start()
        self.assertEqual(self.hear(), "READY=1")
        self.lab.tool("reload")
        self.assertRegex(self.hear(), r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
        self.assertEqual(self.hear(), "READY=1")
        self.lab.policy("version: 1\nrules: [{id: x, whne: {}}]\n")
        self.lab.tool("reload", check=False)
        self.assertRegex(self.hear(), r"^RELOADING=1\n")
        self.assertEqual(self.hear(), "READY=1", "what runs is ready as before")


if __name__ == "__main__":
    unittest.main()
