/* login.c -- credentials on their way to an authenticator, or to the directory where the listener
 * says `auth: ldap`, and the answers on their way back.
 *
 * The numbers: LOGINS_CHECKING at once wait for the authenticators, more
 * are told to come back. A wrong password is answered LOGIN_DELAY later. A
 * client may be wrong LOGIN_ALLOW times within LOGIN_WINDOW, counted by all receivers
 * together; then it is sent away before anything is checked. Each attempt
 * takes one of these and gets it back when it was right, or could not be checked, so that attempts in
 * parallel are worth no more than one after the other. Users are not locked: that
 * would let anybody lock anybody out.
 */
#include <stdlib.h>

#include "clock.h"
#include "ipc/ticket.h"
#include "log.h"
#include "receiver/login.h"

#define LOGIN_PEERS 64		/* three generations of as many as may be configured, and more */
#define LOGINS_CHECKING 64
#define LOGIN_PATIENCE (30 * US_PER_SEC)
#define LOGIN_DELAY (2 * US_PER_SEC)
#define LOGIN_ALLOW 10
#define LOGIN_WINDOW (600 * US_PER_SEC)

const struct limit_rule login_rule = { .id = { "auth-failures", 13 }, .per = LIMIT_CLIENT,
	.unit = LIMIT_MESSAGES, .allow = LOGIN_ALLOW, .window = LOGIN_WINDOW,
	.then = OUTCOME_DEFER };

struct login {
	struct login *next, **prev;
	uint64_t ticket, conn;
	struct link *peer;		/* who checks it; NULL: it was wrong, and waits a while */
	struct ip client;
	int64_t answer_at;		/* clock_mono */
};

struct logins {
	struct receiver *rx;
	struct tickets *tickets;
	struct link *peers[LOGIN_PEERS];
	uint32_t busy[LOGIN_PEERS];	/* checks each has */
	uint32_t checking;
	struct login *first;
};

struct logins *
logins_new(struct receiver *rx)
{
	struct logins *lg = calloc(1, sizeof(*lg));

	ASSERT(lg != NULL);
	lg->rx = rx;
	lg->tickets = tickets_new();
	return lg;
}

static void
who_of(struct ip ip, char text[static IP_TEXT_MAX], struct limits_who *who)
{
	*who = (struct limits_who){ .client = span_str(ip_format(ip, text)) };
}

static void
answer(struct logins *lg, struct login *l, unsigned code, const char *text)
{
	struct smtp_reply r = { .code = code, .text = span_str(text) };
	uint64_t conn = l->conn, ticket = l->ticket;

	*l->prev = l->next;
	if (l->next)
		l->next->prev = l->prev;
	ticket_close(lg->tickets, ticket);
	free(l);
	conn_answer(lg->rx, conn, ticket, &r);
}

/* It could not be checked: that is nobody's failure. */
static void
unchecked(struct logins *lg, struct login *l)
{
	struct limits_who who;
	char ip[IP_TEXT_MAX];

	who_of(l->client, ip, &who);
	limits_give_back(lg->rx->limits, &login_rule, &who, 1);
	answer(lg, l, 454, "4.7.0 temporary authentication failure");
}

static void
checked(struct logins *lg, struct login *l)
{
	for (size_t i = 0; i < LOGIN_PEERS; i++)
		if (lg->peers[i] && lg->peers[i] == l->peer)
			lg->busy[i]--;
	l->peer = NULL;
	lg->checking--;
}

void
logins_up(struct logins *lg, struct link *l)
{
	for (size_t i = 0; i < LOGIN_PEERS; i++)
		if (lg->peers[i] == NULL) {
			lg->peers[i] = l;
			lg->busy[i] = 0;
			return;
		}
	log_error("more than %d authenticators: one is not used", LOGIN_PEERS);
}

void
logins_down(struct logins *lg, struct link *down)
{
	struct login *l, *next;

	for (l = lg->first; l; l = next) {
		next = l->next;
		if (l->peer != down)
			continue;
		checked(lg, l);
		unchecked(lg, l);
	}
	for (size_t i = 0; i < LOGIN_PEERS; i++)
		if (lg->peers[i] == down)
			lg->peers[i] = NULL;
}

/* Those of a configuration that is replaced stay for a moment beside the new ones, which alone
 * know who was added and who was struck out. */
