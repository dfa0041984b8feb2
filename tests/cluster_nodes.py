"""cluster_nodes.py -- a gateway that shares a base with others, for tests."""
import os

import lab

KEY = "5a" * 32 + "\n"


class Node(lab.Lab):
    """A gateway of the cluster, in a folder and with ports of its own."""

    def __init__(self, name, base, dns, mx, uri=None, **conf):
        super().__init__(name)
        self.name, self.base = name, base
        self.ports["dns"] = dns
        self.write("keys/store.key", KEY)
        os.chmod(self.path("keys/store.key"), 0o600)
        self.write("base.password", base.password)
        os.chmod(self.path("base.password"), 0o600)
        self.settings = {"node": name, "cluster": {"nodes": {"a": 1, "b": 2, "c": 3}}, "hostname": name + ".example.lab", "delivery": {"port": mx.port, "retry": ["1s"]},
                         "store": {"base": uri or base.uri(), "password_file": "base.password",
                                   "local": "sqlite:" + self.path("store", "store.db")}, **conf}
        self.config(**self.settings)
        self.policy("version: 1\nrules:\n"
                    "  - {id: wait, when: {to: [hold.lab]}, then: {hold: dpo@example.lab}}\n"
                    "  - {id: away, when: {to: [quarantine.lab]}, then: {quarantine: spam}}\n")

    def up(self, log="posternd.log"):
        self.start_postern(log)
        return self

    def accept(self, to, **kw):
        code, text = self.send(to, **kw)
        if code != 250:
            raise lab.LabError("%d %s" % (code, text))
        return text.split()[-1]

    def state(self):
        return self.control({"cmd": "store.status"})[-1]["base"]

    def there(self, yes=True):
        lab.wait_for(lambda: self.state()["there"] is yes, because="%s: base there: %s" % (self.name, yes))

    def shipped(self):
        """All that this node has is in the base."""
        lab.wait_for(lambda: (lambda s: s["there"] and s["behind"] == 0)(self.state()), because="%s to have caught up" % self.name)

    def find(self, q, **kw):
        lines = self.control({"cmd": "trace", "q": q, **kw})
        return lines[:-1], lines[-1]

    def one(self, q):
        """The message, once it is found; and not as a part of the answer alone."""
        def look():
            lines, last = self.find(q)
            return len(lines) == 1 and not last["partial"] and lines[0]
        return lab.wait_for(look, because="%s to find %s" % (self.name, q))
