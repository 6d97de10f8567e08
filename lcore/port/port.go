package port

/*
#cgo pkg-config: libdpdk
#include <rte_ethdev.h>

static int rss_functions(uint16_t port, uint64_t *functions) {
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(port, &info);

	*functions = rc == 0 ? info.flow_type_rss_offloads : 0;
	return rc;
}
*/
import "C"

import (
	"errors"
	"fmt"

	"github.com/yerden/go-dpdk/eal"
	"github.com/yerden/go-dpdk/ethdev"
	"github.com/yerden/go-dpdk/mempool"

	"turnout/lcore"
	"turnout/lcore/frame"
)

// Config is how a port is set up.
type Config struct {
	Name          string
	Device        string // a PCI address or a vdev string
	MTU           int
	Lcores        []int // CPUs that poll: a queue each
	RxDescriptors int
	TxDescriptors int
	Adaptive      bool // lcores may sleep when nothing comes
	MemoryMB      int  // what DPDK has in all, for the mbuf budget
}

// Port is a DPDK port that has been set up.
type Port struct {
	config     Config
	id         ethdev.Port
	info       ethdev.DevInfo
	mac        frame.MAC
	pool       *mempool.Mempool
	queues     []*Queue
	interrupts bool
	rss        uint64 // hash functions in use; 0: none
	notes      []string
	started    bool
	tap        *tapEnd // nil: not a net_tap device
}

// Link is the state of a port's link.
type Link struct {
	Up        bool
	SpeedMbps uint32 // 0: unknown
}

// Stats are the device's own counts of what it could not deliver.
type Stats struct {
	RxMissed uint64 // the receive ring was full
	RxErrors uint64 // damaged frames
	RxNoMbuf uint64 // no mbuf was free
	TxErrors uint64
}

// Open sets a port and its queues up; Start makes them receive. EAL must run.
func Open(c Config) (*Port, error) {
	p := &Port{config: c}
	if err := p.open(); err != nil {
		p.Close()
		return nil, fmt.Errorf("port %s (%s): %w", c.Name, c.Device, err)
	}
	return p, nil
}

func (p *Port) open() error {
	id, err := ethdev.GetPortByName(deviceName(p.config.Device))
	if err != nil {
		return fmt.Errorf("DPDK has no driver for this device, or could not start it (its log is above): is the package with the driver installed? %w", err)
	}
	p.id = id
	for _, step := range []func() error{p.readInfo, p.makePool, p.configure, p.setUpQueues, p.setMTU} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Port) readInfo() error {
	var info ethdev.DevInfo // cgo wants it in no struct that holds Go pointers
	if err := p.id.InfoGet(&info); err != nil {
		return fmt.Errorf("read what the device can do: %w", err)
	}
	p.info = info
	if p.Driver() == "net_tap" {
		p.tap = findTAP(tapInterface(p.config.Device))
		if err := quiet(tapInterface(p.config.Device)); err != nil {
			return err
		}
	}
	if err := p.assign(); err != nil {
		return err
	}
	var addr ethdev.MACAddr
	if err := p.id.MACAddrGet(&addr); err != nil {
		return fmt.Errorf("read the MAC address: %w", err)
	}
	p.mac = frame.MAC(addr.HardwareAddr())
	return nil
}

// assign gives every lcore a queue.
func (p *Port) assign() (err error) {
	cpus := make([]lcore.CPU, len(p.config.Lcores))
	for i, id := range p.config.Lcores {
		cpus[i] = lcore.CPU{ID: id, Socket: int(eal.LcoreToSocket(uint(id)))}
	}
	p.findRSS()
	p.notes, err = lcore.Assign(cpus, lcore.Device{
		Name: p.config.Name, Queues: int(min(p.info.MaxRxQueues(), p.info.MaxTxQueues())), Socket: p.Socket(), RSS: p.rss != 0,
	})
	return err
}

