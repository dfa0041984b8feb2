/* identifiers_france.c -- numbers of persons, companies and health professionals in France.
 *
 * Nine digits with Luhn are met everywhere (SIREN, FINESS), as are eleven
 * (RPPS): alone they say nothing.
 *
 * fr-nir: sex, year, month, department, commune, order, key (INSEE, decree
 * 82-103). Key = 97 - (number mod 97), with 2A counted as 19 and 2B as 18.
 * Months 20, 30-42 and 50-99 stand for births whose month is not known. With
 * fifteen characters and such a key the number proves itself; the unusual
 * months and sexes (3, 4, 7, 8: provisional numbers) want more.
 */
#include "identifiers.h"

static const char *const nir_keywords[] = { "nir", "sécurité sociale", "sécu", "n° sécu",
	"no sécu", "numéro sécu", "numéro de sécu", "insee", "n° insee", "numéro insee",
	"numéro d'inscription", "numéro d'immatriculation", "immatriculation",
	"assuré social", "assurée sociale", "numéro d'assuré", "n° assuré", "n° d'assuré",
	"ayant droit", "carte vitale", "vitale", "cpam", "ameli", "assurance maladie",
	"mutuelle", "patient", "patiente", "patients", "salarié", "salariée", "matricule",
	"bulletin de paie", "dsn", "nss", "numéro ss", "n° ss", "no ss", "social security", "social security number",
	"social insurance", "national insurance", "ssn", "insured person",
	"health insurance", NULL };

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

/* --- companies ---------------------------------------------------------------------- */

static const char *const siren_keywords[] = { "siren", "n° siren", "rcs", "r.c.s.",
	"registre du commerce", "numéro siren", "immatriculée", "company number",
	"company registration", "trade register", "greffe", NULL };

static bool
siren_check(const char *c)
{
	return luhn(c, 9);
}

static const struct number siren_numbers[] = {
	{ 9, "3-3-3", digits_vary, siren_check, { CONFIDENCE_NONE, CONFIDENCE_HIGH },
	    { CONFIDENCE_NONE, CONFIDENCE_HIGH } },
	{ 0 }
};

const struct builtin builtin_fr_siren = {
	.name = "fr-siren",
	.help = "French company number (SIREN, Luhn, with a keyword)",
	.keywords = siren_keywords,
	.within = 60,
	.mask_last = 3,
	.numbers = siren_numbers,
};

static const char *const siret_keywords[] = {
	"siret", "n° siret", "numéro siret", "siren", "rcs", "établissement", "code ape", "naf",
	"company number", "establishment number", NULL
};

/* The establishments of La Poste need not pass Luhn: the sum of their digits divides by 5. */
static bool
siret_check(const char *c)
{
	unsigned sum = 0;

	for (size_t i = 0; i < 14; i++)
		sum += (unsigned)(c[i] - '0');
	return luhn(c, 9) && (luhn(c, 14) || (memcmp(c, "356000000", 9) == 0 && sum % 5 == 0));
}

static const struct number siret_numbers[] = {
	{ 14, "3-3-3-5 9-5", digits_vary, siret_check, { CONFIDENCE_MEDIUM, CONFIDENCE_HIGH },
	    { CONFIDENCE_NONE, CONFIDENCE_HIGH } },
	{ 0 }
};

const struct builtin builtin_fr_siret = {
	.name = "fr-siret",
	.help = "French establishment number (SIRET, Luhn twice)",
	.keywords = siret_keywords,
	.within = 60,
	.mask_last = 5,
	.numbers = siret_numbers,
};

static const char *const tva_keywords[] = { "tva", "n° tva", "tva intracommunautaire",
	"numéro de tva", "vat", "vat number", "vat no", "vat id", "intracommunautaire",
	NULL };

/* Key of digits: (12 + 3 * (SIREN mod 97)) mod 97. With letters: the rule of 2-character
 * keys without I and O. */
