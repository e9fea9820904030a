package golden

import (
	"io"
	"log"
	"net/http/httptest"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	ggcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/testscript"
)

// ownRegistry is a registry on the loopback of the script's own, whose host and port
// are $REGISTRY:
//
//	registry start
//	registry push NAME:TAG [ARCHIVE]
//
// What is pushed is an index for several platforms, $DIGEST, another one each time. The
// image for this machine's is that of the archive, or else one that no job can run in.
func ownRegistry(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) == 1 && args[0] == "start":
		server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
		ts.Defer(server.Close)
		ts.Setenv("REGISTRY", strings.TrimPrefix(server.URL, "http://"))
	case !neg && (len(args) == 2 || len(args) == 3) && args[0] == "push":
		push(ts, args[1], args[2:]...)
	default:
		ts.Fatalf("usage: registry start | registry push NAME:TAG [ARCHIVE]")
	}
}

func push(ts *testscript.TestScript, image string, archive ...string) {
	var index ggcr.ImageIndex = empty.Index
	for _, arch := range []string{"amd64", "386", "arm64"} {
		made, err := random.Image(64, 1)
		ts.Check(err)
		if len(archive) > 0 && arch == runtime.GOARCH {
			made, err = tarball.ImageFromPath(ts.MkAbs(archive[0]), nil)
			ts.Check(err)
		}
		config, err := made.ConfigFile()
		ts.Check(err)
		config = config.DeepCopy()
		config.OS, config.Architecture = "linux", arch
		made, err = mutate.ConfigFile(made, config)
		ts.Check(err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: made, Descriptor: ggcr.Descriptor{Platform: &ggcr.Platform{OS: "linux", Architecture: arch}}})
	}
	tag, err := name.NewTag(ts.Getenv("REGISTRY") + "/" + image)
	ts.Check(err)
	ts.Check(remote.WriteIndex(tag, index))
	digest, err := index.Digest()
	ts.Check(err)
	ts.Setenv("DIGEST", digest.String())
}
