package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/turngate/turngate/harness/watch"
	"github.com/turngate/turngate/internal/flatyaml"
)

// A targetsFile is the name of a YAML list; each item has the flags of check as its keys, with _ for -,
// and a name. What the command line gives holds for all of them; a key wins over it.
type targetsFile string

// BeforeResolve lets the file give what the command line must otherwise.
func (targetsFile) BeforeResolve(ctx *kong.Context) error {
	for _, f := range ctx.Flags() {
		f.Required = false
	}
	return nil
}

// notInTargets are flags for the whole command.
var notInTargets = []string{"help", "targets", "every", "metrics", "json", "junit", "bundle", "verbose"}

const defaultTarget = "check" // the name of the target that the flags describe

// targets are what is to be looked at. The error lists all that is wrong; it is a usage error.
func (c *checkCmd) targets(ctx context.Context, k *kong.Context) ([]watch.Target, error) {
	if c.Targets == "" {
		t, err := c.target(ctx, defaultTarget)
		return []watch.Target{t}, err
	}
	flags := make(map[string]*kong.Flag)
	keys := []flatyaml.Key{{Name: "name"}}
	for _, f := range k.Flags() {
		if !slices.Contains(notInTargets, f.Name) {
			flags[keyOf(f)] = f
			keys = append(keys, flatyaml.Key{Name: keyOf(f), List: f.IsSlice()})
		}
	}
	slices.SortFunc(keys, func(a, b flatyaml.Key) int { return strings.Compare(a.Name, b.Name) })
	items, problems := flatyaml.ReadList(string(c.Targets), keys)
	if len(items) == 0 && len(problems) == 0 {
		problems = append(problems, fmt.Errorf("%s: no targets: want a list, items that begin with -", c.Targets))
	}
	given := *c
	defer func() { *c = given }()
	var targets []watch.Target
	names := make(map[string]string)
	for _, item := range items {
		*c = given
		t, err := c.item(ctx, item, flags, names)
		problems = append(problems, err)
		targets = append(targets, t)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, usageError{err}
	}
	return targets, nil
}

// item is the target that an item describes. It writes the item's values into c, where the flags have
// theirs; names holds where each name was given.
func (c *checkCmd) item(ctx context.Context, item flatyaml.Item, flags map[string]*kong.Flag, names map[string]string) (watch.Target, error) {
	var problems []error
	for key, list := range item.Values {
		f := flags[key]
		if f == nil {
			continue // the name
		}
		if err := tryValues(f, list); err != nil {
			problems = append(problems, err)
			continue
		}
		f.Target.SetZero()
		scan := kong.Scan().PushTyped(joined(list, f), kong.FlagValueToken)
		problems = append(problems, f.Parse(scan, f.Target))
	}
	name := ""
	if list := item.Values["name"]; len(list) > 0 {
		name = list[0].Text
	}
	switch before, again := names[name]; {
	case name == "":
		problems = append(problems, fmt.Errorf("%s: the target has no name", item.At))
	case again:
		problems = append(problems, fmt.Errorf("%s: the name %q was given at %s already", item.At, name, before))
	}
	names[name] = item.At
	t, err := c.target(ctx, name)
	if err != nil {
		problems = append(problems, fmt.Errorf("%s: %w", item.At, err))
	}
	return t, errors.Join(problems...)
}

// target is what the flags describe.
func (c *checkCmd) target(ctx context.Context, name string) (t watch.Target, err error) {
	if err := c.valid(); err != nil {
		return t, err
	}
	t = watch.Target{Name: name, ProxyAccount: c.proxyAccount()}
	if t.Check, err = c.check(ctx); err != nil {
		return t, err
	}
	t.TURNAccount = t.Check.TURN.User + " at " + t.Check.TURN.Address
	return t, nil
}

// proxyAccount names what a proxy or a KDC may reject and lock. Domains are left out: CORP\alice,
// alice@corp.example and alice may be the same account.
func (c *checkCmd) proxyAccount() string {
	user := c.ProxyUser
	if _, name, ok := strings.Cut(user, `\`); ok {
		user = name
	}
	user, _, _ = strings.Cut(user, "@")
	switch {
	case user != "":
		return "user " + strings.ToLower(user)
	case c.Keytab != "":
		return "keytab " + c.Keytab
	case c.Netrc != "":
		return "netrc " + c.Netrc
	case c.Proxy == "":
		return "user of the environment"
	}
	return ""
}
