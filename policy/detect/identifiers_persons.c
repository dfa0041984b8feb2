/* identifiers_persons.c -- identity, tax, social and health numbers of other countries.
 *
 * Each row says what its form is worth. A bare run of digits with one check
 * digit is met by a tenth of all such numbers: alone it says nothing. A date
 * of birth, two check digits or the canonical grouping make it rarer; the
 * keyword, in the country's language, English or French, makes it sure.
 *
 * Long because it is one table: a country's keywords, shape and checksum stand together.
 */
#include "identifiers.h"

#define NONE CONFIDENCE_NONE
#define LOW CONFIDENCE_LOW
#define MEDIUM CONFIDENCE_MEDIUM
#define HIGH CONFIDENCE_HIGH

#define KEYWORDS(name, ...) static const char *const name##_keywords[] = { __VA_ARGS__, NULL }
#define NUMBERS(name, ...) static const struct number name##_numbers[] = { __VA_ARGS__, { 0 } }
#define BUILTIN_NUMBERS(id, text, doc, reach, shown)                                       \
	const struct builtin builtin_##id = { .name = text,                                \
		.help = doc,                                                               \
		.keywords = id##_keywords,                                                 \
		.within = reach,                                                           \
		.mask_last = shown,                                                        \
		.several = MEDIUM,                                                         \
		.numbers = id##_numbers }
#define BUILTIN_MATCH(                                                                     \
    id, text, doc, reach, shown, digit_lengths, mixed_lengths, whole_lengths)              \
	const struct builtin builtin_##id = { .name = text,                                \
		.help = doc,                                                               \
		.keywords = id##_keywords,                                                 \
		.within = reach,                                                           \
		.mask_last = shown,                                                        \
		.several = MEDIUM,                                                         \
		.digits = digit_lengths,                                                   \
		.mixed = mixed_lengths,                                                    \
		.whole = whole_lengths,                                                    \
		.match = id##_match }

static unsigned
two(const char *c)
{
	return digits_number(c, 2);
}

static unsigned
digit(char c)
{
	return (unsigned)(c - '0');
}

/* Was the candidate written with letters of one case, and in capitals? */
static bool
in_capitals(struct atoms *at)
{
	return !atoms_peek(at, 0)->lower;
}

static enum proof
found(struct identifier *out, enum confidence alone, enum confidence with_near)
{
	out->alone = alone;
	out->with_near = with_near;
	return PROOF_FOUND;
}

/* --- United Kingdom ----------------------------------------------------------------- */

KEYWORDS(uk_nhs, "nhs", "nhs number", "nhs no", "national health service", "patient",
    "patient id", "hospital number");

static bool
nhs_check(const char *c)
{
	static const uint8_t weights[] = { 10, 9, 8, 7, 6, 5, 4, 3, 2 };
	unsigned k = 11 - weighted(c, weights, 9) % 11;

	return k != 10 && k % 11 == digit(c[9]);
}

NUMBERS(uk_nhs, { 10, "3-3-4", digits_vary, nhs_check, { LOW, HIGH }, { NONE, HIGH } });
BUILTIN_NUMBERS(uk_nhs, "uk-nhs", "British NHS number (mod 11)", 60, 4);

KEYWORDS(uk_nino, "national insurance", "ni number", "ni no", "nino", "n.i. number", "n.i. no",
    "national insurance number", "payroll", "p45", "p60", "hmrc",
    "numéro d'assurance nationale");

static enum proof
uk_nino_match(struct atoms *at, struct identifier *out)
{
	static const char *const unused[] = { "BG", "GB", "KN", "NK", "NT", "TN", "ZZ" };
	struct reading *r = &out->r;
	bool digits = atoms_peek(at, 0)->kind == ATOM_DIGITS;

	if (!reading_take(at, digits ? 7 : 9, " -", r) || (digits && !reading_lead(at, 2, r)) ||
	    !reading_is(r, "AA999999A") || r->c[8] > 'D' || strchr("DFIQUV", r->c[0]) ||
	    strchr("DFIOQUV", r->c[1]))
		return PROOF_NONE;
	for (size_t i = 0; i < sizeof(unused) / sizeof(*unused); i++)
		if (memcmp(r->c, unused[i], 2) == 0)
			return PROOF_NONE;
	return found(out, r->ngroups > 1 ? MEDIUM : LOW, HIGH);
}

