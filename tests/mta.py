"""mta.py -- Exim, OpenSMTPD and Sendmail for tests, unpacked rather than installed.

Debian lets one mail server be installed at a time, and that is Postfix here. The others
are fetched with apt, unpacked into a cache and started in a mount namespace of their
own, where the accounts and folders their programs insist on exist; the machine
outside sees nothing of it. Needs root, as the other daemons of the tests do. The libraries
they need are in tests/deps.

Each takes mail for every domain on a port of its own and passes it on to another port.
"""
import contextlib
import glob
import os
import shutil
import subprocess
import tempfile

import lab

CACHE = os.environ.get("MTA_CACHE", os.path.join(lab.BUILD, "mta"))

# Run by sh in the namespace; $1 is the folder prepared below, the rest the daemon. /var/spool,
# /var/lib and the others are folders of the lab then: nothing else runs in there.
NAMESPACE = """set -e
dir=$1; shift
for f in passwd group hosts resolv.conf; do
	[ ! -e "$dir/etc/$f" ] || mount --bind "$dir/etc/$f" "/etc/$f"
done
for d in run var/lib var/spool usr/libexec; do
	[ ! -d "$dir/$d" ] || mount --bind "$dir/$d" "/$d"
done
exec "$@"
"""
ACCOUNTS = ["Debian-exim", "opensmtpd", "opensmtpq"]


def unpack(package):
    """The folder with the package's files; fetched at most once for each build folder."""
    to = os.path.join(CACHE, package)
    if os.path.isdir(to):
        return to
    os.makedirs(CACHE, exist_ok=True)
    # A name apt's own user may enter, or it warns about every download.
    with tempfile.TemporaryDirectory(prefix="postern-mta-") as tmp:
        os.chmod(tmp, 0o777)
        get = ["apt-get", "-q", "download", package]
        r = subprocess.run(get, cwd=tmp, capture_output=True, text=True)
        if r.returncode:        # the lists are missing or old
            subprocess.run(["apt-get", "-q", "update"], capture_output=True)
            r = subprocess.run(get, cwd=tmp, capture_output=True, text=True)
        debs = glob.glob(os.path.join(tmp, "*.deb"))
        if r.returncode or len(debs) != 1:
            raise lab.LabError("apt-get download %s: %s%s" % (package, r.stdout, r.stderr))
        subprocess.run(["dpkg", "-x", debs[0], os.path.join(tmp, "files")], check=True)
        with contextlib.suppress(FileExistsError):
            os.rename(shutil.move(os.path.join(tmp, "files"), to + ".%d" % os.getpid()), to)
    return to


def house(l, name):
    """A folder for one daemon with the accounts of all of them; {account: uid}."""
    ids = {}
    for f, line in (("passwd", "%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\n"), ("group", "%s:x:%d:\n")):
        with open("/etc/" + f) as h:
            text = h.read()
        for i, account in enumerate(ACCOUNTS):
            ids[account] = 64990 + i
            if not any(x.startswith(account + ":") for x in text.splitlines()):
                text += line % ((account,) + (ids[account],) * line.count("%d"))
        l.write("%s/etc/%s" % (name, f), text)
    os.chmod(l.path(name), 0o755)
    return ids


def begin(l, name, port, argv):
    p = l.start(["unshare", "--mount", "--propagation", "private", "sh", "-c", NAMESPACE, "sh", l.path(name), *argv],
                name + ".log")
    lab.wait_port("127.0.0.1", port, p, p.log)
    return port


def exim(l, name, to, extra="", tls=None):
    """Debian's Exim as a relay to 127.0.0.1:to; its port. tls: (chain, key) to offer STARTTLS with."""
    port, ids, base = lab.free_port(), house(l, name), l.path(name)
    uid = ids["Debian-exim"]
    for d in ("spool", "log"):
        os.makedirs(os.path.join(base, d))
        os.chown(os.path.join(base, d), uid, uid)
    conf = l.write(name + "/exim.conf", """
primary_hostname = %(name)s.lab
spool_directory = %(base)s/spool
log_file_path = %(base)s/log/%%slog
pid_file_path = %(base)s/spool/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = %(port)d
tls_advertise_hosts = %(tls)s
host_lookup =
rfc1413_query_timeout = 0s
queue_run_in_order
deliver_drop_privilege
acl_smtp_rcpt = acl_rcpt
acl_smtp_data = acl_data
%(extra)s
begin acl
acl_rcpt:
  accept
acl_data:
  accept
begin routers
onward:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = onward
begin transports
onward:
  driver = smtp
  port = %(to)d
  allow_localhost
  hosts_try_fastopen =
begin retry
* * F,1h,1s
""" % {"name": name, "base": base, "port": port, "to": to, "extra": extra,
       "tls": "*\ntls_certificate = %s\ntls_privatekey = %s" % tls if tls else ""})
    os.chmod(conf, 0o644)
    binary = os.path.join(unpack("exim4-daemon-light"), "usr/sbin/exim4")
    return begin(l, name, port, [binary, "-bdf", "-q1s", "-C", conf])


