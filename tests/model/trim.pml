/* SPDX-License-Identifier: MIT */
/*
 * trim - a goroutine is woken and runs while what lies below its stack pointer is thrown
 * away: sched/trim.[ch].
 *
 * Labels are the steps of trim.h: T1 to T6, E1 to E3, L1 to L3. Actors: the trimmer; two
 * Ms, each of which may run the goroutine; whoever readies it. It parks, is readied and
 * runs again for ever, at another stack pointer each time.
 *
 * Proved: while pages are thrown away no M stands on the stack nor steps on it, and the
 * stack pointer that was read is the one that was saved last (I1).
 * Memory order: what Ms store to curg, prev, the state and the context goes through store
 * buffers, from which it reaches memory in any order, one location's in turn. A heavy
 * barrier empties them, one M after the other. Who publishes the goroutine to wakers
 * does it by a release: its context has reached memory by then. The trimmer's own
 * stores are as late as its steps; its looks at several words come in any order.
 * Abstracted: a state that is neither WAITING nor RUNNING is RUNNING; the goroutines
 * between are one, "other"; in E3 a look at the claim waits until it has gone.
 */
#define NONE    0
#define CLAIMED 1
#define DONE    2

/* Memory. curg, prev: does it name the goroutine? */
bool curg[3], prev[3];
bool is_waiting = false; /* its state */
byte trim = NONE;
bool is_saved = true; /* the context in memory is that of the last stop */

/* Stored and not in memory yet. */
bool has_curg[3], b_curg[3], has_prev[3], b_prev[3];
bool has_state[3], b_state[3], has_ctx[3];

byte on = 0; /* the M that stands on the stack; 0: none */
bool is_queued = true, is_published = false;
bool is_discarding = false;

#define store(has, buffer, value)                                              \
	d_step                                                                 \
	{                                                                      \
		has = true;                                                    \
		buffer = value                                                 \
	}

#define drain(has, buffer, memory)                                             \
	if                                                                     \
	:: has ->                                                              \
		memory = buffer;                                               \
		buffer = false;                                                \
		has = false                                                    \
	:: else                                                                \
	fi

inline drain_all(m)
{
	d_step {
		drain(has_curg[m], b_curg[m], curg[m]);
		drain(has_prev[m], b_prev[m], prev[m]);
		drain(has_state[m], b_state[m], is_waiting);
		is_saved = is_saved || has_ctx[m];
		has_ctx[m] = false
	}
}

/* Memory gets what was stored, in any order. */
proctype Buffer(byte m)
{
end_empty:
	do
	:: d_step {
		has_curg[m] ->
		curg[m] = b_curg[m];
		b_curg[m] = false;
		has_curg[m] = false
	   }
	:: d_step {
		has_prev[m] ->
		prev[m] = b_prev[m];
		b_prev[m] = false;
		has_prev[m] = false
	   }
	:: d_step {
		has_state[m] ->
		is_waiting = b_state[m];
		b_state[m] = false;
		has_state[m] = false
	   }
	:: d_step {
		has_ctx[m] ->
		is_saved = true;
		has_ctx[m] = false
	   }
	od
}

proctype M(byte me)
{
	byte t;

end_idle:
	do
	:: atomic {
		is_queued -> is_queued = false
	   }
#ifdef FAULT_LOOK_BEFORE_CURG
	   t = trim;
#endif
	   store(has_prev[me], b_prev[me], false); /* who was here before */
	   store(has_curg[me], b_curg[me], true);  /* E1 */
	   store(has_state[me], b_state[me], false);
#ifndef FAULT_LOOK_BEFORE_CURG
	   t = trim; /* E2 */
#endif
	   if
	   :: t == NONE
	   :: else -> /* E3 */
#ifdef FAULT_E3_DOES_NOT_WAIT
		trim = NONE
#else
		atomic {
			trim != CLAIMED -> trim = NONE
		}
#endif
	   fi;
	   atomic {
		assert(on == 0 && is_saved && !is_discarding); /* I1 */
		on = me;
		is_saved = false
	   }
	   store(has_state[me], b_state[me], true); /* note_wait */
	   store(has_prev[me], b_prev[me], true);   /* L1 */
	   store(has_curg[me], b_curg[me], false);
	   atomic { /* L2 */
		has_ctx[me] = true;
		on = 0
	   }
	   if
	   :: store(has_prev[me], b_prev[me], false) /* L3 */
	   :: true
	   fi;
	   atomic {
		!has_ctx[me] && !has_state[me] -> is_published = true
	   }
	:: atomic {
		prev[me] || b_prev[me] ->
		has_prev[me] = true; /* L3, falling asleep */
		b_prev[me] = false
	   }
	od
}

active proctype Waker()
{
end_nobody:
	do
	:: atomic {
		is_published ->
		is_published = false;
		is_waiting = false; /* RUNNABLE */
		is_queued = true
	   }
	od
}

inline heavy()
{
	drain_all(1);
	drain_all(2)
}

inline look(a, b)
{
	if
	:: true ->
		named = named || a;
		named = named || b
	:: true ->
		named = named || b;
		named = named || a
	fi
}

active proctype Trimmer()
{
	bool named, is_seen;

end_rest:
	do
	:: is_waiting ->
		if
		:: trim == NONE -> trim = CLAIMED /* T1 */
		:: else -> goto end_rest
		fi;
#ifndef FAULT_NO_BARRIER_T2
		heavy(); /* T2 */
#endif
		if
		:: named = !is_waiting; /* T3, in this order ... */
		   is_seen = true
		:: is_seen = false /* ... or the other */
		fi;
#ifndef FAULT_NO_LOOK_AT_CURG
		look(curg[1], curg[2]);
#endif
		if
		:: is_seen
		:: else -> named = named || !is_waiting
		fi;
#ifndef FAULT_NO_BARRIER_T4
		heavy();
#endif
#ifndef FAULT_NO_LOOK_AT_PREV
		look(prev[1], prev[2]); /* T4 */
#endif
		if
		:: named -> goto drop
		:: else
		fi;
#ifndef FAULT_NO_BARRIER_T5
		heavy();
#endif
		atomic { /* T5 */
			assert(on == 0 && is_saved);
			is_discarding = true
		}
		assert(on == 0);
		atomic { /* T6 */
			is_discarding = false;
			trim = DONE;
			is_seen = false
		}
		goto end_rest;
drop:
		atomic {
			trim = NONE;
			is_seen = false;
			named = false
		}
	od
}

init
{
	atomic {
		run M(1);
		run M(2);
		run Buffer(1);
		run Buffer(2)
	}
}
