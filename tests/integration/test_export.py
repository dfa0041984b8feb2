"""Events that go to others: webhooks with a signature, and Debian's rsyslog over UDP, TCP and TLS.

What was not taken comes again, under the same delivery id; a log server that was away hears all of it.
"""
import hashlib
import hmac
import json
import os
import re
import subprocess
import unittest

import https_server
import lab

SECRET = "a secret of the test's own"


def verify(secret, headers, body, now=None, tolerance=300):
    """The reader's side, as docs/LOGS.md has it: executed from there."""
    with open(os.path.join(lab.ROOT, "docs/LOGS.md")) as f:
        code = re.search(r"```python\n(.*?)```", f.read(), re.S).group(1)
    scope = {}
    exec(code, scope)
    return scope["verify"](secret, headers, body, now, tolerance)


class Export(unittest.TestCase):
    def setUp(self):
        self.lab = l = lab.Lab("export")
        self.addCleanup(l.close)
        self.certs = https_server.Certificates(l)
        self.status = 204
        self.web = https_server.HttpsServer(l, lambda host: "good", lambda r: (self.status, self.headers, b""), host="127.0.45.1",
                                            certificates=self.certs)
        self.headers = {}
        self.chain, self.key, _ = self.certs.issue("good", ["log.hook.lab"], "log")
        l.dns({"hook.lab": ["web A 127.0.45.1", "log A 127.0.0.1"]})
        self.mx = l.mx()
        self.rsyslogs = 0

    def start(self, **more):
        l = self.lab
        l.write("hook.secret", SECRET + "\n")
        l.config(domains={"one.lab": {"deliver_to": ["127.0.0.1:%d" % self.mx.port]}},
                 delivery={"retry": ["1h"], "tls": {"policy": "none", "roots": self.certs.pem}}, **more)
        l.start_postern()

    def rsyslog(self, kind, port):
        l, out = self.lab, self.lab.path("rsyslog-%s.out" % kind)
        inputs = {
            "udp": 'module(load="imudp")\ninput(type="imudp" address="127.0.0.1" port="%d")' % port,
            "tcp": 'module(load="imtcp")\ninput(type="imtcp" address="127.0.0.1" port="%d")' % port,
            "tls": 'global(defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="%s" defaultNetstreamDriverCertFile="%s" '
                   'defaultNetstreamDriverKeyFile="%s")\nmodule(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" '
                   'streamDriver.authMode="anon")\ninput(type="imtcp" address="127.0.0.1" port="%d")'
                   % (self.certs.pem, self.chain, self.key, port)}
        os.makedirs(l.path("rsyslog"), exist_ok=True)
        conf = l.write("rsyslog-%s.conf" % kind, 'global(workDirectory="%s" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off")\n'
                       '%s\ntemplate(name="all" type="string" string="%%app-name%% %%msgid%% %%syslogfacility-text%%|%%msg%%\\n")\n'
                       'action(type="omfile" file="%s" template="all")\n' % (l.path("rsyslog"), inputs[kind], out))
        self.rsyslogs += 1
        p = l.start(["/usr/sbin/rsyslogd", "-n", "-f", conf, "-i", l.path("rsyslog-%d.pid" % self.rsyslogs)],
                    "rsyslog-%s.log" % kind)
        if kind == "udp":
            def bound():
                with open("/proc/net/udp") as f:
                    return any(line.split()[1].endswith(":%04X" % port) for line in f.readlines()[1:])
            lab.wait_for(bound, because="rsyslog's UDP port")
        else:
            lab.wait_port("127.0.0.1", port, p, p.log)
        return p, out

    def lines(self, out, need):
        """Those of the file once `need` of them is there."""
        def look():
            with open(out, errors="strict") as f:
                text = f.read()
            return text.split("\n")[:-1] if need(text) else None
        return lab.wait_for(lambda: os.path.exists(out) and look(), because="%s\n%s" % (out, self.lab.log()[-2000:]))

    def id_of(self, answer):
        self.assertEqual(answer[0], 250, answer)
        return answer[1].split()[-1]

    def test_webhook(self):
        self.status = 503
        self.start(webhooks=[{"name": "soc", "url": "https://web.hook.lab:%d/p" % self.web.port, "secret_file": "hook.secret",
                              "events": ["accepted", "sent"]}])
        mid = self.id_of(self.lab.send("u@one.lab", sender="\"say \\\"x\"@example.lab"))
        lab.wait_for(lambda: len(self.web.requests) >= 2, because="a first try, and another")
        first = list(self.web.requests)
        self.assertEqual(len({r.headers["Postern-Delivery"] for r in first}), 1)
        # A redirect is a failure too: nobody is led anywhere.
        self.status, self.headers = 302, {"Location": "https://web.hook.lab:%d/elsewhere" % self.web.port}
        n = len(self.web.requests)
        lab.wait_for(lambda: len(self.web.requests) > n, because="a try that is redirected")
        self.assertEqual({r.path for r in self.web.requests}, {"/p"})
        # Nothing that waits is lost with the daemon.
        self.lab.stop_postern()
        self.status, self.headers = 204, {}
        n = len(self.web.requests)
        self.lab.start_postern()
        lab.wait_for(lambda: len(self.web.requests) >= n + 2, because="both events\n" + self.lab.log()[-1500:])
        got = self.web.requests[n:]
        self.assertEqual(got[0].headers["Postern-Delivery"], first[0].headers["Postern-Delivery"])
        self.assertEqual([r.headers["Postern-Event"] for r in got], ["accepted", "sent"])
        for r in got:
            v = json.loads(r.body)
            self.assertEqual((v["v"], v["id"], v["kind"]), (1, mid, r.headers["Postern-Event"]))
            self.assertTrue(verify(SECRET, r.headers, r.body))
            self.assertFalse(verify("another", r.headers, r.body))
            self.assertFalse(verify(SECRET, r.headers, r.body + b" "))
            stamp = int(re.match(r"t=(\d+)", r.headers["Postern-Signature"]).group(1))
            self.assertFalse(verify(SECRET, r.headers, r.body, now=stamp + 301))
            signed = b"%d.%s.%s" % (stamp, r.headers["Postern-Delivery"].encode(), r.body)
            self.assertEqual(r.headers["Postern-Signature"], "t=%d,v1=%s" % (
                stamp, hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()))
        self.assertEqual(json.loads(got[0].body)["recipients"], ["u@one.lab"])
        lab.wait_for(lambda: self.lab.counter("export_events") >= 2, because="the counter")

    def stream(self, kind, to, **more):
        port = lab.free_port()
        p, out = self.rsyslog(kind, port)
        self.start(siem=[{"name": "siem", "to": to % port, "events": ["accepted", "sent"], **more}])
        hostile = "\"a=b|c\\\\d\"@example.lab"
        first = self.id_of(self.lab.send("u@one.lab", sender=hostile))
        lines = self.lines(out, lambda t: first in t and t.count("sent") >= 1)
        self.assertTrue(all(line.startswith("postern ") and " mail|" in line for line in lines), lines)
        if kind == "udp":
            return lines
        # It stops; mail goes on; it comes back, and hears all.
        p.stop()
        second = self.id_of(self.lab.send("v@one.lab"))
        self.mx.wait(2)
        lab.wait_for(lambda: self.lab.counter("export_failures") >= 1, because="a failure that is counted")
        p, out = self.rsyslog(kind, port)
        lines = self.lines(out, lambda t: second in t and re.search(r"(?m) sent .*%s" % second, t))
        self.assertEqual(self.lab.counter("export_events_lost"), 0)
        return lines

    def test_udp_json(self):
        lines = self.stream("udp", "udp:127.0.0.1:%d", format="json")
        for line in lines:
            v = json.loads(line.split("|", 1)[1])
            self.assertIn(v["kind"], ("accepted", "sent"))

    def test_tcp_cef(self):
        lines = self.stream("tcp", "tcp:127.0.0.1:%d", format="cef")
        for line in lines:
            head = line.split("|", 1)[1].strip()
            self.assertRegex(head, r"^CEF:0\|Postern\|Postern\|[^|]+\|(accepted|sent)\|[^|]+\|\d+\|rt=\d+ ")
        self.assertIn(r'suser="a\=b|c\\\\d"@example.lab', "\n".join(lines))

    def test_tls_ecs(self):
        lines = self.stream("tls", "tls:log.hook.lab:%d", format="ecs", ca=self.certs.pem)
        for line in lines:
            v = json.loads(line.split("|", 1)[1])
            self.assertEqual((v["ecs.version"], v["event.module"]), ("8.11.0", "postern"))
            self.assertIn(v["event.action"], ("accepted", "sent"))

    def test_wrong_certificate(self):
        self.chain, self.key, _ = self.certs.issue("wrong-name", ["log.hook.lab"], "bad")
        port = lab.free_port()
        _, out = self.rsyslog("tls", port)
        self.start(siem=[{"name": "siem", "to": "tls:log.hook.lab:%d" % port, "ca": self.certs.pem}])
        self.id_of(self.lab.send("u@one.lab"))
        lab.wait_for(lambda: "cannot be told of events" in self.lab.log(), because="the refusal to be logged")
        if os.path.exists(out):
            with open(out) as f:
                self.assertNotIn("CEF:", f.read())

    def test_words(self):
        bad = [({"siem": [{"name": "x", "to": "http:a.lab"}]}, "begins with udp:, tcp:, tls: or unix:"),
               ({"siem": [{"name": "x", "to": "udp:127.0.0.1", "events": ["helt"]}]}, "held"),
               ({"webhooks": [{"name": "x", "url": "http://a.lab/", "secret_file": "s"}]}, "https: URL"),
               ({"webhooks": [{"name": "x", "url": "https://a.lab/"}]}, "secret_file"),
               ({"siem": [{"name": "x", "to": "udp:127.0.0.1"}, {"name": "x", "to": "udp:127.0.0.1"}]}, "is taken")]
        for more, word in bad:
            out = subprocess.run([os.path.join(lab.BUILD, "posternd"), "-n", "-c", self.lab.config(**more)], capture_output=True,
                                 text=True, timeout=lab.DEADLINE)
            self.assertNotEqual(out.returncode, 0)
            self.assertIn(word, out.stdout + out.stderr)


if __name__ == "__main__":
    unittest.main()
