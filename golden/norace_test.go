//go:build !race

package golden

// raceMemory is 1 without the race detector.
const raceMemory = 1
