/* pack_senders.h -- the rest of the pack postern/antispam: what is known of the sender, and the signs of
 * postern/sign.h; for pack_antispam.c alone.
 *
 * Every weight is below what makes mail suspected (6). What honest but careless servers get wrong (no
 * reverse name, a HELO without a dot, an old date) does not reach it together either.
 */
#ifndef PACK_SENDERS_H
#define PACK_SENDERS_H

#define ANTISPAM_SENDERS \
	"    # our own experience (docs/REPUTATION.md): never enough by itself\n" \
	"    KNOWN_BAD: {score: 3, when: {experience: {under: 20}}, title: {en:" \
	    " our own experience with the sender is bad, fr: mauvaise expérience " \
	    "avec cet expéditeur}}\n" \
	"    KNOWN_DOUBTFUL: {score: 1, when: {experience: {over: 19, under: " \
	    "40}}, title: {en: our own experience with the sender is doubtful, fr: " \
	    "expérience douteuse avec cet expéditeur}}\n" \
	"    KNOWN_GOOD: {score: -1.5, when: {experience: {over: 80}}, title: " \
	    "{en: our own experience with the sender is good, fr: bonne expérience " \
	    "avec cet expéditeur}}\n" \
	"    # authors who want to be taken for others\n" \
	"    SPOOFED_OWN: {score: 3, when: {sign: own-unproved}, title: {en: " \
	    "\"our own domain, from outside and unproved\", fr: \"notre domaine, de " \
	    "l'extérieur et sans preuve\"}}\n" \
	"    LOOKS_LIKE_US: {score: 4, when: {sign: from-lookalike}, title: " \
	    "{en: the author's domain looks like ours, fr: le domaine de l'auteur " \
	    "ressemble au nôtre}}\n" \
	"    OUR_NAME_ELSEWHERE: {score: 1, when: {sign: from-our-name}, title:" \
	    " {en: our domain's name with another ending, fr: le nom de notre " \
	    "domaine avec une autre terminaison}}\n" \
	"    LOOKS_LIKE_BRAND: {score: 3.5, when: {sign: from-brand}, title: " \
	    "{en: the author's domain looks like a well-known one, fr: le domaine " \
	    "de l'auteur ressemble à un domaine connu}}\n" \
	"    SHOWS_OUR_DOMAIN: {score: 2.5, when: {sign: name-ours, header: " \
	    "{List-Id: {present: false}}}, title: {en: the author's name shows our " \
	    "domain, fr: le nom de l'auteur montre notre domaine}}\n" \
	"    SHOWS_OUR_PERSON: {score: 4, when: {sign: name-person}, title: " \
	    "{en: in the name of one of our people, fr: au nom d'une personne de " \
	    "chez nous}}\n" \
	"    SHOWS_BRAND: {score: 2, when: {sign: name-brand}, title: {en: \"in " \
	    "the name of a well-known sender, unproved\", fr: \"au nom d'un " \
	    "expéditeur connu, sans preuve\"}}\n" \
	"    ANSWERS_TO_LOOKALIKE: {score: 4, when: {sign: reply-lookalike}, " \
	    "title: {en: answers go to a domain that looks like the author's, fr: " \
	    "les réponses vont à un domaine qui ressemble à celui de l'auteur}}\n" \
	"    SEVERAL_AUTHORS: {score: 2, when: {sign: from-several}, title: " \
	    "{en: several authors, fr: plusieurs auteurs}}\n" \
	"    UNREADABLE_AUTHOR: {score: 2, when: {sign: from-unreadable}, " \
	    "title: {en: an author without an address, fr: un auteur sans adresse}}\n" \
	"    # the client\n" \
	"    HELO_IS_US: {score: 3, when: {sign: helo-ours}, title: {en: the " \
	    "client says that it is one of us, fr: le client prétend être l'un de " \
	    "nous}}\n" \
	"    HELO_ADDRESS: {score: 1, when: {sign: helo-address}, title: {en:" \
	    " the client gives an address as its name, fr: le client donne une " \
	    "adresse pour nom}}\n" \
	"    HELO_PLAIN: {score: 1, when: {sign: helo-plain}, title: {en: the" \
	    " client's name has no dot, fr: le nom du client n'a pas de point}}\n" \
	"    HELO_UNKNOWN: {score: 0.8, when: {sign: helo-unknown}, title: {en:" \
	    " the client's name does not exist, fr: le nom du client n'existe pas}}\n" \
	"    NO_REVERSE: {score: 1.2, when: {sign: no-reverse}, title: {en: the" \
	    " client's address has no name, fr: l'adresse du client n'a pas de " \
	    "nom}}\n" \
	"    REVERSE_UNPROVED: {score: 0.5, when: {sign: reverse-unproved}, " \
	    "title: {en: the client's name does not lead back to it, fr: le nom du " \
	    "client ne mène pas à lui}}\n" \
	"    REVERSE_POOL: {score: 2, when: {sign: reverse-pool}, title: {en: " \
	    "the client is one of a provider's lines, fr: le client est la ligne " \
	    "d'un abonné}}\n" \
	"    # date, id, trace, recipients\n" \
	"    BAD_DATE: {score: 1.5, when: {sign: date-unreadable}, title: {en: " \
	    "a date that is none, fr: une date illisible}}\n" \
	"    OLD_DATE: {score: 0.8, when: {sign: date-old}, title: {en: dated " \
	    "weeks back, fr: daté de plusieurs semaines}}\n" \
	"    DATE_AHEAD: {score: 1.5, when: {sign: date-ahead}, title: {en: " \
	    "dated ahead, fr: daté dans le futur}}\n" \
	"    BAD_MESSAGE_ID: {score: 0.8, when: {sign: id-malformed}, title: " \
	    "{en: a message id that is none, fr: un identifiant de message erroné}}\n" \
	"    OUR_MESSAGE_ID: {score: 1.5, when: {sign: id-ours}, title: {en: \"a" \
	    " message id of ours, from outside\", fr: \"un identifiant de message de " \
	    "chez nous, de l'extérieur\"}}\n" \
	"    TRACE_BACKWARDS: {score: 1, when: {sign: received-backwards}, " \
	    "title: {en: the trace goes backwards in time, fr: la trace remonte le " \
	    "temps}}\n" \
	"    NO_RECIPIENT: {score: 1, when: {sign: no-recipient}, title: {en: " \
	    "no recipient in the header, fr: aucun destinataire dans l'en-tête}}\n" \
	"    UNDISCLOSED: {score: 0.5, when: {sign: undisclosed}, title: {en: " \
	    "hidden recipients, fr: destinataires cachés}}\n" \
	"    # letters and make\n" \
	"    MIXED_SCRIPTS: {score: 2.5, when: {sign: mixed-scripts}, title: " \
	    "{en: words of letters of two scripts, fr: mots aux lettres de deux " \
	    "écritures}}\n" \
	"    CHARSET_IDLE: {score: 0.5, when: {sign: charset-idle}, title: {en:" \
	    " a character set of which the text has no letter, fr: jeu de " \
	    "caractères dont le texte n'a aucune lettre}}\n" \
	"    HTML_ONLY: {score: 0.3, when: {sign: html-only}, title: {en: HTML " \
	    "without a plain text, fr: HTML sans texte simple}}\n" \
	"    PICTURE_ONLY: {score: 2, when: {sign: picture-only}, title: {en: a" \
	    " picture instead of a text, fr: une image au lieu d'un texte}}\n" \
	"    BULK_NO_WAY_OUT: {score: 1, when: {header: {Precedence: {pattern: " \
	    "'(?i)\\bbulk\\b'}, List-Unsubscribe: {present: false}, List-Post: " \
	    "{present: false}, Auto-Submitted: {present: false}}}, title: {en: bulk" \
	    " mail without a way out, fr: envoi en nombre sans désinscription}}\n"

#endif