BUILTIN_MATCH(uk_nino, "uk-nino", "British national insurance number", 60, 1, LEN(2) | LEN(6),
    LEN(7) | LEN(8) | LEN(9), LEN(7) | LEN(9));

/* --- United States ------------------------------------------------------------------ */

KEYWORDS(us_ssn, "ssn", "ss#", "ss #", "social security", "social security number",
    "social security no", "soc sec", "soc. sec", "taxpayer id", "w-2", "w2",
    "sécurité sociale américaine");

static bool
ssn_shape(const char *c)
{
	return memcmp(c, "000", 3) != 0 && memcmp(c, "666", 3) != 0 && c[0] != '9' &&
	    memcmp(c + 3, "00", 2) != 0 && memcmp(c + 5, "0000", 4) != 0 && digits_vary(c) &&
	    memcmp(c, "123456789", 9) != 0;
}

NUMBERS(us_ssn, { 9, "3-2-4", ssn_shape, NULL, { MEDIUM, HIGH }, { NONE, MEDIUM }, "-" },
    { 9, "3-2-4", ssn_shape, NULL, { LOW, HIGH }, { NONE, NONE }, " " });
BUILTIN_NUMBERS(us_ssn, "us-ssn", "US social security number", 60, 4);

KEYWORDS(us_itin, "itin", "individual taxpayer", "taxpayer identification", "taxpayer id",
    "tax id", "w-7", "irs", "numéro fiscal");

static bool
itin_shape(const char *c)
{
	unsigned group = two(c + 3);

	return c[0] == '9' && ((group >= 50 && group <= 65) || (group >= 70 && group <= 88) ||
	    (group >= 90 && group <= 92) || (group >= 94 && group <= 99));
}

NUMBERS(us_itin, { 9, "3-2-4", itin_shape, NULL, { MEDIUM, HIGH }, { NONE, MEDIUM }, "-" },
    { 9, "3-2-4", itin_shape, NULL, { LOW, HIGH }, { NONE, NONE }, " " });
BUILTIN_NUMBERS(us_itin, "us-itin", "US individual taxpayer number", 60, 4);

KEYWORDS(us_npi, "npi", "national provider", "national provider identifier", "provider id",
    "provider number", "prescriber", "prescripteur");

static bool
npi_shape(const char *c)
{
	return c[0] == '1' || c[0] == '2';
}

static bool
npi_check(const char *c)
{
	char full[15] = "80840";

	memcpy(full + 5, c, 10);
	return luhn(full, 15);
}

NUMBERS(us_npi, { 10, NULL, npi_shape, npi_check, { NONE, NONE }, { NONE, HIGH } });
BUILTIN_NUMBERS(us_npi, "us-npi", "US health provider (Luhn, with a keyword)", 50, 4);

/* --- Germany, Austria, Switzerland -------------------------------------------------- */

KEYWORDS(de_steuer_id, "steuer-id", "steuer id", "steuerid", "idnr", "id-nr",
    "identifikationsnummer", "steuernummer", "steuerliche identifikationsnummer", "tin",
    "steueridentifikationsnummer", "steuer-identifikationsnummer", "steuer-idnr", "steueridnr",
    "numéro fiscal allemand",
    "tax id", "tax number", "tax identification", "numéro fiscal");

/* One digit stands two or three times among the first ten, every other once at most. */
static bool
steuer_shape(const char *c)
{
	unsigned count[10] = { 0 }, repeated = 0;

	if (c[0] == '0')
		return false;
	for (size_t i = 0; i < 10; i++)
		count[digit(c[i])]++;
	for (size_t i = 0; i < 10; i++) {
		if (count[i] > 3)
			return false;
		repeated += count[i] > 1;
	}
	return repeated == 1;
}

/* ISO 7064, mod 11,10. */
static bool
steuer_check(const char *c)
{
	unsigned p = 10;

	for (size_t i = 0; i < 10; i++) {
		unsigned s = (digit(c[i]) + p) % 10;

		p = 2 * (s ? s : 10) % 11;
	}
	return (11 - p) % 10 == digit(c[10]);
}

