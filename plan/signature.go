package plan

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// SignatureError says that a plan is not what the holder of a key has signed.
type SignatureError struct {
	// File is that of the signature.
	File   string
	Reason string
}

func (e *SignatureError) Error() string { return e.File + ": " + e.Reason }

// maxSignature bounds the file of a signature, in bytes; that of the longest key in
// use takes some 3 KiB in base64.
const maxSignature = 16 << 10

// Verify checks the signature that is beside the plan, in plan.json.sig: an ECDSA or RSA
// (PKCS #1 v1.5) signature of the SHA-256 digest of plan.json, or an Ed25519 one of its
// text (RFC 8032, section 5.1), in base64 or not, as "cosign sign-blob", "openssl dgst
// -sign" and "openssl pkeyutl -sign -rawin" make them. The scripts are covered by
// their digests in the plan. key is a public key in PEM. One that is missing or that
// does not match is a [*SignatureError].
func (d *Dir) Verify(key []byte) error {
	block, _ := pem.Decode(key)
	if block == nil || block.Type != "PUBLIC KEY" {
		return errors.New("it is no public key in PEM")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return err
	}
	signature, err := d.Signature()
	switch {
	case err != nil:
		return err
	case signature == nil:
		return &SignatureError{d.file + signatureSuffix, "the plan has no signature"}
	}
	if decoded, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(signature))); err == nil {
		signature = decoded
	}
	digest := sha256.Sum256(d.text)
	matches := false
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		matches = ecdsa.VerifyASN1(public, digest[:], signature)
	case *rsa.PublicKey:
		matches = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil
	case ed25519.PublicKey:
		matches = ed25519.Verify(public, d.text, signature)
	default:
		return fmt.Errorf("keys of type %T cannot be used: want ECDSA, RSA or Ed25519", public)
	}
	if !matches {
		return &SignatureError{d.file + signatureSuffix, "the signature is not of this plan and key"}
	}
	return nil
}

// Text is plan.json as it was read: what a signature is of.
func (d *Dir) Text() []byte { return d.text }

// Signature reads the file of the signature beside the plan; nil without one.
func (d *Dir) Signature() ([]byte, error) {
	name := d.file + signatureSuffix
	if d.files != nil {
		data := d.files[name]
		if len(data) > maxSignature {
			return nil, fmt.Errorf("%s: larger than %d KiB", name, maxSignature>>10)
		}
		return data, nil
	}
	data, err := readLimited(filepath.Join(d.path, name), maxSignature)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
