/* spf_macro.h -- macros of SPF (RFC 7208, 7): checked, and expanded. Pure. */
#ifndef VERIFIER_SPF_MACRO_H
#define VERIFIER_SPF_MACRO_H

#include "postern/arena.h"
#include "postern/ip.h"

struct spf_names {
	struct span local, sender_domain;	/* %{l} %{o}, together %{s} */
	struct span domain;			/* %{d}: the current one */
	struct span helo;			/* %{h} */
	struct span validated;			/* %{p} */
	struct span receiver;			/* %{r} */
	struct ip ip;				/* %{i} %{c} %{v} */
	int64_t now;				/* %{t}, microseconds */
};

/* macro-string: what an unknown modifier may hold. */
bool spf_macro_ok(struct span s);
/* domain-spec: ends in a top label or a macro, none of the letters of explanations. */
bool spf_macro_domain_ok(struct span s);
/* explain-string: spaces too. */
bool spf_macro_text_ok(struct span s);
/* Is %{p} among the macros of a checked text? */
bool spf_macro_needs_name(struct span s);
/* A checked text with its macros filled in. false: more than SPF_EXPANSION_MAX bytes. */
bool spf_macro_expand(struct arena *a, struct span s, const struct spf_names *names,
    struct span *out);
/* What is left of an expanded domain: without the final dot, and with labels taken off the left
 * until 253 bytes remain (7.3). */
struct span spf_macro_domain(struct span expanded);

#endif
