/* smtp_command.h -- what the session and its table of commands share; for nobody else. */
#ifndef RECEIVER_SMTP_COMMAND_H
#define RECEIVER_SMTP_COMMAND_H

#include "postern/arena.h"
#include "postern/err.h"
#include "receiver/smtp_session.h"

/* One line without CRLF, in CONNECT, GREETED, SENDER or RECIPIENTS. */
void smtp_command(struct smtp_session *s, struct span line);

/* Its first word is a command that is known here. */
bool smtp_is_command(struct span line);

void smtp_line_too_long(struct smtp_session *s);
/* From here on ASKING, until the answer of that ticket; code 0: it may go on. */
void smtp_ask(struct smtp_session *s, enum smtp_asks asks, uint64_t ticket);
void smtp_asked(struct smtp_session *s, const struct smtp_reply *answer);
void smtp_set_state(struct smtp_session *s, enum smtp_state to);
void smtp_greet(struct smtp_session *s, const struct smtp_reply *refused);
void smtp_say(struct smtp_session *s, unsigned code, const char *text);
/* A refusal of what the client did, counted; may end the session. */
void smtp_put_error(struct smtp_session *s, const char *command, const struct recipient *rcpt,
    struct smtp_reply *r);
void smtp_count_error(struct smtp_session *s);
void smtp_abandon(struct smtp_session *s);	/* the transaction, if there is one */
void smtp_hang_up(struct smtp_session *s);
/* All of the message is there (BODY, CHUNK). flags: DATA_HAS_NUL … */
void smtp_end_of_message(struct smtp_session *s, unsigned flags);
#define SMTP_BARE_TEXT "5.6.0 bare CR or LF: lines end with CR LF"

/* ---- smtp_bdat.c ---- */
void smtp_bdat(struct smtp_session *s, struct span args);
void smtp_bdat_asked(struct smtp_session *s, const struct smtp_reply *r);
/* States CHUNK and SKIP; returns how many bytes it took. */
size_t smtp_chunk(struct smtp_session *s, struct span in);

/* smtp_xclient.c */
void smtp_xclient(struct smtp_session *s, struct span args);

#endif
