package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"sync"
)

// ErrFileChanged refuses to write over a file that somebody has edited since it was loaded.
var ErrFileChanged = errors.New("the file was changed by hand and is not loaded yet: load it first (systemctl reload turnout, or send SIGHUP), then repeat the change")

// ErrLayout says that a file is written in a way that cannot be edited without harm to what stays.
var ErrLayout = errors.New("the file is laid out in a way that cannot be edited in place: edit it by hand and load it (SIGHUP)")

// Store is the desired state on disk, in one YAML file. Its methods are safe for concurrent use.
type Store struct {
	path string

	mu     sync.Mutex
	loaded bool
	hash   [sha256.Size]byte // of the content that was loaded or saved last
}

// Open returns the Store for the YAML file at path. The file must be there; it is read by Load.
func Open(path string) (*Store, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf(`%s is missing: create it; one line "services: []" is enough for a start`, path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the desired state: %w", err)
	}
	return &Store{path: path}, nil
}

// Path returns the file that is read and written.
func (s *Store) Path() string { return s.path }

// Load reads and judges the file. A file in good order becomes the one that Save may replace; a bad one is refused
// (*Mistakes) and stays untouched: until it is mended and loaded, Save fails with ErrFileChanged.
// The notes are sentences that stop nothing.
func (s *Store) Load(seg Segment) (State, []string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := s.read()
	if err != nil {
		return State{}, nil, err
	}
	state, notes, err := Check(data, s.path, seg)
	if err != nil {
		return State{}, nil, err
	}
	s.hash, s.loaded = sha256.Sum256(data), true
	return state, notes, nil
}

func (s *Store) read() ([]byte, error) {
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf(`%s is missing: put it back (older ones are in %s), or create it with the one line "services: []"`, s.path, s.Generations())
	}
	if err != nil {
		return nil, fmt.Errorf("read the desired state: %w", err)
	}
	return data, nil
}

// Save writes the state into the file. What the state leaves as it is stays in the file byte by byte, comments and
// order included. The file before is kept as a generation. On any error the file is the old one, unless the folder
// alone could not be synced.
// Errors: ErrFileChanged, ErrLayout, or that of a file operation. The state must have passed Validate.
func (s *Store) Save(state State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, err := s.read()
	if err != nil {
		return err
	}
	if !s.loaded || sha256.Sum256(before) != s.hash {
		return fmt.Errorf("%s: %w", s.path, ErrFileChanged)
	}
	after, err := edited(before, state)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	if bytes.Equal(before, after) {
		return nil
	}
	if err := s.replace(before, after); err != nil {
		return fmt.Errorf("write the desired state: %w", err)
	}
	s.hash = sha256.Sum256(after)
	return nil
}

// edited returns the file with the state in place of what it says, and proves it by reading it back.
func edited(before []byte, state State) ([]byte, error) {
	after, err := edit(before, state)
	if err != nil {
		return nil, err
	}
	again, err := Decode(after, "")
	if err != nil || !sameServices(again.Services, state.Services) {
		return nil, ErrLayout
	}
	return after, nil
}

// sameServices compares what is said: no list and an empty list are the same.
func sameServices(a, b []Service) bool {
	return reflect.DeepEqual(normal(a), normal(b))
}

func normal(services []Service) []Service {
	out := State{Services: services}.Clone().Services
	for i := range out {
		if len(out[i].RealServers) == 0 {
			out[i].RealServers = nil
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
