/* names.c -- names of files and types, as the tree of parts keeps them; see anatomy/mime.h. */
#include "anatomy/mime.h"

struct span
lower_case(struct arena *a, struct span s)
{
	char *p;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 'A' && s.p[i] <= 'Z') {
			p = arena_alloc(a, s.n);
			for (i = 0; i < s.n; i++)
				p[i] = ascii_lower(s.p[i]);
			return span_make(p, s.n);
		}
	return s.n ? s : span_make("", 0);
}

struct span
file_name(struct arena *a, struct span name)
{
	size_t n = 0;
	bool control = false;
	char *p;

	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == '/' || name.p[i] == '\\')
			n = i + 1;
	name = span_from(name, n);
	for (size_t i = 0; i < name.n; i++)
		control |= (unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f;
	if (control) {
		p = arena_alloc(a, name.n);
		n = 0;
		for (size_t i = 0; i < name.n; i++)
			if ((unsigned char)name.p[i] >= ' ' && name.p[i] != 0x7f)
				p[n++] = name.p[i];
		name = span_make(p, n);
	}
	name = span_trim(name);
	return name.n ? name : span_make("", 0);
}
