/* bench_journal.c -- a large journal: how fast it grows, how large it gets, how long questions take.
 *
 *	bench_journal DB ROWS [ASKS]	makes DB with ROWS messages (goes on where it was), asks ASKS times each
 *	bench_journal DB ROWS ASKS bulk	the same rows, but made as fast as SQLite takes them: without verdict
 *					records, with the events of every tenth message, and in one transaction for
 *					each 20,000 of them. SIGTERM ends the filling; what is there is asked.
 *
 * Messages spread over 90 days, as those of a university's relay: 4,000 senders of 40 domains, most
 * mail to few of 200,000 recipients in 20,000 domains (the number is squared: few are frequent), subjects of French and English words, one
 * in four with a file, 3 % deferred before they are sent, 1 % refused. Each message is an `accepted` and one
 * or two events of its delivery. Events go in batches of a thousand, as the role writes them, with the
 * role's own key; only fsync is left out while it is made.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "id.h"
#include "store/hours.h"
#include "store/journal.h"
#include "store/keyring.h"
#include "store/search_private.h"

#define BATCH 500
#define DAYS 90
#define END (INT64_C(1795344099) * US_PER_SEC)
#define ASKS_MAX 10000

static struct err err;
static uint64_t seed = 0x9e3779b97f4a7c15;

static void
need(int r, const char *what)
{
	if (r == -1) {
		fprintf(stderr, "%s: %s\n", what, err.text);
		exit(1);
	}
}

static uint32_t
rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 20) % n;
}

/* Few are frequent. */
static uint32_t
few(uint32_t n)
{
	uint64_t r = rnd(65536);

	return (uint32_t)(r * r * r / 65536 / 65536 * n / 65536);
}

static const char *const words[] = { "facture", "budget", "réunion", "commande", "livraison", "rapport",
	"planning", "invoice", "meeting", "contract", "urgent", "relance", "paiement", "devis", "projet",
	"étude", "thèse", "colloque", "inscription", "convocation", "résultats", "newsletter", "offre",
	"candidature", "stage", "bourse", "laboratoire", "serveur", "panne", "maintenance", "backup",
	"alert", "weekly", "monthly", "summary", "request", "order", "shipment", "update", "security" };
#define WORDS (sizeof(words) / sizeof(words[0]))

struct text {
	char sender[80], rcpt[80], subject[200], record[900], client[40], helo[60], reply[160], relay[80];
};

static void
write_text(struct text *t, uint64_t row)
{
	uint32_t who = few(4000), to = few(200000);
	int n;

	snprintf(t->sender, sizeof(t->sender), "user%u@dept%u.example.org", who, who % 40);
	snprintf(t->rcpt, sizeof(t->rcpt), "person%u@site%u.example.net", to, to % 20000);
	/* Common words, and one that is rare: a number of an order, a name. */
	n = snprintf(t->subject, sizeof(t->subject), "%s %s %s nom%u", words[few(WORDS)], words[few(WORDS)],
	    words[rnd(WORDS)], rnd(500000));
	if (row % 3 == 0)
		snprintf(t->subject + n, sizeof(t->subject) - (size_t)n, " REF-%" PRIu64, row);
	snprintf(t->record, sizeof(t->record), "{\"v\":1,\"policy\":\"84d6deeb00a14963\",\"identity\":null,"
	    "\"unscannable\":[],\"subject\":\"%s\",\"parts\":[{\"part\":\"1\",\"type\":\"text\",\"name\":\"\",\"size\":4096}%s%s%s],"
	    "\"recipients\":[{\"address\":\"%s\",\"outcome\":\"deliver\",\"rules\":[%s],\"holds\":[]}],\"findings\":[]}",
	    t->subject, row % 4 ? "" : ",{\"part\":\"2\",\"type\":\"pdf\",\"name\":\"", row % 4 ? "" : words[rnd(WORDS)],
	    row % 4 ? "" : " 2026.pdf\",\"size\":80000}", t->rcpt, row % 10 ? "" : row % 20 ? "\"footer\"" : "\"cards\"");
	snprintf(t->client, sizeof(t->client), "10.%u.%u.%u", who % 4, who % 250, 1 + who % 200);
	snprintf(t->helo, sizeof(t->helo), "host%u.example.org", who % 300);
	snprintf(t->relay, sizeof(t->relay), "mx%u.site%u.example.net[203.0.113.%u]:25", to % 3, to % 20000, to % 250);
	snprintf(t->reply, sizeof(t->reply), "250 2.0.0 Ok: queued as %08X%02X", rnd(UINT32_MAX), rnd(256));
}

