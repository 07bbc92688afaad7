//go:build !unix

package child

import "os"

func passed() []os.Signal { return []os.Signal{os.Interrupt} }

func fromTerminal(os.Signal) bool { return true }

func terminate(p *os.Process) error { return p.Kill() }

func status(s *os.ProcessState) int { return s.ExitCode() }
