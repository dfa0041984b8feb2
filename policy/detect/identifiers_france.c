/* identifiers_france.c -- numbers of persons and companies in France.
 *
 * fr-nir: sex, year, month, department, commune, order, key (INSEE, decree
 * 82-103). Key = 97 - (number mod 97), with 2A counted as 19 and 2B as 18.
 * Months 20, 30-42 and 50-99 stand for births whose month is not known. With
 * fifteen characters and such a key the number proves itself; the unusual
 * months and sexes (3, 4, 7, 8: provisional numbers) want more.
 */
#include "identifiers.h"

static const char *const nir_keywords[] = {
	"nir", "sécurité sociale", "sécu", "n° sécu", "no sécu", "numéro sécu", "numéro de sécu", "insee",
	"n° insee", "numéro insee", "numéro d'inscription", "numéro d'immatriculation", "immatriculation",
	"assuré social", "assurée sociale", "numéro d'assuré", "n° assuré", "n° d'assuré", "ayant droit",
	"carte vitale", "vitale", "cpam", "ameli", "assurance maladie", "mutuelle", "patient", "patiente",
	"patients", "salarié", "salariée", "matricule", "bulletin de paie", "dsn", "nss",
	"social security", "social security number", "social insurance", "national insurance", "ssn",
	"insured person", "health insurance", NULL
};

static bool
nir_month(unsigned m, bool *usual)
{
	*usual = m >= 1 && m <= 12;
	return *usual || m == 20 || (m >= 30 && m <= 42) || m >= 50;
}

static enum proof
nir_match(struct atoms *at, struct identifier *out)
{
	struct reading *r = &out->r;
	static const uint8_t cuts[] = { 1, 3, 5, 7, 10, 13 };
	char plain[15];
	unsigned key;
	size_t cut = 0;
	bool usual, person;

	if (strchr("123478", atoms_peek(at, 0)->c[0]) == NULL)
		return PROOF_NONE;
	if (!reading_take(at, 15, " -./", r))
		return PROOF_NONE;
	/* Groups may be joined, not cut elsewhere. */
	for (size_t i = 0; i + 1 < r->ngroups; i++) {
		cut += r->group[i];
		if (memchr(cuts, (int)cut, sizeof(cuts)) == NULL)
			return PROOF_NONE;
	}
	memcpy(plain, r->c, 15);
	if (plain[5] == '2' && (plain[6] == 'A' || plain[6] == 'B')) {
		plain[5] = '1';
		plain[6] = plain[6] == 'A' ? '9' : '8';
	}
	for (size_t i = 0; i < 15; i++)
		if (plain[i] < '0' || plain[i] > '9')
			return PROOF_NONE;
	if (!nir_month(reading_number(r, 3, 2), &usual) || memcmp(plain + 5, "00", 2) == 0 ||
	    memcmp(plain + 7, "000", 3) == 0 || memcmp(plain + 10, "000", 3) == 0)
		return PROOF_NONE;
	key = (unsigned)(plain[13] - '0') * 10 + (unsigned)(plain[14] - '0');
	if (key != 97 - digits_mod(plain, 13, 97))
		return PROOF_FAILED;
	person = r->c[0] <= '2';
	out->alone = usual && person ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
	if (reading_grouped(r, "1-2-2-2-3-3-2"))
		out->alone = CONFIDENCE_MEDIUM;
	out->with_near = CONFIDENCE_HIGH;
	return PROOF_FOUND;
}

const struct builtin builtin_fr_nir = {
	.name = "fr-nir",
	.help = "French social security number (NIR, key)",
	.keywords = nir_keywords,
	.within = 100,
	.mask_last = 2,
	.digits = LEN(1) | LEN(3) | LEN(5) | LEN(7) | LEN(10) | LEN(13) | LEN(15),
	.mixed = LEN(7) | LEN(10) | LEN(13) | LEN(15),
	.whole = LEN(15),
	.several = CONFIDENCE_MEDIUM,
	.match = nir_match,
};
