/* exact_value.c -- what is compared of a value of exact data; see postern/exact.h.
 *
 * Both sides come folded (text_fold): lower case, no accents, digits of any
 * script ASCII, every white space one space. What remains here is what people
 * write between the characters that count.
 */
#include "detect/exact.h"

static const struct {
	const char *name, *help;
} types[] = {
#define X(name, text, help) { text, help },
	EXACT_TYPES(X)
#undef X
};

const char *
exact_type_name(enum exact_type t)
{
	return (size_t)t < EXACT_TYPE_COUNT ? types[t].name : "unknown";
}

const char *
exact_type_help(enum exact_type t)
{
	return (size_t)t < EXACT_TYPE_COUNT ? types[t].help : "";
}

bool
exact_type_from_name(struct span name, enum exact_type *t)
{
	for (size_t i = 0; i < EXACT_TYPE_COUNT; i++)
		if (span_is_nocase(name, types[i].name)) {
			*t = (enum exact_type)i;
			return true;
		}
	return false;
}

const char *const *
exact_type_names(void)
{
	static const char *names[EXACT_TYPE_COUNT + 1];

	for (size_t i = 0; i < EXACT_TYPE_COUNT; i++)
		names[i] = types[i].name;
	return names;
}

bool
exact_joins(enum exact_type t, char c)
{
	switch (c) {
	case ' ': case '.': case '-': case '/': case '_':
		return true;
	case '(': case ')': case '+':
		return t == EXACT_PHONE;
	default:
		return false;
	}
}

bool
exact_nir_at(struct exact_value *v, char c)
{
	size_t at = v->n;

	if (at == 15)
		return false;
	if (at == 0 ? !(c >= '1' && c <= '8') : at == 6 ? !(exact_digit(c) || c == 'a' || c == 'b') :
	    !exact_digit(c))
		return false;
	if ((c == 'a' || c == 'b') && v->p[5] != '2')
		return false;
	v->p[v->n++] = c;
	return true;
}

static bool
code(enum exact_type t, struct span s, struct exact_value *out, const char **why)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (exact_digit(c) || (t != EXACT_DIGITS && t != EXACT_PHONE && c >= 'a' && c <= 'z')) {
			if (t == EXACT_NIR ? !exact_nir_at(out, c) : out->n == EXACT_LENGTH_MAX) {
				*why = t == EXACT_NIR ? "no social security number" : "too long";
				return false;
			}
			if (t != EXACT_NIR)
				out->p[out->n++] = c;
		} else if (!exact_joins(t, c)) {
			*why = t == EXACT_CODE ? "neither letters nor digits" : "not only digits";
			return false;
		}
	}
	return true;
}

static bool
words(enum exact_type t, struct span s, struct exact_value *out, const char **why)
{
	size_t at = 0, from, to, n = 0;

	while (exact_word(s, at, s.n, &from, &to)) {
		if (n++ == EXACT_WORDS_MAX || out->n + (to - from) + 1 > EXACT_VALUE_MAX) {
			*why = "too many words";
			return false;
		}
		if (out->n)
			out->p[out->n++] = ' ';
		memcpy(out->p + out->n, s.p + from, to - from);
		out->n += to - from;
		at = to;
	}
	return true;
}

static bool
email(struct span s, struct exact_value *out, const char **why)
{
	size_t at, from = 0, to;

	if (s.n > 2 && s.p[0] == '<' && s.p[s.n - 1] == '>')
		s = span_sub(s, 1, s.n - 2);
	at = span_find(s, '@');
	*why = "no address";
	if (at == s.n)
		return false;
	to = s.n;
	exact_address_trim(s, &from, at, &to);
	s = span_sub(s, from, to - from);
	at -= from;
	if (at == 0 || at + 1 >= s.n || at > EXACT_LOCAL_MAX || s.n - at - 1 > EXACT_DOMAIN_MAX ||
	    span_find(span_from(s, at + 1), '@') != s.n - at - 1)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (i != at && !exact_address_char(s.p[i], i > at))
			return false;
	memcpy(out->p, s.p, s.n);
	out->n = s.n;
	return true;
}

static bool
date(enum exact_type t, struct span s, struct exact_value *out, const char **why)
{
	struct exact_date d;
	size_t end = exact_date_at(s, 0, s.n, &d);

	*why = "no date";
	/* A time of day may follow. */
	if (end == 0 || (end < s.n && s.p[end] != ' ' && s.p[end] != 't'))
		return false;
	if (d.century_missing) {
		*why = "a year of two digits does not say its century";
		return false;
	}
	for (unsigned i = 0; i < d.n; i++)
		if ((t == EXACT_DATE_MDY ? d.month_first : d.day_first) >> i & 1) {
			memcpy(out->p, d.v[i], 8);
			out->n = 8;
			return true;
		}
	*why = t == EXACT_DATE ? "no date with the day first; is it date-mdy?" :
	    "no date with the month first; is it date?";
	return false;
}

bool
exact_normalise(enum exact_type t, struct span folded, struct exact_value *out, const char **why)
{
	struct span s = span_trim(folded);
	bool good = false;

	out->n = 0;
	*why = "empty";
	switch (t) {
	case EXACT_DIGITS: case EXACT_CODE: case EXACT_NIR: case EXACT_PHONE:
		good = code(t, s, out, why);
		break;
	case EXACT_NAME: case EXACT_TEXT:
		good = words(t, s, out, why);
		break;
	case EXACT_DATE: case EXACT_DATE_MDY:
		good = date(t, s, out, why);
		break;
	case EXACT_EMAIL:
		good = email(s, out, why);
		break;
	case EXACT_TYPE_COUNT:
		break;
	}
	if (!good || out->n == 0)
		return false;
	if (t == EXACT_NIR) {
		*why = "13 or 15 characters are a social security number";
		if (out->n != 13 && out->n != 15)
			return false;
		out->n = 13;	/* the last two are a checksum of the others */
	}
	if (t == EXACT_PHONE) {
		*why = "less than nine digits, or more than fifteen";
		if (out->n < EXACT_PHONE_DIGITS || out->n > EXACT_PHONE_MAX)
			return false;
		memmove(out->p, out->p + out->n - EXACT_PHONE_DIGITS, EXACT_PHONE_DIGITS);
		out->n = EXACT_PHONE_DIGITS;
	}
	out->p[out->n] = '\0';
	return true;
}

unsigned
exact_length(enum exact_type t, struct span value)
{
	unsigned n = 1;

	if (t != EXACT_NAME && t != EXACT_TEXT)
		return value.n > EXACT_LENGTH_MAX ? EXACT_LENGTH_MAX : (unsigned)value.n;
	for (size_t i = 0; i < value.n; i++)
		n += value.p[i] == ' ';
	return n;
}
