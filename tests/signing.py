"""signing.py -- DKIM signatures made by hand from RFC 6376, so that each can be wrong in one way.

Not a library's signer: what is verified here is not what we or libopendkim would have made.
"""
import base64
import hashlib
import re
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

FIELDS = ["from", "to", "subject", "date", "message-id"]


def new_key(bits=2048):
    """bits 0: Ed25519."""
    return rsa.generate_private_key(65537, bits) if bits else ed25519.Ed25519PrivateKey.generate()


def record(key, extra="", bare=False):
    """The TXT record's text. bare: the RSAPublicKey of RFC 6376's words, not what the world publishes."""
    public = key.public_key()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return "v=DKIM1; k=ed25519; %sp=%s" % (extra, base64.b64encode(raw).decode())
    form = serialization.PublicFormat.PKCS1 if bare else serialization.PublicFormat.SubjectPublicKeyInfo
    return "v=DKIM1; k=rsa; %sp=%s" % (extra, base64.b64encode(public.public_bytes(serialization.Encoding.DER, form)).decode())


def txt(name, text):
    """A line of a zone; the text in strings of 200."""
    return "%s TXT %s" % (name, " ".join('"%s"' % text[i:i + 200] for i in range(0, len(text), 200)))


def relaxed_field(f):
    name, value = f.split(":", 1)
    return name.strip().lower() + ":" + re.sub(r"[ \t]+", " ", value.replace("\r\n", "")).strip()


def canonical(body, relaxed):
    if relaxed:
        body = re.sub(rb"[ \t]+(?=\r\n|$)", b"", re.sub(rb"[ \t]+", b" ", body))
    body = re.sub(rb"(\r\n)+$", b"", body)
    return body + b"\r\n" if body or not relaxed else b""


def fields_of(raw):
    head, _, body = raw.partition(b"\r\n\r\n")
    return re.split(r"\r\n(?![ \t])", head.decode("latin-1")), body


def sign(raw, key, domain, selector, tags=(), names=FIELDS, canon="relaxed/relaxed", length=None, header="DKIM-Signature",
         after=None, algorithm=None):
    """The message with a signature on top. tags: {name: text}, put in the place of ours; None leaves one out.
    after: made of the field once it is signed."""
    fields, body = fields_of(raw)
    header_canon, body_canon = canon.split("/")
    body = canonical(body, body_canon == "relaxed")
    if length is not None:
        body = body[:length]
    ed = isinstance(key, ed25519.Ed25519PrivateKey)
    digest = "sha1" if algorithm == "rsa-sha1" else "sha256"
    t = {"v": "1", "a": algorithm or ("ed25519-sha256" if ed else "rsa-sha256"), "c": canon, "d": domain, "s": selector,
         "t": str(int(time.time())), "h": ":".join(names), "bh": base64.b64encode(hashlib.new(digest, body).digest()).decode()}
    if length is not None:
        t["l"] = str(length)
    t.update(dict(tags))
    own = header + ": " + ";\r\n\t".join("%s=%s" % kv for kv in t.items() if kv[1] is not None) + ";\r\n\tb="
    hashed, left = [], [(f.split(":")[0].strip().lower(), f) for f in fields]
    for n in names:
        for i in range(len(left) - 1, -1, -1):
            if left[i][0] == n.lower():
                hashed.append(left.pop(i)[1])
                break
    relax = relaxed_field if header_canon == "relaxed" else (lambda f: f)
    data = "".join(relax(f) + "\r\n" for f in hashed) + relax(own)
    b = base64.b64encode(raw_sign(key, data.encode("latin-1"), digest)).decode()
    own += "\r\n\t ".join(b[i:i + 70] for i in range(0, len(b), 70))
    return (after(own) if after else own).encode("latin-1") + b"\r\n" + raw


def raw_sign(key, data, digest="sha256"):
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(hashlib.sha256(data).digest())
    return key.sign(data, padding.PKCS1v15(), hashes.SHA1() if digest == "sha1" else hashes.SHA256())
