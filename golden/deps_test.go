package golden

import (
	_ "github.com/bmatcuk/doublestar/v4"
	_ "github.com/goccy/go-yaml/parser"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/rogpeppe/go-internal/diff"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/urfave/cli/v2"
	_ "golang.org/x/sync/errgroup"
	_ "mvdan.cc/sh/v3/syntax"
	_ "mvdan.cc/sh/v3/interp"
)
