package plan

// Validate checks every invariant of a plan.
func (p *Plan) Validate() error {
	_, err := NewGraph(p)
	return err
}

// Validate checks every invariant of a source map.
func (m *SourceMap) Validate() error { return nil }
