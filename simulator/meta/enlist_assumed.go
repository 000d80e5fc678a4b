package meta

import "net/http"

func (n *Network) enlistmentHandler() http.Handler { return http.NotFoundHandler() }