struct made {
	struct journal_batch *b;
	struct arena *a;	/* what its events have */
};

static void
add(struct made *m, const struct msg_event *ev)
{
	int64_t seq;

	need(journal_add(m->b, ev, &seq, &err), "an event");
}

static void
add_message(struct made *m, uint64_t row, uint64_t rows)
{
	int64_t time = END - DAYS * INT64_C(86400) * US_PER_SEC +
	    (int64_t)((double)row / (double)rows * DAYS * 86400.0 * 1e6);
	struct recipient rcpt = { 0 };
	struct text *t = arena_alloc(m->a, sizeof(*t));
	struct msg_event ev = { .kind = EVENT_ACCEPTED, .id = (uint64_t)time * ID_SLOTS + 7, .time = time + 500,
		.size = 2000 + rnd(60000), .has_env = true };

	write_text(t, row);
	rcpt.address = span_str(t->rcpt);
	ev.env = (struct envelope){ .id = ev.id, .direction = DIRECTION_OUTBOUND, .listener = SPAN_LIT("smart-host"),
		.client_name = span_str(t->helo), .helo = span_str(t->helo), .received = time,
		.sender = span_str(t->sender), .recipients = &rcpt, .nrecipients = 1 };
	ip_parse(span_str(t->client), &ev.env.client);
	ev.record = span_str(t->record);
	if (row % 100 == 99) {
		ev.kind = EVENT_REFUSED;
		ev.reply = SPAN_LIT("550 5.7.1 this may not leave (cards)");
		add(m, &ev);
		return;
	}
	add(m, &ev);
	ev = (struct msg_event){ .kind = EVENT_SENT, .id = ev.id, .time = time + 900000, .rcpt = span_str(t->rcpt),
		.outcome = SPAN_LIT("deliver"), .dsn = SPAN_LIT("2.0.0"), .relay = span_str(t->relay),
		.reply = span_str(t->reply), .tls = SPAN_LIT("TLSv1.3 verified") };
	if (row % 33 == 0) {
		struct msg_event late = ev;

		late.kind = EVENT_DEFERRED;
		late.time -= 100000;
		late.reply = SPAN_LIT("450 4.2.0 Greylisted, come back in 300 seconds");
		add(m, &late);
	}
	add(m, &ev);
}

/* ---- in bulk ---- */

#define BULK 20000
#define BULK_HASH (48 << 20)	/* of words that FTS5 gathers before it writes a segment */

static volatile sig_atomic_t enough;

static void
on_term(int sig)
{
	enough = 1;
}

static void
sql(struct db *d, const char *text)
{
	sqlite3_stmt *st = db_once(d, text, &err);

	need(st ? db_run(d, st, &err) : -1, text);
	sqlite3_finalize(st);
}

static sqlite3_stmt *
bulk_event(struct db *d, uint64_t id, int64_t time, const char *kind)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO event(id, time, kind, rcpt, outcome, dsn, relay, reply, tls, key)"
	    " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?2)", &err);

	need(st ? 0 : -1, "an event");
	db_int(st, 1, (int64_t)id);
	db_int(st, 2, time);
	db_text(st, 3, span_str(kind));
	return st;
}

