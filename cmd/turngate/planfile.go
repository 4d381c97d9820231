package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/turngate/turngate/internal/flatyaml"
)

// A planFile is an argument that names a YAML file with values for the command's flags: each key is
// the name of a flag with _ for -. Flags and environment variables win over it.
type planFile string

// BeforeResolve reads the file.
func (p planFile) BeforeResolve(ctx *kong.Context, trace *kong.Path) error {
	path := ctx.Value(trace).String()
	flags := planFlags(ctx.Flags())
	var keys []flatyaml.Key
	for key, flag := range flags {
		keys = append(keys, flatyaml.Key{Name: key, List: flag.IsSlice()})
	}
	slices.SortFunc(keys, func(a, b flatyaml.Key) int { return strings.Compare(a.Name, b.Name) })
	values, problems := flatyaml.ReadFile(path, keys)
	for key, list := range values {
		problems = append(problems, tryValues(flags[key], list))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	ctx.AddResolver(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		list := values[keyOf(flag)]
		if len(list) == 0 || inEnvironment(flag) {
			return nil, nil
		}
		return joined(list, flag), nil
	}))
	return nil
}

// notInPlans are flags that make no sense in a file.
var notInPlans = []string{"help"}

func planFlags(all []*kong.Flag) map[string]*kong.Flag {
	flags := make(map[string]*kong.Flag)
	for _, f := range all {
		if !slices.Contains(notInPlans, f.Name) {
			flags[keyOf(f)] = f
		}
	}
	return flags
}

func keyOf(f *kong.Flag) string { return strings.ReplaceAll(f.Name, "-", "_") }

func inEnvironment(f *kong.Flag) bool {
	return slices.ContainsFunc(f.Envs, func(name string) bool { return os.Getenv(name) != "" })
}

// joined is the text of the values as the flag reads it.
func joined(list []flatyaml.Value, f *kong.Flag) string {
	var texts []string
	for _, v := range list {
		texts = append(texts, v.Text)
	}
	return strings.Join(texts, string(f.Tag.Sep))
}

// tryValues finds a value that the flag does not take while its place in the file is known.
func tryValues(f *kong.Flag, list []flatyaml.Value) error {
	scan := kong.Scan().PushTyped(joined(list, f), kong.FlagValueToken)
	if err := f.Parse(scan, reflect.New(f.Target.Type()).Elem()); err != nil {
		return fmt.Errorf("%s: %w", list[0].At, err)
	}
	if f.Enum != "" {
		for _, v := range list {
			if !slices.Contains(f.EnumSlice(), v.Text) {
				return fmt.Errorf("%s: %q: want one of %s", v.At, v.Text, strings.Join(f.EnumSlice(), ", "))
			}
		}
	}
	return nil
}