NUMBERS(de_steuer_id,
    { 11, "2-3-3-3", steuer_shape, steuer_check, { MEDIUM, HIGH }, { LOW, HIGH } });
BUILTIN_NUMBERS(de_steuer_id, "de-steuer-id", "German tax number (mod 11,10)", 60, 3);

KEYWORDS(ch_ahv, "ahv", "ahv-nr", "ahv-nummer", "avs", "n° avs", "numéro avs", "no avs",
    "navs", "avs13", "navs13", "oasi", "sozialversicherungsnummer", "assurance vieillesse",
    "social security", "numéro d'assuré");

static bool
ahv_shape(const char *c)
{
	return memcmp(c, "756", 3) == 0;
}

static bool
ahv_check(const char *c)
{
	static const uint8_t weights[] = { 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1 };

	return weighted(c, weights, 13) % 10 == 0;
}

NUMBERS(ch_ahv, { 13, "3-4-4-2", ahv_shape, ahv_check, { MEDIUM, HIGH }, { LOW, HIGH } });
BUILTIN_NUMBERS(ch_ahv, "ch-ahv", "Swiss social insurance number (AHV, EAN-13)", 60, 2);

/* --- Spain, Italy, Portugal --------------------------------------------------------- */

static const char dni_letters[] = "TRWAGMYFPDXBNJZSQVHLCKE";

KEYWORDS(es_dni, "dni", "nif", "d.n.i", "n.i.f", "documento de identidad", "documento nacional", "documento nacional de identidad",
    "identidad", "id card", "identity card", "national id", "carte d'identité",
    "pièce d'identité");

static enum proof
es_dni_match(struct atoms *at, struct identifier *out)
{
	struct reading *r = &out->r;

	if (!reading_take(at, 9, " -.", r) || !reading_is(r, "99999999A") ||
	    (r->ngroups > 1 && !reading_grouped(r, "8-1") && !reading_grouped(r, "2-3-3-1") &&
	    !reading_grouped(r, "2-3-4")))
		return PROOF_NONE;
	if (dni_letters[reading_number(r, 0, 8) % 23] != r->c[8])
		return PROOF_FAILED;
	return found(out, r->ngroups > 1 ? MEDIUM : LOW, HIGH);
}

BUILTIN_MATCH(es_dni, "es-dni", "Spanish identity number (DNI, letter mod 23)", 60, 1,
    LEN(2) | LEN(8), LEN(9), LEN(9));

KEYWORDS(es_nie, "nie", "n.i.e", "tarjeta de residencia", "número de identidad de extranjero", "extranjero", "extranjeros",
    "residencia", "tie", "identity card", "foreigner", "residence permit",
    "numéro d'étranger", "titre de séjour");

static enum proof
es_nie_match(struct atoms *at, struct identifier *out)
{
	struct reading *r = &out->r;
	const struct atom *o = atoms_peek(at, 0);
	bool lead = o->n < 9 && o->c[0] <= '9';

	if (!reading_take(at, lead ? 8 : 9, " -", r) || (lead && !reading_lead(at, 1, r)) ||
	    !reading_is(r, "A9999999A") || r->c[0] < 'X')
		return PROOF_NONE;
	if (dni_letters[((unsigned)(r->c[0] - 'X') * 10000000 + reading_number(r, 1, 7)) %
		23] != r->c[8])
		return PROOF_FAILED;
	return found(out, r->ngroups > 1 ? MEDIUM : LOW, HIGH);
}

BUILTIN_MATCH(es_nie, "es-nie", "Spanish number of foreigners (NIE, letter mod 23)", 60, 1, LEN(7),
    LEN(8) | LEN(9), LEN(8) | LEN(9));

KEYWORDS(it_codice_fiscale, "codice fiscale", "cod. fiscale", "cod fiscale", "c.f", "cf",
    "cod. fisc", "cod.fisc", "codici fiscali",
    "tax code", "fiscal code", "tessera sanitaria", "code fiscal");

/* Digits may stand as the letters L M N P Q R S T U V where two persons would share a code. */
static bool
cf_digit(char c)
{
	return c <= '9' || (c >= 'L' && c <= 'V' && c != 'O');
}

