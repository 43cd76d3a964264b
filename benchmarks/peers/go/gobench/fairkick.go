// SPDX-License-Identifier: MIT

package main

import (
	"encoding/binary"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"ringgo.bench/peers/hog"
)

const (
	kickWrite = 3 * time.Millisecond
	kickHog   = 10 * time.Millisecond
)

// kickOnce lets a goroutine read a pipe and computes meanwhile; the delay is from
// the write until the reader runs. Go's poller belongs to no thread.
func kickOnce(kind string, epoch time.Time, r, w *os.File) float64 {
	var stop int32
	late := make(chan float64, 1)
	go func() {
		var b [8]byte
		if n, err := r.Read(b[:]); n != 8 {
			fail("read: %d, %v", n, err)
		}
		written := time.Duration(binary.LittleEndian.Uint64(b[:]))
		late <- float64(time.Since(epoch)-written) / 1e6
	}()
	runtime.Gosched()
	go func() {
		var b [8]byte
		time.Sleep(kickWrite)
		binary.LittleEndian.PutUint64(b[:], uint64(time.Since(epoch)))
		if _, err := w.Write(b[:]); err != nil {
			fail("write: %v", err)
		}
		time.Sleep(kickHog - kickWrite)
		atomic.StoreInt32(&stop, 1)
	}()
	hog.Run(kind, &stop)
	return <-late
}

func kick(kind string) func(int, []float64) {
	return func(n int, out []float64) {
		r, w, err := os.Pipe()
		if err != nil {
			fail("pipe: %v", err)
		}
		epoch := time.Now()
		late := make([]float64, n)
		for i := range late {
			late[i] = kickOnce(kind, epoch, r, w)
		}
		r.Close()
		w.Close()
		lateness(late, out)
	}
}

func init() {
	for _, kind := range []string{"loop", "malloc"} {
		name := "fair_kick_" + kind
		register(row{name, 200, true, fairFigures(name), kick(kind)})
	}
}
