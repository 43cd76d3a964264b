# SPDX-License-Identifier: MIT
#
# table - the table of benchmarks/run, from marks.tsv, rows.tsv and the JSON
# lines of one run, in this order. A figure is the median over the processes of
# an implementation; +- is half the distance of its extremes, in per cent.

function get(key,    at) {
	at = match($0, "\"" key "\":\"?[^\",}]*")
	if (!at)
		return ""
	at = substr($0, RSTART, RLENGTH)
	sub("\"" key "\":\"?", "", at)
	return at
}

function show(v) {
	if (v >= 100000)
		return sprintf("%.0fk", v / 1000)
	return sprintf(v >= 100 ? "%.0f" : v >= 10 ? "%.1f" : "%.2f", v)
}

# stat sets med[key] and spread[key] from the values of one key.
function stat(key,    n, v, i, j, t) {
	n = split(values[key], v, " ")
	for (i = 2; i <= n; i++) {
		t = v[i] + 0
		for (j = i - 1; j > 0 && v[j] + 0 > t; j--)
			v[j + 1] = v[j]
		v[j + 1] = t
	}
	med[key] = (v[int((n + 1) / 2)] + v[int(n / 2) + 1]) / 2
	if (med[key])
		spread[key] = 100 * (v[n] - v[1]) / 2 / med[key]
}

function has(f, who, p) {
	return (f, who, p) in med
}

# cell - "20.1+-3 / 21.0+-4" of P1 / P2
function cell(f, who,    p, text, part) {
	for (p = 1; p <= 2; p++) {
		part = "-"
		if (has(f, who, p))
			part = show(med[f, who, p]) sprintf("+-%.0f%%", spread[f, who, p])
		if (p == 1)
			text = part
		else if (part != "-" || two)
			text = text " / " part
	}
	return text
}

function ratio(f, who, p, q) {
	if (!has(f, "ringgo", p) || !has(f, who, q) || !med[f, who, q])
		return -1
	return med[f, "ringgo", p] / med[f, who, q]
}

function ratios(f,    p, r, text) {
	for (p = 1; p <= 1 + two; p++) {
		r = ratio(f, "go", p, p)
		text = text (p == 2 ? " / " : "") (r < 0 ? "-" : sprintf("%.2f", r))
	}
	return text
}

# bound - the mark m of figure f for p Ps, scaled for the Go that ran
function bound(f, m, p) {
	if (mark_rival[f, m] ~ /^go/ && go_minor == 19 && new_go[f, m, p] != "-" && old_go[f, m, p] != "-")
		return mark[f, m] * new_go[f, m, p] / old_go[f, m, p]
	return mark[f, m]
}

# judge - the mark as text in mark_text, whether it is met in met_text
function judge(f, m,    p, b, r, rival, who) {
	rival = mark_rival[f, m]
	who = rival
	sub("@.*", "", who)
	mark_text = met_text = ""
	for (p = 1; p <= 1 + two; p++) {
		b = bound(f, m, p)
		if (rival == "abs")
			r = has(f, "ringgo", p) ? med[f, "ringgo", p] : -1
		else
			r = ratio(f, who, p, rival ~ /@2/ ? 2 : p)
		if (p == 1)
			mark_text = sprintf(rival == "abs" ? "%g" : "%.2f", b)
		else if (sprintf("%.2f", b) != sprintf("%.2f", bound(f, m, 1)))
			mark_text = mark_text sprintf("/%.2f", b)
		met_text = met_text (p == 2 ? " / " : "") (r < 0 ? "-" : r <= b ? "yes" : "no")
		if (r >= 0 && stage[f, m] == "final") {
			judged++
			reached += r <= b
		}
	}
	mark_text = "<= " mark_text (rival == "abs" ? "" : " " rival) (stage[f, m] == "first" ? " (first)" : "")
}

function others(f,    i, n, names, text) {
	n = split("uring epoll nginx redis", names, " ")
	for (i = 1; i <= n; i++)
		if (has(f, names[i], 1))
			text = text (text ? ", " : "") names[i] " " show(med[f, names[i], 1])
	return text ? text : "-"
}

function line(a, b, c, d, e, r, m, y) {
	sub(/ +$/, "", y)
	printf "%-33s %-5s %-21s %-21s %-34s %-12s %-20s %s\n", a, b, c, d, e, r, m, y
}

/^#/ || NF == 0 { next }

FILENAME ~ /marks.tsv$/ {
	m = ++marks[$1]
	stage[$1, m] = $2
	mark_rival[$1, m] = $3
	mark[$1, m] = $4
	for (p = 1; p <= 2; p++) {
		new_go[$1, m, p] = $(4 + p)
		old_go[$1, m, p] = $(6 + p)
	}
	next
}

FILENAME ~ /rows.tsv$/ {
	order[++figures] = $1
	title[$1] = $5
	for (i = 6; i <= NF; i++)
		title[$1] = title[$1] " " $i
	next
}

/^{"bench"/ {
	impl = get("impl")
	if (!impl)
		impl = "ringgo"
	if (impl ~ /^go[0-9]/) {
		go_name = impl
		go_minor = impl
		sub(/^go[0-9]+\./, "", go_minor)
		go_minor = int(go_minor)
		impl = "go"
	}
	procs = get("procs")
	if (!procs)
		procs = 1
	two = two || procs == 2
	key = get("bench") SUBSEP impl SUBSEP procs
	values[key] = values[key] " " get("median")
	unit[get("bench")] = get("unit")
	sub(/request/, "op", unit[get("bench")])
	seen[get("bench")] = 1
}

END {
	for (key in values)
		stat(key)
	ps = two ? " P1 / P2" : ""
	line("row", "unit", "ringgo" ps, (go_name ? go_name : "go") ps, "others", "ratio to go", "mark", "met")
	for (i = 1; i <= figures; i++) {
		f = order[i]
		if (!(f in seen))
			continue
		mark_text = met_text = "-"
		if (marks[f])
			judge(f, 1)
		line(title[f], unit[f], cell(f, "ringgo"), cell(f, "go"), others(f), ratios(f), mark_text, met_text)
		for (m = 2; m <= marks[f]; m++) {
			judge(f, m)
			line("", "", "", "", "", "", mark_text, met_text)
		}
	}
	printf "\n%d of %d final marks met\n", reached, judged
}
