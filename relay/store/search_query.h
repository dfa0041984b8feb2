/* search_query.h -- what people write behind `postern trace`, taken apart; docs/STORE.md has it in words.
 *
 *	durand facture			both words, anywhere: addresses, subject, file names, client, replies
 *	"facture 2026"  fact*		words in this order; words that begin so
 *	from:a@example.org  to:@example.net  to:durand
 *	subject:"budget 2026"  file:plan.pdf  rule:cards  reply:greylisted
 *	ip:192.0.2.1  id:8Doh0qc1701  status:failed
 *	since:2026-11-20  since:7d  before:2026-11-22T14:30
 *
 * All parts must hold. Pure: text in, a struct out; nothing of it is ever part of an SQL text, only of
 * values and of match expressions whose words are quoted.
 */
#ifndef STORE_SEARCH_QUERY_H
#define STORE_SEARCH_QUERY_H

#include "buf.h"
#include "postern/arena.h"
#include "postern/err.h"

#define SEARCH_TERMS_MAX 16
#define SEARCH_TEXT_MAX 1000

/* X(NAME, "name") */
#define SEARCH_FIELDS(X) \
	X(ANY, "") X(FROM, "from") X(TO, "to") X(SUBJECT, "subject") X(FILE, "file") X(CLIENT, "client") \
	X(IP, "ip") X(RULE, "rule") X(REPLY, "reply") X(ID, "id") X(STATUS, "status") X(SINCE, "since") \
	X(BEFORE, "before")
enum search_field {
#define X(name, text) SEARCH_##name,
	SEARCH_FIELDS(X)
#undef X
	SEARCH_FIELD_COUNT
};

struct search_term {
	enum search_field field;	/* ANY to REPLY: the others have places of their own */
	struct span text;
	bool prefix;
};

struct search_query {
	struct search_term terms[SEARCH_TERMS_MAX];
	size_t n;
	bool has_id;			/* id: (and nothing else), or the only word is one */
	uint64_t id;
	struct span status;		/* "": any */
	int64_t since, before;		/* Unix microseconds; 0: none */
};

/* Texts are borrowed from `text`, or in the arena. -1: err says what is wrong and where. */
int search_parse(struct span text, int64_t now, struct arena *a, struct search_query *q,
    struct err *err);

/* ---- tokens that stand for a whole value ---- */
#define SEARCH_KEY 14	/* with NUL */
enum search_key { KEY_SENDER = 's', KEY_RCPT = 't', KEY_SENDER_DOMAIN = 'd', KEY_RCPT_DOMAIN = 'e',
	KEY_CLIENT = 'c', KEY_RULE = 'r' };
/* Case is folded. */
const char *search_key(enum search_key kind, struct span value, char out[SEARCH_KEY]);

/* FTS5's expression for the terms: of REPLY only those (replies true), or all others. False: there
 * are none. */
bool search_match(const struct search_query *q, bool replies, struct arena *a, struct buf *out);
/* All terms looked for in replies too: only where no field is named. */
bool search_anywhere(const struct search_query *q, struct buf *out);

#endif
