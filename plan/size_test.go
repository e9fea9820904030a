package plan

import "testing"

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"1": 1, "512m": 512 << 20, "512MB": 512 << 20, "512 MiB": 512 << 20, "2g": 2 << 30, "1.5k": 1536,
		"1t": 1 << 40, "7b": 7, " 4K ": 4096,
	} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{
		"", "m", "-1", "0", "0.5", "1e3", "1e400m", "0x10", "1 2", "1.2.3", "inf", "nan", "9223372036854775808", "9000000t", "1mm", "1bb", "1ib", "+5", "1_000", "5 apples",
	} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("%q: accepted as %d", s, got)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("1.5GiB")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseSize(s); err == nil && n < 1 {
			t.Errorf("%q: %d", s, n)
		}
	})
}
