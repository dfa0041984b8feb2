/* export_format.c -- see export_format.h. */
#include <time.h>

#include "clock.h"
#include "id.h"
#include "json.h"
#include "store/export_format.h"
#include "store/journal.h"
#include "utf8.h"

#define STAMP_SIZE 80
#define FACILITY_MAIL 2		/* RFC 5424, 6.2.1 */

/* How bad it is: severity of RFC 5424, and CEF's from 0 to 10; outcome of ECS. */
static const struct event_rank {
	int syslog, cef;
	const char *outcome, *name;
} ranks[EVENT_COUNT] = {
	[EVENT_REFUSED] = { 5, 4, "failure", "Message refused" },
	[EVENT_ACCEPTED] = { 6, 1, "success", "Message accepted" },
	[EVENT_SENT] = { 6, 1, "success", "Message delivered" },
	[EVENT_DEFERRED] = { 5, 3, "unknown", "Delivery put off" },
	[EVENT_FAILED] = { 4, 5, "failure", "Delivery failed" },
	[EVENT_HELD] = { 4, 6, "unknown", "Message held" },
	[EVENT_QUARANTINED] = { 4, 7, "unknown", "Message quarantined" },
	[EVENT_DISCARDED] = { 4, 5, "unknown", "Message discarded" },
	[EVENT_REJECTED] = { 4, 5, "failure", "Message rejected" },
	[EVENT_BOUNCED] = { 5, 3, "unknown", "Sender notified of failure" },
	[EVENT_DELAYED] = { 5, 2, "unknown", "Sender notified of delay" },
	[EVENT_EXPIRED] = { 4, 5, "failure", "Message expired" },
	[EVENT_RELEASED] = { 5, 3, "success", "Message released" },
	[EVENT_OPERATOR] = { 5, 3, "unknown", "Operator act" },
	[EVENT_LOCKED] = { 4, 8, "unknown", "Sender locked" },
	[EVENT_ATTEMPT] = { 6, 1, "failure", "Delivery attempt" },
	[EVENT_TLS_FAILED] = { 4, 6, "failure", "Required TLS not available" },
	[EVENT_ALARM] = { 3, 8, "unknown", "Alarm" },
	[EVENT_AUDIT] = { 5, 3, "unknown", "Change by a person" },
};

/* 2026-11-23T01:02:03.123456Z: RFC 3339 as RFC 5424, 6.2.3 wants it. */
static const char *
stamp(char out[STAMP_SIZE], int64_t us)
{
	time_t t = (time_t)(us / US_PER_SEC);
	struct tm tm;

	gmtime_r(&t, &tm);
	snprintf(out, STAMP_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1,
	    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(us % US_PER_SEC));
	return out;
}

static struct span
bounded(struct span s)
{
	return span_sub(s, 0, EXPORT_TEXT_MAX);
}

/* ---- CEF ---- */

static bool
unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 ||
	    (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void
export_cef_value(struct buf *b, struct span text)
{
	while (text.n) {
		uint32_t c;
		size_t n = utf8_next(text.p, text.n, &c);

		if (n == 0 || (unsafe(c) && c != '\n' && c != '\r')) {
			n = n ? n : 1;
			for (size_t i = 0; i < n; i++)	/* a backslash is \\ in CEF */
				buf_printf(b, "\\\\x%02X", (unsigned char)text.p[i]);
		} else if (c == '\n' || c == '\r') {
			buf_puts(b, c == '\n' ? "\\n" : "\\r");
		} else {
			if (c == '\\' || c == '=')
				buf_puts(b, "\\");
			buf_put(b, text.p, n);
		}
		text = span_from(text, n);
	}
}

/* Texts of the header are ours, but for a `|` of a version. */
static void
cef_header(struct buf *b, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\\' || text.p[i] == '|')
			buf_puts(b, "\\");
		buf_put(b, text.p + i, 1);
	}
	buf_puts(b, "|");
}

static void
cef_field(struct buf *b, const char *key, struct span value)
{
	if (value.n == 0)
		return;
	buf_printf(b, " %s=", key);
	export_cef_value(b, bounded(value));
}

static void
cef_label(struct buf *b, const char *key, const char *label, struct span value)
{
	if (value.n == 0)
		return;
	cef_field(b, key, value);
	buf_printf(b, " %sLabel=%s", key, label);
}

