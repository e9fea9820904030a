package compile

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/pipeline"
	"github.com/cic-ci/cic/compile/syntax"
	"github.com/cic-ci/cic/plan"
)

func (l *lowering) service(e *expander, j *pipeline.Job, s *pipeline.Service) plan.Service {
	service := plan.Service{
		Image:   l.image(e, j, &s.Image),
		Alias:   s.Alias,
		Command: words(e, s.Command),
	}
	service.Privileged = wantsPrivileges(service.Name)
	service.Entrypoint = words(e, s.Entrypoint)
	l.checkOwnVariables(e, j, s, "command", s.Command)
	l.checkOwnVariables(e, j, s, "entrypoint", s.Entrypoint)
	own := make(map[string]*definition, len(s.Variables))
	for _, v := range s.Variables {
		own[v.Name] = &definition{value: v.Value, raw: v.Raw, pos: v.Pos}
	}
	// A service's variables see the job's, and not each other.
	for _, name := range sortedNames(own) {
		value := e.expandValue("", own[name].value, nil)
		if own[name].raw {
			value = plan.Literal(own[name].value)
		}
		service.Variables = append(service.Variables, plan.Variable{Name: name, Value: value})
	}
	return service
}

// checkHosts warns of services that lose host names to earlier ones: without any
// left a service is not started, as the second of two postgres without aliases
// (specification 22). Names known only at run time are left to the executor, and
// that an image's name is lost where there is an alias is what aliases are for.
func (l *lowering) checkHosts(j *pipeline.Job, services []plan.Service) {
	var hosts plan.ServiceHosts
	owners := map[string]syntax.Pos{}
	for i := range services {
		s, name := &services[i], j.Services[i].Name
		image := s.Name.Value
		if s.Name.Template {
			image = ""
		} else if _, err := l.images.normalise(image); err != nil {
			continue // which has been reported
		}
		names, lost := hosts.Claim(image, s.Alias)
		for _, host := range names {
			owners[strings.ToLower(host)] = name.Pos
		}
		diag := &syntax.Error{Severity: syntax.SeverityWarning, Code: codeTwinService, Pos: name.Pos, Len: utf8.RuneCountInString(name.Value), Job: j.Name}
		lostAliases := slices.DeleteFunc(slices.Clone(lost), func(host string) bool { return !slices.Contains(s.Alias, host) })
		switch {
		case len(names) == 0 && !s.Name.Template:
			diag.Msg = fmt.Sprintf("service %q is not started: an earlier service has its host name", name.Value)
			diag.Help = "give it a name of its own: alias"
		case len(lostAliases) > 0:
			diag.Msg = fmt.Sprintf("service %q is not reached as %s: an earlier service has that host name", name.Value, quoted(lostAliases))
			diag.Help = "give it an alias of its own"
			lost = lostAliases
		default:
			continue
		}
		if earlier, known := owners[strings.ToLower(lost[0])]; known {
			diag.Notes = []syntax.Note{{Pos: earlier, Msg: "this one"}}
		}
		l.diags.report(diag)
	}
}

// words expands the words of a service's program (specification section 18.4).
func words(e *expander, from []string) []plan.Text {
	if from == nil {
		return nil
	}
	expanded := make([]plan.Text, len(from))
	for i, word := range from {
		expanded[i] = e.text(word)
	}
	return expanded
}

// checkOwnVariables warns of a word that mentions a variable of the service itself:
// only the job's are known here, the service's are in its environment.
func (l *lowering) checkOwnVariables(e *expander, j *pipeline.Job, s *pipeline.Service, keyword string, words []string) {
	for _, word := range words {
		scanReferences(word, false, func(string) {}, func(name, written string) {
			if !slices.ContainsFunc(s.Variables, func(v pipeline.Variable) bool { return v.Name == name }) {
				return
			}
			becomes := "becomes empty, as the job has none of that name"
			if _, ok := e.value(name); ok {
				becomes = "becomes the job's value"
			}
			l.diags.report(&syntax.Error{
				Severity: syntax.SeverityWarning, Code: codeOwnVariable, Pos: s.Name.Pos, Len: utf8.RuneCountInString(s.Name.Value), Job: j.Name,
				Msg:  fmt.Sprintf("in the %s of service %q, %s %s: a service's own variables are only in its environment", keyword, s.Name.Value, written, becomes),
				Help: fmt.Sprintf("let a shell of the service expand it: [sh, -c, \"... $%s ...\"]", written),
			})
		})
	}
}
