/* auth_book.c -- what the evaluations of `postern auth` share; see auth_book.h. */
#include <string.h>

#include "addr.h"
#include "cli/auth_book.h"
#include "cli/page.h"

bool
auth_options(int argc, char **argv, bool (*take)(void *ctx, const char *name, const char *value),
    void *ctx, bool *verbose)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "-v") == 0)
			*verbose = true;
		else if (i + 1 == argc || !take(ctx, argv[i], argv[i + 1]))
			return false;
		else
			i++;
	}
	return true;
}

void
auth_put_field(struct buf *out, const char *name, struct span value)
{
	if (value.n == 0)
		return;
	buf_printf(out, AUTH_FIELD, name);
	page_text(out, value);
	buf_putc(out, '\n');
}

void
auth_pump(struct lookup *l, struct dns_book *b, bool (*step)(void *ctx), void *ctx)
{
	struct dns_question q;

	while (!step(ctx))
		while (dns_book_next(b, &q))
			dns_book_answer(b, q.id, lookup_ask(l, q.name, q.type));
}

static const char *
type_name(uint16_t type)
{
	switch (type) {
	case DNS_A:
		return "A";
	case DNS_AAAA:
		return "AAAA";
	case DNS_MX:
		return "MX";
	case DNS_PTR:
		return "PTR";
	default:
		return "TXT";
	}
}

static const char *
status_word(const struct dns_reply *r)
{
	static const char *const words[] = { [DNS_OK] = "found", [DNS_NODATA] = "no such record",
		[DNS_NXDOMAIN] = "no such name", [DNS_SERVFAIL] = "failed", [DNS_TIMEOUT] = "no answer",
		[DNS_BOGUS] = "forged (DNSSEC)" };

	return r ? words[r->status] : "not awaited";
}

static struct span
item_text(const struct dns_item *i, uint16_t type, char text[300])
{
	if (type == DNS_A || type == DNS_AAAA)
		return span_str(ip_format(i->ip, text));
	if (type != DNS_MX)
		return i->text;
	snprintf(text, 300, "%u " SPAN_FMT, i->pref, SPAN_ARG(i->text));
	return span_str(text);
}

void
auth_put_questions(struct buf *out, const struct dns_book *b)
{
	char text[300];

	for (size_t i = 0; i < dns_book_count(b); i++) {
		const struct dns_reply *r;
		struct dns_question q;

		dns_book_get(b, i, &q, &r);
		buf_printf(out, "  dns  %-4s ", type_name(q.type));
		page_text(out, span_str(q.name));
		buf_printf(out, ": %s%s\n", status_word(r), r && r->secure ? ", secure" : "");
		for (size_t k = 0; r && k < r->n; k++) {
			buf_puts(out, "            ");
			page_text(out, item_text(&r->items[k], q.type, text));
			buf_putc(out, '\n');
		}
	}
}

void
auth_json_questions(struct json *j, const struct dns_book *b)
{
	char text[300];

	json_key(j, "questions");
	json_array(j);
	for (size_t i = 0; i < dns_book_count(b); i++) {
		const struct dns_reply *r;
		struct dns_question q;

		dns_book_get(b, i, &q, &r);
		json_object(j);
		json_kcstr(j, "name", q.name);
		json_kcstr(j, "type", type_name(q.type));
		json_kcstr(j, "status", status_word(r));
		json_kbool(j, "secure", r && r->secure);
		json_key(j, "records");
		json_array(j);
		for (size_t k = 0; r && k < r->n; k++)
			json_str(j, item_text(&r->items[k], q.type, text));
		json_end_array(j);
		json_end_object(j);
	}
	json_end_array(j);
}
