package exec

import (
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// TestDurationsIgnoreTheWallClock: somebody sets the clock between any two looks
// at it; how long a job took is not affected. The times that package synctest
// makes have no monotonic clock, so that real ones are taken.
func TestDurationsIgnoreTheWallClock(t *testing.T) {
	h := newHarness(t, &world{})
	const jump = 1000 * time.Hour
	jumps := []time.Duration{0, jump, -jump}
	var looks atomic.Int64
	h.Now = func() time.Time {
		return setWallClock(t, time.Now(), jumps[looks.Add(1)%3])
	}
	res := h.run(t, t.Context(), parsePlan(t, "1 a\n2 b\n3 c\n4 d"))
	sane := func(what string, d time.Duration) {
		if d < 0 || d > jump/2 {
			t.Errorf("%s took %v", what, d)
		}
	}
	for _, j := range res.Jobs {
		sane(j.Name, j.Duration)
	}
	sane("the run", res.Duration)
	for _, e := range h.events {
		sane("by its event, "+e.Job, time.Duration(e.Seconds*float64(time.Second)))
	}
}

// setWallClock moves the wall clock of a time by whole seconds, its monotonic
// clock not at all. Package time offers no such thing: this relies on the layout
// of [time.Time], and checks that it has done what it should.
func setWallClock(t *testing.T, at time.Time, by time.Duration) time.Time {
	moved := at
	// The seconds of the wall clock are above 30 bits of nanoseconds.
	wall := (*uint64)(unsafe.Pointer(&moved))
	*wall += uint64(by/time.Second) << 30
	if got := time.Duration(moved.Unix()-at.Unix()) * time.Second; got != by || moved.Sub(at) != 0 {
		t.Errorf("the wall clock moved by %v, want %v; the monotonic clock by %v", got, by, moved.Sub(at))
	}
	return moved
}
