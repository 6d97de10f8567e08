package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"turnout/mgmt/store"
)

// decodeService reads a service from some of its keys: store has the defaults, and the word on what is available.
func decodeService(keys map[string]any) (store.Service, error) {
	keys["name"] = "import"
	body, err := json.Marshal(keys)
	if err != nil {
		return store.Service{}, err
	}
	svc, err := store.DecodeService(body)
	return svc, texts(err)
}

// valid judges one service for itself.
func valid(svc store.Service) error {
	_, err := store.State{Services: []store.Service{svc}}.Validate(store.Segment{})
	return texts(err)
}

// texts leaves of mistakes what they say: their places are those of a file that the user does not have.
func texts(err error) error {
	var mistakes *store.Mistakes
	if !errors.As(err, &mistakes) {
		return err
	}
	var said []string
	for _, m := range mistakes.List {
		said = append(said, m.Text)
	}
	return errors.New(strings.Join(said, "; "))
}

func parseAddress(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return addr, fmt.Errorf("%s is not an IPv4 address: write the address in place of a name", printable(s))
	}
	if !addr.Is4() {
		return addr, fmt.Errorf("IPv6 (%s) is not available in this version", printable(s))
	}
	return addr, nil
}

// parsePort reads an L4 port; none is 0, every port.
func parsePort(s string) (uint16, error) {
	if s == "" {
		return 0, nil
	}
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%s is not a port: write a number of 0 to 65535 in place of a name", printable(s))
	}
	return uint16(port), nil
}

const maxName = 50 // leaves room for a number within the 63 characters of a service's name

// nameOf makes a service's name of any text: what cannot be in one becomes a dash.
func nameOf(text string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, strings.ToLower(text))
	name = strings.Trim(name, "-.")
	return strings.TrimRight(name[:min(len(name), maxName)], "-.")
}

// printable quotes text that would not be read as it stands on one line of a terminal or a comment.
func printable(text string) string {
	quoted := strconv.QuoteToASCII(text)
	if text != "" && quoted == `"`+text+`"` {
		return text
	}
	return quoted
}
