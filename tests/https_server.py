"""https_server.py -- an HTTPS server for many names, each with the certificate and the manners the test wants.

    server = HttpsServer(lab, kind=lambda host: "good", answer=function, host="127.0.9.200")

kind(host) names the certificate: good, wrong-name, expired, self-signed, cn-only. answer(request) returns
(status, {header: value}, body), or "slow" (nothing is answered until the client leaves). What was asked
stands in .requests as Request(host, method, path, headers, body); server.ca is the authority's PEM file.
"""
import collections
import datetime
import http.server
import os
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Request = collections.namedtuple("Request", "host method path headers body")
DAY = datetime.timedelta(days=1)


def pem(c):
    return c.public_bytes(serialization.Encoding.PEM)


class Certificates:
    """An authority of its own, and leaves of every kind."""

    def __init__(self, lab, name="web"):
        self.lab, self.name = lab, name
        self.now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        self.ca, self.key = self.make("Lab %s authority" % name, None, None, [], self.now - 30 * DAY, self.now + 30 * DAY, True)
        self.pem = lab.write("tls/%s-roots.pem" % name, pem(self.ca))

    def make(self, cn, issuer, issuer_key, names, start, end, ca=False):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
        b = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject)
             .public_key(key.public_key()).serial_number(x509.random_serial_number())
             .not_valid_before(start).not_valid_after(end)
             .add_extension(x509.BasicConstraints(ca=ca, path_length=None), True))
        if names:
            b = b.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        return b.sign(issuer_key or key, hashes.SHA256()), key

    def issue(self, kind, names, out):
        """(chain, key, certificate): files, and the object."""
        start, end, signed = self.now - DAY, self.now + DAY, kind != "self-signed"
        cn = names[0][:60] if kind == "cn-only" else "server " + kind
        if kind == "expired":
            start, end = self.now - 20 * DAY, self.now - 10 * DAY
        cert, key = self.make(cn, self.ca.subject if signed else None, self.key if signed else None,
                              [] if kind == "cn-only" else ["other.lab"] if kind == "wrong-name" else names, start, end)
        chain = self.lab.write("tls/%s.pem" % out, pem(cert) + (pem(self.ca) if signed else b""))
        k = self.lab.write("tls/%s.key" % out, key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        os.chmod(k, 0o640)
        return chain, k, cert


class HttpsServer:
    def __init__(self, lab, kind, answer, host="127.0.0.1", port=0, certificates=None):
        server = self
        self.kind, self.answer, self.requests, self.lock = kind, answer, [], threading.Condition()
        self.certs = certificates or Certificates(lab)
        self.ca = self.certs.pem
        self.contexts = {}
        self.leaving = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                self.request.do_handshake()
                super().setup()

            def log_message(self, *args):
                pass

            def do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                r = Request(self.headers["Host"].split(":")[0], self.command, self.path, dict(self.headers), body)
                with server.lock:
                    server.requests.append(r)
                    server.lock.notify_all()
                a = server.answer(r)
                if a == "slow":
                    self.request.settimeout(120)
                    self.rfile.read(1)
                    self.close_connection = True
                    return
                status, headers, text = a
                self.send_response(status)
                for k, v in {"Content-Length": str(len(text)), **headers}.items():
                    if v is not None:
                        self.send_header(k, v)
                self.end_headers()
                self.wfile.write(text)
            do_GET = do_POST = do

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, allow_reuse_address, request_queue_size = True, True, 512

            def get_request(self):
                s, a = super().get_request()
                return server.default.wrap_socket(s, server_side=True, do_handshake_on_connect=False), a

            def handle_error(self, request, address):
                pass

        self.default = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.default.load_cert_chain(*self.certs.issue("good", ["default.lab"], "https-default")[:2])
        self.default.sni_callback = self.choose
        self.server = Server((host, port), Handler)
        self.host, self.port = self.server.server_address
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        lab.closers.append(self.close)

    def choose(self, sock, name, context):
        if name is None:
            return
        with self.lock:
            c = self.contexts.get(name)
            if c is None:
                c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                c.load_cert_chain(*self.certs.issue(self.kind(name), [name], "https-" + name)[:2])
                self.contexts[name] = c
        sock.context = c

    def asked(self, host):
        with self.lock:
            return [r for r in self.requests if r.host == host]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
