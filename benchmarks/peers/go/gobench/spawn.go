// SPDX-License-Identifier: MIT

package main

import "sync"

// spawnOne waits for each goroutine before it starts the next.
func spawnOne(n int) {
	var wg sync.WaitGroup
	for i := 0; i < n; i++ {
		wg.Add(1)
		go wg.Done()
		wg.Wait()
	}
}

// spawnStream starts one after the other and waits once, at the end.
func spawnStream(n int) {
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		go wg.Done()
	}
	wg.Wait()
}

func spawnBatch(n int) {
	var wg sync.WaitGroup
	for i := 0; i < n; i += 1000 {
		wg.Add(1000)
		for j := 0; j < 1000; j++ {
			go wg.Done()
		}
		wg.Wait()
	}
}

func init() {
	register(
		row{"spawn_one", 500000, false,
			[]figure{{"spawn_one", "ns/op"}}, nsPerOp(spawnOne)},
		row{"spawn_stream", 300000, false,
			[]figure{{"spawn_stream", "ns/op"}},
			nsPerOp(spawnStream)},
		row{"spawn_batch", 1000000, false,
			[]figure{{"spawn_batch", "ns/op"}},
			nsPerOp(spawnBatch)},
	)
}
