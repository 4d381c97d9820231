package turntcp

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// pionLog brings what pion calls warnings and errors to slog, at Debug: clients cause them at will,
// one per packet, and what an admin must know is logged by the callbacks. The rest pion says per
// packet even when all is well, and is dropped.
type pionLog struct{ log *slog.Logger }

func (l pionLog) NewLogger(string) logging.LeveledLogger { return l }

func (l pionLog) say(level, format string, args []any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("pion: "+fmt.Sprintf(format, args...), "level", level)
	}
}

func (l pionLog) Trace(string)          {}
func (l pionLog) Tracef(string, ...any) {}
func (l pionLog) Debug(string)          {}
func (l pionLog) Debugf(string, ...any) {}
func (l pionLog) Info(string)           {}
func (l pionLog) Infof(string, ...any)  {}

func (l pionLog) Warn(msg string)                   { l.say("warn", "%s", []any{msg}) }
func (l pionLog) Warnf(format string, args ...any)  { l.say("warn", format, args) }
func (l pionLog) Error(msg string)                  { l.say("error", "%s", []any{msg}) }
func (l pionLog) Errorf(format string, args ...any) { l.say("error", format, args) }
