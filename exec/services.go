package exec

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cic-ci/cic/plan"
)

// debugServices is the variable that shows what services print while they run.
const debugServices = "CI_DEBUG_SERVICES"

// services are those of the job, with their texts expanded, less those that all
// of whose names are taken; w.notes then says so. Nothing takes their output yet.
// Source: specification section 22.
func (w *worker) services() ([]Service, error) {
	w.notes = nil
	if len(w.job.Services) == 0 {
		return nil, nil
	}
	vars, err := w.serviceVariables()
	if err != nil {
		return nil, err
	}
	var hosts plan.ServiceHosts
	// A grant for the job is one for those of its services that ask.
	privileged := w.r.Granted[w.job.Name].Privileged
	var list []Service
	for i := range w.job.Services {
		declared := &w.job.Services[i]
		s := Service{Image: declared.Image, Privileged: declared.Privileged && privileged}
		image := w.imageName(declared.Name)
		s.Image.Name = plan.Literal(image)
		if err := w.expandProgram(&s, declared); err != nil {
			return nil, fmt.Errorf("service %q: %w", image, err)
		}
		if s.Names = w.claimNames(&hosts, image, declared.Alias); len(s.Names) == 0 {
			continue
		}
		own := maps.Clone(vars)
		for _, v := range declared.Variables {
			if own[v.Name], err = v.Value.Expand(lookup(w.vars)); err != nil {
				return nil, fmt.Errorf("service %q: variable %s: %w", image, v.Name, err)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(own)) {
			s.Env = append(s.Env, name+"="+own[name])
		}
		list = append(list, s)
	}
	return list, nil
}

// expandProgram fills what a service is to run. Where nothing is declared there is
// nothing, which is not the same as an empty list.
func (w *worker) expandProgram(s *Service, declared *plan.Service) error {
	if declared.Command != nil {
		command, err := expandAll(declared.Command, w.vars)
		if err != nil {
			return err
		}
		s.Command = command
	}
	if declared.Entrypoint == nil {
		return nil
	}
	entrypoint, err := expandAll(declared.Entrypoint, w.vars)
	s.Image.Entrypoint = make([]plan.Text, len(entrypoint))
	for i, word := range entrypoint {
		s.Image.Entrypoint[i] = plan.Literal(word)
	}
	return err
}

// serviceVariables are what every service of the job is given: all that the job
// has itself, but no secrets.
func (w *worker) serviceVariables() (map[string]string, error) {
	env, err := Environment(w.plan, w.job, w.vars)
	if err != nil {
		return nil, err
	}
	vars := make(map[string]string, len(env)+len(w.job.Variables))
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		vars[name] = value
	}
	for _, v := range w.job.Variables {
		if vars[v.Name], err = v.Value.Expand(lookup(w.vars)); err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.Name, err)
		}
	}
	for _, report := range w.reports { // which beat the pipeline's (specification 18.2)
		for _, v := range report {
			if value, ok := w.vars[v.name]; ok {
				vars[v.name] = value
			}
		}
	}
	return vars, nil
}

// claimNames takes those of a service's host names that are free, and notes the others.
func (w *worker) claimNames(hosts *plan.ServiceHosts, image string, aliases []string) []string {
	names, lost := hosts.Claim(image, aliases)
	switch {
	case len(names) == 0:
		w.notes = append(w.notes, fmt.Sprintf("service %s is not started: no host name is left for it, %s cannot be used or belong to an earlier service; give it an alias",
			familiarImage(image), joinQuoted(lost)))
	case len(lost) > 0:
		w.notes = append(w.notes, fmt.Sprintf("service %s is reached as %s only: %s cannot be used or belong to an earlier service",
			familiarImage(image), joinQuoted(names), joinQuoted(lost)))
	}
	return names
}

// logServices makes the logs of the services.
func (w *worker) logServices(services []Service) {
	w.serviceLogs = nil
	for i := range services {
		s := &services[i]
		l := &serviceLog{name: s.Names[0], stream: slices.Contains(s.Env, debugServices+"=true")}
		w.serviceLogs = append(w.serviceLogs, l)
		s.Output = l
	}
}

// startServices starts them, if there are any, and waits until they are ready.
func (w *worker) startServices() error {
	for _, note := range w.notes {
		w.log.Note(true, "%s", note)
	}
	if len(w.serviceLogs) == 0 {
		return nil
	}
	for _, l := range w.serviceLogs {
		if err := w.openServiceLog(l); err != nil {
			return fmt.Errorf("the log of service %s: %w", l.name, err)
		}
	}
	return w.box.Start(w.r.ctx, func(service int, text string) {
		l := w.serviceLogs[service]
		w.log.Note(true, "service %s %s", l.name, text)
		w.showServiceLog(l)
	})
}

// showServiceLogs shows the last that the services of a failed job said.
func (w *worker) showServiceLogs(res *JobResult) {
	if res.Status != StatusFailed {
		return
	}
	for _, l := range w.serviceLogs {
		w.showServiceLog(l)
	}
}

func (w *worker) showServiceLog(l *serviceLog) {
	lines, path, again := l.last()
	switch {
	case l.stream, again && len(lines) == 0: // it has been shown
	case len(lines) == 0:
		w.log.Note(false, "service %s printed nothing", l.name)
	default:
		w.log.Note(false, "the last that service %s printed; all of it is in %s", l.name, path)
		for _, line := range lines {
			w.showServiceLine(l, line)
		}
	}
}

// showServiceLine shows a line of a service in the job's log: as text, so that no
// carriage return in it hides whose it is. The service's own log has it as it came.
func (w *worker) showServiceLine(l *serviceLog, line string) {
	w.log.Note(false, "%s | %s", l.name, SanitizeTerminal(line, false))
}

// closeServiceLogs ends the logs, once the services have ended.
func (w *worker) closeServiceLogs() error {
	var errs []error
	for _, l := range w.serviceLogs {
		if err := l.close(); err != nil {
			errs = append(errs, fmt.Errorf("the log of service %s is not whole: %w", l.name, err))
		}
	}
	return errors.Join(errs...)
}