static void
bulk_rows(struct db *d, uint64_t row, uint64_t id, const struct text *t, const char *status)
{
	const char *at = strchr(t->sender, '@') + 1;
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO message(id, time, direction, listener, client, client_name, helo,"
	    " sender, sender_domain, subject, size) VALUES(?,?,1,'smart-host',?,?,?,?,?,?,?)", &err);
	int64_t time = (int64_t)(id / ID_SLOTS);

	need(st ? 0 : -1, "a message");
	db_int(st, 1, (int64_t)id);
	db_int(st, 2, time);
	db_text(st, 3, span_str(t->client));
	db_text(st, 4, span_str(t->helo));
	db_text(st, 5, span_str(t->helo));
	db_text(st, 6, span_str(t->sender));
	db_text(st, 7, span_str(at));
	db_text(st, 8, span_str(t->subject));
	db_int(st, 9, 2000 + rnd(60000));
	need(db_run(d, st, &err), "a message");
	st = db_stmt(d, "INSERT INTO recipient(id, address, domain, outcome, status, dsn, relay, reply, tls, time, attempts)"
	    " VALUES(?,?,?,'deliver',?,'2.0.0',?,?,'TLSv1.3 verified',?,1)", &err);
	need(st ? 0 : -1, "a recipient");
	db_int(st, 1, (int64_t)id);
	db_text(st, 2, span_str(t->rcpt));
	db_text(st, 3, span_str(strchr(t->rcpt, '@') + 1));
	db_text(st, 4, span_str(status));
	db_text(st, 5, span_str(t->relay));
	db_text(st, 6, span_str(t->reply));
	db_int(st, 7, time);
	need(db_run(d, st, &err), "a recipient");
	if (row % 10)
		return;
	st = bulk_event(d, id, time, "accepted");
	db_text_always(st, 4, (struct span){ 0 });
	need(db_run(d, st, &err), "an event");
	st = bulk_event(d, id, time + 900000, status);
	db_text(st, 4, span_str(t->rcpt));
	db_text(st, 5, SPAN_LIT("deliver"));
	db_text(st, 7, span_str(t->relay));
	db_text(st, 8, span_str(t->reply));
	need(db_run(d, st, &err), "an event");
}

/* As search_note does, without a record to be read. */
static void
bulk_words(struct search_batch *b, uint64_t row, uint64_t id, const struct text *t)
{
	struct doc *doc = doc_of(b, id, false);

	doc_address(doc, span_str(t->sender), KEY_SENDER, KEY_SENDER_DOMAIN, COL_SENDER);
	doc_address(doc, span_str(t->rcpt), KEY_RCPT, KEY_RCPT_DOMAIN, COL_RCPT);
	doc_key(doc, KEY_CLIENT, span_str(t->client));
	doc_words(&doc->col[COL_CLIENT], span_str(t->helo));
	doc_words(&doc->col[COL_SUBJECT], span_str(t->subject));
	if (row % 4 == 0) {
		doc_words(&doc->col[COL_FILES], span_str(words[rnd(WORDS)]));
		doc_words(&doc->col[COL_FILES], SPAN_LIT("2026.pdf"));
	}
	if (row % 10 == 0) {
		doc_key(doc, KEY_RULE, row % 20 ? SPAN_LIT("footer") : SPAN_LIT("cards"));
		doc_words(&doc->col[COL_RULES], row % 20 ? SPAN_LIT("footer") : SPAN_LIT("cards"));
	}
	doc = doc_of(b, id, true);
	if (row % 33 == 0)
		doc_words(&doc->col[0], SPAN_LIT("450 4.2.0 Greylisted, come back in 300 seconds"));
	doc_words(&doc->col[0], span_str(t->reply));
}

static void
bulk_message(struct db *d, struct search_batch *b, uint64_t row, uint64_t rows)
{
	uint64_t id = (uint64_t)(END - DAYS * INT64_C(86400) * US_PER_SEC +
	    (int64_t)((double)row / (double)rows * DAYS * 86400.0 * 1e6)) * ID_SLOTS + 7;
	struct text t;

	t.record[0] = '\0';
	write_text(&t, row);
	if (row % 100 == 99)
		snprintf(t.reply, sizeof(t.reply), "550 5.7.1 this may not leave (cards)");
	bulk_rows(d, row, id, &t, row % 100 == 99 ? "refused" : row % 5003 == 0 ? "failed" :
	    rows - row < 40 ? "queued" : "sent");
	bulk_words(b, row, id, &t);
}

/* Larger segments from the start: fewer are merged. */
static void
bulk_hash(struct db *d)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT max(week) FROM search_week", &err);
	static uint64_t known;
	char text[200];
	uint64_t week;

	need(st && db_step(d, st, &err) == 1 ? 0 : -1, "weeks");
	week = db_column_id(st, 0);
	sqlite3_reset(st);
	if (week == known)
		return;
	known = week;
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "INSERT INTO %s_%" PRIu64 "(%s_%" PRIu64 ", rank) VALUES('hashsize', %d)",
		    i ? "replies" : "search", week, i ? "replies" : "search", week, BULK_HASH);
		sql(d, text);
	}
}

