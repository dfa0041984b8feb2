/* postfix_left.c -- values and tables handed out, and the account of what nobody took; see postfix_import.h. */
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "cli/postfix_import.h"
#include "fs.h"
#include "utf8.h"

#define LEFT_MAX 100000

void
pf_leave(struct pf_import *im, enum pf_left_kind kind, const char *file, uint32_t line, struct span what, const char *fmt, ...)
{
	size_t n = im->nleft;
	char text[512];
	va_list ap;

	im->lost += kind == PF_LOST;
	if (n == LEFT_MAX)
		return;		/* counted in `lost` all the same */
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n == 0)
		im->left = arena_array(im->a, 64, sizeof(*im->left));
	else if (n >= 64 && (n & (n - 1)) == 0)
		im->left = arena_grow(im->a, im->left, n * sizeof(*im->left), 2 * n * sizeof(*im->left));
	im->left[im->nleft++] = (struct pf_left){ kind, file, line, what, arena_str(im->a, span_str(text)) };
}

struct span
pf_take(struct pf_import *im, const char *name, struct pf_param **out)
{
	struct pf_param *p = pf_find(&im->main, name);
	struct span v = { 0 };

	if (p && !p->used && !pf_expand(im->a, &im->main, p->value, &v)) {
		pf_leave(im, PF_LOST, "main.cf", p->line, p->value, "its $names go round, or it is too long");
		p->used = true;
		p = NULL;
	} else if (p) {
		pf_expand(im->a, &im->main, p->value, &v);
		p->used = true;
	}
	if (out)
		*out = p;
	return v;
}

bool
pf_is_pattern(const struct pf_source *s)
{
	return span_is(s->type, "regexp") || span_is(s->type, "pcre");
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* /etc/postfix is where the folder stood before it was copied. */
const char *
pf_path(struct pf_import *im, struct span file)
{
	static const struct span home = { "/etc/postfix/", 13 };
	const char *own;

	if (file.n == 0 || file.p[0] != '/')
		return arena_printf(im->a, "%s/" SPAN_FMT, im->folder, SPAN_ARG(file));
	if (span_starts(file, home)) {
		own = arena_printf(im->a, "%s/" SPAN_FMT, im->folder, SPAN_ARG(span_from(file, home.n)));
		if (access(own, F_OK) == 0)
			return own;
	}
	return arena_str(im->a, file);
}

bool
pf_open(struct pf_import *im, struct pf_param *p, struct span map, struct pf_source *out)
{
	static const char *const types[] = { "hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash", "cidr", "regexp", "pcre" };
	struct span whole = map;
	size_t colon, i = 0;
	struct err err;

	if (span_starts(map, SPAN_LIT("proxy:")))
		map = span_from(map, 6);
	colon = span_find(map, ':');
	out->type = span_sub(map, 0, colon);
	while (i < sizeof(types) / sizeof(*types) && !span_is(out->type, types[i]))
		i++;
	if (colon == map.n || i == sizeof(types) / sizeof(*types)) {
		pf_leave(im, PF_LOST, "main.cf", p->line, whole, span_is(out->type, "ldap") ?
		    "LDAP: see `directory` of postern.yaml" : span_is(out->type, "mysql") || span_is(out->type, "pgsql") ||
		    span_is(out->type, "sqlite") ? "a database is not asked: have it write its rows into a file and name that as hash: "
		    "before the import; for recipients `recipients: callout` asks the server behind" :
		    "tables of this type are not read here");
		return false;
	}
	out->path = pf_path(im, span_from(map, colon + 1));
	out->name = base_name(out->path);
	if (fs_read(im->a, out->path, PF_FILE_MAX, &out->text, &err) == -1) {
		pf_leave(im, PF_LOST, "main.cf", p->line, whole, "%s", err.text);
		return false;
	}
	out->text = pf_clean(im, out->name, out->text);
	return true;
}

/* What may not stand in a YAML file, or would end its line there (NEL, LS, PS). */
static bool
bad_in_yaml(uint32_t c)
{
	return (c < ' ' && c != '\t' && c != '\n' && c != '\r') || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
	    c == 0xfeff || (c & 0xfffe) == 0xfffe;
}

struct span
pf_clean(struct pf_import *im, const char *file, struct span text)
{
	char *out = arena_alloc(im->a, text.n + 1);
	size_t n = 0;
	uint32_t bad = 0, line = 1;

	for (size_t i = 0; i < text.n;) {
		uint32_t c = 0;
		size_t step = utf8_next(text.p + i, text.n - i, &c);

		if (step == 0 || bad_in_yaml(c)) {
			out[n++] = '?';
			bad = bad ? bad : line;
			i += step ? step : 1;
			continue;
		}
		line += c == '\n';
		memcpy(out + n, text.p + i, step);
		n += step;
		i += step;
	}
	out[n] = '\0';
	if (bad)
		pf_leave(im, PF_LOST, file, bad, SPAN_LIT("bytes"), "that are no UTF-8, or control characters, were read as `?`: here first");
	return (struct span){ out, n };
}

char *
pf_quote(struct arena *a, struct span s)
{
	struct buf b;
	char *out;

	buf_init(&b, 2 * s.n + 16);
	buf_putc(&b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_putc(&b, '\\');
		buf_putc(&b, s.p[i] == '\t' ? ' ' : s.p[i]);
	}
	buf_putc(&b, '"');
	out = arena_str(a, buf_data(&b));
	buf_release(&b);
	return out;
}

char *
pf_single(struct arena *a, struct span s)
{
	struct buf b;
	char *out;

	buf_init(&b, 4 * s.n + 16);
	buf_putc(&b, '\'');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\'')
			buf_putc(&b, '\'');
		if (s.p[i] == '\t')
			buf_puts(&b, "\\t");
		else
			buf_putc(&b, s.p[i]);
	}
	buf_putc(&b, '\'');
	out = arena_str(a, buf_data(&b));
	buf_release(&b);
	return out;
}

