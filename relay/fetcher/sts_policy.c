/* sts_policy.c -- the record and the policy of MTA-STS; see sts_policy.h. */
#include "fetcher/sts_policy.h"
#include "postern/err.h"

#define HOST_MAX 253
#define LABEL_MAX 63

static const char *const modes[STS_MODES] = { [STS_MODE_NONE] = "none",
	[STS_MODE_TESTING] = "testing", [STS_MODE_ENFORCE] = "enforce" };

const char *
sts_mode_name(enum sts_mode m)
{
	ASSERT(m < STS_MODES);
	return modes[m];
}

static bool
alnum(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

/* ---- the TXT record (RFC 8461, 3.1) ---- */

static struct span
skip_wsp(struct span s)
{
	while (s.n && ascii_is_wsp(s.p[0]))
		s = span_from(s, 1);
	return s;
}

static struct span
trim_wsp(struct span s)
{
	s = skip_wsp(s);
	while (s.n && ascii_is_wsp(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool
sts_record_is(struct span txt)
{
	struct span version = SPAN_LIT("v=STSv1");
	struct span rest = skip_wsp(span_from(txt, version.n));

	return span_starts(txt, version) && rest.n && rest.p[0] == ';';
}

/* The name of a field: a letter or digit, then at most 31 of more (RFC 8461, 3.1 and 3.2). */
static bool
name_ok(struct span s)
{
	if (s.n == 0 || s.n > 32 || !alnum(s.p[0]))
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!alnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '-' && s.p[i] != '.')
			return false;
	return true;
}

static bool
id_ok(struct span s)
{
	if (s.n == 0 || s.n > STS_ID_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!alnum(s.p[i]))
			return false;
	return true;
}

bool
sts_record_parse(struct span txt, char id[STS_ID_MAX + 1])
{
	struct span found = { 0 };

	if (!sts_record_is(txt))
		return false;
	for (txt = span_from(txt, span_find(txt, ';') + 1); txt.n;) {
		struct span field = trim_wsp(span_sub(txt, 0, span_find(txt, ';')));
		size_t eq = span_find(field, '=');

		txt = span_from(txt, span_find(txt, ';') + 1);
		if (field.n == 0 && skip_wsp(txt).n == 0)
			break;		/* the delimiter at the end */
		if (eq == field.n || eq + 1 == field.n || !name_ok(span_sub(field, 0, eq)))
			return false;
		if (!span_is(span_sub(field, 0, eq), "id"))
			continue;
		if (found.n || !id_ok(span_from(field, eq + 1)))
			return false;
		found = span_from(field, eq + 1);
	}
	if (found.n == 0)
		return false;
	memcpy(id, found.p, found.n);
	id[found.n] = '\0';
	return true;
}

/* ---- the policy (RFC 8461, 3.2) ---- */

static bool
domain_ok(struct span s)
{
	size_t label = 0;

	if (s.n == 0 || s.n > HOST_MAX)
		return false;
	for (size_t i = 0; i <= s.n; i++) {
		if (i == s.n || s.p[i] == '.') {
			if (label == 0 || label > LABEL_MAX)
				return false;
			label = 0;
		} else if (alnum(s.p[i]) || s.p[i] == '-' || s.p[i] == '_') {
			label++;
		} else
			return false;
	}
	return true;
}

static bool
age_parse(struct span s, uint32_t *out)
{
	uint64_t v = 0;

	if (s.n == 0 || s.n > 10)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	*out = v > STS_AGE_MAX ? STS_AGE_MAX : (uint32_t)v;
	return true;
}

struct seen {
	bool version, mode, age;
};

static const char *
field_take(struct sts_policy *p, struct seen *seen, struct span name, struct span value)
{
	if (span_is(name, "mx")) {
		struct span host = span_starts(value, SPAN_LIT("*.")) ? span_from(value, 2) : value;

		if (!domain_ok(host))
			return "an mx is neither a host name nor one with `*.` in front";
		if (p->nmx == STS_MX_MAX)
			return "there are more than 100 mx patterns";
		p->mx[p->nmx++] = value;
	} else if (span_is(name, "version") && !seen->version) {
		seen->version = true;
		if (!span_is(value, "STSv1"))
			return "its version is not STSv1";
	} else if (span_is(name, "mode") && !seen->mode) {
		seen->mode = true;
		for (int i = 0; i < STS_MODES; i++)
			if (span_is(value, modes[i])) {
				p->mode = (enum sts_mode)i;
				return NULL;
			}
		return "its mode is none of enforce, testing, none";
	} else if (span_is(name, "max_age") && !seen->age) {
		seen->age = true;
		if (!age_parse(value, &p->max_age))
			return "its max_age is no number of seconds";
	}
	/* Given twice: the first counts. Not known: passed over. */
	return NULL;
}

static const char *
line_take(struct sts_policy *p, struct seen *seen, struct span line)
{
	size_t colon = span_find(line, ':');

	if (line.n == 0)
		return NULL;	/* more lenient than the grammar: editors leave them behind */
	for (size_t i = 0; i < line.n; i++)
		if ((unsigned char)line.p[i] < 0x20 && line.p[i] != '\t')
			return "there is a control character in it";
	if (colon == line.n || !name_ok(span_sub(line, 0, colon)))
		return "a line is not `name: value`";
	return field_take(p, seen, span_sub(line, 0, colon), trim_wsp(span_from(line, colon + 1)));
}

bool
sts_policy_parse(struct span body, struct sts_policy *p, const char **why)
{
	struct seen seen = { 0 };

	p->nmx = 0;
	p->mode = STS_MODE_NONE;
	p->max_age = 0;
	if (body.n > STS_BODY_MAX) {
		*why = "it is larger than 64 KiB";
		return false;
	}
	while (body.n) {
		struct span line = span_sub(body, 0, span_find(body, '\n'));

		body = span_from(body, line.n + 1);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if ((*why = line_take(p, &seen, trim_wsp(line))) != NULL)
			return false;
	}
	*why = !seen.version ? "it has no version" : !seen.mode ? "it has no mode" :
	    !seen.age ? "it has no max_age" :
	    p->mode != STS_MODE_NONE && p->nmx == 0 ? "it names no mx" : NULL;
	return *why == NULL;
}

bool
sts_pattern_matches(struct span pattern, struct span host)
{
	size_t dot;

	if (!span_starts(pattern, SPAN_LIT("*.")))
		return span_eq_nocase(pattern, host);
	dot = span_find(host, '.');
	return dot > 0 && dot < host.n &&
	    span_eq_nocase(span_from(pattern, 2), span_from(host, dot + 1));
}

bool
sts_policy_lists(const struct sts_policy *p, struct span host)
{
	for (size_t i = 0; i < p->nmx; i++)
		if (sts_pattern_matches(p->mx[i], host))
			return true;
	return false;
}

void
sts_policy_write(struct buf *b, const struct sts_policy *p)
{
	buf_printf(b, "version: STSv1\nmode: %s\n", modes[p->mode]);
	for (size_t i = 0; i < p->nmx; i++)
		buf_printf(b, "mx: " SPAN_FMT "\n", SPAN_ARG(p->mx[i]));
	buf_printf(b, "max_age: %u\n", p->max_age);
}
