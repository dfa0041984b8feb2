/* cmd_bayes.c -- `postern bayes`: the classifier that learns, shown, taught and asked.
 *
 * Messages in files are read here, as the scanner reads them, and only their hashes go to the store; so
 * the tool needs the secret they are made with, which the store tells nobody but this machine's
 * administrator. Each file counts once, however often it is taught (known by its bytes).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base64.h"
#include "cli/bayes_cli.h"
#include "cli/commands.h"
#include "cli/mail_files.h"
#include "cli/page.h"
#include "clock.h"
#include "id.h"
#include "postern/anatomy.h"
#include "store/bayes_db.h"

#define BATCH 50		/* messages of one request: up to 5.5 KiB each */

/* ---- the secret ---- */

static void
key_line(void *ctx, const struct jval *v, struct span text)
{
	struct bayes_secret *s = ctx;
	struct span hex = jval_text(v, "key");

	if (hex.n != 2 * sizeof(s->key.bytes))
		return;
	s->there = true;
	memcpy(s->hex, hex.p, hex.n);
	for (size_t i = 0; i < sizeof(s->key.bytes); i++) {
		unsigned b = 0;

		s->there &= sscanf(s->hex + 2 * i, "%2x", &b) == 1;
		s->key.bytes[i] = (uint8_t)b;
	}
	s->spam = (uint64_t)jval_int(v, "spam", 0);
	s->ham = (uint64_t)jval_int(v, "ham", 0);
	s->since = jval_int(v, "since", 0);
}

int
bayes_secret(const struct cli *cli, struct bayes_secret *s)
{
	struct request r;
	int status;

	*s = (struct bayes_secret){ .there = false };
	request_begin(&r, "bayes.key");
	status = control_ask(cli, &r, CONTROL_READ, key_line, s);
	return status != CLI_OK ? status : s->there ? CLI_OK : CLI_FINDINGS;
}

/* ---- status ---- */

static void
status_line(void *ctx, const struct jval *v, struct span text)
{
	struct buf *o = ctx;
	int64_t now = clock_real();

	if (!jval_bool(v, "on")) {
		buf_puts(o, "off: `antispam: {bayes: off}` in postern.yaml, or its table cannot be read (the log says)\n");
		return;
	}
	buf_printf(o, "learnt      %lld spam, %lld ham", (long long)jval_int(v, "spam", 0),
	    (long long)jval_int(v, "ham", 0));
	if (jval_has(v, "since")) {
		buf_puts(o, " since ");
		page_time(o, jval_int(v, "since", 0), now);
	}
	buf_printf(o, "\njudges      %s", jval_bool(v, "ready") ? "yes\n" : "not yet: ");
	if (!jval_bool(v, "ready"))
		buf_printf(o, "it wants %lld of each\n", (long long)jval_int(v, "minimum", 0));
	buf_printf(o, "tokens      %lld of %lld\n", (long long)jval_int(v, "tokens", 0),
	    (long long)jval_int(v, "tokens_max", 0));
	buf_printf(o, "remembered  %lld messages that can be decided about\n",
	    (long long)jval_int(v, "remembered", 0));
	if (jval_int(v, "limited", 0))
		buf_printf(o, "not learnt  %lld decisions: their person or sender had enough for the day\n",
		    (long long)jval_int(v, "limited", 0));
	buf_puts(o, "published   ");
	page_time(o, jval_int(v, "published", 0), now);
	buf_puts(o, jval_bool(v, "changed") ? ", and again in a moment\n" : "\n");
}

static int
bayes_status(int argc, char **argv, const struct cli *cli)
{
	struct request r;
	struct buf o;
	int status;

	if (argc)
		return command_usage("bayes");
	buf_init(&o, 1u << 16);
	request_begin(&r, "bayes.status");
	status = control_ask(cli, &r, CONTROL_SHOW, status_line, &o);
	page_flush(&o);
	buf_release(&o);
	return status;
}

/* ---- train, forget ---- */

struct teaching {
	const struct cli *cli;
	const char *as;			/* "spam", "ham", "none" */
	struct bayes_secret secret;
	struct request r;
	size_t waiting;			/* in r */
	uint64_t total, done;		/* of all that were named */
	uint64_t sum[BAYES_LIMIT + 1], bad;
	int64_t begun, shown;
	int status;
	bool counting;
};

