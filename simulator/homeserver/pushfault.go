package homeserver

// PushFault is a way to deliver transactions that the specification allows or real servers have shown.
type PushFault struct {
	Appservice string // its id
	Kind       PushKind
	Count      int // transactions
}

// PushKind says what goes wrong with a transaction.
type PushKind int

// The kinds of [PushFault].
const (
	PushTwice       PushKind = iota + 1 // the same transaction again, after it was accepted
	PushTwiceAtOnce                     // two copies of it in flight
	PushRepeated                        // the same events again in another transaction
	PushSwapped                         // two transactions in the wrong order; waits until two events are queued
	PushRenumbered                      // numbering starts again at 1, as after the loss of a counter
)

// FaultPush arms a fault for the next transactions to an application service. Faults apply one after the other.
func (hs *Server) FaultPush(fault PushFault) {
	if p := hs.pusherOf(fault.Appservice); p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.faults = append(p.faults, fault)
	}
}

// ClearPushFaults ends the faults that are armed for an application service.
func (hs *Server) ClearPushFaults(appserviceID string) {
	if p := hs.pusherOf(appserviceID); p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.faults = nil
	}
}

// Pushes counts what an application service was sent.
func (hs *Server) Pushes(appserviceID string) PushStats {
	p := hs.pusherOf(appserviceID)
	if p == nil {
		return PushStats{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	stats := p.stats
	stats.Waiting = len(p.events)
	for _, txn := range p.due {
		stats.Waiting += txn.events
	}
	return stats
}

func (hs *Server) pusherOf(appserviceID string) *pusher {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, as := range hs.appservices {
		if as.reg.ID == appserviceID {
			return as.push
		}
	}
	return nil
}

// pickFault is the fault of the transaction that is about to be made, or 0.
func (p *pusher) pickFault() PushKind {
	if len(p.faults) == 0 || p.faults[0].Kind == PushSwapped && len(p.events) < 2 {
		return 0
	}
	kind := p.faults[0].Kind
	p.stats.Faults++
	if p.faults[0].Count--; p.faults[0].Count <= 0 {
		p.faults = p.faults[1:]
	}
	return kind
}
