package cmd

import (
	"testing"
	"time"
)

func TestParseAge(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"30d": 30 * day, "2w": 14 * day, "36h": 36 * time.Hour, "1h30m": 90 * time.Minute, "0": 0, "0d": 0,
		"": -1, "d": -1, "-1d": -1, "-1h": -1, "3": -1, "3x": -1, "1.5d": -1, "99999999d": -1,
	} {
		got, err := parseAge(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("parseAge(%q) = %s, %v", text, got, err)
		}
	}
}