/* ---- what nobody took ---- */

static const struct {
	const char *head;	/* a name; with a * at its end what begins so */
	enum pf_left_kind kind;
	const char *why;
} reasons[] = {
	{ "mydestination", PF_LOST, "mail for this machine itself: Postern delivers by SMTP alone; leave it to Postfix, or route it" },
	{ "alias_*", PF_LOST, "aliases belong to the mailbox server" },
	{ "virtual_*", PF_LOST, "virtual aliases and mailboxes belong to the mailbox server" },
	{ "canonical_*", PF_LOST, "addresses are not rewritten" },
	{ "sender_canonical_*", PF_LOST, "addresses are not rewritten" },
	{ "recipient_canonical_*", PF_LOST, "addresses are not rewritten" },
	{ "masquerade_*", PF_LOST, "addresses are not rewritten" },
	{ "smtp_generic_maps", PF_LOST, "addresses are not rewritten" },
	{ "relocated_maps", PF_LOST, "a rule with reject, to: the old addresses" },
	{ "sender_dependent_*", PF_LOST, "`delivery: {sender_routes, pools}`" },
	{ "smtpd_sender_login_maps", PF_LOST, "a network's `from`, or a rule with `authenticated` and `from`" },
	{ "smtpd_sasl_*", PF_LOST, "`auth` of postern.yaml and of the listener; accounts are made anew (postern passwd)" },
	{ "smtp_sasl_*", PF_LOST, "no passwords are given to next hops" },
	{ "smtpd_milters", PF_LOST, "milters are not called: what they did is to be a rule, `antispam` or `dkim`" },
	{ "non_smtpd_milters", PF_LOST, "milters are not called" },
	{ "milter_*", PF_NOTHING, "of milters" },
	{ "content_filter", PF_LOST, "Postern is the content filter; take this one out of the way" },
	{ "smtpd_proxy_*", PF_LOST, "Postern is the content filter; take this one out of the way" },
	{ "receive_override_options", PF_NOTHING, "of content filters" },
	{ "smtpd_banner", PF_DIFFERS, "`banner` of a listener" },
	{ "smtpd_tls_security_level", PF_LOST, "`tls: offered|required` of a listener" },
	{ "smtpd_use_tls", PF_LOST, "`tls: offered` of a listener" },
	{ "smtp_use_tls", PF_NOTHING, "TLS is used where it is offered" },
	{ "smtpd_tls_*", PF_DIFFERS, "`tls` of postern.yaml: TLS 1.2 and above, the library's own ciphers" },
	{ "smtp_tls_*", PF_DIFFERS, "`delivery: {tls}`: TLS 1.2 and above where it is asked for, the system's authorities" },
	{ "tls_*", PF_NOTHING, "of the TLS library's making" },
	{ "minimal_backoff_time", PF_LOST, "`delivery: {retry}`: pauses by class of failure" },
	{ "maximal_backoff_time", PF_LOST, "`delivery: {retry}`: pauses by class of failure" },
	{ "bounce_queue_lifetime", PF_DIFFERS, "notices expire as all mail does (`expire`)" },
	{ "notify_classes", PF_DIFFERS, "`postern status` and the log say it" },
	{ "smtpd_client_*_limit", PF_LOST, "`limits` of a listener, or of the policy" },
	{ "smtpd_*_limit", PF_LOST, "`limits: {sessions, sessions_per_client, recipients, errors}` of a listener" },
	{ "default_process_limit", PF_NOTHING, "processes are `receivers`, `scanners`; sessions are `limits`" },
	{ "smtpd_helo_required", PF_NOTHING, "always so" },
	{ "disable_vrfy_command", PF_NOTHING, "VRFY says nothing" },
	{ "strict_rfc821_envelopes", PF_NOTHING, "always so" },
	{ "smtpd_delay_reject", PF_NOTHING, "refusals come at RCPT or behind DATA" },
	{ "smtputf8_enable", PF_NOTHING, "as the clients and servers can" },
	{ "recipient_delimiter", PF_LOST, "addresses with an extension are other addresses" },
	{ "myorigin", PF_LOST, "addresses without a domain are refused, not completed" },
	{ "append_dot_mydomain", PF_NOTHING, "addresses are not completed" },
	{ "smtpd_restriction_classes", PF_LOST, "classes of restrictions: write them as rules" },
	{ "local_*", PF_NOTHING, "of local delivery" },
	{ "mailbox_*", PF_NOTHING, "of local delivery" },
	{ "home_mailbox", PF_NOTHING, "of local delivery" },
	{ "luser_relay", PF_LOST, "of local delivery" },
	{ "postscreen_*", PF_LOST, "`verify: {dnsbl}`, `greylist`, `limits` do that work" },
	{ "proxy_interfaces", PF_LOST, "`public_addresses`" },
	{ "biff", PF_NOTHING, "of local delivery" },
	{ "mydomain", PF_NOTHING, "a name for other values" },
	{ "inet_protocols", PF_DIFFERS, "a listener for each address; delivery uses IPv6 where there is a way" },
	{ "compatibility_level", PF_NOTHING, "of Postfix alone" },
	{ "*_directory", PF_NOTHING, "of Postfix alone" }, { "*_path", PF_NOTHING, "of Postfix alone" },
	{ "mail_owner", PF_NOTHING, "of Postfix alone" }, { "setgid_group", PF_NOTHING, "of Postfix alone" },
	{ "debug*", PF_NOTHING, "of Postfix alone" }, { "maillog_*", PF_NOTHING, "`log`" },
	{ "queue_run_delay", PF_NOTHING, "each message has its own time" },
	{ "multi_instance_*", PF_NOTHING, "of Postfix alone" }, { "syslog_*", PF_NOTHING, "`log`" },
	{ "smtp_dns_support_level", PF_LOST, "`dns: {servers, dnssec}`" },
	{ "smtp_host_lookup", PF_DIFFERS, "names are looked up in the DNS, not in /etc/hosts" },
	{ "parent_domain_matches_subdomains", PF_LOST, "access maps were read as if it held for them; `.domain` is subdomains here" },
};

