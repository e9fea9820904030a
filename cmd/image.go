package cmd

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/cic-ci/cic/exec/containerd"
)

func imageCommand() *cli.Command {
	return &cli.Command{
		Name:  "image",
		Usage: "manage the images of the containerd that runs jobs",
		Subcommands: []*cli.Command{
			{
				Name:        "load",
				Usage:       "load images from docker or OCI archives, or OCI layouts",
				ArgsUsage:   "FILE...",
				Description: "Example:\n   docker save python:3.11 -o python.tar && cic image load python.tar",
				Flags: append([]cli.Flag{
					&cli.StringFlag{Name: "name", Usage: "name the image `REFERENCE`, for an archive that names none"},
				}, runtimeFlags()...),
				Action: imageLoad,
			},
			{Name: "ls", Usage: "list images", Flags: runtimeFlags(), Action: imageList},
			lockCommand(),
			{Name: "rm", Usage: "remove images", ArgsUsage: "REFERENCE...", Flags: runtimeFlags(), Action: imageRemove},
		},
	}
}

func imageLoad(c *cli.Context) error {
	if !c.Args().Present() {
		return usage("image load takes at least one FILE")
	}
	return withRuntime(c, func(ctx context.Context, r *containerd.Runtime) error {
		for _, file := range c.Args().Slice() {
			names, err := r.LoadImage(ctx, file, c.String("name"))
			if err != nil {
				return execError(err)
			}
			for _, name := range names {
				fmt.Fprintln(c.App.Writer, "loaded", name)
			}
		}
		return nil
	})
}

func imageList(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	return withRuntime(c, func(ctx context.Context, r *containerd.Runtime) error {
		images, err := r.ListImages(ctx)
		if err != nil {
			return fail(exitSystem, err)
		}
		w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
		for _, image := range images {
			if image.Mapped {
				continue // it has no name that means anything
			}
			fmt.Fprintf(w, "%s\t%s\t%d MiB\n", image.Name, image.Digest, image.Size>>20)
		}
		return w.Flush()
	})
}

func imageRemove(c *cli.Context) error {
	if !c.Args().Present() {
		return usage("image rm takes at least one REFERENCE")
	}
	return withRuntime(c, func(ctx context.Context, r *containerd.Runtime) error {
		for _, name := range c.Args().Slice() {
			if err := r.RemoveImage(ctx, name); err != nil {
				return execError(err)
			}
		}
		return nil
	})
}
