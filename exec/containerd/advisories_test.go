package containerd

import (
	"cmp"
	"slices"
	"testing"
)

func TestAdvisories(t *testing.T) {
	runc2025 := []string{"CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"}
	for _, test := range []struct {
		program, version string
		want             []string
	}{
		{"runc", "1.1.5+ds1", append([]string{"CVE-2024-21626"}, runc2025...)},
		{"runc", "1.0.0~rc6+dfsg1", append([]string{"CVE-2019-5736", "CVE-2024-21626"}, runc2025...)},
		{"runc", "1.0.0-rc93", append([]string{"CVE-2024-21626"}, runc2025...)},
		{"runc", "1.1.12", runc2025},
		{"runc", "1.2.7", runc2025},
		{"runc", "1.2.8", nil},
		{"runc", "1.3.2", runc2025},
		{"runc", "1.3.3-0ubuntu1", nil},
		{"runc", "1.4.0-rc.2", runc2025},
		{"runc", "1.4.0-rc.3", nil},
		{"runc", "1.4.0", nil},
		{"runc", "2.0.0", nil},
		{"crun", "1.8.1", nil},
		{"crun", "1.4.3", []string{"CVE-2022-27650"}},
		{"containerd", "1.6.20~ds1", []string{"CVE-2024-25621", "CVE-2024-40635", "CVE-2026-53488"}},
		{"containerd", "v2.1.0", []string{"CVE-2024-25621", "CVE-2025-47290", "CVE-2026-46680", "CVE-2026-47262", "CVE-2026-50195", "CVE-2026-53488", "CVE-2026-53489", "CVE-2026-53492"}},
		{"containerd", "1.7.32", []string{"CVE-2026-47262", "CVE-2026-53488"}},
		{"containerd", "2.0.9", []string{"CVE-2026-47262", "CVE-2026-53488"}},
		{"containerd", "2.3.4", []string{"CVE-2026-53495"}},
		{"containerd", "2.4.2", nil},
		{"containerd", "1.7.33", nil},
	} {
		got, err := Advisories(test.program, test.version)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s %s: got %v, %v, want %v", test.program, test.version, got, err, test.want)
		}
	}
	for _, version := range []string{"", "devel", "1.x", "1.2.-3", "1.0.0-rcx", "99999999999999"} {
		if _, err := Advisories("runc", version); err == nil {
			t.Errorf("version %q: no error", version)
		}
	}
}

// Every version in the table can be read.
func TestAdvisoriesTable(t *testing.T) {
	for _, a := range advisories {
		for _, r := range a.ranges {
			for _, version := range []string{cmp.Or(r[0], "0"), r[1]} {
				if _, err := Advisories(a.program, version); err != nil {
					t.Errorf("%s: %v", a.id, err)
				}
			}
		}
	}
}
