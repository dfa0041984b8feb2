"""`postern import postfix` against Postfix itself: it reads what postconf reads, and what it makes does the same."""
import glob
import json
import os
import re
import shutil
import smtplib
import subprocess
import unittest

import lab

TOOL = os.path.join(lab.BUILD, "postern")

MAIN = """
# a comment
myhostname = mail.example.lab
mydomain = example.lab
  # a comment within, then more
myorigin = $mydomain
mynetworks = 127.0.0.0/8, [::1]/128
    10.1.2.0/24
   !10.1.2.9
smtpd_banner = $myhostname ESMTP
relayhost = [relay.example.lab]:587
relay_domains = $mydomain, hash:%(folder)s/relay_domains
relay_recipient_maps = hash:%(folder)s/relay_recipients
transport_maps = hash:%(folder)s/transport
header_checks = regexp:%(folder)s/header_checks, pcre:%(folder)s/header_checks.pcre
mime_header_checks = regexp:%(folder)s/mime_checks
body_checks = regexp:%(folder)s/body_checks
message_size_limit = 10485760
mydestination =
maximal_queue_lifetime = 3d
delay_warning_time = 2h
smtp_tls_security_level = may
smtp_tls_policy_maps = hash:%(folder)s/tls_policy
smtpd_recipient_restrictions =
    permit_mynetworks,
    reject_unauth_destination,
    check_sender_access hash:%(folder)s/sender_access,
    reject_rbl_client zen.spamhaus.org,
    check_policy_service unix:private/policy
smtpd_client_restrictions = check_client_access cidr:%(folder)s/clients
always_bcc = archive@example.lab
smtpd_client_message_rate_limit = 500
content_filter = smtp-amavis:[127.0.0.1]:10024
virtual_alias_maps = hash:%(folder)s/virtual
soft_bounce = no
queue_minfree = 0
"""

TABLES = {
    "relay_domains": "example.lab OK\ncustomer.lab x\n",
    "relay_recipients": "boss@example.lab OK\n@customer.lab OK\n",
    "transport": """# next hops
example.lab     smtp:[10.1.2.3]:25
.sub.lab        relay:[hub.example.lab]
mx.lab          smtp:other.lab
gone.lab        error:5.1.2 this domain has moved
local.lab       local:
free.lab        smtp:
""",
    "header_checks": r"""# what leaves
/^Subject: *free money/     REJECT no money here
/^Subject:.*urgent transfer/   HOLD somebody looks
/^X-Mailer:[[:space:]]*Bulk(er|Master)\>/  DISCARD
/^Subject: .*newsletter fine/  DUNNO
/^Subject: .*newsletter/    REJECT
/^(To|Cc):.*everyone@/      REJECT 5.7.2 not to $1 everyone
/^X-Internal-/              IGNORE
/^X-Secret:/                IGNORE
/viagra/                    REJECT
!/^Date:/                   REJECT
if /^Subject:/
/casino/                    REJECT
/(bingo|keno) tonight/      HOLD
/^Cc: nobody/               REJECT
endif
if !/^Received:/
/^X-Note:.*lottery/         REJECT
/sweepstake/                REJECT
endif
if /^X-(Mailer|Note):.*alpha/
/beta/                      REJECT
endif
if /^(X-Note|X-Other):/
if /one/
/two/                       REJECT
endif
/three/                     REJECT
endif
/^Subject: replace me/      REPLACE Subject: other
/^From: .*@old\.lab/        PREPEND X-Old: yes
this is no rule
""",
    "header_checks.pcre": r"""/^Subject:\s+(?!Re:)INTERNAL ONLY/i  REJECT case counts
/^Subject: odd/Z REJECT
/^Subject: (?<open/ REJECT
""",
    "mime_checks": r"""/^Content-(Type|Disposition):.*name\s*=\s*"?(.*\.(exe|scr|vbs))"?\s*$/  REJECT 5.7.1 programs
/name=[^>]*\.(bat|com)/ REJECT
""".replace(r"\s*=\s*", "=").replace(r"\s*$", "$"),
    "body_checks": r"""/^confidential: do not forward$/  REJECT marked
/project (alpha|beta)-[0-9]{4}/     HOLD
/^begin [0-9]{3} /  IGNORE
""",
    "sender_access": "bad.lab REJECT go away\ngood@bad.lab OK\nspam@elsewhere.lab 554 5.7.0 no\nuser@ REJECT\nslow.lab 450 4.7.1 later\n",
    "clients": "192.0.2.0/24 REJECT network\n198.51.100.7 OK\n",
    "tls_policy": "partner.lab encrypt\nbank.lab secure match=nexthop\n[10.1.2.3] may\nodd.lab fingerprint\n",
    "virtual": "a@b.lab c@d.lab\n",
}
MASTER = """# services
smtp      inet  n       -       y       -       -       smtpd
submission inet n       -       y       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_sasl_auth_enable=yes
pickup    unix  n       -       y       60      1       pickup
cleanup   unix  n       -       y       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
smtp      unix  -       -       y       -       -       smtp
smtp-amavis unix - - n - 2 lmtp
  -o lmtp_send_xforward_command=yes
maildrop  unix  -       n       n       -       -       pipe
  flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}
"""


