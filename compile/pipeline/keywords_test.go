package pipeline

import (
	"testing"

	"github.com/cic-ci/cic/compile/syntax"
)

// TestKeywordsAreHandled gives each keyword that is done or ignored a value that
// no keyword takes: one that no code looks at would accept it in silence.
func TestKeywordsAreHandled(t *testing.T) {
	pos := syntax.Pos{File: "ci.yml", Line: 1, Col: 1}
	str := func(s string) *syntax.Node {
		return &syntax.Node{Kind: syntax.String, Pos: pos, Value: s, Raw: s}
	}
	mapping := func(key string, value *syntax.Node) *syntax.Node {
		return &syntax.Node{Kind: syntax.Mapping, Pos: pos, Pairs: []syntax.Pair{{Key: str(key), Value: value}}}
	}
	list := func(n *syntax.Node) *syntax.Node {
		return &syntax.Node{Kind: syntax.Sequence, Pos: pos, Items: []*syntax.Node{n}}
	}
	inJobAs := func(key string, value *syntax.Node) *syntax.Node { return mapping("j", mapping(key, value)) }
	inSecretAs := func(n *syntax.Node) *syntax.Node { return inJobAs("secrets", mapping("A", n)) }
	places := map[scope]func(*syntax.Node) *syntax.Node{
		inPipeline:    func(n *syntax.Node) *syntax.Node { return n },
		inDefault:     func(n *syntax.Node) *syntax.Node { return mapping("default", n) },
		inJob:         func(n *syntax.Node) *syntax.Node { return mapping("j", n) },
		inVariable:    func(n *syntax.Node) *syntax.Node { return mapping("variables", mapping("A", n)) },
		inJobVariable: func(n *syntax.Node) *syntax.Node { return inJobAs("variables", mapping("A", n)) },
		inImage:       func(n *syntax.Node) *syntax.Node { return inJobAs("image", n) },
		inService:     func(n *syntax.Node) *syntax.Node { return inJobAs("services", list(n)) },
		inDocker:      func(n *syntax.Node) *syntax.Node { return inJobAs("image", mapping("docker", n)) },
		inRule:        func(n *syntax.Node) *syntax.Node { return inJobAs("rules", list(n)) },
		inFilter:      func(n *syntax.Node) *syntax.Node { return inJobAs("only", n) },
		inNeed:        func(n *syntax.Node) *syntax.Node { return inJobAs("needs", n) },
		inArtifacts:   func(n *syntax.Node) *syntax.Node { return inJobAs("artifacts", n) },
		inCache:       func(n *syntax.Node) *syntax.Node { return inJobAs("cache", n) },
		inCacheKey:    func(n *syntax.Node) *syntax.Node { return inJobAs("cache", mapping("key", n)) },
		inRetry:       func(n *syntax.Node) *syntax.Node { return inJobAs("retry", n) },
		inExitCodes:   func(n *syntax.Node) *syntax.Node { return inJobAs("allow_failure", n) },
		inCoverageReport: func(n *syntax.Node) *syntax.Node {
			return inJobAs("artifacts", mapping("reports", mapping("coverage_report", n)))
		},
		inEnvironment:   func(n *syntax.Node) *syntax.Node { return inJobAs("environment", n) },
		inParallel:      func(n *syntax.Node) *syntax.Node { return inJobAs("parallel", n) },
		inSecret:        func(n *syntax.Node) *syntax.Node { return inSecretAs(n) },
		inVault:         func(n *syntax.Node) *syntax.Node { return inSecretAs(mapping("vault", n)) },
		inVaultEngine:   func(n *syntax.Node) *syntax.Node { return inSecretAs(mapping("vault", mapping("engine", n))) },
		inCloudSecret:   func(n *syntax.Node) *syntax.Node { return inSecretAs(mapping("azure_key_vault", n)) },
		inAWSSecret:     func(n *syntax.Node) *syntax.Node { return inSecretAs(mapping("aws_secrets_manager", n)) },
		inManagedSecret: func(n *syntax.Node) *syntax.Node { return inSecretAs(mapping("gitlab_secrets_manager", n)) },
		inWorkflowRule: func(n *syntax.Node) *syntax.Node {
			return mapping("workflow", mapping("rules", list(n)))
		},
		inNeedParallel: func(n *syntax.Node) *syntax.Node {
			return inJobAs("needs", list(mapping("parallel", n)))
		},
		inChanges: func(n *syntax.Node) *syntax.Node { return inJobAs("rules", list(mapping("changes", n))) },
		inExists:  func(n *syntax.Node) *syntax.Node { return inJobAs("rules", list(mapping("exists", n))) },
		inInherit: func(n *syntax.Node) *syntax.Node { return inJobAs("inherit", n) },
		inTriggerJob: func(n *syntax.Node) *syntax.Node {
			if n.GetKey("trigger") == nil {
				n = &syntax.Node{Kind: syntax.Mapping, Pos: pos, Pairs: append(n.Pairs, syntax.Pair{Key: str("trigger"), Value: str("a/b")})}
			}
			return mapping("j", n)
		},
		inTrigger: func(n *syntax.Node) *syntax.Node { return inJobAs("trigger", n) },
		inForward: func(n *syntax.Node) *syntax.Node { return inJobAs("trigger", mapping("forward", n)) },
		inChildFile: func(n *syntax.Node) *syntax.Node {
			return inJobAs("trigger", mapping("include", list(n)))
		},
		inWorkflow:      func(n *syntax.Node) *syntax.Node { return mapping("workflow", n) },
		inKubernetes:    func(n *syntax.Node) *syntax.Node { return inJobAs("image", mapping("kubernetes", n)) },
		inHooks:         func(n *syntax.Node) *syntax.Node { return inJobAs("hooks", n) },
		inStep:          func(n *syntax.Node) *syntax.Node { return inJobAs("run", list(n)) },
		inIDToken:       func(n *syntax.Node) *syntax.Node { return inJobAs("id_tokens", mapping("A", n)) },
		inPages:         func(n *syntax.Node) *syntax.Node { return inJobAs("pages", n) },
		inRelease:       func(n *syntax.Node) *syntax.Node { return inJobAs("release", n) },
		inReleaseAssets: func(n *syntax.Node) *syntax.Node { return inJobAs("release", mapping("assets", n)) },
		inReleaseLink: func(n *syntax.Node) *syntax.Node {
			return inJobAs("release", mapping("assets", mapping("links", list(n))))
		},
		inDAST:       func(n *syntax.Node) *syntax.Node { return inJobAs("dast_configuration", n) },
		inJobInput:   func(n *syntax.Node) *syntax.Node { return inJobAs("inputs", mapping("a", n)) },
		inAutoCancel: func(n *syntax.Node) *syntax.Node { return mapping("workflow", mapping("auto_cancel", n)) },
	}
	for s := scope(1); s < scopeEnd; s <<= 1 {
		for _, name := range vocabularies[s].names {
			if vocabularies[s].known[name].resolved&s != 0 {
				continue
			}
			wrong := &syntax.Node{Kind: syntax.Reference, Pos: syntax.Pos{File: "ci.yml", Line: 7, Col: 7}}
			want := CodeType
			if vocabularies[s].known[name].refused&s != 0 {
				want = CodeUnsupported
			}
			_, errs := Decode(places[s](mapping(name, wrong)))
			found := false
			for _, e := range errs {
				found = found || e.Code == want && (e.Pos == wrong.Pos || want == CodeUnsupported)
			}
			if !found {
				t.Errorf("%q in scope %b: want a %s, got\n%s", name, s, want, report(errs))
			}
		}
	}
}

// TestKeywordsAreListedOnce: a second row for a name would hide the first.
func TestKeywordsAreListedOnce(t *testing.T) {
	seen := make(map[string]bool)
	for _, k := range keywords {
		if seen[k.name] {
			t.Errorf("%q has two rows", k.name)
		}
		seen[k.name] = true
		if k.done&k.refused|k.done&k.ignored|k.ignored&k.refused != 0 {
			t.Errorf("%q has two verdicts in one scope", k.name)
		}
	}
}
