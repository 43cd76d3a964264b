// SPDX-License-Identifier: MIT

package main

// The 1,000th prime: the generator stops there, and the closing of the
// channels runs down the pipeline, so that no goroutine is left over.
const lastPrime = 7919

func filter(in, out chan int64, prime int64) {
	for v := range in {
		if v%prime != 0 {
			out <- v
		}
	}
	close(out)
}

// sieve finds the primes up to lastPrime by a pipeline of one filter a prime.
func sieve(int) {
	c := make(chan int64)
	go func(c chan int64) {
		for v := int64(2); v <= lastPrime; v++ {
			c <- v
		}
		close(c)
	}(c)
	primes := 0
	for {
		prime, more := <-c
		if !more {
			break
		}
		primes++
		out := make(chan int64)
		go filter(c, out, prime)
		c = out
	}
	if primes != 1000 {
		fail("sieve: %d primes", primes)
	}
}

func init() {
	register(row{"sieve", 1000, false, []figure{{"sieve", "ms"}}, ms(sieve)})
}
