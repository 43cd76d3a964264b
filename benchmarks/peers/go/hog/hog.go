// SPDX-License-Identifier: MIT

// Package hog has goroutines that compute and never call the runtime themselves,
// for the fairness rows: the twin of benchmarks/support/hog.c.
package hog

import (
	"sort"
	"sync"
	"sync/atomic"
)

const (
	steps  = 100000
	blocks = 2000
	keys   = 1024
)

func next(x uint64) uint64 {
	return x*6364136223846793005 + 1442695040888963407
}

func roundLoop(x uint64) uint64 {
	for i := 0; i < steps; i++ {
		x = next(x)
	}
	return x
}

func roundMalloc(x uint64) uint64 {
	var p []byte
	for i := 0; i < blocks; i++ {
		x = next(x)
		p = make([]byte, 16+(x>>33)%1000)
		p[0] = byte(x)
	}
	return x + uint64(p[0])
}

func roundSort(x uint64) uint64 {
	var v [keys]uint32
	for i := range v {
		x = next(x)
		v[i] = uint32(x >> 32)
	}
	sort.Slice(v[:], func(i, j int) bool { return v[i] < v[j] })
	return x ^ uint64(v[keys/2])
}

var rounds = map[string]func(uint64) uint64{
	"loop": roundLoop, "malloc": roundMalloc, "qsort": roundSort,
}

// Sink keeps what hogs compute alive.
var Sink uint64

// Known says whether kind is one, or "none".
func Known(kind string) bool { return kind == "none" || rounds[kind] != nil }

// Run computes until *stop is not 0.
func Run(kind string, stop *int32) {
	round, x := rounds[kind], uint64(1)
	for atomic.LoadInt32(stop) == 0 {
		x = round(x)
	}
	atomic.StoreUint64(&Sink, x)
}

// Start lets n goroutines hog until *stop is not 0; none for "none".
func Start(n int, kind string, stop *int32) *sync.WaitGroup {
	var done sync.WaitGroup
	if kind == "none" {
		return &done
	}
	done.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			Run(kind, stop)
			done.Done()
		}()
	}
	return &done
}
