#!/bin/sh
# Compiles the pipeline in this directory, shows the plan, and runs it in
# containers that see the host's programs (the image "host"): no registry.
set -eu
cic=$(realpath "${1:?usage: run.sh CIC}")
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
run() {
	printf '\n$ %s\n' "$(echo "$*" | sed "s|$cic|cic|; s|$out/||g")"
	"$@"
}
run "$cic" compile pipeline.yml --ref main -o "$out/plan"
run "$cic" show "$out/plan"
run cat "$out/plan/jobs/syntax.sh"
run ${SUDO-} "$cic" exec "$out/plan" --image '*=host'
