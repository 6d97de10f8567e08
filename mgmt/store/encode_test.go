package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEncode(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		remarks        []string
	}{
		{name: "nothing", in: "services: []\n", want: "services: []\n"},
		{
			name: "defaults are not written",
			in: `services:
  - {name: web, vip: 192.168.57.100, protocol: tcp, port: 80, scheduler: maglev, real_servers: [{address: 192.168.57.121}]}
  - name: dns
    vip: 192.168.57.100
    protocol: udp
    port: 53
    scheduler: rr
    health_check: {type: tcp, port: 53, interval: 10s}
`,
			remarks: []string{"line 3: web", "line 9: dns"},
			want: `services:
  # line 3: web
  - name: web
    vip: 192.168.57.100
    protocol: tcp
    port: 80
    real_servers:
      - {address: 192.168.57.121, weight: 1}
  # line 9: dns
  - name: dns
    vip: 192.168.57.100
    protocol: udp
    port: 53
    scheduler: rr
    health_check: {type: tcp, port: 53, interval: 10s}
`,
		},
	} {
		state, err := Decode([]byte(c.in), "")
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got := Encode(state, c.remarks)
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		again, err := Decode(got, "")
		if err != nil || !sameServices(again.Services, state.Services) {
			t.Errorf("%s: read again as %+v, %v; want %+v", c.name, again, err, state)
		}
	}
}
