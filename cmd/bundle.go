package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec/bundle"
	"github.com/cic-ci/cic/exec/containerd"
	"github.com/cic-ci/cic/plan"
)

func bundleCommand() *cli.Command {
	return &cli.Command{
		Name:      "bundle",
		Usage:     "pack a plan with its scripts and images into one file",
		ArgsUsage: "PLAN",
		Description: "The file is an archive of an OCI image layout. cic exec, show, diff and graph take it for\n" +
			"a PLAN; exec needs no network then. The images are those for this machine's platform.\n" +
			"A signature beside the plan is packed too, for exec --key.\n\n" +
			"Example:\n   cic bundle plan -o plan.tar && scp plan.tar elsewhere: && ssh elsewhere cic exec plan.tar",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write `FILE`"},
		}, runtimeFlags()...),
		Action: writeBundle,
	}
}

func writeBundle(c *cli.Context) error {
	out := c.String("output")
	if c.Args().Len() != 1 || out == "" {
		return usage("bundle takes one PLAN, and -o FILE")
	}
	d, err := readPlan(c, c.Args().First())
	if err != nil {
		return err
	}
	files, err := planFiles(d)
	if err != nil {
		return err
	}
	requests, err := imageRequests(d.Plan)
	if err != nil {
		return err
	}
	return withRuntime(c, func(ctx context.Context, r *containerd.Runtime) error {
		if err := writeAside(out, func(f *os.File) error { return r.Bundle(ctx, f, files, requests) }); err != nil {
			return execError(err)
		}
		_, err := fmt.Fprintf(c.App.Writer, "%s: %s, %s\n", out, count(len(d.Plan.Jobs), "job"), count(len(requests), "image"))
		return err
	})
}

// writeAside writes a file that is there whole or not at all.
func writeAside(name string, write func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".cic-bundle-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// planFiles are the files of a plan's directory, in a fixed order.
func planFiles(d *plan.Dir) ([]bundle.File, error) {
	files := []bundle.File{{Path: "plan.json", Data: d.Text()}}
	signature, err := d.Signature()
	if err != nil {
		return nil, fail(exitInvalid, err)
	}
	if signature != nil {
		files = append(files, bundle.File{Path: "plan.json.sig", Data: signature})
	}
	if d.Map != nil {
		data, err := plan.EncodeMap(d.Map)
		if err != nil {
			return nil, fail(exitInvalid, err)
		}
		files = append(files, bundle.File{Path: "plan.map.json", Data: data})
	}
	for i := range d.Plan.Jobs {
		j := &d.Plan.Jobs[i]
		for _, s := range []*plan.Script{&j.Script, j.AfterScript} {
			if s == nil {
				continue
			}
			data, err := d.Script(*s)
			if err != nil {
				return nil, planError(err)
			}
			files = append(files, bundle.File{Path: s.Path, Data: data})
		}
	}
	return files, nil
}

// planImage is an image that a job of a plan asks for, as its own or for a service.
type planImage struct {
	job string
	plan.Image
}

// planImages are the images of a plan, in its order, as often as they are asked for.
func planImages(p *plan.Plan) []planImage {
	var all []planImage
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if j.Trigger != nil {
			continue
		}
		all = append(all, planImage{j.Name, j.Image})
		for _, s := range j.Services {
			all = append(all, planImage{j.Name, s.Image})
		}
	}
	return all
}

// imageRequests are the images of a plan's jobs and services, each once.
func imageRequests(p *plan.Plan) ([]containerd.ImageRequest, error) {
	var requests []containerd.ImageRequest
	seen := map[string]bool{}
	for _, image := range planImages(p) {
		if image.Name.Template {
			return nil, &exitError{code: exitInvalid, err: fmt.Errorf("job %q: image %s is known only at run time, so that no bundle can hold it", image.job, image.Name.Value),
				help: "name the image with variables that are known when the pipeline is compiled"}
		}
		if !seen[image.Name.Value] {
			seen[image.Name.Value] = true
			requests = append(requests, containerd.ImageRequest{Name: image.Name.Value, Policies: image.PullPolicy})
		}
	}
	return requests, nil
}

// readBundle reads the plan of a bundle.
func readBundle(path string) (*plan.Dir, error) {
	b, err := bundle.Open(path)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte, len(b.Files))
	for _, f := range b.Files {
		files[f.Path] = f.Data
	}
	return plan.ReadFiles(path, files)
}

// useBundledImages maps the images of a bundle's plan to those in it, behind what
// the command line maps. As flags they are recorded with the run, so that it can be
// resumed.
func useBundledImages(c *cli.Context, path string) error {
	if !bundle.Is(path) {
		return nil
	}
	b, err := bundle.Open(path)
	if err != nil {
		return fail(exitInvalid, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return fail(exitSystem, err)
	}
	for _, image := range b.Images {
		if strings.ContainsAny(image.Name, "*=") {
			return fail(exitInvalid, fmt.Errorf("%s: %q is no name of an image", path, image.Name))
		}
		if err := c.Set("image", fmt.Sprintf("%s=oci:%s@%s", image.Name, abs, image.Manifest.Digest)); err != nil {
			return fail(exitSystem, err)
		}
	}
	return nil
}