static enum proof
tva_prove(struct span text, struct identifier *out)
{
	static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";
	struct reading *r = &out->r;
	unsigned siren, a, b, check;

	if (!reading_compact(span_sub(text, r->from, r->to - r->from), 13, r) ||
	    !reading_digits(r, 4, 9) || !digits_vary(r->c + 4))
		return PROOF_NONE;
	siren = reading_number(r, 4, 9);
	if (reading_digits(r, 2, 2)) {
		if (reading_number(r, 2, 2) != (12 + 3 * (siren % 97)) % 97)
			return PROOF_FAILED;
	} else {
		if (!strchr(alphabet, r->c[2]) || !strchr(alphabet, r->c[3]))
			return PROOF_NONE;
		a = (unsigned)(strchr(alphabet, r->c[2]) - alphabet);
		b = (unsigned)(strchr(alphabet, r->c[3]) - alphabet);
		if (a < 10 && b < 10)
			return PROOF_NONE;
		check = a < 10 ? a * 24 + b - 10 : a * 34 + b - 100;
		if ((siren % 11 + 1 + check / 11) % 11 != check % 11)
			return PROOF_FAILED;
	}
	/* Monaco's begin with 000 and are no SIREN. */
	if (!luhn(r->c + 4, 9) && memcmp(r->c + 4, "000", 3) != 0)
		return PROOF_FAILED;
	out->alone = CONFIDENCE_MEDIUM;
	out->with_near = CONFIDENCE_HIGH;
	return PROOF_FOUND;
}

const struct builtin builtin_fr_tva = {
	.name = "fr-tva",
	.help = "French VAT number (key and SIREN)",
	.keywords = tva_keywords,
	.within = 60,
	.mask_last = 3,
	.pattern = "(?<![\\w.@/-])(?i:FR)[ -]?[0-9A-HJ-NP-Z]{2}[ -]?[0-9]{3}[ .]?[0-9]{3}[ "
		   ".]?[0-9]{3}(?![\\w@]|[-.]\\w)",
	.prove = tva_prove,
};

/* --- taxes and health --------------------------------------------------------------- */

static const char *const spi_keywords[] = { "numéro fiscal", "n° fiscal", "no fiscal",
	"spi", "identifiant fiscal", "référence fiscale", "impôts", "impôt",
	"avis d'imposition", "déclarant", "dgfip", "impots.gouv.fr", "tax number", "tax id",
	"tax identification", NULL };

static bool
spi_shape(const char *c)
{
	return c[0] <= '3' && digits_vary(c);
}

static bool
spi_check(const char *c)
{
	return digits_mod(c, 10, 511) == digits_number(c + 10, 3);
}

static const struct number spi_numbers[] = {
	{ 13, "2-2-3-3-3", spi_shape, spi_check, { CONFIDENCE_MEDIUM, CONFIDENCE_HIGH },
	    { CONFIDENCE_LOW, CONFIDENCE_HIGH } },
	{ 0 }
};

const struct builtin builtin_fr_spi = {
	.name = "fr-spi",
	.help = "French tax number (SPI, key mod 511)",
	.keywords = spi_keywords,
	.within = 80,
	.mask_last = 3,
	.numbers = spi_numbers,
};

static const char *const rpps_keywords[] = {
	"rpps", "n° rpps", "numéro rpps", "professionnel de santé", "professionnels de santé",
	"health professional", "prescripteur", NULL
};

static bool
rpps_shape(const char *c)
{
	return c[0] == '1' || c[0] == '8';
}

static bool
rpps_check(const char *c)
{
	return luhn(c, 11);
}

static const struct number rpps_numbers[] = {
	{ 11, "1-2-3-3-2 2-3-3-3", rpps_shape, rpps_check, { CONFIDENCE_NONE, CONFIDENCE_HIGH },
	    { CONFIDENCE_NONE, CONFIDENCE_HIGH } },
	{ 0 }
};

const struct builtin builtin_fr_rpps = {
	.name = "fr-rpps",
	.help = "French health professional (RPPS, Luhn, with a keyword)",
	.keywords = rpps_keywords,
	.within = 60,
	.mask_last = 3,
	.numbers = rpps_numbers,
};

static const char *const finess_keywords[] = { "finess", "n° finess", "numéro finess",
	"établissement de santé", "health facility", NULL };

static const struct number finess_numbers[] = {
	{ 9, "2-7 3-3-3 2-1-6", digits_vary, siren_check, { CONFIDENCE_NONE, CONFIDENCE_HIGH },
	    { CONFIDENCE_NONE, CONFIDENCE_HIGH } },
	{ 0 }
};

const struct builtin builtin_fr_finess = {
	.name = "fr-finess",
	.help = "French health establishment (FINESS, Luhn, with a keyword)",
	.keywords = finess_keywords,
	.within = 40,
	.mask_last = 3,
	.numbers = finess_numbers,
};
