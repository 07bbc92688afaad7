package main

import (
	"fmt"
	"io"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// levelOf returns the level of a word that the configuration has looked at.
func levelOf(word string) zapcore.Level {
	var level zapcore.Level
	_ = level.UnmarshalText([]byte(word))
	return level
}

// namedLogger returns the logger that two words of a command line ask for.
func namedLogger(w io.Writer, level, format string) (*zap.Logger, error) {
	min, err := zap.ParseAtomicLevel(level)
	if err != nil || min.Level() > zapcore.ErrorLevel {
		return nil, usageError{fmt.Errorf("--log-level %q is none of debug, info, warn, error", level)}
	}
	switch format {
	case "auto", "json", "console":
		return newLogger(w, min, format), nil
	}
	return nil, usageError{fmt.Errorf("--log-format %q is none of auto, json, console", format)}
}

// newLogger returns the logger of a format: auto is console on a terminal, else JSON. What
// is logged depends on the level, which may change.
func newLogger(w io.Writer, level zap.AtomicLevel, format string) *zap.Logger {
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
	encoder := zapcore.NewJSONEncoder(fields)
	if format == "console" {
		fields.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		fields.EncodeDuration = zapcore.StringDurationEncoder
		if fields.EncodeLevel = zapcore.CapitalLevelEncoder; terminal && os.Getenv("NO_COLOR") == "" {
			fields.EncodeLevel = zapcore.CapitalColorLevelEncoder
		}
		encoder = zapcore.NewConsoleEncoder(fields)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level))
}
