/* SPDX-License-Identifier: MIT */
/*
 * opgroup - a select that waits for two operations and a channel at once, and who else
 * wants one of the operations to end: sched/opgroup.c, netpoll.c, sync/selectops.c.
 *
 * Labels are the code's: G1 to G3 of opgroup.h; D1, D2, D3 (WOP_DONE against
 * WOP_QUEUED). Actors: the goroutine G, which selects ROUNDS times with its block in the
 * same place; the M that runs its commit steps and serves cancel requests; who reaps,
 * the M or sysmon; the kernel; a channel's peer; the deadline; and who closes one of the
 * descriptors. They may come at any time or never; the kernel may complete
 * what it is asked to cancel, and if `lazy` completes nothing else. What does not fit
 * into the SQ is sent later, or cancelled without the kernel.
 *
 * Proved: G is readied once a park, and never while it runs (I2); nobody touches the
 * block when the select has returned, no cancel queue has anything of it, the kernel
 * neither (I1); the winner's operation is done, with its result, when G looks; and no
 * select hangs on its way out, or when it was closed.
 * Abstracted: memory order (opwait.pml has that of the cancel queue); the order of a cancel
 * queue: a flag for each operation; a goroutine of a ready list runs at once.
 * QUICK: one round.
 */
#ifdef QUICK
#define ROUNDS 1
#else
#define ROUNDS 2
#endif
#define NONE 3 /* 0 and 1 are operations */
#define CHANNEL 2

mtype = {WAITING, RUNNABLE, RUNNING};
mtype = {W_NONE, W_EVENT, W_TIMER};

mtype state = RUNNING, wake_state = W_EVENT;
byte block = 0; /* which round's; 0: the select has returned */
byte refs, first;
bool slot, queued;           /* the channel has won; its sudog is queued */
bool on_m, committing, gate; /* I3: G has the M; the first park's commit */
bool dropping, refused;      /* the second one's */
bool armed, lazy, has_peer, has_deadline, over;

bool linked, sent[2], unsent[2], w_done[2], w_queued[2], asked[2];
byte inflight[2], cqe[2], cancel_sqe[2]; /* which round's */
bool in_queue[2], fd_lock, closing;

inline ready()
{
	atomic {
		assert(state == WAITING);
		state = RUNNABLE
	}
}

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

inline drop(last)
{
	atomic {
		assert(block && refs);
		refs--;
		last = (refs == 0)
	}
}

inline event(i)
{
	assert(block);
	claim(W_EVENT, ok);
	if
	:: ok ->
		assert(block);
		first = i;
		ready()
	:: else
	fi
}

inline end_wait()
{
	drop(ok);
	if
	:: ok -> ready()
	:: else
	fi
}

inline netpoll_cancel(i)
{
	atomic { /* D3 */
		assert(block);
		if
		:: !asked[i] && !w_done[i] ->
			w_queued[i] = true;
			in_queue[i] = true
		:: else
		fi;
		asked[i] = true
	}
}

inline add(i)
{
	atomic {
		refs++;
		sent[i] = false;
		unsent[i] = false;
		w_done[i] = false;
		w_queued[i] = false;
		asked[i] = false
	}
}

/* It was not sent. */
inline withdraw(i)
{
	atomic { /* D1 */
		assert(block);
		w_done[i] = true;
#ifdef FAULT_WITHDRAWN_IS_NOT_WAITED_FOR
		ok = true
#else
		ok = !w_queued[i]
#endif
	}
	if
	:: ok -> drop(ok)
	:: else
	fi
}

inline end_operation(i)
{
	if
	:: !sent[i] -> withdraw(i)
	:: sent[i] && first != i -> netpoll_cancel(i)
	:: else
	fi
}

active proctype G()
{
	byte round = 0;
	bool ok;

	do
	:: round == ROUNDS -> break
	:: else ->
		atomic {
			round++;
			block = round;
#ifdef FAULT_NO_OWN_REFERENCE
			refs = 0;
#else
			refs = 1;
#endif
			first = NONE;
			slot = false;
			!on_m && !committing && !dropping -> on_m = true
		}
		atomic {
			!fd_lock ->
			if
			:: closing -> /* refused */
				on_m = false;
				goto out
			:: else
			fi;
			add(0);
			add(1);
			linked = true
		}
		if
		:: on_m = false; /* the channel is ready */
		   goto end
		:: true
		fi;
		atomic {
			wake_state = W_NONE;
			queued = has_peer;
			armed = has_deadline;
			gate = true;
			state = WAITING;
			committing = true;
			on_m = false
		}
end_parked:	state == RUNNABLE; /* whether it may stay here: Judge */
		state = RUNNING;
#ifndef FAULT_NO_GATE
		!gate;
#endif
		atomic { /* timer_stop, dequeue_losers */
			armed = false;
			queued = false
		}
		assert(slot || first != NONE || wake_state == W_TIMER);
		assert(!slot || first == NONE);
end:
		end_operation(0);
		end_operation(1);
#ifndef FAULT_END_DOES_NOT_WAIT
		if
		:: refs > 1 ->
#ifdef FAULT_OWN_REFERENCE_IS_DROPPED_BEFORE_THE_PARK
			drop(ok);
			if
			:: ok
			:: else ->
				state = WAITING;
				state == RUNNABLE;
				state = RUNNING
			fi
#else
			atomic {
				!committing ->
				state = WAITING;
				dropping = true
			}
			state == RUNNABLE || refused; /* G3 */
			atomic {
				refused = false;
				state = RUNNING
			}
#endif
		:: else
		fi;
#endif
		assert(first == NONE || w_done[first]);
		atomic {
			!fd_lock -> linked = false
		}
out:
		atomic {
			assert(!inflight[0] && !inflight[1]);
			assert(!in_queue[0] && !in_queue[1]);
			assert(!cqe[0] && !cqe[1] && !unsent[0] && !unsent[1]);
			block = 0
		}
	od;
	over = true
}

