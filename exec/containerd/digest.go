//go:build linux

package containerd

import "context"

// ImageDigest implements [exec.ImageDigester].
func (r *Runtime) ImageDigest(ctx context.Context, name string, policies []string) (string, error) {
	img, err := r.image(ctx, name, policies)
	if err != nil || img.stored == nil {
		return "", err
	}
	return img.stored.Target().Digest.String(), nil
}
