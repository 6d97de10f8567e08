package port

import "fmt"

// mbufCache is how many mbufs an lcore keeps at hand of a pool (RTE_MEMPOOL_CACHE_MAX_SIZE is 512). DPDK lets the cache
// grow to one and a half times that before it gives some back.
const mbufCache = 256

// inFlight is how many mbufs a worker holds at once: the burst it decides and the one it sends, and a burst of
// injected frames.
const inFlight = 2*64 + 32

// mbufRoom is the room in an mbuf for a frame of the port's MTU: DPDK's headroom, two VLAN tags and the checksum come on
// top. Below 2048 + headroom many devices split frames.
func mbufRoom(mtu int) uint16 {
	const headroom, ethernet = 128, 14 + 8 + 4
	return uint16(max(2048, mtu+ethernet) + headroom)
}

// mbufBudget is how many mbufs a port with so many queue pairs can hold at most: full rings, full caches, and what the
// workers have in hand. With one more a receive ring never starves.
func mbufBudget(queues, rxDescriptors, txDescriptors int) int {
	return queues*(rxDescriptors+txDescriptors+mbufCache*3/2+inFlight) + 1
}

// mbufMB is the memory that so many mbufs take, in MB rounded up; 256 bytes each are for the mbuf itself and alignment.
func mbufMB(mbufs int, room uint16) int {
	return (mbufs*(int(room)+256) + 1<<20 - 1) >> 20
}

func checkBudget(name string, mbufs int, room uint16, memoryMB int) error {
	// EAL itself, the ports' private data and fragmentation take their share.
	const overheadMB = 16
	if need := mbufMB(mbufs, room) + overheadMB; need > memoryMB {
		return fmt.Errorf("port %s needs %d mbufs, %d MB in all, and dpdk.memory_mb is %d: raise dpdk.memory_mb or lower rx_descriptors and tx_descriptors",
			name, mbufs, need, memoryMB)
	}
	return nil
}
