#!/bin/sh
# Installs what building and running cic needs and the machine lacks; with the
# argument test, what its tests need besides.
set -eu
missing=
need() { # COMMAND PACKAGE
	command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}
need runc runc
need git git
need go golang-go
if [ "${1-}" = test ]; then
	need containerd containerd # for --address; cic has its own
	need busybox busybox-static
	need dash dash
	need bash bash
	need mksh mksh
	need yash yash
	need newuidmap uidmap # for runs of an ordinary user
	need gcc gcc # the race detector
fi
if [ -n "$missing" ]; then
	echo "installing:$missing" >&2
	sudo=
	[ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq
	# shellcheck disable=SC2086 # a list of package names
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing libc6-dev >/dev/null
fi
# Debian 12 has Go 1.19, which cannot fetch the version that go.mod asks for by
# itself, as Go does since 1.21, but can download the module that it comes in.
# Outside of this module, whose version an old Go would not understand.
version=$(cd / && go env GOVERSION)
minor=${version#go1.}
if [ "${minor%%[!0-9]*}" -lt 21 ]; then
	want=$(sed -n 's/^go //p' go.mod).$(cd / && go env GOOS)-$(cd / && go env GOARCH)
	echo "$(command -v go) is $version: fetching go$want" >&2
	dir=$(cd / && go mod download -json "golang.org/toolchain@v0.0.1-go$want" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
	chmod +x "$dir"/bin/* "$dir"/pkg/tool/*/*
	mkdir -p bin
	ln -sfn "$dir" bin/go
fi
