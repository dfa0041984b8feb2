"""Two nodes and one PostgreSQL: what one has judged, kept or written down the other finds and decides."""
import json
import os
import threading
import unittest

import authority
import lab
import postgres
from cluster_nodes import Node


class SharedBase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = lab.Lab("base")
        cls.addClassCleanup(cls.world.close)
        ca = authority.Authority(cls.world, "ca")
        os.chmod(ca.pem, 0o644)
        cls.pg = postgres.Postgres(cls.world, tls=ca.issue("db.base.lab", "db"))
        cls.uri = cls.pg.uri("db.base.lab", sslmode="verify-full", sslrootcert=ca.pem)
        cls.mx = cls.world.mx()
        dns = cls.world.dns({d: ["@ MX 10 mx", "mx A 127.0.0.1"] for d in ("partner.lab", "hold.lab", "quarantine.lab")} |
                            {"base.lab": ["db A 127.0.0.1", "other A 127.0.0.1"]})
        cls.a, cls.b = (Node(n, cls.pg, dns, cls.mx, cls.uri) for n in ("a", "b"))
        for node in (cls.a, cls.b):
            cls.addClassCleanup(node.close)
            node.start_postern(wait=False)
        for node in (cls.a, cls.b):
            node.wait_ready()
            node.there()

    def test_a_server_is_believed_by_its_certificate_alone(self):
        self.assertEqual(self.pg.sql("SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING(pid)"
                                     " WHERE application_name IN ('a', 'b')"), [["t"]])
        other = {**self.b.settings["store"], "base": self.uri.replace("db.base.lab", "other.base.lab")}
        self.b.config(**{**self.b.settings, "store": other})
        self.b.tool("reload")
        lab.wait_for(lambda: "other.base.lab" in (self.b.state()["why"] or ""), because=lambda: str(self.b.state()))
        self.b.config(**self.b.settings)
        self.b.tool("reload")
        self.b.there()
        # a reload that is refused leaves the process that was there
        self.b.config(**{**self.b.settings, "listeners": [{"name": "mx", "address": "192.0.2.1:25", "direction": "inbound"}]})
        self.assertNotEqual(self.b.tool("reload", check=False).returncode, 0)
        self.b.config(**self.b.settings)
        ident = self.b.accept("x@partner.lab", subject="after a refused reload")
        self.a.one(ident)

    # -- messages ----------------------------------------------------------------------
    def test_trace_finds_what_another_node_did(self):
        ident = self.b.accept("durand@partner.lab", subject="Réunion budget 4711", sender="chef@example.lab")
        self.mx.wait(1)
        line = lab.wait_for(lambda: (lambda l: l["recipients"][0]["status"] == "sent" and l)(self.a.one(ident)),
                            because="the delivery")
        self.assertEqual((line["id"], line["node"], line["sender"]), (ident, "b", "chef@example.lab"))
        self.assertEqual([e["kind"] for e in line["events"]], ["accepted", "sent"])
        own = self.b.one(ident)
        for part in ("recipients", "subject", "size", "client", "helo", "time"):
            self.assertEqual(line[part], own[part], part)

    def test_explain_is_read_where_it_was_not_judged(self):
        ident = self.b.accept("x@hold.lab", subject="judged by b")
        self.a.one(ident)
        self.assertEqual(json.loads(self.b.tool("explain", ident, "--json"))["recipients"],
                         json.loads(self.a.tool("explain", ident, "--json"))["recipients"])

    def test_the_language_of_searches_finds_the_same_in_the_base(self):
        idents = [self.b.accept(to, subject=subject, sender=sender) for to, subject, sender in (
            ("un@partner.lab", "Facture été 2026 n° 88", "compta@example.lab"),
            ("deux@partner.lab", "facture 2025", "vente@example.lab"),
            ("trois@hold.lab", "rapport", "compta@example.lab"))]
        self.mx.wait(1)
        for ident, status in zip(idents, ("sent", "sent", "held")):
            lab.wait_for(lambda: (lambda l: l["recipients"][0]["status"] == status and l)(self.a.one(ident)),
                         because="%s to be %s" % (ident, status))
        self.b.shipped()
        for q in ("facture", "FACTURE ete", '"ete 2026"', '"2026 ete"', "from:compta@example.lab", "to:@hold.lab",
                  "un@partner.lab", "fact*", "subject:rapport", "status:held", "ip:127.0.0.1 facture", "rule:wait",
                  "client:client.example.lab rapport", "reply:queued facture", "facture from:vente", "partner.lab 2025",
                  "since:1h facture", "before:2020-01-01 facture", "id:" + idents[0], "nowhere"):
            mine, _ = self.b.find(q)
            other, last = self.a.find(q)
            self.assertEqual([l["id"] for l in other], [l["id"] for l in mine], q)
            self.assertFalse(last["partial"], q)
        page, last = self.a.find("facture", limit=1)
        self.assertTrue(last["more"])
        rest, _ = self.a.find("facture", limit=1, before=last["next"])
        self.assertEqual([l["id"] for l in page + rest], [idents[1], idents[0]])

    # -- kept messages -----------------------------------------------------------------
    def held(self, node, ident):
        """The line of a held message on this node, once it is there."""
        return lab.wait_for(lambda: [l for l in node.control({"cmd": "held.list", "selector": ident, "all": True})
                                     if l.get("id") == ident], because="%s to show %s" % (node.name, ident))[0]

    def decided(self, node, ident, state):
        lab.wait_for(lambda: self.held(node, ident)["state"] == state, because="%s: %s to be %s" % (node.name, ident, state))

    def got(self, subject):
        return [m for m in self.mx.messages if subject.encode() in m[2]]

    def test_held_mail_is_shown_and_released_by_another_node(self):
        self.hold_goes("release by a", "x@hold.lab", "released")
        self.assertEqual(len(self.got("release by a")), 1)

    def hold_goes(self, subject, to, state, verb="release", body="the body of it\r\n", sizes=False):
        ident = self.b.accept(to, subject=subject, body=body)
        line = self.held(self.a, ident)
        self.assertEqual((line["node"], line["state"], line["sender"]), ("b", "waiting", "a@example.lab"))
        self.assertTrue(line["kid"].startswith("g"))
        self.assertNotIn("node", self.held(self.b, ident))
        raw = lab.wait_for(lambda: self.a.tool("held", "show", ident, "--raw", check=False).stdout, because="its bytes")
        self.assertTrue(body.replace("\r", "").strip() in raw.replace("\r", ""), "not its bytes")
        said = self.a.control({"cmd": "held." + verb, "id": ident, "text": "no"})
        self.assertEqual((said[-1]["done"], said[-1]["failed"]), (1, 0), said)
        if verb == "release":
            lab.wait_for(lambda: self.got(subject), because="the delivery of " + subject)
        self.decided(self.b, ident, state)
        self.decided(self.a, ident, state)
        self.assertIn("on a", self.held(self.b, ident)["by"])
        # once, and never again: on neither node
        for node in (self.a, self.b):
            said = node.control({"cmd": "held." + verb, "selector": ident, "text": "no"})
            self.assertTrue("error" in said[-1] or said[-1]["done"] == 0, said)
        self.assertEqual(self.pg.sql("SELECT count(*) FROM kept WHERE id=(SELECT max(id) FROM kept WHERE subject='%s')"
                                     " AND content IS NULL AND NOT mark" % subject), [["1"]])
        return ident

    def test_a_large_message_is_released_elsewhere_byte_for_byte(self):
        body = "".join("%07d 0123456789 abcdefghijklmnopqrstuvwxyz\r\n" % i for i in range(20000))
        self.hold_goes("large one", "x@hold.lab", "released", body=body)
        self.assertTrue(body.encode() in self.got("large one")[0][2], "other bytes")

    def test_reject_and_delete_elsewhere(self):
        self.hold_goes("reject by a", "x@hold.lab", "rejected", "reject")
        self.hold_goes("delete by a", "x@hold.lab", "deleted", "delete")
        self.assertEqual(self.got("delete by a"), [])

    def test_two_nodes_decide_in_the_same_moment(self):
        idents = [self.b.accept("x@hold.lab", subject="race %d." % i) for i in range(12)]
        for ident in idents:
            self.held(self.a, ident)
        results = {}

        def decide(node):
            results[node.name] = [node.control({"cmd": "held.release", "id": i})[-1] for i in idents]
        threads = [threading.Thread(target=decide, args=(n,)) for n in (self.a, self.b)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for i, ident in enumerate(idents):
            self.assertEqual(sum(r[i].get("done", 0) for r in results.values()), 1, (ident, results))
            lab.wait_for(lambda: self.got("race %d." % i), because="the delivery")
            for node in (self.a, self.b):
                self.decided(node, ident, "released")
        self.assertEqual([len(self.got("race %d." % i)) for i in range(12)], [1] * 12)

    def test_the_console_sees_one_list_in_pages(self):
        idents = [(self.a, self.b)[i % 2].accept("x@quarantine.lab", subject="page %d" % i, sender="page@example.lab")
                  for i in range(6)]
        for node in (self.a, self.b):
            node.shipped()
        ask = {"cmd": "kept.list", "kind": "quarantine", "from": "page@example.lab", "limit": 2}
        for node in (self.a, self.b):
            seen, cursor = [], {}
            lab.wait_for(lambda: len(node.control({**ask, "limit": 10})) == 7, because="six lines")
            while True:
                lines = node.control({**ask, **cursor})
                seen += [l["id"] for l in lines[:-1]]
                if not lines[-1]["more"]:
                    break
                cursor = {"before": lines[-1]["next"]}
            self.assertEqual(seen, idents[::-1])
        other = [l for l in self.a.control({**ask, "limit": 10})[:-1] if l.get("node") == "b"]
        self.assertEqual(len(other), 3)
        shown = self.a.control({"cmd": "kept.show", "kid": other[0]["kid"]})[0]
        self.assertEqual((shown["id"], shown["kid"], shown["node"]), (other[0]["id"], other[0]["kid"], "b"))
        preview = self.a.control({"cmd": "kept.preview", "kid": other[0]["kid"]})[0]
        self.assertIn("Hello.", preview["text"])
        said = self.a.control({"cmd": "kept.release", "kids": [o["kid"] for o in other], "reason": "ours"})
        self.assertEqual(said[-1]["done"], 3, said)
        for o in other:
            self.assertEqual(self.a.control({"cmd": "kept.confirm", "kid": o["kid"]})[0].get("ok"), False)

    # -- lists -------------------------------------------------------------------------
    def entries(self, node):
        return {(l["what"], l["list"], l["reason"]) for l in node.control({"cmd": "lists.list", "limit": 1000})[:-1]}

    def test_lists_reach_all_nodes_and_their_books(self):
        said = self.b.control({"cmd": "lists.add", "scope": "all", "list": "block", "what": "@bad.example", "reason": "by b"})
        self.assertNotIn("error", said[0])
        entry = ("bad.example", "block", "by b")
        lab.wait_for(lambda: any(w.endswith("bad.example") for w, _, _ in self.entries(self.a)), because="the entry on a")
        what = [e for e in self.entries(self.a) if e[2] == "by b"][0][0]
        self.assertEqual(self.entries(self.a), self.entries(self.b))
        # the book that receivers look into
        lab.wait_for(lambda: self.a.counter("lists_entries") == len(self.entries(self.a)), because="the book")
        # taken out on the other node: gone on both; and it does not come back
        number = [l["number"] for l in self.a.control({"cmd": "lists.list"}) if l.get("what") == what][0]
        self.a.control({"cmd": "lists.remove", "number": number})
        lab.wait_for(lambda: what not in {w for w, _, _ in self.entries(self.b)}, because="the entry gone from b")
        for i in range(5):
            (self.a, self.b)[i % 2].control({"cmd": "lists.add", "scope": "all", "list": "block", "what": "@e%d.example" % i})
        lab.wait_for(lambda: self.entries(self.a) == self.entries(self.b) and len(self.entries(self.a)) >= 5, because="equal lists")
        # the last word of two holds on both
        self.a.control({"cmd": "lists.remove", "number": [l["number"] for l in self.a.control({"cmd": "lists.list"})
                                                          if l.get("what", "").endswith("e0.example")][0]})
        lab.wait_for(lambda: self.entries(self.a) == self.entries(self.b) and len(self.entries(self.a)) == 4, because="four")
        for node in (self.a, self.b):
            node.shipped()
            self.assertFalse([r for r in node.control({"cmd": "lists.list"}) if r.get("what") == what])

    # -- the audit log -----------------------------------------------------------------
    def test_audit_of_all_nodes(self):
        self.a.tool("queue", "pause", "audit-a.lab")
        self.b.tool("queue", "pause", "audit-b.lab")

        def rows():
            lines = self.a.control({"cmd": "audit.list", "limit": 1000, "q": "queue.pause audit-"})
            return len(lines) == 3 and not lines[-1]["partial"] and lines[:-1]
        found = lab.wait_for(rows, because="both rows")
        self.assertEqual({(r["node"], r["subject"]) for r in found}, {("a", "audit-a.lab"), ("b", "audit-b.lab")})
        page = self.a.control({"cmd": "audit.list", "limit": 1, "q": "audit-"})
        self.assertTrue(page[-1]["more"])
        rest = self.a.control({"cmd": "audit.list", "limit": 5, "q": "audit-", "before": page[-1]["next"]})
        self.assertEqual([r["subject"] for r in page[:-1] + rest[:-1]], ["audit-b.lab", "audit-a.lab"])
        for node in (self.a, self.b):
            node.shipped()
        text = self.a.tool("audit", "verify")
        self.assertRegex(text, r"node a, in the shared base: \d+ rows are sound")
        self.assertRegex(text, r"node b, in the shared base: \d+ rows are sound")
        # whoever has the base alone changes nothing unseen
        seq = self.pg.sql("SELECT seq FROM audit WHERE node='b' AND subject='audit-b.lab'")[0][0]
        for change, back in (("UPDATE audit SET who='nobody' WHERE node='b' AND seq=" + seq,
                              "UPDATE audit SET who='uid %d' WHERE node='b' AND seq=%s" % (os.getuid(), seq)),):
            self.pg.sql(change)
            r = self.a.tool("audit", "verify", check=False)
            self.assertEqual(r.returncode, 1)
            self.assertIn("node b, in the shared base: BROKEN: row " + seq, r.stdout)
            self.pg.sql(back)
        self.assertEqual(self.a.tool("audit", "verify", check=False).returncode, 0)
        self.pg.sql("CREATE TABLE cut AS SELECT * FROM audit WHERE node='b' AND seq=(SELECT max(seq) FROM audit WHERE node='b')")
        self.pg.sql("DELETE FROM audit USING cut WHERE audit.store=cut.store AND audit.seq=cut.seq")
        self.assertIn("was written and is gone", self.a.tool("audit", "verify", check=False).stdout)
        self.pg.sql("INSERT INTO audit SELECT * FROM cut")
        self.assertEqual(self.a.tool("audit", "verify", check=False).returncode, 0)


if __name__ == "__main__":
    unittest.main()
