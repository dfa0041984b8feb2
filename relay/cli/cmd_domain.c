/* cmd_domain.c -- `postern domain add DOMAIN`: a domain taken on step by step.
 *
 *	route		to which server its mail goes on
 *	recipients	how it is known who exists there
 *	MX		ours first; old relays that stay are named, and that they lead around the filter must be known
 *	lines		of postern.yaml: shown, or (--write) put in; nothing that stands there is ever changed
 *	key		DKIM keys are made and signed with once the DNS shows them
 *	DNS, letter	what to publish, and a letter that asks for it
 *	check		what is seen of it now
 *
 * What options do not say is asked on a terminal; elsewhere it is an error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "cli/commands.h"
#include "cli/config_insert.h"
#include "cli/page.h"
#include "cli/zone_world.h"

#define HOPS_MAX 16
#define ANSWER_MAX 500

struct dialogue {
	const struct cli *cli;
	const struct config *conf;
	struct arena *a;
	struct span name;
	const char *hops[HOPS_MAX], *backups[HOPS_MAX];
	size_t nhops, nbackups;
	const char *recipients;
	bool managed, write, bypass;
	struct buf lines;		/* of postern.yaml */
	struct span others[HOPS_MAX];	/* servers that take its mail now, beside ours */
	size_t nothers;
};

static void
headline(const struct dialogue *d, const char *text)
{
	if (!d->cli->json)
		printf("\n%s\n", text);
}

/* ---- questions ---- */

static const char *
question(struct dialogue *d, const char *text, const char *otherwise)
{
	char line[ANSWER_MAX];
	struct span s;

	fprintf(stderr, otherwise ? "%s [%s]: " : "%s: ", text, otherwise);
	fflush(stderr);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return otherwise;
	s = span_trim(span_str(line));
	return s.n ? arena_str(d->a, s) : otherwise;
}

static bool
receives(const struct config *c)
{
	for (size_t i = 0; i < c->nlisteners; i++)
		if (c->listeners[i].direction != LISTEN_OUTBOUND)
			return true;
	return false;
}

static bool
is_hop(const char *text)
{
	struct span host, name;
	uint16_t port;
	struct err err;
	struct ip ip;
	struct arena *a = arena_new(0);
	bool ok = hostport_parse(span_str(text), 25, &host, &port, &err) == 0 &&
	    (ip_parse(host, &ip) || domain_normalise(a, host, &name));

	arena_free(&a);
	return ok && strpbrk(text, "\"\\") == NULL;
}

static bool
is_check(const char *text)
{
	return strcmp(text, "callout") == 0 || strcmp(text, "any") == 0 ||
	    (strncmp(text, "file:", 5) == 0 && text[5] && strpbrk(text, "\"\\\n") == NULL);
}

static int
ask_for(struct dialogue *d, bool people)
{
	if (d->nhops == 0 && receives(d->conf)) {
		const char *hop = people ? question(d, "To which server does its mail go on (address or name, with or without :port)?", NULL) : NULL;

		if (hop == NULL) {
			fputs("postern: --deliver-to HOST says to which server its mail goes on\n", stderr);
			return CLI_USAGE;
		}
		d->hops[d->nhops++] = hop;
	}
	for (size_t i = 0; i < d->nhops; i++)
		if (!is_hop(d->hops[i])) {
			fprintf(stderr, "postern: `%s` is neither an address nor a host name\n", d->hops[i]);
			return CLI_USAGE;
		}
	if (d->recipients == NULL && receives(d->conf))
		d->recipients = people ? question(d, "Who exists there? callout (that server is asked), any, file:LIST", "callout") : "callout";
	if (d->recipients && !is_check(d->recipients)) {
		fprintf(stderr, "postern: `%s`: recipients are callout, any or file:LIST\n", d->recipients);
		return CLI_USAGE;
	}
	return CLI_OK;
}

/* ---- the servers that take its mail now ---- */

static bool
is_ours(const struct config *c, struct span host)
{
	for (size_t i = 0; i < c->nlisteners; i++)
		if (span_eq_nocase(c->listeners[i].hostname, host))
			return true;
	return span_eq_nocase(c->hostname, host) || span_eq_nocase(c->delivery.hello, host);
}

