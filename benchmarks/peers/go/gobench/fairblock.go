// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

const (
	blockTime = 20 * time.Millisecond
	futexWait = 128 // private
	futexWake = 129
)

// A block is what blockers wait for. The condition of the C library is a futex
// here, which is what it is made of.
type block struct {
	stop    *int32
	pipe    [2]int
	signals uint32
}

func (b *block) read() {
	var c [1]byte
	for {
		n, err := syscall.Read(b.pipe[0], c[:])
		if err == syscall.EINTR {
			continue
		}
		if n != 1 {
			fail("read: %d, %v", n, err)
		}
		return
	}
}

func (b *block) nanosleep() {
	t := syscall.NsecToTimespec(int64(blockTime))
	for syscall.Nanosleep(&t, &t) != nil {
	}
}

func (b *block) cond() {
	seen := atomic.LoadUint32(&b.signals)
	for seen == atomic.LoadUint32(&b.signals) {
		syscall.Syscall6(syscall.SYS_FUTEX,
			uintptr(unsafe.Pointer(&b.signals)), futexWait,
			uintptr(seen), 0, 0, 0)
	}
}

// feed wakes n blockers every blockTime, and once more at the end.
func (b *block) feed(n int, reads bool) {
	for last := false; !last; {
		time.Sleep(blockTime)
		last = atomic.LoadInt32(b.stop) != 0
		atomic.AddUint32(&b.signals, 1)
		syscall.Syscall6(syscall.SYS_FUTEX,
			uintptr(unsafe.Pointer(&b.signals)), futexWake,
			1<<30, 0, 0, 0)
		for i := 0; reads && i < n; i++ {
			if _, err := syscall.Write(b.pipe[1], []byte{0}); err != nil {
				fail("write: %v", err)
			}
		}
	}
}

// fairBlock ticks for n milliseconds beside as many goroutines as there are Ps
// that block their threads, 20 ms at a time.
func fairBlock(wait func(b *block), reads bool) func(int, []float64) {
	return func(n int, out []float64) {
		b := &block{stop: stopAfter(n)}
		if err := syscall.Pipe(b.pipe[:]); err != nil {
			fail("pipe: %v", err)
		}
		procs := runtime.GOMAXPROCS(0)
		var done sync.WaitGroup
		done.Add(procs + 1)
		go func() {
			b.feed(procs, reads)
			done.Done()
		}()
		for i := 0; i < procs; i++ {
			go func() {
				for atomic.LoadInt32(b.stop) == 0 {
					wait(b)
				}
				done.Done()
			}()
		}
		late := tickUntil(n, b.stop)
		done.Wait()
		syscall.Close(b.pipe[0])
		syscall.Close(b.pipe[1])
		lateness(late, out)
	}
}

func init() {
	register(
		row{"fair_read", 2000, true, fairFigures("fair_read"),
			fairBlock((*block).read, true)},
		row{"fair_nanosleep", 2000, true, fairFigures("fair_nanosleep"),
			fairBlock((*block).nanosleep, false)},
		row{"fair_cond", 2000, true, fairFigures("fair_cond"),
			fairBlock((*block).cond, false)},
	)
}