/* Where it is stands in the database: a crash may leave it damaged all the same. */
static uint64_t
fill_bulk(struct db *d, uint64_t rows)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT value FROM setting WHERE name='bench'", &err);
	int64_t begun = clock_mono(), said = begun;
	uint64_t from, at;

	need(st ? 0 : -1, "setting");
	from = at = db_step(d, st, &err) == 1 ? db_column_id(st, 0) : 0;
	sqlite3_reset(st);
	seed += at;
	signal(SIGTERM, on_term);
	if (at < rows)
		sql(d, "PRAGMA journal_mode=OFF");
	while (at < rows && !enough) {
		struct search_batch *b = search_batch_new();

		need(db_begin(d, false, &err), "begin");
		for (int i = 0; i < BULK && at < rows; i++)
			bulk_message(d, b, at++, rows);
		need(search_write(d, b, &err), "index");
		search_batch_free(&b);
		bulk_hash(d);
		st = db_stmt(d, "INSERT OR REPLACE INTO setting(name, value) VALUES('bench', ?)", &err);
		need(st ? 0 : -1, "setting");
		db_int(st, 1, (int64_t)at);
		need(db_run(d, st, &err), "setting");
		need(db_commit(d, &err), "commit");
		if (clock_mono() - said > 20 * US_PER_SEC) {
			said = clock_mono();
			printf("%" PRIu64 " messages, %.0f/s\n", at, (double)(at - from) * 1e6 / (double)(said - begun));
			fflush(stdout);
		}
	}
	/* The overview's numbers, as if every hour had been alike. */
	sql(d, "INSERT OR REPLACE INTO hour_count(hour, what, n) WITH RECURSIVE h(n) AS (SELECT min(id)/3844/3600000000 FROM"
	    " message UNION ALL SELECT n+1 FROM h WHERE n<(SELECT max(id)/3844/3600000000 FROM message)) SELECT h.n, w.value,"
	    " 1000 FROM h, json_each('[\"accepted\",\"sent\",\"deferred\",\"failed\",\"held\",\"refused\"]') w");
	sql(d, "PRAGMA journal_mode=WAL");
	return at;
}

/* How many there are then. */
static uint64_t
fill(struct db *d, uint64_t rows)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT count(*) FROM message", &err);
	struct made m = { .a = arena_new(1u << 20) };
	int64_t begun = clock_mono(), said = begun;
	uint64_t from, at;

	need(st && db_step(d, st, &err) == 1 ? 0 : -1, "count");
	from = at = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	for (uint64_t i = 0; i < from; i++)
		rnd(2);
	while (at < rows) {
		need(db_begin(d, false, &err), "begin");
		m.b = journal_begin(d, false);
		for (int i = 0; i < BATCH && at < rows; i++)
			add_message(&m, at++, rows);
		need(journal_write(m.b, &err), "the end");
		need(db_commit(d, &err), "commit");
		journal_free(&m.b);
		arena_reset(m.a);
		if (clock_mono() - said > 20 * US_PER_SEC) {
			said = clock_mono();
			printf("%" PRIu64 " messages, %.0f/s\n", at, (double)(at - from) * 1e6 / (double)(said - begun));
			fflush(stdout);
		}
	}
	arena_free(&m.a);
	if (rows > from)
		printf("%" PRIu64 " messages in %.0f s: %.0f/s\n", rows - from, (double)(clock_mono() - begun) / 1e6,
		    (double)(rows - from) * 1e6 / (double)(clock_mono() - begun));
	return at;
}

/* ---- questions ---- */

static int
by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void
ask(struct db *d, const char *name, void (*make)(char *, size_t), unsigned n, const struct principal *p)
{
	static int64_t times[ASKS_MAX];
	size_t found = 0, partial = 0;
	char q[300];
	struct buf out;

	buf_init(&out, 64u << 20);
	for (unsigned i = 0; i < n; i++) {
		struct trace_result res;
		int64_t begun;

		make(q, sizeof(q));
		buf_reset(&out);
		begun = clock_mono();
		need(journal_trace(d, span_str(q), p, 0, 20, &out, &res, &err), q);
		times[i] = clock_mono() - begun;
		found += res.found;
		partial += res.partial;
	}
	qsort(times, n, sizeof(times[0]), by_value);
	printf("%-34s p50 %8.2f ms  p95 %8.2f ms  max %8.2f ms  %5.1f found  %zu cut short   (%s)\n", name,
	    (double)times[n / 2] / 1e3, (double)times[n * 95 / 100] / 1e3, (double)times[n - 1] / 1e3,
	    (double)found / n, partial, q);
	buf_release(&out);
}

