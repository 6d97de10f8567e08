package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// seen is a captured frame.
type seen struct {
	at    time.Time // by the kernel
	frame []byte
}

// wire is a packet socket: it captures what passes an interface, both ways, and sends frames out of it.
type wire struct {
	file *os.File
	done chan struct{}

	mu   sync.Mutex
	seen []seen
}

// tap opens a packet socket on an interface of the host, until the test ends. The filter is one of filterARP and its
// like; nil takes everything.
func (h *host) tap(t *testing.T, iface string, filter []bpf.Instruction) *wire {
	t.Helper()
	w, err := h.open(iface, filter)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// open is tap for who closes the socket himself.
func (h *host) open(iface string, filter []bpf.Instruction) (*wire, error) {
	w := &wire{done: make(chan struct{})}
	err := h.do(func() (err error) {
		w.file, err = openPacketSocket(iface, filter)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("packet socket on %s of %s: %w", iface, h.name, err)
	}
	go w.read()
	return w, nil
}

func openPacketSocket(iface string, filter []bpf.Instruction) (*os.File, error) {
	link, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, err
	}
	// Protocol 0 receives nothing before the filter stands and the socket is bound.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "packet socket on "+iface)
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		attach(fd, filter),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: link.Index}),
	)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func attach(fd int, filter []bpf.Instruction) error {
	if filter == nil {
		return nil
	}
	raw, err := bpf.Assemble(filter)
	if err != nil {
		return err
	}
	program := make([]unix.SockFilter, len(raw))
	for i, op := range raw {
		program[i] = unix.SockFilter{Code: op.Op, Jt: op.Jt, Jf: op.Jf, K: op.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

func (w *wire) read() {
	defer close(w.done)
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	frame, control := make([]byte, 65536), make([]byte, 128)
	for err == nil {
		err = raw.Read(func(fd uintptr) bool {
			n, oobn, _, _, err := unix.Recvmsg(int(fd), frame, control, 0)
			if err != nil {
				return !errors.Is(err, unix.EAGAIN)
			}
			w.note(seen{stamp(control[:oobn]), slices.Clone(frame[:n])})
			return true
		})
	}
}

func (w *wire) note(s seen) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, s)
}

// stamp is the kernel's time of a frame.
func stamp(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 || len(messages[0].Data) < 16 {
		return time.Now()
	}
	b := messages[0].Data
	return time.Unix(int64(binary.NativeEndian.Uint64(b)), int64(binary.NativeEndian.Uint64(b[8:])))
}

func (w *wire) close() {
	_ = w.file.Close()
	<-w.done
}

// frames are those seen so far that keep accepts.
func (w *wire) frames(keep func([]byte) bool) (kept []seen) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.seen {
		if keep(s.frame) {
			kept = append(kept, s)
		}
	}
	return kept
}

// send sends a frame out of the interface.
func (w *wire) send(t *testing.T, frame []byte) {
	t.Helper()
	if _, err := w.file.Write(frame); err != nil {
		t.Fatalf("send a frame of %d bytes: %v", len(frame), err)
	}
}

// --- filters: what the kernel hands to a packet socket ----------------------------------------------------------------

const wholeFrame = 1 << 18

// filterARP takes ARP frames.
var filterARP = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ETH_P_ARP, SkipTrue: 1},
	bpf.RetConstant{Val: wholeFrame},
	bpf.RetConstant{Val: 0},
}

// Offsets in an IPv4 packet without options behind an Ethernet header.
const (
	offProtocol = 14 + 9
	offSource   = 14 + 12
	offTarget   = 14 + 16
	offDstPort  = 14 + 20 + 2
)

// filterFromOrTo takes IPv4 packets that come from one of the addresses or go to one.
func filterFromOrTo(from []netip.Addr, to ...netip.Addr) []bpf.Instruction {
	tests := append(addressTests(offSource, from), addressTests(offTarget, to)...)
	// A test that holds jumps to the end, over the others and the refusal.
	for i, test := range tests {
		if jump, ok := test.(bpf.JumpIf); ok {
			jump.SkipTrue = uint8(len(tests) - i)
			tests[i] = jump
		}
	}
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.ETH_P_IP, SkipTrue: uint8(len(tests))},
	}
	return append(append(program, tests...), bpf.RetConstant{Val: 0}, bpf.RetConstant{Val: wholeFrame})
}

func addressTests(offset uint32, addresses []netip.Addr) []bpf.Instruction {
	tests := []bpf.Instruction{bpf.LoadAbsolute{Off: offset, Size: 4}}
	for _, a := range addresses {
		tests = append(tests, bpf.JumpIf{Cond: bpf.JumpEqual, Val: addressWord(a)})
	}
	return tests
}

func addressWord(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// --- matchers ---------------------------------------------------------------------------------------------------------

func isIPv4(f []byte) bool { return len(f) >= 34 && binary.BigEndian.Uint16(f[12:]) == unix.ETH_P_IP }

func source(f []byte) netip.Addr { return netip.AddrFrom4([4]byte(f[offSource:])) }
func target(f []byte) netip.Addr { return netip.AddrFrom4([4]byte(f[offTarget:])) }

func protocolOf(f []byte) byte { return f[offProtocol] }

func dstMAC(f []byte) string { return net.HardwareAddr(f[:6]).String() }
func srcMAC(f []byte) string { return net.HardwareAddr(f[6:12]).String() }

func sourcePort(f []byte) uint16      { return binary.BigEndian.Uint16(f[offDstPort-2:]) }
func destinationPort(f []byte) uint16 { return binary.BigEndian.Uint16(f[offDstPort:]) }

// isTo matches TCP or UDP packets to an address and port.
func isTo(address netip.Addr, port uint16) func([]byte) bool {
	return func(f []byte) bool {
		return isIPv4(f) && protocolOf(f) != unix.IPPROTO_ICMP && target(f) == address && len(f) >= offDstPort+2 && destinationPort(f) == port
	}
}

// describe is a frame in one line, for messages.
func describe(f []byte) string {
	if !isIPv4(f) {
		return fmt.Sprintf("%s > %s, EtherType %#04x, %d bytes", srcMAC(f), dstMAC(f), binary.BigEndian.Uint16(f[12:]), len(f))
	}
	return fmt.Sprintf("%s > %s, %s > %s, protocol %d, %d bytes", srcMAC(f), dstMAC(f), source(f), target(f), protocolOf(f), len(f))
}
