/* postfix_ldap.c -- who exists, asked of an LDAP table (ldap_table(5)), as `directory` and `recipients: {ldap}`.
 *
 * The table is a file of `name = value` (ldap:/PATH), or parameters of main.cf with a name in front (ldap:NAME).
 * Only the question "does this address exist" is taken over: what the table answers beyond that (result_format,
 * leaf attributes, recursion) is of no concern for it. The password is not carried into YAML, and not shown.
 */
#include <string.h>

#include "addr.h"
#include "cli/postfix_import.h"
#include "directory/filter.h"
#include "fs.h"

#define PASSWORD_FILE "ldap.password"

struct ldap_table {
	struct pf_params own;
	const char *prefix;	/* NULL: a file's */
};

static struct span
value_of(struct pf_import *im, const struct ldap_table *t, const char *name)
{
	struct pf_param *p;

	if (t->prefix)
		return pf_take(im, arena_printf(im->a, "%s_%s", t->prefix, name), NULL);
	p = pf_find(&t->own, name);
	return p ? span_trim(p->value) : (struct span){ 0 };
}

static bool
yes(struct span s)
{
	return span_is_nocase(s, "yes");
}

/* Postfix: %s the address, %u its local part, %d its domain, %S … in upper case. NULL: others. */
static const char *
filter_of(struct pf_import *im, struct span s)
{
	struct span text;
	const char *out;
	struct buf b;
	bool ok = true;

	buf_init(&b, FILTER_MAX);
	for (size_t i = 0; i < s.n; i++) {
		buf_putc(&b, s.p[i]);
		if (s.p[i] != '%')
			continue;
		switch (++i < s.n ? s.p[i] : '\0') {
		case 's':
		case 'S':
			buf_putc(&b, 'm');
			break;
		case 'u':
		case 'U':
			buf_putc(&b, 'u');
			break;
		case 'd':
		case 'D':
			buf_putc(&b, 'd');
			break;
		case '%':
			buf_putc(&b, '%');
			break;
		default:
			ok = false;
		}
	}
	text = arena_span(im->a, buf_data(&b));
	ok = ok && !buf_failed(&b) && template_check(TEMPLATE_FILTER, text, NULL);
	out = ok ? pf_quote(im->a, text) : NULL;
	buf_release(&b);
	return out;
}

/* "dc1.example.org dc2:390 ldaps://dc3" as URLs. false: none. */
static bool
servers(struct pf_import *im, const struct ldap_table *t, struct buf *o, bool *clear)
{
	struct span list = value_of(im, t, "server_host"), port = value_of(im, t, "server_port"), w;
	bool any = false;

	if (list.n == 0)
		list = SPAN_LIT("localhost");
	buf_puts(o, "    servers: [");
	while (pf_word(&list, &w)) {
		bool url = span_starts(w, SPAN_LIT("ldap://")) || span_starts(w, SPAN_LIT("ldaps://"));

		if (!url && memmem(w.p, w.n, "://", 3))
			continue;	/* ldapi: no network */
		if (w.n && w.p[w.n - 1] == '/')
			w.n--;
		*clear |= !span_starts(w, SPAN_LIT("ldaps://"));
		buf_printf(o, "%s%s", any ? ", " : "", pf_quote(im->a, url ? w : span_str(arena_printf(im->a, "ldap://" SPAN_FMT "%s" SPAN_FMT,
		    SPAN_ARG(w), port.n && span_find(w, ':') == w.n ? ":" : "", SPAN_ARG(span_find(w, ':') == w.n ? port : (struct span){ 0 })))));
		any = true;
	}
	buf_puts(o, "]\n");
	return any;
}

static bool
open_table(struct pf_import *im, struct pf_param *p, struct span whole, struct span name, struct ldap_table *t)
{
	const char *path;
	struct span text;
	struct err err;

	*t = (struct ldap_table){ .prefix = NULL };
	if (name.n == 0 || (name.p[0] != '/' && name.p[0] != '.')) {
		t->prefix = arena_str(im->a, name);
		return true;
	}
	path = pf_path(im, name);
	if (fs_read(im->a, path, PF_FILE_MAX, &text, &err) == -1) {
		pf_leave(im, PF_LOST, "main.cf", p->line, whole, "%s", err.text);
		return false;
	}
	if (pf_main_cf(im->a, pf_clean(im, path, text), &t->own) == -1) {
		pf_leave(im, PF_LOST, "main.cf", p->line, whole, "more lines than a table has");
		return false;
	}
	return true;
}

bool
pf_ldap(struct pf_import *im, struct pf_param *p, struct span whole, struct span name)
{
	struct span base, filter, dn, domain, scope, w;
	struct ldap_table t;
	struct buf o;
	bool clear = false, ok, any = false;
	const char *quoted;

	if (!open_table(im, p, whole, name, &t))
		return false;
	buf_init(&o, 64u << 10);
	buf_printf(&o, "\n# main.cf:%u: " SPAN_FMT "\ndirectory:\n  postfix:\n", p->line, SPAN_ARG(whole));
	base = value_of(im, &t, "search_base");
	filter = value_of(im, &t, "query_filter");
	quoted = filter_of(im, filter.n ? filter : SPAN_LIT("(mailacceptinggeneralid=%s)"));
	ok = servers(im, &t, &o, &clear);
	if (!ok || base.n == 0 || span_find(base, '%') < base.n || quoted == NULL) {
		pf_leave(im, PF_LOST, "main.cf", p->line, whole, !ok ? "no server that can be asked over a network" : quoted == NULL ?
		    "its query_filter has parts that no filter here has" : "it has no search_base, or one made of the address");
		buf_release(&o);
		return false;
	}
	buf_printf(&o, "    base: %s\n", pf_quote(im->a, base));
	dn = value_of(im, &t, "bind_dn");
	w = value_of(im, &t, "bind");
	if (dn.n && !span_is_nocase(w, "no") && !span_is_nocase(w, "none")) {
		buf_printf(&o, "    bind: %s\n    password_file: " PASSWORD_FILE "\n", pf_quote(im->a, dn));
		pf_leave(im, PF_DIFFERS, "main.cf", p->line, whole, "its bind_pw goes into /etc/postern/" PASSWORD_FILE ", mode 0600");
	}
	if (clear && !yes(value_of(im, &t, "start_tls"))) {
		buf_puts(&o, "    tls: {starttls: off}\n");
		pf_leave(im, PF_DIFFERS, "main.cf", p->line, whole, "asked in clear, as Postfix does; better ldaps:// or `starttls: required`");
	}
	domain = value_of(im, &t, "domain");
	while (pf_word(&domain, &w))
		if (domain_normalise(im->a, w, &w)) {
			buf_printf(&o, "%s" SPAN_FMT, any ? ", " : "    domains: [", SPAN_ARG(w));
			any = true;
		}
	if (any)
		buf_puts(&o, "]\n");
	scope = value_of(im, &t, "scope");
	if (scope.n && !span_is_nocase(scope, "sub"))
		pf_leave(im, PF_DIFFERS, "main.cf", p->line, whole, "scope " SPAN_FMT ": here all below the base is looked at", SPAN_ARG(scope));
	buf_span(&im->yaml, buf_data(&o));
	buf_release(&o);
	im->ldap_filter = quoted;
	return true;
}
