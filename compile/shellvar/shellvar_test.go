package shellvar

import "testing"

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		unsettable, affecting bool
	}{
		{"UID", true, false}, {"PWD", true, false}, {"RANDOM", true, false}, {"_", true, false},
		{"PATH", false, true}, {"IFS", false, true}, {"LD_PRELOAD", false, true}, {"BASH_ENV", false, true}, {"PS4", false, true},
		{"HOME", false, false}, {"LD_FLAGS", false, false}, {"VERSION", false, false}, {"", false, false},
	} {
		if why, ok := Unsettable(tt.name); ok != tt.unsettable || (why != "") != ok {
			t.Errorf("Unsettable(%q) = %q, %v", tt.name, why, ok)
		}
		if why, ok := Affecting(tt.name); ok != tt.affecting || (why != "") != ok {
			t.Errorf("Affecting(%q) = %q, %v", tt.name, why, ok)
		}
	}
	for _, name := range UnsettableNames() {
		if _, ok := Affecting(name); ok {
			t.Errorf("%s is told of twice", name)
		}
	}
}
