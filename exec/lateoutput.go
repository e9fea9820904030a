package exec

import "bytes"

// lateOutput holds the end of what a program prints after its job's log is full.
// It is masked when the program has ended: to mask all of it, of which nobody
// sees more than this, would take a processor from the other jobs.
type lateOutput struct {
	// secret is the length of the longest secret, in bytes.
	secret int
	data   []byte
	cut    bool // data has lost its beginning
}

func (o *lateOutput) keep(p []byte) {
	room := maxLate + o.secret
	o.cut = o.cut || len(o.data)+len(p) > room
	o.data = keepLast(o.data, p, room)
}

// take returns what is held, and whether it follows what came before. If not, it
// begins where no secret can have begun before: after as many bytes as the longest
// has, and then after a blank, as a token may have any length but holds none.
func (o *lateOutput) take() (data []byte, follows bool) {
	data, follows = o.data, !o.cut
	o.data, o.cut = nil, false
	if !follows {
		data = data[min(o.secret, len(data)):]
		blank := bytes.IndexAny(data, " \t\r\n")
		if blank < 0 {
			return nil, false
		}
		data = data[blank+1:]
	}
	return data, follows
}

// keepLast appends p to data and keeps the last n bytes, at the least: what is
// before them is removed now and then.
func keepLast(data, p []byte, n int) []byte {
	data = append(data, p[max(0, len(p)-n):]...)
	if len(data) > 2*n {
		data = append(data[:0], data[len(data)-n:]...)
	}
	return data
}
