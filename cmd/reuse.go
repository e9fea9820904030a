package cmd

import (
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
)

// reuse is what --skip-unchanged asks for, nil without it.
func reuse(c *cli.Context, p *project) (*exec.Reuse, error) {
	if !c.Bool("skip-unchanged") {
		return nil, nil
	}
	state, err := stateDir(c)
	if err != nil {
		return nil, err
	}
	clean := c.String("source") == "clean"
	return &exec.Reuse{
		StateDir: state,
		Project:  p.dir,
		Options: []exec.KeyPart{
			{Name: "--network", Value: c.String("network")},
			{Name: "--source", Value: c.String("source")},
		},
		Source: sync.OnceValues(func() ([]exec.KeyPart, error) {
			scan := exec.SourceScan{Dir: p.dir, Now: time.Now(), Cache: exec.SourceCache(state, p.dir)}
			if p.git && clean {
				files, err := p.files(c.Context)
				if err != nil {
					return nil, err
				}
				scan.Files = files
			}
			return scan.Parts()
		}),
	}, nil
}
