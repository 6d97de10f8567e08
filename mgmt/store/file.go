package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// replace puts content in the place of the file in one step: a crash at any moment leaves the one or the other.
func (s *Store) replace(content []byte) error {
	target, err := filepath.EvalSymlinks(s.path) // the file is replaced, not a link to it
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	return writeFile(target, content, info)
}

// writeFile creates or replaces the file at path in one step, with the mode and owner of like; nil: only for its owner.
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
		return err
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
	if like == nil {
		return nil
	}
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
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: free some space there", err)
	}
	return err
}