static void
progress(struct teaching *t, bool last)
{
	int64_t now = clock_mono();
	double rate = now > t->begun ? (double)t->done * 1e6 / (double)(now - t->begun) : 0;

	if (t->cli->json || t->total < 20 || !isatty(STDERR_FILENO) ||
	    (!last && now - t->shown < US_PER_SEC / 5))
		return;
	t->shown = now;
	fprintf(stderr, "\r%llu of %llu, %.0f/s, %.0fs left \033[K%s", (unsigned long long)t->done,
	    (unsigned long long)t->total, rate, rate > 0 ? (double)(t->total - t->done) / rate : 0.0,
	    last ? "\r\033[K" : "");
}

static void
train_line(void *ctx, const struct jval *v, struct span text)
{
	struct teaching *t = ctx;

	for (int i = 0; i <= BAYES_LIMIT; i++)
		t->sum[i] += (uint64_t)jval_int(v, bayes_done_name((enum bayes_done)i), 0);
}

static int
send_batch(struct teaching *t)
{
	int status = CLI_OK;

	if (t->waiting == 0)
		return CLI_OK;
	json_end_array(&t->r.j);
	status = control_ask(t->cli, &t->r, CONTROL_READ, train_line, t);
	t->done += t->waiting;
	t->waiting = 0;
	progress(t, false);
	if (status != CLI_OK)
		t->status = status;
	return status;
}

static void
one_begin(struct teaching *t)
{
	if (t->waiting++ == 0) {
		request_begin(&t->r, "bayes.train");
		json_kcstr(&t->r.j, "class", t->as);
		json_key(&t->r.j, "messages");
		json_array(&t->r.j);
	}
	json_object(&t->r.j);
}

static int
one_end(struct teaching *t)
{
	json_end_object(&t->r.j);
	return t->waiting == BATCH && send_batch(t) != CLI_OK ? -1 : 0;
}

static void
complain(void *ctx, const char *name, const char *why)
{
	struct teaching *t = ctx;

	if (t->counting)
		return;		/* told when it is read */
	fprintf(stderr, "postern: %s: %s\n", name, why);
	t->bad++;
}

static int
count_file(void *ctx, const char *name, struct span content, struct arena *a)
{
	((struct teaching *)ctx)->total++;
	return 0;
}

static int
teach_file(void *ctx, const char *name, struct span content, struct arena *a)
{
	struct teaching *t = ctx;
	struct bayes_tokens tokens;
	struct anatomy an;
	struct buf b;

	anatomy_build(a, content, NULL, &an);
	bayes_tokenise(&an, &t->secret.key, a, &tokens);
	if (tokens.n == 0) {
		complain(t, name, "nothing in it that could be learnt");
		return 0;
	}
	buf_init(&b, 2 * 4 * BAYES_TOKENS);
	base64_encode(&b, bayes_pack(&tokens, a), true);
	one_begin(t);
	json_kcstr(&t->r.j, "file", arena_printf(a, "%016llx",
	    (unsigned long long)bayes_file_id(&t->secret.key, content)));
	json_kstr(&t->r.j, "tokens", buf_data(&b));
	buf_release(&b);
	return one_end(t);
}

static bool
is_id(const char *s)
{
	uint64_t id;

	return id_parse(span_str(s), &id) && access(s, F_OK) == -1;
}

static int
teach_all(struct teaching *t, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		int r = 0;

		if (is_id(argv[i])) {
			one_begin(t);
			json_kcstr(&t->r.j, "id", argv[i]);
			r = one_end(t);
		} else {
			r = mail_files_walk(argv[i], teach_file, complain, t);
		}
		if (r == -1)
			return -1;
	}
	return send_batch(t) == CLI_OK ? 0 : -1;
}

static void
say_taught(const struct teaching *t)
{
	bool none = strcmp(t->as, "none") == 0;
	struct json j;
	struct buf o;

	buf_init(&o, 4096);
	if (t->cli->json) {
		json_begin(&j, &o);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kcstr(&j, "class", t->as);
		for (int i = 0; i <= BAYES_LIMIT; i++)
			json_kuint(&j, bayes_done_name((enum bayes_done)i), t->sum[i]);
		json_kuint(&j, "unreadable", t->bad);
		json_end_object(&j);
		buf_putc(&o, '\n');
	} else {
		buf_printf(&o, "%llu %s", (unsigned long long)(t->sum[BAYES_LEARNT] + t->sum[BAYES_CHANGED]),
		    none ? "forgotten" : "learnt as ");
		buf_puts(&o, none ? "" : t->as);
		if (t->sum[BAYES_CHANGED])
			buf_printf(&o, " (%llu had been learnt as the other)",
			    (unsigned long long)t->sum[BAYES_CHANGED]);
		if (t->sum[BAYES_KNOWN])
			buf_printf(&o, ", %llu %s", (unsigned long long)t->sum[BAYES_KNOWN],
			    none ? "had not been learnt" : "known already");
		if (t->sum[BAYES_STRANGER])
			buf_printf(&o, ", %llu not: %s", (unsigned long long)t->sum[BAYES_STRANGER],
			    none ? "nobody has taught them" :
			    "the store does not remember them; give the file");
		buf_putc(&o, '\n');
	}
	page_flush(&o);
	buf_release(&o);
}

