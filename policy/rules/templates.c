/* templates.c -- texts for people: the built-in ones, and which language.
 *
 * A template is "Subject: …", an empty line and the text; where it stands in a
 * message (in place of a file) it has no subject. Files of the same name
 * (templates/NAME.en.txt, NAME.fr.txt: load_templates.c) take the place of these. etc/templates has them as
 * files; tests/unit/test_templates.c holds one against the other.
 */
#include "rules.h"

const char *const language_names[] = { "en", "fr", NULL };

static const struct {
	const char *name;
	const char *en, *fr;
} built_in[] = {
	{ "stripped",
	  "The file \"$filenames\" was removed from this message by the mail gateway.\n"
	  "Rule: $rule. Reference: $ref.\n",
	  "La pièce jointe « $filenames » a été retirée de ce message par la passerelle de messagerie.\n"
	  "Règle : $rule. Référence : $ref.\n" },
	{ "held",
	  "Subject: Your message is being held for review\n\n"
	  "The mail gateway holds a message you sent until somebody has decided about it.\n"
	  "You will be told if it is not sent.\n\n"
	  "Reference: $ref\nRule: $rule\nFound: $findings\nFiles: $filenames\n",
	  "Subject: Votre message est retenu pour examen\n\n"
	  "La passerelle de messagerie retient un message que vous avez envoyé, dans l'attente d'une décision.\n"
	  "Vous serez averti s'il n'est pas envoyé.\n\n"
	  "Référence : $ref\nRègle : $rule\nConstaté : $findings\nFichiers : $filenames\n" },
	{ "rejected",
	  "Subject: Your message was not sent\n\n"
	  "The mail gateway did not send your message.\n\n"
	  "Reference: $ref\nRule: $rule\nFound: $findings\nFiles: $filenames\n",
	  "Subject: Votre message n'a pas été envoyé\n\n"
	  "La passerelle de messagerie n'a pas envoyé votre message.\n\n"
	  "Référence : $ref\nRègle : $rule\nConstaté : $findings\nFichiers : $filenames\n" },
	{ "changed",
	  "Subject: A message was changed by the mail gateway\n\n"
	  "The mail gateway has changed a message before it was delivered.\n\n"
	  "Reference: $ref\nRule: $rule\nFrom: $sender\nFound: $findings\nFiles: $filenames\n",
	  "Subject: Un message a été modifié par la passerelle de messagerie\n\n"
	  "La passerelle de messagerie a modifié un message avant de le remettre.\n\n"
	  "Référence : $ref\nRègle : $rule\nDe : $sender\nConstaté : $findings\nFichiers : $filenames\n" },
	{ "incident",
	  "Subject: Mail policy: $rule\n\n"
	  "A rule of the mail policy was hit.\n\n"
	  "Reference: $ref\nRule: $rule\nFrom: $sender\nFound: $findings\nFiles: $filenames\n\n"
	  "postern explain $ref says why.\n",
	  "Subject: Politique de messagerie : $rule\n\n"
	  "Une règle de la politique de messagerie s'est appliquée.\n\n"
	  "Référence : $ref\nRègle : $rule\nDe : $sender\nConstaté : $findings\nFichiers : $filenames\n\n"
	  "postern explain $ref en donne la raison.\n" },
};

const char *const template_names[] = { "stripped", "held", "rejected", "changed", "incident", NULL };

bool
template_builtin(struct span name, struct texts *out)
{
	for (size_t i = 0; i < sizeof(built_in) / sizeof(built_in[0]); i++)
		if (span_is(name, built_in[i].name)) {
			*out = (struct texts){ { span_str(built_in[i].en), span_str(built_in[i].fr) } };
			return true;
		}
	return false;
}

enum language
texts_language(const struct texts *t, enum language l)
{
	for (int i = 0; i < LANG_COUNT; i++)
		if (t->v[(l + i) % LANG_COUNT].n)
			return (enum language)((l + i) % LANG_COUNT);
	return l;
}

struct span
texts_pick(const struct texts *t, enum language l)
{
	return t->v[texts_language(t, l)];
}

static bool
header_language(const struct part *root, const char *name, enum language *l)
{
	const struct header *h = part_header(root, name);

	for (int i = 0; h && i < LANG_COUNT; i++)
		if (span_starts_nocase(h->value, span_str(language_names[i])) &&
		    (h->value.n == 2 || !((h->value.p[2] | 32) >= 'a' && (h->value.p[2] | 32) <= 'z'))) {
			*l = (enum language)i;
			return true;
		}
	return false;
}

enum language
language_of(const struct eval *e)
{
	enum language l;

	if (e->an && e->an->nparts && (header_language(&e->an->parts[0], "Content-Language", &l) ||
	    header_language(&e->an->parts[0], "Accept-Language", &l)))
		return l;
	return (enum language)e->p->language;
}
