package bridge

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"causeway/delivery"
	"causeway/interop"
)

// DeliveryConfig is about the journal.
type DeliveryConfig struct {
	// EpochFile notes how far the database has come; empty is beside the database.
	EpochFile           string           `yaml:"epoch_file"`
	MaxAge              interop.Duration `yaml:"max_age"`
	QuarantineRetention interop.Duration `yaml:"quarantine_retention"`
	DedupeRetention     interop.Duration `yaml:"dedupe_retention"`
	InboxLimit          int              `yaml:"inbox_limit"`
	MinFreeDisk         Size             `yaml:"min_free_disk"`
	Flood               FloodConfig      `yaml:"flood"`
	People              PeopleConfig     `yaml:"people"`
}

// FloodConfig is what one user may send.
type FloodConfig struct {
	Rate    float64 `yaml:"rate"`
	Burst   int     `yaml:"burst"`
	Waiting int     `yaml:"waiting"`
}

// PeopleConfig is what one person on a network may have shown to one user.
type PeopleConfig struct {
	Rate  float64 `yaml:"rate"`
	Burst int     `yaml:"burst"`
	// Files is for a day and in bytes; StrangersFiles is the same while the user has not accepted the person's chat.
	Files          Size `yaml:"files"`
	StrangersFiles Size `yaml:"strangers_files"`
}

// The bounds of keys about the journal.
const (
	minMaxAge = time.Minute
	// maxMaxAge is about how long networks keep what they have for a phone that is away.
	maxMaxAge = 14 * 24 * time.Hour
	minDedupe = 24 * time.Hour
)

func (c DeliveryConfig) validate() error {
	var errs []error
	refuse := func(bad bool, key, fix string) {
		if bad {
			errs = append(errs, fmt.Errorf("network.delivery.%s: %s", key, fix))
		}
	}
	age := time.Duration(c.MaxAge)
	refuse(age < minMaxAge || age > maxMaxAge, "max_age", "write a duration from 1m to 14d")
	refuse(c.QuarantineRetention < 0, "quarantine_retention", "write a duration such as 30d, or 0s to keep nothing")
	refuse(time.Duration(c.DedupeRetention) < minDedupe, "dedupe_retention", "write a duration of at least 1d")
	refuse(c.InboxLimit < 1, "inbox_limit", "write how many events may wait, at least 1")
	refuse(c.Flood.Rate < 0, "flood.rate", "write messages a second, or 0 for no bound")
	refuse(c.Flood.Rate > 0 && c.Flood.Burst < 1, "flood.burst", "write how many messages may be sent at once, at least 1")
	refuse(c.Flood.Waiting < 0, "flood.waiting", "write how many messages may wait, or 0 for no bound")
	refuse(c.People.Rate < 0, "people.rate", "write messages a second, or 0 for no bound")
	refuse(c.People.Rate > 0 && c.People.Burst < 1, "people.burst", "write how many messages may come at once, at least 1")
	return errors.Join(errs...)
}

func (c DeliveryConfig) timing() delivery.Timing {
	// zero would be delivery's own default
	return delivery.Timing{
		MaxAge: time.Duration(c.MaxAge), Quarantine: max(time.Duration(c.QuarantineRetention), 1),
		Retention: time.Duration(c.DedupeRetention), InboxLimit: c.InboxLimit,
	}
}

// disk is the one that the journal writes to: SQLite's, or with PostgreSQL that of the state directory.
func (c DeliveryConfig) disk(files journalFiles) delivery.Disk {
	return delivery.Disk{Path: filepath.Dir(files.lock), Reserve: uint64(c.MinFreeDisk)}
}

func (c FloodConfig) limits() delivery.Flood {
	return delivery.Flood{Rate: c.Rate, Burst: c.Burst, Waiting: c.Waiting}
}

func (c PeopleConfig) limits() delivery.Flood { return delivery.Flood{Rate: c.Rate, Burst: c.Burst} }

func (l MetricsListen) validate() error {
	if l.Address == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(l.Address)
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("network.listen.metrics.address: write an address of the loopback, such as 127.0.0.1:29381: there is no password")
	}
	return nil
}

// Size is a number of bytes that is written with a unit, as in "500MiB".
type Size uint64

// UnmarshalText reads "0", "512KiB", "500MiB" or "2GiB".
func (s *Size) UnmarshalText(text []byte) error {
	number, shift := string(text), 0
	for unit, by := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if before, found := strings.CutSuffix(number, unit); found {
			number, shift = before, by
			break
		}
	}
	value, err := strconv.ParseUint(strings.TrimSpace(number), 10, 32)
	if err != nil || shift == 0 && value != 0 {
		return fmt.Errorf("%q is no size: write it like 512KiB, 500MiB or 2GiB", text)
	}
	*s = Size(value << shift)
	return nil
}

// MarshalText writes the largest unit that fits.
func (s Size) MarshalText() ([]byte, error) {
	for _, unit := range []struct {
		name  string
		shift int
	}{{"GiB", 30}, {"MiB", 20}, {"KiB", 10}} {
		if s != 0 && s%(1<<unit.shift) == 0 {
			return fmt.Appendf(nil, "%d%s", s>>unit.shift, unit.name), nil
		}
	}
	return fmt.Appendf(nil, "%d", s), nil
}
