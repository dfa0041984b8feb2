/* digest.c -- at its hours: who is to be told, and the mails; see digest.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "log.h"
#include "store/approval_db.h"
#include "store/digest.h"
#include "store/digest_mail.h"

#define LOOK_US (20 * US_PER_SEC)	/* from one look at the hours to the next */
#define TURN_US (US_PER_SEC / 5)	/* mails are written so long, then others have their turn */
#define OUTBOX_MAX 1000			/* mails that wait for the queue: more are written later */
#define MAILS_A_TURN 50			/* in one transaction */

/* ---- the key ---- */

static int
key_read(int fd, unsigned char key[APPROVAL_KEY], const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || read(fd, key, APPROVAL_KEY) != APPROVAL_KEY ||
	    st.st_size != APPROVAL_KEY)
		return err_set(err, EIO, "%s: not the key of links that it was: %d bytes are wanted", path,
		    APPROVAL_KEY);
	if (st.st_mode & 077)
		return err_set(err, EPERM, "%s: others may read it; chmod 600", path);
	return 0;
}

/* Made whole or not at all: written beside, synced, renamed. */
static int
key_make(unsigned char key[APPROVAL_KEY], const char *path, struct err *err)
{
	char beside[4200];
	int fd, r;

	snprintf(beside, sizeof(beside), "%s.new", path);
	if (getrandom(key, APPROVAL_KEY, 0) != APPROVAL_KEY)
		return err_errno(err, "no random numbers");
	if ((fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) == -1)
		return err_errno(err, "%s", beside);
	r = fs_write_all(fd, (const char *)key, APPROVAL_KEY, err);
	if (r == 0 && (fsync(fd) == -1 || rename(beside, path) == -1))
		r = err_errno(err, "%s", path);
	close(fd);
	return r;
}

int
digest_open(struct digests *g, const char *store_path, struct err *err)
{
	const char *slash = strrchr(store_path, '/');
	char path[4096];
	int fd, r;

	snprintf(path, sizeof(path), "%.*sdigest.key", slash ? (int)(slash - store_path) + 1 : 0, store_path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1 && errno != ENOENT)
		return err_errno(err, "%s", path);
	r = fd == -1 ? key_make(g->key, path, err) : key_read(fd, g->key, path, err);
	if (fd != -1)
		close(fd);
	g->keyed = r == 0;
	g->todo = true;
	return r;
}

/* ---- hours ---- */

static int64_t
at_minute(time_t day, int minutes)
{
	struct tm tm;

	localtime_r(&day, &tm);
	tm.tm_hour = minutes / 60;
	tm.tm_min = minutes % 60;
	tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return (int64_t)mktime(&tm) * US_PER_SEC;
}

int64_t
digest_slot(const struct conf_digest *d, int64_t now)
{
	time_t today = (time_t)(now / US_PER_SEC);

	for (int back = 0; back < 3; back++)	/* an hour that a day does not have is that day's next */
		for (size_t i = d->nat; i-- > 0;) {
			int64_t t = at_minute(today - back * 86400, d->at[i]);

			if (t <= now)
				return t;
		}
	return 0;
}

static void
look_at_hours(struct store *s)
{
	const struct conf_digests *c = &s->rt->conf->digests;
	int64_t now = clock_real();
	struct err err;

	s->digests->counting = false;
	for (size_t i = 0; i <= c->ndomains; i++) {
		const struct conf_digest *one = i < c->ndomains ? &c->domains[i] : &c->others;
		int r;

		if (one->nat == 0)
			continue;
		r = digest_due(s->db, s->rt->conf, one, digest_slot(one, now), now, &err);
		if (r == -1) {
			log_error("digests: %s", err.text);
			return;
		}
		s->digests->todo = true;
		if (r == 1) {	/* the rest at the next tick; others have their turn */
			s->digests->counting = true;
			s->digests->look_at = 0;
			return;
		}
	}
}

/* ---- mails ---- */

static int
link_of(struct store *s, struct span address, const struct digest_kept *k, struct arena *a,
    struct span *out, struct err *err)
{
	struct token t = { .kid = k->kid, .id = k->id,
		.expires = clock_real() / US_PER_SEC + DIGEST_LIFE };
	struct span url = s->rt->conf->digests.url;
	char text[APPROVAL_TOKEN_TEXT];

