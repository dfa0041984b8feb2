"""authority.py -- certificates for tests: a CA of their own, and clients that trust it."""
import os
import ssl
import subprocess


def openssl(*args, **kw):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, **kw)


class Authority:
    """A CA of its own in a folder of the lab."""

    def __init__(self, l, name):
        self.lab, self.name = l, name
        self.pem, self.key = l.path(name + ".pem"), l.path(name + ".key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3",
                "-subj", "/CN=%s test CA" % name, "-keyout", self.key, "-out", self.pem)

    def issue(self, cn, out, days="3", start=None):
        """out.pem and out.key for the host name cn."""
        pem, key, csr = self.lab.path(out + ".pem"), self.lab.path(out + ".key"), self.lab.path(out + ".csr")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=" + cn,
                "-keyout", key, "-out", csr)
        ext = self.lab.write(out + ".ext", "subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth,clientAuth\n" % cn)
        openssl("x509", "-req", "-in", csr, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                "-extfile", ext, "-out", pem)
        os.chmod(key, 0o640)
        return pem, key


def trusting(ca):
    c = ssl.create_default_context(cafile=ca.pem)
    c.check_hostname = True
    return c
