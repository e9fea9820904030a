package pipeline

import (
	"regexp"
	"strings"

	"github.com/cic-ci/cic/compile/syntax"
)

// commands decodes script, before_script or after_script: a string or a list of
// strings, nested lists flattened (specification 20.1). A blank string is no
// command.
func (d *decoder) commands(n *syntax.Node, what string) []Command {
	switch n.Kind {
	case syntax.String:
		if strings.TrimSpace(n.Value) == "" {
			return nil
		}
		return d.command(nil, n, what)
	case syntax.Sequence:
		commands := make([]Command, 0, len(n.Items))
		member := what + "[]"
		d.nested(n, what, 1, func(item *syntax.Node) { commands = d.command(commands, item, member) })
		for _, item := range n.Items {
			d.warnTest(item)
		}
		return commands
	}
	d.wrongType(n, what, wantCommands)
	return nil
}

func (d *decoder) command(to []Command, n *syntax.Node, what string) []Command {
	t, ok := d.text(n, what)
	if !ok {
		return to
	}
	return append(to, Command{Text: t.Value, Node: n})
}

// insideTest matches what stands in the brackets of a test of the shell.
var insideTest = regexp.MustCompile(`^(-[a-zA-Z]{1,2} +\S|\$\{?\w+\}? +(=|==|!=|=~|-[a-z]{2}) +\S)`)

// warnTest warns of a test of the shell without quotes: YAML takes its brackets for
// those of lists, which are flattened (specification 20.1).
func (d *decoder) warnTest(item *syntax.Node) {
	if item.Kind != syntax.Sequence {
		return
	}
	for item.Kind == syntax.Sequence && len(item.Items) == 1 {
		item = item.Items[0]
	}
	if item.Kind == syntax.String && insideTest.MatchString(item.Value) {
		d.warn(CodeReadAs, item, "YAML reads the brackets around %q as a list: the shell gets this text without them", item.Value).Help =
			"put the whole line in quotes"
	}
}

// blankScript reports a script without a command, unless it is the types of its
// entries that left none.
func (d *decoder) blankScript(n *syntax.Node) {
	if blank(n) {
		d.fail(CodeMissing, n, `"script" must not be empty`).Help = `add the commands to run: script: ["make"]`
	}
}

// blank reports whether n is a blank string or holds nothing but empty lists.
func blank(n *syntax.Node) bool {
	if n.Kind == syntax.String {
		return strings.TrimSpace(n.Value) == ""
	}
	if n.Kind != syntax.Sequence {
		return false
	}
	for _, item := range n.Items {
		if item.Kind != syntax.Sequence || !blank(item) {
			return false
		}
	}
	return true
}
