package port

import (
	"slices"
	"testing"

	"turnout/lcore"
)

// TestRSSIsRead has net_null, which keeps a key and a redirection table of 128 entries, spread over two queues.
func TestRSSIsRead(t *testing.T) {
	c := ringConfig("net_null1")
	c.Lcores = []int{1, 1}
	p, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range c.Lcores {
		p.Queue(nil)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	rss := p.RSS()
	if rss == nil || len(rss.Key) < 40 || len(rss.Table) != 128 || slices.Max(rss.Table) > 1 {
		t.Fatalf("read %+v; want a key of 40 bytes and 128 entries of queue 0 or 1", rss)
	}
	if _, ok := rss.Queue(&lcore.Tuple{Client: 1}); !ok {
		t.Error("a flow's queue is not known")
	}
}
