package lcore_test

import (
	"encoding/hex"
	"testing"

	"turnout/lcore"
)

// verificationKey is the key of Microsoft's RSS verification suite, which all NICs are held to.
const verificationKey = "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa"

func TestQueueByToeplitz(t *testing.T) {
	key, err := hex.DecodeString(verificationKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		client, vip         string
		clientPort, vipPort uint16
		hash                uint32
	}{
		{"66.9.149.187", "161.142.100.80", 2794, 1766, 0x51ccc178},
		{"199.92.111.2", "65.69.140.83", 14230, 4739, 0xc626b0ea},
		{"24.19.198.95", "12.22.207.184", 12898, 38024, 0x5c2b394a},
		{"38.27.205.30", "209.142.163.6", 48228, 2217, 0xafc7327f},
		{"153.39.163.191", "202.188.127.2", 44251, 1303, 0x10e828a2},
	} {
		tuple := &lcore.Tuple{Client: addr(c.client), VIP: addr(c.vip), ClientPort: c.clientPort, VIPPort: c.vipPort}
		for _, size := range []int{2, 128, 512, 65521, 65536} { // 65521 is prime: the upper half of the hash counts too
			table := make([]uint16, size)
			for i := range table {
				table[i] = uint16(i)
			}
			want := int(c.hash % uint32(size))
			if got, ok := (&lcore.RSS{Key: key, Table: table}).Queue(tuple); !ok || got != want {
				t.Errorf("%s to %s, table of %d: queue %d (%v), want %d", c.client, c.vip, size, got, ok, want)
			}
		}
	}
}

func TestQueueIsNotKnown(t *testing.T) {
	for _, r := range []*lcore.RSS{nil, {}, {Key: make([]byte, 40)}, {Key: make([]byte, 15), Table: []uint16{1}}} {
		if q, ok := r.Queue(&lcore.Tuple{}); ok {
			t.Errorf("%+v: queue %d", r, q)
		}
	}
}
