package e2e

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"
)

const arpLimit = 5 * time.Millisecond // for an answer about a VIP

func TestPingOfVIPAndDIP(t *testing.T) {
	d := startDirector(t, settings{services: web})
	for _, address := range []netip.Addr{vip, d.dip} {
		if out, err := d.segment.client.run("ping", "-n", "-c", "5", "-i", "0.1", "-w", "5", address.String()); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func TestARPForVIPIsAnsweredQuickly(t *testing.T) {
	d := startDirector(t, settings{services: web})
	sender, w := d.segment.client.tap(t, "eth0", filterARP), d.segment.client.tap(t, "eth0", filterARP)
	client, port := mustMAC(clientMAC), mustMAC(d.mac)
	for name, request := range map[string][]byte{
		"broadcast":            arpFrame(broadcast, client, clientAddress, vip),
		"unicast":              arpFrame(port, client, clientAddress, vip),
		"probe as in RFC 5227": arpFrame(broadcast, client, unspecified, vip),
		"unicast probe for it": arpFrame(port, client, unspecified, vip),
	} {
		// A window on a busy machine says little, the best of five something.
		var medians []time.Duration
		for range 5 {
			medians = append(medians, medianAnswer(t, sender, w, request))
			if medians[len(medians)-1] < arpLimit {
				break
			}
		}
		t.Logf("%s: answered after %v (medians of 50)", name, medians)
		if slices.Min(medians) >= arpLimit {
			t.Errorf("%s: answered after %v at best, want less than %v", name, slices.Min(medians), arpLimit)
		}
	}
}

// medianAnswer asks 50 times and returns the median of the times between request and reply, by the kernel's
// clock: a second socket sees both, since none sees what it sent itself.
func medianAnswer(t *testing.T, sender, w *wire, request []byte) time.Duration {
	t.Helper()
	var took []time.Duration
	for range 50 {
		start := time.Now()
		sender.send(t, request)
		fresh := func(accept func([]byte) bool) func() []seen {
			return func() []seen {
				return slices.DeleteFunc(w.frames(accept), func(s seen) bool { return s.at.Before(start) })
			}
		}
		asked, answered := fresh(func(f []byte) bool { return string(f) == string(request) }), fresh(isAnswer(vip))
		eventually(t, 2*time.Second, "who-has for the VIP is answered", func() bool { return len(asked()) > 0 && len(answered()) > 0 })
		took = append(took, answered()[0].at.Sub(asked()[0].at))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

func mustMAC(text string) net.HardwareAddr {
	mac, err := net.ParseMAC(text)
	if err != nil {
		panic(err)
	}
	return mac
}

func TestDirectorDoesNotAnswerForRIPs(t *testing.T) {
	const absent = "192.168.57.129" // a real server that is down, so that nobody answers for it
	d := startDirector(t, settings{services: web})
	d.setServer("web", netip.MustParseAddr(absent), 1)
	addresses := []netip.Addr{netip.MustParseAddr(absent), d.segment.servers[0].address}
	answers := d.segment.client.whoHas(t, 500*time.Millisecond, clientMAC, clientAddress, addresses...)
	if got := answers[addresses[0]]; len(got) > 0 {
		t.Errorf("%s is nobody's, and answered for by %v", absent, got)
	}
	if got := answers[addresses[1]]; !slices.Equal(got, []string{d.segment.servers[0].mac}) {
		t.Errorf("%s is answered for by %v, want %s alone", addresses[1], got, d.segment.servers[0].mac)
	}
}

func TestVIPsAreProbedAndAnnounced(t *testing.T) {
	s := needSegment(t)
	w := s.client.tap(t, "eth0", filterARP)
	d := startDirector(t, settings{services: web})
	wantAnnounced(t, w, vip, d.mac)

	d.must(http.MethodPut, "/v1/services/late", map[string]any{"name": "late", "vip": vip3, "protocol": "tcp", "port": 80}, nil)
	wantAnnounced(t, w, vip3, d.mac)
	if !full {
		return
	}
	eventually(t, secondRound+2*time.Second, "the second round of announcements", func() bool {
		return len(w.frames(isAnnouncement(vip3, d.mac))) == 2*announcements
	})
}

// Announcements come in two rounds.
const (
	announcements = 5
	secondRound   = 5 * time.Second // after the first
)

// wantAnnounced wants three probes that nobody answers, and then the first round of GARPs in the request form.
func wantAnnounced(t *testing.T, w *wire, address netip.Addr, mac string) {
	t.Helper()
	announcement := isAnnouncement(address, mac)
	probe := isARP(func(a arp) bool {
		return a.op == arpRequest && a.sender == unspecified && a.target == address && a.senderMAC == mac
	})
	eventually(t, 5*time.Second, "announcements of "+address.String(), func() bool { return len(w.frames(announcement)) >= announcements })
	first := w.frames(announcement)[0].at
	probes := slices.DeleteFunc(w.frames(probe), func(s seen) bool { return s.at.After(first) })
	if len(probes) < 3 {
		t.Errorf("%s was announced after %d probes, want 3 (RFC 5227)", address, len(probes))
	}
	time.Sleep(700 * time.Millisecond)
	if n := len(w.frames(announcement)); n != announcements {
		t.Errorf("%s was announced %d times, want %d", address, n, announcements)
	}
}