static void q_sender(char *q, size_t n) { uint32_t w = few(4000); snprintf(q, n, "from:user%u@dept%u.example.org", w, w % 40); }
static void q_rcpt(char *q, size_t n) { uint32_t w = few(200000); snprintf(q, n, "person%u@site%u.example.net", w, w % 20000); }
static void q_domain(char *q, size_t n) { snprintf(q, n, "to:@site%u.example.net", few(20000)); }
static void q_client(char *q, size_t n) { uint32_t w = few(4000); snprintf(q, n, "ip:10.%u.%u.%u", w % 4, w % 250, 1 + w % 200); }
static void q_word(char *q, size_t n) { snprintf(q, n, "%s", words[rnd(WORDS)]); }
static void q_rare(char *q, size_t n) { snprintf(q, n, "nom%u", rnd(500000)); }
static void q_none(char *q, size_t n) { snprintf(q, n, "nowhere%u", rnd(500000)); }
static void q_two(char *q, size_t n) { snprintf(q, n, "subject:%s file:%s", words[rnd(WORDS)], words[rnd(WORDS)]); }
static void q_three(char *q, size_t n) { snprintf(q, n, "%s %s from:@dept%u.example.org", words[rnd(WORDS)], words[rnd(WORDS)], rnd(40)); }
static void q_phrase(char *q, size_t n) { snprintf(q, n, "subject:\"%s %s\"", words[rnd(WORDS)], words[rnd(WORDS)]); }
static void q_prefix(char *q, size_t n) { snprintf(q, n, "nom%u*", 100 + rnd(900)); }
static void q_ref(char *q, size_t n) { snprintf(q, n, "\"REF-%u\"", rnd(5000000) * 3); }
static void q_rule(char *q, size_t n) { snprintf(q, n, "rule:cards %s", words[rnd(WORDS)]); }
static void q_reply(char *q, size_t n) { snprintf(q, n, "reply:greylisted from:@dept%u.example.org", rnd(40)); }
static void q_status(char *q, size_t n) { snprintf(q, n, "status:refused %s", words[rnd(WORDS)]); }
static void q_since(char *q, size_t n) { snprintf(q, n, "%s since:2026-09-%02u before:2026-10-%02u", words[rnd(WORDS)], 1 + rnd(28), 1 + rnd(28)); }

static void q_sender_domain(char *q, size_t n) { snprintf(q, n, "from:@dept%u.example.org", rnd(40)); }
static void q_subject(char *q, size_t n) { snprintf(q, n, "subject:nom%u", rnd(500000)); }
static void q_short(char *q, size_t n) { snprintf(q, n, "%c*", "fbrclpimduo"[rnd(11)]); }
static void q_begin(char *q, size_t n) { snprintf(q, n, "%.4s* subject:%s", words[rnd(2)], words[rnd(WORDS)]); }
static void q_never(char *q, size_t n) { snprintf(q, n, "\"%s nom%u\"", words[WORDS - 1 - rnd(9)], rnd(300)); }
static void q_meet(char *q, size_t n) { snprintf(q, n, "rule:cards rule:footer subject:%s", words[rnd(9)]); }
static void q_refused(char *q, size_t n) { snprintf(q, n, "status:refused"); }
static void q_failed(char *q, size_t n) { snprintf(q, n, "status:failed %s", words[rnd(WORDS)]); }
static void q_held(char *q, size_t n) { snprintf(q, n, "status:held %s", words[rnd(WORDS)]); }
static void q_queued(char *q, size_t n) { snprintf(q, n, "status:queued %s", words[rnd(4)]); }
static void q_sent(char *q, size_t n) { snprintf(q, n, "status:sent %s", words[rnd(WORDS)]); }
static void q_status_rcpt(char *q, size_t n) { snprintf(q, n, "status:failed to:@site%u.example.net", few(20000)); }
static void q_time(char *q, size_t n) { snprintf(q, n, "since:2026-09-%02u before:2026-10-%02u", 1 + rnd(28), 1 + rnd(28)); }
static void q_reply_rare(char *q, size_t n) { snprintf(q, n, "reply:%08X%02X subject:facture", rnd(UINT32_MAX), rnd(256)); }
static void q_all(char *q, size_t n) { uint32_t w = few(4000); snprintf(q, n, "from:user%u@dept%u.example.org to:@site%u.example.net %s status:sent"
	" since:2026-09-10", w, w % 40, few(20000), words[few(WORDS)]); }

