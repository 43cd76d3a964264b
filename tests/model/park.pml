/* SPDX-License-Identifier: MIT */
/*
 * park - a goroutine that waits with several possible ends: sched/park.[ch].
 *
 * Labels are the steps of park.h: P1 to P3, R1, R2, wake_begin, wake_claim, the gate
 * of sched_park_until, switch_finish and switch_refused. Actors: the goroutine G; two
 * Ms that may run it, each of which first runs the commit step of who left it; a
 * waker (the event); another M's timer; a canceller with the token. G waits ROUNDS
 * times, in the same place of its stack, so a straggler of one wait meets the next.
 *
 * Proved: an M never runs G while its context is not saved (R2 after P3); one ready a
 * park (I1), one winner a wait; nobody touches a wait's frame (struct until) after
 * the call returned; an event that was told is received, one that lost the race is
 * still there; G never stays parked while an event is there for it.
 * Abstracted: locks are fair to nobody; every step between locks is sequentially
 * consistent, because all data passes under them (the claim only elects); the run
 * queues are one flag; timer_reserve has succeeded; foreign threads are left out.
 */
#define ROUNDS 2
#define NONE 0 /* the M on whose thread G's stack is; Ms are 1 and 2 */

mtype = {WAITING, RUNNABLE, RUNNING};
mtype = {W_NONE, W_EVENT, W_TIMER, W_CANCEL};

mtype state = RUNNABLE, wake_state = W_EVENT;
byte on = NONE;
bool queued = true; /* G is in a run queue */
bool done = false;
byte frame = 0; /* the wait whose struct until lives; 0: none */

bool L = false, gate = false, token_lock = false, heap_lock = false;
bool linked = false; /* where the event's waker looks; under L */
byte events = 0;     /* not yet consumed; under L */
byte got = 0;
bool is_linked = false;  /* until.is_linked */
byte token_waiter = 0;   /* the frame linked in the token; under token_lock */
bool token_err = false;
byte timer_of = 0; /* the frame for which the timer is in the heap */
bool firing = false;
bool commit[3];
byte commit_frame[3];

inline lock(l)
{
	atomic {
		!l -> l = true
	}
}

inline unlock(l)
{
	l = false
}

/* wake_claim: ok tells whether we won. */
inline claim(how, ok)
{
#ifdef FAULT_CLAIM_IS_TORN
	ok = (wake_state == W_NONE);
	if
	:: ok -> wake_state = how
	:: else
	fi
#else
	atomic {
		ok = (wake_state == W_NONE);
		if
		:: ok -> wake_state = how
		:: else
		fi
	}
#endif
}

/* R2, sched_ready */
inline ready()
{
	atomic {
		assert(!queued && state == WAITING); /* I1 */
		state = RUNNABLE;
		queued = true
	}
}

active proctype G()
{
	byte round = 0;
	mtype how;

	do
	:: round == ROUNDS -> break
	:: else ->
		on != NONE;
		lock(L); /* P1 */
		if
		:: events > 0 ->
			events--;
			got++;
			unlock(L)
		:: else ->
			atomic {
				frame = round + 1;
				is_linked = false
			}
#ifndef FAULT_NO_WAKE_BEGIN
			wake_state = W_NONE; /* wake_begin */
#endif
			linked = true; /* P2 */
			lock(gate);
			state = WAITING; /* note_wait */
#ifdef FAULT_WAKE_BEFORE_COMMIT
			unlock(L);
#endif
			atomic { /* P3: the context is saved, the M leaves */
				commit_frame[on] = frame;
				commit[on] = true;
				on = NONE
			}
			on != NONE; /* somebody runs us */
#ifndef FAULT_NO_GATE
			lock(gate);
#endif
#ifndef FAULT_NO_TIMER_STOP
			atomic { /* timer_stop: out of the heap ... */
				!heap_lock -> timer_of = 0
			}
#ifndef FAULT_TIMER_STOP_DOES_NOT_WAIT
			!firing; /* ... F2: and not in progress */
#endif
#endif
#ifndef FAULT_NO_CANCEL_WAIT_END
			if
			:: is_linked -> /* cancel_wait_end */
				atomic {
					!token_lock -> token_waiter = 0
				}
			:: else
			fi;
#endif
			how = wake_state;
			if
			:: how == W_EVENT -> got++
			:: else -> /* the caller takes itself out */
				lock(L);
				linked = false;
				unlock(L)
			fi;
			assert(how != W_NONE);
			atomic {
				unlock(gate);
				frame = 0 /* the call returns */
			}
		fi;
		round++
	od;
	atomic {
		done = true;
		on = NONE
	}
}

