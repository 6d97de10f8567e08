package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// loadMaglevKey reads the key that picks real servers, and makes it at the first start.
func loadMaglevKey(path string) (key [16]byte, err error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeMaglevKey(path)
	}
	if err != nil {
		return key, fmt.Errorf("maglev_key_file: %w", err)
	}
	if len(content) != len(key) {
		return key, fmt.Errorf("maglev_key_file %s holds %d bytes, want %d: copy it anew from another director, or remove it to have one made", path, len(content), len(key))
	}
	return [16]byte(content), nil
}

// makeMaglevKey writes a new key where only root can read it.
func makeMaglevKey(path string) (key [16]byte, err error) {
	if _, err := rand.Read(key[:]); err != nil {
		return key, fmt.Errorf("random bytes for maglev_key_file: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return key, fmt.Errorf("folder of maglev_key_file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return key, fmt.Errorf("maglev_key_file: %w", err)
	}
	_, err = f.Write(key[:])
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return key, fmt.Errorf("write maglev_key_file: %w", errors.Join(err, os.Remove(path)))
	}
	return key, nil
}
