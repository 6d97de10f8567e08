package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"sync"
	"time"
)

// ErrFileChanged refuses to write over a file that somebody has edited since it was loaded.
var ErrFileChanged = errors.New("the file was changed by hand and is not loaded yet: load it first (systemctl reload turnout, or send SIGHUP), then repeat the change")

// ErrLayout says that a file is written in a way that cannot be edited without harm to what stays.
var ErrLayout = errors.New("the file is laid out in a way that cannot be edited in place: edit it by hand and load it (SIGHUP)")

// Store is the desired state on disk, in one YAML file. Its methods are safe for concurrent use.
type Store struct {
	path string

	mu      sync.Mutex
	current generation      // in force; the zero value before the first Load
	known   map[uint64]Kept // numbered files that need not be read again to tell of them: a large one takes seconds
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
	return &Store{path: path, known: map[uint64]Kept{}}, nil
}

// Path returns the file that is read and written.
func (s *Store) Path() string { return s.path }

// Check reads and judges the file, and changes nothing. The notes are sentences that stop nothing.
func (s *Store) Check(seg Segment) (State, []string, error) {
	next, notes, err := s.judge(seg)
	return next.state, notes, err
}

// Load reads and judges the file and puts it in force: Save may replace it, and if it says something else than the one
// before, that one is kept and it gets the next number. One that is refused, here (*Mistakes) or by one of accept, stays
// untouched and changes no number: until it is mended and loaded, Save fails with ErrFileChanged.
// The notes are sentences that stop nothing. accept must not call the Store.
func (s *Store) Load(seg Segment, accept ...func(State) error) (State, []string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, notes, err := s.judge(seg)
	if err != nil {
		return State{}, nil, err
	}
	for _, refusal := range accept {
		if err := refusal(next.state.Clone()); err != nil {
			return State{}, nil, err
		}
	}
	more, err := s.load(next)
	return next.state.Clone(), append(notes, more...), err
}

// judge returns what the file says, without a number yet.
func (s *Store) judge(seg Segment) (next generation, notes []string, err error) {
	if next.content, next.saved, err = s.read(); err != nil {
		return next, nil, err
	}
	next.state, notes, err = Check(next.content, s.path, seg)
	return next, notes, err
}

// read returns the file and when it was written.
func (s *Store) read() ([]byte, time.Time, error) {
	data, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, time.Time{}, fmt.Errorf(`%s is missing: put it back (older ones are in %s), or create it with the one line "services: []"`, s.path, s.Generations())
	}
	info, statErr := os.Stat(s.path)
	if err := errors.Join(err, statErr); err != nil {
		return nil, time.Time{}, fmt.Errorf("read the desired state: %w", err)
	}
	return data, info.ModTime(), nil
}

// Save writes the state into the file and gives it the next number. What the state leaves as it is stays in the file byte
// by byte, comments and order included. On any error number and file are the old ones, unless the folder alone could not
// be synced.
// Errors: ErrFileChanged, ErrLayout, or that of a file operation. The state must have passed Validate.
func (s *Store) Save(state State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, _, err := s.read()
	if err != nil {
		return err
	}
	if s.current.number == 0 || !bytes.Equal(before, s.current.content) {
		return fmt.Errorf("%s: %w", s.path, ErrFileChanged)
	}
	after, err := edited(before, state)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	if bytes.Equal(before, after) {
		return nil
	}
	return s.save(generation{content: after, state: state.Clone(), saved: time.Now()})
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
