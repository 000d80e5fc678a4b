package meta

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
)

// show answers with the state of the token's user, a withdrawn one included.
func (c *enlistCall) show() (*reply, *refusal) {
	c.service.n.mu.Lock()
	defer c.service.n.mu.Unlock()
	e, refused := c.own()
	if refused != nil {
		return nil, refused
	}
	return c.replyWith(e, http.StatusOK), nil
}

// change applies the members of the body that are there.
func (c *enlistCall) change() (*reply, *refusal) {
	var body enlistRequest
	if err := decodeRequest(c.body, &body); err != nil {
		return nil, refuse(apiInvalidRequest, "", err.Error())
	} else if body.Product != "" || body.Identifier != nil {
		return nil, refuse(apiInvalidRequest, "identifier", "product and identifier cannot be changed")
	}
	return c.once(func() (*reply, *refusal) {
		n := c.service.n
		n.mu.Lock()
		defer n.mu.Unlock()
		e, refused := c.own()
		if refused != nil {
			return nil, refused
		} else if e.Status == enlistmentWithdrawn {
			return nil, refuse(apiEnlistmentWithdrawn, "", "withdrawn")
		} else if e.Status == enlistmentSuspended && !c.service.pausedByProvider(e) {
			return nil, refuse(apiAccountSuspended, "", "suspended")
		}
		changed := *e
		if refused = c.apply(&changed, &body); refused != nil {
			return nil, refused
		}
		changed.Updated = n.now()
		*e = changed
		if e.Status == enlistmentSuspended {
			c.service.paused[e.ID] = e.Updated
		}
		n.enlistmentChanged(e)
		return c.replyWith(e, http.StatusOK), nil
	})
}

func (c *enlistCall) apply(e *enlistment, body *enlistRequest) *refusal {
	if body.DisplayName != nil {
		if !isDisplayName(*body.DisplayName) {
			return refuse(apiDisplayNameInvalid, "display_name", "not 1 to 64 characters without controls")
		}
		e.DisplayName = *body.DisplayName
	}
	if body.Keys != nil {
		if refused := c.readKeys(e, body, false); refused != nil {
			return refused
		}
	}
	if body.Client != nil {
		if refused := readClient(e, body.Client, c.service.n.integrators[e.Integrator].ModeAllowed); refused != nil {
			return refused
		}
	}
	if body.Consent != nil {
		if refused := c.readConsent(body.Consent); refused != nil {
			return refused
		}
	}
	switch {
	case body.Status == "":
	case (body.Status == enlistmentActive || body.Status == enlistmentSuspended) && e.Status != enlistmentPending:
		e.Status = body.Status
	default:
		return refuse(apiInvalidRequest, "status", "only from active to suspended and back")
	}
	return nil
}

// withdraw ends an enlistment; once more is no error.
func (c *enlistCall) withdraw() (*reply, *refusal) {
	if !isWithdrawReason(c.request.URL.Query().Get("reason")) {
		return nil, refuse(apiInvalidRequest, "reason", "not a known reason")
	}
	s := c.service
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	e, refused := c.own()
	if refused != nil {
		return nil, refused
	}
	if e.Status != enlistmentWithdrawn {
		e.Status, e.Updated = enlistmentWithdrawn, s.n.now()
		s.n.enlistmentChanged(e)
	}
	return &reply{status: http.StatusNoContent}, nil
}

// own finds the enlistment of the path, if it is the token's to see. The model must be locked.
func (c *enlistCall) own() (*enlistment, *refusal) {
	e := c.service.n.enlistments[c.request.PathValue("id")]
	if e == nil || e.Integrator != c.claims.Integrator ||
		c.claims.Subject != purposePartner && (e.Subject != c.claims.Subject || e.Product != c.claims.Product) {
		return nil, refuse(apiEnlistmentNotFound, "", "no such enlistment")
	}
	c.service.n.approve(e)
	return e, nil
}

// approve ends the wait of a pending enlistment when its time has come. The model must be locked.
func (n *Network) approve(e *enlistment) {
	if e.Status == enlistmentPending && n.now().Sub(e.Created) >= pendingTime {
		e.Status, e.Updated = enlistmentActive, n.now()
	}
}

func (c *enlistCall) replyWith(e *enlistment, status int) *reply {
	answer := &reply{status: status, body: e.body(c.service.n.ChatURL())}
	if e.Status == enlistmentPending {
		answer.retryAfter = pendingPollAfter
	}
	return answer
}

// list pages through the integrator's enlistments, in order of their ids, for reconciliation.
func (c *enlistCall) list() (*reply, *refusal) {
	query, n := c.request.URL.Query(), c.service.n
	limit := defaultListLimit
	if text := query.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxListLimit {
			return nil, refuse(apiInvalidRequest, "limit", "not 1 to 500")
		}
	}
	product, after := query.Get("product"), query.Get("after")
	if product != "" && product != productWhatsApp && product != productMessenger {
		return nil, refuse(apiInvalidRequest, "product", "neither whatsapp nor messenger")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if cursor, known := n.enlistments[after]; after != "" && (!known || cursor.Integrator != c.claims.Integrator) {
		return nil, refuse(apiInvalidRequest, "after", "not a cursor")
	}
	var found []*enlistment
	for _, e := range n.enlistments {
		if e.Integrator == c.claims.Integrator && (product == "" || e.Product == product) && e.ID > after {
			n.approve(e)
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *enlistment) int { return cmp.Compare(a.ID, b.ID) })
	page := listBody{Items: []enlistmentBody{}}
	if len(found) > limit {
		found = found[:limit]
		page.Next = &found[limit-1].ID
	}
	for _, e := range found {
		page.Items = append(page.Items, e.body(n.ChatURL()))
	}
	return &reply{status: http.StatusOK, body: page}, nil
}

// integrator shows a provider its own record.
func (c *enlistCall) integrator() (*reply, *refusal) {
	i := c.integratorRecord()
	return &reply{status: http.StatusOK, body: integratorBody{ID: i.ID, Name: i.Name, Status: i.Status,
		IdentifierType: i.IdentifierType, Products: i.Products, Features: map[string]bool{"group_messaging": false}}}, nil
}

// integratorRecord is a copy of the caller's record.
func (c *enlistCall) integratorRecord() Integrator {
	c.service.n.mu.Lock()
	defer c.service.n.mu.Unlock()
	if i := c.service.n.integrators[c.claims.Integrator]; i != nil {
		return *i
	}
	return Integrator{ID: c.claims.Integrator, Status: integratorRemoved}
}
