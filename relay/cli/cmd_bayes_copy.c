/* cmd_bayes_copy.c -- `postern bayes export|import`: what the classifier has learnt, as lines of text.
 *
 *	postern-bayes 1
 *	key HEX
 *	learnt SPAM HAM SINCE
 *	HASH SPAM HAM DAY		hash in eight hex digits, day since 1970
 *
 * The key is in it: hashes made with another one mean nothing. Whoever has the file can try whether a word
 * stands in it, and aim at what it says: it is to be kept as the store itself. An import replaces all
 * that was learnt, and is in force when it is complete.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/bayes_cli.h"
#include "cli/commands.h"

#define MAGIC "postern-bayes 1\n"
#define BATCH 5000

struct copying {
	FILE *f;
	uint32_t last;
	uint64_t n;
	bool more;
};

static void
export_line(void *ctx, const struct jval *v, struct span text)
{
	const struct jval *list = jval_get(v, "tokens"), *one;
	struct copying *c = ctx;

	c->more = jval_bool(v, "more");
	for (size_t i = 0; (one = jval_at(list, i)) != NULL; i++) {
		double four[4];

		for (size_t k = 0; k < 4; k++)
			four[k] = jval_num(jval_at(one, k), 0);
		c->last = (uint32_t)four[0];
		fprintf(c->f, "%08x %.0f %.0f %.0f\n", c->last, four[1], four[2], four[3]);
		c->n++;
	}
}

int
bayes_export(const char *path, const struct cli *cli)
{
	struct copying c = { .more = true };
	struct bayes_secret s;
	int status = bayes_secret(cli, &s), fd = STDOUT_FILENO;

	if (status != CLI_OK)
		return status;
	if (path && (fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) == -1) {
		perror(path);
		return CLI_FINDINGS;
	}
	c.f = fd == STDOUT_FILENO ? stdout : fdopen(fd, "w");
	ASSERT(c.f != NULL);
	fprintf(c.f, MAGIC "key %s\nlearnt %llu %llu %lld\n", s.hex, (unsigned long long)s.spam,
	    (unsigned long long)s.ham, (long long)s.since);
	while (status == CLI_OK && c.more) {
		struct request r;

		c.more = false;
		request_begin(&r, "bayes.export");
		json_kuint(&r.j, "after", c.last);
		status = control_ask(cli, &r, CONTROL_READ, export_line, &c);
	}
	if (fflush(c.f) != 0 || ferror(c.f)) {
		perror(path ? path : "stdout");
		status = CLI_FINDINGS;
	}
	if (path) {
		fclose(c.f);
		if (status == CLI_OK && !cli->json)
			printf("%llu tokens; the file holds their secret, keep it as the store itself\n",
			    (unsigned long long)c.n);
		else if (status == CLI_OK)
			printf("{\"v\":1,\"tokens\":%llu}\n", (unsigned long long)c.n);
	}
	return status;
}

/* ---- import ---- */

struct importing {
	const struct cli *cli;
	const char *path;
	FILE *f;
	char hex[2 * sizeof(struct bayes_key) + 1];
	unsigned long long spam, ham;
	long long since;
	unsigned long line;
	uint64_t n, taken;
};

static int
broken(const struct importing *m, const char *why)
{
	fprintf(stderr, "postern: %s:%lu: %s\n", m->path, m->line, why);
	return CLI_FINDINGS;
}

static int
read_head(struct importing *m)
{
	char line[256], tail;

	m->line = 1;
	if (fgets(line, sizeof(line), m->f) == NULL || strcmp(line, MAGIC) != 0)
		return broken(m, "this is no export of `postern bayes`: it begins `postern-bayes 1`");
	m->line = 2;
	if (fgets(line, sizeof(line), m->f) == NULL || sscanf(line, "key %32[0-9a-f]%c", m->hex, &tail) != 2 ||
	    strlen(m->hex) != 32 || tail != '\n')
		return broken(m, "`key` and 32 hex digits belong here");
	m->line = 3;
	if (fgets(line, sizeof(line), m->f) == NULL ||
	    sscanf(line, "learnt %llu %llu %lld", &m->spam, &m->ham, &m->since) != 3 ||
	    m->spam > UINT32_MAX || m->ham > UINT32_MAX)
		return broken(m, "`learnt SPAM HAM SINCE` belongs here");
	return CLI_OK;
}

