"""locked.py -- files under a password, written from the descriptions of their formats.

What no free program writes: RAR 4 and 5 (technotes), OOXML in OLE2 (MS-OFFCRYPTO 2.3.4). The tests have each
of them opened by an independent reader (7z, msoffcrypto) before Postern is asked.
"""
import base64
import hashlib
import hmac
import os
import struct
import zlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import documents as d


def cbc(key, iv, data):
    c = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return c.update(data + bytes(-len(data) % 16)) + c.finalize()


def ecb(key, data):
    c = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return c.update(data + bytes(-len(data) % 16)) + c.finalize()


# --- RAR 4 ---------------------------------------------------------------------------------------


def rar4_key(password, salt):
    raw, h, iv = password.encode("utf-16le") + salt, hashlib.sha1(), b""
    for i in range(0x40000):
        h.update(raw + struct.pack("<I", i)[:3])
        if i % 0x4000 == 0:
            iv += h.copy().digest()[19:20]
    words = struct.unpack(">4I", h.digest()[:16])
    return struct.pack("<4I", *words), iv


def rar4(members, password, names=False):
    salt = b"saltsalt"
    key, iv = rar4_key(password, salt)

    def block(kind, flags, body, first=False):
        raw = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        raw = struct.pack("<H", zlib.crc32(raw) & 0xffff) + raw
        return raw if first or not names else salt + cbc(key, iv, raw)
    out = b"Rar!\x1a\x07\x00" + block(0x73, 0x80 if names else 0, bytes(6), True)
    for name, data in members.items():
        n, locked = name.encode(), cbc(key, iv, data)
        out += block(0x74, 0x8404, struct.pack("<IIBIIBBHI", len(locked), len(data), 2, zlib.crc32(data), 0x5a210000,
                                               29, 0x30, len(n), 0x20) + n + salt) + locked
    return out + block(0x7b, 0x4000, b"")


# --- RAR 5 ---------------------------------------------------------------------------------------


def rar5(members, password, names=False, power=15, tweaked=True, checked=True):
    salt, iv, pw = b"sixteen bytes ok", b"another sixteen.", password.encode()
    key = hashlib.pbkdf2_hmac("sha256", pw, salt, 1 << power)
    mix = hashlib.pbkdf2_hmac("sha256", pw, salt, (1 << power) + 16)
    full = hashlib.pbkdf2_hmac("sha256", pw, salt, (1 << power) + 32)
    check = bytes(full[i] ^ full[i + 8] ^ full[i + 16] ^ full[i + 24] for i in range(8))
    check += hashlib.sha256(check).digest()[:4]

    def block(kind, flags, body, data=b"", extra=b"", first=False):
        flags |= (1 if extra else 0) | (2 if data else 0)
        head = d.vint(kind) + d.vint(flags) + (d.vint(len(extra)) if extra else b"") + (d.vint(len(data)) if data else b"")
        head = d.vint(len(head + body + extra)) + head + body + extra
        head = struct.pack("<I", zlib.crc32(head)) + head
        return (head if first or not names else iv + cbc(key, iv, head)) + data
    out = b"Rar!\x1a\x07\x01\x00"
    if names:
        out += block(4, 0, d.vint(0) + d.vint(1) + bytes([power]) + salt + check, first=True)
    out += block(1, 0, d.vint(0))
    for name, data in members.items():
        n, sum_ = name.encode(), zlib.crc32(data)
        if tweaked:
            m = hmac.new(mix, struct.pack("<I", sum_), hashlib.sha256).digest()
            sum_ = 0
            for w in struct.unpack("<8I", m):
                sum_ ^= w
        record = d.vint(1) + d.vint(0) + d.vint((1 if checked else 0) | (2 if tweaked else 0)) + bytes([power]) + salt + iv
        record += check if checked else b""
        out += block(2, 0, d.vint(4) + d.vint(len(data)) + d.vint(0x20) + struct.pack("<I", sum_) + d.vint(0) + d.vint(1) +
                     d.vint(len(n)) + n, cbc(key, iv, data), d.vint(len(record)) + record)
    return out + block(5, 0, d.vint(0))


# --- OOXML in OLE2 -------------------------------------------------------------------------------


def ole2_package(info, package):
    return d.cfb({"EncryptionInfo": info, "EncryptedPackage": package})


def ooxml_standard(data, password):
    salt = b"0123456789abcdef"
    h = hashlib.sha1(salt + password.encode("utf-16le")).digest()
    for i in range(50000):
        h = hashlib.sha1(struct.pack("<I", i) + h).digest()
    h = hashlib.sha1(h + bytes(4)).digest()
    key = hashlib.sha1(bytes(b ^ 0x36 for b in h.ljust(64, b"\0"))).digest()[:16]
    proof = b"sixteen random.."
    name = "Microsoft Enhanced RSA and AES Cryptographic Provider\0".encode("utf-16le")
    header = struct.pack("<IIIIIIII", 0x24, 0, 0x660e, 0x8004, 128, 0x18, 0, 0) + name
    info = struct.pack("<HHII", 3, 2, 0x24, len(header)) + header
    info += struct.pack("<I", 16) + salt + ecb(key, proof) + struct.pack("<I", 20) + ecb(key, hashlib.sha1(proof).digest())
    return ole2_package(info, struct.pack("<Q", len(data)) + ecb(key, data))


