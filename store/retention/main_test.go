package retention_test

import (
	"testing"

	"github.com/cupline/cupline/store/internal/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }
