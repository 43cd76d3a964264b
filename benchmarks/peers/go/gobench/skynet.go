// SPDX-License-Identifier: MIT

package main

import "time"

// skynet is a tree of goroutines, ten children each, down to size leaves
// that report their number; every inner one reports the sum.
func skynet(up chan int64, num, size int64) {
	if size == 1 {
		up <- num
		return
	}
	c := make(chan int64)
	for i := int64(0); i < 10; i++ {
		go skynet(c, num+i*(size/10), size/10)
	}
	sum := int64(0)
	for i := 0; i < 10; i++ {
		sum += <-c
	}
	up <- sum
}

// runSkynet ignores n: the tree has a million leaves by definition.
func runSkynet(n int, out []float64) {
	const leaves = 1000000
	start := time.Now()
	c := make(chan int64)
	go skynet(c, 0, leaves)
	sum := <-c
	out[0] = time.Since(start).Seconds() * 1e3
	out[1] = statusKiB("VmHWM") / 1024
	if sum != leaves*(leaves-1)/2 {
		fail("skynet: sum is %d", sum)
	}
}

func init() {
	register(row{"skynet", 1000000, false,
		[]figure{{"skynet", "ms"}, {"skynet_peak", "MiB"}}, runSkynet})
}
