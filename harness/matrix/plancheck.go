package matrix

import (
	"reflect"
	"strings"

	"github.com/turngate/turngate/proxyconnect"
)

// keysOf returns the YAML keys of the struct that v points to.
func keysOf(v any) (keys []string) {
	t := reflect.TypeOf(v).Elem()
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("yaml"); key != "" {
			keys = append(keys, strings.Split(key, ",")[0])
		}
	}
	return keys
}

// checkCell finds before the run what is wrong with a cell.
func checkCell(c *Cell) error {
	d := &proxyconnect.Dialer{Proxy: c.Proxy}
	if err := d.Validate(); err != nil {
		return err
	}
	return c.Auth.Apply(d)
}
