package vendoring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cic-ci/cic/compile/resolve"
)

const (
	// maxFile bounds a fetched file, fetchTimeout the time that it may take.
	maxFile      = 2 << 20
	fetchTimeout = 30 * time.Second
	// templates is where GitLab's own templates are.
	templates = "https://gitlab.com/gitlab-org/gitlab/-/raw/master/lib/gitlab/ci/templates/"
)

// Fetcher fetches what a pipeline includes from elsewhere and the lock does not
// list yet.
type Fetcher struct {
	Project *os.Root
	Lock    *Lock
	// Server is the address of the GitLab server that include:project means.
	Server string
	// Client makes the requests. Redirects to another host are not followed.
	Client *http.Client
	// Progress is told of each file that is fetched.
	Progress func(msg string)
	// Fetched counts them.
	Fetched int
}

// Copy is [Lock.Copy], but fetches what is missing.
func (f *Fetcher) Copy(ctx context.Context, loc resolve.Location) (name string, data []byte, err error) {
	name, data, err = f.Lock.Copy(f.Project, loc)
	if !errors.Is(err, fs.ErrNotExist) {
		return name, data, err
	}
	addresses, err := f.addresses(loc)
	if err != nil {
		return "", nil, err
	}
	for i, address := range addresses {
		if data, err = f.fetch(ctx, address); err == nil {
			f.Fetched++
			if f.Progress != nil {
				f.Progress(fmt.Sprintf("fetched %s", address))
			}
			if err = f.Lock.add(f.Project, loc, address, data); err != nil {
				return "", nil, err
			}
			return f.Lock.Copy(f.Project, loc)
		}
		if i == len(addresses)-1 || !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return "", nil, fmt.Errorf("fetch: %v", err) // not fs.ErrNotExist: it was looked for
}

// Write writes the lock file.
func (f *Fetcher) Write() error { return f.Lock.write(f.Project) }

// addresses are where a file may be, the likeliest first.
func (f *Fetcher) addresses(loc resolve.Location) ([]string, error) {
	switch loc.Kind {
	case "remote":
		return []string{loc.Name}, nil
	case "template":
		return []string{templates + escapePath(loc.Name)}, nil
	case "project":
		ref := loc.Ref
		if ref == "" {
			ref = "HEAD"
		}
		return []string{raw(f.Server, loc.Name, ref, loc.File)}, nil
	}
	address, version, _ := strings.Cut(loc.Name, "@")
	host, rest, _ := strings.Cut(address, "/")
	i := strings.LastIndexByte(rest, '/')
	if version == "~latest" || i < 0 {
		return nil, errors.New("only a component with a tag, a branch or a commit can be fetched")
	}
	project, name := rest[:i], rest[i+1:]
	server := "https://" + host
	return []string{
		raw(server, project, version, "templates/"+name+".yml"),
		raw(server, project, version, "templates/"+name+"/template.yml"),
	}, nil
}

// raw is the address of a file of a project.
func raw(server, project, ref, file string) string {
	return strings.TrimSuffix(server, "/") + "/" + escapePath(project) + "/-/raw/" + escapePath(ref) + "/" + escapePath(file)
}

func escapePath(p string) string { return (&url.URL{Path: p}).EscapedPath() }

// fetch gets one file. [fs.ErrNotExist] means that the server says so.
func (f *Fetcher) fetch(ctx context.Context, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" {
		return nil, fmt.Errorf("%s: only https is fetched", address)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	client := *f.Client
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if next.URL.Host != u.Host || next.URL.Scheme != "https" || len(via) > 5 {
			return fmt.Errorf("a redirect to %s is not followed", next.URL.Host)
		}
		return nil
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%s: %w", address, fs.ErrNotExist)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s: the server answers %s", address, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is larger than %d MiB", address, maxFile>>20)
	}
	return data, err
}
