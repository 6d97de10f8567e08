package store

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// commented is a file with everything that an edit could lose.
const commented = `# The shop's services.

services:
  # front end
  - name: web              # the shop
    vip: 192.168.57.100
    protocol: tcp

    port: 80
    timeouts: { established: 900s }   # as IPVS
    real_servers:
      # rack 1
      - {address: 192.168.57.121, weight: 1}  # old
      # rack 2
      - {weight: 1, address: 192.168.57.122, mac: "02:00:00:00:01:22"}
        # end of rack 2

  # names
  - name: "dns"
    vip: 192.168.57.101

    # why udp
    protocol: udp
    port: 53
    health_check:   # by tcp
      type: tcp
      port: 53
    # none yet
    real_servers: []  # soon

# the end
`

// Each story edits commented and names the lines that change: "-" for gone, "+" for new.
func TestEdit(t *testing.T) {
	real := func(last int, weight uint16) RealServer { return RealServer{Address: ip(last), Weight: weight} }
	tests := []struct {
		name   string
		change func(s *State)
		want   string
	}{
		{"nothing", func(*State) {}, ""},
		{"a weight", func(s *State) { s.Services[0].RealServers[0].Weight = 0 }, `
-      - {address: 192.168.57.121, weight: 1}  # old
+      - {address: 192.168.57.121, weight: 0}  # old`},
		{"the same duration in other words", func(s *State) { s.Services[0].Timeouts.Established = Duration(15 * time.Minute) }, ""},
		{"a duration", func(s *State) { s.Services[0].Timeouts.Established = Duration(time.Hour) }, `
-    timeouts: { established: 900s }   # as IPVS
+    timeouts: { established: 1h }   # as IPVS`},
		{"a duration more", func(s *State) { s.Services[0].Timeouts.UDP = Duration(90 * time.Second) }, `
-    timeouts: { established: 900s }   # as IPVS
+    timeouts: { established: 900s, udp: 1m30s }   # as IPVS`},
		{"a sorry server", func(s *State) { s.Services[0].SorryServer = SorryServer{Address: ip(119), MAC: "02:00:00:00:01:19"} }, `
+    sorry_server: {address: 192.168.57.119, mac: "02:00:00:00:01:19"}`},
		{"a threshold", func(s *State) { s.Services[0].RealServers[0].UpperThreshold = 100 }, `
-      - {address: 192.168.57.121, weight: 1}  # old
+      - {address: 192.168.57.121, weight: 1, upper_threshold: 100}  # old`},
		{"a default given up", func(s *State) { s.Services[0].Scheduler = "wrr" }, `
+    scheduler: wrr`},
		{"a MAC gone", func(s *State) { s.Services[0].RealServers[1].MAC = "" }, `
-      - {weight: 1, address: 192.168.57.122, mac: "02:00:00:00:01:22"}
+      - {weight: 1, address: 192.168.57.122}`},
		{"a MAC", func(s *State) { s.Services[0].RealServers[0].MAC = "02:00:00:00:01:21" }, `
-      - {address: 192.168.57.121, weight: 1}  # old
+      - {address: 192.168.57.121, weight: 1, mac: "02:00:00:00:01:21"}  # old`},
		{"a real server more", func(s *State) { s.Services[0].RealServers = append(s.Services[0].RealServers, real(123, 1)) }, `
+      - {address: 192.168.57.123, weight: 1}`},
		{"a real server less", func(s *State) { s.Services[0].RealServers = s.Services[0].RealServers[1:] }, `
-      # rack 1
-      - {address: 192.168.57.121, weight: 1}  # old`},
		{"no real server left", func(s *State) { s.Services[0].RealServers = nil }, `
-    real_servers:
-      # rack 1
-      - {address: 192.168.57.121, weight: 1}  # old
-      # rack 2
-      - {weight: 1, address: 192.168.57.122, mac: "02:00:00:00:01:22"}
-        # end of rack 2
+    real_servers: []`},
		{"the first real server", func(s *State) { s.Services[1].RealServers = []RealServer{real(123, 2)} }, `
-    real_servers: []  # soon
+    real_servers:  # soon
+      - {address: 192.168.57.123, weight: 2}`},
		{"another order", func(s *State) { slices.Reverse(s.Services[0].RealServers) }, `
-      # rack 1
-      - {address: 192.168.57.121, weight: 1}  # old
+      # rack 1
+      - {address: 192.168.57.121, weight: 1}  # old`},
		{"a check's numbers", func(s *State) { s.Services[1].HealthChecks[0].Fall, s.Services[1].HealthChecks[0].Port = 5, 54 }, `
-      port: 53
+      port: 54
+      fall: 5`},
		{"a check of another type", func(s *State) { s.Services[1].HealthChecks = HealthChecks{{Type: CheckNone}} }, `
-    health_check:   # by tcp
-      type: tcp
-      port: 53
+    health_check: {type: none}   # by tcp`},
		{"a service less", func(s *State) { s.Services = s.Services[1:] }, `
-  # front end
-  - name: web              # the shop
-    vip: 192.168.57.100
-    protocol: tcp
-
-    port: 80
-    timeouts: { established: 900s }   # as IPVS
-    real_servers:
-      # rack 1
-      - {address: 192.168.57.121, weight: 1}  # old
-      # rack 2
-      - {weight: 1, address: 192.168.57.122, mac: "02:00:00:00:01:22"}
-        # end of rack 2
-`},
		{"a service more", func(s *State) {
			svc := webService()
			svc.Name, svc.Port, svc.RealServers = "mail", 25, []RealServer{real(121, 1)}
			svc.HealthChecks = HealthChecks{newCheck(CheckTCP, svc)}
			s.Services = append(s.Services, svc)
		}, `
+  - name: mail
+    vip: 192.168.57.100
+    protocol: tcp
+    port: 25
+    real_servers:
+      - {address: 192.168.57.121, weight: 1}
+`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			state, err := Decode([]byte(commented), "")
			if err != nil {
				t.Fatal(err)
			}
			tt.change(&state)
			after, err := edited([]byte(commented), state)
			if err != nil {
				t.Fatal(err)
			}
			if got := lineDiff(commented, string(after)); got != strings.TrimPrefix(tt.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s\nthe file:\n%s", got, tt.want, after)
			}
		})
	}
}

