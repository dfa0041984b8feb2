/* auth_book.h -- what the evaluations of `postern auth` share: options, fields, the DNS questions asked and shown. */
#ifndef CLI_AUTH_BOOK_H
#define CLI_AUTH_BOOK_H

#include "buf.h"
#include "cli/lookup.h"
#include "json.h"
#include "verifier/dns_question.h"

/* Pairs of an option and its value go to take() (false: no such, or a bad value); -v sets verbose. */
bool auth_options(int argc, char **argv, bool (*take)(void *ctx, const char *name, const char *value),
    void *ctx, bool *verbose);
/* "  record       v=spf1 -all"; nothing where it is empty. */
#define AUTH_FIELD "  %-12s "
void auth_put_field(struct buf *out, const char *name, struct span value);
/* Steps until it is done, asking one question after the other. */
void auth_pump(struct lookup *l, struct dns_book *b, bool (*step)(void *ctx), void *ctx);
/* A line for each question and its answer. */
void auth_put_questions(struct buf *out, const struct dns_book *b);
/* "questions": [{name, type, status, records}] */
void auth_json_questions(struct json *j, const struct dns_book *b);

#endif
