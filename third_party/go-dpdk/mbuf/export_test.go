package mbuf

// HeaderLen is the length in bytes of what PushHeader pushes.
const HeaderLen = 14

// PushHeader makes room at the front, as rte_pktmbuf_prepend does.
func (m *Mbuf) PushHeader() {
	m.data_off -= HeaderLen
	m.data_len += HeaderLen
	m.pkt_len += HeaderLen
}

// NextLen is the length in bytes of the segment that Chain adds.
const NextLen = 1500

// Chain makes the packet longer than this segment.
func (m *Mbuf) Chain() { m.pkt_len += NextLen }
