package store

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Outlier says when a real server that does not answer clients, as far as their packets tell, gets no new flows for a
// while.
type Outlier struct {
	Unanswered Percent  `yaml:"unanswered" json:"unanswered"`   // share of a real server's handshakes that makes it an outlier; 0: none is ejected
	MinSyns    uint32   `yaml:"min_syns" json:"min_syns"`       // handshakes that it takes to tell, in ten seconds
	Eject      Duration `yaml:"eject" json:"eject"`             // how long, the first time
	MaxEjected Percent  `yaml:"max_ejected" json:"max_ejected"` // of the service's weight
}

// On says whether real servers are ejected at all.
func (o *Outlier) On() bool { return o.Unanswered > 0 }

// Percent is a share in hundredths, written as text ("50%") in YAML and JSON.
type Percent uint8

// String writes p with its sign.
func (p Percent) String() string { return strconv.Itoa(int(p)) + "%" }

// MarshalText writes p as String does.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a whole number from 0 to 100 and its sign.
func (p *Percent) UnmarshalText(text []byte) error {
	digits, signed := strings.CutSuffix(string(text), "%")
	n, err := strconv.ParseUint(digits, 10, 8)
	if !signed || err != nil || n > 100 {
		return fmt.Errorf("%q is not a share: write a whole number from 0%% to 100%%, such as 50%%", text)
	}
	*p = Percent(n)
	return nil
}

const (
	minEject = Duration(time.Second)
	maxEject = Duration(time.Hour)
)

func (o *Outlier) read(d *decoder, n ast.Node, at *place) {
	d.mapping(n, at, schema{fields: fields{
		"unanswered":  percent(&o.Unanswered),
		"min_syns":    integer(&o.MinSyns, 1, math.MaxUint32),
		"eject":       duration(&o.Eject),
		"max_ejected": percent(&o.MaxEjected),
	}})
}

// percent reads text such as 50%.
func percent(to *Percent) field {
	return func(d *decoder, n ast.Node, at *place) {
		if kind(n) == "a number" {
			d.wrong(n, at, "%s has no sign: write a share such as %s%%", n.GetToken().Value, n.GetToken().Value)
			return
		}
		var s string
		text(&s)(d, n, at)
		if s == "" {
			return
		}
		if err := to.UnmarshalText([]byte(s)); err != nil {
			d.wrong(n, at, "%v", err)
		}
	}
}

// outlier judges who is ejected, and notes where nobody can be.
func (v *validator) outlier(svc Service, at *place) {
	o := svc.Outlier
	v.share(o.Unanswered, at.in("unanswered"), 0)
	v.share(o.MaxEjected, at.in("max_ejected"), 1)
	v.duration(o.Eject, at.in("eject"), minEject, maxEject)
	if o.MinSyns < 1 {
		v.wrong(at.in("min_syns"), "%d is out of range: %s", o.MinSyns, rangeText(1, math.MaxUint32))
	}
	if !o.On() {
		return
	}
	if svc.Protocol != TCP {
		v.wrong(at, "is for tcp services only: other protocols have no handshake to judge by; delete it")
	}
	if lightest := lightest(svc.RealServers); lightest > 0 && 100*lightest > uint64(o.MaxEjected)*totalWeight(svc.RealServers) {
		v.note(at.in("max_ejected"), "%s is less than the weight of any real server: none will be ejected", o.MaxEjected)
	}
}

func (v *validator) share(p Percent, at *place, least Percent) {
	if p < least || p > 100 {
		v.wrong(at, "%s is out of range: %s to 100%%", p, least)
	}
}

// lightest is the least weight that any real server has, those of weight 0 aside.
func lightest(servers []RealServer) (least uint64) {
	for _, rs := range servers {
		if w := uint64(rs.Weight); w > 0 && (least == 0 || w < least) {
			least = w
		}
	}
	return least
}
