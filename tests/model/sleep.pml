/* SPDX-License-Identifier: MIT */
/*
 * sleep - work appears while those who could do it go to sleep: sched/wake.c.
 *
 * Labels are the steps of wake.c: W1 to W4, S1 to S6, R, T1. Actors: two Ms, each with
 * its own P and ring, for one or two tokens (token.h): an M takes one that lies at its
 * own P, or moves one there from the other P when that is idle; two foreign threads,
 * each of which puts a goroutine on the global queue; one that arms a timer in the heap
 * of P 2; and the kernel, which completes an operation in the ring of M 2. A goroutine
 * may start another one, in the local queue of its P. In each run some of them are there.
 *
 * Proved: all work is done: nothing stays in a queue, in a ring or in a heap while all
 * Ms sleep; the count of those who spin returns to 0, so that it never keeps anybody
 * from waking; tokens are neither lost nor doubled; an M runs goroutines only with a
 * token, and is not given one by two.
 * Memory order: the stores of W1, S1, S2, S5 and T1 go through store buffers, from
 * which they reach memory in any order; a fence waits until its thread's are empty,
 * and so does who takes sched.lock for what was stored under it.
 * Abstracted: what is done under sched.lock is one step; an M may spin, or not, at
 * any time; timers are due as soon as they are armed, but may be seen late; stealing
 * takes one; in S1 the P is spare before token_balance makes it idle, under the same
 * lock. Left out: sysmon, and all holds without it; Ms that block or are interrupted, and
 * so the statuses lost, waiting and away; changes of nprocs.
 * QUICK: a foreign thread and one other source of work in each run; else up to three.
 */
#define NACTOR 5 /* 1, 2: Ms; 3, 4: foreign threads */

mtype = {RUNNING, IDLE, SPARE};

byte nprocs;
mtype status[3];
bool given[3], spinner[3]; /* under sched.lock */
byte nidle, nspinning;
byte global;     /* the queue; under sched.lock */
byte global_len; /* as read without it */
byte runq[3];
bool cqe[3], woken[3], sleeping[3], timer[3];
bool may_start;
byte ndone, ntotal;

/* What has been stored and is not visible to others yet. */
bool b_len[NACTOR], b_idle[3], b_spin[NACTOR], b_sleep[3], b_timer;

#define is_settled                                                             \
	(!b_len[2] && !b_len[3] && !b_len[4] && !b_idle[1] && !b_idle[2])
#define other (3 - me)

#define is_flushed                                                             \
	(!b_len[me] && !b_idle[me] && !b_spin[me] && !b_sleep[me])

inline wake_p(a)
{
	do
	:: nidle == 0 -> break
	:: nidle > 0 -> /* W3 */
		atomic {
			!b_spin[a] -> won = (nspinning == 0);
			if
			:: won -> nspinning = 1
			:: else -> break
			fi
		}
		atomic { /* token_take_idle */
			is_settled ->
			if
			:: status[1] == IDLE -> w = 1
			:: status[2] == IDLE -> w = 2
			:: status[1] != IDLE && status[2] != IDLE -> w = 0
			fi;
			if
			:: w ->
				status[w] = RUNNING;
				nidle--;
				assert(!given[w]);
#ifndef FAULT_TOKEN_IS_NOT_GIVEN
				given[w] = true;
#endif
				spinner[w] = true
			:: else
			fi
		}
		if
		:: w ->
			woken[w] = true;
			break
		:: else -> /* W4 */
#ifndef FAULT_WAKER_STAYS_COUNTED
			nspinning--;
#endif
#ifdef FAULT_NO_LOOK_AFTER_W4
			break
#endif
		fi
	od
}

inline global_put(a)
{
	atomic { /* W1 */
		is_settled ->
		global++;
		b_len[a] = true
	}
#ifndef FAULT_NO_FENCE_IN_W2
	!b_len[a]; /* W2 */
#endif
	wake_p(a)
}

/* ok: we have our P. Under the lock. */
inline accept_given_locked()
{
	ok = given[me];
	if
	:: ok ->
		assert(status[me] == RUNNING);
#ifndef FAULT_GIVEN_DOES_NOT_SPIN
		spinning = spinning || spinner[me];
#endif
		given[me] = false;
		spinner[me] = false
	:: else
	fi
}

