package lcore

// Verdict is what becomes of a frame. The zero value drops.
type Verdict uint8

// The verdicts.
const (
	Drop    Verdict = iota // released, and counted by a Reason
	Forward                // sent out of the port; its MAC addresses are rewritten
	Punt                   // copied to the management, then released
)

// Reason says why a frame was dropped: a closed list, each with a golden story.
type Reason uint8

// The reasons. Their names (String) are label values of turnout_drops_total.
const (
	ReasonTooShort       Reason = iota // the frame ends before the headers it announces
	ReasonNotForUs                     // addressed to another MAC
	ReasonLoop                         // came from ourselves, a peer director or a real server of the same VIP, or would go back where it came from
	ReasonBadVersion                   // EtherType says IPv4, the version field does not
	ReasonBadHeader                    // IHL under 5
	ReasonBadLength                    // the IPv4 total length is shorter than its headers or longer than the frame
	ReasonFragment                     // a fragment for a VIP
	ReasonProtocol                     // a protocol that no virtual service can have, for a VIP
	ReasonICMP                         // ICMP other than an echo request, or a real server's echo reply, for a VIP
	ReasonNoService                    // to a VIP, to a port without a service
	ReasonNoRealServer                 // no real server of the service can take the flow
	ReasonRealServerDown               // of a flow whose real server is down, and which is not to be scheduled again
	ReasonNoFlow                       // TCP of a flow that is not known, and not its SYN, where that is asked for
	ReasonStandby                      // to a VIP, while the role is standby
	ReasonPuntLimited                  // over the punt limit of its kind
	ReasonPuntFull                     // the punt ring was full
	Reasons                            // how many there are
)

var reasonNames = [Reasons]string{
	ReasonTooShort: "too_short", ReasonNotForUs: "not_for_us", ReasonLoop: "loop", ReasonBadVersion: "bad_version",
	ReasonBadHeader: "bad_header", ReasonBadLength: "bad_length", ReasonFragment: "fragment", ReasonProtocol: "protocol", ReasonICMP: "icmp",
	ReasonNoService: "no_service", ReasonNoRealServer: "no_real_server", ReasonRealServerDown: "real_server_down", ReasonNoFlow: "no_flow",
	ReasonStandby: "standby", ReasonPuntLimited: "punt_limited", ReasonPuntFull: "punt_full",
}

// String is the reason's name in metrics, golden stories and documents.
func (r Reason) String() string { return reasonNames[r] }

// PuntKind sorts punted frames: each kind has a limit of its own, and the management handles them by kind.
type PuntKind uint8

// The kinds. Their names (String) are label values of turnout_punted_packets_total.
const (
	PuntARP         PuntKind = iota // ARP requests and replies, broadcast or to our MAC
	PuntEcho                        // ICMP echo requests to a VIP
	PuntReply                       // from a real server to the DIP, or an echo reply to a VIP: answers to checks and probes
	PuntVRRP                        // VRRP to the DIP or by multicast: what decides between the directors of a pair
	PuntDIP                         // to the DIP, from elsewhere: ssh, ping
	PuntOther                       // what else the kernel may want: broadcast, multicast, other addresses
	PuntUnreachable                 // for a service without a real server, whose client is to be told
	PuntKinds                       // how many there are
)

var puntNames = [PuntKinds]string{
	PuntARP: "arp", PuntEcho: "echo", PuntReply: "reply", PuntVRRP: "vrrp", PuntDIP: "dip", PuntOther: "other",
	PuntUnreachable: "unreachable",
}

// String is the kind's name in metrics.
func (k PuntKind) String() string { return puntNames[k] }

// InjectKind tells the books where an injected frame came from.
type InjectKind uint8

// The kinds of injected frames.
const (
	InjectKernel    InjectKind = iota // sent by the director's kernel through its interface
	InjectGenerated                   // made by turnout: ARP for VIPs, echo replies, ICMP errors
)
