/* xml.h -- the tags and texts of XML, as they come; nothing is checked, nothing expanded. */
#ifndef ANATOMY_XML_H
#define ANATOMY_XML_H

#include "postern/anatomy.h"

#define XML_TAG 2048		/* of a longer tag the beginning counts */

struct xml_tag {
	struct span name;	/* without prefix: "t" of "w:t" */
	struct span prefix;	/* "w" */
	struct span all;	/* with the attributes */
	bool closing, empty;
};

struct xml {
	/* Text in UTF-8 (or whatever the bytes are) with the five entities and numbers resolved. */
	void (*text)(void *arg, const char *p, size_t n);
	void (*tag)(void *arg, const struct xml_tag *tag);
	void *arg;
	bool doctype;		/* a document type was declared: entities may be */
	enum { XML_TEXT, XML_ENTITY, XML_IN_TAG, XML_COMMENT, XML_CDATA } state;
	char quote;		/* within an attribute value */
	char buf[XML_TAG];
	size_t n;
	char entity[12];
	size_t nentity;
	unsigned brackets;	/* "]]" or "--" seen last */
};

void xml_piece(struct xml *x, const char *p, size_t n);
/* The value of an attribute by its name without prefix, entities unresolved; "" when absent. */
struct span xml_attribute(const struct xml_tag *t, const char *name);
/* The digits it begins with; far above any size where there are more than a number holds. */
uint64_t xml_number(struct span value);
/* An attribute's value with entities resolved, in the arena. */
struct span xml_value(struct arena *a, struct span value);

#endif