def ooxml_agile(data, password, spin=100000, hash_="SHA512", bits=256, spin_text=None):
    new = {"SHA512": hashlib.sha512, "SHA384": hashlib.sha384, "SHA256": hashlib.sha256, "SHA1": hashlib.sha1}[hash_]
    salt, data_salt, secret, proof = b"sixteen bytes: a", b"sixteen bytes: b", os.urandom(bits // 8), b"sixteen bytes: c"
    h = new(salt + password.encode("utf-16le")).digest()
    for i in range(spin):
        h = new(struct.pack("<I", i) + h).digest()

    def hide(block, what):
        return base64.b64encode(cbc(new(h + bytes.fromhex(block)).digest().ljust(bits // 8, b"\x36")[:bits // 8], salt, what)).decode()
    package = b"".join(cbc(secret, new(data_salt + struct.pack("<I", i // 4096)).digest()[:16], data[i:i + 4096])
                       for i in range(0, len(data), 4096))
    common = 'saltSize="16" blockSize="16" keyBits="%d" hashSize="%d" cipherAlgorithm="AES" cipherChaining="ChainingModeCBC" hashAlgorithm="%s"' % (
        bits, new().digest_size, hash_)
    info = struct.pack("<HHI", 4, 4, 0x40) + (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n<encryption xmlns="http://schemas.microsoft.com/office/2006/encryption" '
        'xmlns:p="http://schemas.microsoft.com/office/2006/keyEncryptor/password"><keyData %s saltValue="%s"/>'
        '<dataIntegrity encryptedHmacKey="" encryptedHmacValue=""/><keyEncryptors><keyEncryptor uri="http://schemas.microsoft.com/office/2006/'
        'keyEncryptor/password"><p:encryptedKey spinCount="%s" %s saltValue="%s" encryptedVerifierHashInput="%s" encryptedVerifierHashValue="%s" '
        'encryptedKeyValue="%s"/></keyEncryptor></keyEncryptors></encryption>' % (
            common, base64.b64encode(data_salt).decode(), spin_text or spin, common, base64.b64encode(salt).decode(),
            hide("fea7d2763b4b9e79", proof), hide("d7aa0f6d3061344e", new(proof).digest()), hide("146e0be7abacd0d6", secret))).encode()
    return ole2_package(info, struct.pack("<Q", len(data)) + package)


# --- binary Excel, RC4 of CryptoAPI (MS-OFFCRYPTO 2.3.5) --------------------------------------------


def xls_cryptoapi(file, password, bits=128):
    import olefile
    with olefile.OleFileIO(file) as o:
        s = o.openstream("Workbook").read()
    salt, proof = b"0123456789abcdef", b"sixteen random.."
    h = hashlib.sha1(salt + password.encode("utf-16le")).digest()

    def rc4(block, data):
        key = hashlib.sha1(h + struct.pack("<I", block)).digest()[:bits // 8]
        c = Cipher(algorithms.ARC4(key + bytes(11) if bits == 40 else key), None).encryptor()
        return c.update(data)
    both = rc4(0, proof + hashlib.sha1(proof).digest())
    header = struct.pack("<IIIIIIII", 4, 0, 0x6801, 0x8004, bits, 1, 0, 0) + "Microsoft Enhanced Cryptographic Provider v1.0\0".encode("utf-16le")
    pass_ = struct.pack("<HHHII", 1, 2, 2, 4, len(header)) + header + struct.pack("<I", 16) + salt + both[:16] + struct.pack("<I", 20) + both[16:]
    pass_ = d.record(0x2f, pass_)
    out, plain, at, first = bytearray(), [], 0, True
    while at + 4 <= len(s):
        kind, n = struct.unpack_from("<HH", s, at)
        body = s[at + 4:at + 4 + n]
        if kind == 0x85:        # where the sheet begins, which has moved
            body = struct.pack("<I", struct.unpack_from("<I", body)[0] + len(pass_)) + body[4:]
        plain.append((len(out), 4 + (n if kind == 0x809 else 4 if kind == 0x85 else 0)))
        out += s[at:at + 4] + body
        if first:
            plain.append((len(out), len(pass_)))
            out += pass_
            first = False
        at += 4 + n
    locked = bytearray(b"".join(rc4(i // 1024, bytes(out[i:i + 1024])) for i in range(0, len(out), 1024)))
    for a, n in plain:
        locked[a:a + n] = out[a:a + n]
    return d.cfb({"Workbook": bytes(locked)})
