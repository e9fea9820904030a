package plan

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
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
// (PKCS #1 v1.5) signature of the SHA-256 digest of plan.json, in base64 or not, as
// "cosign sign-blob" and "openssl dgst -sign" make them. The scripts are covered by
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
	signature, err := d.signature()
	if err != nil {
		return err
	}
	matches := false
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		matches = ecdsa.VerifyASN1(public, d.digest[:], signature)
	case *rsa.PublicKey:
		matches = rsa.VerifyPKCS1v15(public, crypto.SHA256, d.digest[:], signature) == nil
	default:
		return fmt.Errorf("keys of type %T cannot be used: want ECDSA or RSA", public)
	}
	if !matches {
		return &SignatureError{d.file + signatureSuffix, "the signature is not of this plan and key"}
	}
	return nil
}

// signature reads what is beside the plan.
func (d *Dir) signature() ([]byte, error) {
	name := d.file + signatureSuffix
	data, ok := d.files[name]
	if d.files == nil {
		var err error
		data, err = readLimited(filepath.Join(d.path, name), maxSignature)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		ok = err == nil
	}
	if !ok {
		return nil, &SignatureError{name, "the plan has no signature"}
	}
	if text, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(data))); err == nil {
		return text, nil
	}
	return data, nil
}

// took records the text of the plan, of the file of that name.
func (d *Dir) took(file string, text []byte) {
	d.file, d.digest = file, sha256.Sum256(text)
}