/* As one word, or as on the card: surname, name, date, town. The walk begins at a group with a digit,
 * so the two of letters are put in front. */
static bool
cf_take(struct atoms *at, struct reading *r)
{
	if (atoms_peek(at, 0)->n == 16)
		return reading_take(at, 16, "", r);
	return reading_take(at, 10, " ", r) && reading_grouped(r, "5-5") &&
	    reading_lead(at, 3, r) && reading_lead(at, 3, r);
}

static enum proof
it_codice_fiscale_match(struct atoms *at, struct identifier *out)
{
	static const uint8_t odd[] = { 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11,
		3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23 };
	struct reading *r = &out->r;
	unsigned sum = 0;

	if (!cf_take(at, r) || !reading_is(r, "AAAAAA**A**A***A") ||
	    !strchr("ABCDEHLMPRST", r->c[8]))
		return PROOF_NONE;
	for (size_t i = 6; i < 15; i++)
		if (i != 8 && i != 11 && !cf_digit(r->c[i]))
			return PROOF_NONE;
	for (size_t i = 0; i < 15; i++) {
		unsigned v = r->c[i] <= '9' ? digit(r->c[i]) : (unsigned)(r->c[i] - 'A');

		sum += i % 2 ? v : odd[v];
	}
	if ((unsigned)(r->c[15] - 'A') != sum % 26)
		return PROOF_FAILED;
	return found(out, MEDIUM, HIGH);
}

BUILTIN_MATCH(it_codice_fiscale, "it-codice-fiscale", "Italian tax code (check letter)", 60,
    1, 0, LEN(16) | LEN(5), LEN(16));

/* Not "tax number" alone, which is any country's: one check digit is too little for that. */
KEYWORDS(pt_nif, "nif", "n.i.f", "contribuinte", "número de contribuinte", "número fiscal", "nipc",
    "finanças", "portuguese tax number", "portuguese tax id", "numéro fiscal portugais");

static bool
nif_shape(const char *c)
{
	/* 45, 7x and 9x stand for heirs, funds and those who do not live there. */
	return (strchr("12356", c[0]) || memcmp(c, "45", 2) == 0 || memcmp(c, "80", 2) == 0 ||
	    (c[0] == '7' && strchr("01245789", c[1])) || (c[0] == '9' && strchr("0189", c[1]))) &&
	    digits_vary(c);
}

static bool
nif_check(const char *c)
{
	static const uint8_t weights[] = { 9, 8, 7, 6, 5, 4, 3, 2 };
	unsigned k = 11 - weighted(c, weights, 8) % 11;

	return (k > 9 ? 0 : k) == digit(c[8]);
}

NUMBERS(pt_nif, { 9, "3-3-3", nif_shape, nif_check, { NONE, HIGH }, { NONE, HIGH } });
BUILTIN_NUMBERS(pt_nif, "pt-nif", "Portuguese tax number (mod 11, with a keyword)", 50, 3);

/* --- Benelux ------------------------------------------------------------------------ */

KEYWORDS(be_nn, "rijksregisternummer", "rijksregisternr", "rijksregister", "insz", "inss", "niss",
    "insz-nummer", "n° registre national",
    "registre national", "numéro national", "n° national", "numéro de registre national",
    "nationaal nummer", "national number", "national register");

static bool
be_shape(const char *c)
{
	/* Months of the numbers for those without a register entry are raised by 20 or 40. */
	unsigned month = two(c + 2) % 20, day = two(c + 4);

	return two(c + 2) < 53 && month <= 12 && day <= 31 && digits_vary(c);
}

static bool
be_check(const char *c)
{
	unsigned n = digits_mod(c, 9, 97), key = two(c + 9);

	/* From 2000 on, a 2 stands in front. */
	return key == 97 - n || key == 97 - (n + 2000000000u % 97) % 97;
}

NUMBERS(be_nn, { 11, "2-2-2-3-2 6-3-2", be_shape, be_check, { MEDIUM, HIGH }, { LOW, HIGH } });
BUILTIN_NUMBERS(be_nn, "be-nn", "Belgian national number (date, mod 97)", 60, 2);

KEYWORDS(nl_bsn, "bsn", "burgerservicenummer", "burger service nummer", "sofi",
    "sofinummer", "sofi-nummer", "citizen service number", "patiënt",
    "numéro de service citoyen");

