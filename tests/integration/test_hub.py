"""Many domains at one provider: one neighbour, with its connections, its limits and its proof.

No clock decides: what is compared are numbers of connections and of messages; times are printed.
"""
import threading
import time
import unittest

import lab

DOMAINS = 300


class Provider:
    """A ScriptedMX that lets `room` connections in at a time and tells one more 421."""

    def __init__(self, l, **kw):
        self.room, self.active, self.most, self.turned_away, self.lock = 4, 0, 0, 0, threading.Lock()
        self.mx = l.mx(reply=self.reply, **kw)
        done = self.mx.server.shutdown_request

        def leave(request):
            with self.lock:
                self.active -= 1
            done(request)
        self.mx.server.shutdown_request = leave

    def reply(self, line, session):
        if line == "CONNECT":
            with self.lock:
                self.active += 1
                if self.active > self.room:
                    self.turned_away += 1
                    return "421 4.7.0 too many connections from you"
                self.most = max(self.most, self.active)
        elif line == ".":
            time.sleep(0.01)            # what a server needs; else one connection would do
        return None


class Hub(unittest.TestCase):
    def batch(self, l, tag):
        with l.smtp() as s:
            for i in range(DOMAINS):
                to = "u@c%d.cust.lab" % i
                s.sendmail("a@example.lab", [to], lab.message(to=[to], subject="%s %d" % (tag, i)))

    def test_one_provider(self):
        with lab.Lab("hub") as l:
            p = Provider(l)
            l.dns({"cust.lab": ["* MX 10 mx.host.lab."], "host.lab": ["mx A 127.0.0.1"]})
            l.config(delivery={"port": p.mx.port, "tls": {"policy": "none"}, "retry": ["1h"],
                               "per_site": {"connections": "20"}})
            l.start_postern()
            start = time.monotonic()
            self.batch(l, "narrow")
            got = p.mx.wait(DOMAINS, 120)
            narrow = time.monotonic() - start
            self.assertEqual(len({r for m in got for r in m[1]}), DOMAINS)
            self.assertTrue(all(len(m[1]) == 1 for m in got), "two domains in one transaction")
            self.assertEqual(l.counter("deliveries_deferred"), 0, "nothing is put off for a connection refused")
            connections, away = l.counter("smtp_connections"), p.turned_away
            print("\n%d messages to %d domains at one provider that takes %d connections: %d connections, %d of them "
                  "turned away, 0 messages put off, %.1f s" % (DOMAINS, DOMAINS, p.room, connections, away, narrow))
            self.assertLessEqual(p.most, 4)
            self.assertRegex(l.tool("route", "u@c1.cust.lab"),
                             r"now: \d+ of 1?\d connections for \d+ domains with these servers, 0 messages wait; they push back")
            self.assertLess(away, DOMAINS / 10)
            self.assertLess(connections, DOMAINS / 5)
            # the provider has room again: the number grows, and beyond what it was
            p.room, p.most = 100, 0
            start = time.monotonic()
            self.batch(l, "wide")
            self.batch(l, "wide again")
            p.mx.wait(3 * DOMAINS, 120)
            print("%d more when it takes 100: %d connections at a time, %.1f s" % (
                2 * DOMAINS, p.most, time.monotonic() - start))
            self.assertGreater(p.most, 4)
            # 20 are ours; one that we closed may stand there a moment longer
            self.assertLessEqual(p.most, 22)
            self.assertEqual(l.counter("deliveries_deferred"), 0)

    def test_down_for_all(self):
        """Nobody answers there: the first domain finds out, the others hear of it."""
        with lab.Lab("hubdown") as l:
            tried = l.mx(reply=lambda line, s: "421 4.3.2 closed for the day" if line == "CONNECT" else None)
            l.dns({"cust.lab": ["* MX 10 mx.host.lab."], "host.lab": ["mx A 127.0.0.1"]})
            l.config(delivery={"port": tried.port, "tls": {"policy": "none"}, "retry": ["1h"]})
            l.start_postern()
            self.batch(l, "down")
            lab.wait_for(lambda: l.counter("deliveries_deferred") == DOMAINS, 60, because="all to be put off")
            print("\n%d domains, %d connections to find out that their provider is closed" % (DOMAINS, tried.connections))
            self.assertLessEqual(tried.connections, 10)
            self.assertRegex(l.tool("route", "u@c1.cust.lab"), r"not tried for \d+s more: 421 4\.3\.2 closed for the day")

    def test_slow_provider_with_many_domains(self):
        """More jobs for one slow provider than there are places for jobs under way (10,000): the mail of others goes on."""
        domains, rounds, each, n = 2500, 5, 20, 100
        with lab.Lab("crowd") as l:
            go = threading.Event()
            self.addCleanup(go.set)
            slow = l.mx(host="127.0.8.2", reply=lambda line, s: go.wait(120) and None if line == "." else None)
            fast = l.mx(host="127.0.8.3", port=slow.port)
            l.dns({"cust.lab": ["* MX 10 mx.host.lab."], "host.lab": ["mx A 127.0.8.2", "fast A 127.0.8.3"],
                   "fast.lab": ["@ MX 10 fast.host.lab."]})
            l.config(delivery={"port": slow.port, "tls": {"policy": "none"}})
            l.start_postern()

            def timed():
                start, before = time.monotonic(), len(fast.messages)
                with l.smtp() as s:
                    for i in range(n):
                        s.sendmail("a@example.lab", ["b@fast.lab"], lab.message(to=["b@fast.lab"]))
                fast.wait(before + n, 60)
                return time.monotonic() - start
            timed()
            alone = timed()
            with l.smtp() as s:
                for i in range(domains * rounds // each):
                    to = ["u@c%d.cust.lab" % (k % domains) for k in range(i * each, (i + 1) * each)]
                    self.assertEqual(s.sendmail("bulk%d@example.lab" % (i % 7), to, lab.message(to=["all@cust.lab"])), {})
            lab.wait_for(lambda: slow.connections >= 5, because="the slow provider to be busy")
            beside = timed()
            print("\n%d messages to another site: %.2f s alone, %.2f s beside %d jobs for a provider that does not answer"
                  % (n, alone, beside, domains * rounds))
            self.assertEqual(len(slow.messages), 0)
            self.assertLess(beside, 60)

    def test_pace(self):
        with lab.Lab("pace") as l:
            mx = l.mx()
            l.dns({"cust.lab": ["* MX 10 mx.host.lab."], "host.lab": ["mx A 127.0.0.1"]})
            l.config(delivery={"port": mx.port, "tls": {"policy": "none"}, "per_site": {"rate": "20/s"}})
            l.start_postern()
            start = time.monotonic()
            with l.smtp() as s:
                for i in range(40):
                    to = "u@c%d.cust.lab" % i
                    s.sendmail("a@example.lab", [to], lab.message(to=[to]))
            mx.wait(40)
            self.assertGreaterEqual(time.monotonic() - start, 39 / 20, "20/s over all domains of the provider")


if __name__ == "__main__":
    unittest.main()
