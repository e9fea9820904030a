package exec

import (
	"fmt"
	"slices"
	"time"
)

// alarm is a moment at which a scheduled job may start.
type alarm struct {
	at  time.Time // with its monotonic reading
	job int
}

// schedule lets a job wait for its start_in, or not at all.
func (r *run) schedule(job int) {
	if r.NoDelay {
		r.sched.Due(job)
		return
	}
	delay := time.Duration(r.plan.Jobs[job].StartIn) * time.Second
	now := r.Now()
	a := alarm{now.Add(delay), job}
	at, _ := slices.BinarySearchFunc(r.alarms, a, func(x, y alarm) int {
		if d := x.at.Compare(y.at); d != 0 {
			return d
		}
		return x.job - y.job
	})
	r.alarms = slices.Insert(r.alarms, at, a)
	r.emit(Event{Time: now, Type: EventJobWaiting, Job: r.plan.Jobs[job].Name, Status: StatusScheduled,
		Seconds: delay.Seconds(), Text: fmt.Sprintf("starts in %s", delay)})
}

// nextAlarm sets the timer and returns its channel, nil if there is no alarm.
func (r *run) nextAlarm() <-chan time.Time {
	if len(r.alarms) == 0 {
		return nil
	}
	r.timer.Reset(r.alarms[0].at.Sub(r.Now()))
	return r.timer.C
}

// ring lets the jobs start whose time has come.
func (r *run) ring() {
	now := r.Now()
	for len(r.alarms) > 0 && !r.alarms[0].at.After(now) {
		r.sched.Due(r.alarms[0].job)
		r.alarms = r.alarms[1:]
	}
}
