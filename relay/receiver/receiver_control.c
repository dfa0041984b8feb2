/* receiver_control.c -- what `postern limits` and `postern session` ask of the receivers.
 *
 * Limits, locks and transcripts lie in memory that all receivers share, so
 * any one of them answers for all.
 */
#include "addr.h"
#include "ipc/principal.h"
#include "clock.h"
#include "conf.h"
#include "json.h"
#include "log.h"
#include "receiver/asking.h"
#include "receiver/counting.h"
#include "receiver/experience.h"
#include "receiver/login.h"
#include "receiver/receiver.h"

static void
object(struct json *j, struct buf *out)
{
	json_begin(j, out);
	json_object(j);
	json_kint(j, "v", 1);
}

static void
end(struct json *j)
{
	json_end_object(j);
	buf_putc(j->b, '\n');
}

static void
client_error(struct buf *out, const char *text)
{
	struct json j;

	object(&j, out);
	json_kcstr(&j, "error", text);
	end(&j);
}

static struct span
request_text(const struct conf_node *req, const char *key)
{
	const struct conf_node *n = conf_get(req, key);

	return n && n->kind == CONF_SCALAR ? n->text : (struct span){ 0 };
}

/* ---- limits ---- */

static const struct limit_rule *
rule_named(const struct receiver *rx, struct span id)
{
	for (size_t i = 0; i < rx->nrules; i++)
		if (span_eq(rx->rules[i].id, id))
			return &rx->rules[i];
	return span_eq(id, login_rule.id) ? &login_rule : NULL;
}

static const char *
unit_name(enum limit_unit u)
{
	static const char *const names[] = { [LIMIT_MESSAGES] = "messages",
		[LIMIT_RECIPIENTS] = "recipients", [LIMIT_CONNECTIONS] = "connections",
		[LIMIT_UNIQUE] = "unique recipients", [LIMIT_INVALID] = "invalid recipients" };

	return names[u];
}

size_t
limits_row(struct receiver *rx, struct span name, bool locked, int64_t left, bool only_locked,
    struct buf *out)
{
	struct span id = span_sub(name, 0, span_find(name, ' '));
	const struct limit_rule *rule = rule_named(rx, id);
	int64_t now = clock_mono();
	struct json j;

	if (rule == NULL || (only_locked && !locked))	/* or of a policy that is gone */
		return 0;
	object(&j, out);
	json_kstr(&j, "limit", rule->id);
	json_kstr(&j, "key", span_from(name, id.n + 1));
	if (!locked) {
		json_kcstr(&j, "unit", unit_name(rule->unit));
		json_kuint(&j, "used", limits_used(rule, now + left, now));
		json_kuint(&j, "allow", rule->allow);
		json_kint(&j, "window", rule->window / US_PER_SEC);
	}
	json_kint(&j, "free_at", (clock_real() + left) / US_PER_SEC);
	json_kbool(&j, "locked", locked);
	end(&j);
	return 1;
}

void
limits_show(struct receiver *rx, bool only_locked, struct buf *out)
{
	static const struct span lock = { LIMITS_LOCK, sizeof(LIMITS_LOCK) - 1 };
	int64_t now = clock_mono();
	struct limits_entry e;
	size_t at = 0;

	while (limits_next(rx->limits, &at, now, &e)) {
		struct span text = span_str(e.text), id = span_sub(text, 0, span_find(text, ' '));
		bool locked = span_ends_nocase(id, lock);
		char name[sizeof(e.text)];

		/* "rule#lock key" as "rule key" */
		snprintf(name, sizeof(name), "%.*s" SPAN_FMT, (int)(locked ? id.n - lock.n : id.n), id.p,
		    SPAN_ARG(span_from(text, id.n)));
		limits_row(rx, span_str(name), locked, e.full_until - now, only_locked, out);
	}
}

/* Exemptions, with whoever answers for them; those that have expired too. */
static void
limits_exempted(struct receiver *rx, struct buf *out)
{
	int64_t real = clock_real();
	struct json j;

	for (size_t i = 0; i < rx->nrules; i++)
		for (size_t k = 0; k < rx->rules[i].nexempt; k++) {
			const struct limit_exempt *x = &rx->rules[i].exempt[k];

			object(&j, out);
			json_kstr(&j, "limit", rx->rules[i].id);
			json_kstr(&j, "match", x->match);
			json_kstr(&j, "owner", x->owner);
			json_kstr(&j, "reason", x->reason);
			json_kint(&j, "until", x->until / US_PER_SEC);
			json_kbool(&j, "expired", real >= x->until);
			end(&j);
		}
}

void
limits_forgotten(struct buf *out, bool any)
{
	struct json j;

	object(&j, out);
	json_kbool(&j, "reset", any);
	end(&j);
}

static void
limits_forget(struct receiver *rx, const struct conf_node *req, struct reply **r)
{
	struct span key = request_text(req, "key"), limit = request_text(req, "limit");
	bool any;

	if (key.n == 0) {
		client_error(reply_buf(*r), "limits.reset needs a key");
		return;
	}
	any = limits_reset(rx->limits, rx->rules, rx->nrules, limit, key);
	any |= limits_reset(rx->limits, &login_rule, 1, limit, key);
	if (!counting_reset(rx, limit, key, any, r))
		limits_forgotten(reply_buf(*r), any);
}

/* ---- sessions ---- */

