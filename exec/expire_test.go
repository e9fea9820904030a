package exec

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pastRun makes a run that ended age ago, with a job whose artifacts expire in
// expire after it, never if zero.
func pastRun(t *testing.T, state, id string, age, expire time.Duration) *RunDir {
	t.Helper()
	r, err := CreateRun(state, id)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(-age)
	res := &JobResult{Name: "a", Status: StatusSuccess, Artifacts: 1, ArtifactBytes: 5}
	if expire > 0 {
		res.ArtifactsExpire = end.Add(expire)
	}
	dir := r.ArtifactsDir("a")
	err = errors.Join(
		r.append([]Event{{Time: end, Type: EventRunStarted}, {Time: end, Type: EventJobFinished, Job: "a", Result: res}}),
		os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "f"), []byte("12345"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ends ends a run, as of age ago.
func ends(t *testing.T, r *RunDir, age time.Duration) {
	t.Helper()
	end := time.Now().Add(-age)
	err := errors.Join(r.append([]Event{{Time: end, Type: EventRunFinished, Status: StatusSuccess}}), r.Close(),
		os.Chtimes(filepath.Join(r.Dir, journalName), end, end))
	if err != nil {
		t.Fatal(err)
	}
}

func TestExpire(t *testing.T) {
	const day = 24 * time.Hour
	state := t.TempDir()
	ends(t, pastRun(t, state, "old", 31*day, 0), 31*day)
	ends(t, pastRun(t, state, "young", 29*day, 0), 29*day)
	ends(t, pastRun(t, state, "expired", day, time.Hour), day)
	ends(t, pastRun(t, state, "lasting", day, 2*day), day)
	living := pastRun(t, state, "living", 99*day, time.Hour)
	past := time.Now().Add(-99 * day)
	if err := os.Chtimes(filepath.Join(living.Dir, journalName), past, past); err != nil {
		t.Fatal(err)
	}
	dead := pastRun(t, state, "dead", 99*day, time.Hour)
	dead.Abandon()
	if err := errors.Join(dead.Close(), os.Chtimes(filepath.Join(dead.Dir, journalName), past, past)); err != nil {
		t.Fatal(err)
	}

	artifacts := func() string {
		var found []string
		for _, id := range []string{"dead", "expired", "lasting", "living", "old", "young"} {
			if _, err := os.Stat(filepath.Join(state, "runs", id, "artifacts", "a", "f")); err == nil {
				found = append(found, id)
			}
		}
		return strings.Join(found, " ")
	}
	all := artifacts()
	for _, dryRun := range []bool{true, false} {
		x, err := Expire(state, Expiry{Now: time.Now(), Runs: 30 * day, DryRun: dryRun})
		if err != nil {
			t.Fatal(err)
		}
		if x.Runs != 1 || x.RunBytes < 5 || x.Artifacts != 1 || x.ArtifactBytes != 5 || x.Living != 1 {
			t.Errorf("dry run %v: %+v", dryRun, x)
		}
		want := "dead lasting living young"
		if dryRun {
			want = all
		}
		if got := artifacts(); got != want {
			t.Errorf("dry run %v: artifacts of %q are left, want %q", dryRun, got, want)
		}
	}
	ids, err := RunIDs(state)
	if got := strings.Join(ids, " "); err != nil || got != "young living lasting expired dead" {
		t.Errorf("runs left: %q, %v", got, err)
	}
	if x, err := Expire(state, Expiry{Now: time.Now(), Runs: 30 * day}); err != nil || x.Runs+x.Artifacts > 0 {
		t.Errorf("a second time: %+v, %v", x, err)
	}
	ends(t, living, 0)
}

func TestExpireOneRunDoesNotKeepTheOthers(t *testing.T) {
	state := t.TempDir()
	ends(t, pastRun(t, state, "a", time.Hour, 0), time.Hour)
	ends(t, pastRun(t, state, "b", time.Hour, 0), time.Hour)
	if err := os.WriteFile(filepath.Join(state, "runs", "b", journalName), []byte(`{"time": 1}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	x, err := Expire(state, Expiry{Now: time.Now()})
	if err == nil || x.Runs != 1 {
		t.Errorf("%+v, %v", x, err)
	}
	if x, err := Expire(filepath.Join(state, "none"), Expiry{}); err != nil || x != (Expired{}) {
		t.Errorf("no state directory: %+v, %v", x, err)
	}
}

// What an attempt left that another one followed goes, whole, and its log stays.
func TestExpireAttempts(t *testing.T) {
	state := t.TempDir()
	r := pastRun(t, state, "retried", time.Hour, 0)
	if err := os.WriteFile(r.LogPath("a"), []byte("log"), 0o600); err != nil {
		t.Fatal(err)
	}
	for attempt := 1; attempt <= 2; attempt++ {
		reports := filepath.Join(r.Dir, reportsName, "a")
		err := errors.Join(os.MkdirAll(reports, 0o700), os.MkdirAll(r.ArtifactsDir("a"), 0o700),
			os.WriteFile(filepath.Join(r.ArtifactsDir("a"), "f"), make([]byte, 8192), 0o600),
			os.WriteFile(r.ArtifactsDir("a")+outputsSuffix, []byte("{}"), 0o600), r.setAside("a", attempt))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(r.ArtifactsDir("a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if x, err := Expire(state, Expiry{Now: time.Now(), Runs: 24 * time.Hour}); err != nil || x.Attempts != 0 {
		t.Errorf("of a living run: %+v, %v", x, err)
	}
	ends(t, r, time.Hour)
	for _, dry := range []bool{true, false} {
		x, err := Expire(state, Expiry{Now: time.Now(), Runs: 24 * time.Hour, DryRun: dry})
		if err != nil || x.Attempts != 2 || x.AttemptBytes < 2*8192 || x.Runs+x.Artifacts > 0 {
			t.Errorf("dry %v: %+v, %v", dry, x, err)
		}
	}
	var left []string
	for _, dir := range []string{artifactsName, reportsName, logsName} {
		entries, err := os.ReadDir(filepath.Join(r.Dir, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			left = append(left, dir+"/"+e.Name())
		}
	}
	if got, want := strings.Join(left, " "), "artifacts/a logs/a@attempt-1.log"; got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
}

// Records of jobs go when they were not used for long, or what the job left is gone.
func TestExpireRecords(t *testing.T) {
	const day = 24 * time.Hour
	state := t.TempDir()
	ends(t, pastRun(t, state, "there", day, 0), day)
	store, err := OpenKeyStore(state)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range []*KeyRecord{
		{Key: "used", Run: "there", Outputs: "x"}, {Key: "gone", Run: "gone", Outputs: "x"}, {Key: "nothing-left", Run: "gone"}, {Key: "old", Run: "there"},
	} {
		if err := store.put(rec); err != nil {
			t.Fatal(err)
		}
	}
	keys, source, past := filepath.Join(state, keysName), SourceCache(state, "/p"), time.Now().Add(-31*day)
	err = errors.Join(os.Chtimes(filepath.Join(keys, "old.json"), past, past), os.Chtimes(filepath.Join(keys, secretName), past, past),
		os.WriteFile(filepath.Join(keys, "bad.json"), []byte("{"), 0o600),
		(&SourceScan{Dir: t.TempDir(), Cache: source, Now: time.Now()}).writeCache(nil), os.Chtimes(source, past, past),
		(&SourceScan{Dir: t.TempDir(), Cache: SourceCache(state, "/q"), Now: time.Now()}).writeCache(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		x, err := Expire(state, Expiry{Now: time.Now(), Runs: 30 * day, DryRun: dry})
		if err != nil || x.Records != 4 || x.RecordBytes == 0 {
			t.Errorf("dry %v: %+v, %v", dry, x, err)
		}
	}
	for name, there := range map[string]bool{
		filepath.Join(keys, "used.json"): true, filepath.Join(keys, "nothing-left.json"): true, filepath.Join(keys, secretName): true,
		SourceCache(state, "/q"): true, source: false, filepath.Join(keys, "old.json"): false, filepath.Join(keys, "gone.json"): false,
	} {
		if _, err := os.Lstat(name); there != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
