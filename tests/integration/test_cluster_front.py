"""In front of the nodes: HAProxy with PROXY v2, and two MX records. A node that dies under load costs no accepted mail."""
import collections
import contextlib
import json
import sqlite3
import unittest

import cluster
import lab


class Front(unittest.TestCase):
    def setUp(self):
        self.first = lab.Lab("internet")
        self.addCleanup(self.first.close)
        self.mx = self.first.mx()
        self.nodes = {}

    def node(self, name, number, conf, **own):
        n = cluster.Node(name, number)
        self.addCleanup(n.close)
        n.config(conf, **own)
        n.start_postern()
        self.nodes[name] = n
        return n

    def check(self, load):
        """Nothing that was accepted is lost; all came once, but for what was out when a node died."""
        accepted = load.end()
        for n in self.nodes.values():
            if n.daemon:
                n.queue_empty()
        lab.wait_for(lambda: accepted <= set(cluster.tokens(self.mx)), because="every accepted message")
        # The journal of each node has the beginning and the end of all that it said 250 to.
        for name, n in self.nodes.items():
            ids = {i for i in load.ids.values() if cluster.node_of(i) == n.number}
            lab.wait_for(lambda: not self.without_events(n, ids), 30,
                         because=lambda: "the journal of %s: %s" % (name, self.without_events(n, ids)))
        return accepted

    def without_events(self, n, ids):
        kinds = collections.defaultdict(set)
        with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % n.path("store", "store.db"), uri=True)) as db:
            for number, kind in db.execute("SELECT id, kind FROM event"):
                kinds[number].add(kind)
        return {i: kinds[cluster.number_of(i)] for i in ids if not {"accepted", "sent"} <= kinds[cluster.number_of(i)]}

    def test_haproxy(self):
        dns = self.first.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"]})
        conf = cluster.shared(dns=dns, delivery={"port": self.mx.port, "retry": ["1s"], "tls": {"policy": "none"}})
        # Only HAProxy may speak here, and only whom it speaks for is asked.
        conf["listeners"][0].update({"proxy_protocol": ["127.0.0.1"], "allow": ["127.0.1.0/24"]})
        conf["cluster"] = {"nodes": {"a": 1, "b": 2, "c": 3}}
        for i, name in enumerate("abc"):
            self.node(name, i + 1, conf)
        front = lab.free_port()
        cluster.haproxy(self.first, front, {k: n.ports["smtp"] for k, n in self.nodes.items()})
        load = cluster.Load(front)
        load.wait(60)
        # All three had some, from the clients' own addresses.
        for n in self.nodes.values():
            lab.wait_for(lambda: n.counter("messages_received") > 0, because="mail for " + n.name)
        client = json.loads(self.nodes["a"].tool("trace", "--json", "b@partner.lab").splitlines()[0])["client"]
        self.assertTrue(client.startswith("127.0.1."), client)
        self.nodes["a"].kill_postern()
        load.wait(60)
        self.nodes["a"].start_postern()
        before = self.nodes["a"].counter("messages_received")
        lab.wait_for(lambda: self.nodes["a"].counter("messages_received") > before,
                     because="new mail for the node that came back")
        accepted = self.check(load)
        ids = set(load.ids.values())
        self.assertEqual(len(ids), len(accepted))      # no two messages have one id
        print("%d accepted through HAProxy, one of three nodes killed: 0 lost" % len(accepted))

    def test_two_mx(self):
        """A mail server outside finds the node that is left by the DNS alone."""
        port = lab.free_port("127.0.0.2")
        dns = self.first.dns({"inside.lab": ["@ MX 10 n1", "@ MX 20 n2", "n1 A 127.0.0.2", "n2 A 127.0.0.3"]})
        conf = cluster.shared(("a", "b"), dns=dns, delivery={"retry": ["1s"], "tls": {"policy": "none"}},
                              domains={"inside.lab": {
                                  "deliver_to": ["127.0.0.1:%d" % self.mx.port], "recipients": "any"}})
        conf["listeners"][0].update({"direction": "inbound", "allow": []})
        for i, name in enumerate("ab"):
            self.node(name, i + 1, conf, listeners={"smart-host": {"address": "127.0.0.%d:%d" % (i + 2, port)}})
        out = lab.Lab("sender")
        self.addCleanup(out.close)
        out.ports["dns"] = dns
        out.config(networks={"internal": ["127.0.0.0/8"]}, delivery={"port": port, "retry": ["1s"]})
        out.start_postern()
        load = cluster.Load(out.ports["smtp"], clients=2, rcpt="b@inside.lab")
        load.wait(10)
        lab.wait_for(lambda: self.nodes["a"].counter("messages_received") > 0, because="mail by the first MX")
        self.nodes["a"].kill_postern()
        load.wait(10)
        lab.wait_for(lambda: self.nodes["b"].counter("messages_received") > 0, because="mail by the second MX")
        self.nodes["a"].start_postern()
        accepted = load.end()
        out.queue_empty()
        lab.wait_for(lambda: accepted <= set(cluster.tokens(self.mx)), because="every accepted message")


if __name__ == "__main__":
    unittest.main()
