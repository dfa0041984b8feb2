/* listed.c -- the lists of senders while mail is received; see listed.h.
 *
 * An allow list must not be a way in for whoever writes a name into From: (docs/LISTS.md). So an entry that
 * allows an address or a domain counts when that domain is proved: by DMARC; or by SPF or a
 * signature of the domain itself or of one above it. Never when DMARC fails. A network that is allowed is
 * proved by the connection.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "ipc/messages_lists.h"
#include "ipc/messages_verify.h"
#include "lists/book.h"
#include "log.h"
#include "receiver/listed.h"

#define TEXTS_MAX ((size_t)512 << 10)	/* of the entries of one message; further ones go without */

struct lists_held {
	struct book book;
	void *map;
	size_t size;
};

int
listed_take(struct receiver *rx, struct frame *f)
{
	struct lists_held *old = rx->lists, *l;
	struct arena *a = arena_new(0);
	struct msg_lists msg;
	struct err err;
	uint64_t size;
	int r = lists_decode(f->body, f->fd, a, &msg);

	arena_free(&a);
	if (r == -1)
		return -1;
	if (fs_memfd_check(f->fd, &size, &err) == -1 || size != msg.size) {
		log_error("lists of senders that cannot be read; those before stay");
		return 0;
	}
	l = calloc(1, sizeof(*l));
	ASSERT(l != NULL);
	l->size = (size_t)size;
	l->map = mmap(NULL, l->size, PROT_READ, MAP_SHARED, f->fd, 0);
	if (l->map == MAP_FAILED || book_open(span_make(l->map, l->size), &l->book, &err) == -1) {
		log_error("lists of senders: %s; those before stay", l->map == MAP_FAILED ?
		    "they cannot be mapped" : err.text);
		if (l->map != MAP_FAILED)
			munmap(l->map, l->size);
		free(l);
		return 0;
	}
	rx->lists = l;
	rx->messages.book = &l->book;
	counter_set(COUNTER_LISTS_GENERATION, l->book.generation);
	if (old) {
		munmap(old->map, old->size);
		free(old);
	}
	return 0;
}

/* Both letters alike; "" for what is longer than any entry. */
static struct span
folded(char *buf, size_t max, struct span s)
{
	if (s.n > max)
		return (struct span){ 0 };
	for (size_t i = 0; i < s.n; i++)
		buf[i] = ascii_lower(s.p[i]);
	return span_make(buf, s.n);
}

/* ---- at RCPT ---- */

/* A relay in front of us is not who sends. */
static struct ip
client_of(const struct conn_mail *c, const struct smtp_session *s)
{
	return c->door->conf->upstream.n ? (struct ip){ 0 } : s->client;
}

void
listed_client(struct conn_mail *c, struct smtp_session *s)
{
	const struct book *book = c->rx->messages.book;
	struct book_answer is;

	s->vouched = false;
	if (book == NULL || s->permitted || s->user.n)
		return;
	book_find_client(book, client_of(c, s), clock_real(), &is);
	s->vouched = is.mask == LISTED_BIT(LIST_ALL, LIST_ALLOW);
}

static const struct listed *
listing_of(const struct book_answer *is, enum list_scope scope, enum list_side side)
{
	for (size_t i = 0; i < is->n; i++)
		if (is->v[i].scope == scope && is->v[i].side == side)
			return &is->v[i];
	return NULL;
}

void
listed_rcpt(struct conn_mail *c, struct smtp_session *s, struct span rcpt, struct smtp_reply *r)
{
	const struct book *book = c->rx->messages.book;
	char sender[LISTS_WHAT_MAX], to[LISTS_OWNER_MAX];
	struct book_ask ask = { .client = client_of(c, s), .now = clock_real() };
	struct book_answer is = { 0 };
	const struct listed *l;
	enum list_scope scope;
	enum list_side side;

	if (book == NULL || book->n == 0)
		return;
	ask.sender = folded(sender, sizeof(sender), s->t->env.sender);
	book_find(book, &ask, folded(to, sizeof(to), rcpt), 1u << LIST_ALL | 1u << LIST_DOMAIN, &is);
	/* Who it is may still be proved: what an allow list might outrank waits for the message. */
	if (!lists_decide(is.seen, &scope, &side) || side != LIST_BLOCK ||
	    (l = listing_of(&is, scope, side)) == NULL)
		return;
	counter_add(COUNTER_LISTS_REFUSED, 1);
	log_msg(LOG_LVL_INFO, s->id, "lists: entry %llu (%s%s" SPAN_FMT " block " SPAN_FMT ") refuses it",
	    (unsigned long long)l->number, list_scope_names[l->scope], l->owner.n ? " " : "",
	    SPAN_ARG(l->owner), SPAN_ARG(l->what));
	smtp_refuse(s, r, 550, "5.7.1 <" SPAN_FMT ">: %s is blocked here (entry %llu)", SPAN_ARG(rcpt),
	    l->by == LIST_BY_CLIENT ? "the client" : "the sender", (unsigned long long)l->number);
}

