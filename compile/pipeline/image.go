package pipeline

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cic-ci/cic/compile/syntax"
)

var pullPolicies = []string{"always", "never", "if-not-present"}

// maxUserLen bounds docker:user and docker:platform, in characters (specification 21).
const maxUserLen = 255

// image decodes image: a name, or a mapping (specification 21).
func (d *decoder) image(n *syntax.Node) *Image {
	img := &Image{}
	switch n.Kind {
	case syntax.String:
		img.Name, _ = d.filledText(n, "image")
	case syntax.Mapping:
		d.fields(n, inImage, "image", func(key, value *syntax.Node) { d.imageField(img, key, value, "image") })
		d.require(n, inImage, "image", "name")
	default:
		d.wrongType(n, "image", "a string or a mapping")
	}
	return img
}

// imageField decodes a keyword that image and services share.
func (d *decoder) imageField(img *Image, key, value *syntax.Node, what string) {
	what = path(what, key.Value)
	switch key.Value {
	case "name":
		img.Name, _ = d.filledText(value, what)
	case "entrypoint":
		img.Entrypoint = d.values(value, what)
	case "pull_policy":
		img.PullPolicy = unique(d.words(value, what, pullPolicies))
		if value.Kind == syntax.Sequence && len(value.Items) == 0 {
			d.fail(CodeMissing, value, "%q must not be empty", what)
		}
	case "docker":
		ok := d.fields(value, inDocker, what, func(key, value *syntax.Node) {
			switch what := path(what, key.Value); key.Value {
			case "user":
				img.User = d.user(value, what)
			case "platform":
				d.platform(key, value, what)
			}
		})
		if !ok {
			d.wrongType(value, what, "a mapping")
		}
	case "kubernetes":
		d.kubernetes(value, what)
	case "ports":
		d.list(value, what, wantList, func(*syntax.Node) {})
		d.noEffect(key, what, "they are for terminals in a browser")
	}
}

// platform checks docker:platform.
func (d *decoder) platform(key, n *syntax.Node, what string) {
	if t, ok := d.filledText(n, what); ok && utf8.RuneCountInString(t.Value) > maxUserLen {
		d.fail(CodeLimit, n, "%q has at most %d characters", what, maxUserLen)
	}
	d.noEffect(key, what, "images are those for the machine that runs the plan")
}

// kubernetes checks what is for runners that start pods.
func (d *decoder) kubernetes(n *syntax.Node, what string) {
	ok := d.fields(n, inKubernetes, what, func(key, value *syntax.Node) {
		what := path(what, key.Value)
		if value.Kind != syntax.Int {
			d.filledText(value, what)
		}
		d.noEffect(key, what, `no pod is started; "docker:user" is done`)
	})
	if !ok {
		d.wrongType(n, what, "a mapping")
	}
}

// unique drops repeated values.
func unique(values []string) []string {
	var all []string
	for _, v := range values {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// userName is the name of a user or a group.
var userName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*\$?$`)

// user decodes the user that a container runs as, which is for the caller to check.
func (d *decoder) user(n *syntax.Node, what string) Text {
	t, ok := d.filledText(n, what)
	switch {
	case ok && utf8.RuneCountInString(t.Value) > maxUserLen:
		d.fail(CodeLimit, n, "%q has at most %d characters", what, maxUserLen)
	case UserOverflows(t.Value):
		d.fail(CodeValue, n, "%q is no user: %q", what, t.Value).Help = UserForms
	}
	return t
}

// UserForms says what a container's user may be.
const UserForms = `a name or a number up to 2147483647, and perhaps a group: "app", "1000:1000"`

// UserOverflows reports whether s holds a number beyond 31 bits, which container
// runtimes have wrapped round to 0, which is root (CVE-2024-40635).
func UserOverflows(s string) bool {
	return slices.ContainsFunc(strings.Split(s, ":"), func(id string) bool {
		_, err := strconv.ParseInt(id, 10, 32)
		return errors.Is(err, strconv.ErrRange)
	})
}

// IsUser reports whether s is a user that a container can run as, perhaps with a
// group. Variables must have been expanded.
func IsUser(s string) bool {
	user, group, both := strings.Cut(s, ":")
	return isUser(user) && (!both || isUser(group))
}

// isUser reports whether s is a name or a number in plain decimal.
func isUser(s string) bool {
	if id, err := strconv.ParseInt(s, 10, 32); err == nil {
		return id >= 0 && s == strconv.FormatInt(id, 10)
	}
	return userName.MatchString(s)
}

// services decodes services: a list of names and mappings (specification 22).
// Lists within it, from references, are flattened, as those of needs.
func (d *decoder) services(n *syntax.Node) []Service {
	services := make([]Service, 0, len(n.Items))
	if n.Kind != syntax.Sequence {
		d.wrongType(n, "services", wantList)
		return services
	}
	d.nested(n, "services", 1, func(item *syntax.Node) {
		services = append(services, d.service(item))
	})
	return services
}

func (d *decoder) service(n *syntax.Node) Service {
	var s Service
	switch n.Kind {
	case syntax.String:
		s.Name, _ = d.filledText(n, "services[]")
	case syntax.Mapping:
		d.fields(n, inService, "services", func(key, value *syntax.Node) {
			switch what := path("services", key.Value); key.Value {
			case "alias":
				s.Alias = d.aliases(value, what)
			case "command":
				s.Command = d.values(value, what)
			case "variables":
				s.Variables = d.variables(value, what, inService)
			default:
				d.imageField(&s.Image, key, value, "services")
			}
		})
		d.require(n, inService, "services[]", "name")
	default:
		d.wrongType(n, "services[]", "a string or a mapping")
	}
	return s
}

// hostName is what can be looked up as the name of a host.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$`)

// aliases decodes alias: names separated by spaces or commas. GitLab takes any text,
// and expands no variable in it (specification 18.4, 22).
func (d *decoder) aliases(n *syntax.Node, what string) []string {
	t, ok := d.text(n, what)
	if !ok {
		return nil
	}
	names := strings.FieldsFunc(t.Value, func(r rune) bool { return r == ' ' || r == ',' })
	return slices.DeleteFunc(names, func(name string) bool {
		if hostName.MatchString(name) && name != "localhost" {
			return false
		}
		d.warn(CodeHostName, n, "%q is no host name: the service is not reached by it", name).Help =
			"use letters, digits, dashes, dots and underscores; variables are not expanded here"
		return true
	})
}
