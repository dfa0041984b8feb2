/* cmd_init.c -- `postern init`: a few questions, and a gateway that runs.
 *
 * Each question has a default that was found on the machine (init_detect.c) and an
 * option that answers it; --yes takes the defaults of all that was not answered.
 * What is written is checked in memory first, by what reads it later. Nothing that
 * is there is written over (init_files.c). Closed by default: this machine alone
 * relays, and nothing comes in, until the answers say otherwise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/diag_out.h"
#include "cli/init.h"
#include "cli/page.h"
#include "cli/port_owner.h"
#include "fs.h"

#define LINE_MAX_INIT 4096
#define SMART_HOST_PORT "8025"

/* ---- what an answer may be ---- */

static bool
ok_language(struct init *in, struct span s, struct span *out)
{
	*out = s;
	return span_is(s, "en") || span_is(s, "fr");
}

static bool
ok_name(struct init *in, struct span s, struct span *out)
{
	return domain_normalise(in->a, s, out);
}

static bool
ok_network(struct init *in, struct span s, struct span *out)
{
	struct cidr c;

	*out = s;
	return cidr_parse(s, &c, NULL) == 0;
}

static bool
ok_host(struct init *in, struct span s, struct span *out)
{
	struct span host, name;
	uint16_t port;
	struct ip ip;

	if (hostport_parse(s, 25, &host, &port, NULL) == -1 ||
	    (!ip_parse(host, &ip) && !domain_normalise(in->a, host, &name)))
		return false;
	*out = s;
	return true;
}

static bool
ok_address(struct init *in, struct span s, struct span *out)
{
	struct ip ip;

	*out = s;
	return ip_parse(s, &ip);
}

/* In clear in YAML and in policy files: nothing that would have to be quoted there. */
static bool
ok_mail(struct init *in, struct span s, struct span *out)
{
	struct span local, domain;

	if (!mailaddr_split(s, &local, &domain) || !domain_normalise(in->a, domain, &domain) ||
	    !mailaddr_dot_string(local))
		return false;
	for (size_t i = 0; i < local.n; i++)
		if (strchr("#&*!|`{}%'\"?=/", local.p[i]) || (unsigned char)local.p[i] >= 128)
			return false;
	*out = span_str(arena_printf(in->a, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(local), SPAN_ARG(domain)));
	return true;
}

static const struct field {
	const char *option;
	bool many, needed;
	bool (*ok)(struct init *in, struct span s, struct span *out);
	const char *question[2];
	const char *wrong[2];
} fields[INIT_FIELDS] = {
	[INIT_LANGUAGE] = { "--language", false, true, ok_language,
	    { "Language, Langue (en, fr)", "Language, Langue (en, fr)" },
	    { "en or fr", "en ou fr" } },
	[INIT_HOSTNAME] = { "--hostname", false, true, ok_name,
	    { "Name of this gateway, as the Internet knows it", "Nom de cette passerelle, tel que l'Internet le connaît" },
	    { "no host name", "pas un nom d'hôte" } },
	[INIT_DOMAINS] = { "--domain", true, false, ok_name,
	    { "Your mail domains", "Vos domaines de messagerie" },
	    { "no domain name", "pas un nom de domaine" } },
	[INIT_NETWORKS] = { "--network", true, false, ok_network,
	    { "Addresses or networks of the internal mail servers, which may send through it",
	      "Adresses ou réseaux des serveurs de messagerie internes, qui peuvent émettre par elle" },
	    { "no address or network", "ni adresse ni réseau" } },
	[INIT_MAILBOXES] = { "--mailboxes", true, false, ok_host,
	    { "Server that mail from the Internet is handed to (host:port; none: outgoing mail only)",
	      "Serveur auquel remettre le courrier venu de l'Internet (hôte:port ; aucun : sortant seulement)" },
	    { "no host or address", "ni hôte ni adresse" } },
	[INIT_ADDRESSES] = { "--address", true, false, ok_address,
	    { "Addresses under which the Internet sees it", "Adresses sous lesquelles l'Internet la voit" },
	    { "no address", "pas une adresse" } },
	[INIT_ADMIN] = { "--admin", false, true, ok_mail,
	    { "Address of the administrator, who decides about held mail",
	      "Adresse de l'administrateur, qui décide du courrier retenu" },
	    { "no mail address", "pas une adresse de messagerie" } },
};

