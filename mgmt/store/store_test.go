package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// loadedStore is a Store over a new file with this text in a folder of its own.
func loadedStore(t *testing.T, dir, text string) (*Store, State) {
	t.Helper()
	path := filepath.Join(dir, "services.yaml")
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	state, _, err := s.Load(testSegment)
	if err != nil {
		t.Fatal(err)
	}
	return s, state
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func wantErrorText(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("got error %v\nwant %s", err, want)
	}
}

func TestOpenMissing(t *testing.T) {
	_, err := Open("/nonexistent/services.yaml")
	wantErrorText(t, err, `/nonexistent/services.yaml is missing: create it; one line "services: []" is enough for a start`)
	s, _ := loadedStore(t, t.TempDir(), "services: []\n")
	if err := os.Remove(s.Path()); err != nil {
		t.Fatal(err)
	}
	want := s.Path() + ` is missing: put it back (older ones are in ` + s.Path() + `.generations), or create it with the one line "services: []"`
	_, _, err = s.Load(testSegment)
	wantErrorText(t, err, want)
	wantErrorText(t, s.Save(validState()), want)
}

// What a person has written and not loaded is never written over, whether it is good or bad.
func TestSaveOverHandEdit(t *testing.T) {
	for name, edit := range map[string]string{"good": "services: []  # by hand\n", "bad": "services: [\n"} {
		t.Run(name, func(t *testing.T) {
			s, _ := loadedStore(t, t.TempDir(), "services: []\n")
			if err := os.WriteFile(s.Path(), []byte(edit), 0o640); err != nil {
				t.Fatal(err)
			}
			wantRefused(t, s, edit)
			_, _, err := s.Load(testSegment)
			if (err == nil) != (name == "good") {
				t.Errorf("load: %v", err)
			}
			if name == "bad" {
				wantRefused(t, s, edit)
			} else if err := s.Save(validState()); err != nil {
				t.Error(err)
			}
		})
	}
}

func wantRefused(t *testing.T, s *Store, text string) {
	t.Helper()
	err := s.Save(validState())
	if !errors.Is(err, ErrFileChanged) {
		t.Errorf("save over a hand edit: %v", err)
	}
	if got := content(t, s.Path()); got != text {
		t.Errorf("the file is now %q", got)
	}
}

func TestSaveBeforeLoad(t *testing.T) {
	s, _ := loadedStore(t, t.TempDir(), "services: []\n")
	again, err := Open(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, again, "services: []\n")
}

// Mode and owner stay, links stay links, and only files that belong there are left in the folder.
func TestSaveKeepsFile(t *testing.T) {
	if os.Geteuid() != 0 {
		needs(t, "root, to give files away")
	}
	dir := t.TempDir()
	s, state := loadedStore(t, dir, web)
	if err := errors.Join(os.Chown(s.Path(), 65534, 65534), os.Chmod(s.Path(), 0o604)); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.yaml")
	if err := os.Symlink(s.Path(), link); err != nil {
		t.Fatal(err)
	}
	linked, err := Open(link)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := linked.Load(testSegment); err != nil {
		t.Fatal(err)
	}
	leftover := filepath.Join(dir, ".services.yaml.new")
	if err := os.WriteFile(leftover, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	state.Services[0].Port = 81
	if err := linked.Save(state); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if info.Mode() != 0o604 || owner.Uid != 65534 || owner.Gid != 65534 {
		t.Errorf("mode %v, owner %d:%d", info.Mode(), owner.Uid, owner.Gid)
	}
	if target, err := os.Readlink(link); err != nil || target != s.Path() {
		t.Errorf("the link points to %q, %v", target, err)
	}
	if _, err := os.Stat(leftover); err == nil {
		t.Error("what a crash left behind is still there")
	}
	if got := content(t, s.Path()); !strings.Contains(got, "port: 81") {
		t.Errorf("the file is\n%s", got)
	}
}

// needs skips a test where the machine lacks something; in CI it must not.
func needs(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("this test needs " + what)
	}
	t.Skip("this test needs " + what)
}

// A single file mounted into a container cannot be replaced: the error says what can.
func TestSaveMountedFile(t *testing.T) {
	s, state := loadedStore(t, t.TempDir(), web)
	if err := syscall.Mount(s.Path(), s.Path(), "", syscall.MS_BIND, ""); err != nil {
		needs(t, "to bind-mount a file: "+err.Error())
	}
	defer syscall.Unmount(s.Path(), 0)
	state.Services[0].Port = 81
	err := s.Save(state)
	if !errors.Is(err, syscall.EBUSY) || !strings.HasSuffix(err.Error(), "a single mounted file cannot be replaced; mount its folder") {
		t.Errorf("got %v", err)
	}
	if got := content(t, s.Path()); got != web {
		t.Errorf("the file is\n%s", got)
	}
}
