/* lint_pattern.c -- regular expressions with an exponential worst case.
 *
 * `(\w+\s?)+$` is quick on every text its author tries and takes for ever on
 * forty letters and a `!`. Such a pattern repeats a group that itself
 * repeats or chooses. For each such group a text is made from the pattern:
 * what leads to the group, then what the group matches, many times, then
 * something that fits nowhere. The detector is run on it; only when it gives
 * up is there a warning, so what the engine handles well is never blamed.
 *
 * The reader below knows enough of the syntax to make examples; where it
 * understands less (look-around, references) its text fails to prove
 * anything, and nothing is said.
 */
#include "load.h"

#define PUMPS 8			/* groups tried of one pattern */
#define ROUNDS 40
#define DEPTH 30
#define SAMPLE_MAX 4096

struct pump {
	size_t prefix;		/* bytes of the sample before the group */
	struct span body;
};

struct sampler {
	struct span re;
	size_t at;
	struct buf out;		/* a text the pattern may match */
	struct arena *a;
	bool lean;		/* what may be left out is left out */
	struct pump pumps[PUMPS];
	size_t npumps;
};

static bool
more(const struct sampler *s)
{
	return s->at < s->re.n;
}

static char
look(const struct sampler *s, size_t ahead)
{
	return s->at + ahead < s->re.n ? s->re.p[s->at + ahead] : '\0';
}

/* What one escape stands for; the backslash is behind us. */
static void
put_escape(struct sampler *s)
{
	char c = look(s, 0);

	s->at++;
	switch (c) {
	case 'd':
		buf_putc(&s->out, '1');
		break;
	case 'w': case 'D': case 'S': case 'X': case 'N':
		buf_putc(&s->out, 'a');
		break;
	case 's': case 'W': case 'h':
		buf_putc(&s->out, ' ');
		break;
	case 'n': case 'R': case 'v':
		buf_putc(&s->out, '\n');
		break;
	case 't':
		buf_putc(&s->out, '\t');
		break;
	case 'b': case 'B': case 'A': case 'z': case 'Z': case 'G': case 'K': case 'Q': case 'E':
		break;
	case 'p': case 'P': case 'x': case 'k': case 'g':
		if (look(s, 0) == '{')
			s->at += span_find(span_from(s->re, s->at), '}') + 1;
		if (c == 'p' || c == 'P')
			buf_putc(&s->out, 'a');
		break;
	default:
		if (c < '0' || c > '9')
			buf_putc(&s->out, c);
	}
}

/* One character of the class; the `[` is behind us. */
static void
put_class(struct sampler *s)
{
	static const char tries[] = "a1 -_x.";
	struct span body = span_from(s->re, s->at);
	bool turned = look(s, 0) == '^';
	size_t n = turned, end;
	char pick = 'a';

	if (n < body.n && body.p[n] == ']')
		n++;
	for (end = n; end < body.n && body.p[end] != ']'; end++)
		if (body.p[end] == '\\')
			end++;
	body = span_sub(body, turned, end - turned);
	s->at += end + 1;
	if (turned) {
		for (size_t i = 0; tries[i]; i++)
			if (span_find(body, tries[i]) == body.n) {
				pick = tries[i];
				break;
			}
		buf_putc(&s->out, pick);
	} else if (body.n > 1 && body.p[0] == '\\') {
		struct span re = s->re;
		size_t at = s->at;

		s->re = body;
		s->at = 1;
		put_escape(s);
		s->re = re;
		s->at = at;
	} else if (body.n) {
		buf_putc(&s->out, body.p[0]);
	}
}

/* A quantifier behind an item: how often the sample has it, and whether it may go on for ever. */
static size_t
quantifier(struct sampler *s, bool *endless)
{
	char c = look(s, 0);
	size_t least = 1;

	*endless = c == '*' || c == '+';
	if (c == '*' || c == '+' || c == '?') {
		least = c == '+' || !s->lean;
		s->at++;
	} else if (c == '{' && look(s, 1) >= '0' && look(s, 1) <= '9') {
		struct span body = span_from(s->re, s->at + 1);
		size_t end = span_find(body, '}');

		body = span_sub(body, 0, end);
		least = 0;
		for (size_t i = 0; i < body.n && body.p[i] >= '0' && body.p[i] <= '9' && least < 100; i++)
			least = least * 10 + (size_t)(body.p[i] - '0');
		least = least ? least : !s->lean;
		*endless = body.n && body.p[body.n - 1] == ',';
		s->at += end + 2;
	} else {
		return 1;
	}
	if (look(s, 0) == '?')
		s->at++;
	else if (look(s, 0) == '+') {	/* possessive: never comes back */
		*endless = false;
		s->at++;
	}
	return least < 20 ? least : 20;
}