/* A comma, a space or several between values; `none` or `-` is no value. false: *bad is wrong. */
static bool
take(struct init *in, enum init_field f, struct span text, bool more, struct span *bad)
{
	const struct field *fd = &fields[f];
	struct init_answer *v = &in->answers[f], got = more ? *v : (struct init_answer){ 0 };
	struct span s = span_trim(text);

	*bad = s;
	if (!fd->many || span_is(s, "-") || span_is(s, "none") || span_is(s, "aucun"))
		goto one;
	while (s.n) {
		size_t n = 0;

		while (n < s.n && s.p[n] != ',' && !ascii_is_wsp(s.p[n]))
			n++;
		*bad = span_sub(s, 0, n);
		if (n && (got.n == INIT_ITEMS_MAX || !fd->ok(in, arena_span(in->a, *bad), &got.items[got.n++])))
			return false;
		s = span_trim(span_from(s, n + 1));
	}
	got.given = true;
	*v = got;
	return true;
one:
	if (fd->needed || !fd->many) {
		if (!fd->ok(in, arena_span(in->a, s), &got.items[0]))
			return false;
		got.n = 1;
	}
	got.given = true;
	*v = got;
	return true;
}

static void
put_default(const struct init_answer *v, const char *none)
{
	fputs(" [", stderr);
	for (size_t i = 0; i < v->n; i++)
		fprintf(stderr, "%s" SPAN_FMT, i ? ", " : "", SPAN_ARG(v->items[i]));
	fprintf(stderr, "%s] ", v->n ? "" : none);
}

/* false: the input has ended. */
static bool
ask(struct init *in, enum init_field f)
{
	const struct field *fd = &fields[f];
	char line[LINE_MAX_INIT];
	struct span bad;

	for (;;) {
		fputs(fd->question[in->french], stderr);
		put_default(&in->answers[f], INIT_SAY(in, "none", "aucun"));
		fflush(stderr);
		if (fgets(line, sizeof(line), stdin) == NULL)
			return false;
		if (span_trim(span_str(line)).n == 0)
			return true;
		if (take(in, f, span_str(line), false, &bad))
			return true;
		fprintf(stderr, "  `" SPAN_FMT "`: %s\n", SPAN_ARG(bad), fd->wrong[in->french]);
	}
}

static bool
ask_all(struct init *in)
{
	for (int f = 0; f < INIT_FIELDS; f++) {
		init_detect(in, (enum init_field)f);
		if (!in->yes && !in->answers[f].given && !ask(in, (enum init_field)f)) {
			fputs(INIT_SAY(in, "\npostern: no answer; nothing was written (--yes takes the defaults)\n",
			    "\npostern : pas de réponse ; rien n'a été écrit (--yes prend les valeurs proposées)\n"), stderr);
			return false;
		}
		if (f == INIT_LANGUAGE)
			in->french = span_is(in->answers[f].items[0], "fr");
	}
	return true;
}

/* ---- options ---- */

/* A path that stands in YAML between quotes. */
static bool
path_ok(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == '"' || *s == '\\')
			return false;
	return true;
}

static char *
absolute(struct init *in, const char *path)
{
	char here[4096];

	if (path[0] == '/' || getcwd(here, sizeof(here)) == NULL)
		return arena_str(in->a, span_str(path));
	return arena_printf(in->a, "%s/%s", here, path);
}

static int
option(struct init *in, const char *name, const char *value)
{
	struct span bad;
	struct ip ip;
	uint16_t port;
	struct err err;

	for (int f = 0; f < INIT_FIELDS; f++)
		if (strcmp(name, fields[f].option) == 0) {
			if (take(in, (enum init_field)f, span_str(value), fields[f].many, &bad))
				return 0;
			fprintf(stderr, "postern: %s: `" SPAN_FMT "`: %s\n", name, SPAN_ARG(bad),
			    fields[f].wrong[0]);
			return -1;
		}
	if (!path_ok(value)) {
		fprintf(stderr, "postern: %s: a path without quotes and backslashes\n", name);
		return -1;
	}
	if (strcmp(name, "--folder") == 0) {
		in->folder = absolute(in, value);
	} else if (strcmp(name, "--state") == 0) {
		in->state = absolute(in, value);
	} else if (strcmp(name, "--certificate") == 0) {
		in->certificate = span_str(absolute(in, value));
	} else if (strcmp(name, "--key") == 0) {
		in->key = span_str(absolute(in, value));
	} else if (strcmp(name, "--listen") == 0) {
		if (hostport_parse_ip(span_str(value), 0, &ip, &port, &err) == -1) {
			fprintf(stderr, "postern: --listen: %s\n", err.text);
			return -1;
		}
		in->listen = span_str(value);
	} else {
		return command_usage("init"), -1;
	}
	return 0;
}

