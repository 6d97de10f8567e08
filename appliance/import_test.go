package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"turnout/mgmt/store"
)

const savedTable = "-A -t 192.168.57.100:80 -s rr\n-a -t 192.168.57.100:80 -r 192.168.57.121:80 -g -w 1\n" +
	"-a -t 192.168.57.100:80 -r 192.168.57.122:80 -m -w 1\n"

const importedTable = `services:
  # line 1: -A -t 192.168.57.100:80
  - name: tcp-192.168.57.100-80
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    scheduler: rr
    real_servers:
      - {address: 192.168.57.121, weight: 1}
`

func TestImport(t *testing.T) {
	dir := t.TempDir()
	path := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	table := path("table", savedTable)
	names := path("names", "-A -t www:http\n")
	nat := path("nat", "virtual=192.168.57.100:80\n\treal=192.168.57.121:80 masq\n")
	for _, c := range []struct {
		name   string
		args   []string
		exit   int
		stdout string
		stderr string // a part of it
		says   string // a part of the error
	}{
		{"a file", []string{"ipvsadm", table}, 0, importedTable, table + ":3: real server 192.168.57.122 left out: ", ""},
		{"standard input", []string{"ipvsadm", "-"}, 0, importedTable, "-:3: real server 192.168.57.122 left out: ", ""},
		{"a file of names", []string{"ipvsadm", names}, 1, "", "", "import: " + names + ": line 1: www:http is no address and port in numbers"},
		{"a file of NAT", []string{"ldirectord", nat}, 1, "", nat + ":1: service left out: ", "import: " + nat + ": no service could be carried over"},
		{"another format's file", []string{"keepalived", table}, 1, "", table + ":1: -A is not known here", "check that the file is of the format keepalived"},
		{"no such file", []string{"keepalived", dir + "/none"}, 1, "", "", "import: open " + dir + "/none: no such file or directory"},
		{"no such format", []string{"haproxy", table}, 2, "", "", `"haproxy" is no format that can be read: use ipvsadm, keepalived, ldirectord`},
		{"no file", []string{"ipvsadm"}, 2, "", "", "accepts 2 arg(s), received 1"},
		{"unknown flag", []string{"ipvsadm", table, "--fast"}, 2, "", "", "unknown flag: --fast"},
	} {
		var stdout, stderr bytes.Buffer
		err, exit, said := turnoutTo(t.Context(), &stdout, &stderr, strings.NewReader(savedTable), append([]string{"import"}, c.args...)...), 0, ""
		if err != nil {
			exit, said = exitCode(err), err.Error()
		}
		if exit != c.exit || stdout.String() != c.stdout || !strings.Contains(stderr.String(), c.stderr) || !strings.Contains(said, c.says) {
			t.Errorf("%s: exit %d, error %q, standard output:\n%sstandard error:\n%swant exit %d, %q in the error, %q in standard error, standard output:\n%s",
				c.name, exit, said, &stdout, &stderr, c.exit, c.says, c.stderr, c.stdout)
		}
	}
}

// TestImportedFilePassesCheck loads what the import prints as check does, on the segment of the examples.
func TestImportedFilePassesCheck(t *testing.T) {
	for _, format := range []string{"ipvsadm", "keepalived", "ldirectord"} {
		example := filepath.Join("..", "mgmt", "importer", "testdata", format+".txt")
		var stdout bytes.Buffer
		if err := turnoutTo(t.Context(), &stdout, new(bytes.Buffer), nil, "import", format, example); err != nil {
			t.Fatal(err)
		}
		services, err := store.Open(writeServices(t, stdout.String()))
		if err != nil {
			t.Fatal(err)
		}
		segment := store.Segment{DIPs: []netip.Prefix{netip.MustParsePrefix("192.168.57.120/24")}}
		if _, _, err := services.Load(segment); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
}
