/* sts_cache.c -- policies that hold, in memory and on the disk; see sts_cache.h.
 *
 *	postern-mta-sts 1
 *	domain example.net
 *	id 20261122T000000
 *	fetched 1795305600000000
 *	(an empty line, then the policy)
 *
 * A file that does not read so is passed over and told of; it goes with the next policy of its domain.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "conf.h"
#include "fetcher/sts_cache.h"
#include "fs.h"
#include "log.h"
#include "table.h"

#define FILE_MAX (STS_BODY_MAX + 1024)
#define FIRST_LINE "postern-mta-sts 1"
#define NEW_FILE ".new"
#define REFRESH_US (INT64_C(24) * 3600 * US_PER_SEC)	/* RFC 8461, 3.3: once a day */

struct sts_cache {
	int dir;
	struct table *entries;
	size_t bytes;
};

static int64_t
expires(const struct sts_entry *e)
{
	return e->fetched + (int64_t)e->max_age * US_PER_SEC;
}

static void
set_refresh(struct sts_entry *e)
{
	int64_t half = (int64_t)e->max_age * US_PER_SEC / 2;

	e->refresh_at = e->fetched + (half < REFRESH_US ? half : REFRESH_US);
}

static void
entry_free(struct sts_cache *c, struct sts_entry *e)
{
	c->bytes -= e->size;
	free(e->body);
	free(e);
}

static void
forget(struct sts_cache *c, struct sts_entry *e)
{
	struct err err;

	table_remove(c->entries, span_str(e->domain));
	if (fs_unlinkat(c->dir, e->domain, &err) == -1 && err.code != ENOENT)
		log_warn("MTA-STS: the policy of %s cannot be removed: %s", e->domain, err.text);
	entry_free(c, e);
}

/* Room for one more: the one asked for least lately goes. */
static void
make_room(struct sts_cache *c, size_t size)
{
	while (table_count(c->entries) >= STS_CACHE_MAX || c->bytes + size > STS_CACHE_BYTES) {
		struct sts_entry *oldest = NULL;
		struct span key;
		void *v;

		for (size_t at = 0; table_next(c->entries, &at, &key, &v);)
			if (oldest == NULL || ((struct sts_entry *)v)->asked < oldest->asked)
				oldest = v;
		ASSERT(oldest != NULL);
		forget(c, oldest);
	}
}

static struct sts_entry *
entry_add(struct sts_cache *c, struct span domain, const char *id, const struct sts_policy *p,
    int64_t fetched, int64_t now)
{
	struct sts_entry *e = table_get(c->entries, domain);
	struct buf b;

	buf_init(&b, STS_BODY_MAX);
	sts_policy_write(&b, p);
	if (e) {
		table_remove(c->entries, domain);
		now = e->asked;
		entry_free(c, e);
	}
	make_room(c, buf_size(&b));
	e = calloc(1, sizeof(*e));
	ASSERT(e != NULL && !buf_failed(&b) && domain.n < sizeof(e->domain));
	memcpy(e->domain, domain.p, domain.n);
	snprintf(e->id, sizeof(e->id), "%s", id);
	e->fetched = fetched;
	e->max_age = p->max_age;
	e->mode = p->mode;
	e->asked = now;
	e->size = buf_size(&b);
	e->body = malloc(e->size);
	ASSERT(e->body != NULL);
	memcpy(e->body, buf_data(&b).p, e->size);
	buf_release(&b);
	set_refresh(e);
	c->bytes += e->size;
	table_put(c->entries, span_str(e->domain), e);
	return e;
}

/* ---- the disk ---- */

static int
entry_write(struct sts_cache *c, const struct sts_entry *e, struct err *err)
{
	struct buf b;
	int fd, r = -1;

	buf_init(&b, FILE_MAX);
	buf_printf(&b, FIRST_LINE "\ndomain %s\nid %s\nfetched %lld\n\n", e->domain, e->id,
	    (long long)e->fetched);
	buf_put(&b, e->body, e->size);
	ASSERT(!buf_failed(&b));
	fd = fs_openat(c->dir, NEW_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600, err);
	if (fd == -1)
		goto out;
	if (fs_write_all(fd, buf_data(&b).p, buf_size(&b), err) == 0 && fs_fdatasync(fd, err) == 0)
		r = 0;
	close(fd);
	if (r == 0)
		r = fs_renameat(c->dir, NEW_FILE, e->domain, err);
out:
	buf_release(&b);
	return r;
}

