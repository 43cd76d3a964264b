// SPDX-License-Identifier: MIT

package main

// selectBlocking receives n items by a select of 4 unbuffered channels; one
// producer serves the channels in turn.
func selectBlocking(n int) {
	var c [4]chan int64
	for i := range c {
		c[i] = make(chan int64)
	}
	go func() {
		for i := 0; i < n; i++ {
			c[i%4] <- 1
		}
	}()
	sum := int64(0)
	for i := 0; i < n; i++ {
		select {
		case v := <-c[0]:
			sum += v
		case v := <-c[1]:
			sum += v
		case v := <-c[2]:
			sum += v
		case v := <-c[3]:
			sum += v
		}
	}
	if sum != int64(n) {
		fail("select: %d of %d items arrived", sum, n)
	}
}

// selectReady receives by a select of 4 channels of capacity 1, all full,
// and puts the item back: one select and one send an operation.
func selectReady(n int) {
	var c [4]chan int64
	for i := range c {
		c[i] = make(chan int64, 1)
		c[i] <- 1
	}
	for i := 0; i < n; i++ {
		select {
		case v := <-c[0]:
			c[0] <- v
		case v := <-c[1]:
			c[1] <- v
		case v := <-c[2]:
			c[2] <- v
		case v := <-c[3]:
			c[3] <- v
		}
	}
}

func init() {
	register(
		row{"select_block", 500000, false,
			[]figure{{"select_block", "ns/op"}},
			nsPerOp(selectBlocking)},
		row{"select_ready", 1000000, false,
			[]figure{{"select_ready", "ns/op"}}, nsPerOp(selectReady)},
	)
}
