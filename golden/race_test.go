//go:build race

package golden

// raceMemory is how many times as much memory the race detector may cost
// (go.dev/doc/articles/race_detector, "Runtime Overhead": 5 to 10).
const raceMemory = 6