// findRSS chooses the hash functions for spreading flows over several queues.
func (p *Port) findRSS() {
	var functions C.uint64_t
	if len(p.config.Lcores) > 1 && C.rss_functions(C.uint16_t(p.id), &functions) == 0 {
		p.rss = uint64(functions) & (C.RTE_ETH_RSS_IP | C.RTE_ETH_RSS_TCP | C.RTE_ETH_RSS_UDP)
	}
}

func (p *Port) makePool() error {
	n := mbufBudget(p.Queues(), p.config.RxDescriptors, p.config.TxDescriptors)
	room := mbufRoom(p.config.MTU)
	if err := checkBudget(p.config.Name, n, room, p.config.MemoryMB); err != nil {
		return err
	}
	pool, err := mempool.CreateMbufPool(fmt.Sprintf("mbufs-%d", p.id), uint32(n), room,
		mempool.OptCacheSize(mbufCache), mempool.OptSocket(p.Socket()))
	if err != nil {
		return fmt.Errorf("make a pool of %d mbufs: %w", n, err)
	}
	p.pool = pool
	return nil
}

// configure asks for RSS over addresses and ports, and for rx interrupts where lcores may sleep, and goes without what
// the device does not have.
func (p *Port) configure() error {
	n := uint16(p.Queues())
	options := []ethdev.Option{p.rxMode()}
	if p.rss != 0 {
		options = append(options, ethdev.OptRss(ethdev.RssConf{Hf: p.rss}))
	}
	if p.config.Adaptive {
		withInterrupts := append(options, ethdev.OptIntrConf(ethdev.IntrConf{RXQ: true}))
		if p.id.DevConfigure(n, n, withInterrupts...) == nil {
			p.interrupts = true
			return nil
		}
	}
	if err := p.id.DevConfigure(n, n, options...); err != nil {
		return fmt.Errorf("configure %d queues: %w", n, err)
	}
	return nil
}

func (p *Port) rxMode() ethdev.Option {
	mode := ethdev.RxMode{MTU: uint32(p.config.MTU)}
	if p.rss != 0 {
		mode.MqMode = C.RTE_ETH_MQ_RX_RSS
		mode.Offloads = C.RTE_ETH_RX_OFFLOAD_RSS_HASH
		if !p.offersRSSHash() {
			mode.Offloads = 0
		}
	}
	return ethdev.OptRxMode(mode)
}

func (p *Port) offersRSSHash() bool {
	var info C.struct_rte_eth_dev_info
	return C.rte_eth_dev_info_get(C.uint16_t(p.id), &info) == 0 && info.rx_offload_capa&C.RTE_ETH_RX_OFFLOAD_RSS_HASH != 0
}

func (p *Port) setUpQueues() error {
	for i := range uint16(p.Queues()) {
		socket := ethdev.OptSocket(p.Socket())
		if err := p.id.RxqSetup(i, uint16(p.config.RxDescriptors), p.pool, socket); err != nil {
			return fmt.Errorf("set receive queue %d up with %d descriptors: %w", i, p.config.RxDescriptors, err)
		}
		if err := p.id.TxqSetup(i, uint16(p.config.TxDescriptors), socket); err != nil {
			return fmt.Errorf("set transmit queue %d up with %d descriptors: %w", i, p.config.TxDescriptors, err)
		}
	}
	return nil
}

// setMTU sets the MTU where it is not yet so. A driver that cannot set one is left at what it has, if that is enough.
func (p *Port) setMTU() error {
	have, err := p.id.GetMTU()
	if err == nil && int(have) == p.config.MTU {
		return nil
	}
	if err := p.id.SetMTU(uint16(p.config.MTU)); err != nil && int(have) < p.config.MTU {
		return fmt.Errorf("set the MTU to %d (it is %d): %w", p.config.MTU, have, err)
	}
	return nil
}

// Queue makes the next queue, the first being 0, with the ring whose frames it sends. Call it before Start, once for
// each queue.
func (p *Port) Queue(inject *lcore.Ring) *Queue {
	q := newQueue(p, len(p.queues), inject)
	p.queues = append(p.queues, q)
	return q
}

