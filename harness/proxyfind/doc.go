// Package proxyfind finds the way to a TURN server as a browser would: by a flag, by the environment,
// by a proxy auto-configuration (PAC) file, or by WPAD.
//
//	f := proxyfind.Finder{PAC: "http://wpad.corp.example/wpad.dat"}
//	found, err := f.Find(ctx, "turn.corp.example:443")
//	for _, way := range found.Ways { ... way.URL() ... }
//
// The script of a PAC file runs in a child process of this program, with an empty environment, limits
// on CPU time and memory, and nothing but two pipes: see Child. It does not look at the settings of
// desktops and browsers, nor ask DHCP for the address of a PAC file (option 252).
package proxyfind