void
export_cef(struct buf *b, const struct export_about *about, const struct msg_event *ev, int64_t seq)
{
	const struct event_rank *rank = &ranks[ev->kind];
	char id[ID_SIZE], ip[IP_TEXT_MAX];

	buf_puts(b, "CEF:0|Postern|Postern|");
	cef_header(b, about->version);
	cef_header(b, span_str(event_name(ev->kind)));
	cef_header(b, span_str(rank->name));
	buf_printf(b, "%d|rt=%lld", rank->cef, (long long)(ev->time / 1000));
	cef_field(b, "dvchost", about->hostname);
	if (ev->id)
		cef_field(b, "externalId", span_str(id_format(ev->id, id)));
	if (ev->env.client.family == 6)
		cef_field(b, "c6a2", span_str(ip_format(ev->env.client, ip)));
	else if (ev->env.client.family)
		cef_field(b, "src", span_str(ip_format(ev->env.client, ip)));
	if (ev->env.client.family == 6)
		buf_puts(b, " c6a2Label=Source IPv6 Address");
	cef_field(b, "shost", ev->env.client_name);
	cef_field(b, "suser", ev->env.sender);
	if (ev->rcpt.n)
		cef_field(b, "duser", ev->rcpt);
	else if (ev->env.nrecipients)
		cef_field(b, "duser", ev->env.recipients[0].address);
	if (ev->env.nrecipients > 1)
		buf_printf(b, " cnt=%zu", ev->env.nrecipients);
	if (ev->size)
		buf_printf(b, " fsize=%llu", (unsigned long long)ev->size);
	cef_field(b, "act", ev->outcome);
	cef_field(b, "dhost", ev->relay);
	cef_field(b, "reason", ev->reply);
	cef_field(b, "spriv", ev->by);
	cef_label(b, "cs1", "dsn", ev->dsn);
	cef_label(b, "cs2", "tls", ev->tls);
	buf_printf(b, " cn1=%lld cn1Label=seq", (long long)seq);
}

/* ---- Elastic Common Schema ---- */

static void
kopt(struct json *j, const char *key, struct span s)
{
	if (s.n)
		json_kstr(j, key, bounded(s));
}

static void
one_in_list(struct json *j, const char *key, struct span s)
{
	if (s.n == 0)
		return;
	json_key(j, key);
	json_array(j);
	json_str(j, bounded(s));
	json_end_array(j);
}

static void
ecs_recipients(struct json *j, const struct msg_event *ev)
{
	if (ev->rcpt.n) {
		one_in_list(j, "email.to.address", ev->rcpt);
		return;
	}
	if (ev->env.nrecipients == 0)
		return;
	json_key(j, "email.to.address");
	json_array(j);
	for (size_t i = 0; i < ev->env.nrecipients && i < EXPORT_TO_MAX; i++)
		json_str(j, bounded(ev->env.recipients[i].address));
	json_end_array(j);
}

void
export_ecs(struct buf *b, const struct export_about *about, const struct msg_event *ev, int64_t seq)
{
	char id[ID_SIZE], ip[IP_TEXT_MAX], at[STAMP_SIZE];
	struct json j;

	json_begin(&j, b);
	json_object(&j);
	json_kcstr(&j, "@timestamp", stamp(at, ev->time));
	json_kcstr(&j, "ecs.version", "8.11.0");
	json_kcstr(&j, "event.kind", ev->kind == EVENT_ALARM ? "alert" : "event");
	json_key(&j, "event.category");
	json_array(&j);
	json_cstr(&j, "email");
	json_end_array(&j);
	json_kcstr(&j, "event.module", "postern");
	json_kcstr(&j, "event.dataset", "postern.journal");
	json_kcstr(&j, "event.action", event_name(ev->kind));
	json_kcstr(&j, "event.outcome", ranks[ev->kind].outcome);
	json_kint(&j, "event.sequence", seq);
	json_kcstr(&j, "observer.vendor", "Postern");
	kopt(&j, "observer.version", about->version);
	kopt(&j, "observer.hostname", about->hostname);
	if (ev->env.client.family)
		json_kcstr(&j, "source.ip", ip_format(ev->env.client, ip));
	kopt(&j, "source.domain", ev->env.client_name);
	one_in_list(&j, "email.from.address", ev->env.sender);
	ecs_recipients(&j, ev);
	kopt(&j, "destination.address", ev->relay);
	kopt(&j, "event.reason", ev->reply);
	kopt(&j, "user.name", ev->by);
	if (ev->id)
		json_kcstr(&j, "postern.id", id_format(ev->id, id));
	if (ev->parent)
		json_kcstr(&j, "postern.parent", id_format(ev->parent, id));
	kopt(&j, "postern.outcome", ev->outcome);
	kopt(&j, "postern.dsn", ev->dsn);
	kopt(&j, "postern.tls", ev->tls);
	if (ev->size)
		json_kuint(&j, "postern.size", ev->size);
	json_end_object(&j);
}

/* ---- RFC 5424 ---- */

void
export_syslog(struct buf *b, const struct export_about *about, enum export_format format,
    const struct msg_event *ev, int64_t seq)
{
	char at[STAMP_SIZE];

	buf_printf(b, "<%d>1 %s " SPAN_FMT " postern - %s - ", FACILITY_MAIL * 8 + ranks[ev->kind].syslog,
	    stamp(at, ev->time), SPAN_ARG(about->hostname), event_name(ev->kind));
	if (format == EXPORT_CEF) {
		export_cef(b, about, ev, seq);
	} else if (format == EXPORT_ECS) {
		export_ecs(b, about, ev, seq);
	} else {
		struct json j;

		json_begin(&j, b);
		json_object(&j);
		journal_event_json(&j, ev, seq);
		json_end_object(&j);
	}
}
