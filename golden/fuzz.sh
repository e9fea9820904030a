#!/bin/sh
# Runs the fuzz targets of packages, of the whole module if none is named, for the
# time or number of runs given each: fuzz.sh 30s, fuzz.sh 3000x ./plan.
set -eu
time=${1:?usage: fuzz.sh TIME [PACKAGE...]}
shift
[ $# -gt 0 ] || set -- ./...
for pkg in $(go list "$@"); do
	for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
		echo "$pkg $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$pkg"
	done
done
