/* zone_show.c -- lines of a zone for people and programs: JSON, and the letter to who runs the DNS; see zone.h. */
#include <stdio.h>
#include <string.h>

#include "zone/zone.h"
#include "zone/zone_text.h"

#define TTL 3600

/* ---- what the DNS said ---- */

size_t
zone_seen_count(const struct zone_line *l)
{
	return l->seen ? l->seen->n : 0;
}

static struct span
tlsa_text(struct arena *a, struct span d)
{
	struct buf b;
	struct span out;

	buf_init(&b, 2 * DNS_DATA_MAX + 32);
	for (size_t i = 0; i < d.n; i++)
		buf_printf(&b, i < 3 ? "%u " : "%02x", (unsigned char)d.p[i]);
	out = arena_span(a, buf_data(&b));
	buf_release(&b);
	return out;
}

struct span
zone_seen(struct arena *a, const struct zone_line *l, size_t i)
{
	const struct dns_record *r = &l->seen->records[i];
	char text[IP_TEXT_MAX];

	if (strcmp(l->type, "A") == 0 || strcmp(l->type, "AAAA") == 0)
		return span_str(arena_str(a, span_str(ip_format(r->ip, text))));
	if (strcmp(l->type, "MX") == 0)
		return span_str(arena_printf(a, "%u %s.", r->pref, r->name));
	if (strcmp(l->type, "PTR") == 0)
		return span_str(arena_printf(a, "%s.", r->name));
	return strcmp(l->type, "TLSA") == 0 ? tlsa_text(a, dns_data(l->seen, r)) : dns_data(l->seen, r);
}

/* ---- JSON ---- */

static void
json_found(struct json *j, const struct zone *z, const struct zone_line *l)
{
	json_kcstr(j, "verdict", zone_verdict_word(l->verdict));
	json_kcstr(j, "detail", l->detail);
	json_key(j, "seen");
	json_array(j);
	for (size_t i = 0; i < zone_seen_count(l); i++)
		json_str(j, zone_seen(z->a, l, i));
	json_end_array(j);
}

static void
json_key_of(struct json *j, const struct zone_line *l)
{
	const struct zone_key *k = l->what;

	if (strcmp(l->topic->name, "dkim") != 0 || k == NULL)
		return;
	json_kstr(j, "selector", k->selector);
	json_kcstr(j, "state", ring_state_name(k->state));
}

void
zone_json_line(struct json *j, const struct zone *z, size_t i, int language)
{
	const struct zone_line *l = &z->lines[i];

	json_kcstr(j, "topic", l->topic->name);
	json_kcstr(j, "name", l->name);
	json_kcstr(j, "type", l->type);
	json_kstr(j, "value", l->value);
	json_kbool(j, "optional", l->topic->optional);
	json_kcstr(j, "why", l->topic->why[language]);
	json_key_of(j, l);
	if (l->verdict == ZONE_UNCHECKED)
		return;
	json_found(j, z, l);
	json_key(j, "resolvers");
	json_array(j);
	for (size_t k = 0; k < z->nviews; k++) {
		json_object(j);
		json_kcstr(j, "resolver", z->views[k].resolver);
		json_found(j, z, &z->views[k].lines[i]);
		json_end_object(j);
	}
	json_end_array(j);
}

/* ---- the letter ---- */

void
zone_fields(struct buf *o, const struct zone_line *l, int fr)
{
	buf_printf(o, "    %s %s\n    %s %s\n    %s ", fr ? "nom   " : "name ", l->name,
	    fr ? "type  " : "type ", l->type, fr ? "valeur" : "value");
	buf_span(o, l->value);
	buf_printf(o, "\n    %s %d\n", fr ? "TTL   " : "TTL  ", TTL);
}

void
zone_letter(struct buf *o, const struct zone *z, int fr)
{
	const struct zone_topic *t = NULL;

	buf_printf(o, fr ? "Objet : enregistrements DNS pour " SPAN_FMT "\n\nBonjour,\n\n"
	    "Notre passerelle de messagerie " SPAN_FMT " émet le courrier de " SPAN_FMT ". Pour que les\n"
	    "destinataires l'acceptent, merci de publier les enregistrements suivants.\n" :
	    "Subject: DNS records for " SPAN_FMT "\n\nHello,\n\n"
	    "our mail gateway " SPAN_FMT " sends the mail of " SPAN_FMT ". For receivers to accept it,\n"
	    "please publish the following records.\n",
	    SPAN_ARG(z->name), SPAN_ARG(z->conf->hostname), SPAN_ARG(z->name));
	for (size_t i = 0; i < z->n; i++) {
		const struct zone_line *l = &z->lines[i];

		if (l->value.n == 0)
			continue;
		if (l->topic != t)
			buf_printf(o, "\n%s%s\n", l->topic->why[fr], !l->topic->optional ? "" :
			    fr ? " (facultatif)" : " (optional)");
		t = l->topic;
		buf_putc(o, '\n');
		zone_fields(o, l, fr);
		buf_puts(o, fr ? "    soit, au format BIND :\n    " : "    that is, as BIND writes it:\n    ");
		zone_text_bind(o, l->name, l->type, l->value);
	}
	buf_puts(o, fr ? "\nUn enregistrement SPF ou DMARC existant est à compléter, jamais à doubler.\n"
	    "Merci de nous prévenir une fois la publication faite : nous vérifierons.\n" :
	    "\nAn SPF or DMARC record that exists is to be completed, never doubled.\n"
	    "Please tell us once it is done: we will check.\n");
}
