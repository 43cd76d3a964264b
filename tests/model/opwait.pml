/* SPDX-License-Identifier: MIT */
/*
 * opwait - an operation in flight, its terminal CQE, and those who want it to end:
 * sched/opwait.c, netpoll.c, fdesc.c, and step S5 of wake.c.
 *
 * Labels are the code's: K1, K2 (the cancel queue), D1 to D3 (WOP_DONE against
 * WOP_QUEUED), S5 (the M's last look before it sleeps), F2 (timer_stop waits), wait_op_link,
 * wait_op_unlink. Actors: the goroutine G, which makes ROUNDS calls with its wait_op in the
 * same place; two Ms, each with a ring, that run G, submit, reap, serve cancel
 * requests and sleep; the kernel; sysmon, which reaps for an M that does not look;
 * and who cancels: close, alone or with the token; or the deadline. The kernel may
 * complete an operation at any time, or only when it is asked to cancel it; and there
 * are times when it does not find it (-ENOENT) though it will wait on.
 *
 * Proved: a call returns after its terminal CQE, the kernel has the buffer no more
 * (opwait.h I1); a wait_op is in no cancel queue and touched by nobody when its call
 * has returned (I2); an operation ends cancelled only when somebody asked (I3) and a
 * completion never meets another generation than its own (I4); G is never made
 * runnable twice, nor while it runs; close(2) gets the number when nothing of ours
 * is in flight on it (fdesc.h I1); and who asks is heard: no call waits for ever
 * that was cancelled, with its M asleep or not.
 * Memory order: K1 and `sleeping = 1` go through a store buffer of one entry for each
 * actor that anybody may find unflushed; a fence waits until it is empty.
 * Abstracted: what is submitted enters the kernel at once; one operation, so a cancel
 * queue holds one entry; the run queue is one flag, and a sleeping M is woken for it.
 * QUICK: one call instead of two.
 */
#ifdef QUICK
#define ROUNDS 1
#else
#define ROUNDS 2
#endif
#define NONE 0 /* Ms are 1 and 2; a round's number stands for its wait_op */

#define A_TOKEN 1 /* the cancellers, and their store buffers */
#define A_TIMER 2
#define A_CLOSE 3

mtype = {WAITING, RUNNABLE, RUNNING};
mtype = {OPEN, CLOSING, HANDED};

mtype state = RUNNABLE;
byte on = NONE;
bool queued = true;
bool done = false;
bool begun = false; /* the first call is made on M 1: the Ms are alike */

/* the wait_op */
byte frame = 0; /* which call's it is; 0: the call has returned */
bool w_done, w_queued, w_unsent, w_asked, w_cancelled;
byte w_mp;

/* the rings */
byte inflight = 0, inflight_m = 0; /* the kernel has the buffer */
byte cqe[3];
bool cqe_cancelled;
byte cancel_sqe[3];
bool unseen, was_unseen; /* inflight is not found by who cancels */
byte answer[3];          /* the cancellation's CQE: for whom */
bool answer_none;        /* -ENOENT */
byte who; /* who comes in this run: with A_TOKEN, close comes as well */
bool lazy; /* the kernel completes only what is cancelled */

byte cancel_queue[3];
bool sleeping[3], woken[3];
bool m_buffer[3];
byte buffer_m[4], buffer_w[4];

bool token_lock, token_err;
byte token_waiter;
byte timer_of;
bool firing;
bool fd_lock, closer, closer_ready;
mtype fd_state = OPEN;
byte fd_link;

inline lock(l)
{
	atomic {
		!l -> l = true
	}
}

inline ready()
{
	assert(!queued && state == WAITING);
	state = RUNNABLE;
	queued = true
}

inline netpoll_cancel(a, u)
{
	atomic {
		assert(frame == u);
		mine = !w_asked; /* cancel_err: the first one stays */
		w_asked = true
	}
	if
	:: !mine
	:: else ->
		atomic { /* D3 */
			assert(frame == u);
			if
#ifndef FAULT_CANCEL_DOES_NOT_LOOK_AT_DONE
			:: w_done -> mine = false
#endif
			:: else -> w_queued = true
			fi;
			mp = w_mp
		}
		if
		:: !mine
		:: else ->
#ifdef FAULT_CANCEL_READIES
			atomic {
				w_queued = false;
				w_done = true;
				ready()
			}
#else
			atomic { /* K1 */
				assert(frame == u);
				buffer_m[a] = mp;
				buffer_w[a] = u
			}
#ifndef FAULT_NO_FENCE_AFTER_K1
			!buffer_m[a];
#endif
			if
			:: sleeping[mp] -> woken[mp] = true
			:: else
			fi
#endif
		fi
	fi
}

/* op->done */
inline wait_op_done(m)
{
	assert(cqe[m] == frame); /* I4: none is ever dropped */
	w_cancelled = cqe_cancelled;
	cqe[m] = 0;
	w_done = true; /* D1 */
	if
#ifndef FAULT_READY_WHILE_QUEUED
	:: w_queued
#endif
	:: else -> ready()
	fi
}

