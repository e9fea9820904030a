package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/compile/explain"
	"github.com/cic-ci/cic/compile/lint"
	"github.com/cic-ci/cic/compile/syntax"
)

func explainCommand() *cli.Command {
	return &cli.Command{
		Name:        "explain",
		Usage:       "tell what a code of an error or a warning means",
		ArgsUsage:   "[CODE]",
		Description: "Without CODE, all of them are listed.\n\nExample:\n   cic explain CIC3002",
		Action: func(c *cli.Context) error {
			if c.Args().Len() > 1 {
				return usage("explain takes one CODE, got %q too", c.Args().Get(1))
			}
			if !c.Args().Present() {
				return explain.List(c.App.Writer)
			}
			code := strings.ToUpper(c.Args().First())
			if e, ok := explain.Lookup(code); ok {
				return e.Write(c.App.Writer)
			}
			return unknownCode(code)
		},
	}
}

func unknownCode(code string) error {
	var codes []string
	for _, e := range explain.Entries() {
		codes = append(codes, e.Code)
	}
	if best := syntax.Suggest(code, codes); best != "" {
		return usage("there is no code %q; did you mean %q?", code, best)
	}
	return &exitError{code: exitUsage, err: fmt.Errorf("there is no code %q", code), help: "cic explain lists them"}
}

// withExplanation adds to the error of a pipeline that does not compile where more
// is said about the first of its errors.
func withExplanation(err error, list syntax.ErrorList) error {
	var e *exitError
	if !errors.As(err, &e) {
		return err
	}
	for _, d := range list.Sorted() {
		if _, ok := explain.Lookup(d.Code); ok && d.Severity == syntax.SeverityError {
			e.help = "cic explain " + d.Code + " says more"
			break
		}
	}
	return e
}

// ruleOf is what SARIF tells about a code.
func ruleOf(code string) (lint.Rule, bool) {
	e, ok := explain.Lookup(code)
	return lint.Rule{Title: e.Title, Text: e.Text, Markdown: e.Markdown}, ok
}