inline push(i)
{
	atomic {
		assert(block);
		sent[i] = true;
		if
		:: inflight[i] = block
		:: unsent[i] = true
		fi
	}
}

#define m_is_free (!on_m && !committing && !dropping)

/* serve_cancel */
inline serve(i)
{
	atomic {
		m_is_free && in_queue[i] -> in_queue[i] = false;
		assert(block);
		u = unsent[i] && !w_done[i];
		if
		:: u -> unsent[i] = false
		:: !u && !w_done[i] -> cancel_sqe[i] = block
		:: else
		fi
	}
	if
	:: u ->
#ifndef FAULT_UNSENT_DOES_NOT_CLAIM
		event(i);
#endif
		w_done[i] = true
	:: else
	fi;
	atomic { /* D2 */
		assert(block);
		w_queued[i] = false;
		ok = w_done[i]
	}
	if
	:: ok -> end_wait()
	:: else
	fi
}

inline send_unsent(i)
{
	atomic {
		m_is_free && unsent[i] && !in_queue[i] -> unsent[i] = false;
		inflight[i] = block
	}
}

active proctype M()
{
	bool ok, u;

end_m:
	do
	:: committing ->
		push(0);
		push(1);
		atomic {
			gate = false;
			committing = false
		}
	:: dropping ->
		drop(ok);
		atomic {
			dropping = false;
			refused = ok
		}
	:: serve(0)
	:: serve(1)
	:: send_unsent(0)
	:: send_unsent(1)
	od
}

/* wait_op_done, under reap_lock */
active proctype Reaper()
{
	byte i;
	bool ok, q;

end_reaper:
	do
	:: atomic {
		cqe[0] || cqe[1] ->
		i = (cqe[0] -> 0 : 1);
		assert(cqe[i] == block);
		cqe[i] = 0
	   }
#ifdef FAULT_DONE_BEFORE_CLAIM
	   atomic {
		w_done[i] = true;
		q = w_queued[i]
	   }
	   if
	   :: !q -> end_wait()
	   :: else
	   fi;
	   event(i)
#else
	   event(i); /* G1 */
	   atomic { /* D1 */
		assert(block);
		w_done[i] = true;
		q = w_queued[i]
	   }
	   if
#ifndef FAULT_DROPPED_WHILE_QUEUED
	   :: q
#endif
	   :: else -> end_wait() /* G2 */
	   fi
#endif
	od
}

active proctype Kernel()
{
	byte i;

end_kernel:
	do
	:: atomic {
		!lazy && (inflight[0] || inflight[1]) -> /* it happened */
		if
		:: inflight[0] -> i = 0
		:: inflight[1] -> i = 1
		fi;
		cqe[i] = inflight[i];
		inflight[i] = 0;
		i = 0
	   }
	:: atomic {
		cancel_sqe[0] || cancel_sqe[1] ->
		i = (cancel_sqe[0] -> 0 : 1);
		if
		:: inflight[i] && inflight[i] == cancel_sqe[i] ->
			cqe[i] = inflight[i];
			inflight[i] = 0
		:: else
		fi;
		cancel_sqe[i] = 0;
		i = 0
	   }
	od
}

/* Who sends on the channel, once. */
active proctype Peer()
{
	bool ok;

end_peer:
	do
	:: atomic {
		queued -> queued = false
	   }
	   claim(W_EVENT, ok);
	   if
	   :: ok ->
		assert(block);
		slot = true;
		ready();
		break
	   :: else
	   fi
	od
}

active proctype Timer()
{
	bool ok;

end_timer:
	do
	:: atomic {
		armed -> armed = false;
		/* timer_stop waits for it */
		ok = (wake_state == W_NONE);
		if
		:: ok ->
			wake_state = W_TIMER;
			assert(state == WAITING);
			state = RUNNABLE
		:: else
		fi;
		ok = false
	   }
	od
}

/* fdesc_shutdown, which may not come */
active proctype Closer()
{
	if
	:: atomic {
		!fd_lock -> fd_lock = true
	   }
	   closing = true;
	   if
	   :: linked -> netpoll_cancel(0)
	   :: linked -> netpoll_cancel(1)
	   :: else
	   fi;
	   fd_lock = false
	:: true
	fi
}

/* Nothing moves any more. */
active proctype Judge()
{
	timeout ->
	assert(over || (lazy && state == WAITING && gate == false && !slot &&
			wake_state == W_NONE && !asked[0] && !asked[1] &&
			!in_queue[0] && !in_queue[1]))
}

init
{
	atomic {
		if
		:: lazy = true
		:: lazy = false
		fi;
		if
		:: has_peer = true
		:: has_deadline = true
		:: true
		fi
	}
}
