/* stamps.c -- which stamps of other hops are believed; see stamps.h.
 *
 * A stamp is believed when it is the only one, its sender is one of
 * `antivirus.stamp.trust` (and has logged in, where that is asked for), its MAC is of a key of ours, it is not
 * too old, not from the future, names the engine and the signatures we would use
 * now, and is about these very bytes. Whatever is not so costs one scan. Stamps go out of every message
 * that came with one, whoever sent it, also where none are made: what stands on a
 * message that we hand on is our own word or nobody's.
 *
 * A stamp that was believed is renewed with its own time: its age counts from
 * the scan, however many hops it has seen.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "fs.h"
#include "master/config.h"
#include "scanner/av_stamp.h"
#include "scanner/stamps.h"

#define KEY_MAX 4096
#define FUTURE (5 * 60)		/* seconds that clocks may differ */

struct stamps {
	struct arena *arena;
	const struct conf_antivirus *conf;
	struct span keys[STAMP_KEYS_MAX];
	size_t n;
};

static int
read_key(struct stamps *s, const char *path, struct err *err)
{
	struct stat st;
	struct span text;

	if (stat(path, &st) == -1)
		return err_errno(err, "antivirus.stamp.key: %s", path);
	if (st.st_mode & 007)
		return err_set(err, 0, "antivirus.stamp.key: %s may be read by everybody: chmod 600", path);
	if (fs_read(s->arena, path, KEY_MAX, &text, err) == -1)
		return err_wrap(err, "antivirus.stamp.key");
	text = span_trim(text);
	if (text.n < STAMP_KEY_MIN)
		return err_set(err, 0, "antivirus.stamp.key: %s has less than %d characters "
		    "(openssl rand -base64 32 makes a good one)", path, STAMP_KEY_MIN);
	s->keys[s->n++] = text;
	return 0;
}

struct stamps *
stamps_new(const struct conf_antivirus *c, struct err *err)
{
	struct stamps *s = calloc(1, sizeof(*s));

	ASSERT(s != NULL && c->nstamp_keys <= STAMP_KEYS_MAX);
	s->arena = arena_new(0);
	s->conf = c;
	for (size_t i = 0; i < c->nstamp_keys; i++)
		if (read_key(s, c->stamp_keys[i], err) == -1) {
			stamps_free(&s);
			return NULL;
		}
	return s;
}

void
stamps_free(struct stamps **s)
{
	if (*s == NULL)
		return;
	for (size_t i = 0; i < (*s)->n; i++)
		explicit_bzero((void *)(uintptr_t)(*s)->keys[i].p, (*s)->keys[i].n);
	arena_free(&(*s)->arena);
	free(*s);
	*s = NULL;
}

/* What we would stamp with; false: that cannot be said. */
static bool
identity(const struct antivirus *av, struct arena *a, struct span *engine, struct span *signatures)
{
	char *text;

	if (av == NULL)
		return false;
	text = arena_str(a, antivirus_version(av));
	for (char *p = text; *p; p++)
		if (*p == ' ')
			*p = '-';
	*engine = span_str(text);
	*signatures = span_str(antivirus_signatures(av)->id);
	return av_stamp_word(*engine) && av_stamp_word(*signatures);
}

static bool
peer_is_trusted(const struct stamps *s, const struct envelope *env)
{
	if (s->conf->stamp_authenticated && !(env->flags & ENVELOPE_AUTH))
		return false;
	for (size_t i = 0; i < s->conf->stamp_trust.n; i++)
		if (cidr_has(s->conf->stamp_trust.cidrs[i], env->client))
			return true;
	return false;
}

static bool
believed(const struct stamps *s, const struct antivirus *av, struct span value, struct span raw,
    int64_t now, struct arena *a, int64_t *since)
{
	unsigned char body[STAMP_HASH];
	struct span engine, signatures;
	struct av_stamp st;
	bool genuine = false;

	if (!av_stamp_parse(value, a, &st) || !identity(av, a, &engine, &signatures) ||
	    !span_eq(st.engine, engine) || !span_eq(st.signatures, signatures) ||
	    st.time > now / US_PER_SEC + FUTURE ||
	    now / US_PER_SEC - st.time > s->conf->stamp_expires / US_PER_SEC)
		return false;
	for (size_t i = 0; i < s->n && !genuine; i++)
		genuine = av_stamp_genuine(&st, s->keys[i]);
	if (!genuine)
		return false;
	av_stamp_body(raw, body);
	*since = st.time;
	return memcmp(body, st.body, STAMP_HASH) == 0;
}