static bool alternatives(struct sampler *s, unsigned depth);

/* "(?:", "(?i)", "(?<name>", look-around: true when what follows is not part of the text. */
static bool
group_open(struct sampler *s)
{
	if (look(s, 0) != '?')
		return false;
	s->at++;
	if (look(s, 0) == '=' || look(s, 0) == '!' ||
	    (look(s, 0) == '<' && (look(s, 1) == '=' || look(s, 1) == '!')))
		return true;
	while (more(s) && look(s, 0) != ')' && look(s, 0) != ':' && look(s, 0) != '>' &&
	    look(s, 0) != '|')
		s->at++;
	if (look(s, 0) != ')')
		s->at++;
	return false;
}

/* One item with its quantifier; true when there is a choice of ways in it. */
static bool
item(struct sampler *s, unsigned depth)
{
	size_t from = buf_size(&s->out), least;
	bool endless, choice = false, group = false;
	char c = look(s, 0);
	struct span body;

	s->at++;
	switch (c) {
	case '(': {
		bool aside = group_open(s);

		group = true;
		choice = alternatives(s, depth + 1);
		if (look(s, 0) == ')')
			s->at++;
		if (aside) {
			s->out.n = s->out.head + from;
			choice = false;
		}
		break;
	}
	case '[':
		put_class(s);
		break;
	case '\\':
		put_escape(s);
		break;
	case '.':
		buf_putc(&s->out, 'a');
		break;
	case '^': case '$':
		break;
	default:
		buf_putc(&s->out, c);
	}
	least = quantifier(s, &endless);
	body = arena_span(s->a, span_from(buf_data(&s->out), from));
	if (group && endless && choice && body.n && s->npumps < PUMPS)
		s->pumps[s->npumps++] = (struct pump){ from, body };
	if (least == 0)
		s->out.n = s->out.head + from;
	for (size_t i = 1; i < least; i++)
		buf_span(&s->out, body);
	return choice || endless;
}

static bool
alternatives(struct sampler *s, unsigned depth)
{
	size_t first = SIZE_MAX;
	bool choice = false;

	if (depth > DEPTH) {
		s->at = s->re.n;
		return false;
	}
	while (more(s) && look(s, 0) != ')') {
		if (look(s, 0) == '|') {
			s->at++;
			choice = true;
			if (first == SIZE_MAX)
				first = buf_size(&s->out);
			/* the first alternative is the sample: the others only fill and go */
			continue;
		}
		choice |= item(s, depth);
		if (first != SIZE_MAX && buf_size(&s->out) > first)
			s->out.n = s->out.head + first;
		if (buf_size(&s->out) > SAMPLE_MAX)
			s->at = s->re.n;
	}
	return choice;
}

static bool
gives_up(struct load *ld, int detector, struct span text)
{
	struct arena *a = arena_new(0);
	struct detection d = { 0 };
	bool undecided;

	detectors_run_text(ld->p->detectors, (size_t)detector, text, a, &d);
	undecided = d.undecided;
	arena_free(&a);
	return undecided;
}

static struct span
attack(struct load *ld, const struct pattern_src *p, bool lean)
{
	static const char *const ends[] = { "!", "!", "\n" };
	struct sampler s = { .re = p->node->text, .a = ld->tmp, .lean = lean };
	struct span found = { 0 };

	buf_init(&s.out, 1 << 20);
	alternatives(&s, 0);
	for (size_t i = 0; i < s.npumps && !found.n; i++)
		for (size_t e = 0; e < sizeof(ends) / sizeof(ends[0]) && !found.n; e++) {
			struct buf b;

			buf_init(&b, 1 << 20);
			buf_span(&b, span_sub(buf_data(&s.out), 0, s.pumps[i].prefix));
			for (int k = 0; k < ROUNDS; k++)
				buf_span(&b, s.pumps[i].body);
			buf_puts(&b, ends[e]);
			/* a real match behind it: else a filter in front sees that there is none */
			if (e > 0) {
				buf_putc(&b, ' ');
				buf_span(&b, buf_data(&s.out));
			}
			if (!buf_failed(&b) && gives_up(ld, p->index, buf_data(&b)))
				found = arena_span(ld->d->arena, buf_data(&b));
			buf_release(&b);
		}
	buf_release(&s.out);
	return found;
}

struct span
pattern_attack(struct load *ld, const struct pattern_src *p)
{
	struct span found = attack(ld, p, false);

	return found.n ? found : attack(ld, p, true);
}
