// SPDX-License-Identifier: MIT

package main

import (
	"sync"
	"time"
)

func resident() float64 { return statusKiB("VmRSS") + statusKiB("VmPTE") }

// parked starts n goroutines that wait on one channel and wakes them all by
// closing it. Memory is RSS and page tables, per goroutine.
func parked(n int, out []float64) {
	var started, done sync.WaitGroup
	started.Add(n)
	done.Add(n)
	gate := make(chan struct{})
	before := resident()
	start := time.Now()
	for i := 0; i < n; i++ {
		go func() {
			started.Done()
			<-gate
			done.Done()
		}()
	}
	started.Wait()
	out[1] = time.Since(start).Seconds() * 1e3
	out[0] = (resident() - before) * 1024 / float64(n)
	start = time.Now()
	close(gate)
	done.Wait()
	out[2] = time.Since(start).Seconds() * 1e3
}

func init() {
	register(row{"parked", 1000000, true,
		[]figure{{"parked", "B"}, {"parked_create", "ms"},
			{"parked_wake", "ms"}}, parked})
}