/* op->answered */
inline wait_op_answered(m)
{
	assert(answer[m] == frame); /* it lives until it was answered */
	if
#ifndef FAULT_NOT_FOUND_IS_AN_END
	:: answer_none && !w_done ->
		/* queue_cancel, under reap_lock: who sleeps took it before */
		assert(!cancel_queue[m]);
		cancel_queue[m] = answer[m];
		answer[m] = 0
#endif
	:: else ->
		answer[m] = 0;
		w_queued = false; /* D2 */
		if
		:: w_done -> ready()
		:: else
		fi
	fi
}

active proctype G()
{
	byte round = 0;
	bool linked;

	do
	:: round == ROUNDS -> break
	:: else ->
		on != NONE;
		atomic { /* wait_op_init */
			round++;
			frame = round;
			w_done = false;
			w_queued = false;
			w_unsent = false;
			w_asked = false;
			w_cancelled = false;
			w_mp = on
		}
		atomic { /* cancel_wait_begin */
			!token_lock ->
			if
			:: token_err -> goto out
			:: else -> token_waiter = frame
			fi
		}
		atomic { /* wait_op_link; HANDED: yields, and looks again */
			!fd_lock && fd_state != HANDED ->
#ifdef FAULT_LINK_WHILE_CLOSING
			linked = true;
#else
			linked = fd_state == OPEN;
#endif
			if
			:: linked -> fd_link = frame
			:: else
			fi
		}
		if
		:: !linked -> goto end_token
		:: else
		fi;
		timer_of = (who == A_TIMER -> frame : 0); /* timer_start */
		atomic { /* netpoll_push, park: into the SQ, or it was full */
			was_unseen = false;
			if
			:: inflight = frame;
			   inflight_m = w_mp
			:: w_unsent = true
			fi;
			state = WAITING;
			on = NONE
		}
end_parked:	on != NONE; /* whether it may stay here: Judge */
		assert(w_done && !w_queued);
		timer_of = 0; /* timer_stop */
#ifndef FAULT_TIMER_STOP_DOES_NOT_WAIT
		!firing; /* F2 */
#endif
		lock(fd_lock); /* wait_op_unlink */
		atomic {
			fd_link = 0;
			if
			:: closer ->
				closer = false;
				closer_ready = true
			:: else
			fi;
			fd_lock = false
		}
end_token:
#ifndef FAULT_NO_CANCEL_WAIT_END
		atomic { /* cancel_wait_end */
			!token_lock -> token_waiter = 0
		}
#endif
		if
		:: linked
		:: else -> /* end_refused: D1 in place of the reaper */
#ifndef FAULT_REFUSED_DOES_NOT_WAIT
			atomic {
				w_done = true;
				if
				:: w_queued ->
					state = WAITING;
					on = NONE
				:: else -> goto checked
				fi
			}
			on != NONE
#endif
		fi;
checked:
		assert(!w_cancelled || w_asked); /* I3 */
out:
		atomic {
			assert(!inflight); /* I1: the buffer is ours */
			assert(!cancel_queue[1] && !cancel_queue[2]);
			frame = 0
		}
	od;
	atomic {
		done = true;
		on = NONE
	}
}

proctype M(byte me)
{
	byte u;
	bool is_sent;

	do
	:: atomic { /* netpoll_serve: send_unsent, if there is room */
		if
		:: w_unsent && w_mp == me ->
			w_unsent = false;
			inflight = frame;
			inflight_m = me
		:: true
		fi;
		is_sent = false;
		u = cancel_queue[me]; /* K2 */
		cancel_queue[me] = 0;
		if
		:: u -> /* serve_cancel */
			assert(frame == u);
			if
			:: w_done
			:: !w_done && w_unsent -> /* remove_unsent */
				w_unsent = false;
				w_cancelled = true;
				w_done = true
			:: !w_done && !w_unsent ->
				cancel_sqe[me] = u;
				is_sent = true
			fi
		:: else
		fi
	   }
	   if
	   :: !u
#ifndef FAULT_DOES_NOT_WAIT_FOR_THE_ANSWER
	   :: u && is_sent /* answered later */
#endif
	   :: else ->
		atomic { /* D2 */
			assert(frame == u);
			w_queued = false;
			if
#ifndef FAULT_SERVE_DOES_NOT_READY
			:: w_done -> ready()
#endif
			:: else
			fi
		}
	   fi;
	   atomic { /* netpoll_reap */
		if
		:: cqe[me] -> wait_op_done(me)
		:: answer[me] -> wait_op_answered(me)
		:: else
		fi
	   }
	   if
	   :: atomic {
		queued && (me == 1 || begun) ->
		queued = false;
		begun = true;
		assert(on == NONE);
		state = RUNNING;
		on = me
	      }
	      on != me
	   :: !queued || (me == 2 && !begun) -> /* sleep_idle */
		m_buffer[me] = true; /* sleeping = 1 */
#ifndef FAULT_NO_FENCE_IN_S5
		!m_buffer[me];
#endif
		if
#ifndef FAULT_S5_DOES_NOT_LOOK
		:: cancel_queue[me] || (w_unsent && w_mp == me)
#endif
		:: else ->
end_asleep:		cqe[me] || answer[me] || woken[me] || (queued && begun)
		fi;
		atomic {
			woken[me] = false;
			m_buffer[me] = false;
			sleeping[me] = false
		}
	   fi
	od
}

