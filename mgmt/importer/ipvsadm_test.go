package importer_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const noChecks = "ipvsadm's table has no health checks: each tcp service gets turnout's default, a tcp check of its port every 2s; " +
	"those of udp and of port 0 get none; change health_check where the real servers need another one\n"

// web is the services file of one service on port 80, up to its scheduler and what follows.
const web = `
  - name: tcp-192.168.57.100-80
    vip: 192.168.57.100
    protocol: tcp
    port: 80
`

func TestIPVSAdm(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "# a comment\n\n", "services: []\n"},
		{
			"a service without real servers", "-A -t 192.168.57.100:80 -s rr\n",
			"services:\n  # line 1: -A -t 192.168.57.100:80" + web + "    scheduler: rr\n1: " + noChecks,
		},
		{
			"long names of options, the default scheduler", `--add-service --tcp-service 192.168.57.100:80
--add-server --tcp-service 192.168.57.100:80 --real-server 192.168.57.121 --gatewaying --weight 5
`,
			"services:\n  # line 1: -A -t 192.168.57.100:80" + web +
				"    scheduler: wlc\n    real_servers:\n      - {address: 192.168.57.121, weight: 5}\n1: " + noChecks,
		},
		{
			"names of hosts", "-A -t www.example.com:80 -s rr\n",
			"error: line 1: www.example.com:80 is no address and port in numbers: save the table with numbers (ipvsadm --save -n > FILE) and import that\n",
		},
		{
			"names of ports", "-A -t 192.168.57.100:80 -s rr\n-a -t 192.168.57.100:80 -r 192.168.57.121:http -g\n",
			"error: line 2: 192.168.57.121:http is no address and port in numbers: save the table with numbers (ipvsadm --save -n > FILE) and import that\n",
		},
		{
			"lines that cannot be read", `-C
-A -t 192.168.57.100:80 -q
-A -s rr -t
-a -t 192.168.57.100:80 -r 192.168.57.121:80 -g
-A -u 192.168.57.100:80 -s xyz
-A -u 192.168.57.100:80 -s rr
`, `services: []
1: line left out: -C is not known
2: line left out: -q is not known
3: line left out: -t has no value
4: line left out: no -A line before it has this service
5: service left out: scheduler xyz (line 5) is not known: write wlc here, or one of the others of docs/schedulers.md, and import again
6: line left out: line 5 has the same service
`,
		},
		{
			"addresses that no host has", `-A -t 0.0.0.0:80 -s rr
-A -t 192.168.57.100:80 -s rr
-a -t 192.168.57.100:80 -r 127.0.0.1:80 -g
-a -t 192.168.57.100:80 -r 192.168.57.121:80 -g -w -1
-a -t 192.168.57.100:80 -r 192.168.57.122:80 -w
`, `services: []
1: service left out: 0.0.0.0 is the unspecified address: write an address that clients can reach
2: service left out: none of its real servers can be carried over
3: real server 127.0.0.1 left out: 127.0.0.1 is a loopback address: write the real server's own address (RIP)
4: real server 192.168.57.121 left out: weight -1 is no whole number of 0 or more
5: line left out: -w has no value
`,
		},
		{
			"a real server that is the VIP of another service", `-A -t 192.168.57.100:80 -s rr
-a -t 192.168.57.100:80 -r 192.168.57.101:80 -g
-A -t 192.168.57.101:80 -s rr
`, `services:
  # line 3: -A -t 192.168.57.101:80
  - name: tcp-192.168.57.101-80
    vip: 192.168.57.101
    protocol: tcp
    port: 80
    scheduler: rr
1: ` + noChecks + `1: service left out: none of its real servers can be carried over
2: real server 192.168.57.101 left out: it is the VIP of line 3: write the real server's own address
`,
		},
		{
			"text that must not reach a terminal", "-A -t 192.168.57.100:80 -s \x1b[31m\n",
			`services: []
1: service left out: scheduler "\x1b[31m" (line 1) is not known: write wlc here, or one of the others of docs/schedulers.md, and import again
`,
		},
	} {
		if diff := cmp.Diff(c.want, report(t, "ipvsadm", c.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