	if (url.n == 0 || !s->digests->keyed)
		return 0;
	token_person(address, t.person);
	if (getrandom(t.nonce, sizeof(t.nonce), 0) != (ssize_t)sizeof(t.nonce))
		return err_errno(err, "no random numbers");
	token_write_as(TOKEN_DIGEST, &t, s->digests->key, text);
	*out = span_str(arena_printf(a, SPAN_FMT "%s%s", SPAN_ARG(url), url.p[url.n - 1] == '=' ||
	    url.p[url.n - 1] == '/' ? "" : "?token=", text));
	return 0;
}

int
digest_make(struct store *s, struct span address, int64_t after, int64_t upto, struct arena *a,
    struct buf *subject, struct buf *text, struct buf *html, uint64_t *n, struct err *err)
{
	struct digest_row *rows = arena_array(a, DIGEST_ROWS_MAX, sizeof(*rows));
	struct digest_kept *kept = arena_array(a, DIGEST_ROWS_MAX, sizeof(*kept));
	struct digest d = { .address = address, .rows = rows,
		.french = config_digest(s->rt->conf, address)->french };

	if (digest_rows(s->db, address, after, upto, a, rows, kept, &d.n, &d.total, err) == -1)
		return -1;
	*n = d.total;
	for (size_t i = 0; i < d.n; i++)
		if (link_of(s, address, &kept[i], a, &rows[i].link, err) == -1)
			return -1;
	digest_subject(subject, &d);
	digest_text(text, &d);
	digest_html(html, &d);
	return buf_failed(subject) || buf_failed(text) || buf_failed(html) ?
	    err_set(err, E2BIG, "a digest is too long") : 0;
}

/* Within a transaction: he is told, or there is nothing left to tell. */
static int
tell_one(struct store *s, const struct digest_one *o, struct arena *a, struct err *err)
{
	struct span language = config_digest(s->rt->conf, o->address)->french ? SPAN_LIT("fr") :
	    SPAN_LIT("en");
	struct buf subject, text, html;
	uint64_t n = 0;
	int r;

	buf_init(&subject, 1024);
	buf_init(&text, DIGEST_TEXT_MAX);
	buf_init(&html, DIGEST_TEXT_MAX);
	r = digest_make(s, o->address, o->after, o->upto, a, &subject, &text, &html, &n, err);
	if (r == 0 && n > 0 && (outbox_put(s->db, 0, 0, o->address, buf_data(&subject), buf_data(&text),
	    language, err) == -1 || outbox_html(s->db, 0, buf_data(&html), err) == -1))
		r = -1;
	if (r == 0)
		r = digest_told(s->db, o->address, err);
	buf_release(&subject);
	buf_release(&text);
	buf_release(&html);
	return r;
}

/* So many in one transaction; 1 there may be more, 0 no more, -1. */
static int
tell_some(struct store *s, struct err *err)
{
	struct arena *a = arena_new(0);
	struct digest_one o = { 0 };
	int r = db_begin(s->db, true, err), more = 0;

	for (size_t i = 0; r == 0 && i < MAILS_A_TURN; i++) {
		more = digest_next(s->db, o.address, a, &o, err);
		if (more != 1)
			break;
		r = tell_one(s, &o, a, err);
	}
	if (r == 0 && more != -1)
		r = db_commit(s->db, err);
	else
		db_rollback(s->db);
	arena_free(&a);
	return r == -1 || more == -1 ? -1 : more;
}

static void
write_mails(struct store *s)
{
	int64_t until = clock_mono() + TURN_US;
	struct err err;
	size_t waiting;
	int r = 1;

	store_settle(s);
	while (r == 1 && clock_mono() < until) {
		if (outbox_count(s->db, &waiting, &err) == -1 || (waiting < OUTBOX_MAX &&
		    (r = tell_some(s, &err)) == -1)) {
			log_error("digests: %s", err.text);
			return;
		}
		if (waiting >= OUTBOX_MAX)
			return;
		s->outbox_at = 0;
	}
	s->digests->todo = r == 1;
}

void
digest_tick(struct store *s)
{
	int64_t now = clock_mono();

	if (s->digests == NULL || s->queue == NULL || s->rt->retiring)
		return;
	if (now >= s->digests->look_at) {
		s->digests->look_at = now + LOOK_US;
		store_settle(s);
		look_at_hours(s);
	}
	if (s->digests->todo && !s->digests->counting)
		write_mails(s);
}
