"""A spool whose file system fills up: 452 to clients, nothing lost, and all well again when there is room.

The spool lies on a small tmpfs, which root may mount; without that right the test is skipped.
Two kinds of full: below the floor, where the queue refuses in good time, and to the last byte,
filled by somebody else, so that its own writes fail.
"""
import os
import re
import subprocess
import unittest

import lab

MB = 1 << 20
SIZE = 128 * MB
FLOOR = 64 * MB         # SPOOL_FLOOR_BYTES


class Full(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("full")
        spool = self.lab.path("spool")
        os.makedirs(spool)
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d,nr_inodes=4000" % SIZE, "tmpfs", spool],
                           capture_output=True, text=True)
        if r.returncode:
            self.lab.clean_up()
            self.skipTest("no right to mount: " + r.stderr.strip())
        self.lab.closers.append(lambda: subprocess.run(["umount", "-l", spool], check=True))
        self.addCleanup(self.lab.close)
        self.down = False
        self.mx = self.lab.mx(reply=lambda line, s: "421 4.3.2 down" if self.down and line == "CONNECT" else None)
        self.lab.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        self.lab.config(delivery={"port": self.mx.port, "retry": ["1s"], "expire": "1h"})
        self.lab.start_postern()
        self.acked, self.n = set(), 0

    def offer(self, size=20000):
        """Sends a message with a token of its own; the code of the answer."""
        self.n += 1
        token = "token-%05d" % self.n
        code, text = self.lab.send("b@partner.lab", subject=token, body=("y" * 70 + "\r\n") * (size // 72))
        if code == 250:
            self.acked.add(token)
        else:
            self.assertEqual((code, text.split()[0]), (452, "4.3.1"), text)
        return code

    def fill(self, leave):
        """A file of somebody else takes all but `leave` bytes."""
        path = self.lab.path("spool", "filler")
        with open(path, "ab") as f:
            while True:
                st = os.statvfs(path)
                free = st.f_bavail * st.f_frsize - leave
                if free < st.f_frsize:
                    return
                try:
                    f.write(b"\0" * min(free, MB))
                    f.flush()
                except OSError:
                    return

    def arrived(self):
        with self.mx.lock:
            return {re.search(rb"Subject: (token-\d+)", m[2]).group(1).decode() for m in self.mx.messages}

    def all_there(self):
        lab.wait_for(lambda: self.acked <= self.arrived(), 60,
                     because=lambda: "missing: %s" % sorted(self.acked - self.arrived())[:5])
        self.lab.queue_empty()

    def test_below_the_floor(self):
        self.assertEqual(self.offer(), 250)
        self.fill(FLOOR - MB)
        self.assertEqual([self.offer() for _ in range(3)], [452] * 3)
        self.assertIn("new messages are refused with 452", self.lab.log())
        # What was accepted before goes on being delivered: states have room below the floor.
        self.all_there()
        os.unlink(self.lab.path("spool", "filler"))
        self.assertEqual([self.offer() for _ in range(3)], [250] * 3)
        self.assertIn("new messages are accepted again", self.lab.log())
        self.all_there()

    def test_inodes(self):
        """A disk may be full of files with room for bytes. Said once, and once when it is over."""
        self.lab.stop_postern()
        self.lab.config(delivery={"port": self.mx.port, "retry": ["1s"], "expire": "1h"}, queue={"free": "4MB"})
        self.lab.start_postern()
        spool = self.lab.path("spool")
        alarms = lambda: [a["name"] for a in self.lab.control({"cmd": "queue.summary"})[0]["alarms"]]
        self.assertEqual((self.offer(), alarms()), (250, []))
        made = []
        while os.statvfs(spool).f_favail > 40:
            made.append(os.path.join(spool, "filler-%d" % len(made)))
            open(made[-1], "w").close()
        self.assertEqual([self.offer() for _ in range(3)], [452] * 3)
        lab.wait_for(lambda: alarms() == ["disk-nearly-full", "spool-refuses"], because="two alarms")
        self.assertIn("inodes left", self.lab.tool("status", check=False).stdout)
        for f in made:
            os.unlink(f)
        self.assertEqual([self.offer() for _ in range(3)], [250] * 3)
        lab.wait_for(lambda: alarms() == [], because="no alarm")
        for text in ("new messages are refused with 452", "new messages are accepted again",
                     "the spool's disk is nearly full", "the spool's disk has room again"):
            self.assertEqual(self.lab.log().count(text), 1, text)
        self.all_there()

    def test_to_the_last_byte(self):
        self.down = True        # so that states must be written while there is no room
        for _ in range(20):
            self.assertEqual(self.offer(), 250)
        before = len(self.acked)
        self.fill(0)
        # States that must be written find no room themselves. The last page of a segment may have room for
        # dozens of them, and a site that rests is tried only now and then: so more are asked for.
        def fails():
            self.lab.tool("queue", "hold", "all", "--yes", check=False)
            self.lab.tool("queue", "release", "all", "--yes", check=False)
            return "No space left on device" in self.lab.log()
        lab.wait_for(fails, 60, because="a write that fails")
        self.assertEqual([self.offer() for _ in range(5)], [452] * 5)
        # Killed and started on a full disk it stands up, and still refuses.
        self.lab.kill_postern()
        self.lab.start_postern()
        self.assertEqual([self.offer() for _ in range(3)], [452] * 3)
        self.assertEqual(self.lab.counter("queue_messages"), len(self.acked))
        os.unlink(self.lab.path("spool", "filler"))
        self.lab.tool("queue", "release", "all", "--yes")       # a hold may have found room where its release did not
        self.down = False
        self.assertEqual([self.offer() for _ in range(3)], [250] * 3)
        self.all_there()
        print("accepted %d before, %d in all; lost 0" % (before, len(self.acked)))


if __name__ == "__main__":
    unittest.main()
