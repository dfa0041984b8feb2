/* tnef.c -- winmail.dat ([MS-OXTNEF], [MS-OXCDATA] 2.11); see anatomy/tnef.h.
 *
 * A stream of attributes {level, id, length, data, sum of the bytes}. Those of the message hold
 * its texts, either as attributes of their own (attBody) or as MAPI properties (attMsgProps); an
 * attachment begins with attAttachRendData, and its bytes are an attribute (attAttachData) or, for an
 * attached message or an OLE object, a property (PidTagAttachDataObject). The sums are not
 * believed to protect anything: they are only compared, so that a broken stream is told.
 */
#include "anatomy/tnef.h"

#include "anatomy/lzfu.h"

#define SIGNATURE 0x223e9f78u

/* [MS-OXTNEF], 2.1.3.2: type in the upper half, id in the lower. */
enum {
	ATT_SUBJECT = 0x00018004, ATT_BODY = 0x0002800c, ATT_MSG_PROPS = 0x00069003,
	ATT_ATTACH_REND_DATA = 0x00069002, ATT_ATTACH_DATA = 0x0006800f,
	ATT_ATTACH_TITLE = 0x00018010, ATT_ATTACHMENT = 0x00069005, ATT_OEM_CODEPAGE = 0x00069007,
};
/* [MS-OXPROPS] */
enum {
	PID_SUBJECT = 0x0037, PID_BODY = 0x1000, PID_RTF_COMPRESSED = 0x1009, PID_HTML = 0x1013,
	PID_ATTACH_DATA = 0x3701, PID_ATTACH_FILENAME = 0x3704, PID_ATTACH_LONG_FILENAME = 0x3707,
};
/* [MS-OXCDATA], 2.11.1 */
enum { PT_SHORT = 2, PT_LONG, PT_FLOAT, PT_DOUBLE, PT_CURRENCY, PT_APPTIME, PT_ERROR = 10, PT_BOOLEAN,
	PT_OBJECT = 13, PT_INT8 = 20, PT_STRING8 = 30, PT_UNICODE, PT_SYSTIME = 64, PT_CLSID = 72,
	PT_BINARY = 0x102, PT_MULTIPLE = 0x1000 };

/* IID_IMessage, {00020307-0000-0000-C000-000000000046}: the object is a TNEF stream. */
static const char iid_message[16] = "\x07\x03\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46";

struct attachment {
	bool open;
	struct span title, long_name, data;
	struct span name_charset;
	bool message;
};

struct reader {
	struct arena *a;
	size_t max;
	tnef_sink_fn *sink;
	void *arg;
	struct attachment file;
	const char *codepage;
	bool stop, broken;
};

struct cursor {
	struct span s;
	bool out;		/* it was read beyond the end */
};

static struct span
take(struct cursor *c, size_t n)
{
	struct span s = span_sub(c->s, 0, n);

	c->out |= s.n < n;
	c->s = span_from(c->s, n);
	return s;
}

