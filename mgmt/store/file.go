package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// keptGenerations is how many older files stay beside the one in force.
const keptGenerations = 10

// Generations returns the folder of the older files: services.yaml.generations/000001.yaml and so on, the highest
// number the latest. The ten latest stay.
func (s *Store) Generations() string { return s.path + ".generations" }

// replace puts after in the place of before in one step: a crash at any moment leaves the one or the other.
func (s *Store) replace(before, after []byte) error {
	target, err := filepath.EvalSymlinks(s.path) // the file is replaced, not a link to it
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	if err := errors.Join(s.keep(before, info), s.prune()); err != nil {
		return fmt.Errorf("keep the file before: %w", err)
	}
	return writeFile(target, after, info)
}

// keep stores content as the next generation, unless a Save that failed later has stored it already.
func (s *Store) keep(content []byte, like fs.FileInfo) error {
	dir := s.Generations()
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	numbers, err := generations(dir)
	if err != nil {
		return err
	}
	latest := 0
	if len(numbers) > 0 {
		latest = numbers[len(numbers)-1]
	}
	if kept, err := os.ReadFile(generationFile(dir, latest)); err == nil && bytes.Equal(kept, content) {
		return nil
	}
	return writeFile(generationFile(dir, latest+1), content, like)
}

// prune deletes all but the latest generations.
func (s *Store) prune() error {
	dir := s.Generations()
	numbers, err := generations(dir)
	if err != nil {
		return err
	}
	for _, n := range numbers[:max(0, len(numbers)-keptGenerations)] {
		if err := os.Remove(generationFile(dir, n)); err != nil {
			return err
		}
	}
	return nil
}

func generationFile(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("%06d.yaml", n)) }

// generations lists the numbers in use, in rising order. Other files in the folder are left alone.
func generations(dir string) ([]int, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, f := range files {
		if n, err := strconv.Atoi(strings.TrimSuffix(f.Name(), ".yaml")); err == nil && filepath.Base(generationFile(dir, n)) == f.Name() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// writeFile creates or replaces the file at path in one step, with the mode and owner of like.
func writeFile(path string, content []byte, like fs.FileInfo) error {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	// One that a crash left behind; O_EXCL below refuses to write through anything else of that name.
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := writeTemp(temp, content, like)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
		return withAdvice(err)
	}
	return syncDir(filepath.Dir(path))
}

func writeTemp(path string, content []byte, like fs.FileInfo) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, owned(f, like), f.Sync(), f.Close())
}

// owned gives f the owner, then the mode of like: a change of owner clears mode bits.
func owned(f *os.File, like fs.FileInfo) error {
	if stat, ok := like.Sys().(*syscall.Stat_t); ok {
		if err := f.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(like.Mode().Perm())
}

// syncDir makes a rename in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// withAdvice adds what to do where the error alone does not tell.
func withAdvice(err error) error {
	switch {
	case errors.Is(err, syscall.EBUSY):
		return fmt.Errorf("%w: a single mounted file cannot be replaced; mount its folder", err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: put services_file on a file system that can be written", err)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: free some space; the old file is in force", err)
	}
	return err
}
