"""A limit of the policy per destination: no more connections than it says, and nothing is lost."""
import threading
import unittest

import lab


class Destination(unittest.TestCase):
    def test_connections(self):
        open_, most, held = {}, {}, threading.Lock()
        go = threading.Event()

        def reply(line, session):
            with held:
                if line == "CONNECT":
                    session.where = None
                elif line.startswith("RCPT") and session.where is None:
                    session.where = line.split("@")[1].split(">")[0]
                    open_[session.where] = open_.get(session.where, 0) + 1
                    most[session.where] = max(most.get(session.where, 0), open_[session.where])
            if line == "DATA":
                go.wait(lab.DEADLINE)       # so that connections pile up
            return None

        with lab.Lab("destination") as l:
            mx = l.mx(reply=reply)
            l.dns({d: ["@ MX 10 mx", "mx A 127.0.0.1"] for d in ("isp.lab", "free.lab")})
            l.config(delivery={"port": mx.port, "per_site": {"connections": "6"}})
            l.policy("version: 1\nlimits:\n"
                     "  - {id: to-isp, per: destination, match: [isp.lab], allow: 2 connections, then: wait}\n")
            l.start_postern()
            for i in range(12):
                self.assertEqual(l.send("a%d@isp.lab" % i)[0], 250)
                self.assertEqual(l.send("a%d@free.lab" % i)[0], 250)
            lab.wait_for(lambda: most.get("free.lab", 0) >= 3 and most.get("isp.lab", 0) == 2,
                         because="connections to both: %r" % most)
            go.set()
            mx.wait(24)
            self.assertEqual(most["isp.lab"], 2)


if __name__ == "__main__":
    unittest.main()
