package store

// PathProbe says how the way of clients' packets to a service's real servers is probed.
type PathProbe struct {
	Check   HealthCheck // whose times and counts it has; for a udp service what is sent
	Port    uint16      // L4 port of the VIP; 0: there is no probe
	RIPPort uint16      // L4 port at which the RIP answers when it is well
	Counts  bool        // it must pass for a real server to be up; false: it is for the diagnosis alone
}

// PathProbe is the probe that the service's checks ask for. The first check whose Via is ViaDR decides, else the first that
// tells of a port. Without Via, the checks by TCP of a tcp service with a port of its own are ViaDR: what clients need is
// then proven, not only that the RIP answers.
func (s *Service) PathProbe() (p PathProbe) {
	for _, c := range s.HealthChecks {
		port := s.pathPort(c)
		counts := port != 0 && s.via(c) == ViaDR
		if counts && !p.Counts || port != 0 && p.Port == 0 {
			p = PathProbe{Check: c, Port: port, RIPPort: port, Counts: counts}
			if s.asks(c) {
				p.RIPPort = c.Port
			}
		}
	}
	return p
}

// via is what c says, or what holds without it.
func (s *Service) via(c HealthCheck) Via {
	switch {
	case c.Via != "":
		return c.Via
	case s.Protocol == TCP && s.Port != 0 && s.asks(c):
		return ViaDR
	}
	return ViaRIP
}

// asks says whether c asks by the service's protocol, in a way that a real server that is well answers.
func (s *Service) asks(c HealthCheck) bool {
	switch c.Type {
	case CheckTCP, CheckHTTP, CheckHTTPS:
		return s.Protocol == TCP
	case CheckUDP:
		return s.Protocol == UDP && c.Reply && c.Send+c.SendHex != ""
	case CheckDNS:
		return s.Protocol == UDP
	}
	return false
}

// pathPort is the service's own port, else the one that c asks at; 0: nothing can be asked there. A connection needs no
// question from a check.
func (s *Service) pathPort(c HealthCheck) uint16 {
	switch {
	case c.Type == CheckNone, s.Protocol == UDP && !s.asks(c):
		return 0
	case s.Port != 0:
		return s.Port
	case s.asks(c):
		return c.Port
	}
	return 0
}
