/* digest_control.c -- digests by hand, as the control socket takes them; operators.
 *
 *	{"cmd":"digest.send","user":"ADDRESS"}	told now of all that waits for him; without a user: all,
 *		of what is new since the last hour
 *	{"cmd":"digest.preview","user":"ADDRESS"}	{"subject","text","html","messages"}: not sent; its
 *		links are real, so who may see it may decide
 */
#include "addr.h"
#include "clock.h"
#include "json.h"
#include "store/audit.h"
#include "store/digest.h"
#include "store/digest_mail.h"
#include "store/kept_control.h"

static void
preview(struct asked *q, struct span address)
{
	struct buf subject, text, html;
	struct err err = { 0 };
	uint64_t n = 0;
	struct json j;

	buf_init(&subject, 1024);
	buf_init(&text, DIGEST_TEXT_MAX);
	buf_init(&html, DIGEST_TEXT_MAX);
	if (digest_make(q->s, address, 0, INT64_MAX, q->arena, &subject, &text, &html, &n, &err) == -1) {
		say_coded(q, "busy", err.text);
	} else {
		j = open_line(q->reply);
		json_kstr(&j, "user", address);
		json_kuint(&j, "messages", n);
		json_kstr(&j, "subject", buf_data(&subject));
		json_kstr(&j, "text", buf_data(&text));
		json_kstr(&j, "html", buf_data(&html));
		close_line(q->reply, &j);
	}
	buf_release(&subject);
	buf_release(&text);
	buf_release(&html);
}

static int
put_one(struct store *s, struct span address, struct err *err)
{
	sqlite3_stmt *st = db_stmt(s->db, "INSERT OR REPLACE INTO digest_todo(address, after, upto, time)"
	    " SELECT ?1, 0, coalesce(max(kid), 0), ?2 FROM kept", err);

	if (st == NULL)
		return -1;
	db_text_always(st, 1, address);
	db_int(st, 2, clock_real());
	return db_run(s->db, st, err);
}

static int
put_all(struct store *s, struct err *err)
{
	const struct conf_digests *c = &s->rt->conf->digests;

	for (size_t i = 0; i <= c->ndomains; i++) {
		const struct conf_digest *one = i < c->ndomains ? &c->domains[i] : &c->others;

		int r;

		/* first the row of a domain that was never looked at */
		if (digest_due(s->db, s->rt->conf, one, 0, clock_real(), err) == -1)
			return -1;
		while ((r = digest_due(s->db, s->rt->conf, one, clock_real(), clock_real(), err)) == 1)
			;
		if (r == -1)
			return -1;
	}
	return 0;
}

bool
digest_command(struct asked *q)
{
	struct span cmd = jval_text(q->req, "cmd"), user = jval_text(q->req, "user"), local, domain;
	bool send = span_is(cmd, "digest.send");
	struct err err = { 0 };
	struct json j;

	if (!send && !span_is(cmd, "digest.preview"))
		return false;
	if (!principal_is(&q->who, PRINCIPAL_BIT(OPERATOR))) {
		audit_refused(q, "digest", user);
		say_coded(q, "forbidden", "your roles do not allow it");
		return true;
	}
	if ((user.n || !send) && !mailaddr_split(user, &local, &domain)) {
		say_coded(q, "invalid", "whom? `user` is an address");
		return true;
	}
	user = mailaddr_normalise(q->arena, user);
	store_settle(q->s);
	if (!send) {
		preview(q, user);
		return true;
	}
	if ((user.n ? put_one(q->s, user, &err) : put_all(q->s, &err)) == -1 || audit_put(q->s->db,
	    asked_by(q), "digest", user.n ? user : SPAN_LIT("all"), (struct span){ 0 }, clock_real(), &err) == -1) {
		say_coded(q, "busy", err.text);
		return true;
	}
	q->s->digests->todo = true;
	j = open_line(q->reply);
	json_kbool(&j, "ok", true);
	close_line(q->reply, &j);
	return true;
}
