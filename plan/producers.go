package plan

import "math/bits"

// producerSets holds, by node, the set of producers whose artifacts reach it, as
// bits numbered in plan order. Nodes share sets where they can.
type producerSets struct {
	producers []int
	bit       map[int]int
	sets      [][]uint64
}

// Producers returns the jobs that declare artifacts among everything upstream
// of the job, ascending. A need passes on the artifacts of its job and what
// that job sees itself, unless it says artifacts: false, which passes neither;
// a job in stage mode sees all earlier stages.
//
// The first call computes the answer for every job, in bitsets; n jobs of which
// m declare artifacts cost at most n*m/8 bytes.
func (g *Graph) Producers(job int) []int {
	if g.producers == nil {
		g.producers = g.newProducerSets()
	}
	var jobs []int
	for w, word := range g.producers.sets[job] {
		for ; word != 0; word &= word - 1 {
			jobs = append(jobs, g.producers.producers[w*64+bits.TrailingZeros64(word)])
		}
	}
	return jobs
}

func (g *Graph) newProducerSets() *producerSets {
	p := &producerSets{bit: make(map[int]int), sets: make([][]uint64, len(g.order))}
	for i := range g.jobs {
		if g.jobs[i].Artifacts.Archived() {
			p.bit[i] = len(p.producers)
			p.producers = append(p.producers, i)
		}
	}
	if len(p.producers) == 0 {
		return p
	}
	for _, node := range g.order {
		var u union
		switch {
		case node >= len(g.jobs)+len(g.stageJobs):
			// No pipeline sees the artifacts of another.
		case node >= len(g.jobs):
			g.waitsFor(node, func(dep int) { p.addFrom(&u, dep, len(g.jobs)) })
		case g.jobs[node].AfterStages:
			u.add(p.sets[g.barrier(g.stageOf[node])])
		default:
			for i, n := range g.needs[node] {
				if g.jobs[node].Needs[i].Artifacts {
					p.addFrom(&u, n, len(g.jobs))
				}
			}
		}
		p.sets[node] = u.set
	}
	return p
}

// WholeStages returns, by job, the latest stage such that all jobs of all stages
// before it are upstream because a job waits for these stages whole: the job
// itself, or one that it reaches through needs. It is 0 where there is none. With
// artifacts, only needs that pass artifacts on are followed.
func (g *Graph) WholeStages(artifacts bool) []int {
	whole := make([]int, len(g.jobs))
	for _, node := range g.order {
		if node >= len(g.jobs) {
			continue
		}
		if g.jobs[node].AfterStages {
			whole[node] = g.stageOf[node]
		}
		for i, n := range g.needs[node] {
			if !artifacts || g.jobs[node].Needs[i].Artifacts {
				whole[node] = max(whole[node], whole[n])
			}
		}
	}
	return whole
}

// addFrom adds what node dep sees and, if it is a job that declares artifacts, itself.
func (p *producerSets) addFrom(u *union, dep, jobs int) {
	u.add(p.sets[dep])
	if b, ok := p.bit[dep]; ok && dep < jobs {
		u.addBit(b)
	}
}

// union is a set under construction that borrows the first set it is given
// until something new is added.
type union struct {
	set   []uint64
	owned bool
}

func (u *union) add(other []uint64) {
	if len(u.set) == 0 {
		u.set, u.owned = other, false
		return
	}
	for w, word := range other {
		if w >= len(u.set) || u.set[w]|word != u.set[w] {
			u.own(len(other))
			for ; w < len(other); w++ {
				u.set[w] |= other[w]
			}
			return
		}
	}
}

func (u *union) addBit(bit int) {
	w, mask := bit/64, uint64(1)<<(bit%64)
	if w < len(u.set) && u.set[w]&mask != 0 {
		return
	}
	u.own(w + 1)
	u.set[w] |= mask
}

// own makes the set the union's own, at least size words long.
func (u *union) own(size int) {
	if u.owned && size <= len(u.set) {
		return
	}
	grown := make([]uint64, max(size, len(u.set)))
	copy(grown, u.set)
	u.set, u.owned = grown, true
}
