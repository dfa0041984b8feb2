/* tlsrpt_send.c -- reports on their way: who wants them, and to them; see tlsrpt.h.
 *
 *	LOOKUP	_smtp._tls.DOMAIN, at delivery		-> a row for each URI, or nobody wants it
 *	SIGN	the message, at the signer		(mailto:; without a key it is not sent, 8460, 3)
 *	SUBMIT	into the queue				-> sent
 *	POST	to the URL, at the fetcher		-> sent (https:)
 *
 * At most FLIGHTS_AT_ONCE fly; the others wait in the table, or QUEUED when a person asked.
 */
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "store/tlsrpt_own.h"

#define ANSWER_US (90 * US_PER_SEC)
#define RETRY_FIRST (5 * 60 * US_PER_SEC)
#define RETRY_MAX (4 * 3600 * US_PER_SEC)
#define GIVE_UP_US (24 * 3600 * US_PER_SEC)	/* RFC 8460, 4.1 */
#define POLICIES_MAX 100	/* of one domain on one day */
#define MESSAGE_MAX (24u << 20)

struct tls_flight *
flight_new(struct tls_reports *t, const struct tls_report_row *row, struct tls_ask *ask)
{
	struct arena *a = arena_new(0);
	struct tls_flight *f = arena_zalloc(a, sizeof(*f)), **pp = &t->flights;

	f->t = t;
	f->arena = a;
	f->row = *row;
	f->row.domain = arena_span(a, row->domain);
	f->row.uri = arena_span(a, row->uri);
	f->row.detail = (struct span){ 0 };
	f->ask = ask;
	f->partial = row->day >= clock_real() / TLS_DAY_US;
	buf_init(&f->message, MESSAGE_MAX);
	if (ask)
		ask->open++;
	while (*pp)
		pp = &(*pp)->next;
	*pp = f;
	return f;
}

static void
land(struct tls_flight *f)
{
	struct tls_reports *t = f->t;
	struct arena *a = f->arena;

	for (struct tls_flight **pp = &t->flights; *pp; pp = &(*pp)->next)
		if (*pp == f) {
			*pp = f->next;
			break;
		}
	if (f->stage != FLIGHT_QUEUED)
		t->flying--;
	if (f->ask)
		tls_ask_done(f->ask);
	t->look_at = 0;
	buf_release(&f->message);
	arena_free(&a);
	flights_pump(t);
}

void
flights_drop(struct tls_reports *t)
{
	struct tls_flight *f;

	while ((f = t->flights) != NULL) {
		struct arena *a = f->arena;

		t->flights = f->next;
		if (f->ask)
			tls_ask_done(f->ask);
		buf_release(&f->message);
		arena_free(&a);
	}
}

static void
row_put(struct tls_flight *f)
{
	struct err err;

	if (f->partial)
		return;
	store_settle(f->t->s);
	if (tls_db_put(f->t->s->db, &f->row, &err) == -1)
		log_error("TLS reports: %s", err.text);
}

