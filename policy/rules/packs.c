/* packs.c -- packs that come with the program: `use: [postern/base, ...]`.
 *
 * A pack gives built-in detectors, and may carry rules, groups and networks of
 * its own, written in the language itself. What a policy defines under the
 * same id takes the pack's place.
 *
 * A built-in detector whose name begins with a country ("fr-nir") is in the
 * pack of that country's identifiers, any other in postern/base.
 */
#include "rules.h"

static const char base_text[] =
    "# postern/base: what every policy needs.\n"
    "version: 1\n"
    "rules:\n"
    "  - id: virus\n"
    "    title: {en: Virus, fr: Virus}\n"
    "    severity: critical\n"
    "    tags: [virus]\n"
    "    when: {virus: true}\n"
    "    then: {quarantine: virus}\n"
    /* RFC 2046, 5.2.2 and 5.2.3: no half of a text can be judged, nor what is fetched later */
    "  - id: elsewhere\n"
    "    title: {en: A message in fragments or with its body elsewhere, fr: Message en fragments ou dont le corps est ailleurs}\n"
    "    direction: outbound\n"
    "    severity: high\n"
    "    tags: [evasion]\n"
    "    when: {defect: [message-partial, external-body]}\n"
    "    then: {reject: \"5.6.0 A message in fragments or with its body elsewhere cannot be examined, send it whole (ref $ref)\"}\n";

/* RFC 7489, 6.6.4 and 10.3: the wish is the domain owner's, to grant it is ours. What the DNS does not
 * tell now may be told later, and a forger must not profit from its silence. */
static const char inbound_text[] =
    "# postern/inbound: forged mail is treated as the domain it claims to come from asks (DMARC),\n"
    "# and lists of senders have the order of docs/LISTS.md.\n"
    "version: 1\n"
    "rules:\n"
    "  - id: dmarc-reject\n"
    "    title: {en: Forged sender, fr: Expéditeur falsifié}\n"
    "    direction: inbound\n"
    "    severity: high\n"
    "    tags: [identity]\n"
    "    when: {dmarc: fail, dmarc_policy: reject}\n"
    "    then: {reject: \"5.7.1 the domain of From: asks to refuse mail that fails DMARC\"}\n"
    "  - id: dmarc-quarantine\n"
    "    title: {en: Probably forged sender, fr: Expéditeur sans doute falsifié}\n"
    "    direction: inbound\n"
    "    tags: [identity]\n"
    "    when: {dmarc: fail, dmarc_policy: quarantine}\n"
    "    then: {quarantine: dmarc}\n"
    "  - id: dmarc-temperror\n"
    "    title: {en: Sender cannot be checked now, fr: Expéditeur invérifiable pour le moment}\n"
    "    direction: inbound\n"
    "    tags: [identity]\n"
    "    when: {dmarc: temperror}\n"
    "    then: {defer: \"4.7.0 the sender cannot be checked now, try again later\"}\n"
    "  - id: bounce-unproved\n"
    "    title: {en: Bounce of mail we did not send, fr: Retour d'un message que nous n'avons pas envoyé}\n"
    "    direction: inbound\n"
    "    tags: [identity]\n"
    "    when: {bounce: [untagged, forged, expired]}\n"
    "    # a reader's receipt comes to the address in the header, which has no tag (RFC 8098, 3)\n"
    "    unless: {header: {Content-Type: {pattern: '(?i)disposition-notification'}}}\n"
    "    then: {reject: \"5.7.1 nothing was sent from this address that could bounce\"}\n"
    /* docs/LISTS.md, the table: who stands above comes first, and of one owner the block */
    "  - id: lists-block\n"
    "    title: {en: The administrators block this sender, fr: Expéditeur bloqué par les administrateurs}\n"
    "    direction: inbound\n"
    "    severity: critical\n"
    "    tags: [lists]\n"
    "    when: {listed: {scope: all, list: block}}\n"
    "    then: {reject: \"5.7.1 the sender is blocked here\"}\n"
    "  - id: lists-domain-block\n"
    "    title: {en: The domain blocks this sender, fr: Expéditeur bloqué par le domaine}\n"
    "    direction: inbound\n"
    "    severity: high\n"
    "    tags: [lists]\n"
    "    when: {listed: {scope: domain, list: block}}\n"
    "    unless: {listed: {scope: all, list: allow}}\n"
    "    then: {reject: \"5.7.1 the sender is blocked here\"}\n"
    "  - id: lists-user-block\n"
    "    title: {en: The recipient blocks this sender, fr: Expéditeur bloqué par le destinataire}\n"
    "    direction: inbound\n"
    "    tags: [lists]\n"
    "    when: {listed: {scope: user, list: block}}\n"
    "    unless: {listed: {scope: [all, domain], list: allow}}\n"
    "    then: {quarantine: blocked}\n"
    "exceptions:\n"
    "  - id: lists-allow\n"
    "    tags: [spam, marketing, reputation]\n"
    "    when: {listed: {list: allow}}\n"
    "    reason: an allow list speaks for the sender, and the sender is proved\n";

static const char empty_text[] = "version: 1\n";

#define COUNTRIES(X) \
	X("fr") X("uk") X("us") X("de") X("es") X("it") X("be") X("nl") X("ch") X("pt") X("pl") \
	X("se") X("no") X("fi") X("dk") X("ie") X("ca") X("au") X("in") X("cn") X("br") X("kr") X("za")

const char *const pack_names[] = {
	"postern/base",
#define X(c) "postern/" c "-identifiers",
	COUNTRIES(X)
#undef X
	"postern/inbound",
	"postern/antispam",
	NULL
};

const char *
pack_text(struct span name)
{
	for (size_t i = 0; pack_names[i]; i++)
		if (span_is(name, pack_names[i]))
			return i == 0 ? base_text : span_is(name, "postern/inbound") ? inbound_text :
			    span_is(name, "postern/antispam") ? antispam_text : empty_text;
	return NULL;
}

const char *
pack_of_detector(const char *detector)
{
	for (size_t i = 1; pack_names[i]; i++) {
		const char *country = pack_names[i] + sizeof("postern/") - 1;

		if (strncmp(detector, country, 3) == 0)
			return pack_names[i];
	}
	return pack_names[0];
}

bool
pack_has_detector(struct span pack, const char *detector)
{
	return span_is(pack, pack_of_detector(detector));
}
