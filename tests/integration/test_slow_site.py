"""A site that accepts and then says nothing costs the other sites nothing.

The slow server answers the end of DATA only when the test lets it: by then all mail for the other
site must have arrived. No clock decides, only the order of events; the times are printed.
"""
import threading
import time
import unittest

import lab

N = 200


class SlowSite(unittest.TestCase):
    def test_others_do_not_wait(self):
        go = threading.Event()
        self.addCleanup(go.set)
        with lab.Lab("slow") as l:
            fast = l.mx(host="127.0.8.1")

            def hold(line, session):
                if line == ".":
                    go.wait(60)
            slow = l.mx(host="127.0.8.2", port=fast.port, reply=hold)
            l.dns({"fast.lab": ["@ MX 10 mx", "mx A 127.0.8.1"], "slow.lab": ["@ MX 10 mx", "mx A 127.0.8.2"]})
            l.config(delivery={"port": fast.port, "tls": {"policy": "none"}, "retry": ["1s"]})
            l.start_postern()

            def batch(to, n):
                with l.smtp() as s:
                    for i in range(n):
                        s.sendmail("a@example.lab", [to], lab.message(to=[to], subject="n%d" % i))

            def timed():
                start, before = time.monotonic(), len(fast.messages)
                batch("b@fast.lab", N)
                fast.wait(before + N)
                return time.monotonic() - start
            timed()                             # the first round fills caches
            alone = timed()
            batch("b@slow.lab", N)
            lab.wait_for(lambda: slow.connections >= 1, because="a connection to the slow site")
            beside = timed()
            print("\n%d messages: %.2f s alone, %.2f s beside a site that holds %d connections" % (
                N, alone, beside, slow.connections))
            self.assertEqual(len(slow.messages), 0, "the slow site has not answered once")
            self.assertLessEqual(slow.connections, 20, "per_site.connections")
            self.assertLess(beside, 3 * alone + 10)     # a site waited for would hold it until the end of this test
            go.set()
            self.assertEqual(len(slow.wait(N)), N)


if __name__ == "__main__":
    unittest.main()
