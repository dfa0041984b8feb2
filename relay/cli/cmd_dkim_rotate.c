/* cmd_dkim_rotate.c -- `postern dkim rotate DOMAIN`: new keys for old, one step at a time.
 *
 *	no key waits		an RSA and an Ed25519 key are made, and what to publish is shown
 *	keys wait		they are looked up; once all are found they sign, and those before retire
 *	keys have retired	after RING_RETIRE_DAYS they are deleted, and what to take out of the DNS is shown
 *
 * Each run does the one step that is due and says what comes next; the ring
 * (dkim_ring.h) is written before anything is said, so a run that is cut
 * short is begun again. --now: the first step, though retired keys still wait.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "addr.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/dkim_page.h"
#include "zone/zone_text.h"
#include "cli/page.h"
#include "clock.h"
#include "fs.h"
#include "json.h"
#include "signer/dkim_ring.h"

#define DAY (INT64_C(86400))

struct rotation {
	struct dkim_page *p;
	const struct conf_domain *d;
	struct ring ring;
	struct lookup *lookup;
	int64_t now;
};

static int
failed(const struct err *err)
{
	fprintf(stderr, "postern: %s\n", err->text);
	return CLI_FINDINGS;
}

static struct dkim_key *
load(struct rotation *r, const struct ring_key *k, struct err *err)
{
	return dkim_key_load(r->d->name, k->selector, k->path, k->ed25519, err);
}

/* One line of JSON for each key, or its zone line. */
static void
show_key(struct rotation *r, const struct ring_key *k, const char *step, const char *value,
    const char *verdict)
{
	struct buf *o = &r->p->out;
	char *name = dkim_name(r->p, k->selector, r->d->name);
	struct json j;

	if (!r->p->cli->json) {
		if (verdict)
			buf_printf(o, "%s: %s\n", name, verdict);
		if (value)
			zone_text_bind(o, name, "TXT", span_str(value));
		return;
	}
	json_begin(&j, o);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "step", step);
	json_kstr(&j, "domain", r->d->name);
	json_kstr(&j, "selector", k->selector);
	json_kcstr(&j, "state", ring_state_name(k->state));
	json_kcstr(&j, "name", name);
	json_kcstr(&j, "value", value);
	json_kcstr(&j, "verdict", verdict);
	json_end_object(&j);
	buf_putc(o, '\n');
}

static void
say(struct rotation *r, const char *text)
{
	if (!r->p->cli->json)
		buf_printf(&r->p->out, "%s", text);
}

static size_t
count(const struct ring *g, enum ring_state s)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		n += g->keys[i].state == s;
	return n;
}

/* ---- the first step ---- */

static bool
selector_taken(const struct rotation *r, const char *selector)
{
	for (size_t i = 0; i < r->ring.n; i++)
		if (span_is(r->ring.keys[i].selector, selector))
			return true;
	for (size_t i = 0; i < r->d->ndkim; i++)
		if (span_is(r->d->dkim[i].selector, selector))
			return true;
	return false;
}

/* "r20261122", "r20261122b", …: the first that no key has. */
static const char *
new_selector(struct rotation *r, char kind)
{
	time_t t = (time_t)r->now;
	struct tm tm;
	char date[16];
	char *s;

	gmtime_r(&t, &tm);
	strftime(date, sizeof(date), "%Y%m%d", &tm);
	s = arena_printf(r->p->a, "%c%s", kind, date);
	for (char more = 'b'; selector_taken(r, s) && more <= 'z'; more++)
		s = arena_printf(r->p->a, "%c%s%c", kind, date, more);
	return s;
}

/* The key's file; one that a run before this one has made, and not got into the ring, is taken. */
static int
make_key(struct rotation *r, bool ed25519, struct err *err)
{
	const char *selector = new_selector(r, ed25519 ? 'e' : 'r');
	const char *path = ring_key_path(r->p->conf->path, span_str(selector), r->d->name, r->p->a);
	struct ring_key *k;
	struct dkim_key *key;

	if (access(path, F_OK) == -1 && dkim_generate(path, ed25519 ? 0 : DKIM_RSA_BITS, err) == -1)
		return -1;
	if ((k = ring_add(&r->ring, span_str(selector), ed25519, path, r->now)) == NULL)
		return err_set(err, 0, "%s: more than %d keys", r->ring.path, RING_KEYS_MAX);
	if ((key = load(r, k, err)) == NULL)
		return -1;
	dkim_key_free(&key);
	return 0;
}

static void
show_pending(struct rotation *r, const char *step)
{
	for (size_t i = 0; i < r->ring.n; i++) {
		const struct ring_key *k = &r->ring.keys[i];
		struct dkim_key *key;
		struct err err;

		if (k->state != RING_PUBLISH || (key = load(r, k, &err)) == NULL)
			continue;
		show_key(r, k, step, dkim_record(r->p->a, key), NULL);
		dkim_key_free(&key);
	}
}

static void
reload_line(void *ctx, const struct jval *v, struct span text)
{
	*(bool *)ctx = jval_bool(v, "ok");
}

/* A new key, or one that is gone, is told to a daemon that runs, so that the console shows it. */
static bool
tell_daemon(struct rotation *r)
{
	struct request req;
	bool ok = false;

	request_begin(&req, "reload");
	return control_ask_quietly(r->p->cli, &req, reload_line, &ok) == CLI_OK && ok;
}

static int
begin(struct rotation *r)
{
	struct err err;

	if (fs_mkdirs(fs_beside(r->p->a, r->p->conf->path, SPAN_LIT("keys")), 0700, &err) == -1 ||
	    make_key(r, false, &err) == -1 || make_key(r, true, &err) == -1 ||
	    ring_save(&r->ring, &err) == -1)
		return failed(&err);
	say(r, "New keys are made. Publish:\n\n");
	show_pending(r, "publish");
	(void)tell_daemon(r);
	say(r, "\nThen run this again: it looks them up, and only what it finds will sign.\n");
	return CLI_OK;
}