static void
set_detail(struct tls_flight *f, struct span text)
{
	char *p = arena_str(f->arena, span_sub(text, 0, 500));

	f->row.detail = span_str(p);
	for (; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

/* The end of this flight: it came off, or never will. */
static void
settle(struct tls_flight *f, enum report_state state, struct span detail)
{
	f->row.state = state;
	set_detail(f, detail);
	row_put(f);
	if (f->row.uri.n)
		log_info("TLS report about " SPAN_FMT " to " SPAN_FMT ": %s (" SPAN_FMT ")",
		    SPAN_ARG(f->row.domain), SPAN_ARG(f->row.uri), report_state_name(state),
		    SPAN_ARG(f->row.detail));
	if (f->ask) {
		f->ask->sent += state == REPORT_SENT;
		f->ask->failed += state != REPORT_SENT && state != REPORT_LISTED;
		if (state != REPORT_LISTED)
			tls_ask_tell(f->ask, &f->row);
	}
	land(f);
}

/* Not this time. Who asked hears so at once; the day's own try again. */
static void
put_off(struct tls_flight *f, struct span why)
{
	int64_t now = clock_real(), wait = RETRY_FIRST;

	if (f->row.first == 0)
		f->row.first = now;
	if (f->partial || now - f->row.first >= GIVE_UP_US) {
		settle(f, REPORT_FAILED, why);
		return;
	}
	for (int64_t i = 0; i < f->row.tries && wait < RETRY_MAX; i++)
		wait *= 2;
	f->row.tries++;
	f->row.next = now + (wait < RETRY_MAX ? wait : RETRY_MAX);
	settle(f, REPORT_WAITS, why);
}

/* ---- the report ---- */

static int
report_fill(struct tls_flight *f, struct tls_report *r, char id[REPORT_ID_MAX], struct err *err)
{
	const struct config *conf = f->t->s->rt->conf;
	struct span local;
	struct tls_policy_row *rows;
	int64_t now = clock_real() / US_PER_SEC;

	store_settle(f->t->s);
	if (tls_db_day(f->t->s->db, f->row.day, f->row.domain, POLICIES_MAX, f->arena, &rows, &r->nrows,
	    err) == -1)
		return -1;
	if (r->nrows == 0)
		return err_set(err, 0, "nothing was seen of it on that day");
	r->rows = rows;
	r->organization = conf->reports.organization;
	r->contact = conf->reports.contact;
	r->from = conf->reports.from;
	r->hostname = conf->hostname;
	r->domain = f->row.domain;
	r->begin = f->row.day * 86400;
	r->end = r->begin + 86399 < now ? r->begin + 86399 : now;
	r->id = id;
	if (!mailaddr_split(r->from, &local, &r->submitter))
		return err_set(err, 0, "`tls_reports: from` is not set");
	report_id(r, id);
	return 0;
}

/* The gzipped report, and for mailto: the message. */
static int
report_make(struct tls_flight *f, struct buf *gz, struct err *err)
{
	char id[REPORT_ID_MAX];
	struct tls_report r;
	struct buf json;
	int ret = -1;

	buf_init(&json, REPORT_JSON_MAX);
	if (report_fill(f, &r, id, err) == -1)
		goto out;
	report_json(&json, &r);
	if (buf_failed(&json)) {
		err_set(err, 0, "the report is too large");
		goto out;
	}
	if (report_gzip(gz, buf_data(&json), err) == -1)
		goto out;
	if (f->to)
		report_message(&f->message, &r, buf_data(gz), f->to, clock_real());
	ret = buf_failed(&f->message) ? err_set(err, 0, "the report is too large") : 0;
out:
	buf_release(&json);
	return ret;
}

/* ---- stages ---- */

static void
wait_for(struct tls_flight *f, enum flight_stage stage)
{
	f->stage = stage;
	f->ticket = ++f->t->last_ticket;
	f->deadline = clock_mono() + ANSWER_US;
}

static int
hand_over(struct link *l, enum frame_type type, uint64_t ticket, struct buf *b, int fd)
{
	int r = -1;

	if (l && !buf_failed(b))
		r = link_send(l, type, ticket, buf_data(b), fd);
	else if (fd != -1)
		close(fd);
	buf_release(b);
	return r;
}

static void
begin_lookup(struct tls_flight *f)
{
	struct msg_rua_ask m = { f->row.domain };
	struct buf b;

	wait_for(f, FLIGHT_LOOKUP);
	buf_init(&b, FRAME_SMALL);
	rua_ask_encode(&b, &m);
	if (hand_over(f->t->delivery, FRAME_RUA_ASK, f->ticket, &b, -1) == -1)
		put_off(f, SPAN_LIT("delivery is away"));
}

static void
begin_post(struct tls_flight *f)
{
	struct msg_post m = { .url = f->row.uri };
	struct buf gz, b;
	struct err err;

	buf_init(&gz, MESSAGE_MAX);
	if (report_make(f, &gz, &err) == -1) {
		buf_release(&gz);
		settle(f, REPORT_FAILED, span_str(err.text));
		return;
	}
	wait_for(f, FLIGHT_POST);
	m.body = buf_data(&gz);
	buf_init(&b, FRAME_BIG);
	post_encode(&b, &m);
	buf_release(&gz);
	if (hand_over(f->t->fetcher, FRAME_POST, f->ticket, &b, -1) == -1)
		put_off(f, SPAN_LIT("the fetcher is away, or the report too large"));
}

static void
begin_mail(struct tls_flight *f)
{
	char address[TLSRPT_ADDRESS_MAX];
	struct msg_sign m = { 0 };
	struct span local;
	struct buf gz, b;
	struct err err;
	int r;

	if (!tlsrpt_uri_address(f->row.uri, address)) {
		settle(f, REPORT_FAILED, SPAN_LIT("it is no address that mail can be sent to"));
		return;
	}
	f->to = arena_str(f->arena, mailaddr_normalise(f->arena, span_str(address)));
	buf_init(&gz, MESSAGE_MAX);
	r = report_make(f, &gz, &err);
	buf_release(&gz);
	if (r == -1 || store_payload(buf_data(&f->message), f->arena, &m.payload, &err) == -1) {
		settle(f, REPORT_FAILED, span_str(err.text));
		return;
	}
	wait_for(f, FLIGHT_SIGN);
	m.id = f->mail = id_new(&f->t->s->ids, clock_real());
	mailaddr_split(f->t->s->rt->conf->reports.from, &local, &m.domain);
	buf_init(&b, FRAME_BIG);
	sign_encode(&b, &m);
	if (hand_over(f->t->signer, FRAME_SIGN, f->ticket, &b, m.payload.fd) == -1)
		put_off(f, SPAN_LIT("the signer is away"));
}

void
flights_pump(struct tls_reports *t)
{
	struct tls_flight *f = t->flights, *next;

	for (; f && t->flying < FLIGHTS_AT_ONCE; f = next) {
		next = f->next;
		if (f->stage != FLIGHT_QUEUED)
			continue;
		t->flying++;
		f->stage = FLIGHT_LOOKUP;
		if (f->row.uri.n == 0)
			begin_lookup(f);
		else if (tlsrpt_uri_is_mailto(f->row.uri))
			begin_mail(f);
		else
			begin_post(f);
		next = t->flights;	/* what was begun may have ended, and others with it */
	}
}

/* ---- answers ---- */

static struct tls_flight *
find(struct tls_reports *t, uint64_t ticket, enum flight_stage stage)
{
	for (struct tls_flight *f = t->flights; f; f = f->next)
		if (f->stage == stage && f->ticket == ticket)
			return f;
	return NULL;		/* late */
}

int
flight_rua(struct tls_reports *t, uint64_t ticket, const struct msg_rua *m)
{
	struct tls_flight *f = find(t, ticket, FLIGHT_LOOKUP);
	struct span uris[TLSRPT_URIS_MAX];
	size_t n = 0;

	if (f == NULL)
		return 0;
	if (m->status == RUA_FAILED) {
		put_off(f, SPAN_LIT("its DNS does not answer"));
		return 0;
	}
	if (m->status == RUA_NONE || !tlsrpt_record_parse(m->text, uris, &n) || n == 0) {
		settle(f, REPORT_UNWANTED, m->status == RUA_NONE ? SPAN_LIT("nobody asks for it") :
		    SPAN_LIT("its TLSRPT record names nothing we can send to"));
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		struct tls_report_row row = { .day = f->row.day, .domain = f->row.domain,
			.uri = uris[i], .state = REPORT_WAITS, .first = clock_real(),
			.next = clock_real() };
		struct tls_flight *own;

		if (f->ask) {
			own = flight_new(t, &row, f->ask);
			row_put(own);
		} else {
			struct err err;

			if (tls_db_put(t->s->db, &row, &err) == -1)
				log_error("TLS reports: %s", err.text);
		}
	}
	settle(f, REPORT_LISTED, (struct span){ 0 });
	return 0;
}

static int
submit(struct tls_flight *f, struct span headers, struct err *err)
{
	const struct config *conf = f->t->s->rt->conf;
	/* No notice of ours about a report that cannot be delivered: the journal has it. */
	struct recipient rcpt = { .address = span_str(f->to), .notify = NOTIFY_NEVER };
	struct msg_decision dec = { .outcome = OUTCOME_DELIVER, .rule = SPAN_LIT("tls-report") };
	struct msg_submit m = { .decisions = &dec, .ndecisions = 1, .env = { .id = f->mail,
		.received = clock_real(), .direction = DIRECTION_OUTBOUND, .helo = conf->hostname,
		.sender = conf->reports.from, .recipients = &rcpt, .nrecipients = 1,
		.flags = ENVELOPE_TLS_OPTIONAL } };
	struct buf text, b;
	int r;

	buf_init(&text, MESSAGE_MAX);
	buf_span(&text, headers);
	buf_span(&text, buf_data(&f->message));
	r = buf_failed(&text) ? err_set(err, 0, "the report is too large") :
	    store_payload(buf_data(&text), f->arena, &m.payload, err);
	if (r == 0) {
		buf_init(&b, FRAME_BIG);
		submit_encode(&b, &m);
		if (hand_over(f->t->s->queue, FRAME_SUBMIT, f->ticket, &b, m.payload.fd) == -1)
			r = err_set(err, 0, "the queue is away");
	}
	buf_release(&text);
	return r;
}

int
flight_signed(struct tls_reports *t, uint64_t ticket, const struct msg_signed *m)
{
	struct tls_flight *f = find(t, ticket, FLIGHT_SIGN);
	struct err err;

	if (f == NULL)
		return 0;
	if (m->status == SIGN_NO_KEY) {
		settle(f, REPORT_FAILED, SPAN_LIT("no DKIM key signs for the domain of `tls_reports: from`"));
		return 0;
	}
	if (m->status != SIGN_OK) {
		put_off(f, m->text);
		return 0;
	}
	wait_for(f, FLIGHT_SUBMIT);
	if (submit(f, m->headers, &err) == -1)
		put_off(f, span_str(err.text));
	return 0;
}

bool
reports_accepted(struct tls_reports *t, const struct msg_accepted *m)
{
	char id[ID_SIZE], text[ID_SIZE + 32];

	for (struct tls_flight *f = t->flights; f; f = f->next) {
		if (f->stage != FLIGHT_SUBMIT || f->mail != m->id)
			continue;
		if (m->status != ACCEPT_OK) {
			put_off(f, m->text);
			return true;
		}
		snprintf(text, sizeof(text), "queued as %s", id_format(m->id, id));
		settle(f, REPORT_SENT, span_str(text));
		return true;
	}
	return false;
}

int
flight_posted(struct tls_reports *t, uint64_t ticket, const struct msg_posted *m)
{
	struct tls_flight *f = find(t, ticket, FLIGHT_POST);

	if (f == NULL)
		return 0;
	if (m->ok)
		settle(f, REPORT_SENT, m->text);
	else
		put_off(f, m->text);
	return 0;
}

/* ---- no answer ---- */

static bool
waits_for(const struct tls_flight *f, const struct link *l)
{
	enum role r = link_peer(l);

	return (f->stage == FLIGHT_LOOKUP && r == ROLE_DELIVERY) ||
	    (f->stage == FLIGHT_SIGN && r == ROLE_SIGNER) ||
	    (f->stage == FLIGHT_SUBMIT && r == ROLE_QUEUE) ||
	    (f->stage == FLIGHT_POST && r == ROLE_FETCHER);
}

void
flights_lost(struct tls_reports *t, struct link *l)
{
	for (struct tls_flight *f = t->flights; f;) {
		if (!waits_for(f, l)) {
			f = f->next;
			continue;
		}
		put_off(f, SPAN_LIT("a process it needs has gone; it is started again"));
		f = t->flights;
	}
}

void
flights_tick(struct tls_reports *t, int64_t mono)
{
	for (struct tls_flight *f = t->flights; f;) {
		if (f->stage == FLIGHT_QUEUED || f->deadline > mono) {
			f = f->next;
			continue;
		}
		put_off(f, SPAN_LIT("no answer in time"));
		f = t->flights;
	}
}
