package containerd

// ImageRequest is an image that a plan asks for.
type ImageRequest struct {
	// Name is a normalised reference.
	Name string
	// Policies are the pull policies, as of [plan.Image].
	Policies []string
}
