/* identifiers_bank.c -- payment cards and bank accounts.
 *
 * Card: the issuer's prefix and its lengths, Luhn (ISO/IEC 7812). Measured on
 * real mail, Luhn alone is met by a tenth of all long numbers; with issuer and
 * length next to none is. Grouped as on the card it stands for itself; as a
 * bare run of digits it wants a keyword.
 * IBAN: ISO 13616, the registry's structure of each country and mod 97.
 */
#include "identifiers.h"

/* --- payment-card ------------------------------------------------------------------- */

static const struct issuer {
	uint32_t from, to;	/* first six digits, both included */
	uint64_t lengths;
} issuers[] = {
	{ 220000, 220499, LEN(16) | LEN(17) | LEN(18) | LEN(19) },	/* Mir */
	{ 222100, 272099, LEN(16) },				/* Mastercard */
	{ 300000, 305999, LEN(14) | LEN(16) },			/* Diners Club */
	{ 309500, 309599, LEN(14) | LEN(16) },
	{ 340000, 349999, LEN(15) },				/* American Express */
	{ 352800, 358999, LEN(16) | LEN(17) | LEN(18) | LEN(19) },	/* JCB */
	{ 360000, 369999, LEN(14) | LEN(16) | LEN(19) },	/* Diners Club */
	{ 370000, 379999, LEN(15) },				/* American Express */
	{ 380000, 399999, LEN(14) | LEN(16) | LEN(19) },	/* Diners Club */
	{ 400000, 499999, LEN(13) | LEN(16) | LEN(19) },	/* Visa */
	{ 500000, 509999, LEN(16) | LEN(18) | LEN(19) },	/* Maestro, Elo, RuPay, Verve */
	{ 510000, 559999, LEN(16) },				/* Mastercard */
	{ 560000, 589999, LEN(16) | LEN(18) | LEN(19) },	/* Maestro */
	{ 601100, 601199, LEN(16) | LEN(17) | LEN(18) | LEN(19) },	/* Discover */
	{ 604000, 604699, LEN(16) },				/* Maestro */
	{ 606282, 606282, LEN(16) },				/* Hipercard */
	{ 607000, 608999, LEN(16) },				/* RuPay */
	{ 620000, 629999, LEN(16) | LEN(17) | LEN(18) | LEN(19) },	/* UnionPay */
	{ 630400, 630499, LEN(16) | LEN(18) | LEN(19) },	/* Maestro */
	{ 636297, 636297, LEN(16) },				/* Elo */
	{ 636368, 636368, LEN(16) },
	{ 637000, 639999, LEN(16) | LEN(18) | LEN(19) },	/* InstaPayment, Maestro */
	{ 644000, 659999, LEN(16) | LEN(17) | LEN(18) | LEN(19) },	/* Discover, RuPay, Elo */
	{ 670000, 679999, LEN(16) | LEN(18) | LEN(19) },	/* Maestro */
	{ 810000, 817199, LEN(16) | LEN(17) | LEN(18) | LEN(19) },	/* UnionPay, RuPay */
	{ 979200, 979299, LEN(16) },				/* Troy */
};

static const char *const card_keywords[] = { "credit card", "credit cards", "debit card",
	"debit cards", "payment card", "payment cards", "bank card", "card number",
	"card numbers", "card no", "card num", "card nr", "card #", "cardnumber",
	"cardholder", "card holder", "name on card", "visa", "mastercard", "master card",
	"maestro", "amex", "american express", "diners club", "unionpay", "cvv", "cvv2",
	"cvc", "cvc2", "security code", "expiry date", "expiration date", "valid thru",
	"good thru", "ccn", "cc number", "cc no", "carte bancaire", "cartes bancaires",
	"carte de crédit", "cartes de crédit", "carte de débit", "carte bleue",
	"carte de paiement", "cartes de paiement", "carte visa", "cb", "n° cb",
	"numéro de carte", "numéros de carte", "n° de carte", "no de carte", "num carte",
	"numéro carte", "n° carte", "titulaire de la carte", "porteur de la carte",
	"cryptogramme", "date d'expiration", "code de sécurité", "pictogramme", NULL };