// Start makes the port receive.
func (p *Port) Start() error {
	if err := p.id.Start(); err != nil {
		return fmt.Errorf("start port %s: %w", p.config.Name, err)
	}
	p.started = true
	// Routing daemons and keepalived on the kernel interface live on multicast; a driver that cannot filter passes it anyway.
	C.rte_eth_allmulticast_enable(C.uint16_t(p.id))
	return nil
}

// Close stops the port and releases its queues and mbufs. No lcore may poll it any more.
func (p *Port) Close() {
	if p.started {
		p.id.Stop()
		p.started = false
	}
	if p.tap != nil {
		p.tap.close()
		p.tap = nil
	}
	if p.info.DriverName() != "" {
		p.id.Close()
		p.info = ethdev.DevInfo{}
	}
	for _, q := range p.queues {
		q.free()
	}
	p.queues = nil
	if p.pool != nil {
		p.pool.Free()
		p.pool = nil
	}
}

// MAC is the port's own address.
func (p *Port) MAC() frame.MAC { return p.mac }

// Name is the port's name in the configuration.
func (p *Port) Name() string { return p.config.Name }

// Driver is the name of the DPDK driver.
func (p *Port) Driver() string { return p.info.DriverName() }

// Socket is the NUMA node that the device is on, or 0.
func (p *Port) Socket() int { return max(p.id.SocketID(), 0) }

// Notes are remarks on how lcores and device go together.
func (p *Port) Notes() []string { return p.notes }

// MbufsInUse is how many mbufs are out of the pool.
func (p *Port) MbufsInUse() int { return p.pool.InUseCount() }

// Link reads the state of the link without waiting. One goroutine only may call it.
func (p *Port) Link() (Link, error) {
	l, err := p.id.EthLinkGetNowait()
	if err != nil {
		return Link{}, fmt.Errorf("read the link of port %s: %w", p.config.Name, err)
	}
	link := Link{Up: l.Status(), SpeedMbps: knownSpeed(l.Speed())}
	if p.tap != nil {
		link.Up, err = p.tap.up()
	}
	return link, err
}

// knownSpeed is 0 where the driver, as virtio's, does not know the speed of its link.
func knownSpeed(mbps uint32) uint32 {
	if mbps == C.RTE_ETH_SPEED_NUM_UNKNOWN {
		return 0
	}
	return mbps
}

// RSS is how the started port spreads flows over its queues; nil where it has one only, or does not tell.
func (p *Port) RSS() *lcore.RSS {
	if p.rss == 0 || p.Queues() < 2 {
		return nil
	}
	hash := ethdev.RssConf{Key: make([]byte, longestRSSKey)}
	groups := make([]ethdev.RssRetaEntry64, (p.info.RetaSize()+retaGroup-1)/retaGroup)
	for i := range groups {
		*groups[i].Mask() = 1<<64 - 1
	}
	if p.id.RssHashConfGet(&hash) != nil || p.id.RssRetaQuery(groups, p.info.RetaSize()) != nil {
		return nil
	}
	r := &lcore.RSS{Key: hash.Key}
	for i := range groups {
		r.Table = append(r.Table, groups[i].Reta()...)
	}
	r.Table = r.Table[:p.info.RetaSize()]
	return r
}

const (
	retaGroup     = 64 // entries of the redirection table that are read at once
	longestRSSKey = 64 // bytes
)

// Stats reads the device's counts.
func (p *Port) Stats() (Stats, error) {
	var s ethdev.Stats
	if err := p.id.StatsGet(&s); err != nil {
		return Stats{}, errors.Join(fmt.Errorf("read the counts of port %s", p.config.Name), err)
	}
	g := s.Cast()
	return Stats{RxMissed: g.Imissed, RxErrors: g.Ierrors, RxNoMbuf: g.RxNoMbuf, TxErrors: g.Oerrors}, nil
}

// Queues is the number of queue pairs.
func (p *Port) Queues() int { return len(p.config.Lcores) }
