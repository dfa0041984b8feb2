/* identifiers_things.c -- devices, vehicles, travel documents, coins.
 *
 * Machine-readable zones (ICAO 9303) carry four or five check digits of their
 * own; Bitcoin addresses a checksum of 30 bits and more: these prove themselves.
 */
#include "digest.h"
#include "identifiers.h"

/* --- imei --------------------------------------------------------------------------- */

static const char *const imei_keywords[] = { "imei", "imei number", "n° imei",
	"numéro imei", "handset", "device id", "*#06#", "téléphone",
	"mobile", "smartphone", NULL };

/* The reporting body's two digits. */
static bool
imei_shape(const char *c)
{
	static const uint8_t bodies[] = { 1, 10, 30, 33, 35, 44, 45, 49, 50, 51, 52, 53, 54,
		86, 91, 98, 99 };

	return memchr(bodies, (int)digits_number(c, 2), sizeof(bodies)) != NULL;
}

static bool
imei_check(const char *c)
{
	return luhn(c, 15);
}

static const struct number imei_numbers[] = {
	{ 15, "2-6-6-1", imei_shape, imei_check, { CONFIDENCE_MEDIUM, CONFIDENCE_HIGH },
	    { CONFIDENCE_NONE, CONFIDENCE_HIGH } },
	{ 0 }
};

const struct builtin builtin_imei = {
	.name = "imei",
	.help = "mobile device number (IMEI, Luhn)",
	.keywords = imei_keywords,
	.within = 40,
	.mask_last = 4,
	.numbers = imei_numbers,
};

/* --- vin ---------------------------------------------------------------------------- */

static const char *const vin_keywords[] = { "vin", "vehicle identification", "vehicle",
	"chassis", "chassis number", "car", "registration", "véhicule", "châssis",
	"n° de châssis", "fin", "fahrgestellnummer", "fahrzeug-identifizierungsnummer",
	"fahrzeugidentifizierungsnummer", "fahrzeug", "chassisnummer", "bastidor", "telaio",
	"numéro de série", "carte grise", "immatriculation", NULL };

static unsigned
vin_value(char c)
{
	static const char values[] = "12345678.12345.7.923456789";	/* A to Z */

	return (unsigned)(c <= '9' ? c - '0' : values[c - 'A'] - '0');
}

static enum proof
vin_match(struct atoms *at, struct identifier *out)
{
	static const uint8_t weights[] = { 8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2 };
	struct reading *r = &out->r;
	unsigned sum = 0, letters = 0;
	bool checked;

	/* The last four are digits, and a maker's code has letters. */
	if (atoms_peek(at, 0)->lower || !reading_take(at, 17, "", r) || !reading_digits(r, 13, 4) ||
	    strpbrk(r->c, "IOQ"))
		return PROOF_NONE;
	for (size_t i = 0; i < 17; i++) {
		sum += weights[i] * vin_value(r->c[i]);
		letters += r->c[i] > '9';
	}
	if (letters < 2 || letters > 12)
		return PROOF_NONE;
	checked = "0123456789X"[sum % 11] == r->c[8];
	/* Only North America asks for the check digit. */
	out->alone = checked ? CONFIDENCE_LOW : CONFIDENCE_NONE;
	out->with_near = checked ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
	return PROOF_FOUND;
}

const struct builtin builtin_vin = {
	.name = "vin",
	.help = "vehicle identification number",
	.keywords = vin_keywords,
	.within = 50,
	.mask_last = 4,
	.mixed = LEN(17),
	.whole = LEN(17),
	.match = vin_match,
};

/* --- passport-mrz ------------------------------------------------------------------- */

static const char *const mrz_keywords[] = { "passport", "passeport", "passports",
	"passeports", "mrz", "identity card", "carte d'identité", "pièce d'identité",
	"travel document", "visa", "nationality", "nationalité", "reisepass", "pasaporte",
	"passaporto", NULL };

static unsigned
mrz_sum(const char *p, size_t n, unsigned *at)
{
	static const uint8_t weights[] = { 7, 3, 1 };
	unsigned sum = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned v = p[i] == '<' ? 0 : p[i] <= '9' ? (unsigned)(p[i] - '0') :
		    (unsigned)(p[i] - 'A') + 10;

		sum += v * weights[(*at)++ % 3];
	}
	return sum;
}

static bool
mrz_field(const char *p, size_t n, char check)
{
	unsigned at = 0;

	return (char)('0' + mrz_sum(p, n, &at) % 10) == check;
}

/* The check over several fields, each given as offset and length. */
static bool
mrz_composite(const char *p, const uint8_t fields[][2], size_t n, char check)
{
	unsigned at = 0, sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += mrz_sum(p + fields[i][0], fields[i][1], &at);
	return (char)('0' + sum % 10) == check;
}

