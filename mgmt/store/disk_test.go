package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// disk is a folder on a file system of its own.
func disk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		needs(t, "to mount a tmpfs: "+err.Error())
	}
	t.Cleanup(func() { syscall.Unmount(dir, 0) })
	return dir
}

// long is a file of two pages, so that a disk can have room for a part of it.
var long = "# " + strings.Repeat("x", 5000) + web

// A disk that is full at any moment of Save leaves file and numbers as they were, and nothing half written.
func TestSaveFullDisk(t *testing.T) {
	for name, kept := range map[string]bool{"the file before is kept": true, "it is not kept yet": false} {
		t.Run(name, func(t *testing.T) {
			s, _ := loadedStore(t, disk(t, "64k"), long)
			saveOn(t, s, 81)
			if !kept {
				if err := os.Remove(s.file(2)); err != nil {
					t.Fatal(err)
				}
			}
			for free := 0; free < 48<<10; free += 4 << 10 {
				if saveOnFullDisk(t, s, free) {
					return
				}
			}
			t.Error("no disk is large enough")
		})
	}
}

// saveOnFullDisk tries to save with so many bytes free and says whether there was room.
func saveOnFullDisk(t *testing.T, s *Store, free int) bool {
	t.Helper()
	before := content(t, s.Path())
	filler := filepath.Join(filepath.Dir(s.Path()), "filler")
	fillDisk(t, filler, free)
	err := s.Save(stateOn(82))
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err == nil && free > 0 {
		wantGenerations(t, s, 3, "1:80 2:81")
		return true
	}
	if !errors.Is(err, syscall.ENOSPC) || !strings.HasSuffix(err.Error(), "free some space there") {
		t.Errorf("%d bytes free: %v", free, err)
	}
	if got := content(t, s.Path()); got != before {
		t.Fatalf("%d bytes free: the file is now %q", free, got)
	}
	if list, err := s.Kept(); s.Generation() != 2 || err != nil || len(list) != 1 || list[0].Services != 1 {
		t.Errorf("%d bytes free: generation %d, kept %v, %v", free, s.Generation(), list, err)
	}
	for _, dir := range []string{filepath.Dir(s.Path()), s.Generations()} {
		if halves, err := filepath.Glob(filepath.Join(dir, ".*.new")); err != nil || len(halves) > 0 {
			t.Errorf("%d bytes free: half written files stay: %v, %v", free, halves, err)
		}
	}
	return false
}

// fillDisk leaves so many bytes free.
func fillDisk(t *testing.T, path string, free int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	info, statErr := f.Stat()
	if err := errors.Join(statErr, f.Truncate(max(0, info.Size()-int64(free))), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// A file that was edited by hand goes in force on a full disk too: a note tells what is lost, and the number goes on.
func TestLoadFullDisk(t *testing.T) {
	dir := disk(t, "64k")
	s, _ := loadedStore(t, dir, web)
	filler := filepath.Join(dir, "filler")
	s.edit(t, onPort(81)) // on the same page of the disk
	fillDisk(t, filler, 0)
	if notes := load(t, s); len(notes) != 0 {
		t.Errorf("generation 1 is kept: notes %q", notes)
	}
	s.edit(t, onPort(82))
	want := "generation 2 is lost for a rollback: it could not be kept: "
	if notes := load(t, s); len(notes) != 1 || !strings.HasPrefix(notes[0], want) || !strings.HasSuffix(notes[0], "free some space there") {
		t.Errorf("notes %q, want %s...", notes, want)
	}
	wantGenerations(t, s, 3, "1:80")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	saveOn(t, s, 83)
	wantGenerations(t, s, 4, "1:80 3:82")
}

// savingFile names the file that a child process of this test saves over and over.
const savingFile = "TURNOUT_TEST_SAVING_FILE"

// TestMain makes a child process save until it is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv(savingFile); path != "" {
		fmt.Fprintln(os.Stderr, saveForever(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// saveForever prints the number in force after each Save. The service's port tells the number in the file.
func saveForever(path string) error {
	s, err := Open(path)
	if err != nil {
		return err
	}
	if _, _, err := s.Load(testSegment); err != nil {
		return err
	}
	fmt.Println(s.Generation())
	for {
		if err := s.Save(stateOn(uint16(s.Generation() + 1))); err != nil {
			return err
		}
		fmt.Println(s.Generation())
	}
}

// kill -9 at any moment leaves the old or the new file whole, under the right number, and every kept one whole.
func TestSaveKilled(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	s, _ := loadedStore(t, t.TempDir(), onPort(1)+"# "+strings.Repeat("x", 8000)+"\n")
	r := rand.New(rand.NewPCG(uint64(rounds), 0))
	between := 0
	for range rounds {
		acknowledged := killSaver(t, s.Path(), time.Duration(r.Int64N(int64(30*time.Millisecond))))
		s = restarted(t, s)
		state, err := Decode([]byte(content(t, s.Path())), "")
		if err != nil {
			t.Fatalf("after generation %d: %v", acknowledged, err)
		}
		number := s.Generation()
		if number < acknowledged || number > acknowledged+1 || uint64(state.Services[0].Port) != number {
			t.Fatalf("generation %d was acknowledged; now it is %d, and the file says %d", acknowledged, number, state.Services[0].Port)
		}
		if number > acknowledged {
			between++
		}
		wantWhole(t, s)
	}
	t.Logf("%d generations; %d of %d kills fell between the write and its acknowledgement", s.Generation(), between, rounds)
}

// killSaver starts a child that saves, kills it after so long, and returns the last number that it told.
func killSaver(t *testing.T, path string, after time.Duration) uint64 {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), savingFile+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	child.Stderr = &said
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	time.Sleep(after)
	child.Process.Kill()
	rest, restErr := io.ReadAll(lines)
	child.Wait()
	if err := errors.Join(err, restErr); err != nil || said.Len() > 0 {
		t.Fatalf("the child: %s, %v", &said, err)
	}
	told := strings.Fields(first + string(rest))
	number, err := strconv.ParseUint(told[len(told)-1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

// wantWhole fails unless the generations before the one in force are there without a gap, each as it was saved.
func wantWhole(t *testing.T, s *Store) {
	t.Helper()
	list, err := s.Kept()
	if err != nil || len(list) != min(keptGenerations, int(s.Generation())-1) {
		t.Fatalf("generation %d, kept %v, %v", s.Generation(), list, err)
	}
	for i, k := range list {
		state, err := s.ReadKept(k.Generation)
		if err != nil || uint64(state.Services[0].Port) != k.Generation || k.Generation != s.Generation()-uint64(len(list)-i) {
			t.Fatalf("kept %d of generation %d says %+v, %v", k.Generation, s.Generation(), state, err)
		}
	}
}
