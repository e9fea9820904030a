//go:build !linux

package golden

import "os"

// maxResident is not needed where no containers run.
func maxResident(*os.ProcessState) int64 { panic("only on Linux") }
