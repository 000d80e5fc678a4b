package bridge

import (
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.mau.fi/util/configupgrade"
	"gopkg.in/yaml.v3"

	"causeway/interop"
	"causeway/puppet"
	"causeway/wire"
)

//go:embed network.example.yaml
var networkExample string

// Config is the `network` section of the configuration; its example is network.example.yaml.
type Config struct {
	Endpoint    EndpointConfig `yaml:"endpoint"`
	Listen      ListenConfig   `yaml:"listen"`
	DisplayName string         `yaml:"displayname"`
	Receipts    ReceiptsConfig `yaml:"receipts"`
	Media       MediaConfig    `yaml:"media"`
	Delivery    DeliveryConfig `yaml:"delivery"`
	// SecretFile holds the instance secret; empty is beside the database.
	SecretFile string `yaml:"secret_file"`
	// DoublePuppets lets the bridge act as the homeserver's own users by its own registration.
	DoublePuppets bool          `yaml:"double_puppets"`
	Interop       InteropConfig `yaml:"interop"`
	Linked        LinkedConfig  `yaml:"linked"`
}

// InteropConfig is what the provider is told, and how its users' chats work.
type InteropConfig struct {
	interop.Config `yaml:",inline"`
	Reactions      Reactions `yaml:"reactions"`
}

// MediaConfig is about files.
type MediaConfig struct {
	// FFmpeg is the converter's path; empty looks for it.
	FFmpeg string `yaml:"ffmpeg"`
}

// EndpointConfig says where the networks are reached.
type EndpointConfig struct {
	Host  string `yaml:"host"`
	Proxy string `yaml:"proxy"`
	// TrustRoot is 64 hex digits, or empty.
	TrustRoot string `yaml:"trust_root"`
	// CAFile is a file of certificates in PEM, or empty.
	CAFile string `yaml:"ca_file"`
}

// ListenConfig is what the bridge offers to others than the homeserver.
type ListenConfig struct {
	Provider interop.Listen `yaml:"provider"`
	Metrics  MetricsListen  `yaml:"metrics"`
}

// MetricsListen is the operator's listener.
type MetricsListen struct {
	// Address is host:port, empty for none.
	Address string `yaml:"address"`
}

// ReceiptsConfig is about read and delivery receipts.
type ReceiptsConfig struct {
	Read     bool         `yaml:"read"`
	Delivery DeliveryMark `yaml:"delivery"`
}

// DeliveryMark is how a room shows that a message was delivered.
type DeliveryMark string

// The ways to show delivery; Matrix has none of its own.
const (
	DeliveryBotReceipt DeliveryMark = "bot_receipt"
	DeliveryReaction   DeliveryMark = "reaction"
	DeliveryOff        DeliveryMark = "off"
)

// ValidateConfig says everything that is wrong at once, each with the key's path and what to write instead.
func (c *Connector) ValidateConfig() error {
	var errs []error
	for _, key := range c.unknown {
		errs = append(errs, fmt.Errorf("network.%s: no such key; remove it, or look for its name in the output of -e", key))
	}
	if err := c.config.validate(); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	c.namer, _ = puppet.NewNamer(c.config.DisplayName) // validated above
	return nil
}

func (c *Config) validate() error {
	var errs []error
	if err := c.Endpoint.validate(); err != nil {
		errs = append(errs, err)
	}
	if _, err := puppet.NewNamer(c.DisplayName); err != nil {
		errs = append(errs, fmt.Errorf("network.displayname: %w; the default is %q", err, puppet.DefaultTemplate))
	}
	switch c.Receipts.Delivery {
	case DeliveryBotReceipt, DeliveryReaction, DeliveryOff:
	default:
		errs = append(errs, fmt.Errorf("network.receipts.delivery: %q is unknown; use bot_receipt, reaction or off", c.Receipts.Delivery))
	}
	switch c.Interop.Reactions {
	case ReactionsAuto, ReactionsOn, ReactionsOff:
	default:
		errs = append(errs, fmt.Errorf("network.interop.reactions: %q is unknown; use auto, on or off", c.Interop.Reactions))
	}
	errs = append(errs, c.Interop.ValidateListen(c.Listen.Provider), c.Listen.Provider.Validate(), c.Listen.Metrics.validate(), c.Delivery.validate(), c.Interop.Validate(), c.Linked.validate())
	return errors.Join(errs...)
}

// validate also refuses what is half of a simulated network: the other half would be the real one.
func (e EndpointConfig) validate() error {
	endpoint, err := e.wire()
	if err != nil {
		return err
	}
	switch err = endpoint.Validate(); {
	case err != nil:
		return fmt.Errorf("network.endpoint: %w", err)
	case e.Host != "" && e.TrustRoot == "":
		return errors.New("network.endpoint.host: a simulated network has a root of its own; write it to network.endpoint.trust_root")
	case e.TrustRoot != "" && e.Host == "" && e.Proxy == "":
		return errors.New("network.endpoint.trust_root: the real network has another root; say where the simulated one is, by host or proxy")
	}
	return nil
}

func (e EndpointConfig) wire() (wire.Endpoint, error) {
	root, err := hex.DecodeString(e.TrustRoot)
	if err != nil {
		return wire.Endpoint{}, errors.New("network.endpoint.trust_root: write 64 hex digits, or leave it empty")
	}
	endpoint := wire.Endpoint{Host: e.Host, Proxy: e.Proxy, TrustRoot: root}
	if e.CAFile != "" {
		if endpoint.CA, err = os.ReadFile(e.CAFile); err != nil {
			return wire.Endpoint{}, fmt.Errorf("network.endpoint.ca_file: %w", err)
		}
	}
	return endpoint, nil
}

// upgradeConfig carries a user's values over into the newest example. Keys that
// the example does not have are carried over too and remembered, so that the
// start is refused until a person has looked at them.
func (c *Connector) upgradeConfig(helper configupgrade.Helper) {
	c.unknown = nil
	written, base := helper.GetNode(), helper.GetBaseNode()
	if written == nil || base == nil || written.Node == nil || written.Kind != yaml.MappingNode {
		return
	}
	c.unknown = merge(base.Node, written.Node, "")
	slices.Sort(c.unknown)
}

func merge(base, written *yaml.Node, path string) (unknown []string) {
	for i := 0; i+1 < len(written.Content); i += 2 {
		key, value := written.Content[i], written.Content[i+1]
		name := strings.TrimPrefix(path+"."+key.Value, ".")
		target := child(base, key.Value)
		switch {
		case target == nil:
			base.Content = append(base.Content, key, value)
			unknown = append(unknown, name)
		case target.Kind == yaml.MappingNode && value.Kind == yaml.MappingNode:
			unknown = append(unknown, merge(target, value, name)...)
		case target.Kind == yaml.MappingNode && value.Tag == configupgrade.NullTag:
			// A section with nothing in it keeps its defaults.
		default:
			target.Kind, target.Tag, target.Style = value.Kind, value.Tag, value.Style
			target.Value, target.Content = value.Value, value.Content
		}
	}
	return unknown
}

func child(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}
