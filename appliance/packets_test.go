package main

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/pcapgo"

	"turnout/mgmt/api"
	"turnout/mgmt/api/apitest"
)

// comments are those of a capture file's packets.
func comments(t *testing.T, file string) (all []string) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader([]byte(file)), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, _, options, err := r.ReadPacketDataWithOptions()
		if err != nil {
			return all
		}
		all = append(all, options.Comments...)
	}
}

func TestDropsOfAReasonAreSaved(t *testing.T) {
	server := serveDirector(t, apitest.New())
	file := filepath.Join(t.TempDir(), "drops.pcapng")
	if _, err := turnout("drops", "no_service", "-w", file, "--server", server); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v; want 0600: packets are nobody else's business", err, info.Mode())
	}
	saved, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"dropped: no_service, lcore 1"}, comments(t, string(saved))); diff != "" {
		t.Error(diff)
	}
	for says, args := range map[string][]string{
		"not found":            {"drops", "nonsense", "-w", file + "2"},
		"no such file":         {"drops", "loop", "-w", filepath.Join(file+"3", "x")},
		"-w FILE is missing":   {"drops", "loop"},
		"frames of one reason": {"drops", "-w", file},
	} {
		_, err := turnout(append(args, "--server", server)...)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v, want %q in it", args, err, says)
		}
	}
	if _, err := os.Stat(file + "2"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refusal left a file: %v", err)
	}
}

func TestCaptureIsWritten(t *testing.T) {
	d := apitest.New()
	server := serveDirector(t, d)
	out, err := turnout("capture", "-w", "-", "--service", "web", "--client", "192.168.57.135", "--count", "1", "--seconds", "3", "--server", server)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"received: lcore 1, service web", "forwarded: real server 192.168.57.121, lcore 1, service web, flow established"}
	if diff := cmp.Diff(want, comments(t, out)); diff != "" {
		t.Error(diff)
	}
	asked := api.CaptureQuery{Service: "web", Client: netip.MustParseAddr("192.168.57.135"), Count: 1, Limit: 3 * time.Second}
	if len(d.Captured) != 1 || d.Captured[0] != asked {
		t.Errorf("asked for %+v, want %+v", d.Captured, asked)
	}
	d.CaptureError = api.ErrCapturing
	if _, err := turnout("capture", "-w", "-", "--server", server); err == nil || !strings.Contains(err.Error(), "another capture") {
		t.Errorf("beside another one: %v", err)
	}
	if _, err := turnout("capture", "--server", server); exitCode(err) != exitUsage {
		t.Errorf("without -w: %v", err)
	}
}
