"""rspamd and spamd as the source of spam ratings: the real ones, and ones that are dead, slow or mad."""
import os
import socket
import threading
import time
import urllib.request
import unittest

import lab

GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


class Filters(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("filters")
        self.addCleanup(self.lab.close)
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.back = self.lab.mx()

    def start(self, kind, filter_, source=None):
        self.lab.policy("version: 1\nspam: {source: %s, domains: {default: tag-suspects}}\n" % (source or kind))
        self.lab.config(
            domains={"example.lab": {"deliver_to": ["127.0.0.1:%d" % self.back.port]}}, antispam={kind: filter_},
            listeners=[{"name": "mx", "address": "127.0.0.1:%d" % self.lab.ports.setdefault("smtp", lab.free_port()),
                        "direction": "inbound"}])
        self.lab.start_postern()

    def get(self, subject, body="Hello.\r\n"):
        """The message as it is delivered; None: it was discarded or refused."""
        n = len(self.back.messages)
        code, text = self.lab.send("u@example.lab", sender="x@partner.lab", subject=subject, body=body)
        self.assertEqual(code, 250, text)
        self.lab.queue_empty()
        return self.back.messages[n][2].decode() if len(self.back.messages) > n else None

    def redis(self):
        port = lab.free_port()
        os.makedirs(self.lab.path("redis"), exist_ok=True)
        proc = self.lab.start(["/usr/bin/redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                               "--dir", self.lab.path("redis")], "redis.log")
        lab.wait_port("127.0.0.1", port, proc, proc.log, seconds=120)
        return port

    def rspamd(self, more=""):
        port = lab.free_port()
        folder = self.lab.path("rspamd")
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o777)
        os.chmod(self.lab.dir, 0o755)
        self.lab.write("rspamd/tld", "// few, for the whole list takes a minute to compile\nlab\n")
        self.lab.write("rspamd/rules.lua", """
for _, s in ipairs({ { 'WINBIG', 'win big', 7.5 }, { 'WINALL', 'win all', 14 } }) do
  rspamd_config:register_symbol({ name = s[1], score = s[3], type = 'normal',
    callback = function(task) return (task:get_header('Subject') or ''):find(s[2]) ~= nil end })
end
rspamd_config:register_symbol({ name = 'FROM_HERE', score = 0.1, type = 'normal', callback = function(task)
  return task:get_from_ip():to_string() == '127.0.0.1' and task:get_helo() == 'client.example.lab' end })
""")
        self.lab.write("rspamd/rspamd.conf", """
options { pidfile = "%(d)s/pid"; filters = ""; dns { nameserver = ["127.0.0.1:%(dns)d"]; timeout = 1s; }
  url_tld = "%(d)s/tld"; tempdir = "%(d)s"; history_file = "%(d)s/history"; hs_cache_dir = "%(d)s"; }
logging { type = "file"; filename = "%(d)s/log"; level = "info"; }
worker "normal" { bind_socket = "127.0.0.1:%(port)d"; count = 1; }
metric { name = "default"; actions { reject = 15; add_header = 6; } }
lua = "%(d)s/rules.lua";
""" % {"d": folder, "port": port, "dns": self.lab.ports["dns"]} + more)
        proc = self.lab.start(["/usr/bin/rspamd", "-i", "-f", "-c", folder + "/rspamd.conf"], "rspamd.out")
        lab.wait_port("127.0.0.1", port, proc, folder + "/log", seconds=120)
        return port

    def test_rspamd(self):
        self.start("rspamd", "127.0.0.1:%d" % self.rspamd())
        self.assertIn("Subject: hello\r\n", self.get("hello"))
        self.assertIn("Subject: [SPAM?] win big\r\n", self.get("win big"))
        self.assertIsNone(self.get("win all"))
        self.assertIsNone(self.get("test", GTUBE + "\r\n"))
        self.assertIn("spam=7.6", self.lab.log())           # FROM_HERE: it knows client and HELO
        ids = [l.split()[-1] for l in self.lab.log().splitlines() if ": client=" in l]
        self.assertTrue(ids)

    def test_rspamd_with_redis(self):
        """Its classifier keeps what it has learnt in Redis; without Redis it rates what is left, and mail goes on."""
        controller, redis = lab.free_port(), self.redis()
        self.start("rspamd", "127.0.0.1:%d" % self.rspamd("""
redis { servers = "127.0.0.1:%d"; timeout = 20s; }
worker "controller" { bind_socket = "127.0.0.1:%d"; count = 1; secure_ip = ["127.0.0.1"]; }
classifier "bayes" { backend = "redis"; min_tokens = 1; min_learns = 2; tokenizer { name = "osb"; }
  statfile { symbol = "BAYES_SPAM"; spam = true; } statfile { symbol = "BAYES_HAM"; spam = false; } }
metric { name = "default"; symbol { name = "BAYES_SPAM"; weight = 9; } symbol { name = "BAYES_HAM"; weight = -1; } }
""" % (redis, controller)))
        lab.wait_port("127.0.0.1", controller, seconds=120)
        pills = "cheap pills without prescription, order today, discreet parcel, best price of the market\r\n"
        visit = "the minutes of our meeting are attached, see you on thursday at the hospital library\r\n"
        self.assertIn("Subject: offer\r\n", self.get("offer", pills), "it has learnt nothing")
        for n in range(3):
            for kind, text in (("spam", pills), ("ham", visit)):
                mail = "From: a%d@x.lab\r\nMessage-ID: <%s%d@x.lab>\r\nSubject: offer\r\n\r\n%s%s\r\n" % (
                    n, kind, n, text, ("first", "another", "third")[n])
                with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:%d/learn%s" % (controller, kind),
                                                                  mail.encode(), method="POST"), timeout=60) as r:
                    self.assertIn(b'"success":true', r.read().replace(b" ", b""))
        # What was learnt is there for the next question a moment later.
        lab.wait_for(lambda: "Subject: [SPAM?] offer\r\n" in self.get("offer", pills), because="what was learnt")
        self.assertIn("BAYES_SPAM", self.lab.tool("explain", self.last()))
        self.assertIn("Subject: minutes\r\n", self.get("minutes", visit))
        os.kill([p for p in self.lab.procs if "redis-server" in p.p.args[0]][0].pid, 9)
        self.assertIn("Subject: offer\r\n", self.get("offer", pills))

    def last(self):
        return [l.split(": client=")[0].split()[-1] for l in self.lab.log().splitlines() if ": client=" in l][-1]

    def test_spamd(self):
        port = lab.free_port()
        for d in ("spamd/site", "spamd/rules"):
            os.makedirs(self.lab.path(d), exist_ok=True)
        os.chmod(self.lab.dir, 0o755)
        self.lab.write("spamd/rules/10.cf", "header WINBIG Subject =~ /win big/\nscore WINBIG 7.5\nheader WINALL Subject =~ /win all/\n"
                                            "score WINALL 20\nuse_bayes 0\nrequired_score 5\n")
        self.lab.write("spamd/site/init.pre", "loadplugin Mail::SpamAssassin::Plugin::Check\n")
        proc = self.lab.start(["/usr/sbin/spamd", "-L", "-x", "-i", "127.0.0.1", "-p", str(port), "-m", "1", "-u", "nobody",
                               "--siteconfigpath", self.lab.path("spamd", "site"), "--configpath", self.lab.path("spamd", "rules"),
                               "-s", "stderr"], "spamd.log")
        lab.wait_port("127.0.0.1", port, proc, proc.log, seconds=120)
        self.start("spamd", {"address": "127.0.0.1:%d" % port, "timeout": "60s"})
        self.assertIn("Subject: hello\r\n", self.get("hello"))
        self.assertIn("Subject: [SPAM?] win big\r\n", self.get("win big"))
        self.assertIsNone(self.get("win all"))

    def silent(self, answer=None):
        """A filter that accepts, reads, and then says `answer`, or nothing for ever."""
        s = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(s.close)
        kept = []

        def serve():
            while True:
                try:
                    c = s.accept()[0]
                except OSError:
                    return
                kept.append(c)
                if answer is not None:
                    c.recv(65536)
                    c.sendall(answer)
                    c.close()
        threading.Thread(target=serve, daemon=True).start()
        return s.getsockname()[1]

    def test_dead_slow_or_mad(self):
        """Mail goes on, unrated, and the log says why."""
        for name, port, why in (("dead", lab.free_port(), "Connection refused"), ("slow", self.silent(), "it takes too long"),
                                ("mad", self.silent(b"HTTP/1.1 200 OK\r\n\r\n<html>"), "does not say a score"),
                                ("short", self.silent(b""), "closed before an answer")):
            with self.subTest(name):
                self.start("rspamd", {"address": "127.0.0.1:%d" % port, "timeout": "1s" if name == "slow" else "30s"})
                self.assertIn("Subject: win big\r\n", self.get("win big"))
                lab.wait_for(lambda: "spam=unknown (" in self.lab.log() and why in self.lab.log(), because=why)
                self.lab.stop_postern()

    def test_large_mail_is_not_asked_about(self):
        port = self.silent(b"HTTP/1.1 200 OK\r\n\r\n{\"score\":100}")
        self.start("rspamd", {"address": "127.0.0.1:%d" % port, "max_size": "10kB"})
        self.assertIsNone(self.get("small"))
        self.assertIn("Subject: large\r\n", self.get("large", "x" * 70 + "\r\n" + 300 * ("y" * 70 + "\r\n")))

    def test_another_source(self):
        """The policy asks its own checks: what the filter says does not count."""
        port = self.silent(b"HTTP/1.1 200 OK\r\n\r\n{\"score\":100}")
        self.start("rspamd", "127.0.0.1:%d" % port, source="built-in")
        self.assertIn("Subject: hello\r\n", self.get("hello"))


if __name__ == "__main__":
    unittest.main()
