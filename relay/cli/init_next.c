/* init_next.c -- what `postern init` says at its end: what it did, and what only people can do; see init.h. */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/diag_out.h"
#include "cli/init.h"
#include "cli/page.h"
#include "json.h"

static const char *const states[][3] = { { "written", "written", "écrit" },
	{ "exists", "exists, left as it is", "existe, laissé tel quel" },
	{ "replaced", "written (it was the package's example)", "écrit (c'était l'exemple du paquet)" } };

/* The steps that stay, as text; a number in front of each. */
#define STEPS_MAX 12
struct steps {
	const char *text[STEPS_MAX];
	size_t n;
};

static void
step(struct steps *s, const char *text)
{
	if (s->n < STEPS_MAX)
		s->text[s->n++] = text;
}

/* "-c FILE " where it is not the place everybody looks at. */
static const char *
dash_c(struct init *in)
{
	return strcmp(in->folder, "/etc/postern") == 0 ? "" : arena_printf(in->a, "-c %s/postern.yaml ", in->folder);
}

static const char *
start_line(struct init *in)
{
	if (strcmp(in->folder, "/etc/postern") == 0 && in->state == NULL)
		return "systemctl enable --now postern";
	return arena_printf(in->a, "posternd -f %s", dash_c(in));
}

static void
steps_of(struct init *in, struct steps *s)
{
	const struct init_answer *d = &in->answers[INIT_DOMAINS], *n = &in->answers[INIT_NETWORKS];
	const char *c = dash_c(in), *host = arena_str(in->a, in->answers[INIT_HOSTNAME].items[0]);
	const char *port = strrchr(arena_str(in->a, in->listen), ':');
	bool outside = false;

	if (geteuid() == 0 && in->state == NULL && getpwnam("_postern-queue") == NULL)
		step(s, INIT_SAY(in, "Accounts and folders: systemd-sysusers && systemd-tmpfiles --create",
		    "Comptes et dossiers : systemd-sysusers && systemd-tmpfiles --create"));
	if (strchr(host, '.') == NULL)
		step(s, arena_printf(in->a, INIT_SAY(in, "`%s` is no full name: write the one the DNS knows as `hostname`",
		    "« %s » n'est pas un nom complet : écrivez celui que le DNS connaît comme « hostname »"), host));
	step(s, arena_printf(in->a, INIT_SAY(in, "Start it: %s", "Démarrer : %s"), start_line(in)));
	for (size_t i = 0; i < n->n; i++)
		outside |= !span_is(n->items[i], "127.0.0.1") && !span_is(n->items[i], "::1");
	if (!outside)
		step(s, arena_printf(in->a, INIT_SAY(in,
		    "Only this machine may relay. Name the mail server under `networks` and let the listener have\n"
		    "   an address it reaches (\"0.0.0.0%s\"), or, where it is a Postfix on this machine: relayhost = [127.0.0.1]%s",
		    "Seule cette machine peut relayer. Nommez le serveur de messagerie sous « networks » et donnez à l'écoute\n"
		    "   une adresse qu'il atteint (\"0.0.0.0%s\"), ou, si c'est un Postfix de cette machine : relayhost = [127.0.0.1]%s"),
		    port, port));
	else
		step(s, arena_printf(in->a, INIT_SAY(in,
		    "The mail server's smart host is %s, port %s:\n"
		    "   Postfix: relayhost = [%s]%s   Exchange: Set-SendConnector ... -SmartHosts %s -Port %s",
		    "Le smart host du serveur de messagerie est %s, port %s :\n"
		    "   Postfix : relayhost = [%s]%s   Exchange : Set-SendConnector ... -SmartHosts %s -Port %s"),
		    host, port + 1, host, port, host, port + 1));
	for (size_t i = 0; i < d->n && i < 3; i++)
		step(s, arena_printf(in->a, INIT_SAY(in,
		    "What the DNS must say: postern %sdns plan " SPAN_FMT " (as a letter: postern %sdns letter " SPAN_FMT ")",
		    "Ce que le DNS doit dire : postern %sdns plan " SPAN_FMT " (en lettre : postern %sdns letter " SPAN_FMT " --lang fr)"),
		    c, SPAN_ARG(d->items[i]), c, SPAN_ARG(d->items[i])));
	if (d->n == 0)
		step(s, INIT_SAY(in, "No domain of yours is known: write them under `domains`; without, nothing is signed.",
		    "Aucun de vos domaines n'est connu : écrivez-les sous « domains » ; sans eux rien n'est signé."));
	if (in->antivirus_why[0])
		step(s, in->antivirus_why[in->french]);
	for (size_t i = 0; i < in->nfiles; i++)
		if (in->files[i].state != INIT_EXISTS && strstr(in->files[i].path, "/10-base.yaml"))
			step(s, arena_printf(in->a, INIT_SAY(in,
			    "Who may get personal data (`partners`), who decides about what is held (`dpo`): %s\n"
			    "   Until you have named them: nobody, and the administrator",
			    "Qui peut recevoir des données personnelles (« partners »), qui décide de ce qui est retenu (« dpo ») : %s\n"
			    "   Tant que vous ne les nommez pas : personne, et l'administrateur"), in->files[i].path));
	step(s, arena_printf(in->a, INIT_SAY(in, "Is all well? postern %sdoctor", "Tout va bien ? postern %sdoctor"), c));
}

static void
report_json(struct init *in, const struct steps *s, bool refused, struct span yaml)
{
	struct json j;

	json_begin(&j, &in->out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kbool(&j, "ok", !refused);
	json_kcstr(&j, "folder", in->folder);
	json_key(&j, "files");
	json_array(&j);
	for (size_t i = 0; i < in->nfiles; i++) {
		json_object(&j);
		json_kcstr(&j, "path", in->files[i].path);
		json_kcstr(&j, "state", states[in->files[i].state][0]);
		json_end_object(&j);
	}
	json_end_array(&j);
	if (yaml.n)
		json_kstr(&j, "yaml", yaml);
	json_key(&j, "next");
	json_array(&j);
	for (size_t i = 0; i < s->n; i++)
		json_cstr(&j, s->text[i]);
	json_end_array(&j);
	json_end_object(&j);
	buf_putc(&in->out, '\n');
}

static void
put_files(struct init *in)
{
	for (size_t i = 0; i < in->nfiles; i++)
		buf_printf(&in->out, "%-44s %s (%s)\n", in->files[i].path, states[in->files[i].state][1 + in->french],
		    in->files[i].what);
}

void
init_report(struct init *in)
{
	struct steps s = { 0 };

	steps_of(in, &s);
	if (in->cli->json) {
		report_json(in, &s, false, (struct span){ 0 });
		return;
	}
	put_files(in);
	buf_puts(&in->out, INIT_SAY(in, "\nWhat comes next:\n\n", "\nEt maintenant :\n\n"));
	for (size_t i = 0; i < s.n; i++)
		buf_printf(&in->out, "%zu. %s\n", i + 1, s.text[i]);
}

void
init_report_occupied(struct init *in, const char *path, struct span yaml)
{
	struct steps none = { 0 };

	in->files[in->nfiles++] = (struct init_file){ path, "configuration", INIT_EXISTS };
	if (in->cli->json) {
		report_json(in, &none, true, yaml);
		return;
	}
	put_files(in);
	buf_puts(&in->out, INIT_SAY(in, "\nNothing was written. This would have been:\n\n",
	    "\nRien n'a été écrit. Voici ce qui l'aurait été :\n\n"));
	buf_span(&in->out, yaml);
}