static int
bayes_teach(int argc, char **argv, const struct cli *cli, const char *as)
{
	struct teaching t = { .cli = cli, .as = as, .counting = true };
	bool yes = false, count = false;
	int n = 0, status;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--yes") == 0)
			yes = true;
		else if (strcmp(argv[i], "--count") == 0)
			count = true;
		else if (argv[i][0] == '-')
			return command_usage("bayes");
		else
			argv[n++] = argv[i];
	}
	if (n == 0)
		return command_usage("bayes");
	for (int i = 0; i < n; i++)
		if (is_id(argv[i]))
			t.total++;
		else
			mail_files_walk(argv[i], count_file, complain, &t);
	if (count || (t.total > 1 && !yes)) {
		if (cli->json)
			printf("{\"v\":1,\"count\":%llu}\n", (unsigned long long)t.total);
		else
			printf("%llu messages\n", (unsigned long long)t.total);
		if (count)
			return CLI_OK;
		fprintf(stderr, "nothing done: say --yes to %s\n", strcmp(as, "none") == 0 ?
		    "forget them" : "learn them");
		return CLI_FINDINGS;
	}
	if ((status = bayes_secret(cli, &t.secret)) != CLI_OK)
		return status;
	t.counting = false;
	t.begun = clock_mono();
	teach_all(&t, n, argv);
	progress(&t, true);
	if (t.status != CLI_OK)
		return t.status;
	say_taught(&t);
	return t.bad || t.sum[BAYES_STRANGER] || t.sum[BAYES_LIMIT] ? CLI_FINDINGS : CLI_OK;
}

static void
cleared_line(void *ctx, const struct jval *v, struct span text)
{
}

static int
bayes_forget_all(const struct cli *cli, bool yes)
{
	struct request r;
	int status;

	if (!yes) {
		fputs("nothing done: say --yes to forget everything that was ever learnt\n", stderr);
		return CLI_FINDINGS;
	}
	request_begin(&r, "bayes.clear");
	status = control_ask(cli, &r, CONTROL_SHOW, cleared_line, NULL);
	if (status == CLI_OK && !cli->json)
		puts("everything is forgotten");
	return status;
}

/* ---- test ---- */

struct testing {
	const struct cli *cli;
	struct bayes_secret secret;
	struct bayes_tokens *tokens;
	const char *name;
	struct buf out;
	uint64_t bad;
	int status;
};

static struct span
word_of(const struct testing *t, const struct jval *clue, struct arena *a)
{
	int64_t i = jval_int(clue, "token", -1);

	if (i < 0 || (size_t)i >= t->tokens->n)
		return SPAN_LIT("?");
	return span_str(arena_printf(a, "%s:" SPAN_FMT, bayes_kind_name(t->tokens->v[i].kind),
	    SPAN_ARG(t->tokens->v[i].text)));
}

