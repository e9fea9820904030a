package pipeline

import "github.com/cic-ci/cic/compile/syntax"

// tokenIssuer is the provider of the secrets that id_tokens make.
const tokenIssuer = "the server, which signs ID tokens"

// idTokens decodes id_tokens: variables that hold a token of the server's, each
// for an audience (specification 29). Nobody here can sign one, so their values
// are given like those of secrets.
func (d *decoder) idTokens(n *syntax.Node) []Secret {
	if n.Kind != syntax.Mapping {
		d.wrongType(n, "id_tokens", "a mapping")
		return nil
	}
	var all []Secret
	for _, p := range n.Pairs {
		named := d.shellName(p.Key)
		what := path("id_tokens", p.Key.Value)
		ok := d.fields(p.Value, inIDToken, what, func(key, value *syntax.Node) {
			member := path(what, key.Value)
			if d.stringOrList(value, member); value.Kind == syntax.Sequence && len(value.Items) == 0 {
				d.fail(CodeMissing, value, "%q must not be empty", member)
			}
		})
		if !ok {
			d.wrongType(p.Value, what, "a mapping")
			continue
		}
		d.require(p.Value, inIDToken, what, "aud")
		if named {
			all = append(all, Secret{Name: p.Key.Value, Provider: tokenIssuer, Pos: p.Key.Pos})
		}
	}
	return all
}
