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
		"example", "exemple", "changeme", "your", "votre", "xxxx", "p4ssw0rd", "passwor", "mypass", "dummy", "****", "....",
		"redacted", "hidden", NULL };

	if (s.n == 0 || strchr("<${%[(", s.p[0]) || variety(s) < 4)
		return true;
	for (size_t i = 0; words[i]; i++)
		if (span_starts_nocase(s, span_str(words[i])))
			return true;
	if (kinds(s) & 4)
		return false;
	/* "fredpassword", "YOUR_PASSWORD": a password's name within it, and no digit. */
	for (size_t i = 0; i < s.n; i++)
		if (span_starts_nocase(span_from(s, i), SPAN_LIT("passw")) ||
		    span_starts_nocase(span_from(s, i), SPAN_LIT("contrase")) ||
		    span_starts_nocase(span_from(s, i), SPAN_LIT("secret")))
			return true;
	return false;
}

/* --- private-key -------------------------------------------------------------------- */

KEYWORDS(private_key, "secret key", "clé privée", "clé secrète", "ssh", "openssl", "pem",
    "rsa", "certificate", "certificat", "secret");

#define KEY_HEAD ((size_t)64)	/* characters of base64 that are decoded: enough for what tells */

/* The first characters of base64 of an armoured body. Lines "Name: value" of old PEM and of PGP are
 * passed over, and so is "\n" where the key is a string of JSON. */
static size_t
armour_head(struct span s, char out[KEY_HEAD], bool *locked)
{
	size_t n = 0;

	*locked = false;
	for (size_t i = 0; i < s.n && n < KEY_HEAD;) {
		size_t to = i, colon = 0;

		while (to < s.n && s.p[to] != '\n' && s.p[to] != '\\') {
			colon += s.p[to] == ':';
			to++;
		}
		if (colon) {
			*locked |= span_starts(span_from(s, i), SPAN_LIT("DEK-Info"));
		} else {
			for (; i < to && n < KEY_HEAD; i++)
				if ((uint8_t)s.p[i] > ' ')
					out[n++] = s.p[i];
		}
		i = to + 1;
		if (to < s.n && s.p[to] == '\\')
			i++;
	}
	return n;
}

/* SEQUENCE of at least 30 bytes that begins with INTEGER 0 to 3 (PKCS 1, PKCS 8, SEC 1), or with
 * another one (PKCS 8 encrypted). */
static bool
is_der_key(const uint8_t *p, size_t n)
{
	size_t i = 2;

	if (n < 12 || p[0] != 0x30)
		return false;
	if (p[1] & 0x80)
		i += p[1] & 0x7f;
	else if (p[1] < 30)
		return false;
	return i <= 4 && (p[i] == 0x30 || (p[i] == 0x02 && p[i + 1] == 1 && p[i + 2] <= 3));
}

static bool
is_key(struct span s, size_t at)
{
	char text[KEY_HEAD];
	uint8_t head[KEY_HEAD];
	bool locked;
	struct span body = span_from(s, at);
	size_t n = armour_head(body, text, &locked);
	int got = digest_base64(span_make(text, n - n % 4), head, sizeof(head));

	/* 44 characters hold the smallest, of 32 bytes. */
	if (n < 40 || got < 30)
		return false;
	if (locked)
		return variety(span_make(text, n)) >= 16;
	if (memmem(s.p, at, "PGP", 3))	/* RFC 4880 4.3: a secret-key packet */
		return (head[0] & 0xfc) == 0x94 || head[0] == 0xc5;
	if (memmem(s.p, at, "OPENSSH", 7))
		return memcmp(head, "openssh-key-v1", 15) == 0;
	return is_der_key(head, (size_t)got);
}

static enum proof
private_key_prove(struct span text, struct identifier *out)
{
	struct span s = match_of(text, out);
	size_t dashes = 0, i = 0;

	if (s.p[0] == 'P')	/* PuTTY's; the pattern holds its body */
		return found(out, HIGH, HIGH);
	/* The body lies behind the second run of dashes. */
	while (i < s.n && dashes < 10)
		dashes += s.p[i++] == '-';
	/* A heading alone is talk of keys. */
	return is_key(s, i) ? found(out, HIGH, HIGH) : found(out, LOW, LOW);
}

