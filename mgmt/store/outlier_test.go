package store

import (
	"testing"
	"time"
)

func TestDecodeOutlier(t *testing.T) {
	got, err := Decode([]byte(web+"    outlier: {unanswered: 50%, min_syns: 5, eject: 1m, max_ejected: 100%}\n"), "services.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if want := (Outlier{50, 5, Duration(time.Minute), 100}); got.Services[0].Outlier != want {
		t.Errorf("got %+v, want %+v", got.Services[0].Outlier, want)
	}
}

func TestPercent(t *testing.T) {
	for _, row := range []struct {
		text string
		want Percent
		err  string
	}{
		{"0%", 0, ""},
		{"100%", 100, ""},
		{"50", 0, `"50" is not a share: write a whole number from 0% to 100%, such as 50%`},
		{"101%", 0, `"101%" is not a share: write a whole number from 0% to 100%, such as 50%`},
		{"-1%", 0, `"-1%" is not a share: write a whole number from 0% to 100%, such as 50%`},
		{"1.5%", 0, `"1.5%" is not a share: write a whole number from 0% to 100%, such as 50%`},
		{"half", 0, `"half" is not a share: write a whole number from 0% to 100%, such as 50%`},
	} {
		var p Percent
		text := ""
		if err := p.UnmarshalText([]byte(row.text)); err != nil {
			text = err.Error()
		}
		if p != row.want || text != row.err {
			t.Errorf("%q: %v, %q; want %v, %q", row.text, p, text, row.want, row.err)
		}
	}
}

func TestDecodeOutlierMistakes(t *testing.T) {
	decodesWrong(t, []mistakesTest{
		{"shares", web + "    outlier: {unanswered: 50, min_syns: 0, eject: 30, max_ejected: most}\n", []string{
			`7: services[web].outlier.unanswered: 50 has no sign: write a share such as 50%`,
			`7: services[web].outlier.min_syns: 0 is out of range: 1 to 4294967295`,
			`7: services[web].outlier.eject: 30 has no unit: write a duration such as 30s`,
			`7: services[web].outlier.max_ejected: "most" is not a share: write a whole number from 0% to 100%, such as 50%`,
		}},
	})
}

func TestValidateOutlier(t *testing.T) {
	outlier := func(o Outlier) func(s *State) { return func(s *State) { s.Services[0].Outlier = o } }
	validates(t, []validateTest{
		{"an outlier", outlier(Outlier{50, 20, minEject, 100}), nil},
		{"out of range", outlier(Outlier{101, 0, maxEject + 1, 0}), []string{
			"services[web].outlier.unanswered: 101% is out of range: 0% to 100%",
			"services[web].outlier.max_ejected: 0% is out of range: 1% to 100%",
			"services[web].outlier.eject: 1h0m0.000000001s is out of range: 1s to 1h",
			"services[web].outlier.min_syns: 0 is out of range: 1 to 4294967295",
		}},
		{"of what has no handshake", func(s *State) {
			s.Services[0].Protocol = UDP
			outlier(Outlier{50, 20, minEject, 100})(s)
		}, []string{
			"services[web].outlier: is for tcp services only: other protocols have no handshake to judge by; delete it",
		}},
	})
}