def opensmtpd(l, name, to):
    """Debian's OpenSMTPD as a relay to 127.0.0.1:to; its port."""
    port, ids, base = lab.free_port(), house(l, name), l.path(name)
    files = unpack("opensmtpd")
    for d in ("run", "var/spool/smtpd", "var/lib/opensmtpd/empty"):
        os.makedirs(os.path.join(base, d))
    # What the package's own installation would have made of them.
    os.chmod(os.path.join(base, "var/spool/smtpd"), 0o711)
    for d, mode, owner, group in (("offline", 0o770, 0, ids["opensmtpq"]), ("purge", 0o700, ids["opensmtpq"], 0),
                                  ("queue", 0o700, ids["opensmtpq"], 0)):
        p = os.path.join(base, "var/spool/smtpd", d)
        os.makedirs(p)
        os.chown(p, owner, group)
        os.chmod(p, mode)
    shutil.copytree(os.path.join(files, "usr/libexec"), os.path.join(base, "usr/libexec"))
    conf = l.write(name + "/smtpd.conf", """
listen on 127.0.0.1 port %d hostname %s.lab
action "onward" relay host "smtp://127.0.0.1:%d"
match from any for any action "onward"
""" % (port, name, to))
    os.chmod(conf, 0o600)
    return begin(l, name, port, [os.path.join(files, "usr/sbin/smtpd"), "-d", "-f", conf])


def sendmail(l, name, to, mc, extra=()):
    """Debian's sendmail as a relay to 127.0.0.1:to, its sendmail.cf made by m4 of the lines mc; its port.

    extra: parameters of define(). Its folder is all it knows of the machine: no aliases, no maps, no DNS."""
    files, cf = unpack("sendmail-bin"), unpack("sendmail-cf")
    port, base = lab.free_port(), l.path(name)
    house(l, name)
    # It asks the DNS for the machine's own name before it reads anything.
    l.write(name + "/etc/hosts", "127.0.0.1 localhost %s.lab %s\n" % (name, os.uname().nodename))
    l.write(name + "/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    os.makedirs(os.path.join(base, "queue"))
    os.chmod(os.path.join(base, "queue"), 0o700)
    l.write(name + "/switch", "hosts files\naliases files\n")
    defines = {"_CF_DIR_": cf + "/usr/share/sendmail/cf/", "confDOMAIN_NAME": name + ".lab", "QUEUE_DIR": base + "/queue",
               "STATUS_FILE": base + "/status", "HELP_FILE": "", "ALIAS_FILE": "", "confPID_FILE": base + "/pid",
               "confDONT_PROBE_INTERFACES": "True", "confTO_IDENT": "0", "confSERVICE_SWITCH_FILE": base + "/switch",
               "confMIN_QUEUE_AGE": "0", "confREFUSE_LA": "1000", "confQUEUE_LA": "1000", "confDELAY_LA": "0", **dict(extra)}
    head = ["divert(-1)dnl", *("define(`%s', `%s')dnl" % d for d in defines.items()),
            "include(`%s/usr/share/sendmail/cf/m4/cf.m4')dnl" % cf, "OSTYPE(`linux')dnl",
            *("FEATURE(`%s')dnl" % f for f in ("promiscuous_relay", "accept_unresolvable_domains", "accept_unqualified_senders",
                                               "nocanonify", "no_default_msa")),
            # what OSTYPE sets after us
            *("define(`%s', `%s')dnl" % (d, defines[d]) for d in ("ALIAS_FILE", "STATUS_FILE", "HELP_FILE", "QUEUE_DIR", "confPID_FILE")),
            "define(`RELAY_MAILER_ARGS', `TCP $h %d')dnl" % to, "define(`SMART_HOST', `relay:[127.0.0.1]')dnl",
            "DAEMON_OPTIONS(`Name=MTA, Addr=127.0.0.1, Port=%d')dnl" % port]
    source = l.write(name + "/sendmail.mc", "\n".join(head) + "\n" + mc + "MAILER(`smtp')dnl\n")
    r = subprocess.run(["m4", source], capture_output=True, text=True)
    if r.returncode or "InputMailFilters" not in r.stdout:
        raise lab.LabError("m4 %s: %s" % (source, r.stderr))
    conf = l.write(name + "/sendmail.cf", r.stdout)
    os.chmod(conf, 0o644)
    # -X: all it says and hears, in place of the syslog; -q1s: what was put off is tried again at once.
    return begin(l, name, port, [os.path.join(files, "usr/libexec/sendmail/sendmail"), "-C", conf, "-X", base + "/traffic",
                                 "-bD", "-q1s"])
