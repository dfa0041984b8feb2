/* metrics.c -- /metrics for Prometheus (text format 0.0.4), on an address of its own.
 *
 * Most figures are the counters that all processes share: to read them asks nobody. What the queue, the store and
 * the master alone know they are asked for, METRICS_TIME each; who does not answer has no figures in
 * this page, and `postern_up{role}` says so. The address is for Prometheus: there is no
 * sign-in, and nothing is in it but numbers.
 */
#include <stdio.h>

#include "clock.h"
#include "console/routes.h"

#define METRICS_MAX ((size_t)512 << 10)

/* A counter's own name unless it stands here: families with a label, and gauges. */
enum how { TOTAL, GAUGE };
static const struct { enum counter c; enum how how; const char *family, *label; } shown[COUNTER_COUNT] = {
#define AS(name, how, family, label) [COUNTER_##name] = { COUNTER_##name, how, family, label }
	AS(CONNECTIONS, TOTAL, "smtpd_connections_total", "result=\"accepted\""),
	AS(CONNECTIONS_REFUSED, TOTAL, "smtpd_connections_total", "result=\"refused\""),
	AS(SESSIONS, GAUGE, "smtpd_sessions", NULL),
	AS(TLS_SESSIONS, GAUGE, "smtpd_tls_sessions", NULL),
	AS(MEMORY, GAUGE, "smtpd_memory_bytes", NULL),
	AS(AV_SIGNATURES_MADE, GAUGE, "av_signature_timestamp_seconds", NULL),
	AS(OUT_DELIVER, TOTAL, "policy_outcomes_total", "outcome=\"deliver\""),
	AS(OUT_REJECT, TOTAL, "policy_outcomes_total", "outcome=\"reject\""),
	AS(OUT_DEFER, TOTAL, "policy_outcomes_total", "outcome=\"defer\""),
	AS(OUT_HOLD, TOTAL, "policy_outcomes_total", "outcome=\"hold\""),
	AS(OUT_QUARANTINE, TOTAL, "policy_outcomes_total", "outcome=\"quarantine\""),
	AS(OUT_DISCARD, TOTAL, "policy_outcomes_total", "outcome=\"discard\""),
	AS(OUT_REDIRECT, TOTAL, "policy_outcomes_total", "outcome=\"redirect\""),
	AS(QUEUED, GAUGE, "queue_entries", NULL),
	AS(DELIVERED, TOTAL, "deliveries_total", "result=\"sent\""),
	AS(DEFERRED, TOTAL, "deliveries_total", "result=\"deferred\""),
	AS(FAILED, TOTAL, "deliveries_total", "result=\"failed\""),
	AS(DIRECTORY_DOWN, GAUGE, "directories_down", NULL),
#undef AS
};

struct page {
	struct buf b;			/* its bytes lie in the request's arena: nothing is left behind */
	bool queue, store, master;
};

static void
family(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP postern_%s %s\n# TYPE postern_%s %s\n", name, help, name, type);
}

static void
gauge(struct buf *b, const char *name, const char *help, double value)
{
	family(b, name, "gauge", help);
	buf_printf(b, "postern_%s %.10g\n", name, value);
}

static void
put_counters(struct buf *b)
{
	static const char *const helps[][2] = {
		{ "smtpd_connections_total", "connections of clients" },
		{ "policy_outcomes_total", "recipients judged" },
		{ "deliveries_total", "recipients by what came of an attempt" },
	};
	const char *last = "";
	char own[80];

	for (int i = 0; i < COUNTER_COUNT; i++) {
		enum counter c = (enum counter)i;
		const char *name = shown[i].family, *help = counter_help(c);

		if (c == COUNTER_RECEIVED || c == COUNTER_RECEIVED_INBOUND)
			continue;
		if (name == NULL) {
			snprintf(own, sizeof(own), "%s_total", counter_name(c));
			name = own;
		}
		for (size_t h = 0; h < sizeof(helps) / sizeof(helps[0]); h++)
			if (strcmp(helps[h][0], name) == 0)
				help = helps[h][1];
		if (shown[i].label == NULL || strcmp(name, last) != 0)
			family(b, name, shown[i].how == GAUGE ? "gauge" : "counter", help);
		last = shown[i].label ? name : "";
		buf_printf(b, "postern_%s%s%s%s %llu\n", name, shown[i].label ? "{" : "",
		    shown[i].label ? shown[i].label : "", shown[i].label ? "}" : "",
		    (unsigned long long)counter_get(c));
	}
}

static void
put_received(struct buf *b)
{
	uint64_t all = counter_get(COUNTER_RECEIVED), in = counter_get(COUNTER_RECEIVED_INBOUND);

	family(b, "messages_received_total", "counter", "messages acknowledged with 250");
	buf_printf(b, "postern_messages_received_total{direction=\"inbound\"} %llu\n"
	    "postern_messages_received_total{direction=\"outbound\"} %llu\n", (unsigned long long)in,
	    (unsigned long long)(all > in ? all - in : 0));
}

static void
put_histograms(struct buf *b)
{
	for (int i = 0; i < HISTOGRAM_COUNT; i++) {
		enum histogram h = (enum histogram)i;
		const char *name = histogram_name(h);
		uint64_t n[HISTOGRAM_BUCKETS], sum, so_far = 0;

		histogram_get(h, n, &sum);
		family(b, name, "histogram", histogram_help(h));
		for (int k = 0; k < HISTOGRAM_BUCKETS - 1; k++) {
			so_far += n[k];
			buf_printf(b, "postern_%s_bucket{le=\"%g\"} %llu\n", name,
			    (double)histogram_bounds[k] / US_PER_SEC, (unsigned long long)so_far);
		}
		so_far += n[HISTOGRAM_BUCKETS - 1];
		buf_printf(b, "postern_%s_bucket{le=\"+Inf\"} %llu\npostern_%s_sum %.6f\npostern_%s_count %llu\n",
		    name, (unsigned long long)so_far, name, (double)sum / US_PER_SEC, name,
		    (unsigned long long)so_far);
	}
}

