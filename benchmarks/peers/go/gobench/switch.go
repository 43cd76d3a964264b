// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"sync"
)

// yieldAmong lets k goroutines yield n times in all.
func yieldAmong(k, n int) {
	var wg sync.WaitGroup
	wg.Add(k)
	for g := 0; g < k; g++ {
		go func() {
			for i := 0; i < n/k; i++ {
				runtime.Gosched()
			}
			wg.Done()
		}()
	}
	wg.Wait()
}

func init() {
	register(
		row{"yield_2", 2000000, false,
			[]figure{{"yield_2", "ns/op"}},
			nsPerOp(func(n int) { yieldAmong(2, n) })},
		row{"yield_1000", 2000000, false,
			[]figure{{"yield_1000", "ns/op"}},
			nsPerOp(func(n int) { yieldAmong(1000, n) })},
	)
}
