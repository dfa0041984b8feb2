/* atoms.h -- the pieces identifiers are made of: runs of letters and digits.
 *
 * An atom is a longest run of ASCII letters and digits with at least the look
 * of a group ("4111", "FR14", "2A"). Full-width and other scripts' digits are
 * read as digits, full-width letters as letters; zero-width characters and
 * soft hyphens inside are passed over. What stands between two atoms is a
 * separator when it is short and plain.
 */
#ifndef DETECT_ATOMS_H
#define DETECT_ATOMS_H

#include "postern/span.h"

#define ATOM_MAX 40		/* characters kept; a longer run is no group of anything */
#define ATOMS_JOINED_MAX 12
#define READING_MAX 64

enum atom_kind { ATOM_NONE, ATOM_DIGITS, ATOM_LETTERS, ATOM_MIXED };

struct atom {
	size_t from, to;	/* in the text */
	enum atom_kind kind;	/* ATOM_NONE: the end of the text */
	bool usable;		/* false: too long, or a letter or `_` beside it belongs to it */
	bool upper, lower;	/* letters of that case were in it */
	uint8_t n;
	/* Between the atom before and this one: ' ' '-' '.' '/' '+' '\n' (one line end, perhaps
	 * with blanks), '\t' (the border of two cells of HTML), or 0 for anything else. */
	char sep;
	char c[ATOM_MAX];	/* upper case */
};

#define ATOMS_RING 16		/* a power of two, above ATOMS_JOINED_MAX + 1 */

struct atoms {
	struct span text;
	size_t pos;		/* where reading goes on */
	size_t claimed;		/* what lies before is a part of something found */
	size_t at, end;		/* numbers of the current atom, and of the next to be read */
	struct atom before;	/* the atom in front of the current one; ATOM_NONE: none near */
	struct atom ring[ATOMS_RING];
};

void atoms_begin(struct atoms *a, struct span utf8);
/* Goes to the next usable atom with a digit in it; false at the end. */
bool atoms_next(struct atoms *a);
/* Can another group stand behind the current atom? Looks at a few bytes only. */
bool atoms_joined(const struct atoms *a);
/* The current atom (i 0) and those behind it (i <= ATOMS_JOINED_MAX). */
const struct atom *atoms_peek(struct atoms *a, size_t i);

#endif