/* ---- the second ---- */

static void
reload(struct rotation *r)
{
	if (tell_daemon(r))
		say(r, "posternd has taken them.\n");
	else
		say(r, "posternd has not taken them: it does not run, or `postern reload` says why not.\n");
}

static int
activate(struct rotation *r)
{
	struct err err;

	for (size_t i = 0; i < r->ring.n; i++) {
		struct ring_key *k = &r->ring.keys[i];

		if (k->state == RING_PUBLISH || k->state == RING_ACTIVE) {
			k->state = k->state == RING_PUBLISH ? RING_ACTIVE : RING_RETIRED;
			k->since = r->now;
		}
	}
	if (ring_save(&r->ring, &err) == -1)
		return failed(&err);
	say(r, "\nAll are found: they sign from now on.\n");
	reload(r);
	if (r->d->ndkim)
		say(r, "The keys listed under `dkim:` in postern.yaml sign beside them: take them out there.\n");
	if (count(&r->ring, RING_RETIRED) && !r->p->cli->json)
		buf_printf(&r->p->out, "Those before sign no more. Leave them in the DNS for %d days, for mail that is under way; "
		    "then run this again.\n", RING_RETIRE_DAYS);
	return CLI_OK;
}

static int
look(struct rotation *r)
{
	bool all = true;
	struct err err;

	if ((r->lookup = lookup_new(r->p->conf, &err)) == NULL)
		return failed(&err);
	for (size_t i = 0; i < r->ring.n; i++) {
		const struct ring_key *k = &r->ring.keys[i];
		struct dkim_key *key;
		const char *verdict;
		bool found;

		if (k->state != RING_PUBLISH)
			continue;
		if ((key = load(r, k, &err)) == NULL)
			return failed(&err);
		found = dkim_look_up(r->p, r->lookup, key, dkim_name(r->p, k->selector, r->d->name),
		    &verdict) == DKIM_MATCHES;
		show_key(r, k, "look", found ? NULL : dkim_record(r->p->a, key), verdict);
		dkim_key_free(&key);
		all &= found;
	}
	if (all)
		return activate(r);
	say(r, "\nWhat is not found does not sign; the keys before go on. Publish, wait for the DNS, run this again.\n");
	return CLI_FINDINGS;
}

/* ---- the third ---- */

static int
bury(struct rotation *r, bool due)
{
	struct ring old = r->ring;
	struct err err;

	if (!due) {
		for (size_t i = 0; i < r->ring.n; i++)
			if (r->ring.keys[i].state == RING_RETIRED)
				show_key(r, &r->ring.keys[i], "wait", NULL, "retired, and still to be left in the DNS");
		if (!r->p->cli->json)
			buf_printf(&r->p->out, "Nothing to do yet: retired keys stay in the DNS for %d days. --now begins the next "
			    "rotation all the same.\n", RING_RETIRE_DAYS);
		return CLI_OK;
	}
	for (size_t i = r->ring.n; i-- > 0;)
		if (r->ring.keys[i].state == RING_RETIRED)
			ring_remove(&r->ring, i);
	if (ring_save(&r->ring, &err) == -1)
		return failed(&err);
	say(r, "These keys are deleted; take them out of the DNS:\n");
	for (size_t i = 0; i < old.n; i++) {
		if (old.keys[i].state != RING_RETIRED)
			continue;
		if (unlink(old.keys[i].path) == -1 && errno != ENOENT)
			fprintf(stderr, "postern: %s: %s\n", old.keys[i].path, strerror(errno));
		show_key(r, &old.keys[i], "removed", NULL, "delete this TXT record");
	}
	(void)tell_daemon(r);
	return CLI_OK;
}

/* Have all retired keys been so for long enough? */
static bool
retired_long_ago(const struct rotation *r)
{
	for (size_t i = 0; i < r->ring.n; i++)
		if (r->ring.keys[i].state == RING_RETIRED &&
		    r->now - r->ring.keys[i].since < RING_RETIRE_DAYS * DAY)
			return false;
	return true;
}

int
dkim_rotate(struct dkim_page *p, int argc, char **argv)
{
	struct rotation r = { .p = p, .now = clock_real() / US_PER_SEC };
	bool now = argc == 2 && strcmp(argv[1], "--now") == 0;
	struct span name;
	struct err err;
	int status;

	if (argc < 1 || argc > 2 || (argc == 2 && !now))
		return command_usage("dkim");
	if (!domain_normalise(p->a, span_str(argv[0]), &name) ||
	    (r.d = config_domain(p->conf, name)) == NULL) {
		fprintf(stderr, "postern: %s is not among the domains of postern.yaml\n", argv[0]);
		return CLI_USAGE;
	}
	if (!r.d->dkim_managed) {
		fprintf(stderr, "postern: the keys of " SPAN_FMT " are written in postern.yaml by hand. Say there\n\n"
		    "  " SPAN_FMT ":\n    dkim: {managed: true%s}\n\nand run this again.\n", SPAN_ARG(name),
		    SPAN_ARG(name), r.d->ndkim ? ", keys: [those that stand there now]" : "");
		return CLI_USAGE;
	}
	if (ring_load(&r.ring, p->conf->path, r.d->name, p->a, &err) == -1)
		return failed(&err);
	if (count(&r.ring, RING_PUBLISH))
		status = look(&r);
	else if (count(&r.ring, RING_RETIRED) && !(now && !retired_long_ago(&r)))
		status = bury(&r, retired_long_ago(&r));
	else
		status = begin(&r);
	lookup_free(&r.lookup);
	return status;
}
