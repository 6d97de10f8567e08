package probe

import (
	"errors"
	"fmt"
	"net/netip"

	"turnout/lcore/frame"
)

// Answer is what a question, a SYN or a datagram, was answered with.
type Answer uint8

// The answers.
const (
	Silence  Answer = iota
	Accepted        // a SYN-ACK, or an answer to a datagram
	Reset           // a RST, or port unreachable for a datagram: nobody listens
	Refused         // an ICMP error from the address itself: a packet filter says no
)

// Evidence is what an exchange has brought.
type Evidence struct {
	Target
	DIP                netip.Addr
	Busy               bool      // too many exchanges are under way: nothing was sent
	SentTo             frame.MAC // where; zero: it is not known, nothing was sent
	Answer             Answer    // of VIP:port
	ICMPType, ICMPCode uint8     // of an Answer that is Refused
	RIPAnswer          Answer    // of the RIP, in a frame for the same MAC; asked unless Answer is Accepted
	VIPEcho, RIPEcho   bool      // an echo request was answered; asked after silence
	Forged             bool      // an echo request from the VIP to the RIP was sent; asked after silence
	NotHere            bool      // it was answered, or packets to the VIP went on from there: the VIP is not on the real server
	Resolved           frame.MAC // who answers ARP for the RIP; looked up when the real server is silent; zero: nobody
}

// Diagnosis is what is wrong with a way, in one word. The zero value: it was not looked at.
type Diagnosis string

// The diagnoses. docs/diagnoses.md tells how each is told from the others.
const (
	OK                 Diagnosis = "ok"
	RIPDown            Diagnosis = "rip_down"
	NoNeighbour        Diagnosis = "no_neighbour"
	WrongMAC           Diagnosis = "wrong_mac"
	VIPNotOnRealServer Diagnosis = "vip_not_on_real_server"
	ServiceNotOnVIP    Diagnosis = "service_not_on_vip"
	ReplyPathBlocked   Diagnosis = "reply_path_blocked"
)

// Diagnoses lists all of them.
var Diagnoses = [...]Diagnosis{OK, RIPDown, NoNeighbour, WrongMAC, VIPNotOnRealServer, ServiceNotOnVIP, ReplyPathBlocked}

// Finding is a diagnosis with its reason.
type Finding struct {
	Diagnosis
	Why  string // one line, for people; empty for OK
	Mend string // commands that show or mend it, one a line; empty for OK
}

// errBusy says nothing of a real server.
var errBusy = errors.New("too many path probes are under way: let interval be longer, or timeout shorter")

// Err is nil if the way is open.
func (e *Evidence) Err() error {
	switch {
	case e.Busy:
		return errBusy
	case e.Answer == Accepted:
		return nil
	}
	f := e.Diagnose("")
	return errors.New(string(f.Diagnosis) + ": " + f.Why)
}

// settled says whether there is nothing to wait for.
func (e *Evidence) settled() bool {
	switch e.Answer {
	case Accepted, Refused:
		return true
	case Reset:
		return e.RIPAnswer != Silence
	}
	return e.NotHere
}

// present says whether the real server itself is at the MAC.
func (e *Evidence) present() bool {
	return e.RIPAnswer != Silence || e.RIPEcho || e.VIPEcho || e.NotHere
}

// Diagnose draws the conclusion. check is why the plain check of the RIP failed last; empty: it passed.
func (e *Evidence) Diagnose(check string) Finding {
	switch {
	case e.Busy:
		return Finding{}
	case e.SentTo == frame.MAC{}:
		return e.finding(NoNeighbour, "it has never answered ARP")
	case check != "" && (e.Answer != Silence || e.present()):
		return e.finding(RIPDown, "%s", check)
	}
	switch e.Answer {
	case Accepted:
		return Finding{Diagnosis: OK}
	case Reset:
		return e.afterReset()
	case Refused:
		return e.finding(ReplyPathBlocked, "a packet filter there refuses packets to %v by ICMP (type %d, code %d)", e.VIP, e.ICMPType, e.ICMPCode)
	}
	if e.present() {
		return e.afterSilence()
	}
	return e.absent(check)
}

// afterReset: somebody has the VIP, and nobody listens.
func (e *Evidence) afterReset() Finding {
	if e.RIPAnswer == Reset && e.RIP.Port() == e.VIP.Port() {
		return e.finding(RIPDown, "nobody listens on port %d, neither on the RIP nor on the VIP", e.VIP.Port())
	}
	return e.finding(ServiceNotOnVIP, "the VIP is there, but nobody listens on %v: the service may be bound to the RIP alone", e.VIP)
}

// afterSilence: the real server is there, but says nothing from the VIP.
func (e *Evidence) afterSilence() Finding {
	vip := e.VIP.Addr()
	switch {
	case e.NotHere:
		return e.finding(VIPNotOnRealServer, "%v is no address of the real server", vip)
	case e.VIPEcho:
		return e.finding(ReplyPathBlocked, "%v answers ping there, but nothing comes back from its port %d", vip, e.VIP.Port())
	case e.Forged && e.RIPEcho:
		return e.finding(ReplyPathBlocked, "the real server has %v, but no answer from it comes out", vip)
	}
	return e.finding(VIPNotOnRealServer, "nothing comes back from %v: it is no address of the real server, or its answers are blocked", vip)
}

// absent: nothing comes back from the MAC at all.
func (e *Evidence) absent(check string) Finding {
	switch {
	case e.Resolved == frame.MAC{} && e.Target.MAC == frame.MAC{}:
		return e.finding(NoNeighbour, "it no longer answers ARP; it was at %v", e.SentTo)
	case e.Resolved != frame.MAC{} && e.Resolved != e.SentTo:
		return e.finding(WrongMAC, "packets go to %v, where nobody answers, while ARP says that %v is at %v", e.SentTo, e.RIP.Addr(), e.Resolved)
	case check != "":
		return e.finding(RIPDown, "%s", check)
	}
	return e.finding(RIPDown, "nothing comes back from %v, at %v", e.RIP, e.SentTo)
}

func (e *Evidence) finding(d Diagnosis, why string, args ...any) Finding {
	return Finding{Diagnosis: d, Why: fmt.Sprintf(why, args...), Mend: e.mend(d)}
}

// mend are the commands for a diagnosis.
func (e *Evidence) mend(d Diagnosis) string {
	rip, vip := e.RIP.Addr(), e.VIP.Addr()
	sockets := "-lnt"
	if e.Datagram != "" {
		sockets = "-lnu"
	}
	listens := fmt.Sprintf("ssh root@%v \"ss %s 'sport = :%d'\"", rip, sockets, e.VIP.Port())
	switch d {
	case RIPDown:
		return listens
	case NoNeighbour:
		return fmt.Sprintf("ping -c 3 %v\nip neigh show %[1]v", rip)
	case WrongMAC:
		return fmt.Sprintf("ip neigh show %v\nsystemctl reload turnout    # once its mac is deleted or corrected in services.yaml", rip)
	case VIPNotOnRealServer:
		return fmt.Sprintf("turnout realserver --vip %v --dev NIC | ssh root@%v sh", vip, rip)
	case ServiceNotOnVIP:
		return fmt.Sprintf("%s    # have it listen on %v or 0.0.0.0", listens, vip)
	case ReplyPathBlocked:
		return fmt.Sprintf("ssh root@%v nft list ruleset\nssh root@%[1]v ip route get %v from %v", rip, e.DIP, vip)
	}
	return ""
}