/* The eleven test. */
static bool
bsn_check(const char *c)
{
	static const uint8_t weights[] = { 9, 8, 7, 6, 5, 4, 3, 2 };

	return weighted(c, weights, 8) % 11 == digit(c[8]);
}

NUMBERS(nl_bsn, { 9, "4-2-3 3-3-3", digits_vary, bsn_check, { NONE, HIGH }, { NONE, HIGH } });
BUILTIN_NUMBERS(nl_bsn, "nl-bsn", "Dutch citizen number (eleven test, with a keyword)", 50, 3);

/* --- Ireland ------------------------------------------------------------------------ */

KEYWORDS(ie_pps, "pps", "ppsn", "pps no", "pps number", "personal public service",
    "revenue", "social welfare", "numéro de service public");

static enum proof
ie_pps_match(struct atoms *at, struct identifier *out)
{
	static const uint8_t weights[] = { 8, 7, 6, 5, 4, 3, 2 };
	struct reading *r = &out->r;
	unsigned sum;

	if ((!reading_take(at, 8, " ", r) || !reading_is(r, "9999999A")) &&
	    (!reading_take(at, 9, " ", r) || !reading_is(r, "9999999AA") ||
		!strchr("AHTWX", r->c[8])))
		return PROOF_NONE;
	sum = weighted(r->c, weights, 7);
	if (r->n == 9 && (r->c[8] == 'A' || r->c[8] == 'H'))
		sum += 9 * (unsigned)(r->c[8] - 'A' + 1);
	if ("WABCDEFGHIJKLMNOPQRSTUV"[sum % 23] != r->c[7])
		return PROOF_FAILED;
	return found(out, LOW, HIGH);
}

BUILTIN_MATCH(ie_pps, "ie-pps", "Irish personal public service number (mod 23)", 60, 2,
    LEN(7), LEN(8) | LEN(9), LEN(8) | LEN(9));

/* --- the North ---------------------------------------------------------------------- */

KEYWORDS(se_pnr, "personnummer", "pnr", "person nr", "personnr", "pers.nr", "persnr", "pers nr", "samordningsnummer",
    "födelsenummer", "personal identity number", "personal number", "numéro personnel suédois");

static bool
pnr_date(const char *c)
{
	unsigned day = two(c + 4);

	return is_day(-1, two(c + 2), day > 60 ? day - 60 : day);
}

static bool
pnr_check(const char *c)
{
	return luhn(c, 10);
}

static bool
pnr_long_date(const char *c)
{
	return (two(c) == 19 || two(c) == 20) && pnr_date(c + 2);
}

static bool
pnr_long_check(const char *c)
{
	return luhn(c + 2, 10);
}

/* A plus sign instead of the hyphen: the person is a hundred or older. */
NUMBERS(se_pnr, { 10, "6-4", pnr_date, pnr_check, { MEDIUM, HIGH }, { NONE, HIGH }, "-+ " },
    { 12, "8-4", pnr_long_date, pnr_long_check, { MEDIUM, HIGH }, { LOW, HIGH }, "-+ " });
BUILTIN_NUMBERS(se_pnr, "se-pnr", "Swedish personal number (date, Luhn)", 60, 4);

KEYWORDS(no_fnr, "fødselsnummer", "fodselsnummer", "personnummer", "fnr", "d-nummer",
    "national identity number", "birth number", "numéro national");

static bool
fnr_shape(const char *c)
{
	unsigned day = two(c), month = two(c + 2);

	return is_day(-1, month > 40 ? month - 40 : month, day > 40 ? day - 40 : day);
}

static bool
fnr_check(const char *c)
{
	static const uint8_t first[] = { 3, 7, 6, 1, 8, 9, 4, 5, 2, 1 };
	static const uint8_t second[] = { 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1 };

	return weighted(c, first, 10) % 11 == 0 && weighted(c, second, 11) % 11 == 0;
}

NUMBERS(no_fnr, { 11, "6-5", fnr_shape, fnr_check, { MEDIUM, HIGH }, { MEDIUM, HIGH } });
BUILTIN_NUMBERS(no_fnr, "no-fnr", "Norwegian birth number (date, two check digits)", 60, 3);

