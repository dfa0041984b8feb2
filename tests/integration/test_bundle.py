"""Signed bundles: one configuration for all nodes, in force as a whole or not at all."""
import base64
import hashlib
import io
import json
import os
import socket
import stat
import subprocess
import tarfile
import unittest

import cluster
import lab

RULE = """version: 1
rules:
  - id: %s
    when: {subject: {words: ["%s"]}}
    then: {reject: "5.7.1 not this"}
"""


def read(path):
    with open(path, "rb") as f:
        return f.read()


def tree(folder):
    """Every file of a folder with its bytes: what must not change when something is refused."""
    out = {}
    for base, _, files in os.walk(folder):
        for f in files:
            out[os.path.relpath(os.path.join(base, f), folder)] = read(os.path.join(base, f))
    return out


class Bundles(unittest.TestCase):
    def setUp(self):
        # `ops` is where the configuration is kept; nothing runs there.
        self.ops, self.node = cluster.Node("a", 1), cluster.Node("b", 2)
        for n in (self.ops, self.node):
            self.addCleanup(n.close)
            n.config(cluster.shared())
        for d in ("a", "b"):
            os.makedirs(self.ops.path("keep", d))
        self.key = self.ops.path("keep", "bundle")
        self.say(self.ops, "bundle", "keygen", self.key)
        os.link(self.key + ".pub", self.node.etc("bundle.pub"))

    def say(self, node, *args, status=0, **kw):
        r = node.tool(*args, check=False, **kw)
        self.assertEqual(r.returncode, status, r.stdout + r.stderr)
        return r.stdout + r.stderr

    def make(self, name="new.bundle", *args, key=True, **kw):
        out = self.ops.path("keep", name)
        self.say(self.ops, "bundle", "make", *(["--key", self.key + ".key"] if key else []), "-o", out, *args, **kw)
        return out

    def refused(self, path, why, *args, node=None):
        node = node or self.node
        before = tree(node.etc())
        text = self.say(node, "bundle", "apply", path, *args, status=1)
        self.assertIn(why, text)
        self.assertEqual(tree(node.etc()), before)
        self.assertEqual([f for f in os.listdir(node.dir) if ".etc" in f], [])

    def test_in_force_as_a_whole(self):
        self.node.policy(RULE % ("local-habit", "habit"), "90-local.yaml")
        self.node.start_postern()
        self.assertEqual(self.node.send("x@partner.lab", subject="habit")[0], 550)
        self.ops.policy(RULE % ("no-secret", "secret"))
        self.ops.write("etc/policy.d/lists/words.txt", "alpha\n")
        path = self.make()
        page = self.say(self.node, "bundle", "check", path)
        self.assertRegex(page, r"changed +policy.d/10-test.yaml\n(.*\n)*    \+  - id: no-secret")
        self.assertRegex(page, r"removed +policy.d/90-local.yaml")
        self.assertRegex(page, r"new +policy.d/lists/words.txt")
        self.assertEqual(self.node.send("x@partner.lab", subject="habit")[0], 550)     # only looked at
        self.assertIn("in force: ", self.say(self.node, "bundle", "apply", path))
        self.assertEqual(self.node.send("x@partner.lab", subject="a secret")[0], 550)
        self.assertEqual(self.node.send("x@partner.lab", subject="habit")[0], 250)
        # What is the node's own is as it was; the folder before is kept.
        self.assertEqual(self.node.status()["node"], "b")
        self.assertTrue(os.path.exists(self.node.path("etc.previous", "policy.d", "90-local.yaml")))
        self.assertIn("in force already", self.say(self.node, "bundle", "apply", path))
        state = json.loads(read(self.node.etc("bundle.state")))
        row = [r for r in map(json.loads, self.say(self.node, "audit", "list", "--json").splitlines())
               if r.get("what") == "bundle.apply"]
        self.assertEqual(row[0]["subject"], str(state["serial"]))
        self.assertIn(state["key"], row[0]["detail"])
        # A file that the next one does not bring goes; an older one is not taken back.
        os.unlink(self.ops.etc("policy.d/lists/words.txt"))
        self.say(self.node, "bundle", "apply", self.make("next.bundle"))
        self.assertFalse(os.path.exists(self.node.etc("policy.d/lists/words.txt")))
        self.refused(path, "an older one")
        self.say(self.node, "bundle", "apply", path, "--force")
        self.assertTrue(os.path.exists(self.node.etc("policy.d/lists/words.txt")))

    def test_the_daemon_refuses(self):
        """What loads but cannot be put in force is taken back."""
        self.node.start_postern()
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen(1)
            conf = cluster.shared()
            conf["listeners"].append({"name": "taken", "address": "127.0.0.1:%d" % s.getsockname()[1],
                                      "direction": "outbound", "allow": ["network:internal"]})
            self.ops.config(conf)
            path = self.make()
            self.refused(path, "posternd refuses it, and it was taken back")
        self.assertEqual(self.node.send("x@partner.lab")[0], 250)
        self.assertIn("bundle.refused", self.say(self.node, "audit", "list", "--json"))
        self.say(self.node, "bundle", "apply", path)       # the port is free now
        self.assertEqual(len(self.node.status()["listeners"]), 2)

    def test_what_does_not_load_here(self):
        conf = cluster.shared()
        conf["listeners"][0]["name"] = "other"     # node.yaml of the node speaks of smart-host
        self.ops.config(conf, listeners={})
        self.refused(self.make(), "the name of no entry")

    def test_not_to_be_believed(self):
        good = self.make()
        data = read(good)

        def attempt(name, content, why):
            with open(self.ops.path("keep", name), "wb") as f:
                f.write(content)
            self.refused(self.ops.path("keep", name), why)

        self.refused(self.make("unsigned", key=False), "nobody has signed it")
        self.say(self.ops, "bundle", "keygen", self.ops.path("keep", "stranger"))
        other = self.make("other", key=False)
        self.say(self.ops, "bundle", "sign", other, "--key", self.ops.path("keep", "stranger.key"))
        self.refused(other, "which is not trusted here")
        attempt("cut", data[:-512], "end")
        attempt("cut2", data[:2000], "cut off")
        at = data.index(b"version: 1", 1024)
        attempt("changed", data[:at] + b"version: 2" + data[at + 10:], "it was changed after it was signed")
        attempt("empty", b"", "cut off")
        attempt("text", b"hello\n" * 1000, "a name that is too long")

        def tar(add):
            b = io.BytesIO()
            with tarfile.open(fileobj=b, mode="w", format=tarfile.USTAR_FORMAT) as t:
                add(t)
            return b.getvalue()

        def member(name, content=b"x", **kw):
            i = tarfile.TarInfo(name)
            i.size = len(content)
            for k, v in kw.items():
                setattr(i, k, v)
            return lambda t: t.addfile(i, io.BytesIO(content))

        attempt("path", tar(member("etc/../../x")), "no bundle")
        attempt("link", tar(member("etc/x", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")), "a link?")
        attempt("device", tar(member("etc/x", b"", type=tarfile.CHRTYPE)), "a link?")
        # Python's tar of the same members, signed by the right key or not, has other heads.
        attempt("owner", tar(member("MANIFEST", b"{}", uid=1000)), "an owner?")
        # A path out of the folder, in the only form that the reader takes, and rightly signed.
        evil = self.make("evil", key=False)
        raw = read(evil)
        i = raw.index(b"etc/policy.d/10-test.yaml\0")
        head = bytearray(raw[i:i + 512])
        head[:len(b"etc/policy.d/../../../x")] = b"etc/policy.d/../../../x"
        head[len(b"etc/policy.d/../../../x"):99] = bytes(99 - len(b"etc/policy.d/../../../x"))
        head[148:156] = b" " * 8
        head[148:156] = b"%06o\0 " % sum(head)
        with open(evil, "wb") as f:
            f.write(raw[:i] + head + raw[i + 512:])
        self.assertIn("has no place in a bundle",
                      self.say(self.ops, "bundle", "sign", evil, "--key", self.key + ".key", status=1))
        # A node without a key to trust takes nothing.
        os.unlink(self.node.etc("bundle.pub"))
        self.refused(good, "bundle.pub is not there")

    def test_same_files_same_bytes(self):
        env = {**os.environ, "SOURCE_DATE_EPOCH": "1790000000"}
        one = read(self.make("one", env=env))
        for f in os.listdir(self.ops.etc("policy.d")):
            os.utime(self.ops.etc("policy.d", f), (1, 1))
            os.chmod(self.ops.etc("policy.d", f), 0o640)
        self.assertEqual(one, read(self.make("two", env=env)))
        listed = subprocess.run(["tar", "tf", self.ops.path("keep", "one")], capture_output=True, text=True, check=True)
        self.assertEqual(listed.stdout.split(), ["MANIFEST", "etc/policy.d/10-test.yaml", "etc/postern.yaml", "signature"])

    def test_openssl_says_the_same(self):
        """The signature, checked by somebody else's program."""
        path = self.make()
        with tarfile.open(path) as t:
            last = t.getmembers()[-1]
            word, keyid, sig = t.extractfile(last).read().split()
        self.assertEqual((last.name, word), ("signature", b"ed25519"))
        with open(self.ops.path("keep", "signed"), "wb") as f:
            f.write(read(path)[:last.offset])
        with open(self.ops.path("keep", "sig"), "wb") as f:
            f.write(base64.b64decode(sig))
        verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", self.key + ".pub", "-rawin",
                  "-in", self.ops.path("keep", "signed"), "-sigfile", self.ops.path("keep", "sig")]
        r = subprocess.run(verify, capture_output=True, text=True)
        self.assertIn("Signature Verified Successfully", r.stdout)
        der = subprocess.run(["openssl", "pkey", "-pubin", "-in", self.key + ".pub", "-outform", "DER"],
                             capture_output=True, check=True).stdout
        self.assertEqual(keyid.decode(), hashlib.sha256(der[-32:]).hexdigest()[:16])

    def test_secrets(self):
        with open(self.ops.etc("keys/dkim.pem"), "w") as f:
            f.write("-- a key --\n")
        self.assertNotIn(b"a key", read(self.make("without")))
        self.say(self.node, "bundle", "keygen", "--node")
        path = self.make("sealed", "--to", self.node.etc("keys/node.pub"))
        self.assertNotIn(b"a key", read(path))
        self.say(self.node, "bundle", "apply", path)
        with open(self.node.etc("keys/dkim.pem")) as f:
            self.assertEqual(f.read(), "-- a key --\n")
        self.assertEqual(stat.S_IMODE(os.stat(self.node.etc("keys/dkim.pem")).st_mode), 0o600)
        self.assertTrue(os.path.exists(self.node.etc("keys/node.key")))
        # One without secrets leaves them; a node that is not among the readers takes nothing by halves.
        self.say(self.node, "bundle", "apply", self.make("later"))
        self.assertTrue(os.path.exists(self.node.etc("keys/dkim.pem")))
        third = cluster.Node("c", 3)
        self.addCleanup(third.close)
        third.config(cluster.shared())
        os.link(self.key + ".pub", third.etc("bundle.pub"))
        self.say(third, "bundle", "keygen", "--node")
        self.refused(path, "not sealed for this node's key", node=third)
        self.say(third, "bundle", "apply", path, "--without-secrets")
        # Its own store key opens what lies sealed here: another one in its place is refused.
        with open(self.ops.etc("keys/store.key"), "w") as f:
            f.write("another\n")
        with open(self.node.etc("keys/store.key"), "w") as f:
            f.write("its own\n")
        self.refused(self.make("store", "--to", self.node.etc("keys/node.pub")), "could not be read any more")


if __name__ == "__main__":
    unittest.main()
