/* auth_book.h -- the DNS questions of an evaluation, asked and shown by the tool. */
#ifndef CLI_AUTH_BOOK_H
#define CLI_AUTH_BOOK_H

#include "buf.h"
#include "cli/lookup.h"
#include "json.h"
#include "verifier/dns_question.h"

/* Steps until it is done, asking one question after the other. */
void auth_pump(struct lookup *l, struct dns_book *b, bool (*step)(void *ctx), void *ctx);
/* A line for each question and its answer. */
void auth_put_questions(struct buf *out, const struct dns_book *b);
/* "questions": [{name, type, status, records}] */
void auth_json_questions(struct json *j, const struct dns_book *b);

#endif
