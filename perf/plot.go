package main

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// plotAdders draws every row's adder as a bar, with its spread.
func plotAdders(path string, results []*Result) error {
	p := plot.New()
	p.Title.Text = "Cost per packet over testpmd macswap"
	p.Y.Label.Text = "TSC cycles"
	p.Y.Min = 0
	var bars plotter.Values
	var names []string
	spread := &points{}
	for i, r := range results {
		bars, names = append(bars, max(r.Adder, 0)), append(names, r.Row.Name)
		spread.XYs = append(spread.XYs, plotter.XY{X: float64(i), Y: r.Adder})
		spread.YErrors = append(spread.YErrors, struct{ Low, High float64 }{r.Adder - r.Lowest, r.Most - r.Adder})
	}
	chart, err := plotter.NewBarChart(bars, vg.Points(16))
	if err != nil {
		return fmt.Errorf("draw the adders: %w", err)
	}
	whiskers, err := plotter.NewYErrorBars(spread)
	if err != nil {
		return fmt.Errorf("draw the spread: %w", err)
	}
	chart.LineStyle.Width = 0
	p.Add(plotter.NewGrid(), chart, whiskers)
	p.NominalX(names...)
	p.X.Tick.Label.Rotation = 0.8
	p.X.Tick.Label.XAlign, p.X.Tick.Label.YAlign = -0.9, -0.5
	return p.Save(vg.Points(float64(max(300, 40*len(results)))), vg.Points(320), path)
}

// points are the adders with their spread.
type points struct {
	plotter.XYs
	plotter.YErrors
}
