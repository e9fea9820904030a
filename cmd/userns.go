package cmd

import (
	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec/userns"
)

func usernsFlag() cli.Flag {
	return &cli.BoolFlag{Name: "userns", Usage: "run jobs in user namespaces: root in a job is a user without rights outside; not those that were granted something"}
}

// openUsers chooses the ids of jobs in user namespaces, if they are to have such.
func openUsers(c *cli.Context, p *project) (*userns.Namespace, error) {
	if !c.Bool("userns") {
		return nil, nil
	}
	if userns.Entered() {
		return nil, usage("--userns is for root: the jobs of an ordinary user are in a user namespace already")
	}
	users, err := userns.Open(p.dir)
	if err != nil {
		return nil, &exitError{code: exitSystem, err: err, help: "leave out --userns"}
	}
	return users, nil
}

// mapped makes the workspaces of jobs in user namespaces.
func mapped(o overlays, users *userns.Namespace) (overlays, error) {
	manager, err := o.Manager.Mapped(users)
	if err != nil {
		return overlays{}, &exitError{code: exitSystem, err: err,
			help: "Linux 5.19 or later can, where the project and the state directory are on ext4, xfs, btrfs or the like; or leave out --userns"}
	}
	return overlays{manager}, nil
}
