// SPDX-License-Identifier: MIT

package main

import (
	"sort"
	"sync"
	"syscall"
	"time"
)

// ticker sleeps 1 ms n times, alone, and reports how late it woke up.
func ticker(n int, out []float64) {
	late := make([]float64, n)
	for i := range late {
		start := time.Now()
		time.Sleep(time.Millisecond)
		late[i] = float64(time.Since(start)-time.Millisecond) / 1e3
	}
	sort.Float64s(late)
	out[0] = quantile(late, 0.5)
	out[1] = quantile(late, 0.99)
	out[2] = late[n-1]
}

// timers creates n timers of about an hour, then stops them all.
func timers(n int, out []float64) {
	t := make([]*time.Timer, n)
	start := time.Now()
	for i := range t {
		spread := time.Duration(i) * 7919 % 1000003
		t[i] = time.NewTimer(time.Hour + spread*time.Microsecond)
	}
	out[0] = float64(time.Since(start).Nanoseconds()) / float64(n)
	start = time.Now()
	for i := range t {
		if !t[i].Stop() {
			fail("timers: timer %d was not active", i)
		}
	}
	out[1] = float64(time.Since(start).Nanoseconds()) / float64(n)
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		fail("getrusage: %v", err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// sleepers lets n goroutines sleep once each, 1 to 1000 ms.
func sleepers(n int, out []float64) {
	late := make([]float64, n)
	var wg sync.WaitGroup
	wg.Add(n)
	cpu := cpuSeconds()
	for i := range late {
		go func(i int) {
			d := time.Duration(1+i%1000) * time.Millisecond
			start := time.Now()
			time.Sleep(d)
			late[i] = float64(time.Since(start)-d) / 1e6
			wg.Done()
		}(i)
	}
	wg.Wait()
	out[0] = cpuSeconds() - cpu
	sort.Float64s(late)
	out[1] = quantile(late, 0.5)
	out[2] = quantile(late, 0.99)
}

func init() {
	register(
		row{"sleep_1ms", 1000, true,
			[]figure{{"sleep_1ms_p50", "us"}, {"sleep_1ms_p99", "us"},
				{"sleep_1ms_max", "us"}}, ticker},
		row{"timers", 1000000, false,
			[]figure{{"timer_create", "ns/op"},
				{"timer_stop", "ns/op"}}, timers},
		row{"sleepers", 1000000, true,
			[]figure{{"sleepers_cpu", "s"}, {"sleepers_p50", "ms"},
				{"sleepers_p99", "ms"}}, sleepers},
	)
}
