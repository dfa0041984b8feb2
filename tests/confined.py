"""confined.py -- runs a program under what postern.service lets it have, where there is no systemd.

    confined.py UNIT ETC WRITABLE[:WRITABLE...] PROGRAM ARG...

Read from the unit itself: the account and the capabilities it is lent, the system calls (systemd-analyze names those of a
group), the address families, ProtectSystem=strict with the folders that may be written, /proc as
ProtectProc and ProcSubset make it, NoNewPrivileges, UMask. Not done here: what needs a cgroup or names
devices and kernel settings. ETC/passwd and ETC/group are put over the machine's: a test need not install accounts.
"""
import ctypes
import os
import pwd
import socket
import subprocess
import sys

CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
                "LINUX_IMMUTABLE", "NET_BIND_SERVICE"]      # their numbers, from linux/capability.h
PR_SET_KEEPCAPS, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 8, 23, 24, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 47, 2
ALLOW, ERRNO_EPERM = 0x7fff0000, 0x00050001
CMP_NE = 1
libc = ctypes.CDLL(None, use_errno=True)


def directives(path):
    """{name: [values]} of the unit, lines that go on joined, an assignment of nothing forgetting those before."""
    out = {}
    with open(path) as f:
        for line in f.read().replace("\\\n", " ").splitlines():
            if "=" in line and not line.startswith(("#", ";")):
                name, value = line.split("=", 1)
                out.setdefault(name.strip(), []).append(value.strip())
    return out


def group(name):
    """The system calls of @name, with those of the groups in it."""
    r = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name], capture_output=True, text=True, check=True)
    calls = set()
    for line in r.stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            calls |= group(word)
        elif word and not word.startswith("#"):
            calls.add(word)
    return calls


def calls_of(filters):
    allowed = set()
    for f in filters:
        deny, words = f.startswith("~"), f.lstrip("~").split()
        named = set().union(*(group(w) if w.startswith("@") else {w} for w in words))
        allowed = allowed - named if deny else allowed | named
    return allowed | group("@default") if filters else None


class Arg(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def seccomp(allowed, families):
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    lib.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Arg)]
    ctx = lib.seccomp_init(ERRNO_EPERM)
    for name in allowed:
        nr = lib.seccomp_syscall_resolve_name(name.encode())
        if nr >= 0 and name != "socket":
            if lib.seccomp_rule_add_array(ctx, ALLOW, nr, 0, None):
                sys.exit("seccomp: " + name)
    for f in families:
        one = (Arg * 1)(Arg(0, 4, getattr(socket, f), 0))       # SCMP_CMP_EQ
        if lib.seccomp_rule_add_array(ctx, ALLOW, lib.seccomp_syscall_resolve_name(b"socket"), 1, one):
            sys.exit("seccomp: socket")
    if lib.seccomp_load(ctx):
        sys.exit("seccomp: not loaded")


def become(unit):
    """User= with AmbientCapabilities=: what systemd does, in its order (KEEPCAPS, setresuid, ambient)."""
    account = pwd.getpwnam(unit["User"][0])
    lent = [CAPABILITIES.index(c[4:]) for v in unit["AmbientCapabilities"] for c in v.split()]
    bits = sum(1 << n for n in lent)
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([account.pw_gid])
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    head = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)     # effective, permitted, inheritable
    if libc.capset(head, data):
        sys.exit("capset: %s" % os.strerror(ctypes.get_errno()))
    for n in lent:
        if libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, n, 0, 0):
            sys.exit("ambient capability %d: %s" % (n, os.strerror(ctypes.get_errno())))


def main():
    unit, etc, writable, argv = directives(sys.argv[1]), sys.argv[2], sys.argv[3].split(":"), sys.argv[4:]
    if os.environ.get("CONFINED") != "1":       # in a mount namespace of its own first
        os.environ["CONFINED"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    del os.environ["CONFINED"]
    for name in ("passwd", "group"):
        subprocess.run(["mount", "--bind", os.path.join(etc, name), "/etc/" + name], check=True)
    for path in writable:
        subprocess.run(["mount", "--bind", path, path], check=True)
    if unit["ProtectSystem"] == ["strict"]:
        subprocess.run(["mount", "-o", "remount,bind,ro", "/"], check=True)
    subprocess.run(["mount", "-t", "proc", "-o", "hidepid=%s,subset=%s" % (unit["ProtectProc"][0], unit["ProcSubset"][0]),
                    "proc", "/proc"], check=True)
    keep = {c[4:] for v in unit["CapabilityBoundingSet"] for c in v.split()}
    calls = calls_of(unit["SystemCallFilter"])
    os.umask(int(unit["UMask"][0], 8))
    for n in range(64):
        if libc.prctl(PR_CAPBSET_READ, n, 0, 0, 0) == 1 and not (n < len(CAPABILITIES) and CAPABILITIES[n] in keep):
            libc.prctl(PR_CAPBSET_DROP, n, 0, 0, 0)
    if unit["NoNewPrivileges"] == ["yes"]:
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    become(unit)
    seccomp(calls, unit["RestrictAddressFamilies"][0].split())
    os.execv(argv[0], argv)


main()
