/* secrets.c -- keys, tokens and passwords that should not be in a mail.
 *
 * Most name themselves by a prefix. What can be proved is: a checksum
 * (GitHub), a body that decodes (private keys, JWT, Azure), the look of
 * something chosen or drawn rather than written (passwords). Placeholders of
 * manuals ("<password>", "${SECRET}", "********") are no secrets.
 */
#include "digest.h"
#include "identifiers.h"

#define LOW CONFIDENCE_LOW
#define MEDIUM CONFIDENCE_MEDIUM
#define HIGH CONFIDENCE_HIGH

#define KEYWORDS(name, ...) static const char *const name##_keywords[] = { __VA_ARGS__, NULL }
#define SECRET(id, text, doc, reach, shown, regex)                                         \
	const struct builtin builtin_##id = { .name = text,                                \
		.help = doc,                                                               \
		.keywords = id##_keywords,                                                 \
		.within = reach,                                                           \
		.mask_last = shown,                                                        \
		.several = MEDIUM,                                                         \
		.pattern = regex,                                                          \
		.prove = id##_prove }

static struct span
match_of(struct span text, const struct identifier *id)
{
	return span_sub(text, id->r.from, id->r.to - id->r.from);
}

static enum proof
found(struct identifier *out, enum confidence alone, enum confidence with_near)
{
	out->alone = alone;
	out->with_near = with_near;
	return PROOF_FOUND;
}

/* The kinds of characters in it: a bit each for lower, upper, digit, other. */
static unsigned
kinds(struct span s)
{
	unsigned k = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		k |= c >= 'a' && c <= 'z'  ? 1
		    : c >= 'A' && c <= 'Z' ? 2
		    : c >= '0' && c <= '9' ? 4
					   : 8;
	}
	return k;
}

/* Different characters, counted up to a fair number. */
static unsigned
variety(struct span s)
{
	bool seen[256] = { 0 };
	unsigned n = 0;

	for (size_t i = 0; i < s.n; i++) {
		n += !seen[(uint8_t)s.p[i]];
		seen[(uint8_t)s.p[i]] = true;
	}
	return n;
}

/* A word that stands for a secret in manuals and forms. */
static bool
is_placeholder(struct span s)
{
	static const char *const words[] = { "password", "passwd", "secret", "motdepasse",
		"example", "exemple", "changeme", "your", "votre", "xxxx", "****", "....",
		"redacted", "hidden", NULL };

	if (s.n == 0 || strchr("<${%[(", s.p[0]) || variety(s) < 4)
		return true;
	for (size_t i = 0; words[i]; i++)
		if (span_starts_nocase(s, span_str(words[i])))
			return true;
	return false;
}

/* --- private-key -------------------------------------------------------------------- */

KEYWORDS(private_key, "secret key", "clé privée", "clé secrète", "ssh", "openssl", "pem",
    "rsa", "certificate", "certificat", "secret");

static enum proof
private_key_prove(struct span text, struct identifier *out)
{
	struct span s = match_of(text, out);
	size_t dashes = 0, body = 0, i = 0;
	bool seen[256] = { 0 };
	unsigned different = 0;

	/* The body lies between the second and the third run of dashes. */
	while (i < s.n && dashes < 10)
		dashes += s.p[i++] == '-';
	for (; i < s.n && s.p[i] != '-'; i++) {
		uint8_t c = (uint8_t)s.p[i];
		uint8_t byte;

		if (digest_base64(span_make(s.p + i, 1), &byte, 1) == -1 && c <= ' ')
			continue;
		body++;
		different += !seen[c];
		seen[c] = true;
	}
	/* A heading alone is talk of keys. */
	if (body < 40 || different < 16)
		return found(out, LOW, MEDIUM);
	return found(out, HIGH, HIGH);
}

