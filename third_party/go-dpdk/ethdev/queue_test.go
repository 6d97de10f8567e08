package ethdev_test

import (
	"bytes"
	"testing"

	"github.com/yerden/go-dpdk/ethdev"
	"github.com/yerden/go-dpdk/mbuf"
)

func stats(t *testing.T, pid ethdev.Port) ethdev.GoStats {
	t.Helper()
	var s ethdev.Stats
	if err := pid.StatsGet(&s); err != nil {
		t.Fatal(err)
	}
	return *s.Cast()
}

func TestRingReceivesWhatItSends(t *testing.T) {
	pid, mp := port(t, ring), newPool(t, 63)
	start(t, pid, mp)
	sent := make([]*mbuf.Mbuf, 8)
	if err := mbuf.PktMbufAllocBulk(mp, sent); err != nil {
		t.Fatal(err)
	}
	frame := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 60+i) }
	for i, m := range sent {
		if err := m.PktMbufAppend(frame(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := pid.TxBurst(0, sent); n != 8 {
		t.Fatalf("sent %d of 8", n)
	}
	got := make([]*mbuf.Mbuf, 32)
	if n := pid.RxBurst(0, got); n != 8 {
		t.Fatalf("received %d of 8", n)
	}
	for i, m := range got[:8] {
		if !bytes.Equal(m.Data(), frame(i)) {
			t.Errorf("frame %d is % x", i, m.Data())
		}
	}
	if n := pid.RxBurst(0, got[8:]); n != 0 {
		t.Errorf("received %d more from an empty ring", n)
	}
	mbuf.PktMbufFreeBulk(got)
}

func TestTxBurstLeavesTheRestToTheCaller(t *testing.T) {
	const ringSize = 1024 // holds one less
	pid, mp := port(t, ring), newPool(t, ringSize+31)
	start(t, pid, mp)
	ms := make([]*mbuf.Mbuf, ringSize+9)
	if err := mbuf.PktMbufAllocBulk(mp, ms); err != nil {
		t.Fatal(err)
	}
	n := pid.TxBurst(0, ms)
	if n != ringSize-1 {
		t.Errorf("sent %d, want %d", n, ringSize-1)
	}
	if s := stats(t, pid); s.Opackets != uint64(n) {
		t.Errorf("counted %d sent, want %d", s.Opackets, n)
	}
	mbuf.PktMbufFreeBulk(ms[n:])
	mbuf.PktMbufFreeBulk(ms[:pid.RxBurst(0, ms)])
}

func TestEmptyBurst(t *testing.T) {
	pid := port(t, null)
	start(t, pid, newPool(t, 63))
	if rx, tx := pid.RxBurst(0, nil), pid.TxBurst(0, nil); rx != 0 || tx != 0 {
		t.Errorf("empty bursts moved %d and %d frames", rx, tx)
	}
}

func TestStatsCountAndReset(t *testing.T) {
	pid := port(t, null)
	start(t, pid, newPool(t, 63))
	ms := make([]*mbuf.Mbuf, 64)
	if n := pid.RxBurst(0, ms[:32]); n != 32 {
		t.Fatalf("received %d of 32", n)
	}
	if n := pid.TxBurst(0, ms[:20]); n != 20 {
		t.Fatalf("sent %d of 20", n)
	}
	mbuf.PktMbufFreeBulk(ms[20:32])
	if got, want := stats(t, pid), (ethdev.GoStats{Ipackets: 32, Opackets: 20}); got != want {
		t.Errorf("counters %+v, want %+v", got, want)
	}
	if err := pid.StatsReset(); err != nil {
		t.Fatal(err)
	}
	if got := stats(t, pid); got != (ethdev.GoStats{}) {
		t.Errorf("counters after a reset: %+v", got)
	}
}

func TestQueueOptions(t *testing.T) {
	if socket, rx, tx := ethdev.QueueConf(); socket != -1 || rx != nil || tx != nil {
		t.Errorf("defaults are %d, %+v, %+v; want -1, nil, nil", socket, rx, tx)
	}
	wantRx := ethdev.RxqConf{Thresh: ethdev.Thresh{PThresh: 1, HThresh: 2, WThresh: 3}, FreeThresh: 4, DropEn: 5, DeferredStart: 6, Offloads: 7}
	wantTx := ethdev.TxqConf{Thresh: ethdev.Thresh{PThresh: 8, HThresh: 9, WThresh: 10}, RsThresh: 11, FreeThresh: 12, DeferredStart: 13, Offloads: 14}
	socket, rx, tx := ethdev.QueueConf(ethdev.OptSocket(2), ethdev.OptRxqConf(wantRx), ethdev.OptTxqConf(wantTx))
	if socket != 2 || *rx != wantRx || *tx != wantTx {
		t.Errorf("got %d, %+v, %+v; want 2, %+v, %+v", socket, *rx, *tx, wantRx, wantTx)
	}
}
