"""filters.py -- what administrators put behind Postfix, from Debian's packages, each in a folder of its own.

Each is configured as its package configures it, but for paths, ports and what is said here:
opendkim signs one domain; rspamd scans in its proxy, in as many processes as there are processors
(its package: one worker behind a proxy of one), has no Redis, and asks the lab's name server;
clamav-milter refuses what has a virus, where its package holds it; clamd lets 200 connections wait, not
15: with 20 sessions at once clamav-milter finds no place in the queue of a busy clamd and answers 451.
Each function returns (milter, pids): where Postfix finds it, and whose children are counted.
"""
import os
import re
import shutil

import lab


def folder(l, name):
    d = l.path(name)
    os.makedirs(d)
    os.chmod(d, 0o777)
    os.chmod(l.dir, 0o755)
    return d


def packaged(path, **own):
    """A Debian configuration of lines `Key value` with some of ours; a key that is None is left out."""
    with open(path) as f:
        lines = [x.strip() for x in f if x.strip() and not x.startswith("#")]
    return "\n".join([x for x in lines if x.split()[0] not in own] +
                     ["%s %s" % kv for kv in own.items() if kv[1] is not None]) + "\n"


def opendkim(l, domain, selector, key):
    d, port = folder(l, "opendkim"), lab.free_port()
    with open(key) as f:
        l.write("opendkim/key.pem", f.read())
    os.chmod(d + "/key.pem", 0o600)
    if os.geteuid() == 0:
        shutil.chown(d + "/key.pem", "opendkim", "opendkim")
    l.write("opendkim/conf", packaged("/etc/opendkim.conf", Socket="inet:%d@127.0.0.1" % port, PidFile=None, Domain=domain,
                                      Selector=selector, KeyFile=d + "/key.pem",
                                      RequireSafeKeys="no"))          # /tmp is not, for it
    p = l.start(["/usr/sbin/opendkim", "-f", "-x", d + "/conf"], "opendkim.log")
    lab.wait_port("127.0.0.1", port, p, p.log)
    return "inet:127.0.0.1:%d" % port, [p.pid]


def clamav(l, databases=None):
    d, port = folder(l, "av"), lab.free_port()
    databases = databases or l.signatures()
    l.write("av/clamd.conf", packaged("/etc/clamav/clamd.conf", Foreground="true", LocalSocket=d + "/ctl", LocalSocketGroup=None,
                                      LocalSocketMode="666", DatabaseDirectory=databases, LogFile=d + "/clamd.log",
                                      PidFile=None, SelfCheck="0", MaxConnectionQueueLength="200"))
    c = l.start(["/usr/sbin/clamd", "--config-file=" + d + "/clamd.conf"], "clamd.log")
    lab.wait_for(lambda: os.path.exists(d + "/ctl") or c.poll() is not None, 600, because="clamd's socket")
    l.write("av/milter.conf", packaged("/etc/clamav/clamav-milter.conf", Foreground="true", MilterSocket="inet:%d@127.0.0.1" % port,
                                       MilterSocketGroup=None, MilterSocketMode=None, ClamdSocket="unix:%s/ctl" % d,
                                       PidFile=None, LogFile=d + "/milter.log", OnInfected="Reject"))
    m = l.start(["/usr/sbin/clamav-milter", "--config-file=" + d + "/milter.conf"], "milter.log")
    lab.wait_port("127.0.0.1", port, m, m.log, seconds=60)
    return "inet:127.0.0.1:%d" % port, [c.pid, m.pid]


def rspamd(l, rules=""):
    """rules: Lua, of rspamd.local.lua."""
    port, d = lab.free_port(), folder(l, "rspamd")
    cache = os.path.join(lab.BUILD, "bench", "rspamd")
    os.makedirs(cache, exist_ok=True)
    l.write("rspamd/rspamd.local.lua", rules)
    os.makedirs(d + "/override.d")
    l.write("rspamd/override.d/options.inc", 'dns { nameserver = ["127.0.0.1:%d"]; }\ntempdir = "%s";\n' % (l.ports["dns"], d))
    l.write("rspamd/rspamd.conf", """
.include "$CONFDIR/common.conf"
options { pidfile = "%(d)s/pid"; .include "$CONFDIR/options.inc"
  .include(priority=10) "$LOCAL_CONFDIR/override.d/options.inc" }
logging { type = "file"; filename = "%(d)s/log"; .include "$CONFDIR/logging.inc" }
worker "rspamd_proxy" { bind_socket = "127.0.0.1:%(port)d"; milter = yes; timeout = 120s; max_retries = 5; count = %(count)d;
  upstream "local" { default = yes; self_scan = yes; } }
""" % {"d": d, "port": port, "count": os.cpu_count()})
    p = l.start(["/usr/bin/rspamd", "-i", "-f", "-c", d + "/rspamd.conf", "--var=DBDIR=" + cache, "--var=RUNDIR=" + d,
                 "--var=LOGDIR=" + d, "--var=LOCAL_CONFDIR=" + d], "rspamd.out")
    lab.wait_port("127.0.0.1", port, p, d + "/log", seconds=300)
    # It matches with PCRE until its helper has compiled all of them for Hyperscan, which takes a minute the first time.
    lab.wait_for(lambda: re.search(r"full hyperscan database .*has been loaded", lab.tail(d + "/log", 2000)), 300,
                 because="rspamd's Hyperscan")
    return "inet:127.0.0.1:%d" % port, [p.pid]