static bool
card_issued(const struct reading *r)
{
	uint32_t head = reading_number(r, 0, 6);

	for (size_t i = 0; i < sizeof(issuers) / sizeof(*issuers); i++)
		if (head >= issuers[i].from && head <= issuers[i].to)
			return issuers[i].lengths >> r->n & 1;
	return false;
}

static bool
card_varied(const struct reading *r)
{
	for (size_t i = 1; i < r->n; i++)
		if (r->c[i] != r->c[0])
			return true;
	return false;
}

static bool
card_grouped(const struct reading *r)
{
	static const char *const forms[] = { "4-4-4-4", "4-6-5", "4-6-4", "4-4-4-4-3", "4-4-4-4-2",
		"4-4-4-4-1", "6-13", "4-3-3-3", NULL };

	if (r->sep == '?')
		return false;
	for (size_t i = 0; forms[i]; i++)
		if (reading_grouped(r, forms[i]))
			return true;
	return false;
}

/* Four groups of four from atom i on that are a card. */
static bool
card_follows(struct atoms *at, size_t i, char sep)
{
	struct reading r = { .n = 0 };

	if (i + 4 > ATOMS_JOINED_MAX)
		return false;
	for (size_t k = 0; k < 4; k++) {
		const struct atom *o = atoms_peek(at, i + k);

		if (o->kind != ATOM_DIGITS || o->n != 4 || (k && o->sep != sep))
			return false;
		memcpy(r.c + r.n, o->c, 4);
		r.n += 4;
	}
	return card_issued(&r) && luhn(r.c, r.n);
}

/* Groups of four before or behind the reading make it a piece of a longer number (an
 * IBAN's middle looks like that), unless what follows is an expiry date or a card too. */
static bool
card_piece(struct atoms *at, const struct reading *r)
{
	const struct atom *o = atoms_peek(at, 0);
	char sep = r->sep;

	if (r->ngroups == 1)
		return false;
	if (at->before.kind != ATOM_NONE && o->sep == sep && o->n == 4 && at->before.n == 4 &&
	    at->before.to != at->claimed)
		return true;
	if (r->ngroups + 1 > ATOMS_JOINED_MAX)
		return false;
	o = atoms_peek(at, r->ngroups);
	if (o->kind == ATOM_DIGITS && o->n == 4 && o->sep == sep) {
		unsigned month = (unsigned)(o->c[0] - '0') * 10 + (unsigned)(o->c[1] - '0');

		if (card_follows(at, r->ngroups, sep))
			return false;
		o = atoms_peek(at, r->ngroups + 1u);
		return month < 1 || month > 12 ||
		    (o->kind == ATOM_DIGITS && o->n == 4 && o->sep == sep);
	}
	return false;
}

/* The reading at the current atom that is n digits long, if there is one. */
static enum proof
card_read(struct atoms *at, size_t n, struct identifier *out)
{
	struct reading *r = &out->r;

	if (!reading_take(at, n, " -.", r) || !reading_digits(r, 0, n) || !card_issued(r) ||
	    !card_varied(r))
		return PROOF_NONE;
	/* Groups of one or two digits are columns of a table, not a card. */
	for (size_t i = 0; i < r->ngroups; i++)
		if (r->group[i] < 3 && !card_grouped(r))
			return PROOF_NONE;
	if (card_piece(at, r))
		return PROOF_NONE;
	if (!luhn(r->c, n))
		return PROOF_FAILED;
	if (r->ngroups > 1 && card_grouped(r)) {
		out->alone = CONFIDENCE_MEDIUM;
		out->with_near = CONFIDENCE_HIGH;
	} else {
		out->alone = CONFIDENCE_LOW;
		out->with_near = n == 15 || n == 16 ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
	}
	return PROOF_FOUND;
}

static enum proof
card_match(struct atoms *at, struct identifier *out)
{
	static const uint8_t lengths[] = { 16, 15, 14, 19, 18, 17, 13 };
	const struct atom *o = atoms_peek(at, 0);
	enum proof best = PROOF_NONE;

	if (o->n >= 13)
		return card_read(at, o->n, out);
	if (atoms_peek(at, 1)->sep == 0 || atoms_peek(at, 1)->kind != ATOM_DIGITS)
		return PROOF_NONE;
	for (size_t i = 0; i < sizeof(lengths); i++) {
		enum proof proof = card_read(at, lengths[i], out);

		if (proof == PROOF_FOUND)
			return proof;
		if (proof == PROOF_FAILED)
			best = proof;
	}
	return best;
}

