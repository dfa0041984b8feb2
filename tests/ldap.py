"""ldap.py -- a slapd of its own on loopback, with a small organisation in it.

people:  ann (doctor, password "ann's password"), bob (no group), eve (whose address is hostile)
groups:  Doctors {ann}, Clinic {Doctors}, Hospital {Clinic}: nested; Ring1 {Ring2}, Ring2 {Ring1, bob}
"""
import contextlib
import os
import socket
import subprocess
import threading

from lab import LabError, free_port, wait_port

BASE = "dc=example,dc=lab"
BINDER = "cn=postern," + BASE
SECRET = "binder's secret"


def person(uid, mail, password=None, **more):
    lines = ["dn: uid=%s,ou=people,%s" % (uid, BASE), "objectClass: inetOrgPerson", "uid: " + uid, "cn: " + uid, "sn: " + uid,
             "mail: " + mail]
    if more:
        lines.insert(2, "objectClass: inetLocalMailRecipient")
        lines += ["%s: %s" % (k, x) for k, v in more.items() for x in (v if isinstance(v, list) else [v])]
    return "\n".join(lines + (["userPassword: " + password] if password else []))


def group(name, *members):
    return "\n".join(["dn: cn=%s,ou=groups,%s" % (name, BASE), "objectClass: groupOfNames", "cn: " + name,
                      *("member: " + m for m in members)])


def user_dn(uid):
    return "uid=%s,ou=people,%s" % (uid, BASE)


def group_dn(name):
    return "cn=%s,ou=groups,%s" % (name, BASE)


class Slapd:
    def __init__(self, lab, name="slapd", tls=None, entries=(), people=True):
        """tls: (chain, key): StartTLS, and ldaps on self.tls_port."""
        self.lab, self.name, self.port, self.tls_port = lab, name, free_port(), free_port()
        self.proc = None
        for d in ("db", "run"):
            os.makedirs(lab.path(name, d), exist_ok=True)
        schema = ["core", "cosine", "inetorgperson", "misc"]
        self.conf = lab.write(name + "/slapd.conf", "\n".join(
            ["include /etc/ldap/schema/%s.schema" % s for s in schema] +
            ["modulepath /usr/lib/ldap", "moduleload back_mdb", "pidfile " + lab.path(name, "run", "pid")] +
            (["TLSCertificateFile " + tls[0], "TLSCertificateKeyFile " + tls[1]] if tls else []) +
            ["database mdb", "maxsize 50000000", 'suffix "%s"' % BASE, 'rootdn "cn=admin,%s"' % BASE, "rootpw admin",
             "directory " + lab.path(name, "db"), "index objectClass,uid,mail,member eq",
             'access to attrs=userPassword by anonymous auth by * none',
             'access to * by dn.exact="%s" read by anonymous auth by * none' % BINDER]) + "\n")
        data = ["dn: %s\nobjectClass: dcObject\nobjectClass: organization\no: lab\ndc: example" % BASE,
                "dn: %s\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: postern\nuserPassword: %s"
                % (BINDER, SECRET),
                *("dn: ou=%s,%s\nobjectClass: organizationalUnit\nou: %s" % (ou, BASE, ou) for ou in ("people", "groups"))]
        if people:
            data += [person("ann", "ann@example.lab", "ann's password"), person("bob", "bob@example.lab", "bob's password"),
                     group("Doctors", user_dn("ann")), group("Clinic", group_dn("Doctors")),
                     group("Hospital", group_dn("Clinic")), group("Ring1", group_dn("Ring2")),
                     group("Ring2", group_dn("Ring1"), user_dn("bob"))]
        ldif = lab.write(name + "/data.ldif", "\n\n".join(data + list(entries)) + "\n")
        r = subprocess.run(["/usr/sbin/slapadd", "-f", self.conf, "-l", ldif], capture_output=True, text=True)
        if r.returncode:
            raise LabError("slapadd: " + r.stdout + r.stderr)
        self.tls = tls
        self.start()

    def start(self):
        urls = "ldap://127.0.0.1:%d" % self.port
        if self.tls:
            urls += " ldaps://127.0.0.1:%d" % self.tls_port
        self.proc = self.lab.start(["/usr/sbin/slapd", "-f", self.conf, "-h", urls, "-d", "0"], self.name + ".log")
        wait_port("127.0.0.1", self.port, self.proc, self.proc.log)

    def stop(self):
        self.lab.procs.remove(self.proc)
        self.proc.stop()

    def modify(self, ldif):
        r = subprocess.run(["ldapmodify", "-x", "-H", "ldap://127.0.0.1:%d" % self.port, "-D", "cn=admin," + BASE, "-w", "admin"],
                           input=ldif, capture_output=True, text=True, env={**os.environ, "LDAPNOINIT": "1"})
        if r.returncode:
            raise LabError("ldapmodify: " + r.stderr)

    def add_member(self, name, dn):
        self.modify("dn: %s\nchangetype: modify\nadd: member\nmember: %s\n" % (group_dn(name), dn))

    def config(self, **more):
        """This server as a directory of postern.yaml."""
        self.lab.write("ldap.pw", SECRET + "\n")
        os.chmod(self.lab.path("ldap.pw"), 0o600)
        return {"servers": ["ldap://127.0.0.1:%d" % self.port], "base": BASE, "bind": BINDER, "password_file": "ldap.pw",
                "timeout": "2s", **more}


class Silent:
    """Takes connections, reads, and says nothing."""

    def __init__(self, lab):
        self.s = socket.socket()
        self.s.bind(("127.0.0.1", 0))
        self.s.listen(64)
        self.port, self.held = self.s.getsockname()[1], []
        threading.Thread(target=self.run, daemon=True).start()
        lab.closers.append(self.close)

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                self.held.append(self.s.accept()[0])

    def close(self):
        for c in [self.s, *self.held]:
            c.close()
