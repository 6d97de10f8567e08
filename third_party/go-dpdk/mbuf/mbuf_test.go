package mbuf_test

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/yerden/go-dpdk/internal/ealtest"
	"github.com/yerden/go-dpdk/mbuf"
	"github.com/yerden/go-dpdk/mempool"
)

const (
	headroom = 128
	room     = 256 // bytes of a packet
)

func TestMain(m *testing.M) { ealtest.Main(m) }

func newPool(t *testing.T, n uint32) *mempool.Mempool {
	t.Helper()
	mp, err := mempool.CreateMbufPool("test", n, headroom+room)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := mp.InUseCount(); n != 0 {
			t.Errorf("%d mbufs were not freed", n)
		}
		mp.Free()
	})
	return mp
}

func TestAppendGrowsData(t *testing.T) {
	m := mbuf.PktMbufAlloc(newPool(t, 1))
	defer m.PktMbufFree()
	want := []byte{}
	for _, part := range []string{"", "abc", "", "defgh"} {
		want = append(want, part...)
		if err := m.PktMbufAppend([]byte(part)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(m.Data(), want) || m.PktLen() != uint32(len(want)) {
			t.Errorf("after %q: data %q, length %d; want %q", part, m.Data(), m.PktLen(), want)
		}
	}
}

func TestDataIsInPlace(t *testing.T) {
	m := mbuf.PktMbufAlloc(newPool(t, 1))
	defer m.PktMbufFree()
	if err := m.PktMbufAppend([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	m.Data()[1] = 'x'
	if got := string(m.Data()); got != "axc" {
		t.Errorf("data is %q after a write, want %q", got, "axc")
	}
}

func TestDataFollowsThePacketsFront(t *testing.T) {
	m := mbuf.PktMbufAlloc(newPool(t, 1))
	defer m.PktMbufFree()
	if err := m.PktMbufAppend([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	m.PushHeader()
	if got := m.Data(); len(got) != mbuf.HeaderLen+3 || string(got[mbuf.HeaderLen:]) != "abc" {
		t.Errorf("with a header in front data is %q, want %d bytes and %q", got, mbuf.HeaderLen, "abc")
	}
	m.Chain()
	if got, want := m.PktLen(), uint32(mbuf.HeaderLen+3+mbuf.NextLen); got != want || len(m.Data()) != mbuf.HeaderLen+3 {
		t.Errorf("of two segments: length %d, data %d; want %d, %d", got, len(m.Data()), want, mbuf.HeaderLen+3)
	}
}

func TestAppendRefusesWhatDoesNotFit(t *testing.T) {
	m := mbuf.PktMbufAlloc(newPool(t, 1))
	defer m.PktMbufFree()
	if err := m.PktMbufAppend(make([]byte, room)); err != nil {
		t.Fatalf("append exactly the room: %v", err)
	}
	for _, n := range []int{1, 1 << 16} { // 1<<16 is 0 in data_len's 16 bits
		if err := m.PktMbufAppend(make([]byte, n)); !errors.Is(err, mbuf.ErrNullData) {
			t.Errorf("append %d bytes to a full mbuf: %v, want ErrNullData", n, err)
		}
	}
	if m.PktLen() != room {
		t.Errorf("a refused append changed the length to %d", m.PktLen())
	}
}

func TestAllocFromAnEmptyPool(t *testing.T) {
	mp := newPool(t, 2)
	m := mbuf.PktMbufAlloc(mp)
	ms := make([]*mbuf.Mbuf, 2)
	if err := mbuf.PktMbufAllocBulk(mp, ms); err != syscall.ENOBUFS || mp.InUseCount() != 1 {
		t.Errorf("2 of 1 left: %v, in use %d; want ENOBUFS, 1", err, mp.InUseCount())
	}
	last := mbuf.PktMbufAlloc(mp)
	if last == nil {
		t.Fatal("the last mbuf was not given")
	}
	if m := mbuf.PktMbufAlloc(mp); m != nil {
		t.Error("an empty pool gave an mbuf")
	}
	mbuf.PktMbufFreeBulk([]*mbuf.Mbuf{m, nil, last})
}