const struct builtin builtin_payment_card = {
	.name = "payment-card",
	.help = "payment card number (issuer, length, Luhn)",
	.keywords = card_keywords,
	.within = 100,
	.mask_last = 4,
	.digits = LEN(4) | LEN(6) | LEN(8) | LEN(13) | LEN(14) | LEN(15) | LEN(16) |
	    LEN(17) | LEN(18) | LEN(19),
	.whole = LEN(13) | LEN(14) | LEN(15) | LEN(16) | LEN(17) | LEN(18) | LEN(19),
	.several = CONFIDENCE_MEDIUM,
	.match = card_match,
};

/* --- iban --------------------------------------------------------------------------- */

/* The registry's BBAN structures: n digits, a letters, c letters or digits. */
static const struct {
	char country[3];
	char bban[16];
} registry[] = {
	{ "AD", "8n12c" },
	{ "AE", "19n" },
	{ "AL", "8n16c" },
	{ "AT", "16n" },
	{ "AZ", "4a20c" },
	{ "BA", "16n" },
	{ "BE", "12n" },
	{ "BG", "4a6n8c" },
	{ "BH", "4a14c" },
	{ "BI", "23n" },
	{ "BR", "23n1a1c" },
	{ "BY", "4c4n16c" },
	{ "CH", "5n12c" },
	{ "CR", "18n" },
	{ "CY", "8n16c" },
	{ "CZ", "20n" },
	{ "DE", "18n" },
	{ "DJ", "23n" },
	{ "DK", "14n" },
	{ "DO", "4c20n" },
	{ "EE", "16n" },
	{ "EG", "25n" },
	{ "ES", "20n" },
	{ "FI", "14n" },
	{ "FK", "2a12n" },
	{ "FO", "14n" },
	{ "FR", "10n11c2n" },
	{ "GB", "4a14n" },
	{ "GE", "2a16n" },
	{ "GI", "4a15c" },
	{ "GL", "14n" },
	{ "GR", "7n16c" },
	{ "GT", "24c" },
	{ "HN", "4a20n" },
	{ "HR", "17n" },
	{ "HU", "24n" },
	{ "IE", "4a14n" },
	{ "IL", "19n" },
	{ "IQ", "4a15n" },
	{ "IS", "22n" },
	{ "IT", "1a10n12c" },
	{ "JO", "4a4n18c" },
	{ "KW", "4a22c" },
	{ "KZ", "3n13c" },
	{ "LB", "4n20c" },
	{ "LC", "4a24c" },
	{ "LI", "5n12c" },
	{ "LT", "16n" },
	{ "LU", "3n13c" },
	{ "LV", "4a13c" },
	{ "LY", "21n" },
	{ "MC", "10n11c2n" },
	{ "MD", "20c" },
	{ "ME", "18n" },
	{ "MK", "3n10c2n" },
	{ "MN", "16n" },
	{ "MR", "23n" },
	{ "MT", "4a5n18c" },
	{ "MU", "4a19n3a" },
	{ "NI", "4a20n" },
	{ "NL", "4a10n" },
	{ "NO", "11n" },
	{ "OM", "3n16c" },
	{ "PK", "4a16c" },
	{ "PL", "24n" },
	{ "PS", "4a21c" },
	{ "PT", "21n" },
	{ "QA", "4a21c" },
	{ "RO", "4a16c" },
	{ "RS", "18n" },
	{ "RU", "14n15c" },
	{ "SA", "2n18c" },
	{ "SC", "4a20n3a" },
	{ "SD", "14n" },
	{ "SE", "20n" },
	{ "SI", "15n" },
	{ "SK", "20n" },
	{ "SM", "1a10n12c" },
	{ "SO", "19n" },
	{ "ST", "21n" },
	{ "SV", "4a20n" },
	{ "TL", "19n" },
	{ "TN", "20n" },
	{ "TR", "6n16c" },
	{ "UA", "6n19c" },
	{ "VA", "18n" },
	{ "VG", "4a16n" },
	{ "XK", "16n" },
	{ "YE", "4a4n18c" },
};

