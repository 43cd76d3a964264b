// SPDX-License-Identifier: MIT

package main

// chain links n goroutines by unbuffered channels and sends one number
// through: each adds 1.
func chain(n int) {
	first := make(chan int64)
	left := first
	for i := 0; i < n; i++ {
		right := make(chan int64)
		go func(left, right chan int64) { left <- 1 + <-right }(left, right)
		left = right
	}
	left <- 0
	if v := <-first; v != int64(n) {
		fail("chain: %d came out, not %d", v, n)
	}
}

func init() {
	register(row{"chain", 10000, false,
		[]figure{{"chain", "ms"}}, ms(chain)})
}
