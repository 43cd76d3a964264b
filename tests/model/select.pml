/* SPDX-License-Identifier: MIT */
/*
 * select - goroutines that wait for several channels: sync/select.c, chan.[ch].
 *
 * Labels are the code's: S1 to S5 of select.c, quick (select_quick), waitq_pop, commit
 * (commit_unlock_all). Actors: two selects of two cases each, on two channels, of
 * which A comes first in the order of locks; for each, the M that runs its commit
 * step; the timer of select 0; and a goroutine without select that sends, receives or
 * closes. Which cases, whether select 0 has a deadline or only tries, and whether B
 * has a buffer is drawn: both directions, one channel twice, and selects that meet
 * each other are all among it. In the runs of `moves`, a value is at any time in A or
 * in B (it moves from B to A), and select 0 tries both: it must find it.
 *
 * Proved: no deadlock (lock order); a select is woken once, by one case, whose value
 * has come; values are neither lost nor doubled, those of losing cases are not taken;
 * nobody touches a select's memory after it has returned (I1); a try says "not ready"
 * only if there was a moment of it (S2); a select never meets itself (I3); at rest
 * nobody is parked who has a partner, room, a value or a closed channel; and no
 * queue holds anybody who does not wait.
 * Abstracted: the look without locks is a guess that may be wrong both ways; the choice
 * among ready cases is any; parking itself, the gate and the timer are those of
 * park.pml; who sends on a closed channel just ends. All is under locks but
 * wake_state, which only elects, so memory is sequentially consistent, and what is
 * done under one channel's lock is one step (STEP), unless a fault takes it apart.
 * QUICK: B has a buffer, select 1 a receive from B.
 */
#if defined(FAULT_CLAIM_IS_TORN) ||                                            \
	defined(FAULT_POPPED_LOSER_IS_NOT_WAITED_FOR)
#define STEP
#else
#define STEP atomic
#endif
#define NOPS (moves -> 2 : 1)
#define A 0
#define B 1
#define NG 3 /* 0 and 1 select, 2 does not */
#define NSG 5
#define NONE 15
/* Values: select g sends g + 1, goroutine 2 sends 3 and 5. */
#define MOVED 4 /* what lies in B at the start of `moves` */

mtype = {WAITING, RUNNABLE};
mtype = {W_NONE, W_EVENT, W_TIMER};
mtype = {SEND, RECEIVE, CLOSE};
mtype = {PARKS, HAS_DEADLINE, TRIES};

bool moves;
mtype mode[2];

/* the channels */
bool locked[2], closed[2];
byte cap[2], count[2], buf[2];
chan recvq[2] = [NSG] of {byte};
chan sendq[2] = [NSG] of {byte};

/* sudog 2g + i is case i of select g; 4: of goroutine 2 */
byte of_chan[NSG];
bool is_send[NSG], success[NSG];
byte elem[NSG]; /* received */

mtype state[NG] = RUNNABLE;
mtype wake_state[2] = W_EVENT;
byte park_slot[2]; /* what an earlier wait left there */
bool alive[NG];    /* the memory of g's sudogs */
bool committing[2], armed;

byte value_of_2;
bool sent[6], received[6];

#define value_of(g) (g == 2 -> value_of_2 : g + 1)

inline lock(c)
{
	atomic {
		!locked[c] -> locked[c] = true
	}
}

inline ready(g)
{
	atomic {
		assert(state[g] == WAITING);
		state[g] = RUNNABLE
	}
}

inline claim(g, how, ok)
{
#ifdef FAULT_CLAIM_IS_TORN
	ok = (wake_state[g] == W_NONE);
	if
	:: ok -> wake_state[g] = how
	:: else
	fi
#else
	atomic {
		ok = (wake_state[g] == W_NONE);
		if
		:: ok -> wake_state[g] = how
		:: else
		fi
	}
#endif
}

/* sg, w: the first waiter that is ours to wake, its goroutine; sg NONE: none. */
inline waitq_pop(q)
{
	do
	:: atomic {
		len(q) == 0 ->
		sg = NONE;
		break
	   }
	:: atomic {
		len(q) > 0 ->
		q?sg;
		w = sg / 2
	   }
	   assert(alive[w]);
	   if
	   :: w == 2 -> break
	   :: else ->
		claim(w, W_EVENT, ok);
		if
#ifdef FAULT_CLAIM_IS_IGNORED
		:: true ->
#else
		:: ok ->
#endif
			assert(alive[w]);
			park_slot[w] = sg;
			break
		:: else
		fi
	   fi
	od
}

