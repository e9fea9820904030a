package resolve

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/cic-ci/cic/compile/syntax"
)

// read returns the content of a regular file of the project.
func (l *loader) read(name string) ([]byte, error) {
	if l.o.Project == nil {
		return nil, errors.New("this pipeline has no project directory")
	}
	info, err := fs.Stat(l.o.Project, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	if info.Size() > syntax.MaxFileSize {
		return nil, fmt.Errorf("it is larger than %d MB", syntax.MaxFileSize/1_000_000)
	}
	return fs.ReadFile(l.o.Project, name)
}

// siblings are the pipeline files in the directory of name, for a suggestion.
func (l *loader) siblings(name string) (names []string) {
	entries, err := fs.ReadDir(l.o.Project, path.Dir(name))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if isPipelineFile(e.Name()) {
			names = append(names, path.Join(path.Dir(name), e.Name()))
		}
	}
	return names
}

// unread says why a file of the project cannot be read, for a message that names the
// file: the error's own text names it again, and a system call that nobody made.
func unread(err error) string {
	var at *fs.PathError
	switch {
	case !errors.As(err, &at):
		return err.Error()
	case at.Err.Error() == "path escapes from parent": // package os has no name for it
		return "it is a link that leads out of the project"
	}
	return at.Err.Error()
}
