"""Log servers that are away, or of this machine: nothing of mail waits for them, and what they missed is counted.

The receivers are rsyslog at a socket of the file system, and a server of ours.
"""
import os
import re
import socket
import threading
import unittest

import lab


class Reader:
    """A TCP log server (RFC 6587, 3.4.1: octet counting)."""

    def __init__(self, port):
        self.messages, self.bad = [], None
        self.listening = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                s, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.read, args=(s,), daemon=True).start()

    def read(self, s):
        data = b""
        while part := s.recv(65536):
            data += part
            while m := re.match(rb"([1-9][0-9]*) ", data):
                end = m.end() + int(m.group(1))
                if len(data) < end:
                    break
                self.messages.append(data[m.end():end].decode())
                data = data[end:]
            if data and not re.match(rb"[1-9][0-9]*( |$)", data):
                self.bad = data


class Slow(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("export-slow")
        self.addCleanup(self.lab.close)
        self.mx = self.lab.mx()

    def start(self, **siem):
        self.lab.dns({"one.lab": []})
        self.lab.config(domains={"one.lab": {"deliver_to": ["127.0.0.1:%d" % self.mx.port]}}, delivery={"tls": {"policy": "none"}},
                        siem=[{"name": "siem", "events": ["accepted", "sent"], **siem}])
        self.lab.start_postern()

    def mail(self, n):
        with self.lab.smtp() as s:
            for i in range(n):
                s.sendmail("a@example.lab", ["u@one.lab"], lab.message(subject="m%d" % i))

    def test_this_machine(self):
        """unix:/dev/log, a datagram each: rsyslog's socket, before it is there, and while it takes few at a time."""
        path, out = self.lab.path("log.sock"), self.lab.path("rsyslog.out")
        self.start(to="unix:" + path, format="json")
        self.mail(30)
        self.mx.wait(30)
        lab.wait_for(lambda: self.lab.counter("export_failures") >= 1, because="a failure that is counted")
        self.assertRegex(self.lab.tool("doctor", check=False).stdout, r"export +1 webhooks and log servers; the slowest is [1-9]\d* events behind, 0 events were lost")
        conf = self.lab.write("rsyslog.conf", 'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="%s" CreatePath="on")\n'
                              'template(name="all" type="string" string="%%msg%%\\n")\naction(type="omfile" file="%s" template="all")\n' % (path, out))
        self.lab.start(["/usr/sbin/rsyslogd", "-n", "-f", conf, "-i", self.lab.path("rsyslog.pid")], "rsyslog.log")

        def told():
            if os.path.exists(out):
                with open(out) as f:
                    text = f.read()
                return text if len(re.findall('"kind":"sent"', text)) >= 30 else None
        text = lab.wait_for(told, because="rsyslog to have all\n" + lab.tail(self.lab.path("rsyslog.log")))
        numbers = re.findall(r'"seq":(\d+)', text)
        self.assertEqual(len(numbers), len(set(numbers)), "no event twice: what the socket had no room for waited")
        self.assertEqual(self.lab.counter("export_events_lost"), 0)
        lab.wait_for(lambda: "0 events behind" in self.lab.tool("doctor", check=False).stdout, because="doctor to see it")

    def test_overflow(self):
        """One that is dead: mail goes on, the backlog is bounded, its loss is said once and counted; back again it hears the rest."""
        port = lab.free_port()
        self.start(to="tcp:127.0.0.1:%d" % port, format="json", backlog="20")
        for n in (20, 40):
            self.mail(20)
            self.mx.wait(n)
            lab.wait_for(lambda: self.lab.counter("export_events_lost") >= 2 * n - 20, because="what is lost to be counted")
        self.assertEqual(self.lab.log().count("events of the journal are not told: more than 20 wait"), 1)
        self.assertEqual(self.lab.log().count("cannot be told of events"), 1)
        self.assertRegex(self.lab.tool("doctor", check=False).stdout, r"export +1 webhooks and log servers; .* [1-9]\d* events were lost")
        reader = Reader(port)
        self.addCleanup(reader.listening.close)
        lab.wait_for(lambda: "has caught up" in self.lab.log(), because="it to catch up")
        self.assertIsNone(reader.bad)
        self.assertLessEqual(len({re.search(r'"seq":(\d+)', m).group(1) for m in reader.messages}), 20)
        self.assertIn('"kind":"sent"', reader.messages[-1])


if __name__ == "__main__":
    unittest.main()
