// SPDX-License-Identifier: MIT

// gobench - the micro scenarios of benchmarks/micro/ in Go.
//
// Every row has the name, the default count and the definition of the C row;
// the file of a row is named after the C file (switch.go, bench_switch.c).
// Output is the same JSON line per figure, "impl" being Go's own version.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"time"
)

// A figure is one number that a row produces: the name it is reported under
// and its unit.
type figure struct{ name, unit string }

// A row is one scenario. A cold row runs once in a process, without warm-up:
// its subject is first-touched memory, or it takes long by its nature.
type row struct {
	name    string
	n       int
	cold    bool
	figures []figure
	once    func(n int, out []float64)
}

var rows []row

func register(r ...row) { rows = append(rows, r...) }

// nsPerOp makes a once function of a body that performs n operations.
func nsPerOp(body func(n int)) func(int, []float64) {
	return func(n int, out []float64) {
		start := time.Now()
		body(n)
		out[0] = float64(time.Since(start).Nanoseconds()) / float64(n)
	}
}

// ms makes a once function that reports the whole time in milliseconds.
func ms(body func(n int)) func(int, []float64) {
	return func(n int, out []float64) {
		start := time.Now()
		body(n)
		out[0] = time.Since(start).Seconds() * 1e3
	}
}

func fail(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, "gobench: "+format+"\n", args...)
	os.Exit(1)
}

// statusKiB reads one "Name: N kB" line of /proc/self/status.
func statusKiB(name string) float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fail("/proc/self/status: %v", err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, name+":") {
			var v float64
			fmt.Sscan(strings.TrimPrefix(line, name+":"), &v)
			return v
		}
	}
	fail("/proc/self/status has no %s", name)
	return 0
}

func median(v []float64) float64 {
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

func quantile(sorted []float64, q float64) float64 {
	return sorted[int(q*float64(len(sorted)-1))]
}

// warmUp is a tenth of the operations; where the time of the whole is the figure,
// n is the size of the scenario and it is run once as it is.
func warmUp(r row, n int) int {
	if r.figures[0].unit == "ms" {
		return n
	}
	return n/10 + 1
}

func runRow(r row, n, reps, procs int) {
	if n == 0 {
		n = r.n
	}
	out := make([]float64, len(r.figures))
	if r.cold {
		reps = 1
	} else {
		r.once(warmUp(r, n), out)
	}
	samples := make([][]float64, len(r.figures))
	for i := 0; i < reps; i++ {
		r.once(n, out)
		for f := range out {
			samples[f] = append(samples[f], out[f])
		}
	}
	for f, fig := range r.figures {
		v := samples[f]
		sort.Float64s(v)
		fmt.Printf("{\"bench\":\"%s\",\"impl\":\"%s\",\"procs\":%d,"+
			"\"unit\":\"%s\",\"median\":%.6g,\"min\":%.6g,"+
			"\"max\":%.6g,\"reps\":%d,\"n\":%d}\n",
			fig.name, runtime.Version(), procs, fig.unit,
			median(v), v[0], v[len(v)-1], reps, n)
	}
}

func main() {
	procs := flag.Int("procs", 1, "GOMAXPROCS")
	n := flag.Int("n", 0, "operations a repetition (0: the row's own)")
	reps := flag.Int("reps", 3, "repetitions")
	only := flag.String("row", "", "run this row only")
	list := flag.Bool("list", false, "print the names of the rows")
	flag.Parse()
	if flag.NArg() != 0 || *procs < 1 || *n < 0 || *reps < 1 {
		flag.Usage()
		os.Exit(2)
	}
	if *list {
		for _, r := range rows {
			fmt.Println(r.name)
		}
		return
	}
	runtime.GOMAXPROCS(*procs)
	found := false
	for _, r := range rows {
		if *only == "" || *only == r.name {
			found = true
			runRow(r, *n, *reps, *procs)
		}
	}
	if !found {
		fail("no row named %q", *only)
	}
}
