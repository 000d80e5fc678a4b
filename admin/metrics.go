package admin

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// collector turns a reading of the view into metrics at each scrape.
type collector struct {
	view View
	log  zerolog.Logger
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("causeway_"+name, help, labels, nil)
}

// Describe implements [prometheus.Collector]. Without descriptions the collector is unchecked: what it
// shows depends on the reading.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (c collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readPatience)
	defer cancel()
	figures, err := c.view.Figures(ctx)
	up := 1.0
	if err != nil {
		c.log.Warn().Err(err).Msg("Failed to read the figures for metrics")
		up = 0
	}
	gauge(out, desc("up", "Whether the figures could be read from the database."), up)
	if err != nil {
		return
	}
	journal(out, figures)
	low := 0.0
	if figures.DiskLow {
		low = 1
	}
	gauge(out, desc("disk_low", "Whether nothing is taken in for want of space on the disk."), low)
	logins := desc("logins", "Logins by network and state of their connection.", "network", "state")
	for login, count := range figures.Logins {
		gauge(out, logins, float64(count), login.Network, login.State)
	}
	ended := desc("ended_total", "What has ended since the start, by way and result.", "way", "result")
	for result, count := range figures.Ended {
		counter(out, ended, count, result.Way, result.Result)
	}
	for name, count := range figures.Counters {
		counter(out, desc(name+"_total", "Count since the start; see docs/operations.md."), count)
	}
}

// journal shows what waits and what failed.
func journal(out chan<- prometheus.Metric, figures Figures) {
	waiting := desc("waiting", "Rows of the journal that are under way, by way and state.", "way", "state")
	oldest := desc("oldest_seconds", "Age of the oldest row that is under way; held ones do not count.", "way")
	kept := desc("kept", "Rows of the journal that failed and can be tried again.", "way")
	ages := map[string]float64{"in": 0, "out": 0, "matrix": 0}
	for _, w := range sum(figures.Waiting) {
		gauge(out, waiting, float64(w.Rows), w.Way, w.State)
		if w.State != "held" {
			ages[w.Way] = max(ages[w.Way], time.Since(w.Oldest).Seconds())
		}
	}
	for way, age := range ages {
		gauge(out, oldest, age, way)
		gauge(out, kept, float64(figures.Kept[way]), way)
	}
}

// sum adds up what waits of all logins: a login's own figures would say who somebody is.
func sum(all []Waiting) map[[2]string]Waiting {
	sums := map[[2]string]Waiting{}
	for _, w := range all {
		key := [2]string{w.Way, w.State}
		total, known := sums[key]
		if !known || w.Oldest.Before(total.Oldest) {
			total.Oldest = w.Oldest
		}
		total.Way, total.State, total.Rows = w.Way, w.State, total.Rows+w.Rows
		sums[key] = total
	}
	return sums
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func counter(out chan<- prometheus.Metric, d *prometheus.Desc, value int64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}
