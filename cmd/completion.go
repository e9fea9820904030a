package cmd

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:        "completion",
		Usage:       "print what makes a shell complete commands and flags",
		ArgsUsage:   "bash|zsh|fish",
		Description: "Example:\n   source <(cic completion bash)\n   cic completion fish > ~/.config/fish/completions/cic.fish",
		Action: func(c *cli.Context) error {
			var b bytes.Buffer
			switch shell := c.Args().First(); {
			case c.Args().Len() != 1:
				return usage("completion takes bash, zsh or fish")
			case shell == "fish":
				fishCompletion(&b, c.App.Commands)
			case shell == "zsh":
				b.WriteString("autoload -U +X bashcompinit && bashcompinit\n")
				bashCompletion(&b, c.App.Commands)
			case shell == "bash":
				bashCompletion(&b, c.App.Commands)
			default:
				return usage("completion takes bash, zsh or fish, not %q", shell)
			}
			_, err := c.App.Writer.Write(b.Bytes())
			return err
		},
	}
}

// bashCompletion completes commands, flags after a dash, and else file names.
func bashCompletion(b *bytes.Buffer, commands []*cli.Command) {
	b.WriteString("_cic() {\n  local current=${COMP_WORDS[COMP_CWORD]} names= flags=\n" +
		"  case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n")
	for _, c := range commands {
		for _, sub := range c.Subcommands {
			fmt.Fprintf(b, "    '%s %s') flags='%s' ;;\n", c.Name, sub.Name, strings.Join(flagNames(sub), " "))
		}
		fmt.Fprintf(b, "    '%s '*) names='%s' flags='%s' ;;\n", c.Name, strings.Join(commandNames(c.Subcommands), " "), strings.Join(flagNames(c), " "))
	}
	fmt.Fprintf(b, "  esac\n  [ \"$COMP_CWORD\" -gt 1 ] || names='%s' flags=\n", strings.Join(commandNames(commands), " "))
	b.WriteString("  case $current in\n    -*) names=$flags ;;\n  esac\n" +
		"  COMPREPLY=($(compgen -W \"$names\" -- \"$current\"))\n}\ncomplete -o default -F _cic cic\n")
}

func fishCompletion(b *bytes.Buffer, commands []*cli.Command) {
	for _, c := range commands {
		fmt.Fprintf(b, "complete -c cic -n __fish_use_subcommand -f -a %s -d %s\n", c.Name, fishString(c.Usage))
		for _, sub := range c.Subcommands {
			fmt.Fprintf(b, "complete -c cic -n '__fish_seen_subcommand_from %s' -f -a %s -d %s\n", c.Name, sub.Name, fishString(sub.Usage))
			fishFlags(b, sub)
		}
		fishFlags(b, c)
	}
}

func fishFlags(b *bytes.Buffer, c *cli.Command) {
	for _, f := range c.Flags {
		described, ok := f.(cli.DocGenerationFlag)
		if !ok {
			continue
		}
		fmt.Fprintf(b, "complete -c cic -n '__fish_seen_subcommand_from %s'", c.Name)
		for _, name := range f.Names() {
			if len(name) == 1 {
				fmt.Fprintf(b, " -s %s", name)
			} else {
				fmt.Fprintf(b, " -l %s", name)
			}
		}
		if described.TakesValue() {
			b.WriteString(" -r")
		}
		fmt.Fprintf(b, " -d %s\n", fishString(strings.ReplaceAll(described.GetUsage(), "`", "")))
	}
}

// fishString quotes a text (fish documentation, "Quotes").
func fishString(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

func commandNames(commands []*cli.Command) []string {
	names := make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.Name
	}
	return names
}

func flagNames(c *cli.Command) []string {
	var names []string
	for _, f := range c.Flags {
		name := f.Names()[0]
		if len(name) == 1 {
			names = append(names, "-"+name)
		} else {
			names = append(names, "--"+name)
		}
	}
	return names
}
