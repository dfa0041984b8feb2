/* json_scan.h -- walks over JSON and takes a few values out of it, without making a tree.
 *
 * For text of our own making that is read often (verdict records). It does not check what it skips: of text
 * that is no JSON it finds something or nothing, and ends; no byte makes it read beyond the end. What
 * people or other programs send is ipc/json_read.h's.
 *
 *	json_scan_init(&s, text);
 *	if (json_scan_object(&s))
 *		while (json_scan_member(&s, &key))
 *			if (span_is(key, "subject"))
 *				json_scan_text(&s, arena, &subject);
 *			else
 *				json_scan_skip(&s);
 *
 * Of every member and item exactly one value is taken: by json_scan_text, by json_scan_skip, or by
 * json_scan_object or _array, whose members or items are then walked to their end.
 */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H

#include "postern/arena.h"

struct json_scan {
	const char *p, *end;	/* end: also after what is no JSON */
	bool fresh;		/* nothing was taken yet of the object or array that was opened last */
};

void json_scan_init(struct json_scan *s, struct span text);
/* Opens what stands next, if it is one; else it was skipped, and there is nothing to walk. */
bool json_scan_object(struct json_scan *s);
bool json_scan_array(struct json_scan *s);
/* To the next member, behind its key (as it is written, so one with an escape in it is not known), or the
 * next item; false at the end of the object or array. */
bool json_scan_member(struct json_scan *s, struct span *key);
bool json_scan_item(struct json_scan *s);
/* The value, if it is a text: borrowed, or in the arena where it had escapes. false: it was skipped. */
bool json_scan_text(struct json_scan *s, struct arena *a, struct span *out);
void json_scan_skip(struct json_scan *s);

#endif