// lineDiff lists the lines that are gone and new, by the longest common subsequence, those gone first.
func lineDiff(before, after string) string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	longest := make([][]int, len(a)+1)
	for i := range longest {
		longest[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			if a[i] == b[j] {
				longest[i][j] = 1 + longest[i+1][j+1]
			}
		}
	}
	var gone, came []string
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && longest[i+1][j] >= longest[i][j+1]:
			gone, i = append(gone, "-"+a[i]), i+1
		default:
			came, j = append(came, "+"+b[j]), j+1
		}
	}
	return strings.Join(append(gone, came...), "\n")
}

// Comments stay wherever they stand, as long as what they stand at does.
func TestEditKeepsComments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := drawState(t)
		text, err := edited([]byte("services: []\n"), before)
		if err != nil {
			t.Fatal(err)
		}
		var comments int
		text, comments = sprinkle(text, rapid.Uint64().Draw(t, "seed"))
		after := before.Clone()
		for i := range after.Services {
			other := drawService(t, after.Services[i].Name, after.Services[i].VIP)
			other.RealServers, other.SorryServer = after.Services[i].RealServers, after.Services[i].SorryServer
			for k := range other.RealServers {
				other.RealServers[k].Weight = rapid.Uint16().Draw(t, "weight")
			}
			after.Services[i] = other
		}
		result, err := edited(text, after)
		if err != nil {
			t.Fatalf("%v\nfile:\n%s", err, text)
		}
		if got := strings.Count(string(result), "# comment"); got != comments {
			t.Fatalf("%d of %d comments are left\nbefore:\n%s\nafter:\n%s", got, comments, text, result)
		}
	})
}

// sprinkle puts comments and empty lines above and behind lines at random, and counts the comments.
func sprinkle(text []byte, seed uint64) ([]byte, int) {
	r := rand.New(rand.NewPCG(seed, 0))
	var b strings.Builder
	comments := 0
	for line := range strings.Lines(string(text)) {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if r.IntN(3) == 0 {
			b.WriteString(spaces(indent) + "# comment above\n")
			comments++
		}
		if r.IntN(4) == 0 {
			b.WriteString("\n")
		}
		b.WriteString(strings.TrimSuffix(line, "\n"))
		if r.IntN(3) == 0 {
			b.WriteString("   # comment behind")
			comments++
		}
		b.WriteString("\n")
	}
	return []byte(b.String()), comments
}