/* The store buffers of all: flushed at any time. */
active proctype Memory()
{
	byte i;

end_memory:
	do
	:: atomic {
		m_buffer[1] -> m_buffer[1] = false;
		sleeping[1] = true
	   }
	:: atomic {
		m_buffer[2] -> m_buffer[2] = false;
		sleeping[2] = true
	   }
	:: atomic {
		buffer_m[A_TOKEN] || buffer_m[A_TIMER] || buffer_m[A_CLOSE] ->
		if
		:: buffer_m[A_TOKEN] -> i = A_TOKEN
		:: buffer_m[A_TIMER] -> i = A_TIMER
		:: buffer_m[A_CLOSE] -> i = A_CLOSE
		fi;
		assert(!cancel_queue[buffer_m[i]]);
		cancel_queue[buffer_m[i]] = buffer_w[i];
		buffer_m[i] = 0;
		buffer_w[i] = 0;
		i = 0
	   }
	od
}

active proctype Kernel()
{
	byte m;

end_kernel:
	do
	:: atomic {
		inflight && !lazy -> /* it happened */
		cqe_cancelled = false;
		cqe[inflight_m] = inflight;
		inflight = 0;
		inflight_m = 0;
		unseen = false
	   }
	:: atomic {
		inflight && !was_unseen ->
		unseen = true;
		was_unseen = true
	   }
	:: atomic {
		unseen -> unseen = false
	   }
	:: atomic {
		cancel_sqe[1] || cancel_sqe[2] ->
		m = (cancel_sqe[1] -> 1 : 2);
		if
		:: inflight == cancel_sqe[m] && inflight_m == m && !unseen ->
			if /* in time, or it happens all the same */
			:: cqe_cancelled = true
			:: cqe_cancelled = false
			fi;
			cqe[m] = inflight;
			inflight = 0;
			inflight_m = 0;
			answer_none = false
		:: else -> answer_none = true
		fi;
		answer[m] = cancel_sqe[m];
		cancel_sqe[m] = 0;
		m = 0
	   }
	od
}

/* netpoll_rescue, of one M's ring: the two are alike */
active proctype Sysmon()
{
end_sysmon:
	do
	:: atomic {
		cqe[1] && !sleeping[1] && !m_buffer[1] -> wait_op_done(1)
	   }
	:: atomic {
		answer[1] && !sleeping[1] && !m_buffer[1] ->
		wait_op_answered(1)
	   }
	od
}

/* cancel_token_fire; may never come. */
active proctype Token()
{
	bool mine;
	byte mp, u;

	if
	:: who && who != A_TOKEN -> goto spared
	:: who == A_TOKEN -> lock(token_lock)
	fi;
	token_err = true;
	u = token_waiter;
	if
	:: u -> netpoll_cancel(A_TOKEN, u)
	:: else
	fi;
	token_lock = false;
spared:
	skip
}

active proctype Timer()
{
	bool mine;
	byte mp, u;

end_far:
	do
	:: atomic {
		timer_of ->
		u = timer_of;
		timer_of = 0;
		firing = true
	   }
	   netpoll_cancel(A_TIMER, u);
	   atomic {
		firing = false;
		u = 0;
		mp = 0;
		mine = false
	   }
	od
}

/* fdesc_close */
active proctype Closer()
{
	bool mine;
	byte mp, u;

	if
	:: who == A_TIMER -> goto spared
	:: who && who != A_TIMER -> lock(fd_lock)
	fi;
	fd_state = CLOSING;
	u = fd_link;
	if
	:: u ->
		netpoll_cancel(A_CLOSE, u);
#ifdef FAULT_CLOSE_DOES_NOT_WAIT
		fd_lock = false
#else
		closer = true;
		fd_lock = false; /* sched_park_unlock */
		closer_ready
#endif
	:: else -> fd_lock = false
	fi;
	atomic {
		!fd_lock -> fd_state = HANDED
	}
	assert(!inflight && !w_unsent); /* close(2) */
	atomic {
		!fd_lock -> fd_state = OPEN
	}
spared:
	skip
}

/* Nothing moves any more. */
active proctype Judge()
{
	timeout ->
	/* Close ends one call, or comes before the first. */
	assert(done || (lazy && who == A_CLOSE && !w_asked && inflight));
	assert(!cancel_queue[1] && !cancel_queue[2] && !queued);
	assert(!done || (!inflight && !frame && !cqe[1] && !cqe[2]))
}

init
{
	atomic {
		if
		:: lazy = true
		:: lazy = false
		fi;
		if
		:: who = A_TOKEN
		:: who = A_TIMER
		:: who = A_CLOSE
		fi;
		run M(1);
		run M(2)
	}
}
