package lcore_test

import (
	"math/big"
	"net/netip"

	"turnout/flowtable"
	"turnout/lcore"
	"turnout/lcore/frame"
)

// What the twin looks at: templates, services, who may send where.

// template is that of the flow's client, if it is not expired.
func (w *twin) template(svc *lcore.ServiceSpec, id flowID) *flowtable.Template {
	m := w.made[clientOf(id, svc.PersistencePrefix)]
	if svc.Persistence == 0 || m == nil || m.Flows == 0 && int32(w.now-m.Expiry) >= 0 {
		return nil
	}
	return m
}

// named is the template of the flow's client, if its real server gets new flows.
func (w *twin) named(svc *lcore.ServiceSpec, id flowID) *flowtable.Template {
	if m := w.template(svc, id); m != nil && svc.Reals[m.Slot].State == lcore.RealUp {
		return m
	}
	return nil
}

func clientOf(id flowID, prefix uint8) flowtable.Client {
	network := netip.PrefixFrom(id.client, int(prefix)).Masked().Addr().As4()
	return flowtable.Client(uint64(number(network[:]))<<16 | uint64(id.service))
}

// pin has the client's template name the flow's real server, and count the flow.
func (w *twin) pin(svc *lcore.ServiceSpec, id flowID, f *twinFlow) {
	if svc.Persistence == 0 {
		return
	}
	c := clientOf(id, svc.PersistencePrefix)
	if w.template(svc, id) == nil {
		w.made[c] = &flowtable.Template{Client: c}
	}
	w.made[c].Slot = f.slot
	w.made[c].Flows++
	f.pinned = 1 + svc.PersistencePrefix
}

func (w *twin) unpin(id flowID, f *twinFlow) {
	if f.pinned == 0 {
		return
	}
	m := w.made[clientOf(id, f.pinned-1)]
	if m.Flows--; m.Flows == 0 {
		m.Expiry = w.now + w.serviceByID(id.service).Persistence
	}
}

// end takes a flow out.
func (w *twin) end(id flowID) {
	w.unpin(id, w.flows[id])
	delete(w.flows, id)
}

func (w *twin) serviceByID(id uint16) *lcore.ServiceSpec {
	for i := range w.spec.Services {
		if w.spec.Services[i].ID == id {
			return &w.spec.Services[i]
		}
	}
	return nil
}

// hash is the keyed hash of a flow that every director computes alike.
func (w *twin) hash(svc *lcore.ServiceSpec, id flowID) uint64 {
	client, vip := id.client.As4(), address(svc.VIP).As4()
	ports := uint64(id.clientPort)*65536 + uint64(id.vipPort)
	switch {
	case svc.Hash == lcore.HashDestination:
		client, ports = [4]byte{}, 0
	case svc.Persistence != 0:
		client, ports = netip.PrefixFrom(id.client, int(svc.PersistencePrefix)).Masked().Addr().As4(), 0
	case svc.Hash == lcore.HashSource:
		ports = 0
	}
	key := w.spec.MaglevKey
	h := foldedProduct(uint64(number(client[:]))<<32^uint64(number(vip[:]))^key[0], ports^key[1])
	return foldedProduct(h^key[1], key[0])
}

// foldedProduct multiplies and combines the halves of the 128 bits.
func foldedProduct(a, b uint64) uint64 {
	p := new(big.Int).Mul(new(big.Int).SetUint64(a), new(big.Int).SetUint64(b))
	low := new(big.Int).And(p, new(big.Int).SetUint64(1<<64-1))
	return low.Uint64() ^ p.Rsh(p, 64).Uint64()
}

func (w *twin) isVIP(a netip.Addr) bool {
	for _, svc := range w.spec.Services {
		if !svc.Withdrawn && address(svc.VIP) == a {
			return true
		}
	}
	return false
}

// service finds the service of a VIP, protocol and port, or that of every port.
func (w *twin) service(vip netip.Addr, protocol uint8, port uint16) (found *lcore.ServiceSpec) {
	for i := range w.spec.Services {
		svc := &w.spec.Services[i]
		if svc.Withdrawn || address(svc.VIP) != vip || svc.Protocol != protocol {
			continue
		}
		if svc.Port == port {
			return svc
		}
		if svc.Port == 0 {
			found = svc
		}
	}
	return found
}

// isReal says whether a MAC is that of a real server of any service.
func (w *twin) isReal(mac frame.MAC) bool {
	for _, svc := range w.spec.Services {
		for _, r := range svc.Reals {
			if !svc.Withdrawn && r.MAC == mac && mac != (frame.MAC{}) {
				return true
			}
		}
	}
	return false
}

// forbidden says whether a MAC is that of a peer director or of a real server behind the VIP.
func (w *twin) forbidden(mac frame.MAC, vip netip.Addr) bool {
	if mac == (frame.MAC{}) {
		return false
	}
	for _, peer := range w.spec.PeerMACs {
		if peer == mac {
			return true
		}
	}
	for _, svc := range w.spec.Services {
		if svc.Withdrawn || address(svc.VIP) != vip {
			continue
		}
		for _, r := range svc.Reals {
			if r.MAC == mac {
				return true
			}
		}
	}
	return false
}

// number reads a big-endian number.
func number(b []byte) (n int) {
	for _, digit := range b {
		n = n*256 + int(digit)
	}
	return n
}

func address(v uint32) netip.Addr { return netip.AddrFrom4([4]byte(fourBytes(v))) }
