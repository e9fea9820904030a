package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

var files = []File{{"plan.json", []byte("{}")}, {"jobs/a.sh", []byte("echo a\n")}}

// blobs are the contents of two images that share a layer.
var blobs = []string{"manifest a", "manifest b", "layer"}

func images() []Image {
	d := make([]ocispec.Descriptor, len(blobs))
	for i, text := range blobs {
		d[i] = describe(ocispec.MediaTypeImageManifest, []byte(text))
	}
	return []Image{{"z", d[0], []ocispec.Descriptor{d[0], d[2]}}, {"y", d[1], []ocispec.Descriptor{d[2], d[1]}}}
}

func openBlob(d ocispec.Descriptor) (io.ReadCloser, error) {
	for _, text := range blobs {
		if describe("", []byte(text)).Digest == d.Digest {
			return io.NopCloser(strings.NewReader(text)), nil
		}
	}
	return nil, errors.New("no such blob")
}

func written(t *testing.T, list []Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, files, list, openBlob); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func opened(t *testing.T, data []byte) (*Bundle, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "b.tar")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return Open(path)
}

func TestRoundTrip(t *testing.T) {
	data := written(t, images())
	reversed := images()
	slices.Reverse(reversed)
	if !bytes.Equal(data, written(t, reversed)) {
		t.Error("the order of images changes the bundle")
	}
	b, err := opened(t, data)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Files) != 2 || b.Files[1].Path != "jobs/a.sh" || string(b.Files[1].Data) != "echo a\n" {
		t.Errorf("files %v", b.Files)
	}
	if len(b.Images) != 2 || b.Images[0].Name != "y" || b.Images[0].Manifest.Digest != images()[1].Manifest.Digest {
		t.Errorf("images %v", b.Images)
	}
}

func TestWriteErrors(t *testing.T) {
	wrong := images()[:1]
	wrong[0].Blobs[1].Size = 9
	missing := images()
	missing[1].Blobs[0] = describe("", []byte("nowhere"))
	for _, list := range [][]Image{wrong, missing} {
		if err := Write(io.Discard, files, list, openBlob); err == nil {
			t.Error("written")
		}
	}
	if err := Write(io.Discard, []File{files[0], files[0]}, nil, openBlob); err == nil {
		t.Error("a path twice is written")
	}
}

// TestHostile: what Write would not have made is refused.
func TestHostile(t *testing.T) {
	good := written(t, images())
	edited := func(edit func(h *tar.Header, data []byte) []byte) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for r := tar.NewReader(bytes.NewReader(good)); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			data, readErr := io.ReadAll(r)
			if err = errors.Join(err, readErr); err != nil {
				t.Fatal(err)
			}
			if data = edit(h, data); data == nil {
				continue
			}
			h.Size = int64(len(data))
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	replaced := func(old, new string) []byte {
		return edited(func(_ *tar.Header, data []byte) []byte { return bytes.ReplaceAll(data, []byte(old), []byte(new)) })
	}
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"changed":  {replaced("echo a", "echo b"), "is not what its digest says"},
		"no index": {edited(func(h *tar.Header, d []byte) []byte { return map[bool][]byte{false: d}[h.Name == "index.json"] }), "it holds no index.json"},
		"no plan":  {replaced(PlanType, "application/x"), "it holds no plan"},
		"not JSON": {edited(func(h *tar.Header, d []byte) []byte {
			return map[bool][]byte{true: []byte("{"), false: d}[h.Name == "index.json"]
		}), "index.json: "},
		"digest":     {replaced(string(images()[0].Manifest.Digest), "sha256:../../../etc/passwd"), "has no digest of SHA-256"},
		"other name": {replaced(`"z"`, `"z@sha256:`+strings.Repeat("0", 64)+`"`), `image "z@sha256:0000`},
		"no name":    {replaced(annotationImage, "other"), "has no name"},
		"twice":      {edited(func(h *tar.Header, d []byte) []byte { h.Name = "index.json"; return d }), `it holds "index.json" twice`},
		"a link":     {edited(func(h *tar.Header, d []byte) []byte { h.Typeflag = tar.TypeSymlink; return []byte{} }), "no regular file"},
		"cut":        {good[:700], "is no bundle"},
		"no archive": {bytes.Repeat([]byte("x"), 2000), "invalid tar header"},
		"large index": {edited(func(h *tar.Header, d []byte) []byte {
			if h.Name == "index.json" {
				d = append(d, bytes.Repeat([]byte(" "), maxIndex)...)
			}
			return d
		}), "too large"},
	} {
		if _, err := opened(t, test.data); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestIs(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{"bundle": written(t, nil), "plan.json": []byte("{}"), "empty": nil} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if Is(path) != (name == "bundle") {
			t.Errorf("%s: %v", name, Is(path))
		}
	}
	if Is(dir) || Is(filepath.Join(dir, "nowhere")) {
		t.Error("a directory or nothing is a bundle")
	}
}