static uint64_t spread;		/* of how many messages the time is divided among */

static void
q_id(char *q, size_t n)
{
	uint64_t row = (uint64_t)((double)rnd(1000000) / 1e6 * (double)spread);
	char id[ID_SIZE];

	snprintf(q, n, "%s", id_format((uint64_t)(END - DAYS * INT64_C(86400) * US_PER_SEC +
	    (int64_t)((double)row / (double)spread * DAYS * 86400.0 * 1e6)) * ID_SLOTS + 7, id));
}

static void
overview(struct db *d, unsigned n)
{
	static int64_t times[ASKS_MAX];
	struct buf out;

	buf_init(&out, 1u << 20);
	for (unsigned i = 0; i < n; i++) {
		int64_t begun = clock_mono();
		struct json j;

		buf_reset(&out);
		json_begin(&j, &out);
		need(hours_json(d, END, 24, &j, &err), "hours");
		times[i] = clock_mono() - begun;
	}
	qsort(times, n, sizeof(times[0]), by_value);
	printf("%-34s p50 %8.2f ms  p95 %8.2f ms  max %8.2f ms\n", "the last 24 hours", (double)times[n / 2] / 1e3,
	    (double)times[n * 95 / 100] / 1e3, (double)times[n - 1] / 1e3);
	buf_release(&out);
}

int
main(int argc, char **argv)
{
	static struct span domain = { "dept7.example.org", 17 };
	struct principal admin = { .name = SPAN_LIT("admin"), .roles = PRINCIPAL_BIT(DOMAIN_ADMIN), .domains = &domain,
		.ndomains = 1 };
	static const struct { const char *name; void (*make)(char *, size_t); } asks[] = {
		{ "a sender", q_sender }, { "an address", q_rcpt }, { "a domain of recipients", q_domain },
		{ "a client", q_client }, { "a frequent word", q_word }, { "a rare word", q_rare },
		{ "a word that is nowhere", q_none }, { "a phrase", q_phrase }, { "a number of an order", q_ref },
		{ "a prefix", q_prefix }, { "subject and file", q_two }, { "two words and a domain", q_three },
		{ "a rule and a word", q_rule }, { "a reply and a domain", q_reply }, { "a status and a word", q_status },
		{ "a word, in some weeks", q_since }, { "an id", q_id }, { "a sender's domain", q_sender_domain },
		{ "a word of a subject", q_subject }, { "one letter and *", q_short }, { "four letters, * and a word", q_begin },
		{ "a phrase that is nowhere", q_never }, { "three that never meet", q_meet }, { "a status", q_refused },
		{ "a rare status and a word", q_failed }, { "a status of none and a word", q_held },
		{ "queued and a word", q_queued }, { "sent and a word", q_sent },
		{ "a rare status and a domain", q_status_rcpt }, { "a time", q_time },
		{ "a rare reply and a word", q_reply_rare }, { "sender, domain, word, status, time", q_all },
	};
	char key[300];
	struct keyring *ring;
	struct stat st;
	struct db *d;
	uint64_t rows;
	unsigned n;
	bool made;

	if (argc < 3) {
		fprintf(stderr, "usage: bench_journal DB ROWS [ASKS [bulk]]\n");
		return 2;
	}
	n = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 100;
	if (n < 1 || n > ASKS_MAX)
		return 2;
	snprintf(key, sizeof(key), "%s.key", argv[1]);
	ring = keyring_open(key, &made, &err);
	need(ring ? 0 : -1, "key");
	d = db_open(argv[1], &err);
	need(d ? 0 : -1, argv[1]);
	db_use_keys(d, ring);
	rows = spread = strtoull(argv[2], NULL, 10);
	rows = argc > 4 && strcmp(argv[4], "bulk") == 0 ? fill_bulk(d, rows) : fill(d, rows);
	stat(argv[1], &st);
	printf("%" PRIu64 " messages, %.1f GB, %.0f bytes each\n", rows, (double)st.st_size / 1e9,
	    (double)st.st_size / (double)(rows ? rows : 1));
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++)
		ask(d, asks[i].name, asks[i].make, n, NULL);
	ask(d, "a word, one domain's administrator", q_word, n, &admin);
	overview(d, n);
	db_close(&d);
	keyring_free(&ring);
	return 0;
}
