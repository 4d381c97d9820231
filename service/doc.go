// Package service makes package turntcp's server a service: configuration from flags, environment
// and file, users and secrets from files that are read again on demand, a log, an audit log, and an
// end that lets calls finish.
//
//	cfg, err := service.Load(service.Sources{Flags: flags, Env: os.Getenv})
//	// err is a *service.ConfigError that lists all that is wrong
//	err = service.Serve(ctx, cfg, service.Process{Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals})
//
// It does not daemonize, change its user or rotate files; that is for systemd or a container.
package service