static const char *const iban_keywords[] = { "iban", "ibans", "bank account",
	"account number", "account no", "bank details", "bank transfer", "wire transfer",
	"account holder", "beneficiary", "swift", "bic", "sepa", "direct debit", "payee",
	"compte bancaire", "comptes bancaires", "numéro de compte", "n° de compte",
	"no de compte", "rib", "coordonnées bancaires", "virement", "virements",
	"prélèvement", "bénéficiaire", "titulaire du compte", "domiciliation",
	"kontonummer", "bankverbindung", "konto", "rekening", "conto corrente",
	"cuenta bancaria", "número de cuenta", "rekeningnummer", "bankrekening", "numer konta",
	"rachunek", "rachunek bankowy", "konto bankowe", "conta bancária", "nib", "bankkonto",
	"kontonr", "tilinumero", "pankkitili", "coordinate bancarie", "bankgegevens", NULL };

static const char *
iban_structure(const char *country)
{
	size_t lo = 0, hi = sizeof(registry) / sizeof(*registry);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int d = memcmp(country, registry[mid].country, 2);

		if (d == 0)
			return registry[mid].bban;
		if (d < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

/* Characters of an IBAN of that structure; with text, 0 when the text is not of it. */
static size_t
iban_fits(const char *bban, const char *text)
{
	size_t total = 4;

	while (*bban) {
		unsigned n = 0;

		while (*bban >= '0' && *bban <= '9')
			n = n * 10 + (unsigned)(*bban++ - '0');
		for (unsigned i = 0; text && i < n; i++) {
			char c = text[total + i];
			bool digit = c >= '0' && c <= '9';

			if ((*bban == 'n' && !digit) || (*bban == 'a' && digit))
				return 0;
		}
		total += n;
		bban++;
	}
	return total;
}

static bool
iban_checked(const char *c, size_t n)
{
	unsigned v = 0;

	for (size_t i = 0; i < n; i++) {
		char x = c[(i + 4) % n];

		v = x <= '9' ? (v * 10 + (unsigned)(x - '0')) % 97 :
		    (v * 100 + (unsigned)(x - 'A') + 10) % 97;
	}
	return v == 1;
}

static enum proof
iban_match(struct atoms *at, struct identifier *out)
{
	const struct atom *o = atoms_peek(at, 0);
	struct reading *r = &out->r;
	const char *bban;
	bool upper = false, lower = false;
	size_t n;

	if (o->c[0] < 'A' || o->c[1] < 'A' || o->c[2] > '9' || o->c[3] > '9')
		return PROOF_NONE;
	if ((bban = iban_structure(o->c)) == NULL)
		return PROOF_NONE;
	n = iban_fits(bban, NULL);
	if (o->n > 8 && o->n != n)
		return PROOF_NONE;
	if (!reading_take(at, n, " -.", r) || !iban_fits(bban, r->c))
		return PROOF_NONE;
	if (!iban_checked(r->c, n))
		return PROOF_FAILED;
	for (size_t i = 0; i < r->ngroups; i++) {
		o = atoms_peek(at, i);
		upper |= o->upper;
		lower |= o->lower;
	}
	/* Both cases at once is how base64 looks, not how people write. */
	out->alone = upper && lower ? CONFIDENCE_LOW : CONFIDENCE_MEDIUM;
	out->with_near = CONFIDENCE_HIGH;
	return PROOF_FOUND;
}

const struct builtin builtin_iban = {
	.name = "iban",
	.help = "international bank account number (country structure, mod 97)",
	.keywords = iban_keywords,
	.within = 100,
	.mask_last = 4,
	.mixed = ~UINT64_C(0) << 4 & (LEN(35) - 1),
	.whole = ~UINT64_C(0) << 15 & (LEN(35) - 1),
	.several = CONFIDENCE_MEDIUM,
	.match = iban_match,
};

/* --- bic ---------------------------------------------------------------------------- */

static const char *const bic_keywords[] = { "bic", "swift", "swift code", "bic/swift",
	"code swift", "code bic", "bic code", "bic-code", "swift-code", "codice bic", "código bic",
	"código swift", "codice swift", "iban", "bank identifier", NULL };

/* The first four letters of large banks: with the country behind them no word looks like it. */
static const char banks[] =
    "BNPA SOGE CRLY AGRI CEPA CMCI PSST CCBP BRED CCFR AXAB BOUS FTNO CMBR CMCA CMBF CFFR SBEX NORD TARN BMMM "
    "BPCE BPPR CRCA LYDI MILG NATX TRPU BNUG SMCT COUR DEUT COBA HYVE GENO PBNK INGD DRES HELA SOLA NOLA BYLA "
    "BELA WELA MARK DKBA NTSB BARC HBUK LOYD NWBK MIDL RBOS HBOS ABBY NAIA CLYD BUKB COUT CHAS CITI BOFA WFBI "
    "PNCC USBK IRVT GSCR MSNY BKTR INGB ABNA RABO SNSB TRIO KNAB BUNQ ASNB FTSB KRED GEBA BBRU AXAB ARSP NICA "
    "GKCC UBSW CRES POFI ZKBK RAIF BCVL BCGE BBVA CAIX BSCH BSAB BKBK CAGL BCOE UNCR BCIT BPMO PASC BAPP FEBI "
    "BPPI CRPP BKAU GIBA RZOO OBKL BAWA VBOE NDEA DNBA DABA JYBA SPAR NYKB ESSE SWED HAND ELLF OKOY HELS ITEL "
    "BCOM CGDI BESC TOTA ACTV MPIO PKOP BREX WBKP PKOB INGB ALBP PPAB GIBA CEKO KOMB TATR SUBA OTPV BACX RNCB "
    "BTRL ETHN CRBA PIRB ERBK AIBK BOFI ULSB IPBS BGLL CCRA BCEE CELL BILL ROYC TDOM BOFM NOSC CIBC BOTK MHCB "
    "SMBC BKCH ICBK PCBC ABOC COMM HSBC SCBL DBSS OCBC UOVB NATA WPAC ANZB CTBA REVO TRWI MODR SXPY MYMB ";

/* ISO 3166, with those the finance world adds. */
static bool
is_country(const char *c)
{
	static const char countries[] = "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJ"
					"BLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCMCN"
					"COCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETEUFIFJFK"
					"FMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHK"
					"HMHNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKN"
					"KPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMH"
					"MKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONP"
					"NRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRU"
					"RWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTF"
					"TGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVG"
					"VIVNVUWFWSXKXSYEYTZAZMZW";

	for (size_t i = 0; i + 1 < sizeof(countries); i += 2)
		if (memcmp(countries + i, c, 2) == 0)
			return true;
	return false;
}

/* No checksum: words in capitals look the same, so the keyword stands close, and without a
 * digit, the three X of a head office or a known bank, it stays in doubt. */
static enum proof
bic_prove(struct span text, struct identifier *out)
{
	struct reading *r = &out->r;
	struct span s = span_sub(text, r->from, r->to - r->from);
	bool sure = s.n == 11 && s.p[8] == 'X' && s.p[9] == 'X' && s.p[10] == 'X';

	if (!reading_compact(s, s.n, r) || !is_country(r->c + 4))
		return PROOF_NONE;
	for (const char *b = banks; *b; b += 5)
		sure |= memcmp(b, r->c, 4) == 0;
	for (size_t i = 6; i < r->n; i++)
		sure |= r->c[i] <= '9';
	out->alone = CONFIDENCE_NONE;
	out->with_near = sure ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
	return PROOF_FOUND;
}

const struct builtin builtin_bic = {
	.name = "bic",
	.help = "bank identifier code (country, with a keyword)",
	.keywords = bic_keywords,
	.within = 30,
	.mask_last = 3,
	.pattern = "(?<![\\w.@/-])[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?(?![\\w@]|[-.]\\w)",
	.prove = bic_prove,
};

/* --- fr-rib ------------------------------------------------------------------------- */

static const char *const rib_keywords[] = { "rib", "relevé d'identité bancaire",
	"code banque", "code guichet", "clé rib", "numéro de compte", "n° de compte",
	"compte bancaire", "domiciliation", "virement", "bank account", "account number",
	"bank details", NULL };

/* Key: 89 * bank + 15 * branch + 3 * account + key divides by 97; letters count 1 to 9. */
static enum proof
rib_match(struct atoms *at, struct identifier *out)
{
	static const char value[] = "12345678912345678923456789";
	struct reading *r = &out->r;
	char c[23];

	if (!reading_take(at, 23, " -.", r) || !reading_digits(r, 0, 10) ||
	    !reading_digits(r, 21, 2))
		return PROOF_NONE;
	if (r->ngroups > 1 && !reading_grouped(r, "5-5-11-2"))
		return PROOF_NONE;
	for (size_t i = 0; i < 23; i++)
		c[i] = r->c[i] >= 'A' ? value[r->c[i] - 'A'] : r->c[i];
	if (memcmp(c, "0000000000", 10) == 0)
		return PROOF_NONE;
	if ((89 * digits_mod(c, 5, 97) + 15 * digits_mod(c + 5, 5, 97) +
		3 * digits_mod(c + 10, 11, 97) + digits_mod(c + 21, 2, 97)) %
		97 !=
	    0)
		return PROOF_FAILED;
	out->alone = r->ngroups > 1 ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
	out->with_near = CONFIDENCE_HIGH;
	return PROOF_FOUND;
}

const struct builtin builtin_fr_rib = {
	.name = "fr-rib",
	.help = "French bank account (RIB, key mod 97)",
	.keywords = rib_keywords,
	.within = 100,
	.mask_last = 4,
	.digits = LEN(5) | LEN(23),
	.mixed = LEN(23),
	.whole = LEN(23),
	.several = CONFIDENCE_MEDIUM,
	.match = rib_match,
};

/* --- us-aba ------------------------------------------------------------------------- */

static const char *const aba_keywords[] = { "aba", "routing number", "routing no",
	"routing #", "routing transit", "rtn", "transit number", "aba number",
	"wire routing", "ach", "numéro de routage", "code aba", NULL };

static bool
aba_shape(const char *c)
{
	unsigned head = digits_number(c, 2);

	return (head <= 12 || (head >= 21 && head <= 32) || (head >= 61 && head <= 72) ||
		   head == 80) &&
	    memcmp(c, "00000", 5) != 0;
}

static bool
aba_check(const char *c)
{
	static const uint8_t weights[] = { 3, 7, 1, 3, 7, 1, 3, 7, 1 };

	return weighted(c, weights, 9) % 10 == 0;
}

static const struct number aba_numbers[] = {
	{ 9, "4-4-1 3-3-3", aba_shape, aba_check, { CONFIDENCE_NONE, CONFIDENCE_HIGH },
	    { CONFIDENCE_NONE, CONFIDENCE_HIGH } },
	{ 0 }
};

const struct builtin builtin_us_aba = {
	.name = "us-aba",
	.help = "US bank routing number (3-7-1, with a keyword)",
	.keywords = aba_keywords,
	.within = 50,
	.mask_last = 3,
	.numbers = aba_numbers,
};

/* --- isin --------------------------------------------------------------------------- */

static const char *const isin_keywords[] = { "isin", "code isin", "security", "securities",
	"titre", "titres", "valeur mobilière", "fund", "fonds", "share class", "obligation",
	"bond", NULL };

static enum proof
isin_match(struct atoms *at, struct identifier *out)
{
	struct reading *r = &out->r;
	char c[24];
	size_t n = 0;

	if (atoms_peek(at, 0)->lower || !reading_take(at, 12, "", r) ||
	    !reading_is(r, "AA*********9") || !is_country(r->c))
		return PROOF_NONE;
	for (size_t i = 0; i < 12; i++) {
		unsigned v = r->c[i] <= '9' ? (unsigned)(r->c[i] - '0')
					    : (unsigned)(r->c[i] - 'A') + 10;

		if (v >= 10)
			c[n++] = (char)('0' + v / 10);
		c[n++] = (char)('0' + v % 10);
	}
	if (!luhn(c, n))
		return PROOF_FAILED;
	out->alone = CONFIDENCE_LOW;
	out->with_near = CONFIDENCE_HIGH;
	return PROOF_FOUND;
}

const struct builtin builtin_isin = {
	.name = "isin",
	.help = "securities identification number (country, check digit)",
	.keywords = isin_keywords,
	.within = 60,
	.mask_last = 4,
	.mixed = LEN(12),
	.whole = LEN(12),
	.match = isin_match,
};