inline take_token()
{
	atomic {
		is_settled ->
		accept_given_locked();
		if
		:: ok || nidle == 0
		:: !ok && nidle > 0 && status[me] == IDLE ->
			nidle--;
			status[me] = RUNNING;
			ok = true
		:: !ok && nidle > 0 && status[me] == SPARE ->
			assert(status[other] == IDLE);
			status[other] = SPARE;
			nidle--;
			status[me] = RUNNING;
			ok = true
		fi
	}
}

inline start_spinning()
{
	atomic {
		if
		:: !spinning ->
			spinning = true;
			nspinning++
		:: else
		fi
	}
}

#define is_work_anywhere (global_len || runq[1] || runq[2])

proctype M(byte me)
{
	bool spinning, reaped, ok, won, seen;
	byte w;

	if
	:: status[me] == SPARE -> goto first_p
	:: else
	fi;

look: /* find_runnable */
	atomic {
		ok = false;
		won = false;
		seen = false;
		w = 0;
		assert(status[me] == RUNNING);
		if
		:: runq[me] ->
			runq[me]--;
			goto found
		:: else
		fi
	}
	if
	:: global_len == 0
	:: global_len > 0 ->
		atomic {
			is_settled ->
			if
			:: global ->
				global--;
				global_len--;
				goto found
			:: else
			fi
		}
	fi;
	atomic { /* netpoll, run_timers */
		if
		:: reaped || cqe[me] || timer[me] ->
			runq[me] = runq[me] + (reaped || cqe[me]) + timer[me];
			reaped = false;
			cqe[me] = false;
			timer[me] = false;
			goto look
		:: else
		fi
	}
	if
	:: start_spinning();
	   atomic { /* steal */
		if
		:: runq[other] ->
			runq[other]--;
			goto found
		:: !runq[other] && timer[other] ->
			timer[other] = false;
			goto found
		:: else
		fi
	   }
	:: true
	fi;

	/* wake_idle, release_p */
#ifdef FAULT_S3_COMES_BEFORE_S1
	seen = is_work_anywhere;
#endif
	atomic { /* S1 */
		is_settled ->
		if
		:: global -> goto look
		:: else
		fi;
		assert(status[me] == RUNNING);
		status[me] = IDLE;
		b_idle[me] = true
	}
	atomic { /* S2 */
#ifndef FAULT_SLEEPER_STAYS_COUNTED
		if
		:: spinning ->
			!b_spin[me] -> b_spin[me] = true
		:: else
		fi;
#endif
		spinning = false
	}
	atomic {
#ifndef FAULT_NO_FENCE_IN_S2
		is_flushed;
#endif
#ifndef FAULT_S3_COMES_BEFORE_S1
		seen = is_work_anywhere /* S3 */
#endif
	}
	if
	:: !seen
	:: seen ->
		take_token();
		if
		:: ok ->
			start_spinning();
			goto look
		:: else
		fi
	fi;

first_p: /* S4, S5 */
	atomic {
		b_sleep[me] = true;
		won = false;
		seen = false;
		w = 0
	}
	atomic {
#ifndef FAULT_NO_FENCE_IN_S5
		is_flushed;
#endif
		is_settled -> ok = given[me]
	}
	if
	:: ok
	:: else ->
#ifdef FAULT_S5_DOES_NOT_LOOK_AT_TIMERS
		seen = false;
#else
		seen = timer[me];
#endif
end_asleep:	seen || woken[me] || cqe[me]
	fi;
	atomic { /* R */
		b_sleep[me] = false;
		sleeping[me] = false;
		woken[me] = false;
		reaped = reaped || cqe[me];
		cqe[me] = false
	}
	atomic {
		is_settled -> accept_given_locked()
	}
	if
	:: ok -> goto look
	:: else
	fi;
	seen = reaped || timer[me] || is_work_anywhere;
	if
	:: seen -> take_token()
	:: else -> goto first_p
	fi;
	if
	:: ok ->
		if
		:: reaped
		:: else -> start_spinning()
		fi;
		goto look
	:: else
	fi;
#ifndef FAULT_R_KEEPS_WHAT_IT_REAPED
	if
	:: reaped ->
		reaped = false;
		global_put(me)
	:: else
	fi;
#endif
	atomic {
		seen = timer[me];
		timer[me] = false
	}
	if
	:: seen -> global_put(me)
	:: else
	fi;
	goto first_p;

found: /* S6 */
	if
	:: spinning ->
		atomic {
			!b_spin[me] -> b_spin[me] = true;
			spinning = false
		}
		wake_p(me)
	:: else
	fi;
	atomic {
		ndone++;
		ok = may_start;
		may_start = false;
		if
		:: ok ->
			ntotal++;
			runq[me]++
		:: else
		fi
	}
	if
	:: ok -> wake_p(me)
	:: else
	fi;
	goto look
}

