// Package credential knows what well-known access tokens look like. It is a leaf
// on the standard library, since both sides need it: the compiler warns of a
// token in a pipeline, and the executor masks one that a job prints.
package credential

import "strings"

// Shape is a kind of token: a prefix that no other text has, and then at least
// Min bytes of an alphabet. A token goes on as long as its alphabet does.
type Shape struct {
	// Name is for people: a GitLab token.
	Name   string
	Prefix string
	Min    int
	// Follows says of each byte whether it can stand after the prefix.
	Follows *[256]bool
}

const (
	digits = "0123456789"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lower  = "abcdefghijklmnopqrstuvwxyz"
)

var (
	alphanumeric = alphabet(digits + upper + lower)
	word         = alphabet(digits + upper + lower + "_")
	urlSafe      = alphabet(digits + upper + lower + "_-")
	dotted       = alphabet(digits + upper + lower + "_-.")
	keyID        = alphabet(digits + upper)
	hexadecimal  = alphabet(digits + "abcdef")
)

func alphabet(bytes string) *[256]bool {
	var set [256]bool
	for i := range len(bytes) {
		set[bytes[i]] = true
	}
	return &set
}

// Shapes are the known ones. Each minimum is the length that the issuer
// documents or uses; there is no upper bound, as tokens grow. Sources: GitLab's
// and GitHub's pages on token prefixes, AWS's on unique identifiers, Slack's on
// token types, and the secret scanning documentation of the other issuers.
var Shapes = shapes()

func shapes() []Shape {
	var all []Shape
	add := func(name string, follows *[256]bool, least int, prefixes ...string) {
		for _, p := range prefixes {
			all = append(all, Shape{Name: name, Prefix: p, Min: least, Follows: follows})
		}
	}
	add("a GitLab token", dotted, 20,
		"glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "gloas-", "glsoat-", "glffct-")
	add("a GitHub token", alphanumeric, 36, "ghp_", "gho_", "ghu_", "ghs_", "ghr_")
	add("a GitHub token", word, 82, "github_pat_")
	add("an AWS access key id", keyID, 16, "AKIA", "ASIA")
	add("a Slack token", urlSafe, 24, "xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xapp-")
	add("an npm token", alphanumeric, 36, "npm_")
	add("a PyPI token", urlSafe, 50, "pypi-AgEIcHlwaS5vcmc")
	add("a Docker Hub token", urlSafe, 27, "dckr_pat_")
	add("a Google API key", urlSafe, 35, "AIza")
	add("a Stripe key", alphanumeric, 24, "sk_live_", "rk_live_")
	add("an OpenAI key", urlSafe, 40, "sk-proj-")
	add("an Anthropic key", urlSafe, 40, "sk-ant-")
	add("a Vault token", urlSafe, 24, "hvs.", "hvb.")
	add("a DigitalOcean token", hexadecimal, 64, "dop_v1_", "doo_v1_")
	return all
}

// least is the length of the shortest token.
var least = func() int {
	n := len(Shapes[0].Prefix) + Shapes[0].Min
	for _, s := range Shapes {
		n = min(n, len(s.Prefix)+s.Min)
	}
	return n
}()

// Find returns the first token in a text, text[start:end]. The name is empty if
// there is none.
func Find(text string) (name string, start, end int) {
	// Most texts have no word that is long enough.
	for i := 0; i < len(text); i++ {
		from := i
		for i < len(text) && dotted[text[i]] {
			i++
		}
		if i-from < least {
			continue
		}
		if name, start, end = findIn(text[from:i]); name != "" {
			return name, from + start, from + end
		}
	}
	return "", 0, 0
}

// findIn is Find for a text whose bytes all can stand in a token.
func findIn(text string) (name string, start, end int) {
	for i := range Shapes {
		s := &Shapes[i]
		for from := 0; ; {
			at := strings.Index(text[from:], s.Prefix)
			if at < 0 {
				break
			}
			at += from
			from = at + len(s.Prefix)
			stop := from
			for stop < len(text) && s.Follows[text[stop]] {
				stop++
			}
			if stop-from >= s.Min {
				if name == "" || at < start {
					name, start, end = s.Name, at, stop
				}
				break
			}
		}
	}
	return name, start, end
}

// PrivateKey returns the place of the header of a private key in a text, in PEM
// (RFC 7468), PGP or SSH form; start is -1 if there is none.
func PrivateKey(text string) (start, end int) {
	const begin, key = "-----BEGIN ", "PRIVATE KEY"
	for from := 0; ; {
		at := strings.Index(text[from:], begin)
		if at < 0 {
			return -1, -1
		}
		at += from
		from = at + len(begin)
		label, _, _ := strings.Cut(text[from:], "\n")
		if k := strings.Index(label, key); k >= 0 {
			rest := strings.TrimPrefix(label[k+len(key):], " BLOCK")
			if strings.HasPrefix(rest, "-----") {
				return at, from + len(label) - len(rest) + len("-----")
			}
		}
	}
}

// secretWords are parts of names that variables with secrets have.
var secretWords = []string{
	"TOKEN", "PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "CREDENTIAL", "APIKEY",
	"API_KEY", "ACCESS_KEY", "DEPLOY_KEY", "PRIVATE_KEY", "SIGNING_KEY", "SSH_KEY",
}

// SecretName reports whether a variable's name says that its value is secret.
func SecretName(name string) bool {
	name = strings.ToUpper(name)
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// Holds reports whether a text holds a token or a private key.
func Holds(text string) bool {
	name, _, _ := Find(text)
	key, _ := PrivateKey(text)
	return name != "" || key >= 0
}
