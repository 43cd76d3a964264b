// SPDX-License-Identifier: MIT

package main

import (
	"runtime"
	"sync"
)

func mutexFree(n int) {
	var m sync.Mutex
	for i := 0; i < n; i++ {
		m.Lock()
		m.Unlock() //nolint:staticcheck // an empty section is the subject
	}
}

// mutexAmong lets k goroutines take one mutex n times in all.
func mutexAmong(k, n int, inside func()) {
	var m sync.Mutex
	var wg sync.WaitGroup
	counter := 0
	wg.Add(k)
	for g := 0; g < k; g++ {
		go func() {
			for i := 0; i < n/k; i++ {
				m.Lock()
				counter++
				if inside != nil {
					inside()
				}
				m.Unlock()
			}
			wg.Done()
		}()
	}
	wg.Wait()
	if counter != n/k*k {
		fail("mutex: counter is %d, not %d", counter, n/k*k)
	}
}

func init() {
	register(
		row{"mutex_free", 10000000, false,
			[]figure{{"mutex_free", "ns/op"}}, nsPerOp(mutexFree)},
		row{"mutex_contended", 1000000, false,
			[]figure{{"mutex_contended", "ns/op"}},
			nsPerOp(func(n int) { mutexAmong(1000, n, nil) })},
		row{"mutex_yield", 300000, false,
			[]figure{{"mutex_yield", "ns/op"}},
			nsPerOp(func(n int) {
				mutexAmong(100, n, runtime.Gosched)
			})},
	)
}
