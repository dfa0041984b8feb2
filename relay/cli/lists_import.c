/* lists_import.c -- entries of a file into the lists; see lists_import.h.
 *
 * A line is a JSON object, as `lists export` writes it, or words: `block @spam.example`, `allow
 * a@partner.example m.durand@example.org  # why`. Empty lines and what begins with # are passed over.
 * Spelling is checked here, all lines before any is sent; what only the store knows (an entry that is
 * there already, a list that is full) it says of the line, and the others go in.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/control_client.h"
#include "cli/lists_import.h"
#include "cli/page.h"
#include "fs.h"
#include "lists/entry.h"

#define FILE_MAX ((size_t)512 << 20)
#define BATCH_ITEMS 1000
#define BATCH_BYTES (500u << 10)	/* below what the control socket takes */

struct importing {
	const char *file;
	const struct cli *cli;
	struct arena *a;
	uint32_t lines[BATCH_ITEMS];	/* of the items of the batch */
	size_t n, bytes;
	struct request r;
	uint64_t added, failed;
	int status;
};

struct line {
	struct span scope, owner, list, what, reason, expires;
	int64_t end;		/* expires as a number; 0 none */
	bool forever, unproved;
};

static struct span
next_word(struct span *s)
{
	struct span w;
	size_t n = 0;

	*s = span_trim(*s);
	while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
		n++;
	w = span_sub(*s, 0, n);
	*s = span_from(*s, n);
	return w;
}

static int
words_read(struct span s, struct line *l, struct err *err)
{
	size_t hash = span_find(s, '#');

	if (hash < s.n)
		l->reason = span_trim(span_from(s, hash + 1));
	s = span_trim(span_sub(s, 0, hash));
	l->list = next_word(&s);
	l->what = next_word(&s);
	l->owner = next_word(&s);
	if (span_trim(s).n)
		return err_set(err, EINVAL, "as in: block @spam.example m.durand@example.org  # why");
	l->forever = true;
	return 0;
}

static void
json_read(const struct jval *v, struct line *l)
{
	l->scope = jval_text(v, "scope");
	l->owner = jval_text(v, "owner");
	l->list = jval_text(v, "list");
	l->what = jval_text(v, "what");
	l->reason = jval_text(v, "reason");
	l->expires = jval_text(v, "expires");
	l->end = l->expires.n ? 0 : jval_int(v, "expires", 0);
	l->forever = jval_bool(v, "forever") || !jval_has(v, "expires");
	l->unproved = jval_bool(v, "unauthenticated");
}

static int
line_check(struct importing *im, struct line *l, struct err *err)
{
	enum entry_kind kind;
	struct span normal;

	if (!span_is(l->list, "allow") && !span_is(l->list, "block"))
		return err_set(err, EINVAL, "`" SPAN_FMT "`: allow or block", SPAN_ARG(span_sub(l->list, 0, 60)));
	if (entry_what(im->a, l->what, &kind, &normal, err) == -1)
		return -1;
	if (l->scope.n == 0)
		l->scope = l->owner.n == 0 ? SPAN_LIT("all") : span_find(l->owner, '@') < l->owner.n &&
		    l->owner.p[0] != '@' ? SPAN_LIT("user") : SPAN_LIT("domain");
	if (!span_is(l->scope, "all"))
		return entry_owner(im->a, span_is(l->scope, "user") ? LIST_USER : LIST_DOMAIN, l->owner,
		    &normal, err);
	return 0;
}

/* ---- sending ---- */

static void
answer_line(void *ctx, const struct jval *v, struct span text)
{
	struct importing *im = ctx;
	size_t i;

	if (!jval_has(v, "item"))
		return;
	i = (size_t)jval_int(v, "item", 0);
	if (jval_bool(v, "added"))
		im->added++;
	else {
		im->failed++;
		fprintf(stderr, "%s:%u: not added\n", im->file, i < im->n ? im->lines[i] : 0);
	}
}

static int
batch_send(struct importing *im)
{
	int status;

	if (im->n == 0)
		return CLI_OK;
	json_end_array(&im->r.j);
	status = control_ask(im->cli, &im->r, CONTROL_READ, answer_line, im);
	im->n = im->bytes = 0;
	return status;
}

static void
item_put(struct importing *im, const struct line *l, uint32_t number)
{
	struct json *j = &im->r.j;

	if (im->n == 0) {
		request_begin(&im->r, "lists.add");
		json_key(j, "items");
		json_array(j);
	}
	json_object(j);
	json_kstr(j, "scope", l->scope);
	json_kstr(j, "owner", l->owner);
	json_kstr(j, "list", l->list);
	json_kstr(j, "what", l->what);
	json_kstr(j, "reason", l->reason);
	if (l->expires.n)
		json_kstr(j, "expires", l->expires);
	else if (l->end)
		json_kint(j, "expires", l->end);
	json_kbool(j, "forever", l->forever);
	json_kbool(j, "unauthenticated", l->unproved);
	json_end_object(j);
	im->lines[im->n++] = number;
	im->bytes += l->owner.n + l->what.n + l->reason.n + 160;
}

/* send false: every line is only read. -1: a line that cannot be; it was said. */
static int
lines_walk(struct importing *im, struct span text, bool send)
{
	uint32_t number = 0;
	int bad = 0;

	while (text.n && im->status != CLI_UNREACHABLE) {
		size_t eol = span_find(text, '\n');
		struct span s = span_trim(span_sub(text, 0, eol));
		struct line l = { .end = 0 };
		struct jval *v = NULL;
		struct err err;
		int r = 0, status;

		text = span_from(text, eol < text.n ? eol + 1 : eol);
		number++;
		if (s.n == 0 || s.p[0] == '#')
			continue;
		if (s.p[0] == '{' && (v = jval_parse(s, &err)) == NULL)
			r = -1;
		else if (v)
			json_read(v, &l);
		else
			r = words_read(s, &l, &err);
		if (r == 0)
			r = line_check(im, &l, &err);
		if (r == -1) {
			fprintf(stderr, "%s:%u: %s\n", im->file, number, err.text);
			bad = -1;
		} else if (send) {
			item_put(im, &l, number);
			if ((im->n == BATCH_ITEMS || im->bytes > BATCH_BYTES) &&
			    (status = batch_send(im)) != CLI_OK)
				im->status = status;
		}
		jval_free(&v);
		arena_reset(im->a);
	}
	return bad;
}

int
lists_import(const char *file, const struct cli *cli)
{
	struct importing im = { .file = file, .cli = cli };
	struct arena *a = arena_new(0);
	struct span text;
	struct err err;
	int status;

	if ((strcmp(file, "-") == 0 ? fs_read_fd(a, 0, FILE_MAX, &text, &err) :
	    fs_read(a, file, FILE_MAX, &text, &err)) == -1) {
		fprintf(stderr, "postern lists: %s\n", err.text);
		arena_free(&a);
		return CLI_FINDINGS;
	}
	im.a = arena_new(0);
	if (lines_walk(&im, text, false) == -1) {
		fputs("nothing was imported\n", stderr);
		im.status = CLI_FINDINGS;
	} else {
		lines_walk(&im, text, true);
		status = batch_send(&im);
		if (im.status == CLI_OK)
			im.status = status;
		if (cli->json)
			printf("{\"v\":1,\"added\":%llu,\"failed\":%llu}\n", (unsigned long long)im.added,
			    (unsigned long long)im.failed);
		else
			printf("%llu added%s\n", (unsigned long long)im.added,
			    im.failed ? ", others not: see above" : "");
	}
	arena_free(&im.a);
	arena_free(&a);
	return im.status;
}
