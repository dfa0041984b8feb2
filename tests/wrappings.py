"""wrappings.py -- a file in every wrapping that mail has known; each function returns bytes.

Encoders written from the formats' descriptions, or Python's own where it has them.
"""
import base64
import binascii
import quopri
import struct
import zlib

CRLF = b"\r\n"


def lines(data, width=76):
    return CRLF.join(data[i:i + width] for i in range(0, len(data), width)) + CRLF


def b64(data, width=76):
    return lines(base64.b64encode(data), width)


def qp(data):
    """Every byte escaped, soft line breaks."""
    return b"=\r\n".join(b"".join(b"=%02X" % c for c in data[i:i + 24]) for i in range(0, len(data), 24)) + CRLF


def qp_usual(data):
    return quopri.encodestring(data).replace(b"\n", CRLF) + CRLF


def uu(data, name="file.bin"):
    return b"begin 644 %s\r\n" % name.encode() + b"".join(
        binascii.b2a_uu(data[i:i + 45]).replace(b"\n", CRLF) for i in range(0, len(data), 45)) + b"`\r\nend\r\n"


def uu_base64(data, name="file.bin"):
    return b"begin-base64 644 %s\r\n" % name.encode() + b64(data) + b"====\r\n"


def yenc(data, name="file.bin"):
    out = b""
    for c in data:
        c = (c + 42) & 255
        out += bytes([61, (c + 64) & 255]) if c in (0, 10, 13, 61) else bytes([c])
    return b"=ybegin line=128 size=%d name=%s\r\n" % (len(data), name.encode()) + lines(out, 128) + \
        b"=yend size=%d crc32=%08x\r\n" % (len(data), zlib.crc32(data))


def binhex(data, name="file.bin"):
    alphabet = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
    crc = lambda b: struct.pack(">H", binascii.crc_hqx(b, 0))
    head = bytes([len(name)]) + name.encode() + b"\0BINAhack\0\0" + struct.pack(">II", len(data), 0)
    raw = (head + crc(head) + data + crc(data) + crc(b"")).replace(b"\x90", b"\x90\0")
    bits = "".join("{:08b}".format(c) for c in raw)
    bits += "0" * (-len(bits) % 6)
    enc = bytes(alphabet[int(bits[i:i + 6], 2)] for i in range(0, len(bits), 6))
    return b"(This file must be converted with BinHex 4.0)\r\n\r\n:" + lines(enc, 64).rstrip() + b":\r\n"


# --- winmail.dat: [MS-OXTNEF] --------------------------------------------------------------------

TNEF = struct.pack("<IH", 0x223e9f78, 1)


def attribute(level, id, data):
    return struct.pack("<BII", level, id, len(data)) + data + struct.pack("<H", sum(data) & 0xffff)


def prop(id, kind, data):
    return struct.pack("<HHII", kind, id, 1, len(data)) + data + bytes(-len(data) % 4)


def tnef(files=(), body=None, messages=()):
    out = TNEF + attribute(1, 0x00069007, struct.pack("<II", 1252, 0))
    if body is not None:
        out += attribute(1, 0x00069003, struct.pack("<I", 1) + prop(0x1000, 0x1f, (body + "\0").encode("utf-16le")))
    rend = attribute(2, 0x00069002, b"\1\0" + bytes(12))
    for name, data in files:
        out += rend + attribute(2, 0x00018010, name.encode() + b"\0") + attribute(2, 0x0006800f, data)
    for inner in messages:
        out += rend + attribute(2, 0x00069005, struct.pack("<I", 1) +
                                prop(0x3701, 0x0d, bytes.fromhex("0703020000000000c000000000000046") + inner))
    return out


# --- MIME ------------------------------------------------------------------------------------------


def part(body, type="application/octet-stream", encoding="base64", extra=""):
    head = "Content-Type: %s\r\n" % type
    if encoding:
        head += "Content-Transfer-Encoding: %s\r\n" % encoding
    return (head + extra + "\r\n").encode() + body


def multi(kind, *parts, boundary="=_b", preamble=b"", epilogue=b"", close=True, more=""):
    out = ("Content-Type: multipart/%s; boundary=\"%s\"%s\r\n\r\n" % (kind, boundary, more)).encode() + preamble
    for p in parts:
        out += b"--" + boundary.encode() + CRLF + p.rstrip(b"\r\n") + CRLF
    return out + (b"--" + boundary.encode() + b"--\r\n" if close else b"") + epilogue


def mail(rest, subject="s"):
    return b"From: a@example.lab\r\nTo: b@partner.lab\r\nSubject: " + subject.encode() + \
        b"\r\nMIME-Version: 1.0\r\n" + rest
