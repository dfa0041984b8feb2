/* html_links.h -- where the elements of an HTML text lead. */
#ifndef ANATOMY_HTML_LINKS_H
#define ANATOMY_HTML_LINKS_H

#include "anatomy/url.h"

/* An attribute that may hold a URL. */
enum html_attribute { HTML_OTHER, HTML_HREF, HTML_SRC, HTML_ACTION, HTML_SRCSET, HTML_STYLE, HTML_CONTENT,
	HTML_REFRESH };
#define HTML_ATTRIBUTES 12	/* of one element; of one with more the first */

struct html_tag {
	char name[16];		/* lower case; longer names are no element we know */
	bool end;
	bool hides;
	bool self_closing;
	unsigned nlinks;
	struct {
		enum html_attribute what;
		struct span value;
	} links[HTML_ATTRIBUTES];
};

struct html_links {
	struct builder *b;
	uint16_t part;
	const struct text *in;	/* the HTML itself */
	struct url_base base;
	bool open;		/* an <a> whose text is not over */
	struct span href;
	size_t from;		/* its text, in the visible text */
};

enum html_attribute html_attribute(struct span name);
/* at: the tag's place in the HTML; visible: the text made so far. */
void html_links_tag(struct html_links *l, const struct html_tag *t, struct span visible);
/* The text of a <style> element. */
void html_links_style(struct html_links *l, struct span css);
void html_links_end(struct html_links *l, struct span visible);

#endif
