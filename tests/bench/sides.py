"""sides.py -- posternd and Postfix with its filters, set up to do the same job.

| mode       | posternd                                  | Postfix with                                        |
|------------|-------------------------------------------|-----------------------------------------------------|
| plain      | relay                                     | nothing                                             |
| dkim       | an RSA-2048 signature                     | opendkim                                            |
| dkim+av    | and libclamav                             | clamav-milter, opendkim                             |
| everything | and 200 patterns in all decoded texts     | clamav-milter, rspamd with 200 regexp rules, opendkim |
| patterns   | 200 patterns alone                        | body_checks with 200 patterns, over whole messages  |

Both log each message, both write it to the disk before they answer 250, both deliver by SMTP to a
sink of the same sort. Postfix may have 100 processes, keep its connections to the sink open, and take as many
as come; posternd has as many scanners as there are processors, and may be sent a million messages in
a session. Before anything is measured both prove that they do what they are to be measured for: a message
with a pattern and one with EICAR are refused, and what arrives is signed.
"""
import base64
import os
import re

import filters
import lab
import patterns
from measure import TOOLS, Side

MODES = {"plain": (), "dkim": ("dkim",), "dkim+av": ("dkim", "av"), "everything": ("dkim", "av", "patterns"),
         "patterns": ("patterns",)}
DOMAIN, SELECTOR = "example.lab", "bench"
VIRUS_RULE = "  - {id: virus, when: {virus: true}, then: {reject: \"5.7.1 no\"}}\n"


def scene(name, packaged=False):
    """A lab with a name server, a sink (ours, or Postfix's smtp-sink), a server that keeps what it gets, and a key."""
    l = lab.Lab("bench-" + name)
    os.chmod(l.dir, 0o755)
    if packaged:
        sink = l.sink("-c", log="sink.log")
    else:
        p = l.start([os.path.join(TOOLS, "smtp_sink")], l.path("sink.log"))
        sink = int(lab.wait_for(lambda: re.match(r"port (\d+)\n", lab.tail(p.log)), because="smtp_sink").group(1))
    record = l.dkim_key(DOMAIN, SELECTOR)
    l.dns({"partner.lab": ["@ MX 10 mx", "mx A 127.0.0.1"], DOMAIN: [record]})
    l.proof = l.mx()
    return l, sink


def posternd(mode, databases=None, packaged=False, **over):
    what = MODES[mode]
    l, sink = scene("posternd", packaged)
    rules = "version: 1\n"
    if "patterns" in what:
        rules += patterns.postern()
    elif "av" in what:
        rules += "rules:\n"
    if "av" in what:
        rules += VIRUS_RULE
    l.policy(rules)
    port = l.ports.setdefault("smtp", lab.free_port())
    conf = {"delivery": {"port": sink, "retry": ["1s"], "tls": {"policy": "none", "floor": "opportunistic"},
                         "routes": {"proof.lab": "127.0.0.1:%d" % l.proof.port}},
            "log": {"to": "file:" + l.path("mail.log")}, "scanners": {"processes": "auto"},
            "listeners": [{"name": "smart-host", "address": "127.0.0.1:%d" % port, "direction": "outbound",
                           "allow": ["network:internal"], "limits": {"messages": "1000000", "sessions_per_client": "1000"}}]}
    if "dkim" in what:
        conf["domains"] = {DOMAIN: {"dkim": [{"selector": SELECTOR, "key": "keys/%s.%s.pem" % (SELECTOR, DOMAIN)}]}}
    if "av" in what:
        conf["antivirus"] = {"engine": "libclamav", "databases": databases or l.signatures()}
    l.config(**{**conf, **over})
    daemon = l.start_postern(wait=False)
    l.wait_ready(600)
    side = Side("posternd", port, [daemon.pid], l.path("sink.log"), empty=lambda: l.counter("queue_messages") == 0)
    side.lab = l
    prove(side, what)
    return side


def queue_dirs_empty(base):
    return not any(files for d in ("maildrop", "incoming", "active", "deferred") for _, _, files in os.walk(os.path.join(base, d)))


def postfix(mode, databases=None, packaged=False):
    what = MODES[mode]
    l, sink = scene("postfix", packaged)
    milters, pids, main = [], [], {}
    if "av" in what:
        milters.append(filters.clamav(l, databases))
    if mode == "everything":
        milters.append(filters.rspamd(l, patterns.rspamd()))
    if "dkim" in what:
        milters.append(filters.opendkim(l, DOMAIN, SELECTOR, l.path("keys", "%s.%s.pem" % (SELECTOR, DOMAIN))))
    for _, p in milters:
        pids += p
    if milters:
        main = {"smtpd_milters": " ".join(m for m, _ in milters), "milter_default_action": "tempfail"}
    if mode == "patterns":
        l.write("body_checks", patterns.body_checks())
        os.chmod(l.path("body_checks"), 0o644)
        main = {"body_checks": "pcre:" + l.path("body_checks"), "body_checks_size_limit": "100000000"}
    port = l.postfix("postfix", {
        "mydestination": "", "relayhost": "[127.0.0.1]:%d" % sink, "default_process_limit": "100",
        "transport_maps": "inline:{proof.lab=smtp:[127.0.0.1]:%d}" % l.proof.port,
        "smtpd_client_connection_count_limit": "0", "smtpd_client_connection_rate_limit": "0",
        "qmgr_message_active_limit": "20000", "in_flow_delay": "0", "mynetworks": "127.0.0.0/8",
        "smtp_destination_concurrency_limit": "20", "smtp_connection_cache_on_demand": "yes", **main})
    base = l.path("postfix", "queue")
    side = Side("Postfix", port, [l.ports["postfix.pid"], *pids], l.path("sink.log"), empty=lambda: queue_dirs_empty(base))
    side.lab = l
    prove(side, what)
    return side


def prove(side, what):
    """That it does what it will be measured for."""
    l, ports = side.lab, dict(side.lab.ports)
    l.ports["smtp"] = side.port
    try:
        answer = l.send("a@proof.lab", sender="a@" + DOMAIN)
        if answer[0] != 250:
            raise lab.LabError("%s refused a message: %s" % (side.name, answer))
        got = l.proof.wait(1)[0][2]
        if ("dkim" in what) != (b"DKIM-Signature:" in got and b"d=" + DOMAIN.encode() in got):
            raise lab.LabError("%s: signatures are not as they should be:\n%s" % (side.name, got.decode()))
        if "patterns" in what:
            refused(side, "Dear all,\r\n%s\r\n" % patterns.HIT)
        if "av" in what:
            refused(side, "--x\r\nContent-Type: application/octet-stream; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                    "%s\r\n--x--\r\n" % base64.b64encode(lab.EICAR.encode()).decode(), ["Content-Type: multipart/mixed; boundary=x"])
    finally:
        l.ports["smtp"] = ports.get("smtp", side.port)


def refused(side, body, headers=()):
    code, text = side.lab.send("a@proof.lab", body, sender="a@" + DOMAIN, headers=headers)
    if code < 500:
        raise lab.LabError("%s did not refuse what it should find: %d %s" % (side.name, code, text))
