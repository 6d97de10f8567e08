package importer_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"turnout/mgmt/importer"
)

// TestPackages reads the examples that Debian's packages ship, as they are and with every forwarding method made direct
// routing and every # taken from before a directive. It needs apt and the network, so VERIFY=full asks for it.
func TestPackages(t *testing.T) {
	if os.Getenv("VERIFY") != "full" {
		t.Skip("VERIFY=full is not set: the packages are not downloaded")
	}
	for _, c := range []struct {
		format, files      string         // files is a pattern within the package
		service            *regexp.Regexp // what begins a service in the file
		shipped, converted int            // services carried over, of the files as they are and of the converted ones, at least
	}{
		{"keepalived", `etc/keepalived/*.sample,usr/share/doc/keepalived/samples/keepalived.conf.*`, regexp.MustCompile(`(?m)^\s*virtual_server\s`), 0, 15},
		{"ldirectord", `usr/share/doc/ldirectord/examples/*.cf,etc/ha.d/*.cf`, regexp.MustCompile(`(?m)^virtual6?\s*=`), 1, 10},
		{"ipvsadm", `etc/ipvsadm.rules`, regexp.MustCompile(`(?m)^-A`), 0, 0},
	} {
		root := unpack(t, c.format)
		files, shipped, converted := 0, 0, 0
		for _, pattern := range strings.Split(c.files, ",") {
			for _, path := range glob(t, root, pattern) {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				files++
				shipped += imported(t, c.format, path, data, c.service)
				converted += imported(t, c.format, path, direct(data), c.service)
			}
		}
		t.Logf("%s: %d files, %d services carried over, %d by direct routing", c.format, files, shipped, converted)
		if files == 0 || shipped < c.shipped || converted < c.converted {
			t.Errorf("%s: %d files, %d and %d services carried over; want at least 1, %d and %d", c.format, files, shipped, converted, c.shipped, c.converted)
		}
	}
}

// imported returns how many services are carried over. Of all others a remark must say why.
func imported(t *testing.T, format, path string, data []byte, service *regexp.Regexp) int {
	t.Helper()
	result, err := importer.Import(format, data)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return 0
	}
	checkServices(t, result)
	checkRemarks(t, result.Remarks, 1+bytes.Count(data, []byte("\n")))
	carried, leftOut := len(result.State.Services), 0
	for _, r := range result.Remarks {
		if strings.HasPrefix(r.Text, "service left out: ") {
			leftOut++
		}
	}
	if want := len(service.FindAll(data, -1)); carried+leftOut != want {
		t.Errorf("%s: %d services carried over, %d left out; the file has %d", path, carried, leftOut, want)
	}
	return carried
}

var (
	indirect  = regexp.MustCompile(`\b(NAT|TUN)\b`)
	masked    = regexp.MustCompile(`\b(masq|ipip)\b`)
	directive = regexp.MustCompile(`(?m)^#+(virtual|\t[a-z0-9]+=)`)
)

func direct(data []byte) []byte {
	data = indirect.ReplaceAll(data, []byte("DR"))
	data = masked.ReplaceAll(data, []byte("gate"))
	return directive.ReplaceAll(data, []byte("$1"))
}

// unpack downloads a Debian package and returns the folder of its files.
func unpack(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	run(t, dir, "apt-get", "download", name)
	for _, deb := range glob(t, dir, name+"_*.deb") {
		run(t, dir, "dpkg-deb", "-x", deb, "files")
	}
	return filepath.Join(dir, "files")
}

func run(t *testing.T, dir string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(t, "%v: %v\n%s", cmd.Args, err, out)
	}
}

// missing skips where the packages cannot be had, which CI does not excuse.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf("the packages cannot be had: "+format, args...)
}

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	names, err := fs.Glob(os.DirFS(dir), pattern)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		names[i] = filepath.Join(dir, name)
	}
	return names
}
