"""oidc_provider.py -- a small provider of OpenID Connect: honest, unless a test bends one thing of it.

    p = Provider(lab, host="127.0.0.1")
    p.person = {"sub": "…", "preferred_username": "ann", "groups": ["admins"]}
    back = p.authorize(url)             # as the browser of one who is signed in there: where it is sent
    p.bend = {"claims": function}       # discovery, jwks, token, header, claims, signed, tokens: see where they are used

What was asked stands in p.server.requests. A browser may also go there itself: /authorize redirects at once.
"""
import base64
import hashlib
import json
import secrets
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from https_server import Certificates, HttpsServer

NAME = "idp.oidc.lab"
CLIENT, SECRET = "postern", "s3cret:&+ of the client"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(n):
    return b64(n.to_bytes((n.bit_length() + 7) // 8, "big"))


class Key:
    def __init__(self, kid, alg="RS256", bits=2048):
        self.kid, self.alg = kid, alg
        self.private = (rsa.generate_private_key(65537, bits) if alg in ("RS256", "PS256") else
                        ec.generate_private_key(ec.SECP256R1()) if alg == "ES256" else ed25519.Ed25519PrivateKey.generate())

    def jwk(self):
        public = self.private.public_key()
        if self.alg in ("RS256", "PS256"):
            n = public.public_numbers()
            v = {"kty": "RSA", "n": number(n.n), "e": number(n.e)}
        elif self.alg == "ES256":
            n = public.public_numbers()
            v = {"kty": "EC", "crv": "P-256", "x": b64(n.x.to_bytes(32, "big")), "y": b64(n.y.to_bytes(32, "big"))}
        else:
            v = {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))}
        return {**v, "kid": self.kid, "use": "sig"}

    def sign(self, text):
        if self.alg == "RS256":
            return self.private.sign(text, padding.PKCS1v15(), hashes.SHA256())
        if self.alg == "PS256":
            return self.private.sign(text, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
        if self.alg == "ES256":
            r, s = utils.decode_dss_signature(self.private.sign(text, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return self.private.sign(text)

    def pem(self):
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def hs256(secret, text):
    h = hmac.HMAC(secret, hashes.SHA256())
    h.update(text)
    return h.finalize()


class Provider:
    def __init__(self, lab, host="127.0.0.1", path="/realms/x"):
        self.certs = Certificates(lab, "idp")
        self.server = HttpsServer(lab, lambda name: "good", self.answer, host=host, certificates=self.certs)
        self.issuer = "https://%s:%d%s" % (NAME, self.server.port, path)
        self.path, self.codes, self.bend, self.person, self.left = path, {}, {}, {}, []
        self.keys = [Key("k1")]     # the first signs

    # -- what may be bent ------------------------------------------------------------
    def bent(self, what, value):
        return self.bend[what](value) if what in self.bend else value

    def discovery(self):
        return {"issuer": self.issuer, "authorization_endpoint": self.issuer + "/authorize", "token_endpoint": self.issuer + "/token",
                "jwks_uri": self.issuer + "/jwks", "end_session_endpoint": self.issuer + "/leave", "response_types_supported": ["code"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
                "authorization_response_iss_parameter_supported": True, "code_challenge_methods_supported": ["plain", "S256"]}

    def id_token(self, grant):
        key, now = self.keys[0], int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": grant["nonce"],
                  "at_hash": b64(hashlib.sha512(b"access").digest()[:32] if key.alg == "EdDSA" else hashlib.sha256(b"access").digest()[:16]), **self.person}
        header = self.bent("header", {"alg": key.alg, "kid": key.kid, "typ": "JWT"})
        text = b64(json.dumps(header).encode()) + "." + b64(json.dumps(self.bent("claims", claims)).encode())
        if "signed" in self.bend:
            return self.bend["signed"](text)
        return text + "." + b64(key.sign(text.encode()))

    # -- HTTP --------------------------------------------------------------------------
    def answer(self, r):
        url = urllib.parse.urlsplit(r.path)
        what = url.path[len(self.path):] if url.path.startswith(self.path + "/") else None
        if what == "/.well-known/openid-configuration":
            return self.json("discovery", self.discovery())
        if what == "/jwks":
            return self.json("jwks", {"keys": [k.jwk() for k in self.keys]})
        if what == "/token" and r.method == "POST":
            return self.token(r)
        if what == "/authorize":
            return 302, {"Location": self.authorize(r.path)}, b""
        if what == "/leave":
            q = urllib.parse.parse_qs(url.query)
            self.left.append({k: v[0] for k, v in q.items()})
            return 302, {"Location": q["post_logout_redirect_uri"][0]}, b""
        return 404, {"Content-Type": "text/plain"}, b"nothing"

    def json(self, what, value, status=200):
        value = self.bent(what, value)
        if isinstance(value, tuple) or value == "slow":
            return value
        return status, {"Content-Type": "application/json"}, value if isinstance(value, bytes) else json.dumps(value).encode()

    def authorize(self, url):
        q = {k: v[0] for k, v in urllib.parse.parse_qs(urllib.parse.urlsplit(url).query, strict_parsing=True).items()}
        assert q["response_type"] == "code" and q["client_id"] == CLIENT and "openid" in q["scope"].split() and q["code_challenge_method"] == "S256", q
        assert len(q["state"]) >= 32 and len(q["nonce"]) >= 32 and q["state"] != q["nonce"], q
        code = secrets.token_urlsafe(32)
        self.codes[code] = {**q, "used": False}
        return q["redirect_uri"] + "?" + urllib.parse.urlencode({"code": code, "state": q["state"], "iss": self.issuer})

    def token(self, r):
        form = {k: v[0] for k, v in urllib.parse.parse_qs(r.body.decode(), strict_parsing=True).items()}
        basic = r.headers.get("Authorization", "")
        if basic.startswith("Basic "):
            name, secret = (urllib.parse.unquote_plus(x) for x in base64.b64decode(basic[6:]).decode().split(":"))
        else:
            name, secret = form.get("client_id"), form.get("client_secret")
        grant = self.codes.get(form.get("code"))
        if (name, secret) != (CLIENT, SECRET):
            return self.json("tokens", {"error": "invalid_client"}, 401)
        if (form.get("grant_type") != "authorization_code" or grant is None or grant["used"] or form.get("redirect_uri") != grant["redirect_uri"] or
                b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest()) != grant["code_challenge"]):
            return self.json("tokens", {"error": "invalid_grant"}, 400)
        grant["used"] = True
        return self.json("tokens", {"access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": self.id_token(grant)})

    def asked(self, what):
        return [r for r in self.server.requests if urllib.parse.urlsplit(r.path).path == self.path + what]
