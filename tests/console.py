"""console.py -- a console under test, and a browser without pages: sessions over TLS."""
import http.client
import json
import os
import ssl
import subprocess

import lab

PASSWORD = "correct horse battery"


def certificate(l):
    """gw.pem and gw.key of `localhost`, in the lab's folder."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", l.path("gw.key"), "-out", l.path("gw.pem")],
                   check=True, capture_output=True)


def add_user(l, name, *options, password=PASSWORD):
    """`postern users add`, as on the machine."""
    r = subprocess.run([os.path.join(lab.BUILD, "postern"), "-c", l.path("postern.yaml"), "users", "add", name, *options],
                       input=password + "\n", capture_output=True, text=True)
    if r.returncode:
        raise lab.LabError("users add %s: %s%s" % (name, r.stdout, r.stderr))


class Browser:
    """One person's session: keeps the cookie and the token, one connection for each request unless kept."""

    def __init__(self, port, ca, host="localhost"):
        self.port, self.host = port, host
        self.tls = ssl.create_default_context(cafile=ca)
        self.cookie = self.csrf = None
        self.headers = None

    def connect(self):
        return http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=60)

    def raw(self, method, target, body=None, headers=None, connection=None):
        """(status, headers, bytes)"""
        c = connection or self.connect()
        try:
            c.request(method, target, body, headers or {})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            if connection is None:
                c.close()

    def ask(self, method, path, body=None, csrf=True, **headers):
        """(status, object) of the API; cookies are kept as a browser does."""
        h = {k.replace("_", "-"): v for k, v in headers.items()}
        if self.cookie:
            h["Cookie"] = "postern_session=" + self.cookie
        if csrf and self.csrf and method not in ("GET", "HEAD"):
            h["X-Postern-CSRF"] = self.csrf
        if body is not None:
            body = json.dumps(body)
            h.setdefault("Content-Type", "application/json")
        status, self.headers, data = self.raw(method, "/api/v1" + path, body, h)
        for c in self.headers.get_all("Set-Cookie") or []:
            if c.startswith("postern_session="):
                self.cookie = c.split(";")[0].split("=", 1)[1] or None
        if "json" not in (self.headers.get("Content-Type") or ""):
            raise lab.LabError("%s %s: %d %s %r" % (method, path, status, self.headers.get("Content-Type"), data[:200]))
        return status, json.loads(data) if data else {}

    def sign_in(self, name, password=PASSWORD, **more):
        status, o = self.ask("POST", "/session", {"name": name, "password": password, **more})
        if status == 200:
            self.csrf = o["csrf"]
        return status, o
