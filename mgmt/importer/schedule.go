package importer

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"turnout/mgmt/store"
)

// schedule gives the service the scheduler of the file, or the nearest one to those that are not there.
func (c *collector) schedule(svc *store.Service, v *virtualService) error {
	switch asked := v.scheduler.text; {
	case asked == "mh": // IPVS's name for Maglev hashing
		svc.Scheduler = "maglev"
		if !hashesPort(v.flags) {
			svc.Maglev.Hash = store.HashSource
		}
	case asked == "sh" && hashesPort(v.flags):
		svc.Scheduler = "maglev"
		v.remark(v.scheduler.line, "scheduler sh with sh-port is not available: maglev is in its place, which hashes the client's port as well")
	case asked == "lblc" || asked == "lblcr":
		svc.Scheduler = "wlc"
		v.remark(v.scheduler.line, "scheduler %s is not available, since it would give all flows to one VIP to the same real server: wlc is in its place", asked)
	case available(asked):
		svc.Scheduler = asked
	default:
		return fmt.Errorf("scheduler %s (line %d) is not known: write wlc here, or one of the others of docs/schedulers.md, and import again",
			printable(asked), v.scheduler.line)
	}
	return nil
}

func available(scheduler string) bool {
	_, err := decodeService(map[string]any{"vip": "192.0.2.1", "protocol": "tcp", "port": 1, "scheduler": scheduler})
	return err == nil
}

// hashesPort looks for the flag by which sh and mh hash the client's port as well; flag-2 is its other name.
func hashesPort(flags []string) bool {
	return slices.ContainsFunc(flags, func(f string) bool { return f == "sh-port" || f == "mh-port" || f == "flag-2" })
}

// maxPersistence is the longest that services.yaml takes.
const maxPersistence = 24 * time.Hour

// persist keeps a client at its real server, if the file asks for it.
func (v *virtualService) persist(svc *store.Service) {
	if v.persistence.line == 0 {
		return
	}
	seconds, err := strconv.ParseUint(v.persistence.text, 10, 32)
	if err != nil || seconds == 0 {
		v.remark(v.persistence.line, "persistence of %s is no number of seconds of 1 or more: there is none", printable(v.persistence.text))
		return
	}
	asked := time.Duration(seconds) * time.Second
	svc.Persistence = store.Duration(min(asked, maxPersistence))
	if asked > maxPersistence {
		v.remark(v.persistence.line, "persistence of %d s is more than a day: %s is in its place", seconds, svc.Persistence)
	}
	v.granularity(svc)
}

// granularity takes over how many clients count as one.
func (v *virtualService) granularity(svc *store.Service) {
	if v.netmask.line == 0 {
		return
	}
	prefix, ok := prefixOf(v.netmask.text)
	if !ok {
		v.remark(v.netmask.line, "netmask %s for persistence is not one of 1 to 32 leading bits: clients are told apart by their whole address", printable(v.netmask.text))
		return
	}
	svc.PersistencePrefix = prefix
}

// prefixOf returns the length of a netmask, 255.255.255.0 or 24.
func prefixOf(netmask string) (prefix uint8, ok bool) {
	if n, err := strconv.ParseUint(netmask, 10, 8); err == nil {
		return uint8(n), n >= 1 && n <= 32
	}
	addr, err := netip.ParseAddr(netmask)
	if err != nil || !addr.Is4() {
		return 0, false
	}
	mask := addr.As4()
	word := binary.BigEndian.Uint32(mask[:])
	ones := bits.LeadingZeros32(^word)
	return uint8(ones), ones > 0 && word<<ones == 0
}
