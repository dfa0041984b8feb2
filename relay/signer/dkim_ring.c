/* dkim_ring.c -- the keys of a domain that `postern dkim` looks after; see dkim_ring.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "addr.h"
#include "buf.h"
#include "net/dns.h"
#include "fs.h"
#include "signer/dkim_ring.h"

#define RING_FILE_MAX (64u << 10)

static const char *const state_names[RING_STATES] = { [RING_PUBLISH] = "publish",
	[RING_ACTIVE] = "active", [RING_RETIRED] = "retired" };

const char *
ring_state_name(enum ring_state s)
{
	return s < RING_STATES ? state_names[s] : "?";
}

const char *
ring_key_path(const char *conf_path, struct span selector, struct span domain, struct arena *a)
{
	return fs_beside(a, conf_path, span_str(arena_printf(a, "keys/" SPAN_FMT "." SPAN_FMT ".pem",
	    SPAN_ARG(selector), SPAN_ARG(domain))));
}

struct ring_key *
ring_add(struct ring *r, struct span selector, bool ed25519, const char *path, int64_t now)
{
	if (r->n == RING_KEYS_MAX)
		return NULL;
	r->keys[r->n] = (struct ring_key){ .selector = selector, .ed25519 = ed25519,
		.state = RING_PUBLISH, .since = now, .path = path };
	return &r->keys[r->n++];
}

void
ring_remove(struct ring *r, size_t i)
{
	memmove(&r->keys[i], &r->keys[i + 1], (r->n - i - 1) * sizeof(r->keys[0]));
	r->n--;
}

static struct span
word(struct span *line)
{
	struct span w;

	*line = span_trim(*line);
	w = span_sub(*line, 0, span_find(*line, ' '));
	*line = span_from(*line, w.n);
	return w;
}

static bool
read_time(struct arena *a, struct span s, int64_t *out)
{
	struct tm tm = { 0 };
	const char *end = strptime(arena_str(a, s), "%Y-%m-%dT%H:%M:%SZ", &tm);

	if (end == NULL || *end)
		return false;
	*out = timegm(&tm);
	return true;
}

/* "gw2026 rsa-sha256 active 2026-11-22T10:00:00Z" */
static bool
read_line(struct ring *r, const char *conf_path, struct span line, struct arena *a)
{
	struct span selector = word(&line), algorithm = word(&line), state = word(&line);
	struct span since = word(&line);
	struct ring_key *k;
	int64_t when;
	int s = 0;

	while (s < RING_STATES && !span_is(state, state_names[s]))
		s++;
	if (!dns_name_ok(selector) || s == RING_STATES || span_trim(line).n ||
	    !(span_is(algorithm, "rsa-sha256") || span_is(algorithm, "ed25519-sha256")) ||
	    !read_time(a, since, &when))
		return false;
	k = ring_add(r, selector, span_is(algorithm, "ed25519-sha256"),
	    ring_key_path(conf_path, selector, r->domain, a), when);
	if (k)
		k->state = (enum ring_state)s;
	return k != NULL;
}

int
ring_load(struct ring *r, const char *conf_path, struct span domain, struct arena *a,
    struct err *err)
{
	struct span text;
	struct err why;
	unsigned n = 0;

	*r = (struct ring){ .domain = domain };
	r->path = fs_beside(a, conf_path, span_str(arena_printf(a, "keys/" SPAN_FMT ".dkim",
	    SPAN_ARG(domain))));
	if (fs_read(a, r->path, RING_FILE_MAX, &text, &why) == -1)
		return why.code == ENOENT ? 0 : err_set(err, why.code, "%s", why.text);
	while (text.n) {
		struct span line = span_sub(text, 0, span_find(text, '\n'));

		text = span_from(text, line.n + 1);
		line = span_trim(line);
		n++;
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (!read_line(r, conf_path, line, a))
			return err_set(err, 0, "%s:%u: not `SELECTOR ALGORITHM publish|active|retired TIME`",
			    r->path, n);
	}
	return 0;
}

static void
write_ring(const struct ring *r, struct buf *b)
{
	buf_printf(b, "# Keys of " SPAN_FMT "; `postern dkim rotate` writes this, posternd reads it when it "
	    "starts or reloads.\n", SPAN_ARG(r->domain));
	for (size_t i = 0; i < r->n; i++) {
		const struct ring_key *k = &r->keys[i];
		time_t t = (time_t)k->since;
		struct tm tm;
		char when[32];

		gmtime_r(&t, &tm);
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
		buf_printf(b, SPAN_FMT " %s %s %s\n", SPAN_ARG(k->selector),
		    k->ed25519 ? "ed25519-sha256" : "rsa-sha256", state_names[k->state], when);
	}
}

int
ring_save(const struct ring *r, struct err *err)
{
	struct arena *a = arena_new(0);
	char *folder = arena_str(a, span_str(r->path)), *slash = strrchr(folder, '/');
	char *draft;
	struct buf b;
	int dir = -1, fd = -1, rc = -1;

	ASSERT(slash != NULL);
	*slash = '\0';
	draft = arena_printf(a, "%s.new", slash + 1);
	buf_init(&b, RING_FILE_MAX);
	write_ring(r, &b);
	if ((dir = fs_open(folder, O_RDONLY | O_DIRECTORY, 0, err)) == -1 ||
	    (fd = fs_openat(dir, draft, O_WRONLY | O_CREAT | O_TRUNC, 0640, err)) == -1)
		goto out;
	if (fs_write_all(fd, buf_data(&b).p, buf_size(&b), err) == 0 && fs_fsync(fd, err) == 0 &&
	    fs_renameat(dir, draft, slash + 1, err) == 0 && fs_fsync(dir, err) == 0)
		rc = 0;
out:
	if (fd != -1)
		close(fd);
	if (dir != -1)
		close(dir);
	buf_release(&b);
	arena_free(&a);
	return rc;
}

int
domain_keys(const struct config *c, const struct conf_domain *d, struct arena *a,
    const struct domain_key **out, size_t *n, struct err *err)
{
	struct ring *r = arena_zalloc(a, sizeof(*r));
	struct domain_key *all;

	if (d->dkim_managed && ring_load(r, c->path, d->name, a, err) == -1)
		return -1;
	all = arena_array(a, d->ndkim + r->n + 1, sizeof(*all));
	*n = 0;
	for (size_t i = 0; i < d->ndkim; i++)
		all[(*n)++] = (struct domain_key){ .selector = d->dkim[i].selector,
			.ed25519 = d->dkim[i].ed25519, .state = RING_ACTIVE,
			.path = fs_beside(a, c->path, d->dkim[i].key), .line = d->dkim[i].line };
	for (size_t i = 0; i < r->n; i++)
		all[(*n)++] = (struct domain_key){ .selector = r->keys[i].selector,
			.ed25519 = r->keys[i].ed25519, .state = r->keys[i].state,
			.since = r->keys[i].since, .path = r->keys[i].path };
	*out = all;
	return 0;
}
