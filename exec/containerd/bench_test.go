//go:build linux

package containerd

import (
	"io"
	"testing"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
)

// BenchmarkJob runs a no-op job; to be compared with [BenchmarkBareContainer].
func BenchmarkJob(b *testing.B) {
	r := open(b, nil)
	for b.Loop() {
		s, err := r.Setup(b.Context(), job{}.spec(b))
		if err != nil {
			b.Fatal(err)
		}
		if code, err := s.Run(b.Context(), program("true"), io.Discard); err != nil || code != 0 {
			b.Fatal(code, err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJobCriticalPath counts only what happens once a job's dependencies are done.
func BenchmarkJobCriticalPath(b *testing.B) {
	r := open(b, nil)
	for b.Loop() {
		b.StopTimer()
		s, err := r.Setup(b.Context(), job{}.spec(b))
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if code, err := s.Run(b.Context(), program("true"), io.Discard); err != nil || code != 0 {
			b.Fatal(code, err)
		}
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkBareContainer is create, start, wait and delete with the client
// library as its documentation shows it.
func BenchmarkBareContainer(b *testing.B) {
	r := open(b, nil)
	job{}.spec(b) // For the images.
	ctx, err := r.leased(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	img, err := r.image(ctx, baseImage, nil)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		id := r.newID("bare")
		c, err := r.client.NewContainer(ctx, id, client.WithSnapshotter(r.snapshotter), client.WithNewSnapshot(id, img.stored),
			client.WithNewSpec(oci.WithImageConfig(img.stored), oci.WithProcessArgs("/bin/true")))
		if err != nil {
			b.Fatal(err)
		}
		task, err := c.NewTask(ctx, cio.NullIO)
		if err != nil {
			b.Fatal(err)
		}
		exit, err := task.Wait(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if err := task.Start(ctx); err != nil {
			b.Fatal(err)
		}
		<-exit
		if _, err := task.Delete(ctx); err != nil {
			b.Fatal(err)
		}
		if err := c.Delete(ctx, client.WithSnapshotCleanup); err != nil {
			b.Fatal(err)
		}
	}
}
