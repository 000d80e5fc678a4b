package meta

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxJSONDepth bounds the nesting of any document that a provider sends.
const maxJSONDepth = 8

// checkJSON reads one JSON object to its end and refuses what lenient parsers
// disagree about: duplicate members, more than one value, deep nesting.
func checkJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	first, err := dec.Token()
	if err != nil {
		return err
	}
	if first != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	if err = checkMembers(dec, 1); err != nil {
		return err
	}
	if _, err = dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("data after the JSON object")
	}
	return nil
}

// checkMembers walks the object whose opening brace has been read.
func checkMembers(dec *json.Decoder, depth int) error {
	seen := make(map[string]bool)
	for {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		name, isName := token.(string)
		if !isName {
			return nil // the closing brace
		}
		// Folded, because encoding/json fills struct fields without regard to case.
		if folded := strings.ToLower(name); seen[folded] {
			return fmt.Errorf("duplicate member %q", name)
		} else {
			seen[folded] = true
		}
		if err = checkValue(dec, depth); err != nil {
			return err
		}
	}
}

// checkValue walks the next value of a container at the given depth.
func checkValue(dec *json.Decoder, depth int) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	open, isDelim := token.(json.Delim)
	if !isDelim {
		return nil
	}
	if depth++; depth > maxJSONDepth {
		return errors.New("nested too deeply")
	}
	if open == '{' {
		return checkMembers(dec, depth)
	}
	for dec.More() {
		if err = checkValue(dec, depth); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the closing bracket
	return err
}

// decodeObject parses a checked object into its members, names compared exactly.
func decodeObject(data []byte) (map[string]any, error) {
	if err := checkJSON(data); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	members := make(map[string]any)
	if err := dec.Decode(&members); err != nil {
		return nil, err
	}
	return members, nil
}

// decodeRequest parses a checked object into v and refuses members that v does not know.
func decodeRequest(data []byte, v any) error {
	if err := checkJSON(data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}
