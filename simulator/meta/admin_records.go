package meta

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// pathNumber is a path's {id}.
func pathNumber(r *http.Request) (int, error) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return 0, fmt.Errorf("%q is not a number: %w", r.PathValue("id"), errNoRecord)
	}
	return id, nil
}

// shown is a record without its secret.
func (i Integrator) shown() Integrator {
	i.PushSecret = ""
	return i
}

func (a *admin) integrators(*http.Request) (any, error) {
	all := a.n.Integrators()
	for i := range all {
		all[i] = all[i].shown()
	}
	return all, nil
}

func (a *admin) addIntegrator(r *http.Request) (any, error) {
	var record Integrator
	if err := readAdmin(r, &record); err != nil {
		return nil, err
	} else if err = record.check(); err != nil {
		return nil, err
	} else if err = a.n.AddIntegrator(record); err != nil {
		return nil, refused(err)
	}
	added, err := a.n.ChangeIntegrator(record.ID, func(*Integrator) {}) // with the defaults filled in
	return added.shown(), err
}

func (a *admin) changeIntegrator(r *http.Request) (any, error) {
	id, err := pathNumber(r)
	if err != nil {
		return nil, err
	}
	var unreadable error
	changed, err := a.n.ChangeIntegrator(id, func(i *Integrator) { unreadable = readAdmin(r, i) })
	if unreadable != nil {
		return nil, unreadable
	}
	return changed.shown(), err
}

func (a *admin) enlistments(*http.Request) (any, error) { return a.n.Enlistments(), nil }

// changeEnlistment is what the network itself does to an enlistment; {id} is its id, account id or address.
func (a *admin) changeEnlistment(r *http.Request) (any, error) {
	var body struct {
		Status      string `json:"status"`
		DisplayName string `json:"display_name"`
		Region      string `json:"region"`
	}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	}
	name := r.PathValue("id")
	index := slices.IndexFunc(a.n.Enlistments(), func(e EnlistmentInfo) bool {
		return e.ID == name || e.Account == name || e.JID == name
	})
	if index < 0 {
		return nil, fmt.Errorf("enlistment %s: %w", name, errNoRecord)
	}
	id := a.n.Enlistments()[index].ID
	if body.Status != "" {
		if err := a.n.SetEnlistment(id, body.Status); err != nil {
			return nil, err
		}
	}
	a.n.mu.Lock()
	defer a.n.mu.Unlock()
	e := a.n.enlistments[id]
	e.DisplayName, e.Country = orElse(body.DisplayName, e.DisplayName), orElse(body.Region, e.Country)
	return e.info(), nil
}

func (a *admin) connections(*http.Request) (any, error) { return a.n.Connections(), nil }

func (a *admin) drop(r *http.Request) (any, error) {
	body := struct {
		How     string `json:"how"`
		AfterMS int    `json:"after_ms"`
	}{How: dropClose}
	if err := readAdmin(r, &body); err != nil {
		return nil, err
	} else if !slices.Contains([]string{dropClose, dropReset, dropSilence, drop503, drop515, dropReplaced, dropRemoved, dropClientClosed}, body.How) {
		return nil, fmt.Errorf("unknown way to drop a connection: %q", body.How)
	}
	id, err := pathNumber(r)
	if err != nil {
		return nil, err
	}
	a.n.mu.Lock()
	c := a.n.connections[id]
	a.n.mu.Unlock()
	if c == nil {
		return nil, fmt.Errorf("connection %d: %w", id, errNoRecord)
	}
	if body.AfterMS <= 0 {
		c.drop(body.How)
		return map[string]any{"id": id, "how": body.How}, nil
	}
	timer := time.NewTimer(time.Duration(body.AfterMS) * time.Millisecond)
	a.n.work.Go(func() {
		defer timer.Stop()
		select {
		case <-timer.C:
			c.drop(body.How)
		case <-a.n.ctx.Done():
		}
	})
	return map[string]any{"id": id, "how": body.How, "after_ms": body.AfterMS}, nil
}

// faultInfo is a fault as the control plane shows it.
type faultInfo struct {
	ID     int `json:"id"`
	Struck int `json:"struck"`
	Fault
}

func (h *FaultHandle) info() faultInfo {
	return faultInfo{ID: h.ID, Struck: h.Struck(), Fault: h.fault}
}

func (a *admin) handles() []*FaultHandle {
	a.n.faults.mu.Lock()
	defer a.n.faults.mu.Unlock()
	return slices.Clone(a.n.faults.set)
}

func (a *admin) faults(*http.Request) (any, error) {
	infos := []faultInfo{}
	for _, h := range a.handles() {
		infos = append(infos, h.info())
	}
	return infos, nil
}

func (a *admin) addFault(r *http.Request) (any, error) {
	var fault Fault
	if err := readAdmin(r, &fault); err != nil {
		return nil, err
	} else if fault.Kind == "" {
		return nil, fmt.Errorf("kind is missing")
	}
	return a.n.Fault(fault).info(), nil
}

func (a *admin) removeFault(r *http.Request) (any, error) {
	id, err := pathNumber(r)
	if err != nil {
		return nil, err
	}
	for _, h := range a.handles() {
		if h.ID == id {
			h.Remove()
			return h.info(), nil
		}
	}
	return nil, fmt.Errorf("fault %d: %w", id, errNoRecord)
}