static void
know_others(struct dialogue *d)
{
	struct err err;
	struct lookup *l = receives(d->conf) ? lookup_new(d->conf, &err) : NULL;
	const struct dns_answer *a;

	if (l == NULL)
		return;
	a = lookup_ask(l, arena_str(d->a, d->name), DNS_MX);
	for (size_t i = 0; i < a->n && d->nothers < HOPS_MAX; i++)
		if (a->records[i].name[0] && !is_ours(d->conf, span_str(a->records[i].name)))
			d->others[d->nothers++] = arena_span(d->a, span_str(a->records[i].name));
	lookup_free(&l);
}

/* A backup that is not ours takes mail that nobody filters, whenever a sender likes it better. */
static int
settle_backups(struct dialogue *d)
{
	for (size_t i = 0; i < d->nbackups; i++) {
		struct span host;

		if (!domain_normalise(d->a, span_str(d->backups[i]), &host)) {
			fprintf(stderr, "postern: `%s` is no host name\n", d->backups[i]);
			return CLI_USAGE;
		}
		d->backups[i] = arena_str(d->a, host);
		if (is_ours(d->conf, host) || d->bypass)
			continue;
		fprintf(stderr, "postern: mail that %s takes comes around the filter, and spammers try backups first. If it must "
		    "stay: --bypass says that you know\n", d->backups[i]);
		return CLI_FINDINGS;
	}
	return CLI_OK;
}

/* ---- the lines ---- */

static void
put_list(struct buf *b, const char *key, const char *const *v, size_t n)
{
	if (n == 0)
		return;
	buf_printf(b, "\t\t%s: [", key);
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "%s\"%s\"", i ? ", " : "", v[i]);
	buf_puts(b, "]\n");
}

static void
make_lines(struct dialogue *d)
{
	struct buf *b = &d->lines;

	buf_printf(b, "\t" SPAN_FMT ":\n", SPAN_ARG(d->name));
	put_list(b, "deliver_to", d->hops, d->nhops);
	put_list(b, "backup_mx", d->backups, d->nbackups);
	if (d->recipients)
		buf_printf(b, "\t\trecipients: \"%s\"\n", d->recipients);
	if (d->managed)
		buf_puts(b, "\t\tdkim: managed\n");
	else if (d->nhops == 0 && d->nbackups == 0 && d->recipients == NULL)
		buf_puts(b, "\t\trecipients: any\n");
}

static void
show_lines(const struct dialogue *d)
{
	struct span rest = buf_data(&d->lines);

	while (rest.n) {
		struct span line = span_sub(rest, 0, span_find(rest, '\n'));

		rest = span_from(rest, line.n + 1);
		for (; line.n && line.p[0] == '\t'; line = span_from(line, 1))
			fputs("  ", stdout);
		printf(SPAN_FMT "\n", SPAN_ARG(line));
	}
}

/* ---- what comes behind them ---- */

static int
with(const struct dialogue *d, int (*cmd)(int argc, char **argv, const struct cli *cli), const char *name,
    const char *verb)
{
	char *argv[] = { arena_str(d->a, span_str(name)), arena_str(d->a, span_str(verb)), arena_str(d->a, d->name), NULL };
	struct cli anew = *d->cli;

	anew.conf = NULL;		/* the file has changed */
	fflush(stdout);
	return cmd(3, argv, &anew);
}

