// SPDX-License-Identifier: MIT

package main

import "sync"

// pingPong makes n round trips over two unbuffered channels.
func pingPong(n int) {
	ping, pong := make(chan int64), make(chan int64)
	go func() {
		for v := range ping {
			pong <- v + 1
		}
		close(pong)
	}()
	for i := int64(0); i < int64(n); i++ {
		ping <- i
		if v := <-pong; v != i+1 {
			fail("ping-pong: %d came back as %d", i, v)
		}
	}
	close(ping)
	<-pong
}

// buffered sends n items through one channel of 128 from k goroutines to k.
func buffered(k, n int) {
	c := make(chan int64, 128)
	sums := make(chan int64, k)
	var producers sync.WaitGroup
	producers.Add(k)
	for g := 0; g < k; g++ {
		go func() {
			for i := 0; i < n/k; i++ {
				c <- 1
			}
			producers.Done()
		}()
		go func() {
			sum := int64(0)
			for v := range c {
				sum += v
			}
			sums <- sum
		}()
	}
	producers.Wait()
	close(c)
	total := int64(0)
	for g := 0; g < k; g++ {
		total += <-sums
	}
	if total != int64(n/k*k) {
		fail("buffered: %d of %d items arrived", total, n/k*k)
	}
}

func init() {
	register(
		row{"chan_pingpong", 500000, false,
			[]figure{{"chan_pingpong", "ns/op"}}, nsPerOp(pingPong)},
		row{"chan_buf_1x1", 4000000, false,
			[]figure{{"chan_buf_1x1", "ns/op"}},
			nsPerOp(func(n int) { buffered(1, n) })},
		row{"chan_buf_4x4", 4000000, false,
			[]figure{{"chan_buf_4x4", "ns/op"}},
			nsPerOp(func(n int) { buffered(4, n) })},
	)
}
