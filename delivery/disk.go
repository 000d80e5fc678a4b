package delivery

import (
	"context"
	"sync/atomic"
	"syscall"
)

// Disk is how much of a disk must stay free for events to be taken in.
type Disk struct {
	// Path is a folder on the disk.
	Path string
	// Reserve is in bytes. Below it nothing is taken in; an eighth above it, everything is again.
	Reserve uint64
	// Free says how many bytes are free at a path; nil asks the system.
	Free func(path string) (uint64, error)
}

// diskWatch knows whether the disk is nearly full. Then networks and homeserver keep what they have,
// which is better than a database that fails half-way through.
type diskWatch struct {
	Disk
	low atomic.Bool
}

// watchDisk looks at the disk now and then.
func (d *Delivery) watchDisk(ctx context.Context) {
	for sleep(ctx, d.timing.DiskCheck) {
		d.checkDisk(ctx)
	}
}

func (d *Delivery) checkDisk(ctx context.Context) {
	if d.disk.Reserve == 0 {
		return
	}
	free, err := d.disk.look()
	if err != nil {
		d.log.Err(err).Msg("Failed to look at the free space of the disk")
		return
	}
	was := d.disk.low.Load()
	needed := d.disk.Reserve
	if was {
		needed += needed / 8 // so that it does not come and go with every row
	}
	if low := free < needed; low != was {
		d.disk.low.Store(low)
		d.log.Warn().Bool("low", low).Uint64("free_bytes", free).Uint64("reserve_bytes", d.disk.Reserve).
			Msg("Whether anything is taken in has changed with the free space of the disk")
		d.Outbox.told.run(func() { d.bridge.Disk(ctx, low, free) })
	}
}

func (w *diskWatch) look() (uint64, error) {
	if w.Free != nil {
		return w.Free(w.Path)
	}
	return freeSpace(w.Path)
}

// freeSpace is what this process may still write at a path, in bytes.
func freeSpace(path string) (uint64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(path, &stat); err != nil {
		return 0, err
	}
	return stat.Bavail * uint64(stat.Bsize), nil
}
