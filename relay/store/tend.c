/* tend.c -- what the store does beside its work, a little every second: the index of words for what is
 * older than it, the head of the audit log into the log. See store_keys.c and retention.c for the rest.
 */
#include "clock.h"
#include "log.h"
#include "store/audit.h"
#include "store/search.h"
#include "store/store.h"

#define HEAD_US (3600 * US_PER_SEC)
#define BACKFILL_ROWS 4000	/* messages, every second */

/* Old messages into the index of words, a little every second. */
static void
backfill(struct store *s)
{
	struct err err;
	int r;

	if (s->indexed || s->batch.failing)
		return;
	store_settle(s);
	r = search_backfill(s->db, BACKFILL_ROWS, &err);
	if (r == -1)
		log_warn("old messages are not searched for now: %s", err.text);
	s->indexed = r != 1;
}

/* What the log of another machine has, nobody cuts off here unseen. */
static void
log_head(struct store *s)
{
	char hex[2 * AUDIT_HASH + 1];
	struct audit_head h;
	struct err err;

	if (clock_mono() < s->head_at)
		return;
	s->head_at = clock_mono() + HEAD_US;
	if (audit_head(s->db, &h, &err) == -1) {
		log_error("%s", err.text);
		return;
	}
	audit_hex(h.hash, hex);
	if (h.seq)
		log_info("audit head %lld:%s", (long long)h.seq, hex);
}

void
store_tend(struct store *s)
{
	backfill(s);
	log_head(s);
}
