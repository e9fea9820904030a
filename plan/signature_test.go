package plan

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func publicPEM(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func digestOf(text []byte) []byte {
	sum := sha256.Sum256(text)
	return sum[:]
}

// exchange has a public key that signs nothing.
type exchange struct{ crypto.Signer }

func (exchange) Public() crypto.PublicKey {
	key, err := ecdh.X25519().NewPublicKey(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	return key
}

func TestVerify(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	modulus, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := assemble(t, simple("only", "build"))
	if err := WriteDir(dir, p, scriptsOf(p), nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, planFile))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(key crypto.Signer) []byte {
		signature, err := key.Sign(rand.Reader, digestOf(text), crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	for _, test := range []struct {
		name      string
		key       []byte
		signature []byte // nil for none
		want      string // empty: good
		integrity bool
	}{
		{"ECDSA", publicPEM(t, curve), sign(curve), "", false},
		{"ECDSA in base64", publicPEM(t, curve), []byte(base64.StdEncoding.EncodeToString(sign(curve)) + "\n"), "", false},
		{"RSA", publicPEM(t, modulus), sign(modulus), "", false},
		{"another key", publicPEM(t, other), sign(curve), "plan.json.sig: the signature is not of this plan and key", true},
		{"another kind of key", publicPEM(t, modulus), sign(curve), "the signature is not of this plan and key", true},
		{"nothing", publicPEM(t, curve), []byte{}, "the signature is not of this plan and key", true},
		{"none", publicPEM(t, curve), nil, "plan.json.sig: the plan has no signature", true},
		{"no key", []byte("key"), sign(curve), "it is no public key in PEM", false},
		{"Ed25519", publicPEM(t, edwards), ed25519.Sign(edwards, text), "", false},
		{"Ed25519 of the digest", publicPEM(t, edwards), ed25519.Sign(edwards, digestOf(text)), "the signature is not of this plan and key", true},
		{"Ed25519 of another length", publicPEM(t, edwards), sign(curve), "the signature is not of this plan and key", true},
		{"X25519", publicPEM(t, exchange{}), sign(curve), "want ECDSA, RSA or Ed25519", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := filepath.Join(dir, planFile+signatureSuffix)
			if err := os.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
			if test.signature != nil {
				if err := os.WriteFile(name, test.signature, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			d, err := ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			err = d.Verify(test.key)
			var bad *SignatureError
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) || errors.As(err, &bad) != test.integrity {
				t.Errorf("got %v", err)
			}
		})
	}
	// What is signed is the text that was read, whatever becomes of the file.
	if err := os.WriteFile(filepath.Join(dir, planFile+signatureSuffix), sign(curve), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, planFile), append(text, ' '), 0o644); err != nil {
		t.Fatal(err)
	}
	d, err := ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Verify(publicPEM(t, curve)); err == nil {
		t.Error("a plan of another text is taken for the signed one")
	}
	// A new plan is not what was signed.
	if err := WriteDir(dir, p, scriptsOf(p), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, planFile+signatureSuffix)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the signature is still there: %v", err)
	}
}
