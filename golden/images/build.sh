#!/bin/sh
# Builds the images that the tests run, as docker archives, from the packages of
# the Debian or Ubuntu that it runs on: no registry of images is needed.
#
#   build.sh DIR    writes DIR/python.tar (busybox and python3, for python:3.11)
#                   and DIR/alpine.tar (busybox, for alpine:latest)
set -eu
out=${1:?usage: build.sh DIR}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A machine that has what it needs may not have the lists of packages.
if ! apt-cache show busybox-static >/dev/null 2>&1; then
	$([ "$(id -u)" = 0 ] || echo sudo) apt-get update -qq
fi

# unpack PACKAGE... into ROOT: without their maintainer scripts.
unpack() {
	root=$1
	shift
	mkdir -p "$work/deb" "$root"
	(cd "$work/deb" && apt-get download -q "$@" >/dev/null 2>"$work/apt.err") || { cat "$work/apt.err" >&2; exit 1; }
	for deb in "$work"/deb/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root"; done
	rm -rf "$work/deb"
}

# base ROOT: a file system with busybox under every name it knows.
base() {
	unpack "$1" busybox-static
	for dir in bin etc root usr/bin proc sys dev run var/tmp tmp; do mkdir -p "$1/$dir"; done
	chmod 1777 "$1/tmp" "$1/var/tmp"
	for name in $("$1/bin/busybox" --list); do
		[ -e "$1/bin/$name" ] || ln -s busybox "$1/bin/$name"
	done
	ln -sf ../../bin/busybox "$1/usr/bin/env"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
	echo 'nobody:x:65534:65534:nobody:/nonexistent:/bin/sh' >>"$1/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$1/etc/group"
}

# closure PACKAGE: it and what it needs to run. What only maintainer scripts
# need (dpkg, perl, mail types) stays out.
closure() {
	apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
		--no-replaces --no-enhances "$1" | grep '^[a-z0-9]' | sort -u |
		grep -vE '^(dpkg|perl.*|libperl.*|tar|install-info|mailcap|mime-support|debconf.*|readline-common|.*-base|libgdbm.*|cdebconf.*)$'
}

# archive ROOT NAME FILE: a docker archive of one layer.
archive() {
	dir=$work/archive
	rm -rf "$dir"
	mkdir "$dir"
	tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$1" -cf "$dir/layer.tar" .
	sum=$(sha256sum "$dir/layer.tar" | cut -d' ' -f1)
	arch=$(dpkg --print-architecture)
	printf '{"architecture":"%s","os":"linux","config":{"Env":["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"],"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
		"$arch" "$sum" >"$dir/config.json"
	printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$2" >"$dir/manifest.json"
	tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C "$dir" -cf "$3.tmp" manifest.json config.json layer.tar
	mv "$3.tmp" "$3"
}

base "$work/alpine"
archive "$work/alpine" docker.io/library/alpine:latest "$out/alpine.tar"
base "$work/python"
# shellcheck disable=SC2046 # a list of package names
unpack "$work/python" $(closure python3)
[ -e "$work/python/usr/bin/python" ] || ln -s python3 "$work/python/usr/bin/python"
archive "$work/python" docker.io/library/python:3.11 "$out/python.tar"