proctype Foreign(byte me)
{
	bool won;
	byte w;

	global_put(me)
}

proctype Armer()
{
	b_timer = true; /* T1 */
#ifndef FAULT_NO_FENCE_IN_T1
	!b_timer;
#endif
	if
	:: sleeping[2] -> woken[2] = true
	:: else
	fi
}

proctype Kernel()
{
	cqe[2] = true
}

/* The store buffers of all: flushed at any time. */
active proctype Memory()
{
end_memory:
	do
	:: atomic {
		b_timer -> b_timer = false;
		timer[2] = true
	   }
	:: atomic {
		b_len[2] -> b_len[2] = false;
		global_len++
	   }
	:: atomic {
		b_len[3] -> b_len[3] = false;
		global_len++
	   }
#ifndef QUICK
	:: atomic {
		b_len[4] -> b_len[4] = false;
		global_len++
	   }
#endif
	:: atomic {
		b_idle[1] -> b_idle[1] = false;
		nidle++
	   }
	:: atomic {
		b_idle[2] -> b_idle[2] = false;
		nidle++
	   }
	:: atomic {
		b_spin[1] -> b_spin[1] = false;
		nspinning--
	   }
	:: atomic {
		b_spin[2] -> b_spin[2] = false;
		nspinning--
	   }
	:: atomic {
		b_sleep[1] -> b_sleep[1] = false;
		sleeping[1] = true
	   }
	:: atomic {
		b_sleep[2] -> b_sleep[2] = false;
		sleeping[2] = true
	   }
	od
}

/* Nothing moves any more. */
active proctype Judge()
{
	timeout ->
	assert(ndone == ntotal);
	assert(!global && !global_len && !runq[1] && !runq[2]);
	assert(!cqe[2] && !timer[2]);
	assert(nspinning == 0 && !given[1] && !given[2]);
	assert(nidle == nprocs);
	assert((status[1] == IDLE) + (status[2] == IDLE) == nprocs);
	assert(status[1] != RUNNING && status[2] != RUNNING)
}

/* Where a fault shows, so that it is found soon. */
#if defined(FAULT_NO_FENCE_IN_T1) || defined(FAULT_NO_FENCE_IN_S5) ||          \
	defined(FAULT_S5_DOES_NOT_LOOK_AT_TIMERS)
#define ONLY_ARMER
#elif defined(FAULT_NO_LOOK_AFTER_W4) || defined(FAULT_R_KEEPS_WHAT_IT_REAPED)
#define ONLY_KERNEL
#endif

init
{
	atomic {
		status[1] = RUNNING;
		if
		:: nprocs = 1;
		   status[2] = SPARE
#if !defined(ONLY_ARMER) && !defined(ONLY_KERNEL)
		:: nprocs = 2;
		   status[2] = RUNNING
#endif
		fi;
		run M(1);
		run M(2);
		run Foreign(3);
		ntotal = 1;
		/* Who else comes: */
		if
#ifndef ONLY_KERNEL
		:: run Armer();
		   ntotal++
#endif
#ifndef ONLY_ARMER
		:: run Kernel();
		   ntotal++
#endif
#if !defined(ONLY_ARMER) && !defined(ONLY_KERNEL)
		:: may_start = true
#ifndef QUICK
		:: run Foreign(4);
		   ntotal++;
		   may_start = true
		:: run Kernel();
		   ntotal++;
		   may_start = true
#endif
#endif
		fi
	}
}
