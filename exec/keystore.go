package exec

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// KeyStore is <state>/keys: one file a key of a job that succeeded, by which a
// later run finds what the job left. A file that cannot be read counts as absent.
type KeyStore struct {
	dir    string
	secret []byte
}

// KeyRecord is such a file.
type KeyRecord struct {
	Key string `json:"key"`
	// Project is the directory of the project: keys of two are never the same thing.
	Project string `json:"project"`
	Job     string `json:"job"`
	// Since is the run in which the job was run, at Time; Run is the last one that has
	// what it left.
	Since string    `json:"since"`
	Time  time.Time `json:"time"`
	Run   string    `json:"run"`
	Parts []KeyPart `json:"parts"`
	// Outputs is the digest of what the job left, empty where it leaves nothing.
	Outputs string    `json:"outputs,omitempty"`
	Result  JobResult `json:"result"`
}

const (
	keysName = "keys"
	// secretName is the key under which secrets are digested.
	secretName = ".secret"
	// maxKeys bounds the store, in files.
	maxKeys = 10_000
	// maxKeyFile bounds one, in bytes.
	maxKeyFile = 4 << 20
)

// OpenKeyStore opens the store of a state directory, which it makes if need be,
// and drops the oldest of too many keys.
func OpenKeyStore(stateDir string) (*KeyStore, error) {
	s := &KeyStore{dir: filepath.Join(stateDir, keysName)}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	if err := s.readSecret(); err != nil {
		return nil, err
	}
	return s, s.prune()
}

// readSecret reads the state directory's own secret, made at the first use.
func (s *KeyStore) readSecret() error {
	const size = 32
	path := filepath.Join(s.dir, secretName)
	for range 2 {
		secret, err := os.ReadFile(path)
		if err == nil && len(secret) == size {
			s.secret = secret
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		secret = make([]byte, size)
		rand.Read(secret) // never fails
		if err := writeDurably(path, secret); err != nil {
			return err
		}
	} // read again: of two processes, the one that came last wins
	return fmt.Errorf("%s cannot be made", path)
}

// prune removes the oldest keys above the bound.
func (s *KeyStore) prune() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil || len(entries) <= maxKeys {
		return err
	}
	type aged struct {
		name string
		time time.Time
	}
	var all []aged
	for _, e := range entries {
		if info, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".json") {
			all = append(all, aged{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b aged) int { return cmp.Or(b.time.Compare(a.time), strings.Compare(a.name, b.name)) })
	var errs []error
	for _, a := range all[min(len(all), maxKeys*3/4):] {
		if err := os.Remove(filepath.Join(s.dir, a.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// find returns the record of a key, nil if there is none.
func (s *KeyStore) find(key string) (*KeyRecord, error) {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	rec, err := readKey(root, key+".json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && rec.Key != key {
		err = errors.New("it holds another key")
	}
	if err != nil {
		return nil, fmt.Errorf("the record of its key is damaged: %w", err)
	}
	return rec, nil
}

func readKey(root *os.Root, name string) (*KeyRecord, error) {
	data, err := readSmall(root, name, maxKeyFile)
	if err != nil {
		return nil, err
	}
	rec := &KeyRecord{}
	return rec, json.Unmarshal(data, rec)
}

func (s *KeyStore) put(rec *KeyRecord) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return writeDurably(filepath.Join(s.dir, rec.Key+".json"), data)
}

// NearestKey returns the newest record of a job of a project that is older than a
// time and has another key; nil if there is none.
func NearestKey(stateDir string, d *KeyDecision) (*KeyRecord, error) {
	root, err := os.OpenRoot(filepath.Join(stateDir, keysName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := os.ReadDir(root.Name())
	if err != nil {
		return nil, err
	}
	var nearest *KeyRecord
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		rec, err := readKey(root, e.Name())
		if err != nil {
			continue // counts as absent, and may just have been pruned
		}
		if rec.Project != d.Project || rec.Job != d.Job || rec.Key == d.Key || !rec.Time.Before(d.Time) {
			continue
		}
		if nearest == nil || rec.Time.After(nearest.Time) {
			nearest = rec
		}
	}
	return nearest, nil
}
