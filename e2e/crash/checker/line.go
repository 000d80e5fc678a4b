package checker

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Direction is which way a line goes.
type Direction string

// The directions.
const (
	// ToMatrix: a person says it on their phone.
	ToMatrix Direction = "to Matrix"
	// ToNetwork: a Matrix user says it in a room.
	ToNetwork Direction = "to network"
)

// other is the way back.
func (d Direction) other() Direction {
	if d == ToMatrix {
		return ToNetwork
	}
	return ToMatrix
}

// Line is one message of the generator. Its text names it wholly, so that it is known wherever it turns up.
type Line struct {
	// Seq numbers all lines of a run from 1, N those of one sender in one chat and direction.
	Seq, N int
	// Run names the run, Chat the conversation, Sender who says it.
	Run, Chat, Sender string
	Direction         Direction
}

const (
	separator = "|"
	fields    = 7
	macDigits = 16
)

// ErrForged is what Read returns for a text whose signature is not its own.
var ErrForged = errors.New("the signature does not fit")

// Text spells the line as seq|run|direction|chat|sender|n|signature. Names must not have a "|" in them.
func (l Line) Text(key []byte) string {
	unsigned := strings.Join([]string{
		strconv.Itoa(l.Seq), l.Run, string(l.Direction), l.Chat, l.Sender, strconv.Itoa(l.N),
	}, separator)
	return unsigned + separator + sign(key, unsigned)
}

// Read reads what Text has spelt.
func Read(key []byte, text string) (Line, error) {
	parts := strings.Split(text, separator)
	if len(parts) != fields {
		return Line{}, fmt.Errorf("failed to read a line: %d parts instead of %d", len(parts), fields)
	}
	signature := parts[fields-1]
	if !hmac.Equal([]byte(signature), []byte(sign(key, strings.TrimSuffix(text, separator+signature)))) {
		return Line{}, ErrForged
	}
	l := Line{Run: parts[1], Direction: Direction(parts[2]), Chat: parts[3], Sender: parts[4]}
	var err, err2 error
	l.Seq, err = strconv.Atoi(parts[0])
	l.N, err2 = strconv.Atoi(parts[5])
	if err = errors.Join(err, err2); err != nil {
		return Line{}, fmt.Errorf("failed to read a line: %w", err)
	}
	return l, nil
}

func sign(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))[:macDigits]
}
