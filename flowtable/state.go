package flowtable

// A State is where a flow stands, as far as a director that sees only the
// client's packets can tell. The names and transitions are those of IPVS's
// INPUT-ONLY table; the states that it cannot reach from None (SYN_SENT,
// CLOSE_WAIT, LAST_ACK, LISTEN, SYNACK) do not exist here. Its SYN_RECV is two
// states here, lest a handshake be counted twice.
type State uint8

// The states.
const (
	None State = iota
	SynReceived
	Established
	FinWait
	TimeWait
	Close
	UDP
	SynSettled // SYN_RECEIVED, but how its handshake ended is known: the client has reset it, or the flow was moved
	states     // how many there are
)

var stateNames = [states]string{"none", "syn_received", "established", "fin_wait", "time_wait", "close", "udp", "syn_received"}

// String returns the state's name as the API and the configuration spell it.
func (s State) String() string {
	if s < states {
		return stateNames[s]
	}
	return "unknown"
}

// Reusable tells whether a SYN in this state opens a new connection, to be
// scheduled anew, with the ports of an old one.
func (s State) Reusable() bool {
	return s >= FinWait && s <= Close
}

// evictable tells whether a full table may drop the flow for a new one: what
// is being opened or closed, never what may be carrying data.
func (s State) evictable() bool {
	return s != Established && s != UDP
}

// TCP flags as in octet 13 of the header (RFC 9293 section 3.1).
const (
	flagFIN  = 0x01
	flagSYN  = 0x02
	flagRST  = 0x04
	flagACK  = 0x10
	flagMask = 0x1f // the four above fit in the low five bits
)

// Next returns the TCP state after a client's packet with these flags, of
// which RST counts first, then SYN, FIN and ACK; with none of them the flow
// closes. None with an ACK is Established: it is a connection that another
// director, or this one before a restart, has set up.
func (s State) Next(flags uint8) State {
	return transitions[uint8(s)<<5|flags&flagMask] &^ again
}

// Steady tells whether a packet with these flags neither changes the state nor
// is a SYN said again in SYN_RECEIVED.
func (s State) Steady(flags uint8) bool {
	return transitions[uint8(s)<<5|flags&flagMask] == s
}

// again marks, in transitions, what changes no state and is of interest yet.
const again State = 0x80

// A step is one row of the state table: the state after an event, by the state
// before it.
type step [states]State

var (
	onRST  = step{Close, SynSettled, Close, Close, Close, Close, UDP, SynSettled}
	onSYN  = step{SynReceived, SynReceived | again, Established, SynReceived, SynReceived, SynReceived, UDP, SynReceived}
	onFIN  = step{Close, TimeWait, FinWait, FinWait, TimeWait, Close, UDP, TimeWait}
	onACK  = step{Established, Established, Established, FinWait, TimeWait, Close, UDP, Established}
	onNone = step{Close, Close, Close, Close, Close, Close, UDP, Close}
)

// transitions is indexed by a state (3 bits) and flags (5 bits), so that an
// index of one byte needs no bounds check.
var transitions = func() (table [256]State) {
	for s := range states {
		for flags := range uint8(flagMask + 1) {
			table[uint8(s)<<5|flags] = rowOf(flags)[s]
		}
	}
	return table
}()

func rowOf(flags uint8) *step {
	switch {
	case flags&flagRST != 0:
		return &onRST
	case flags&flagSYN != 0:
		return &onSYN
	case flags&flagFIN != 0:
		return &onFIN
	case flags&flagACK != 0:
		return &onACK
	}
	return &onNone
}
