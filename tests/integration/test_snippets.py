"""Published addresses, what makes an internal server take mail from us alone, and a domain taken on step by step."""
import json
import os
import re
import smtplib
import socket
import subprocess
import unittest

import console
import lab

NFT = "/usr/sbin/nft"


def nft(args, text=None, namespace=None):
    """nft in a network of its own, so that this machine's is not touched."""
    return subprocess.run(["unshare", "-n", "sh", "-c", " && ".join(args)], input=text, capture_output=True, text=True)


class Snippets(unittest.TestCase):
    def setUp(self):
        self.lab = lab.Lab("snippets")
        self.addCleanup(self.lab.close)

    def configure(self, **over):
        self.lab.config(**{"hostname": "gw.example.lab", "delivery": {
            "source": ["192.0.2.20", "2001:db8::20"], "pools": {"bulk": {"source": ["192.0.2.30"], "hello": "bulk.example.lab"}}},
            "domains": {"example.lab": {"deliver_to": ["10.1.2.3:25", "mail2.example.lab"], "recipients": "any"}}, **over})

    def test_addresses(self):
        self.configure()
        want = [("192.0.2.20", "gw.example.lab", None), ("2001:db8::20", "gw.example.lab", None), ("192.0.2.30", "bulk.example.lab", "bulk")]
        o = json.loads(self.lab.tool("--json", "addresses"))
        self.assertEqual([(a["address"], a["name"], a["pool"]) for a in o["addresses"]], want)
        self.assertEqual(self.lab.tool("addresses", "--format", "json"), self.lab.tool("--json", "addresses"))
        self.assertEqual(self.lab.tool("addresses", "--format", "cidr"), "192.0.2.20/32\n2001:db8::20/128\n192.0.2.30/32\n")
        self.assertEqual([l.split() for l in self.lab.tool("addresses").splitlines()], [[x for x in w if x] for w in want])
        # Behind address translation the world sees another address than our own servers do.
        self.configure(public_addresses=["198.51.100.7"])
        self.assertEqual(self.lab.tool("addresses", "--format", "cidr"), "198.51.100.7/32\n")
        self.assertIn("192.0.2.30/32", self.lab.tool("addresses", "--inside", "--format", "cidr"))
        for bad in (["--format"], ["--format", "xml"], ["x"]):
            self.assertEqual(self.lab.tool("addresses", *bad, check=False).returncode, 2, bad)
        self.lab.config()
        r = self.lab.tool("addresses", check=False)
        self.assertEqual((r.returncode, r.stdout), (1, ""))
        self.assertIn("public_addresses", r.stderr)

    def test_addresses_from_the_console(self):
        console.certificate(self.lab)
        port = lab.free_port()
        for on in (False, True):
            self.configure(tls={"certificate": "gw.pem", "key": "gw.key"}, delivery={"source": ["127.0.0.1"]},
                           console={"address": "127.0.0.1:%d" % port, **({"addresses": "true"} if on else {})})
            self.lab.start_postern()
            b = console.Browser(port, self.lab.path("gw.pem"))
            status, headers, body = b.raw("GET", "/addresses")
            if on:
                self.assertEqual((status, body), (200, b"127.0.0.1/32\n"))
                self.assertEqual(json.loads(b.raw("GET", "/addresses.json")[2]), json.loads(self.lab.tool("--json", "addresses")))
            else:
                self.assertEqual(status, 404)
            self.lab.stop_postern()

    def test_firewall(self):
        """nft takes it, twice over, and what it says of ports and sets is what was meant."""
        self.configure()
        for more in ([], ["--forward"]):
            path = self.lab.write("snippet%d.nft" % len(more), self.lab.tool("snippet", "firewall", *more))
            r = nft(["ip link set lo up", "%s -c -f %s" % (NFT, path), "%s -f %s" % (NFT, path), "%s -f %s" % (NFT, path), "%s -j list ruleset" % NFT])
            self.assertEqual(r.returncode, 0, r.stderr)
            sets = {s["set"]["name"]: s["set"].get("elem", []) for s in json.loads(r.stdout)["nftables"] if "set" in s}
            self.assertEqual((sorted(sets["filter4"]), sets["filter6"]), (["192.0.2.20", "192.0.2.30"], ["2001:db8::20"]))
            self.assertEqual(sets["relay4"], ["127.0.0.1"])
            if more:
                self.assertEqual(sets["server4"], ["10.1.2.3"])
        # The sets alone, for a ruleset that is there already.
        path = self.lab.write("sets.nft", "table inet t {\n%s}\n" % self.lab.tool("addresses", "--format", "nft"))
        r = nft(["%s -c -f %s" % (NFT, path)])
        self.assertEqual(r.returncode, 0, r.stderr)

    def test_firewall_lets_us_in_alone(self):
        """Two networks: connections from the filter's address come through, others are reset; out goes only what goes to it."""
        self.lab.config(delivery={"source": ["10.9.9.1"]}, domains={"example.lab": {"deliver_to": ["10.9.9.3"], "recipients": "any"}},
                        listeners=[{"name": "smart-host", "address": "10.9.9.1:8025", "direction": "outbound", "allow": ["10.9.9.3"]}])
        path = self.lab.write("snippet.nft", self.lab.tool("snippet", "firewall"))
        # One namespace is the server (10.9.9.3), one the rest: the filter 10.9.9.1 and a stranger 10.9.9.2.
        script = r'''
set -e
python3 - <<'PY'
import os, signal, socket, subprocess, sys
signal.alarm(60)                     # whatever goes wrong, this ends
def sh(c): subprocess.run(c, shell=True, check=True)
r, w = os.pipe(); r2, w2 = os.pipe()
pid = os.fork()
if pid == 0:                        # the server's own network
    os.close(r); os.close(w2)
    libc = __import__("ctypes").CDLL(None, use_errno=True)
    if libc.unshare(0x40000000): os._exit(9)
    os.write(w, b"x")
    if not os.read(r2, 1): os._exit(3)
    sh("ip link set lo up; ip addr add 10.9.9.3/24 dev vb; ip link set vb up; %s -f %s")
    s = socket.create_server(("10.9.9.3", 25))
    os.write(w, b"y")
    if not os.read(r2, 1): os._exit(3)
    for to, want in ((("10.9.9.1", 8025), 0), (("10.9.9.2", 25), 111), (("10.9.9.1", 25), 111)):
        c = socket.socket(); c.settimeout(20); got = c.connect_ex(to); c.close()
        if got != want: print("server to", to, got); os._exit(1)
    os._exit(0)
os.close(w); os.close(r2)
if not os.read(r, 1): sys.exit(2)
sh("ip link set lo up; ip link add name va type veth peer name vb netns %%d; ip addr add 10.9.9.1/24 dev va; ip addr add 10.9.9.2/24 dev va; ip link set va up" %% pid)
s1, s2, s3 = (socket.create_server(a) for a in (("10.9.9.1", 8025), ("10.9.9.2", 25), ("10.9.9.1", 25)))
os.write(w2, b"x")
if not os.read(r, 1): sys.exit(2)
for src, want in (("10.9.9.1", 0), ("10.9.9.2", 111)):
    c = socket.socket(); c.settimeout(20); c.bind((src, 0)); got = c.connect_ex(("10.9.9.3", 25)); c.close()
    if got != want: print("from", src, got); sys.exit(1)
os.write(w2, b"y")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
''' % (NFT, path)
        r = subprocess.run(["unshare", "-n", "sh", "-c", script], capture_output=True, text=True)
        self.assertEqual((r.returncode, r.stdout), (0, ""), r.stderr)

    def test_postfix(self):
        """A real Postfix with these lines: its own networks and the filter are heard, others refused; all goes to us."""
        self.lab.config(delivery={"source": ["127.0.0.2"]}, domains={"example.lab": {"deliver_to": ["127.0.0.1"], "recipients": "any"}})
        text = self.lab.tool("snippet", "postfix")
        table = self.lab.write("postern.cidr", self.lab.tool("addresses", "--inside", "--format", "postfix"))
        commented = re.findall(r"^#   (\S+/\d+\tpermit)$", text, re.M)
        with open(table) as f:
            self.assertEqual(f.read().splitlines(), commented)
        main = dict(l.split(" = ", 1) for l in text.replace("/etc/postfix/postern.cidr", table).splitlines() if l and l[0] != "#")
        self.assertEqual(main["relayhost"], "[gw.example.lab]:%d" % self.lab.ports["smtp"])
        port = self.lab.postfix("behind", {**main, "mynetworks": "127.0.0.9/32", "smtpd_delay_reject": "no"})
        conf = self.lab.path("behind", "conf")
        for args in (["/usr/sbin/postfix", "-c", conf, "check"], ["/usr/sbin/postconf", "-c", conf, "-n"]):
            r = subprocess.run(args, capture_output=True, text=True)
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertNotRegex(r.stderr, "unused parameter|bad|fatal")
        self.assertEqual(r.stdout.count("cidr:" + table), 1)
        for source, code in (("127.0.0.2", 220), ("127.0.0.9", 220), ("127.0.0.3", 554)):
            with socket.create_connection(("127.0.0.1", port), source_address=(source, 0), timeout=60) as s:
                self.assertEqual(int(s.makefile().readline()[:3]), code, source)

    def test_texts(self):
        self.configure(listeners=[{"name": "smart-host", "address": "10.0.0.9:8025", "direction": "outbound", "allow": ["10.1.2.3"]},
                                  {"name": "mx", "address": "10.0.0.9:25", "direction": "inbound"}])
        for kind, words in (("exchange", ["-RemoteIPRanges 192.0.2.20,2001:db8::20,192.0.2.30", '-SmartHosts "gw.example.lab" -Port 8025', "-DNSRoutingEnabled $false"]),
                            ("exchange2003", ["192.0.2.20", "Smart host                     gw.example.lab", "Maximum hop count              30", "TCP port                       8025"]),
                            ("exchange55", ["Forward all messages to host", "gw.example.lab", "192.0.2.30"]),
                            ("domino", ["Relay host for messages leaving the local internet domain:             gw.example.lab", "[192.0.2.30]", "8025"])):
            text = self.lab.tool("snippet", kind)
            for w in words:
                self.assertIn(w, text)
            self.assertEqual(json.loads(self.lab.tool("--json", "snippet", kind)), {"v": 1, "kind": kind, "text": text})
        for bad in ([], ["lotus"], ["postfix", "--forward"]):
            self.assertEqual(self.lab.tool("snippet", *bad, check=False).returncode, 2, bad)

    # -- a domain, step by step --------------------------------------------------------
    def inbound(self, **over):
        self.lab.config(hostname="gw.example.lab", listeners=[{"name": "mx", "address": "127.0.0.1:%d" % self.lab.ports.setdefault("smtp", lab.free_port()),
                                                               "direction": "auto", "allow": ["127.0.0.1"]}],
                        delivery={"source": ["127.0.0.1"], "tls": {"policy": "none"}}, **over)

    def read(self, name="postern.yaml"):
        with open(self.lab.path(name)) as f:
            return f.read()

    def test_domain_add(self):
        self.lab.dns({"new.lab": ["@ MX 10 old", "old A 127.0.0.1"], "org": []})
        self.inbound()
        with open(self.lab.path("postern.yaml"), "a") as f:
            f.write("# ours\ndomains:   # by name\n    # the first\n    first.lab: {recipients: any}   # stays\n")
        before = self.read()
        args = ["domain", "add", "New.Lab", "--deliver-to", "127.0.0.1:2525", "--deliver-to", "mail.new.lab", "--recipients", "any"]
        text = self.lab.tool(*args)
        self.assertEqual(self.read(), before, "shown, not written")
        self.assertIn("old.new.lab", text)
        self.assertIn('deliver_to: ["127.0.0.1:2525", "mail.new.lab"]', text)
        o = json.loads(self.lab.tool("--json", *args))
        self.assertEqual((o["domain"], o["takes_mail_now"], o["write"]), ("new.lab", ["old.new.lab"], False))
        # A backup that is not ours takes mail around the filter: not without a word.
        r = self.lab.tool(*args, "--backup-mx", "old.new.lab", "--write", check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("around the filter", r.stderr)
        self.assertEqual(self.read(), before)
        os.chmod(self.lab.path("postern.yaml"), 0o640)
        text = self.lab.tool(*args, "--backup-mx", "old.new.lab", "--bypass", "--write")
        after = self.read()
        put = '    new.lab:\n        deliver_to: ["127.0.0.1:2525", "mail.new.lab"]\n        backup_mx: ["old.new.lab"]\n        recipients: "any"\n        dkim: managed\n'
        self.assertEqual(after, before.replace("domains:   # by name\n", "domains:   # by name\n" + put))
        self.assertEqual(os.stat(self.lab.path("postern.yaml")).st_mode & 0o777, 0o640)
        self.assertEqual(self.lab.tool("check", check=False).returncode, 0)
        self.assertRegex(text, r"r\d+\._domainkey\.new\.lab\. IN TXT")
        self.assertIn("new.lab. IN MX 10 gw.example.lab.", text)
        self.assertIn("new.lab. IN MX 20 old.new.lab.", text)
        self.assertRegex(text, r"wrong +mx +MX +new\.lab: the MX records name other servers")
        self.assertTrue(os.path.exists(self.lab.path("keys", "new.lab.dkim")))
        r = self.lab.tool(*args, "--write", check=False)
        self.assertEqual((r.returncode, self.read()), (1, after))
        self.assertIn("there already", r.stderr)
        # It works: the daemon takes the domain on and hands its mail to that server.
        self.lab.start_postern()
        self.assertEqual([x["domain"] for x in self.lab.control({"cmd": "domains.list"})[:-1]], ["new.lab", "first.lab"])

    def test_domain_add_refuses(self):
        self.lab.dns({"new.lab": [], "org": []})
        self.inbound()
        for args, status, words in ((["new.lab"], 2, "--deliver-to"), (["new lab", "--deliver-to", "x"], 2, "no domain name"),
                                    (["new.lab", "--deliver-to", "a b"], 2, "neither an address"), (["new.lab", "--deliver-to", "x", "--recipients", "ask"], 2, "callout"),
                                    (["new.lab", "--deliver-to", "x", "--backup-mx", "gw2.example.lab"], 1, "around the filter"), (["new.lab", "--deliver-to"], 2, "usage")):
            r = self.lab.tool("domain", "add", *args, check=False, stdin=subprocess.DEVNULL)
            self.assertEqual(r.returncode, status, (args, r.stdout, r.stderr))
            self.assertIn(words, r.stderr)
        # `domains` in one line: the lines are the administrator's to put in.
        with open(self.lab.path("postern.yaml"), "a") as f:
            f.write("domains: {first.lab: {recipients: any}}\n")
        before = self.read()
        r = self.lab.tool("domain", "add", "new.lab", "--deliver-to", "x.lab", "--write", check=False)
        self.assertEqual((r.returncode, self.read()), (1, before))
        self.assertIn("put the lines in by hand", r.stderr)

    def test_a_backup_around_the_filter_is_seen(self):
        self.lab.dns({"example.lab": ["@ MX 10 gw", "@ MX 20 backup", "gw A 127.0.0.1", "backup A 127.0.0.1"], "org": []})
        for known in (False, True):
            self.inbound(domains={"example.lab": {"deliver_to": ["127.0.0.1"], "recipients": "any", **({"backup_mx": ["Backup.example.lab"]} if known else {})}})
            rows = [json.loads(x) for x in self.lab.tool("--json", "dns", "check", "example.lab").splitlines()]
            got = [(x["value"], x["verdict"]) for x in rows if x["topic"] == "mx"]
            if known:
                self.assertEqual(got, [("10 gw.example.lab.", "ok"), ("20 backup.example.lab.", "ok")])
            else:
                self.assertEqual(got, [("10 gw.example.lab.", "wrong")])
                self.assertIn("backup.example.lab takes its mail, too, around the filter", [x for x in rows if x["topic"] == "mx"][0]["detail"])


if __name__ == "__main__":
    unittest.main()
