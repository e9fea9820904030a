package workspace

import "math"

const (
	// maxSparse is how long the files of a set may be in sum, in bytes, that take
	// little of the disk: a job makes a hole of any size at no cost, and whoever
	// reads the file has all of the work.
	maxSparse = 64 << 30
	// sparseRatio is how often a longer set may hold the bytes that it takes of the
	// disk, as images of disks and compressing file systems do.
	sparseRatio = 16
)

// checkSparse refuses items that cost far more to read than they cost to make.
func checkSparse(items []*item) error {
	var sum SparseError
	longest := int64(-1)
	var add func(dir string, items []*item)
	add = func(dir string, items []*item) {
		for _, it := range items {
			sum.Size, sum.Disk = addSizes(sum.Size, it.size), addSizes(sum.Disk, it.disk)
			if it.size > longest {
				sum.Path, longest = joinPath(dir, it.name), it.size
			}
			add(joinPath(dir, it.name), it.children)
		}
	}
	add("", items)
	if sum.Size <= maxSparse || sum.Size/sparseRatio <= sum.Disk {
		return nil
	}
	return &sum
}

// addSizes adds lengths of files, whose sum may be more than a number holds.
func addSizes(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
