package sched_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"turnout/sched"
)

// TestGoldenTables fails when a table of an earlier version would come out otherwise. Directors of the two versions
// would then send a flow to different servers. If that is meant, say so in the changelog as a breaking change.
func TestGoldenTables(t *testing.T) {
	weighted := servers(1, 2, 3, 4, 5, 100, 7)
	for _, c := range []struct {
		name string
		list []sched.Server
		size int
		want string
	}{
		{"equal", equal(16), 65537, "b9b70d66176187ee"},
		{"weighted", weighted, 65537, "20289a9c1f71d00e"},
		{"two down", without(weighted, 1, 5), 65537, "883a30e6594b5fcb"},
		{"three of a thousand", only(equal(1000), 0, 10, 999), 65537, "37f5eb8fdf963bc6"},
		{"large", equal(100), 655373, "34a9c4093b4d753c"},
		{"IPv6", []sched.Server{{ID: "2001:db8::1", Slot: 1, Usable: true, Share: sched.FullShare}, {ID: "2001:db8::2", Usable: true, Share: sched.FullShare}}, 251, "11aa0e6dfbd721d9"},
	} {
		if got := checksum(owners(table(t, sched.Maglev, c.list, c.size))); got != c.want {
			t.Errorf("%s: the table's checksum is %s, want %s", c.name, got, c.want)
		}
	}
}

func checksum(slots []uint16) string {
	bytes := make([]byte, 0, 2*len(slots))
	for _, slot := range slots {
		bytes = binary.LittleEndian.AppendUint16(bytes, slot)
	}
	sum := sha256.Sum256(bytes)
	return hex.EncodeToString(sum[:8])
}
