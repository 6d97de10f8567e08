package store_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"turnout/mgmt/store"
)

func TestDrainsOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drains")
	want := []store.Drain{
		{Service: "web", RealServer: netip.MustParseAddr("192.168.57.121"), Since: time.Unix(1700000000, 5).UTC(), Deadline: store.Duration(time.Minute), Then: "drop"},
		{Service: "dns", RealServer: netip.MustParseAddr("192.168.57.122"), Since: time.Unix(1700000001, 0).UTC(), Then: "keep"},
	}
	if err := store.OpenDrains(path).Save(want); err != nil {
		t.Fatal(err)
	}
	got, err := store.OpenDrains(path).Load()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestNoDrainsWithoutAFile(t *testing.T) {
	if got, err := store.OpenDrains(filepath.Join(t.TempDir(), "drains")).Load(); len(got) != 0 || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestDamagedDrainsSayWhatToDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drains")
	if err := os.WriteFile(path, []byte(`[{"service":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenDrains(path).Load(); err == nil || !strings.Contains(err.Error(), "delete it") {
		t.Errorf("got %v", err)
	}
}
