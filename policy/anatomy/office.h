/* office.h -- zip-based office documents (OOXML, ODF): their texts, and what they hold. */
#ifndef ANATOMY_OFFICE_H
#define ANATOMY_OFFICE_H

#include "anatomy/mime.h"
#include "anatomy/zip.h"

bool office_has_text(enum part_type t);
/* The texts of part `index`, a docx, xlsx, pptx, odt, ods, odp or one of their kin. Offsets in them are
 * their own: the maps are identities, since no byte of the file corresponds. */
void office_read(struct builder *b, uint16_t index);

/* --- office_members.c: what each member is for --------------------------------------------- */

enum member_use {
	USE_NONE,		/* styles, themes, fonts: nothing that anyone writes */
	USE_INDEX,		/* read before the others: shared strings, list of sheets */
	USE_TEXT, USE_RELATIONS, USE_MANIFEST, USE_MACRO, USE_PROJECT,
	USE_PICTURE,
	USE_PART		/* a file of its own */
};
struct member {
	enum member_use use;
	const char *origin;	/* of a text: "" the main one */
};
struct member office_member(struct span name, enum part_type t);

#endif