/* sg's value was taken, or has come. */
inline sudog_done()
{
	atomic {
		assert(alive[w] && state[w] == WAITING);
		success[sg] = true;
		wake = w
	}
}

/* done: a value passed, sent by us. */
inline chan_send_locked(c, v)
{
	waitq_pop(recvq[c]);
	if
	:: sg != NONE ->
		elem[sg] = v;
		sudog_done();
		done = true
	:: else ->
		atomic {
			done = count[c] < cap[c];
			if
			:: done ->
				buf[c] = v;
				count[c]++
			:: else
			fi
		}
	fi
}

/* done, and v: what was received; 0: closed and drained. */
inline chan_recv_locked(c, v)
{
	waitq_pop(sendq[c]);
	atomic {
		done = true;
		v = 0;
		if
		:: count[c] ->
			v = buf[c];
			if
			:: sg != NONE -> buf[c] = value_of(w)
			:: else -> count[c]--
			fi
		:: !count[c] && sg != NONE -> v = value_of(w)
		:: else -> done = closed[c]
		fi
	};
	if
	:: sg != NONE -> sudog_done()
	:: else
	fi
}

inline note_received(v)
{
	atomic {
		if
		:: v ->
			assert(!received[v]);
			received[v] = true
		:: else
		fi
	}
}

#define looks_ready(s)                                                         \
	(is_send[s] -> closed[of_chan[s]] || len(recvq[of_chan[s]]) ||            \
			       count[of_chan[s]] < cap[of_chan[s]]             \
		    : closed[of_chan[s]] || len(sendq[of_chan[s]]) ||             \
			      count[of_chan[s]] > 0)

/* case_do_locked; a send on a closed channel panics: done, nothing sent. */
inline case_do(s)
{
	if
	:: is_send[s] && closed[of_chan[s]] -> done = true
	:: is_send[s] && !closed[of_chan[s]] ->
		chan_send_locked(of_chan[s], me + 1);
		sent[me + 1] = done
	:: else ->
		chan_recv_locked(of_chan[s], val);
		note_received(val)
	fi
}

inline wake_up()
{
	if
	:: wake != NONE -> ready(wake)
	:: else
	fi
}

#define is_queued(s)                                                           \
	(is_send[s] -> sendq[of_chan[s]]??[eval(s)]                            \
		    : recvq[of_chan[s]]??[eval(s)])

inline dequeue(s)
{
	if
	:: s == winner
#ifdef FAULT_POPPED_LOSER_IS_NOT_WAITED_FOR
	:: s != winner && !is_queued(s)
	:: s != winner && is_queued(s) ->
#else
	:: else ->
#endif
		atomic {
			!locked[of_chan[s]] ->
			if
#ifndef FAULT_LOSERS_STAY
			:: is_queued(s) && is_send[s] ->
				sendq[of_chan[s]]??eval(s)
			:: is_queued(s) && !is_send[s] ->
				recvq[of_chan[s]]??eval(s)
#endif
			:: else
			fi
		}
	fi
}

inline enqueue(s)
{
	atomic {
		success[s] = false;
		elem[s] = 0;
		if
		:: is_send[s] -> sendq[of_chan[s]]!s
		:: else -> recvq[of_chan[s]]!s
		fi
	}
}

inline unlock_all()
{
	if
	:: first != last -> locked[first] = false
	:: else
	fi;
	locked[last] = false
}

