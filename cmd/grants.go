package cmd

import (
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec"
	"github.com/cic-ci/cic/plan"
)

// The least that a job can be limited to: what the OCI runtime itself needs to
// start a container.
const (
	leastMemory = 16 << 20
	leastPIDs   = 32
)

// grantFlags say what jobs may do and take of the machine.
func grantFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "grant", Usage: "let jobs do what the plan asks for, `PRIVILEGE=JOB[,JOB...]`: privileged, host-network or device:/dev/PATH"},
		&cli.StringFlag{Name: "memory", Usage: "the most memory of a job, `SIZE` such as 2g (default: no limit)"},
		&cli.StringFlag{Name: "cpus", Usage: "the most processors of a job, `N` such as 1.5 (default: no limit)"},
		&cli.Int64Flag{Name: "pids", DefaultText: strconv.Itoa(exec.DefaultPIDs), Usage: "at most `N` processes and threads a job"},
		&cli.StringFlag{Name: "disk", Usage: "the most disk space of what a job writes, `SIZE` such as 20g (default: no limit)"},
	}
}

// parseGrants reads --grant.
func parseGrants(c *cli.Context) (grants []exec.Grant, err error) {
	for _, text := range c.StringSlice("grant") {
		g, err := exec.ParseGrant(text)
		if err != nil {
			return nil, usage("--grant: %v", err)
		}
		grants = append(grants, g)
	}
	return grants, nil
}

// resolveGrants gives what --grant gives the jobs of a plan.
func resolveGrants(c *cli.Context, p *plan.Plan) (map[string]exec.Granted, error) {
	grants, err := parseGrants(c)
	if err != nil {
		return nil, err
	}
	granted, err := exec.ResolveGrants(p, grants)
	if err != nil {
		return nil, usage("--grant: %v", err)
	}
	return granted, nil
}

// jobLimits reads the flags that bound every job.
func jobLimits(c *cli.Context) (l plan.Resources, err error) {
	for _, size := range []struct {
		flag  string
		value *int64
		least int64
	}{{"memory", &l.Memory, leastMemory}, {"disk", &l.Disk, 1}} {
		if !c.IsSet(size.flag) {
			continue
		}
		if *size.value, err = plan.ParseSize(c.String(size.flag)); err != nil {
			return l, usage("--%s: %v", size.flag, err)
		}
		if *size.value < size.least {
			return l, usage("--%s is at least %d MiB, not %s", size.flag, size.least>>20, c.String(size.flag))
		}
	}
	if c.IsSet("cpus") {
		l.CPUs, err = strconv.ParseFloat(c.String("cpus"), 64)
		if err != nil || !(l.CPUs >= 0.01 && l.CPUs <= 1<<16) {
			return l, usage("--cpus is a number of processors from 0.01, not %q", c.String("cpus"))
		}
	}
	if c.IsSet("pids") {
		if l.PIDs = c.Int64("pids"); l.PIDs < leastPIDs {
			return l, usage("--pids is at least %d, not %d", leastPIDs, l.PIDs)
		}
	}
	return l, nil
}
