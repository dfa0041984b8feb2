/* messages_base.c -- codecs of the frames about the shared base; see messages_base.h. */
#include "ipc/codec.h"
#include "ipc/messages_base.h"
#include "postern/err.h"

static const uint8_t columns[BASE_TABLE_COUNT] = {
	[BASE_MESSAGE] = 16, [BASE_RECIPIENT] = 11, [BASE_EVENT] = 15, [BASE_RECORD] = 2, [BASE_AUDIT] = 10,
	[BASE_AUDIT_BASE] = 5, [BASE_KEPT] = 30, [BASE_LIST] = 15, [BASE_DONE] = 5, [BASE_NODE] = 10, [BASE_GONE] = 2,
};

size_t
base_columns(enum base_table t)
{
	ASSERT(t > BASE_NONE && t < BASE_TABLE_COUNT);
	return columns[t];
}

void
base_row_begin(struct buf *b, enum base_table t)
{
	buf_putc(b, (char)t);
}

void
base_int(struct buf *b, int64_t v)
{
	struct enc e = { b };

	enc_u8(&e, BASE_INT);
	enc_i64(&e, v);
}

void
base_text(struct buf *b, struct span s)
{
	struct enc e = { b };

	enc_u8(&e, BASE_TEXT);
	enc_span(&e, s);
}

void
base_blob(struct buf *b, struct span s)
{
	struct enc e = { b };

	enc_u8(&e, BASE_BLOB);
	enc_span(&e, s);
}

void
base_null(struct buf *b)
{
	buf_putc(b, BASE_NULL);
}

void
base_fd(struct buf *b, uint64_t size)
{
	struct enc e = { b };

	enc_u8(&e, BASE_FD);
	enc_i64(&e, (int64_t)size);
}

static void
value_read(struct dec *d, struct base_value *v)
{
	*v = (struct base_value){ .type = (enum base_type)dec_enum(d, BASE_TYPES) };
	if (v->type == BASE_INT || v->type == BASE_FD)
		v->i = dec_i64(d);
	else if (v->type == BASE_TEXT || v->type == BASE_BLOB)
		v->s = dec_span(d);
	if (v->type == BASE_FD && v->i < 0)
		d->bad = true;
}

int
base_value_next(struct base_reader *r, struct base_value *v)
{
	struct dec d;

	if (r->rest.n == 0)
		return 0;
	dec_init(&d, r->rest);
	value_read(&d, v);
	if (d.bad)
		return -1;
	r->rest = span_make(d.p, (size_t)(d.end - d.p));
	return 1;
}

int
base_row_next(struct base_reader *r, enum base_table *t, struct base_value v[BASE_COLUMNS_MAX])
{
	struct dec d;

	if (r->rest.n == 0)
		return 0;
	dec_init(&d, r->rest);
	*t = (enum base_table)dec_enum(&d, BASE_TABLE_COUNT);
	if (d.bad || *t == BASE_NONE)
		return -1;
	for (size_t i = 0; i < columns[*t] && !d.bad; i++)
		value_read(&d, &v[i]);
	if (d.bad)
		return -1;
	r->rest = span_make(d.p, (size_t)(d.end - d.p));
	return 1;
}

ENCODE(share)
	enc_i64(&e, m->event_seq);
	enc_i64(&e, m->audit_seq);
	enc_u64(&e, m->behind);
	enc_span(&e, m->rows);
}
DECODE(share)
	m->event_seq = dec_i64(&d);
	m->audit_seq = dec_i64(&d);
	m->behind = dec_u64(&d);
	m->rows = dec_span(&d);
DECODED

ENCODE(shared)
	enc_u8(&e, (uint8_t)m->kind);
	enc_i64(&e, m->event_seq);
	enc_i64(&e, m->audit_seq);
	enc_u64(&e, m->base);
	enc_u32(&e, m->news);
	enc_u8(&e, m->named);
	enc_u8(&e, m->newer);
	enc_span(&e, m->text);
}
DECODE(shared)
	m->kind = (enum shared_kind)dec_enum(&d, SHARED_KINDS);
	m->event_seq = dec_i64(&d);
	m->audit_seq = dec_i64(&d);
	m->base = dec_u64(&d);
	m->news = dec_u32(&d);
	m->named = dec_enum(&d, 2);
	m->newer = dec_enum(&d, 2);
	m->text = dec_span(&d);
DECODED

ENCODE(base_ask)
	enc_u8(&e, (uint8_t)m->what);
	enc_span(&e, m->values);
}
DECODE(base_ask)
	m->what = (enum base_ask)dec_enum(&d, BASE_ASK_COUNT);
	m->values = dec_span(&d);
DECODED

ENCODE(base_told)
	enc_u8(&e, (uint8_t)m->told);
	enc_u8(&e, m->partial);
	enc_span(&e, m->text);
	enc_span(&e, m->rows);
}
DECODE(base_told)
	m->told = (enum base_told)dec_enum(&d, BASE_TOLD_COUNT);
	m->partial = dec_enum(&d, 2);
	m->text = dec_span(&d);
	m->rows = dec_span(&d);
DECODED
