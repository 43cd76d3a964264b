// SPDX-License-Identifier: MIT

package main

import (
	"encoding/binary"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

const (
	fileReaders = 64
	fileBlock   = 4096
	fileBlocks  = 65536
)

var theFile *os.File

// benchFile is 256 MiB long; block i begins with i. Made at the first call.
func benchFile() *os.File {
	if theFile != nil {
		return theFile
	}
	f, err := os.CreateTemp("/var/tmp", "rg-bench-")
	if err != nil {
		fail("file: %v", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		fail("file: %v", err)
	}
	block := make([]byte, fileBlock)
	for i := 0; i < fileBlocks; i++ {
		binary.LittleEndian.PutUint64(block, uint64(i))
		if _, err := f.Write(block); err != nil {
			fail("file: %v", err)
		}
	}
	theFile = f
	return f
}

// bareRead is pread without what Go's scheduler does around a system call.
func bareRead(buf []byte, off int64) (int, error) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PREAD64, theFile.Fd(),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)),
		uintptr(off), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// fileAmong lets k goroutines read n random blocks in all.
func fileAmong(k, n int, read func([]byte, int64) (int, error),
	out []float64) {
	var wg sync.WaitGroup
	benchFile()
	cpu := cpuSeconds()
	wg.Add(k)
	for g := 1; g <= k; g++ {
		go func(x uint64) {
			buf := make([]byte, fileBlock)
			for i := 0; i < n/k; i++ {
				x = x*6364136223846793005 + 1442695040888963407
				at := x >> 48
				got, err := read(buf, int64(at)*fileBlock)
				if err != nil || got != fileBlock ||
					binary.LittleEndian.Uint64(buf) != at {
					fail("file: block %d is wrong", at)
				}
			}
			wg.Done()
		}(uint64(g))
	}
	wg.Wait()
	out[0] = (cpuSeconds() - cpu) * 1e9 / float64(n)
}

func init() {
	register(
		row{"file_read", 640000, false,
			[]figure{{"file_read", "ns/op"}},
			func(n int, out []float64) {
				fileAmong(fileReaders, n, benchFile().ReadAt, out)
			}},
		row{"file_bare", 640000, false,
			[]figure{{"file_bare", "ns/op"}},
			func(n int, out []float64) {
				fileAmong(1, n, bareRead, out)
			}},
	)
}