/* Sites, rules, domains: as many as there are, and `other`. */
static void
put_labelled(struct buf *b)
{
	for (int i = 0; i < LABEL_FAMILIES; i++) {
		const struct label_info *l = label_info((enum label_family)i);
		const struct label_slot *s;
		size_t at = 0;

		family(b, l->metric, "counter", l->help);
		while ((s = label_next((enum label_family)i, &at)) != NULL) {
			buf_printf(b, "postern_%s{%s=\"%.*s\"", l->metric, l->a, s->na, s->text);
			if (l->b)
				buf_printf(b, ",%s=\"%.*s\"", l->b, s->nb, s->text + s->na);
			buf_printf(b, "} %llu\n", (unsigned long long)__atomic_load_n(&s->count,
			    __ATOMIC_RELAXED));
		}
	}
}

/* ---- what others know ---- */

static struct jval *
read_answer(struct span lines)
{
	struct err err;
	struct jval *v = jval_parse(span_trim(span_sub(lines, 0, span_find(lines, '\n'))), &err);

	if (jval_has(v, "error"))
		jval_free(&v);
	return v;
}

static double
number(const struct jval *v, const char *key)
{
	return jval_num(jval_get(v, key), 0);
}

static void
finish(struct client *k, struct page *p)
{
	struct buf *b = &p->b;

	family(b, "up", "gauge", "did this role answer");
	buf_printf(b, "postern_up{role=\"master\"} %d\npostern_up{role=\"queue\"} %d\n"
	    "postern_up{role=\"store\"} %d\n", p->master, p->queue, p->store);
	client_answer(k, 200, "text/plain; version=0.0.4; charset=utf-8", buf_data(b));
}

static void
master_told(struct client *k, struct span lines)
{
	struct page *p = k->state;
	struct jval *v = read_answer(lines);

	p->master = v != NULL;
	if (v) {
		gauge(&p->b, "config_last_reload_successful", "is the configuration on the disk in force",
		    !jval_text(jval_get(v, "reload"), "refused").n);
		gauge(&p->b, "uptime_seconds", "since the start", number(v, "uptime"));
	}
	jval_free(&v);
	finish(k, p);
}

static void
store_told(struct client *k, struct span lines)
{
	struct page *p = k->state;
	struct jval *v = read_answer(lines);

	p->store = v != NULL;
	if (v) {
		gauge(&p->b, "holds_pending", "messages on hold", number(v, "held"));
		gauge(&p->b, "quarantine_messages", "messages in quarantine", number(v, "quarantined"));
	}
	jval_free(&v);
	forward_ask(k, "status", master_told);
}

static void
queue_told(struct client *k, struct span lines)
{
	struct page *p = k->state;
	struct jval *v = read_answer(lines);
	double oldest, all, held, active;

	p->queue = v != NULL;
	if (v) {
		oldest = number(v, "oldest");
		all = number(v, "messages");
		held = number(v, "held");
		active = number(v, "active");
		family(&p->b, "queue_messages", "gauge", "messages in the queue");
		buf_printf(&p->b, "postern_queue_messages{state=\"active\"} %.10g\n"
		    "postern_queue_messages{state=\"held\"} %.10g\n"
		    "postern_queue_messages{state=\"waiting\"} %.10g\n", active, held,
		    all > held + active ? all - held - active : 0);
		gauge(&p->b, "queue_bytes", "bytes of the messages in the queue", number(v, "bytes"));
		gauge(&p->b, "queue_oldest_seconds", "age of the eldest message in the queue",
		    oldest > 0 ? (double)clock_real() / US_PER_SEC - oldest : 0);
		gauge(&p->b, "queue_refusing", "is mail refused because the queue or the disk is full",
		    jval_bool(v, "refusing"));
		gauge(&p->b, "spool_free_bytes", "free on the spool's disk",
		    number(jval_get(v, "spool"), "free_bytes"));
	}
	jval_free(&v);
	forward_ask(k, "journal.stats", store_told);
}

void
metrics_serve(struct client *k)
{
	struct page *p;

	if (!span_is(k->r.path, "/metrics") || (k->r.method != HTTP_GET && k->r.method != HTTP_HEAD)) {
		client_answer(k, 404, "text/plain; charset=utf-8", SPAN_LIT("there is /metrics alone\n"));
		return;
	}
	k->as = SPAN_LIT("{\"name\":\"metrics\",\"roles\":[\"operator\",\"auditor\"]}");
	k->state = p = arena_zalloc(k->arena, sizeof(*p));
	p->b = (struct buf){ .p = arena_alloc(k->arena, METRICS_MAX), .cap = METRICS_MAX, .max = METRICS_MAX };
	family(&p->b, "build_info", "gauge", "which program this is");
	buf_printf(&p->b, "postern_build_info{version=\"%s\"} 1\n", POSTERN_VERSION);
	if (k->c->rt->conf->node_number) {
		family(&p->b, "node_info", "gauge", "which node of the cluster this is");
		buf_printf(&p->b, "postern_node_info{node=\"" SPAN_FMT "\",number=\"%u\"} 1\n",
		    SPAN_ARG(k->c->rt->conf->node), k->c->rt->conf->node_number);
	}
	put_counters(&p->b);
	put_received(&p->b);
	put_histograms(&p->b);
	put_labelled(&p->b);
	forward_ask(k, "queue.summary", queue_told);
}