proctype M(byte me)
{
	bool parks, ok;
	byte u;

end_idle:
	do
	:: atomic {
		queued ->
		queued = false;
		assert(on == NONE); /* never on two stacks' threads */
		state = RUNNING;
		on = me
	   }
	   on != me;
	   if
	   :: !commit[me]
	   :: else -> /* switch_finish, until_commit */
		atomic {
			commit[me] = false;
			u = commit_frame[me];
			parks = true
		}
		if
		:: token_err -> ok = false
		:: else -> /* cancel_wait_begin */
			lock(token_lock);
			atomic {
				ok = !token_err;
				if
				:: ok -> token_waiter = u
				:: else
				fi
			}
			unlock(token_lock)
		fi;
		atomic {
			assert(frame == u);
			is_linked = ok
		}
		if
		:: is_linked
		:: else ->
			claim(W_CANCEL, ok);
#ifndef FAULT_CANCELLED_COMMIT_PARKS
			parks = !ok
#endif
		fi;
		if
		:: parks ->
			atomic { /* timer_start_reserved */
				!heap_lock -> timer_of = u
			}
		:: else
		fi;
#ifndef FAULT_WAKE_BEFORE_COMMIT
		unlock(L); /* u->commit: the end of P3 */
#endif
		atomic {
			assert(frame == u); /* the gate is in the frame */
			unlock(gate)
		}
		if
		:: parks
		:: else -> /* switch_refused */
			ready()
		fi
	   fi
	od
}

active proctype Waker()
{
	byte n = 0;
	bool mine;

	do
	:: n == ROUNDS -> break
	:: else ->
		lock(L); /* R1 */
		mine = false;
		if
		:: linked ->
			linked = false;
#ifdef FAULT_EVENT_DOES_NOT_CLAIM
			mine = true;
			wake_state = W_EVENT
#else
			claim(W_EVENT, mine)
#endif
		:: else
		fi;
		if
		:: mine
		:: else -> events++
		fi;
		unlock(L);
		if
		:: mine -> ready() /* R2 */
		:: else
		fi;
		n++
	od
}

/* Another M, or sysmon, that runs timers; a deadline may also be far away. */
active proctype Timer()
{
	byte u;
	bool ok;

end_far:
	do
	:: atomic {
		timer_of && !heap_lock ->
		u = timer_of;
		firing = true;
		timer_of = 0
	   }
	   assert(frame == u);
	   claim(W_TIMER, ok); /* until_timer */
	   if
	   :: ok -> ready()
	   :: else
	   fi;
	   atomic {
		assert(frame == u || !firing);
		firing = false /* F1 */
	   }
	:: break
	od
}

active proctype Canceller()
{
	byte w;
	bool ok = false;

	if
	:: true -> goto spared
	:: true
	fi;
	lock(token_lock); /* cancel_token_fire */
	token_err = true;
	w = token_waiter;
	if
	:: w ->
		assert(frame == w);
		claim(W_CANCEL, ok) /* until_cancel */
	:: else
	fi;
	unlock(token_lock);
	if
	:: ok -> ready()
	:: else
	fi;
spared:
	skip
}

/* Nothing moves any more: G has returned, and no event was lost. */
active proctype Judge()
{
	timeout ->
	assert(done && frame == 0 && !queued);
	assert(got + events == ROUNDS)
}

init
{
	atomic {
		run M(1);
		run M(2)
	}
}