/* The rest of the next line behind `word `; false when it is another. */
static bool
line_take(struct span *text, const char *word, struct span *out)
{
	struct span line = span_sub(*text, 0, span_find(*text, '\n'));
	struct span head = span_str(word);

	if (!span_starts(line, head) || (line.n > head.n && line.p[head.n] != ' '))
		return false;
	*out = span_from(line, head.n + 1);
	*text = span_from(*text, line.n + 1);
	return true;
}

static bool
entry_read(struct sts_cache *c, struct span text, const char *name, int64_t now)
{
	struct sts_policy p;
	struct span v, domain, id;
	char id_text[STS_ID_MAX + 1];
	const char *why;
	uint64_t fetched;

	if (!line_take(&text, "postern-mta-sts", &v) || !span_is(v, "1") ||
	    !line_take(&text, "domain", &domain) || !line_take(&text, "id", &id) ||
	    !line_take(&text, "fetched", &v) || !parse_uint(v, INT64_MAX / 2, &fetched) ||
	    !span_is(domain, name) || !dns_name_ok(domain) || id.n > STS_ID_MAX ||
	    !sts_policy_parse(span_from(text, 1), &p, &why))
		return false;
	snprintf(id_text, sizeof(id_text), SPAN_FMT, SPAN_ARG(id));
	/* A clock that went back must not make it live for ever. */
	if ((int64_t)fetched > now)
		fetched = (uint64_t)now;
	entry_add(c, domain, id_text, &p, (int64_t)fetched, now);
	return true;
}

static int
read_all(struct sts_cache *c, int64_t now, struct err *err)
{
	struct arena *a = arena_new(FILE_MAX);
	int fd = dup(c->dir);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (d == NULL) {
		arena_free(&a);
		return err_errno(err, "reading the folder of MTA-STS policies");
	}
	while ((de = readdir(d)) != NULL) {
		struct span text;

		if (de->d_name[0] == '.')
			continue;
		arena_reset(a);
		fd = fs_openat(c->dir, de->d_name, O_RDONLY | O_NOFOLLOW, 0, err);
		if (fd == -1 || fs_read_fd(a, fd, FILE_MAX, &text, err) == -1)
			log_warn("MTA-STS: %s", err->text);
		else if (!entry_read(c, text, de->d_name, now))
			log_warn("MTA-STS: the file %s is no policy of ours: passed over", de->d_name);
		if (fd != -1)
			close(fd);
	}
	closedir(d);
	arena_free(&a);
	return 0;
}

struct sts_cache *
sts_cache_open(const char *path, int64_t now, struct err *err)
{
	struct sts_cache *c = calloc(1, sizeof(*c));

	ASSERT(c != NULL);
	c->entries = table_new();
	if ((c->dir = fs_open(path, O_RDONLY | O_DIRECTORY, 0, err)) == -1 ||
	    read_all(c, now, err) == -1)
		sts_cache_close(&c);
	return c;
}

void
sts_cache_close(struct sts_cache **cp)
{
	struct sts_cache *c = *cp;
	struct span key;
	void *v;

	*cp = NULL;
	if (c == NULL)
		return;
	for (size_t at = 0; table_next(c->entries, &at, &key, &v);) {
		table_remove(c->entries, key);
		entry_free(c, v);
	}
	table_free(&c->entries);
	if (c->dir != -1)
		close(c->dir);
	free(c);
}

/* ---- use ---- */

struct sts_entry *
sts_cache_get(struct sts_cache *c, struct span domain, int64_t now)
{
	struct sts_entry *e = table_get(c->entries, domain);

	if (e && expires(e) <= now) {
		forget(c, e);
		return NULL;
	}
	return e;
}

int
sts_cache_put(struct sts_cache *c, struct span domain, const char *id, const struct sts_policy *p,
    int64_t now, struct err *err)
{
	return entry_write(c, entry_add(c, domain, id, p, now, now), err);
}

void
sts_cache_tick(struct sts_cache *c, int64_t now, size_t max,
    void (*due)(void *ctx, struct sts_entry *e), void *ctx)
{
	struct span key;
	void *v;

	for (size_t at = 0; table_next(c->entries, &at, &key, &v);) {
		struct sts_entry *e = v;

		if (expires(e) <= now)
			forget(c, e);
		else if (e->refresh_at <= now && max > 0) {
			max--;
			due(ctx, e);
		}
	}
}

size_t
sts_cache_count(const struct sts_cache *c)
{
	return table_count(c->entries);
}
