package neigh_test

import (
	"net/netip"
	"testing"
	"time"

	"turnout/mgmt/neigh"
)

func TestServerStories(t *testing.T) {
	const question = "who-has 192.168.57.121? asks nobody"
	first, second := neigh.Request(otherMAC, rip1, client), neigh.Request(lastMAC, rip1, client)
	firstAnswers, secondAnswers := neigh.Reply(otherMAC, rip1, portMAC, nobody), neigh.Reply(lastMAC, rip1, portMAC, nobody)
	both := []string{"02:00:00:00:01:98 claims 192.168.57.121", "02:00:00:00:01:99 claims 192.168.57.121"}

	for _, test := range []struct {
		name    string
		standby bool
		plot    func(*story)
	}{
		{"who is not heard is not asked", false, func(s *story) { s.quiet(time.Hour) }},
		{"who answers is asked again, who does not is not; the kernel sees no answer", false, func(s *story) {
			s.hears(first, false)
			s.mark = time.Now()
			for range 3 {
				s.expect(question, 25*time.Second, 30*time.Second)
				s.hears(firstAnswers, true)
			}
			s.want()
			s.expect(question, 25*time.Second, 30*time.Second)
			s.quiet(time.Hour)
			s.hears(first, false)
			s.expect(question, 25*time.Second, 30*time.Second)
		}},
		{"two who answer are both told, until one is silent", true, func(s *story) {
			s.hears(first, false)
			for range 2 {
				s.expect(question, 0, 30*time.Second)
				s.hears(firstAnswers, true)
				s.hears(secondAnswers, true)
			}
			s.want(both...)
			for range 2 {
				s.expect(question, 0, 30*time.Second)
				s.hears(firstAnswers, true)
				s.want(both...)
			}
			s.expect(question, 0, 30*time.Second)
			s.hears(firstAnswers, true)
			time.Sleep(20 * time.Second)
			s.want()
			s.expect(question, 0, 30*time.Second)
		}},
		{"a new MAC is no second machine", false, func(s *story) {
			s.hears(first, false)
			time.Sleep(time.Second)
			s.hears(second, false)
			s.hears(second, false)
			s.want()
			s.expect(question, 0, 30*time.Second)
			s.hears(secondAnswers, true)
			s.want()
			s.expect(question, 0, 30*time.Second)
		}},
		{"one who probes for the address is not disturbed", false, func(s *story) {
			s.hears(first, false)
			time.Sleep(24 * time.Second)
			s.hears(neigh.Request(otherMAC, nobody, rip1), false)
			s.mark = time.Now()
			s.expect(question, 10*time.Second, 10*time.Second)
		}},
		{"nobody is asked while the link is down", false, func(s *story) {
			s.hears(first, false)
			s.LinkUp(false)
			s.quiet(time.Hour)
			s.LinkUp(true)
			s.expect(question, 0, 10*time.Millisecond)
		}},
		{"what is known of those that stay is kept", false, func(s *story) {
			s.hears(first, false)
			s.hears(second, false)
			s.hears(first, false)
			s.SetServers([]netip.Addr{rip1, rip2})
			s.want(both...)
			s.SetServers([]netip.Addr{rip2})
			s.want()
			s.quiet(time.Hour)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tell(t, !test.standby, true, func(s *story) {
				s.SetServers([]netip.Addr{rip1})
				test.plot(s)
			})
		})
	}
}
