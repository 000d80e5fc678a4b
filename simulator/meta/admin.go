package meta

import "net/http"

func (n *Network) adminHandler() http.Handler { return http.NotFoundHandler() }
