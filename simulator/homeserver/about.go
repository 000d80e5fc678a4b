package homeserver

import "fmt"

func getVersions(*Server, *request) (any, error) {
	versions := []string{}
	for minor := 1; minor <= 12; minor++ {
		versions = append(versions, fmt.Sprintf("v1.%d", minor))
	}
	return map[string]any{"versions": versions, "unstable_features": map[string]bool{
		"fi.mau.msc2246.stable": true, "fi.mau.msc2659.stable": true, "org.matrix.msc3916.stable": true,
	}}, nil
}

func getCapabilities(hs *Server, _ *request) (any, error) {
	available := map[string]string{}
	for version := 1; version <= newestRoomVersion; version++ {
		available[fmt.Sprint(version)] = "stable"
	}
	return map[string]any{"capabilities": map[string]any{
		"m.room_versions":   map[string]any{"default": hs.opts.roomVersion, "available": available},
		"m.change_password": map[string]bool{"enabled": false},
	}}, nil
}

func getWellKnown(hs *Server, _ *request) (any, error) {
	return map[string]any{"m.homeserver": map[string]string{"base_url": hs.URL()}}, nil
}
