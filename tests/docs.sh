#!/bin/bash
# SPDX-License-Identifier: MIT
#
# docs - the C of docs/concurrency.md compiles: its first block as the top of a file,
# each other one as the body of a function, with gcc and clang. Then a broken line is
# put in, which has to be found.

set -u
cd "$RG_ROOT" || exit 1
page=docs/concurrency.md
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# extract < PAGE > FILE.c: #line keeps the page's line numbers in complaints.
extract() {
	awk -v page="$page" '
		/^```c$/ { inside = 1; n++
			if (n > 1) printf "void snippet_%d(void)\n{\n", n
			printf "#line %d \"%s\"\n", NR + 1, page; next }
		/^```$/ && inside { inside = 0; if (n > 1) print "}"; next }
		inside
		END { if (n < 20 || inside) exit 1 }'
}

extract <$page >"$dir/page.c" || {
	echo "docs: $page has too few C blocks, or one that does not end"
	exit 1
}

# compiles COMPILER FILE
compiles() {
	"$1" -std=gnu11 -Wall -Wextra -Werror -Wno-unused-function \
		-Wno-unused-variable -Wno-undefined-internal \
		-Wno-missing-prototypes -Iinclude -fsyntax-only "$2"
}

status=0
runs=0
for cc in gcc clang; do
	command -v $cc >/dev/null || continue
	runs=$((runs + 1))
	compiles $cc "$dir/page.c" || status=1
	sed 's/rg_mutex_lock(&mu)/rg_mutex_lock(\&rw)/' "$dir/page.c" \
		>"$dir/broken.c"
	if compiles $cc "$dir/broken.c" 2>/dev/null; then
		echo "docs: $cc did not find the mistake that was put in"
		status=1
	fi
done
if [ $runs = 0 ]; then
	echo "neither gcc nor clang"
	exit 77
fi
[ $status = 0 ] && echo "docs: $(grep -c '^```c$' $page) blocks compile"
exit $status
