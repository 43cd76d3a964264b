// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"sort"
	"sync/atomic"
	"time"

	"ringgo.bench/peers/hog"
)

// stopAfter returns a flag that becomes 1 after n milliseconds.
func stopAfter(n int) *int32 {
	stop := new(int32)
	time.AfterFunc(time.Duration(n)*time.Millisecond, func() {
		atomic.StoreInt32(stop, 1)
	})
	return stop
}

// tickUntil sleeps 1 ms again and again until *stop and returns how late it woke
// up each time, in milliseconds.
func tickUntil(n int, stop *int32) []float64 {
	late := make([]float64, 0, n+1000)
	for atomic.LoadInt32(stop) == 0 {
		start := time.Now()
		time.Sleep(time.Millisecond)
		late = append(late,
			float64(time.Since(start)-time.Millisecond)/1e6)
	}
	return late
}

func lateness(late, out []float64) {
	sort.Float64s(late)
	out[0] = quantile(late, 0.5)
	out[1] = quantile(late, 0.99)
	out[2] = late[len(late)-1]
}

func fairFigures(name string) []figure {
	return []figure{{name + "_p50", "ms"}, {name + "_p99", "ms"},
		{name + "_max", "ms"}}
}

// fairTicker ticks for n milliseconds beside as many hogs as there are Ps.
func fairTicker(kind string) func(int, []float64) {
	return func(n int, out []float64) {
		stop := stopAfter(n)
		hogs := hog.Start(runtime.GOMAXPROCS(0), kind, stop)
		late := tickUntil(n, stop)
		hogs.Wait()
		lateness(late, out)
	}
}

func init() {
	for _, kind := range []string{"none", "loop", "malloc", "qsort"} {
		name := "fair_" + kind
		register(row{name, 3000, true, fairFigures(name), fairTicker(kind)})
	}
}