KEYWORDS(fi_hetu, "hetu", "henkilötunnus", "henkilötunnuksen", "henkilötunnukseni",
    "henkilötunnuksesi", "henkilötunnusta", "henkilötunnukset", "henkilötunnuksella", "personbeteckning", "sotu",
    "personal identity code", "identity code", "code d'identité");

static enum proof
fi_hetu_match(struct atoms *at, struct identifier *out)
{
	struct reading *r = &out->r;
	char c[9];

	if (atoms_peek(at, 0)->n == 11) {	/* the century is a letter, not a hyphen */
		if (!reading_take(at, 11, "", r) || !strchr("ABCDEFUVWXY", r->c[6]))
			return PROOF_NONE;
		memmove(r->c + 6, r->c + 7, 5);
		r->n = 10;
	} else if (!reading_take(at, 10, "-", r) || !reading_grouped(r, "6-4")) {
		return PROOF_NONE;
	}
	if (!reading_digits(r, 0, 9) || !is_day(-1, two(r->c + 2), two(r->c)))
		return PROOF_NONE;
	memcpy(c, r->c, 9);
	if ("0123456789ABCDEFHJKLMNPRSTUVWXY"[digits_number(c, 9) % 31] != r->c[9])
		return PROOF_FAILED;
	return found(out, MEDIUM, HIGH);
}

BUILTIN_MATCH(fi_hetu, "fi-hetu", "Finnish identity code (date, mod 31)", 60, 1, LEN(6),
    LEN(11), LEN(11));

KEYWORDS(dk_cpr, "cpr", "cpr-nr", "cpr nr", "cpr-nummer", "cprnummer", "dansk personnummer", "danish personal number",
    "civil registration", "personal identification number", "numéro personnel danois");

static bool
cpr_shape(const char *c)
{
	return is_day(-1, two(c + 2), two(c));
}

/* Numbers given since 2007 need not pass. */
static bool
cpr_check(const char *c)
{
	static const uint8_t weights[] = { 4, 3, 2, 7, 6, 5, 4, 3, 2, 1 };

	return weighted(c, weights, 10) % 11 == 0;
}

NUMBERS(dk_cpr, { 10, "6-4", cpr_shape, cpr_check, { MEDIUM, HIGH }, { NONE, HIGH } },
    { 10, "6-4", cpr_shape, NULL, { LOW, MEDIUM }, { NONE, LOW } });
BUILTIN_NUMBERS(dk_cpr, "dk-cpr", "Danish personal number (date)", 60, 4);

KEYWORDS(pl_pesel, "pesel", "nr pesel", "numer pesel", "dowód osobisty",
    "national identification number", "polish id", "numéro pesel");

static bool
pesel_shape(const char *c)
{
	/* The century is told by 20, 40, 60 or 80 added to the month. */
	return is_day(-1, two(c + 2) % 20, two(c + 4));
}

static bool
pesel_check(const char *c)
{
	static const uint8_t weights[] = { 1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1 };

	return weighted(c, weights, 11) % 10 == 0;
}

NUMBERS(pl_pesel, { 11, NULL, pesel_shape, pesel_check, { NONE, NONE }, { LOW, HIGH } });
BUILTIN_NUMBERS(pl_pesel, "pl-pesel", "Polish personal number (date, check digit)", 60, 3);

/* --- Canada, Australia -------------------------------------------------------------- */

KEYWORDS(ca_sin, "sin", "social insurance", "social insurance number", "sin number", "nas",
    "numéro d'assurance sociale", "assurance sociale");

static bool
sin_shape(const char *c)
{
	return c[0] != '8' && digits_vary(c);
}

static bool
sin_check(const char *c)
{
	return luhn(c, 9);
}

NUMBERS(ca_sin, { 9, "3-3-3", sin_shape, sin_check, { LOW, HIGH }, { NONE, HIGH } });
BUILTIN_NUMBERS(ca_sin, "ca-sin", "Canadian social insurance number (Luhn)", 50, 3);

KEYWORDS(au_tfn, "tfn", "tax file number", "tax file no", "tax file", "ato",
    "numéro de dossier fiscal");