static bool
is_newest(const struct logins *lg, int i)
{
	enum role role = link_peer(lg->peers[i]);
	uint32_t newer = 0;

	for (int k = 0; k < LOGIN_PEERS; k++)
		newer += lg->peers[k] && link_peer(lg->peers[k]) == role &&
		    link_instance(lg->peers[k]) > link_instance(lg->peers[i]);
	return newer < (role == ROLE_DIRECTORY ? 1 : lg->rx->rt->conf->authenticators);
}

/* The one with least to do; -1: there is none. */
static int
least_busy(const struct logins *lg, enum role by)
{
	int best = -1;

	for (int i = 0; i < LOGIN_PEERS; i++)
		if (lg->peers[i] && link_peer(lg->peers[i]) == by && is_newest(lg, i) &&
		    (best == -1 || lg->busy[i] < lg->busy[best]))
			best = i;
	return best;
}

static bool
send_login(struct logins *lg, struct link *peer, uint64_t ticket, struct span user,
    struct span password)
{
	struct buf *b = &lg->rx->messages.scratch;
	struct msg_login m = { user, password };
	bool sent;

	login_encode(b, &m);
	sent = !buf_failed(b) && link_send(peer, FRAME_LOGIN, ticket, buf_data(b), -1) == 0;
	explicit_bzero(b->p, b->cap);
	buf_reset(b);
	if (sent)
		link_flush(peer);
	return sent;
}

uint64_t
login_start(struct logins *lg, enum role by, uint64_t conn, const struct smtp_session *s,
    struct span user, struct span password, struct smtp_reply *r)
{
	int peer = least_busy(lg, by);
	int64_t now = clock_mono();
	struct limits_who who;
	struct limits_hit hit;
	char ip[IP_TEXT_MAX];
	struct login *l;

	who_of(s->client, ip, &who);
	if (peer == -1 || lg->checking >= LOGINS_CHECKING) {
		*r = (struct smtp_reply){ 454, SPAN_LIT("4.7.0 temporary authentication failure"),
			false };
		return 0;
	}
	if (limits_take(lg->rx->limits, &login_rule, 1, LIMIT_MESSAGES, &who, 1, now, &hit) !=
	    OUTCOME_UNJUDGED) {
		counter_add(COUNTER_LIMIT_HITS, 1);
		label_add(LABEL_LIMIT, SPAN_LIT("logins"), (struct span){ 0 }, 1);
		*r = (struct smtp_reply){ 421, SPAN_LIT("4.7.0 too many authentication failures of "
		    "this client, try again later"), true };
		return 0;
	}
	l = calloc(1, sizeof(*l));
	ASSERT(l != NULL);
	*l = (struct login){ .conn = conn, .client = s->client, .peer = lg->peers[peer],
		.next = lg->first, .prev = &lg->first };
	l->ticket = ticket_open(lg->tickets, l, now + LOGIN_PATIENCE);
	if (l->next)
		l->next->prev = &l->next;
	lg->first = l;
	lg->busy[peer]++;
	lg->checking++;
	if (!send_login(lg, l->peer, l->ticket, user, password))
		log_error("a login cannot be sent to its authenticator");	/* its patience ends */
	return l->ticket;
}

int
logins_result(struct logins *lg, struct frame *f, int64_t now)
{
	struct login *l = ticket_owner(lg->tickets, f->ticket);
	struct msg_login_result m;
	struct limits_who who;
	char ip[IP_TEXT_MAX];

	if (login_result_decode(f->body, f->fd, NULL, &m) == -1)
		return -1;
	if (l == NULL || l->peer == NULL)
		return 0;
	checked(lg, l);
	switch (m.status) {
	case LOGIN_RIGHT:
		counter_add(COUNTER_LOGINS, 1);
		who_of(l->client, ip, &who);
		limits_give_back(lg->rx->limits, &login_rule, &who, 1);
		answer(lg, l, 235, "2.7.0 authentication succeeded");
		break;
	case LOGIN_WRONG:
		counter_add(COUNTER_LOGIN_FAILURES, 1);
		l->answer_at = now + LOGIN_DELAY;
		break;
	default:
		unchecked(lg, l);
	}
	return 0;
}

void
logins_tick(struct logins *lg, int64_t now)
{
	struct login *l, *next;
	uint64_t ticket;

	for (l = lg->first; l; l = next) {
		next = l->next;
		if (l->peer == NULL && now >= l->answer_at)
			answer(lg, l, 535, "5.7.8 authentication failed");
	}
	while ((ticket = ticket_expired(lg->tickets, now)) != 0) {
		l = ticket_owner(lg->tickets, ticket);
		if (l->peer)
			checked(lg, l);
		unchecked(lg, l);
	}
}