/* ---- of a message ---- */

static bool
vouches(struct span for_domain, struct span domain)
{
	if (span_eq_nocase(for_domain, domain))
		return true;
	return domain.n && for_domain.n > domain.n + 1 &&
	    for_domain.p[for_domain.n - domain.n - 1] == '.' &&
	    span_eq_nocase(span_from(for_domain, for_domain.n - domain.n), domain);
}

static bool
proved(const struct message *m, struct span address)
{
	const struct verification *v = &m->verification;
	struct span local, domain, sender;

	if (v->facts.dmarc == AUTH_FAIL || !mailaddr_split(address, &local, &domain))
		return false;
	for (size_t i = 0; i < v->nsigned_by; i++)
		if (vouches(domain, v->signed_by[i]))
			return true;
	return v->facts.spf == AUTH_PASS && mailaddr_split(m->t->env.sender, &local, &sender) &&
	    vouches(domain, sender);
}

struct gathering {
	struct message *m;
	struct listed *v;
	size_t n, room, texts;
	unsigned allows;	/* bits: an allow that counts, one that does not */
	bool blocks;
};

static struct span
kept(struct gathering *g, struct span s)
{
	if (s.n > TEXTS_MAX - g->texts)
		return (struct span){ 0 };
	g->texts += s.n;
	return arena_span(g->m->t->arena, s);
}

static void
gather(struct gathering *g, const struct book_answer *is, uint16_t recipient)
{
	struct arena *a = g->m->t->arena;

	for (size_t i = 0; i < is->n; i++) {
		struct listed *l;

		if (g->n == g->room) {
			size_t room = g->room ? g->room * 2 : 8;

			g->v = arena_grow(a, g->v, g->n * sizeof(*g->v), room * sizeof(*g->v));
			g->room = room;
		}
		l = &g->v[g->n++];
		*l = is->v[i];
		l->recipient = recipient;
		l->owner = kept(g, l->owner);
		l->what = kept(g, l->what);
		l->reason = kept(g, l->reason);
		g->blocks |= l->side == LIST_BLOCK;
		if (l->side == LIST_ALLOW)
			g->allows |= l->counts ? 1u : 2u;
		if (g->n <= 5)
			log_msg(LOG_LVL_INFO, g->m->id, "lists: entry %llu (%s%s" SPAN_FMT " %s " SPAN_FMT
			    ") speaks of the %s%s", (unsigned long long)l->number,
			    list_scope_names[l->scope], l->owner.n ? " " : "", SPAN_ARG(l->owner),
			    list_side_names[l->side], SPAN_ARG(l->what),
			    l->by == LIST_BY_CLIENT ? "client" : l->by == LIST_BY_FROM ? "author" :
			    "sender", l->counts ? "" : ", and nothing proves that he is who he says");
	}
}

void
message_lists(struct message *m)
{
	const struct envelope *env = &m->t->env;
	struct facts *f = &m->verification.facts;
	const struct book *book = m->all->book;
	char sender[LISTS_WHAT_MAX], from[LISTS_WHAT_MAX], to[LISTS_OWNER_MAX], text[MEMBERS_AUTHOR_MAX];
	struct gathering g = { .m = m };
	struct book_ask ask = { .client = env->client, .now = clock_real() };
	struct book_answer is = { 0 };
	struct span author;

	if (!m->t->foreign || f->lists_known)
		return;
	if (book == NULL) {
		counter_add(COUNTER_LISTS_ABSENT, 1);
		return;
	}
	f->lists_known = true;
	if (book->n == 0)
		return;
	author = header_from_address(buf_data(&m->head), text);
	if (author.n)
		author = mailaddr_normalise(m->t->arena, arena_span(m->t->arena, author));
	ask.sender = folded(sender, sizeof(sender), env->sender);
	ask.from = folded(from, sizeof(from), author);
	ask.sender_proved = proved(m, ask.sender);
	ask.from_proved = f->dmarc == AUTH_PASS || f->dmarc == AUTH_POLICY || proved(m, ask.from);
	book_find(book, &ask, SPAN_LIT(""), 1u << LIST_ALL, &is);
	gather(&g, &is, LISTING_EVERYONE);
	for (size_t i = 0; i < env->nrecipients; i++) {
		is = (struct book_answer){ 0 };
		book_find(book, &ask, folded(to, sizeof(to), env->recipients[i].address),
		    1u << LIST_DOMAIN | 1u << LIST_USER, &is);
		gather(&g, &is, (uint16_t)i);
	}
	ASSERT(g.n <= LISTINGS_MAX);
	f->listings = g.v;
	f->nlistings = g.n;
	counter_add(COUNTER_LISTS_BLOCKED, g.blocks);
	counter_add(COUNTER_LISTS_ALLOWED, g.allows != 0);
	counter_add(COUNTER_LISTS_UNPROVED, (g.allows & 2) != 0);
}
