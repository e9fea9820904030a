package mask

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// secretsOf makes n secrets as services issue them.
func secretsOf(n int) []string {
	rnd := rand.New(rand.NewPCG(3, 4))
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	secrets := make([]string, n)
	for i := range secrets {
		b := make([]byte, 20+rnd.IntN(30))
		for k := range b {
			b[k] = letters[rnd.IntN(len(letters))]
		}
		secrets[i] = string(b)
	}
	return secrets
}

// outputs are what jobs print: the log of a build, base64, hexadecimal, and one
// line again and again.
func outputs() map[string][]byte {
	const size = 1 << 20
	rnd := rand.New(rand.NewPCG(5, 6))
	words := []string{"Compiling", "Downloading", "serde", "tokio", "ok", "test", "running", "module", "/usr/local/lib/python3.11/site-packages",
		"warning:", "unused", "variable", "src/main.rs", "0.12s", "v1.0.193", "[info]", "2026-01-02T03:04:05Z", "GET", "200", "(build)"}
	var build, random, digits bytes.Buffer
	for build.Len() < size {
		for range 3 + rnd.IntN(8) {
			fmt.Fprintf(&build, "%s ", words[rnd.IntN(len(words))])
		}
		fmt.Fprintf(&build, "%d\n", rnd.IntN(100000))
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for random.Len() < size {
		for range 76 {
			random.WriteByte(letters[rnd.IntN(64)])
			digits.WriteByte("0123456789abcdef"[rnd.IntN(16)])
		}
		random.WriteByte('\n')
		digits.WriteByte('\n')
	}
	line := []byte("a line of output that is longer than most, so that there are not too many\n")
	return map[string][]byte{
		"build": build.Bytes(), "base64": random.Bytes(), "hex": digits.Bytes(),
		"yes": bytes.Repeat(line, size/len(line)),
	}
}

func BenchmarkWriter(b *testing.B) {
	m := New(secretsOf(20))
	all := outputs()
	for _, name := range []string{"build", "base64", "hex", "yes"} {
		b.Run(name, func(b *testing.B) {
			w := m.Writer(io.Discard)
			data := all[name]
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				for rest := data; len(rest) > 0; {
					n := min(32<<10, len(rest)) // as a FIFO is read
					_, _ = w.Write(rest[:n])
					rest = rest[n:]
				}
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	secrets := secretsOf(20)
	for b.Loop() {
		New(secrets)
	}
}
