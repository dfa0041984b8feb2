/* init_yaml.c -- the postern.yaml that `postern init` writes, and the shipped policy made the administrator's; see init.h.
 *
 * Every value was checked before (cmd_init.c): host names, addresses and paths without a quote or a
 * control character. Nothing else needs escaping here.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/init.h"
#include "clock.h"

static void
list(struct buf *out, const struct init_answer *v)
{
	for (size_t i = 0; i < v->n; i++)
		buf_printf(out, "%s\"" SPAN_FMT "\"", i ? ", " : "", SPAN_ARG(v->items[i]));
}

static void
top(struct init *in, struct buf *out)
{
	const struct init_answer *pub = &in->answers[INIT_ADDRESSES];
	time_t now = (time_t)(clock_real() / US_PER_SEC);
	struct tm tm;
	char day[16];

	gmtime_r(&now, &tm);
	strftime(day, sizeof(day), "%Y-%m-%d", &tm);
	buf_printf(out, INIT_SAY(in,
	    "# postern.yaml -- written by `postern init` on %s. It is yours: edit it.\n"
	    "# `postern check` says what is wrong with it, `postern reload` takes it. All keys with their defaults stand in\n"
	    "# /usr/share/postern/postern.yaml.\n",
	    "# postern.yaml -- écrit par « postern init » le %s. Il est à vous : modifiez-le.\n"
	    "# `postern check` dit ce qui n'y va pas, `postern reload` le prend en compte. Toutes les clés avec leurs valeurs\n"
	    "# par défaut sont dans /usr/share/postern/postern.yaml.\n"), day);
	buf_printf(out, "version: 1\n\n%s\nhostname: " SPAN_FMT "\npostmaster: " SPAN_FMT "\n", INIT_SAY(in,
	    "# EHLO, Received, message ids. It must resolve to our address, and the address back to it.",
	    "# EHLO, Received, identifiants. Il doit mener à notre adresse, et l'adresse à lui."),
	    SPAN_ARG(in->answers[INIT_HOSTNAME].items[0]), SPAN_ARG(in->answers[INIT_ADMIN].items[0]));
	if (pub->n) {
		buf_printf(out, "%s\npublic_addresses: [", INIT_SAY(in,
		    "# As the Internet sees us: for SPF, the reverse name, blocklists.",
		    "# Tels que l'Internet nous voit : pour SPF, le nom inverse, les listes noires."));
		list(out, pub);
		buf_puts(out, "]\n");
	}
	if (in->state)
		buf_printf(out, "\nrun: \"%s/run\"\nspool: \"%s/spool\"\nstore: \"sqlite:%s/store/store.db\"\n",
		    in->state, in->state, in->state);
	else
		buf_puts(out, "\nrun: /run/postern\nspool: /var/spool/postern\nstore: sqlite:/var/lib/postern/store.db\n");
	buf_puts(out, "policy: policy.d\n");
}

static void
listeners(struct init *in, struct buf *out)
{
	const char *off = in->port25 ? "  # " : "  ";

	buf_printf(out, "\n%s\nnetworks:\n  internal: [", INIT_SAY(in,
	    "# Who may relay: the mail servers inside. Nobody else does.",
	    "# Qui peut relayer : les serveurs de messagerie internes. Personne d'autre."));
	list(out, &in->answers[INIT_NETWORKS]);
	buf_printf(out, "]\n\ntls: {certificate: \"" SPAN_FMT "\", key: \"" SPAN_FMT "\"}\n\nlisteners:\n",
	    SPAN_ARG(in->certificate), SPAN_ARG(in->key));
	buf_printf(out, "  - {name: smart-host, address: \"" SPAN_FMT
	    "\", direction: outbound, allow: [network:internal], tls: offered, max_size: 20MB}\n", SPAN_ARG(in->listen));
	if (in->answers[INIT_MAILBOXES].n == 0)
		return;
	if (in->port25)
		buf_printf(out, INIT_SAY(in, "  # Port 25 belongs to %s. Once it is free:\n",
		    "  # Le port 25 est à %s. Quand il sera libre :\n"), in->port25);
	buf_printf(out, "%s- {name: mx, address: \"0.0.0.0:25\", direction: inbound, tls: offered, max_size: 20MB}\n", off);
}

static void
domains(struct init *in, struct buf *out)
{
	const struct init_answer *d = &in->answers[INIT_DOMAINS], *to = &in->answers[INIT_MAILBOXES];

	buf_printf(out, "\n%s\n", INIT_SAY(in,
	    "# Our domains. Their keys sign as soon as the DNS shows them: postern dns plan DOMAIN.",
	    "# Nos domaines. Leurs clés signent dès que le DNS les montre : postern dns plan DOMAINE."));
	if (d->n == 0) {
		buf_puts(out, "# domains:\n#   example.org: {dkim: {managed: true, check: true}}\n");
		return;
	}
	buf_puts(out, "domains:\n");
	for (size_t i = 0; i < d->n; i++) {
		buf_printf(out, "  " SPAN_FMT ":\n", SPAN_ARG(d->items[i]));
		if (to->n) {
			buf_puts(out, "    deliver_to: [");
			list(out, to);
			buf_printf(out, "]\n    recipients: callout       %s\n", INIT_SAY(in,
			    "# who exists: that server is asked", "# qui existe : ce serveur est interrogé"));
		}
		buf_puts(out, "    dkim: {managed: true, check: true}\n");
	}
}

void
init_yaml(struct init *in, struct buf *out)
{
	top(in, out);
	listeners(in, out);
	domains(in, out);
	buf_printf(out, "\n%s\ndelivery: {delay_notice: 4h, expire: 5d, tls: {policy: dane+mta-sts, floor: opportunistic}}\n",
	    INIT_SAY(in, "# By MX, through the name servers of /etc/resolv.conf (`dns:`), port 25.",
	    "# Par MX, avec les serveurs de noms de /etc/resolv.conf (« dns: »), port 25."));
	if (in->antivirus_why[0])
		buf_printf(out, "\n# %s\n", INIT_SAY(in, "No signatures were found. Once freshclam has fetched them: "
		    "{engine: libclamav, databases: /var/lib/clamav}",
		    "Aucune signature trouvée. Quand freshclam les aura : {engine: libclamav, databases: /var/lib/clamav}"));
	else
		buf_putc(out, '\n');
	buf_printf(out, "%s\n", in->antivirus);
	buf_printf(out, "scanners: {processes: auto, timeout: 60s}\n\n%s\n# console: {address: \"0.0.0.0:8443\"}\n"
	    "log: {to: %s, format: text}\n", INIT_SAY(in,
	    "# Pages for people: first `postern users add NAME --role admin`.",
	    "# Les pages : d'abord `postern users add NOM --role admin`."), in->state ? "stderr" : "journal");
}

/* ---- the policy ---- */

/* One pass; each of the words stands for what is behind it. */
struct span
init_policy(struct init *in, struct span shipped)
{
	struct span admin = in->answers[INIT_ADMIN].items[0];
	bool inbound = in->answers[INIT_MAILBOXES].n > 0;
	const struct { struct span from, to; } words[] = {
		{ SPAN_LIT("security@example.org"), admin },
		{ SPAN_LIT("dpo@example.org"), admin },
		{ SPAN_LIT("postern/fr-identifiers]"), inbound ?
		    SPAN_LIT("postern/fr-identifiers, postern/inbound]") : SPAN_LIT("postern/fr-identifiers]") },
	};
	struct span s = shipped, out;
	struct buf b;

	buf_init(&b, 1u << 20);
	while (s.n) {
		size_t i = 0;

		while (i < 3 && !span_starts(s, words[i].from))
			i++;
		buf_span(&b, i < 3 ? words[i].to : span_sub(s, 0, 1));
		s = span_from(s, i < 3 ? words[i].from.n : 1);
	}
	out = arena_span(in->a, buf_data(&b));
	buf_release(&b);
	return out;
}