def words(s):
    return " ".join(s.split())


class Import(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.lab = lab.Lab("import")
        self.addCleanup(self.lab.close)

    def folder(self, main=MAIN, name="postfix"):
        folder = self.lab.path(name)
        self.lab.write(name + "/main.cf", main % {"folder": folder})
        self.lab.write(name + "/master.cf", MASTER)
        for table, text in TABLES.items():
            self.lab.write("%s/%s" % (name, table), text)
        return folder

    def run_import(self, folder, *args):
        return subprocess.run([TOOL, "import", "postfix", folder, *args], capture_output=True, text=True)

    def got(self, folder):
        return json.loads(self.run_import(folder, "--json").stdout)

    def assert_as_postconf(self, folder):
        r = subprocess.run(["/usr/sbin/postconf", "-c", folder, "-n"], capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stderr)
        wants = dict(re.split(r"\s*=\s*", l, maxsplit=1) for l in r.stdout.splitlines())
        wants.pop("config_directory", None)     # where it was told to look
        self.assertGreater(len(wants), 3)
        have = self.got(folder)["parameters"]
        self.assertEqual({k: words(v) for k, v in wants.items()}, {k: words(have.get(k, "?")) for k in wants})
        # What Postfix does not know is not in its answer; it stands in ours, and in the account.
        return set(have) - set(wants)

    def test_read_as_postconf_reads(self):
        self.assertEqual(self.assert_as_postconf(self.folder()), set())
        odd = self.folder("a_b = one\nmyhostname = x.lab\nmynetworks = \n  127.0.0.1\n\n  #c\n 10.0.0.1\nmyhostname=y.lab\nmail_name   =  Odd   Name \n"
                          "smtpd_client_restrictions = permit_mynetworks\n\treject\n", "odd")
        self.assertEqual(self.assert_as_postconf(odd), {"a_b"})
        for dist in ("/usr/share/postfix/main.cf.debian", "/usr/share/postfix/main.cf.dist"):
            if os.path.exists(dist):
                folder = self.lab.path(os.path.basename(dist))
                os.makedirs(folder)
                shutil.copy("/usr/share/postfix/master.cf.dist", os.path.join(folder, "master.cf"))
                with open(dist) as f:
                    self.lab.write(os.path.basename(dist) + "/main.cf", f.read() + "\ncompatibility_level = 3.6\nmyhostname = d.lab\nmydestination=\nbiff = no\n")
                self.assert_as_postconf(folder)

    def test_nothing_is_dropped(self):
        """Every parameter, service and line of a table is in what was made, or in the account with its reason."""
        folder = self.folder()
        r = self.run_import(folder, "--to", self.lab.path("out"))
        self.assertEqual(r.returncode, 1, r.stdout + r.stderr)       # something is lost
        with open(self.lab.path("out/NOT-TRANSLATED.txt")) as f:
            left = f.read()
        with open(self.lab.path("out/policy.d/60-postfix.yaml")) as f:
            policy = f.read()
        with open(self.lab.path("out/postern.yaml")) as f:
            conf = f.read()
        for line in re.sub(r"\n\s+", " ", MAIN).splitlines():
            if "=" in line:
                name = line.split("=")[0].strip()
                self.assertTrue(re.search(r"main\.cf:\d+", left) and (name in left or name in conf or name in policy) or
                                name in ("mydomain", "maximal_queue_lifetime", "delay_warning_time", "message_size_limit", "smtp_tls_security_level",
                                         "smtp_tls_policy_maps", "transport_maps", "header_checks", "mime_header_checks", "body_checks",
                                         "relay_recipient_maps", "smtpd_recipient_restrictions", "smtpd_client_restrictions"), name)
        for table, text in TABLES.items():
            if table in ("relay_domains", "relay_recipients", "virtual"):
                continue
            for n, line in enumerate(text.splitlines(), 1):
                if not line.strip() or line.startswith("#") or line == "endif" or "DUNNO" in line or line.startswith(("good@", "198.51.100.7")):
                    continue
                at = "%s:%d:" % (table, n)
                self.assertTrue(at in left or at in policy or at in conf, at + " " + line)
        for n, line in enumerate(MASTER.splitlines(), 1):
            if re.match(r"(submission|smtp-amavis|maildrop)\s", line):
                self.assertIn("master.cf:%d:" % n, left)
        for text in ("does not begin with the name of a header", "content_filter", "virtual_alias_maps", "!10.1.2.9",
                     "a condition is taken over", "a condition within", "never matches under", "holds for all headers but some", "must not match", "not rewritten", "reject_rbl_client", "delivered by SMTP alone",
                     "user@", "this is no rule", "flags of no counterpart", "its brackets do not close", "this level has no counterpart"):
            self.assertIn(text, left)
        self.assertIn('"10.1.2.3:25"', conf)
        self.assertIn("max_size: 10485760", conf)
        self.assertIn("expire: 3d", conf)
        self.assertIn('"*": ["relay.example.lab:587"]', conf)
        with open(self.lab.path("out/recipients-postfix.txt")) as f:
            self.assertEqual([l for l in f.read().split("\n") if l and l[0] != "#"], ["boss@example.lab", "customer.lab"])
        r = subprocess.run([TOOL, "-c", self.lab.path("out/postern.yaml"), "check"], capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        # Not over anything.
        r = self.run_import(folder, "--to", self.lab.path("out"))
        self.assertEqual(r.returncode, 1)
        self.assertIn("File exists", r.stderr)

    def test_wrong_folder(self):
        r = self.run_import(self.lab.path("nowhere"))
        self.assertEqual(r.returncode, 1)
        self.assertIn("main.cf", r.stderr)
        self.assertEqual(subprocess.run([TOOL, "import", "exim"], capture_output=True).returncode, 2)

    def ldap(self, table, maps="proxy:ldap:%(folder)s/people.cf", more=""):
        """(postern.yaml, what is left with its reasons) of a main.cf whose recipients are in LDAP."""
        folder = self.lab.path("ldap")
        shutil.rmtree(folder, ignore_errors=True)
        self.lab.write("ldap/main.cf", "myhostname = mx.hospital.lab\nmydestination =\nrelay_domains = hospital.lab\n"
                       "transport_maps = inline:{hospital.lab=smtp:[10.1.2.3]}\nrelay_recipient_maps = %s\n%s" % (maps % {"folder": folder}, more))
        self.lab.write("ldap/people.cf", table)
        self.lab.write("ldap/extra", "boss@hospital.lab OK\n")
        got = self.got(folder)
        return got["yaml"], " | ".join(l["what"] + ": " + l["why"] for l in got["left"])

    def test_recipients_of_ldap(self):
        """What ldap_table(5) says becomes a directory that the program takes; what does not is said."""
        table = """# who has a mailbox
server_host = ldaps://dc1.hospital.lab:636/ dc2.hospital.lab
server_port = 3268
search_base = dc=hospital,dc=lab
bind_dn = cn=postfix,ou=services,dc=hospital,dc=lab
bind_pw = s3cret
query_filter = (&(objectClass=person)(|(mail=%s)
  (proxyAddresses=smtp:%u@%d)))
result_attribute = mail
domain = hospital.lab, other.lab
scope = one
"""
        text, left = self.ldap(table)
        directory = text[text.index("directory:"):text.index("\n# main.cf:3: relay_domains")]
        self.assertEqual(directory.split("\n"), [
            "directory:", "  postfix:", '    servers: ["ldaps://dc1.hospital.lab:636", "ldap://dc2.hospital.lab:3268"]',
            '    base: "dc=hospital,dc=lab"', '    bind: "cn=postfix,ou=services,dc=hospital,dc=lab"',
            "    password_file: ldap.password", "    tls: {starttls: off}", "    domains: [hospital.lab, other.lab]", ""])
        self.assertIn('hospital.lab: {recipients: {ldap: {directory: postfix, filter: "(&(objectClass=person)(|(mail=%m)  '
                      '(proxyAddresses=smtp:%u@%d)))"}}', text)
        for word in ("ldap.password, mode 0600", "asked in clear", "scope one"):
            self.assertIn(word, left)
        self.assertNotIn("s3cret", self.run_import(self.lab.path("ldap"), "--json").stdout)
        out = self.lab.path("out")
        self.assertEqual(self.run_import(self.lab.path("ldap"), "--to", out).returncode, 1)
        self.lab.write("out/ldap.password", "s3cret\n")
        os.chmod(self.lab.path("out", "ldap.password"), 0o600)
        r = subprocess.run([TOOL, "-c", os.path.join(out, "postern.yaml"), "check"], capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        # Parameters of main.cf in place of a file; the defaults of ldap_table(5), anonymous, TLS.
        text, left = self.ldap("", "ldap:people", "people_search_base = o=lab\npeople_bind = no\npeople_start_tls = yes\n")
        self.assertIn('servers: ["ldap://localhost"]\n    base: "o=lab"\n', text)
        self.assertIn('filter: "(mailacceptinggeneralid=%m)"', text)
        self.assertNotIn("password_file", text)
        self.assertNotIn("starttls: off", text)
        self.assertNotIn("people_", left)
        # What cannot be: nobody is let in by it, and it is said why.
        for table, maps, why in ((table.replace("search_base = dc", "search_base = ou=%d,dc"), "ldap:%(folder)s/people.cf", "no search_base, or one made"),
                                 (table.replace("%s", "%1"), "ldap:%(folder)s/people.cf", "query_filter has parts"),
                                 (table, "hash:%(folder)s/extra, ldap:%(folder)s/people.cf", "one source says who exists"),
                                 (table, "ldap:%(folder)s/people.cf, hash:%(folder)s/extra", "one source says who exists"),
                                 ("", "ldap:%(folder)s/nothing.cf", "nothing.cf"),
                                 ("", "mysql:%(folder)s/people.cf", "a database is not asked")):
            text, left = self.ldap(table, maps)
            self.assertIn(why, left)
            self.assertNotIn("recipients: any", text)

    def test_same_verdicts(self):
        """The same messages through Postfix and through posternd with what was made of its tables."""
        mx = self.lab.mx()
        folder = self.folder()
        # Where Postern says that it cannot do the same, the line is out of the comparison.
        lost = {(l["file"], l["line"]) for l in self.got(folder)["left"] if l["kind"] == "not translated"}
        for table in ("header_checks", "header_checks.pcre", "mime_checks", "body_checks"):
            text = [l for n, l in enumerate(TABLES[table].splitlines(), 1) if (table, n) not in lost]
            self.lab.write("postfix/" + table, "\n".join(text) + "\n")
        self.lab.postfix("twin", {"relayhost": "[127.0.0.1]:%d" % mx.port, "header_checks": "regexp:%s/header_checks, pcre:%s/header_checks.pcre" % (folder, folder),
                                  "mime_header_checks": "regexp:%s/mime_checks" % folder, "body_checks": "regexp:%s/body_checks" % folder,
                                  "smtpd_relay_restrictions": "permit_mynetworks, reject"})
        self.lab.config(delivery={"routes": {"*": ["127.0.0.1:%d" % mx.port]}, "tls": {"policy": "none"}})
        self.lab.policy("version: 1\n")
        twin = self.got(self.lab.path("twin/conf"))
        self.lab.policy(twin["policy"], "60-postfix.yaml")
        r = self.lab.tool("check", check=False)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr + twin["policy"])
        self.lab.start_postern()
        cases = {
            "plain": ("Subject: minutes", "hello"),
            "money": ("Subject: FREE money for you", "x"),
            "money-later": ("Subject: get free money", "x"),
            "urgent": ("Subject: an URGENT transfer please", "x"),
            "casino": ("Subject: a Casino near you", "x"),
            "casino-elsewhere": ("Subject: a\r\nX-Note: casino", "casino"),
            "keno": ("Subject: keno tonight", "x"),
            "lottery": ("Subject: a\r\nX-Note: the lottery", "x"),
            "lottery-elsewhere": ("Subject: lottery", "x"),
            "three": ("Subject: a\r\nX-Other: one two three", "x"),
            "three-elsewhere": ("Subject: one two three", "x"),
            "bulk": ("Subject: a\r\nX-Mailer: BulkMaster 3", "x"),
            "bulk-not": ("Subject: a\r\nX-Mailer: Bulkmasters", "x"),
            "newsletter": ("Subject: our newsletter", "x"),
            "newsletter-fine": ("Subject: our newsletter fine", "x"),
            "everyone": ("Subject: a\r\nCc: everyone@example.lab", "x"),
            "internal": ("Subject: INTERNAL ONLY", "x"),
            "internal-lower": ("Subject: internal only", "x"),
            "internal-re": ("Subject: Re: INTERNAL ONLY", "x"),
            "marked": ("Subject: a", "hello\r\nConfidential: do not forward\r\nbye"),
            "marked-within": ("Subject: a", "it says Confidential: do not forward\r\nbye"),
            "project": ("Subject: a", "about Project Alpha-2024 and more"),
            "secret-header": ("Subject: a\r\nX-Secret: 1", "x"),
            "program": ('Subject: a\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"',
                        '--b\r\nContent-Type: text/plain\r\n\r\nsee\r\n--b\r\nContent-Type: application/octet-stream; name="Setup.EXE"\r\n\r\nMZ\r\n--b--'),
            "picture": ('Subject: a\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"',
                        '--b\r\nContent-Type: text/plain\r\n\r\nsee\r\n--b\r\nContent-Type: image/png; name="exe.png"\r\n\r\nPNG\r\n--b--'),
        }
        arrived = {}
        for who, port in (("postfix", self.lab.ports["twin"]), ("postern", self.lab.ports["smtp"])):
            for name, (head, body) in cases.items():
                arrived[who, name] = self.send(port, who, name, head, body)
        accepted = sum(1 for v in arrived.values() if v == "accepted")

        def settled():
            """Each accepted message has been delivered, is held, or was discarded: both sides say which."""
            with mx.lock:
                seen = {re.search(rb"X-Case: (\S+)", m[2]).group(1).decode(): m[2] for m in mx.messages}
            held = self.held()
            gone = self.discarded()
            return len(seen) + len(held) + len(gone) == accepted and (seen, held, gone)
        seen, held, gone = lab.wait_for(settled, because=lambda: "all verdicts: %r %r %r of %d" % (
            len(mx.messages), self.held(), self.discarded(), accepted))
        verdicts = {}
        for (who, name), v in arrived.items():
            case = who + "/" + name
            verdicts[who, name] = v if v != "accepted" else "delivered" if case in seen else "held" if case in held else "discarded"
        for name in cases:
            self.assertEqual(verdicts["postfix", name], verdicts["postern", name], (name, twin["policy"]))
        self.assertEqual([verdicts["postern", n] for n in ("plain", "money", "urgent", "bulk", "marked", "project", "program")],
                         ["delivered", "rejected", "held", "discarded", "rejected", "held", "rejected"])
        self.assertNotIn(b"X-Secret", seen["postern/secret-header"])
        self.assertNotIn(b"X-Secret", seen["postfix/secret-header"])

    def send(self, port, who, name, head, body):
        case = who + "/" + name
        text = "From: <a@example.lab>\r\nTo: <%s@partner.lab>\r\nX-Case: %s\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@x.lab>\r\n%s\r\n\r\n%s\r\n" % (
            name, case, case.replace("/", "."), head, body)
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as s:
            try:
                s.sendmail("a@example.lab", ["%s@partner.lab" % name], text.encode())
            except smtplib.SMTPDataError as e:
                self.assertEqual(e.smtp_code // 100, 5, e)
                return "rejected"
        return "accepted"

    def held(self):
        out = set()
        for path in glob.glob(self.lab.path("twin/queue/hold/*")):
            r = subprocess.run(["/usr/sbin/postcat", "-c", self.lab.path("twin/conf"), "-h", path], capture_output=True, text=True)
            m = re.search(r"^X-Case: (\S+)", r.stdout, re.M)
            if m:
                out.add(m.group(1))
        for l in self.lab.tool("--json", "held", "list").splitlines():
            m = re.search(r'([a-z-]+)@partner\.lab', l)
            if m:
                out.add("postern/" + m.group(1))
        return out

    def discarded(self):
        return set(["postfix/" + w for w in re.findall(r"discard: header.*to=<([a-z-]+)@partner\.lab>", lab.tail(self.lab.path("twin/maillog"), 2000))] +
                   ["postern/" + w for w in re.findall(r"to=<([a-z-]+)@partner\.lab>.*status=discarded", self.lab.log())])


if __name__ == "__main__":
    unittest.main()
