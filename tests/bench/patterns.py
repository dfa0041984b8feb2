"""patterns.py -- 200 patterns as organisations write them, for Postern, rspamd and Postfix alike.

Four sorts of 50: a project's number, a project's name, an account, a reference. Nothing that
tests/load_messages.h makes has one of them; HIT has number 137.
"""
COUNT = 200
HIT = "the account 41-137-204911 of the customer"


def pattern(i):
    """PCRE, without anything that the three understand differently."""
    return (r"\bKX%03d-?[0-9]{4}[A-Z]{2}\b" % i, r"\b[0-9]{2}-%03d-[0-9]{6}\b" % i,
            r"\b[Pp]roject +[Ff]alcon *%03d\b" % i, r"\b[Cc]onfidential:? +ref[.]? *%03d/[0-9]{2,5}\b" % i)[i % 4]


ALL = [pattern(i) for i in range(COUNT)]


def postern():
    names = ["p%03d" % i for i in range(COUNT)]
    return ("detectors:\n" + "".join("  %s: {pattern: '%s'}\n" % np for np in zip(names, ALL)) + "rules:\n"
            "  - {id: patterns, when: {finds: {any: [%s]}}, then: {reject: \"5.7.1 no\"}}\n" % ", ".join(names))


def rspamd():
    """rspamd.local.lua: rules over the decoded text of all parts."""
    return "".join("config['regexp']['BENCH_%03d'] = { re = [[/%s/{mime}]], score = 100, group = 'bench' }\n"
                   % (i, p.replace("/", "\\/")) for i, p in enumerate(ALL))


def body_checks():
    return "".join("/%s/ REJECT no\n" % p.replace("/", "\\/") for p in ALL)
