package stage

import (
	"fmt"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// Config is a configuration file of the bridge, as it is edited by hand.
type Config map[string]any

func readConfig(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("failed to read the bridge's configuration: %w", err)
	}
	var config Config
	if err := yaml.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("failed to read the bridge's configuration: %w", err)
	}
	return config, nil
}

func (c Config) write(path string) error {
	data, err := yaml.Marshal(map[string]any(c))
	if err != nil {
		return fmt.Errorf("failed to write the bridge's configuration: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("failed to write the bridge's configuration: %w", err)
	}
	return nil
}

// Set writes a value at a dotted key, such as "homeserver.address".
func (c Config) Set(key string, value any) {
	section, name := c.section(key)
	section[name] = value
}

// Get is the value at a dotted key, nil if there is none.
func (c Config) Get(key string) any {
	section, name := c.section(key)
	return section[name]
}

func (c Config) section(key string) (section map[string]any, name string) {
	parts := strings.Split(key, ".")
	section = c
	for _, part := range parts[:len(parts)-1] {
		var inner map[string]any
		switch value := section[part].(type) {
		case map[string]any:
			inner = value
		case Config: // how yaml decodes a map within a Config
			inner = value
		default:
			inner = map[string]any{}
		}
		section[part] = inner
		section = inner
	}
	return section, parts[len(parts)-1]
}