static void
session_start(struct receiver *rx, const struct conf_node *req, struct buf *out)
{
	struct span net = request_text(req, "client"), text = request_text(req, "minutes");
	struct cidr clients = { 0 };
	uint64_t minutes = 10;
	struct err err;
	struct json j;

	if (net.n && cidr_parse(net, &clients, &err) == -1) {
		client_error(out, err.text);
		return;
	}
	if (text.n)
		minutes = strtoull(text.p, NULL, 10);
	if (minutes == 0 || minutes > TRANSCRIPT_MINUTES_MAX) {
		client_error(out, "minutes: 1 to 1440");
		return;
	}
	transcript_start(rx->transcript, clients, net.n == 0,
	    clock_mono() + (int64_t)minutes * 60 * US_PER_SEC);
	object(&j, out);
	json_kbool(&j, "on", true);
	json_kuint(&j, "minutes", minutes);
	json_kstr(&j, "client", net);
	end(&j);
}

static void
session_show(struct receiver *rx, struct buf *out)
{
	static const char *const kinds[] = { "event", "client", "server" };
	struct transcript_state st;
	struct transcript_line l;
	char ip[IP_TEXT_MAX], id[ID_SIZE];
	int64_t now = clock_mono();
	struct json j;
	uint64_t at = 0;

	transcript_state(rx->transcript, now, &st);
	while (transcript_next(rx->transcript, &at, &l)) {
		object(&j, out);
		json_kcstr(&j, "session", id_format(l.session, id));
		json_kint(&j, "time", l.time);
		json_kcstr(&j, "from", kinds[l.kind]);
		json_kcstr(&j, "client", ip_format(l.client, ip));
		json_kcstr(&j, "text", l.text);
		end(&j);
	}
	object(&j, out);
	json_kbool(&j, "on", st.on);
	json_kint(&j, "seconds_left", st.on ? (st.until - now) / US_PER_SEC : 0);
	json_kuint(&j, "lines", st.lines);
	json_kuint(&j, "lost", st.lost);
	end(&j);
}

static void
session_stop(struct receiver *rx, struct buf *out)
{
	struct json j;

	transcript_stop(rx->transcript);
	object(&j, out);
	json_kbool(&j, "on", false);
	end(&j);
}

/* ---- recipients ---- */

/* The answer may come later. */
static void
recipients_test(struct receiver *rx, const struct conf_node *req, struct reply **r)
{
	struct span text = request_text(req, "address"), local, domain;
	const struct conf_node *n = conf_get(req, "fresh");
	struct arena *a = arena_new(0);

	text = mailaddr_normalise(a, text);
	if (!mailaddr_split(text, &local, &domain))
		client_error(reply_buf(*r), "not a mail address");
	else
		asking_test(rx->asking, text, n && n->kind == CONF_SCALAR && span_is(n->text, "true"), r);
	arena_free(&a);
}

static void
recipients_forget(struct receiver *rx, const struct conf_node *req, struct buf *out)
{
	struct json j;

	asking_forget(rx->asking, request_text(req, "address"));
	object(&j, out);
	json_kbool(&j, "forgotten", true);
	end(&j);
}

/* ---- */

void
receiver_client(struct runtime *rt, int fd, uint32_t uid, struct span request)
{
	struct receiver *rx = rt->state;
	struct reply *r = reply_new(rt, fd);
	struct buf *out = reply_buf(r);
	struct arena *a = arena_new(0);
	const struct conf_node *req;
	struct diags d;
	struct span cmd;
	struct err err;
	bool reads;

	/* A JSON object is a YAML mapping too. */
	diags_init(&d, a);
	req = conf_parse("request", arena_span(a, request), &d);
	cmd = request_text(req, "cmd");
	reads = span_is(cmd, "limits.show") || span_is(cmd, "limits.locked") || span_is(cmd, "limits.exempt") ||
	    span_is(cmd, "reputation.show") || span_is(cmd, "reputation.list");
	if (principal_may(request, uid, reads ? PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(AUDITOR) : 0, NULL,
	    &err) == -1)
		client_error(out, err.text);
	else if (span_is(cmd, "limits.show") || span_is(cmd, "limits") || span_is(cmd, "limits.locked")) {
		if (!counting_show(rx, span_is(cmd, "limits.locked"), &r))
			limits_show(rx, span_is(cmd, "limits.locked"), out);
	} else if (span_is(cmd, "limits.exempt"))
		limits_exempted(rx, out);
	else if (span_is(cmd, "limits.reset"))
		limits_forget(rx, req, &r);
	else if (span_is(cmd, "session.start"))
		session_start(rx, req, out);
	else if (span_is(cmd, "session.show") || span_is(cmd, "session"))
		session_show(rx, out);
	else if (span_is(cmd, "session.stop"))
		session_stop(rx, out);
	else if (span_is(cmd, "recipients.test"))
		recipients_test(rx, req, &r);
	else if (span_starts(cmd, SPAN_LIT("reputation")))
		experience_client(rx, request, uid, out);
	else if (span_is(cmd, "recipients.forget"))
		recipients_forget(rx, req, out);
	else
		client_error(out, "the receiver knows limits.show, .locked, .exempt, .reset, "
		    "session.start, .show and .stop, recipients.test and .forget");
	if (uid != UID_CONSOLE && (span_is(cmd, "limits.reset") || span_is(cmd, "recipients.forget") ||
	    span_starts(cmd, SPAN_LIT("session.st")))) {
		struct span key = request_text(req, "key");

		log_info("%.*s by uid %u", SPAN_ARG(cmd), uid);
		journal_acted(rx, uid, cmd, key.n ? key : request_text(req, "address"));
	}
	arena_free(&a);
	if (r)
		reply_end(&r);
}
