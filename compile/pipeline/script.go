package pipeline

import (
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
