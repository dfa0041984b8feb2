/* fuzz_queue_words.c -- words of strangers and of operators that the queue reads: replies of remote
 * servers put into a class of failure, the time they name, and selectors.
 */
#include "clock.h"
#include "json.h"
#include "queue/queue_groups.h"
#include "queue/queue_select.h"
#include "queue/retry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
within(struct span part, struct span whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void
select_by(struct span text)
{
	struct buf b;
	struct json j;
	struct jval *req;
	struct selector s;
	struct span t;
	struct err err;

	buf_init(&b, 1 << 20);
	json_begin(&j, &b);
	json_object(&j);
	json_kstr(&j, "selector", text);
	json_end_object(&j);
	if ((req = jval_parse(buf_data(&b), &err)) != NULL) {
		t = selector_text(req);
		if (selector_parse(req, &s, &err) == 0) {
			/* Something was said, and only what stands there. */
			ASSERT(s.all || s.held || s.id || s.by_sender || s.by_rcpt || s.by_site ||
			    s.by_reason || s.before || s.after);
			ASSERT(within(s.sender, t) && within(s.rcpt, t) && within(s.site, t) &&
			    within(s.reason, t));
			ASSERT(s.by_sender || s.sender.n == 0);
		} else
			ASSERT(err.text[0] != '\0');
		jval_free(&req);
	}
	buf_release(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int64_t now = INT64_C(1795000000) * US_PER_SEC;
	struct span in = { (const char *)data, size };
	struct groups *g = groups_new(3, true);
	struct buf out;
	int64_t hint;

	if (size > 20000)
		in.n = 20000;
	clock_virtual = &now;
	hint = retry_hint(in);
	ASSERT(hint == 0 || (hint >= RETRY_HINT_MIN && hint <= RETRY_HINT_MAX));
	for (int c = 0; c < FAIL_CLASSES; c++)
		ASSERT(retry_classify((enum fail_class)c, span_sub(in, 0, 5), in) < RETRY_CLASSES);
	select_by(in);
	/* Each line a message with this reason. */
	for (struct span rest = in; rest.n > 0; rest = span_from(rest, span_find(rest, '\n') + 1))
		groups_add(g, span_sub(rest, 0, span_find(rest, '\n')), 1, now);
	buf_init(&out, 1 << 20);
	while (groups_say(g, &out, "reason"))
		;
	ASSERT(!buf_failed(&out));
	buf_release(&out);
	groups_free(&g);
	return 0;
}
