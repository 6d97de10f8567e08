package punt_test

import (
	"testing"

	"turnout/mgmt/internal/netlab"
)

func TestMain(m *testing.M) { netlab.Main(m) }
