package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// onPort is web on another L4 port.
func onPort(port int) string { return strings.Replace(web, "port: 80", fmt.Sprint("port: ", port), 1) }

// saveOn saves a state whose one service is on this port.
func saveOn(t *testing.T, s *Store, port uint16) {
	t.Helper()
	if err := s.Save(stateOn(port)); err != nil {
		t.Fatal(err)
	}
}

func stateOn(port uint16) State {
	svc := webService()
	svc.Port, svc.HealthChecks[0].Port = port, port
	return State{Services: []Service{svc}}
}

// edit writes the file as a person would.
func (s *Store) edit(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(s.Path(), []byte(text), 0o640); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, s *Store) (notes []string) {
	t.Helper()
	_, notes, err := s.Load(testSegment)
	if err != nil {
		t.Fatal(err)
	}
	return notes
}

// restarted is a Store on the same file that has just loaded it.
func restarted(t *testing.T, s *Store) *Store {
	t.Helper()
	again, err := Open(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	load(t, again)
	return again
}

// wantGenerations fails unless this number is in force and these are kept, each as number:port of its service.
func wantGenerations(t *testing.T, s *Store, number uint64, kept string) {
	t.Helper()
	list, err := s.Kept()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range list {
		port := "unreadable"
		if state, err := s.ReadKept(k.Generation); err == nil {
			port = fmt.Sprint(state.Services[0].Port)
		}
		got = append(got, fmt.Sprint(k.Generation, ":", port))
	}
	if s.Generation() != number || strings.Join(got, " ") != kept {
		t.Errorf("generation %d, kept %v; want %d, kept %s", s.Generation(), got, number, kept)
	}
}

// A story of saves, edits and restarts: which number is in force after each step, and which are kept.
func TestGenerationStory(t *testing.T) {
	s, _ := loadedStore(t, t.TempDir(), web)
	for _, step := range []struct {
		name   string
		do     func()
		number uint64
		kept   string
	}{
		{"the first load", func() {}, 1, ""},
		{"a save", func() { saveOn(t, s, 81) }, 2, "1:80"},
		{"a save of the same", func() { saveOn(t, s, 81) }, 2, "1:80"},
		{"a load of the same", func() { load(t, s) }, 2, "1:80"},
		{"a remark, loaded", func() { s.edit(t, onPort(81)+"# remark\n"); load(t, s) }, 2, "1:80"},
		{"a restart", func() { s = restarted(t, s) }, 2, "1:80"},
		{"an edit that is not loaded", func() { s.edit(t, onPort(82)) }, 2, "1:80"},
		{"a save over it, refused", func() { wantRefused(t, s, onPort(82)) }, 2, "1:80"},
		{"an edit, loaded", func() { load(t, s) }, 3, "1:80 2:81"},
		{"a bad edit", func() { s.edit(t, "services: [\n"); refuseLoad(t, s) }, 3, "1:80 2:81"},
		{"an edit that the director refuses", func() {
			s.edit(t, onPort(83))
			refuseLoad(t, s, func(State) error { return errors.New("no room") })
			wantRefused(t, s, onPort(83))
		}, 3, "1:80 2:81"},
		{"the same, taken", func() { load(t, s) }, 4, "1:80 2:81 3:82"},
		{"an edit while it is stopped", func() { s.edit(t, onPort(84)); s = restarted(t, s) }, 5, "1:80 2:81 3:82 4:83"},
		{"an old state by hand while it is stopped", func() { s.edit(t, onPort(83)); s = restarted(t, s) }, 6, "1:80 2:81 3:82 4:83 5:84"},
		{"an old state by save", func() { saveOn(t, s, 80) }, 7, "1:80 2:81 3:82 4:83 5:84 6:83"},
		{"a file that cannot be read", func() {
			if err := os.WriteFile(s.file(5), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, 7, "1:80 2:81 3:82 4:83 5:unreadable 6:83"},
		{"one that is gone", func() { os.Remove(s.file(2)) }, 7, "1:80 3:82 4:83 5:unreadable 6:83"},
		{"the one in force gone, then a restart", func() { os.Remove(s.file(7)); s = restarted(t, s) }, 7, "1:80 3:82 4:83 5:unreadable 6:83"},
		{"the one in force gone, then a save", func() { os.Remove(s.file(7)); saveOn(t, s, 85) }, 8, "1:80 3:82 4:83 5:unreadable 6:83 7:80"},
		{"all gone", func() { os.RemoveAll(s.Generations()); saveOn(t, s, 86) }, 9, "8:85"},
		{"all gone, then a restart", func() { os.RemoveAll(s.Generations()); s = restarted(t, s) }, 1, ""},
	} {
		step.do()
		t.Run(step.name, func(t *testing.T) { wantGenerations(t, s, step.number, step.kept) })
	}
}

func refuseLoad(t *testing.T, s *Store, accept ...func(State) error) {
	t.Helper()
	if _, _, err := s.Load(testSegment, accept...); err == nil {
		t.Error("the file was taken")
	}
}

// What a crash leaves: the file is there under its own name, and not among the kept ones yet.
func TestGenerationAfterCrash(t *testing.T) {
	s, _ := loadedStore(t, t.TempDir(), web)
	saveOn(t, s, 81)
	saveOn(t, s, 82)
	if err := errors.Join(os.Remove(s.file(3)), os.WriteFile(filepath.Join(s.Generations(), ".000003.yaml.new"), []byte("serv"), 0o600)); err != nil {
		t.Fatal(err)
	}
	wantGenerations(t, restarted(t, s), 3, "1:80 2:81")
	if _, err := os.Stat(filepath.Join(s.Generations(), ".000003.yaml.new")); err == nil {
		t.Error("half a file is still there")
	}
}

// Ten older ones stay, as they were, with the mode of the file and the time it was written at.
func TestKept(t *testing.T) {
	s, _ := loadedStore(t, t.TempDir(), web)
	if list, err := s.Kept(); err != nil || len(list) != 0 {
		t.Errorf("before anything is kept: %v, %v", list, err)
	}
	written := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	s.edit(t, onPort(999)+"# by hand\n")
	if err := os.Chtimes(s.Path(), written, written); err != nil {
		t.Fatal(err)
	}
	load(t, s)
	for port := range uint16(10) {
		saveOn(t, s, 1000+port)
	}
	list, err := s.Kept()
	if err != nil || len(list) != keptGenerations {
		t.Fatalf("%d are kept, %v: %v", len(list), err, list)
	}
	if first := list[0]; first.Generation != 2 || !first.Saved.Equal(written) || first.Services != 1 {
		t.Errorf("the oldest is %+v", first)
	}
	if last := list[9]; last.Generation != 11 || time.Since(last.Saved) > time.Minute || time.Since(last.Saved) < 0 {
		t.Errorf("the latest is %+v", last)
	}
	if got := content(t, s.file(2)); got != onPort(999)+"# by hand\n" {
		t.Errorf("the oldest says\n%s", got)
	}
	if info, err := os.Stat(s.file(2)); err != nil || info.Mode() != 0o640 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(s.file(3), []byte("services: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Kept(); err != nil || list[1].Services != -1 {
		t.Errorf("one that cannot be read: %v, %v", list, err)
	}
	var mistakes *Mistakes
	if _, err := s.ReadKept(3); !errors.As(err, &mistakes) {
		t.Errorf("reading it: %v", err)
	}
	if _, err := s.ReadKept(1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading one that is gone: %v", err)
	}
	if state, err := s.ReadKept(4); err != nil || !reflect.DeepEqual(state, stateOn(1001)) {
		t.Errorf("reading one: %+v, %v", state, err)
	}
}

// A list reads only files that this Store has not written or read before.
func TestKeptReadsOnce(t *testing.T) {
	s, _ := loadedStore(t, t.TempDir(), web)
	saveOn(t, s, 81)
	info, err := os.Stat(s.file(1))
	if err != nil {
		t.Fatal(err)
	}
	services := func(s *Store) int {
		list, err := s.Kept()
		if err != nil || len(list) != 1 {
			t.Fatalf("kept %v, %v", list, err)
		}
		return list[0].Services
	}
	if err := errors.Join(os.WriteFile(s.file(1), []byte("{"), 0o600), os.Chtimes(s.file(1), info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	again := restarted(t, s)
	if got, read := services(s), services(again); got != 1 || read != -1 {
		t.Errorf("%d services, by a new Store %d; want 1 and -1", got, read)
	}
	if err := os.WriteFile(s.file(1), []byte("services: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, read := services(s), services(again); got != 0 || read != 0 {
		t.Errorf("a file that somebody has changed: %d services, by a new Store %d; want 0", got, read)
	}
	for port := range uint16(30) {
		saveOn(t, s, 1000+port)
	}
	if len(s.known) > keptGenerations+1 {
		t.Errorf("%d are known", len(s.known))
	}
}

// Files of other names in the folder are nobody's numbers, and stay.
func TestForeignFilesStay(t *testing.T) {
	s, _ := loadedStore(t, t.TempDir(), web)
	foreign := []string{"7.yaml", "000007.yml", "000000007.yaml", "notes", "99999999999999999999.yaml", "-00007.yaml"}
	for _, name := range foreign {
		if err := os.WriteFile(filepath.Join(s.Generations(), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for port := range uint16(12) {
		saveOn(t, s, 1000+port)
	}
	if s = restarted(t, s); s.Generation() != 13 {
		t.Errorf("generation %d, want 13", s.Generation())
	}
	for _, name := range foreign {
		if _, err := os.Stat(filepath.Join(s.Generations(), name)); err != nil {
			t.Error(err)
		}
	}
}

// Check changes nothing, neither on disk nor in memory.
func TestCheckLeavesNoTrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "services.yaml")
	if err := os.WriteFile(path, []byte(web), 0o640); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, notes, err := s.Check(testSegment); err != nil || len(notes) != 0 {
		t.Errorf("notes %q, %v", notes, err)
	}
	if _, err := os.Stat(s.Generations()); err == nil || s.Generation() != 0 {
		t.Errorf("generation %d, and the folder: %v", s.Generation(), err)
	}
	s.edit(t, "services: [\n")
	if _, _, err := s.Check(testSegment); err == nil {
		t.Error("a bad file has passed")
	}
}

// A State that was given or returned can be changed without harm to what the Store remembers.
func TestStoreSharesNoMemory(t *testing.T) {
	s, state := loadedStore(t, t.TempDir(), web)
	state.Services[0].HealthChecks[0].Fall = 9
	load(t, s)
	wantGenerations(t, s, 1, "")
	saved := stateOn(81)
	if err := s.Save(saved); err != nil {
		t.Fatal(err)
	}
	saved.Services[0].HealthChecks[0].Fall = 9
	_, _, err := s.Load(testSegment, func(s State) error { s.Services[0].HealthChecks[0].Fall = 8; return nil })
	if err != nil {
		t.Fatal(err)
	}
	load(t, s)
	wantGenerations(t, s, 2, "1:80")
}

// Many may save, load and look at once: every save that changes something gets a number of its own.
func TestStoreConcurrently(t *testing.T) {
	s, _ := loadedStore(t, t.TempDir(), web)
	const each = 10
	var all sync.WaitGroup
	for port := range uint16(4) {
		all.Go(func() {
			for i := range uint16(each) {
				if err := s.Save(stateOn(1000*(port+1) + i)); err != nil {
					t.Error(err)
				}
				if _, _, err := s.Load(testSegment); err != nil {
					t.Error(err)
				}
				if list, err := s.Kept(); err != nil || len(list) > keptGenerations {
					t.Errorf("kept %v, %v", list, err)
				}
			}
		})
	}
	all.Wait()
	if s.Generation() != 1+4*each {
		t.Errorf("generation %d, want %d", s.Generation(), 1+4*each)
	}
}