static void
test_json(struct testing *t, const struct jval *v, struct arena *a)
{
	const struct jval *list = jval_get(v, "clues"), *c;
	struct json j;

	json_begin(&j, &t->out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "file", t->name);
	json_kbool(&j, "known", jval_bool(v, "known"));
	json_kuint(&j, "spam", (uint64_t)jval_int(v, "spam", 0));
	if (jval_has(v, "says"))
		json_kstr(&j, "says", jval_text(v, "says"));
	else
		json_kcstr(&j, "says", NULL);
	json_kuint(&j, "tokens", t->tokens->n);
	json_kuint(&j, "seen", (uint64_t)jval_int(v, "seen", 0));
	json_kuint(&j, "used", (uint64_t)jval_int(v, "used", 0));
	json_key(&j, "clues");
	json_array(&j);
	for (size_t i = 0; (c = jval_at(list, i)) != NULL; i++) {
		json_object(&j);
		json_kstr(&j, "word", word_of(t, c, a));
		json_kuint(&j, "spam", (uint64_t)jval_int(c, "spam", 0));
		json_kuint(&j, "in_spam", (uint64_t)jval_int(c, "in_spam", 0));
		json_kuint(&j, "in_ham", (uint64_t)jval_int(c, "in_ham", 0));
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	buf_putc(&t->out, '\n');
}

static void
test_line(void *ctx, const struct jval *v, struct span text)
{
	struct testing *t = ctx;
	const struct jval *list = jval_get(v, "clues"), *c;
	struct arena *a = arena_new(0);

	if (t->cli->json) {
		test_json(t, v, a);
	} else if (!jval_bool(v, "known")) {
		buf_puts(&t->out, "unknown: the classifier has not learnt enough; see `postern bayes status`\n");
	} else {
		page_text(&t->out, jval_text(v, "says"));
		buf_printf(&t->out, ", %lld%%: ", (long long)jval_int(v, "spam", 0));
		page_text(&t->out, span_str(t->name));
		buf_printf(&t->out, " (%zu tokens, %lld known, %lld counted)\n", t->tokens->n,
		    (long long)jval_int(v, "seen", 0), (long long)jval_int(v, "used", 0));
		for (size_t i = 0; (c = jval_at(list, i)) != NULL; i++) {
			buf_printf(&t->out, "  %3lld%%  ", (long long)jval_int(c, "spam", 0));
			page_text(&t->out, word_of(t, c, a));
			buf_printf(&t->out, "  (%lld spam, %lld ham)\n", (long long)jval_int(c, "in_spam", 0),
			    (long long)jval_int(c, "in_ham", 0));
		}
	}
	arena_free(&a);
}

static int
test_file(void *ctx, const char *name, struct span content, struct arena *a)
{
	struct testing *t = ctx;
	struct bayes_tokens tokens;
	struct anatomy an;
	struct request r;
	struct buf b;

	anatomy_build(a, content, NULL, &an);
	bayes_tokenise(&an, &t->secret.key, a, &tokens);
	t->tokens = &tokens;
	t->name = name;
	buf_init(&b, 2 * 4 * BAYES_TOKENS);
	base64_encode(&b, bayes_pack(&tokens, a), true);
	request_begin(&r, "bayes.ask");
	json_kstr(&r.j, "tokens", buf_data(&b));
	buf_release(&b);
	t->status = control_ask(t->cli, &r, CONTROL_READ, test_line, t);
	page_flush(&t->out);
	return t->status == CLI_OK ? 0 : -1;
}

static void
test_complain(void *ctx, const char *name, const char *why)
{
	fprintf(stderr, "postern: %s: %s\n", name, why);
	((struct testing *)ctx)->bad++;
}

static int
bayes_test(int argc, char **argv, const struct cli *cli)
{
	struct testing t = { .cli = cli };
	int status;

	if (argc == 0)
		return command_usage("bayes");
	if ((status = bayes_secret(cli, &t.secret)) != CLI_OK)
		return status;
	buf_init(&t.out, 1u << 20);
	for (int i = 0; i < argc && t.status == CLI_OK; i++)
		mail_files_walk(argv[i], test_file, test_complain, &t);
	buf_release(&t.out);
	return t.status != CLI_OK ? t.status : t.bad ? CLI_FINDINGS : CLI_OK;
}

int
cmd_bayes(int argc, char **argv, const struct cli *cli)
{
	const char *verb = argc > 1 ? argv[1] : "status";
	int n = argc > 1 ? argc - 2 : 0;

	argv += argc > 1 ? 2 : 1;
	if (strcmp(verb, "status") == 0)
		return bayes_status(n, argv, cli);
	if (strcmp(verb, "train") == 0 && n > 1 && (strcmp(argv[0], "spam") == 0 ||
	    strcmp(argv[0], "ham") == 0))
		return bayes_teach(n - 1, argv + 1, cli, argv[0]);
	if (strcmp(verb, "forget") == 0 && n > 0 && strcmp(argv[0], "--all") == 0)
		return n == 1 || (n == 2 && strcmp(argv[1], "--yes") == 0) ?
		    bayes_forget_all(cli, n == 2) : command_usage("bayes");
	if (strcmp(verb, "forget") == 0)
		return bayes_teach(n, argv, cli, "none");
	if (strcmp(verb, "test") == 0)
		return bayes_test(n, argv, cli);
	if (strcmp(verb, "export") == 0 && n <= 1)
		return bayes_export(n ? argv[0] : NULL, cli);
	if (strcmp(verb, "import") == 0 && n >= 1)
		return bayes_import(n, argv, cli);
	return command_usage("bayes");
}
