"""console_mock.py -- the console's API for tests of its pages alone: the same answers each time, and hostile ones.

What strangers write (senders, subjects, names of files, replies) carries scripts, signs that turn the direction of
writing, and words of 200 letters. A page that ran one of the scripts would set window.hit. Everything
that is asked stands in Mock.asked, for tests to look at. The real API is tested by test_console*.py.
"""
import http.server
import itertools
import json
import os
import queue
import re
import threading
import time
import urllib.parse

ROOT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "relay/console/pages")
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain"}
SECURITY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'")
SCRIPT = "<img src=x onerror=\"window.hit=1\"><script>window.hit=1</script>"
TURNED = "invoice\u202efdp.exe\u202c\u200b"
LONG = "w" * 200
HOSTILE = ["Quarterly figures " + SCRIPT, TURNED, LONG, "\"><svg onload=window.hit=1>", "javascript:window.hit=1", "{{7*7}} ${window.hit=1} `hit`",
           "Réunion de lundi", "المستندات \u202b", "", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \ufeff"]
ROLES = {"admin": ["admin"], "operator": ["operator"], "user": ["user"], "editor": ["editor"], "reviewer": ["reviewer"],
         "auditor": ["auditor"], "domain": ["domain_admin"], "totp": ["admin"]}
PASSWORD = "correct horse battery"
NOW = int(time.time() * 1e6)
MINUTE = 60 * 10**6
RULES_TEXT = "version: 1\n\nrules:\n  - id: cards-outside\n    when:\n      finds: {payment-card: {min: 1}}\n    then: {hold: {for: group:dpo}}\n"


def ident(n):
    return "8Dofo%06d" % n


def sender(n):
    return ["m.durand@example.org", SCRIPT + "@evil.example", "a." + LONG[:60] + "@example.net", ""][n % 4]


def message(n):
    to = ["k.martin@partner.example", "\"<script>window.hit=1</script>\"@example.net", "x@webmail.example"][:1 + n % 3]
    states = ["sent", "deferred", "held", "quarantined", "failed"]
    reply = {"sent": "250 2.0.0 Ok: queued as 9F", "deferred": "451 4.7.1 " + SCRIPT + " come back\r\nlater", "held": "dpo", "quarantined": "virus",
             "failed": "550 5.1.1 " + LONG}
    rcpt = [{"address": a, "outcome": "deliver", "status": states[(n + i) % 5], "dsn": "2.0.0", "relay": "mx.partner.example[192.0.2.1]:25",
             "reply": reply[states[(n + i) % 5]], "tls": "TLSv1.3", "time": NOW - n * MINUTE, "attempts": i} for i, a in enumerate(to)]
    events = [{"seq": 1, "time": NOW - n * MINUTE, "kind": "accepted", "rcpt": "", "outcome": None, "dsn": None, "relay": None, "reply": None, "tls": None,
               "by": None, "parent": None}]
    events += [{"seq": 2 + i, "time": NOW - n * MINUTE + i, "kind": r["status"], "rcpt": r["address"], "outcome": r["outcome"], "dsn": r["dsn"], "relay": r["relay"],
                "reply": r["reply"], "tls": r["tls"], "by": None, "parent": None} for i, r in enumerate(rcpt)]
    return {"v": 1, "id": ident(n), "parent": None, "time": NOW - n * MINUTE, "direction": "outbound", "listener": "smart-host", "client": "192.0.2.7",
            "client_name": "exch1.example.org", "helo": SCRIPT, "user": None, "tls": None, "sender": sender(n), "subject": HOSTILE[n % len(HOSTILE)],
            "size": 1000 + n * 977, "recipients": rcpt, "events": events}


RECORD = {"v": 1, "id": ident(1), "policy": "e3fa5561c0bdb6f6", "virus": None,
          "recipients": [{"address": "k.martin@partner.example", "outcome": "hold", "reply": None, "rules": ["cards-outside"], "shadow": ["iban-outside"],
                          "skipped": [], "queue": "dpo", "expires": NOW // 10**6 + 86400, "on_expire": "reject", "holds": ["cards-outside"], "after": "deliver"}],
          "findings": [{"detector": "payment-card", "confidence": "high", "count": 3, "distinct": 2, "part": "2", "where": "attachment", "name": TURNED,
                        "offsets": [[12, 45]], "masked": ["•••• •••• •••• 1111", SCRIPT]}], "urls": [],
          "parts": [{"part": "1", "type": "text", "declared": "text/plain", "name": "", "size": 20, "encrypted": False, "depth": 1, "defects": [], "attachment": False},
                    {"part": "2", "type": "docx", "declared": "application/octet-stream", "name": SCRIPT, "size": 410, "encrypted": True, "depth": 1, "defects": [],
                     "attachment": True}],
          "defects": ["boundary-duplicate"], "edits": [], "refused_edits": [], "holds": [], "near_misses": [{"rule": "nir-outside", "text": "finds fr-nir: 2 of 3"}],
          "why": [{"rule": "cards-outside", "as": "hit", "recipient": "k.martin@partner.example", "conditions": [
                      {"of": "when", "held": True, "text": "to: <k.martin@partner.example> is not in the list"}, {"of": "when", "held": True, "text": "any of"},
                      {"of": "when", "depth": 1, "held": False, "text": "finds iban: nothing found"},
                      {"of": "when", "depth": 1, "held": True, "text": "finds payment-card: 2 distinct, min 1", "masked": ["•••• •••• •••• 1111", SCRIPT]},
                      {"of": "unless", "held": False, "text": "from: <" + SCRIPT + "> is not in the list"}]},
                  {"rule": "nir-outside", "as": "near", "recipient": "k.martin@partner.example", "conditions": [
                      {"of": "when", "held": True, "text": "direction: holds"}, {"of": "when", "held": False, "text": "finds fr-nir: 2 distinct, min 3"},
                      {"of": "when", "held": None, "text": "attachment"}]}],
          "spam": None, "identity": {"spf": "pass", "dkim": "fail", "dmarc": "fail", "dmarc_policy": "reject", "arc": None}, "unscannable": False,
          "ms": {"anatomy": 0.241, "detect": 0.011}}


def kept(n, kind="hold"):
    return {"v": 1, "kid": str(n), "id": ident(n), "new_id": None, "state": "waiting", "kind": kind, "queue": ["dpo", "virus", "spam"][n % 3], "sender": sender(n),
            "client": "192.0.2.7", "subject": HOSTILE[n % len(HOSTILE)], "by": None, "on_expire": "reject", "class": "spam" if kind == "quarantine" else None,
            "virus": "Eicar" if n % 3 == 1 else None, "confirmed": None, "time": NOW - n * 7 * MINUTE, "expires": NOW + n * 60 * MINUTE,
            "decided": None, "size": 2000 + n, "recipients": ["k.martin@partner.example", "user@example.org"][:1 + n % 2],
            "approvals": [{"rule": "cards-outside", "needed": 2 if n % 4 == 0 else 0, "given": 1, "approvers": ["dpo@example.org", SCRIPT]}], "votes": []}


def leg(n):
    return {"kind": "deliver", "site": "example.net", "state": "deferred", "why": "waits for its next try", "attempts": n, "next": NOW + 5 * MINUTE, "last": "site",
            "retry": {"class": "default", "phrase": "as configured", "failed": n, "curve": [60, 300, 900, 3600]},
            "recipients": [{"address": "k.martin@example.net", "status": "deferred", "outcome": "deliver", "dsn": "4.7.1", "reply": "451 4.7.1 " + SCRIPT, "relay": "mx.example.net"}]}


def queued(n):
    return {"v": 1, "id": ident(n), "parent": None, "sender": sender(n), "size": 1200, "received": NOW - 60 * MINUTE, "since": NOW - 60 * MINUTE, "held": n == 2,
            "expires": NOW + 3000 * MINUTE, "legs": [leg(n)]}


def site(name, n, **more):
    return {"v": 1, "site": name, "messages": n, "deferred": n, "ready": 0, "active": 0, "window": 5, "failures": 2, "last": "site", "next": NOW + 5 * MINUTE,
            "paused": False, **more}


def incident(n, state="open"):
    return {"v": 1, "id": str(n), "message": ident(n), "kid": str(n), "rule": "cards-outside", "rules": ["cards-outside", SCRIPT][:1 + n % 2], "state": state, "time": NOW - n * 60 * MINUTE,
            "sender": sender(n), "recipients": ["x@webmail.example"], "subject": HOSTILE[n % len(HOSTILE)], "outcome": "hold", "resolution": None, "note": None, "by": None, "kept": True,
            "findings": [{"detector": "payment-card", "confidence": "high", "part": "2", "where": "attachment", "name": TURNED, "count": 2, "masked": ["•••• •••• •••• 1111", SCRIPT]}]}


def rule(n):
    return {"v": 1, "id": ["cards-outside", "iban-outside", "executables", "virus"][n % 4] + ("" if n < 4 else "-%d" % n), "title": {"en": "Card numbers to the outside", "fr": "Cartes vers l’extérieur"} if n % 2 else SCRIPT,
            "mode": ["enforce", "shadow", "off"][n % 3], "then": ["hold", "reject", None][n % 3], "severity": "high", "direction": "outbound", "hits_24h": n * 3, "hits_7d": n * 17,
            "shadow_7d": 4 if n % 3 == 1 else 0, "last": NOW - n * 90 * MINUTE if n else None, "review_by": "", "file": "policy.d/20-dlp.yaml" if n % 4 != 3 else "postern/base", "line": 4 + n}


def hours():
    start = NOW - NOW % (60 * MINUTE) - 23 * 60 * MINUTE
    return [{"t": start + i * 60 * MINUTE, "received": 40 + (i * 37) % 90, "delivered": 35 + (i * 31) % 80, "deferred": (i * 7) % 12, "held": i % 3, "quarantined": (i * 5) % 7,
             "rejected": (i * 11) % 9} for i in range(24)]


class Fault(Exception):
    def __init__(self, status, code, text=""):
        self.status, self.code, self.text = status, code, text


class Mock:
    """with Mock() as m: m.url; m.asked: (method, path, body). off: answers of these paths are 501."""

    def __init__(self, off=()):
        self.asked, self.off, self.sessions, self.gone, self.hash = [], set(off), {}, set(), "e3fa5561c0bdb6f6"
        self.lists = [{"v": 1, "number": n, "scope": "user", "owner": "user@example.org", "list": ["allow", "block"][n % 2], "what": w, "reason": SCRIPT if n else "a friend",
                       "by": "user", "time": NOW, "expires": None, "state": "active"} for n, w in enumerate(["@example.net", SCRIPT + "@evil.example"])]
        self.empty, self.oidc = False, None
        self.live, self.keys = [], itertools.count()
        mock = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *a):
                pass

            def do_GET(self):
                mock.serve(self, "GET")

            def do_POST(self):
                mock.serve(self, "POST")

            def do_PATCH(self):
                mock.serve(self, "PATCH")

            def do_DELETE(self):
                mock.serve(self, "DELETE")

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *a: None      # a browser that hangs up
        self.url = "http://127.0.0.1:%d/" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *a):
        for q in self.live:
            q.put(None)
        self.server.shutdown()
        self.server.server_close()

    # -- HTTP ----------------------------------------------------------------------
    def serve(self, h, method):
        length = int(h.headers.get("Content-Length") or 0)
        body = h.rfile.read(length)
        url = urllib.parse.urlsplit(h.path)
        if not url.path.startswith("/api/v1/"):
            return self.file(h, url.path)
        path = url.path[7:]
        query = {k: v[0] for k, v in urllib.parse.parse_qs(url.query).items()}
        body = json.loads(body) if body else None
        self.asked.append((method, path, body if method != "GET" else query))
        me = self.sessions.get((h.headers.get("Cookie") or "").partition("postern_session=")[2])
        cookie = None
        try:
            if path == "/session/ways":
                answer = {"v": 1, "links": True, "oidc": self.oidc}
            elif method == "POST" and path.startswith("/session"):
                answer, cookie = self.door(path, body)
            else:
                if me is None:
                    raise Fault(401, "login", "nobody is signed in")
                if method != "GET" and h.headers.get("X-Postern-CSRF") != me["csrf"]:
                    raise Fault(403, "csrf", "no token")
                if path == "/live":
                    return self.events(h)
                if any(path.startswith(o) for o in self.off):
                    raise Fault(501, "not-available", "not available yet")
                answer = self.answer(method, path, query, body, me)
            status = 200
        except Fault as f:
            answer, status = {"v": 1, "error": f.text, "code": f.code}, f.status
        self.send(h, status, "application/json", json.dumps(answer).encode(), cookie)

    def send(self, h, status, kind, data, cookie=None):
        h.send_response(status)
        h.send_header("Content-Type", kind + "; charset=utf-8")
        h.send_header("Content-Length", str(len(data)))
        h.send_header("Content-Security-Policy", SECURITY)
        h.send_header("X-Content-Type-Options", "nosniff")
        h.send_header("Cache-Control", "no-store")
        if cookie:
            h.send_header("Set-Cookie", "postern_session=%s; HttpOnly; SameSite=Strict; Path=/" % cookie)
        h.end_headers()
        h.wfile.write(data)

    def file(self, h, path):
        name = os.path.normpath(os.path.join(ROOT, path.lstrip("/") or "index.html"))
        if not name.startswith(ROOT + os.sep) or not os.path.isfile(name):
            return self.send(h, 404, "text/plain", b"not found")
        with open(name, "rb") as f:
            self.send(h, 200, TYPES.get(os.path.splitext(name)[1], "text/plain"), f.read())

    def events(self, h):
        q = queue.Queue()
        self.live.append(q)
        h.send_response(200)
        h.send_header("Content-Type", "text/event-stream")
        h.send_header("Connection", "close")
        h.end_headers()
        for n in range(5):
            q.put({"v": 1, "seq": n, "time": NOW + n, "id": ident(n), "kind": ["accepted", "sent", "deferred"][n % 3], "client": "192.0.2.7", "sender": sender(n),
                   "size": 100, "recipients": ["k.martin@partner.example"], "reply": SCRIPT})
        try:
            while (e := q.get()) is not None:
                h.wfile.write(b"data: " + json.dumps(e).encode() + b"\n\n")
                h.wfile.flush()
        except OSError:
            pass
        self.live.remove(q)
        h.close_connection = True

    # -- the door ------------------------------------------------------------------
    def door(self, path, body):
        if path == "/session/link":
            return {"v": 1}, None
        if path == "/session/link/use":
            if body["token"] != "good" or "good" in self.gone:
                raise Fault(401, "login", "this link is no longer good")
            self.gone.add("good")
            name = "user"
        else:
            name = body["name"]
            if name not in ROLES or body["password"] != PASSWORD:
                raise Fault(401, "login", "name or password are wrong")
            if name == "totp" and body.get("code") != "123456":
                raise Fault(401, "totp", "a code is needed")
        key = "s%d" % next(self.keys)
        self.sessions[key] = {"v": 1, "name": name, "roles": ROLES[name], "domains": ["example.org"] if name == "domain" else [],
                              "addresses": ["user@example.org"] if name == "user" else [], "language": "en", "csrf": "c" + key, "totp": name == "totp"}
        return self.sessions[key], key

    # -- answers -------------------------------------------------------------------
    def page(self, items, query, size=8):
        if self.empty:
            items = []
        start = int(query.get("before") or 0)
        more = start + size < len(items)
        return {"v": 1, "items": items[start:start + size], "more": more, "next": str(start + size) if more else None}

    def answer(self, method, path, query, body, me):
        staff = me["roles"] != ["user"]
        if path == "/session":
            if method == "PATCH":
                me["language"] = body["language"]
            elif method == "DELETE":
                self.sessions = {k: v for k, v in self.sessions.items() if v is not me}
            return me
        if path in ("/overview", "/trace", "/queue", "/audit", "/users", "/policy") and not staff:
            raise Fault(403, "forbidden", "not allowed")
        if path == "/overview":
            return {"v": 1, "version": "0.1.0", "hostname": "gw1.example.org", "hours": hours(),
                    "needs": [] if self.empty else [{"kind": "held", "text": "12 messages wait for a decision", "count": 12, "href": "/kept?kind=hold"},
                                                    {"kind": "requests", "text": "people asked", "count": 2, "href": "/kept?kind=quarantine"}, {"kind": "incidents", "text": "open", "count": 3, "href": "/incidents"},
                                                    {"kind": "doctor", "text": "the certificate ends in 6 days " + SCRIPT, "href": "/health"}],
                    "alarms": [] if self.empty else [{"name": "near", "text": "the spool is nearly full " + SCRIPT, "since": NOW - 60 * MINUTE}],
                    "queue": {"messages": 1284, "held": 3, "active": 7, "sites": 41, "oldest": NOW - 300 * MINUTE}}
        if path == "/trace":
            found = [] if query.get("q") == "nothing" else [message(n) for n in range(45)]
            return self.page(found, query)
        m = re.fullmatch(r"/messages/8Dofo(\d{6})", path)
        if m:
            x = message(int(m[1]))
            return {"v": 1, "message": x, "events": x["events"], "explain": RECORD}
        if path == "/queue" and query.get("by") == "site":
            return self.page([site("example.net", 812), site("webmail.example", 31, paused=True), site(LONG[:120] + ".example", 2, failures=0, last=None),
                              site(SCRIPT, 1)], query)
        if path == "/queue":
            by = query.get("by", "sender")
            return self.page([{"v": 1, by: x, "messages": 9, "bytes": 12345, "oldest": NOW - 90 * MINUTE} for x in (sender(0), SCRIPT, LONG)], query)
        if path == "/queue/messages":
            return self.page([queued(n) for n in range(1, 4)], query)
        if path.startswith("/queue/messages/"):
            return queued(1)
        if path.startswith("/queue/") and method == "POST":
            return {"v": 1, "act": path[7:], "matched": 812, "done": 0 if body.get("count") else 812}
        if path == "/kept":
            state = query.get("state", "waiting")
            return self.page([k for k in (kept(n, query.get("kind", "hold")) for n in range(1, 31)) if (k["kid"] in self.gone) == (state != "waiting")], query)
        m = re.fullmatch(r"/kept/(\d+)(/preview)?", path)
        if m and m[2]:
            return {"v": 1, "headers": [{"name": "Subject", "value": SCRIPT}, {"name": "X-" + SCRIPT, "value": TURNED}], "text": "Dear colleague,\n\n" + SCRIPT + "\n" + LONG + "\n",
                    "truncated": True, "parts": [{"part": "2", "type": "docx", "name": SCRIPT + TURNED, "size": 410}]}
        if m and int(m[1]) < 100:
            return {**kept(int(m[1])), "record": RECORD}
        m = re.fullmatch(r"/kept/(release|reject|delete|request|rescan|confirm)", path)
        if m:
            if m[1] == "reject" and not body.get("reason"):
                raise Fault(400, "invalid", "a reason is needed")
            self.gone |= set(body["kids"])
            if body.get("undo"):
                return {"v": 1, "items": [{"kid": k, "ok": True, "state": "pending", "verb": m[1], "until": int(time.time() * 10**6) + 600 * 10**6} for k in body["kids"]]}
            return {"v": 1, "items": [{"kid": k, "ok": True, "state": "released"} for k in body["kids"]]}
        if path == "/kept/undo":
            self.gone -= set(body["kids"])
            return {"v": 1, "items": [{"kid": k, "ok": True, "state": "waiting"} for k in body["kids"]]}
        if path in ("/kept/approve", "/kept/deny"):
            return {"v": 1, "kid": body["kid"], "ok": True, "state": "waiting"}
        if path == "/lists" and method == "POST":
            if "@" not in body["what"] and not re.match(r"[\d.:/a-f]+$", body["what"]):
                raise Fault(400, "invalid", "“%s” is no address, domain or network" % body["what"])
            self.lists.append({**self.lists[0], **body, "number": len(self.lists), "by": me["name"]})
            return self.lists[-1]
        if path == "/lists":
            return self.page([x for x in self.lists if query.get("q", "") in x["what"]], query)
        if path.startswith("/lists/") and method == "DELETE":
            self.lists = [x for x in self.lists if str(x["number"]) != path[7:]]
            return {"v": 1}
        if path == "/incidents":
            return self.page([incident(n, query.get("state", "open")) for n in range(1, 4)], query)
        m = re.fullmatch(r"/incidents/(\d+)(/\w+)?", path)
        if m and m[2] == "/reveal":
            return {"v": 1, "id": m[1], "findings": [{"detector": "payment-card", "part": "2", "values": ["4111 1111 1111 1111", SCRIPT]}]}
        if m and m[2] == "/close":
            return {**incident(int(m[1]), "closed")}
        if m:
            return incident(int(m[1]))
        if path == "/policy":
            return {"v": 1, "hash": self.hash, "rules": [] if self.empty else [rule(n) for n in range(9)]}
        if path == "/policy/files":
            return {"v": 1, "hash": self.hash, "writable": True, "files": [{"name": "10-base.yaml", "size": 812}, {"name": "20-dlp.yaml", "size": len(RULES_TEXT)}]}
        if path.startswith("/policy/files/"):
            return {"v": 1, "name": path[14:], "text": RULES_TEXT, "hash": self.hash}
        if path == "/policy/check":
            diags = []
            for name, text in body["files"].items():
                for i, line in enumerate(text.split("\n")):
                    if "wehn" in line:
                        diags.append({"file": "policy.d/" + name, "line": i + 1, "column": line.index("wehn") + 1, "level": "error", "text": "unknown key `wehn` in a rule " + SCRIPT,
                                      "hint": "did you mean `when`?"})
            return {"v": 1, "ok": not diags, "diags": diags}
        if path == "/policy/test":
            return {"v": 1, "ok": True, "passed": 12, "failed": 0, "text": "", "diags": []}
        if path == "/policy/diff":
            return {"v": 1, "more": False, "items": [{"v": 1, "id": "cards-outside", "mode": "enforce", "was": 3, "would": 2, "newly": 0, "gone": 1, "unknown": 0},
                                                       {"v": 1, "policy": self.hash, "messages": 4810, "same": 4809, "changed": 1, "cannot_be_replayed": 0,
                                                        "newly": {"hold": 0, "release": 1}}]}
        if path == "/policy/apply":
            if body["base"] != self.hash:
                raise Fault(409, "conflict", "another policy is in force")
            self.hash = "a0b1c2d3e4f50617"
            return {"v": 1, "hash": self.hash}
        if path == "/history":
            return self.page([{"v": 1, "time": NOW, "policy": self.hash, "how": "edit", "by": "admin", "uid": 0, "commit": None, "message": SCRIPT}], query)
        if path == "/domains":
            return self.page([{"v": 1, "domain": "example.org", "deliver_to": ["10.1.2.3:25"], "recipients": "callout", "spam": "normal", "dkim": [{"selector": "gw2026"}]}], query)
        if path.endswith("/dns"):
            return self.page([{"v": 1, "topic": "spf", "name": "example.org", "type": "TXT", "value": "v=spf1 a:gw1.example.org -all", "optional": False, "seen": "v=spf1 a:gw1.example.org -all", "verdict": "ok"},
                              {"v": 1, "topic": "dkim", "name": "gw2026._domainkey.example.org", "type": "TXT", "value": "v=DKIM1; k=rsa; p=" + "A" * 360, "optional": False, "seen": None, "verdict": "missing"},
                              {"v": 1, "topic": "dmarc", "name": "_dmarc.example.org", "type": "TXT", "value": "v=DMARC1; p=none", "optional": False, "seen": SCRIPT, "verdict": "differs"}], query)
        if path.endswith("/keys"):
            return self.page([{"v": 1, "domain": "example.org", "selector": s, "algorithm": a, "state": st, "managed": True, "since": NOW, "leaves": NOW + 10**12 if st == "retired" else None, "record": "v=DKIM1; k=%s; p=" % a + "A" * 90, "trouble": None}
                              for s, a, st in (("gw2026", "rsa", "active"), ("gw2027", "ed25519", "publish"), ("gw2025", "rsa", "retired"))]
                             + [{"v": 1, "domain": "example.org", "selector": "own", "algorithm": "rsa", "state": "active", "managed": False, "since": 0, "leaves": None, "record": "", "trouble": "cannot be read " + SCRIPT}], query)
        if path.endswith("/spam"):
            return {"v": 1, "domain": "example.org", "on": not self.empty, "source": "built-in", "profile": "tag-suspects", "by": "example.org", "classes": [{"class": "spam", "tests": ">= 12", "action": "discard"}, {"class": "suspected", "tests": ">= 6, symbol " + SCRIPT, "action": "tag"},
                    {"class": "marketing", "tests": "symbol BULK", "action": "deliver"}], "checks": 61, "addresses": [{"address": "boss@example.org", "profile": "header-only"}], "addresses_more": False, "file": "policy.d/20-dlp.yaml", "line": 3}
        if path == "/probe":
            return {"v": 1, "host": body["host"], "port": body["port"], "ok": True, "error": None, "address": "10.1.2.3", "addresses": ["10.1.2.3"], "steps": [{"step": "connect", "ms": 3, "said": "220 " + SCRIPT}], "banner": "220 mx " + SCRIPT, "name": "mx", "extensions": ["SIZE 1000", SCRIPT],
                    "size": 1000, "starttls": True, "tls": "TLSv1.3", "certificate": {"subject": "CN=mx " + SCRIPT, "issuer": "CN=ca", "names": ["mx"], "not_before": NOW, "not_after": NOW + 10**13, "days": 100, "verified": False, "why": "self-signed"}, "tlsa": [], "tlsa_secure": False}
        if path.endswith("/letter"):
            return {"v": 1, "text": {"fr": "Madame, Monsieur,\n\nveuillez inscrire", "en": "Dear colleague,\n\nplease add"}[query.get("language", "en")] + " " + SCRIPT}
        if path.startswith("/domains/"):
            return {"v": 1, "domain": "example.org", "deliver_to": ["10.1.2.3:25"], "recipients": "callout", "spam": "normal", "max_size": 20000000}
        if path == "/health":
            return {"v": 1, "status": {"hostname": "gw1.example.org", "version": "0.1.0", "state": "running", "uptime": 200000, "antivirus": {"engine": "libclamav 1.4", "made": NOW // 10**6 - 7200},
                                       "queue": {"messages": 1284, "spool": {"free_bytes": 74274414592}}, "attention": [{"bad": False, "text": "2 messages wait " + SCRIPT}],
                                       "processes": [{"role": "scanner", "worker": True, "pid": 688, "state": "ready", "seconds": 90}], "counters": {"messages_received": 4}},
                    "doctor": [{"v": 1, "topic": "clock", "verdict": "note", "detail": "nobody sets it " + SCRIPT}, {"v": 1, "topic": "spf", "verdict": "wrong", "detail": "example.org missing"},
                               {"v": 1, "topic": "daemon", "verdict": "ok", "detail": "posternd is running"}]}
        if path == "/audit":
            return self.page([{"v": 1, "seq": n, "time": NOW - n * MINUTE, "who": "admin", "what": "kept.release", "subject": SCRIPT if n % 2 else ident(n), "detail": LONG if n == 3 else ""} for n in range(50)], query)
        if path == "/users" and method == "GET":
            return self.page([{"v": 1, "name": n, "roles": r, "domains": [], "addresses": [], "totp": n == "admin", "last": NOW} for n, r in ROLES.items()], query)
        if path.startswith("/users"):
            if method == "POST" and path == "/users" and body["name"] in ROLES:
                raise Fault(409, "conflict", "there is an account of this name")
            return {"v": 1, "secret": "JBSWY3DPEHPK3PXP", "uri": "otpauth://totp/Postern:x?secret=JBSWY3DPEHPK3PXP"}
        if path.startswith("/reputation/"):
            return {"v": 1, "address": path[12:], "on": True, "score": 31, "grade": "doubtful", "client": 31, "author": 50, "weight": 4,
                    "counts": {"name": path[12:], "since": NOW // 10**6 - 10**6, "messages": 412.2, "spam": 3.1}, "network": {"name": SCRIPT, "since": NOW // 10**6 - 10**6, "messages": 9000.5},
                    "domain": None, "why": ["the address " + SCRIPT + ", known for 11 days: 412 messages", "so it is doubtful: 31 of 100"]}
        raise Fault(404, "not-found", "no such thing")


if __name__ == "__main__":
    with Mock() as m:
        print(m.url, "names:", ", ".join(ROLES), "password:", PASSWORD, flush=True)
        threading.Event().wait()
