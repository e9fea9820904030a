//go:build linux

package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// register is the one that rules compute in.
const register = 1

// addRouterRules says what the router forwards: replies, and what the machine
// itself sends, for jobs in its network. With outbound also what jobs send out,
// but not to link-local addresses, where clouds give their machines' credentials
// to whoever asks. The rest is refused, so that nobody waits for it. It replaces
// rules that were added before.
func addRouterRules(router netns.NsHandle, machine netip.Addr, outbound bool) error {
	c, err := nftables.New(nftables.WithNetNSFd(int(router)))
	if err != nil {
		return rulesError(err)
	}
	table := &nftables.Table{Name: "cic", Family: nftables.TableFamilyIPv4}
	c.AddTable(table) // what is there can be deleted then
	c.DelTable(table)
	c.AddTable(table)
	drop := nftables.ChainPolicyDrop
	forward := c.AddChain(&nftables.Chain{
		Name: "forward", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &drop,
	})
	from, to := linkIs(expr.MetaKeyIIFNAME, routerLink), linkIs(expr.MetaKeyOIFNAME, routerLink)
	fromJob := linkBegins(expr.MetaKeyIIFNAME, bridgePrefix)
	rules := [][]expr.Any{
		append(isReply(), verdict(expr.VerdictAccept)),
		slices.Concat(from, sourceIs(machine), []expr.Any{verdict(expr.VerdictAccept)}),
	}
	if outbound {
		rules = append(rules,
			append(isLinkLocal(), refuse()),
			slices.Concat(fromJob, to, []expr.Any{verdict(expr.VerdictAccept)}))
		masquerade(c, table, to)
	}
	rules = append(rules, append(fromJob, refuse()))
	for _, exprs := range rules {
		c.AddRule(&nftables.Rule{Table: table, Chain: forward, Exprs: exprs})
	}
	return rulesError(c.Flush())
}

// addHostRules translates the router's address to the machine's, and lets what
// the router sends and receives pass where the machine drops what it forwards,
// as it does once Docker was started.
func addHostRules(link string, router netip.Addr) error {
	if err := removeHostRules(func(name string) bool { return name == link }); err != nil {
		return err
	}
	c, err := nftables.New()
	if err != nil {
		return rulesError(err)
	}
	table := c.AddTable(&nftables.Table{Name: link, Family: nftables.TableFamilyIPv4})
	masquerade(c, table, sourceIs(router))
	strict, err := strictChains(c)
	if err != nil {
		return err
	}
	for _, chain := range strict {
		for _, key := range []expr.MetaKey{expr.MetaKeyOIFNAME, expr.MetaKeyIIFNAME} {
			// With a counter, as iptables writes such a rule and can read it.
			c.InsertRule(&nftables.Rule{Table: chain.Table, Chain: chain,
				Exprs: append(linkIs(key, link), &expr.Counter{}, verdict(expr.VerdictAccept))})
		}
	}
	return rulesError(c.Flush())
}

// strictChains are the machine's chains that end the way of forwarded packets.
func strictChains(c *nftables.Conn) ([]*nftables.Chain, error) {
	var strict []*nftables.Chain
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyINet} {
		chains, err := c.ListChainsOfTableFamily(family)
		if err != nil {
			return nil, rulesError(err)
		}
		for _, chain := range chains {
			if chain.Hooknum == nil || *chain.Hooknum != *nftables.ChainHookForward || chain.Type != nftables.ChainTypeFilter {
				continue
			}
			ends := chain.Policy != nil && *chain.Policy == nftables.ChainPolicyDrop
			if !ends {
				rules, err := c.GetRules(chain.Table, chain)
				if err != nil {
					return nil, rulesError(err)
				}
				ends = len(rules) > 0 && refuses(rules[len(rules)-1])
			}
			if ends {
				strict = append(strict, chain)
			}
		}
	}
	return strict, nil
}

// refuses reports whether a rule drops or rejects what it is about.
func refuses(r *nftables.Rule) bool {
	return slices.ContainsFunc(r.Exprs, func(e expr.Any) bool {
		v, ok := e.(*expr.Verdict)
		_, reject := e.(*expr.Reject)
		return reject || ok && v.Kind == expr.VerdictDrop
	})
}

// removeHostRules removes the machine's rules for the links that match.
func removeHostRules(match func(link string) bool) error {
	c, err := nftables.New()
	if err != nil {
		return rulesError(err)
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil // a kernel without rules has none of ours
	}
	if err != nil {
		return rulesError(err)
	}
	for _, t := range tables {
		if isHostLink(t.Name) && match(t.Name) {
			c.DelTable(t)
		}
	}
	strict, err := strictChains(c)
	if err != nil {
		return err
	}
	for _, chain := range strict {
		rules, err := c.GetRules(chain.Table, chain)
		if err != nil {
			return rulesError(err)
		}
		for _, r := range rules {
			if link := linkOf(r); isHostLink(link) && match(link) {
				if err := c.DelRule(r); err != nil {
					return rulesError(err)
				}
			}
		}
	}
	return rulesError(c.Flush())
}

// linkOf is the name of the link that a rule asks for first, if it does.
func linkOf(r *nftables.Rule) string {
	if len(r.Exprs) < 2 {
		return ""
	}
	meta, isMeta := r.Exprs[0].(*expr.Meta)
	cmp, isCmp := r.Exprs[1].(*expr.Cmp)
	if !isMeta || !isCmp || meta.Key != expr.MetaKeyIIFNAME && meta.Key != expr.MetaKeyOIFNAME {
		return ""
	}
	return unix.ByteSliceToString(cmp.Data)
}

// rulesError says what failed. Without the kernel's modules it is hard to guess.
func rulesError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("set packet rules (nf_tables): %w", err)
}

// masquerade adds a chain that gives packets the address of the link they leave by.
func masquerade(c *nftables.Conn, table *nftables.Table, which []expr.Any) {
	chain := c.AddChain(&nftables.Chain{
		Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(which, &expr.Masq{})})
}

func verdict(kind expr.VerdictKind) expr.Any { return &expr.Verdict{Kind: kind} }

// refuse answers that it is forbidden (ICMP 3/13, RFC 1812).
func refuse() expr.Any {
	const adminProhibited = 13
	return &expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: adminProhibited}
}

// linkIs matches the name of the link that a packet comes from or goes to.
func linkIs(key expr.MetaKey, name string) []expr.Any {
	padded := make([]byte, unix.IFNAMSIZ)
	copy(padded, name)
	return []expr.Any{&expr.Meta{Key: key, Register: register}, &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: padded}}
}

// linkBegins matches its beginning.
func linkBegins(key expr.MetaKey, prefix string) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: register}, &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte(prefix)}}
}

// Offsets of the addresses in an IPv4 header (RFC 791).
const (
	offsetSource      = 12
	offsetDestination = 16
)

func sourceIs(a netip.Addr) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offsetSource, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: a.AsSlice()},
	}
}

// isLinkLocal matches a destination in 169.254.0.0/16 (RFC 3927).
func isLinkLocal() []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offsetDestination, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{169, 254}},
	}
}

// isReply matches what belongs to a connection that was let through.
func isReply() []expr.Any {
	mask := binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	none := make([]byte, 4)
	return []expr.Any{
		&expr.Ct{Register: register, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 4, Mask: mask, Xor: none},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: none},
	}
}