static int
options(struct init *in, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--yes") == 0)
			in->yes = true;
		else if (strcmp(argv[i], "--dry-run") == 0)
			in->dry = true;
		else if (i + 1 == argc)
			return command_usage("init"), -1;
		else if (option(in, argv[i], argv[i + 1]) == -1)
			return -1;
		else
			i++;
	}
	if ((in->certificate.n == 0) != (in->key.n == 0)) {
		fputs("postern: --certificate and --key go together\n", stderr);
		return -1;
	}
	return 0;
}

/* What follows from the answers. */
static void
conclude(struct init *in)
{
	const struct init_answer *n = &in->answers[INIT_NETWORKS];
	bool outside = false;
	struct span host = in->answers[INIT_HOSTNAME].items[0];

	for (size_t i = 0; i < n->n; i++) {
		struct cidr c;

		outside |= cidr_parse(n->items[i], &c, NULL) == 0 && !ip_is_loopback(c.ip);
	}
	if (in->listen.n == 0)
		in->listen = outside ? SPAN_LIT("0.0.0.0:" SMART_HOST_PORT) : SPAN_LIT("127.0.0.1:" SMART_HOST_PORT);
	if (in->certificate.n == 0) {
		in->certificate = span_str(arena_printf(in->a, "tls/" SPAN_FMT ".pem", SPAN_ARG(host)));
		in->key = span_str(arena_printf(in->a, "tls/" SPAN_FMT ".key", SPAN_ARG(host)));
	}
	init_look_around(in);
}

/* false: our own text does not hold; the reasons are on stderr. */
static bool
text_holds(struct init *in, const char *path, struct span yaml)
{
	struct config *c;
	struct diags d;
	bool ok;

	diags_init(&d, in->a);
	c = config_parse(path, path, yaml, &d);
	ok = c != NULL;
	if (!ok)
		diags_show(&d, in->cli, stderr);
	config_free(&c);
	return ok;
}

static int
run(struct init *in)
{
	const char *path = arena_printf(in->a, "%s/postern.yaml", in->folder);
	int status = CLI_FINDINGS;
	struct ip ip;
	uint16_t port;
	const char *owner;
	struct err err;
	struct buf yaml;

	buf_init(&yaml, 1u << 20);
	conclude(in);
	init_yaml(in, &yaml);
	if (!text_holds(in, path, buf_data(&yaml)))
		goto out;
	if (hostport_parse_ip(in->listen, 0, &ip, &port, NULL) == 0 && (owner = port_owner(in->a, ip, port)))
		fprintf(stderr, INIT_SAY(in, "postern: port %u belongs to %s: another one with --listen\n",
		    "postern : le port %u est à %s : un autre avec --listen\n"), port, owner);
	if (in->dry) {
		buf_span(&in->out, buf_data(&yaml));
		status = CLI_OK;
	} else if (init_occupied(in, path)) {
		init_report_occupied(in, path, buf_data(&yaml));
	} else if (init_files(in, buf_data(&yaml), &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
	} else {
		init_report(in);
		status = CLI_OK;
	}
out:
	buf_release(&yaml);
	return status;
}

int
cmd_init(int argc, char **argv, const struct cli *cli)
{
	struct init in = { .cli = cli, .a = arena_new(0) };
	char *slash;
	int status = CLI_USAGE;

	in.folder = absolute(&in, cli->config_path);
	slash = strrchr(in.folder, '/');
	in.folder = slash == in.folder ? "/" : arena_str(in.a, span_make(in.folder, (size_t)(slash - in.folder)));
	buf_init(&in.out, 4u << 20);
	if (options(&in, argc, argv) == 0)
		status = ask_all(&in) ? run(&in) : CLI_FINDINGS;
	page_flush(&in.out);
	buf_release(&in.out);
	arena_free(&in.a);
	return status;
}