static void
taken_line(void *ctx, const struct jval *v, struct span text)
{
	((struct importing *)ctx)->taken += (uint64_t)jval_int(v, "taken", 0);
}

static void
step_begin(struct request *r, const char *step)
{
	request_begin(r, "bayes.import");
	json_kcstr(&r->j, "step", step);
}

static bool
read_token(struct importing *m, unsigned four[4], bool *good)
{
	char line[256], tail;

	if (fgets(line, sizeof(line), m->f) == NULL)
		return false;
	m->line++;
	*good = sscanf(line, "%8x %u %u %u%c", &four[0], &four[1], &four[2], &four[3], &tail) == 5 &&
	    tail == '\n' && four[0] != 0;
	return true;
}

/* One request of tokens, or with cli NULL only their form. At the end of the file m->n stays. */
static int
send_tokens(struct importing *m, bool look, bool *end)
{
	struct request r;
	unsigned four[4];
	bool good = true;
	int n = 0;

	step_begin(&r, "tokens");
	json_key(&r.j, "tokens");
	json_array(&r.j);
	*end = true;
	while (n < BATCH && read_token(m, four, &good) && good) {
		json_array(&r.j);
		for (int k = 0; k < 4; k++)
			json_uint(&r.j, four[k]);
		json_end_array(&r.j);
		*end = ++n < BATCH;
	}
	json_end_array(&r.j);
	m->n += (unsigned)n;
	if (!good || look || n == 0) {
		request_release(&r);
		return good ? CLI_OK : broken(m, "`HASH SPAM HAM DAY` belongs here");
	}
	return control_ask(m->cli, &r, CONTROL_READ, taken_line, m);
}

/* All of it is looked at before anything is forgotten for it. */
static int
look(struct importing *m)
{
	bool end = false;
	int status = read_head(m);

	while (status == CLI_OK && !end)
		status = send_tokens(m, true, &end);
	return status;
}

static int
import(struct importing *m)
{
	struct request r;
	bool end = false;
	int status;

	rewind(m->f);
	m->n = 0;
	if ((status = read_head(m)) != CLI_OK)
		return status;
	step_begin(&r, "begin");
	json_kcstr(&r.j, "key", m->hex);
	status = control_ask(m->cli, &r, CONTROL_READ, taken_line, m);
	while (status == CLI_OK && !end)
		status = send_tokens(m, false, &end);
	if (status != CLI_OK)
		return status;
	step_begin(&r, "end");
	json_kuint(&r.j, "spam", m->spam);
	json_kuint(&r.j, "ham", m->ham);
	json_kint(&r.j, "since", m->since);
	return control_ask(m->cli, &r, CONTROL_READ, taken_line, m);
}

int
bayes_import(int argc, char **argv, const struct cli *cli)
{
	struct importing m = { .cli = cli, .path = argv[0] };
	bool yes = argc == 2 && strcmp(argv[1], "--yes") == 0;
	int status;

	if (argc > 2 || argv[0][0] == '-' || (argc == 2 && !yes))
		return command_usage("bayes");
	if ((m.f = fopen(m.path, "r")) == NULL) {
		perror(m.path);
		return CLI_FINDINGS;
	}
	status = look(&m);
	if (status == CLI_OK && !yes) {
		printf("%llu tokens of %llu spam and %llu ham\n", (unsigned long long)m.n, m.spam, m.ham);
		fputs("nothing done: say --yes to put them in place of all that was learnt here\n", stderr);
		status = CLI_FINDINGS;
	} else if (status == CLI_OK) {
		status = import(&m);
	}
	fclose(m.f);
	if (status == CLI_OK && cli->json)
		printf("{\"v\":1,\"tokens\":%llu,\"taken\":%llu}\n", (unsigned long long)m.n,
		    (unsigned long long)m.taken);
	else if (status == CLI_OK)
		printf("%llu of %llu tokens taken, of %llu spam and %llu ham\n", (unsigned long long)m.taken,
		    (unsigned long long)m.n, m.spam, m.ham);
	return status;
}
