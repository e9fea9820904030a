// Package network gives the containers of a run a network of their own.
//
// All of it is in one private network namespace a run, the router:
//
//	container eth0 ── v1 ┐
//	                     b0 (segment 0, one job and its services)
//	service   eth0 ── v2 ┘        │ routed, filtered, translated
//	                              up ── cic0 on the machine ── translated again
//
// Within a segment containers reach each other directly. Between segments
// nothing is forwarded, so that jobs do not see each other. On the machine itself
// there are one link and one table of rules a run. That keeps the machine's own
// rules, which often drop what is forwarded or bridged, away from what jobs say
// to their services.
//
// The router is held by a descriptor and a container's namespace by its
// processes: when cic and the containers are gone, however they ended, so are
// all links and rules but the table on the machine. [Sweep] removes that.
//
// Only IPv4 is spoken. Link-local addresses, those of cloud metadata services
// among them, cannot be reached.
package network
