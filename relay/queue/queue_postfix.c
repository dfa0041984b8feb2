/* queue_postfix.c -- `log: {format: postfix}`: the lines by which pflogsumm counts what ours say in other words.
 *
 *	received	smtpd: client=NAME[IP], once for each message that was accepted
 *	held, kept	smtpd: hold: …, once for each recipient
 *	discarded	smtpd: discard: …
 *	refused for some of its recipients	smtpd: reject: …
 *	expired		qmgr: to=<…>, …, status=bounced: nobody will deliver it any more
 */
#include "clock.h"
#include "log.h"
#include "queue/queue.h"

static const char *
client_of(const struct envelope *env, char out[400])
{
	struct span name = env->client_name.n ? span_sub(env->client_name, 0, 256) : SPAN_LIT("unknown");
	char ip[IP_TEXT_MAX] = "unknown";

	if (env->client.family)
		ip_format(env->client, ip);
	snprintf(out, 400, SPAN_FMT "[%s]", SPAN_ARG(name), ip);
	return out;
}

void
queue_postfix_received(uint64_t id, const struct envelope *env)
{
	char who[400];

	if (log_postfix())
		log_msg_as("receiver", LOG_LVL_INFO, id, "client=%s", client_of(env, who));
}

bool
queue_postfix_ended(uint64_t id, const struct envelope *env, enum target_status status, struct span rcpt,
    struct span dsn, struct span why)
{
	char who[400];
	int64_t delay = (clock_real() - env->received) / US_PER_SEC;

	if (!log_postfix())
		return false;
	if (status == TARGET_EXPIRED || status == TARGET_FAILED) {
		log_msg(LOG_LVL_INFO, id, "to=<" SPAN_FMT ">, relay=none, delay=%lld, delays=%lld/0/0/0, dsn="
		    SPAN_FMT ", status=bounced (" SPAN_FMT ")", SPAN_ARG(rcpt), (long long)delay, (long long)delay,
		    SPAN_ARG(dsn), SPAN_ARG(why));
		return true;
	}
	if (status != TARGET_KEPT && status != TARGET_DISCARDED && status != TARGET_REFUSED)
		return false;
	log_msg_as("receiver", LOG_LVL_INFO, id, "%s: END-OF-MESSAGE from %s: <" SPAN_FMT ">: " SPAN_FMT "; from=<"
	    SPAN_FMT "> to=<" SPAN_FMT "> proto=ESMTP helo=<" SPAN_FMT ">",
	    status == TARGET_KEPT ? "hold" : status == TARGET_REFUSED ? "reject" : "discard", client_of(env, who), SPAN_ARG(rcpt),
	    SPAN_ARG(why), SPAN_ARG(env->sender), SPAN_ARG(rcpt), SPAN_ARG(env->helo));
	return true;
}
