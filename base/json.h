/* json.h -- writes JSON into a buf, one value after the other, commas by itself.
 *
 * Text that is not UTF-8 is written with U+FFFD in place of each bad byte.
 * Reading is libjansson's work, at the few places that read JSON.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdint.h>

#include "buf.h"

struct json {
	struct buf *b;
	uint8_t depth;		/* at most JSON_DEPTH_MAX, asserted */
	uint64_t has;		/* bit for each depth: a value stands already */
	bool after_key;
};
#define JSON_DEPTH_MAX 60

void json_begin(struct json *j, struct buf *b);
void json_object(struct json *j);
void json_end_object(struct json *j);
void json_array(struct json *j);
void json_end_array(struct json *j);
void json_key(struct json *j, const char *key);
void json_str(struct json *j, struct span s);
void json_cstr(struct json *j, const char *s);	/* NULL: null */
void json_int(struct json *j, int64_t v);
void json_uint(struct json *j, uint64_t v);
void json_num(struct json *j, double v);	/* three decimals at most */
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
void json_raw(struct json *j, struct span already_json);

/* key and value together */
void json_kstr(struct json *j, const char *key, struct span s);
void json_kcstr(struct json *j, const char *key, const char *s);
void json_kint(struct json *j, const char *key, int64_t v);
void json_kuint(struct json *j, const char *key, uint64_t v);
void json_kbool(struct json *j, const char *key, bool v);

#endif
