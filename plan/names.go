package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	maxFileName  = 80
	fileNameHash = 12 // hexadecimal digits: 48 bits, on top of the readable stem
	jobsDir      = "jobs"
)

var (
	// hashedName is what every name with a hash suffix ends in; a job's own name
	// that ends so is hashed too, so that the two kinds never meet.
	hashedName = regexp.MustCompile(fmt.Sprintf(`-[0-9a-f]{%d}$`, fileNameHash))
	// reservedName are device names, which Windows takes with any extension.
	reservedName = regexp.MustCompile(`^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)`)
	unsafeRun    = regexp.MustCompile(`[^a-z0-9._-]+`)
	groupSuffix  = regexp.MustCompile(`(?:[\s:]+(?:\[.*\]|\d+[\s:/\\]+\d+)){1,3}\s*$`)
)

// FileName returns a name for the files of a job: [a-z0-9._-], 1 to 80 bytes,
// not a device of Windows, without leading dot or dash. A job's name that is
// already safe stays as it is, any other gets a hash, so that different jobs
// have different names even where case and Unicode form do not count. No name
// ends in ".after", which [AfterScriptPath] uses.
func FileName(job string) string {
	if safeFileName(job) {
		return job
	}
	// ASCII alone is lowered: the file system must not depend on Unicode's tables.
	stem := strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, job)
	stem = strings.TrimLeft(unsafeRun.ReplaceAllString(stem, "-"), ".-")
	if stem == "" || reservedName.MatchString(stem) {
		stem = strings.TrimRight("job-"+stem, "-")
	}
	if limit := maxFileName - fileNameHash - 1; len(stem) > limit {
		stem = stem[:limit]
	}
	sum := sha256.Sum256([]byte(job))
	return strings.TrimRight(stem, ".-") + "-" + hex.EncodeToString(sum[:])[:fileNameHash]
}

func safeFileName(s string) bool {
	switch {
	case s == "", len(s) > maxFileName, unsafeRun.MatchString(s):
		return false
	case s[0] == '.', s[0] == '-', strings.HasSuffix(s, "."), strings.HasSuffix(s, ".after"):
		return false
	}
	return !reservedName.MatchString(s) && !hashedName.MatchString(s)
}

// ScriptPath returns the path of a job's script, for Script.Path.
func ScriptPath(job string) string { return jobsDir + "/" + FileName(job) + ".sh" }

// AfterScriptPath returns the path of a job's after_script, for Script.Path.
func AfterScriptPath(job string) string { return jobsDir + "/" + FileName(job) + ".after.sh" }

// Slug returns s as GitLab makes CI_COMMIT_REF_SLUG and CI_JOB_NAME_SLUG
// (specification section 19): lower case, all but [a-z0-9] replaced by a dash,
// at most 63 bytes, no dash at the ends.
func Slug(s string) string {
	slug := dashed(s)
	if len(slug) > 63 {
		slug = slug[:63]
	}
	return strings.Trim(slug, "-")
}

func dashed(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(s))
}

// environmentSlug returns CI_ENVIRONMENT_SLUG: at most 24 bytes, beginning with
// a letter, and with a suffix of 6 characters of a hash if the name was altered.
func environmentSlug(name string) string {
	slug := dashed(name)
	if slug == "" || slug[0] < 'a' || slug[0] > 'z' {
		slug = "env-" + slug
	}
	for strings.Contains(slug, "--") {
		slug = strings.ReplaceAll(slug, "--", "-")
	}
	if len(slug) <= 24 && slug == name && !strings.HasSuffix(slug, "-") {
		return slug
	}
	sum := sha256.Sum256([]byte(name))
	hash := new(big.Int).SetBytes(sum[:]).Text(36)
	return strings.TrimRight(slug[:min(len(slug), 17)], "-") + "-" + hash[len(hash)-6:]
}

// groupName returns the job's name without what parallel added: " 1/3", ": [a, b]".
func groupName(job string) string {
	return strings.TrimSpace(groupSuffix.ReplaceAllString(job, ""))
}

// quote quotes untrusted text for a message, cut to a readable length; control
// characters and invisible ones come out as escapes.
func quote(s string) string {
	const limit = 120
	if len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return fmt.Sprintf("%q", s)
}
