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
	room := maxLate + o.unsure()
	o.cut = o.cut || len(o.data)+len(p) > room
	o.data = keepLast(o.data, p, room)
}

// unsure is how many bytes after a gap may not be shown, even masked. A secret that
// began in the gap ends within the length of the longest, and what then looks like the
// beginning of another is held back for that length again.
func (o *lateOutput) unsure() int { return 2 * o.secret }

// take gives back what is held: after a gap, what is to be masked and not shown, and
// what follows that.
func (o *lateOutput) take() (gap bool, unsure, data []byte) {
	gap, data = o.cut, o.data
	o.data, o.cut = nil, false
	if gap {
		n := min(o.unsure(), len(data))
		unsure, data = data[:n], data[n:]
	}
	return gap, unsure, data
}

// afterBlank is what follows the first blank: a token that began in a gap, whose
// length is not known, ends there.
func afterBlank(masked []byte) []byte {
	blank := bytes.IndexAny(masked, " \t\r\n")
	if blank < 0 {
		return nil
	}
	return masked[blank+1:]
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