SECRET(private_key, "private-key", "private key in PEM or PGP armour", 80, 0,
    "-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    "(?:[^-]{20,20000}-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?");

/* --- clouds ------------------------------------------------------------------------- */

KEYWORDS(aws_key, "aws", "amazon", "aws_access_key_id", "aws_secret_access_key",
    "access key", "secret key", "iam", "s3", "clé d'accès", "clé secrète");

static enum proof
aws_key_prove(struct span text, struct identifier *out)
{
	struct span s = match_of(text, out);

	if (s.n == 20)
		return variety(span_from(s, 4)) < 5 ? PROOF_NONE : found(out, MEDIUM, HIGH);
	if ((kinds(s) & 7) != 7 || variety(s) < 12)
		return PROOF_NONE;
	return found(out, HIGH, HIGH);
}

SECRET(aws_key, "aws-key", "Amazon Web Services access key", 100, 4,
    "(?<![A-Za-z0-9+/_])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9+/_=])|"
    "(?i:secret_?access_?key)[\"']?[ \\t]{0,3}(?:[:=]|=>)[ "
    "\\t]{0,3}[\"']?\\K[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])");

KEYWORDS(gcp_key, "google", "gcp", "api key", "google cloud", "firebase", "service account",
    "clé api", "compte de service");

static enum proof
gcp_key_prove(struct span text, struct identifier *out)
{
	struct span s = match_of(text, out);

	if (span_starts(s, SPAN_LIT("AIza")) && variety(s) < 14)
		return PROOF_NONE;
	return found(out, MEDIUM, HIGH);
}

SECRET(gcp_key, "gcp-key", "Google Cloud API key or OAuth secret", 100, 4,
    "(?<![A-Za-z0-9_-])(?:AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{28})(?![A-Za-z0-9_-])");

KEYWORDS(azure_key, "azure", "microsoft", "storage account", "client secret", "tenant",
    "service bus", "compte de stockage", "secret client");

static enum proof
azure_key_prove(struct span text, struct identifier *out)
{
	struct span s = match_of(text, out);
	bool padded = s.p[s.n - 1] == '=';	/* a key of 64 or 32 bytes behind its name */

	if (variety(s) < 14)
		return PROOF_NONE;
	if (padded)
		return found(out, HIGH, HIGH);
	return (kinds(s) & 7) == 7 ? found(out, MEDIUM, HIGH) : PROOF_NONE;
}

SECRET(azure_key, "azure-key", "Azure storage key or client secret", 100, 4,
    "(?i:AccountKey|SharedAccessKey)=\\K(?:[A-Za-z0-9+/]{86}==|[A-Za-z0-9+/]{43}=)|"
    "(?<![A-Za-z0-9_~.-])[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~-])");

/* --- forges and services ------------------------------------------------------------ */

KEYWORDS(github_token, "github", "token", "jeton", "personal access token", "gh", "git");

/* Thirty characters drawn, six that are their CRC-32 in base 62. */
static enum proof
github_token_prove(struct span text, struct identifier *out)
{
	static const char digits[] =
	    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	struct span s = match_of(text, out);
	uint32_t crc;

	if (span_starts(s, SPAN_LIT("github_pat_")))
		return variety(s) >= 20 ? found(out, HIGH, HIGH) : PROOF_NONE;
	crc = digest_crc32(s.p + 4, 30);
	for (size_t i = 0; i < 6; i++, crc /= 62)
		if (s.p[39 - i] != digits[crc % 62])
			return PROOF_FAILED;
	return found(out, HIGH, HIGH);
}

SECRET(github_token, "github-token", "GitHub token (CRC-32)", 100, 4,
    "(?<![A-Za-z0-9_])(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{"
    "59})(?![A-Za-z0-9_])");

/* A prefix nobody writes by chance, and a body that was drawn. */
static enum proof
drawn(struct span text, struct identifier *out)
{
	struct span s = match_of(text, out);

	return variety(s) >= 12 ? found(out, MEDIUM, HIGH) : PROOF_NONE;
}

KEYWORDS(gitlab_token, "gitlab", "token", "jeton", "personal access token", "ci", "runner");
#define gitlab_token_prove drawn
SECRET(gitlab_token, "gitlab-token", "GitLab token", 100, 4,
    "(?<![A-Za-z0-9_-])gl(?:pat|dt|rt|ptt|ft|soat|cbt|agent|oas)-[A-Za-z0-9_-]{20,64}(?![A-"
    "Za-z0-9_-])");

KEYWORDS(slack_token, "slack", "token", "jeton", "webhook", "bot");
#define slack_token_prove drawn
SECRET(slack_token, "slack-token", "Slack token or webhook", 100, 4,
    "(?<![A-Za-z0-9_-])(?:xox[abeoprs]-[0-9]{8,14}-[A-Za-z0-9-]{10,200}|xapp-[0-9]-[A-Z0-9]"
    "{8,14}-[0-9]{8,14}-[a-z0-9]{32,80})"
    "(?![A-Za-z0-9_])|hooks\\.slack\\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/"
    "[A-Za-z0-9]{20,30}");

KEYWORDS(stripe_key, "stripe", "api key", "secret key", "payment", "paiement",
    "clé secrète", "clé api");

static enum proof
stripe_key_prove(struct span text, struct identifier *out)
{
	struct span s = match_of(text, out);

	if (variety(s) < 12)
		return PROOF_NONE;
	/* Keys of the test mode move no money. */
	return span_starts(span_from(s, 3), SPAN_LIT("test")) ? found(out, LOW, MEDIUM) :
	    found(out, MEDIUM, HIGH);
}

SECRET(stripe_key, "stripe-key", "Stripe secret key", 100, 4,
    "(?<![A-Za-z0-9_])(?:[sr]k_(?:live|test)|whsec)_[A-Za-z0-9]{24,120}(?![A-Za-z0-9_])");

KEYWORDS(jwt, "jwt", "bearer", "authorization", "token", "jeton", "access_token",
    "id_token", "session", "cookie");

static enum proof
jwt_prove(struct span text, struct identifier *out)
{
	struct span s = match_of(text, out), part[2];
	uint8_t head[512], claims[8];
	int n;

	for (size_t i = 0; i < 2; i++) {
		part[i] = span_sub(s, 0, span_find(s, '.'));
		s = span_from(s, part[i].n + 1);
	}
	n = digest_base64(part[0], head, sizeof(head));
	if (n < 0 || memmem(head, (size_t)n, "\"alg\"", 5) == NULL ||
	    digest_base64(part[1], claims, sizeof(claims)) < 2 || claims[0] != '{')
		return PROOF_FAILED;
	return found(out, MEDIUM, HIGH);
}

SECRET(jwt, "jwt", "JSON web token (header decodes)", 80, 4,
    "(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,2000}\\.eyJ[A-Za-z0-9_-]{4,8000}\\.[A-Za-z0-9_-]"
    "{10,2000}(?![A-Za-z0-9_-])");

/* --- passwords ---------------------------------------------------------------------- */

KEYWORDS(connection_string, "database", "base de données", "connection string",
    "chaîne de connexion", "dsn", "jdbc", "production", "prod", "credentials",
    "identifiants", "server", "serveur");

static enum proof
connection_string_prove(struct span text, struct identifier *out)
{
	struct span s = match_of(text, out), secret;
	size_t at;

	/* The password: up to the last @ of a URL, or behind the last = of a list. */
	for (at = s.n; at > 0 && s.p[at - 1] != '@' && s.p[at - 1] != '='; at--)
		;
	if (at == 0)
		return PROOF_NONE;
	if (s.p[at - 1] == '@') {
		size_t from = at - 1;

		while (from > 0 && s.p[from - 1] != ':')
			from--;
		secret = span_sub(s, from, at - 1 - from);
	} else {
		secret = span_from(s, at);
	}
	if (secret.n < 4 || is_placeholder(secret))
		return PROOF_NONE;
	return found(out, MEDIUM, HIGH);
}

SECRET(connection_string, "connection-string", "connection string with a password", 80, 0,
    "(?<![A-Za-z0-9])(?i:postgres(?:ql)?|mysql|mariadb|mongodb(?:\\+srv)?|rediss?|amqps?|"
    "mssql|sqlserver|oracle|"
    "ldaps?|s?ftps?|smtps?|imaps?|ssh|https?)://[^\\s:@/<>\"']{1,64}:[^\\s:@/"
    "<>\"']{1,128}@|"
    "(?i:(?:server|data "
    "source|host)=[^;\\r\\n]{1,128};(?:[^;\\r\\n]{1,128};){0,8}(?:password|pwd)=)[^;\\s\"']"
    "{1,128}");

KEYWORDS(password_in_clear, "login", "user", "username", "user name", "user id", "account",
    "access", "connect", "connection", "vpn", "identifiant", "identifiants", "utilisateur",
    "nom d'utilisateur", "compte", "accès", "connexion", "code d'accès", "credentials",
    "root", "admin", "benutzer", "session");

static enum proof
password_in_clear_prove(struct span text, struct identifier *out)
{
	struct span s = match_of(text, out);
	unsigned k, n = 0;

	while (s.n > 0 && strchr(".,;:)\"'`>", s.p[s.n - 1]))
		s.n--;
	if (s.n < 6 || s.n > 64 || is_placeholder(s) || memmem(s.p, s.n, "://", 3) ||
	    (uint8_t)s.p[0] >= 0x80)
		return PROOF_NONE;
	k = kinds(s);
	for (unsigned i = 0; i < 4; i++)
		n += k >> i & 1;
	/* Words of one kind are words; so are those with a hyphen or an apostrophe. */
	if (n < 2 || (k & 4) == 0)
		return PROOF_NONE;
	out->r.to = out->r.from + s.n;
	return n >= 3 ? found(out, MEDIUM, HIGH) : found(out, LOW, MEDIUM);
}

SECRET(password_in_clear, "password-in-clear", "password written beside its name", 100, 0,
    "(?i)(?<![\\w-])(?:password|passwd|passphrase|pwd|mot de passe|mots de "
    "passe|mdp|passwort|kennwort|contraseña|"
    "password di "
    "accesso)(?![\\w-])[\"']?\\h{0,3}(?:(?:is|est|ist)\\h|[:=])\\h{0,3}[\"'`]?\\K[^\\s\"'`]"
    "{6,80}");
