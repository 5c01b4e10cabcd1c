// A program that keeps keys as files and signs with them, by Sigstore's protocol for such programs: what a key management
// service would do behind one. The name of the file says which kind of key it makes at first use.
package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
)

// keeper adds what a key management service has beside signing and verifying.
type keeper struct{ signature.SignerVerifier }

func (keeper) CreateKey(context.Context, string) (crypto.PublicKey, error) {
	return nil, errors.New("keys are made at first use")
}

func (keeper) CryptoSigner(context.Context, func(error)) (crypto.Signer, crypto.SignerOpts, error) {
	return nil, nil, errors.New("there is none")
}

func (keeper) SupportedAlgorithms() []string { return nil }

func (keeper) DefaultAlgorithm() string { return "" }

func generate(kind string) (crypto.PrivateKey, error) {
	switch {
	case strings.HasPrefix(kind, "ecdsa-p256"):
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case strings.HasPrefix(kind, "ecdsa-p384"):
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case strings.HasPrefix(kind, "ed25519"):
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case strings.HasPrefix(kind, "rsa-2048"):
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, errors.New("there is no such key")
}

func open(path string, hash crypto.Hash) (signature.SignerVerifier, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key, err := generate(filepath.Base(path))
		if err != nil {
			return nil, err
		}
		if text, err = cryptoutils.MarshalPrivateKeyToPEM(key); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	key, err := cryptoutils.UnmarshalPEMToPrivateKey(text, nil)
	if err != nil {
		return nil, err
	}
	return signature.LoadSignerVerifier(key, hash)
}

func main() {
	arguments, err := handler.GetPluginArgs(os.Args)
	if err != nil {
		handler.WriteErrorResponse(os.Stdout, err)
		os.Exit(1)
	}
	key, err := open(arguments.InitOptions.KeyResourceID, arguments.InitOptions.HashFunc)
	if err != nil {
		handler.WriteErrorResponse(os.Stdout, err)
		os.Exit(1)
	}
	if _, err := handler.Dispatch(os.Stdout, os.Stdin, arguments, keeper{key}); err != nil {
		os.Exit(1)
	}
}
