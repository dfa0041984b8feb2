"""cluster.py -- nodes of a cluster in a lab: each a posternd with a configuration folder of its own.

postern.yaml is the same on all nodes, byte for byte; what differs (name, folders, addresses) stands in node.yaml.
"""
import os
import subprocess

import lab


class Node(lab.Lab):
    """A Lab whose configuration lies in etc/, as on a machine."""

    def __init__(self, name, number, dns=None):
        super().__init__(name)
        self.name, self.number = name, number
        if dns:
            self.ports["dns"] = dns
        os.makedirs(self.path("etc", "policy.d"))
        os.makedirs(self.path("etc", "keys"))

    def etc(self, *names):
        return self.path("etc", *names)

    def config(self, shared, **own):
        """shared: the same for all nodes; own: over what a node has of its own."""
        self.ports.setdefault("smtp", lab.free_port())
        mine = {"node": self.name, "hostname": self.name + ".example.lab", "run": self.path("run"),
                "spool": self.path("spool"), "store": "sqlite:" + self.path("store", "store.db"),
                "listeners": {"smart-host": {"address": "127.0.0.1:%d" % self.ports["smtp"]}}, **own}
        with open(self.etc("postern.yaml"), "w") as f:
            f.write(lab.yaml(shared))
        with open(self.etc("node.yaml"), "w") as f:
            f.write(lab.yaml(mine))
        if not os.listdir(self.etc("policy.d")):
            self.policy("version: 1\n")

    def policy(self, text, name="10-test.yaml"):
        return self.write("etc/policy.d/" + name, text)

    def argv(self, *args):
        return [os.path.join(lab.BUILD, "postern"), "-c", self.etc("postern.yaml"), *args]

    def start_postern(self, log="posternd.log", wait=True, env=None):
        self.daemon = lab.Proc([os.path.join(lab.BUILD, "posternd"), "-f", "-c", self.etc("postern.yaml")],
                               self.path(log), env={**os.environ, **(env or {})})
        if wait:
            self.wait_ready()
        return self.daemon

    def tool(self, *args, check=True, **kw):
        r = subprocess.run(self.argv(*args), capture_output=True, text=True, **kw)
        if check and r.returncode not in (0, 1):
            raise lab.LabError("postern %s: status %d\n%s%s" % (" ".join(args), r.returncode, r.stdout, r.stderr))
        return r if not check else r.stdout


def shared(nodes=("a", "b", "c"), dns=None, **over):
    """postern.yaml of all of them."""
    conf = {
        "version": 1, "policy": "policy.d", "networks": {"internal": ["127.0.0.0/8"]},
        "cluster": {"nodes": {name: i + 1 for i, name in enumerate(nodes)}},
        "listeners": [{"name": "smart-host", "address": "127.0.0.1:8025", "direction": "outbound",
                       "allow": ["network:internal"]}],
        "delivery": {"tls": {"policy": "none"}}, "antivirus": {"engine": "off"},
        "scanners": {"processes": "1"}, "log": {"to": "stderr"},
    }
    if dns:
        conf["dns"] = {"servers": ["127.0.0.1:%d" % dns], "dnssec": "false"}
    for k, v in over.items():
        conf[k] = {**conf[k], **v} if isinstance(v, dict) and isinstance(conf.get(k), dict) else v
    return conf
