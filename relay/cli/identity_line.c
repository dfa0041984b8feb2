/* identity_line.c -- who sent it, in a line, as the log has it; see identity_line.h. */
#include "cli/identity_line.h"
#include "cli/page.h"
#include "json.h"
#include "postern/policy.h"

#define TEXT_MAX (1u << 20)
#define CLUES_SHOWN 6

/* "a+b": nothing at all where the list is empty. */
static void
put_names(struct buf *o, const char *what, const struct jval *list)
{
	const struct jval *v;

	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		buf_puts(o, i ? "+" : what);
		page_text(o, jval_str(v));
	}
}

static void
put_rating(struct buf *o, const struct jval *spam)
{
	const struct jval *v, *list = jval_get(spam, "symbols");

	if (!jval_is_object(spam))
		return;
	buf_printf(o, ", spam=%.1f", jval_num(jval_get(spam, "score"), 0));
	if (jval_text(spam, "class").n) {
		buf_putc(o, ' ');
		page_text(o, jval_text(spam, "class"));
	}
	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		buf_puts(o, i ? " " : " (");
		page_text(o, jval_str(v));
	}
	buf_puts(o, jval_count(list) ? ")" : "");
}

/* "list entry 17: user a@example.org allow @partner.example, does not count: nothing proves the sender" */
static void
put_lists(struct buf *o, const struct jval *list)
{
	const struct jval *v;

	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		struct span owner = jval_text(v, "owner"), reason = jval_text(v, "reason");

		buf_printf(o, "list entry %lld: ", (long long)jval_int(v, "number", 0));
		page_text(o, jval_text(v, "scope"));
		buf_putc(o, ' ');
		page_text(o, owner);
		buf_puts(o, owner.n ? " " : "");
		page_text(o, jval_text(v, "list"));
		buf_putc(o, ' ');
		page_text(o, jval_text(v, "what"));
		if (!jval_bool(v, "counts"))
			buf_puts(o, ", does not count: nothing proves the sender");
		if (reason.n) {
			buf_puts(o, " -- ");
			page_text(o, reason);
		}
		buf_putc(o, '\n');
	}
}

/* ", bayes=97% spam (host:shop.example 99, …)": its strongest words. */
static void
put_bayes(struct buf *o, const struct jval *bayes)
{
	const struct jval *v, *list = jval_get(bayes, "clues");

	if (!jval_is_object(bayes))
		return;
	buf_printf(o, ", bayes=%lld%% ", (long long)jval_int(bayes, "spam", 0));
	page_text(o, jval_text(bayes, "says"));
	for (size_t i = 0; i < CLUES_SHOWN && (v = jval_at(list, i)) != NULL; i++) {
		buf_puts(o, i ? ", " : " (");
		page_text(o, jval_text(v, "word"));
		buf_printf(o, " %lld", (long long)jval_int(v, "spam", 0));
	}
	buf_puts(o, jval_count(list) ? ")" : "");
}

void
identity_put(struct buf *o, const struct jval *identity)
{
	static const char *const methods[] = { "spf", "dkim", "dmarc", "arc" };
	struct span asks = jval_text(identity, "dmarc_policy");

	if (!jval_is_object(identity))
		return;
	buf_puts(o, "identity:");
	for (size_t i = 0; i < 4; i++) {
		struct span result = jval_text(identity, methods[i]);

		buf_printf(o, "%s %s=", i ? "," : "", methods[i]);
		page_text(o, result.n ? result : SPAN_LIT("unknown"));
		if (i == 2 && asks.n && !span_is(asks, "none")) {
			buf_puts(o, " p=");
			page_text(o, asks);
		}
	}
	if (jval_text(identity, "bounce").n) {
		buf_puts(o, ", bounce=");
		page_text(o, jval_text(identity, "bounce"));
	}
	put_names(o, ", dnsbl=", jval_get(identity, "dnsbl"));
	if (jval_has(identity, "reputation"))
		buf_printf(o, ", reputation=%lld", (long long)jval_int(identity, "reputation", 0));
	put_bayes(o, jval_get(identity, "bayes"));
	if (jval_has(identity, "experience") && jval_int(identity, "experience", 50) != 50)
		buf_printf(o, ", experience=%lld", (long long)jval_int(identity, "experience", 0));
	put_names(o, ", links=", jval_get(identity, "links"));
	put_rating(o, jval_get(identity, "spam"));
	buf_putc(o, '\n');
	put_lists(o, jval_get(identity, "lists"));
}

void
identity_put_facts(struct buf *o, const struct facts *f)
{
	struct jval *v;
	struct json j;
	struct buf b;

	buf_init(&b, TEXT_MAX);
	json_begin(&j, &b);
	facts_identity(f, &j);
	if ((v = jval_parse(buf_data(&b), NULL)) != NULL)
		identity_put(o, v);
	jval_free(&v);
	buf_release(&b);
}
