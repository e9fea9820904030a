#!/bin/sh
# Greets whoever is named.
case ${1-} in
--version) echo "greet @VERSION@" ;;
"") echo "usage: greet NAME" >&2; exit 2 ;;
*) printf 'Hello, %s!\n' "$1" ;;
esac
