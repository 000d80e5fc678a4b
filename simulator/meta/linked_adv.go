package meta

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"
)

// This file is how a linked device proves whose it is: the phone signs the device's
// identity with the account key, which is its own Signal identity, and the device signs back
// (docs/protocol.md#linked).

// What the three signatures are over, in front.
var (
	advAccountPrefix = []byte{6, 0}
	advDevicePrefix  = []byte{6, 1}
	advIndexesPrefix = []byte{6, 2}
)

// advRawID is the number of the account's device list; it changes when the phone is set up anew.
const advRawID = 1

var errADV = errors.New("the device's signed identity does not hold")

// signDevice is the phone's half: the signed identity of a device, without the device's own signature.
func signDevice(account *keys.KeyPair, device [32]byte, index uint32, at time.Time) (*waAdv.ADVSignedDeviceIdentity, error) {
	details, err := proto.Marshal(&waAdv.ADVDeviceIdentity{
		RawID: proto.Uint32(advRawID), Timestamp: proto.Uint64(uint64(at.Unix())), KeyIndex: &index,
		AccountType: waAdv.ADVEncryptionType_E2EE.Enum(), DeviceType: waAdv.ADVEncryptionType_E2EE.Enum()})
	if err != nil {
		return nil, fmt.Errorf("failed to write the device's identity: %w", err)
	}
	signature := ecc.CalculateSignature(ecc.NewDjbECPrivateKey(*account.Priv), slices.Concat(advAccountPrefix, details, device[:]))
	return &waAdv.ADVSignedDeviceIdentity{Details: details, AccountSignatureKey: account.Pub[:], AccountSignature: signature[:]}, nil
}

// sealIdentity puts a signed identity under the secret that the phone read from the code.
func sealIdentity(signed *waAdv.ADVSignedDeviceIdentity, secret []byte) ([]byte, error) {
	details, err := proto.Marshal(signed)
	if err != nil {
		return nil, fmt.Errorf("failed to write the signed identity: %w", err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(details)
	return proto.Marshal(&waAdv.ADVSignedDeviceIdentityHMAC{Details: details, HMAC: mac.Sum(nil)})
}

// checkDevice verifies both signatures over a device's identity.
func checkDevice(signed *waAdv.ADVSignedDeviceIdentity, account, device [32]byte) error {
	if len(signed.GetAccountSignature()) != 64 || len(signed.GetDeviceSignature()) != 64 {
		return fmt.Errorf("a signature is missing: %w", errADV)
	}
	byAccount := slices.Concat(advAccountPrefix, signed.Details, device[:])
	if !ecc.VerifySignature(ecc.NewDjbECPublicKey(account), byAccount, [64]byte(signed.AccountSignature)) {
		return fmt.Errorf("account signature: %w", errADV)
	}
	byDevice := slices.Concat(advDevicePrefix, signed.Details, device[:], account[:])
	if !ecc.VerifySignature(ecc.NewDjbECPublicKey(device), byDevice, [64]byte(signed.DeviceSignature)) {
		return fmt.Errorf("device signature: %w", errADV)
	}
	return nil
}

// checkIdentity verifies the identity that goes with a device's keys and first messages.
func checkIdentity(data []byte, account, device [32]byte) error {
	var signed waAdv.ADVSignedDeviceIdentity
	if err := proto.Unmarshal(data, &signed); err != nil {
		return fmt.Errorf("%w: %w", errADV, err)
	}
	if key := signed.GetAccountSignatureKey(); len(key) != 0 && !slices.Equal(key, account[:]) {
		return fmt.Errorf("signed under another account: %w", errADV)
	}
	return checkDevice(&signed, account, device)
}

// signIndexes is the phone's list of the devices that are valid now.
func signIndexes(account *keys.KeyPair, valid []uint32, at time.Time) ([]byte, error) {
	list := &waAdv.ADVKeyIndexList{RawID: proto.Uint32(advRawID), Timestamp: proto.Uint64(uint64(at.Unix())),
		CurrentIndex: proto.Uint32(slices.Max(append(valid, 0))), ValidIndexes: append([]uint32{0}, valid...)}
	details, err := proto.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("failed to write the key indexes: %w", err)
	}
	signature := ecc.CalculateSignature(ecc.NewDjbECPrivateKey(*account.Priv), slices.Concat(advIndexesPrefix, details))
	return proto.Marshal(&waAdv.ADVSignedKeyIndexList{Details: details, AccountSignature: signature[:], AccountSignatureKey: account.Pub[:]})
}
