package director

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"turnout/mgmt/store"
)

// BenchmarkOneOfThousandServices changes one service of 1000 with 100 real servers each.
func BenchmarkOneOfThousandServices(b *testing.B) {
	var file strings.Builder
	file.WriteString("services:\n")
	for i := range 1000 {
		fmt.Fprintf(&file, "  - name: s%d\n    vip: 192.168.57.100\n    protocol: tcp\n    port: %d\n    real_servers:\n", i, i+1)
		for j := range 100 {
			fmt.Fprintf(&file, "      - {address: 192.168.57.%d}\n", 130+j)
		}
	}
	started := time.Now()
	d, _, _ := start(b, file.String())
	b.ReportMetric(float64(time.Since(started).Milliseconds()), "ms/load")
	i := 0
	for b.Loop() {
		i++
		err := d.ask(context.Background(), func() error {
			d.publish(func(svc *store.Service) bool { return svc.Name == "s500" })
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
