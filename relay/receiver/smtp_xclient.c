/* smtp_xclient.c -- the command XCLIENT: a trusted proxy says who its client is.
 *
 * As Postfix has it (XCLIENT_README): advertised and taken only for the
 * networks named in the listener, refused within a transaction; afterwards
 * the session is as new, greets again (or refuses, when the client it is now would
 * have been refused), and what the last XCLIENT said of HELO and PROTO
 * survives the proxy's own EHLO. Who may use it is a matter of the connection, not
 * of what it claimed.
 */
#include "receiver/smtp_command.h"

void
smtp_xclient(struct smtp_session *s, struct span args)
{
	struct smtp_reply r = { 0 };
	struct arena *a;
	struct xclient x;
	struct span bad;

	if (!s->may_xclient) {
		smtp_refuse(s, &r, 550, "5.7.0 XCLIENT is not for this client");
		smtp_put_error(s, "XCLIENT", NULL, &r);
		return;
	}
	a = arena_new(512);
	if (!xclient_parse(a, args, &x, &bad)) {
		smtp_refuse(s, &r, 501, "5.5.4 bad XCLIENT attribute: %.*s", SPAN_ARG(bad));
		smtp_put_error(s, "XCLIENT", NULL, &r);
		arena_free(&a);
		return;
	}
	smtp_set_state(s, SMTP_CONNECT);
	s->helo = (struct span){ 0 };
	s->ops->xclient(s->ctx, s, &x, &r);
	/* client_name may lie in the arena of the one before until here */
	arena_free(&s->claims);
	s->claims = a;
	s->xclient = x;
	s->user = x.login;
	s->id = id_new(s->ids, s->now);
	s->id_used = false;
	smtp_greet(s, &r);
}