void
stamps_look(const struct stamps *s, const struct antivirus *av, const struct envelope *env,
    struct span raw, int64_t now, struct arena *a, struct stamps_seen *out)
{
	size_t at = 0, end = 0, cap = 0;
	struct span value, first = { 0 };

	*out = (struct stamps_seen){ 0 };
	while ((at = av_stamp_find(raw, end, &end, &value)) < raw.n) {
		struct edit *last = out->nstrip ? &out->strip[out->nstrip - 1] : NULL;

		if (out->fields++ == 0)
			first = value;
		if (last && last->offset + last->size == at) {
			last->size += end - at;
			continue;
		}
		if (out->nstrip == cap) {
			size_t more = cap ? cap * 2 : 4;

			out->strip = arena_grow(a, out->strip, cap * sizeof(*last), more * sizeof(*last));
			cap = more;
		}
		out->strip[out->nstrip++] = (struct edit){ .offset = at, .size = end - at,
			.rule = SPAN_LIT("antivirus"), .action = "strip_stamp" };
	}
	out->trusted = s && out->fields && peer_is_trusted(s, env);
	out->accepted = out->trusted && out->fields == 1 &&
	    believed(s, av, first, raw, now, a, &out->since);
}

/* ---- edits ---- */

/* Two sorted lists into one. What overlaps becomes one edit, which keeps the policy's text. */
static void
merge(struct variant *v, const struct stamps_seen *seen, struct arena *a)
{
	struct edit *out = arena_array(a, v->nedits + seen->nstrip + 1, sizeof(*out));
	size_t i = 0, k = 0, n = 0;

	while (i < v->nedits || k < seen->nstrip) {
		bool ours = i == v->nedits || (k < seen->nstrip &&
		    seen->strip[k].offset < v->edits[i].offset);
		const struct edit *e = ours ? &seen->strip[k++] : &v->edits[i++];
		struct edit *last = n ? &out[n - 1] : NULL;

		/* Only what takes bytes away can overlap; puts at one place stand beside each other. */
		if (last && e->offset < last->offset + last->size) {
			uint64_t end = e->offset + e->size;

			if (last->offset + last->size < end)
				last->size = end - last->offset;
			if (!ours && e->with.n)
				last->with = last->with.n ? span_str(arena_printf(a, SPAN_FMT SPAN_FMT,
				    SPAN_ARG(last->with), SPAN_ARG(e->with))) : e->with;
			continue;
		}
		out[n++] = *e;
	}
	*v = (struct variant){ out, n };
}

static struct span
applied(struct span raw, const struct variant *v, struct arena *a)
{
	size_t room = raw.n, n = 0, at = 0;
	char *out;

	if (v->nedits == 0)
		return raw;
	for (size_t i = 0; i < v->nedits; i++)
		room += v->edits[i].with.n;
	out = arena_alloc(a, room);
	for (size_t i = 0; i <= v->nedits; i++) {
		const struct edit *e = i < v->nedits ? &v->edits[i] : NULL;
		size_t to = e ? (size_t)e->offset : raw.n;

		memcpy(out + n, raw.p + at, to - at);
		n += to - at;
		if (e == NULL)
			break;
		if (e->with.n)
			memcpy(out + n, e->with.p, e->with.n);
		n += e->with.n;
		at = to + (size_t)e->size;
	}
	return span_make(out, n);
}

bool
stamps_edit(const struct stamps *s, const struct antivirus *av, const struct stamps_seen *seen,
    bool stamp, int64_t now, struct span raw, struct arena *a, struct verdict *v)
{
	struct av_stamp st = { .time = seen->accepted ? seen->since : now / US_PER_SEC };
	struct variant *variants;

	stamp = stamp && s && s->n && identity(av, a, &st.engine, &st.signatures);
	if (!stamp && seen->nstrip == 0)
		return false;
	variants = arena_array(a, v->nvariants, sizeof(*variants));
	for (size_t i = 0; i < v->nvariants; i++) {
		variants[i] = v->variants[i];
		if (seen->nstrip)
			merge(&variants[i], seen, a);
		if (stamp) {
			struct edit *edits = arena_array(a, variants[i].nedits + 1, sizeof(*edits));

			av_stamp_body(applied(raw, &variants[i], a), st.body);
			edits[0] = (struct edit){ .with = av_stamp_make(&st, s->keys[0], a),
				.rule = SPAN_LIT("antivirus"), .action = "stamp" };
			if (variants[i].nedits)
				memcpy(edits + 1, variants[i].edits, variants[i].nedits * sizeof(*edits));
			variants[i] = (struct variant){ edits, variants[i].nedits + 1 };
		}
	}
	v->variants = variants;
	return stamp;
}