static int
write_all(struct dialogue *d)
{
	struct err err;

	if (config_add_domain(d->conf->path, buf_data(&d->lines), d->a, &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		return CLI_FINDINGS;
	}
	if (!d->cli->json)
		printf("They are in %s.\n", d->conf->path);
	if (d->managed) {
		headline(d, "3. Keys");
		if (with(d, cmd_dkim, "dkim", "rotate") != CLI_OK)
			return CLI_FINDINGS;
	}
	headline(d, "4. DNS");
	with(d, cmd_dns, "dns", "plan");
	headline(d, "5. What is seen of it now");
	with(d, cmd_dns, "dns", "check");
	return CLI_OK;
}

static void
tell_json(struct dialogue *d)
{
	struct buf b;
	struct json j;

	buf_init(&b, 1u << 20);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kstr(&j, "domain", d->name);
	json_kbool(&j, "write", d->write);
	json_kstr(&j, "lines", buf_data(&d->lines));
	json_key(&j, "takes_mail_now");
	json_array(&j);
	for (size_t i = 0; i < d->nothers; i++)
		json_str(&j, d->others[i]);
	json_end_array(&j);
	json_end_object(&j);
	buf_putc(&b, '\n');
	page_flush(&b);
	buf_release(&b);
}

static void
tell_people(struct dialogue *d)
{
	if (d->nothers) {
		headline(d, "1. Servers that take its mail now, and are not this gateway");
		for (size_t i = 0; i < d->nothers; i++)
			printf("  " SPAN_FMT "\n", SPAN_ARG(d->others[i]));
		puts("What they take comes around the filter. Take them out of the MX records once ours stand there, or name\n"
		    "those that stay with --backup-mx.");
	}
	headline(d, "2. Lines of postern.yaml, under `domains`");
	show_lines(d);
}

static void
tell_rest(const struct dialogue *d)
{
	printf("\nNext\n");
	if (!d->write)
		printf("  put the lines in, or run this again with --write; postern check\n");
	if (!d->write && d->managed)
		printf("  postern dkim rotate " SPAN_FMT "       makes the keys\n", SPAN_ARG(d->name));
	printf("  postern dns letter " SPAN_FMT "        a letter to who runs its DNS (--lang fr)\n"
	    "  postern dns check " SPAN_FMT "         once it is published%s\n", SPAN_ARG(d->name), SPAN_ARG(d->name),
	    d->managed ? "; then dkim rotate again: the keys sign" : "");
	for (size_t i = 0; i < d->nhops; i++) {
		struct span host;
		uint16_t port;
		struct err err;

		if (hostport_parse(span_str(d->hops[i]), 25, &host, &port, &err) == 0)
			printf("  postern probe " SPAN_FMT " %u   does its server answer?\n", SPAN_ARG(host), port);
	}
	printf("  postern snippet exchange|domino|postfix|firewall   for that server\n"
	    "  postern reload                         the domain is taken on\n");
}

/* ---- the command ---- */

static bool
options(struct dialogue *d, int argc, char **argv)
{
	for (int i = 3; i < argc; i++) {
		const char *o = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(o, "--write") == 0)
			d->write = true;
		else if (strcmp(o, "--bypass") == 0)
			d->bypass = true;
		else if (strcmp(o, "--no-dkim") == 0)
			d->managed = false;
		else if (value == NULL)
			return false;
		else if (strcmp(o, "--deliver-to") == 0 && d->nhops < HOPS_MAX)
			d->hops[d->nhops++] = value, i++;
		else if (strcmp(o, "--backup-mx") == 0 && d->nbackups < HOPS_MAX)
			d->backups[d->nbackups++] = value, i++;
		else if (strcmp(o, "--recipients") == 0)
			d->recipients = value, i++;
		else
			return false;
	}
	return true;
}

static int
add(struct dialogue *d)
{
	bool people = isatty(STDIN_FILENO) && !d->cli->json;
	int status;

	if (config_domain(d->conf, d->name)) {
		fprintf(stderr, "postern: " SPAN_FMT " is there already, and nothing is changed; `postern dns check " SPAN_FMT
		    "` says how it stands\n", SPAN_ARG(d->name), SPAN_ARG(d->name));
		return CLI_FINDINGS;
	}
	if ((status = ask_for(d, people)) != CLI_OK || (status = settle_backups(d)) != CLI_OK)
		return status;
	know_others(d);
	make_lines(d);
	if (d->cli->json)
		tell_json(d);
	else
		tell_people(d);
	if (!d->write && people) {
		const char *yes = question(d, "Put them in?", "no");

		d->write = yes[0] == 'y' || yes[0] == 'o';
	}
	if (d->write && (status = write_all(d)) != CLI_OK)
		return status;
	if (!d->cli->json)
		tell_rest(d);
	return CLI_OK;
}

int
cmd_domain(int argc, char **argv, const struct cli *cli)
{
	struct dialogue d = { .cli = cli, .managed = true };
	struct config *conf;
	int status;

	if (argc < 3 || strcmp(argv[1], "add") != 0 || !options(&d, argc, argv))
		return command_usage("domain");
	if ((conf = cli_load_config(cli)) == NULL)
		return CLI_FINDINGS;
	d.conf = conf;
	d.a = arena_new(0);
	buf_init(&d.lines, 64u << 10);
	if (!domain_normalise(d.a, span_str(argv[2]), &d.name) || !dns_name_ok(d.name)) {
		fprintf(stderr, "postern: `%s` is no domain name\n", argv[2]);
		status = CLI_USAGE;
	} else
		status = add(&d);
	fflush(stdout);
	buf_release(&d.lines);
	arena_free(&d.a);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}
