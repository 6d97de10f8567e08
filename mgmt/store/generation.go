package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keptGenerations is how many older files stay beside the one in force.
const keptGenerations = 10

// generation is a content that the file has, or had, and its number.
type generation struct {
	number  uint64 // from 1
	content []byte
	state   State
	saved   time.Time // when the file was written
}

// Kept is an older content of the file that is still there.
type Kept struct {
	Generation uint64
	Saved      time.Time // when it was written
	Services   int       // how many it has; -1 for one that cannot be read
}

// Generations returns the folder of the numbered files: services.yaml.generations/000001.yaml and so on. The highest
// number is the one in force, so that a restart goes on from there; the ten before it stay.
func (s *Store) Generations() string { return s.path + ".generations" }

// Generation returns the number of the state in force, 0 before the first Load. Numbers go on over restarts, and none
// stands for two states, as long as the folder of the numbered files can be written.
func (s *Store) Generation() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current.number
}

// Kept lists the older generations, oldest first.
func (s *Store) Kept() ([]Kept, error) {
	numbers, err := s.older(s.Generation())
	if err != nil {
		return nil, err
	}
	var list []Kept
	for _, n := range numbers {
		k, err := s.kept(n)
		if errors.Is(err, fs.ErrNotExist) { // a Save has pruned it by now
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list the older generations: %w", err)
		}
		list = append(list, k)
	}
	return list, nil
}

// kept tells of one generation. The file is read only if it is not the one that is known.
func (s *Store) kept(n uint64) (Kept, error) {
	info, err := os.Stat(s.file(n))
	if err != nil {
		return Kept{}, err
	}
	s.mu.Lock()
	k, known := s.known[n]
	s.mu.Unlock()
	if known && k.Saved.Equal(info.ModTime()) {
		return k, nil
	}
	k = Kept{Generation: n, Saved: info.ModTime(), Services: -1}
	if state, err := s.ReadKept(n); err == nil {
		k.Services = len(state.Services)
	}
	s.mu.Lock()
	s.known[n] = k
	s.mu.Unlock()
	return k, nil
}

// ReadKept returns the state of an older generation.
// Errors: fs.ErrNotExist, *Mistakes, or that of a file operation.
func (s *Store) ReadKept(n uint64) (State, error) {
	data, err := os.ReadFile(s.file(n))
	if err != nil {
		return State{}, fmt.Errorf("read generation %d: %w", n, err)
	}
	return Decode(data, s.file(n))
}

// load puts a file that somebody else has written in force. The file before is kept; where that fails a note says so:
// a folder that cannot be written must not keep a director from its orders.
func (s *Store) load(next generation) (notes []string, err error) {
	switch {
	case s.current.number == 0:
		if next.number, err = s.first(next); err != nil {
			return nil, err
		}
	case sameServices(s.current.state.Services, next.state.Services):
		next.number = s.current.number
	default:
		next.number = s.current.number + 1
		if err := s.keep(s.current); err != nil {
			notes = append(notes, fmt.Sprintf("generation %d is lost for a rollback: it could not be kept: %v", s.current.number, withAdvice(err)))
		}
	}
	s.enforce(next)
	return notes, nil
}

// save writes the next generation into the file. The one before is there already, unless the disk was full then.
func (s *Store) save(next generation) error {
	next.number = s.current.number + 1
	if err := s.keep(s.current); err != nil {
		return fmt.Errorf("keep the file before: %w", withAdvice(err))
	}
	if err := s.replace(next.content); err != nil {
		return fmt.Errorf("write the desired state: %w", withAdvice(err))
	}
	s.enforce(next)
	return nil
}

// enforce makes next the generation in force. It is kept at once, so that its number is taken and its state stays even
// if the file is edited while turnout is not running. An error does no harm: it is kept before it is replaced.
func (s *Store) enforce(next generation) {
	s.current = next
	s.known[next.number] = Kept{Generation: next.number, Saved: next.saved, Services: len(next.state.Services)}
	maps.DeleteFunc(s.known, func(n uint64, _ Kept) bool { return n+keptGenerations < next.number })
	_ = errors.Join(s.keep(next), s.prune())
}

// first is the number of the first state after a start: that of the last run if it is the same, else the next.
func (s *Store) first(next generation) (uint64, error) {
	numbers, err := s.numbers()
	if err != nil || len(numbers) == 0 {
		return 1, err
	}
	latest := numbers[len(numbers)-1]
	if s.holds(latest, next.content) { // decoding a large one takes seconds
		return latest, nil
	}
	if last, err := s.ReadKept(latest); err == nil && sameServices(last.Services, next.state.Services) {
		return latest, nil
	}
	return latest + 1, nil
}

// keep stores a generation under its number, unless it is there.
func (s *Store) keep(g generation) error {
	if s.holds(g.number, g.content) {
		return nil
	}
	if err := os.Mkdir(s.Generations(), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	like, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	path := s.file(g.number)
	if err := writeFile(path, g.content, like); err != nil {
		return err
	}
	return os.Chtimes(path, g.saved, g.saved)
}

// holds says whether the file of a number has this content.
func (s *Store) holds(n uint64, content []byte) bool {
	kept, err := os.ReadFile(s.file(n))
	return err == nil && bytes.Equal(kept, content)
}

// prune deletes all but the latest generations.
func (s *Store) prune() error {
	numbers, err := s.numbers()
	if err != nil {
		return err
	}
	for _, n := range numbers[:max(0, len(numbers)-keptGenerations-1)] {
		if err := os.Remove(s.file(n)); err != nil {
			return err
		}
	}
	return nil
}

// older lists the numbers before n that are kept, in rising order.
func (s *Store) older(n uint64) ([]uint64, error) {
	numbers, err := s.numbers()
	numbers = slices.DeleteFunc(numbers, func(kept uint64) bool { return kept >= n })
	return numbers[max(0, len(numbers)-keptGenerations):], err
}

func (s *Store) file(n uint64) string {
	return filepath.Join(s.Generations(), fmt.Sprintf("%06d.yaml", n))
}

// numbers lists the numbers in use, in rising order. Other files in the folder are left alone.
func (s *Store) numbers() ([]uint64, error) {
	files, err := os.ReadDir(s.Generations())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the older generations: %w", err)
	}
	var numbers []uint64
	for _, f := range files {
		// 63 bits, so that there is a next number.
		n, err := strconv.ParseUint(strings.TrimSuffix(f.Name(), ".yaml"), 10, 63)
		if err == nil && filepath.Base(s.file(n)) == f.Name() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}
