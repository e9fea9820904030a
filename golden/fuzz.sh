#!/bin/sh
# Runs every fuzz target of the module for the time given: fuzz.sh 30s.
set -eu
time=${1:?usage: fuzz.sh TIME}
for pkg in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
		echo "$pkg $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$pkg"
	done
done
