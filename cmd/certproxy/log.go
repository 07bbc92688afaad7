package main

import (
	"fmt"
	"io"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// newLogger returns the logger that --log-level and --log-format ask for. The
// format "auto" is console on a terminal, else JSON.
func newLogger(w io.Writer, level, format string) (*zap.Logger, error) {
	var min zapcore.Level
	if err := min.UnmarshalText([]byte(level)); err != nil || min > zapcore.ErrorLevel {
		return nil, usageError{fmt.Errorf("--log-level %q is none of debug, info, warn, error", level)}
	}
	f, isFile := w.(*os.File)
	terminal := isFile && term.IsTerminal(int(f.Fd()))
	if format == "auto" {
		format = "json"
		if terminal {
			format = "console"
		}
	}
	fields := zap.NewProductionEncoderConfig()
	fields.TimeKey, fields.EncodeTime = "time", zapcore.RFC3339NanoTimeEncoder
	fields.EncodeDuration = zapcore.SecondsDurationEncoder
	var encoder zapcore.Encoder
	switch format {
	case "json":
		encoder = zapcore.NewJSONEncoder(fields)
	case "console":
		fields.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		fields.EncodeDuration = zapcore.StringDurationEncoder
		if fields.EncodeLevel = zapcore.CapitalLevelEncoder; terminal && os.Getenv("NO_COLOR") == "" {
			fields.EncodeLevel = zapcore.CapitalColorLevelEncoder
		}
		encoder = zapcore.NewConsoleEncoder(fields)
	default:
		return nil, usageError{fmt.Errorf("--log-format %q is none of auto, json, console", format)}
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), min)), nil
}
