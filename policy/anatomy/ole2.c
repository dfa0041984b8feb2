/* ole2.c -- a compound file as a part: which reader, and what lies embedded; see anatomy/ole2.h.
 *
 * Read by its streams, not by its name: a file with a workbook and a document
 * shows both. What a reader cannot follow (a broken chain, a version that is
 * unknown) is searched for anything that looks like text, so that damage,
 * honest or not, hides nothing.
 */
#include "anatomy/ole2.h"

#include "anatomy/textmap.h"
#include "anatomy/unlock.h"

#define PROPERTIES_MAX 256

/* --- document properties (MS-OLEPS) ------------------------------------------------------------ */

static void
properties_put(struct builder *b, struct textmake *t, struct span s)
{
	size_t at = get32(s, 44), n;
	struct span set = span_from(s, at);

	n = get32(set, 4);
	for (size_t i = 0; i < n && i < PROPERTIES_MAX; i++) {
		size_t v = get32(set, 8 + i * 8 + 4);
		uint32_t type = get32(set, v), len = get32(set, v + 4);
		struct span text = { 0 };

		if (type == 0x1e)
			text = text_of_1252(b->a, span_sub(set, v + 8, len));
		else if (type == 0x1f)
			text = text_of_utf16(b->a, span_sub(set, v + 8, (size_t)len * 2));
		while (text.n && text.p[text.n - 1] == '\0')
			text.n--;
		if (text.n == 0 || text.n > b->left)
			continue;
		b->left -= text.n;
		textmake_put(t, text.p, text.n, 0);
		textmake_put(t, "\n", 1, 0);
	}
}

/* --- embedded files --------------------------------------------------------------------------------- */

static struct span
zero_ended(struct span s, size_t *at)
{
	struct span rest = span_from(s, *at), out = span_sub(rest, 0, span_find(rest, '\0'));

	*at += out.n + 1;
	return out;
}

void
ole2_native(struct builder *b, uint16_t index, struct span s)
{
	struct span label, bytes;
	size_t at = 2;

	if (get16(s, 0) != 2) {		/* another server's own data */
		blob_add(b, index, s, SPAN_LIT("object"));
		return;
	}
	label = zero_ended(s, &at);
	zero_ended(s, &at);
	at += 4;
	at += 4 + (size_t)get32(s, at);
	bytes = span_sub(s, at + 4, get32(s, at));
	if (bytes.n == 0)
		bytes = s;	/* not as it should be: all of it */
	blob_add(b, index, bytes, label);
}

static bool
is_known_object(struct span name)
{
	return span_is_nocase(name, "Package") || span_is_nocase(name, "CONTENTS");
}

/* --- which document ------------------------------------------------------------------------------------ */

static void
strings_set(struct builder *b, uint16_t index)
{
	struct text t = { .s = strings_find(b->a, b->out->parts[index].decoded, true) };

	if (b->out->parts[index].text.s.n)
		side_add(b, index, SPAN_LIT("anything readable"), &t);
	else
		text_set(b, index, &t);
}

static bool
documents_read(struct cfb *c, struct builder *b, uint16_t index)
{
	bool any = false, good = true;

	if (cfb_find(c, 0, "WordDocument") != CFB_NONE) {
		any = true;
		good &= doc_read(c, b, index);
	}
	if (cfb_find(c, 0, "Workbook") != CFB_NONE || cfb_find(c, 0, "Book") != CFB_NONE) {
		struct text before = b->out->parts[index].text;

		good &= xls_read(c, b, index);
		if (any)
			side_add(b, index, SPAN_LIT("document"), &before);
		any = true;
	}
	if (!any && cfb_find(c, 0, "PowerPoint Document") != CFB_NONE) {
		any = true;
		good &= ppt_read(c, b, index);
	}
	if (!any && cfb_find(c, 0, "__properties_version1.0") != CFB_NONE) {
		any = true;
		good &= msg_read(c, b, index);
	}
	return any && good;
}

/* The document under a password becomes a part, when one of the message opens it. */
static void
package_unlock(struct cfb *c, struct builder *b, uint16_t index)
{
	uint32_t info = cfb_find(c, 0, "EncryptionInfo"), package = cfb_find(c, 0, "EncryptedPackage");
	struct unlocked u = { LOCK_SHUT };

	if (info != CFB_NONE)
		u = ooxml_unlock(b, cfb_stream(c, info), cfb_stream(c, package));
	if (u.lock == LOCK_OPEN && blob_add(b, index, u.bytes, b->out->parts[index].name) != PART_NONE)
		b->out->parts[index].opened = true;
}

void
ole2_read(struct builder *b, uint16_t index)
{
	struct part *p = &b->out->parts[index];
	enum part_type type = p->type;
	struct text none = { 0 };
	struct textmake t;
	struct cfb c;
	bool good;

	if (!cfb_open(&c, b, p->decoded)) {
		p->defects |= DEFECT_DOCUMENT_BROKEN;
		strings_set(b, index);
		return;
	}
	if (cfb_find(&c, 0, "EncryptedPackage") != CFB_NONE) {
		p->encrypted = true;
		p->encryption = ENCRYPTION_OOXML;
		package_unlock(&c, b, index);
	}
	ole2_unlock(&c, b, index);
	good = documents_read(&c, b, index);
	p = &b->out->parts[index];
	textmake_init(&t, b->a, &none, 256, false);
	for (uint32_t i = 0; i < c.n; i++) {
		struct span name = cfb_name(&c, i);

		if (c.v[i].kind != 2)
			continue;
		if (span_is(name, "\1Ole10Native"))
			ole2_native(b, index, span_from(cfb_stream(&c, i), 4));
		else if (is_known_object(name))
			blob_add(b, index, cfb_stream(&c, i), name);
		else if (span_is(name, "\5SummaryInformation") ||
		    span_is(name, "\5DocumentSummaryInformation"))
			properties_put(b, &t, cfb_stream(&c, i));
	}
	side_add_utf8(b, index, SPAN_LIT("properties"), span_make(t.p, t.n));
	vba_streams(&c, b, index);
	p = &b->out->parts[index];
	if (c.cut)
		p->defects |= DEFECT_TOO_LARGE;
	if (c.broken)
		p->defects |= DEFECT_DOCUMENT_BROKEN;
	/* A document within the document, or a program's own file: whatever is readable. */
	if (p->encrypted || type == TYPE_MSI)
		return;
	if ((!good && type != TYPE_OLE2) || c.broken) {
		p->defects |= DEFECT_DOCUMENT_BROKEN;
		strings_set(b, index);
	} else if (type == TYPE_OLE2 || cfb_find(&c, 0, "ObjectPool") != CFB_NONE) {
		strings_set(b, index);
	}
}
