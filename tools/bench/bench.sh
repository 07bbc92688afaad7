#!/bin/bash
# Runs the Go benchmarks of the working tree and of the last release, and prints how
# they compare. Both are run in turn, once and once again, so that what else the
# machine does meets both. Before the first release, only the working tree is run.
#
#	bench.sh BENCHSTAT
#
# BENCH picks benchmarks by a regular expression (all), COUNT is how often each is
# run (6, the fewest that benchstat gives a confidence interval for), BENCHTIME is
# go test's -benchtime (1s). The full output stays in build/bench.
set -euo pipefail

benchstat=$1
out=build/bench
rm -rf $out
mkdir -p $out

# bench DIRECTORY NAME runs all once more.
bench() {
	go test -C "$1" -vet=off -run '^$' -bench "${BENCH:-.}" -benchtime "${BENCHTIME:-1s}" -benchmem ./... >>"$out/$2.txt" 2>&1 ||
		{ cat "$out/$2.txt" >&2; exit 1; }
}

files=(now=$out/now.txt)
if tag=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null); then
	release=$(mktemp -d)
	trap 'rm -rf "$release"' EXIT
	git archive "$tag" | tar -x -C "$release"
	files=("$tag=$out/release.txt" "${files[@]}")
else
	echo "There is no release tag yet: these are the figures of the working tree alone."
fi

for ((i = 1; i <= ${COUNT:-6}; i++)); do
	echo "round $i of ${COUNT:-6}" >&2
	if [ -n "${release:-}" ]; then
		bench "$release" release
	fi
	bench . now
done
"$benchstat" "${files[@]}"
