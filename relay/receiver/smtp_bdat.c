/* smtp_bdat.c -- BDAT: a message in chunks of known size (RFC 3030, CHUNKING).
 *
 * Called by smtp_command.c with the command's arguments and by smtp_session.c
 * with the bytes behind it.
 *
 *   RECIPIENTS --BDAT n--> CHUNK --n bytes--> CHUNKS --BDAT n--> CHUNK … --LAST--> the end
 *   a refused chunk: SKIP --n bytes--> the refusal is said
 *
 * Where a chunk ends is what the client said, so there is nothing to smuggle:
 * what a refused chunk holds is never read as commands, it is thrown away to
 * its end, and only then answered (RFC 3030, 2). A BDAT whose size cannot be
 * read, or is beyond SKIP_MAX, leaves no way to find its end: the session is over.
 *
 * A chunk that fails gives up the transaction; chunks pipelined behind it are
 * skipped one by one with 503. DATA, MAIL and RCPT between two chunks are 503.
 *
 * Inside, bare CR and LF are what the listener's bare_newlines says (CHUNKING
 * without BINARYMIME is for lines: RFC 3030, 3); a line may be cut by a chunk's
 * end, and a last line without CRLF gets one.
 */
#include "receiver/smtp_command.h"

#define SKIP_MAX ((uint64_t)1 << 30)

/* "SIZE [LAST]" */
static bool
arguments(struct span args, uint64_t *size, bool *last)
{
	struct span number;

	args = span_trim(args);
	number = span_sub(args, 0, span_find(args, ' '));
	args = span_trim(span_from(args, number.n));
	if (number.n == 0 || number.n > 19)
		return false;
	*size = 0;
	for (size_t i = 0; i < number.n; i++) {
		if (number.p[i] < '0' || number.p[i] > '9')
			return false;
		*size = *size * 10 + (uint64_t)(number.p[i] - '0');
	}
	*last = args.n > 0;
	return args.n == 0 || span_is_nocase(args, "LAST");
}

/* Said behind the chunk. back GREETED: the transaction is over. text outlives the chunk. */
static void
refuse_chunk(struct smtp_session *s, enum smtp_state back, unsigned code, struct span text)
{
	s->chunk.back = back;
	s->chunk.code = code;
	s->chunk.why = text;
	smtp_set_state(s, SMTP_SKIP);
}

static void
say_refusal(struct smtp_session *s, bool close)
{
	struct smtp_reply r;

	smtp_refuse(s, &r, s->chunk.code, SPAN_FMT, SPAN_ARG(s->chunk.why));
	r.close = close;
	smtp_set_state(s, s->chunk.back);
	smtp_put_error(s, "BDAT", NULL, &r);
	if (s->state == SMTP_GREETED)
		smtp_abandon(s);
}

static void
chunk_done(struct smtp_session *s)
{
	struct span out;

	if (s->state == SMTP_SKIP) {
		say_refusal(s, false);
		return;
	}
	if (!s->chunk.last) {
		smtp_set_state(s, SMTP_CHUNKS);
		smtp_say(s, 250, "2.0.0 chunk taken");
		return;
	}
	switch (smtp_lines_end(&s->lines, &out)) {
	case LINES_BARE:
		refuse_chunk(s, SMTP_GREETED, 554, SPAN_LIT(SMTP_BARE_TEXT));
		say_refusal(s, false);
		return;
	case LINES_BYTES:
		s->ops->body(s->ctx, s, out);
		break;
	case LINES_MORE:
		break;
	}
	smtp_end_of_message(s, s->lines.flags);
}

static void
take_chunk(struct smtp_session *s)
{
	if (s->chunk.left > s->site->max_size - s->chunk.total)
		refuse_chunk(s, SMTP_GREETED, 552, SPAN_LIT("5.3.4 message too large"));
	else {
		s->chunk.total += s->chunk.left;
		smtp_set_state(s, SMTP_CHUNK);
	}
}

static void
first_chunk(struct smtp_session *s, const struct smtp_reply *r)
{
	if (r->code) {
		refuse_chunk(s, SMTP_GREETED, r->code, arena_span(s->t->arena, r->text));
		return;
	}
	smtp_lines_init(&s->lines, s->site->normalise);
	s->chunk.total = 0;
	take_chunk(s);
}

/* The first chunk asks what DATA would have asked. */
static void
ask_first(struct smtp_session *s)
{
	struct smtp_reply r = { 0 };

	s->ops->data(s->ctx, s, &r);
	if (r.wait)
		smtp_ask(s, SMTP_ASKS_BDAT, r.wait);
	else
		first_chunk(s, &r);
}

static void
begin(struct smtp_session *s)
{
	static const char *const why[SMTP_STATE_COUNT] = {
		[SMTP_CONNECT] = "5.5.1 bad sequence of commands: say EHLO first",
		[SMTP_GREETED] = "5.5.1 bad sequence of commands: say MAIL FROM first",
		[SMTP_SENDER] = "5.5.1 bad sequence of commands: no valid recipient yet",
	};

	if (!s->esmtp)
		refuse_chunk(s, s->state, 503, span_str(why[SMTP_CONNECT]));
	else if (why[s->state])
		refuse_chunk(s, s->state, 503, span_str(why[s->state]));
	else if (s->state == SMTP_CHUNKS)
		take_chunk(s);
	else
		ask_first(s);
}

/* What can be said before a byte of it has come. */
static void
begun(struct smtp_session *s)
{
	if (s->state == SMTP_SKIP && s->chunk.left > SKIP_MAX)
		say_refusal(s, true);
	else if (s->chunk.left == 0 && s->state != SMTP_ASKING)
		chunk_done(s);
}

void
smtp_bdat_asked(struct smtp_session *s, const struct smtp_reply *r)
{
	first_chunk(s, r);
	begun(s);
}

void
smtp_bdat(struct smtp_session *s, struct span args)
{
	uint64_t size;
	bool last;

	if (!arguments(args, &size, &last)) {
		struct smtp_reply r;

		smtp_refuse(s, &r, 501, "5.5.4 syntax: BDAT size [LAST]");
		r.close = true;
		smtp_put_error(s, "BDAT", NULL, &r);
		return;
	}
	s->chunk.left = size;
	s->chunk.last = last;
	begin(s);
	begun(s);
}

size_t
smtp_chunk(struct smtp_session *s, struct span in)
{
	size_t at = 0, used;
	struct span run;

	in = span_sub(in, 0, s->chunk.left < in.n ? (size_t)s->chunk.left : in.n);
	while (s->state == SMTP_CHUNK && at < in.n) {
		switch (smtp_lines_step(&s->lines, span_from(in, at), &used, &run)) {
		case LINES_MORE:
			break;
		case LINES_BYTES:
			s->ops->body(s->ctx, s, run);
			break;
		case LINES_BARE:
			refuse_chunk(s, SMTP_GREETED, 554, SPAN_LIT(SMTP_BARE_TEXT));
			break;
		}
		at += used;
	}
	if (s->state == SMTP_SKIP)
		at = in.n;
	s->chunk.left -= at;
	if (s->chunk.left == 0)
		chunk_done(s);
	return at;
}