static bool
name_fits(const char *head, struct span name)
{
	size_t n = strlen(head);
	const char *star = strchr(head, '*');

	if (star == NULL)
		return span_is(name, head);
	if (star == head)
		return span_ends_nocase(name, span_str(head + 1));
	return span_starts(name, span_make(head, (size_t)(star - head))) &&
	    span_ends_nocase(name, span_make(star + 1, n - (size_t)(star - head) - 1));
}

/* $name or ${name in another value? */
static bool
is_referred_to(const struct pf_import *im, const struct pf_param *p)
{
	const char *plain = arena_printf(im->a, "$" SPAN_FMT, SPAN_ARG(p->name));
	const char *braced = arena_printf(im->a, "${" SPAN_FMT, SPAN_ARG(p->name));

	for (size_t i = 0; i < im->main.n; i++)
		if (&im->main.v[i] != p && (strstr(arena_str(im->a, im->main.v[i].value), plain) ||
		    strstr(arena_str(im->a, im->main.v[i].value), braced)))
			return true;
	return false;
}

void
pf_sweep(struct pf_import *im)
{
	for (size_t i = 0; i < im->main.n; i++) {
		struct pf_param *p = &im->main.v[i];
		struct span what;
		size_t k = 0;

		if (p->used)
			continue;
		if (p->bad) {
			pf_leave(im, PF_LOST, "main.cf", p->line, p->name, "no `name = value`: Postfix does not understand it either");
			continue;
		}
		what = span_str(arena_printf(im->a, SPAN_FMT " = " SPAN_FMT, SPAN_ARG(p->name), SPAN_ARG(span_sub(p->value, 0, 200))));
		while (k < sizeof(reasons) / sizeof(*reasons) && !name_fits(reasons[k].head, p->name))
			k++;
		if (k < sizeof(reasons) / sizeof(*reasons))
			pf_leave(im, p->value.n ? reasons[k].kind : PF_NOTHING, "main.cf", p->line, what, "%s", reasons[k].why);
		else if (is_referred_to(im, p))
			pf_leave(im, PF_NOTHING, "main.cf", p->line, what, "a name for other values");
		else
			pf_leave(im, PF_LOST, "main.cf", p->line, what, "no counterpart is known");
	}
}
