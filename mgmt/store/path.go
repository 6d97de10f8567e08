package store

// PathProbe tells how the way of clients' packets to the service's real servers is probed: with the times and counts of the
// check, at the L4 port. counts says whether the probe must pass for a real server to be up; if not, it is for the diagnosis
// alone. port 0: there is no probe, since nothing is checked or there is no TCP port.
//
// The first check whose Via is ViaDR decides, else the first one. Without Via, the checks by TCP of a tcp service with a
// port of its own are ViaDR: what clients need is then proven, not only that the RIP answers.
func (s *Service) PathProbe() (check HealthCheck, port uint16, counts bool) {
	for _, c := range s.HealthChecks {
		if s.via(c) == ViaDR {
			return c, s.pathPort(c), true
		}
	}
	if len(s.HealthChecks) == 0 || s.HealthChecks[0].Type == CheckNone {
		return HealthCheck{}, 0, false
	}
	return s.HealthChecks[0], s.pathPort(s.HealthChecks[0]), false
}

// via is what c says, or what holds without it.
func (s *Service) via(c HealthCheck) Via {
	switch {
	case c.Via != "":
		return c.Via
	case s.Protocol == TCP && s.Port != 0 && c.byTCP():
		return ViaDR
	}
	return ViaRIP
}

func (c HealthCheck) byTCP() bool {
	return c.Type == CheckTCP || c.Type == CheckHTTP || c.Type == CheckHTTPS
}

// pathPort is the service's own port, else the one that c connects to; 0: there is none for TCP.
func (s *Service) pathPort(c HealthCheck) uint16 {
	switch {
	case s.Protocol != TCP:
		return 0
	case s.Port != 0:
		return s.Port
	case c.byTCP():
		return c.Port
	}
	return 0
}

// RIPPort is the L4 port at which a real server's RIP answers when it is well: that of a check by TCP, else that of the path
// probe.
func (c HealthCheck) RIPPort(path uint16) uint16 {
	if c.byTCP() && c.Port != 0 {
		return c.Port
	}
	return path
}
