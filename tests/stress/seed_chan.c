// SPDX-License-Identifier: MIT
/*
 * seed_chan - channels and selects under many seeds: nothing is lost or received
 * twice, who is told of a close is told once, and everybody comes to an end.
 */
#include "tests/stress/seedrun.h"

#include "tests/lincheck/linseries.h"

enum { SENDERS = 4, EACH = 12, RECEIVERS = 3, TOTAL = SENDERS * EACH };

static struct {
	rg_chan *c, *stop;
	rg_waitgroup senders, receivers;
	int seen[TOTAL];
	int last[RECEIVERS][SENDERS];
} w;

static void world(size_t capacity)
{
	memset(&w, 0, sizeof(w));
	memset(w.last, -1, sizeof(w.last));
	w.c = rg_make(int, capacity);
	w.stop = rg_make(int, 0);
	T_CHECK(w.c && w.stop);
}

static void end_world(void)
{
	for (int i = 0; i < TOTAL; i++)
		T_CHECK_INT_EQ(w.seen[i], 1);
	rg_chan_unref(w.c);
	rg_chan_unref(w.stop);
}

/* From one sender values come in order to each receiver. */
static void take(int receiver, int value)
{
	w.seen[value]++;
	T_CHECK_INT_LT(w.last[receiver][value / EACH], value);
	w.last[receiver][value / EACH] = value;
}

static void sender(void *arg)
{
	int id = (int)(intptr_t)arg;

	for (int i = 0; i < EACH; i++)
		rg_send(w.c, id * EACH + i);
	rg_waitgroup_done(&w.senders);
}

static void receiver(void *arg)
{
	int value;

	rg_range(w.c, &value) {
		take((int)(intptr_t)arg, value);
	}
	rg_waitgroup_done(&w.receivers);
}

static void start(void (*send)(void *), void (*receive)(void *))
{
	rg_waitgroup_add(&w.senders, SENDERS);
	rg_waitgroup_add(&w.receivers, RECEIVERS);
	for (intptr_t i = 0; i < RECEIVERS; i++)
		seedrun_go(receive, (void *)i);
	for (intptr_t i = 0; i < SENDERS; i++)
		seedrun_go(send, (void *)i);
}

static void many_to_many(void)
{
	world(seedrun_draw(4));
	start(sender, receiver);
	rg_waitgroup_wait(&w.senders);
	rg_chan_close(w.c);
	rg_waitgroup_wait(&w.receivers);
	end_world();
}

static void try_sender(void *arg)
{
	int id = (int)(intptr_t)arg;

	for (int i = 0; i < EACH; i++) {
		int value = id * EACH + i;

		while (!rg_chan_try_send(w.c, &value))
			rg_yield();
	}
	rg_waitgroup_done(&w.senders);
}

static void try_receiver(void *arg)
{
	int value, got;

	while ((got = rg_chan_try_recv(w.c, &value)) != 0) {
		if (got > 0)
			take((int)(intptr_t)arg, value);
		else
			rg_yield();
	}
	rg_waitgroup_done(&w.receivers);
}

static void tries(void)
{
	world(1 + seedrun_draw(3));
	start(seedrun_draw(2) ? sender : try_sender, try_receiver);
	rg_waitgroup_wait(&w.senders);
	rg_chan_close(w.c);
	rg_waitgroup_wait(&w.receivers);
	end_world();
}

/* ---- a storm of selects ---- */

static rg_chan *storm[3];
static int sent, received;

static void storm_party(void *arg)
{
	int left = 20;

	(void)arg;
	while (left > 0) {
		int out = left, in = 0;
		rg_case cases[] = {
			RG_SEND(storm[seedrun_draw(3)], &out),
			RG_RECV(storm[seedrun_draw(3)], &in),
			RG_RECV(w.stop, NULL),
			RG_RECV(storm[seedrun_draw(3)], &in),
		};
		int i = seedrun_draw(4)
				? rg_select(cases, 4)
				: rg_select_until(cases, 4,
						  rg_now() +
							  50 * RG_MICROSECOND);

		if (i == 2)
			break;
		left--;
		sent += i == 0;
		received += i == 1 || i == 3;
		T_CHECK(i == -ETIMEDOUT || cases[i].ok);
	}
	rg_waitgroup_done(&w.senders);
}

static void selects(void)
{
	size_t left = 0;

	world(0);
	sent = received = 0;
	for (int i = 0; i < 3; i++)
		T_CHECK((storm[i] = rg_make(int, seedrun_draw(3))) != NULL);
	rg_waitgroup_add(&w.senders, 6);
	for (int i = 0; i < 6; i++)
		seedrun_go(storm_party, NULL);
	rg_sleep(seedrun_draw(200) * RG_MICROSECOND);
	rg_chan_close(w.stop);
	rg_waitgroup_wait(&w.senders);
	for (int i = 0; i < 3; i++) {
		left += rg_chan_len(storm[i]);
		rg_chan_unref(storm[i]);
	}
	T_CHECK_INT_EQ(sent, received + (int)left);
	rg_chan_unref(w.c);
	rg_chan_unref(w.stop);
}

/* Recorded histories, checked as tests/lincheck says; the seed is the plan, too. */
static void histories(uint64_t seed)
{
	struct lin_series s = {.first = seed,
			       .count = 1,
			       .limit = RG_HOUR,
			       .patience = LIN_PATIENCE,
			       .is_quiet = true,
			       .one_thread = true};

	lin_series_run(&s);
	T_CHECK_INT_EQ(s.runs, 1);
}

int main(int argc, char **argv)
{
	static const struct seed_case cases[] = {
		{.name = "many", .body = many_to_many},
		{.name = "tries", .body = tries},
		{.name = "selects", .body = selects},
		{.name = "histories", .raw = histories},
	};

	return seedrun_main(argc, argv, cases, sizeof(cases) / sizeof(*cases));
}
