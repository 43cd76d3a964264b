// SPDX-License-Identifier: MIT

// goserver - the rivals of benchmarks/net/ in Go: `goserver echo` is the TCP
// echo of echo_server.c, `goserver http` the hello of http_hello.c. Listens on
// a free port of 127.0.0.1 and prints "listening 127.0.0.1:PORT".
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"

	"ringgo.bench/peers/hog"
)

func fail(err error) {
	fmt.Fprintf(os.Stderr, "goserver: %v\n", err)
	os.Exit(1)
}

func echo(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 1024)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err = c.Write(buf[:n]); err != nil {
			return
		}
	}
}

func serveEcho(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go echo(c)
	}
}

func serveHTTP(l net.Listener) error {
	http.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "Hello, World!")
	})
	return http.Serve(l, nil)
}

func main() {
	procs := flag.Int("procs", 1, "GOMAXPROCS")
	hogs := flag.String("hogs", "none", "as many hogs as Ps, of this kind")
	flag.Parse()
	serve := map[string]func(net.Listener) error{
		"echo": serveEcho, "http": serveHTTP,
	}[flag.Arg(0)]
	if serve == nil || flag.NArg() != 1 || *procs < 1 ||
		!hog.Known(*hogs) {
		fmt.Fprintln(os.Stderr, "usage: goserver [--procs N] "+
			"[--hogs none|loop|malloc|qsort] echo|http")
		os.Exit(2)
	}
	runtime.GOMAXPROCS(*procs)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	fmt.Printf("listening %s\n", l.Addr())
	hog.Start(*procs, *hogs, new(int32))
	fail(serve(l))
}
