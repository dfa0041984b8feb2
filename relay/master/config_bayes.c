/* config_bayes.c -- postern.yaml: `antispam.bayes`, the classifier that learns from decisions.
 *
 *	antispam: {bayes: off}
 *	antispam: {bayes: {minimum: 200, tokens: 250000, delivered: 10, remember: 30d}}
 *
 * It is on where nothing is said: it judges nothing before people have decided `minimum` times
 * each way.
 */
#include "master/config_read.h"
#include "postern/bayes.h"

#define DAY (24 * 60 * MINUTE)

void
read_bayes(struct reader *r, const struct conf_node *n)
{
	static const char *const known[] = { "minimum", "tokens", "delivered", "remember", NULL };
	struct conf_bayes *b = &r->c->bayes;
	bool on = true;

	*b = (struct conf_bayes){ .on = true, .minimum = BAYES_LEARN_MIN, .tokens = BAYES_TABLE_TOKENS,
		.delivered = 10, .remember = 30 * DAY };
	if (n == NULL)
		return;
	if (n->kind != CONF_MAP) {
		if (conf_bool(r->d, n, &on))
			b->on = on;
		return;
	}
	conf_check_keys(r->d, n, "bayes", known);
	u32_of(r, n, "minimum", 1, 1000000, &b->minimum);
	u32_of(r, n, "tokens", 4 * BAYES_TOKENS, BAYES_SLOTS_MAX / 2, &b->tokens);
	u32_of(r, n, "delivered", 0, 100, &b->delivered);
	duration_of(r, n, "remember", &b->remember);
	if (b->remember < DAY || b->remember > 366 * DAY)
		error_at(r, conf_get(n, "remember"), NULL, "`remember` is between one day and 366");
}