proctype Select(byte me)
{
	byte first, last, i, sg, w, val, wake = NONE, winner;
	bool ok, done;

	if /* quick: one of those that look ready, or none did */
	:: mode[me] == TRIES -> i = 2 * me
	:: mode[me] == TRIES -> i = 2 * me + 1
	:: goto slow
	fi;
	STEP {
		lock(of_chan[i]);
		case_do(i);
		locked[of_chan[i]] = false
	};
	wake_up();
	if
	:: done -> goto out
	:: else
	fi;

slow:
	atomic {
		alive[me] = true;
		first = of_chan[2 * me];
		last = of_chan[2 * me + 1];
#ifndef FAULT_LOCKS_IN_ORDER_OF_CASES
		if
		:: first > last ->
			first = A;
			last = B
		:: else
		fi
#endif
	}
#ifdef FAULT_TRY_LOOKS_AT_TWO_MOMENTS
	atomic {
		!locked[of_chan[2 * me]] -> ok = looks_ready(2 * me)
	}
#endif
	lock(first); /* S1 */
	if
	:: first != last -> lock(last)
	:: else
	fi;

again: /* S2 */
	atomic {
		if
#ifdef FAULT_TRY_LOOKS_AT_TWO_MOMENTS
		:: looks_ready(2 * me) && (ok || mode[me] != TRIES) ->
#else
		:: looks_ready(2 * me) ->
#endif
			i = 2 * me
		:: looks_ready(2 * me + 1) -> i = 2 * me + 1
		:: else -> goto none
		fi
	}
#ifndef FAULT_NO_LOOK_UNDER_LOCKS
	STEP {
		case_do(i)
	};
	if
	:: done ->
		unlock_all();
		wake_up();
		goto out
	:: else -> goto again
	fi;
#endif

none:
	if
	:: mode[me] == TRIES ->
		assert(!moves);
		unlock_all();
		goto out
	:: else
	fi;
#ifndef FAULT_NO_WAKE_BEGIN
	wake_state[me] = W_NONE;
#endif
#ifndef FAULT_SLOT_IS_NOT_CLEARED
	park_slot[me] = NONE;
#endif
	atomic {
		enqueue(2 * me); /* S3 */
		enqueue(2 * me + 1);
		state[me] = WAITING;
		committing[me] = true
	}
end_parked: /* whether it may stay here: Judge */
	state[me] == RUNNABLE;
	if
	:: mode[me] == HAS_DEADLINE -> /* timer_stop, the gate */
		armed = false;
		!committing[me]
	:: else
	fi;
	winner = park_slot[me];
	dequeue(2 * me); /* S5 */
	dequeue(2 * me + 1);
	atomic {
		if
		:: winner == NONE -> assert(wake_state[me] == W_TIMER)
		:: else ->
			assert(wake_state[me] == W_EVENT);
			assert(success[winner] || closed[of_chan[winner]]);
			if
			:: is_send[winner] ->
				sent[me + 1] = success[winner]
			:: else ->
				assert(!success[winner] || elem[winner]);
				note_received(elem[winner])
			fi
		fi
	}
out:
	alive[me] = false
}

/* The M that leaves a select's stack: commit_unlock_all. */
proctype Commit(byte g)
{
	byte c;

end_idle:
	do
	:: atomic {
		committing[g] ->
		armed = armed || mode[g] == HAS_DEADLINE;
		c = (of_chan[2 * g] < of_chan[2 * g + 1] -> of_chan[2 * g]
							 : of_chan[2 * g + 1])
	   }
	   assert(alive[g]);
	   if
	   :: of_chan[2 * g] != of_chan[2 * g + 1] ->
		locked[A] = false;
		assert(alive[g]);
		c = B
	   :: else
	   fi;
	   atomic {
		locked[c] = false;
		c = 0;
		committing[g] = false
	   }
#ifdef FAULT_COMMIT_READS_ON
	   assert(alive[g])
#endif
	od
}

active proctype Timer()
{
	bool ok;

end_far:
	do
	:: armed ->
		atomic {
			if
			:: armed ->
				armed = false;
				assert(alive[0]);
#ifdef FAULT_DEADLINE_DOES_NOT_CLAIM
				wake_state[0] = W_TIMER;
				ok = true
#else
				claim(0, W_TIMER, ok)
#endif
			:: else -> ok = false
			fi;
			if
			:: ok -> ready(0)
			:: else
			fi;
			ok = false
		}
	od
}

inline fail_waiters(q)
{
	do
	:: waitq_pop(q);
	   if
	   :: sg == NONE -> break
	   :: else ->
		list[w] = true;
#ifdef FAULT_CLOSE_WAKES_ONE
		break
#endif
	   fi
	od
}

