package containerd

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// advisory is a hole through which a job or an image could get at the machine.
type advisory struct {
	program string
	id      string
	// ranges are the affected versions: from the first of a pair on, up to but
	// without the second, which has the fix.
	ranges [][2]string
}

// advisories is the one table of versions that are too old for jobs that one does
// not trust. Distributions mend older versions too, which a version does not tell.
// Sources: the security advisories of opencontainers/runc, containers/crun and
// containerd/containerd on GitHub. Of containerd only what reaches a client of its
// API, or whoever shares the daemon with cic.
var advisories = []advisory{
	{"runc", "CVE-2019-5736", [][2]string{{"", "1.0.0-rc.7"}}},
	{"runc", "CVE-2024-21626", [][2]string{{"", "1.1.12"}}},
	{"runc", "CVE-2025-31133", [][2]string{{"", "1.2.8"}, {"1.3.0-rc.1", "1.3.3"}, {"1.4.0-rc.1", "1.4.0-rc.3"}}},
	{"runc", "CVE-2025-52565", [][2]string{{"", "1.2.8"}, {"1.3.0-rc.1", "1.3.3"}, {"1.4.0-rc.1", "1.4.0-rc.3"}}},
	{"runc", "CVE-2025-52881", [][2]string{{"", "1.2.8"}, {"1.3.0-rc.1", "1.3.3"}, {"1.4.0-rc.1", "1.4.0-rc.3"}}},
	{"crun", "CVE-2022-27650", [][2]string{{"", "1.4.4"}}},
	{"containerd", "CVE-2022-23648", [][2]string{{"", "1.4.13"}, {"1.5.0", "1.5.10"}, {"1.6.0", "1.6.1"}}},
	{"containerd", "CVE-2024-25621", [][2]string{{"", "1.7.29"}, {"2.0.0", "2.0.7"}, {"2.1.0", "2.1.5"}}},
	{"containerd", "CVE-2024-40635", [][2]string{{"", "1.6.38"}, {"1.7.0", "1.7.27"}, {"2.0.0", "2.0.4"}}},
	{"containerd", "CVE-2025-47290", [][2]string{{"2.1.0", "2.1.1"}}},
	{"containerd", "CVE-2026-46680", [][2]string{{"1.7.27", "1.7.32"}, {"2.0.4", "2.0.9"}, {"2.1.0", "2.2.4"}, {"2.3.0", "2.3.1"}}},
	{"containerd", "CVE-2026-47262", [][2]string{{"1.7.0", "1.7.33"}, {"2.0.0", "2.0.10"}, {"2.1.0", "2.1.9"}, {"2.2.0", "2.2.5"}, {"2.3.0", "2.3.2"}}},
	{"containerd", "CVE-2026-50195", [][2]string{{"2.1.0", "2.1.9"}, {"2.2.0", "2.2.5"}, {"2.3.0", "2.3.2"}}},
	{"containerd", "CVE-2026-53488", [][2]string{{"", "1.7.33"}, {"2.0.0", "2.0.10"}, {"2.1.0", "2.1.9"}, {"2.2.0", "2.2.5"}, {"2.3.0", "2.3.2"}}},
	{"containerd", "CVE-2026-53489", [][2]string{{"2.1.0", "2.1.9"}, {"2.2.0", "2.2.5"}, {"2.3.0", "2.3.2"}}},
	{"containerd", "CVE-2026-53492", [][2]string{{"2.1.0", "2.1.9"}, {"2.2.0", "2.2.5"}, {"2.3.0", "2.3.2"}}},
	{"containerd", "CVE-2026-53495", [][2]string{{"2.3.0", "2.3.5"}}},
}

// Advisories lists the known holes of a program (runc, crun or containerd) of a
// version, by their CVE numbers. A version that cannot be read is an error.
func Advisories(program, version string) ([]string, error) {
	v, err := parseVersion(version)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", program, err)
	}
	var found []string
	for _, a := range advisories {
		if a.program == program && slices.ContainsFunc(a.ranges, func(r [2]string) bool { return v.within(r) }) {
			found = append(found, a.id)
		}
	}
	return found, nil
}

// softwareVersion is major, minor and patch level, and the number of a release
// candidate, which is released for a final version.
type softwareVersion [4]int

const released = 1 << 30

// parseVersion reads "v1.4.0-rc.3", and "1.6.20~ds1" as 1.6.20: what distributions
// add says nothing here.
func parseVersion(text string) (softwareVersion, error) {
	numbers, candidate, _ := strings.Cut(strings.TrimPrefix(text, "v"), "-")
	v := softwareVersion{3: released}
	// Debian writes a release candidate as 1.0.0~rc93.
	if at := strings.IndexAny(numbers, "~+"); at >= 0 {
		if rest, ok := strings.CutPrefix(numbers[at:], "~"); ok && candidate == "" {
			candidate = rest
		}
		numbers = numbers[:at]
	}
	for i, part := range strings.SplitN(numbers, ".", 3) {
		n, err := strconv.ParseUint(part, 10, 20)
		if err != nil {
			return v, fmt.Errorf("unknown version %q", text)
		}
		v[i] = int(n)
	}
	if rc, ok := strings.CutPrefix(candidate, "rc"); ok {
		digits := strings.TrimPrefix(rc, ".")
		if end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
			digits = digits[:end]
		}
		n, err := strconv.ParseUint(digits, 10, 20)
		if err != nil {
			return v, fmt.Errorf("unknown version %q", text)
		}
		v[3] = int(n)
	}
	return v, nil
}

// within reports whether v is in a range of the table.
func (v softwareVersion) within(r [2]string) bool {
	from, err := parseVersion(cmp.Or(r[0], "0"))
	if err != nil {
		panic(err) // the table is wrong
	}
	fixed, err := parseVersion(r[1])
	if err != nil {
		panic(err)
	}
	return slices.Compare(v[:], from[:]) >= 0 && slices.Compare(v[:], fixed[:]) < 0
}