static bool
mrz_is_date(const char *p)
{
	for (size_t i = 0; i < 6; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	return is_day(-1, digits_number(p + 2, 2), digits_number(p + 4, 2));
}

/* Number, birth and expiry, each with its digit, at the same places in both long forms. Visas (a V
 * in the first line) have no more; passports a personal number (parts 4 and 6) and the composite. */
static bool
mrz_long(const char *p, size_t n, bool visa)
{
	static const uint8_t of44[][2] = { { 0, 10 }, { 13, 7 }, { 21, 22 } };
	static const uint8_t of36[][2] = { { 0, 10 }, { 13, 7 }, { 21, 14 } };

	if (!mrz_field(p, 9, p[9]) || !mrz_field(p + 13, 6, p[19]) ||
	    !mrz_field(p + 21, 6, p[27]) || !mrz_is_date(p + 13) || !mrz_is_date(p + 21))
		return false;
	if (visa)
		return true;
	if (n == 36)
		return mrz_composite(p, of36, 3, p[35]);
	/* An empty personal number's digit may be left out. */
	return (p[42] == '<' || mrz_field(p + 28, 14, p[42])) && mrz_composite(p, of44, 3, p[43]);
}

/* Part 5. A number longer than nine characters goes on in the next field, with its digit. */
static bool
mrz_short(const char *a, const char *b)
{
	static const uint8_t fields[][2] = { { 5, 25 }, { 30, 7 }, { 38, 7 }, { 48, 11 } };
	char both[60];

	memcpy(both, a, 30);
	memcpy(both + 30, b, 30);
	return (both[14] == '<' || mrz_field(both + 5, 9, both[14])) &&
	    mrz_field(both + 30, 6, both[36]) && mrz_field(both + 38, 6, both[44]) &&
	    mrz_is_date(both + 30) && mrz_composite(both, fields, 4, both[59]);
}

/* The French identity card of 1988 to 2021: two lines of 36 with digits of its own. */
static bool
mrz_french(const char *a, const char *b)
{
	static const uint8_t all[][2] = { { 0, 71 } };
	char both[72];

	memcpy(both, a, 36);
	memcpy(both + 36, b, 36);
	return mrz_field(b, 12, b[12]) && mrz_field(b + 27, 6, b[33]) && mrz_is_date(b + 27) &&
	    mrz_composite(both, all, 1, both[71]);
}

static enum proof
mrz_prove(struct span text, struct identifier *out)
{
	struct span s = span_sub(text, out->r.from, out->r.to - out->r.from), line[3];
	size_t n = 0;
	bool proved = false;

	while (s.n > 0 && n < 3) {
		size_t len = 0;

		while (len < s.n && s.p[len] != '\r' && s.p[len] != '\n')
			len++;
		if (len > 0)
			line[n++] = span_sub(s, 0, len);
		s = span_from(s, len + 1);
	}
	if (n == 0)
		return PROOF_NONE;
	if (n == 2 && line[0].n == 36 && span_starts(line[0], SPAN_LIT("IDFRA")) &&
	    line[1].n == 36 && mrz_french(line[0].p, line[1].p))
		proved = true;
	else if (line[n - 1].n == 44 || line[n - 1].n == 36)
		proved = mrz_long(line[n - 1].p, line[n - 1].n, n > 1 && line[0].p[0] == 'V');
	else if (n == 2 && line[0].n == 30 && line[1].n == 30)
		proved = mrz_short(line[0].p, line[1].p);
	if (!proved)
		return PROOF_FAILED;
	out->alone = n > 1 ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
	out->with_near = CONFIDENCE_HIGH;
	return PROOF_FOUND;
}

const struct builtin builtin_passport_mrz = {
	.name = "passport-mrz",
	.help = "machine-readable zone of a passport or identity card (7-3-1)",
	.keywords = mrz_keywords,
	.within = 200,
	.mask_last = 0,
	.pattern = "(?<![A-Z0-9<])(?:"
		   "(?:[PVAIC][A-Z0-9<]{43}[\\r\\n]{1,2})?[A-Z0-9<]{9}[0-9][A-Z<]{3}[0-9]{"
		   "7}[MFX<][0-9]{7}[A-Z0-9<]{16}|"
		   "(?:[PVAIC][A-Z0-9<]{35}[\\r\\n]{1,2})?[A-Z0-9<]{9}[0-9][A-Z<]{3}[0-9]{"
		   "7}[MFX<][0-9]{7}[A-Z0-9<]{8}|"
		   "IDFRA[A-Z<]{25}[A-Z0-9<]{6}[\\r\\n]{1,2}[0-9A-Z]{12}[0-9][A-Z<]{14}[0-9]{7}[MF][0-9]|"
		   "[AIC][A-Z0-9<]{13}[0-9<][A-Z0-9<]{15}[\\r\\n]{1,2}[0-9]{7}[MFX<][0-9]{"
		   "7}[A-Z<]{3}[A-Z0-9<]{11}[0-9]"
		   ")(?![A-Z0-9<])",
	.prove = mrz_prove,
};

/* --- bitcoin-address ---------------------------------------------------------------- */

static const char *const bitcoin_keywords[] = { "bitcoin", "btc", "wallet", "address",
	"portefeuille", "adresse", "satoshi", "crypto", "ransom", "rançon", NULL };

/* Base58Check: 25 bytes, the last four begin the double SHA-256 of the others. */
static bool
base58_checked(struct span s)
{
	static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
	uint8_t b[25] = { 0 }, once[32], twice[32];

	for (size_t i = 0; i < s.n; i++) {
		const char *at = strchr(alphabet, s.p[i]);
		unsigned carry;

		if (at == NULL || *at == '\0')
			return false;
		carry = (unsigned)(at - alphabet);
		for (size_t k = sizeof(b); k-- > 0;) {
			carry += 58u * b[k];
			b[k] = (uint8_t)carry;
			carry >>= 8;
		}
		if (carry)
			return false;
	}
	if (b[0] != 0x00 && b[0] != 0x05)
		return false;
	digest_sha256(b, 21, once);
	digest_sha256(once, 32, twice);
	return memcmp(twice, b + 21, 4) == 0;
}

/* BIP 173 and 350; hrp is "bc". */
static bool
bech32_checked(struct span s)
{
	static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
	static const uint32_t generator[] = { 0x3b6a57b2, 0x26508e6d, 0x1ea119fa,
		0x3d4233dd, 0x2a1462b3 };
	static const uint8_t head[] = { 3, 3, 0, 2, 3 };	/* "bc" expanded */
	uint32_t sum = 1, version = 0;

	for (size_t i = 0; i < sizeof(head) + s.n - 3; i++) {
		uint32_t top = sum >> 25, v;

		if (i < sizeof(head)) {
			v = head[i];
		} else {
			const char *at = strchr(alphabet, ascii_lower(s.p[3 + i - sizeof(head)]));

			if (at == NULL || *at == '\0')
				return false;
			v = (uint32_t)(at - alphabet);
			if (i == sizeof(head))
				version = v;
		}
		sum = (sum & 0x1ffffff) << 5 ^ v;
		for (size_t k = 0; k < 5; k++)
			if (top >> k & 1)
				sum ^= generator[k];
	}
	/* Version 0: a hash of 20 or 32 bytes; above, the other constant. */
	if (version == 0)
		return sum == 1 && (s.n == 42 || s.n == 62);
	return version <= 16 && sum == 0x2bc830a3;
}

static enum proof
bitcoin_prove(struct span text, struct identifier *out)
{
	struct span s = span_sub(text, out->r.from, out->r.to - out->r.from);

	/* Upper and lower case are different digits: the value is the text itself. */
	out->r.n = 0;
	if (!(ascii_lower(s.p[0]) == 'b' ? bech32_checked(s) : base58_checked(s)))
		return PROOF_FAILED;
	out->alone = CONFIDENCE_MEDIUM;
	out->with_near = CONFIDENCE_HIGH;
	return PROOF_FOUND;
}

static enum proof
bitcoin_match(struct atoms *at, struct identifier *out)
{
	const struct atom *o = atoms_peek(at, 0);

	if (o->c[0] != '1' && o->c[0] != '3')
		return PROOF_NONE;
	out->r.from = o->from;
	out->r.to = o->to;
	out->r.ngroups = 1;
	return bitcoin_prove(at->text, out) == PROOF_FOUND ? PROOF_FOUND : PROOF_NONE;
}

const struct builtin builtin_bitcoin_address = {
	.name = "bitcoin-address",
	.help = "Bitcoin address (double SHA-256 or bech32)",
	.keywords = bitcoin_keywords,
	.within = 80,
	.mask_last = 4,
	.mixed = ~UINT64_C(0) << 26 & (LEN(36) - 1),
	.whole = ~UINT64_C(0) << 26 & (LEN(36) - 1),
	.match = bitcoin_match,
	.pattern = "(?<![\\w@/+=-])(?:bc1[02-9ac-hj-np-z]{11,71}|BC1[02-9AC-HJ-NP-Z]{11,71})"
	    "(?![\\w@/+=]|[-.]\\w)",
	.prove = bitcoin_prove,
};