/* The goroutine without select. */
proctype Other()
{
	byte n = 0, c, sg, w, val, wake;
	bool ok, done, list[NG];
	mtype what;

	do
	:: n == NOPS -> break
	:: else ->
		atomic {
			n++;
			value_of_2 = 2 * n + 1;
			alive[2] = true;
			wake = NONE;
			if
			:: !moves ->
				if
				:: what = SEND
				:: what = RECEIVE
				:: what = CLOSE
				fi;
				if
				:: c = A
				:: c = B
				fi
			:: moves && n == 1 -> what = SEND; c = A
			:: moves && n == 2 -> what = RECEIVE; c = B
			fi
		}
		STEP {
			lock(c);
			if
			:: what != RECEIVE && closed[c] -> /* panics */
				locked[c] = false;
				goto out
			:: what == SEND && !closed[c] ->
				chan_send_locked(c, value_of_2);
				sent[value_of_2] = done
			:: what == RECEIVE ->
				chan_recv_locked(c, val);
				note_received(val)
			:: what == CLOSE && !closed[c] ->
				closed[c] = true;
				fail_waiters(recvq[c]);
				fail_waiters(sendq[c]);
				done = true
			fi
		};
		if
		:: done ->
			locked[c] = false;
			wake_up();
			if
			:: list[0] -> ready(0)
			:: else
			fi;
			if
			:: list[1] -> ready(1)
			:: else
			fi;
			atomic {
				list[0] = false;
				list[1] = false
			}
		:: else ->
			atomic {
				of_chan[4] = c;
				is_send[4] = (what == SEND);
				enqueue(4);
				state[2] = WAITING;
				locked[c] = false
			}
end_parked:		state[2] == RUNNABLE;
			atomic {
				assert(success[4] || closed[c]);
				if
				:: what == SEND ->
					sent[value_of_2] = success[4]
				:: else ->
					assert(!success[4] || elem[4]);
					note_received(elem[4])
				fi
			}
		fi
	od;
out:
	alive[2] = false
}

inline check_channel(c)
{
	assert(!locked[c]);
	assert(!closed[c] || (!len(recvq[c]) && !len(sendq[c])));
	assert(!count[c] || !len(recvq[c]));
	assert(count[c] == cap[c] || !len(sendq[c]));
	/* Who receives and who sends are one select. */
	assert(!len(recvq[c]) || !len(sendq[c]) ||
	       !(recvq[c]??[4] || sendq[c]??[4] ||
		 ((recvq[c]??[0] || recvq[c]??[1]) &&
		  (sendq[c]??[2] || sendq[c]??[3])) ||
		 ((recvq[c]??[2] || recvq[c]??[3]) &&
		  (sendq[c]??[0] || sendq[c]??[1]))));
	if
	:: count[c] ->
		assert(!received[buf[c]]);
		received[buf[c]] = true
	:: else
	fi
}

/* Nothing moves any more. */
active proctype Judge()
{
	byte i;

	timeout ->
	atomic {
		check_channel(A);
		check_channel(B);
		do
		:: i == NSG -> break
		:: else ->
			assert(!is_queued(i) == (state[i / 2] != WAITING));
			i++
		od;
		assert(state[0] == RUNNABLE ||
		       (mode[0] == PARKS && wake_state[0] == W_NONE));
		assert(state[1] == RUNNABLE || wake_state[1] == W_NONE);
		i = 1;
		do
		:: i == 6 -> break
		:: else ->
			assert(sent[i] == received[i]);
			i++
		od
	}
}

inline draw(s)
{
	if
	:: of_chan[s] = A
	:: of_chan[s] = B
	fi;
	if
	:: is_send[s] = true
	:: is_send[s] = false
	fi
}

#define kind(s) (2 * of_chan[s] + is_send[s])

init
{
	atomic {
		if
		:: moves = true;
		   mode[0] = TRIES;
		   of_chan[0] = A;
		   of_chan[1] = B;
		   cap[A] = 1;
		   cap[B] = 1;
		   count[B] = 1;
		   buf[B] = MOVED;
		   sent[MOVED] = true
		:: draw(0);
		   draw(1);
		   draw(2);
		   draw(3);
		   /* The order of cases matters to locks and queues only: select
		    * 0 has it one way, select 1 the other. */
		   if
		   :: kind(0) <= kind(1) && kind(2) >= kind(3)
		   :: else -> goto not_this
		   fi;
		   cap[B] = 1;
#ifdef QUICK
		   if
		   :: of_chan[2] == B && !is_send[2]
		   :: else -> goto not_this
		   fi;
#else
		   if
		   :: cap[B] = 0
		   :: true
		   fi;
#endif
		   if
		   :: mode[0] = PARKS
		   :: mode[0] = HAS_DEADLINE
		   :: mode[0] = TRIES
		   fi;
		   run Select(1);
		   run Commit(1)
		fi;
		mode[1] = PARKS;
		run Select(0);
		run Commit(0);
		run Other();
not_this:	skip
	}
}