static bool
tfn_check(const char *c)
{
	static const uint8_t weights[] = { 1, 4, 3, 7, 5, 8, 6, 9, 10 };

	return weighted(c, weights, 9) % 11 == 0;
}

NUMBERS(au_tfn, { 9, "3-3-3", digits_vary, tfn_check, { NONE, HIGH }, { NONE, HIGH } });
BUILTIN_NUMBERS(au_tfn, "au-tfn", "Australian tax file number (mod 11, with a keyword)", 50, 3);

KEYWORDS(au_medicare, "medicare", "medicare number", "medicare card", "medicare no",
    "assurance maladie", "bulk bill");

static bool
medicare_shape(const char *c)
{
	return c[0] >= '2' && c[0] <= '6' && c[9] != '0';
}

static bool
medicare_check(const char *c)
{
	static const uint8_t weights[] = { 1, 3, 7, 9, 1, 3, 7, 9 };

	return weighted(c, weights, 8) % 10 == digit(c[8]);
}

NUMBERS(au_medicare,
    /* With the person's number on the card first: it is behind the card's. */
    { 11, "4-5-1-1 4-5-2", medicare_shape, medicare_check, { MEDIUM, HIGH }, { NONE, NONE } },
    { 10, "4-5-1", medicare_shape, medicare_check, { MEDIUM, HIGH }, { NONE, HIGH } });
BUILTIN_NUMBERS(au_medicare, "au-medicare", "Australian Medicare number", 50, 2);

/* --- Asia, Africa, South America ---------------------------------------------------- */

KEYWORDS(in_aadhaar, "aadhaar", "aadhar", "uidai", "uid", "adhaar", "unique identification",
    "numéro aadhaar");

static bool
aadhaar_shape(const char *c)
{
	return c[0] >= '2' && digits_vary(c);
}

/* Verhoeff's dihedral check. */
static bool
aadhaar_check(const char *c)
{
	static const uint8_t d[10][10] = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 },
		{ 1, 2, 3, 4, 0, 6, 7, 8, 9, 5 }, { 2, 3, 4, 0, 1, 7, 8, 9, 5, 6 },
		{ 3, 4, 0, 1, 2, 8, 9, 5, 6, 7 }, { 4, 0, 1, 2, 3, 9, 5, 6, 7, 8 },
		{ 5, 9, 8, 7, 6, 0, 4, 3, 2, 1 }, { 6, 5, 9, 8, 7, 1, 0, 4, 3, 2 },
		{ 7, 6, 5, 9, 8, 2, 1, 0, 4, 3 }, { 8, 7, 6, 5, 9, 3, 2, 1, 0, 4 },
		{ 9, 8, 7, 6, 5, 4, 3, 2, 1, 0 } };
	static const uint8_t p[8][10] = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 },
		{ 1, 5, 7, 6, 2, 8, 3, 0, 9, 4 }, { 5, 8, 0, 3, 7, 9, 6, 1, 4, 2 },
		{ 8, 9, 1, 6, 0, 4, 3, 5, 2, 7 }, { 9, 4, 5, 3, 1, 2, 6, 8, 7, 0 },
		{ 4, 2, 8, 6, 5, 7, 3, 9, 0, 1 }, { 2, 7, 9, 3, 8, 0, 6, 4, 1, 5 },
		{ 7, 0, 4, 6, 9, 1, 3, 2, 5, 8 } };
	unsigned v = 0;

	for (size_t i = 0; i < 12; i++)
		v = d[v][p[i % 8][digit(c[11 - i])]];
	return v == 0;
}

NUMBERS(in_aadhaar, { 12, "4-4-4", aadhaar_shape, aadhaar_check, { LOW, HIGH }, { NONE, HIGH } });
BUILTIN_NUMBERS(in_aadhaar, "in-aadhaar", "Indian Aadhaar number (Verhoeff)", 60, 4);

KEYWORDS(in_pan, "pan", "pan card", "pan no", "pan number", "permanent account number",
    "income tax", "numéro pan");

static enum proof
in_pan_match(struct atoms *at, struct identifier *out)
{
	struct reading *r = &out->r;

	if (!in_capitals(at) || !reading_take(at, 10, "", r) || !reading_is(r, "AAAAA9999A") ||
	    !strchr("ABCEFGHJKLPT", r->c[3]) || memcmp(r->c + 5, "0000", 4) == 0)
		return PROOF_NONE;
	return found(out, LOW, HIGH);
}

