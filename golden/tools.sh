#!/bin/sh
# Installs what building, testing and running cic needs and the machine lacks.
set -eu
missing=
need() { # COMMAND PACKAGE
	command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}
need containerd containerd
need runc runc
need git git
need busybox busybox-static
need dash dash
need bash bash
need mksh mksh
need yash yash
need gcc gcc # the race detector
need go golang-go
[ -n "$missing" ] || exit 0
echo "installing:$missing" >&2
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
# shellcheck disable=SC2086 # a list of package names
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing libc6-dev >/dev/null