SECRET(private_key, "private-key", "private key in PEM or PGP armour", 80, 0,
    "-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    "(?:[^-]{20,20000}(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?)?|"
    "PuTTY-User-Key-File-[23]: [^\\r\\n]{1,60}\\R(?:[^\\r\\n]{1,200}\\R){3,40}?Private-Lines: "
    "[0-9]{1,3}\\R[A-Za-z0-9+/=]{20,64}");

/* --- clouds ------------------------------------------------------------------------- */

KEYWORDS(aws_key, "aws", "amazon", "aws_access_key_id", "aws_secret_access_key",
    "access key", "secret key", "iam", "s3", "clé d'accès", "clé secrète");

static enum proof
aws_key_prove(struct span text, struct identifier *out)
{
	struct span s = match_of(text, out);

	if (memmem(s.p, s.n, "EXAMPLE", 7))	/* those of Amazon's manual */
		return PROOF_NONE;
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

	if (s.p[0] == '"')	/* a key file of a service account, up to the key itself */
		return found(out, HIGH, HIGH);
	return variety(s) < 14 ? PROOF_NONE : found(out, MEDIUM, HIGH);
}

SECRET(gcp_key, "gcp-key", "Google Cloud API key, OAuth secret or token, service account", 100, 4,
    "(?<![A-Za-z0-9_-])(?:AIza[A-Za-z0-9_-]{35}|GOCSPX-[A-Za-z0-9_-]{28}|ya29\\.[A-Za-z0-9_-]{30,"
    "300})(?![A-Za-z0-9_-])|"
    "\"type\"\\s{0,4}:\\s{0,4}\"service_account\"[^{}]{0,2000}?\"private_key\"\\s{0,4}:\\s{0,4}\""
    "-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----");

KEYWORDS(azure_key, "azure", "microsoft", "storage account", "client secret", "tenant",
    "service bus", "compte de stockage", "secret client");

static enum proof
azure_key_prove(struct span text, struct identifier *out)
{
	struct span s = match_of(text, out);
	/* A key of 64 or 32 bytes behind its name. */
	bool padded = s.p[s.n - 1] == '=' || (s.n > 40 && memmem(s.p + s.n - 3, 3, "%3", 2));

	if (variety(s) < 14)
		return PROOF_NONE;
	if (padded)
		return found(out, HIGH, HIGH);
	return (kinds(s) & 7) == 7 ? found(out, MEDIUM, HIGH) : PROOF_NONE;
}

SECRET(azure_key, "azure-key", "Azure storage key, shared access signature or client secret", 100, 4,
    "(?<![A-Za-z0-9])sv=20[0-9]{2}-[0-9]{2}-[0-9]{2}&[^\\s\"'<>]{0,300}?sig=\\K[A-Za-z0-9%]{43,80}%3[Dd]|"
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
    "(?<![A-Za-z0-9_-])gl(?:pat|dt|rt|ptt|ft|soat|cbt|agent|oas)-(?:[A-Za-z0-9_-]{27,300}\\."
    "[0-9a-z]{2}\\.[0-9a-z]{9}|[A-Za-z0-9_-]{20,64})(?![A-Za-z0-9_-])");

KEYWORDS(slack_token, "slack", "token", "jeton", "webhook", "bot");

static enum proof
slack_token_prove(struct span text, struct identifier *out)
{
	struct span s = match_of(text, out);

	/* The last piece is what was drawn. */
	while (s.n > 0 && memchr(s.p, '/', s.n))
		s = span_from(s, span_find(s, '/') + 1);
	return variety(s) >= 12 ? found(out, MEDIUM, HIGH) : PROOF_NONE;
}

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

	/* The password: before the @ that ends a URL's match, or behind the last name for it. */
	if (s.n > 0 && s.p[s.n - 1] == '@') {
		for (at = s.n - 1; at > 0 && s.p[at - 1] != ':'; at--)
			;
		secret = span_sub(s, at, s.n - 1 - at);
	} else {
		for (at = s.n; at > 4; at--)
			if (span_starts_nocase(span_from(s, at - 4), SPAN_LIT("pwd=")) ||
			    span_starts_nocase(span_from(s, at - 4), SPAN_LIT("ord=")))
				break;
		secret = span_from(s, at);
		while (secret.n > 0 && strchr(".,)", secret.p[secret.n - 1]))
			secret.n--;
		out->r.to = out->r.from + (size_t)(secret.p - s.p) + secret.n;
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
    "(?i:jdbc:[a-z0-9:]{2,30}//[^\\s\"'<>]{1,200}[?;&](?:password|pwd)=)[^\\s;&\"'<>]{1,128}|"
    "(?i:(?<![A-Za-z0-9])host=[^\\s;]{1,128}\\h(?:[a-z_]{1,30}=[^\\s;]{1,128}\\h){0,10}password=)[^\\s\"']{1,128}|"
    "(?i:(?:server|data "
    "source|host)=[^;\\r\\n]{1,128};(?:[^;\\r\\n]{1,128};){0,8}(?:password|pwd)=)[^;\\s\"']"
    "{1,128}");

KEYWORDS(password_in_clear, "login", "user", "username", "user name", "user id", "account",
    "access", "connect", "connection", "vpn", "identifiant", "identifiants", "utilisateur",
    "nom d'utilisateur", "compte", "accès", "connexion", "code d'accès", "credentials",
    "root", "admin", "benutzer", "benutzername", "session", "usuario", "utente", "gebruiker",
    "utilizador", "użytkownik", "användare", "bruger", "bruker", "käyttäjä", "wifi", "wi-fi");

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
	/* "password = read_line(0)" is a program. */
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] == '(' && (memchr(s.p + i, ')', s.n - i) || kinds(span_sub(s, 0, i)) <= 3))
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
    "(?i)(?<![\\w?&-])(?:password|passwd|passphrase|passcode|pwd|mot de passe|mots de "
    "passe|mdp|passwort|kennwort|contraseña|clave de acceso|parola|wachtwoord|senha|palavra-passe|"
    "hasło|lösenord|adgangskode|kodeord|passord|salasana)(?![\\w-])[\"']?"
    "(?:\\h{0,3}\\h(?:is|was|est|sera|ist|lautet|es|è|é|to|är|er|on)\\h|"
    "(?:\\h[a-zà-ÿ'’]{1,15}){0,3}\\h{0,3}[:=]\\h{0,3}(?:\\R\\h{0,3})?|\\h?(?:\\.{3,20}|\\t))\\h{0,3}[\"'`]?\\K[^\\s\"'`]{6,80}");
