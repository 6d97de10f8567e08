package ethdev

// QueueConf returns what a driver is given for opts; nil means its defaults.
func QueueConf(opts ...QueueOption) (socket int, rx *RxqConf, tx *TxqConf) {
	q := newQueueConf(opts)
	if c := q.rx; c != nil {
		rx = &RxqConf{
			Thresh{uint8(c.rx_thresh.pthresh), uint8(c.rx_thresh.hthresh), uint8(c.rx_thresh.wthresh)},
			uint16(c.rx_free_thresh), uint8(c.rx_drop_en), uint8(c.rx_deferred_start), uint64(c.offloads),
		}
	}
	if c := q.tx; c != nil {
		tx = &TxqConf{
			Thresh{uint8(c.tx_thresh.pthresh), uint8(c.tx_thresh.hthresh), uint8(c.tx_thresh.wthresh)},
			uint16(c.tx_rs_thresh), uint16(c.tx_free_thresh), uint8(c.tx_deferred_start), uint64(c.offloads),
		}
	}
	return int(q.socket), rx, tx
}
