/* config_ocr.c -- `scanners: {ocr: …}`: text in pictures.
 *
 *	ocr: {languages: [eng, fra], pixels: 25000000, time: 10s, per_message: 30s}
 *
 * Off when it is not there. Whether the program and its languages are there is
 * for `posternd -n` to say (relay/cli/cmd_check.c), since roles cannot look.
 */
#include "clock.h"
#include "master/config_read.h"

#define LANGUAGES 8
#define LANGUAGE_TEXT 200

static void
read_languages(struct reader *r, const struct conf_node *n)
{
	char text[LANGUAGE_TEXT];
	size_t at = 0, count = 0;

	if (!conf_want(r->d, n, CONF_LIST, "a list of tesseract's languages, as in [eng, fra]"))
		return;
	for (const struct conf_node *k = n->first; k; k = k->next, count++) {
		struct span s;

		if (!conf_text(r->d, k, "a language, as in eng", &s))
			return;
		for (size_t i = 0; i < s.n; i++)
			if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') || s.p[i] == '_')) {
				error_at(r, k, "eng", "that is not the name of a language of tesseract");
				return;
			}
		if (count == LANGUAGES || s.n == 0 || s.n + at + 2 > sizeof(text)) {
			error_at(r, k, NULL, "eight languages at most");
			return;
		}
		if (at)
			text[at++] = '+';
		memcpy(text + at, s.p, s.n);
		at += s.n;
	}
	if (at == 0)
		error_at(r, n, "[eng]", "`languages` is empty");
	else
		r->c->ocr.languages = arena_str(r->a, span_make(text, at));
}

void
read_ocr(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "languages", "pixels", "time", "per_message", NULL };
	struct conf_ocr *o = &r->c->ocr;
	const struct conf_node *n;
	uint32_t pixels = 25000000;

	*o = (struct conf_ocr){ .languages = "eng", .time = 10 * US_PER_SEC, .per_message = 30 * US_PER_SEC };
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{languages, pixels, time, per_message}"))
		return;
	conf_check_keys(r->d, map, "ocr", known);
	o->on = true;
	if ((n = conf_get(map, "languages")))
		read_languages(r, n);
	if ((n = conf_get(map, "pixels")))
		u32_of(r, map, "pixels", 10000, 200000000, &pixels);
	o->pixels = pixels;
	duration_of(r, map, "time", &o->time);
	duration_of(r, map, "per_message", &o->per_message);
	if (o->time < US_PER_SEC / 10 || o->time > 600 * US_PER_SEC)
		error_at(r, conf_get(map, "time"), "10s", "`time` is between 100ms and 10m");
	/* The rest of the message needs time too, and a worker that is late is ended. */
	n = conf_get(map, "per_message");
	if (o->per_message > r->c->scan_timeout * 3 / 4)
		error_at(r, n ? n : map, "30s", "`per_message` is at most three quarters of `timeout`");
}
