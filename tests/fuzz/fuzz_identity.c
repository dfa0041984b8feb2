/* fuzz_identity.c -- any bytes as a message from the world: its signatures and seals, its results, its relays.
 *
 * The first line is what the DNS answers to every TXT question, the rest the message. Whatever comes out must
 * be one header field, and removals that lie inside the message; who reads both (facts_decode) agrees. An
 * Authentication-Results of ours that is still there once the removals are made would be a forgery.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/frame.h"
#include "receiver/upstream.h"
#include "verifier/answer.h"
#include "verifier/canonical.h"
#include "verifier/results.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
answer_all(struct dns_book *book, struct span record)
{
	static struct dns_answer answer;
	struct dns_question q;

	while (dns_book_next(book, &q)) {
		memset(&answer, 0, offsetof(struct dns_answer, records));
		answer.status = q.type == DNS_TXT && record.n <= DNS_DATA_MAX ? DNS_OK : DNS_NXDOMAIN;
		answer.n = answer.status == DNS_OK;
		answer.ndata = answer.n ? record.n : 0;
		answer.records[0] = (struct dns_record){ .size = (uint16_t)answer.ndata };
		if (answer.ndata)
			memcpy(answer.data, record.p, record.n);
		dns_book_answer(book, q.id, &answer);
	}
}

/* The relaxed forms are what they are when they are made of themselves. */
static void
check_canonical(const struct mail *m)
{
	unsigned char first[32], second[32];
	uint64_t n, k;
	struct buf b;

	buf_init(&b, 2 * MAIL_HEADER_MAX);
	for (size_t i = 0; i < m->nfields && i < 20; i++) {
		buf_reset(&b);
		canonical_field(&b, m->fields[i], true);
		ASSERT(buf_size(&b) <= m->fields[i].n + 1);
		canonical_own_field(&b, m->fields[i], i & 1);
	}
	buf_release(&b);
	ASSERT(canonical_body(m->body, true, UINT64_MAX, first, &n) == 0);
	ASSERT(canonical_body(m->body, true, n, second, &k) == 0 && n == k);
	ASSERT(memcmp(first, second, 32) == 0);
}

static void
check_answer(const struct msg_facts *f, const struct mail *m, const struct conf_verify *conf, struct arena *a)
{
	struct msg_facts back;
	struct span field;
	size_t at = 0, from = 0, removal = 0;
	struct buf b;

	buf_init(&b, FRAME_BIG);
	facts_encode(&b, f);
	ASSERT(!buf_failed(&b) && facts_decode(buf_data(&b), -1, a, &back) == 0);
	ASSERT(back.nremovals == f->nremovals && span_eq(back.header, f->header));
	while (!f->refuse && mail_next_field(m->raw, &at, &field)) {
		const struct removal *r = removal < f->nremovals ? &f->removals[removal] : NULL;
		bool gone = r && from >= r->at && from + field.n <= r->at + r->n;

		ASSERT(gone == (span_is_nocase(mail_field_name(field), "Authentication-Results") &&
		    results_claim(mail_field_body(field), conf->authserv_id)));
		from = at;
		while (removal < f->nremovals && from >= f->removals[removal].at + f->removals[removal].n)
			removal++;
	}
	buf_release(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dmarc_psl *psl;
	static const struct span trusted[] = { { "lists.lab", 9 } };
	const struct config conf = { .verify = { .authserv_id = SPAN_LIT("gw.lab") } };
	const struct msg_identify who = { .id = 1, .relayed = true };
	struct span text = { (const char *)data, size }, record, raw;
	struct check_found f = { .who = &who, .conf = &conf };
	struct dmarc_request request = { 0 };
	struct arena *a = arena_new(1 << 16);
	struct dns_book *book = dns_book_new(a);
	struct signatures *s;
	struct msg_facts out;
	struct dmarc *dmarc;
	struct seals *seals;
	struct origin origin;
	struct mail m;
	struct err err;

	if (psl == NULL)
		ASSERT((psl = dmarc_psl_new(NULL, &err)) != NULL);
	record = span_sub(text, 0, span_find(text, '\n'));
	raw = span_from(text, record.n + 1);
	upstream_origin(raw, &(struct conf_nets){ 0 }, &origin);
	mail_open(raw, a, &m);
	check_canonical(&m);
	s = signatures_new(a, book, &m, 1800000000);
	seals = seals_new(a, book, &m);
	if (size & 1)
		answer_all(book, record);
	while (!signatures_step(s) || !seals_step(seals))
		answer_all(book, record);
	f.mail = &m;
	f.signatures = signatures_get(s, &f.nsignatures);
	f.dkim = signatures_best(s);
	f.seals = seals_result(seals);
	f.vouched = seals_vouch(seals, trusted, 1);
	ASSERT(f.vouched.n == 0 || f.seals->result == AUTH_PASS);
	request.from = &raw;
	request.nfrom = 1;
	request.psl = psl;
	dmarc = dmarc_new(a, book, &request);
	while (!dmarc_step(dmarc))
		answer_all(book, record);
	f.dmarc = dmarc_result(dmarc);
	answer_make(&f, a, &out);
	check_answer(&out, &m, &conf.verify, a);
	signatures_free(s);
	seals_free(seals);
	arena_free(&a);
	return 0;
}
