package importer

import (
	"fmt"
	"slices"

	"turnout/mgmt/store"
)

// nearest are the schedulers to take in place of those that may not be there. All spread flows over all real servers;
// those that keep flows off some of them have no stand-in.
var nearest = map[string]string{
	"lc": "rr", "wlc": "wrr", "sed": "wrr", "nq": "wrr", "twos": "wrr", "lblc": "wrr", "lblcr": "wrr", "sh": "maglev",
}

// schedule gives the service the scheduler of the file, or the nearest one that does no harm.
func (c *collector) schedule(svc *store.Service, v *virtualService) error {
	asked := v.scheduler.text
	name := asked
	if asked == "mh" { // IPVS's name for Maglev hashing
		name = "maglev"
	}
	if !available(name) {
		name = nearest[asked]
	}
	if name == "" {
		return fmt.Errorf("scheduler %s (line %d) is not available in this version, and no other one does the same: if all real servers may get flows, "+
			"write wrr here and import again", printable(asked), v.scheduler.line)
	}
	svc.Scheduler = name
	if hashesSource(asked) && !hashesPort(v.flags) && name == "maglev" {
		svc.Maglev.Hash = store.HashSource
	}
	if v.persistence.line > 0 {
		v.persist(svc)
	} else if name != asked && asked != "mh" {
		v.remark(v.scheduler.line, "scheduler %s is not available in this version: %s is in its place%s", asked, name, hashRemark(*svc))
	}
	return nil
}

func available(scheduler string) bool {
	_, err := decodeService(map[string]any{"vip": "192.0.2.1", "protocol": "tcp", "port": 1, "scheduler": scheduler})
	return err == nil
}

func hashesSource(scheduler string) bool { return scheduler == "sh" || scheduler == "mh" }

// hashesPort looks for the flag by which sh and mh hash the client's port as well; flag-2 is its other name.
func hashesPort(flags []string) bool {
	return slices.ContainsFunc(flags, func(f string) bool { return f == "sh-port" || f == "mh-port" || f == "flag-2" })
}

func hashRemark(svc store.Service) string {
	if svc.Maglev.Hash == store.HashSource && svc.Scheduler == "maglev" {
		return " (maglev: {hash: source})"
	}
	return ""
}

// persist keeps a client at its real server by hashing the client's address, since that is what persistence is for.
func (v *virtualService) persist(svc *store.Service) {
	svc.Scheduler, svc.Maglev.Hash = "maglev", store.HashSource
	v.remark(v.persistence.line, "persistence (%s s) is not available in this version: maglev over the client's address (maglev: {hash: source}) is in its place "+
		"and in that of scheduler %s; a client keeps its real server as long as the real servers stay the same", printable(v.persistence.text), printable(v.scheduler.text))
	if v.netmask.line > 0 && v.netmask.text != "255.255.255.255" && v.netmask.text != "32" {
		v.remark(v.netmask.line, "netmask %s for persistence: clients are told apart by their whole address", printable(v.netmask.text))
	}
}
