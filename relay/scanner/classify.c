/* classify.c -- the classifier in a scanner; see classify.h. */
#include "scanner/classify.h"

static void
tell(const struct bayes_rating *r, const struct bayes_tokens *t, struct arena *a, struct facts *f)
{
	struct bayes_told *v = arena_array(a, r->nclues, sizeof(*v));

	for (size_t i = 0; i < r->nclues; i++) {
		const struct bayes_token *token = &t->v[r->clues[i].token];
		const char *kind = bayes_kind_name(token->kind);

		v[i].p = r->clues[i].p;
		if (bayes_kind_is_content(token->kind))
			v[i].word = span_str(arena_printf(a, "%s#%08x", kind, token->hash));
		else
			v[i].word = span_str(arena_printf(a, "%s:" SPAN_FMT, kind, SPAN_ARG(token->text)));
	}
	f->bayes_told = v;
	f->nbayes_told = r->nclues;
}

void
classify(const struct bayes_model *m, const struct anatomy *an, struct arena *a, struct facts *f,
    struct bayes_tokens *tokens)
{
	uint32_t hashes[BAYES_TOKENS];
	struct bayes_rating r;

	bayes_tokenise(an, &m->head->key, a, tokens);
	for (size_t i = 0; i < tokens->n; i++)
		hashes[i] = tokens->v[i].hash;
	bayes_rate(m, hashes, tokens->n, &r);
	f->bayes_known = r.known;
	f->bayes = r.percent;
	if (r.known)
		tell(&r, tokens, a, f);
}

struct span
classify_remember(const struct bayes_model *m, const struct envelope *env, const struct verdict *v,
    const struct bayes_tokens *tokens, struct arena *a)
{
	bool delivered = false;

	if (m->head == NULL || tokens->n == 0)
		return (struct span){ 0 };
	for (size_t i = 0; i < v->ndecisions; i++) {
		enum outcome o = v->decisions[i].outcome;

		if (o == OUTCOME_HOLD || o == OUTCOME_QUARANTINE)
			return bayes_pack(tokens, a);
		delivered |= o == OUTCOME_DELIVER || o == OUTCOME_REDIRECT;
	}
	/* Ids rise with time: mixed, so that the sample has no rhythm. */
	if (delivered && (env->id * UINT64_C(0x9e3779b97f4a7c15) >> 32) % 100 < m->head->delivered)
		return bayes_pack(tokens, a);
	return (struct span){ 0 };
}