static uint32_t
le(struct span s)
{
	uint32_t v = 0;

	for (size_t i = s.n; i-- > 0;)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

static uint32_t
take_le(struct cursor *c, size_t n)
{
	return le(take(c, n));
}

bool
is_tnef(struct span in)
{
	return in.n >= 6 && le(span_sub(in, 0, 4)) == SIGNATURE;
}

/* Without the NULs that end it. */
static struct span
text8(struct span s)
{
	return span_sub(s, 0, span_find(s, '\0'));
}

static struct span
text16(struct span s)
{
	for (size_t i = 0; i + 1 < s.n; i += 2)
		if (s.p[i] == 0 && s.p[i + 1] == 0)
			return span_sub(s, 0, i);
	return span_sub(s, 0, s.n & ~(size_t)1);
}

static void
tell(struct reader *r, enum tnef_kind kind, struct span bytes, struct span name, struct span charset)
{
	struct tnef_item item = { kind, bytes, name, charset };

	if (!r->stop && (bytes.n || kind == TNEF_FILE) && !r->sink(r->arg, &item))
		r->stop = true;
}

static struct span
codepage(const struct reader *r)
{
	return span_str(r->codepage);
}

static void
file_end(struct reader *r)
{
	struct attachment *f = &r->file;

	if (f->open && (f->data.p || f->title.n || f->long_name.n))
		tell(r, f->message ? TNEF_MESSAGE : TNEF_FILE, f->data,
		    f->long_name.n ? f->long_name : f->title, f->name_charset);
	*f = (struct attachment){ 0 };
}

static void
property(struct reader *r, unsigned id, unsigned type, struct span value, bool of_file)
{
	struct span charset = type == PT_UNICODE ? SPAN_LIT("utf-16le") : codepage(r), rtf;
	struct span text = type == PT_UNICODE ? text16(value) : text8(value);
	bool string = type == PT_UNICODE || type == PT_STRING8, broken, cut;
	struct span none = span_make("", 0);

	if (of_file) {
		if (id == PID_ATTACH_LONG_FILENAME && string) {
			r->file.long_name = text;
			r->file.name_charset = charset;
		} else if (id == PID_ATTACH_FILENAME && string && r->file.title.n == 0) {
			r->file.title = text;
			r->file.name_charset = charset;
		} else if (id == PID_ATTACH_DATA && type == PT_OBJECT && value.n > 16) {
			r->file.message = memcmp(value.p, iid_message, 16) == 0;
			r->file.data = span_from(value, 16);
		} else if (id == PID_ATTACH_DATA && type == PT_BINARY) {
			r->file.data = value;
		}
		return;
	}
	if (id == PID_SUBJECT && string) {
		tell(r, TNEF_SUBJECT, text, none, charset);
	} else if (id == PID_BODY && string) {
		tell(r, TNEF_BODY, text, none, charset);
	} else if (id == PID_HTML && type == PT_BINARY) {
		tell(r, TNEF_HTML, value, none, none);
	} else if (id == PID_HTML && string) {
		tell(r, TNEF_HTML, text, none, charset);
	} else if (id == PID_RTF_COMPRESSED && type == PT_BINARY) {
		if (!lzfu_decode(r->a, value, r->max, &rtf, &broken, &cut)) {
			r->broken = true;
			return;
		}
		r->broken |= broken || cut;
		r->max -= rtf.n;
		tell(r, TNEF_RTF, rtf, none, none);
	}
}

/* Bytes of a value of a fixed type, as it stands in the stream; 0: not fixed. */
static size_t
fixed_size(unsigned type)
{
	switch (type) {
	case PT_SHORT:
	case PT_LONG:
	case PT_FLOAT:
	case PT_ERROR:
	case PT_BOOLEAN:
		return 4;
	case PT_DOUBLE:
	case PT_CURRENCY:
	case PT_APPTIME:
	case PT_INT8:
	case PT_SYSTIME:
		return 8;
	case PT_CLSID:
		return 16;
	default:
		return 0;
	}
}

/* [MS-OXTNEF], 2.1.3.4: properties. False: they can't be followed any further. */
static bool
properties(struct reader *r, struct span data, bool of_file)
{
	struct cursor c = { .s = data };

	for (uint32_t n = take_le(&c, 4); n && c.s.n && !r->stop; n--) {
		unsigned type = take_le(&c, 2), id = take_le(&c, 2), plain = type & ~(unsigned)PT_MULTIPLE;
		size_t size = fixed_size(plain);
		uint32_t count = 1;

		if (id >= 0x8000) {	/* a named one: whose it is, then a number or a name */
			take(&c, 16);
			if (take_le(&c, 4) == 0) {
				take(&c, 4);
			} else {
				uint32_t len = take_le(&c, 4);

				take(&c, ((size_t)len + 3) & ~(size_t)3);
			}
		}
		if (size == 0 && plain != PT_STRING8 && plain != PT_UNICODE && plain != PT_BINARY &&
		    plain != PT_OBJECT)
			return false;
		if (size == 0 || (type & PT_MULTIPLE))
			count = take_le(&c, 4);
		for (; count && !c.out; count--) {
			uint32_t len;
			struct span value;

			if (size) {
				take(&c, size);
				continue;
			}
			len = take_le(&c, 4);
			value = take(&c, len);
			if (c.out)	/* what is there of it is told all the same */
				r->broken = true;
			else
				take(&c, (4 - len % 4) % 4);
			property(r, id, plain, value, of_file);
		}
		if (c.out)
			return false;
	}
	return true;
}

static void
attribute(struct reader *r, uint32_t id, struct span data)
{
	struct span none = span_make("", 0);

	switch (id) {
	case ATT_OEM_CODEPAGE:
		if (data.n >= 4) {
			uint32_t page = le(span_sub(data, 0, 4));

			r->codepage = arena_printf(r->a, page < 1250 || page > 1258 ? "cp%u" :
			    "windows-%u", page);
		}
		break;
	case ATT_SUBJECT:
		tell(r, TNEF_SUBJECT, text8(data), none, codepage(r));
		break;
	case ATT_BODY:
		tell(r, TNEF_BODY, text8(data), none, codepage(r));
		break;
	case ATT_MSG_PROPS:
		r->broken |= !properties(r, data, false);
		break;
	case ATT_ATTACH_REND_DATA:
		file_end(r);
		r->file.open = true;
		break;
	case ATT_ATTACH_TITLE:
		r->file.open = true;
		r->file.title = text8(data);
		if (r->file.long_name.n == 0)
			r->file.name_charset = codepage(r);
		break;
	case ATT_ATTACH_DATA:
		r->file.open = true;
		r->file.data = data.p ? data : none;
		break;
	case ATT_ATTACHMENT:
		r->file.open = true;
		r->broken |= !properties(r, data, true);
		break;
	default:
		break;
	}
}

bool
tnef_read(struct arena *a, struct span in, size_t max, tnef_sink_fn *sink, void *arg)
{
	struct reader r = { .a = a, .max = max, .sink = sink, .arg = arg, .codepage = "" };
	struct cursor c = { .s = in };

	if (!is_tnef(in))
		return false;
	take(&c, 6);		/* signature and key */
	while (c.s.n && !r.stop && !c.out) {
		unsigned level = take_le(&c, 1);
		uint32_t id = take_le(&c, 4), len = take_le(&c, 4), sum = 0;
		struct span data = take(&c, len);

		if (level != 1 && level != 2) {
			r.broken = true;	/* out of step: nothing behind it can be trusted */
			break;
		}
		attribute(&r, id, data);
		for (size_t i = 0; i < data.n; i++)
			sum += (unsigned char)data.p[i];
		if (take_le(&c, 2) != (sum & 0xffff))
			r.broken = true;
	}
	file_end(&r);
	return !r.broken && !c.out && !r.stop;
}