BUILTIN_MATCH(in_pan, "in-pan", "Indian tax number (PAN)", 50, 1, 0, LEN(10), LEN(10));

KEYWORDS(cn_ric, "身份证", "身份证号", "身分證", "resident identity", "identity card",
    "id card", "id number", "chinese id", "carte d'identité");

/* Date of birth, then ISO 7064 mod 11-2. */
static enum proof
cn_ric_match(struct atoms *at, struct identifier *out)
{
	static const uint8_t weights[] = { 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2 };
	struct reading *r = &out->r;

	if (!reading_take(at, 18, "", r) || !reading_digits(r, 0, 17) ||
	    !strchr("1234568", r->c[0]) || (two(r->c + 6) != 19 && two(r->c + 6) != 20) ||
	    !is_day((int)reading_number(r, 6, 4), two(r->c + 10), two(r->c + 12)))
		return PROOF_NONE;
	if ("10X98765432"[weighted(r->c, weights, 17) % 11] != r->c[17])
		return PROOF_FAILED;
	return found(out, MEDIUM, HIGH);
}

BUILTIN_MATCH(cn_ric, "cn-ric", "Chinese identity number (date, mod 11-2)", 60, 2, LEN(18),
    LEN(18), LEN(18));

KEYWORDS(br_cpf, "cpf", "cadastro de pessoas físicas", "receita federal", "contribuinte",
    "taxpayer", "tax id", "numéro fiscal");

static bool
cpf_check(const char *c)
{
	static const uint8_t weights[] = { 11, 10, 9, 8, 7, 6, 5, 4, 3, 2 };
	unsigned a = 11 - weighted(c, weights + 1, 9) % 11;
	unsigned b = 11 - weighted(c, weights, 10) % 11;

	return (a > 9 ? 0 : a) == digit(c[9]) && (b > 9 ? 0 : b) == digit(c[10]);
}

NUMBERS(br_cpf, { 11, "3-3-3-2", digits_vary, cpf_check, { MEDIUM, HIGH }, { LOW, HIGH }, ".-" },
    { 11, "3-3-3-2", digits_vary, cpf_check, { LOW, HIGH }, { NONE, NONE }, " " });
BUILTIN_NUMBERS(br_cpf, "br-cpf", "Brazilian tax number (CPF, two check digits)", 60, 2);

KEYWORDS(kr_rrn, "주민등록번호", "주민번호", "resident registration", "rrn", "korean id",
    "numéro de résident");

static bool
rrn_shape(const char *c)
{
	return is_day(-1, two(c + 2), two(c + 4)) && c[6] >= '1' && c[6] <= '8';
}

/* Numbers given since October 2020 need not pass. */
static bool
rrn_check(const char *c)
{
	static const uint8_t weights[] = { 2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5 };

	return (11 - weighted(c, weights, 12) % 11) % 10 == digit(c[12]);
}

NUMBERS(kr_rrn, { 13, "6-7", rrn_shape, rrn_check, { MEDIUM, HIGH }, { LOW, HIGH } },
    { 13, "6-7", rrn_shape, NULL, { LOW, HIGH }, { NONE, MEDIUM } });
BUILTIN_NUMBERS(kr_rrn, "kr-rrn", "Korean resident number (date, check digit)", 60, 3);

KEYWORDS(za_id, "id number", "id no", "identity number", "south african id", "rsa id",
    "sa id", "identiteitsnommer", "numéro d'identité");

static bool
za_shape(const char *c)
{
	return is_day(-1, two(c + 2), two(c + 4)) && c[10] <= '2' && (c[11] == '8' || c[11] == '9');
}

static bool
za_check(const char *c)
{
	return luhn(c, 13);
}

NUMBERS(za_id,
    { 13, "6-4-3 6-4-2-1 6-4-1-1-1", za_shape, za_check, { MEDIUM, HIGH }, { LOW, HIGH } });
BUILTIN_NUMBERS(za_id, "za-id", "South African identity number (date, Luhn)", 60, 3);
